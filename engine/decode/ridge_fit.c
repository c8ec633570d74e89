/* SPDX-License-Identifier: MIT */
#include "decode/ridge_fit.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/fold_gram.h"
#include "decode/fork.h"
#include "decode/linalg.h"
#include "decode/ridge_plan.h"
#include "decode/spectrum.h"

/* One fit: the present block of targets and what is known of it. */
struct fit_job {
    const struct phi_ridge_plan *plan;
    const struct phi_columns *targets;
    const struct phi_ridge_sink *sink;
    struct phi_ridge_report report;
    size_t first, n;                    /* the block */
    const struct phi_ridge_fold *folds; /* the plan's, or those of the shared penalty */
    const double *lambdas;              /* [n_lambdas] those still to choose from */
    size_t n_lambdas;
    void *y;                            /* [plan n][n] centred */
    void *coef;                         /* [n_out][n] */
    void *estimate;                     /* [plan n][n], if asked for */
    size_t *choice;                     /* [n_block] number of the chosen penalty */
    double *mean, *sd, *lambda, *cv_r2; /* [n_block] */
    const void *direct; /* [n_out][n] where one penalty serves all targets, else NULL */
    void *own_direct;   /* the same, where the plan has none */
    struct phi_ridge_fold *own_folds; /* [n_folds], likewise */
    double *sst;                      /* [n_block] */
    double *sse;                      /* [n_lambdas][n] summed over folds */
    double *sse_of_fold;              /* [n_folds][n_lambdas][n], for the rule of one sd */
    struct phi_ridge_scratch scratch[PHI_FORK_MAX_THREADS];
};

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Largest sizes the scratch must hold. */
static void scratch_sizes(const struct phi_ridge_plan *plan, size_t *ret_r, size_t *ret_pred,
                          size_t *ret_basis)
{
    *ret_r = plan->whole.r;
    *ret_pred = *ret_basis = 0;
    for (size_t f = 0; f < plan->n_folds; f++) {
        const struct phi_ridge_fold *fold = &plan->folds[f];

        *ret_r = max_size(*ret_r, fold->r);
        *ret_pred = max_size(*ret_pred, fold->n_basis * fold->n_test);
        *ret_basis = max_size(*ret_basis, fold->n_basis);
    }
}

static bool take_scratch(const struct phi_ridge_plan *plan, struct phi_ridge_scratch *scratch)
{
    size_t size = phi_dtype_size(plan->dtype), r, n_pred, n_basis;

    scratch_sizes(plan, &r, &n_pred, &n_basis);
    scratch->z = phi_calloc2(r, PHI_RIDGE_SLICE, size);
    scratch->pred = phi_calloc2(n_pred, PHI_RIDGE_SLICE, size);
    scratch->stats =
        phi_calloc2((n_basis + 1) * (n_basis + 2) / 2, PHI_RIDGE_SLICE, sizeof *scratch->stats);
    scratch->mean = phi_calloc(PHI_RIDGE_SLICE, sizeof *scratch->mean);
    return scratch->z && scratch->pred && scratch->stats && scratch->mean;
}

static enum ph_status take_memory(struct fit_job *job, struct ph_error *reterr)
{
    const struct phi_ridge_plan *plan = job->plan;
    size_t size = phi_dtype_size(plan->dtype), n = plan->n_block;
    size_t n_errors = plan->n_lambdas * (plan->n_folds ? 1 : 0);
    bool all = true;

    job->y = phi_calloc2(plan->n, n, size);
    job->coef = phi_calloc2(plan->n_out, n, size);
    job->estimate = phi_calloc2(plan->estimates ? plan->n : 0, n, size);
    job->choice = phi_calloc(n, sizeof *job->choice);
    job->mean = phi_calloc(n, sizeof *job->mean);
    job->sd = phi_calloc(n, sizeof *job->sd);
    job->lambda = phi_calloc(n, sizeof *job->lambda);
    job->cv_r2 = phi_calloc(n, sizeof *job->cv_r2);
    job->sst = phi_calloc(n, sizeof *job->sst);
    job->sse = phi_calloc2(n_errors, n, sizeof *job->sse);
    job->sse_of_fold = phi_calloc2(n_errors * plan->n_folds, n, sizeof *job->sse_of_fold);
    for (size_t t = 0; t < plan->n_threads; t++)
        all = take_scratch(plan, &job->scratch[t]) && all;
    if (all && job->y && job->coef && job->estimate && job->choice && job->mean && job->sd &&
        job->lambda && job->cv_r2 && job->sst && job->sse && job->sse_of_fold)
        return PH_OK;
    return phi_error_nomem(reterr, "a block of targets", (plan->n + plan->n_out) * n * size);
}

