/* SPDX-License-Identifier: MIT
 * Columns obey their convention: volume times, sums over events, selection by type, shift by whole
 * volumes, drift bases orthogonal, motion sets in order; events that cannot be right are named. */
#include "signal/design.h"
#include "test.h"

static const struct phi_event events[] = {{2, 0, 1, 0}, {14.5, 3, 2, 1}, {33.25, 1.5, -0.5, 0}};
static const struct phi_design_timing timing = {30, 2, 0.5};

static struct phi_regressor regressor_of(uint32_t type)
{
    return (struct phi_regressor){events, 3, type, phi_hrf_spm(), PHI_HRF_CANONICAL};
}

static void columns_follow_the_convention(void **state)
{
    struct phi_regressor regressor = regressor_of(PHI_DESIGN_ALL_TYPES);
    double column[30];

    (void)state;
    phi_regressor_column(&regressor, &timing, column);
    for (size_t k = 0; k < 30; k++) {
        double t = 2 * (double)k + 1; /* middle of the volume */
        double sum = phi_hrf_at(&regressor.hrf, PHI_HRF_CANONICAL, t - 2);

        sum += 2 * (phi_hrf_step(&regressor.hrf, PHI_HRF_CANONICAL, t - 14.5) -
                    phi_hrf_step(&regressor.hrf, PHI_HRF_CANONICAL, t - 17.5));
        sum -= 0.5 * (phi_hrf_step(&regressor.hrf, PHI_HRF_CANONICAL, t - 33.25) -
                      phi_hrf_step(&regressor.hrf, PHI_HRF_CANONICAL, t - 34.75));
        assert_near(column[k], sum, 1e-15);
    }
}

static void types_add_up(void **state)
{
    struct phi_regressor all = regressor_of(PHI_DESIGN_ALL_TYPES);
    struct phi_regressor first = regressor_of(0);
    struct phi_regressor second = regressor_of(1);
    struct phi_regressor none = regressor_of(7);

    (void)state;
    for (double t = -3; t < 70; t += 0.9) {
        assert_near(phi_regressor_at(&all, t),
                    phi_regressor_at(&first, t) + phi_regressor_at(&second, t), 1e-15);
        assert_true(phi_regressor_at(&none, t) == 0);
    }
}

static void fir_rows_are_shifted_sticks(void **state)
{
    struct phi_regressor regressor = regressor_of(PHI_DESIGN_ALL_TYPES);
    double row[6], before[6];

    (void)state;
    memset(before, 0, sizeof before);
    for (size_t k = 0; k < 30; k++) {
        phi_design_fir_row(&regressor, &timing, k, 6, row);
        assert_true(row[0] == (k == 1 ? 1 : k == 7 ? 2 : k == 17 ? -0.5 : 0));
        for (size_t j = 1; j < 6; j++)
            assert_true(row[j] == before[j - 1]);
        memcpy(before, row, sizeof row);
    }
}

static void cosines_are_orthonormal(void **state)
{
    enum { N = 75, K = 9 };
    double gram[K][K] = {{0}};
    double row[K], last[K];

    (void)state;
    assert_int_equal(phi_design_dct_count(150, 2, 128), 4);
    assert_int_equal(phi_design_dct_count(150, 2, 0), 0);
    assert_int_equal(phi_design_dct_count(10, 2, 0.001), 9);
    for (size_t t = 0; t < N; t++) {
        phi_design_dct_row(N, t, K, row);
        for (size_t i = 0; i < K; i++)
            for (size_t j = 0; j < K; j++)
                gram[i][j] += row[i] * row[j];
    }
    for (size_t i = 0; i < K; i++)
        for (size_t j = 0; j < K; j++)
            assert_near(gram[i][j], i == j, 1e-13);
    phi_design_dct_row(N, N + 100, K, last);
    assert_memory_equal(last, row, sizeof row);
}

