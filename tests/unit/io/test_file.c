/* SPDX-License-Identifier: MIT
 * Files appear whole or not at all, nothing temporary stays behind, reads are bounded, errors name
 * the path. */
#include "io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "tempdir.h"
#include "test.h"

static struct tempdir dir;

static int set_up(void **state)
{
    (void)state;
    return tempdir_make(&dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tempdir_remove(&dir);
    return 0;
}

static size_t count_entries(void)
{
    DIR *list = opendir(dir.path);
    size_t n = 0;

    assert_non_null(list);
    while (readdir(list))
        n++;
    (void)closedir(list);
    return n - 2;
}

static void write_replaces_whole(void **state)
{
    struct ph_error err;
    unsigned char *bytes;
    size_t n;

    (void)state;
    assert_ok(phi_file_write(tempdir_file(&dir, "a"), "first", 5, &err), err);
    assert_ok(phi_file_write(tempdir_file(&dir, "a"), "second one", 10, &err), err);
    assert_ok(phi_file_read(tempdir_file(&dir, "a"), 10, &bytes, &n, &err), err);
    assert_int_equal(n, 10);
    assert_string_equal((char *)bytes, "second one");
    phi_free(bytes);
    assert_int_equal(count_entries(), 1);
}

static void abandoned_file_leaves_the_old_one(void **state)
{
    struct phi_new_file file;
    struct ph_error err;
    unsigned char *bytes;
    size_t n;

    (void)state;
    assert_ok(phi_new_file_open(&file, tempdir_file(&dir, "a"), &err), err);
    assert_ok(phi_write_all(file.fd, "half", 4, NULL), err);
    assert_int_equal(count_entries(), 2);
    phi_new_file_abandon(&file);
    phi_new_file_abandon(&file);
    assert_int_equal(count_entries(), 1);
    assert_ok(phi_file_read(tempdir_file(&dir, "a"), 100, &bytes, &n, &err), err);
    assert_string_equal((char *)bytes, "second one");
    phi_free(bytes);
}

static void errors_name_the_path(void **state)
{
    struct ph_error err;
    unsigned char *bytes = NULL;
    size_t n = 77;

    (void)state;
    assert_int_equal(phi_file_read(tempdir_file(&dir, "none"), 10, &bytes, &n, &err), PH_E_IO);
    assert_int_equal(err.os_errno, ENOENT);
    assert_non_null(strstr(err.text, dir.path));
    assert_int_equal(phi_file_read(tempdir_file(&dir, "a"), 9, &bytes, &n, &err), PH_E_LIMIT);
    assert_null(bytes);
    assert_int_equal(n, 77);
    assert_int_equal(phi_file_write(tempdir_file(&dir, "no/such/folder"), "x", 1, &err), PH_E_IO);
    assert_non_null(strstr(err.text, "no/such/folder"));
}

static void large_files_are_read_whole(void **state)
{
    struct ph_error err;
    size_t n_bytes = 300001;
    unsigned char *bytes = phi_calloc(n_bytes, 1);
    unsigned char *back;
    size_t n;

    (void)state;
    for (size_t i = 0; i < n_bytes; i++)
        bytes[i] = (unsigned char)(i * 7);
    assert_ok(phi_file_write(tempdir_file(&dir, "large"), bytes, n_bytes, &err), err);
    assert_ok(phi_file_read(tempdir_file(&dir, "large"), n_bytes, &back, &n, &err), err);
    assert_int_equal(n, n_bytes);
    assert_memory_equal(back, bytes, n_bytes);
    phi_free(back);
    phi_free(bytes);
}

static void folders_and_paths(void **state)
{
    struct ph_error err;
    char out[16];

    (void)state;
    assert_ok(phi_dir_make(tempdir_file(&dir, "x/y/z"), &err), err);
    assert_ok(phi_dir_make(tempdir_file(&dir, "x/y/z/"), &err), err);
    assert_true(phi_path_exists(tempdir_file(&dir, "x/y/z")));
    assert_int_equal(phi_dir_make(tempdir_file(&dir, "a/b"), &err), PH_E_IO);
    assert_true(phi_path_join(out, sizeof out, "a/", "b"));
    assert_string_equal(out, "a/b");
    assert_true(phi_path_join(out, sizeof out, "", "b"));
    assert_string_equal(out, "b");
    assert_false(phi_path_join(out, sizeof out, "0123456789", "abcdef"));
}

static void a_full_device_is_an_error(void **state)
{
    int fd = open("/dev/full", O_WRONLY);
    int os_errno = 0;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(phi_write_all(fd, "x", 1, &os_errno), PH_E_IO);
    assert_int_equal(os_errno, ENOSPC);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_replaces_whole), cmocka_unit_test(abandoned_file_leaves_the_old_one),
        cmocka_unit_test(errors_name_the_path), cmocka_unit_test(large_files_are_read_whole),
        cmocka_unit_test(folders_and_paths),    cmocka_unit_test(a_full_device_is_an_error),
    };
    return cmocka_run_group_tests_name("io/file", tests, set_up, tear_down);
}