static void free_memory(struct fit_job *job)
{
    void *blocks[] = {job->y,           job->coef,       job->mean,     job->sd,
                      job->lambda,      job->cv_r2,      job->sst,      job->sse,
                      job->sse_of_fold, job->own_direct, job->estimate, job->choice};

    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        phi_free(blocks[i]);
    for (size_t f = 0; job->own_folds && f < job->plan->n_folds; f++)
        phi_ridge_fold_fini(&job->own_folds[f]);
    phi_free(job->own_folds);
    for (size_t t = 0; t < PHI_FORK_MAX_THREADS; t++) {
        phi_free(job->scratch[t].z);
        phi_free(job->scratch[t].pred);
        phi_free(job->scratch[t].stats);
        phi_free(job->scratch[t].mean);
    }
}

static double fold_sse(const struct fit_job *job, size_t f, size_t l, size_t t)
{
    return job->sse_of_fold[(f * job->n_lambdas + l) * job->n + t];
}

/* Sd over folds of the error at penalty l, as a sum over folds like sse itself. */
static double sd_of_error(const struct fit_job *job, size_t l, size_t t)
{
    size_t n_folds = job->plan->n_folds;
    double mean = job->sse[l * job->n + t] / (double)n_folds, ss = 0;

    for (size_t f = 0; f < n_folds; f++) {
        double d = fold_sse(job, f, l, t) - mean;

        ss += d * d;
    }
    return (double)n_folds * sqrt(ss / (double)n_folds);
}

static size_t choose_penalty(const struct fit_job *job, size_t t)
{
    const struct phi_ridge_plan *plan = job->plan;
    size_t best = 0;
    double limit;

    for (size_t l = 1; l < job->n_lambdas; l++)
        if (job->sse[l * job->n + t] < job->sse[best * job->n + t])
            best = l;
    if (!plan->within_one_sd)
        return best;
    limit = job->sse[best * job->n + t] + sd_of_error(job, best, t);
    for (size_t l = job->n_lambdas; l-- > best;)
        if (job->sse[l * job->n + t] <= limit)
            return l;
    return best;
}

static bool is_constant(const struct fit_job *job, size_t t)
{
    return phi_ridge_is_constant(job->mean[t], job->sd[t]);
}

/* Sums the folds' errors in fixed order, so that threads do not change a bit. */
static void cross_validate(const struct fit_job *job, size_t from, struct phi_ridge_slice slice,
                           const struct phi_ridge_scratch *scratch)
{
    const struct phi_ridge_plan *plan = job->plan;

    memset(job->sst + from, 0, slice.n * sizeof *job->sst);
    for (size_t f = 0; f < plan->n_folds; f++) {
        double *sse = job->sse_of_fold + f * job->n_lambdas * job->n + from;

        for (size_t l = 0; l < job->n_lambdas; l++)
            memset(sse + l * job->n, 0, slice.n * sizeof *sse);
        if (plan->dtype == PHI_DTYPE_F64)
            phi_ridge_fold_errors_f64(&job->folds[f], slice, scratch, sse, job->n, job->sst + from);
        else
            phi_ridge_fold_errors_f32(&job->folds[f], slice, scratch, sse, job->n, job->sst + from);
    }
    for (size_t l = 0; l < job->n_lambdas; l++)
        for (size_t t = from; t < from + slice.n; t++) {
            job->sse[l * job->n + t] = 0;
            for (size_t f = 0; f < plan->n_folds; f++)
                job->sse[l * job->n + t] += fold_sse(job, f, l, t);
        }
}

/* Out-of-fold R2; 0 for a constant target, whose errors are rounding. */
static double r2_of(const struct fit_job *job, size_t l, size_t t)
{
    bool varies = job->sst[t] > 0 && !is_constant(job, t);

    return varies ? 1 - job->sse[l * job->n + t] / job->sst[t] : 0;
}

