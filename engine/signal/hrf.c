/* SPDX-License-Identifier: MIT
 *
 * Grids are where packages differ (SPM by one bin, nilearn by one step); closed forms have no such
 * question. An event costs two incomplete gamma functions, about a microsecond, so that whole
 * designs are cheaper than one volume of anything.
 */
#include "signal/hrf.h"

#include <math.h>

#include "signal/hrf_library.h"

#define TIME_STEP_S       1.0
#define DISPERSION_STEP_S 0.01

struct phi_hrf phi_hrf_spm(void)
{
    return (struct phi_hrf){6, 16, 1, 1, 6, 0, 32};
}

struct phi_hrf phi_hrf_glover(void)
{
    return (struct phi_hrf){6, 12, 0.9, 0.9, 1 / 0.48, 0, 32};
}

static double log_gamma(double a)
{
    int sign; /* lgamma writes a global */

    return lgamma_r(a, &sign);
}

static double gamma_density(double t, double shape, double rate)
{
    if (!(t > 0))
        return 0;
    return rate * exp((shape - 1) * log(rate * t) - rate * t - log_gamma(shape));
}

struct phi_hrf phi_hrf_glover_1999(void)
{
    /* (t/d)^n e^-((t-d)/s) with d = n s is a gamma density of shape n + 1 over its own maximum. */
    const double s = 0.9;
    double first = gamma_density(6 * s, 7, 1 / s);
    double second = gamma_density(12 * s, 13, 1 / s);

    return (struct phi_hrf){7 * s, 13 * s, s, s, second / (0.35 * first), 0, 32};
}

bool phi_hrf_library(size_t index, struct phi_hrf *ret_hrf)
{
    const double *p;

    if (index >= PHI_HRF_LIBRARY_SIZE)
        return false;
    p = phi_hrf_library_table[index];
    *ret_hrf = (struct phi_hrf){p[0], p[1], p[2], p[3], p[4], p[5], p[6]};
    return true;
}

static bool positive(double x)
{
    return isfinite(x) && x > 0;
}

bool phi_hrf_valid(const struct phi_hrf *hrf)
{
    return positive(hrf->delay_s) && positive(hrf->undershoot_delay_s) &&
           positive(hrf->dispersion_s) && positive(hrf->undershoot_dispersion_s) &&
           positive(hrf->ratio) && positive(hrf->length_s) && isfinite(hrf->onset_s);
}

/* x^a e^-x / Gamma(a) times the power series of the lower function, for x < a + 1. */
static double gamma_p_series(double a, double x)
{
    double term = 1 / a;
    double sum = term;

    for (int n = 1; n < 1000 && fabs(term) > fabs(sum) * 1e-17; n++) {
        term *= x / (a + n);
        sum += term;
    }
    return sum * exp(a * log(x) - x - log_gamma(a));
}

/* The upper function by its continued fraction, evaluated forwards (Lentz), for x >= a + 1. */
static double gamma_q_fraction(double a, double x)
{
    double b = x + 1 - a;
    double c = 1e300;
    double d = 1 / b;
    double h = d;

    for (int n = 1; n < 1000; n++) {
        double an = -n * (n - a);
        double factor;

        b += 2;
        d = 1 / (an * d + b);
        c = b + an / c;
        factor = d * c;
        h *= factor;
        if (fabs(factor - 1) < 1e-16)
            break;
    }
    return h * exp(a * log(x) - x - log_gamma(a));
}

double phi_hrf_gamma_p(double a, double x)
{
    if (!(x > 0))
        return 0;
    return x < a + 1 ? gamma_p_series(a, x) : 1 - gamma_q_fraction(a, x);
}

static double canonical_at(const struct phi_hrf *h, double t_s)
{
    double t = t_s - h->onset_s;

    return gamma_density(t, h->delay_s / h->dispersion_s, 1 / h->dispersion_s) -
           gamma_density(t, h->undershoot_delay_s / h->undershoot_dispersion_s,
                         1 / h->undershoot_dispersion_s) /
               h->ratio;
}

