/* SPDX-License-Identifier: MIT
 * filter/glm: drift and motion are removed and level and task kept, the t map finds the voxel that
 * follows the contrast, residuals are what is left, unusable volumes teach nothing, t maps are
 * shown at their places and stored, whitening and slice times do what they say, missing figures and
 * wrong models are named. */
#include "base/mem.h"
#include "base/rng.h"
#include "io/nifti_file.h"
#include "rig.h"
#include "signal/hrf.h"
#include "tempdir.h"
#include "test.h"

enum { N = 600, VOLUMES = 120, TR = 2 };

/* Voxels: 0 follows face, 1 follows house, 2 follows motion x, the rest drift. */
static void volume(struct phi_rng *rng, int t, double motion_x, float *y)
{
    struct phi_hrf hrf = phi_hrf_spm();
    double t_s = TR * (t + 0.5);
    double face = 0, house = 0;

    for (int e = 0; e < 8; e++) {
        double onset = 10.0 + 28.0 * e;

        if (e % 2)
            house += phi_hrf_event(&hrf, PHI_HRF_CANONICAL, t_s - onset, 4);
        else
            face += phi_hrf_event(&hrf, PHI_HRF_CANONICAL, t_s - onset, 4);
    }
    for (int v = 0; v < N; v++)
        y[v] = (float)(500 + (v > 2 ? 10.0 * t / VOLUMES : 0) + 0.5 * phi_rng_normal(rng));
    y[0] += (float)(8 * face);
    y[1] += (float)(8 * house);
    y[2] += (float)(20 * motion_x);
}

static void events_until(struct rig *rig, int *next, int t)
{
    for (; *next < 8 && 10 + 28 * *next <= TR * t; (*next)++) {
        struct ph_event event = {.onset_s = 10 + 28 * *next, .duration_s = 4, .amplitude = 1};

        snprintf(event.trial_type, sizeof event.trial_type, "%s", *next % 2 ? "house" : "face");
        assert_int_equal(rig_event(rig, &event), PH_OK);
    }
}

/* Pushes a run; the last output stays with the rig. */
static void run(struct rig *rig, float censored_value)
{
    struct phi_rng rng;
    int next = 0;

    phi_rng_init(&rng, 3, 0);
    for (int t = 0; t < VOLUMES; t++) {
        static float y[N];
        struct ph_frame frame = {.struct_size = sizeof frame,
                                 .kind = PH_FRAME_VECTOR,
                                 .dtype = PH_DTYPE_F32,
                                 .rank = 1,
                                 .dims = {N},
                                 .index = (uint64_t)t,
                                 .acquired_s = TR * t,
                                 .capacity_bytes = sizeof y,
                                 .data = y};

        frame.quality.motion[0] = (float)(0.3 * sin(0.4 * t));
        events_until(rig, &next, t);
        volume(&rng, t, (double)frame.quality.motion[0], y);
        if (t % 20 == 7) {
            frame.flags = PH_FLAG_CENSORED;
            y[5] = censored_value;
        }
        assert_int_equal(rig_push_frame(rig, &frame), PH_OK);
    }
}

static struct ph_spec input(void)
{
    struct ph_spec in = rig_vectors(N, TR);

    in.n_volumes = VOLUMES;
    in.layout = 0;
    return in;
}

static void contrast_map(void **state)
{
    struct ph_spec in = input();
    struct rig *rig =
        rig_open("filter/glm", "output=t conditions=face,house contrast=face-house motion=6", &in);
    const float *t_map;
    int n_high = 0;

    (void)state;
    run(rig, 500);
    t_map = rig_last(rig)->data;
    assert_true(t_map[0] > 10 && t_map[1] < -10);
    for (int v = 2; v < N; v++)
        n_high += fabsf(t_map[v]) > 3;
    assert_in_range(n_high, 0, 8);
    assert_int_equal(rig_at(rig, 3)->flags & PH_FLAG_GATED, PH_FLAG_GATED); /* no event yet */
    assert_int_equal(rig_last(rig)->flags & PH_FLAG_GATED, 0);
    rig_close(&rig);
}

static void cleaning(void **state)
{
    struct ph_spec in = input();
    struct rig *rig = rig_open("filter/glm", "conditions=face,house motion=24", &in);
    double far = 0, mean = 0;

    (void)state;
    run(rig, 500);
    for (int t = 60; t < VOLUMES; t++) {
        const float *y = rig_at(rig, (size_t)t)->data;

        far = fmax(far, fabs((double)y[2] - 500));
        mean += (double)y[100] / (VOLUMES - 60);
    }
    assert_true(far < 4);        /* of +-6 with the motion in */
    assert_near(mean, 503.7, 1); /* the mean of the drift so far stays as level */
    rig_close(&rig);
}

