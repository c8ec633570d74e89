/* SPDX-License-Identifier: MIT */
#include "decode/ridge_plan.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/fold_gram.h"
#include "decode/fork.h"
#include "decode/linalg.h"
#include "decode/spectrum.h"

/* Penalty functions left out change float32 predictions by less than float32 rounding does. */
#define BASIS_TOLERANCE 1e-7

/* Where the spectra come from. */
struct plan_job {
    struct phi_ridge_plan *plan;
    const struct phi_folds *folds;
    const double *k;                /* [n][n], dual */
    const double *const *k_of_fold; /* [n_folds] or NULL */
    const double *x;                /* [n][m], primal */
    size_t m;
};

static void *cast(enum phi_dtype dtype, const double *from, size_t n1, size_t n2)
{
    void *to = phi_calloc2(n1, n2, phi_dtype_size(dtype));

    for (size_t i = 0; to && i < n1 * n2; i++)
        if (dtype == PHI_DTYPE_F64)
            ((double *)to)[i] = from[i];
        else
            ((float *)to)[i] = (float)from[i];
    return to;
}

/* Test rows times each penalty function, stacked. */
static void *stack_predictors(enum phi_dtype dtype, const struct phi_spectrum *s,
                              const struct phi_penalty_basis *basis)
{
    size_t n = s->n_test * s->r;
    void *to = phi_calloc2(basis->n_basis, n, phi_dtype_size(dtype));

    for (size_t b = 0; to && b < basis->n_basis; b++)
        for (size_t i = 0; i < n; i++) {
            double value = s->p[i] * basis->basis[b * s->r + i % s->r];

            if (dtype == PHI_DTYPE_F64)
                ((double *)to)[b * n + i] = value;
            else
                ((float *)to)[b * n + i] = (float)value;
        }
    return to;
}

/* Keeps eigenvalues and a bare p, for one penalty not known yet. */
static enum ph_status fill_shared_fold(struct phi_ridge_plan *plan, struct phi_spectrum *s,
                                       struct phi_ridge_fold *fold, struct ph_error *reterr)
{
    *fold = (struct phi_ridge_fold){.fold = s->fold,
                                    .n_train = s->n_train,
                                    .n_test = s->n_test,
                                    .r = s->r,
                                    .n_basis = 1,
                                    .n_lambdas = 1,
                                    .q = cast(plan->dtype, s->q, s->r, s->n_train),
                                    .p = cast(plan->dtype, s->p, s->n_test, s->r),
                                    .e = s->e};
    s->e = NULL;
    if (!fold->q || !fold->p)
        return phi_error_nomem(reterr, "spectrum of a fold", s->n_train * s->r * sizeof(double));
    return PH_OK;
}

static enum ph_status fill_fold(struct phi_ridge_plan *plan, const struct phi_spectrum *s,
                                struct phi_ridge_fold *fold, struct ph_error *reterr)
{
    double tolerance = plan->dtype == PHI_DTYPE_F64 ? 0 : BASIS_TOLERANCE;
    struct phi_penalty_basis basis;
    enum ph_status status = phi_penalty_basis_create(s->e, s->r, plan->lambdas, plan->n_lambdas,
                                                     tolerance, &basis, reterr);

    if (status)
        return status;
    *fold = (struct phi_ridge_fold){.fold = s->fold,
                                    .n_train = s->n_train,
                                    .n_test = s->n_test,
                                    .r = s->r,
                                    .n_basis = basis.n_basis,
                                    .n_lambdas = basis.n_lambdas,
                                    .q = cast(plan->dtype, s->q, s->r, s->n_train),
                                    .p = stack_predictors(plan->dtype, s, &basis),
                                    .mix = basis.mix};
    phi_free(basis.basis);
    if (!fold->q || !fold->p)
        return phi_error_nomem(reterr, "predictors of a fold",
                               basis.n_basis * s->n_test * s->r * phi_dtype_size(plan->dtype));
    return PH_OK;
}

