/* SPDX-License-Identifier: MIT
 *
 * Spectra by what they must mean: the density of white noise is its variance over half the rate,
 * the density of a sine integrates to its power at its frequency, aliases fold. Causal filters have
 * the gain of their formula, measured on sines, start without a transient, and survive bad samples.
 * The offline band-pass keeps a sine in the band in place (no delay) and removes one outside.
 */
#include "test.h"

#include "base/mem.h"
#include "base/rng.h"
#include "signal/spectrum.h"

enum { N = 4096, SEGMENT = 128 };

static const double rate = 0.5; /* TR 2 s */

static void test_white_noise(void **state)
{
    static double series[N], density[SEGMENT / 2 + 1];
    struct phi_welch *welch = NULL;
    struct ph_error err = {0};
    struct phi_rng rng;
    double mean = 0;
    double integral = 0;

    (void)state;
    phi_rng_init(&rng, 1, 0);
    for (int i = 0; i < N; i++)
        series[i] = 700 + 3 * phi_rng_normal(&rng);
    assert_ok(phi_welch_create(SEGMENT, rate, &welch, &err), err);
    assert_int_equal(phi_welch_process(welch, series, N, density), 2 * N / SEGMENT - 1);
    for (int k = 2; k < SEGMENT / 2; k++)
        mean += density[k] / (SEGMENT / 2 - 2);
    assert_near(mean, 9 / (rate / 2), 0.06 * 36);
    for (int k = 0; k <= SEGMENT / 2; k++)
        integral += density[k] * rate / SEGMENT;
    assert_near(integral, 9, 0.6);
    phi_welch_destroy(&welch);
}

static void test_sine(void **state)
{
    static double series[N], density[SEGMENT / 2 + 1];
    const double frequency = 20 * rate / SEGMENT;
    struct phi_welch *welch = NULL;
    struct ph_error err = {0};
    double integral = 0;

    (void)state;
    for (int i = 0; i < N; i++)
        series[i] = 5 + 2 * sin(2 * M_PI * frequency * i / rate);
    assert_ok(phi_welch_create(SEGMENT, rate, &welch, &err), err);
    assert_true(phi_welch_process(welch, series, N, density) > 0);
    for (int k = 18; k <= 22; k++)
        integral += density[k] * rate / SEGMENT;
    assert_near(integral, 2, 1e-9);
    assert_near(density[5], 0, 1e-12);
    series[0] = NAN; /* one segment is left out */
    assert_int_equal(phi_welch_process(welch, series, N, density), 2 * N / SEGMENT - 2);
    assert_near(density[5], 0, 1e-12);
    assert_int_equal(phi_welch_process(welch, series, SEGMENT - 1, density), 0);
    assert_near(density[20], 0, 0);
    phi_welch_destroy(&welch);
    assert_int_equal(phi_welch_create(4, rate, &welch, &err), PH_E_INVAL);
    assert_int_equal(phi_welch_create(64, 0, &welch, &err), PH_E_INVAL);
}

static void test_alias(void **state)
{
    (void)state;
    assert_near(phi_spectrum_alias_hz(0.3, 0.5), 0.2, 1e-12);
    assert_near(phi_spectrum_alias_hz(1.1, 0.5), 0.1, 1e-12);
    assert_near(phi_spectrum_alias_hz(0.1, 0.5), 0.1, 1e-12);
}

/* Gain of the chain at a frequency, from its steady response to a sine. */
static double measured_gain(struct phi_iir *iir, double frequency)
{
    double sine = 0;
    double cosine = 0;
    const int n = 20000;

    phi_iir_reset(iir);
    for (int i = 0; i < 2 * n; i++) {
        double phase = 2 * M_PI * frequency / rate * i;
        double out = phi_iir_step(iir, sin(phase));

        if (i >= n) {
            sine += out * sin(phase) * 2 / n;
            cosine += out * cos(phase) * 2 / n;
        }
    }
    return hypot(sine, cosine);
}

/* |H| of a second-order Butterworth after the bilinear transform. */
static double butterworth(double frequency, double edge, int low_pass)
{
    double ratio = tan(M_PI * frequency / rate) / tan(M_PI * edge / rate);

    return 1 / sqrt(1 + pow(low_pass ? ratio : 1 / ratio, 4));
}

static void test_band(void **state)
{
    const double frequencies[] = {0.005, 0.01, 0.03, 0.08, 0.1, 0.2};
    struct phi_iir iir;
    struct ph_error err = {0};

    (void)state;
    phi_iir_init(&iir);
    assert_ok(phi_iir_add_band(&iir, rate, 0.01, 0.1, &err), err);
    for (size_t i = 0; i < sizeof frequencies / sizeof *frequencies; i++)
        assert_near(measured_gain(&iir, frequencies[i]),
                    butterworth(frequencies[i], 0.01, 0) * butterworth(frequencies[i], 0.1, 1),
                    2e-3);
    phi_iir_reset(&iir);
    for (int i = 0; i < 50; i++) /* a baseline gives nothing */
        assert_near(phi_iir_step(&iir, 700), 0, 1e-9);
}

static void test_notch(void **state)
{
    struct phi_iir iir;
    struct ph_error err = {0};

    (void)state;
    phi_iir_init(&iir);
    assert_ok(phi_iir_add_notch(&iir, rate, 0.1, 0.02, &err), err);
    assert_near(measured_gain(&iir, 0.1), 0, 1e-3);
    assert_near(measured_gain(&iir, 0.02), 1, 0.02);
    assert_near(measured_gain(&iir, 0.2), 1, 0.02);
    assert_near(measured_gain(&iir, 0.0905), M_SQRT1_2, 0.02);
    phi_iir_reset(&iir);
    for (int i = 0; i < 50; i++) /* a baseline passes */
        assert_near(phi_iir_step(&iir, 700), 700, 1e-9);
}