static void censored_volumes_teach_nothing(void **state)
{
    struct ph_spec in = input();
    struct rig *a = rig_open("filter/glm", "output=residual", &in);
    struct rig *b = rig_open("filter/glm", "output=residual", &in);

    (void)state;
    run(a, 500);
    run(b, -1e7F);
    assert_memory_equal(rig_last(a)->data, rig_last(b)->data, N * sizeof(float));
    rig_reset(a);
    run(a, 500);
    assert_memory_equal(rig_last(a)->data, rig_last(b)->data, N * sizeof(float));
    rig_close(&a);
    rig_close(&b);
}

/* An artefact shared by the most variable voxels, of which it is estimated, and by all others a
 * little. */
static double artefact_left(const char *params)
{
    struct ph_spec in = input();
    struct rig *rig = rig_open("filter/glm", params, &in);
    struct phi_rng rng;
    double left = 0;

    phi_rng_init(&rng, 4, 0);
    for (int t = 0; t < VOLUMES; t++) {
        static float y[N];
        double artefact = phi_rng_normal(&rng);

        for (int v = 0; v < N; v++)
            y[v] = (float)(500 + (v < 30 ? 20 : 2) * artefact + 0.2 * phi_rng_normal(&rng));
        assert_int_equal(rig_push(rig, y, 0), PH_OK);
        if (t >= 60)
            left += fabs((double)((const float *)rig_last(rig)->data)[300] - 500) / (VOLUMES - 60);
    }
    rig_close(&rig);
    return left;
}

static void noise_components(void **state)
{
    (void)state;
    assert_true(artefact_left("drift=none") > 1);
    assert_true(artefact_left("drift=none noise_components=2 noise_share=0.05") < 0.35);
}

/* Maps are shown at their voxels' places after every volume, and stored at the end. */
static void live_maps(void **state)
{
    struct ph_spec in = input();
    struct tempdir dir;
    struct rig *rig;
    static uint32_t voxels[N];
    float threshold = 0;
    const float *map;
    struct phi_nifti_info info;
    struct ph_error err;
    float *stored = NULL;
    char path[400];

    (void)state;
    in.geometry.dims[0] = 40;
    in.geometry.dims[1] = 40;
    for (uint32_t i = 0; i < N; i++)
        voxels[i] = 2 * i + 1;
    assert_true(tempdir_make(&dir));
    rig_use_run_dir(dir.path);
    rig = rig_open("filter/glm", "conditions=face,house motion=6 maps=face-house;house", &in);
    rig_tell_voxels(rig, 0, voxels, N);
    run(rig, 500);
    map = rig_shown_map(rig, "t, face-house", &threshold);
    assert_non_null(map);
    assert_near(threshold, 3.1, 1e-6);
    assert_true(map[1] > 10 && map[3] < -10);
    assert_true(map[0] == 0 && map[2] == 0);
    assert_true(rig_shown_map(rig, "t, house", &threshold)[3] > 10);
    rig_set(rig, "map_threshold", "5");
    assert_int_equal(rig_end(rig), PH_OK);
    (void)snprintf(path, sizeof path, "%s/maps/contrast-faceMinushouse_stat-t_statmap.nii.gz",
                   dir.path);
    assert_ok(phi_nifti_read_float32(path, 1 << 20, &info, &stored, &err), err);
    assert_int_equal(info.n_x, 40);
    assert_memory_equal(stored, map, 1600 * sizeof(float));
    phi_free(stored);
    rig_close(&rig);
    rig_use_run_dir(NULL);
    tempdir_remove(&dir);
}

