/* SPDX-License-Identifier: MIT
 * The streamed fit: float32 agrees with float64, block sizes and threads change nothing, the rules
 * that choose penalties do what they say, folds may bring their own Gram matrix, and bad targets
 * are refused by name. (Stored numbers: tests/golden.) */
#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "decode/linalg.h"
#include "decode/ridge_fit.h"
#include "test.h"

#include <stdbool.h>

enum { N = 60, M = 200, T = 1300, L = 12 };

static float *x, *y;
static double *k, *lambdas;
static struct phi_folds folds;

static int make_data(void **state)
{
    struct phi_rng rng;
    struct phi_columns_memory memory;
    struct phi_columns columns;
    struct phi_gram_options gram = {.dtype = PHI_DTYPE_F64, .n_threads = 1};
    double mean[M], scale[M];
    struct ph_error err = {0};

    (void)state;
    x = phi_calloc2(N, M, sizeof *x);
    y = phi_calloc2(N, T, sizeof *y);
    k = phi_calloc2(N, N, sizeof *k);
    lambdas = phi_calloc(L, sizeof *lambdas);
    phi_rng_init(&rng, 77, 0);
    phi_rng_normal_f32(&rng, x, (size_t)N * M);
    for (size_t i = 0; i < N; i++)
        for (size_t t = 0; t < T; t++) /* the noise grows with t */
            y[i * T + t] = 100 + x[i * M + t % M] + x[i * M + (t + 1) % M] +
                           0.01F * (float)t * (float)phi_rng_normal(&rng);
    memory = (struct phi_columns_memory){x, PHI_DTYPE_F32, N, M};
    columns = phi_columns_over(&memory, M, "voxels");
    assert_ok(phi_gram(&columns, &gram, k, mean, scale, &err), err);
    for (size_t l = 0; l < L; l++)
        lambdas[l] = phi_gram_mean_diagonal(k, N) * pow(10, -2 + 0.5 * (double)l);
    assert_ok(phi_folds_contiguous(N, 5, 0, &folds, &err), err);
    return 0;
}

static int free_data(void **state)
{
    (void)state;
    phi_free(x);
    phi_free(y);
    phi_free(k);
    phi_free(lambdas);
    return 0;
}

struct kept {
    double *coef; /* [N][T] */
    double lambda[T], r2[T];
};

static enum ph_status keep(void *ctx, const struct phi_ridge_block *b, struct ph_error *reterr)
{
    struct kept *kept = ctx;

    (void)reterr;
    for (size_t t = 0; t < b->n; t++) {
        kept->lambda[b->first + t] = b->lambda[t];
        kept->r2[b->first + t] = b->cv_r2[t];
        for (size_t i = 0; i < N; i++)
            kept->coef[i * T + b->first + t] = b->dtype == PHI_DTYPE_F64
                                                   ? ((const double *)b->coef)[i * b->n + t]
                                                   : (double)((const float *)b->coef)[i * b->n + t];
    }
    return PH_OK;
}

static struct phi_ridge_options usual(void)
{
    return (struct phi_ridge_options){
        .lambdas = lambdas, .n_lambdas = L, .folds = &folds, .n_threads = 1};
}

static struct phi_ridge_report fit(const struct phi_ridge_options *options, struct kept *kept)
{
    struct phi_columns_memory memory = {y, PHI_DTYPE_F32, N, T};
    struct phi_columns targets = phi_columns_over(&memory, T, "targets");
    struct phi_ridge_sink sink = {keep, kept};
    struct phi_ridge_report report = {0};
    struct phi_ridge_plan *plan;
    struct ph_error err = {0};

    kept->coef = phi_calloc2(N, T, sizeof *kept->coef);
    assert_ok(phi_ridge_plan_dual(k, NULL, N, options, &plan, &err), err);
    assert_true(phi_ridge_plan_bytes(plan) > 0);
    assert_ok(phi_ridge_fit(plan, &targets, &sink, &report, &err), err);
    phi_ridge_plan_destroy(&plan);
    return report;
}

/* The shortened penalty functions and float32 products must not move a choice by more than the
 * errors of two neighbouring penalties differ by rounding. */
