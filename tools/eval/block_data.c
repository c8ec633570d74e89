/* SPDX-License-Identifier: MIT */
#include "eval/block_data.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "decode/corr.h"
#include "decode/resample.h"

/* After a block's end its response is still falling; such volumes are neither response nor rest. */
#define TAIL_S 8.0

static size_t label_of(struct blocks *b, const char *name)
{
    for (size_t i = 0; i < b->n_labels; i++)
        if (strcmp(b->labels[i], name) == 0)
            return i;
    if (b->n_labels < BLOCKS_MAX)
        (void)phi_str_copy(b->labels[b->n_labels++], sizeof *b->labels, name);
    return b->n_labels - 1;
}

static enum ph_status check_blocks(const struct blocks *b, struct ph_error *reterr)
{
    size_t count[BLOCKS_MAX] = {0};

    for (size_t i = 0; i < b->n; i++)
        count[b->items[i].label]++;
    for (size_t l = 0; l < b->n_labels; l++)
        if (count[l] < 2)
            return phi_error(reterr, PH_E_INVAL,
                             "'%s' has %zu block: each label needs two, one to be tested and one "
                             "to be trained on",
                             b->labels[l], count[l]);
    if (b->n_labels < 2)
        return phi_error(reterr, PH_E_INVAL, "the events hold %zu labels: at least 2 are needed",
                         b->n_labels);
    return PH_OK;
}

enum ph_status blocks_from_events(const struct phi_events *events, double gap_s,
                                  struct blocks *ret_blocks, struct ph_error *reterr)
{
    struct blocks *b = ret_blocks;

    *b = (struct blocks){.n = 0};
    for (size_t i = 0; i < events->n; i++) {
        const struct ph_event *e = &events->rows[i];
        struct block *last = b->n ? &b->items[b->n - 1] : NULL;
        double end_s = e->onset_s + e->duration_s;

        if (last && strcmp(b->labels[last->label], e->trial_type) == 0 &&
            e->onset_s - last->end_s < gap_s) {
            last->end_s = fmax(last->end_s, end_s);
            continue;
        }
        if (b->n == BLOCKS_MAX)
            return phi_error(reterr, PH_E_LIMIT, "more than %d blocks", BLOCKS_MAX);
        b->items[b->n++] = (struct block){e->onset_s, end_s, label_of(b, e->trial_type)};
    }
    return check_blocks(b, reterr);
}

/* Voxels, the chosen ones and their patterns. */
struct compare {
    const struct blocks *blocks;
    const struct block_options *options;
    struct fit_voxels *v;
    double *activity; /* [q] */
    double *sorted;   /* [q] */
    uint32_t *chosen; /* [n_top] */
    size_t n_chosen;
    float *pattern; /* [n][n_top] mean responses */
    float *one;     /* [n_top] */
    float *mean;    /* [n_top] of the training patterns */
};

static bool in_response(const struct block *b, double delay_s, double t_s)
{
    return t_s >= b->onset_s + delay_s && t_s < b->end_s + delay_s;
}

static bool in_tail(const struct block *b, double delay_s, double t_s)
{
    return t_s >= b->onset_s && t_s < b->end_s + delay_s + TAIL_S;
}

/* What a volume is, leaving block `left` out: response 1, rest -1, neither 0. */
static int kind_of(const struct compare *c, size_t left, double t_s)
{
    int kind = -1;

    for (size_t i = 0; i < c->blocks->n; i++) {
        const struct block *b = &c->blocks->items[i];

        if (!in_tail(b, c->options->delay_s, t_s))
            continue;
        if (i == left)
            return 0;
        if (in_response(b, c->options->delay_s, t_s))
            kind = 1;
        else if (kind < 0)
            kind = 0;
    }
    return kind;
}

/* Mean response less mean rest of every voxel, without block `left`. */
static void measure_activity(struct compare *c, size_t left)
{
    double n_response = 0, n_rest = 0;

    for (size_t i = 0; i < c->v->n; i++) {
        int kind = kind_of(c, left, (double)i * c->v->tr_s);

        n_response += kind > 0;
        n_rest += kind < 0;
    }
    memset(c->activity, 0, c->v->q * sizeof *c->activity);
    for (size_t i = 0; i < c->v->n; i++) {
        int kind = kind_of(c, left, (double)i * c->v->tr_s);
        double weight = kind > 0 ? 1 / n_response : kind < 0 ? -1 / n_rest : 0;

        for (size_t j = 0; kind && j < c->v->q; j++)
            c->activity[j] += weight * (double)c->v->x[i * c->v->q + j];
    }
}

static void choose_voxels(struct compare *c, size_t left)
{
    size_t q = c->v->q, n_top = c->options->n_top < q ? c->options->n_top : q;
    double limit;

    measure_activity(c, left);
    memcpy(c->sorted, c->activity, q * sizeof *c->sorted);
    phi_sort_doubles(c->sorted, q);
    limit = c->sorted[q - n_top];
    c->n_chosen = 0;
    for (size_t j = 0; j < q && c->n_chosen < n_top; j++)
        if (c->activity[j] >= limit)
            c->chosen[c->n_chosen++] = (uint32_t)j;
}

