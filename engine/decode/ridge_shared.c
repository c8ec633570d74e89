/* SPDX-License-Identifier: MIT
 *
 * With D_l the map from all rows of a target to a fold's errors at penalty l, the errors of all
 * targets together are tr(D_l C D_l') with C the sum of y y' over the targets, so that C, one
 * symmetric product, replaces a product a penalty and fold.
 */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/simd.h"
#include "decode/fork.h"
#include "decode/ridge_plan.h"

#define STRIP 128 /* columns whose sums stay in the first-level cache */

/* Targets over the root of their out-of-fold variance. */
struct scaled_targets {
    const struct phi_ridge_plan *plan;
    const struct phi_columns *inner;
};

struct strip {
    size_t first, n, stride; /* first column, how many, columns of a row */
    double mean[STRIP], sd[STRIP], sst[STRIP];
};

/* Row i of a strip as doubles. */
PHI_VECTOR static void load_row(const struct strip *s, const void *values, enum phi_dtype dtype,
                                size_t i, double *row)
{
    const float *from32 = (const float *)values + i * s->stride + s->first;
    const double *from64 = (const double *)values + i * s->stride + s->first;

    if (dtype == PHI_DTYPE_F64)
        memcpy(row, from64, s->n * sizeof *row);
    else
        for (size_t j = 0; j < s->n; j++)
            row[j] = (double)from32[j];
}

PHI_VECTOR static void add_row(const double *row, size_t n, double *sum)
{
    for (size_t j = 0; j < n; j++)
        sum[j] += row[j];
}

/* Adds the squared distances from a + b. */
PHI_VECTOR static void add_squares(const double *row, const double *a, const double *b, size_t n,
                                   double *sum)
{
    for (size_t j = 0; j < n; j++) {
        double d = row[j] - a[j] - b[j];

        sum[j] += d * d;
    }
}

static void strip_moments(struct strip *s, const void *values, enum phi_dtype dtype, size_t n_rows)
{
    static const double none[STRIP];
    double row[STRIP];

    memset(s->mean, 0, sizeof s->mean);
    memset(s->sd, 0, sizeof s->sd);
    for (size_t i = 0; i < n_rows; i++) {
        load_row(s, values, dtype, i, row);
        add_row(row, s->n, s->mean);
    }
    for (size_t j = 0; j < s->n; j++)
        s->mean[j] /= (double)n_rows;
    for (size_t i = 0; i < n_rows; i++) {
        load_row(s, values, dtype, i, row);
        add_squares(row, s->mean, none, s->n, s->sd);
    }
    for (size_t j = 0; j < s->n; j++)
        s->sd[j] = sqrt(s->sd[j] / (double)n_rows);
}

/* Adds the squares of a fold's test rows about the training mean. All rows are about their common
 * mean, so what is not in the training rows tells their sum. */
static void add_fold(struct strip *s, const void *values, enum phi_dtype dtype,
                     const struct phi_fold *fold)
{
    double n_left = (double)(fold->after - fold->before), n_train = (double)phi_fold_n_train(fold);
    double row[STRIP], train[STRIP] = {0};

    for (size_t i = fold->before; i < fold->after; i++) {
        load_row(s, values, dtype, i, row);
        add_row(row, s->n, train);
    }
    for (size_t j = 0; j < s->n; j++)
        train[j] = -(train[j] - n_left * s->mean[j]) / n_train;
    for (size_t i = fold->test_from; i < fold->test_to; i++) {
        load_row(s, values, dtype, i, row);
        add_squares(row, s->mean, train, s->n, s->sst);
    }
}

PHI_VECTOR static void scale_row(double *row, const double *mean, const double *factor, size_t n)
{
    for (size_t j = 0; j < n; j++)
        row[j] = (row[j] - mean[j]) * factor[j];
}

PHI_VECTOR static void store_row(const struct strip *s, const double *row, enum phi_dtype dtype,
                                 size_t i, void *values)
{
    float *to32 = (float *)values + i * s->stride + s->first;
    double *to64 = (double *)values + i * s->stride + s->first;

    if (dtype == PHI_DTYPE_F64)
        memcpy(to64, row, s->n * sizeof *row);
    else
        for (size_t j = 0; j < s->n; j++)
            to32[j] = (float)row[j];
}

