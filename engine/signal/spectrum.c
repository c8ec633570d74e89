/* SPDX-License-Identifier: MIT
 *
 * FFTW plans are estimated, not measured, so that the same input gives the same bits in every run.
 */
#include "signal/spectrum.h"

#include <fftw3.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define MAX_SEGMENT  65536
#define MAX_BANDPASS ((size_t)1 << 20)
#define EDGE_SHARE   0.1 /* width of a raised-cosine edge over its frequency */

double phi_spectrum_alias_hz(double frequency_hz, double rate_hz)
{
    return fabs(frequency_hz - rate_hz * round(frequency_hz / rate_hz));
}

struct phi_welch {
    size_t n;
    double scale; /* |X|^2 to one-sided density */
    double *window;
    double *segment;
    fftw_complex *spectrum;
    fftw_plan plan;
};

static enum ph_status check_rate(double rate_hz, struct ph_error *reterr)
{
    if (!(rate_hz > 0 && rate_hz < 1e9))
        return phi_error(reterr, PH_E_INVAL, "sampling rate %g Hz: must be above 0 (1 / TR)",
                         rate_hz);
    return PH_OK;
}

enum ph_status phi_welch_create(size_t n_segment, double rate_hz, struct phi_welch **ret_welch,
                                struct ph_error *reterr)
{
    enum ph_status status = check_rate(rate_hz, reterr);
    struct phi_welch *w;
    double power = 0;

    if (status != PH_OK)
        return status;
    if (n_segment < 8 || n_segment > MAX_SEGMENT)
        return phi_error(reterr, PH_E_INVAL, "spectrum over %zu samples: must be 8 to %d",
                         n_segment, MAX_SEGMENT);
    w = phi_calloc(1, sizeof *w);
    if (w) {
        w->n = n_segment;
        w->window = phi_calloc(n_segment, sizeof(double));
        w->segment = phi_calloc(n_segment, sizeof(double));
        w->spectrum = phi_calloc(n_segment / 2 + 1, sizeof(fftw_complex));
    }
    if (w && w->window && w->segment && w->spectrum)
        w->plan = fftw_plan_dft_r2c_1d((int)n_segment, w->segment, w->spectrum, FFTW_ESTIMATE);
    if (!w || !w->plan) {
        phi_welch_destroy(&w);
        return phi_error_nomem(reterr, "spectrum", n_segment * sizeof(double));
    }
    for (size_t i = 0; i < n_segment; i++) {
        w->window[i] = 0.5 - 0.5 * cos(2.0 * M_PI * (double)i / (double)n_segment);
        power += w->window[i] * w->window[i];
    }
    w->scale = 2.0 / (power * rate_hz);
    *ret_welch = w;
    return PH_OK;
}

void phi_welch_destroy(struct phi_welch **welch)
{
    if (!welch || !*welch)
        return;
    if ((*welch)->plan)
        fftw_destroy_plan((*welch)->plan);
    phi_free((*welch)->window);
    phi_free((*welch)->segment);
    phi_free((*welch)->spectrum);
    phi_free(*welch);
    *welch = NULL;
}

/* Adds one segment's density; false if it has a value that is not finite. */
static bool add_segment(struct phi_welch *w, const double *segment, double *density)
{
    double mean = 0;

    for (size_t i = 0; i < w->n; i++)
        mean += segment[i] / (double)w->n;
    if (!isfinite(mean))
        return false;
    for (size_t i = 0; i < w->n; i++)
        w->segment[i] = (segment[i] - mean) * w->window[i];
    fftw_execute(w->plan);
    for (size_t k = 0; k <= w->n / 2; k++) {
        const double *x = w->spectrum[k];
        /* Zero and the half rate have no mirror image to be folded in. */
        double fold = k == 0 || 2 * k == w->n ? 0.5 : 1.0;

        density[k] += fold * w->scale * (x[0] * x[0] + x[1] * x[1]);
    }
    return true;
}

size_t phi_welch_process(struct phi_welch *welch, const double *series, size_t n, double *density)
{
    size_t n_segments = 0;

    memset(density, 0, (welch->n / 2 + 1) * sizeof *density);
    for (size_t first = 0; first + welch->n <= n; first += welch->n / 2)
        n_segments += add_segment(welch, series + first, density);
    for (size_t k = 0; n_segments && k <= welch->n / 2; k++)
        density[k] /= (double)n_segments;
    return n_segments;
}