/* Few rows make t values of any size: the maps wait. */
static void early_maps_are_empty(void **state)
{
    struct ph_spec in = rig_volumes(5, 4, 3, TR);
    struct ph_event event = {.onset_s = 2, .duration_s = 4, .amplitude = 1, .trial_type = "face"};
    struct rig *rig = rig_open("filter/glm", "drift=none conditions=face maps=face", &in);
    struct phi_rng rng;
    float y[60], threshold, most = 0;

    (void)state;
    phi_rng_init(&rng, 21, 0);
    assert_int_equal(rig_event(rig, &event), PH_OK);
    for (int t = 0; t < 13; t++) {
        const float *map;

        for (int v = 0; v < 60; v++)
            y[v] = (float)(500 + phi_rng_normal(&rng));
        assert_int_equal(rig_push(rig, y, 0), PH_OK);
        map = rig_shown_map(rig, "t, face", &threshold);
        most = 0;
        for (int v = 0; v < 60; v++)
            most = fmaxf(most, fabsf(map[v]));
        assert_true(t >= 11 || most == 0); /* 12 rows, 2 columns */
    }
    assert_true(most > 0);
    rig_close(&rig);
}

/* Mean square of the t map of a contrast that nothing follows, in noise with autocorrelation .5. */
static double null_variance(const char *params)
{
    struct ph_spec in = input();
    struct rig *rig = rig_open("filter/glm", params, &in);
    static float y[N];
    static double noise[N];
    struct phi_rng rng;
    const float *t_map;
    double sum = 0;
    int next = 0;

    phi_rng_init(&rng, 12, 0);
    for (int v = 0; v < N; v++)
        noise[v] = phi_rng_normal(&rng) / sqrt(0.75);
    for (int t = 0; t < VOLUMES; t++) {
        events_until(rig, &next, t);
        for (int v = 0; v < N; v++) {
            y[v] = (float)(500 + noise[v]);
            noise[v] = 0.5 * noise[v] + phi_rng_normal(&rng);
        }
        assert_int_equal(rig_push(rig, y, t % 30 == 11 ? PH_FLAG_CENSORED : 0), PH_OK);
    }
    t_map = rig_last(rig)->data;
    for (int v = 0; v < N; v++)
        sum += (double)t_map[v] * (double)t_map[v] / N;
    rig_close(&rig);
    return sum;
}

static void whitening_from_the_first_volumes(void **state)
{
    double plain = null_variance("output=t conditions=face,house contrast=face+house");
    double white = null_variance("output=t conditions=face,house contrast=face+house "
                                 "ar1_volumes=60");
    double given = null_variance("output=t conditions=face,house contrast=face+house rho=0.5");

    (void)state;
    assert_true(plain > 1.6); /* t values too large by a quarter and more */
    assert_near(white, given, 0.06);
    assert_true(white > 0.8 && white < 1.25);
}

/* Slices that are taken one after the other: largest residual at the end of a run without noise. */
static double slice_residual(const char *params, bool masked)
{
    enum { NX = 5, NY = 4, NZ = 3, ALL = NX * NY * NZ };
    static const double times_s[NZ] = {0, 1.2, 1.9};
    struct phi_hrf hrf = phi_hrf_spm();
    struct ph_spec in = rig_volumes(NX, NY, NZ, TR);
    static uint32_t voxels[ALL];
    struct rig *rig;
    float y[ALL];
    double far = 0;
    int next = 0, n = 0;

    in.n_volumes = VOLUMES;
    for (uint32_t v = 0; v < ALL; v++)
        if (!masked || v % 7)
            voxels[n++] = v;
    if (masked) {
        in.kind = PH_FRAME_VECTOR;
        in.rank = 1;
        in.dims[0] = (uint32_t)n;
        in.layout = 7;
    }
    rig = rig_open("filter/glm", params, &in);
    rig_tell_voxels(rig, 7, voxels, (size_t)n);
    for (int t = 0; t < VOLUMES; t++) {
        events_until(rig, &next, t);
        for (int i = 0; i < n; i++) {
            double t_s = TR * t + times_s[voxels[i] / (NX * NY)];

            y[i] = 100;
            for (int e = 0; e < 8; e++)
                y[i] += (float)(10 * phi_hrf_event(&hrf, PHI_HRF_CANONICAL, t_s - 10 - 28 * e, 4));
        }
        assert_int_equal(rig_push(rig, y, 0), PH_OK);
        for (int i = 0; t > 60 && i < n; i++)
            far = fmax(far, fabs((double)((const float *)rig_last(rig)->data)[i]));
    }
    rig_close(&rig);
    return far;
}

static void slices_have_their_own_design(void **state)
{
    const char *slices = "output=residual drift=none conditions=face,house slice_times_s=0,1.2,1.9";

    (void)state;
    assert_true(slice_residual("output=residual drift=none conditions=face,house", false) > 0.5);
    assert_true(slice_residual(slices, false) < 1e-3);
    assert_true(slice_residual(slices, true) < 1e-3);
}

