/* SPDX-License-Identifier: MIT
 *
 * The rivals: ridge on what the volumes up to a delay give. An item (moment or trial) is a weighted
 * sum of volumes or several volumes side by side, so that every Gram matrix of a rival is a sum of
 * shifted copies of the one of all volumes.
 */
#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/linalg.h"
#include "decode/ridge_fit.h"
#include "eval/streaming.h"

#define N_LAMBDAS   15 /* half decades from .1, voxels being standardised */
#define MAX_WEIGHTS 96 /* volumes one item is made from */
#define BEFORE      4  /* trials before and behind that a least-squares estimate tells apart */
#define BEHIND      2
#define N_NEAR      (BEFORE + 1 + BEHIND)

enum rival { WEIGHTED, FIR_8, FIR_4, MEAN_4, SINCE_3, LSA, NEWEST };

static const char *const names[] = {
    "ridge, response-weighted sum of volumes",
    "FIR ridge, last 8 volumes",
    "FIR ridge, last 4 volumes",
    "ridge, mean of last 4 volumes",
    "ridge, mean of volumes 3..delay",
    "ridge on least-squares trial estimates",
    "ridge, newest volume",
};

struct recipe {
    long offset[MAX_WEIGHTS]; /* volumes after the moment or the onset */
    double weight[MAX_WEIGHTS];
    size_t n;
    bool side_by_side;
};

struct ridge {
    const struct streaming_sim *sim;
    double *gram;   /* [n][n] of all volumes */
    double *target; /* [n_train][p] */
};

static void add_weight(struct recipe *r, long offset, double weight)
{
    if (r->n < MAX_WEIGHTS) {
        r->offset[r->n] = offset;
        r->weight[r->n++] = weight;
    }
}

/* Row `t` (volumes after the onset) of the neighbours' responses, whitened with rho. */
static void near_row(size_t soa, long t, double rho, double *ret)
{
    for (int k = 0; k < N_NEAR; k++) {
        long delay = t - (k - BEFORE) * (long)soa;

        ret[k] = streaming_response((double)delay, STREAMING_DURATION) -
                 rho * streaming_response((double)delay - 1, STREAMING_DURATION);
    }
}

/* Weights whose product with volumes -4 SOA - 1 .. delay is the trial's coefficient by least
 * squares beside its neighbours, under AR(1) noise. Trials that have not begun to respond are left
 * out; false while the trial itself has not. */
static bool least_squares(const struct streaming_sim *sim, size_t delay, struct recipe *r)
{
    long from = -BEFORE * (long)sim->size.soa, to = (long)delay;
    double g[N_NEAR * N_NEAR] = {0}, w[N_NEAR] = {0}, row[N_NEAR], last = 0;

    for (long t = from; t <= to; t++) {
        near_row(sim->size.soa, t, sim->rho, row);
        for (int a = 0; a < N_NEAR; a++)
            for (int b = 0; b < N_NEAR; b++)
                g[a * N_NEAR + b] += row[a] * row[b];
    }
    if (g[BEFORE * N_NEAR + BEFORE] < 1e-3)
        return false;
    for (int a = 0; a < N_NEAR; a++)
        for (int b = 0; b < N_NEAR; b++)
            if (g[a * N_NEAR + a] < 1e-3 || g[b * N_NEAR + b] < 1e-3)
                g[a * N_NEAR + b] = 0;
    for (int a = 0; a < N_NEAR; a++)
        g[a * N_NEAR + a] += g[a * N_NEAR + a] == 0;
    w[BEFORE] = 1;
    if (phi_chol_factor(g, N_NEAR, NULL) != PH_OK)
        return false;
    phi_chol_solve(g, N_NEAR, w, 1);
    for (long t = from; t <= to + 1; t++) { /* y_t counts in rows t and t + 1 */
        double now = 0;

        near_row(sim->size.soa, t, sim->rho, row);
        for (int k = 0; t <= to && k < N_NEAR; k++)
            now += w[k] * row[k];
        add_weight(r, t - 1, last - sim->rho * now);
        last = now;
    }
    return true;
}

/* False where the rival cannot speak at that delay. */
static bool make_recipe(const struct streaming_sim *sim, enum rival which, size_t delay,
                        struct recipe *r)
{
    size_t n = which == FIR_8 ? 8 : which == FIR_4 || which == MEAN_4 ? 4 : 1;

