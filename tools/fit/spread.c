/* SPDX-License-Identifier: MIT
 *
 * Every step that all take part in begins with an agreement, so that a process that failed is
 * heard before the others wait for it.
 */
#include "fit/spread.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

/* Rows of the voxels that are collected at once for a dual file. */
#define TRAIN_ROWS 64

/* What one process brings to a round, as numbers that a sum can carry. */
enum { HAS, FIRST, COUNT, N_OUT, WIDE, N_HEAD };

struct spread {
    const struct fit_team *team;
    struct ridge_model_from from;
    struct ridge_model_product product;
    struct ridge_model *model;                 /* process 0 */
    struct phi_ridge_sink sink;                /* of model */
    double *mean, *scale;                      /* [q_all] */
    float *lag_mean;                           /* [L][q_all] */
    double *heads;                             /* [n_ranks][N_HEAD] */
    size_t *part_q, *n_bytes;                  /* [n_ranks] */
    size_t first;                              /* of this process's targets */
    void *coef, *estimate;                     /* a block that came */
    double *stats;                             /* mean, sd, lambda, cv_r2: [4][n] */
    float *turned, *own_weights, *all_weights; /* of a block, and as collected */
    size_t n_block;
};

static bool is_first(const struct spread *s)
{
    return s->team->base.rank == 0;
}

/* Columns of this process to columns of all on process 0, ret[n][q_all]. `own` is [n][q]. */
static enum ph_status collect_columns(struct spread *s, const void *own, size_t n, size_t size,
                                      void *room, void *ret, struct ph_error *reterr)
{
    const struct fit_team *team = s->team;
    size_t q_all = s->from.voxels->q_all, first = 0;
    enum ph_status status = fit_team_agree(team, PH_OK, reterr);

    for (size_t r = 0; r < team->base.n_ranks; r++)
        s->n_bytes[r] = n * s->part_q[r] * size;
    if (!status)
        status = team->collect(team->base.ctx, own, s->n_bytes, room, reterr);
    if (status || !is_first(s))
        return status;
    for (size_t r = 0; r < team->base.n_ranks; first += s->part_q[r++]) {
        const char *part = (const char *)room + n * first * size;

        for (size_t i = 0; i < n; i++)
            memcpy((char *)ret + (i * q_all + first) * size, part + i * s->part_q[r] * size,
                   s->part_q[r] * size);
    }
    return PH_OK;
}

/* ridge_model's product: this process's share, then all shares together. */
static enum ph_status make_product(void *ctx, size_t lag, const float *coef, size_t n, float *ret,
                                   struct ph_error *reterr)
{
    struct spread *s = ctx;

    ridge_model_multiply(&s->from, lag, coef, n, s->turned, s->own_weights);
    return collect_columns(s, s->own_weights, n, sizeof(float), s->all_weights, ret, reterr);
}

static enum ph_status take_memory(struct spread *s, struct ph_error *reterr)
{
    size_t q_all = s->from.voxels->q_all, n_ranks = s->team->base.n_ranks;

    s->mean = phi_calloc(q_all, sizeof *s->mean);
    s->scale = phi_calloc(q_all, sizeof *s->scale);
    s->lag_mean = phi_calloc2(s->from.lags->n_lags, q_all, sizeof *s->lag_mean);
    s->heads = phi_calloc2(n_ranks, N_HEAD, sizeof *s->heads);
    s->part_q = phi_calloc(n_ranks, sizeof *s->part_q);
    s->n_bytes = phi_calloc(n_ranks, sizeof *s->n_bytes);
    if (s->mean && s->scale && s->lag_mean && s->heads && s->part_q && s->n_bytes)
        return PH_OK;
    return phi_error_nomem(reterr, "voxels of all processes", 2 * q_all * sizeof *s->mean);
}

/* What process 0 must know of all voxels. */
static enum ph_status collect_voxels(struct spread *s, struct ph_error *reterr)
{
    size_t q = s->from.voxels->q, q_all = s->from.voxels->q_all, n_lags = s->from.lags->n_lags;
    float *own = phi_calloc2(n_lags, q, sizeof *own),
          *room = phi_calloc2(n_lags, q_all, sizeof *room);
    double *wide = phi_calloc(q_all, sizeof *wide);
    enum ph_status status = PH_OK;

    if (!own || !room || !wide)
        status = phi_error_nomem(reterr, "means of the lags", n_lags * q_all * sizeof *room);
    else
        ridge_model_lag_means(&s->from, own);
    status = fit_team_agree(s->team, status, reterr);
    if (!status)
        status = collect_columns(s, s->from.mean, 1, sizeof *wide, wide, s->mean, reterr);
    if (!status)
        status = collect_columns(s, s->from.scale, 1, sizeof *wide, wide, s->scale, reterr);
    if (!status)
        status = collect_columns(s, own, n_lags, sizeof *own, room, s->lag_mean, reterr);
    phi_free(own);
    phi_free(room);
    phi_free(wide);
    return status;
}

