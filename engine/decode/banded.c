/* SPDX-License-Identifier: MIT */
#include "decode/banded.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "decode/ridge_block.h"
#include "decode/ridge_fit.h"
#include "decode/spectrum.h"

struct search {
    const struct phi_bands *bands;
    const struct phi_columns *targets;
    const struct phi_banded_options *options;
    const struct phi_banded_result *result;
    double *k;        /* [n][n] of the present draw */
    double *shares;   /* [n_draws][n_bands] */
    uint32_t *chosen; /* [t] draw */
    size_t draw;
};

/* log of a gamma variate of the given shape (Marsaglia and Tsang 2000; shapes below 1 by their
 * power of a uniform, in logs so that small shapes do not vanish). */
static double log_gamma_variate(struct phi_rng *rng, double shape)
{
    double boost = shape < 1 ? log(1 - phi_rng_uniform(rng)) / shape : 0;
    double d = (shape < 1 ? shape + 1 : shape) - 1. / 3, c = 1 / sqrt(9 * d);

    for (;;) {
        double z = phi_rng_normal(rng), v = 1 + c * z;

        if (!(v > 0))
            continue;
        v = v * v * v;
        if (log(1 - phi_rng_uniform(rng)) < 0.5 * z * z + d - d * v + d * log(v))
            return log(d * v) + boost;
    }
}

static void draw_shares(struct phi_rng *rng, size_t draw, double *share, size_t n_bands)
{
    double top = -INFINITY, sum = 0;

    for (size_t b = 0; b < n_bands; b++) {
        share[b] = draw ? log_gamma_variate(rng, draw % 2 ? 0.1 : 1) : 0;
        top = share[b] > top ? share[b] : top;
    }
    for (size_t b = 0; b < n_bands; b++) {
        share[b] = exp(share[b] - top);
        sum += share[b];
    }
    for (size_t b = 0; b < n_bands; b++)
        share[b] /= sum;
}

static void mix_bands(const struct phi_bands *bands, const double *share, double *k)
{
    memset(k, 0, bands->n * bands->n * sizeof *k);
    for (size_t b = 0; b < bands->n_bands; b++)
        for (size_t i = 0; i < bands->n * bands->n; i++)
            k[i] += share[b] * bands->k[b][i];
}

/* Keeps a draw for the targets it predicts better than all before. */
static enum ph_status keep_better(void *ctx, const struct phi_ridge_block *block,
                                  struct ph_error *reterr)
{
    struct search *search = ctx;

    (void)reterr;
    for (size_t t = 0; t < block->n; t++) {
        size_t at = block->first + t;

        if (search->draw && !(block->cv_r2[t] > search->result->cv_r2[at]))
            continue;
        search->result->cv_r2[at] = block->cv_r2[t];
        search->result->lambda[at] = block->lambda[t];
        search->chosen[at] = (uint32_t)search->draw;
    }
    return PH_OK;
}

static enum ph_status try_draw(struct search *search, struct ph_error *reterr)
{
    const struct phi_banded_options *o = search->options;
    struct phi_ridge_options options = {.lambdas = o->lambdas,
                                        .n_lambdas = o->n_lambdas,
                                        .folds = o->folds,
                                        .dtype = o->dtype,
                                        .n_threads = o->n_threads,
                                        .errors_only = true};
    struct phi_ridge_sink sink = {keep_better, search};
    struct phi_ridge_report report;
    struct phi_ridge_plan *plan;
    enum ph_status status;

    mix_bands(search->bands, search->shares + search->draw * search->bands->n_bands, search->k);
    status = phi_ridge_plan_dual(search->k, NULL, search->bands->n, &options, &plan, reterr);
    if (status)
        return status;
    status = phi_ridge_fit(plan, search->targets, &sink, &report, reterr);
    phi_ridge_plan_destroy(&plan);
    return status;
}

/* Coefficients out of a spectrum, float64. */
static enum ph_status apply_spectrum(const struct phi_spectrum *s, const double *lambda,
                                     const double *y, size_t t, double *ret_dual,
                                     struct ph_error *reterr)
{
    struct phi_ridge_whole whole = {
        .n = s->n_train, .n_out = s->n_out, .r = s->r, .q = s->q, .out = s->out, .e = s->e};
    struct phi_ridge_slice slice = {y, t, t};
    struct phi_ridge_scratch scratch = {.z = phi_calloc2(s->r, t, sizeof(double))};

    if (!scratch.z)
        return phi_error_nomem(reterr, "banded coefficients", s->r * t * sizeof(double));
    phi_ridge_coefficients_f64(&whole, slice, lambda, &scratch, ret_dual, t);
    phi_free(scratch.z);
    return PH_OK;
}

enum ph_status phi_banded_solve(const struct phi_bands *bands, const double *share,
                                const double *lambda, const double *y, size_t t, double *ret_dual,
                                struct ph_error *reterr)
{
    double *k = phi_calloc2(bands->n, bands->n, sizeof *k);
    struct phi_fold all = phi_fold_whole(bands->n);
    struct phi_spectrum s;
    enum ph_status status;

