/* SPDX-License-Identifier: MIT
 *
 * Figures of quality, volume by volume: global signal, DVARS and standardised DVARS, tSNR, outlier
 * fraction, global correlation, drift, spikes. Figures over all voxels are exact; those that need a
 * voxel's past (everything robust) are taken on up to n_sample voxels spread evenly over the mask
 * and a window of the newest n_window volumes, and a share of those voxels is brought up to date
 * with each volume, so that the cost of a volume does not grow with the run. One owner at a time;
 * only create allocates.
 *
 * Sources: Power 2012 (DVARS); Nichols 2013 (standardisation, as nipype computes it); AFNI
 * 3dToutcount (outliers); Saad 2013 (global correlation).
 */
#ifndef PHI_SIGNAL_QUALITY_H
#define PHI_SIGNAL_QUALITY_H

#include <stdbool.h>
#include <stddef.h>

#include "phosphene/status.h"

struct phi_quality_config {
    size_t n_voxels;
    size_t n_window;               /* volumes kept; 0: 128 */
    size_t n_sample;               /* voxels kept; 0: 2048 */
    double spike_std_dvars;        /* a volume above is a spike; 0: 2 */
    double spike_outlier_fraction; /* or above this; 0: .1 */
};

/* NaN where a figure cannot be had yet. */
struct phi_quality_figures {
    double global_signal; /* mean over the voxels */
    double dvars;     /* rms change to the volume before, data scaled to a median of 1000; voxels
                         that are exactly 0 (outside the field of view) do not count */
    double std_dvars; /* over the change expected from variance and autocorrelation */
    double tsnr;      /* median over voxels of mean / sd since the start */
    double outlier_fraction; /* share of voxels far from their median */
    double gcor;             /* mean correlation of all pairs of voxels in the window */
    double drift_percent;    /* smoothed global signal against that of the first volumes */
    size_t n_spikes;         /* since the start; neighbouring volumes count once */
};

struct phi_quality;

/* Owned by the caller. */
PH_NODISCARD enum ph_status phi_quality_create(const struct phi_quality_config *config,
                                               struct phi_quality **ret_quality,
                                               struct ph_error *reterr);

/* Frees; accepts NULL and *quality == NULL, clears *quality. */
void phi_quality_destroy(struct phi_quality **quality);

/* Back to the state after create. */
void phi_quality_reset(struct phi_quality *quality);

/* Another number of voxels, at most that of create; all is forgotten. PH_E_SHAPE if there is no
 * memory for so many. */
PH_NODISCARD enum ph_status phi_quality_resize(struct phi_quality *quality, size_t n_voxels);

/* Judges volume y[n_voxels], all finite. `learn` false keeps it out of all that is remembered
 * except as the volume before the next. */
void phi_quality_process(struct phi_quality *quality, const float *y, bool learn,
                         struct phi_quality_figures *ret_figures);

/* A volume is missing: the next has none before it, and its DVARS cannot be had. */
void phi_quality_gap(struct phi_quality *quality);

/* What the robust figures are made of, for one series of n values. */
struct phi_series_figures {
    double median;
    double robust_sd; /* interquartile range (lower quantiles) / 1.349 */
    double mad;       /* median absolute deviation, unscaled */
    double mean;
    double ar1; /* lag-1 autocorrelation; 0 for a constant */
};

/* Fills *ret_figures from series[n], n >= 1; scratch[n] is overwritten. */
void phi_quality_series(const float *series, size_t n, float *scratch,
                        struct phi_series_figures *ret_figures);

/* The z above which a standard normal lies with probability p, 0 < p <= .5; to 1e-12. */
double phi_quality_normal_tail(double p);

/* Leading volumes that are brighter or darker than the settled signal: those, from the start on,
 * whose robust z, .6745 |g - median| / MAD, is above 3.5, for global signals[n] of a whole run.
 * Scratch[n] is overwritten. Source: nipype NonSteadyStateDetector. */
size_t phi_quality_startup(const float *signals, size_t n, float *scratch);

/* The same question while the run begins, when the settled level is not known yet: the signal has
 * settled once it no longer falls from volume to volume by more than `tolerance` of itself. */
struct phi_settling {
    double tolerance; /* .005 */
    size_t n_max;     /* settled at the latest after so many volumes */
    size_t n_seen;
    double before;
    bool settled;
};

/* True if the volume with this global signal still belongs to the start-up. The first always does,
 * unless n_max is 0. */
bool phi_settling_step(struct phi_settling *settling, double global_signal);

#endif
