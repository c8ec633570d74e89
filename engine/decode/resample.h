/* SPDX-License-Identifier: MIT
 *
 * Is a score better than chance, and how sure is it? Nulls (shuffled trials, circularly shifted
 * series) and bootstrap intervals (of items, or of blocks of a series) over any score, seeded, so
 * that a report can be made again. Not for the live path; thread-safe if the score function is.
 */
#ifndef PHI_DECODE_RESAMPLE_H
#define PHI_DECODE_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

/* The score of a data set when its n items are taken in the order given. For a null, estimate i is
 * held against the truth of item order[i]; for a bootstrap, items order[0 .. n-1] (some more than
 * once) are scored, each with its own truth. */
typedef double phi_score_fn(void *ctx, const uint32_t *order /* [n] */, size_t n);

struct phi_resample {
    phi_score_fn *score;
    void *ctx;
    size_t n;       /* items: trials, pictures or volumes */
    size_t n_draws; /* 1000 is usual */
    uint64_t seed;
};

struct phi_null {
    double score;    /* in the true order */
    double p;        /* (1 + number of draws at least as good) / (1 + draws) */
    double mean, sd; /* of the draws */
    double q95;      /* their 95 % quantile: what chance reaches one time in twenty */
};

struct phi_interval {
    double score;     /* all items once */
    double low, high; /* percentile interval */
    double sd;        /* of the draws: the bootstrap standard error */
};

/* Null of independent trials: the pairing is shuffled. Invalid for volumes of a series, whose
 * neighbours are alike: use phi_null_shift. PH_E_INVAL with fewer than 2 items or no draws. */
PH_NODISCARD enum ph_status phi_null_permute(const struct phi_resample *what,
                                             struct phi_null *ret_null, struct ph_error *reterr);

/* Null of a time series: the truth is turned circularly by a random amount of at least `min_shift`
 * items either way (more than 30 s). PH_E_INVAL if the series is not longer than 2 min_shift. */
PH_NODISCARD enum ph_status phi_null_shift(const struct phi_resample *what, size_t min_shift,
                                           struct phi_null *ret_null, struct ph_error *reterr);

/* Percentile bootstrap at `level` (.95) of blocks of `n_block` neighbouring items (circular; 1 for
 * independent items; about 30 s for a series). PH_E_INVAL with fewer than 2 items, no draws, or a
 * block longer than the series. */
PH_NODISCARD enum ph_status phi_bootstrap(const struct phi_resample *what, size_t n_block,
                                          double level, struct phi_interval *ret_interval,
                                          struct ph_error *reterr);

/* Mean and standard error of the mean (sd of n-1 over sqrt n) of values[n]; sem 0 if n < 2. */
void phi_mean_sem(const double *values, size_t n, double *ret_mean, double *ret_sem);

/* The q quantile (0..1) of sorted[n], linear between neighbours; NaN if n is 0. */
double phi_quantile_sorted(const double *sorted, size_t n, double q);

/* Sorts values[n] upwards; NaN counts as largest. */
void phi_sort_doubles(double *values, size_t n);

#endif