static void float32_agrees(void **state)
{
    static struct kept wide, narrow;
    struct phi_ridge_options options = usual();
    size_t n_other = 0;
    double worst = 0, unit = 0;

    (void)state;
    options.dtype = PHI_DTYPE_F64;
    (void)fit(&options, &wide);
    options.dtype = PHI_DTYPE_F32;
    (void)fit(&options, &narrow);
    for (size_t t = 0; t < T; t++) {
        n_other += wide.lambda[t] < narrow.lambda[t] || wide.lambda[t] > narrow.lambda[t];
        assert_near(wide.r2[t], narrow.r2[t], 1e-5);
        for (size_t i = 0; i < N; i++) {
            unit = fmax(unit, fabs(wide.coef[i * T + t]));
            if (!(wide.lambda[t] < narrow.lambda[t] || wide.lambda[t] > narrow.lambda[t]))
                worst = fmax(worst, fabs(wide.coef[i * T + t] - narrow.coef[i * T + t]));
        }
    }
    assert_true(n_other <= 2);
    assert_near(worst / unit, 0, 2e-5);
    phi_free(wide.coef);
    phi_free(narrow.coef);
}

static void blocks_and_threads_change_no_bit(void **state)
{
    static struct kept one, other;
    struct phi_ridge_options options = usual();

    (void)state;
    (void)fit(&options, &one);
    options.n_threads = 3;
    (void)fit(&options, &other);
    assert_memory_equal(one.coef, other.coef, (size_t)N * T * sizeof *one.coef);
    assert_memory_equal(one.r2, other.r2, sizeof one.r2);
    phi_free(other.coef);
    options.n_block = 512;
    (void)fit(&options, &other);
    assert_memory_equal(one.lambda, other.lambda, sizeof one.lambda);
    for (size_t i = 0; i < (size_t)N * T; i++)
        assert_near(one.coef[i], other.coef[i], 1e-6);
    phi_free(one.coef);
    phi_free(other.coef);
}

static double mean_lambda(const struct kept *kept, size_t from, size_t to)
{
    double sum = 0;

    for (size_t t = from; t < to; t++)
        sum += log(kept->lambda[t]) / (double)(to - from);
    return sum;
}

static void penalties_follow_the_noise(void **state)
{
    static struct kept per_target, shared, cautious;
    struct phi_ridge_options options = usual();
    struct phi_ridge_report report;

    (void)state;
    report = fit(&options, &per_target);
    assert_int_equal(report.n_targets, T);
    assert_true(mean_lambda(&per_target, 0, 300) + 1 < mean_lambda(&per_target, 1000, T));
    assert_true(per_target.r2[0] > per_target.r2[T - 1]);
    options.choice = PHI_RIDGE_SHARED;
    report = fit(&options, &shared);
    for (size_t t = 0; t < T; t++) {
        assert_near(shared.lambda[t], report.shared_lambda, 0);
        assert_true(shared.r2[t] <= per_target.r2[t] + 1e-6);
    }
    options.choice = PHI_RIDGE_PER_TARGET;
    options.within_one_sd = true;
    (void)fit(&options, &cautious);
    for (size_t t = 0; t < T; t++)
        assert_true(cautious.lambda[t] >= per_target.lambda[t]);
    assert_true(mean_lambda(&cautious, 0, T) > mean_lambda(&per_target, 0, T));
    phi_free(per_target.coef);
    phi_free(shared.coef);
    phi_free(cautious.coef);
}

/* A fold whose own Gram matrix knows nothing of the targets predicts nothing there. */
static void folds_may_bring_their_gram(void **state)
{
    double *other = phi_calloc2(N, N, sizeof *other);
    const double *of_fold[] = {other, other, other, other, other};
    struct phi_columns_memory memory = {y, PHI_DTYPE_F32, N, T};
    struct phi_columns targets = phi_columns_over(&memory, 50, "targets");
    static struct kept kept;
    struct phi_ridge_sink sink = {keep, &kept};
    struct phi_ridge_report with, without;
    struct phi_ridge_options options = usual();
    struct phi_ridge_plan *plan;
    struct ph_error err = {0};

    (void)state;
    kept.coef = phi_calloc2(N, T, sizeof *kept.coef);
    for (size_t i = 0; i < N; i++)
        other[i * N + i] = 1;
    assert_ok(phi_ridge_plan_dual(k, of_fold, N, &options, &plan, &err), err);
    assert_ok(phi_ridge_fit(plan, &targets, &sink, &without, &err), err);
    phi_ridge_plan_destroy(&plan);
    assert_ok(phi_ridge_plan_dual(k, NULL, N, &options, &plan, &err), err);
    assert_ok(phi_ridge_fit(plan, &targets, &sink, &with, &err), err);
    phi_ridge_plan_destroy(&plan);
    assert_true(with.mean_cv_r2 > 0.15);
    assert_true(without.mean_cv_r2 < 0.01);
    phi_free(kept.coef);
    phi_free(other);
}

