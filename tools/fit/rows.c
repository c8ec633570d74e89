/* SPDX-License-Identifier: MIT */
#include "fit/rows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "graph/chain.h"
#include "plugins/filter/mask_file.h"

#define MAX_ROW_BYTES ((size_t)64 << 30)

/* One run on its way through the filters. */
struct passage {
    const struct fit_rows_from *from;
    struct fit_rows *rows;
    struct phi_run *run;
    struct phi_chain *chain;
    uint32_t number;
    double last_s; /* acquisition of the last usable volume */
    double end_s;  /* end of the last volume */
};

void fit_rows_free(struct fit_rows *rows)
{
    phi_free(rows->y);
    phi_free(rows->at_s);
    phi_free(rows->run);
    phi_free(rows->joined);
    phi_free(rows->events);
    phi_free(rows->voxels);
    phi_free(rows->chain);
    memset(rows, 0, sizeof *rows);
}

/* A larger copy of block[n]; the old one is freed. */
static bool grow(void **block, size_t n, size_t capacity, size_t size)
{
    void *larger = phi_calloc(capacity, size);

    if (!larger)
        return false;
    if (*block)
        memcpy(larger, *block, n * size);
    phi_free(*block);
    *block = larger;
    return true;
}

static enum ph_status make_room(struct fit_rows *rows, struct ph_error *reterr)
{
    size_t capacity = rows->capacity ? 2 * rows->capacity : 256;

    if (rows->n < rows->capacity)
        return PH_OK;
    if (capacity * rows->q * sizeof(float) > MAX_ROW_BYTES ||
        !grow((void **)&rows->y, rows->n * rows->q, capacity * rows->q, sizeof(float)) ||
        !grow((void **)&rows->at_s, rows->n, capacity, sizeof(double)) ||
        !grow((void **)&rows->run, rows->n, capacity, sizeof(uint32_t)) ||
        !grow((void **)&rows->joined, rows->n, capacity, sizeof(bool)))
        return phi_error_nomem(reterr, "training volumes", capacity * rows->q * sizeof(float));
    rows->capacity = capacity;
    return PH_OK;
}

/* Text of parameter `key` of the run's mask filter, "" without such a filter. */
static const char *mask_param(const struct phi_run *run, const char *key, char *memory, size_t n)
{
    struct phi_str out = phi_str_over(memory, n);

    for (size_t f = 0; f < run->n_filters; f++) {
        const struct ph_stage_type *type = run->filters[f].type;
        const struct ph_param *param = phi_param_find(type, key);

        if (param && strcmp(type->id, "filter/mask") == 0)
            phi_params_format(run->filters[f].params, (size_t)(param - type->params), &out);
    }
    return memory;
}

static enum ph_status find_mask(const struct passage *p, struct phi_mask **ret_mask,
                                struct ph_error *reterr)
{
    const struct ph_spec *spec = phi_chain_spec(p->chain);
    char file[4096], threshold[64];
    double above = 0.5;

    if (spec->kind == PH_FRAME_VOLUME) {
        if (!p->from->mask)
            return phi_error(reterr, PH_E_INVAL,
                             "the filters of '%s' leave whole volumes: name the voxels with --mask",
                             p->from->run_file);
        return mask_file_load(p->from->mask, &spec->geometry, above, ret_mask, reterr);
    }
    if (!*mask_param(p->run, "file", file, sizeof file))
        return phi_error(reterr, PH_E_INVAL,
                         "the mask of '%s' is found in each run's first volumes, so no two runs "
                         "have the same voxels: give its filter a `file`",
                         p->from->run_file);
    (void)phi_parse_double(mask_param(p->run, "threshold", threshold, sizeof threshold), &above);
    return mask_file_load(file, &spec->geometry, above, ret_mask, reterr);
}

/* The first run settles voxels, grid and chain. */
static enum ph_status settle(struct passage *p, struct ph_error *reterr)
{
    const struct ph_spec *spec = phi_chain_spec(p->chain);
    const char *text = spec->chain ? spec->chain : "";
    struct fit_rows *rows = p->rows;
    struct phi_mask *mask = NULL;
    enum ph_status status = find_mask(p, &mask, reterr);

    if (status)
        return status;
    rows->q = mask->n_voxels;
    rows->geometry = spec->geometry;
    rows->voxels = phi_calloc(rows->q, sizeof *rows->voxels);
    rows->chain = phi_calloc(strlen(text) + 1, 1);
    if (rows->voxels && rows->chain) {
        memcpy(rows->voxels, mask->index, rows->q * sizeof *rows->voxels);
        memcpy(rows->chain, text, strlen(text));
    } else {
        status = phi_error_nomem(reterr, "the voxel list", rows->q * sizeof *rows->voxels);
    }
    phi_mask_destroy(&mask);
    return status;
}

static enum ph_status check_same(const struct passage *p, struct ph_error *reterr)
{
    const struct ph_spec *spec = phi_chain_spec(p->chain);

    if (memcmp(spec->geometry.dims, p->rows->geometry.dims, sizeof spec->geometry.dims) != 0 ||
        fabs(spec->geometry.tr_s - p->rows->geometry.tr_s) > 1e-3 * p->rows->geometry.tr_s)
        return phi_error(reterr, PH_E_SHAPE,
                         "'%s' has another grid or repetition time than the runs before it",
                         p->from->bold->items[p->number]);
    return PH_OK;
}

static enum ph_status add_event(struct passage *p, const struct ph_event *event,
                                struct ph_error *reterr)
{
    struct fit_rows *rows = p->rows;