    memset(r, 0, sizeof *r);
    r->side_by_side = which == FIR_4 || which == FIR_8;
    if (which == LSA)
        return least_squares(sim, delay, r);
    if (which == WEIGHTED) {
        for (size_t k = 0; k <= delay; k++)
            add_weight(r, (long)k, streaming_response((double)k, 0));
        return delay >= 2;
    }
    if (which == SINCE_3)
        n = delay < 3 ? 1 : delay - 2;
    for (size_t k = 0; k < n && k <= delay; k++)
        add_weight(r, (long)(delay - k), 1 / (double)n);
    return delay + 1 >= n;
}

static size_t volume_of(const struct streaming_sim *sim, size_t item, long offset)
{
    long t = (long)(sim->onset ? sim->onset[item] : item) + offset;

    return t < 0 ? 0 : t >= (long)sim->n ? sim->n - 1 : (size_t)t;
}

static double item_product(const struct ridge *ridge, const struct recipe *r, size_t i, size_t j)
{
    const struct streaming_sim *sim = ridge->sim;
    double sum = 0;

    for (size_t a = 0; a < r->n; a++) {
        const double *row = ridge->gram + volume_of(sim, i, r->offset[a]) * sim->n;

        if (r->side_by_side)
            sum += row[volume_of(sim, j, r->offset[a])];
        for (size_t b = 0; !r->side_by_side && b < r->n; b++)
            sum += r->weight[a] * r->weight[b] * row[volume_of(sim, j, r->offset[b])];
    }
    return sum;
}

/* ---- one fit ---- */

struct answer {
    double *coef, *mean; /* [n][p], [p] */
    size_t p;
};

static enum ph_status take(void *ctx, const struct phi_ridge_block *block, struct ph_error *reterr)
{
    struct answer *answer = ctx;
    const double *coef = block->coef;

    (void)reterr;
    for (size_t i = 0; i < block->n_out; i++)
        memcpy(answer->coef + i * answer->p + block->first, coef + i * block->n,
               block->n * sizeof *coef);
    memcpy(answer->mean + block->first, block->mean, block->n * sizeof *block->mean);
    return PH_OK;
}

static enum ph_status fit(const struct ridge *ridge, const double *k, size_t n,
                          struct answer *answer, struct ph_error *reterr)
{
    const struct streaming_sim *sim = ridge->sim;
    double lambdas[N_LAMBDAS];
    struct phi_folds folds;
    const struct phi_ridge_options options = {.lambdas = lambdas,
                                              .n_lambdas = N_LAMBDAS,
                                              .folds = &folds,
                                              .dtype = PHI_DTYPE_F64,
                                              .n_threads = sim->size.n_threads};
    struct phi_columns_memory memory = {ridge->target, PHI_DTYPE_F64, n, sim->size.p};
    struct phi_columns targets = phi_columns_over(&memory, sim->size.p, "latents");
    const struct phi_ridge_sink sink = {take, answer};
    struct phi_ridge_plan *plan = NULL;
    struct phi_ridge_report report;
    enum ph_status status = phi_folds_contiguous(n, sim->onset ? 5 : 3, 0, &folds, reterr);

    for (size_t l = 0; l < N_LAMBDAS; l++)
        lambdas[l] = pow(10, -1 + 0.5 * (double)l);
    if (status == PH_OK)
        status = phi_ridge_plan_dual(k, NULL, n, &options, &plan, reterr);
    if (status == PH_OK)
        status = phi_ridge_fit(plan, &targets, &sink, &report, reterr);
    phi_ridge_plan_destroy(&plan);
    return status;
}

/* Items n_train + from .. n_train + to - 1 from the coefficients of the training items. */
static void predict(const struct ridge *ridge, const struct recipe *r, const double *k, size_t n,
                    const struct answer *answer, const size_t range[2], double *row, float *ret)
{
    size_t p = answer->p;

    for (size_t i = range[0]; i < range[1]; i++) {
        float *out = ret + (i - range[0]) * p;
        double z[STREAMING_MAX_LATENTS];

        memcpy(z, answer->mean, p * sizeof *z);
        for (size_t j = 0; j < n; j++)
            row[j] = item_product(ridge, r, ridge->sim->size.n_train + i, j) - k[n * n + j];
        for (size_t j = 0; j < n; j++)
            for (size_t c = 0; c < p; c++)
                z[c] += row[j] * answer->coef[j * p + c];
        for (size_t c = 0; c < p; c++)
            out[c] = (float)z[c];
    }
}