struct errors {
    double left[L];     /* mean share of variance left at each penalty */
    double r2_of[L][T]; /* of each target */
};

/* What a fit with a penalty a target says of all penalties. */
static enum ph_status note_errors(void *ctx, const struct phi_ridge_block *b,
                                  struct ph_error *reterr)
{
    struct errors *errors = ctx;

    (void)reterr;
    for (size_t t = 0; t < b->n; t++) {
        double least = b->cv_sse[t];

        for (size_t l = 0; l < L; l++)
            least = fmin(least, b->cv_sse[l * b->n + t]);
        for (size_t l = 0; l < L; l++) {
            double share = b->cv_sse[l * b->n + t] / least * (1 - b->cv_r2[t]);

            errors->left[l] += share / T;
            errors->r2_of[l][b->first + t] = 1 - share;
        }
    }
    return PH_OK;
}

/* The penalty for all, chosen by one product of the targets, is the one that the errors of every
 * target at every penalty say, and its errors are theirs; also with a gap and in float64. */
static void shared_penalty_is_the_best_for_all(void **state)
{
    struct phi_columns_memory memory = {y, PHI_DTYPE_F32, N, T};
    struct phi_columns targets = phi_columns_over(&memory, T, "targets");
    struct phi_ridge_options options = usual();
    struct phi_ridge_plan *plan;
    struct ph_error err = {0};

    (void)state;
    for (int round = 0; round < 3; round++) {
        static struct kept shared;
        static struct errors errors;
        struct phi_ridge_sink sink = {note_errors, &errors};
        struct phi_ridge_report report;
        size_t best = 0;

        memset(&errors, 0, sizeof errors);
        options.dtype = round == 1 ? PHI_DTYPE_F64 : PHI_DTYPE_F32;
        assert_ok(phi_folds_contiguous(N, 5, round == 2 ? 2 : 0, &folds, &err), err);
        options.choice = PHI_RIDGE_PER_TARGET;
        assert_ok(phi_ridge_plan_dual(k, NULL, N, &options, &plan, &err), err);
        assert_ok(phi_ridge_fit(plan, &targets, &sink, &report, &err), err);
        phi_ridge_plan_destroy(&plan);
        options.choice = PHI_RIDGE_SHARED;
        report = fit(&options, &shared);
        for (size_t l = 1; l < L; l++)
            best = errors.left[l] < errors.left[best] ? l : best;
        assert_true(best > 0 && best < L - 1);
        assert_near(report.shared_lambda / lambdas[best], 1, 1e-12);
        for (size_t t = 0; t < T; t++)
            assert_near(shared.r2[t], errors.r2_of[best][t], 2e-5);
        phi_free(shared.coef);
    }
    assert_ok(phi_folds_contiguous(N, 5, 0, &folds, &err), err);
}

/* (K + lambda I) coef = y - mean, whatever made coef. */
static void single_penalty_solves_its_equation(void **state)
{
    static struct kept kept;
    struct phi_ridge_options options = usual();

    (void)state;
    for (int round = 0; round < 2; round++) {
        options.lambdas = &lambdas[4];
        options.n_lambdas = 1;
        options.dtype = round ? PHI_DTYPE_F32 : PHI_DTYPE_F64;
        (void)fit(&options, &kept);
        for (size_t t = 0; t < T; t += 61) {
            double mean = 0;

            for (size_t i = 0; i < N; i++)
                mean += (double)y[i * T + t] / N;
            for (size_t i = 0; i < N; i++) {
                double left = (double)y[i * T + t] - mean - lambdas[4] * kept.coef[i * T + t];

                for (size_t j = 0; j < N; j++)
                    left -= k[i * N + j] * kept.coef[j * T + t];
                assert_near(left, 0, round ? 1e-4 : 1e-10);
            }
        }
        phi_free(kept.coef);
    }
}

/* Repeated rows and a penalty below rounding: no Cholesky factor exists, and the answer still fits
 * the targets, with equal estimates for equal rows. */
