/* SPDX-License-Identifier: MIT
 * Files are read volume by volume (plain, gzipped, pairs), written whole, and read back; lies about
 * the length cost an error. */
#include "io/nifti_file.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/mem.h"
#include "io/file.h"
#include "io/nifti_write.h"
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

static void check_golden(const char *name)
{
    char path[512];
    struct ph_error err;
    struct phi_nifti_reader *reader = NULL;
    float values[24];

    (void)snprintf(path, sizeof path, "%s/%s", GOLDEN_DIR, name);
    assert_ok(phi_nifti_reader_open(path, &reader, &err), err);
    assert_int_equal(phi_nifti_reader_info(reader)->n_volumes, 3);
    for (int v = 0; v < 3; v++) {
        assert_ok(phi_nifti_reader_next_float32(reader, values, &err), err);
        for (int i = 0; i < 24; i++)
            assert_near(values[i], (37 * (24 * v + i)) % 101 - 50, 0);
    }
    assert_int_equal(phi_nifti_reader_next_float32(reader, values, &err), PH_EOS);
    assert_ok(phi_nifti_reader_seek(reader, 1, &err), err);
    assert_ok(phi_nifti_reader_next_float32(reader, values, &err), err);
    assert_near(values[0], (37 * 24) % 101 - 50, 0);
    assert_int_equal(phi_nifti_reader_seek(reader, 4, &err), PH_E_INVAL);
    phi_nifti_reader_close(&reader);
    assert_null(reader);
    phi_nifti_reader_close(&reader);
}

static void golden_files(void **state)
{
    (void)state;
    check_golden("v1_le_i2.nii");
    check_golden("v1_le_i2_gz.nii.gz");
    check_golden("v1_be_f4_pair.hdr");
    check_golden("v1_be_f4_pair.img");
    check_golden("v2_le_i2_pair.hdr");
}

static struct phi_nifti_info wish(uint32_t n_volumes)
{
    struct phi_nifti_info info = {.type = PHI_NIFTI_INT16,
                                  .n_x = 8,
                                  .n_y = 7,
                                  .n_z = 6,
                                  .n_volumes = n_volumes,
                                  .slope = 1,
                                  .tr_s = 2,
                                  .voxel_mm = {3, 3, 3.3},
                                  .affine = {{-3, 0, 0, 10}, {0, 3, 0, -20}, {0, 0, 3.3, 5}}};

    return info;
}

static void write_and_read(const char *name)
{
    struct ph_error err;
    struct phi_nifti_info info = wish(5);
    struct phi_nifti_info back;
    float *values = phi_calloc(5 * 336, sizeof *values);
    float *read = NULL;

    for (int i = 0; i < 5 * 336; i++)
        values[i] = (float)(i - 700);
    assert_ok(phi_nifti_write_float32(tempdir_file(&dir, name), &info, values, &err), err);
    assert_ok(phi_nifti_read_float32(tempdir_file(&dir, name), 1 << 20, &back, &read, &err), err);
    assert_int_equal(back.n_volumes, 5);
    assert_true(phi_nifti_same_grid(&info, &back, 1e-4));
    assert_memory_equal(values, read, 5 * 336 * sizeof *values);
    assert_int_equal(phi_nifti_read_float32(tempdir_file(&dir, name), 100, &back, &read, &err),
                     PH_E_LIMIT);
    phi_free(values);
    phi_free(read);
}

static void written_files_read_back(void **state)
{
    (void)state;
    write_and_read("a.nii");
    write_and_read("a.nii.gz");
}

static void gzipped_files_are_repeatable(void **state)
{
    struct ph_error err;
    unsigned char *a;
    unsigned char *b;
    size_t n_a;
    size_t n_b;

    (void)state;
    assert_ok(phi_file_read(tempdir_file(&dir, "a.nii.gz"), 1 << 20, &a, &n_a, &err), err);
    write_and_read("a.nii.gz");
    assert_ok(phi_file_read(tempdir_file(&dir, "a.nii.gz"), 1 << 20, &b, &n_b, &err), err);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a);
    phi_free(a);
    phi_free(b);
}