static enum ph_status start_model(struct spread *s, struct ph_error *reterr)
{
    struct ridge_model_from from = s->from;
    enum ph_status status = PH_OK;

    s->product = (struct ridge_model_product){make_product, s};
    from.mean = s->mean;
    from.scale = s->scale;
    from.lag_mean = s->lag_mean;
    from.product = &s->product;
    if (is_first(s)) {
        status = ridge_model_create(&from, &s->model, reterr);
        if (!status)
            s->sink = ridge_model_sink(s->model);
    }
    return fit_team_agree(s->team, status, reterr);
}

enum ph_status spread_create(const struct fit_team *team, const struct ridge_model_from *from,
                             struct spread **ret_spread, struct ph_error *reterr)
{
    struct spread *s = phi_calloc(1, sizeof *s);
    enum ph_status status;

    if (s) {
        s->team = team;
        s->from = *from;
    }
    status = s ? take_memory(s, reterr) : phi_error_nomem(reterr, "spread fit", sizeof *s);
    for (size_t r = 0; !status && r < team->base.n_ranks; r++)
        s->part_q[r] = fit_part_of(from->voxels->q_all, r, team->base.n_ranks).n;
    status = fit_team_agree(team, status, reterr);
    if (!status)
        status = collect_voxels(s, reterr);
    if (!status)
        status = start_model(s, reterr);
    if (status)
        spread_destroy(&s);
    else
        *ret_spread = s;
    return status;
}

static void free_block(struct spread *s)
{
    phi_free(s->coef);
    phi_free(s->estimate);
    phi_free(s->stats);
    phi_free(s->turned);
    phi_free(s->own_weights);
    phi_free(s->all_weights);
}

/* Room for the largest block of a round. */
static enum ph_status grow(struct spread *s, size_t n, size_t n_out, size_t size,
                           struct ph_error *reterr)
{
    size_t q = s->from.voxels->q, q_all = s->from.voxels->q_all;
    bool weights = !s->from.dual;

    if (n <= s->n_block)
        return PH_OK;
    free_block(s);
    s->n_block = n;
    s->coef = phi_calloc2(n_out, n, size);
    s->estimate = phi_calloc2(s->from.estimates ? s->from.n_rows : 0, n, size);
    s->stats = phi_calloc2(4, n, sizeof *s->stats);
    s->turned = phi_calloc2(weights ? s->from.voxels->n : 0, n, sizeof *s->turned);
    s->own_weights = phi_calloc2(weights ? n : 0, q, sizeof *s->own_weights);
    s->all_weights = phi_calloc2(weights && is_first(s) ? n : 0, q_all, sizeof *s->all_weights);
    if (s->coef && s->estimate && s->stats && s->turned && s->own_weights && s->all_weights)
        return PH_OK;
    return phi_error_nomem(reterr, "block of another process", n_out * n * size);
}

static void pack_stats(double *stats, const struct phi_ridge_block *b)
{
    memcpy(stats, b->mean, b->n * sizeof *stats);
    memcpy(stats + b->n, b->sd, b->n * sizeof *stats);
    memcpy(stats + 2 * b->n, b->lambda, b->n * sizeof *stats);
    memcpy(stats + 3 * b->n, b->cv_r2, b->n * sizeof *stats);
}

/* Everyone gets the block of process `root`; the block then lies in s. */
static enum ph_status share_block(struct spread *s, size_t root, const struct phi_ridge_block *mine,
                                  struct phi_ridge_block *ret, struct ph_error *reterr)
{
    const double *head = s->heads + root * N_HEAD;
    size_t n = (size_t)head[COUNT], n_out = (size_t)head[N_OUT];
    enum phi_dtype dtype = head[WIDE] > 0 ? PHI_DTYPE_F64 : PHI_DTYPE_F32;
    size_t size = phi_dtype_size(dtype), n_estimate = s->from.estimates ? s->from.n_rows * n : 0;
    enum ph_status status = fit_team_agree(s->team, grow(s, n, n_out, size, reterr), reterr);

    if (status)
        return status;
    if (s->team->base.rank == root) {
        memcpy(s->coef, mine->coef, n_out * n * size);
        pack_stats(s->stats, mine);
        if (n_estimate)
            memcpy(s->estimate, mine->estimate, n_estimate * size);
    }
    status = s->team->share(s->team->base.ctx, root, s->coef, n_out * n * size, reterr);
    if (!status)
        status =
            s->team->share(s->team->base.ctx, root, s->stats, 4 * n * sizeof *s->stats, reterr);
    if (!status)
        status = s->team->share(s->team->base.ctx, root, s->estimate, n_estimate * size, reterr);
    *ret = (struct phi_ridge_block){.first = (size_t)head[FIRST],
                                    .n = n,
                                    .n_out = n_out,
                                    .dtype = dtype,
                                    .coef = s->coef,
                                    .mean = s->stats,
                                    .sd = s->stats + n,
                                    .lambda = s->stats + 2 * n,
                                    .cv_r2 = s->stats + 3 * n,
                                    .estimate = n_estimate ? s->estimate : NULL};
    return status;
}

