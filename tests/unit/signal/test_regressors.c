/* SPDX-License-Identifier: MIT
 * Rows hold constant, drift, motion, extra and conditions in order and with the right values; old
 * events leave without a trace in the numbers; contrasts are read; nonsense is refused. */
#include "signal/regressors.h"
#include "test.h"

static struct phi_regressors_config base_config(void)
{
    return (struct phi_regressors_config){.timing = {100, 2, 0.5},
                                          .drift = PHI_DRIFT_LEGENDRE,
                                          .n_drift = 2,
                                          .n_motion = 12,
                                          .n_extra = 1,
                                          .n_conditions = 2,
                                          .n_parts = 2,
                                          .hrf = phi_hrf_spm(),
                                          .max_events = 20};
}

static struct phi_regressors *make(const struct phi_regressors_config *config)
{
    struct phi_regressors *r = NULL;
    struct ph_error err;

    assert_ok(phi_regressors_create(config, &r, &err), err);
    return r;
}

static void rows_are_in_order(void **state)
{
    struct phi_regressors_config config = base_config();
    struct phi_regressors *r = make(&config);
    const struct phi_event event = {10, 3, 2, 1};
    const double first[6] = {1, 2, 3, 4, 5, 6}, second[6] = {2, 2, 3, 4, 5, 8};
    const double unmeasured[6] = {NAN, NAN, NAN, NAN, NAN, NAN};
    const double extra = 77;
    double row[20], legendre[3];

    (void)state;
    assert_int_equal(phi_regressors_n_columns(r), 1 + 2 + 12 + 1 + 4);
    assert_int_equal(phi_regressors_column_of(r, 1), 18);
    assert_int_equal(phi_regressors_event(r, &event), PH_OK);
    phi_regressors_row(r, 7, 15, first, &extra, row);
    phi_design_legendre_row(100, 7, 3, legendre);
    assert_true(row[0] == 1 && row[1] == legendre[1] && row[2] == legendre[2]);
    assert_true(row[3] == 1 && row[4] == 0 && row[13] == 6 && row[14] == 0);
    assert_true(row[15] == 77 && row[16] == 0 && row[17] == 0);
    assert_near(row[18], 2 * phi_hrf_event(&config.hrf, PHI_HRF_CANONICAL, 5, 3), 1e-15);
    assert_near(row[19], 2 * phi_hrf_event(&config.hrf, PHI_HRF_TIME_DERIVATIVE, 5, 3), 1e-15);
    phi_regressors_row(r, 8, 17, second, &extra, row);
    assert_true(row[4] == 1 && row[13] == 8 && row[14] == 2);
    phi_regressors_row(r, 9, 19, unmeasured, &extra, row);
    assert_true(isnan(row[3]));
    phi_regressors_row(r, 10, 21, first, &extra, row);
    assert_true(row[4] == -1); /* against the last measured one */
    phi_regressors_reset(r);
    phi_regressors_row(r, 8, 17, second, &extra, row);
    assert_true(row[4] == 0 && row[18] == 0);
    phi_regressors_destroy(&r);
    phi_regressors_destroy(&r);
}

/* Delays of whole volumes from the onset, as long as they are asked for. */
static void delays_in_the_place_of_a_response(void **state)
{
    const struct phi_regressors_config config = {
        .timing = {100, 2, 0.5}, .n_conditions = 2, .max_events = 1, .n_fir = 3};
    const struct phi_event event = {19.2, 4, 2, 1};
    struct phi_regressors *r = NULL;
    struct ph_error err;
    double row[7];

    (void)state;
    assert_ok(phi_regressors_create(&config, &r, &err), err);
    assert_int_equal(phi_regressors_n_columns(r), 7);
    assert_int_equal(phi_regressors_width(r), 3);
    assert_int_equal(phi_regressors_column_of(r, 1), 4);
    assert_int_equal(phi_regressors_event(r, &event), PH_OK);
    for (size_t k = 8; k < 16; k++) {
        phi_regressors_row(r, k, 2 * ((double)k + 0.5), NULL, NULL, row);
        for (size_t j = 0; j < 3; j++) {
            assert_near(row[1 + j], 0, 0);
            assert_near(row[4 + j], k == 10 + j ? 2 : 0, 0);
        }
    }
    assert_int_equal(phi_regressors_event(r, &event), PH_OK); /* the first one has left */
    phi_regressors_destroy(&r);
}

