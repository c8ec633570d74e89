/* SPDX-License-Identifier: MIT
 * Factor, solve, eigenvectors and SVD, each by the equation it promises to fulfil. */
#include "base/rng.h"
#include "decode/linalg.h"
#include "test.h"

enum { N = 7, M = 4 };

static void fill(double *x, size_t n, uint64_t seed)
{
    struct phi_rng rng;

    phi_rng_init(&rng, seed, 0);
    for (size_t i = 0; i < n; i++)
        x[i] = phi_rng_normal(&rng);
}

/* a = x x' + I */
static void make_spd(double *a)
{
    double x[N * N];

    fill(x, N * N, 3);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            a[i * N + j] = i == j;
            for (size_t k = 0; k < N; k++)
                a[i * N + j] += x[i * N + k] * x[j * N + k];
        }
}

static void solve_undoes_product(void **state)
{
    double a[N * N], l[N * N], x[N * M], b[N * M] = {0};
    struct ph_error err = {0};

    (void)state;
    make_spd(a);
    fill(x, N * M, 5);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < M; j++)
            for (size_t k = 0; k < N; k++)
                b[i * M + j] += a[i * N + k] * x[k * M + j];
    memcpy(l, a, sizeof a);
    assert_ok(phi_chol_factor(l, N, &err), err);
    phi_chol_solve(l, N, b, M);
    for (size_t i = 0; i < N * M; i++)
        assert_near(b[i], x[i], 1e-11);
    assert_near(l[1], 0, 0);
}

static void eigenvectors_diagonalise(void **state)
{
    double a[N * N], v[N * N], values[N], logdet = 0;
    struct ph_error err = {0};

    (void)state;
    make_spd(a);
    memcpy(v, a, sizeof a);
    assert_ok(phi_eigh(v, N, values, &err), err);
    for (size_t k = 0; k < N; k++)
        for (size_t i = 0; i < N; i++) {
            double av = 0;

            for (size_t j = 0; j < N; j++)
                av += a[i * N + j] * v[k * N + j];
            assert_near(av, values[k] * v[k * N + i], 1e-10);
        }
    for (size_t k = 0; k < N; k++)
        logdet += log(values[k]);
    assert_ok(phi_chol_factor(a, N, &err), err);
    assert_near(phi_chol_logdet(a, N), logdet, 1e-11);
}

static void check_svd(const double *x, size_t n, size_t m)
{
    struct phi_svd svd;
    struct ph_error err = {0};

    assert_ok(phi_svd_create(x, n, m, &svd, &err), err);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++) {
            double sum = 0;

            for (size_t k = 0; k < svd.r; k++)
                sum += svd.u[i * svd.r + k] * svd.s[k] * svd.vt[k * m + j];
            assert_near(sum, x[i * m + j], 1e-12);
        }
    for (size_t k = 1; k < svd.r; k++)
        assert_true(svd.s[k] <= svd.s[k - 1]);
    phi_svd_fini(&svd);
}

static void svd_gives_matrix_back(void **state)
{
    double x[N * M];

    (void)state;
    fill(x, N * M, 9);
    check_svd(x, N, M);
    check_svd(x, M, N);
}

static void bad_matrices_are_refused(void **state)
{
    double a[4] = {1, 2, 2, 1}, values[2] = {-7, -7};
    struct phi_svd svd;
    struct ph_error err = {0};

    (void)state;
    assert_int_equal(phi_chol_factor(a, 2, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "positive definite"));
    a[3] = NAN;
    assert_int_equal(phi_eigh(a, 2, values, &err), PH_E_INVAL);
    assert_near(values[0], -7, 0);
    assert_int_equal(phi_svd_create(a, 0, 2, &svd, &err), PH_E_SHAPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(solve_undoes_product),
        cmocka_unit_test(eigenvectors_diagonalise),
        cmocka_unit_test(svd_gives_matrix_back),
        cmocka_unit_test(bad_matrices_are_refused),
    };
    return cmocka_run_group_tests_name("decode/linalg", tests, NULL, NULL);
}