static void vanishing_penalty_is_fitted(void **state)
{
    double *twice = phi_calloc2(N, N, sizeof *twice), least[2];
    struct phi_columns_memory memory = {y, PHI_DTYPE_F32, N, T};
    struct phi_columns targets = phi_columns_over(&memory, 3, "targets");
    static struct kept kept;
    struct phi_ridge_sink sink = {keep, &kept};
    struct phi_ridge_options options = {.lambdas = least, .n_lambdas = 1, .n_threads = 1};
    struct phi_ridge_report report;
    struct phi_ridge_plan *plan;
    struct ph_error err = {0};

    (void)state;
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++)
            twice[i * N + j] = k[(i / 2) * N + j / 2];
    phi_gram_centre(twice, N);
    least[0] = 1e-18 * phi_gram_mean_diagonal(twice, N);
    least[1] = 1e-17 * phi_gram_mean_diagonal(twice, N);
    for (int round = 0; round < 2; round++) {
        options.n_lambdas = round ? 2 : 1;
        options.folds = round ? &folds : NULL;
        options.choice = round ? PHI_RIDGE_SHARED : PHI_RIDGE_PER_TARGET;
        kept.coef = phi_calloc2(N, T, sizeof *kept.coef);
        assert_ok(phi_ridge_plan_dual(twice, NULL, N, &options, &plan, &err), err);
        assert_ok(phi_ridge_fit(plan, &targets, &sink, &report, &err), err);
        phi_ridge_plan_destroy(&plan);
        for (size_t t = 0; t < 3; t++) {
            double mean = 0;

            for (size_t i = 0; i < N; i++)
                mean += (double)y[i * T + t] / N;
            for (size_t i = 0; i < N; i += 2) {
                double pair = (double)(y[i * T + t] + y[(i + 1) * T + t]) / 2 - mean, estimate = 0;

                for (size_t j = 0; j < N; j++)
                    estimate += twice[i * N + j] * kept.coef[j * T + t];
                assert_near(estimate, pair, 1e-3);
            }
        }
        phi_free(kept.coef);
    }
    phi_free(twice);
}

/* A team of one, to see that its functions are the ones used. */
struct counts {
    int n_sum, n_agree, n_eigh, n_inverse;
};

static enum ph_status count_sum(void *ctx, double *values, size_t n, struct ph_error *reterr)
{
    (void)values;
    (void)reterr;
    assert_int_equal(n, L);
    ((struct counts *)ctx)->n_sum++;
    return PH_OK;
}

static enum ph_status count_agree(void *ctx, enum ph_status mine, struct ph_error *reterr)
{
    (void)reterr;
    ((struct counts *)ctx)->n_agree++;
    return mine;
}

static enum ph_status count_eigh(void *ctx, double *a, size_t n, double *ret_values,
                                 struct ph_error *reterr)
{
    ((struct counts *)ctx)->n_eigh++;
    return phi_eigh(a, n, ret_values, reterr);
}

static enum ph_status count_inverse(void *ctx, double *a, size_t n, struct ph_error *reterr)
{
    ((struct counts *)ctx)->n_inverse++;
    return phi_chol_inverse(a, n, reterr);
}

static void team_is_asked(void **state)
{
    static struct kept alone, together;
    struct counts counts = {0};
    struct phi_team team = {0, 1, count_sum, count_agree, count_eigh, count_inverse, &counts};
    struct phi_ridge_options options = usual();

    (void)state;
    options.choice = PHI_RIDGE_SHARED;
    (void)fit(&options, &alone);
    options.team = &team;
    (void)fit(&options, &together);
    assert_memory_equal(alone.coef, together.coef, (size_t)N * T * sizeof *alone.coef);
    assert_int_equal(counts.n_sum, 1);
    assert_int_equal(counts.n_agree, 1);
    assert_int_equal(counts.n_eigh, 5);
    assert_int_equal(counts.n_inverse, 1);
    phi_free(alone.coef);
    phi_free(together.coef);
}

/* Sums the squared errors of the estimates a block hands out: they must give its R2 again. */
static enum ph_status check_estimates(void *ctx, const struct phi_ridge_block *b,
                                      struct ph_error *reterr)
{
    const float *estimate = b->estimate;

    (void)ctx;
    (void)reterr;
    for (size_t t = 0; t < b->n; t += 97) {
        double sse = 0, sst = 0;

        for (size_t f = 0; f < folds.n_folds; f++) {
            struct phi_fold fold = phi_fold_at(&folds, f);
            size_t n_train = phi_fold_n_train(&fold);
            double mean = 0;

            for (size_t i = 0; i < n_train; i++)
                mean +=
                    (double)y[phi_fold_train_row(&fold, i) * T + b->first + t] / (double)n_train;
            for (size_t i = fold.test_from; i < fold.test_to; i++) {
                double truth = (double)y[i * T + b->first + t];

                sse += pow(truth - (double)estimate[i * b->n + t], 2);
                sst += pow(truth - mean, 2);
            }
        }
        assert_near(1 - sse / sst, b->cv_r2[t], 1e-4);
    }
    return PH_OK;
}