static void scale_strip(const struct strip *s, void *values, enum phi_dtype dtype, size_t n_rows)
{
    double factor[STRIP], row[STRIP];

    for (size_t j = 0; j < s->n; j++)
        factor[j] = phi_ridge_is_constant(s->mean[j], s->sd[j]) ? 0 : 1 / sqrt(s->sst[j]);
    for (size_t i = 0; i < n_rows; i++) {
        load_row(s, values, dtype, i, row);
        scale_row(row, s->mean, factor, s->n);
        store_row(s, row, dtype, i, values);
    }
}

/* Leaves a strip with a value that is not a number as it is: the reader names it. */
static enum ph_status treat_strip(const struct scaled_targets *t, struct strip *s, size_t first,
                                  void *values, enum phi_dtype dtype, struct ph_error *reterr)
{
    const struct phi_ridge_plan *plan = t->plan;

    strip_moments(s, values, dtype, plan->n);
    for (size_t j = 0; j < s->n; j++) {
        if (!isfinite(s->sd[j]))
            return PH_OK;
        if (!plan->allow_constant && phi_ridge_is_constant(s->mean[j], s->sd[j]))
            return phi_error(reterr, PH_E_INVAL,
                             "target %zu is constant: leave it out, or allow constant targets",
                             t->inner->first_number + first + s->first + j);
    }
    memset(s->sst, 0, sizeof s->sst);
    for (size_t f = 0; f < plan->n_folds; f++)
        add_fold(s, values, dtype, &plan->folds[f].fold);
    scale_strip(s, values, dtype, plan->n);
    return PH_OK;
}

static enum ph_status read_scaled(void *ctx, size_t first, size_t n, enum phi_dtype dtype,
                                  void *out, struct ph_error *reterr)
{
    const struct scaled_targets *t = ctx;
    enum ph_status status = t->inner->read(t->inner->ctx, first, n, dtype, out, reterr);
    struct strip s = {.stride = n};

    for (s.first = 0; !status && s.first < n; s.first += STRIP) {
        s.n = n - s.first < STRIP ? n - s.first : STRIP;
        status = treat_strip(t, &s, first, out, dtype, reterr);
    }
    return status;
}

/* c[n][n] in the type of the products: the targets' products with themselves. */
static enum ph_status target_gram(const struct phi_ridge_plan *plan,
                                  const struct phi_columns *targets, double *c,
                                  struct ph_error *reterr)
{
    struct scaled_targets scaled = {plan, targets};
    struct phi_columns columns = *targets;
    struct phi_gram_options options = {.dtype = plan->dtype,
                                       .n_threads = plan->n_threads,
                                       .allow_constant = true,
                                       .allow_none = true,
                                       .stage = "cross-validation",
                                       .progress = &plan->progress};
    double *moments = phi_calloc2(2, targets->n_cols, sizeof *moments);
    enum ph_status status;

    columns.read = read_scaled;
    columns.ctx = &scaled;
    if (!moments)
        return phi_error_nomem(reterr, "targets' means", 2 * targets->n_cols * sizeof *moments);
    status = phi_gram(&columns, &options, c, moments, moments + targets->n_cols, reterr);
    phi_free(moments);
    return status;
}

struct left_job {
    const struct phi_ridge_plan *plan;
    void *c;      /* [n][n] */
    double *left; /* [n_folds][n_lambdas] */
};

static enum ph_status left_of_fold(void *ctx, size_t task, size_t worker, struct ph_error *reterr)
{
    const struct left_job *job = ctx;
    const struct phi_ridge_plan *plan = job->plan;
    const struct phi_ridge_fold *fold = &plan->folds[task];
    size_t size = phi_dtype_size(plan->dtype), r = fold->r;
    struct phi_ridge_left_work work = {phi_calloc2(r, plan->n, size), phi_calloc2(r, r, size),
                                       phi_calloc2(r, r, size),
                                       phi_calloc2(plan->n_lambdas, r, sizeof *work.filter),
                                       phi_calloc(r + plan->n_lambdas, sizeof *work.row)};
    double *left = job->left + task * plan->n_lambdas;
    enum ph_status status = PH_OK;

