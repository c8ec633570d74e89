/* SPDX-License-Identifier: MIT
 * Damaged and hostile headers: each is refused, the message names the image and the field, and the
 * output is untouched. */
#include "io/nifti.h"

#include "test.h"

/* A good 3-D int16 image of 4 x 3 x 2 to be spoiled. */
static size_t good_image(unsigned char *image)
{
    struct ph_error err;
    struct phi_nifti_info info = {.type = PHI_NIFTI_INT16,
                                  .n_x = 4,
                                  .n_y = 3,
                                  .n_z = 2,
                                  .n_volumes = 1,
                                  .slope = 1,
                                  .tr_s = 2,
                                  .voxel_mm = {2, 2, 2},
                                  .affine = {{2, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 2, 0}}};
    size_t n;

    assert_ok(phi_nifti_make(&info, &err), err);
    assert_int_equal(phi_nifti_reheader(&info, 1, 0, image, &n), PH_OK);
    memset(image + n, 7, info.n_volume_bytes);
    return n + info.n_volume_bytes;
}

static void put16(unsigned char *p, int value)
{
    p[0] = (unsigned char)(value & 255);
    p[1] = (unsigned char)(value >> 8 & 255);
}

static void put_float(unsigned char *p, float value)
{
    memcpy(p, &value, sizeof value);
}

static void assert_refused(const unsigned char *image, size_t n, int status, const char *field)
{
    struct ph_error err;
    struct phi_nifti_info info = {.n_x = 99};
    const unsigned char *data = image;

    err.text[0] = '\0';
    if (phi_nifti_parse(image, n, "image-name", &info, &data, &err) != status)
        fail_msg("%s: status %d: %s", field, err.status, err.text);
    assert_int_equal(err.status, status);
    if (!strstr(err.text, field) || !strstr(err.text, "image-name"))
        fail_msg("'%s' does not name image and %s", err.text, field);
    assert_int_equal(info.n_x, 99);
    assert_ptr_equal(data, image);
}

#define SPOILED(change, status, field)                                                             \
    do {                                                                                           \
        unsigned char h[1024];                                                                     \
        size_t n_ = good_image(h);                                                                 \
        change;                                                                                    \
        assert_refused(h, n_, status, field);                                                      \
    } while (0)

static void fields_out_of_range(void **state)
{
    (void)state;
    SPOILED(put16(h, 347), PH_E_FORMAT, "sizeof_hdr");
    SPOILED(h[344] = 'x', PH_E_FORMAT, "magic");
    SPOILED(memcpy(h + 344, "ni1", 4), PH_E_FORMAT, "magic");
    SPOILED(put16(h + 40, 0), PH_E_FORMAT, "dim[0]");
    SPOILED(put16(h + 40, 8), PH_E_FORMAT, "dim[0]");
    SPOILED(put16(h + 42, 0), PH_E_FORMAT, "dim[1]");
    SPOILED(put16(h + 46, -5), PH_E_FORMAT, "dim[3]");
    SPOILED((put16(h + 40, 5), put16(h + 50, 2)), PH_E_SHAPE, "dim[5]");
    SPOILED(put16(h + 70, 0), PH_E_FORMAT, "datatype");
    SPOILED((put16(h + 70, 32), put16(h + 72, 64)), PH_E_FORMAT, "datatype");
    SPOILED((put16(h + 70, 128), put16(h + 72, 24)), PH_E_FORMAT, "datatype");
    SPOILED(put16(h + 72, 8), PH_E_FORMAT, "bitpix");
    SPOILED(put_float(h + 80, 0), PH_E_FORMAT, "pixdim[1]");
    SPOILED(put_float(h + 88, NAN), PH_E_FORMAT, "pixdim[3]");
    SPOILED(put_float(h + 108, 100), PH_E_FORMAT, "vox_offset");
    SPOILED(put_float(h + 108, NAN), PH_E_FORMAT, "vox_offset");
    SPOILED(put_float(h + 108, 1e30f), PH_E_FORMAT, "vox_offset");
    SPOILED(put_float(h + 108, 352.5f), PH_E_FORMAT, "vox_offset");
    SPOILED(put_float(h + 280, INFINITY), PH_E_FORMAT, "srow");
    SPOILED(put_float(h + 292, 1e20f), PH_E_FORMAT, "srow");
    SPOILED((put16(h + 254, 0), put_float(h + 268, NAN)), PH_E_FORMAT, "quatern/qoffset");
}

/* 30000 x 30000 x 10 int16 voxels are 18 GB in a message of 400 bytes. */
static void header_that_asks_for_18_gb(void **state)
{
    (void)state;
    SPOILED((put16(h + 42, 30000), put16(h + 44, 30000), put16(h + 46, 10)), PH_E_LIMIT,
            "dim[1..3]");
    SPOILED((put16(h + 42, 700), put16(h + 44, 700), put16(h + 46, 700)), PH_E_FORMAT, "dim");
    SPOILED((put16(h + 42, 32767), put16(h + 44, 32767), put16(h + 46, 32767)), PH_E_LIMIT,
            "dim[1..3]");
}

static void cut_and_overlong(void **state)
{
    unsigned char image[1024];
    size_t n = good_image(image);

    (void)state;
    for (size_t k = 0; k < n; k++)
        assert_refused(image, k, PH_E_FORMAT, "");
    assert_refused(image, n + 1, PH_E_FORMAT, "1 bytes too many");
}

static void scaling_that_says_nothing(void **state)
{
    unsigned char image[1024];
    size_t n = good_image(image);
    struct ph_error err;
    struct phi_nifti_info info;
    const unsigned char *data;

    (void)state;
    put_float(image + 112, 0);
    put_float(image + 116, 5);
    assert_ok(phi_nifti_parse(image, n, "x", &info, &data, &err), err);
    assert_true(info.slope == 1 && info.inter == 0);
    put_float(image + 112, NAN);
    assert_ok(phi_nifti_parse(image, n, "x", &info, &data, &err), err);
    assert_true(info.slope == 1 && info.inter == 0);
    put_float(image + 92, 0); /* pixdim[4] */
    assert_ok(phi_nifti_parse(image, n, "x", &info, &data, &err), err);
    assert_near(info.tr_s, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_out_of_range),
        cmocka_unit_test(header_that_asks_for_18_gb),
        cmocka_unit_test(cut_and_overlong),
        cmocka_unit_test(scaling_that_says_nothing),
    };
    return cmocka_run_group_tests_name("io/nifti: bad headers", tests, NULL, NULL);
}
