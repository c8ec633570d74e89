/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/gauss_score.h"
#include "decode/gemv.h"
#include "decode/reduce.h"
#include "fit/trials.h"

/* Last statements of the trials, for the scores. */
struct finals {
    float *mean, *sd, *truth; /* [n][p] */
    size_t n, p;
};

struct decoding {
    const struct fit_rows *rows;
    const struct fit_latents *latents;
    const struct phi_decoder_model *model;
    double tau;
    fit_heard_fn *heard; /* NULL: keep the final reports for the scores */
    void *heard_ctx;
    struct phi_trials *trials;
    struct phi_gemv *project;
    double *x, *z, *sd, *on, *d; /* [p] */
    double *nis;                 /* [range] */
    size_t n_nis, next_event, first_row;
    struct finals finals;
};

static bool allocate(struct decoding *dec, size_t n_rows)
{
    size_t p = dec->latents->p, n = dec->rows->n_events;

    dec->x = phi_calloc(p, sizeof(double));
    dec->z = phi_calloc(p, sizeof(double));
    dec->sd = phi_calloc(p, sizeof(double));
    dec->on = phi_calloc(p, sizeof(double));
    dec->d = phi_calloc(p, sizeof(double));
    dec->nis = phi_calloc(n_rows, sizeof(double));
    dec->finals.p = p;
    dec->finals.mean = phi_calloc2(n, p, sizeof(float));
    dec->finals.sd = phi_calloc2(n, p, sizeof(float));
    dec->finals.truth = phi_calloc2(n, p, sizeof(float));
    return dec->x && dec->z && dec->sd && dec->on && dec->d && dec->nis && dec->finals.mean &&
           dec->finals.sd && dec->finals.truth;
}

static void release(struct decoding *dec)
{
    void *blocks[] = {dec->x,   dec->z,           dec->sd,        dec->on,          dec->d,
                      dec->nis, dec->finals.mean, dec->finals.sd, dec->finals.truth};

    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        phi_free(blocks[i]);
    phi_trials_destroy(&dec->trials);
    phi_gemv_destroy(&dec->project);
}

static enum ph_status start(struct decoding *dec, struct ph_error *reterr)
{
    const struct phi_posterior *post = dec->model->posterior;
    const size_t shape[2] = {post->p, post->q};
    struct phi_decoder_shape response = dec->model->shape;
    struct phi_trials_config config = {
        .n_channels = post->p,
        .d = dec->d,
        .weight_error = post->error,
        .on = dec->on,
        .rho = post->rho,
        .tr_s = dec->model->geometry.tr_s,
        .response_s = response.hrf.length_s,
        .response = phi_decoder_response,
        .response_ctx = (void *)(uintptr_t)&dec->model->shape,
    };
    enum ph_status status;

    for (size_t i = 0; i < post->p; i++) {
        dec->d[i] = post->d[i] / dec->tau;
        dec->on[i] = dec->model->on[i] / dec->tau;
    }
    status = phi_trials_create(&config, &dec->trials, reterr);
    return status ? status
                  : phi_gemv_create(post->w, post->c, shape, PHI_GEMV_F32, &dec->project, reterr);
}

static void keep_final(struct decoding *dec, const struct phi_trial_report *report)
{
    struct finals *f = &dec->finals;
    size_t picture = dec->latents->of_event[report->number], p = f->p;

    phi_channels_to_latent(dec->model->posterior->t, NULL, p, report->mean, report->var, dec->z,
                           dec->sd);
    for (size_t k = 0; k < p; k++) {
        f->mean[f->n * p + k] = (float)dec->z[k];
        f->sd[f->n * p + k] = (float)dec->sd[k];
        f->truth[f->n * p + k] = dec->latents->z[picture * p + k];
    }
    f->n++;
}

/* Opens the events of row r's run that began by then; their number is their place in the list. */
static enum ph_status open_events(struct decoding *dec, size_t r)
{
    const struct fit_rows *rows = dec->rows;
    enum ph_status status = PH_OK;

    for (; status == PH_OK && dec->next_event < rows->n_events; dec->next_event++) {
        const struct fit_rows_event *e = &rows->events[dec->next_event];
        const struct phi_trial_event event = {(uint32_t)dec->next_event, -1, e->event.onset_s,
                                              e->event.duration_s, e->event.amplitude};

        if (e->run > rows->run[r] || (e->run == rows->run[r] && e->event.onset_s > rows->at_s[r]))
            break;
        if (e->run == rows->run[r] && dec->latents->of_event[dec->next_event] != SIZE_MAX)
            status = phi_trials_open(dec->trials, &event);
    }
    return status;
}

/* False if the response had begun before the first decoded volume. */
static bool seen_whole(const struct decoding *dec, uint32_t number)
{
    const struct fit_rows_event *e = &dec->rows->events[number];

    return e->run != dec->rows->run[dec->first_row] ||
           e->event.onset_s >= dec->rows->at_s[dec->first_row] - dec->model->geometry.tr_s;
}

