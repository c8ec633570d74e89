/* SPDX-License-Identifier: MIT
 * Trials in time: independence of the volumes' order, repeats carried over, exact retirement,
 * slots running out, shares, AR(1) noise, gaps and weights with an error against a dense joint
 * Gaussian. */
#include "decode/trial.h"

#include "base/mem.h"
#include "base/rng.h"
#include "decode/linalg.h"
#include "test.h"

enum { P = 2, T = 24, N = 3 };

static const double signal_d[P] = {2, 0.4};

/* A short response with memory over a few volumes, area of a box when the event lasts. */
static double response(void *ctx, double delay_s, double duration_s)
{
    double t = delay_s - 1;

    (void)ctx;
    return t <= 0 ? 0 : t * t * exp(-t) * (1 + duration_s);
}

static struct phi_trials *create_with(const double *weight_error, double level_sd, double rho,
                                      size_t max_open, size_t n_remembered)
{
    const struct phi_trials_config config = {.n_channels = P,
                                             .d = signal_d,
                                             .weight_error = weight_error,
                                             .level_sd = level_sd,
                                             .rho = rho,
                                             .tr_s = 1,
                                             .response_s = 12,
                                             .response = response,
                                             .max_open = max_open,
                                             .n_remembered = n_remembered};
    struct phi_trials *trials = NULL;
    struct ph_error err;

    assert_ok(phi_trials_create(&config, &trials, &err), err);
    return trials;
}

static struct phi_trials *create(double rho, size_t max_open, size_t n_remembered)
{
    return create_with(NULL, 0, rho, max_open, n_remembered);
}

static void open_trial(struct phi_trials *trials, uint32_t number, int32_t stim, double onset_s)
{
    const struct phi_trial_event event = {number, stim, onset_s, 0, 1};

    assert_int_equal(phi_trials_open(trials, &event), PH_OK);
}

static const struct phi_trial_report *find(const struct phi_trials *trials, uint32_t number)
{
    static struct phi_trial_report report;

    for (size_t i = 0; i < phi_trials_count(trials); i++) {
        report = phi_trials_report(trials, i);
        if (report.number == number)
            return &report;
    }
    return NULL;
}

static double h_of(double t_s, double onset_s)
{
    return t_s >= onset_s && t_s - onset_s <= 12 ? response(NULL, t_s - onset_s, 0) : 0;
}

/* Joint posterior of N trials in channel i from the volumes kept up to `now`, all at once. Errors
 * of the weights (spread[0]) are noise along each trial's response, a level (of sd spread[1]) noise
 * that stays. */
static void dense(size_t i, const double *x, const bool *kept, const double *onsets, double rho,
                  size_t now, const double spread[2], double *ret_mean, double *ret_var)
{
    double cov[T * T], a[T * (N + 1)], d = signal_d[i];
    size_t rows[T], n = 0;
    struct ph_error err;

    for (size_t t = 0; t <= now; t++)
        if (kept[t])
            rows[n++] = t;
    for (size_t r = 0; r < n; r++) {
        for (size_t c = 0; c < n; c++)
            cov[r * n + c] = d * pow(rho, fabs((double)rows[r] - (double)rows[c])) +
                             d * d * spread[1] * spread[1];
        for (size_t c = 0; c < n; c++)
            for (size_t k = 0; k < N; k++)
                cov[r * n + c] += d * spread[0] * h_of((double)rows[r], onsets[k]) *
                                  h_of((double)rows[c], onsets[k]);
        for (size_t k = 0; k < N; k++)
            a[r * (N + 1) + k] = d * h_of((double)rows[r], onsets[k]);
        a[r * (N + 1) + N] = x[rows[r] * P + i];
    }
    assert_ok(phi_chol_factor(cov, n, &err), err);
    phi_chol_forward(cov, n, a, N + 1);
    double precision[N * N] = {0}, eta[N] = {0}, inverse[N * N] = {0};
    for (size_t j = 0; j < N; j++) {
        for (size_t k = 0; k < N; k++) {
            precision[j * N + k] = j == k;
            for (size_t r = 0; r < n; r++)
                precision[j * N + k] += a[r * (N + 1) + j] * a[r * (N + 1) + k];
            inverse[j * N + k] = j == k;
        }
        for (size_t r = 0; r < n; r++)
            eta[j] += a[r * (N + 1) + j] * a[r * (N + 1) + N];
    }
    assert_ok(phi_chol_factor(precision, N, &err), err);
    phi_chol_solve(precision, N, inverse, N);
    phi_chol_solve(precision, N, eta, 1);
    for (size_t k = 0; k < N; k++) {
        ret_mean[k] = eta[k];
        ret_var[k] = inverse[k * N + k];
    }
}

