/* SPDX-License-Identifier: MIT
 *
 * Voxels are visited in chunks, three times: for the residuals' variance under each penalty, for
 * the Gram matrix of the whitened data, and for W. With M the map to weights, R the map to
 * residuals, Yw the data over the noise sd, Z = R Yw, and S = sd (s I + (1-s)/n Z'Z) sd, Woodbury
 * gives B S^-1 = (1/s) (M - A K^-1 R) Yw / sd with A = M Yw Yw' R', K = n s/(1-s) I + Z Z', and
 * G = B S^-1 B' = (1/s) (M Yw Yw' M' - A K^-1 A'). Voxels of different penalty have their own M and
 * R, and the products above are sums over these groups. float32 inside a chunk, float64 across.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/fork.h"
#include "decode/linalg.h"
#include "decode/noise.h"
#include "decode/posterior_private.h"
#include "decode/reduce.h"

#define LEAST_FLOOR 1e-6

/* Tells the caller; false: stop. */
static bool go_on(struct phi_fit *fit)
{
    return !fit->options->progress ||
           fit->options->progress(fit->options->progress_ctx, ++fit->step, fit->n_steps);
}

static enum ph_status describe_data(struct phi_fit *fit)
{
    size_t q = fit->q;
    enum ph_status status = phi_fit_describe(fit);

    if (status)
        return status;
    for (size_t v = 0; v < q; v++) {
        if (!isfinite(fit->var_y[v]))
            return phi_error(fit->reterr, PH_E_INVAL,
                             "voxel %zu of the mask has a value that is not a number", v);
        if (fit->var_y[v] > 1e-12 * fit->mean[v] * fit->mean[v])
            fit->order[fit->n_used++] = (uint32_t)v;
    }
    fit->out->n_constant = q - fit->n_used;
    if (fit->n_used == 0)
        return phi_error(fit->reterr, PH_E_INVAL, "all %zu voxels are constant", q);
    return PH_OK;
}

static void to_float(const double *from, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)from[i];
}

struct map_job {
    struct phi_fit *fit;
    double lambda;
};

/* R is task 0, M task 1. */
static enum ph_status map_task(void *ctx, size_t task, size_t worker, struct ph_error *reterr)
{
    const struct map_job *job = ctx;
    struct phi_fit *fit = job->fit;

    (void)worker;
    if (task == 0)
        return phi_smoother_residuals(fit->smoother, job->lambda, fit->r, reterr);
    return phi_smoother_weights(fit->smoother, job->lambda, fit->m, reterr);
}

/* M and R for `lambda`; kept when they are those already. */
static enum ph_status set_maps(struct phi_fit *fit, double lambda)
{
    enum ph_status status;

    if (fit->has_maps && fit->lambda_now == lambda)
        return PH_OK;
    fit->has_maps = false;
    status = phi_fork(fit->n_threads, 2, map_task, &(struct map_job){fit, lambda}, fit->reterr);
    if (status)
        return status;
    to_float(fit->r, fit->n * fit->n, fit->r32);
    fit->lambda_now = lambda;
    fit->has_maps = true;
    return PH_OK;
}

static enum ph_status moments_pass(struct phi_fit *fit, size_t penalty)
{
    const struct phi_fit_group group = {penalty, 0, fit->n_used};
    enum ph_status status = set_maps(fit, fit->lambdas[penalty]);

    if (status == PH_OK)
        status = phi_fit_moments(fit, &group);
    return status ? status : go_on(fit) ? PH_OK : PH_SKIP;
}

/* One penalty for all: the residual sum of the folds over voxels of unit variance is
 * tr(R Ys Ys' R'), so that the voxels are visited once for all penalties. */
static enum ph_status choose_common(struct phi_fit *fit)
{
    const struct phi_fit_group all = {0, 0, fit->n_used};
    size_t n = fit->n, best = 0;
    double least = INFINITY, *product = fit->gram + n * n;
    enum ph_status status;

    for (size_t v = 0; v < fit->q; v++)
        fit->inverse[v] = fit->var_y[v] > 0 ? 1 / sqrt(fit->var_y[v]) : 0;
    status = phi_fit_gram(fit, &all);
    for (size_t l = 0; status == PH_OK && l < fit->n_lambdas; l++) {
        double sum;

        status = set_maps(fit, fit->lambdas[l]);
        cblas_dsymm(CblasRowMajor, CblasRight, CblasUpper, (int)n, (int)n, 1, fit->gram, (int)n,
                    fit->r, (int)n, 0, product, (int)n);
        sum = cblas_ddot((int)(n * n), product, 1, fit->r, 1);
        if (sum < least) {
            least = sum;
            best = l;
        }
    }
    fit->lambdas[0] = fit->lambdas[best];
    fit->n_lambdas = 1;
    return status;
}

