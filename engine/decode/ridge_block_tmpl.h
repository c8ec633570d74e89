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
    if (fold->map) {
        project(fold->map, fold->n_test, fold->n_train, &fold->fold, slice, scratch->pred);
    } else {
        project(fold->q, fold->r, fold->n_train, &fold->fold, slice, scratch->z);
        GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)(fold->n_basis * fold->n_test),
             (int)slice.n, (int)fold->r, 1, fold->p, (int)fold->r, scratch->z, (int)slice.n, 0,
             scratch->pred, (int)slice.n);
    }
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

/* The part of c that stands between the test rows and themselves, both less the training mean. */
static double test_trace(const struct phi_fold *fold, const REAL *c)
{
    size_t n = fold->n_rows, n_train = phi_fold_n_train(fold);
    double sum = 0, means = 0;

    for (size_t i = fold->test_from; i < fold->test_to; i++) {
        double row = 0;

        for (size_t j = 0; j < n_train; j++)
            row += (double)c[i * n + phi_fold_train_row(fold, j)];
        sum += (double)c[i * n + i] - 2 * row / (double)n_train;
    }
    for (size_t i = 0; i < n_train; i++)
        for (size_t j = 0; j < n_train; j++)
            means += (double)c[phi_fold_train_row(fold, i) * n + phi_fold_train_row(fold, j)];
    means /= (double)n_train * (double)n_train;
    return sum + (double)(fold->test_to - fold->test_from) * means;
}

/* zz = Z Q' over the training rows, pp = P' P. */
static void left_products(const struct phi_ridge_fold *fold, const struct phi_ridge_left_work *work)
{
    int n = (int)fold->fold.n_rows, r = (int)fold->r, n_train = (int)fold->n_train;
    int before = (int)fold->fold.before, n_after = n_train - before;
    const REAL *z = work->z, *q = fold->q;

    if (before)
        GEMM(CblasRowMajor, CblasNoTrans, CblasTrans, r, r, before, 1, z, n, q, n_train, 0,
             work->zz, r);
    if (n_after)
        GEMM(CblasRowMajor, CblasNoTrans, CblasTrans, r, r, n_after, 1, z + fold->fold.after, n,
             q + before, n_train, before ? 1 : 0, work->zz, r);
    GEMM(CblasRowMajor, CblasTrans, CblasNoTrans, r, r, (int)fold->n_test, 1, fold->p, r, fold->p,
         r, 0, work->pp, r);
}

/* sum over test rows of P[i][j] times Z[j][i] less its training mean. */
static double left_cross(const struct phi_ridge_fold *fold, const REAL *z, size_t j)
{
    const REAL *row = z + j * fold->fold.n_rows, *p = fold->p;
    double mean = 0, sum = 0;

    for (size_t i = 0; i < fold->n_train; i++)
        mean += (double)row[phi_fold_train_row(&fold->fold, i)] / (double)fold->n_train;
    for (size_t i = 0; i < fold->n_test; i++)
        sum += (double)p[i * fold->r + j] * ((double)row[fold->fold.test_from + i] - mean);
    return sum;
}

void NAME(phi_ridge_fold_left)(const struct phi_ridge_fold *fold, const void *c,
                               const double *lambdas, size_t n_lambdas,
                               const struct phi_ridge_left_work *work, double *left)
{
    struct phi_ridge_slice rows = {c, fold->fold.n_rows, fold->fold.n_rows};
    const REAL *zz = work->zz, *pp = work->pp;
    double trace = test_trace(&fold->fold, c), *sums = work->row + fold->r;
    size_t r = fold->r;

    project(fold->q, r, fold->n_train, &fold->fold, rows, work->z);
    left_products(fold, work);
    for (size_t l = 0; l < n_lambdas; l++) {
        left[l] += trace;
        for (size_t j = 0; j < r; j++)
            work->filter[l * r + j] = 1 / (fold->e[j] + lambdas[l]);
    }
    for (size_t j = 0; j < r; j++) {
        double cross = left_cross(fold, work->z, j);

        for (size_t i = 0; i < r; i++)
            work->row[i] = (double)zz[j * r + i] * (double)pp[j * r + i];
        cblas_dgemv(CblasRowMajor, CblasNoTrans, (int)n_lambdas, (int)r, 1, work->filter, (int)r,
                    work->row, 1, 0, sums, 1);
        for (size_t l = 0; l < n_lambdas; l++)
            left[l] += (sums[l] - 2 * cross) * work->filter[l * r + j];
    }
}

void NAME(phi_ridge_fold_map)(const struct phi_ridge_fold *fold, double lambda, void *scaled,
                              void *map)
{
    const REAL *p = fold->p;
    REAL *to = scaled;

    for (size_t i = 0; i < fold->n_test; i++)
        for (size_t j = 0; j < fold->r; j++)
            to[i * fold->r + j] = (REAL)((double)p[i * fold->r + j] / (fold->e[j] + lambda));
    GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)fold->n_test, (int)fold->n_train,
         (int)fold->r, 1, to, (int)fold->r, fold->q, (int)fold->n_train, 0, map,
         (int)fold->n_train);
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
