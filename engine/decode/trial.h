/* SPDX-License-Identifier: MIT
 *
 * Streaming posterior of trials with known onsets: after every volume, what is known of each open
 * trial's stimulus. Volume t carries x = W (y - c) with x_i = d_i sum_k h_k(t) zeta_ik + noise of
 * variance d_i that is AR(1) in time with coefficient rho; per channel i the open trials share a
 * small covariance matrix, so overlapping responses are told apart. A volume may be missing. All
 * memory is taken by create; one thread.
 *
 * A trial lives in one of max_open slots from `open` until its response is over; then it is
 * integrated out exactly, so that what it taught about its neighbours stays. If
 * a trial opens while every slot is taken, the slot with the oldest onset is integrated out early
 * and the rest of its response counts as noise; n_early counts these. Showings of one stimulus
 * (stim_index >= 0) are one unknown: a showing while it is open joins its slot, and a later one
 * starts from what the former ones left, up to n_remembered stimuli, the longest unseen forgotten
 * first.
 */
#ifndef PHI_DECODE_TRIAL_H
#define PHI_DECODE_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#define PHI_TRIAL_MAX_OPEN     16
#define PHI_TRIAL_MAX_SHOWINGS 8 /* of one stimulus with responses that overlap */

/* Response at `delay_s` after the onset of an event that lasts `duration_s`, in units of the
 * regressor the decoder was fitted with; 0 before the onset. */
typedef double phi_response_fn(void *ctx, double delay_s, double duration_s);

struct phi_trials_config {
    size_t n_channels;
    const double *d;            /* [n_channels] >= 0, copied */
    const double *on;           /* [n_channels] x of the response that every event has whatever is
                                   shown, at strength 1; NULL: none. Copied. */
    const double *weight_error; /* [n_channels] >= 0, what errors of the fitted weights add to every
                                   response to a stimulus, in units of a volume's noise variance
                                   (phi_posterior); NULL: none. Copied. */
    double level_sd;   /* >= 0: of a level that every channel has throughout, in units of zeta: a
                          baseline that is not the training runs' */
    double rho;        /* of the noise from volume to volume, 0 <= rho < 1 */
    double tr_s;       /* > 0 */
    double response_s; /* from the end of an event to the end of its response */
    phi_response_fn *response; /* called from the stepping thread */
    void *response_ctx;
    size_t max_open;      /* 0: 12; at most PHI_TRIAL_MAX_OPEN */
    size_t n_remembered;  /* stimuli whose posterior is kept after their trials closed */
    size_t max_gap;       /* 0: 3; after more missing volumes the noise starts afresh */
    double nis_threshold; /* a volume whose innovations are less likely is not used; 0: no test */
};

struct phi_trial_event {
    uint32_t number;
    int32_t stim_index; /* -1: unknown, never shared */
    double onset_s, duration_s, amplitude;
};

/* What a step can say about one open trial. */
struct phi_trial_report {
    uint32_t number; /* of its newest showing */
    int32_t stim_index;
    double onset_s;     /* of its newest showing */
    uint32_t revision;  /* counts the reports about this showing from 0 */
    double share;       /* information so far over that at the end of the response, 0..1 */
    double evidence;    /* log Bayes factor against the prior (Savage and Dickey), nats */
    bool final;         /* no later volume will change it */
    const double *mean; /* [n_channels] posterior mean of zeta, valid until the next call */
    const double *var;  /* [n_channels] its variance */
};

struct phi_trials;

/* Owned by the caller. PH_E_INVAL names the wrong setting. */
PH_NODISCARD enum ph_status phi_trials_create(const struct phi_trials_config *config,
                                              struct phi_trials **ret_trials,
                                              struct ph_error *reterr);

/* Frees the object; accepts NULL and *trials == NULL, clears *trials. */
void phi_trials_destroy(struct phi_trials **trials);

/* Forgets everything that came after create. */
void phi_trials_reset(struct phi_trials *trials);

/* A trial begins. Call before the first volume at or after its onset; a later call loses what the
 * volumes before it said. PH_E_INVAL if a number is not finite or the duration negative. */
PH_NODISCARD enum ph_status phi_trials_open(struct phi_trials *trials,
                                            const struct phi_trial_event *event);

/* The volume at `t_s` (where the response is sampled); x NULL: missing or censored. Times must
 * grow. ret_nis (may be NULL) gets sum inn^2/var over the number of channels, about 1 when the
 * model fits, NaN without x. Returns true if the volume was used. No allocation. */
bool phi_trials_step(struct phi_trials *trials, double t_s, const double *x /* [n_channels] */,
                     double *ret_nis);

/* Open trials after the last step, oldest onset first; reports[i] for i below the count. */
size_t phi_trials_count(const struct phi_trials *trials);
struct phi_trial_report phi_trials_report(const struct phi_trials *trials, size_t i);

/* Trials that had to leave their slot before their response was over. */
size_t phi_trials_n_early(const struct phi_trials *trials);

/* Sum over all used volumes and channels of the log predictive density of x/d, for choosing
 * hyper-parameters with d and W held fixed. */
double phi_trials_loglik(const struct phi_trials *trials);

#endif
