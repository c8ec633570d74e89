/* SPDX-License-Identifier: MIT
 * Leave-one-out equals refitting without each sample; it and GCV are refused on a series; fractions
 * give weights of the length asked for; bad problems are named. (Stored numbers: tests/golden.) */
#include "base/rng.h"
#include "decode/ridge.h"
#include "test.h"

enum { N = 9, M = 5, T = 2 };

static double x[N * M], y[N * T];

static int fill(void **state)
{
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 21, 0);
    for (size_t i = 0; i < N * M; i++)
        x[i] = 3 + phi_rng_normal(&rng);
    for (size_t i = 0; i < N * T; i++)
        y[i] = 1 + x[i] + phi_rng_normal(&rng);
    return 0;
}

static void refit_without(size_t left, double lambda, double *pred)
{
    double xs[N * M], ys[N * T], w[M * T];
    struct phi_ridge_problem rest = {xs, ys, N - 1, M, T};
    struct ph_error err = {0};

    for (size_t i = 0, k = 0; i < N; i++) {
        if (i == left)
            continue;
        memcpy(xs + k * M, x + i * M, M * sizeof *x);
        memcpy(ys + k * T, y + i * T, T * sizeof *y);
        k++;
    }
    assert_ok(phi_ridge_solve(&rest, PHI_RIDGE_AUTO, lambda, w, pred, &err), err);
    for (size_t j = 0; j < M; j++)
        for (size_t k = 0; k < T; k++)
            pred[k] += x[left * M + j] * w[j * T + k];
}

static void loo_equals_refitting(void **state)
{
    const struct phi_ridge_problem problem = {x, y, N, M, T};
    struct phi_ridge_path path;
    double loo[N * T], pred[T];
    struct ph_error err = {0};

    (void)state;
    assert_ok(phi_ridge_path_create(&problem, true, &path, &err), err);
    assert_ok(phi_ridge_path_loo(&path, 0.7, PHI_ROWS_SEPARATE, loo, &err), err);
    for (size_t i = 0; i < N; i++) {
        refit_without(i, 0.7, pred);
        for (size_t k = 0; k < T; k++)
            assert_near(loo[i * T + k], pred[k], 1e-11);
    }
    assert_int_equal(phi_ridge_path_loo(&path, 0.7, PHI_ROWS_SERIES, loo, &err), PH_E_STATE);
    assert_non_null(strstr(err.text, "neighbours"));
    assert_int_equal(phi_ridge_path_gcv(&path, 0.7, PHI_ROWS_SERIES, pred, &err), PH_E_STATE);
    phi_ridge_path_fini(&path);
}

static double length(const struct phi_ridge_path *path, double alpha)
{
    double lambda[T] = {alpha, alpha}, w[M * T], b[T], sum = 0;

    phi_ridge_path_weights(path, lambda, w, b);
    for (size_t j = 0; j < M; j++)
        sum += w[j * T] * w[j * T];
    return sqrt(sum);
}

static void fractions_have_their_length(void **state)
{
    const struct phi_ridge_problem problem = {x, y, N, M, T};
    struct phi_ridge_path path;
    struct ph_error err = {0};

    (void)state;
    assert_ok(phi_ridge_path_create(&problem, true, &path, &err), err);
    for (double f = 0.05; f < 1; f += 0.15)
        assert_near(length(&path, phi_ridge_path_fraction(&path, 0, f)) / length(&path, 0), f,
                    1e-9);
    assert_near(phi_ridge_path_fraction(&path, 0, 1), 0, 0);
    phi_ridge_path_fini(&path);
}

static void bad_problems_are_named(void **state)
{
    struct phi_ridge_problem problem = {x, y, 1, M, T};
    double w[M * T], b[T], keep = y[3];
    struct ph_error err = {0};

    (void)state;
    assert_int_equal(phi_ridge_solve(&problem, PHI_RIDGE_DUAL, 1, w, b, &err), PH_E_SHAPE);
    problem.n = N;
    assert_int_equal(phi_ridge_solve(&problem, PHI_RIDGE_DUAL, 0, w, b, &err), PH_E_INVAL);
    y[3] = NAN;
    for (int form = PHI_RIDGE_AUTO; form <= PHI_RIDGE_SVD; form++) {
        assert_int_equal(phi_ridge_solve(&problem, (enum phi_ridge_form)form, 1, w, b, &err),
                         PH_E_INVAL);
        assert_non_null(strstr(err.text, "sample 1, target 1"));
    }
    y[3] = keep;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loo_equals_refitting),
        cmocka_unit_test(fractions_have_their_length),
        cmocka_unit_test(bad_problems_are_named),
    };
    return cmocka_run_group_tests_name("decode/ridge", tests, fill, NULL);
}