/* Largest residual of the last events of a run without noise that follows library curve 15. */
static double response_residual(const char *params)
{
    struct ph_spec in = rig_volumes(2, 2, 1, TR);
    struct phi_hrf hrf;
    struct rig *rig;
    double far = 0;
    int next = 0;

    in.n_volumes = VOLUMES;
    assert_true(phi_hrf_library(15, &hrf));
    rig = rig_open("filter/glm", params, &in);
    for (int t = 0; t < VOLUMES; t++) {
        float y[4];

        events_until(rig, &next, t);
        for (int v = 0; v < 4; v++) {
            y[v] = 100;
            for (int e = 0; e < 8; e++)
                y[v] += (float)(10 * phi_hrf_event(&hrf, PHI_HRF_CANONICAL,
                                                   TR * (t + 0.5) - 10 - 28 * e, 4));
        }
        assert_int_equal(rig_push(rig, y, 0), PH_OK);
        if (t > 100)
            far = fmax(far, fabs((double)((const float *)rig_last(rig)->data)[0]));
    }
    rig_close(&rig);
    return far;
}

static void responses(void **state)
{
    (void)state;
    assert_true(response_residual("output=residual drift=none conditions=face,house") > 0.5);
    assert_true(response_residual("output=residual drift=none conditions=face,house hrf=library "
                                  "hrf_curve=15") < 1e-3);
    assert_true(response_residual("output=residual drift=none conditions=face,house hrf=fir "
                                  "fir_delays=20") < 0.05);
}

/* With delays in the place of a response the contrast is that of their means. */
static void fir_contrast(void **state)
{
    struct ph_spec in = input();
    struct rig *rig =
        rig_open("filter/glm",
                 "output=t conditions=face,house contrast=face-house hrf=fir fir_delays=8", &in);
    const float *t_map;

    (void)state;
    run(rig, 500);
    t_map = rig_last(rig)->data;
    assert_true(t_map[0] > 10 && t_map[1] < -10);
    rig_close(&rig);
}

static void missing_figures(void **state)
{
    struct ph_spec in = rig_vectors(2, TR);
    struct rig *rig = rig_open("filter/glm", "drift=none csf=true", &in);
    const float y[2] = {1, 2};

    (void)state;
    assert_int_equal(rig_push(rig, y, PH_FLAG_DUMMY), PH_OK);
    assert_int_equal(rig_push(rig, y, 0), PH_E_STATE); /* csf is NaN: no stage measured it */
    rig_close(&rig);
}

static void refusals(void **state)
{
    struct ph_spec in = rig_vectors(2, TR);
    const struct ph_stage_type *type = rig_type("filter/glm");
    struct rig *rig = NULL;
    struct ph_error err;

    (void)state;
    in.n_volumes = 0;
    assert_true(rig_try_open(type, "", &in, &rig, &err) < 0);
    assert_non_null(strstr(err.text, "planned length"));
    assert_true(rig_try_open(type, "drift=none output=t conditions=face", &in, &rig, &err) < 0);
    assert_non_null(strstr(err.text, "contrast"));
    assert_true(rig_try_open(type, "drift=none conditions=face contrast=house", &in, &rig, &err) <
                0);
    assert_non_null(strstr(err.text, "house"));
    assert_true(rig_try_open(type, "drift=none conditions=face maps=face;place", &in, &rig, &err) <
                0);
    assert_non_null(strstr(err.text, "place"));
    assert_true(rig_try_open(type, "drift=none ar1_volumes=4", &in, &rig, &err) < 0);
    assert_non_null(strstr(err.text, "ar1_volumes"));
    assert_true(rig_try_open(type, "drift=none ar1_volumes=20 rho=0.3", &in, &rig, &err) < 0);
    assert_true(rig_try_open(type, "drift=none slice_times_s=0,2.5", &in, &rig, &err) < 0);
    assert_null(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contrast_map),
        cmocka_unit_test(cleaning),
        cmocka_unit_test(censored_volumes_teach_nothing),
        cmocka_unit_test(noise_components),
        cmocka_unit_test(live_maps),
        cmocka_unit_test(early_maps_are_empty),
        cmocka_unit_test(whitening_from_the_first_volumes),
        cmocka_unit_test(slices_have_their_own_design),
        cmocka_unit_test(responses),
        cmocka_unit_test(fir_contrast),
        cmocka_unit_test(missing_figures),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests_name("plugins/filter_glm", tests, NULL, NULL);
}
