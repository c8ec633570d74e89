/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "eval/prednet.h"

enum control { DECODED, LEFT_ALONE, SHUFFLED, ZEROS };

const char *study_control_name(size_t control)
{
    static const char *const names[STUDY_CONTROLS] = {"decoded", "left alone", "shuffled", "zeros"};

    return control < STUDY_CONTROLS ? names[control] : NULL;
}

struct pass {
    const struct study_drawing *drawing;
    struct film_source *source;
    enum control control;
    float *truth, *zeros;
    size_t n_volumes;
    struct study_score score;
    double *mse[STUDY_CONTROLS]; /* [n_volumes] */
};

static const float *statement(const struct pass *p, size_t i)
{
    const struct study_layer *l = p->drawing->layer;

    switch (p->control) {
    case DECODED:
        return l->estimate + i * l->t;
    case SHUFFLED: /* half the run away */
        return l->estimate + (i + l->n / 2) % l->n * l->t;
    case ZEROS:
        return p->zeros;
    case LEFT_ALONE:
        break;
    }
    return NULL;
}

static enum ph_status show(struct pass *p, size_t i, struct ph_error *reterr)
{
    const struct study_drawing *d = p->drawing;
    size_t h = p->source->film.h, w = p->source->film.w;
    size_t n_columns = p->n_volumes < STUDY_COLUMNS ? p->n_volumes : STUDY_COLUMNS;
    size_t column = i * n_columns / p->n_volumes;
    const struct phi_sheet_cell cell = {d->first_row + (size_t)p->control, column};

    if (column * p->n_volumes / n_columns + (column * p->n_volumes % n_columns > 0) != i)
        return PH_OK; /* not the first volume of its column */
    if (phi_sheet_put_planes(d->sheet, (struct phi_sheet_cell){0, column}, w, h, p->truth) !=
            PH_OK ||
        phi_sheet_put_planes(d->sheet, cell, w, h, p->source->player.prediction) != PH_OK)
        return phi_error_nomem(reterr, "a sheet", 0);
    return PH_OK;
}

/* The ticks of one volume. Frames that open a clip are not scored: nothing can predict them. */
static enum ph_status play_volume(struct pass *p, size_t i, struct ph_error *reterr)
{
    struct phi_player *player = &p->source->player;
    double tr_s = p->drawing->run->tr_s, begin_s = (double)p->drawing->layer->volume[i] * tr_s;
    int64_t middle = phi_player_tick_at(player, begin_s + 0.5 * tr_s);
    int64_t first = (int64_t)ceil(begin_s * player->from.fps - 0.5 - 1e-6);
    int64_t end = (int64_t)ceil((begin_s + tr_s) * player->from.fps - 0.5 - 1e-6);
    const float *r = statement(p, i);
    struct study_score score = {0};
    enum ph_status status = PH_OK;

    if (r)
        phi_player_state(player, r, begin_s + 0.5 * tr_s);
    if (i == 0 || player->tick != first - 1)
        phi_player_seek(player, first);
    while (status == PH_OK && player->tick < end - 1) {
        int64_t frame;

        if (phi_player_step(player, INFINITY) != PH_OK)
            return phi_error(reterr, PH_E_INTERNAL, "the network cannot be run");
        frame = phi_film_clock_frame(&p->source->clock,
                                     ((double)player->tick + 0.5) / player->from.fps);
        if (frame < 0 || frame >= (int64_t)p->source->film.n)
            continue;
        phi_film_planes(&p->source->film, (size_t)frame, p->truth);
        if (!phi_film_cut(&p->source->film, (size_t)frame))
            status = study_score_add(&score, player->prediction, p->truth, p->source->film.h,
                                     p->source->film.w, reterr);
        if (status == PH_OK && player->tick == middle)
            status = show(p, i, reterr);
    }
    p->mse[p->control][i] = score.mse;
    study_score_join(&p->score, &score);
    return status;
}

static enum ph_status play(struct pass *p, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    phi_player_reset(&p->source->player);
    p->source->player.from.film = p->drawing->seen ? &p->source->film : NULL;
    for (size_t i = 0; status == PH_OK && i < p->n_volumes; i++) {
        status = play_volume(p, i, reterr);
        cli_progress("drawing, volume", i + 1, p->n_volumes);
        if (cli_interrupted())
            return phi_error(reterr, PH_E_STATE, "interrupted");
    }
    return status;
}

/* The row of one control; of the decode with the share of volumes whose pictures are nearer to the
 * film than those of a decode of another time. */
static json_t *row_of(const struct pass *p, size_t control, const struct study_score *score)
{
    json_t *row = json_pack("{s:I, s:b, s:s, s:o}", "layer", (json_int_t)p->drawing->layer->layer,
                            "film_seen", p->drawing->seen, "r", study_control_name(control),
                            "score", study_score_json(score));
    size_t n_better = 0;

    for (size_t i = 0; i < p->n_volumes; i++)
        n_better += p->mse[DECODED][i] < p->mse[SHUFFLED][i];
    if (control == DECODED)
        (void)json_object_set_new(row, "better_than_shuffled",
                                  json_real((double)n_better / (double)p->n_volumes));
    return row;
}

/* All controls in turn. */
static enum ph_status play_all(struct pass *p, json_t *report, struct ph_error *reterr)
{
    struct study_score scores[STUDY_CONTROLS];
    enum ph_status status = PH_OK;

    for (size_t c = 0; status == PH_OK && c < STUDY_CONTROLS; c++) {
        p->source->clock = p->drawing->run->clock;
        p->control = (enum control)c;
        p->score = (struct study_score){0};
        status = play(p, reterr);
        scores[c] = p->score;
    }
    for (size_t c = 0; status == PH_OK && c < STUDY_CONTROLS; c++)
        (void)json_array_append_new(report, row_of(p, c, &scores[c]));
    return status;
}

enum ph_status study_draw(const struct study_drawing *drawing, json_t *report,
                          struct ph_error *reterr)
{
    const struct study_layer *l = drawing->layer;
    struct film_source_from from = *drawing->from;
    struct film_source source;
    struct pass p = {.drawing = drawing, .source = &source};
    enum ph_status status;

    from.layer = l->layer;
    from.window_s = drawing->run->tr_s;
    p.n_volumes = l->n < drawing->n_volumes ? l->n : drawing->n_volumes;
    status = film_source_open(&from, &source, reterr);
    p.truth = phi_calloc2(source.film.h * source.film.w, 3, sizeof *p.truth);
    p.zeros = phi_calloc(l->t, sizeof *p.zeros);
    p.mse[0] = phi_calloc2(STUDY_CONTROLS, p.n_volumes, sizeof *p.mse[0]);
    if (status == PH_OK && (!p.truth || !p.zeros || !p.mse[0]))
        status = phi_error_nomem(reterr, "frames", l->t * sizeof *p.zeros);
    for (size_t c = 1; status == PH_OK && c < STUDY_CONTROLS; c++)
        p.mse[c] = p.mse[0] + c * p.n_volumes;
    if (status == PH_OK)
        status = play_all(&p, report, reterr);
    phi_free(p.truth);
    phi_free(p.zeros);
    phi_free(p.mse[0]);
    film_source_close(&source);
    return status;
}