static void choose(const struct fit_job *job, size_t from, size_t n)
{
    bool folds = job->plan->n_folds > 0;

    for (size_t t = from; t < from + n; t++) {
        size_t l = folds ? choose_penalty(job, t) : 0;

        job->choice[t] = l;
        job->lambda[t] = job->lambdas[l];
        job->cv_r2[t] = folds ? r2_of(job, l, t) : 0;
    }
}

static void make_coefficients(const struct fit_job *job, size_t from, struct phi_ridge_slice slice,
                              const struct phi_ridge_scratch *scratch)
{
    const struct phi_ridge_whole *whole = &job->plan->whole;
    void *coef = (char *)job->coef + from * phi_dtype_size(job->plan->dtype);
    bool wide = job->plan->dtype == PHI_DTYPE_F64;

    if (job->direct && wide)
        phi_ridge_apply_f64(whole, job->direct, slice, coef, job->n);
    else if (job->direct)
        phi_ridge_apply_f32(whole, job->direct, slice, coef, job->n);
    else if (wide)
        phi_ridge_coefficients_f64(whole, slice, job->lambda + from, scratch, coef, job->n);
    else
        phi_ridge_coefficients_f32(whole, slice, job->lambda + from, scratch, coef, job->n);
}

static void estimate_out_of_fold(const struct fit_job *job, size_t from,
                                 struct phi_ridge_slice slice,
                                 const struct phi_ridge_scratch *scratch)
{
    const struct phi_ridge_plan *plan = job->plan;
    void *to = (char *)job->estimate + from * phi_dtype_size(plan->dtype);

    for (size_t f = 0; f < plan->n_folds; f++)
        if (plan->dtype == PHI_DTYPE_F64)
            phi_ridge_fold_estimates_f64(&job->folds[f], slice, scratch, job->choice + from,
                                         job->mean + from, to);
        else
            phi_ridge_fold_estimates_f32(&job->folds[f], slice, scratch, job->choice + from,
                                         job->mean + from, to);
}

static enum ph_status fit_slice(void *ctx, size_t task, size_t worker, struct ph_error *reterr)
{
    const struct fit_job *job = ctx;
    const struct phi_ridge_plan *plan = job->plan;
    size_t from = task * PHI_RIDGE_SLICE;
    size_t n = job->n - from < PHI_RIDGE_SLICE ? job->n - from : PHI_RIDGE_SLICE;
    struct phi_ridge_slice slice = {(const char *)job->y + from * phi_dtype_size(plan->dtype),
                                    job->n, n};

    (void)reterr;
    if (plan->n_folds)
        cross_validate(job, from, slice, &job->scratch[worker]);
    choose(job, from, n);
    if (plan->estimates)
        estimate_out_of_fold(job, from, slice, &job->scratch[worker]);
    if (!plan->errors_only)
        make_coefficients(job, from, slice, &job->scratch[worker]);
    return PH_OK;
}

static enum ph_status read_block(struct fit_job *job, struct ph_error *reterr)
{
    struct phi_columns_block block = {job->plan->dtype, job->y, job->mean, job->sd};
    enum ph_status status =
        phi_columns_read_centred(job->targets, job->first, job->n, &block, reterr);

    for (size_t t = 0; !status && !job->plan->allow_constant && t < job->n; t++)
        if (is_constant(job, t))
            return phi_error(reterr, PH_E_INVAL,
                             "target %zu is constant: leave it out, or allow constant targets",
                             job->targets->first_number + job->first + t);
    return status;
}

static void note_block(struct fit_job *job)
{
    for (size_t t = 0; t < job->n; t++) {
        job->report.n_constant += is_constant(job, t);
        job->report.n_targets++;
        job->report.mean_cv_r2 += job->cv_r2[t];
    }
}

static enum ph_status write_block(struct fit_job *job, struct ph_error *reterr)
{
    const struct phi_ridge_plan *plan = job->plan;
    struct phi_ridge_block block = {
        .first = job->first,
        .n = job->n,
        .n_out = plan->n_out,
        .dtype = plan->dtype,
        .coef = plan->errors_only ? NULL : job->coef,
        .estimate = plan->estimates ? job->estimate : NULL,
        .mean = job->mean,
        .sd = job->sd,
        .lambda = job->lambda,
        .cv_r2 = job->cv_r2,
        .cv_sse = plan->n_folds && job->n_lambdas == plan->n_lambdas ? job->sse : NULL};

