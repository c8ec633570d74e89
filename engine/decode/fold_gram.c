/* SPDX-License-Identifier: MIT */
#include "decode/fold_gram.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/gram.h"
#include "decode/linalg.h"

#define LEAST_SHARE 1e-10

static void fill_train(const double *k, const struct phi_fold *fold, double *train)
{
    size_t n = fold->n_rows, n_train = phi_fold_n_train(fold);

    for (size_t i = 0; i < n_train; i++) {
        const double *row = k + phi_fold_train_row(fold, i) * n;

        memcpy(train + i * n_train, row, fold->before * sizeof *row);
        memcpy(train + i * n_train + fold->before, row + fold->after,
               (n_train - fold->before) * sizeof *row);
    }
    phi_gram_centre(train, n_train);
}

/* Mean over the training rows of every row of k. */
static void row_means(const double *k, const struct phi_fold *fold, double *mean)
{
    size_t n = fold->n_rows, n_train = phi_fold_n_train(fold);

    for (size_t i = 0; i < n; i++) {
        mean[i] = 0;
        for (size_t j = 0; j < n_train; j++)
            mean[i] += k[i * n + phi_fold_train_row(fold, j)] / (double)n_train;
    }
}

static void fill_cross(const double *k, const struct phi_fold *fold, const double *mean_of_row,
                       double *cross)
{
    size_t n = fold->n_rows, n_train = phi_fold_n_train(fold);
    double mean = 0;

    for (size_t i = 0; i < n_train; i++)
        mean += mean_of_row[phi_fold_train_row(fold, i)] / (double)n_train;
    for (size_t i = 0; i < fold->test_to - fold->test_from; i++)
        for (size_t j = 0; j < n_train; j++) {
            size_t a = fold->test_from + i, b = phi_fold_train_row(fold, j);

            cross[i * n_train + j] = k[a * n + b] - mean_of_row[a] - mean_of_row[b] + mean;
        }
}

enum ph_status phi_fold_gram(const double *k, const struct phi_fold *fold, double *ret_train,
                             double *ret_cross, struct ph_error *reterr)
{
    double *mean_of_row = phi_calloc(fold->n_rows, sizeof *mean_of_row);

    if (!mean_of_row)
        return phi_error_nomem(reterr, "row means", fold->n_rows * sizeof *mean_of_row);
    fill_train(k, fold, ret_train);
    row_means(k, fold, mean_of_row);
    fill_cross(k, fold, mean_of_row, ret_cross);
    phi_free(mean_of_row);
    return PH_OK;
}

/* Adds the penalty; false if the factor would then be rounding. */
static bool add_penalty(double *a, size_t n, double lambda)
{
    bool enough = lambda > LEAST_SHARE * (double)n * phi_gram_mean_diagonal(a, n);

    for (size_t i = 0; i < n; i++)
        a[i * n + i] += lambda;
    return enough;
}

enum ph_status phi_ridge_map_whole(const double *k, size_t n, double lambda,
                                   phi_inverse_fn *inverse, void *ctx, double *ret_map,
                                   struct ph_error *reterr)
{
    enum ph_status status;

    memcpy(ret_map, k, n * n * sizeof *k);
    phi_gram_centre(ret_map, n);
    if (!add_penalty(ret_map, n, lambda))
        return PH_SKIP;
    status = inverse ? inverse(ctx, ret_map, n, reterr) : phi_chol_inverse(ret_map, n, reterr);
    /* The mean has eigenvalue 1/lambda, the largest of all; centred targets have no part in it. */
    if (!status)
        phi_gram_centre(ret_map, n);
    return status;
}

static void transpose(const double *from, size_t n_rows, size_t n_cols, double *to)
{
    for (size_t i = 0; i < n_rows; i++)
        for (size_t j = 0; j < n_cols; j++)
            to[j * n_rows + i] = from[i * n_cols + j];
}

enum ph_status phi_ridge_map_fold(const double *k, const struct phi_fold *fold, double lambda,
                                  double *ret_map, struct ph_error *reterr)
{
    size_t n_train = phi_fold_n_train(fold), n_test = fold->test_to - fold->test_from;
    double *train = phi_calloc2(n_train, n_train, sizeof *train);
    double *solved = phi_calloc2(n_train, n_test, sizeof *solved);
    enum ph_status status;

    if (train && solved)
        status = phi_fold_gram(k, fold, train, ret_map, reterr);
    else
        status =
            phi_error_nomem(reterr, "Gram matrix of a fold", n_train * n_train * sizeof *train);
    if (!status)
        status =
            add_penalty(train, n_train, lambda) ? phi_chol_factor(train, n_train, reterr) : PH_SKIP;
    if (!status) {
        transpose(ret_map, n_test, n_train, solved);
        phi_chol_solve(train, n_train, solved, n_test);
        transpose(solved, n_train, n_test, ret_map);
    }
    phi_free(solved);
    phi_free(train);
    return status;
}