static void make_data(double *x, bool *kept)
{
    struct phi_rng rng;

    phi_rng_init(&rng, 9, 9);
    for (size_t t = 0; t < T; t++) {
        kept[t] = t != 7 && t != 8 && t != 15;
        for (size_t i = 0; i < P; i++)
            x[t * P + i] = 2 * phi_rng_normal(&rng);
    }
}

/* Overlap, AR(1) noise, gaps, and trials leaving: every report equals the dense joint posterior,
 * also those of trials that outlive a retired neighbour. */
static void check_against_dense(const double *error, double level_sd)
{
    const double onsets[N] = {0, 4, 11};
    double x[T * P], mean[N], var[N];
    bool kept[T];
    struct phi_trials *trials = create_with(error, level_sd, 0.4, 0, 0);

    make_data(x, kept);
    for (size_t t = 0; t < T; t++) {
        for (uint32_t k = 0; k < N; k++)
            if (onsets[k] == (double)t)
                open_trial(trials, k, -1, onsets[k]);
        assert_int_equal(phi_trials_step(trials, (double)t, kept[t] ? x + t * P : NULL, NULL),
                         kept[t]);
        for (size_t i = 0; i < P; i++) {
            const double spread[2] = {error ? error[i] : 0, level_sd};

            dense(i, x, kept, onsets, 0.4, t, spread, mean, var);
            for (uint32_t k = 0; k < N; k++) {
                const struct phi_trial_report *report = find(trials, k);

                if (!report)
                    continue;
                assert_near(report->mean[i], mean[k], 1e-10);
                assert_near(report->var[i], var[k], 1e-10);
            }
        }
    }
    assert_null(find(trials, 0)); /* over and gone */
    assert_non_null(find(trials, 2));
    phi_trials_destroy(&trials);
}

static void equals_dense_joint(void **state)
{
    (void)state;
    check_against_dense(NULL, 0);
}

/* The same where the weights are known only within an error. */
static void weight_error_equals_dense_joint(void **state)
{
    const double error[P] = {0.3, 0.05};

    (void)state;
    check_against_dense(error, 0);
}

/* And where the baseline is not that of training. */
static void level_equals_dense_joint(void **state)
{
    const double error[P] = {0.3, 0.05};

    (void)state;
    check_against_dense(NULL, 0.7);
    check_against_dense(error, 0.7);
}

/* However long a stimulus is shown, its variance stays above what the weights do not know, and the
 * next showing starts where the one before ended. */
static void weight_error_limits_the_variance(void **state)
{
    const double error[P] = {0.5, 0.1}, x[P] = {1, 1};
    struct phi_trials *trials = create_with(error, 0, 0, 0, 4);
    double before[P] = {1, 1};

    (void)state;
    for (uint32_t showing = 0; showing < 1000; showing++) {
        double onset_s = 20.0 * showing;

        open_trial(trials, showing, 3, onset_s);
        if (showing)
            assert_near(phi_trials_report(trials, 0).var[0], before[0], 1e-12);
        for (int t = 0; t < 13; t++) {
            phi_trials_step(trials, onset_s + t, x, NULL);
            if (phi_trials_count(trials) > 0) /* the trial has not been closed yet */
                memcpy(before, phi_trials_report(trials, 0).var, sizeof before);
        }
    }
    for (size_t i = 0; i < P; i++) {
        double floor = error[i] / (signal_d[i] + error[i]);

        assert_true(before[i] > floor);
        assert_near(before[i], floor, 0.02);
    }
    phi_trials_destroy(&trials);
}

/* White noise: what is known after all volumes of a trial does not depend on their order. Times are
 * shuffled by handing each step the time of the volume it carries. */