    return job->sink->write(job->sink->ctx, &block, reterr);
}

static enum ph_status fit_block(struct fit_job *job, struct ph_error *reterr)
{
    enum ph_status status = read_block(job, reterr);
    size_t n_slices = (job->n + PHI_RIDGE_SLICE - 1) / PHI_RIDGE_SLICE;

    if (!status)
        status = phi_fork(job->plan->n_threads, n_slices, fit_slice, job, reterr);
    if (status)
        return status;
    note_block(job);
    return write_block(job, reterr);
}

static enum ph_status pass(struct fit_job *job, const char *stage, struct ph_error *reterr)
{
    size_t n_targets = job->targets->n_cols;
    enum ph_status status = PH_OK;

    for (job->first = 0; !status && job->first < n_targets; job->first += job->plan->n_block) {
        job->n = n_targets - job->first < job->plan->n_block ? n_targets - job->first
                                                             : job->plan->n_block;
        status = fit_block(job, reterr);
        if (!status)
            phi_progress_report(&job->plan->progress, stage,
                                (double)(job->first + job->n) / (double)n_targets);
    }
    return status;
}

static enum ph_status direct_of_spectrum(struct fit_job *job, double lambda,
                                         struct ph_error *reterr)
{
    const struct phi_ridge_whole *whole = &job->plan->whole;
    size_t size = phi_dtype_size(job->plan->dtype);
    void *scaled = phi_calloc2(whole->n_out, whole->r, size);

    if (!scaled)
        return phi_error_nomem(reterr, "ridge solution", whole->n_out * whole->r * size);
    if (job->plan->dtype == PHI_DTYPE_F64)
        phi_ridge_direct_f64(whole, lambda, scaled, job->own_direct);
    else
        phi_ridge_direct_f32(whole, lambda, scaled, job->own_direct);
    phi_free(scaled);
    return PH_OK;
}

/* The same by eigenvectors, for a penalty so small that rounding forbids the factor. */
static enum ph_status map_by_spectrum(const struct phi_ridge_plan *plan, double lambda, double *map,
                                      struct ph_error *reterr)
{
    struct phi_fold all = phi_fold_whole(plan->n);
    struct phi_spectrum s;
    enum ph_status status = phi_spectrum_dual(plan->whole.k, &all, plan->team, &s, reterr);

    if (status)
        return status;
    status = phi_spectrum_map(&s, lambda, map, reterr);
    phi_spectrum_fini(&s);
    return status;
}

static enum ph_status direct_of_gram(struct fit_job *job, double lambda, struct ph_error *reterr)
{
    const struct phi_team *team = job->plan->team;
    size_t n = job->plan->n;
    double *map = phi_calloc2(n, n, sizeof *map);
    float *narrow = job->own_direct;
    enum ph_status status;

    if (!map)
        return phi_error_nomem(reterr, "ridge solution", n * n * sizeof *map);
    status = phi_ridge_map_whole(job->plan->whole.k, n, lambda, team ? team->inverse : NULL,
                                 team ? team->ctx : NULL, map, reterr);
    if (status == PH_SKIP)
        status = map_by_spectrum(job->plan, lambda, map, reterr);
    if (!status && job->plan->dtype == PHI_DTYPE_F64)
        memcpy(job->own_direct, map, n * n * sizeof *map);
    for (size_t i = 0; !status && job->plan->dtype == PHI_DTYPE_F32 && i < n * n; i++)
        narrow[i] = (float)map[i];
    phi_free(map);
    return status;
}

/* One product less a target when all share their penalty. */
static enum ph_status make_direct(struct fit_job *job, double lambda, struct ph_error *reterr)
{
    const struct phi_ridge_whole *whole = &job->plan->whole;
    enum ph_status status;

    job->direct = whole->direct;
    if (job->direct)
        return PH_OK;
    job->own_direct = phi_calloc2(whole->n_out, whole->n, phi_dtype_size(job->plan->dtype));
    if (!job->own_direct)
        return phi_error_nomem(reterr, "ridge solution",
                               whole->n_out * whole->n * phi_dtype_size(job->plan->dtype));
    status =
        whole->k ? direct_of_gram(job, lambda, reterr) : direct_of_spectrum(job, lambda, reterr);
    job->direct = job->own_direct;
    return status;
}

