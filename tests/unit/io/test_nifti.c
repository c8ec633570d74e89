/* SPDX-License-Identifier: MIT
 * Images that nibabel wrote (tests/golden/io/make.py) are read right: both versions, both byte
 * orders, each type, scaling, units, forms. Values are exact. */
#include "io/nifti.h"

#include <stdlib.h>

#include "base/mem.h"
#include "io/file.h"
#include "io/nifti_values.h"
#include "test.h"

#define N_VOXELS 24
#define N_VALUES 72

/* make.py's affine: the qform's, as nibabel's quaternion code gave it, differs by its shears. */
static const double affine[3][4] = {
    {-2.9, 0.3, 0.1, 90.5}, {0.25, 2.8, -0.6, -70.25}, {0.1, 0.55, 3.2, -40}};
static const double q_affine[3][4] = {{-2.89773712, 0.280019392, 0.0777085054, 90.5},
                                      {0.266074646, 2.80509899, -0.616819057, -70.25},
                                      {0.121754015, 0.534330361, 3.19742008, -40}};

static void check_file(const char *name, int version, bool big_endian, int type)
{
    char path[512];
    struct ph_error err;
    struct phi_nifti_info info;
    unsigned char *bytes;
    const unsigned char *data;
    float values[N_VALUES];
    size_t n;
    bool is_scaled = strstr(name, "scaled") != NULL;
    double slope = is_scaled ? 0.5 : 1;
    double inter = is_scaled ? -3 : 0;
    int low = phi_nifti_type_name(type)[0] == 'u' ? 0 : 50;

    (void)snprintf(path, sizeof path, "%s/%s.nii", GOLDEN_DIR, name);
    assert_ok(phi_file_read(path, 1 << 20, &bytes, &n, &err), err);
    assert_ok(phi_nifti_parse(bytes, n, name, &info, &data, &err), err);
    assert_int_equal(info.version, version);
    assert_int_equal(info.big_endian, big_endian);
    assert_int_equal(info.type, type);
    assert_true(info.n_x == 4 && info.n_y == 3 && info.n_z == 2 && info.n_volumes == 3);
    assert_int_equal(info.n_voxels, N_VOXELS);
    assert_near(info.tr_s, 1.5, 1e-7);
    assert_string_equal(info.description, name);
    for (int i = 0; i < 3; i++) {
        const double *expected = strstr(name, "qform") ? q_affine[i] : affine[i];

        for (int j = 0; j < 4; j++)
            assert_near(info.affine[i][j], expected[j], 1e-5);
    }
    assert_int_equal(info.form, strstr(name, "qform") ? PHI_NIFTI_FORM_Q : PHI_NIFTI_FORM_S);
    assert_near(info.voxel_mm[0], 2.9124732, 1e-6);
    assert_near(info.voxel_mm[1], 2.8692334, 1e-6);
    assert_near(info.voxel_mm[2], 3.2572994, 1e-6);
    phi_nifti_to_float32(&info, data, N_VALUES, values);
    for (int i = 0; i < N_VALUES; i++)
        assert_near(values[i], slope * ((37 * i) % 101 - low) + inter, 0);
    phi_free(bytes);
}

static void golden_images(void **state)
{
    static const struct {
        const char *mark;
        int type;
    } types[] = {
        {"u1", PHI_NIFTI_UINT8},   {"i1", PHI_NIFTI_INT8},   {"u2", PHI_NIFTI_UINT16},
        {"i2", PHI_NIFTI_INT16},   {"u4", PHI_NIFTI_UINT32}, {"i4", PHI_NIFTI_INT32},
        {"u8", PHI_NIFTI_UINT64},  {"i8", PHI_NIFTI_INT64},  {"f4", PHI_NIFTI_FLOAT32},
        {"f8", PHI_NIFTI_FLOAT64},
    };
    char name[64];

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        (void)snprintf(name, sizeof name, "v1_le_%s", types[i].mark);
        check_file(name, 1, false, types[i].type);
        (void)snprintf(name, sizeof name, "v2_be_%s", types[i].mark);
        check_file(name, 2, true, types[i].type);
    }
    check_file("v1_be_i2", 1, true, PHI_NIFTI_INT16);
    check_file("v1_be_f4", 1, true, PHI_NIFTI_FLOAT32);
    check_file("v2_le_i2", 2, false, PHI_NIFTI_INT16);
    check_file("v2_le_f4", 2, false, PHI_NIFTI_FLOAT32);
    check_file("v1_be_i2_scaled", 1, true, PHI_NIFTI_INT16);
    check_file("v2_le_u2_scaled", 2, false, PHI_NIFTI_UINT16);
    check_file("v1_le_i2_msec", 1, false, PHI_NIFTI_INT16);
    check_file("v1_le_i2_usec", 1, false, PHI_NIFTI_INT16);
    check_file("v1_le_i2_qform", 1, false, PHI_NIFTI_INT16);
}