static void order_of_volumes_is_irrelevant(void **state)
{
    struct phi_trials *a = create(0, 0, 0), *b = create(0, 0, 0);
    double x[T * P];
    bool kept[T];

    (void)state;
    make_data(x, kept);
    open_trial(a, 1, -1, 0);
    open_trial(b, 1, -1, 0);
    for (size_t t = 0; t < 10; t++) {
        phi_trials_step(a, (double)t, x + t * P, NULL);
        phi_trials_step(b, (double)(9 - t), x + (9 - t) * P, NULL);
    }
    for (size_t i = 0; i < P; i++) {
        assert_near(find(a, 1)->mean[i], find(b, 1)->mean[i], 1e-12);
        assert_near(find(a, 1)->var[i], find(b, 1)->var[i], 1e-12);
    }
    phi_trials_destroy(&a);
    phi_trials_destroy(&b);
}

/* Three isolated showings of one stimulus end where one trial with three onsets ends. */
static void repeats_carry_over(void **state)
{
    struct phi_trials *trials = create(0, 0, 4);
    double x[3 * 16 * P], information = 0, eta[P] = {0}, share = 0;
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 2, 2);
    for (size_t t = 0; t < 48; t++) {
        double h = h_of((double)(t % 16), 0);

        if (t % 16 == 0)
            open_trial(trials, (uint32_t)(t / 16), 5, (double)t);
        for (size_t i = 0; i < P; i++) {
            x[t * P + i] = phi_rng_normal(&rng);
            eta[i] += h * x[t * P + i];
        }
        information += h * h;
        phi_trials_step(trials, (double)t, x + t * P, NULL);
        if (t == 36) { /* early in the third showing most is known already */
            share = find(trials, 2)->share;
            assert_int_equal(find(trials, 2)->revision, 4);
            for (size_t i = 0; i < P; i++) {
                assert_near(find(trials, 2)->var[i], 1 / (1 + information * signal_d[i]), 1e-12);
                assert_near(find(trials, 2)->mean[i], eta[i] / (1 + information * signal_d[i]),
                            1e-12);
            }
        }
    }
    assert_true(share > 0.66);
    phi_trials_destroy(&trials);
}

/* What every event evokes alike, whatever is shown, is taken off before decoding. */
static void common_response_is_taken_off(void **state)
{
    const double on[P] = {5, -3};
    const struct phi_trials_config config = {.n_channels = P,
                                             .d = signal_d,
                                             .on = on,
                                             .rho = 0.4,
                                             .tr_s = 1,
                                             .response_s = 12,
                                             .response = response};
    struct phi_trials *plain = create(0.4, 0, 0), *with = NULL;
    struct ph_error err;
    double x[T * P], shifted[P];
    bool kept[T];

    (void)state;
    make_data(x, kept);
    assert_ok(phi_trials_create(&config, &with, &err), err);
    for (size_t t = 0; t < 16; t++) {
        if (t % 6 == 0) {
            open_trial(plain, (uint32_t)t, -1, (double)t);
            open_trial(with, (uint32_t)t, -1, (double)t);
        }
        for (size_t i = 0; i < P; i++) {
            shifted[i] = x[t * P + i];
            for (size_t o = 0; o <= t; o += 6)
                shifted[i] += on[i] * h_of((double)t, (double)o);
        }
        phi_trials_step(plain, (double)t, kept[t] ? x + t * P : NULL, NULL);
        phi_trials_step(with, (double)t, kept[t] ? shifted : NULL, NULL);
    }
    assert_int_equal(phi_trials_count(plain), phi_trials_count(with));
    for (size_t k = 0; k < phi_trials_count(plain); k++)
        for (size_t i = 0; i < P; i++)
            assert_near(phi_trials_report(plain, k).mean[i], phi_trials_report(with, k).mean[i],
                        1e-10);
    phi_trials_destroy(&plain);
    phi_trials_destroy(&with);
}

static void censoring_all_leaves_the_prior(void **state)
{
    struct phi_trials *trials = create(0.3, 0, 0);
    const double bad[P] = {INFINITY, 0};

    (void)state;
    open_trial(trials, 0, -1, 0);
    for (size_t t = 0; t < 12; t++)
        assert_false(phi_trials_step(trials, (double)t, t % 2 ? NULL : bad, NULL));
    for (size_t i = 0; i < P; i++) {
        assert_near(find(trials, 0)->mean[i], 0, 0);
        assert_near(find(trials, 0)->var[i], 1, 0);
    }
    assert_near(find(trials, 0)->share, 0, 0);
    assert_near(find(trials, 0)->evidence, 0, 0);
    phi_trials_destroy(&trials);
}

