/* SPDX-License-Identifier: MIT
 *
 * Frequencies of one time series (an ROI's signal, a motion trace): Welch power spectra by FFTW,
 * causal band-pass and notch filters for live use, and a band-pass without delay for offline use.
 * Series are float64 at a constant rate (1 / TR). Objects take all memory at creation (not while
 * another thread creates an FFTW plan) and belong to one thread.
 */
#ifndef PHI_SIGNAL_SPECTRUM_H
#define PHI_SIGNAL_SPECTRUM_H

#include <stddef.h>

#include "phosphene/status.h"

/* Where a frequency above half the sampling rate appears: heart and breath in a slow scan. */
double phi_spectrum_alias_hz(double frequency_hz, double rate_hz);

struct phi_welch;

/* Power spectra over segments of n_segment samples (8 to 65536) that overlap by half, each less its
 * mean, under a Hann window (Welch 1967). Owned by the caller. */
PH_NODISCARD enum ph_status phi_welch_create(size_t n_segment, double rate_hz,
                                             struct phi_welch **ret_welch, struct ph_error *reterr);

/* Frees it; accepts NULL and *welch == NULL, clears *welch. */
void phi_welch_destroy(struct phi_welch **welch);

/* One-sided density in units^2/Hz, averaged over the segments in series[n], at the frequencies
 * k rate / n_segment, into density[n_segment / 2 + 1]. Segments with values that are not finite are
 * left out. Returns the number of segments; 0, with a density of 0, if there is none. */
size_t phi_welch_process(struct phi_welch *welch, const double *series, size_t n, double *density);

#define PHI_IIR_MAX_SECTIONS 4

/* A chain of second-order sections, for one signal. Plain data; start with phi_iir_init. */
struct phi_iir {
    size_t n_sections;
    double b[PHI_IIR_MAX_SECTIONS][3];
    double a[PHI_IIR_MAX_SECTIONS][2];
    double memory[PHI_IIR_MAX_SECTIONS][2];
    double last_input;
    int started;
};

/* An empty chain, which passes its input. */
void phi_iir_init(struct phi_iir *iir);

/* Adds a second-order Butterworth high-pass (low_hz > 0) and low-pass (high_hz > 0): together a
 * band-pass. 0 leaves that side open. PH_E_INVAL unless 0 < low < high < rate / 2; PH_E_LIMIT if
 * the chain is full. */
PH_NODISCARD enum ph_status phi_iir_add_band(struct phi_iir *iir, double rate_hz, double low_hz,
                                             double high_hz, struct ph_error *reterr);

/* Adds a notch at centre_hz whose -3 dB points lie width_hz apart. */
PH_NODISCARD enum ph_status phi_iir_add_notch(struct phi_iir *iir, double rate_hz, double centre_hz,
                                              double width_hz, struct ph_error *reterr);

/* The next sample through the chain. The first sample counts as having been there for ever, so a
 * baseline gives no transient. A sample that is not finite repeats the one before. */
double phi_iir_step(struct phi_iir *iir, double sample);

/* Forgets the samples, keeps the filter. */
void phi_iir_reset(struct phi_iir *iir);

/* The chain forwards and then backwards over series[n] into out[n] (may be the same memory): no
 * delay, and the gain twice. Both ends are continued point-mirrored, so that levels and trends give
 * no transient. Offline: uses later samples, and allocates. PH_E_INVAL, out untouched, if a value
 * is not finite or n is 0. */
PH_NODISCARD enum ph_status phi_iir_both_ways(const struct phi_iir *iir, const double *series,
                                              size_t n, double *out, struct ph_error *reterr);

struct phi_bandpass;

/* A band-pass without delay for series of n samples (4 to 2^20): the straight line through the
 * series is removed, the rest mirrored at both ends, and its spectrum cut with raised-cosine edges
 * a tenth of the edge frequency wide. low_hz 0 or high_hz 0 leaves that side open; the line (and so
 * the mean) is put back only where the low side is open. Offline: uses later samples. */
PH_NODISCARD enum ph_status phi_bandpass_create(size_t n, double rate_hz, double low_hz,
                                                double high_hz, struct phi_bandpass **ret_bandpass,
                                                struct ph_error *reterr);

/* Frees it; accepts NULL and *bandpass == NULL, clears *bandpass. */
void phi_bandpass_destroy(struct phi_bandpass **bandpass);

/* Filters series[n] into out[n], which may be the same memory. PH_E_INVAL, out untouched, if a
 * value is not finite. */
PH_NODISCARD enum ph_status phi_bandpass_process(struct phi_bandpass *bandpass,
                                                 const double *series, double *out);

#endif