static void list_penalties(struct phi_fit *fit)
{
    if (fit->options->penalty == PHI_PENALTY_FIXED) {
        fit->lambdas[0] = fit->options->lambda;
        fit->n_lambdas = 1;
        return;
    }
    for (size_t l = 0; l < PHI_FIT_PENALTIES; l++)
        fit->lambdas[l] = fit->smoother->scale * pow(10, (double)l - 3);
    fit->n_lambdas = PHI_FIT_PENALTIES;
}

/* Counting sort of the usable voxels by penalty. */
static void sort_into_groups(struct phi_fit *fit)
{
    size_t at = 0;

    fit->n_groups = 0;
    for (size_t l = 0; l < fit->n_lambdas; l++) {
        struct phi_fit_group group = {l, at, 0};

        for (size_t v = 0; v < fit->q; v++)
            if (fit->ss[v] > 0 && fit->choice[v] == l)
                fit->order[at++] = (uint32_t)v;
        group.n = at - group.first;
        if (group.n)
            fit->groups[fit->n_groups++] = group;
    }
    fit->n_used = at;
    fit->out->df = 0;
    for (size_t g = 0; g < fit->n_groups; g++) {
        double lambda = fit->lambdas[fit->groups[g].penalty];

        fit->out->df +=
            phi_smoother_df(fit->smoother, lambda) * (double)fit->groups[g].n / (double)fit->n_used;
        if (fit->groups[g].first <= fit->n_used / 2)
            fit->out->lambda = lambda;
    }
}

static void set_sd(struct phi_fit *fit, size_t v, double sd)
{
    fit->sd[v] = sd;
    fit->inverse[v] = 1 / sd;
}

/* sd from the residuals: floored, and moderated where few degrees of freedom make it uncertain. */
static enum ph_status set_noise(struct phi_fit *fit)
{
    double floor_share =
        fit->options->variance_floor > 0 ? fit->options->variance_floor : LEAST_FLOOR;
    double dof = fmax(1, (double)(fit->n - fit->smoother->n_free) - fit->out->df);
    double *used = phi_calloc(fit->n_used, sizeof *used);

    if (!used)
        return phi_error_nomem(fit->reterr, "noise variances", fit->n_used * sizeof *used);
    for (size_t j = 0; j < fit->n_used; j++) {
        size_t v = fit->order[j];

        used[j] = fmax(fit->ss[v], floor_share * fit->var_y[v]);
        fit->out->n_floored += used[j] > fit->ss[v];
    }
    fit->out->prior_dof = phi_moderate_variances(used, fit->n_used, dof).prior_dof;
    for (size_t j = 0; j < fit->n_used; j++)
        set_sd(fit, fit->order[j], sqrt(used[j]));
    phi_free(used);
    return PH_OK;
}

/* ret[rows][cols] += a[rows][n] gram[n][n] b[cols][n]', through the second partial Gram as room. */
static void add_product(struct phi_fit *fit, const double *a, size_t rows, const double *b,
                        size_t cols, double *ret, double *room)
{
    int n = (int)fit->n;

    cblas_dsymm(CblasRowMajor, CblasRight, CblasUpper, (int)rows, n, 1, fit->gram, n, a, n, 0, room,
                n);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)cols, n, 1, room, n, b, n,
                1, ret, (int)cols);
}

static enum ph_status add_group(struct phi_fit *fit, const struct phi_fit_group *group,
                                double *room)
{
    enum ph_status status = set_maps(fit, fit->lambdas[group->penalty]);

    if (status == PH_OK)
        status = phi_fit_gram(fit, group);
    if (status)
        return status;
    add_product(fit, fit->m, fit->p, fit->m, fit->p, fit->g, room);
    if (fit->options->full_noise) {
        add_product(fit, fit->m, fit->p, fit->r, fit->n, fit->a, room);
        add_product(fit, fit->r, fit->n, fit->r, fit->n, fit->zz, room);
    }
    return go_on(fit) ? PH_OK : PH_SKIP;
}

static double shrink_share(const struct phi_fit *fit)
{
    struct phi_shrink_sums sums = {.gram = fit->zz, .n = fit->n};

    for (size_t j = 0; j < fit->n_used; j++) {
        size_t v = fit->order[j];
        double over = fit->sd[v] * fit->sd[v];

        sums.sum_variance2 += fit->ss[v] * fit->ss[v] / (over * over);
        sums.sum_fourth += fit->fourth[v] / (over * over);
    }
    return fmin(1 - 1e-6, phi_shrink_intensity(&sums));
}