/* Mean of the chosen voxels over volumes from..to-1. */
static void mean_pattern(const struct compare *c, size_t from, size_t to, float *out)
{
    for (size_t k = 0; k < c->n_chosen; k++) {
        double sum = 0;

        for (size_t i = from; i < to; i++)
            sum += (double)c->v->x[i * c->v->q + c->chosen[k]];
        out[k] = (float)(sum / (double)(to - from));
    }
}

static void response_volumes(const struct compare *c, size_t i, size_t *ret_from, size_t *ret_to)
{
    const struct block *b = &c->blocks->items[i];

    *ret_from = (size_t)ceil((b->onset_s + c->options->delay_s) / c->v->tr_s);
    *ret_to = (size_t)ceil((b->end_s + c->options->delay_s) / c->v->tr_s);
    if (*ret_to > c->v->n)
        *ret_to = c->v->n;
}

/* Patterns of all blocks, and the mean of those that are not left out. */
static void make_patterns(struct compare *c, size_t left)
{
    memset(c->mean, 0, c->n_chosen * sizeof *c->mean);
    for (size_t j = 0; j < c->blocks->n; j++) {
        float *pattern = c->pattern + j * c->n_chosen;
        size_t from, to;

        response_volumes(c, j, &from, &to);
        mean_pattern(c, from, to, pattern);
        for (size_t k = 0; j != left && k < c->n_chosen; k++)
            c->mean[k] += pattern[k] / (float)(c->blocks->n - 1);
    }
    for (size_t j = 0; j < c->blocks->n; j++)
        for (size_t k = 0; k < c->n_chosen; k++)
            c->pattern[j * c->n_chosen + k] -= c->mean[k];
}

static void compare_one(struct compare *c, size_t left, double *whole, double *course)
{
    size_t n = c->blocks->n, n_k;
    size_t onset = (size_t)ceil(c->blocks->items[left].onset_s / c->v->tr_s);

    choose_voxels(c, left);
    n_k = c->n_chosen;
    make_patterns(c, left);
    for (size_t j = 0; j < n; j++)
        whole[left * n + j] =
            phi_corr_f32(c->pattern + left * n_k, 1, c->pattern + j * n_k, 1, n_k);
    for (size_t l = 0; l < c->options->n_lags; l++) {
        bool inside = onset + l < c->v->n;

        if (inside)
            mean_pattern(c, onset + l, onset + l + 1, c->one);
        for (size_t k = 0; inside && k < n_k; k++)
            c->one[k] -= c->mean[k];
        for (size_t j = 0; j < n; j++)
            course[(l * n + left) * n + j] =
                inside ? phi_corr_f32(c->one, 1, c->pattern + j * n_k, 1, n_k) : (double)NAN;
    }
}

static void standardise(struct fit_voxels *v)
{
    for (size_t j = 0; j < v->q; j++) {
        double mean = 0, ss = 0, scale;

        for (size_t i = 0; i < v->n; i++)
            mean += (double)v->x[i * v->q + j] / (double)v->n;
        for (size_t i = 0; i < v->n; i++)
            ss += pow((double)v->x[i * v->q + j] - mean, 2);
        scale = ss > 0 ? 1 / sqrt(ss / (double)v->n) : 0;
        for (size_t i = 0; i < v->n; i++)
            v->x[i * v->q + j] = (float)(((double)v->x[i * v->q + j] - mean) * scale);
    }
}

static enum ph_status check_times(const struct compare *c, struct ph_error *reterr)
{
    for (size_t i = 0; i < c->blocks->n; i++) {
        size_t from, to;

        response_volumes(c, i, &from, &to);
        if (from >= to)
            return phi_error(reterr, PH_E_INVAL,
                             "the response to the block at %g s lies beyond the run of %zu volumes",
                             c->blocks->items[i].onset_s, c->v->n);
    }
    return PH_OK;
}

enum ph_status blocks_compare(const struct blocks *blocks, struct fit_voxels *voxels,
                              const struct block_options *options, double *ret_whole,
                              double *ret_course, struct ph_error *reterr)
{
    struct compare c = {.blocks = blocks, .options = options, .v = voxels};
    enum ph_status status = check_times(&c, reterr);

    if (status)
        return status;
    c.activity = phi_calloc(voxels->q, sizeof *c.activity);
    c.sorted = phi_calloc(voxels->q, sizeof *c.sorted);
    c.chosen = phi_calloc(options->n_top, sizeof *c.chosen);
    c.pattern = phi_calloc2(blocks->n, options->n_top, sizeof *c.pattern);
    c.one = phi_calloc(options->n_top, sizeof *c.one);
    c.mean = phi_calloc(options->n_top, sizeof *c.mean);
    if (!c.activity || !c.sorted || !c.chosen || !c.pattern || !c.one || !c.mean)
        status = phi_error_nomem(reterr, "block patterns", voxels->q * sizeof *c.activity);
    else
        standardise(voxels);
    for (size_t i = 0; !status && i < blocks->n; i++)
        compare_one(&c, i, ret_whole, ret_course);
    phi_free(c.activity);
    phi_free(c.sorted);
    phi_free(c.chosen);
    phi_free(c.pattern);
    phi_free(c.one);
    phi_free(c.mean);
    return status;
}
