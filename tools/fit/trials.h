/* SPDX-License-Identifier: MIT
 *
 * From events and stimuli to the design of a decoder fit, and decoding held-out volumes again to
 * choose the temperature and report calibration. Set-up code; one thread.
 */
#ifndef TOOLS_FIT_TRIALS_H
#define TOOLS_FIT_TRIALS_H

#include "decode/trial.h"
#include "fit/rows.h"
#include "tools/stimuli/set.h"

/* The latents of the pictures: whitened components of their pixels, or a network's from a file. */
struct fit_latents {
    struct phi_pca *pca; /* how latents draw pictures; NULL without pictures */
    float *z;            /* [n][p] */
    size_t n, p;
    char space[PHI_DECODER_SPACE]; /* of the file, or of components of pixels; "" unknown */
    size_t *of_event; /* [n_events] picture of each event, SIZE_MAX: not a stimulus of the set */
};

struct fit_latents_from {
    const struct phi_stimuli *set; /* NULL: events are matched by stim_index alone */
    const char *file;       /* safetensors with "latents" [n][p]; NULL: components of pixels */
    const char *trial_type; /* NULL: any */
    size_t p;               /* without a file: at most so many components (0: 50) */
};

/* Without a file: components of all pictures (at most 2000, evenly chosen). With one: its latents,
 * one row a picture, and the best linear map from them to the pixels. Events find their picture by
 * stim_file, else by stim_index. PH_E_INVAL if no event does. */
PH_NODISCARD enum ph_status fit_latents_make(const struct fit_latents_from *from,
                                             const struct fit_rows *rows,
                                             struct fit_latents *ret_latents,
                                             struct ph_error *reterr);

/* Fills z, n and p from the file, and pca where there are pictures: mean and w of the ridge
 * regression of pixels on latents, its penalty chosen by generalised cross-validation; row k of
 * pca->components is w_k / |w_k| and pca->sd[k] is |w_k|, so the rows are not orthogonal. */
PH_NODISCARD enum ph_status fit_latents_read(const char *path, const struct phi_stimuli *set,
                                             struct fit_latents *latents, struct ph_error *reterr);
void fit_latents_free(struct fit_latents *latents);

/* Sets of_event alone; latents->n pictures. Owned by `latents`. */
PH_NODISCARD enum ph_status fit_latents_match(const struct fit_latents_from *from,
                                              const struct fit_rows *rows,
                                              struct fit_latents *latents, struct ph_error *reterr);

/* Whitened rows of a fit. Row i of the result is row `row[i]` less rho times the row before it. */
struct fit_design {
    struct phi_posterior_data data; /* points into what follows */
    float *x, *y;
    double *nuisance; /* response to any event, then one column a run but the first */
    uint32_t *fold;
    size_t *row; /* [n] */
    bool *joined;
};

/* Rows [first, end) of `rows`; fold k of `n_folds` is the k-th contiguous part of every run. */
PH_NODISCARD enum ph_status fit_design_make(const struct fit_rows *rows,
                                            const struct fit_latents *latents,
                                            struct phi_decoder_shape *shape, const size_t range[2],
                                            size_t n_folds, double rho,
                                            struct fit_design *ret_design, struct ph_error *reterr);
void fit_design_free(struct fit_design *design);

/* What one volume said about one trial. */
typedef void fit_heard_fn(void *ctx, const struct phi_trial_report *report, double at_s);

/* Decodes all rows in trial mode; `heard` gets every report in turn, report->number being the
 * event's place in rows->events. Of `latents` only of_event and p are read. */
PH_NODISCARD enum ph_status fit_decode_all(const struct fit_rows *rows,
                                           const struct fit_latents *latents,
                                           const struct phi_decoder_model *model,
                                           fit_heard_fn *heard, void *ctx, struct ph_error *reterr);

/* How decoding of known stimuli went, over their last statements. */
struct fit_calibration {
    size_t n_trials;
    double nll;      /* a latent, nats */
    double coverage; /* of 90 % intervals */
    double ratio;    /* mean squared error over mean variance */
    double r;        /* mean over latents of the correlation with the truth */
    double two_way;  /* identification by correlation, chance .5 */
    double nis_q999; /* 99.9 % quantile of the innovation test */
};

/* Decodes rows [first, end) in trial mode with the posterior at temperature `tau` times its own. */
PH_NODISCARD enum ph_status fit_decode(const struct fit_rows *rows,
                                       const struct fit_latents *latents,
                                       const struct phi_decoder_model *model, const size_t range[2],
                                       double tau, struct fit_calibration *ret_calibration,
                                       struct ph_error *reterr);

#endif