static enum ph_status fill_whole(struct phi_ridge_plan *plan, struct phi_spectrum *s,
                                 struct ph_error *reterr)
{
    plan->whole = (struct phi_ridge_whole){.n = s->n_train,
                                           .n_out = s->n_out,
                                           .r = s->r,
                                           .q = cast(plan->dtype, s->q, s->r, s->n_train),
                                           .out = cast(plan->dtype, s->out, s->n_out, s->r),
                                           .e = s->e};
    s->e = NULL;
    plan->n_out = s->n_out;
    if (plan->whole.q && plan->whole.out)
        return PH_OK;
    return phi_error_nomem(reterr, "spectrum of all samples", s->n_out * s->r * sizeof(double));
}

static enum ph_status make_spectrum(const struct plan_job *job, size_t task,
                                    const struct phi_fold *fold, const double *k,
                                    struct ph_error *reterr)
{
    struct phi_ridge_plan *plan = job->plan;
    bool is_fold = task < plan->n_folds;
    struct phi_spectrum s;
    enum ph_status status = job->x ? phi_spectrum_primal(job->x, job->m, fold, &s, reterr)
                                   : phi_spectrum_dual(k, fold, plan->team, &s, reterr);

    if (status)
        return status;
    if (!is_fold)
        status = fill_whole(plan, &s, reterr);
    else if (plan->choice == PHI_RIDGE_SHARED && plan->n_lambdas > 1)
        status = fill_shared_fold(plan, &s, &plan->folds[task], reterr);
    else
        status = fill_fold(plan, &s, &plan->folds[task], reterr);
    phi_spectrum_fini(&s);
    return status;
}

/* With a single penalty the maps come from Cholesky factors. PH_SKIP where rounding forbids it. */
static enum ph_status make_map(const struct plan_job *job, size_t task, const struct phi_fold *fold,
                               const double *k, struct ph_error *reterr)
{
    struct phi_ridge_plan *plan = job->plan;
    const struct phi_team *team = plan->team;
    bool is_fold = task < plan->n_folds;
    size_t n_train = phi_fold_n_train(fold),
           n_out = is_fold ? fold->test_to - fold->test_from : n_train;
    double lambda = plan->lambdas[0], *map = phi_calloc2(n_out, n_train, sizeof *map);
    struct phi_ridge_fold *to = &plan->folds[task];
    enum ph_status status;

    if (!map)
        return phi_error_nomem(reterr, "ridge solution", n_out * n_train * sizeof *map);
    status = is_fold ? phi_ridge_map_fold(k, fold, lambda, map, reterr)
                     : phi_ridge_map_whole(k, n_train, lambda, team ? team->inverse : NULL,
                                           team ? team->ctx : NULL, map, reterr);
    if (!status && is_fold) {
        *to = (struct phi_ridge_fold){.fold = *fold,
                                      .n_train = n_train,
                                      .n_test = n_out,
                                      .n_basis = 1,
                                      .n_lambdas = 1,
                                      .map = cast(plan->dtype, map, n_out, n_train),
                                      .mix = phi_calloc(1, sizeof *to->mix)};
        if (to->mix)
            to->mix[0] = 1;
    } else if (!status) {
        plan->whole = (struct phi_ridge_whole){
            .n = n_train, .n_out = n_out, .direct = cast(plan->dtype, map, n_out, n_train)};
        plan->n_out = n_out;
    }
    phi_free(map);
    if (!status && (is_fold ? !to->map || !to->mix : !plan->whole.direct))
        return phi_error_nomem(reterr, "ridge solution", n_out * n_train * sizeof *map);
    return status;
}

/* One penalty will serve all targets: its map is made when it is known. */
static enum ph_status keep_gram(struct phi_ridge_plan *plan, const double *k,
                                struct ph_error *reterr)
{
    size_t n = plan->n;

