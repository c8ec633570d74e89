/* SPDX-License-Identifier: MIT
 * Responses and their integrals agree with each other, with independent closed forms for whole
 * shapes, and with Glover's printed formula; parameters out of range are recognised. Agreement with
 * other packages' numbers is in tests/golden/signal. */
#include "signal/hrf.h"
#include "test.h"

/* P(n, x) for whole n: 1 - e^-x sum_{k<n} x^k/k!. */
static double whole_gamma_p(int n, double x)
{
    double term = 1, sum = 0;

    for (int k = 0; k < n; k++) {
        sum += term;
        term *= x / (k + 1);
    }
    return 1 - exp(-x) * sum;
}

static void incomplete_gamma_for_whole_shapes(void **state)
{
    const int shapes[] = {1, 2, 6, 12, 16, 40};

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (double x = 0.25; x < 60; x += 0.25)
            assert_near(phi_hrf_gamma_p(shapes[i], x), whole_gamma_p(shapes[i], x), 2e-14);
    assert_true(phi_hrf_gamma_p(3, -1) == 0);
    assert_near(phi_hrf_gamma_p(0.5, 2.0), erf(sqrt(2.0)), 1e-14); /* P(1/2, x) = erf(sqrt x) */
    assert_near(phi_hrf_gamma_p(2.5, 1e4), 1, 1e-15);
}

static void step_is_the_integral(void **state)
{
    (void)state;
    for (size_t curve = 0; curve <= PHI_HRF_LIBRARY_SIZE; curve++) {
        struct phi_hrf hrf = phi_hrf_glover();

        if (curve < PHI_HRF_LIBRARY_SIZE)
            assert_true(phi_hrf_library(curve, &hrf));
        for (int part = 0; part < 3; part++) {
            const double dt = 0.02, from = hrf.onset_s + 2; /* past the kinks where parts begin */
            double sum = 0;

            for (double t = from; t < 14; t += dt) { /* Simpson's rule */
                enum phi_hrf_part p = (enum phi_hrf_part)part;

                sum += dt / 6 *
                       (phi_hrf_at(&hrf, p, t) + 4 * phi_hrf_at(&hrf, p, t + dt / 2) +
                        phi_hrf_at(&hrf, p, t + dt));
                assert_near(phi_hrf_step(&hrf, p, t + dt) - phi_hrf_step(&hrf, p, from), sum, 2e-7);
            }
        }
    }
}

static void events_are_boxes_and_sticks(void **state)
{
    struct phi_hrf hrf = phi_hrf_spm();

    (void)state;
    for (double t = -2; t < 40; t += 0.7) {
        /* two boxes one after the other are one long box */
        double two = phi_hrf_event(&hrf, PHI_HRF_CANONICAL, t, 3) +
                     phi_hrf_event(&hrf, PHI_HRF_CANONICAL, t - 3, 4);

        assert_near(phi_hrf_event(&hrf, PHI_HRF_CANONICAL, t, 7), two, 1e-14);
        assert_near(phi_hrf_event(&hrf, PHI_HRF_CANONICAL, t, 1e-4) / 1e-4,
                    phi_hrf_at(&hrf, PHI_HRF_CANONICAL, t - 5e-5), 1e-9);
        assert_true(phi_hrf_event(&hrf, PHI_HRF_CANONICAL, t, 0) ==
                    phi_hrf_at(&hrf, PHI_HRF_CANONICAL, t));
    }
    assert_true(phi_hrf_at(&hrf, PHI_HRF_CANONICAL, 0) == 0);
    assert_true(phi_hrf_event(&hrf, PHI_HRF_CANONICAL, -0.1, 5) == 0);
    assert_near(phi_hrf_step(&hrf, PHI_HRF_CANONICAL, 1000), 5.0 / 6, 1e-14);
}