void phi_iir_init(struct phi_iir *iir)
{
    memset(iir, 0, sizeof *iir);
}

static enum ph_status check_room(const struct phi_iir *iir, size_t n, struct ph_error *reterr)
{
    if (iir->n_sections + n > PHI_IIR_MAX_SECTIONS)
        return phi_error(reterr, PH_E_LIMIT, "a filter chain has at most %d sections",
                         PHI_IIR_MAX_SECTIONS);
    return PH_OK;
}

/* Appends a section b(z) / a(z), normalised by a0. */
static enum ph_status add_section(struct phi_iir *iir, const double b[3], const double a[3],
                                  struct ph_error *reterr)
{
    enum ph_status status = check_room(iir, 1, reterr);
    size_t i = iir->n_sections;

    if (status != PH_OK)
        return status;
    for (int k = 0; k < 3; k++)
        iir->b[i][k] = b[k] / a[0];
    iir->a[i][0] = a[1] / a[0];
    iir->a[i][1] = a[2] / a[0];
    iir->n_sections++;
    return PH_OK;
}

static enum ph_status check_band(double rate_hz, double low_hz, double high_hz,
                                 struct ph_error *reterr)
{
    enum ph_status status = check_rate(rate_hz, reterr);
    bool good = low_hz >= 0 && high_hz >= 0 && low_hz < rate_hz / 2 && high_hz < rate_hz / 2 &&
                (high_hz == 0 || low_hz < high_hz);

    if (status == PH_OK && !good)
        return phi_error(reterr, PH_E_INVAL,
                         "band from %g to %g Hz: must rise and stay below half the sampling rate "
                         "(%g Hz)",
                         low_hz, high_hz, rate_hz / 2);
    return status;
}

/* Second-order Butterworth by the bilinear transform (Bristow-Johnson's audio EQ cookbook with
 * Q = 1 / sqrt 2); `sign` is 1 for the low-pass, -1 for the high-pass. */
static enum ph_status add_butterworth(struct phi_iir *iir, double rate_hz, double edge_hz,
                                      double sign, struct ph_error *reterr)
{
    double w = 2.0 * M_PI * edge_hz / rate_hz;
    double alpha = sin(w) * M_SQRT1_2;
    double side = (1.0 - sign * cos(w)) / 2.0;
    const double b[3] = {side, sign * 2.0 * side, side};
    const double a[3] = {1.0 + alpha, -2.0 * cos(w), 1.0 - alpha};

    return add_section(iir, b, a, reterr);
}

enum ph_status phi_iir_add_band(struct phi_iir *iir, double rate_hz, double low_hz, double high_hz,
                                struct ph_error *reterr)
{
    enum ph_status status = check_band(rate_hz, low_hz, high_hz, reterr);

    if (status == PH_OK && low_hz > 0 && high_hz > 0)
        status = check_room(iir, 2, reterr);
    if (status == PH_OK && low_hz > 0)
        status = add_butterworth(iir, rate_hz, low_hz, -1.0, reterr);
    if (status == PH_OK && high_hz > 0)
        status = add_butterworth(iir, rate_hz, high_hz, 1.0, reterr);
    return status;
}

enum ph_status phi_iir_add_notch(struct phi_iir *iir, double rate_hz, double centre_hz,
                                 double width_hz, struct ph_error *reterr)
{
    double w = 2.0 * M_PI * centre_hz / rate_hz;
    /* The pole radius that puts the -3 dB points width_hz apart after the bilinear transform. */
    double beta = tan(M_PI * width_hz / rate_hz);
    const double b[3] = {1.0, -2.0 * cos(w), 1.0};
    const double a[3] = {1.0 + beta, -2.0 * cos(w), 1.0 - beta};
    enum ph_status status = check_band(rate_hz, centre_hz, 0, reterr);

    if (status != PH_OK)
        return status;
    if (!(centre_hz > 0) || !(width_hz > 0 && width_hz < rate_hz / 2))
        return phi_error(reterr, PH_E_INVAL,
                         "notch at %g Hz, %g Hz wide: both must lie between 0 and %g Hz", centre_hz,
                         width_hz, rate_hz / 2);
    return add_section(iir, b, a, reterr);
}

