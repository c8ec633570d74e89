/* SPDX-License-Identifier: MIT */
#include "eval/blocks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/linalg.h"
#include "decode/posterior_fit.h"

#define CHUNK_S     8    /* rows of so many seconds are left out together to find the noise */
#define RHO_PENALTY 0.01 /* in units of the design's scale */
#define LEAST_SHARE 1e-3 /* of the largest column's energy: below, a block is not in the rows */

static uint32_t category_of(struct blocks *blocks, const char *name)
{
    uint32_t k = 0;

    while (k < blocks->n_categories && strcmp(blocks->category[k], name) != 0)
        k++;
    if (k == blocks->n_categories && k < BLOCKS_MAX_CATEGORIES) {
        memcpy(blocks->category[k], name, strlen(name) + 1);
        blocks->n_categories++;
    }
    return k;
}

static enum ph_status add_event(struct blocks *blocks, const struct fit_rows_event *e,
                                double apart_s, struct ph_error *reterr)
{
    uint32_t category = category_of(blocks, e->event.trial_type);
    struct block *last = blocks->n ? &blocks->block[blocks->n - 1] : NULL;
    double end_s = e->event.onset_s + e->event.duration_s;

    if (category == BLOCKS_MAX_CATEGORIES)
        return phi_error(reterr, PH_E_LIMIT, "more than %d trial types", BLOCKS_MAX_CATEGORIES);
    if (last && last->run == e->run && last->category == category &&
        e->event.onset_s - last->end_s < apart_s) {
        last->end_s = fmax(last->end_s, end_s);
        return PH_OK;
    }
    if (blocks->n == BLOCKS_MAX)
        return phi_error(reterr, PH_E_LIMIT, "more than %d blocks", BLOCKS_MAX);
    blocks->block[blocks->n++] = (struct block){e->event.onset_s, end_s, e->run, category};
    return PH_OK;
}

enum ph_status blocks_find(const struct fit_rows *rows, double apart_s, struct blocks *ret_blocks,
                           struct ph_error *reterr)
{
    size_t count[BLOCKS_MAX_CATEGORIES] = {0};
    enum ph_status status = PH_OK;

    memset(ret_blocks, 0, sizeof *ret_blocks);
    for (size_t e = 0; status == PH_OK && e < rows->n_events; e++)
        status = add_event(ret_blocks, &rows->events[e], apart_s, reterr);
    if (status)
        return status;
    for (size_t b = 0; b < ret_blocks->n; b++)
        count[ret_blocks->block[b].category]++;
    if (ret_blocks->n_categories < 2)
        return phi_error(reterr, PH_E_INVAL, "the events have only one trial type");
    for (size_t k = 0; k < ret_blocks->n_categories; k++)
        if (count[k] < 2)
            return phi_error(reterr, PH_E_INVAL,
                             "'%s' has one block: with that left out nothing is known about it",
                             ret_blocks->category[k]);
    return PH_OK;
}

/* ---- the design, without labels ---- */

static double response(const struct block *block, const struct fit_rows *rows, size_t r)
{
    const struct phi_hrf hrf = phi_hrf_spm();
    struct phi_decoder_shape shape = phi_decoder_shape_of(&hrf);
    double delay_s = rows->at_s[r] - block->onset_s, length_s = block->end_s - block->onset_s;

    if (rows->run[r] != block->run || delay_s < 0 || delay_s > length_s + hrf.length_s)
        return 0;
    return phi_decoder_response(&shape, delay_s, length_s);
}

static double run_length(const struct fit_rows *rows, uint32_t run)
{
    double end_s = 0;

    for (size_t r = 0; r < rows->n; r++)
        end_s = rows->run[r] == run ? fmax(end_s, rows->at_s[r] + rows->geometry.tr_s / 2) : end_s;
    return end_s;
}

static size_t n_cosines(const struct block_fold *f, uint32_t run)
{
    return f->options->cutoff_s > 0 ? (size_t)(2 * run_length(f->rows, run) / f->options->cutoff_s)
                                    : 0;
}

void block_fold_base(const struct block_fold *fold, size_t r, double *ret)
{
    size_t at = 0;

    memset(ret, 0, fold->n_base * sizeof *ret);
    for (uint32_t run = 0; run < fold->rows->n_runs; run++) {
        size_t n = n_cosines(fold, run);
        double u = fold->rows->at_s[r] / run_length(fold->rows, run);

        for (size_t k = 1; k <= n; k++, at++)
            ret[at] = fold->rows->run[r] == run ? cos(M_PI * (double)k * u) : 0;
        if (run > 0)
            ret[at++] = fold->rows->run[r] == run;
    }
}