static void derivatives_are_differences(void **state)
{
    struct phi_hrf hrf = phi_hrf_spm();
    struct phi_hrf later = hrf;
    struct phi_hrf wider = hrf;

    (void)state;
    later.onset_s += 1;
    wider.dispersion_s += 0.01;
    for (double t = 0; t < 32; t += 0.31) {
        double h = phi_hrf_at(&hrf, PHI_HRF_CANONICAL, t);

        assert_near(phi_hrf_at(&hrf, PHI_HRF_TIME_DERIVATIVE, t),
                    h - phi_hrf_at(&later, PHI_HRF_CANONICAL, t), 1e-15);
        assert_near(phi_hrf_at(&hrf, PHI_HRF_DISPERSION_DERIVATIVE, t),
                    (h - phi_hrf_at(&wider, PHI_HRF_CANONICAL, t)) / 0.01, 1e-13);
    }
}

static void glover_1999_is_the_printed_formula(void **state)
{
    struct phi_hrf hrf = phi_hrf_glover_1999();
    double scale = 0;

    (void)state;
    for (double t = 0.5; t < 30; t += 0.5) {
        double printed = pow(t / 5.4, 6) * exp(-(t - 5.4) / .9) -
                         .35 * pow(t / 10.8, 12) * exp(-(t - 10.8) / .9);
        double ours = phi_hrf_at(&hrf, PHI_HRF_CANONICAL, t);

        if (scale == 0)
            scale = printed / ours;
        assert_near(ours * scale, printed, 1e-12);
    }
}

static void peaks(void **state)
{
    struct phi_hrf hrf = phi_hrf_spm();
    double t, height, last = 0;

    (void)state;
    phi_hrf_peak(&hrf, &t, &height);
    assert_near(t, 5.0, 0.01);
    assert_near(height, 0.1754, 1e-4);
    for (size_t i = 0; i < PHI_HRF_LIBRARY_SIZE; i++) {
        assert_true(phi_hrf_library(i, &hrf));
        assert_true(phi_hrf_valid(&hrf));
        phi_hrf_peak(&hrf, &t, &height);
        assert_true(t > 2.5 && t < 7.9);
        assert_true(t > last - 0.3); /* ordered from fast to slow */
        last = t;
        for (double u = 0; u < 50; u += 0.1)
            assert_true(phi_hrf_at(&hrf, PHI_HRF_CANONICAL, u) <= height + 1e-12);
    }
}

static void sampling_and_scaling(void **state)
{
    struct phi_hrf hrf = phi_hrf_spm();
    double samples[33];
    double sum = 0;

    (void)state;
    assert_int_equal(phi_hrf_n_samples(&hrf, 1), 33);
    assert_int_equal(phi_hrf_n_samples(&hrf, 0.1), 321);
    assert_int_equal(phi_hrf_n_samples(&hrf, 0), 0);
    phi_hrf_sample(&hrf, PHI_HRF_CANONICAL, 1, 33, samples);
    phi_hrf_normalise_sum(samples, 33);
    for (int i = 0; i < 33; i++)
        sum += samples[i];
    assert_near(sum, 1, 1e-14);
    phi_hrf_normalise_peak(samples, 33);
    assert_near(samples[5], 1, 0);
    memset(samples, 0, sizeof samples);
    phi_hrf_normalise_sum(samples, 33);
    phi_hrf_normalise_peak(samples, 33);
    assert_true(samples[4] == 0);
}

static void bad_parameters(void **state)
{
    struct phi_hrf hrf = phi_hrf_spm();
    struct phi_hrf before = hrf;

    (void)state;
    assert_false(phi_hrf_library(PHI_HRF_LIBRARY_SIZE, &hrf));
    assert_memory_equal(&hrf, &before, sizeof hrf);
    assert_true(phi_hrf_valid(&hrf));
    hrf.dispersion_s = 0;
    assert_false(phi_hrf_valid(&hrf));
    hrf = before;
    hrf.onset_s = NAN;
    assert_false(phi_hrf_valid(&hrf));
    hrf = before;
    hrf.ratio = INFINITY;
    assert_false(phi_hrf_valid(&hrf));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(incomplete_gamma_for_whole_shapes),
        cmocka_unit_test(step_is_the_integral),
        cmocka_unit_test(events_are_boxes_and_sticks),
        cmocka_unit_test(derivatives_are_differences),
        cmocka_unit_test(glover_1999_is_the_printed_formula),
        cmocka_unit_test(peaks),
        cmocka_unit_test(sampling_and_scaling),
        cmocka_unit_test(bad_parameters),
    };
    return cmocka_run_group_tests_name("signal/hrf", tests, NULL, NULL);
}
