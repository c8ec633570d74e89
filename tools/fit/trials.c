/* SPDX-License-Identifier: MIT */
#include "fit/trials.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/error.h"
#include "base/mem.h"

#define MAX_FIT_PICTURES 2000
#define DEFAULT_P        50

void fit_latents_free(struct fit_latents *latents)
{
    phi_pca_destroy(&latents->pca);
    phi_free(latents->z);
    phi_free(latents->of_event);
    memset(latents, 0, sizeof *latents);
}

static size_t picture_of(const struct fit_latents_from *from, size_t n,
                         const struct ph_event *event)
{
    if (from->trial_type && strcmp(from->trial_type, event->trial_type) != 0)
        return SIZE_MAX;
    if (from->set && *event->stim_file)
        return phi_stimuli_find(from->set, event->stim_file);
    return event->stim_index >= 0 && (size_t)event->stim_index < n ? (size_t)event->stim_index
                                                                   : SIZE_MAX;
}

enum ph_status fit_latents_match(const struct fit_latents_from *from, const struct fit_rows *rows,
                                 struct fit_latents *l, struct ph_error *reterr)
{
    size_t n_found = 0;

    l->of_event = phi_calloc(rows->n_events, sizeof *l->of_event);
    if (!l->of_event)
        return phi_error_nomem(reterr, "events", rows->n_events * sizeof *l->of_event);
    for (size_t e = 0; e < rows->n_events; e++) {
        l->of_event[e] = picture_of(from, l->n, &rows->events[e].event);
        n_found += l->of_event[e] != SIZE_MAX;
    }
    if (n_found == 0)
        return phi_error(reterr, PH_E_INVAL,
                         "none of the %zu events names a picture of the set, by %sstim_index",
                         rows->n_events, from->set ? "stim_file, stimulus or " : "");
    return PH_OK;
}

/* Components of other pictures are another space, also where they are as many. */
static void name_space(struct fit_latents *l)
{
    const struct phi_pca *pca = l->pca;
    uint32_t crc = phi_crc32c(0, pca->mean, pca->n_features * sizeof *pca->mean);

    crc = phi_crc32c(crc, pca->components,
                     pca->n_components * pca->n_features * sizeof *pca->components);
    (void)snprintf(l->space, sizeof l->space, "pixels %08x", crc);
}

static enum ph_status fit_components(const struct phi_stimuli *set, size_t p, struct fit_latents *l,
                                     struct ph_error *reterr)
{
    size_t n_all = phi_stimuli_count(set), m = phi_stimuli_height(set) * phi_stimuli_width(set) * 3;
    size_t n = n_all < MAX_FIT_PICTURES ? n_all : MAX_FIT_PICTURES;
    float *pixels = phi_calloc2(n, m, sizeof *pixels);
    double *scores = NULL;
    enum ph_status status;

    if (!pixels)
        return phi_error_nomem(reterr, "pictures", n * m * sizeof *pixels);
    for (size_t i = 0; i < n; i++)
        phi_stimuli_to_float(set, i * n_all / n, pixels + i * m);
    status = phi_pca_fit(pixels, n, m, p ? p : DEFAULT_P, &l->pca, reterr);
    if (status == PH_OK) {
        l->n = n_all;
        l->p = l->pca->n_components;
        name_space(l);
        l->z = phi_calloc2(l->n, l->p, sizeof *l->z);
        scores = phi_calloc(l->p, sizeof *scores);
        if (!l->z || !scores)
            status = phi_error_nomem(reterr, "latents", l->n * l->p * sizeof *l->z);
    }
    for (size_t i = 0; status == PH_OK && i < n_all; i++) {
        phi_stimuli_to_float(set, i, pixels);
        phi_pca_whiten(l->pca, pixels, 1, scores);
        for (size_t k = 0; k < l->p; k++)
            l->z[i * l->p + k] = (float)scores[k];
        cli_progress("components of the pictures", i, n_all);
    }
    phi_free(pixels);
    phi_free(scores);
    return status;
}

enum ph_status fit_latents_make(const struct fit_latents_from *from, const struct fit_rows *rows,
                                struct fit_latents *ret_latents, struct ph_error *reterr)
{
    struct fit_latents latents = {0};
    enum ph_status status = from->file ? fit_latents_read(from->file, from->set, &latents, reterr)
                                       : fit_components(from->set, from->p, &latents, reterr);

    if (status == PH_OK)
        status = fit_latents_match(from, rows, &latents, reterr);
    if (status) {
        fit_latents_free(&latents);
        return status;
    }
    *ret_latents = latents;
    return PH_OK;
}

/* ---- design ---- */

void fit_design_free(struct fit_design *design)
{
    phi_free(design->x);
    phi_free(design->y);
    phi_free(design->nuisance);
    phi_free(design->fold);
    phi_free(design->row);
    phi_free(design->joined);
    memset(design, 0, sizeof *design);
}

static double event_response(struct phi_decoder_shape *shape, const struct ph_event *event,
                             double at_s)
{
    double delay_s = at_s - event->onset_s;

    if (delay_s < 0 || delay_s > event->duration_s + shape->hrf.length_s)
        return 0;
    return event->amplitude * phi_decoder_response(shape, delay_s, event->duration_s);
}

