/* SPDX-License-Identifier: MIT
 *
 * Slice timing without waiting: each slice is brought to the reference instant between this volume
 * and the one before, linearly: f y[t-1] + (1 - f) y[t], f = (slice time - reference) / TR. Slices
 * taken before the reference would need the next volume, so the reference must not be later than
 * the first slice; shift the design instead (the `ref` of signal/design.h). One owner at a time;
 * only create allocates.
 */
#ifndef PHI_SIGNAL_SLICETIME_H
#define PHI_SIGNAL_SLICETIME_H

#include <stdbool.h>
#include <stddef.h>

#include "phosphene/status.h"

struct phi_slicetime;

/* Orders in which a scanner takes slices. */
enum phi_slice_order {
    PHI_SLICES_ASCENDING = 0,        /* 0 1 2 3 ... */
    PHI_SLICES_DESCENDING = 1,       /* ... 3 2 1 0 */
    PHI_SLICES_INTERLEAVED_EVEN = 2, /* 0 2 4 ... 1 3 5 ... */
    PHI_SLICES_INTERLEAVED_ODD = 3,  /* 1 3 5 ... 0 2 4 ... */
    PHI_SLICES_SIEMENS = 4           /* odd first for an even number of slices, else even first */
};

/* Acquisition times (s from the start of the volume) ret_times_s[n_slices] for an order, with
 * `multiband` slices excited at once. PH_E_INVAL if multiband does not divide n_slices. */
PH_NODISCARD enum ph_status phi_slice_times(enum phi_slice_order order, size_t n_slices,
                                            size_t multiband, double tr_s, double *ret_times_s);

struct phi_slicetime_config {
    size_t n_slices;
    size_t slice_voxels; /* voxels of a slice; slices follow each other in memory */
    double tr_s;
    double ref_s;          /* reference instant from the start of the volume */
    const double *times_s; /* [n_slices], copied */
};

/* Owned by the caller. PH_E_INVAL for times outside [ref_s, tr_s]. */
PH_NODISCARD enum ph_status phi_slicetime_create(const struct phi_slicetime_config *config,
                                                 struct phi_slicetime **ret_slicetime,
                                                 struct ph_error *reterr);

/* Frees; accepts NULL and *slicetime == NULL, clears *slicetime. */
void phi_slicetime_destroy(struct phi_slicetime **slicetime);

/* Forgets the volume before. */
void phi_slicetime_reset(struct phi_slicetime *slicetime);

/* Corrects y[n_slices][slice_voxels] in place. The first volume, and the one after
 * phi_slicetime_gap, have nothing before them and stay as they are. */
void phi_slicetime_process(struct phi_slicetime *slicetime, float *y);

/* A volume is missing or unusable: the next one is not mixed with what was before. */
void phi_slicetime_gap(struct phi_slicetime *slicetime);

#endif