/* Memory of section i as if `sample` had been there for ever; returns the section's output. */
static double settle(struct phi_iir *iir, size_t i, double sample)
{
    const double *b = iir->b[i];
    const double *a = iir->a[i];
    double out = sample * (b[0] + b[1] + b[2]) / (1.0 + a[0] + a[1]);

    iir->memory[i][1] = b[2] * sample - a[1] * out;
    iir->memory[i][0] = b[1] * sample - a[0] * out + iir->memory[i][1];
    return out;
}

double phi_iir_step(struct phi_iir *iir, double sample)
{
    double value = isfinite(sample) ? sample : iir->last_input;

    iir->last_input = value;
    for (size_t i = 0; !iir->started && i < iir->n_sections; i++)
        value = settle(iir, i, value);
    value = iir->last_input;
    iir->started = 1;
    for (size_t i = 0; i < iir->n_sections; i++) {
        double *m = iir->memory[i];
        double out = iir->b[i][0] * value + m[0];

        m[0] = iir->b[i][1] * value - iir->a[i][0] * out + m[1];
        m[1] = iir->b[i][2] * value - iir->a[i][1] * out;
        value = out;
    }
    return value;
}

void phi_iir_reset(struct phi_iir *iir)
{
    memset(iir->memory, 0, sizeof iir->memory);
    iir->last_input = 0;
    iir->started = 0;
}

/* series[n] with n_pad samples more on either side, mirrored about its end points. */
static void pad_mirrored(const double *series, size_t n, size_t n_pad, double *out)
{
    for (size_t i = 0; i < n_pad; i++) {
        out[i] = 2 * series[0] - series[n_pad - i];
        out[n_pad + n + i] = 2 * series[n - 1] - series[n - 2 - i];
    }
    memcpy(out + n_pad, series, n * sizeof *series);
}

enum ph_status phi_iir_both_ways(const struct phi_iir *iir, const double *series, size_t n,
                                 double *out, struct ph_error *reterr)
{
    size_t n_pad = n > 1 ? n - 1 : 0;
    size_t n_all = n + 2 * n_pad;
    struct phi_iir there = *iir, back = *iir;
    double *work;

    for (size_t i = 0; i < n; i++)
        if (!isfinite(series[i]))
            return phi_error(reterr, PH_E_INVAL, "sample %zu is no number", i);
    if (n == 0 || n > MAX_BANDPASS)
        return phi_error(reterr, PH_E_INVAL, "%zu samples: 1 to %zu can be filtered", n,
                         MAX_BANDPASS);
    work = phi_calloc(n_all, sizeof *work);
    if (!work)
        return phi_error_nomem(reterr, "a series", n_all * sizeof *work);
    pad_mirrored(series, n, n_pad, work);
    phi_iir_reset(&there);
    phi_iir_reset(&back);
    for (size_t i = 0; i < n_all; i++)
        work[i] = phi_iir_step(&there, work[i]);
    for (size_t i = n_all; i-- > 0;)
        work[i] = phi_iir_step(&back, work[i]);
    memcpy(out, work + n_pad, n * sizeof *out);
    phi_free(work);
    return PH_OK;
}

struct phi_bandpass {
    size_t n;
    size_t n_mirrored; /* 2 n - 2 */
    bool keep_line;
    double *gain; /* [n] of n_mirrored / 2 + 1 frequencies, with the transform's scale */
    double *space;
    fftw_complex *spectrum;
    fftw_plan forward;
    fftw_plan backward;
};

/* 0 below, 1 above, raised cosine around `edge`. */
static double edge_gain(double frequency, double edge)
{
    double at = (frequency - edge) / (EDGE_SHARE * edge);

    if (at <= -0.5)
        return 0;
    return at >= 0.5 ? 1 : 0.5 + 0.5 * sin(M_PI * at);
}

