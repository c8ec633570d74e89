/* SPDX-License-Identifier: MIT
 *
 * Body of ridge_block_f32.c and ridge_block_f64.c, which define REAL, GEMM and NAME(x). The squared
 * errors of all penalties are quadratic forms in a few predictions, so only their products are
 * summed, in float64.
 */
#include <string.h>

#include "decode/ridge_block.h"

#define CHUNK 64 /* targets whose product sums stay in the first-level cache */

/* Z = Q' Y over the training rows, which lie before and after the test block. */
static void project(const REAL *q, size_t r, size_t stride_q, const struct phi_fold *fold,
                    struct phi_ridge_slice slice, REAL *z)
{
    const REAL *y = slice.y;
    size_t n_after = fold->n_rows - fold->after;

    if (fold->before)
        GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)r, (int)slice.n, (int)fold->before, 1,
             q, (int)stride_q, y, (int)slice.stride, 0, z, (int)slice.n);
    if (n_after)
        GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)r, (int)slice.n, (int)n_after, 1,
             q + fold->before, (int)stride_q, y + fold->after * slice.stride, (int)slice.stride,
             fold->before ? 1 : 0, z, (int)slice.n);
}

static void train_means(const struct phi_ridge_fold *fold, struct phi_ridge_slice slice,
                        double *mean)
{
    const REAL *y = slice.y;

    memset(mean, 0, slice.n * sizeof *mean);
    for (size_t i = 0; i < fold->n_train; i++) {
        const REAL *row = y + phi_fold_train_row(&fold->fold, i) * slice.stride;

        for (size_t t = 0; t < slice.n; t++)
            mean[t] += (double)row[t];
    }
    for (size_t t = 0; t < slice.n; t++)
        mean[t] /= (double)fold->n_train;
}

/* The deviation of one test row and its predictions by each penalty function. */
static void load_row(const struct phi_ridge_fold *fold, struct phi_ridge_slice slice,
                     const struct phi_ridge_scratch *scratch, size_t row, size_t from, size_t n,
                     double (*values)[CHUNK])
{
    const REAL *y = (const REAL *)slice.y + (fold->fold.test_from + row) * slice.stride + from;
    const REAL *pred = scratch->pred;

    for (size_t t = 0; t < n; t++)
        values[0][t] = (double)y[t] - scratch->mean[from + t];
    for (size_t b = 0; b < fold->n_basis; b++) {
        const REAL *p = pred + (b * fold->n_test + row) * slice.n + from;

        for (size_t t = 0; t < n; t++)
            values[b + 1][t] = (double)p[t];
    }
}

static void sum_products(const struct phi_ridge_fold *fold, struct phi_ridge_slice slice,
                         const struct phi_ridge_scratch *scratch, size_t from, size_t n)
{
    double values[PHI_RIDGE_MAX_BASIS + 1][CHUNK];

    for (size_t row = 0; row < fold->n_test; row++) {
        double *sum = scratch->stats + from;

        load_row(fold, slice, scratch, row, from, n, values);
        for (size_t a = 0; a <= fold->n_basis; a++)
            for (size_t b = 0; b <= a; b++, sum += slice.n)
                for (size_t t = 0; t < n; t++)
                    sum[t] += values[a][t] * values[b][t];
    }
}

/* Row of stats that holds the sums of a times b, b <= a. */
static const double *product_row(const struct phi_ridge_scratch *scratch, size_t n, size_t a,
                                 size_t b)
{
    return scratch->stats + (a * (a + 1) / 2 + b) * n;
}

/* |y - sum_b mix_b p_b|^2 from the product sums. */
static double error_of(const struct phi_ridge_fold *fold, const struct phi_ridge_scratch *scratch,
                       size_t n, size_t t, const double *mix)
{
    double sse = product_row(scratch, n, 0, 0)[t];

    for (size_t a = 0; a < fold->n_basis; a++) {
        double inner = -2 * product_row(scratch, n, a + 1, 0)[t];

        for (size_t b = 0; b < a; b++)
            inner += 2 * mix[b] * product_row(scratch, n, a + 1, b + 1)[t];
        inner += mix[a] * product_row(scratch, n, a + 1, a + 1)[t];
        sse += mix[a] * inner;
    }
    return sse > 0 ? sse : 0;
}

