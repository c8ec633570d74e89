/* SPDX-License-Identifier: MIT
 * Weights with an error equal a dense joint Gaussian. Steady gains end where the exact filter does;
 * censoring everything leaves the prior; a drift level absorbs an offset; coverage of the 90 %
 * intervals; bad settings are named. */
#include "decode/stream.h"

#include "base/mem.h"
#include "base/rng.h"
#include "decode/linalg.h"
#include "test.h"

enum { P = 3, K = 10, L = 14 };

static const double taps[K] = {0, 0.02, 0.2, 0.6, 0.95, 1, 0.8, 0.5, 0.25, 0.1};
static const double signal_d[P] = {3, 0.3, 0.05};

static struct phi_stream_config config_of(double rho)
{
    return (struct phi_stream_config){
        .n_channels = P, .d = signal_d, .h = taps, .n_taps = K, .a = 0.9, .rho = rho, .n_lags = L};
}

/* Content and statistics drawn from the model itself. */
struct simulator {
    struct phi_rng rng;
    double zeta[P][K], noise[P], rho;
};

static void next(struct simulator *s, double *x)
{
    for (size_t i = 0; i < P; i++) {
        double sum = 0;

        memmove(s->zeta[i] + 1, s->zeta[i], (K - 1) * sizeof(double));
        s->zeta[i][0] = 0.9 * s->zeta[i][1] + sqrt(1 - 0.81) * phi_rng_normal(&s->rng);
        s->noise[i] = s->rho * s->noise[i] +
                      sqrt((1 - s->rho * s->rho) * signal_d[i]) * phi_rng_normal(&s->rng);
        for (size_t k = 0; k < K; k++)
            sum += taps[k] * s->zeta[i][k];
        x[i] = signal_d[i] * sum + s->noise[i];
    }
}

static void start(struct simulator *s, double rho, uint64_t seed)
{
    double x[P];

    memset(s, 0, sizeof *s);
    s->rho = rho;
    phi_rng_init(&s->rng, seed, 4);
    for (int t = 0; t < 100; t++)
        next(s, x);
}

static struct phi_stream *create(const struct phi_stream_config *config)
{
    struct phi_stream *stream = NULL;
    struct ph_error err;

    assert_ok(phi_stream_create(config, &stream, &err), err);
    return stream;
}

static void steady_joins_exact(void **state)
{
    struct phi_stream_config config = config_of(0.3);
    struct phi_stream *exact = create(&config), *steady;
    struct simulator sim;
    double x[P], m1[P], v1[P], m2[P], v2[P];

    (void)state;
    config.steady = true;
    steady = create(&config);
    start(&sim, 0.3, 21);
    for (int t = 0; t < 90; t++) {
        next(&sim, x);
        phi_stream_step(exact, x, 1, NULL);
        phi_stream_step(steady, x, 1, NULL);
    }
    for (size_t lag = 0; lag < L; lag++) {
        phi_stream_read(exact, lag, m1, v1);
        phi_stream_read(steady, lag, m2, v2);
        for (size_t i = 0; i < P; i++) {
            assert_near(m1[i], m2[i], 2e-3);
            assert_near(v1[i], v2[i], 1e-6);
        }
    }
    phi_stream_destroy(&exact);
    phi_stream_destroy(&steady);
}

enum { T = 18 };

/* Posterior mean and variance of the content `lag` volumes before the last of T, all at once. The
 * error of the weights is noise that follows the content through the response. */
