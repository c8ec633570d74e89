/* SPDX-License-Identifier: MIT
 * The Gram matrix of delays from one product equals the one of the columns laid side by side; rows
 * never cross a run's border; spread coefficients give the weights of their delay. */
#include "base/rng.h"
#include "decode/lags.h"
#include "test.h"

enum { N = 14, M = 3, L = 3 };

static const int lag[L] = {0, 2, -1};
static const size_t run_rows[] = {8, 6};
static const struct phi_lags lags = {lag, L, run_rows, 2};
static double x[N * M], k1[N * N];

static int fill(void **state)
{
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 6, 0);
    for (size_t i = 0; i < N * M; i++)
        x[i] = phi_rng_normal(&rng);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++)
            for (size_t c = 0; c < M; c++)
                k1[i * N + j] += x[i * M + c] * x[j * M + c];
    return 0;
}

static void rows_stay_in_their_run(void **state)
{
    const uint32_t expected[] = {1, 2, 3, 4, 5, 9, 10, 11};
    const size_t tiny_rows[] = {2, 1};
    const struct phi_lags tiny = {lag, L, tiny_rows, 2};
    uint32_t rows[N];

    (void)state;
    assert_int_equal(phi_lag_rows(&lags, rows), 8);
    assert_memory_equal(rows, expected, sizeof expected);
    assert_int_equal(phi_lag_rows(&tiny, rows), 0);
}

static void gram_equals_wide_columns(void **state)
{
    uint32_t rows[N];
    size_t n_rows = phi_lag_rows(&lags, rows);
    double wide[N * M * L], k[N * N];

    (void)state;
    phi_lag_columns_f64(&lags, x, M, rows, n_rows, wide);
    phi_lag_gram(&lags, k1, N, rows, n_rows, k);
    for (size_t i = 0; i < n_rows; i++)
        for (size_t j = 0; j < n_rows; j++) {
            double sum = 0;

            for (size_t c = 0; c < M * L; c++)
                sum += wide[i * M * L + c] * wide[j * M * L + c];
            assert_near(k[i * n_rows + j], sum, 1e-12);
        }
    assert_near(wide[M], x[(1 + 2) * M], 0);
}

static void spread_coefficients(void **state)
{
    uint32_t rows[N];
    size_t n_rows = phi_lag_rows(&lags, rows);
    float coef[N], spread[N];
    double wide[N * M * L];

    (void)state;
    phi_lag_columns_f64(&lags, x, M, rows, n_rows, wide);
    for (size_t i = 0; i < n_rows; i++)
        coef[i] = (float)i + 1;
    for (size_t l = 0; l < L; l++) {
        phi_lag_spread(&lags, l, coef, 1, rows, n_rows, spread, N);
        for (size_t c = 0; c < M; c++) {
            double direct = 0, by_spread = 0;

            for (size_t i = 0; i < n_rows; i++)
                direct += wide[(i * L + l) * M + c] * (double)coef[i];
            for (size_t i = 0; i < N; i++)
                by_spread += x[i * M + c] * (double)spread[i];
            assert_near(by_spread, direct, 1e-12);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_stay_in_their_run),
        cmocka_unit_test(gram_equals_wide_columns),
        cmocka_unit_test(spread_coefficients),
    };
    return cmocka_run_group_tests_name("decode/lags", tests, fill, NULL);
}
