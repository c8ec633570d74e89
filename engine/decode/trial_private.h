/* SPDX-License-Identifier: MIT
 *
 * The state of trial decoding, shared by its two files: trial.c has the life of trials, and
 * trial_channel.c the algebra of the channels. Not for others.
 */
#ifndef PHI_DECODE_TRIAL_PRIVATE_H
#define PHI_DECODE_TRIAL_PRIVATE_H

#include "decode/trial.h"

#define MAX PHI_TRIAL_MAX_OPEN

struct phi_trial_slot {
    bool used, final;
    uint32_t number, revision;
    int32_t stim_index;
    size_t n_showings;
    double onset_s[PHI_TRIAL_MAX_SHOWINGS], duration_s[PHI_TRIAL_MAX_SHOWINGS];
    double amplitude[PHI_TRIAL_MAX_SHOWINGS];
    double info, future; /* sum of whitened h^2 so far, and still to come */
};

struct phi_trial_memory {
    int32_t stim_index; /* -1: free */
    uint64_t last_seen;
    double info;
    double *mean, *var; /* [n_channels] */
};

struct phi_trials {
    struct phi_trials_config config;
    double *on;                   /* [n_channels] */
    double *x_now;                /* [n_channels] the volume less the common response */
    double *d;                    /* [n_channels] with the error of the weights */
    double *stretch;              /* [n_channels] of x, sqrt(d now / d before) */
    double *cov;                  /* [n_channels][side][side] */
    double *v;                    /* [n_channels][side] cov h of the current volume */
    double *mean;                 /* [side][n_channels] */
    double *var;                  /* [side][n_channels] */
    double *told_mean, *told_var; /* [max_open][n_channels] mean and var of the stimulus itself */
    double *x_last;               /* [n_channels] */
    double *inn;                  /* [n_channels] innovation of the current volume */
    double *den;                  /* [n_channels] its variance over d */
    double *memory_values;        /* [n_remembered][2][n_channels] */
    struct phi_trial_memory *memory; /* [n_remembered] */
    struct phi_trial_slot slots[MAX];
    size_t order[MAX + 1]; /* used slots, oldest onset first, then the level's if there is one */
    size_t n_open, n_early;
    size_t n_states; /* open trials and the level */
    size_t side;     /* slots of a covariance: max_open, and the level in the last */
    double t_last_s;
    bool has_last;
    uint64_t clock;
    double loglik;
};

/* Response and noise of a volume whitened against the last used one, over the open slots in order:
 * h(t) - carry h(t_last), carry = rho^g, v0 = 1 - rho^2g. */
struct phi_trial_row {
    double h[MAX + 1];
    double v0, carry;
};

/* Covariance of one channel, [side][side]. */
static inline double *phi_trial_covariance(struct phi_trials *trials, size_t channel)
{
    return trials->cov + channel * trials->side * trials->side;
}

/* Slot k of every channel becomes an unused prior N(0, 1), and free; what was in it is integrated
 * out. */
void phi_trial_clear_slot(struct phi_trials *trials, size_t k);

/* The level of every channel becomes N(0, level_sd^2), independent of the trials. */
void phi_trial_clear_level(struct phi_trials *trials);

/* Slot k of every channel becomes N(mean, var) in [n_channels], independent of the others. */
void phi_trial_seed_slot(struct phi_trials *trials, size_t k, const double *mean,
                         const double *var);

/* Fills trials->v, inn and den for x; returns the mean of inn^2 / (d den) over channels with
 * signal, NaN without any. */
double phi_trial_predict(struct phi_trials *trials, const struct phi_trial_row *row,
                         const double *x);

/* Adds the volume of the last phi_trial_predict: mean and var of the open slots. */
void phi_trial_absorb(struct phi_trials *trials, const struct phi_trial_row *row);

#endif