static void old_events_leave(void **state)
{
    struct phi_regressors_config config = base_config();
    struct phi_event all[200];
    const struct phi_regressor exact = {all, 200, 0, config.hrf, PHI_HRF_CANONICAL};
    struct phi_regressors *r;
    size_t next = 0;
    double row[8];

    (void)state;
    config.drift = PHI_DRIFT_NONE;
    config.n_motion = config.n_extra = 0;
    r = make(&config); /* 20 places, 200 events over the run */
    for (size_t i = 0; i < 200; i++)
        all[i] = (struct phi_event){(double)i * 7.3, 2, 1, 0};
    for (size_t k = 0; k < 740; k++) {
        double t_s = 2 * (double)k + 1;

        while (next < 200 && all[next].onset_s <= t_s)
            assert_int_equal(phi_regressors_event(r, &all[next++]), PH_OK);
        phi_regressors_row(r, k, t_s, NULL, NULL, row);
        assert_near(row[1], phi_regressor_at(&exact, t_s), 1e-9);
    }
    phi_regressors_destroy(&r);
}

static void events_are_checked(void **state)
{
    struct phi_regressors_config config = base_config();
    struct phi_regressors *r;
    const struct phi_event good = {1, 1, 1, 0};
    const struct phi_event wrong[] = {
        {NAN, 1, 1, 0}, {1, -1, 1, 0}, {1, 1, INFINITY, 0}, {1, 1, 1, 2}};

    (void)state;
    config.max_events = 2;
    r = make(&config);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(phi_regressors_event(r, &wrong[i]), PH_E_INVAL);
    assert_int_equal(phi_regressors_event(r, &good), PH_OK);
    assert_int_equal(phi_regressors_event(r, &good), PH_OK);
    assert_int_equal(phi_regressors_event(r, &good), PH_E_LIMIT);
    phi_regressors_destroy(&r);
}

static void configurations_are_checked(void **state)
{
    struct phi_regressors_config wrong[6];
    struct phi_regressors *r = NULL;
    struct ph_error err;

    (void)state;
    for (size_t i = 0; i < 6; i++)
        wrong[i] = base_config();
    wrong[0].n_motion = 7;
    wrong[1].timing.n_volumes = 0;
    wrong[2].timing.tr_s = 0;
    wrong[3].n_parts = 4;
    wrong[4].hrf.ratio = 0;
    wrong[5].n_drift = 99;
    for (size_t i = 0; i < 6; i++) {
        memset(&err, 0, sizeof err);
        assert_true(phi_regressors_create(&wrong[i], &r, &err) < 0);
        assert_true(!r && err.text[0]);
    }
}

static void contrasts(void **state)
{
    const char *const names[] = {"face", "house", "face-left"};
    const char *const wrong[] = {"", "face-", "face house", "2face", "tool", "inf*face", "face-2"};
    double w[3];
    struct ph_error err;

    (void)state;
    assert_ok(phi_contrast_parse("face - house", names, 3, w, &err), err);
    assert_true(w[0] == 1 && w[1] == -1 && w[2] == 0);
    assert_ok(phi_contrast_parse("-0.5*face+2 * face-left", names, 3, w, &err), err);
    assert_true(w[0] == -0.5 && w[1] == 0 && w[2] == 2);
    w[0] = 42;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(phi_contrast_parse(wrong[i], names, 3, w, &err), PH_E_INVAL);
        assert_true(w[0] == 42);
    }
    assert_non_null(strstr(err.text, "\"-2\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_in_order),
        cmocka_unit_test(delays_in_the_place_of_a_response),
        cmocka_unit_test(old_events_leave),
        cmocka_unit_test(events_are_checked),
        cmocka_unit_test(configurations_are_checked),
        cmocka_unit_test(contrasts),
    };
    return cmocka_run_group_tests_name("signal/regressors", tests, NULL, NULL);
}