/* Predictions of the test rows by each penalty function, and the training means. */
static void predict_test_rows(const struct phi_ridge_fold *fold, struct phi_ridge_slice slice,
                              const struct phi_ridge_scratch *scratch)
{
    project(fold->q, fold->r, fold->n_train, &fold->fold, slice, scratch->z);
    GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)(fold->n_basis * fold->n_test),
         (int)slice.n, (int)fold->r, 1, fold->p, (int)fold->r, scratch->z, (int)slice.n, 0,
         scratch->pred, (int)slice.n);
    train_means(fold, slice, scratch->mean);
}

void NAME(phi_ridge_fold_errors)(const struct phi_ridge_fold *fold, struct phi_ridge_slice slice,
                                 const struct phi_ridge_scratch *scratch, double *sse,
                                 size_t stride_sse, double *sst)
{
    size_t n_stats = (fold->n_basis + 1) * (fold->n_basis + 2) / 2;

    predict_test_rows(fold, slice, scratch);
    memset(scratch->stats, 0, n_stats * slice.n * sizeof *scratch->stats);
    for (size_t from = 0; from < slice.n; from += CHUNK)
        sum_products(fold, slice, scratch, from, slice.n - from < CHUNK ? slice.n - from : CHUNK);
    for (size_t t = 0; t < slice.n; t++) {
        sst[t] += scratch->stats[t];
        for (size_t l = 0; l < fold->n_lambdas; l++)
            sse[l * stride_sse + t] +=
                error_of(fold, scratch, slice.n, t, fold->mix + l * fold->n_basis);
    }
}

void NAME(phi_ridge_fold_estimates)(const struct phi_ridge_fold *fold, struct phi_ridge_slice slice,
                                    const struct phi_ridge_scratch *scratch, const size_t *choice,
                                    const double *mean, void *estimate)
{
    const REAL *pred = scratch->pred;

    predict_test_rows(fold, slice, scratch);
    for (size_t row = 0; row < fold->n_test; row++) {
        REAL *out = (REAL *)estimate + (fold->fold.test_from + row) * slice.stride;

        for (size_t t = 0; t < slice.n; t++) {
            double sum = mean[t] + scratch->mean[t];

            for (size_t b = 0; b < fold->n_basis; b++)
                sum += fold->mix[choice[t] * fold->n_basis + b] *
                       (double)pred[(b * fold->n_test + row) * slice.n + t];
            out[t] = (REAL)sum;
        }
    }
}

void NAME(phi_ridge_coefficients)(const struct phi_ridge_whole *whole, struct phi_ridge_slice slice,
                                  const double *lambda, const struct phi_ridge_scratch *scratch,
                                  void *coef, size_t stride_coef)
{
    struct phi_fold all = phi_fold_whole(whole->n);
    REAL *z = scratch->z;

    project(whole->q, whole->r, whole->n, &all, slice, z);
    for (size_t j = 0; j < whole->r; j++)
        for (size_t t = 0; t < slice.n; t++)
            z[j * slice.n + t] = (REAL)((double)z[j * slice.n + t] / (whole->e[j] + lambda[t]));
    GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)whole->n_out, (int)slice.n, (int)whole->r,
         1, whole->out, (int)whole->r, z, (int)slice.n, 0, coef, (int)stride_coef);
}

void NAME(phi_ridge_direct)(const struct phi_ridge_whole *whole, double lambda, void *scaled,
                            void *direct)
{
    const REAL *out = whole->out;
    REAL *to = scaled;

    for (size_t i = 0; i < whole->n_out; i++)
        for (size_t j = 0; j < whole->r; j++)
            to[i * whole->r + j] = (REAL)((double)out[i * whole->r + j] / (whole->e[j] + lambda));
    GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)whole->n_out, (int)whole->n, (int)whole->r,
         1, to, (int)whole->r, whole->q, (int)whole->n, 0, direct, (int)whole->n);
}

void NAME(phi_ridge_apply)(const struct phi_ridge_whole *whole, const void *direct,
                           struct phi_ridge_slice slice, void *coef, size_t stride_coef)
{
    GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)whole->n_out, (int)slice.n, (int)whole->n,
         1, direct, (int)whole->n, slice.y, (int)slice.stride, 0, coef, (int)stride_coef);
}