static void dense(size_t i, const double *x /* [T][P] */, double error, double rho, size_t lag,
                  double *ret_mean, double *ret_var)
{
    double cov[T * T], two[T * 2], d = signal_d[i];
    struct ph_error err;

    for (size_t r = 0; r < T; r++) {
        two[2 * r] = x[r * P + i];
        two[2 * r + 1] = 0;
        for (size_t k = 0; k < K; k++)
            two[2 * r + 1] +=
                d * taps[k] * pow(0.9, fabs((double)r - (double)k - (double)(T - 1 - lag)));
        for (size_t c = 0; c < T; c++) {
            double apart = (double)r - (double)c;

            cov[r * T + c] = d * pow(rho, fabs(apart));
            for (size_t k = 0; k < K; k++)
                for (size_t l = 0; l < K; l++)
                    cov[r * T + c] += (d * d + d * error) * taps[k] * taps[l] *
                                      pow(0.9, fabs(apart - (double)k + (double)l));
        }
    }
    assert_ok(phi_chol_factor(cov, T, &err), err);
    phi_chol_forward(cov, T, two, 2);
    *ret_mean = 0;
    *ret_var = 1;
    for (size_t r = 0; r < T; r++) {
        *ret_mean += two[2 * r] * two[2 * r + 1];
        *ret_var -= two[2 * r + 1] * two[2 * r + 1];
    }
}

static void weight_error_equals_dense_joint(void **state)
{
    const double error[P] = {0.6, 0.1, 0.2};
    struct phi_stream_config config = config_of(0.3);
    struct phi_stream *stream;
    struct simulator sim;
    double x[T * P], mean[P], var[P], want_mean, want_var;

    (void)state;
    config.weight_error = error;
    stream = create(&config);
    start(&sim, 0.3, 5);
    for (size_t t = 0; t < T; t++) {
        next(&sim, x + t * P);
        assert_true(phi_stream_step(stream, x + t * P, 1, NULL));
    }
    for (size_t lag = 0; lag < L; lag += 3) {
        phi_stream_read(stream, lag, mean, var);
        for (size_t i = 0; i < P; i++) {
            dense(i, x, error[i], 0.3, lag, &want_mean, &want_var);
            assert_near(mean[i], want_mean, 1e-10);
            assert_near(var[i], want_var, 1e-10);
        }
    }
    phi_stream_destroy(&stream);
}

static void censoring_all_leaves_the_prior(void **state)
{
    struct phi_stream_config config = config_of(0.3);
    struct phi_stream *stream = create(&config);
    const double bad[P] = {1, NAN, 2};
    double mean[P], var[P], nis = 0;

    (void)state;
    for (int t = 0; t < 20; t++) {
        assert_false(phi_stream_step(stream, t % 2 ? NULL : bad, 1, &nis));
        assert_true(isnan(nis));
    }
    phi_stream_read(stream, 3, mean, var);
    for (size_t i = 0; i < P; i++) {
        assert_near(mean[i], 0, 0);
        assert_near(var[i], 1, 1e-12);
    }
    assert_near(phi_stream_share(stream, 3), 0, 1e-12);
    assert_near(phi_stream_evidence(stream, 3), 0, 1e-12);
    phi_stream_destroy(&stream);
}

/* Adds one run of 4000 volumes: truths inside the 90 % interval at two lags, and the test's sum. */
static void count_covered(uint64_t seed, double inside[2], double *n, double *nis_sum)
{
    struct phi_stream_config config = config_of(0.3);
    struct phi_stream *stream = create(&config);
    struct simulator sim;
    double x[P], mean[P], var[P], nis;
    const size_t lags[2] = {0, 6};

    start(&sim, 0.3, seed);
    for (int t = 0; t < 4000; t++) {
        next(&sim, x);
        assert_true(phi_stream_step(stream, x, 1, &nis));
        if (t < 60)
            continue;
        *nis_sum += nis * P;
        *n += P;
        for (size_t j = 0; j < 2; j++) {
            phi_stream_read(stream, lags[j], mean, var);
            for (size_t i = 0; i < P; i++)
                inside[j] += fabs(mean[i] - sim.zeta[i][lags[j]]) < 1.6449 * sqrt(var[i]);
        }
    }
    phi_stream_destroy(&stream);
}

/* 4000 volumes of the model itself, in 39 channels: 90 % intervals cover 90 %. Slow content makes
 * about a fifteenth as many independent samples, a standard error of .003. */