static struct phi_nifti_info wish(enum phi_nifti_type type)
{
    struct phi_nifti_info info = {.type = type,
                                  .n_x = 5,
                                  .n_y = 4,
                                  .n_z = 3,
                                  .n_volumes = 2,
                                  .slope = 1,
                                  .tr_s = 0.8,
                                  .voxel_mm = {2.9124732, 2.8692334, 3.2572994}};

    memcpy(info.affine, affine, sizeof affine);
    (void)snprintf(info.description, sizeof info.description, "made by a test");
    return info;
}

static void made_headers_read_back(void **state)
{
    struct ph_error err;
    struct phi_nifti_info info = wish(PHI_NIFTI_INT16);
    struct phi_nifti_info back;

    (void)state;
    info.slope = 2;
    info.inter = 7;
    assert_ok(phi_nifti_make(&info, &err), err);
    assert_ok(phi_nifti_parse_header(info.header, info.n_header, "made", &back, &err), err);
    assert_int_equal(back.version, 1);
    assert_int_equal(back.data_offset, 352);
    assert_int_equal(back.n_volume_bytes, 120);
    assert_near(back.tr_s, 0.8, 1e-7);
    assert_near(back.slope, 2, 0);
    assert_near(back.inter, 7, 0);
    assert_string_equal(back.description, "made by a test");
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++)
            assert_near(back.affine[i][j], affine[i][j], 1e-5);
    info = wish(PHI_NIFTI_UINT8);
    info.n_x = 40000;
    info.n_y = info.n_z = 1;
    assert_ok(phi_nifti_make(&info, &err), err);
    assert_int_equal(info.version, 2);
    info.slope = 0;
    assert_int_equal(phi_nifti_make(&info, &err), PH_E_INVAL);
}

/* A volume cut out of a 4-D image in either byte order stands on its own, and back. */
static void reheader_keeps_all_but_the_length(void **state)
{
    static const char *const names[] = {"v1_be_i2_scaled", "v2_le_u2_scaled", "v1_le_i2_msec"};
    unsigned char image[PHI_NIFTI_MAX_PREFIX + 1024];
    char path[512];
    struct ph_error err;
    struct phi_nifti_info info;
    struct phi_nifti_info one;
    unsigned char *bytes;
    const unsigned char *data;
    size_t n;

    (void)state;
    for (size_t k = 0; k < 3; k++) {
        (void)snprintf(path, sizeof path, "%s/%s.nii", GOLDEN_DIR, names[k]);
        assert_ok(phi_file_read(path, 1 << 20, &bytes, &n, &err), err);
        assert_ok(phi_nifti_parse(bytes, n, path, &info, &data, &err), err);
        assert_int_equal(phi_nifti_reheader(&info, 1, 2.25, image, &n), PH_OK);
        memcpy(image + n, data + info.n_volume_bytes, info.n_volume_bytes);
        assert_ok(phi_nifti_parse(image, n + info.n_volume_bytes, "cut", &one, &data, &err), err);
        assert_int_equal(one.n_volumes, 1);
        assert_near(one.tr_s, 2.25, 0);
        assert_near(one.slope, info.slope, 0);
        assert_true(phi_nifti_same_grid(&one, &info, 0));
        assert_int_equal(phi_nifti_reheader(&one, 3, 0, image, &n), PH_OK);
        assert_ok(phi_nifti_parse_header(image, n, "back", &one, &err), err);
        assert_int_equal(one.n_volumes, 3);
        assert_near(one.tr_s, 2.25, 0);
        phi_free(bytes);
    }
    info.version = 1;
    assert_int_equal(phi_nifti_reheader(&info, 32768, 0, image, &n), PH_E_LIMIT);
}