    (void)worker;
    if (!work.z || !work.zz || !work.pp || !work.filter || !work.row)
        status = phi_error_nomem(reterr, "products of a fold", r * (plan->n + 2 * r) * size);
    else if (plan->dtype == PHI_DTYPE_F64)
        phi_ridge_fold_left_f64(fold, job->c, plan->lambdas, plan->n_lambdas, &work, left);
    else
        phi_ridge_fold_left_f32(fold, job->c, plan->lambdas, plan->n_lambdas, &work, left);
    phi_free(work.z);
    phi_free(work.zz);
    phi_free(work.pp);
    phi_free(work.filter);
    phi_free(work.row);
    return status;
}

/* In place: float64 to the type of the products. */
static void narrow(double *c, size_t n, enum phi_dtype dtype)
{
    float *to = (float *)c;

    for (size_t i = 0; dtype == PHI_DTYPE_F32 && i < n; i++) {
        float value = (float)c[i];

        memcpy(to + i, &value, sizeof value);
    }
}

/* Sums the folds into left[0 .. n_lambdas-1], and over the processes. */
static enum ph_status sum_left(const struct phi_ridge_plan *plan, enum ph_status status,
                               double *left, struct ph_error *reterr)
{
    const struct phi_team *team = plan->team;

    for (size_t f = 1; left && f < plan->n_folds; f++)
        for (size_t l = 0; l < plan->n_lambdas; l++)
            left[l] += left[f * plan->n_lambdas + l];
    if (!team)
        return status;
    status = team->agree(team->ctx, status, reterr);
    return status ? status : team->sum(team->ctx, left, plan->n_lambdas, reterr);
}

enum ph_status phi_ridge_choose_shared(const struct phi_ridge_plan *plan,
                                       const struct phi_columns *targets, size_t *ret_choice,
                                       struct ph_error *reterr)
{
    double *c = phi_calloc2(plan->n, plan->n, sizeof *c);
    double *left = phi_calloc2(plan->n_folds, plan->n_lambdas, sizeof *left);
    struct left_job job = {plan, c, left};
    enum ph_status status = PH_OK;
    size_t best = 0;

    if (!c || !left)
        status = phi_error_nomem(reterr, "products of the targets", plan->n * plan->n * sizeof *c);
    else if (targets->n_cols)
        status = target_gram(plan, targets, c, reterr);
    if (!status && targets->n_cols) {
        narrow(c, plan->n * plan->n, plan->dtype);
        status = phi_fork(plan->n_threads, plan->n_folds, left_of_fold, &job, reterr);
    }
    status = sum_left(plan, status, left, reterr);
    for (size_t l = 1; !status && l < plan->n_lambdas; l++)
        if (left[l] < left[best])
            best = l;
    phi_free(c);
    phi_free(left);
    if (!status)
        *ret_choice = best;
    return status;
}

static enum ph_status shared_fold(const struct phi_ridge_plan *plan,
                                  const struct phi_ridge_fold *from, double lambda,
                                  struct phi_ridge_fold *ret, struct ph_error *reterr)
{
    size_t size = phi_dtype_size(plan->dtype);
    void *scaled = phi_calloc2(from->n_test, from->r, size);

    *ret = (struct phi_ridge_fold){.fold = from->fold,
                                   .n_train = from->n_train,
                                   .n_test = from->n_test,
                                   .n_basis = 1,
                                   .n_lambdas = 1,
                                   .map = phi_calloc2(from->n_test, from->n_train, size),
                                   .mix = phi_calloc(1, sizeof *ret->mix)};
    if (scaled && ret->map && ret->mix) {
        ret->mix[0] = 1;
        if (plan->dtype == PHI_DTYPE_F64)
            phi_ridge_fold_map_f64(from, lambda, scaled, ret->map);
        else
            phi_ridge_fold_map_f32(from, lambda, scaled, ret->map);
    }
    phi_free(scaled);
    if (!scaled || !ret->map || !ret->mix)
        return phi_error_nomem(reterr, "map of a fold", from->n_test * from->n_train * size);
    return PH_OK;
}

enum ph_status phi_ridge_shared_folds(const struct phi_ridge_plan *plan, double lambda,
                                      struct phi_ridge_fold *ret_folds, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    for (size_t f = 0; !status && f < plan->n_folds; f++)
        status = shared_fold(plan, &plan->folds[f], lambda, &ret_folds[f], reterr);
    return status;
}