static double canonical_step(const struct phi_hrf *h, double t_s)
{
    double t = t_s - h->onset_s;

    return phi_hrf_gamma_p(h->delay_s / h->dispersion_s, t / h->dispersion_s) -
           phi_hrf_gamma_p(h->undershoot_delay_s / h->undershoot_dispersion_s,
                           t / h->undershoot_dispersion_s) /
               h->ratio;
}

typedef double response_fn(const struct phi_hrf *hrf, double t_s);

static double part_of(response_fn *f, const struct phi_hrf *hrf, enum phi_hrf_part part, double t_s)
{
    struct phi_hrf wider;

    switch (part) {
    case PHI_HRF_TIME_DERIVATIVE:
        return (f(hrf, t_s) - f(hrf, t_s - TIME_STEP_S)) / TIME_STEP_S;
    case PHI_HRF_DISPERSION_DERIVATIVE:
        wider = *hrf;
        wider.dispersion_s += DISPERSION_STEP_S;
        return (f(hrf, t_s) - f(&wider, t_s)) / DISPERSION_STEP_S;
    case PHI_HRF_CANONICAL:
    default:
        return f(hrf, t_s);
    }
}

double phi_hrf_at(const struct phi_hrf *hrf, enum phi_hrf_part part, double t_s)
{
    return part_of(canonical_at, hrf, part, t_s);
}

double phi_hrf_step(const struct phi_hrf *hrf, enum phi_hrf_part part, double t_s)
{
    return part_of(canonical_step, hrf, part, t_s);
}

double phi_hrf_event(const struct phi_hrf *hrf, enum phi_hrf_part part, double t_s,
                     double duration_s)
{
    if (!(duration_s > 0))
        return phi_hrf_at(hrf, part, t_s);
    return phi_hrf_step(hrf, part, t_s) - phi_hrf_step(hrf, part, t_s - duration_s);
}

void phi_hrf_sample(const struct phi_hrf *hrf, enum phi_hrf_part part, double dt_s, size_t n,
                    double *ret_samples)
{
    for (size_t i = 0; i < n; i++)
        ret_samples[i] = phi_hrf_at(hrf, part, (double)i * dt_s);
}

size_t phi_hrf_n_samples(const struct phi_hrf *hrf, double dt_s)
{
    double n = dt_s > 0 ? floor(hrf->length_s / dt_s + 1e-9) + 1 : 0;

    return n >= 1 && n < 1e9 ? (size_t)n : 0;
}

void phi_hrf_normalise_sum(double *samples, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += samples[i];
    for (size_t i = 0; isfinite(sum) && sum != 0 && i < n; i++)
        samples[i] /= sum;
}

void phi_hrf_normalise_peak(double *samples, size_t n)
{
    double peak = 0;

    for (size_t i = 0; i < n; i++)
        peak = samples[i] > peak ? samples[i] : peak;
    for (size_t i = 0; peak > 0 && i < n; i++)
        samples[i] /= peak;
}

void phi_hrf_peak(const struct phi_hrf *hrf, double *ret_time_s, double *ret_height)
{
    const double coarse_s = 0.05;
    double best = 0;
    double low, high;

    for (double t = 0; t <= hrf->length_s; t += coarse_s)
        if (canonical_at(hrf, t) > canonical_at(hrf, best))
            best = t;
    low = best - coarse_s;
    high = best + coarse_s;
    while (high - low > 1e-7) { /* the response has one maximum here: ternary search */
        double a = low + (high - low) / 3;
        double b = high - (high - low) / 3;

        if (canonical_at(hrf, a) < canonical_at(hrf, b))
            low = a;
        else
            high = b;
    }
    *ret_time_s = (low + high) / 2;
    *ret_height = canonical_at(hrf, *ret_time_s);
}