static bool held_out(const struct block_fold *f, size_t r, double margin_s)
{
    const struct block *block = &f->blocks->block[f->left_out];
    double at_s = f->rows->at_s[r];

    return f->rows->run[r] == block->run && at_s >= block->onset_s - margin_s &&
           at_s <= block->end_s + f->options->tail_s + margin_s;
}

/* The training rows as they are, in one piece: [n] numbers, columns and base. */
struct plain {
    size_t *row;
    double *column, *base;
    bool *joined;
    size_t n;
};

static void free_plain(struct plain *plain)
{
    phi_free(plain->row);
    phi_free(plain->column);
    phi_free(plain->base);
    phi_free(plain->joined);
}

static enum ph_status list_rows(struct block_fold *f, struct plain *plain, struct ph_error *reterr)
{
    size_t n = f->rows->n, nb = f->blocks->n;

    plain->row = phi_calloc(n, sizeof *plain->row);
    plain->joined = phi_calloc(n, sizeof *plain->joined);
    plain->column = phi_calloc2(n, nb, sizeof *plain->column);
    plain->base = phi_calloc2(n, f->n_base + 1, sizeof *plain->base);
    f->step = phi_calloc(n, sizeof *f->step);
    if (!plain->row || !plain->joined || !plain->column || !plain->base || !f->step)
        return phi_error_nomem(reterr, "the design", n * (nb + f->n_base + 1) * sizeof(double));
    for (size_t r = 0; r < n; r++) {
        if (held_out(f, r, 0))
            f->step[f->n_steps++] = r;
        if (held_out(f, r, f->options->gap_s))
            continue;
        plain->joined[plain->n] =
            plain->n > 0 && plain->row[plain->n - 1] + 1 == r && f->rows->joined[r];
        plain->row[plain->n] = r;
        block_fold_base(f, r, plain->base + plain->n * f->n_base);
        for (size_t b = 0; b < nb; b++)
            plain->column[plain->n * nb + b] = response(&f->blocks->block[b], f->rows, r);
        plain->n++;
    }
    if (f->n_steps == 0 || plain->n < 2 * (nb + f->n_base))
        return phi_error(reterr, PH_E_INVAL,
                         "block %zu leaves %zu volumes to decode and %zu to train on: too few",
                         f->left_out + 1, f->n_steps, plain->n);
    return PH_OK;
}

/* Blocks with energy in the rows, to ret_block; returns how many. */
static size_t blocks_in(const double *column, size_t n, size_t nb, size_t *ret_block)
{
    double energy[BLOCKS_MAX] = {0}, most = 0;
    size_t n_in = 0;

    for (size_t i = 0; i < n * nb; i++)
        energy[i % nb] += column[i] * column[i];
    for (size_t b = 0; b < nb; b++)
        most = fmax(most, energy[b]);
    for (size_t b = 0; b < nb; b++)
        if (energy[b] > LEAST_SHARE * most)
            ret_block[n_in++] = b;
    return n_in;
}

/* ---- voxels ---- */

struct ranked {
    double t;
    uint32_t voxel;
};

static int by_t(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->t != y->t)
        return x->t < y->t ? 1 : -1;
    return (x->voxel > y->voxel) - (x->voxel < y->voxel);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* X (blocks, base, constant) of the rows, [n][k]; returns k. */
static size_t whole_design(const struct block_fold *f, const struct plain *plain, const size_t *in,
                           size_t n_in, double *ret_x)
{
    size_t k = n_in + f->n_base + 1;

    for (size_t i = 0; i < plain->n; i++) {
        for (size_t b = 0; b < n_in; b++)
            ret_x[i * k + b] = plain->column[i * f->blocks->n + in[b]];
        for (size_t j = 0; j < f->n_base; j++)
            ret_x[i * k + n_in + j] = plain->base[i * f->n_base + j];
        ret_x[i * k + k - 1] = 1;
    }
    return k;
}

/* Rows L^-1 X' [k][n]: an orthonormal basis of the design; and a [n], whose product with data is
 * the mean over training blocks of their coefficients, with its variance over the noise's. */