    plan->n_out = n;
    plan->whole = (struct phi_ridge_whole){.n = n, .n_out = n, .k = phi_calloc2(n, n, sizeof *k)};
    if (!plan->whole.k)
        return phi_error_nomem(reterr, "Gram matrix of a plan", n * n * sizeof *k);
    memcpy(plan->whole.k, k, n * n * sizeof *k);
    return PH_OK;
}

/* Task f < n_folds is a fold, the last one all rows. */
static enum ph_status make_part(void *ctx, size_t task, size_t worker, struct ph_error *reterr)
{
    const struct plan_job *job = ctx;
    struct phi_ridge_plan *plan = job->plan;
    bool is_fold = task < plan->n_folds;
    struct phi_fold fold = is_fold ? phi_fold_at(job->folds, task) : phi_fold_whole(plan->n);
    const double *k = is_fold && job->k_of_fold ? job->k_of_fold[task] : job->k;
    enum ph_status status = PH_SKIP;

    (void)worker;
    if (!is_fold && plan->errors_only)
        return PH_OK;
    if (!is_fold && k && plan->choice == PHI_RIDGE_SHARED && plan->n_lambdas > 1)
        return keep_gram(plan, k, reterr);
    if (k && plan->n_lambdas == 1)
        status = make_map(job, task, &fold, k, reterr);
    return status == PH_SKIP ? make_spectrum(job, task, &fold, k, reterr) : status;
}

static enum ph_status check_options(const struct phi_ridge_options *o, size_t n,
                                    struct ph_error *reterr)
{
    if (!o->n_lambdas || o->n_lambdas > PHI_RIDGE_MAX_BASIS)
        return phi_error(reterr, PH_E_INVAL, "%zu penalties given: use 1 to %d", o->n_lambdas,
                         PHI_RIDGE_MAX_BASIS);
    for (size_t l = 0; l < o->n_lambdas; l++)
        if (!(o->lambdas[l] > 0) || !isfinite(o->lambdas[l]) ||
            (l && !(o->lambdas[l] > o->lambdas[l - 1])))
            return phi_error(reterr, PH_E_INVAL,
                             "penalty %zu (%g) is not above 0 and above the one before it", l,
                             o->lambdas[l]);
    if (o->n_lambdas > 1 && !o->folds)
        return phi_error(reterr, PH_E_INVAL,
                         "choosing among %zu penalties needs cross-validation folds", o->n_lambdas);
    if (o->folds && o->folds->n_rows != n)
        return phi_error(reterr, PH_E_SHAPE, "the folds cover %zu samples, the data have %zu",
                         o->folds->n_rows, n);
    return PH_OK;
}

static struct phi_ridge_plan *new_plan(const struct phi_ridge_options *o, size_t n)
{
    struct phi_ridge_plan *plan = phi_calloc(1, sizeof *plan);

    if (!plan)
        return NULL;
    plan->n = n;
    plan->n_folds = o->folds ? o->folds->n_folds : 0;
    plan->n_lambdas = o->n_lambdas;
    plan->n_block = o->n_block ? o->n_block : 8 * PHI_RIDGE_SLICE;
    plan->n_threads = phi_fork_threads(o->n_threads);
    plan->choice = o->choice;
    plan->within_one_sd = o->within_one_sd;
    plan->allow_constant = o->allow_constant;
    plan->errors_only = o->errors_only;
    plan->estimates = o->estimates && o->folds;
    plan->team = o->team;
    plan->dtype = o->dtype;
    if (o->progress)
        plan->progress = *o->progress;
    plan->lambdas = phi_calloc(o->n_lambdas, sizeof *plan->lambdas);
    plan->folds = phi_calloc(plan->n_folds, sizeof *plan->folds);
    if (!plan->lambdas || !plan->folds)
        phi_ridge_plan_destroy(&plan);
    for (size_t l = 0; plan && l < o->n_lambdas; l++)
        plan->lambdas[l] = o->lambdas[l];
    return plan;
}

