/* SPDX-License-Identifier: MIT
 *
 * The DAND study: decoded pictures of several subjects and methods beside what was shown, their
 * scores, and sheets to look at. All pictures are rgb[64][64][3]. One thread.
 */
#ifndef TOOLS_EVAL_DAND_H
#define TOOLS_EVAL_DAND_H

#include <jansson.h>
#include <stdio.h>

#include "cli.h"
#include "decode/paired.h"
#include "eval/faces.h"
#include "tools/stimuli/set.h"
#include "train/encoder.h"

#define STUDY_MAX_SUBJECTS 8
#define STUDY_MAX_METHODS  (4 * STUDY_MAX_SUBJECTS + 2)

enum study_metric {
    STUDY_FEATURE_DISTANCE, /* 1 / (1 + |f - f'|) */
    STUDY_FEATURE_MSE,      /* 1 / (1 + mean (f - f')^2) */
    STUDY_PIXEL_R,
    STUDY_SSIM,
    STUDY_N_METRICS
};

extern const char *const study_metric_names[STUDY_N_METRICS];

enum study_kind { STUDY_IDENTITY, STUDY_EIGENFACE, STUDY_LINEAR, STUDY_DAND, STUDY_N_KINDS };

/* One row of the table. */
struct study_method {
    char name[32];
    int kind, subject;                   /* -1: of nobody (ceiling, mean picture) */
    uint8_t *pixels;                     /* [n] pictures */
    float *features;                     /* [n][n_features] */
    double *of_picture[STUDY_N_METRICS]; /* [n] */
    struct phi_paired_score scores[STUDY_N_METRICS];
};

/* Decoded latents of one subject. */
struct study_subject {
    float *latents; /* [n][p] */
    float *samples; /* [n][n_samples][p] or NULL */
    size_t n_samples;
};

struct study_args {
    struct cli_list files[STUDY_N_KINDS]; /* phos decode; LINEAR comes with DAND's */
    const char *model, *stimuli, *out;
    const char *axes; /* phos axes of the model's latents, or NULL */
    int64_t n_draws, seed;
    bool json;
};

struct study {
    const struct study_args *args;
    struct eval_faces faces;
    struct phi_stimuli *set;
    size_t n, n_subjects;
    uint8_t *shown;  /* [n] pictures */
    float *features; /* [n][n_features] of them */
    float *latents;  /* [n][p] of them */
    struct study_subject subjects[STUDY_MAX_SUBJECTS];
    struct study_method methods[STUDY_MAX_METHODS];
    size_t n_methods;
};

/* The method of a kind and subject (-1: first of nobody's, by name), or NULL. */
const struct study_method *study_find(const struct study *study, int kind, int subject);

/* Fills of_picture and scores of every method. */
PH_NODISCARD enum ph_status study_score_all(struct study *study, struct ph_error *reterr);

/* Paired differences between kinds in each subject with 95 % bootstrap intervals; a new array. */
PH_NODISCARD enum ph_status study_differences(const struct study *study, json_t **ret_json,
                                              struct ph_error *reterr);

/* Correlation, over pictures, of DAND's score (mean over subjects) with each attribute; p is of the
 * largest correlation among all attributes under permutation. A new object; null without
 * attributes. */
PH_NODISCARD enum ph_status study_attributes(const struct study *study, json_t **ret_json,
                                             struct ph_error *reterr);

/* With args->axes: each subject's attributes as read along the axes of the decoded latents, and
 * their correlation over pictures with those shown; the mean against shuffled pictures. A new
 * array, empty without axes. */
PH_NODISCARD enum ph_status study_axes(const struct study *study, json_t **ret_json,
                                       struct ph_error *reterr);
void study_axes_text(const json_t *list, FILE *file);

/* reconstructions.png, traversals.png, interpolation.png and samples.png in args->out. */
PH_NODISCARD enum ph_status study_sheets(struct study *study, struct ph_error *reterr);

/* The table as JSON (a new object) and as text in `file`. */
json_t *study_json(const struct study *study, json_t *differences, json_t *attributes,
                   json_t *axes);
void study_text(const struct study *study, const json_t *report, FILE *file);

#endif