static void full_slots_retire_the_oldest(void **state)
{
    struct phi_trials *trials = create(0, 2, 0);
    const double x[P] = {1, 1};

    (void)state;
    for (uint32_t k = 0; k < 4; k++) {
        open_trial(trials, k, -1, k);
        phi_trials_step(trials, k, x, NULL);
    }
    assert_int_equal(phi_trials_count(trials), 2);
    assert_int_equal(phi_trials_n_early(trials), 2);
    assert_null(find(trials, 1));
    assert_non_null(find(trials, 3));
    phi_trials_destroy(&trials);
}

static void last_report_is_final(void **state)
{
    struct phi_trials *trials = create(0, 0, 0);
    const double x[P] = {1, 1};
    size_t n_final = 0, n_reports = 0;

    (void)state;
    open_trial(trials, 0, -1, 0.5);
    for (size_t t = 0; t < 20; t++) {
        const struct phi_trial_report *report;

        phi_trials_step(trials, (double)t, x, NULL);
        report = find(trials, 0);
        n_reports += report != NULL;
        n_final += report && report->final;
        if (report && report->final)
            assert_near(report->share, 1, 1e-12);
    }
    assert_int_equal(n_final, 1);
    assert_int_equal(n_reports, 13);
    phi_trials_destroy(&trials);
}

static void reset_equals_fresh(void **state)
{
    struct phi_trials *used = create(0.4, 0, 2), *fresh = create(0.4, 0, 2);
    double x[T * P];
    bool kept[T];

    (void)state;
    make_data(x, kept);
    for (size_t round = 0; round < 2; round++) {
        for (size_t t = 0; t < T; t++) {
            if (t % 5 == 0) {
                open_trial(used, (uint32_t)t, (int32_t)(t % 2), (double)t);
                if (round)
                    open_trial(fresh, (uint32_t)t, (int32_t)(t % 2), (double)t);
            }
            phi_trials_step(used, (double)t, x + t * P, NULL);
            if (round)
                phi_trials_step(fresh, (double)t, x + t * P, NULL);
        }
        if (round == 0)
            phi_trials_reset(used);
    }
    assert_int_equal(phi_trials_count(used), phi_trials_count(fresh));
    for (size_t k = 0; k < phi_trials_count(used); k++)
        assert_memory_equal(phi_trials_report(used, k).mean, phi_trials_report(fresh, k).mean,
                            P * sizeof(double));
    phi_trials_destroy(&used);
    phi_trials_destroy(&fresh);
}

static void bad_input_is_refused(void **state)
{
    struct phi_trials_config config = {
        .n_channels = P, .d = signal_d, .tr_s = 0, .response_s = 12, .response = response};
    struct phi_trials *trials = NULL;
    struct phi_trial_event event = {0, -1, NAN, 0, 1};
    struct ph_error err;

    (void)state;
    assert_int_equal(phi_trials_create(&config, &trials, &err), PH_E_INVAL);
    config.tr_s = 1;
    config.max_open = 99;
    assert_int_equal(phi_trials_create(&config, &trials, &err), PH_E_LIMIT);
    trials = create(0, 0, 0);
    assert_int_equal(phi_trials_open(trials, &event), PH_E_INVAL);
    event.onset_s = 0;
    event.duration_s = -1;
    assert_int_equal(phi_trials_open(trials, &event), PH_E_INVAL);
    assert_int_equal(phi_trials_count(trials), 0);
    phi_trials_destroy(&trials);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_dense_joint),
        cmocka_unit_test(weight_error_equals_dense_joint),
        cmocka_unit_test(level_equals_dense_joint),
        cmocka_unit_test(weight_error_limits_the_variance),
        cmocka_unit_test(order_of_volumes_is_irrelevant),
        cmocka_unit_test(repeats_carry_over),
        cmocka_unit_test(common_response_is_taken_off),
        cmocka_unit_test(censoring_all_leaves_the_prior),
        cmocka_unit_test(full_slots_retire_the_oldest),
        cmocka_unit_test(last_report_is_final),
        cmocka_unit_test(reset_equals_fresh),
        cmocka_unit_test(bad_input_is_refused),
    };
    return cmocka_run_group_tests_name("decode/trial", tests, NULL, NULL);
}
