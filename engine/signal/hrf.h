/* SPDX-License-Identifier: MIT
 *
 * Haemodynamic responses as closed forms: a difference of two gamma densities, evaluated at any
 * time, never on a grid. The unit is 1/s (density form): the SPM response integrates to 5/6. A
 * stick event has area 1 s, a box has height 1. Pure functions, callable from any thread; no
 * allocation.
 *
 * Sources: SPM's canonical parameters; Glover 1999 (NeuroImage 9:416); the parameters of the 20
 * published GLMsingle curves, recovered by least squares to 4e-5 of the peak.
 */
#ifndef PHI_SIGNAL_HRF_H
#define PHI_SIGNAL_HRF_H

#include <stdbool.h>
#include <stddef.h>

/* h(t) = g(t - onset; delay/dispersion, 1/dispersion)
 *        - g(t - onset; undershoot_delay/undershoot_dispersion, 1/undershoot_dispersion) / ratio
 * where g(t; a, l) is the gamma density of shape a and rate l (1/s). Responses are not cut off:
 * length_s only says how far sampled forms reach. */
struct phi_hrf {
    double delay_s;
    double undershoot_delay_s;
    double dispersion_s;
    double undershoot_dispersion_s;
    double ratio;
    double onset_s;
    double length_s;
};

/* Members of the informed basis set. The derivatives are SPM's finite differences: h minus h one
 * second later, and h minus h with the dispersion raised by 0.01 s, over that step. */
enum phi_hrf_part {
    PHI_HRF_CANONICAL = 0,
    PHI_HRF_TIME_DERIVATIVE = 1,
    PHI_HRF_DISPERSION_DERIVATIVE = 2
};

/* Curves in the library. */
#define PHI_HRF_LIBRARY_SIZE 20

/* The SPM canonical response: 6, 16, 1, 1, ratio 6, 32 s. */
struct phi_hrf phi_hrf_spm(void);

/* Glover's response in nilearn's parameters: 6, 12, 0.9, 0.9, undershoot share 0.48, 32 s. */
struct phi_hrf phi_hrf_glover(void);

/* Glover's 1999 form (t/d1)^6 e^-((t-d1)/.9) - .35 (t/d2)^12 e^-((t-d2)/.9), d1 5.4 s, d2 10.8 s,
 * scaled from peak-normalised gammas to densities. */
struct phi_hrf phi_hrf_glover_1999(void);

/* Library curve `index` (0 fastest to 19 slowest). False, *ret_hrf untouched, beyond the last. */
bool phi_hrf_library(size_t index, struct phi_hrf *ret_hrf);

/* True if delays, dispersions, ratio and length are finite and above zero and the onset is finite.
 */
bool phi_hrf_valid(const struct phi_hrf *hrf);

/* The response (1/s) to a stick of area 1 s, `t_s` seconds after it; 0 before it. */
double phi_hrf_at(const struct phi_hrf *hrf, enum phi_hrf_part part, double t_s);

/* The response to a step of height 1 that begins at t = 0: the integral of phi_hrf_at. */
double phi_hrf_step(const struct phi_hrf *hrf, enum phi_hrf_part part, double t_s);

/* The response to a box of height 1 and `duration_s` seconds that begins at t = 0; a duration of 0
 * is a stick of area 1 s (phi_hrf_at). */
double phi_hrf_event(const struct phi_hrf *hrf, enum phi_hrf_part part, double t_s,
                     double duration_s);

/* Fills ret_samples[n] with phi_hrf_at at 0, dt_s, 2 dt_s, ... */
void phi_hrf_sample(const struct phi_hrf *hrf, enum phi_hrf_part part, double dt_s, size_t n,
                    double *ret_samples);

/* Samples 0, dt_s, ... that fit in length_s, both ends included; 0 if dt_s is not above zero. */
size_t phi_hrf_n_samples(const struct phi_hrf *hrf, double dt_s);

/* Divides samples[n] by their sum (SPM's convention); left alone if the sum is 0 or not finite. */
void phi_hrf_normalise_sum(double *samples, size_t n);

/* Divides samples[n] by their maximum (decoding and GLMsingle convention); left alone if the
 * maximum is not above 0. */
void phi_hrf_normalise_peak(double *samples, size_t n);

/* Time (s) and height (1/s) of the response's maximum, to 1e-6 s. */
void phi_hrf_peak(const struct phi_hrf *hrf, double *ret_time_s, double *ret_height);

/* Regularised lower incomplete gamma function P(a, x), a > 0; 0 for x <= 0. Relative error about
 * 1e-13. */
double phi_hrf_gamma_p(double a, double x);

#endif
