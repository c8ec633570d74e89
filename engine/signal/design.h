/* SPDX-License-Identifier: MIT
 *
 * From events to the columns of a linear model, and the nuisance columns beside them. Everything
 * can be had a row at a time, as the live engine needs it; batch columns are the same rows.
 *
 * Convention: volume k is sampled at t_k = k * tr_s + ref * tr_s, measured from the start of the
 * first volume; onsets count from the same instant. A stick (duration 0) has area 1 s, a box height
 * 1; responses are closed forms (signal/hrf.h). Pure functions, any thread, no allocation.
 */
#ifndef PHI_SIGNAL_DESIGN_H
#define PHI_SIGNAL_DESIGN_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"
#include "signal/hrf.h"

/* When volumes are sampled. */
struct phi_design_timing {
    size_t n_volumes; /* planned length of the run */
    double tr_s;
    double ref; /* share of the TR at which a volume counts as taken, 0 (start) to 1 */
};

struct phi_event {
    double onset_s;
    double duration_s;
    double amplitude;    /* 1 where nothing modulates the event */
    uint32_t trial_type; /* the caller's numbering */
};

/* Any trial type: all events go into one column. */
#define PHI_DESIGN_ALL_TYPES UINT32_MAX

/* The time (s) at which volume `k` is sampled. */
double phi_design_volume_time(const struct phi_design_timing *timing, size_t k);

/* PH_OK if the timing makes sense and every event is finite, has no negative duration, and can be
 * seen in the run (its box or response overlaps it). Otherwise PH_E_INVAL with the number of the
 * event. */
PH_NODISCARD enum ph_status phi_design_check(const struct phi_design_timing *timing,
                                             const struct phi_event *events, size_t n_events,
                                             const struct phi_hrf *hrf, struct ph_error *reterr);

/* What regressor selects: events of one type, through one member of one basis set. */
struct phi_regressor {
    const struct phi_event *events; /* [n_events], any order, borrowed */
    size_t n_events;
    uint32_t trial_type; /* or PHI_DESIGN_ALL_TYPES */
    struct phi_hrf hrf;
    enum phi_hrf_part part;
};

/* The regressor's value at time t_s: the sum of amplitude times response over its events. */
double phi_regressor_at(const struct phi_regressor *regressor, double t_s);

/* Fills ret_column[timing->n_volumes]. */
void phi_regressor_column(const struct phi_regressor *regressor,
                          const struct phi_design_timing *timing, double *ret_column);

/* Finite impulse response: ret_row[n_delays], entry j is the summed amplitude of the events whose
 * onset, rounded to whole volumes, lies j volumes before volume `k`. */
void phi_design_fir_row(const struct phi_regressor *regressor,
                        const struct phi_design_timing *timing, size_t k, size_t n_delays,
                        double *ret_row);

/* Columns, without the constant, of the cosine set that passes periods below cutoff_s: floor(2 n TR
 * / cutoff), SPM's count less the constant. 0 if an argument is not above zero. */
size_t phi_design_dct_count(size_t n_volumes, double tr_s, double cutoff_s);

/* Cosine columns 1..n_columns of volume `k` in a run of `n_volumes`: sqrt(2/n) cos(pi (2k+1) c /
 * 2n). Needs the length of the run beforehand; later volumes get the row of the last. */
void phi_design_dct_row(size_t n_volumes, size_t k, size_t n_columns, double *ret_row);

/* Order of the drift polynomial by AFNI's rule: 1 + floor(duration / 150 s). */
size_t phi_design_polynomial_order(size_t n_volumes, double tr_s);

/* Legendre polynomials of orders 0..n_columns-1 of volume `k`, the planned run mapped to [-1, 1].
 * Beyond the planned length the row of the last volume is repeated. */
void phi_design_legendre_row(size_t n_volumes, size_t k, size_t n_columns, double *ret_row);

/* Motion regressors: from the parameters of this volume and the one before (NULL for the first
 * volume: derivatives 0), `n_columns` 6, 12 (and derivatives) or 24 (and squares of both), in
 * fMRIPrep's order per parameter: value, derivative1, power2, derivative1_power2. PH_E_INVAL for
 * another count. */
PH_NODISCARD enum ph_status phi_design_motion_row(const double params[6], const double previous[6],
                                                  size_t n_columns, double *ret_row);

#endif
