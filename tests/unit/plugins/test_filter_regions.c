/* SPDX-License-Identifier: MIT
 * filter/regions: means by label in volumes and behind a mask, percent of a frozen baseline, what
 * band-pass and notch take out and leave, spectra with the aliases of heart and breath marked,
 * unusable volumes, refusals. */
#include "base/error.h"
#include "io/nifti_write.h"
#include "rig.h"
#include "tempdir.h"
#include "test.h"

enum { NX = 4, NY = 2, NZ = 2, GRID = NX * NY * NZ, TR = 2, VOLUMES = 300 };

static struct tempdir dir;
static char with_labels[700];

/* Region 1: voxels 0 to 3; region 2: 4 and 5; region 3 (voxel 9) with a value of its own. */
static int set_up(void **state)
{
    struct phi_nifti_info info = {.type = PHI_NIFTI_FLOAT32,
                                  .n_x = NX,
                                  .n_y = NY,
                                  .n_z = NZ,
                                  .n_volumes = 1,
                                  .slope = 1,
                                  .voxel_mm = {3, 3, 3},
                                  .affine = {{3, 0, 0, 0}, {0, 3, 0, 0}, {0, 0, 3, 0}}};
    float labels[GRID] = {1, 1, 1, 1, 2, 2, 0, 0, 0, 3};
    struct ph_error err;

    (void)state;
    if (!tempdir_make(&dir) ||
        phi_nifti_write_float32(tempdir_file(&dir, "l.nii"), &info, labels, &err) != PH_OK)
        return -1;
    labels[9] = 9;
    if (phi_nifti_write_float32(tempdir_file(&dir, "bad.nii"), &info, labels, &err) != PH_OK)
        return -1;
    (void)snprintf(with_labels, sizeof with_labels, "labels=%s names=ffa,ppa",
                   tempdir_file(&dir, "l.nii"));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tempdir_remove(&dir);
    return 0;
}

static struct rig *open_with(const char *params, const struct ph_spec *in)
{
    char all[800];

    (void)snprintf(all, sizeof all, "%s %s", with_labels, params);
    return rig_open("filter/regions", all, in);
}

static void means_by_label(void **state)
{
    struct ph_spec in = rig_volumes(NX, NY, NZ, TR);
    struct rig *rig = open_with("percent=false", &in);
    float y[GRID];

    (void)state;
    for (int i = 0; i < GRID; i++)
        y[i] = (float)i;
    assert_int_equal(rig_push(rig, y, 0), PH_OK);
    assert_int_equal(rig_last(rig)->n_signals, 3);
    assert_string_equal(rig_last(rig)->signals[0].name, "ffa");
    assert_string_equal(rig_last(rig)->signals[2].name, "region_3");
    assert_near(rig_last(rig)->signals[0].mean, 1.5, 1e-6);
    assert_near(rig_last(rig)->signals[1].value, 4.5, 1e-6);
    assert_near(rig_last(rig)->signals[2].mean, 9, 1e-6);
    assert_memory_equal(rig_last(rig)->data, y, sizeof y);
    rig_close(&rig);
}

static void behind_a_mask(void **state)
{
    static const uint32_t voxels[3] = {2, 3, 5};
    struct ph_spec in = rig_volumes(NX, NY, NZ, TR);
    struct rig *rig;
    const float y[3] = {10, 20, 50};

    (void)state;
    in.kind = PH_FRAME_VECTOR;
    in.rank = 1;
    in.dims[0] = 3;
    in.layout = 77;
    rig = open_with("percent=false", &in);
    assert_int_equal(rig_push(rig, y, 0), PH_E_STATE); /* nobody has told the voxels */
    rig_tell_voxels(rig, 77, voxels, 3);
    assert_int_equal(rig_push(rig, y, 0), PH_OK);
    assert_near(rig_last(rig)->signals[0].mean, 15, 1e-6);
    assert_near(rig_last(rig)->signals[1].mean, 50, 1e-6);
    assert_true(isnan(rig_last(rig)->signals[2].mean)); /* no voxel of it in the mask */
    rig_close(&rig);
}

/* The whole volume as one region: 1000, a wave of 1 % at .03 Hz, one of 2 % at .17 Hz, which is how
 * a heart of 1.17 Hz looks at a TR of 2 s. */
static double wave(int t, double hz)
{
    return sin(2 * M_PI * hz * TR * t);
}

static void push_waves(struct rig *rig, int first, int last)
{
    float y[GRID];

    for (int t = first; t < last; t++) {
        for (int i = 0; i < GRID; i++)
            y[i] = (float)(1000 + 10 * wave(t, 0.03) + 20 * wave(t, 1.17));
        assert_int_equal(rig_push(rig, y, 0), PH_OK);
    }
}

/* Amplitude of frequency hz in the values of the last 200 volumes. */
static double amplitude(const struct rig *rig, double hz)
{
    double c = 0, s = 0;

    for (int t = VOLUMES - 200; t < VOLUMES; t++) {
        double y = (double)rig_at(rig, (size_t)t)->signals[0].value;

        c += y * cos(2 * M_PI * hz * TR * t) / 100;
        s += y * sin(2 * M_PI * hz * TR * t) / 100;
    }
    return sqrt(c * c + s * s);
}