/* From here on the plan has that one penalty. */
static enum ph_status choose_shared(struct fit_job *job, struct ph_error *reterr)
{
    const struct phi_ridge_plan *plan = job->plan;
    size_t choice = 0;
    enum ph_status status = phi_ridge_choose_shared(plan, job->targets, &choice, reterr);

    if (status)
        return status;
    job->own_folds = phi_calloc(plan->n_folds, sizeof *job->own_folds);
    if (!job->own_folds)
        return phi_error_nomem(reterr, "folds", plan->n_folds * sizeof *job->own_folds);
    job->folds = job->own_folds;
    job->lambdas = plan->lambdas + choice;
    job->n_lambdas = 1;
    return phi_ridge_shared_folds(plan, *job->lambdas, job->own_folds, reterr);
}

static enum ph_status run(struct fit_job *job, struct ph_error *reterr)
{
    const struct phi_ridge_plan *plan = job->plan;
    enum ph_status status = PH_OK;

    if (plan->choice == PHI_RIDGE_SHARED && plan->n_lambdas > 1)
        status = choose_shared(job, reterr);
    if (!status && job->n_lambdas == 1) {
        job->report.shared_lambda = *job->lambdas;
        if (!plan->errors_only)
            status = make_direct(job, *job->lambdas, reterr);
    }
    if (!status)
        status = pass(job, "targets", reterr);
    if (job->report.n_targets > job->report.n_constant)
        job->report.mean_cv_r2 /= (double)(job->report.n_targets - job->report.n_constant);
    return status;
}

enum ph_status phi_ridge_fit(const struct phi_ridge_plan *plan, const struct phi_columns *targets,
                             const struct phi_ridge_sink *sink, struct phi_ridge_report *ret_report,
                             struct ph_error *reterr)
{
    struct fit_job job = {.plan = plan,
                          .targets = targets,
                          .sink = sink,
                          .folds = plan->folds,
                          .lambdas = plan->lambdas,
                          .n_lambdas = plan->n_lambdas};
    enum ph_status status;
    int before;

    if (targets->n_rows != plan->n || (!targets->n_cols && !plan->team))
        return phi_error(reterr, PH_E_SHAPE,
                         "the data have %zu samples, the %s have %zu samples of %zu columns: check "
                         "that both come from the same runs",
                         plan->n, targets->name, targets->n_rows, targets->n_cols);
    status = take_memory(&job, reterr);
    before = phi_blas_set_threads(1);
    if (!status)
        status = run(&job, reterr);
    (void)phi_blas_set_threads(before);
    free_memory(&job);
    if (!status)
        *ret_report = job.report;
    return status;
}

size_t phi_ridge_plan_bytes(const struct phi_ridge_plan *plan)
{
    size_t size = phi_dtype_size(plan->dtype), r, n_pred, n_basis, n_values, n_bytes = 0;

    scratch_sizes(plan, &r, &n_pred, &n_basis);
    n_values = plan->whole.r * (plan->n + plan->n_out) + (plan->n + plan->n_out) * plan->n_block +
               plan->n_threads * (r + n_pred) * PHI_RIDGE_SLICE;
    if (plan->whole.direct || plan->whole.k)
        n_values += plan->n * plan->n;
    for (size_t f = 0; f < plan->n_folds; f++) {
        const struct phi_ridge_fold *fold = &plan->folds[f];

        n_values += fold->map ? fold->n_train * fold->n_test
                              : fold->r * (fold->n_train + fold->n_basis * fold->n_test);
        if (fold->e) /* its map, and the products it is chosen by */
            n_values += fold->n_train * fold->n_test;
    }
    if (plan->whole.k) /* beside it the targets' products and the work on a fold a thread */
        n_bytes +=
            2 * plan->n * plan->n * sizeof(double) + plan->n_threads * r * (plan->n + 2 * r) * size;
    return n_bytes + n_values * size +
           (plan->n_folds + 1) * plan->n_lambdas * plan->n_block * sizeof(double);
}