/* a becomes A K^-1, and g the full (1/s)(M Gw M' - A K^-1 A'). */
static enum ph_status fold_in_full_noise(struct phi_fit *fit)
{
    size_t n = fit->n, p = fit->p;
    double share = shrink_share(fit), *solved = phi_calloc2(n, p, sizeof *solved);
    enum ph_status status;

    if (!solved)
        return phi_error_nomem(fit->reterr, "the noise covariance", n * p * sizeof *solved);
    fit->out->shrink = share;
    for (size_t i = 0; i < n; i++) {
        fit->zz[i * n + i] += (double)n * share / (1 - share);
        for (size_t k = 0; k < p; k++)
            solved[i * p + k] = fit->a[k * n + i];
    }
    status = phi_chol_factor(fit->zz, n, fit->reterr);
    if (status == PH_OK) {
        phi_chol_solve(fit->zz, n, solved, p);
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)p, (int)p, (int)n, -1 / share,
                    fit->a, (int)n, solved, (int)p, 1 / share, fit->g, (int)p);
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < p; k++)
                fit->a[k * n + i] = solved[i * p + k];
    }
    phi_free(solved);
    return status;
}

/* m becomes T'(1/s)(M - A K^-1 R) (1 - rho^2), as float32 in m32. */
static void weight_map(struct phi_fit *fit, double *room)
{
    int n = (int)fit->n, p = (int)fit->p;
    double scale = (1 - fit->options->rho * fit->options->rho) / fit->out->shrink;

    if (fit->options->full_noise)
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, p, n, n, -1, fit->a, n, fit->r, n, 1,
                    fit->m, n);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, p, n, p, scale, fit->out->t, p, fit->m, n,
                0, room, n);
    to_float(room, fit->n * fit->p, fit->m32);
}

static enum ph_status weights_pass(struct phi_fit *fit, const struct phi_fit_group *group,
                                   double *room)
{
    enum ph_status status = set_maps(fit, fit->lambdas[group->penalty]);

    if (status)
        return status;
    phi_smoother_free_part(fit->smoother, fit->m, room);
    to_float(room, fit->smoother->n_free * fit->n, fit->m32 + fit->p * fit->n);
    weight_map(fit, room);
    fit->has_maps = false; /* weight_map has changed m */
    status = phi_fit_weights(fit, group);
    return status ? status : go_on(fit) ? PH_OK : PH_SKIP;
}

/* Constant voxels keep weight 0 and c = their value. */
static void finish_voxels(struct phi_fit *fit)
{
    double marginal = 1 / sqrt(1 - fit->options->rho * fit->options->rho);

    for (size_t v = 0; v < fit->q; v++) {
        fit->out->sigma[v] = fit->ss[v] > 0 ? (float)(fit->sd[v] * marginal) : 0;
        if (!(fit->ss[v] > 0))
            fit->out->c[v] = (float)(fit->mean[v] / (1 - fit->options->rho));
    }
}

/* A channel's error is the mean of its voxels' errors, weighted by what they add to its noise. */
static void set_error(struct phi_fit *fit)
{
    double scale = 1 - fit->options->rho * fit->options->rho, error[PHI_FIT_PENALTIES];

    for (size_t g = 0; g < fit->n_groups; g++)
        error[g] = scale * phi_smoother_error(fit->smoother, fit->lambdas[fit->groups[g].penalty],
                                              fit->options->prior);
    for (size_t i = 0; i < fit->p; i++) {
        double sum = 0, total = 0;

        for (size_t g = 0; g < fit->n_groups; g++) {
            const struct phi_fit_group *group = &fit->groups[g];
            double part = 0;

            for (size_t j = group->first; j < group->first + group->n; j++) {
                size_t v = fit->order[j];
                double noise = (double)fit->out->w[i * fit->q + v] * fit->sd[v];

                part += noise * noise;
            }
            sum += part * error[g];
            total += part;
        }
        fit->out->error[i] = total > 0 ? sum / total : 0;
    }
}

static enum ph_status run(struct phi_fit *fit)
{
    double *room = phi_calloc2(fit->n + fit->p + fit->smoother->n_free, fit->n, sizeof *room);
    enum ph_status status =
        room ? describe_data(fit) : phi_error_nomem(fit->reterr, "a product", fit->n * fit->n * 8);

