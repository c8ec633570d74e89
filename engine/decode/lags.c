/* SPDX-License-Identifier: MIT */
#include "decode/lags.h"

#include <string.h>

static size_t delayed(size_t row, int lag)
{
    return (size_t)((int64_t)row + lag);
}

size_t phi_lag_rows(const struct phi_lags *lags, uint32_t *ret_rows)
{
    size_t n_kept = 0, start = 0;
    int64_t least = 0, most = 0;

    for (size_t l = 0; l < lags->n_lags; l++) {
        least = lags->lag[l] < least ? lags->lag[l] : least;
        most = lags->lag[l] > most ? lags->lag[l] : most;
    }
    for (size_t run = 0; run < lags->n_runs; run++) {
        int64_t n = (int64_t)lags->run_rows[run];

        for (int64_t t = -least; t < n - most; t++)
            ret_rows[n_kept++] = (uint32_t)(start + (size_t)t);
        start += lags->run_rows[run];
    }
    return n_kept;
}

void phi_lag_gram(const struct phi_lags *lags, const double *k1, size_t n, const uint32_t *rows,
                  size_t n_rows, double *ret_k)
{
    memset(ret_k, 0, n_rows * n_rows * sizeof *ret_k);
    for (size_t l = 0; l < lags->n_lags; l++)
        for (size_t i = 0; i < n_rows; i++) {
            const double *row = k1 + delayed(rows[i], lags->lag[l]) * n;

            for (size_t j = 0; j < n_rows; j++)
                ret_k[i * n_rows + j] += row[delayed(rows[j], lags->lag[l])];
        }
}

void phi_lag_columns_f64(const struct phi_lags *lags, const double *x, size_t m,
                         const uint32_t *rows, size_t n_rows, double *ret)
{
    for (size_t i = 0; i < n_rows; i++)
        for (size_t l = 0; l < lags->n_lags; l++)
            memcpy(ret + (i * lags->n_lags + l) * m, x + delayed(rows[i], lags->lag[l]) * m,
                   m * sizeof *x);
}

void phi_lag_spread(const struct phi_lags *lags, size_t which, const float *coef, size_t t,
                    const uint32_t *rows, size_t n_rows, float *ret, size_t n)
{
    memset(ret, 0, n * t * sizeof *ret);
    for (size_t i = 0; i < n_rows; i++)
        memcpy(ret + delayed(rows[i], lags->lag[which]) * t, coef + i * t, t * sizeof *coef);
}