    if (rows->n_events == rows->event_capacity) {
        size_t capacity = rows->n_events ? 2 * rows->n_events : 256;

        if (!grow((void **)&rows->events, rows->n_events, capacity, sizeof *rows->events))
            return phi_error_nomem(reterr, "events", capacity * sizeof *rows->events);
        rows->event_capacity = capacity;
    }
    rows->events[rows->n_events++] = (struct fit_rows_event){*event, p->number};
    return PH_OK;
}

static enum ph_status add_row(struct passage *p, const struct ph_frame *frame,
                              struct ph_error *reterr)
{
    struct fit_rows *rows = p->rows;
    const float *values = frame->data;
    double tr_s = rows->geometry.tr_s;
    enum ph_status status;
    float *row;

    p->end_s = frame->acquired_s + tr_s;
    if (frame->flags & PH_FLAGS_UNUSABLE) {
        rows->n_skipped++;
        return PH_OK;
    }
    if (frame->kind == PH_FRAME_VECTOR && frame->dims[0] != rows->q)
        return phi_error(reterr, PH_E_SHAPE, "volume %llu has %u voxels instead of %zu",
                         (unsigned long long)frame->index, frame->dims[0], rows->q);
    status = make_room(rows, reterr);
    if (status)
        return status;
    row = rows->y + rows->n * rows->q;
    for (size_t v = 0; v < rows->q; v++)
        row[v] = values[frame->kind == PH_FRAME_VECTOR ? v : rows->voxels[v]];
    rows->at_s[rows->n] = frame->acquired_s + p->from->ref * tr_s;
    rows->run[rows->n] = p->number;
    rows->joined[rows->n] = p->last_s >= 0 && frame->acquired_s - p->last_s < 1.5 * tr_s;
    p->last_s = frame->acquired_s;
    rows->n++;
    return PH_OK;
}

/* Events that no volume can tell of are a sign of another run's table. */
static enum ph_status check_events(const struct passage *p, struct ph_error *reterr)
{
    size_t n = 0, n_late = 0;
    double last_s = 0;

    for (size_t e = 0; e < p->rows->n_events; e++) {
        double onset_s = p->rows->events[e].event.onset_s;

        if (p->rows->events[e].run != p->number)
            continue;
        n++;
        n_late += !(onset_s < p->end_s);
        last_s = onset_s > last_s ? onset_s : last_s;
    }
    if (n_late)
        return phi_error(reterr, PH_E_INVAL,
                         "%zu of %zu events begin after the last volume, which ends at %g s (the "
                         "latest at %g s): is '%s' the table of another run? If this one was "
                         "stopped early, take those rows out",
                         n_late, n, p->end_s, last_s, p->from->events->items[p->number]);
    return PH_OK;
}

static enum ph_status drain(struct passage *p, struct ph_error *reterr)
{
    const struct ph_frame *frame;
    enum ph_status status;

    while ((status = phi_chain_next(p->chain, &frame, reterr)) == PH_OK) {
        status = frame->kind == PH_FRAME_EVENT ? add_event(p, &frame->u.event, reterr)
                                               : add_row(p, frame, reterr);
        if (status)
            return status;
        cli_progress("preprocessing, volume", p->rows->n, 0);
        if (cli_interrupted())
            return phi_error(reterr, PH_E_STATE, "interrupted");
    }
    return status == PH_EOS ? check_events(p, reterr) : status;
}

/* The run's source becomes the files of this passage. */
static enum ph_status set_source(struct passage *p, struct ph_error *reterr)
{
    const struct ph_stage_type *type;
    struct phi_params *params = NULL;
    enum ph_status status =
        phi_registry_lookup(p->from->registry, PH_STAGE_SOURCE, "nifti", &type, reterr);

    if (status == PH_OK)
        status = phi_params_create(type, &params, reterr);
    if (status == PH_OK)
        status = phi_params_set(params, "path", p->from->bold->items[p->number], NULL, reterr);
    if (status == PH_OK && p->number < p->from->events->n)
        status = phi_params_set(params, "events", p->from->events->items[p->number], NULL, reterr);
    if (status) {
        phi_params_destroy(&params);
        return status;
    }
    phi_run_replace_source(p->run, type, &params);
    return PH_OK;
}

static enum ph_status pass(struct passage *p, struct ph_error *reterr)
{
    enum ph_status status =
        phi_run_load(p->from->run_file, NULL, 0, p->from->registry, &p->run, reterr);

    if (status == PH_OK)
        status = set_source(p, reterr);
    if (status == PH_OK)
        status = phi_chain_open(p->run, NULL, &p->chain, reterr);
    if (status == PH_OK)
        status = p->number == 0 ? settle(p, reterr) : check_same(p, reterr);
    if (status == PH_OK)
        status = drain(p, reterr);
    phi_chain_close(&p->chain);
    phi_run_destroy(&p->run);
    return status;
}

enum ph_status fit_rows_load(const struct fit_rows_from *from, struct fit_rows *ret_rows,
                             struct ph_error *reterr)
{
    struct fit_rows rows = {0};
    enum ph_status status = PH_OK;

    if (from->bold->n == 0 || (from->events->n && from->events->n != from->bold->n))
        return phi_error(reterr, PH_E_INVAL, "%zu runs and %zu events tables: one of each a run",
                         from->bold->n, from->events->n);
    for (size_t r = 0; status == PH_OK && r < from->bold->n; r++) {
        struct passage p = {.from = from, .rows = &rows, .number = (uint32_t)r, .last_s = -1};

        status = pass(&p, reterr);
        if (status)
            (void)phi_error_prefix(reterr, "%s", from->bold->items[r]);
    }
    rows.n_runs = from->bold->n;
    if (status == PH_OK && rows.n_events == 0 && !from->no_events)
        status = phi_error(reterr, PH_E_INVAL, "no events: give each run its table with --events");
    if (status) {
        fit_rows_free(&rows);
        return status;
    }
    *ret_rows = rows;
    return PH_OK;
}