static void values_survive_each_type(void **state)
{
    static const int types[] = {PHI_NIFTI_UINT8,   PHI_NIFTI_INT8,    PHI_NIFTI_UINT16,
                                PHI_NIFTI_INT16,   PHI_NIFTI_UINT32,  PHI_NIFTI_INT32,
                                PHI_NIFTI_UINT64,  PHI_NIFTI_INT64,   PHI_NIFTI_FLOAT32,
                                PHI_NIFTI_FLOAT64, PHI_NIFTI_FLOAT128};
    float values[N_VALUES];
    float back[N_VALUES];
    unsigned char stored[N_VALUES * 16];

    (void)state;
    for (int i = 0; i < N_VALUES; i++)
        values[i] = (float)i * 0.5f + 10;
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
        for (int big = 0; big < 2; big++) {
            struct phi_nifti_info info = {.type = (enum phi_nifti_type)types[t],
                                          .big_endian = big,
                                          .slope = 0.5,
                                          .inter = 10};

            phi_nifti_from_float32(&info, values, N_VALUES, stored);
            phi_nifti_to_float32(&info, stored, N_VALUES, back);
            for (int i = 0; i < N_VALUES; i++)
                assert_near(back[i], values[i], 0);
        }
}

static void extremes_are_held_and_nan_stays(void **state)
{
    const float values[6] = {-1e30f, 1e30f, NAN, 2.5f, 3.5f, -0.75f};
    static const struct {
        int type;
        float least, greatest;
    } cases[] = {
        {PHI_NIFTI_UINT8, 0, 255},
        {PHI_NIFTI_INT8, -128, 127},
        {PHI_NIFTI_INT16, -32768, 32767},
        {PHI_NIFTI_UINT16, 0, 65535},
        {PHI_NIFTI_INT32, -0x1p31f, 0x1p31f},
        {PHI_NIFTI_UINT64, 0, 0x1p64f},
        {PHI_NIFTI_INT64, -0x1p63f, 0x1p63f},
    };
    static const int floats[] = {PHI_NIFTI_FLOAT32, PHI_NIFTI_FLOAT64, PHI_NIFTI_FLOAT128};
    unsigned char stored[6 * 16];
    float back[6];

    (void)state;
    for (size_t t = 0; t < sizeof cases / sizeof cases[0]; t++) {
        struct phi_nifti_info info = {.type = (enum phi_nifti_type)cases[t].type, .slope = 1};

        phi_nifti_from_float32(&info, values, 6, stored);
        phi_nifti_to_float32(&info, stored, 6, back);
        assert_near(back[0], cases[t].least, 0);
        assert_near(back[1], cases[t].greatest, 0);
        assert_near(back[2], 0, 0);
        assert_near(back[3], 2, 0); /* ties to even */
        assert_near(back[4], 4, 0);
        assert_near(back[5], cases[t].least < 0 ? -1 : 0, 0);
    }
    for (size_t t = 0; t < 3; t++) {
        struct phi_nifti_info info = {.type = (enum phi_nifti_type)floats[t], .slope = 1};

        phi_nifti_from_float32(&info, values, 6, stored);
        phi_nifti_to_float32(&info, stored, 6, back);
        assert_true(isnan(back[2]));
        assert_near(back[0] / -1e30f, 1, 0);
        assert_near(back[5], -0.75, 0);
    }
}

static void grids_are_compared_in_mm(void **state)
{
    struct ph_error err;
    struct phi_nifti_info a = wish(PHI_NIFTI_INT16);
    struct phi_nifti_info b;

    (void)state;
    assert_ok(phi_nifti_make(&a, &err), err);
    b = a;
    assert_true(phi_nifti_same_grid(&a, &b, 0));
    b.affine[0][0] += 0.01; /* 0.04 mm at the far corner */
    assert_true(phi_nifti_same_grid(&a, &b, 0.05));
    assert_false(phi_nifti_same_grid(&a, &b, 0.03));
    b = a;
    b.n_z++;
    assert_false(phi_nifti_same_grid(&a, &b, 1));
}

static void types_have_names(void **state)
{
    (void)state;
    assert_int_equal(phi_nifti_type_of_name("int16"), PHI_NIFTI_INT16);
    assert_int_equal(phi_nifti_type_of_name("complex64"), 0);
    assert_string_equal(phi_nifti_type_name(768), "uint32");
    assert_string_equal(phi_nifti_type_name(32), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_images),
        cmocka_unit_test(made_headers_read_back),
        cmocka_unit_test(reheader_keeps_all_but_the_length),
        cmocka_unit_test(values_survive_each_type),
        cmocka_unit_test(extremes_are_held_and_nan_stays),
        cmocka_unit_test(grids_are_compared_in_mm),
        cmocka_unit_test(types_have_names),
    };
    return cmocka_run_group_tests_name("io/nifti", tests, NULL, NULL);
}