    if (status == PH_OK) {
        list_penalties(fit);
        if (fit->options->penalty == PHI_PENALTY_COMMON)
            status = choose_common(fit);
    }
    fit->n_steps = 3 * fit->n_lambdas;
    for (size_t l = 0; status == PH_OK && l < fit->n_lambdas; l++)
        status = moments_pass(fit, l);
    if (status == PH_OK) {
        sort_into_groups(fit);
        fit->n_steps = fit->n_lambdas + 2 * fit->n_groups;
        status = set_noise(fit);
    }
    for (size_t g = 0; status == PH_OK && g < fit->n_groups; g++)
        status = add_group(fit, &fit->groups[g], room);
    if (status == PH_OK && fit->options->full_noise)
        status = fold_in_full_noise(fit);
    if (status == PH_OK) {
        cblas_dscal((int)(fit->p * fit->p), 1 - fit->options->rho * fit->options->rho, fit->g, 1);
        status =
            phi_reduce(fit->g, fit->options->prior, fit->p, fit->out->t, fit->out->d, fit->reterr);
    }
    for (size_t g = 0; status == PH_OK && g < fit->n_groups; g++)
        status = weights_pass(fit, &fit->groups[g], room);
    if (status == PH_OK) {
        finish_voxels(fit);
        set_error(fit);
    }
    phi_free(room);
    return status;
}

static bool allocate(struct phi_fit *fit)
{
    size_t n = fit->n, p = fit->p, q = fit->q, n_extra = fit->smoother->design.n_nuisance;

    fit->out->n_extra = n_extra;
    fit->out->extra = phi_calloc2(n_extra, q, sizeof(float));
    if (!fit->out->extra)
        return false;

    fit->mean = phi_calloc(q, sizeof(double));
    fit->var_y = phi_calloc(q, sizeof(double));
    fit->ss = phi_calloc(q, sizeof(double));
    fit->fourth = phi_calloc(q, sizeof(double));
    fit->sd = phi_calloc(q, sizeof(double));
    fit->inverse = phi_calloc(q, sizeof(double));
    fit->choice = phi_calloc(q, 1);
    fit->order = phi_calloc(q, sizeof(uint32_t));
    fit->m = phi_calloc2(p, n, sizeof(double));
    fit->r = phi_calloc2(n, n, sizeof(double));
    fit->m32 = phi_calloc2(p + fit->smoother->n_free, n, sizeof(float));
    fit->r32 = phi_calloc2(n, n, sizeof(float));
    fit->gram = phi_calloc2(n, n, PHI_FIT_SUMS * sizeof(double));
    fit->g = phi_calloc2(p, p, sizeof(double));
    fit->a = phi_calloc2(p, n, sizeof(double));
    fit->zz = phi_calloc2(n, n, sizeof(double));
    fit->scratch = phi_calloc2(2 * fit->n_threads, n * PHI_FIT_CHUNK, sizeof(float));
    fit->scratch_gram = phi_calloc2(fit->n_threads, n * n, sizeof(float));
    return fit->mean && fit->var_y && fit->ss && fit->fourth && fit->sd && fit->inverse &&
           fit->choice && fit->order && fit->m && fit->r && fit->m32 && fit->r32 && fit->gram &&
           fit->g && fit->a && fit->zz && fit->scratch && fit->scratch_gram;
}

static void release(struct phi_fit *fit)
{
    void *blocks[] = {fit->inverse, fit->mean,    fit->var_y,       fit->ss, fit->fourth,
                      fit->sd,      fit->choice,  fit->order,       fit->m,  fit->r,
                      fit->m32,     fit->r32,     fit->gram,        fit->g,  fit->a,
                      fit->zz,      fit->scratch, fit->scratch_gram};

    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        phi_free(blocks[i]);
    phi_smoother_destroy(&fit->smoother);
}

enum ph_status phi_posterior_fit(const struct phi_posterior_data *data,
                                 const struct phi_posterior_options *options,
                                 struct phi_posterior **ret_posterior, struct ph_error *reterr)
{
    struct phi_fit fit = {.data = data,
                          .options = options,
                          .reterr = reterr,
                          .n = data->design.n,
                          .p = data->design.p,
                          .q = data->q,
                          .n_threads = phi_fork_threads(options->n_threads)};
    int blas_threads;
    enum ph_status status;

    if (!(options->rho >= 0 && options->rho < 1) || !(options->lambda >= 0) || data->q == 0 ||
        !phi_blas_fits(data->q, fit.n, fit.p))
        return phi_error(reterr, PH_E_INVAL, "rho %g, penalty %g, %zu voxels: out of range",
                         options->rho, options->lambda, data->q);
    status = phi_posterior_create(fit.p, fit.q, &fit.out, reterr);
    if (status)
        return status;
    blas_threads = phi_blas_set_threads(1);
    status = phi_smoother_create(&data->design, &fit.smoother, reterr);
    if (status == PH_OK)
        status =
            allocate(&fit) ? run(&fit) : phi_error_nomem(reterr, "the fit", 8 * fit.n * fit.n * 8);
    (void)phi_blas_set_threads(blas_threads);
    release(&fit);
    if (status) {
        phi_posterior_destroy(&fit.out);
        return status;
    }
    fit.out->rho = options->rho;
    *ret_posterior = fit.out;
    return PH_OK;
}
