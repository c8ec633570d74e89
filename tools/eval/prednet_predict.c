/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/image_score.h"
#include "eval/prednet.h"
#include "io/file.h"

#define N_SEEN  10 /* frames before extrapolation, as the authors' */
#define N_AHEAD 5
#define N_LAST  2 /* seen frames on the sheet of guesses */
#define N_CLIPS 3 /* on a sheet */

/* The scores take channels last. */
static void interleave(const float *planes, size_t n, float *ret)
{
    for (size_t k = 0; k < n; k++)
        for (size_t c = 0; c < 3; c++)
            ret[3 * k + c] = planes[c * n + k];
}

enum ph_status study_score_add(struct study_score *score, const float *picture, const float *truth,
                               size_t h, size_t w, struct ph_error *reterr)
{
    float *both = phi_calloc2(h * w, 6, sizeof *both);
    const struct phi_image_view a = {both, h, w, 3}, b = {both + 3 * h * w, h, w, 3};
    double ssim = 0;
    enum ph_status status;

    if (!both)
        return phi_error_nomem(reterr, "two pictures", 6 * h * w * sizeof *both);
    interleave(picture, h * w, both);
    interleave(truth, h * w, both + 3 * h * w);
    status = phi_image_ssim(a, b, 1, &ssim, reterr);
    if (status == PH_OK) {
        score->n++;
        score->mse += (phi_image_mse(a, b) - score->mse) / (double)score->n;
        score->ssim += (ssim - score->ssim) / (double)score->n;
    }
    phi_free(both);
    return status;
}

void study_score_join(struct study_score *score, const struct study_score *more)
{
    double share;

    if (more->n == 0)
        return;
    share = (double)more->n / (double)(score->n + more->n);
    score->n += more->n;
    score->mse += (more->mse - score->mse) * share;
    score->ssim += (more->ssim - score->ssim) * share;
}

json_t *study_score_json(const struct study_score *score)
{
    return json_pack("{s:f, s:f, s:I}", "mse", score->mse, "ssim", score->ssim, "frames",
                     (json_int_t)score->n);
}

struct prediction {
    struct film_source *source;
    size_t h, w, n; /* n values of a picture */
    float *frame, *last, *held;
    struct study_score one_step, copy, ahead[N_AHEAD], held_copy[N_AHEAD];
    struct phi_sheet *sheet, *guesses;
    size_t clip; /* counts from 0 */
};

/* Steps the network on `seen` (NULL: its own prediction, kept in `own`). */
static enum ph_status step(struct prediction *p, const float *seen, float *own,
                           struct ph_error *reterr)
{
    struct phi_prednet_live *net = p->source->player.net;

    if (phi_prednet_live_step(net, seen ? seen : own, NULL) != PH_OK)
        return phi_error(reterr, PH_E_INTERNAL, "the network cannot be run");
    memcpy(own, phi_prednet_live_prediction(net), p->n * sizeof *own);
    return PH_OK;
}

/* The frame and what the network made of it, one above the other. */
static enum ph_status put_column(const struct prediction *p, struct phi_sheet *sheet, size_t column,
                                 const float *own, struct ph_error *reterr)
{
    const struct phi_sheet_cell cells[2] = {{2 * p->clip, column}, {2 * p->clip + 1, column}};

    if (p->clip >= N_CLIPS)
        return PH_OK;
    if (phi_sheet_put_planes(sheet, cells[0], p->w, p->h, p->frame) != PH_OK ||
        phi_sheet_put_planes(sheet, cells[1], p->w, p->h, own) != PH_OK)
        return phi_error_nomem(reterr, "a sheet", 0);
    return PH_OK;
}

/* One-step predictions of the clip of frames first .. end-1. */
static enum ph_status predict_clip(struct prediction *p, size_t first, size_t end, float *own,
                                   struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    phi_prednet_live_reset(p->source->player.net);
    for (size_t i = first; status == PH_OK && i < end; i++) {
        memcpy(p->last, p->frame, p->n * sizeof *p->last);
        phi_film_planes(&p->source->film, i, p->frame);
        status = step(p, p->frame, own, reterr);
        if (status == PH_OK && i - first < STUDY_COLUMNS)
            status = put_column(p, p->sheet, i - first, own, reterr);
        if (status != PH_OK || i == first)
            continue;
        status = study_score_add(&p->one_step, own, p->frame, p->h, p->w, reterr);
        if (status == PH_OK)
            status = study_score_add(&p->copy, p->last, p->frame, p->h, p->w, reterr);
    }
    return status;
}

/* Guesses frames 11 to 15 of a clip from the first ten; t+1 is the prediction that ten frames
 * make. */
