/* SPDX-License-Identifier: MIT
 * Running calibration: values inside are counted, a revision replaces what was said before, curves
 * follow the trials, and statements without a known stimulus are left out. */
#include "display/calibration.h"

#include "test.h"

enum { P = 4, N = 3 };

static const float latents[N * P] = {0, 0, 0, 0, 1, 1, 1, 1, -2, -2, -2, -2};
static const struct phi_truth truth = {N, P, latents};

/* A statement whose sd is 1 throughout. */
static bool say(struct phi_calibration *c, uint32_t trial, int32_t stim, const float mean[P])
{
    float values[2 * P];
    struct ph_frame frame = {.kind = PH_FRAME_LATENT, .rank = 2, .dims = {2, P}, .data = values};

    for (size_t i = 0; i < P; i++) {
        values[i] = mean[i];
        values[P + i] = 1;
    }
    frame.u.latent.trial = trial;
    frame.u.latent.stim_index = stim;
    return phi_calibration_add(c, &frame);
}

static void counts_and_revises(void **state)
{
    const float near[P] = {0.1f, -0.2f, 1.2f, 2}, far[P] = {9, 9, 9, 9}, same[P] = {1, 1, 1, 1};
    struct phi_calibration *c = NULL;
    struct phi_shown_curves *curves = *state;
    double in50, in90;

    assert_int_equal(phi_calibration_create(&truth, &c), PH_OK);
    phi_calibration_curves(c, curves);
    assert_int_equal(curves->n_traces, 0);
    assert_true(say(c, 7, 0, far));
    assert_int_equal(phi_calibration_shares(c, &in50, &in90), 1);
    assert_near(in90, 0, 0);
    assert_true(say(c, 7, 0, near)); /* .1 and -.2 inside 50 %, 1.2 inside 90 %, 2 outside */
    assert_int_equal(phi_calibration_shares(c, &in50, &in90), 1);
    assert_near(in50, 0.5, 1e-12);
    assert_near(in90, 0.75, 1e-12);
    assert_true(say(c, 8, 1, same));
    assert_int_equal(phi_calibration_shares(c, &in50, &in90), 2);
    assert_near(in50, 0.75, 1e-12);
    assert_near(in90, 0.875, 1e-12);
    phi_calibration_curves(c, curves);
    assert_int_equal(curves->n_points, 2);
    assert_near(curves->values[0][0], 75, 1e-4);
    assert_near(curves->values[0][1], 87.5, 1e-4);
    assert_near(curves->values[1][1], 90, 0);
    assert_non_null(strstr(curves->title, "75, 88 %; 2 trials"));
    phi_calibration_destroy(&c);
}

static void unknown_is_left_out(void **state)
{
    const float mean[P] = {0, 0, 0, 0};
    struct phi_calibration *c = NULL;
    double in50, in90;

    (void)state;
    assert_int_equal(phi_calibration_create(&truth, &c), PH_OK);
    assert_false(say(c, 1, -1, mean));
    assert_false(say(c, 1, N, mean));
    assert_false(say(c, PH_NO_TRIAL, 0, mean));
    assert_int_equal(phi_calibration_shares(c, &in50, &in90), 0);
    assert_true(isnan(in90));
    phi_calibration_destroy(&c);
}

/* Only the newest trials count once there are more than the ring holds. */
static void old_trials_leave(void **state)
{
    const float far[P] = {9, 9, 9, 9}, right[P] = {0, 0, 0, 0};
    struct phi_calibration *c = NULL;
    struct phi_shown_curves *curves = *state;
    double in50, in90;

    assert_int_equal(phi_calibration_create(&truth, &c), PH_OK);
    assert_true(say(c, 0, 0, far));
    for (uint32_t t = 1; t <= PHI_CALIBRATION_TRIALS; t++)
        assert_true(say(c, t, 0, right));
    assert_int_equal(phi_calibration_shares(c, &in50, &in90), PHI_CALIBRATION_TRIALS);
    assert_near(in90, 1, 0);
    phi_calibration_curves(c, curves);
    assert_int_equal(curves->n_points, PH_MAX_POINTS);
    assert_near(curves->x0, 2, 0);
    phi_calibration_destroy(&c);
}

static int make_curves(void **state)
{
    static struct phi_shown_curves curves;

    *state = &curves;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_and_revises),
        cmocka_unit_test(unknown_is_left_out),
        cmocka_unit_test(old_trials_leave),
    };

    return cmocka_run_group_tests_name("display/calibration", tests, make_curves, NULL);
}