/* Gram matrix of the training items, k[n][n], with the means of its columns behind it. */
static void fill_gram(const struct ridge *ridge, const struct recipe *r, size_t n, double *k)
{
    memset(k + n * n, 0, n * sizeof *k);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++)
            k[i * n + j] = k[j * n + i] = item_product(ridge, r, i, j);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            k[n * n + j] += k[i * n + j] / (double)n;
}

static enum ph_status score_delay(const struct ridge *ridge, const struct recipe *r, size_t delay,
                                  double *ret_r, struct ph_error *reterr)
{
    const struct streaming_sim *sim = ridge->sim;
    size_t p = sim->size.p, lost = sim->onset ? 0 : delay, n = sim->size.n_train - lost;
    const size_t range[2] = {sim->onset ? 0 : STREAMING_SKIP, sim->size.n_test - lost};
    double *k = phi_calloc2(n + 1, n, sizeof *k), *row = phi_calloc(n, sizeof *row);
    struct answer answer = {phi_calloc2(n, p, sizeof(double)), phi_calloc(p, sizeof(double)), p};
    float *z = phi_calloc2(sim->size.n_test, p, sizeof *z);
    enum ph_status status = PH_OK;

    if (!k || !row || !answer.coef || !answer.mean || !z)
        status = phi_error_nomem(reterr, "a ridge fit", n * n * sizeof *k);
    if (status == PH_OK) {
        fill_gram(ridge, r, n, k);
        status = fit(ridge, k, n, &answer, reterr);
    }
    if (status == PH_OK) {
        predict(ridge, r, k, n, &answer, range, row, z);
        *ret_r = streaming_correlation(z, sim->z + (sim->size.n_train + range[0]) * p,
                                       range[1] - range[0], p);
    }
    phi_free(k);
    phi_free(row);
    phi_free(answer.coef);
    phi_free(answer.mean);
    phi_free(z);
    return status;
}

static enum ph_status add_rival(const struct ridge *ridge, enum rival which,
                                struct streaming_table *table, struct ph_error *reterr)
{
    struct streaming_row *row = streaming_add(table, names[which]);
    enum ph_status status = row ? PH_OK : phi_error(reterr, PH_E_LIMIT, "too many lines");

    for (size_t d = 0; status == PH_OK && d < table->n_delays; d++) {
        struct recipe r;

        if (make_recipe(ridge->sim, which, table->delay[d], &r))
            status = score_delay(ridge, &r, table->delay[d], &row->r[d], reterr);
    }
    return status;
}

static enum ph_status make_gram(struct ridge *ridge, struct ph_error *reterr)
{
    const struct streaming_sim *sim = ridge->sim;
    size_t n = sim->n, p = sim->size.p;
    float *gram = phi_calloc2(n, n, sizeof *gram);

    ridge->gram = phi_calloc2(n, n, sizeof *ridge->gram);
    ridge->target = phi_calloc2(sim->size.n_train, p, sizeof *ridge->target);
    if (!gram || !ridge->gram || !ridge->target) {
        phi_free(gram);
        return phi_error_nomem(reterr, "the products of all volumes", n * n * 12);
    }
    cblas_ssyrk(CblasRowMajor, CblasLower, CblasNoTrans, (int)n, (int)sim->size.q, 1, sim->y,
                (int)sim->size.q, 0, gram, (int)n);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++)
            ridge->gram[i * n + j] = ridge->gram[j * n + i] = (double)gram[i * n + j];
    for (size_t i = 0; i < sim->size.n_train * p; i++)
        ridge->target[i] = (double)sim->z[i];
    phi_free(gram);
    return PH_OK;
}

enum ph_status streaming_rivals(const struct streaming_sim *sim, struct streaming_table *table,
                                struct ph_error *reterr)
{
    static const enum rival content[] = {WEIGHTED, FIR_8, FIR_4, MEAN_4, NEWEST};
    static const enum rival trials[] = {LSA, SINCE_3, FIR_4, NEWEST};
    struct ridge ridge = {.sim = sim};
    size_t n = sim->onset ? sizeof trials / sizeof *trials : sizeof content / sizeof *content;
    int threads = phi_blas_set_threads(1);
    enum ph_status status = make_gram(&ridge, reterr);

    for (size_t i = 0; status == PH_OK && i < n; i++)
        status = add_rival(&ridge, sim->onset ? trials[i] : content[i], table, reterr);
    (void)phi_blas_set_threads(threads);
    phi_free(ridge.gram);
    phi_free(ridge.target);
    return status;
}