static void make_gain(struct phi_bandpass *p, double rate_hz, double low_hz, double high_hz)
{
    for (size_t k = 0; k < p->n; k++) {
        double frequency = (double)k * rate_hz / (double)p->n_mirrored;
        double gain = low_hz > 0 ? edge_gain(frequency, low_hz) : 1.0;

        gain *= high_hz > 0 ? 1.0 - edge_gain(frequency, high_hz) : 1.0;
        p->gain[k] = gain / (double)p->n_mirrored;
    }
}

enum ph_status phi_bandpass_create(size_t n, double rate_hz, double low_hz, double high_hz,
                                   struct phi_bandpass **ret_bandpass, struct ph_error *reterr)
{
    enum ph_status status = check_band(rate_hz, low_hz, high_hz, reterr);
    struct phi_bandpass *p;

    if (status != PH_OK)
        return status;
    if (n < 4 || n > MAX_BANDPASS)
        return phi_error(reterr, PH_E_INVAL, "band-pass of %zu samples: must be 4 to %zu", n,
                         MAX_BANDPASS);
    p = phi_calloc(1, sizeof *p);
    if (p) {
        p->n = n;
        p->n_mirrored = 2 * n - 2;
        p->keep_line = low_hz == 0;
        p->gain = phi_calloc(n, sizeof(double));
        p->space = phi_calloc(p->n_mirrored, sizeof(double));
        p->spectrum = phi_calloc(n, sizeof(fftw_complex));
    }
    if (p && p->gain && p->space && p->spectrum) {
        int length = (int)p->n_mirrored;

        p->forward = fftw_plan_dft_r2c_1d(length, p->space, p->spectrum, FFTW_ESTIMATE);
        p->backward = fftw_plan_dft_c2r_1d(length, p->spectrum, p->space, FFTW_ESTIMATE);
    }
    if (!p || !p->forward || !p->backward) {
        phi_bandpass_destroy(&p);
        return phi_error_nomem(reterr, "band-pass", n * sizeof(double));
    }
    make_gain(p, rate_hz, low_hz, high_hz);
    *ret_bandpass = p;
    return PH_OK;
}

void phi_bandpass_destroy(struct phi_bandpass **bandpass)
{
    if (!bandpass || !*bandpass)
        return;
    if ((*bandpass)->forward)
        fftw_destroy_plan((*bandpass)->forward);
    if ((*bandpass)->backward)
        fftw_destroy_plan((*bandpass)->backward);
    phi_free((*bandpass)->gain);
    phi_free((*bandpass)->space);
    phi_free((*bandpass)->spectrum);
    phi_free(*bandpass);
    *bandpass = NULL;
}

/* Least-squares line over 0..n-1: value at the middle and slope. */
static void fit_line(const double *series, size_t n, double *ret_mean, double *ret_slope)
{
    double middle = ((double)n - 1) / 2;
    double mean = 0;
    double covariance = 0;
    double variance = 0;

    for (size_t i = 0; i < n; i++)
        mean += series[i] / (double)n;
    for (size_t i = 0; i < n; i++) {
        covariance += ((double)i - middle) * (series[i] - mean);
        variance += ((double)i - middle) * ((double)i - middle);
    }
    *ret_mean = mean;
    *ret_slope = covariance / variance;
}

enum ph_status phi_bandpass_process(struct phi_bandpass *bandpass, const double *series,
                                    double *out)
{
    struct phi_bandpass *p = bandpass;
    double middle = ((double)p->n - 1) / 2;
    double mean;
    double slope;

    fit_line(series, p->n, &mean, &slope);
    if (!isfinite(mean) || !isfinite(slope))
        return PH_E_INVAL;
    for (size_t i = 0; i < p->n; i++)
        p->space[i] = series[i] - mean - slope * ((double)i - middle);
    for (size_t i = p->n; i < p->n_mirrored; i++)
        p->space[i] = p->space[p->n_mirrored - i];
    fftw_execute(p->forward);
    for (size_t k = 0; k < p->n; k++) {
        p->spectrum[k][0] *= p->gain[k];
        p->spectrum[k][1] *= p->gain[k];
    }
    fftw_execute(p->backward);
    for (size_t i = 0; i < p->n; i++)
        out[i] = p->space[i] + (p->keep_line ? mean + slope * ((double)i - middle) : 0.0);
    return PH_OK;
}