static void estimates_are_out_of_fold(void **state)
{
    struct phi_columns_memory memory = {y, PHI_DTYPE_F32, N, T};
    struct phi_columns targets = phi_columns_over(&memory, T, "targets");
    struct phi_ridge_sink sink = {check_estimates, NULL};
    struct phi_ridge_options options = usual();
    struct phi_ridge_report report;
    struct phi_ridge_plan *plan;
    struct ph_error err = {0};

    (void)state;
    options.estimates = true;
    options.n_block = 700;
    for (int choice = PHI_RIDGE_PER_TARGET; choice <= PHI_RIDGE_SHARED; choice++) {
        options.choice = (enum phi_ridge_choice)choice;
        assert_ok(phi_ridge_plan_dual(k, NULL, N, &options, &plan, &err), err);
        assert_ok(phi_ridge_fit(plan, &targets, &sink, &report, &err), err);
        phi_ridge_plan_destroy(&plan);
    }
}

static enum ph_status try_fit(const struct phi_ridge_options *options, const float *targets,
                              size_t n_rows, size_t n_targets, struct ph_error *err)
{
    struct phi_columns_memory memory = {targets, PHI_DTYPE_F32, n_rows, n_targets};
    struct phi_columns columns = phi_columns_over(&memory, n_targets, "targets");
    static struct kept kept;
    struct phi_ridge_sink sink = {keep, &kept};
    struct phi_ridge_report report;
    struct phi_ridge_plan *plan;
    enum ph_status status;

    kept.coef = phi_calloc2(N, T, sizeof *kept.coef);
    assert_ok(phi_ridge_plan_dual(k, NULL, N, options, &plan, err), *err);
    status = phi_ridge_fit(plan, &columns, &sink, &report, err);
    phi_ridge_plan_destroy(&plan);
    phi_free(kept.coef);
    if (!status && n_targets == 2)
        assert_int_equal(report.n_constant, 1);
    return status;
}

static void bad_targets_are_named(void **state)
{
    float two[N * 2];
    struct ph_error err = {0};

    (void)state;
    for (int choice = PHI_RIDGE_PER_TARGET; choice <= PHI_RIDGE_SHARED; choice++) {
        struct phi_ridge_options options = usual();

        options.choice = (enum phi_ridge_choice)choice;
        for (size_t i = 0; i < N; i++) {
            two[2 * i] = x[i * M];
            two[2 * i + 1] = 7;
        }
        assert_int_equal(try_fit(&options, two, N, 2, &err), PH_E_INVAL);
        assert_non_null(strstr(err.text, "target 1 is constant"));
        options.allow_constant = true;
        assert_ok(try_fit(&options, two, N, 2, &err), err);
        two[2 * 9 + 1] = NAN;
        assert_int_equal(try_fit(&options, two, N, 2, &err), PH_E_INVAL);
        assert_non_null(strstr(err.text, "row 9, column 1"));
        assert_int_equal(try_fit(&options, two, N - 1, 2, &err), PH_E_SHAPE);
    }
}

static void bad_options_are_named(void **state)
{
    const double wrong[] = {1, 1};
    struct phi_ridge_options options = usual();
    struct phi_ridge_plan *plan = NULL;
    struct ph_error err = {0};

    (void)state;
    options.folds = NULL;
    assert_int_equal(phi_ridge_plan_dual(k, NULL, N, &options, &plan, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "folds"));
    options.lambdas = wrong;
    options.n_lambdas = 2;
    options.folds = &folds;
    assert_int_equal(phi_ridge_plan_dual(k, NULL, N, &options, &plan, &err), PH_E_INVAL);
    options = usual();
    assert_int_equal(phi_ridge_plan_dual(k, NULL, N - 1, &options, &plan, &err), PH_E_SHAPE);
    assert_null(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float32_agrees),
        cmocka_unit_test(blocks_and_threads_change_no_bit),
        cmocka_unit_test(penalties_follow_the_noise),
        cmocka_unit_test(shared_penalty_is_the_best_for_all),
        cmocka_unit_test(single_penalty_solves_its_equation),
        cmocka_unit_test(vanishing_penalty_is_fitted),
        cmocka_unit_test(team_is_asked),
        cmocka_unit_test(folds_may_bring_their_gram),
        cmocka_unit_test(estimates_are_out_of_fold),
        cmocka_unit_test(bad_targets_are_named),
        cmocka_unit_test(bad_options_are_named),
    };
    return cmocka_run_group_tests_name("decode/ridge_fit", tests, make_data, free_data);
}