static enum ph_status contrast_of(const struct block_fold *f, const double *x, size_t n, size_t k,
                                  const size_t *in, size_t n_in, double *ret_basis, double *ret_a,
                                  double *ret_var, struct ph_error *reterr)
{
    double *g = phi_calloc2(k, k, sizeof *g), *c = phi_calloc(k, sizeof *c);
    enum ph_status status =
        g && c ? PH_OK : phi_error_nomem(reterr, "a design's products", k * k * sizeof *g);

    for (size_t i = 0; status == PH_OK && i < n; i++)
        for (size_t a = 0; a < k; a++)
            for (size_t b = 0; b < k; b++)
                g[a * k + b] += x[i * k + a] * x[i * k + b];
    if (status == PH_OK)
        status = phi_chol_factor(g, k, reterr);
    if (status == PH_OK) {
        for (size_t b = 0; b < n_in; b++)
            c[b] = in[b] == f->left_out ? 0 : 1 / (double)f->blocks->n;
        for (size_t a = 0; a < k; a++)
            for (size_t i = 0; i < n; i++)
                ret_basis[a * n + i] = x[i * k + a];
        phi_chol_forward(g, k, ret_basis, n);
        phi_chol_forward(g, k, c, 1);
        *ret_var = 0;
        for (size_t a = 0; a < k; a++)
            *ret_var += c[a] * c[a];
        for (size_t i = 0; i < n; i++)
            for (size_t a = 0; a < k; a++)
                ret_a[i] += c[a] * ret_basis[a * n + i];
    }
    phi_free(g);
    phi_free(c);
    return status;
}

struct t_pass {
    const struct block_fold *f;
    const struct plain *plain;
    const double *basis, *a; /* [k][n], [n] */
    size_t k;
    double var;
    double *sum; /* [k + 2][q]: products with the basis, with a, sum of squares */
};

/* |t| of every voxel; 0 where it does not vary. */
static void rank_voxels(struct t_pass *pass, struct ranked *ret)
{
    size_t n = pass->plain->n, q = pass->f->rows->q, k = pass->k;
    double *mean_row = pass->sum + (k + 1) * q;

    for (size_t i = 0; i < n; i++) {
        const float *y = pass->f->rows->y + pass->plain->row[i] * q;

        for (size_t a = 0; a <= k; a++) {
            double w = a < k ? pass->basis[a * n + i] : pass->a[i];
            double *sum = pass->sum + a * q;

            for (size_t v = 0; v < q; v++)
                sum[v] += w * (double)y[v];
        }
        for (size_t v = 0; v < q; v++)
            mean_row[v] += (double)y[v] * (double)y[v];
    }
    for (size_t v = 0; v < q; v++) {
        double rest = mean_row[v];

        for (size_t a = 0; a < k; a++)
            rest -= pass->sum[a * q + v] * pass->sum[a * q + v];
        rest = rest > 1e-9 * mean_row[v] ? rest / (double)(n - k) : 0;
        ret[v].voxel = (uint32_t)v;
        ret[v].t = rest > 0 ? fabs(pass->sum[k * q + v]) / sqrt(rest * pass->var) : 0;
    }
}

static enum ph_status choose_voxels(struct block_fold *f, const struct plain *plain,
                                    struct ph_error *reterr)
{
    size_t in[BLOCKS_MAX], q = f->rows->q, n = plain->n;
    size_t n_in = blocks_in(plain->column, n, f->blocks->n, in), k = n_in + f->n_base + 1;
    double *x = phi_calloc2(n, k, sizeof *x), *basis = phi_calloc2(k, n, sizeof *basis);
    double *a = phi_calloc(n, sizeof *a), *sum = phi_calloc2(k + 2, q, sizeof *sum);
    struct ranked *ranked = phi_calloc(q, sizeof *ranked);
    struct t_pass pass = {f, plain, basis, a, k, 0, sum};
    enum ph_status status = PH_OK;

    f->q = f->options->n_voxels && f->options->n_voxels < q ? f->options->n_voxels : q;
    f->voxel = phi_calloc(f->q, sizeof *f->voxel);
    if (!x || !basis || !a || !sum || !ranked || !f->voxel)
        status = phi_error_nomem(reterr, "the choice of voxels", (k + 2) * q * sizeof *sum);
    if (status == PH_OK) {
        (void)whole_design(f, plain, in, n_in, x);
        status = contrast_of(f, x, n, k, in, n_in, basis, a, &pass.var, reterr);
    }
    if (status == PH_OK) {
        rank_voxels(&pass, ranked);
        qsort(ranked, q, sizeof *ranked, by_t);
        for (size_t v = 0; v < f->q; v++)
            f->voxel[v] = ranked[v].voxel;
        qsort(f->voxel, f->q, sizeof *f->voxel, by_number);
    }
    phi_free(x);
    phi_free(basis);
    phi_free(a);
    phi_free(sum);
    phi_free(ranked);
    return status;
}

/* ---- noise correlation and whitening ---- */

static uint32_t chunk_of(const struct block_fold *f, size_t r)
{
    return (uint32_t)(f->rows->at_s[r] / CHUNK_S) + 1000U * f->rows->run[r];
}

/* Numbers the chunks of the rows from 0 without holes. */
static void set_chunks(struct block_fold *f, const size_t *row, size_t n)
{
    f->n_chunks = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && chunk_of(f, row[i]) != chunk_of(f, row[i - 1]))
            f->n_chunks++;
        f->chunk[i] = (uint32_t)f->n_chunks;
    }
    f->n_chunks++;
}

