/* SPDX-License-Identifier: MIT
 * Ridge against an independent float64 implementation, within 1e-9: primal, dual and SVD weights,
 * the streamed dual and primal fits, hat matrix, leave-one-out, GCV, blocked cross-validation, two
 * bands and fractional ridge. */
#include "decode/banded.h"
#include "decode/betas.h"
#include "decode/columns.h"
#include "decode/gram.h"
#include "decode/ridge.h"
#include "decode/ridge_fit.h"
#include "golden.h"

#include <stdbool.h>

enum { N = 20, M = 30, T = 3 };
#define TOLERANCE 1e-9

static const double penalties[] = {0.1, 1, 10, 100};
static const char *const case_names[] = {"0.1", "1", "10", "100"};

struct fixture {
    json_t *root;
    double *x, *y;
};

static int open_vectors(void **state)
{
    static struct fixture fixture;

    fixture.root = golden_json("ridge.json");
    fixture.x = golden_array(fixture.root, "X", N * M);
    fixture.y = golden_array(fixture.root, "Y", N * T);
    *state = &fixture;
    return 0;
}

static int close_vectors(void **state)
{
    struct fixture *fixture = *state;

    json_decref(fixture->root);
    phi_free(fixture->x);
    phi_free(fixture->y);
    return 0;
}

static void compare(const double *ours, const json_t *root, const char *path, size_t n)
{
    double *theirs = golden_array(root, path, n);
    double error = golden_error(ours, theirs, n);

    phi_free(theirs);
    if (!(error <= TOLERANCE))
        fail_msg("%s differs by %.3g", path, error);
}

static const json_t *case_at(const struct fixture *f, size_t l)
{
    return json_object_get(json_object_get(f->root, "cases"), case_names[l]);
}

static void three_forms(void **state)
{
    const struct fixture *f = *state;
    const struct phi_ridge_problem problem = {f->x, f->y, N, M, T};
    double w[M * T], b[T];
    struct ph_error err = {0};

    for (size_t l = 0; l < 4; l++)
        for (int form = PHI_RIDGE_AUTO; form <= PHI_RIDGE_SVD; form++) {
            assert_ok(
                phi_ridge_solve(&problem, (enum phi_ridge_form)form, penalties[l], w, b, &err),
                err);
            compare(w, case_at(f, l), "weights", M * T);
            compare(b, case_at(f, l), "intercept", T);
        }
}

static void path_statistics(void **state)
{
    const struct fixture *f = *state;
    const struct phi_ridge_problem problem = {f->x, f->y, N, M, T};
    struct phi_ridge_path path;
    double hat[N], loo[N * T], gcv[T], df;
    struct ph_error err = {0};

    assert_ok(phi_ridge_path_create(&problem, true, &path, &err), err);
    for (size_t l = 0; l < 4; l++) {
        df = phi_ridge_path_hat(&path, penalties[l], hat);
        compare(&df, case_at(f, l), "df", 1);
        compare(hat, case_at(f, l), "hat_diag", N);
        assert_ok(phi_ridge_path_loo(&path, penalties[l], PHI_ROWS_SEPARATE, loo, &err), err);
        compare(loo, case_at(f, l), "loo_pred", N * T);
        assert_ok(phi_ridge_path_gcv(&path, penalties[l], PHI_ROWS_SEPARATE, gcv, &err), err);
        compare(gcv, case_at(f, l), "gcv", T);
    }
    phi_ridge_path_fini(&path);
}

/* What a fit hands out, kept for looking at. */
struct kept {
    double coef[M * T], lambda[T], sse[4 * T];
};

static enum ph_status keep(void *ctx, const struct phi_ridge_block *block, struct ph_error *reterr)
{
    struct kept *kept = ctx;

    (void)reterr;
    assert_int_equal(block->n, T);
    memcpy(kept->coef, block->coef, block->n_out * T * sizeof(double));
    memcpy(kept->lambda, block->lambda, sizeof kept->lambda);
    if (block->cv_sse)
        memcpy(kept->sse, block->cv_sse, sizeof kept->sse);
    return PH_OK;
}

static struct kept fit(struct fixture *f, bool dual, const struct phi_ridge_options *options)
{
    struct phi_columns_memory xm = {f->x, PHI_DTYPE_F64, N, M}, ym = {f->y, PHI_DTYPE_F64, N, T};
    struct phi_columns x = phi_columns_over(&xm, M, "voxels");
    struct phi_columns y = phi_columns_over(&ym, T, "targets");
    struct phi_gram_options gram = {.dtype = PHI_DTYPE_F64, .n_threads = 2};
    struct phi_ridge_plan *plan;
    struct kept kept = {0};
    struct phi_ridge_sink sink = {keep, &kept};
    struct phi_ridge_report report;
    double k[N * N], mean[M], scale[M];
    struct ph_error err = {0};

    assert_ok(phi_gram(&x, &gram, k, mean, scale, &err), err);
    if (dual)
        assert_ok(phi_ridge_plan_dual(k, NULL, N, options, &plan, &err), err);
    else
        assert_ok(phi_ridge_plan_primal(f->x, N, M, options, &plan, &err), err);
    assert_ok(phi_ridge_fit(plan, &y, &sink, &report, &err), err);
    assert_int_equal(report.n_targets, T);
    phi_ridge_plan_destroy(&plan);
    return kept;
}