    if (!k)
        return phi_error_nomem(reterr, "sum of the bands", bands->n * bands->n * sizeof *k);
    mix_bands(bands, share, k);
    status = phi_spectrum_dual(k, &all, NULL, &s, reterr);
    phi_free(k);
    if (status)
        return status;
    status = apply_spectrum(&s, lambda, y, t, ret_dual, reterr);
    phi_spectrum_fini(&s);
    return status;
}

/* Reads target t into column `at` of y[n][n_columns]; `one`[n] is scratch. */
static enum ph_status gather(const struct search *search, size_t t, size_t at, size_t n_columns,
                             double *one, double *y, struct ph_error *reterr)
{
    double mean, sd;
    struct phi_columns_block block = {PHI_DTYPE_F64, one, &mean, &sd};
    enum ph_status status = phi_columns_read_centred(search->targets, t, 1, &block, reterr);

    for (size_t i = 0; !status && i < search->bands->n; i++)
        y[i * n_columns + at] = one[i];
    return status;
}

/* The targets that chose one draw, gathered, solved and scattered. */
struct group {
    double *one;    /* [n] */
    double *y;      /* [n][n_members] */
    double *dual;   /* [n][n_members] */
    double *lambda; /* [n_members] */
    size_t n_members;
};

static enum ph_status solve_group(const struct search *search, size_t draw, struct group *g,
                                  struct ph_error *reterr)
{
    size_t n_targets = search->targets->n_cols, n = search->bands->n, at = 0;
    const double *share = search->shares + draw * search->bands->n_bands;
    enum ph_status status = PH_OK;

    for (size_t t = 0; !status && t < n_targets; t++)
        if (search->chosen[t] == draw) {
            g->lambda[at] = search->result->lambda[t];
            status = gather(search, t, at++, g->n_members, g->one, g->y, reterr);
        }
    if (!status)
        status =
            phi_banded_solve(search->bands, share, g->lambda, g->y, g->n_members, g->dual, reterr);
    at = 0;
    for (size_t t = 0; !status && t < n_targets; t++) {
        if (search->chosen[t] != draw)
            continue;
        memcpy(search->result->share + t * search->bands->n_bands, share,
               search->bands->n_bands * sizeof *share);
        for (size_t i = 0; i < n; i++)
            search->result->dual[i * n_targets + t] = g->dual[i * g->n_members + at];
        at++;
    }
    return status;
}

static enum ph_status solve_draw(const struct search *search, size_t draw, struct ph_error *reterr)
{
    struct group g = {0};
    enum ph_status status;

    for (size_t t = 0; t < search->targets->n_cols; t++)
        g.n_members += search->chosen[t] == draw;
    if (!g.n_members)
        return PH_OK;
    g.one = phi_calloc(search->bands->n, sizeof *g.one);
    g.y = phi_calloc2(search->bands->n, g.n_members, sizeof *g.y);
    g.dual = phi_calloc2(search->bands->n, g.n_members, sizeof *g.dual);
    g.lambda = phi_calloc(g.n_members, sizeof *g.lambda);
    if (g.one && g.y && g.dual && g.lambda)
        status = solve_group(search, draw, &g, reterr);
    else
        status = phi_error_nomem(reterr, "targets of a band search",
                                 search->bands->n * g.n_members * sizeof *g.y);
    phi_free(g.one);
    phi_free(g.y);
    phi_free(g.dual);
    phi_free(g.lambda);
    return status;
}

static enum ph_status run(struct search *search, struct ph_error *reterr)
{
    const struct phi_banded_options *o = search->options;
    size_t n_bands = search->bands->n_bands;
    enum ph_status status = PH_OK;
    struct phi_rng rng;

    phi_rng_init(&rng, o->seed, 0);
    for (search->draw = 0; !status && search->draw < o->n_draws; search->draw++) {
        draw_shares(&rng, search->draw, search->shares + search->draw * n_bands, n_bands);
        status = try_draw(search, reterr);
        phi_progress_report(o->progress, "shares of the bands",
                            (double)(search->draw + 1) / (double)o->n_draws);
    }
    for (size_t draw = 0; !status && draw < o->n_draws; draw++)
        status = solve_draw(search, draw, reterr);
    return status;
}

enum ph_status phi_banded_fit(const struct phi_bands *bands, const struct phi_columns *targets,
                              const struct phi_banded_options *options,
                              const struct phi_banded_result *result, struct ph_error *reterr)
{
    struct search search = {
        .bands = bands, .targets = targets, .options = options, .result = result};
    enum ph_status status;

    if (!bands->n_bands || !options->n_draws || options->n_draws > UINT32_MAX || !options->folds)
        return phi_error(reterr, PH_E_INVAL,
                         "banded ridge needs bands, draws and folds (%zu bands, %zu draws)",
                         bands->n_bands, options->n_draws);
    search.k = phi_calloc2(bands->n, bands->n, sizeof *search.k);
    search.shares = phi_calloc2(options->n_draws, bands->n_bands, sizeof *search.shares);
    search.chosen = phi_calloc(targets->n_cols, sizeof *search.chosen);
    if (search.k && search.shares && search.chosen)
        status = run(&search, reterr);
    else
        status = phi_error_nomem(reterr, "band search", bands->n * bands->n * sizeof *search.k);
    phi_free(search.k);
    phi_free(search.shares);
    phi_free(search.chosen);
    return status;
}