/* Forwards and backwards: no delay, the gain squared, no transient at the ends of a trend. */
static void test_both_ways(void **state)
{
    enum { RUN = 400 };
    struct phi_iir iir;
    struct ph_error err;
    double x[RUN], y[RUN], far = 0;

    (void)state;
    phi_iir_init(&iir);
    assert_ok(phi_iir_add_notch(&iir, 0.5, 0.17, 0.02, &err), err);
    for (int t = 0; t < RUN; t++)
        x[t] = 500 + 0.1 * t + 2 * sin(2 * M_PI * 0.03 * 2 * t) + 3 * sin(2 * M_PI * 0.17 * 2 * t);
    assert_ok(phi_iir_both_ways(&iir, x, RUN, y, &err), err);
    for (int t = 50; t < RUN - 50; t++)
        far = fmax(far, fabs(y[t] - (500 + 0.1 * t + 2 * sin(2 * M_PI * 0.03 * 2 * t))));
    assert_true(far < 0.06); /* of 3; a causal filter delays what is left by more */
    for (int t = 0; t < RUN; t++)
        x[t] = 500 + 0.1 * t;
    assert_ok(phi_iir_both_ways(&iir, x, RUN, y, &err), err);
    for (int t = 0; t < RUN; t++)
        assert_near(y[t], x[t], 0.05);
    x[7] = NAN;
    assert_int_equal(phi_iir_both_ways(&iir, x, RUN, y, &err), PH_E_INVAL);
    assert_int_equal(phi_iir_both_ways(&iir, x, 0, y, &err), PH_E_INVAL);
    x[0] = 3;
    assert_ok(phi_iir_both_ways(&iir, x, 1, y, &err), err);
    assert_near(y[0], 3, 1e-9);
}

static void test_bad_samples_and_settings(void **state)
{
    struct phi_iir iir;
    struct ph_error err = {0};

    (void)state;
    phi_iir_init(&iir);
    assert_near(phi_iir_step(&iir, 3), 3, 0); /* an empty chain */
    assert_ok(phi_iir_add_band(&iir, rate, 0.01, 0.1, &err), err);
    for (int i = 0; i < 100; i++) /* every seventh is infinite or not a number */
        assert_true(
            isfinite(phi_iir_step(&iir, i % 7 ? (double)i : (i % 2 ? (double)NAN : HUGE_VAL))));
    assert_int_equal(phi_iir_add_band(&iir, rate, 0.1, 0.05, &err), PH_E_INVAL);
    assert_int_equal(phi_iir_add_band(&iir, rate, 0.01, 0.3, &err), PH_E_INVAL);
    assert_int_equal(phi_iir_add_notch(&iir, rate, 0.1, 0, &err), PH_E_INVAL);
    assert_int_equal(phi_iir_add_notch(&iir, rate, NAN, 0.1, &err), PH_E_INVAL);
    assert_ok(phi_iir_add_band(&iir, rate, 0.01, 0.1, &err), err);
    assert_int_equal(phi_iir_add_notch(&iir, rate, 0.1, 0.01, &err), PH_E_LIMIT);
    iir.n_sections = 3; /* room for one of the two that a band needs: none is added */
    assert_int_equal(phi_iir_add_band(&iir, rate, 0.01, 0.1, &err), PH_E_LIMIT);
    assert_int_equal(iir.n_sections, 3);
}

static void test_offline_band(void **state)
{
    enum { LENGTH = 301 };
    static double series[LENGTH], out[LENGTH], wanted[LENGTH];
    struct phi_bandpass *bandpass = NULL;
    struct ph_error err = {0};

    (void)state;
    for (int i = 0; i < LENGTH; i++) {
        wanted[i] = cos(M_PI * 24 * i / (LENGTH - 1)); /* whole half-waves: 0.02 Hz */
        series[i] = 700 + 0.1 * i + wanted[i] + 3 * cos(M_PI * 120 * i / (LENGTH - 1));
    }
    assert_ok(phi_bandpass_create(LENGTH, rate, 0.01, 0.05, &bandpass, &err), err);
    assert_int_equal(phi_bandpass_process(bandpass, series, out), PH_OK);
    for (int i = 0; i < LENGTH; i++)
        assert_near(out[i], wanted[i], 0.02);
    series[7] = NAN;
    assert_int_equal(phi_bandpass_process(bandpass, series, out), PH_E_INVAL);
    phi_bandpass_destroy(&bandpass);
    series[7] = series[6];
    assert_ok(phi_bandpass_create(LENGTH, rate, 0, 0, &bandpass, &err), err);
    assert_int_equal(phi_bandpass_process(bandpass, series, out), PH_OK);
    for (int i = 0; i < LENGTH; i++) /* open on both sides: the identity */
        assert_near(out[i], series[i], 1e-9);
    phi_bandpass_destroy(&bandpass);
    assert_int_equal(phi_bandpass_create(3, rate, 0, 0.1, &bandpass, &err), PH_E_INVAL);
    assert_int_equal(phi_bandpass_create(99, rate, 0.2, 0.1, &bandpass, &err), PH_E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_white_noise),
        cmocka_unit_test(test_sine),
        cmocka_unit_test(test_alias),
        cmocka_unit_test(test_band),
        cmocka_unit_test(test_notch),
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_bad_samples_and_settings),
        cmocka_unit_test(test_offline_band),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