static void streamed_fit_with_one_penalty(void **state)
{
    struct fixture *f = *state;

    for (size_t l = 0; l < 4; l++) {
        struct phi_ridge_options options = {
            .lambdas = &penalties[l], .n_lambdas = 1, .dtype = PHI_DTYPE_F64, .n_threads = 1};
        struct kept kept = fit(f, true, &options);

        compare(kept.coef, case_at(f, l), "alpha", N * T);
        kept = fit(f, false, &options);
        compare(kept.coef, case_at(f, l), "weights", M * T);
    }
}

static void blocked_cross_validation(void **state)
{
    struct fixture *f = *state;
    struct phi_folds folds;
    struct phi_ridge_options options = {.lambdas = penalties,
                                        .n_lambdas = 4,
                                        .folds = &folds,
                                        .dtype = PHI_DTYPE_F64,
                                        .n_threads = 2};
    struct ph_error err = {0};

    assert_ok(phi_folds_contiguous(N, 4, 0, &folds, &err), err);
    for (int dual = 0; dual < 2; dual++) {
        struct kept kept = fit(f, dual, &options);

        compare(kept.sse, f->root, "blocked_cv.sse", 4 * T);
        compare(kept.lambda, f->root, "blocked_cv.best_lambda_per_target", T);
    }
}

/* The stored case gives penalties per band; with an overall penalty of 1 they are shares 1/l. */
static void two_bands(void **state)
{
    const struct fixture *f = *state;
    const double share[] = {1 / 2.0, 1 / 50.0}, lambda[T] = {1, 1, 1};
    double k[2][N * N], mean[M], scale[M], yc[N * T], dual[N * T];
    const double *grams[] = {k[0], k[1]};
    struct phi_bands bands = {grams, 2, N};
    struct phi_gram_options gram = {.dtype = PHI_DTYPE_F64, .n_threads = 1};
    struct ph_error err = {0};

    for (size_t b = 0; b < 2; b++) {
        struct phi_columns_memory memory = {f->x + 12 * b, PHI_DTYPE_F64, N, M};
        struct phi_columns x = phi_columns_over(&memory, b ? M - 12 : 12, "voxels");

        assert_ok(phi_gram(&x, &gram, k[b], mean, scale, &err), err);
    }
    for (size_t t = 0; t < T; t++) {
        double m = 0;

        for (size_t i = 0; i < N; i++)
            m += f->y[i * T + t] / N;
        for (size_t i = 0; i < N; i++)
            yc[i * T + t] = f->y[i * T + t] - m;
    }
    assert_ok(phi_banded_solve(&bands, share, lambda, yc, T, dual, &err), err);
    compare(dual, f->root, "banded.dual", N * T);
}

static void fractional_ridge(void **state)
{
    static const char *const names[] = {"0.3", "0.7"};
    const struct fixture *f = *state;
    double *x = golden_array(f->root, "fracridge.X", 40 * 8);
    double *y = golden_array(f->root, "fracridge.y", 40);
    const struct phi_ridge_problem problem = {x, y, 40, 8, 1};
    struct phi_ridge_path path;
    struct ph_error err = {0};
    double alpha = 0, w[8], b;

    assert_ok(phi_ridge_path_create(&problem, false, &path, &err), err);
    phi_ridge_path_weights(&path, &alpha, w, &b);
    compare(w, f->root, "fracridge.ols", 8);
    for (size_t i = 0; i < 2; i++) {
        const json_t *one = json_object_get(golden_at(f->root, "fracridge.fractions"), names[i]);

        alpha = phi_ridge_path_fraction(&path, 0, 0.3 + 0.4 * (double)i);
        compare(&alpha, one, "alpha", 1);
        phi_ridge_path_weights(&path, &alpha, w, &b);
        compare(w, one, "beta", 8);
    }
    phi_ridge_path_fini(&path);
    phi_free(x);
    phi_free(y);
}

/* Fractional ridge of trials: the same coefficients, by its own search for the penalty. */
static void fractional_trials(void **state)
{
    static const char *const names[] = {"0.3", "0.7"};
    const struct fixture *f = *state;
    double *x = golden_array(f->root, "fracridge.X", 40 * 8);
    double *y = golden_array(f->root, "fracridge.y", 40), got[8];
    float y32[40], beta[8], r2, fraction;
    uint8_t shape;
    const struct phi_betas_data data = {40, 8, 1, 1, 0, x, NULL, y32};
    const struct phi_betas out = {beta, &shape, &r2, &fraction};
    struct ph_error err = {0};

    for (size_t i = 0; i < 40; i++)
        y32[i] = (float)y[i];
    for (size_t i = 0; i < 2; i++) {
        const json_t *one = json_object_get(golden_at(f->root, "fracridge.fractions"), names[i]);
        const struct phi_betas_options options = {
            .method = PHI_BETAS_RIDGE, .fraction = 0.3 + 0.4 * (double)i, .keep_scale = true};
        double *want = golden_array(one, "beta", 8);

        assert_ok(phi_betas_fit(&data, &options, &out, &err), err);
        for (size_t k = 0; k < 8; k++)
            got[k] = (double)beta[k];
        assert_near(golden_error(got, want, 8), 0, 1e-6); /* float32 data */
        phi_free(want);
    }
    phi_free(x);
    phi_free(y);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_forms),
        cmocka_unit_test(path_statistics),
        cmocka_unit_test(streamed_fit_with_one_penalty),
        cmocka_unit_test(blocked_cross_validation),
        cmocka_unit_test(two_bands),
        cmocka_unit_test(fractional_ridge),
        cmocka_unit_test(fractional_trials),
    };

    if (argc > 1)
        golden_dir = argv[1];
    return cmocka_run_group_tests_name("golden/ridge", tests, open_vectors, close_vectors);
}