static void check_filter(const char *params, double slow, double fast)
{
    struct ph_spec in = rig_volumes(NX, NY, NZ, TR);
    struct rig *rig = rig_open("filter/regions", params, &in);

    push_waves(rig, 0, VOLUMES);
    assert_near(amplitude(rig, 0.03), slow, 0.05);
    assert_near(amplitude(rig, 0.17), fast, 0.05);
    rig_close(&rig);
}

static void filters(void **state)
{
    (void)state;
    check_filter("baseline=100", 1, 2);
    check_filter("baseline=100 notch_hz=0.17 notch_width_hz=0.02", 1, 0);
    check_filter("baseline=100 low_hz=0.01 high_hz=0.08", 0.98, 0.18);
    check_filter("baseline=100 low_hz=0.1", 0.08, 1.95);
}

static void spectra(void **state)
{
    struct ph_spec in = rig_volumes(NX, NY, NZ, TR);
    struct rig *rig = rig_open("filter/regions", "segment=100 heart_hz=1.17", &in);
    const struct phi_shown_curves *power;
    int best = 1;

    (void)state;
    push_waves(rig, 0, 99);
    assert_null(rig_shown_curves(rig, "power of the unfiltered signals"));
    push_waves(rig, 99, VOLUMES);
    power = rig_shown_curves(rig, "power of the unfiltered signals");
    assert_non_null(power);
    assert_int_equal(power->n_points, 51);
    assert_string_equal(power->names[0], "global");
    for (int k = 2; k < 51; k++)
        if (power->values[0][k] > power->values[0][best])
            best = k;
    assert_near(power->dx * best, 0.17, 1e-9);
    assert_near(power->bands[1].from, 0.17, 1e-9); /* of 1.17 Hz at .5 Hz */
    assert_near(power->bands[1].to, 0.17, 1e-9);
    assert_near(power->bands[0].from, 0.17, 1e-9); /* .2 to .33 folds: .2 stays, .33 is .17 */
    assert_near(power->bands[0].to, 0.25, 0.002);
    rig_set(rig, "respiration_hz", "0.3");
    push_waves(rig, VOLUMES, VOLUMES + 1);
    power = rig_shown_curves(rig, "power of the unfiltered signals");
    assert_near(power->bands[0].from, 0.2, 1e-9);
    assert_int_equal(rig_shown_curves(rig, "region signals")->n_points, 150);
    rig_close(&rig);
}

static void unusable_volumes(void **state)
{
    struct ph_spec in = rig_volumes(NX, NY, NZ, TR);
    struct rig *rig = rig_open("filter/regions", "baseline=4", &in);
    float y[GRID];

    (void)state;
    for (int i = 0; i < GRID; i++)
        y[i] = 200;
    for (int t = 0; t < 4; t++)
        assert_int_equal(rig_push(rig, y, 0), PH_OK);
    for (int i = 0; i < GRID; i++)
        y[i] = 202;
    assert_int_equal(rig_push(rig, y, 0), PH_OK);
    assert_near(rig_last(rig)->signals[0].value, 1, 1e-5);
    for (int i = 0; i < GRID; i++)
        y[i] = 900;
    assert_int_equal(rig_push(rig, y, PH_FLAG_CENSORED), PH_OK);
    assert_near(rig_last(rig)->signals[0].value, 1, 1e-5); /* held */
    assert_near(rig_last(rig)->signals[0].mean, 900, 1e-4);
    assert_int_equal(rig_push(rig, y, PH_FLAG_GAP), PH_OK);
    assert_int_equal(rig_last(rig)->n_signals, 0);
    y[3] = NAN;
    assert_int_equal(rig_push(rig, y, 0), PH_OK);
    assert_int_equal(rig_last(rig)->flags, PH_FLAG_INVALID);
    rig_reset(rig);
    assert_int_equal(rig_push(rig, NULL, 0), PH_OK); /* a baseline of 0 has no percent */
    assert_near(rig_last(rig)->signals[0].value, 0, 0);
    rig_close(&rig);
}

static void refuse(const char *params, const char *word)
{
    struct ph_spec in = rig_volumes(NX, NY, NZ, TR);
    struct rig *rig = NULL;
    struct ph_error err = {0};

    assert_true(rig_try_open(rig_type("filter/regions"), params, &in, &rig, &err) < 0);
    if (!strstr(err.text, word))
        fail_msg("'%s' lacks '%s'", err.text, word);
}

static void refusals(void **state)
{
    char params[700];

    (void)state;
    refuse("names=a-b", "a-b");
    refuse("names=a,b,c,d,e,f,g,h,i", "more than 8");
    refuse("high_hz=0.3", "0.3"); /* above half of 1 / TR */
    refuse("labels=/nowhere.nii", "nowhere");
    (void)snprintf(params, sizeof params, "labels=%s", tempdir_file(&dir, "bad.nii"));
    refuse(params, "holds 9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_by_label),   cmocka_unit_test(behind_a_mask),
        cmocka_unit_test(filters),          cmocka_unit_test(spectra),
        cmocka_unit_test(unusable_volumes), cmocka_unit_test(refusals),
    };

    return cmocka_run_group_tests_name("plugins/filter_regions", tests, set_up, tear_down);
}