static void coverage_is_nominal(void **state)
{
    double inside[2] = {0}, n = 0, nis_sum = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 13; seed++)
        count_covered(seed, inside, &n, &nis_sum);
    assert_near(inside[0] / n, 0.9, 0.005);
    assert_near(inside[1] / n, 0.9, 0.005);
    assert_near(nis_sum / n, 1, 0.01);
}

/* An offset of the baseline is content to a filter without a level, and nothing to one with it. */
static void level_absorbs_an_offset(void **state)
{
    struct phi_stream_config config = config_of(0);
    struct phi_stream *plain = create(&config), *levelled;
    struct simulator sim;
    double x[P], mean[P], var[P], error[2] = {0};

    (void)state;
    config.has_drift = true;
    config.kappa = 1e-4;
    levelled = create(&config);
    start(&sim, 0, 21);
    for (int t = 0; t < 400; t++) {
        next(&sim, x);
        for (size_t i = 0; i < P; i++)
            x[i] += 8 * signal_d[i];
        phi_stream_step(plain, x, 1, NULL);
        phi_stream_step(levelled, x, 1, NULL);
        for (int j = 0; t >= 100 && j < 2; j++) {
            phi_stream_read(j ? levelled : plain, 8, mean, var);
            error[j] += pow(mean[0] - sim.zeta[0][8], 2);
        }
    }
    assert_true(error[1] < 0.5 * error[0]);
    phi_stream_destroy(&plain);
    phi_stream_destroy(&levelled);
}

static void outliers_are_left_out(void **state)
{
    struct phi_stream_config config = config_of(0);
    struct phi_stream *stream;
    double x[P] = {0}, before[P], after[P], var[P], nis = 0;

    (void)state;
    config.nis_threshold = 9;
    stream = create(&config);
    for (int t = 0; t < 30; t++)
        assert_true(phi_stream_step(stream, x, 1, NULL));
    x[0] = 300;
    phi_stream_read(stream, 0, before, var);
    assert_false(phi_stream_step(stream, x, 1, &nis));
    assert_true(nis > 9);
    phi_stream_read(stream, 1, after, var); /* predicted, not updated */
    assert_near(before[0], after[0], 1e-12);
    phi_stream_destroy(&stream);
}

static void share_grows_with_the_lag(void **state)
{
    struct phi_stream_config config = config_of(0.3);
    struct phi_stream *stream = create(&config);
    const double x[P] = {0.1, 0.1, 0.1};
    double before = 0;

    (void)state;
    for (int t = 0; t < 80; t++)
        phi_stream_step(stream, x, 1, NULL);
    for (size_t lag = 0; lag < phi_stream_n_lags(stream); lag++) {
        double share = phi_stream_share(stream, lag);

        assert_true(share >= before - 1e-12);
        before = share;
    }
    assert_near(before, 1, 1e-6);
    phi_stream_destroy(&stream);
}

static void bad_settings_are_named(void **state)
{
    struct phi_stream_config config = config_of(1);
    struct phi_stream *stream = NULL;
    struct ph_error err;

    (void)state;
    assert_int_equal(phi_stream_create(&config, &stream, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "rho"));
    config = config_of(0);
    config.has_drift = config.steady = true;
    assert_int_equal(phi_stream_create(&config, &stream, &err), PH_E_INVAL);
    config = config_of(0);
    config.n_lags = 100000;
    assert_int_equal(phi_stream_create(&config, &stream, &err), PH_E_LIMIT);
    assert_null(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weight_error_equals_dense_joint), cmocka_unit_test(steady_joins_exact),
        cmocka_unit_test(censoring_all_leaves_the_prior),  cmocka_unit_test(coverage_is_nominal),
        cmocka_unit_test(level_absorbs_an_offset),         cmocka_unit_test(outliers_are_left_out),
        cmocka_unit_test(share_grows_with_the_lag),        cmocka_unit_test(bad_settings_are_named),
    };
    return cmocka_run_group_tests_name("decode/stream", tests, NULL, NULL);
}
