/* SPDX-License-Identifier: MIT
 *
 * One region's signal, sample by sample: percent of its baseline, band-pass and notches, despiking;
 * the samples kept for spectra. Plain struct, one owner; nothing allocates.
 */
#ifndef PLUGINS_FILTER_REGIONS_SIGNAL_H
#define PLUGINS_FILTER_REGIONS_SIGNAL_H

#include <stdbool.h>

#include "phosphene/host.h"
#include "signal/despike.h"
#include "signal/spectrum.h"

#define REGION_KEPT PH_MAX_POINTS

struct region_config {
    bool percent;      /* of the mean of the first n_baseline samples */
    size_t n_baseline; /* then frozen; 0: of all samples so far */
    bool despike;
    struct phi_iir iir; /* as phi_iir_add_... have made it */
};

struct region {
    struct region_config config;
    struct phi_iir iir;
    struct phi_despike despike;
    struct phi_welford baseline;
    double kept[REGION_KEPT]; /* ring of the unfiltered signal; NaN where there was none */
    float shown[REGION_KEPT]; /* ring of the filtered one */
    size_t n;                 /* samples ever */
};

/* Starts a signal. */
void region_init(struct region *region, const struct region_config *config);

/* Takes the mean over a region on one volume; `learn` false (a censored one) leaves baseline and
 * filters as they are and repeats the last value. Returns the filtered signal. */
float region_step(struct region *region, double mean, bool learn);

/* There is no volume: NaN is kept. */
void region_skip(struct region *region);

/* The newest n samples in order, at most REGION_KEPT and what there is; returns how many. Gaps in
 * the unfiltered ones are bridged by the sample before. */
size_t region_unfiltered(const struct region *region, size_t n, double *ret_samples);
size_t region_filtered(const struct region *region, size_t n, float *ret_samples);

#endif
