/* SPDX-License-Identifier: MIT
 * filter/glm: drift and motion are removed and level and task kept, the t map finds the voxel that
 * follows the contrast, residuals are what is left, unusable volumes teach nothing, missing figures
 * and wrong models are named. */
#include "base/rng.h"
#include "rig.h"
#include "signal/hrf.h"
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
    assert_null(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contrast_map),
        cmocka_unit_test(cleaning),
        cmocka_unit_test(censored_volumes_teach_nothing),
        cmocka_unit_test(noise_components),
        cmocka_unit_test(missing_figures),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests_name("plugins/filter_glm", tests, NULL, NULL);
}
