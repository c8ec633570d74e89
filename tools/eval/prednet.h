/* SPDX-License-Identifier: MIT
 *
 * The film study in three parts, shared by the files behind `phos eval prednet`: how well the
 * network predicts, how well R of a layer is decoded, and what it draws from what was decoded.
 * Set-up code; one thread.
 */
#ifndef TOOLS_EVAL_PREDNET_H
#define TOOLS_EVAL_PREDNET_H

#include <jansson.h>

#include "film/walk.h"
#include "fit/voxels.h"
#include "stimuli/sheet.h"

#define STUDY_COLUMNS   10 /* frames on a sheet */
#define STUDY_MIN_SHIFT 15 /* volumes, of a null */

/* Mean squared error and SSIM of pictures: means over n of them. */
struct study_score {
    double mse, ssim;
    size_t n;
};

/* Adds a picture against the truth, both planes [3][h][w] in 0..1. */
PH_NODISCARD enum ph_status study_score_add(struct study_score *score, const float *picture,
                                            const float *truth, size_t h, size_t w,
                                            struct ph_error *reterr);

/* Adds all of `more`. */
void study_score_join(struct study_score *score, const struct study_score *more);

/* {"mse":, "ssim":, "frames":}; owned by the caller. */
json_t *study_score_json(const struct study_score *score);

/* One-step predictions against showing the last frame again, over whole clips, and what is guessed
 * 1 to 5 frames beyond the tenth; sheets of both as prediction.png and extrapolation.png in `dir`.
 */
PH_NODISCARD enum ph_status study_predict(struct film_source *source, const char *dir,
                                          json_t **ret_report, struct ph_error *reterr);

/* Decoded and true R of one layer, one row for every volume that has both. */
struct study_layer {
    int layer;
    size_t n, t;
    size_t *volume;  /* [n] rising */
    float *estimate; /* [n][t] */
    float *truth;    /* [n][t] */
};

PH_NODISCARD enum ph_status
study_layer_decode(const char *ridge, int layer, const struct fit_voxels *voxels,
                   const struct film_run *run, struct film_source *source,
                   struct study_layer *ret_layer, struct ph_error *reterr);
void study_layer_fini(struct study_layer *layer);

/* How well a layer is decoded. The null of every figure is the truth shifted in a circle by 15
 * volumes or more: each such shift once if there are no more than wanted, else so many drawn. A
 * place is a pixel of R, over all its channels. */
struct study_scores {
    int layer;
    size_t n, t, n_channels, h, w; /* t = n_channels h w */
    size_t n_shifts, n_constant;   /* units whose correlation is undefined count as 0 */
    size_t *volume;                /* [n] */
    float *unit_r;                 /* [t] over time */
    float *unit_p;                 /* [t] share of shifts that do as well */
    float *map_r;                  /* [h][w] mean of unit_r over the channels */
    float *map_p;                  /* [h][w] ... */
    float *map_p_corrected;        /* [h][w] share of shifts whose best place does as well */
    float *pattern_r;              /* [n] over space */
    float *pattern_p;              /* [n] */
    float *pattern_low;            /* [n] what 95 % of its shifts lie between ... */
    float *pattern_high;           /* [n] */
    double *null_unit_r;           /* [n_shifts] means over units, sorted */
    double *null_pattern_r;        /* [n_shifts] means over volumes, sorted */
};

/* `config` gives the shape of R. ret_scores is freed with study_scores_fini. */
PH_NODISCARD enum ph_status study_scores_make(const struct study_layer *layer,
                                              const struct phi_prednet_config *config,
                                              size_t n_draws, struct study_scores *ret_scores,
                                              struct ph_error *reterr);
void study_scores_fini(struct study_scores *scores);

/* One row of the table; owned by the caller. */
json_t *study_scores_json(const struct study_scores *scores);

/* Writes into `dir`: scores.safetensors with everything, maps.png with the places of each layer,
 * and over_space.png with the layers' correlations over space by volume. */
PH_NODISCARD enum ph_status study_scores_write(const struct study_scores *scores, size_t n_layers,
                                               const char *dir, struct ph_error *reterr);

/* Frames drawn from the layer's decode and its controls, scored against the stimulus. */
struct study_drawing {
    const struct film_source_from *from; /* the network and film; the layer is the decode's */
    const struct film_run *run;
    const struct study_layer *layer;
    bool seen;               /* the Error units see the film */
    size_t n_volumes;        /* drawn at most */
    struct phi_sheet *sheet; /* rows from first_row on take the pictures */
    size_t first_row;
};
PH_NODISCARD enum ph_status study_draw(const struct study_drawing *drawing, json_t *report,
                                       struct ph_error *reterr);

/* Rows of the sheet that study_draw fills, and the label of each. */
#define STUDY_CONTROLS 4
const char *study_control_name(size_t control);

#endif
