/* SPDX-License-Identifier: MIT
 * The documentation's example loads and runs; files that others could have written, links, relative
 * paths, things that are no plugin and plugins for another engine are refused by name. */
#include <sys/stat.h>

#include "host/loader.h"
#include "rig.h"
#include "tempdir.h"
#include "test.h"

static const char *example_path;
static const char *foreign_path;
static struct tempdir dir;

static struct phi_registry *empty_registry(void)
{
    struct phi_registry *registry = NULL;
    struct ph_error err;

    assert_ok(phi_registry_create(NULL, 0, &registry, &err), err);
    return registry;
}

/* Builds may lie in folders that a group can write, so tests load from a folder of their own. */
static const char *copy_of(const char *path, const char *name, mode_t mode)
{
    const char *copy = tempdir_file(&dir, name);
    FILE *in = fopen(path, "rb");
    FILE *out = fopen(copy, "wb");
    char bytes[4096];
    size_t n;

    assert_non_null(in);
    assert_non_null(out);
    while ((n = fread(bytes, 1, sizeof bytes, in)) > 0)
        assert_int_equal(fwrite(bytes, 1, n, out), n);
    assert_int_equal(fclose(in), 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(copy, mode), 0);
    return copy;
}

static void expect_refusal(const char *path, enum ph_status status, const char *part)
{
    struct phi_registry *registry = empty_registry();
    struct ph_error err = {0};

    assert_int_equal(phi_loader_load(registry, path, &err), status);
    if (!strstr(err.text, part))
        fail_msg("'%s' lacks '%s'", err.text, part);
    assert_int_equal(phi_registry_count(registry), 0);
    phi_registry_destroy(&registry);
}

static void example_loads_and_runs(void **state)
{
    struct phi_registry *registry = empty_registry();
    const struct phi_registered *found;
    const float values[2] = {0.05f, -3};
    struct ph_spec in = rig_vectors(2, 2);
    struct rig *rig = NULL;
    struct ph_error err = {0};

    (void)state;
    assert_ok(phi_loader_load(registry, copy_of(example_path, "a.so", 0644), &err), err);
    found = phi_registry_find(registry, "filter/deadband");
    assert_non_null(found);
    assert_string_equal(found->origin, tempdir_file(&dir, "a.so"));
    assert_ok(rig_try_open(found->type, "width=0.1", &in, &rig, &err), err);
    assert_int_equal(rig_push(rig, values, 0), PH_OK);
    assert_near(((const float *)rig_last(rig)->data)[0], 0, 0);
    assert_near(((const float *)rig_last(rig)->data)[1], -3, 0);
    rig_close(&rig);
    assert_int_equal(phi_loader_load(registry, tempdir_file(&dir, "a.so"), &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "registered twice"));
    phi_registry_destroy(&registry);
}

/* The loader names libraries by descriptor numbers, which come again: the second file must be read
 * all the same. Here it is one for another engine, and must be found out. */
static void second_file_is_another(void **state)
{
    struct phi_registry *registry = empty_registry();
    struct ph_error err = {0};

    (void)state;
    assert_ok(phi_loader_load(registry, copy_of(example_path, "first.so", 0644), &err), err);
    assert_int_equal(phi_loader_load(registry, copy_of(foreign_path, "second.so", 0644), &err),
                     PH_E_ABI);
    assert_int_equal(phi_registry_count(registry), 1);
    phi_registry_destroy(&registry);
}

static void unsafe_paths_are_refused(void **state)
{
    char target[512];

    (void)state;
    expect_refusal("a.so", PH_E_INVAL, "absolute path");
    expect_refusal("/nonexistent/a.so", PH_E_IO, "cannot open 'nonexistent'");
    expect_refusal(copy_of(example_path, "open.so", 0666), PH_E_INVAL, "written by other users");
    (void)snprintf(target, sizeof target, "%s", copy_of(example_path, "real.so", 0644));
    assert_int_equal(symlink(target, tempdir_file(&dir, "link.so")), 0);
    expect_refusal(tempdir_file(&dir, "link.so"), PH_E_INVAL, "is a link");
    assert_int_equal(mkdir(tempdir_file(&dir, "sub"), 0777), 0);
    assert_int_equal(chmod(tempdir_file(&dir, "sub"), 0777), 0);
    expect_refusal(copy_of(example_path, "sub/a.so", 0644), PH_E_INVAL, "written by other users");
    expect_refusal(dir.path, PH_E_INVAL, "no regular file");
}

static void other_things_are_refused(void **state)
{
    FILE *file = fopen(tempdir_file(&dir, "text.so"), "w");

    (void)state;
    assert_non_null(file);
    assert_true(fputs("no library\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(tempdir_file(&dir, "text.so"), 0644), 0);
    expect_refusal(tempdir_file(&dir, "text.so"), PH_E_FORMAT, "cannot be loaded");
    expect_refusal(copy_of(foreign_path, "foreign.so", 0644), PH_E_ABI,
                   "built for plugin interface 9.0, this engine has 1.1");
}

static int open_dir(void **state)
{
    (void)state;
    return tempdir_make(&dir) ? 0 : -1;
}

static int close_dir(void **state)
{
    (void)state;
    tempdir_remove(&dir);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(example_loads_and_runs),
        cmocka_unit_test(second_file_is_another),
        cmocka_unit_test(unsafe_paths_are_refused),
        cmocka_unit_test(other_things_are_refused),
    };

    if (argc != 3)
        return 2;
    example_path = argv[1];
    foreign_path = argv[2];
    return cmocka_run_group_tests_name("host/loader", tests, open_dir, close_dir);
}