static void gather(const struct block_fold *f, size_t r, float *ret)
{
    for (size_t v = 0; v < f->q; v++)
        ret[v] = f->rows->y[r * f->rows->q + f->voxel[v]];
}

static enum ph_status estimate_rho(struct block_fold *f, const struct plain *plain,
                                   struct ph_error *reterr)
{
    size_t in[BLOCKS_MAX], n_in = blocks_in(plain->column, plain->n, f->blocks->n, in);
    float *x = phi_calloc2(plain->n, n_in, sizeof *x);
    struct phi_posterior_data data = {
        {x, f->chunk, plain->n, n_in, 0, plain->base, f->n_base}, f->y, f->q};
    enum ph_status status;

    if (!x)
        return phi_error_nomem(reterr, "the design", plain->n * n_in * sizeof *x);
    set_chunks(f, plain->row, plain->n);
    data.design.n_folds = f->n_chunks;
    for (size_t i = 0; i < plain->n; i++) {
        gather(f, plain->row[i], f->y + i * f->q);
        for (size_t b = 0; b < n_in; b++)
            x[i * n_in + b] = (float)plain->column[i * f->blocks->n + in[b]];
    }
    status = phi_posterior_rho(&data, plain->joined, RHO_PENALTY, &f->rho, reterr);
    f->rho = fmax(f->rho, 0);
    phi_free(x);
    return status;
}

/* Row i less rho times the one before, for rows that follow one. f->y holds the plain rows and is
 * overwritten from the front: row j <= i comes from rows i and i - 1. */
static void whiten(struct block_fold *f, struct plain *plain, float *before)
{
    size_t nb = f->blocks->n;

    for (size_t i = 1; i < plain->n; i++) {
        float *to = f->y + f->n * f->q;

        if (!plain->joined[i])
            continue;
        gather(f, plain->row[i - 1], before);
        gather(f, plain->row[i], to);
        for (size_t v = 0; v < f->q; v++)
            to[v] -= (float)f->rho * before[v];
        for (size_t b = 0; b < nb; b++)
            f->column[f->n * nb + b] =
                plain->column[i * nb + b] - f->rho * plain->column[(i - 1) * nb + b];
        for (size_t j = 0; j < f->n_base; j++)
            f->base[f->n * f->n_base + j] =
                plain->base[i * f->n_base + j] - f->rho * plain->base[(i - 1) * f->n_base + j];
        plain->row[f->n++] = plain->row[i];
    }
    set_chunks(f, plain->row, f->n);
}

static enum ph_status make_rows(struct block_fold *f, struct plain *plain, struct ph_error *reterr)
{
    float *before = phi_calloc(f->q, sizeof *before);
    enum ph_status status;

    f->y = phi_calloc2(plain->n, f->q, sizeof *f->y);
    f->column = phi_calloc2(plain->n, f->blocks->n, sizeof *f->column);
    f->base = phi_calloc2(plain->n, f->n_base + 1, sizeof *f->base);
    f->chunk = phi_calloc(plain->n, sizeof *f->chunk);
    if (before && f->y && f->column && f->base && f->chunk)
        status = estimate_rho(f, plain, reterr);
    else
        status = phi_error_nomem(reterr, "training volumes", plain->n * f->q * sizeof *f->y);
    if (status == PH_OK)
        whiten(f, plain, before);
    phi_free(before);
    return status;
}

enum ph_status block_fold_make(const struct fit_rows *rows, const struct blocks *blocks,
                               const struct block_options *options, size_t left_out,
                               struct block_fold *ret_fold, struct ph_error *reterr)
{
    struct block_fold f = {
        .rows = rows, .blocks = blocks, .options = options, .left_out = left_out};
    struct plain plain = {0};
    enum ph_status status;

    for (uint32_t run = 0; run < rows->n_runs; run++)
        f.n_base += n_cosines(&f, run) + (run > 0);
    status = list_rows(&f, &plain, reterr);
    if (status == PH_OK)
        status = choose_voxels(&f, &plain, reterr);
    if (status == PH_OK)
        status = make_rows(&f, &plain, reterr);
    free_plain(&plain);
    if (status) {
        block_fold_free(&f);
        return status;
    }
    *ret_fold = f;
    return PH_OK;
}

void block_fold_free(struct block_fold *fold)
{
    phi_free(fold->voxel);
    phi_free(fold->y);
    phi_free(fold->column);
    phi_free(fold->base);
    phi_free(fold->chunk);
    phi_free(fold->step);
    memset(fold, 0, sizeof *fold);
}