static enum ph_status make_plan(struct plan_job *job, size_t n, const struct phi_ridge_options *o,
                                struct phi_ridge_plan **ret_plan, struct ph_error *reterr)
{
    enum ph_status status = check_options(o, n, reterr);
    int before;

    if (status)
        return status;
    job->folds = o->folds;
    job->plan = new_plan(o, n);
    if (!job->plan)
        return phi_error_nomem(reterr, "ridge plan", sizeof *job->plan);
    phi_progress_report(&job->plan->progress, "decompositions", 0);
    before = phi_blas_set_threads(1);
    /* A team's decompositions are made one after the other by all. */
    status = phi_fork(o->team ? 1 : job->plan->n_threads, job->plan->n_folds + 1, make_part, job,
                      reterr);
    (void)phi_blas_set_threads(before);
    phi_progress_report(&job->plan->progress, "decompositions", 1);
    if (status)
        phi_ridge_plan_destroy(&job->plan);
    else
        *ret_plan = job->plan;
    return status;
}

enum ph_status phi_ridge_plan_dual(const double *k, const double *const *k_of_fold, size_t n,
                                   const struct phi_ridge_options *options,
                                   struct phi_ridge_plan **ret_plan, struct ph_error *reterr)
{
    struct plan_job job = {.k = k, .k_of_fold = k_of_fold};

    if (n < 2 || !phi_blas_fits(n, PHI_RIDGE_MAX_BASIS * n, 1))
        return phi_error(reterr, PH_E_SHAPE, "cannot fit %zu samples", n);
    return make_plan(&job, n, options, ret_plan, reterr);
}

/* A constant column has no direction to regress on; the mean may be large beside its spread. */
static enum ph_status check_columns(const double *x, size_t n, size_t m, struct ph_error *reterr)
{
    for (size_t j = 0; j < m; j++) {
        bool constant = true;

        for (size_t i = 0; i < n; i++) {
            if (!isfinite(x[i * m + j]))
                return phi_error(reterr, PH_E_INVAL,
                                 "sample %zu, column %zu holds a value that is not a number", i, j);
            constant = constant && fabs(x[i * m + j] - x[j]) <= 1e-12 * fabs(x[j]);
        }
        if (constant)
            return phi_error(reterr, PH_E_INVAL, "column %zu is constant: leave it out", j);
    }
    return PH_OK;
}

enum ph_status phi_ridge_plan_primal(const double *x, size_t n, size_t m,
                                     const struct phi_ridge_options *options,
                                     struct phi_ridge_plan **ret_plan, struct ph_error *reterr)
{
    struct plan_job job = {.x = x, .m = m};
    enum ph_status status;

    if (n < 2 || !m || !phi_blas_fits(m, PHI_RIDGE_MAX_BASIS * n, 1))
        return phi_error(reterr, PH_E_SHAPE, "cannot fit %zu samples of %zu columns", n, m);
    status = check_columns(x, n, m, reterr);
    return status ? status : make_plan(&job, n, options, ret_plan, reterr);
}

void phi_ridge_fold_fini(struct phi_ridge_fold *fold)
{
    phi_free(fold->q);
    phi_free(fold->p);
    phi_free(fold->mix);
    phi_free(fold->map);
    phi_free(fold->e);
    *fold = (struct phi_ridge_fold){0};
}

void phi_ridge_plan_destroy(struct phi_ridge_plan **plan)
{
    if (!plan || !*plan)
        return;
    for (size_t f = 0; (*plan)->folds && f < (*plan)->n_folds; f++)
        phi_ridge_fold_fini(&(*plan)->folds[f]);
    phi_free((*plan)->folds);
    phi_free((*plan)->lambdas);
    phi_free((*plan)->whole.q);
    phi_free((*plan)->whole.out);
    phi_free((*plan)->whole.e);
    phi_free((*plan)->whole.direct);
    phi_free((*plan)->whole.k);
    phi_free(*plan);
    *plan = NULL;
}

size_t phi_ridge_plan_n_out(const struct phi_ridge_plan *plan)
{
    return plan->n_out;
}