static void unfinished_file_is_not_made(void **state)
{
    struct ph_error err;
    struct phi_nifti_info info = wish(3);
    struct phi_nifti_writer *writer = NULL;
    float values[336] = {0};

    (void)state;
    assert_ok(phi_nifti_make(&info, &err), err);
    assert_ok(phi_nifti_writer_create(tempdir_file(&dir, "u.nii.gz"), &info, &writer, &err), err);
    assert_ok(phi_nifti_writer_add_float32(writer, values, &err), err);
    assert_int_equal(phi_nifti_writer_finish(&writer, &err), PH_E_STATE);
    assert_null(writer);
    assert_false(phi_path_exists(tempdir_file(&dir, "u.nii.gz")));
    assert_int_equal(phi_nifti_writer_create(tempdir_file(&dir, "no/u.nii"), &info, &writer, &err),
                     PH_E_IO);
    assert_null(writer);
}

/* Cuts `name` to n bytes and tells what opening and reading to the end gives. */
static int status_of_cut(const char *name, size_t n, struct ph_error *err)
{
    struct phi_nifti_reader *reader = NULL;
    const unsigned char *data;
    unsigned char *bytes;
    size_t n_bytes;
    char path[512];
    int status;

    (void)snprintf(path, sizeof path, "%s", tempdir_file(&dir, name));
    assert_ok(phi_file_read(path, 1 << 20, &bytes, &n_bytes, err), *err);
    (void)snprintf(path, sizeof path, "%s/cut-%s", dir.path, name);
    assert_ok(phi_file_write(path, bytes, n < n_bytes ? n : n_bytes, err), *err);
    phi_free(bytes);
    status = phi_nifti_reader_open(path, &reader, err);
    while (status == PH_OK)
        status = phi_nifti_reader_next(reader, &data, err);
    phi_nifti_reader_close(&reader);
    return status;
}

static void cut_files_are_found_out(void **state)
{
    struct ph_error err;

    (void)state;
    assert_int_equal(status_of_cut("a.nii", SIZE_MAX, &err), PH_EOS);
    assert_int_equal(status_of_cut("a.nii", 352 + 5 * 672 - 1, &err), PH_E_FORMAT);
    assert_int_equal(status_of_cut("a.nii", 377, &err), PH_E_FORMAT);
    assert_int_equal(status_of_cut("a.nii", 0, &err), PH_E_FORMAT);
    assert_int_equal(status_of_cut("a.nii.gz", SIZE_MAX, &err), PH_EOS);
    assert_int_equal(status_of_cut("a.nii.gz", 600, &err), PH_E_FORMAT);
    assert_non_null(strstr(err.text, "cut-a.nii.gz"));
    assert_int_equal(status_of_cut("a.nii.gz", 30, &err), PH_E_FORMAT);
}

static void missing_files(void **state)
{
    struct ph_error err;
    struct phi_nifti_reader *reader = NULL;
    unsigned char *bytes;
    size_t n;

    (void)state;
    assert_int_equal(phi_nifti_reader_open(tempdir_file(&dir, "none.nii"), &reader, &err), PH_E_IO);
    assert_non_null(strstr(err.text, "none.nii"));
    assert_ok(phi_file_read(GOLDEN_DIR "/v1_be_f4_pair.hdr", 1000, &bytes, &n, &err), err);
    assert_ok(phi_file_write(tempdir_file(&dir, "lone.hdr"), bytes, n, &err), err);
    assert_int_equal(phi_nifti_reader_open(tempdir_file(&dir, "lone.hdr"), &reader, &err), PH_E_IO);
    assert_non_null(strstr(err.text, ".img"));
    phi_free(bytes);
    assert_null(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_files),
        cmocka_unit_test(written_files_read_back),
        cmocka_unit_test(gzipped_files_are_repeatable),
        cmocka_unit_test(unfinished_file_is_not_made),
        cmocka_unit_test(cut_files_are_found_out),
        cmocka_unit_test(missing_files),
    };
    return cmocka_run_group_tests_name("io/nifti_file", tests, set_up, tear_down);
}