static enum ph_status decode_row(struct decoding *dec, size_t r)
{
    enum ph_status status = open_events(dec, r);
    double nis;

    phi_gemv_run(dec->project, dec->rows->y + r * dec->rows->q, NULL, dec->x);
    for (size_t i = 0; i < dec->latents->p; i++)
        dec->x[i] /= dec->tau;
    (void)phi_trials_step(dec->trials, dec->rows->at_s[r], dec->x, &nis);
    if (isfinite(nis))
        dec->nis[dec->n_nis++] = nis;
    for (size_t i = 0; i < phi_trials_count(dec->trials); i++) {
        struct phi_trial_report report = phi_trials_report(dec->trials, i);

        if (dec->heard)
            dec->heard(dec->heard_ctx, &report, dec->rows->at_s[r]);
        else if (report.final && report.share > 0.8 && seen_whole(dec, report.number))
            keep_final(dec, &report);
    }
    return status;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double correlation(const float *a, const float *b, size_t n, size_t stride)
{
    double ma = 0, mb = 0, ab = 0, aa = 0, bb = 0;

    for (size_t i = 0; i < n; i++) {
        ma += (double)a[i * stride] / (double)n;
        mb += (double)b[i * stride] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        double x = (double)a[i * stride] - ma, y = (double)b[i * stride] - mb;

        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

/* Share of (trial, other) pairs of different pictures where the own picture correlates better. */
static double two_way(const struct finals *f)
{
    double right = 0, n = 0;

    for (size_t i = 0; i < f->n; i++) {
        const float *own = f->truth + i * f->p;
        double r = correlation(f->mean + i * f->p, own, f->p, 1);

        for (size_t j = 0; j < f->n; j++) {
            const float *other = f->truth + j * f->p;

            if (memcmp(own, other, f->p * sizeof *own) == 0)
                continue;
            right += r > correlation(f->mean + i * f->p, other, f->p, 1);
            n++;
        }
    }
    return n > 0 ? right / n : NAN;
}

static void score(struct decoding *dec, struct fit_calibration *cal)
{
    const struct finals *f = &dec->finals;
    const struct phi_gauss_pair pair = {f->mean, f->sd, f->truth, f->n * f->p};

    cal->n_trials = f->n;
    cal->nll = phi_gauss_nll(&pair);
    cal->coverage = phi_gauss_coverage(&pair, 1.6449);
    cal->ratio = phi_gauss_variance_ratio(&pair);
    cal->two_way = two_way(f);
    for (size_t k = 0; k < f->p; k++)
        cal->r += correlation(f->mean + k, f->truth + k, f->n, f->p) / (double)f->p;
    qsort(dec->nis, dec->n_nis, sizeof *dec->nis, by_value);
    if (dec->n_nis)
        cal->nis_q999 = dec->nis[(size_t)(0.999 * (double)(dec->n_nis - 1))];
}

static enum ph_status decode_rows(struct decoding *dec, const size_t range[2])
{
    enum ph_status status = PH_OK;

    for (size_t r = range[0]; status == PH_OK && r < range[1]; r++) {
        if (r > range[0] && dec->rows->run[r] != dec->rows->run[r - 1])
            phi_trials_reset(dec->trials);
        status = decode_row(dec, r);
    }
    return status;
}

enum ph_status fit_decode_all(const struct fit_rows *rows, const struct fit_latents *latents,
                              const struct phi_decoder_model *model, fit_heard_fn *heard, void *ctx,
                              struct ph_error *reterr)
{
    struct decoding dec = {.rows = rows,
                           .latents = latents,
                           .model = model,
                           .tau = 1,
                           .heard = heard,
                           .heard_ctx = ctx};
    const size_t all[2] = {0, rows->n};
    enum ph_status status = allocate(&dec, rows->n)
                                ? start(&dec, reterr)
                                : phi_error_nomem(reterr, "decoded trials", rows->n_events * 8);

    if (status == PH_OK)
        status = decode_rows(&dec, all);
    release(&dec);
    return status;
}

enum ph_status fit_decode(const struct fit_rows *rows, const struct fit_latents *latents,
                          const struct phi_decoder_model *model, const size_t range[2], double tau,
                          struct fit_calibration *ret_calibration, struct ph_error *reterr)
{
    struct decoding dec = {
        .rows = rows, .latents = latents, .model = model, .tau = tau, .first_row = range[0]};
    struct fit_calibration cal = {0};
    enum ph_status status = allocate(&dec, range[1] - range[0])
                                ? start(&dec, reterr)
                                : phi_error_nomem(reterr, "decoded trials", rows->n_events * 8);

    if (status == PH_OK)
        status = decode_rows(&dec, range);
    if (status == PH_OK) {
        score(&dec, &cal);
        *ret_calibration = cal;
    }
    release(&dec);
    return status;
}