static enum ph_status extrapolate(struct prediction *p, size_t first, size_t end, float *own,
                                  struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    if (end - first < N_SEEN + N_AHEAD)
        return PH_OK;
    phi_prednet_live_reset(p->source->player.net);
    for (size_t i = 0; status == PH_OK && i < N_SEEN + N_AHEAD; i++) {
        phi_film_planes(&p->source->film, first + i, p->frame);
        status = step(p, i < N_SEEN ? p->frame : NULL, own, reterr);
        if (status == PH_OK && i + N_LAST >= N_SEEN)
            status = put_column(p, p->guesses, i + N_LAST - N_SEEN, own, reterr);
        if (i + 1 == N_SEEN)
            memcpy(p->held, p->frame, p->n * sizeof *p->held);
        if (status != PH_OK || i < N_SEEN)
            continue;
        status = study_score_add(&p->ahead[i - N_SEEN], own, p->frame, p->h, p->w, reterr);
        if (status == PH_OK)
            status =
                study_score_add(&p->held_copy[i - N_SEEN], p->held, p->frame, p->h, p->w, reterr);
    }
    return status;
}

static enum ph_status all_clips(struct prediction *p, float *own, struct ph_error *reterr)
{
    const struct phi_film *film = &p->source->film;
    size_t first = 0;
    enum ph_status status = PH_OK;

    for (size_t i = 1; status == PH_OK && i <= film->n; i++) {
        if (i < film->n && !phi_film_cut(film, i))
            continue;
        status = predict_clip(p, first, i, own, reterr);
        if (status == PH_OK)
            status = extrapolate(p, first, i, own, reterr);
        first = i;
        p->clip++;
        cli_progress("predicting, frame", i, film->n);
    }
    if (status == PH_OK && p->one_step.n == 0)
        return phi_error(reterr, PH_E_SHAPE, "the film has no clip of two frames or more");
    return status;
}

static json_t *report_of(const struct prediction *p)
{
    json_t *report = json_object(), *ahead = json_array();

    (void)json_object_set_new(report, "prediction", study_score_json(&p->one_step));
    (void)json_object_set_new(report, "last_frame", study_score_json(&p->copy));
    for (size_t k = 0; k < N_AHEAD && p->ahead[k].n; k++)
        (void)json_array_append_new(
            ahead, json_pack("{s:I, s:o, s:o}", "frames_ahead", (json_int_t)k + 1, "prediction",
                             study_score_json(&p->ahead[k]), "last_frame_seen",
                             study_score_json(&p->held_copy[k])));
    (void)json_object_set_new(report, "extrapolation_after_10", ahead);
    return report;
}

/* Three clips, each a row of frames and below it one of pictures of the network. */
static enum ph_status make_sheet(const struct prediction *p, size_t n_cols, const char *below,
                                 struct phi_sheet **ret_sheet, struct ph_error *reterr)
{
    const struct phi_sheet_layout layout = {.n_rows = 2 * N_CLIPS,
                                            .n_cols = n_cols,
                                            .tile_width = 96,
                                            .tile_height = 96 * p->h / p->w,
                                            .left = 90,
                                            .top = 18,
                                            .gap = 2};
    enum ph_status status = phi_sheet_create(&layout, ret_sheet, reterr);

    for (size_t row = 0; status == PH_OK && row < layout.n_rows; row++)
        phi_sheet_label_row(*ret_sheet, row, row % 2 ? below : "shown");
    return status;
}

static enum ph_status make_sheets(struct prediction *p, struct ph_error *reterr)
{
    enum ph_status status = make_sheet(p, STUDY_COLUMNS, "predicted", &p->sheet, reterr);
    char label[16];

    if (status == PH_OK)
        status = make_sheet(p, N_LAST + N_AHEAD, "network", &p->guesses, reterr);
    for (size_t k = 0; status == PH_OK && k < N_LAST + N_AHEAD; k++) {
        (void)snprintf(label, sizeof label, k < N_LAST ? "seen" : "t+%zu", k + 1 - N_LAST);
        phi_sheet_label_col(p->guesses, k, label);
    }
    return status;
}

static enum ph_status write_sheet(struct phi_sheet *sheet, const char *dir, const char *name,
                                  struct ph_error *reterr)
{
    char path[PHI_PATH_MAX];

    if (!phi_path_join(path, sizeof path, dir, name))
        return phi_error(reterr, PH_E_LIMIT, "the path of '%s' is too long", dir);
    return phi_sheet_write(sheet, path, reterr);
}

enum ph_status study_predict(struct film_source *source, const char *dir, json_t **ret_report,
                             struct ph_error *reterr)
{
    struct prediction p = {.source = source, .h = source->film.h, .w = source->film.w};
    float *memory;
    enum ph_status status = make_sheets(&p, reterr);

    p.n = 3 * p.h * p.w;
    memory = phi_calloc2(4, p.n, sizeof *memory);
    if (status == PH_OK && !memory)
        status = phi_error_nomem(reterr, "frames", 4 * p.n * sizeof *memory);
    if (status == PH_OK) {
        p.frame = memory;
        p.last = memory + p.n;
        p.held = memory + 2 * p.n;
        status = all_clips(&p, memory + 3 * p.n, reterr);
    }
    if (status == PH_OK)
        status = write_sheet(p.sheet, dir, "prediction.png", reterr);
    if (status == PH_OK)
        status = write_sheet(p.guesses, dir, "extrapolation.png", reterr);
    if (status == PH_OK)
        *ret_report = report_of(&p);
    phi_sheet_destroy(&p.sheet);
    phi_sheet_destroy(&p.guesses);
    phi_free(memory);
    return status;
}