static void legendre_values(void **state)
{
    double row[5];
    double x = -0.5; /* volume 25 of 101 */

    (void)state;
    phi_design_legendre_row(101, 25, 5, row);
    assert_near(row[0], 1, 0);
    assert_near(row[1], x, 1e-15);
    assert_near(row[2], (3 * x * x - 1) / 2, 1e-15);
    assert_near(row[3], (5 * x * x * x - 3 * x) / 2, 1e-15);
    assert_near(row[4], (35 * x * x * x * x - 30 * x * x + 3) / 8, 1e-15);
    phi_design_legendre_row(101, 5000, 5, row);
    for (int i = 0; i < 5; i++)
        assert_near(row[i], 1, 1e-15); /* held at the end */
    phi_design_legendre_row(1, 0, 2, row);
    assert_true(row[0] == 1 && row[1] == -1);
    assert_int_equal(phi_design_polynomial_order(150, 2), 3);
}

static void motion_sets(void **state)
{
    const double now[6] = {0.1, -0.2, 0.3, 0.01, 0.02, -0.03};
    const double before[6] = {0.0, -0.1, 0.1, 0.01, 0.0, 0.01};
    double row[24];

    (void)state;
    assert_int_equal(phi_design_motion_row(now, before, 6, row), PH_OK);
    assert_memory_equal(row, now, sizeof now);
    assert_int_equal(phi_design_motion_row(now, before, 12, row), PH_OK);
    assert_near(row[4], 0.3, 0);
    assert_near(row[5], 0.2, 1e-15);
    assert_int_equal(phi_design_motion_row(now, before, 24, row), PH_OK);
    assert_near(row[20], -0.03, 0);
    assert_near(row[21], -0.04, 1e-15);
    assert_near(row[22], 9e-4, 1e-15);
    assert_near(row[23], 16e-4, 1e-15);
    assert_int_equal(phi_design_motion_row(now, NULL, 12, row), PH_OK);
    assert_true(row[11] == 0);
    row[0] = 77;
    assert_int_equal(phi_design_motion_row(now, before, 7, row), PH_E_INVAL);
    assert_true(row[0] == 77);
}

/* Status and text of the check for one event and timing. */
static enum ph_status check(struct phi_event event, struct phi_design_timing t,
                            struct ph_error *err)
{
    struct phi_event two[2] = {{1, 1, 1, 0}, event};
    struct phi_hrf hrf = phi_hrf_spm();

    memset(err, 0, sizeof *err);
    return phi_design_check(&t, two, 2, &hrf, err);
}

static void wrong_events_are_named(void **state)
{
    struct ph_error err;
    struct phi_hrf broken = phi_hrf_spm();

    (void)state;
    assert_int_equal(check(events[1], timing, &err), PH_OK);
    assert_int_equal(check((struct phi_event){-20, 0, 1, 0}, timing, &err), PH_OK);
    assert_int_equal(check((struct phi_event){-40, 1, 1, 0}, timing, &err), PH_E_INVAL);
    assert_int_equal(check((struct phi_event){60, 0, 1, 0}, timing, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "event 2 of 2"));
    assert_non_null(strstr(err.text, "outside the run of 60 s"));
    assert_int_equal(check((struct phi_event){5, -1, 1, 0}, timing, &err), PH_E_INVAL);
    assert_int_equal(check((struct phi_event){NAN, 1, 1, 0}, timing, &err), PH_E_INVAL);
    assert_int_equal(check((struct phi_event){5, 1, INFINITY, 0}, timing, &err), PH_E_INVAL);
    assert_int_equal(check(events[0], (struct phi_design_timing){0, 2, 0}, &err), PH_E_INVAL);
    assert_int_equal(check(events[0], (struct phi_design_timing){30, 0, 0}, &err), PH_E_INVAL);
    assert_int_equal(check(events[0], (struct phi_design_timing){30, 2, 1.5}, &err), PH_E_INVAL);
    broken.delay_s = -1;
    assert_int_equal(phi_design_check(&timing, events, 3, &broken, &err), PH_E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_follow_the_convention),
        cmocka_unit_test(types_add_up),
        cmocka_unit_test(fir_rows_are_shifted_sticks),
        cmocka_unit_test(cosines_are_orthonormal),
        cmocka_unit_test(legendre_values),
        cmocka_unit_test(motion_sets),
        cmocka_unit_test(wrong_events_are_named),
    };
    return cmocka_run_group_tests_name("signal/design", tests, NULL, NULL);
}