/* Adds `weight` times row `r` of the design to x[p] and nuisance[1 + n_runs - 1]. */
static void add_design_row(const struct fit_rows *rows, const struct fit_latents *latents,
                           struct phi_decoder_shape *shape, size_t r, double weight, double *x,
                           double *nuisance)
{
    for (size_t e = 0; e < rows->n_events; e++) {
        const struct fit_rows_event *event = &rows->events[e];
        double h;

        if (event->run != rows->run[r] || latents->of_event[e] == SIZE_MAX)
            continue;
        h = weight * event_response(shape, &event->event, rows->at_s[r]);
        if (h == 0)
            continue;
        nuisance[0] += h;
        for (size_t k = 0; k < latents->p; k++)
            x[k] += h * (double)latents->z[latents->of_event[e] * latents->p + k];
    }
    if (rows->run[r] > 0)
        nuisance[rows->run[r]] += weight;
}

static bool allocate_design(struct fit_design *d, const struct fit_rows *rows, size_t n, size_t p)
{
    d->x = phi_calloc2(n, p, sizeof *d->x);
    d->y = phi_calloc2(n, rows->q, sizeof *d->y);
    d->nuisance = phi_calloc2(n, rows->n_runs, sizeof *d->nuisance);
    d->fold = phi_calloc(n, sizeof *d->fold);
    d->row = phi_calloc(n, sizeof *d->row);
    d->joined = phi_calloc(n, sizeof *d->joined);
    return d->x && d->y && d->nuisance && d->fold && d->row && d->joined;
}

static void fill_design_row(const struct fit_rows *rows, const struct fit_latents *latents,
                            struct phi_decoder_shape *shape, double rho, struct fit_design *d,
                            size_t i, double *x)
{
    size_t r = d->row[i], p = latents->p, q = rows->q;
    double *nuisance = d->nuisance + i * rows->n_runs;

    memset(x, 0, p * sizeof *x);
    add_design_row(rows, latents, shape, r, 1, x, nuisance);
    if (rho > 0)
        add_design_row(rows, latents, shape, r - 1, -rho, x, nuisance);
    for (size_t k = 0; k < p; k++)
        d->x[i * p + k] = (float)x[k];
    for (size_t v = 0; v < q; v++)
        d->y[i * q + v] =
            rows->y[r * q + v] - (rho > 0 ? (float)rho * rows->y[(r - 1) * q + v] : 0);
}

static size_t rows_of_run(const struct fit_rows *rows, const size_t range[2], uint32_t run)
{
    size_t n = 0;

    for (size_t r = range[0]; r < range[1]; r++)
        n += rows->run[r] == run;
    return n;
}

/* Block k of every run is fold k: without a fold every run keeps rows to tell its baseline from. */
static void set_folds(const struct fit_rows *rows, struct fit_design *d, size_t n, size_t n_folds)
{
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first; end < n && rows->run[d->row[end]] == rows->run[d->row[first]]; end++)
            ;
        for (size_t i = first; i < end; i++)
            d->fold[i] = (uint32_t)((i - first) * n_folds / (end - first));
    }
}

/* The last run of a range may have too few rows for all folds; then it is left out. */
static size_t usable_end(const struct fit_rows *rows, const size_t range[2], size_t n_folds)
{
    size_t n = rows_of_run(rows, range, rows->run[range[1] - 1]);

    return n < 2 * n_folds && n < range[1] - range[0] ? range[1] - n : range[1];
}

enum ph_status fit_design_make(const struct fit_rows *rows, const struct fit_latents *latents,
                               struct phi_decoder_shape *shape, const size_t range[2],
                               size_t n_folds, double rho, struct fit_design *ret_design,
                               struct ph_error *reterr)
{
    struct fit_design d = {0};
    size_t end = usable_end(rows, range, n_folds), n_most = end - range[0], n = 0;
    size_t n_nuisance = (size_t)rows->run[end - 1] + 1; /* any event, and the runs but the first */
    double *x = phi_calloc(latents->p, sizeof *x);

    if (!x || !allocate_design(&d, rows, n_most, latents->p)) {
        phi_free(x);
        fit_design_free(&d);
        return phi_error_nomem(reterr, "the design", n_most * rows->q * sizeof(float));
    }
    for (size_t r = range[0]; r < end; r++) {
        if (rho > 0 && (r == 0 || !rows->joined[r]))
            continue;
        d.row[n] = r;
        d.joined[n] = n > 0 && d.row[n - 1] + 1 == r && rows->joined[r];
        fill_design_row(rows, latents, shape, rho, &d, n++, x);
    }
    phi_free(x);
    set_folds(rows, &d, n, n_folds);
    for (size_t i = 0; i < n; i++) /* close up to the columns in use */
        memmove(d.nuisance + i * n_nuisance, d.nuisance + i * rows->n_runs,
                n_nuisance * sizeof *d.nuisance);
    d.data = (struct phi_posterior_data){
        {d.x, d.fold, n, latents->p, n_folds, d.nuisance, n_nuisance}, d.y, rows->q};
    *ret_design = d;
    return PH_OK;
}