/* The other processes' part in a block that process 0 writes: as its product asks for. */
static enum ph_status help_with(struct spread *s, const struct phi_ridge_block *b,
                                struct ph_error *reterr)
{
    const double *wide = b->coef;
    float *narrow = s->coef;
    enum ph_status status = PH_OK;

    if (s->from.dual)
        return PH_OK;
    for (size_t i = 0; b->dtype == PHI_DTYPE_F64 && i < b->n_out * b->n; i++) {
        float value = (float)wide[i];

        memcpy(narrow + i, &value, sizeof value);
    }
    for (size_t l = 0; !status && l < s->from.lags->n_lags; l++)
        status = make_product(s, l, s->coef, b->n, NULL, reterr);
    return status;
}

/* One round: all agree, tell what they bring, and work through it. `mine` NULL: nothing more.
 * PH_EOS when nobody brought anything. */
static enum ph_status play_round(struct spread *s, const struct phi_ridge_block *mine,
                                 enum ph_status status, struct ph_error *reterr)
{
    size_t n_ranks = s->team->base.n_ranks, n_brought = 0;
    double *head = s->heads + s->team->base.rank * N_HEAD;

    status = fit_team_agree(s->team, status, reterr);
    memset(s->heads, 0, n_ranks * N_HEAD * sizeof *s->heads);
    if (mine) {
        head[HAS] = 1;
        head[FIRST] = (double)(s->first + mine->first);
        head[COUNT] = (double)mine->n;
        head[N_OUT] = (double)mine->n_out;
        head[WIDE] = mine->dtype == PHI_DTYPE_F64;
    }
    if (!status)
        status = s->team->base.sum(s->team->base.ctx, s->heads, n_ranks * N_HEAD, reterr);
    for (size_t r = 0; !status && r < n_ranks; r++) {
        struct phi_ridge_block block;

        if (!(s->heads[r * N_HEAD + HAS] > 0))
            continue;
        n_brought++;
        status = share_block(s, r, mine, &block, reterr);
        if (!status)
            status = is_first(s) ? s->sink.write(s->sink.ctx, &block, reterr)
                                 : help_with(s, &block, reterr);
        status = fit_team_agree(s->team, status, reterr);
    }
    return status || n_brought ? status : PH_EOS;
}

static enum ph_status write_block(void *ctx, const struct phi_ridge_block *block,
                                  struct ph_error *reterr)
{
    return play_round(ctx, block, PH_OK, reterr);
}

struct phi_ridge_sink spread_sink(struct spread *s, size_t first)
{
    s->first = first;
    return (struct phi_ridge_sink){write_block, s};
}

/* The voxels of all processes, which a dual file holds, some rows at a time. */
static enum ph_status put_train(struct spread *s, struct ph_error *reterr)
{
    const struct fit_voxels *v = s->from.voxels;
    size_t n_room = is_first(s) ? v->q_all : 0;
    float *room = phi_calloc2(TRAIN_ROWS, n_room, sizeof *room),
          *rows = phi_calloc2(TRAIN_ROWS, n_room, sizeof *rows);
    enum ph_status status = PH_OK;

    if (!room || !rows)
        status = phi_error_nomem(reterr, "rows of the voxels", TRAIN_ROWS * n_room * sizeof *rows);
    status = fit_team_agree(s->team, status, reterr);
    for (size_t i = 0; !status && i < v->n; i += TRAIN_ROWS) {
        size_t n = v->n - i < TRAIN_ROWS ? v->n - i : TRAIN_ROWS;

        status = collect_columns(s, v->x + i * v->q, n, sizeof *rows, room, rows, reterr);
        if (!status && is_first(s))
            status = ridge_model_put_train(s->model, i, n, rows, reterr);
        status = fit_team_agree(s->team, status, reterr);
    }
    phi_free(room);
    phi_free(rows);
    return status;
}

enum ph_status spread_finish(struct spread *s, enum ph_status mine, struct ph_error *reterr)
{
    enum ph_status status = play_round(s, NULL, mine, reterr);

    while (status == PH_OK)
        status = play_round(s, NULL, PH_OK, reterr);
    if (status != PH_EOS)
        return status;
    status = s->from.dual ? put_train(s, reterr) : PH_OK;
    if (!status && is_first(s))
        status = ridge_model_commit(s->model, reterr);
    return fit_team_agree(s->team, status, reterr);
}

struct ridge_model *spread_model(struct spread *s)
{
    return s->model;
}

const double *spread_scale(const struct spread *s)
{
    return s->scale;
}

void spread_destroy(struct spread **spread)
{
    struct spread *s = spread ? *spread : NULL;

    if (!s)
        return;
    ridge_model_destroy(&s->model);
    free_block(s);
    phi_free(s->mean);
    phi_free(s->scale);
    phi_free(s->lag_mean);
    phi_free(s->heads);
    phi_free(s->part_q);
    phi_free(s->n_bytes);
    phi_free(s);
    *spread = NULL;
}
