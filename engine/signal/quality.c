/* SPDX-License-Identifier: MIT
 *
 * Memory: one float32 volume (the one before) and a ring of n_window rows of n_sample values, 1 MiB
 * by default. Robust figures need sorting; at most REFRESH_VALUES values are sorted per volume, in
 * turn over the sample.
 */
#include "signal/quality.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/simd.h"
#include "signal/running.h"
#include "signal/sort.h"

#define DEFAULT_WINDOW 128
#define DEFAULT_SAMPLE 2048
#define REFRESH_VALUES 16384
#define MIN_HISTORY    8  /* volumes before robust figures are given */
#define N_DRIFT_BASE   10 /* volumes of the level that drift is measured from */
#define DRIFT_KEEP     0.9
#define LANES          8

struct phi_quality {
    struct phi_quality_config config;
    size_t n_capacity; /* voxels there is memory for */
    size_t n_sample_capacity;
    float *before;                     /* [n_voxels] */
    float *ring;                       /* [n_window][n_sample] */
    size_t *voxel;                     /* [n_sample] */
    struct phi_welford *past;          /* [n_sample] since the start */
    struct phi_series_figures *series; /* [n_sample] */
    float *gathered;                   /* [n_window] */
    float *scratch;                    /* [max(n_window, n_sample)] */
    double *window_mean;               /* [n_sample] */
    double *over_norm;                 /* [n_sample] 1 / norm of the series, 0 for a constant */
    double *expected;                  /* [n_sample] sd of a change */
    bool has_before;
    bool in_spike;
    size_t n_learnt;
    size_t next_refresh;
    size_t n_spikes;
    struct phi_welford drift_base;
    struct phi_ema drift;
};

static bool allocate(struct phi_quality *q)
{
    size_t s = q->config.n_sample;
    size_t w = q->config.n_window;

    q->before = phi_calloc(q->config.n_voxels, sizeof *q->before);
    q->ring = phi_calloc2(w, s, sizeof *q->ring);
    q->voxel = phi_calloc(s, sizeof *q->voxel);
    q->past = phi_calloc(s, sizeof *q->past);
    q->series = phi_calloc(s, sizeof *q->series);
    q->gathered = phi_calloc(w, sizeof *q->gathered);
    q->scratch = phi_calloc(w > s ? w : s, sizeof *q->scratch);
    q->expected = phi_calloc(s, sizeof *q->expected);
    q->window_mean = phi_calloc(s, sizeof *q->window_mean);
    q->over_norm = phi_calloc(s, sizeof *q->over_norm);
    return q->before && q->ring && q->voxel && q->past && q->series && q->gathered && q->scratch &&
           q->expected && q->window_mean && q->over_norm;
}

static void set_defaults(struct phi_quality_config *c)
{
    c->n_window = c->n_window ? c->n_window : DEFAULT_WINDOW;
    c->n_sample = c->n_sample ? c->n_sample : DEFAULT_SAMPLE;
    c->n_sample = c->n_sample < c->n_voxels ? c->n_sample : c->n_voxels;
    c->spike_std_dvars = c->spike_std_dvars > 0 ? c->spike_std_dvars : 2;
    c->spike_outlier_fraction = c->spike_outlier_fraction > 0 ? c->spike_outlier_fraction : 0.1;
}

static void spread_sample(struct phi_quality *q)
{
    double step = (double)q->config.n_voxels / (double)q->config.n_sample;

    for (size_t i = 0; i < q->config.n_sample; i++)
        q->voxel[i] = (size_t)((double)i * step);
}

enum ph_status phi_quality_create(const struct phi_quality_config *config,
                                  struct phi_quality **ret_quality, struct ph_error *reterr)
{
    struct phi_quality *q;

    if (config->n_voxels == 0)
        return phi_error(reterr, PH_E_INVAL, "no voxels to judge: the mask is empty");
    q = phi_calloc(1, sizeof *q);
    if (!q)
        return phi_error_nomem(reterr, "quality figures", sizeof *q);
    q->config = *config;
    set_defaults(&q->config);
    if (!allocate(q)) {
        phi_quality_destroy(&q);
        return phi_error(reterr, PH_E_NOMEM, "no memory for the quality figures of %zu voxels",
                         config->n_voxels);
    }
    q->n_capacity = config->n_voxels;
    q->n_sample_capacity = q->config.n_sample;
    spread_sample(q);
    phi_quality_reset(q);
    *ret_quality = q;
    return PH_OK;
}

void phi_quality_destroy(struct phi_quality **quality)
{
    struct phi_quality *q = quality ? *quality : NULL;

    if (!q)
        return;
    phi_free(q->before);
    phi_free(q->ring);
    phi_free(q->voxel);
    phi_free(q->past);
    phi_free(q->series);
    phi_free(q->gathered);
    phi_free(q->scratch);
    phi_free(q->expected);
    phi_free(q->window_mean);
    phi_free(q->over_norm);
    phi_free(q);
    *quality = NULL;
}

void phi_quality_reset(struct phi_quality *quality)
{
    quality->has_before = quality->in_spike = false;
    quality->n_learnt = quality->next_refresh = quality->n_spikes = 0;
    quality->drift_base = (struct phi_welford){0};
    quality->drift = (struct phi_ema){.keep = DRIFT_KEEP};
    memset(quality->past, 0, quality->config.n_sample * sizeof *quality->past);
    memset(quality->series, 0, quality->config.n_sample * sizeof *quality->series);
    memset(quality->expected, 0, quality->config.n_sample * sizeof *quality->expected);
}

enum ph_status phi_quality_resize(struct phi_quality *quality, size_t n_voxels)
{
    size_t most = quality->n_sample_capacity;

    if (n_voxels == 0 || n_voxels > quality->n_capacity)
        return PH_E_SHAPE;
    quality->config.n_voxels = n_voxels;
    quality->config.n_sample = n_voxels < most ? n_voxels : most;
    spread_sample(quality);
    phi_quality_reset(quality);
    return PH_OK;
}

void phi_quality_gap(struct phi_quality *quality)
{
    quality->has_before = false;
}

struct volume_sums {
    double y;       /* sum over the voxels */
    double change2; /* squared changes over the voxels that are not 0 before and now */
    double n_change;
};

/* A resliced voxel that is exactly 0 has left the field of view; its jump is no change of signal.
 * Lanes keep the order of additions fixed and the loop wide. */
static struct volume_sums sum_volume(const float *restrict y, float *restrict before, size_t n)
{
    double sum[LANES] = {0};
    double change2[LANES] = {0};
    double n_change[LANES] = {0};
    struct volume_sums all = {0, 0, 0};

    for (size_t v = 0; v < n; v += LANES) {
        size_t m = n - v < LANES ? n - v : LANES;

        for (size_t i = 0; i < m; i++) {
            double inside = y[v + i] != 0 && before[v + i] != 0 ? 1.0 : 0.0;
            double d = ((double)y[v + i] - (double)before[v + i]) * inside;

            sum[i] += (double)y[v + i];
            change2[i] += d * d;
            n_change[i] += inside;
            before[v + i] = y[v + i];
        }
    }
    for (size_t i = 0; i < LANES; i++) {
        all.y += sum[i];
        all.change2 += change2[i];
        all.n_change += n_change[i];
    }
    return all;
}

void phi_quality_series(const float *series, size_t n, float *scratch,
                        struct phi_series_figures *ret_figures)
{
    double sum = 0, square = 0, lagged = 0, last = 0;

    for (size_t t = 0; t < n; t++)
        sum += (double)series[t];
    sum /= (double)n;
    for (size_t t = 0; t < n; t++) {
        double c = (double)series[t] - sum;

        square += c * c;
        lagged += t > 0 ? c * last : 0;
        last = c;
    }
    ret_figures->mean = sum;
    ret_figures->ar1 = square > 0 ? lagged / square : 0;
    memcpy(scratch, series, n * sizeof *scratch);
    phi_sort_f32(scratch, n);
    ret_figures->median = phi_sorted_median_f32(scratch, n);
    ret_figures->robust_sd =
        ((double)scratch[(n - 1) * 3 / 4] - (double)scratch[(n - 1) / 4]) / 1.349;
    for (size_t t = 0; t < n; t++)
        scratch[t] = (float)fabs((double)series[t] - ret_figures->median);
    phi_sort_f32(scratch, n);
    ret_figures->mad = phi_sorted_median_f32(scratch, n);
}

static size_t n_history(const struct phi_quality *q)
{
    return q->n_learnt < q->config.n_window ? q->n_learnt : q->config.n_window;
}

static void refresh_voxel(struct phi_quality *q, size_t s)
{
    size_t n = n_history(q);
    size_t w = q->config.n_window;
    size_t oldest = q->n_learnt - n;
    struct phi_series_figures *f = &q->series[s];

    for (size_t t = 0; t < n; t++)
        q->gathered[t] = q->ring[(oldest + t) % w * q->config.n_sample + s];
    phi_quality_series(q->gathered, n, q->scratch, f);
    q->expected[s] = sqrt(2 * (1 - f->ar1)) * f->robust_sd;
}

static void learn_volume(struct phi_quality *q, const float *y)
{
    size_t s = q->config.n_sample;
    float *row = q->ring + q->n_learnt % q->config.n_window * s;
    size_t n_refresh;

    for (size_t i = 0; i < s; i++) {
        row[i] = y[q->voxel[i]];
        phi_welford_add(&q->past[i], (double)row[i]);
    }
    q->n_learnt++;
    n_refresh = REFRESH_VALUES / n_history(q);
    n_refresh = n_refresh < s ? n_refresh : s;
    for (size_t i = 0; i < n_refresh; i++) {
        refresh_voxel(q, q->next_refresh);
        q->next_refresh = (q->next_refresh + 1) % s;
    }
}

/* Median over the sample of what `of` makes of a voxel's past. */
static double sample_median(struct phi_quality *q, double (*of)(const struct phi_welford *))
{
    for (size_t i = 0; i < q->config.n_sample; i++)
        q->scratch[i] = (float)of(&q->past[i]);
    phi_sort_f32(q->scratch, q->config.n_sample);
    return phi_sorted_median_f32(q->scratch, q->config.n_sample);
}

static double mean_of(const struct phi_welford *w)
{
    return w->mean;
}

static double tsnr_of(const struct phi_welford *w)
{
    double variance = phi_welford_variance(w);

    return variance > 0 ? w->mean / sqrt(variance) : 0;
}

static double expected_change(const struct phi_quality *q)
{
    double sum = 0;

    for (size_t i = 0; i < q->config.n_sample; i++)
        sum += q->expected[i];
    return sum / (double)q->config.n_sample;
}

static double outlier_fraction(const struct phi_quality *q, const float *y)
{
    double far = phi_quality_normal_tail(0.001 / (double)n_history(q)) * sqrt(acos(-1.0) / 2);
    size_t n_out = 0;

    for (size_t i = 0; i < q->config.n_sample; i++) {
        const struct phi_series_figures *f = &q->series[i];

        n_out += f->mad > 0 && fabs((double)y[q->voxel[i]] - f->median) > far * f->mad;
    }
    return (double)n_out / (double)q->config.n_sample;
}

/* Means and norms [n_sample] over the window, into the two scratch arrays. */
PHI_VECTOR static void window_means(const float *restrict ring, size_t n, size_t s,
                                    double *restrict mean)
{
    for (size_t i = 0; i < s; i++)
        mean[i] = 0;
    for (size_t t = 0; t < n; t++)
        for (size_t i = 0; i < s; i++)
            mean[i] += (double)ring[t * s + i];
    for (size_t i = 0; i < s; i++)
        mean[i] /= (double)n;
}

PHI_VECTOR static void window_norms(const float *restrict ring, size_t n, size_t s,
                                    const double *restrict mean, double *restrict over_norm)
{
    for (size_t i = 0; i < s; i++)
        over_norm[i] = 0;
    for (size_t t = 0; t < n; t++)
        for (size_t i = 0; i < s; i++) {
            double c = (double)ring[t * s + i] - mean[i];

            over_norm[i] += c * c;
        }
    for (size_t i = 0; i < s; i++)
        over_norm[i] = over_norm[i] > 0 ? 1 / sqrt(over_norm[i]) : 0;
}

/* |mean over voxels of the unit-norm series|^2. */
static double global_correlation(const struct phi_quality *q)
{
    size_t s = q->config.n_sample;
    size_t n = n_history(q);
    double total = 0;

    window_means(q->ring, n, s, q->window_mean);
    window_norms(q->ring, n, s, q->window_mean, q->over_norm);
    for (size_t t = 0; t < n; t++) {
        double lane[LANES] = {0};
        double sum = 0;

        for (size_t i = 0; i < s; i++)
            lane[i % LANES] += ((double)q->ring[t * s + i] - q->window_mean[i]) * q->over_norm[i];
        for (size_t i = 0; i < LANES; i++)
            sum += lane[i];
        total += sum / (double)s * (sum / (double)s);
    }
    return total;
}

static double drift_percent(struct phi_quality *q, double global_signal, bool learn)
{
    if (learn) {
        phi_ema_step(&q->drift, global_signal);
        if (q->drift_base.n < N_DRIFT_BASE)
            phi_welford_add(&q->drift_base, global_signal);
    }
    if (q->drift_base.n < N_DRIFT_BASE || q->drift_base.mean == 0)
        return NAN;
    return 100 * (q->drift.level - q->drift_base.mean) / fabs(q->drift_base.mean);
}

static void count_spike(struct phi_quality *q, const struct phi_quality_figures *f)
{
    bool spike = f->std_dvars > q->config.spike_std_dvars ||
                 f->outlier_fraction > q->config.spike_outlier_fraction;

    q->n_spikes += spike && !q->in_spike;
    q->in_spike = spike;
}

static void fill_history_figures(struct phi_quality *q, const float *y, double change,
                                 struct phi_quality_figures *f)
{
    double median = q->n_learnt > 0 ? sample_median(q, mean_of) : 0;

    if (median > 0)
        f->dvars = 1000 * change / median;
    if (q->n_learnt < MIN_HISTORY)
        return;
    f->tsnr = sample_median(q, tsnr_of);
    f->outlier_fraction = outlier_fraction(q, y);
    f->gcor = global_correlation(q);
    f->std_dvars = expected_change(q) > 0 ? change / expected_change(q) : NAN;
}

void phi_quality_process(struct phi_quality *quality, const float *y, bool learn,
                         struct phi_quality_figures *ret_figures)
{
    size_t n = quality->config.n_voxels;
    struct phi_quality_figures f = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, 0};
    struct volume_sums sums = sum_volume(y, quality->before, n);
    bool has_change = quality->has_before && sums.n_change > 0;

    f.global_signal = sums.y / (double)n;
    if (learn)
        learn_volume(quality, y);
    f.drift_percent = drift_percent(quality, f.global_signal, learn);
    fill_history_figures(quality, y, has_change ? sqrt(sums.change2 / sums.n_change) : NAN, &f);
    quality->has_before = true;
    count_spike(quality, &f);
    f.n_spikes = quality->n_spikes;
    *ret_figures = f;
}

double phi_quality_normal_tail(double p)
{
    double low = 0;
    double high = 40;

    for (int i = 0; i < 100; i++) {
        double z = (low + high) / 2;

        if (0.5 * erfc(z / sqrt(2.0)) > p)
            low = z;
        else
            high = z;
    }
    return (low + high) / 2;
}

size_t phi_quality_startup(const float *signals, size_t n, float *scratch)
{
    struct phi_series_figures f;
    size_t leading = 0;

    if (n == 0)
        return 0;
    phi_quality_series(signals, n, scratch, &f);
    while (leading < n && 0.6745 * fabs((double)signals[leading] - f.median) > 3.5 * f.mad)
        leading++;
    return leading;
}

bool phi_settling_step(struct phi_settling *settling, double global_signal)
{
    bool falls = settling->n_seen == 0 ||
                 settling->before - global_signal > settling->tolerance * fabs(settling->before);

    if (!falls || settling->n_seen >= settling->n_max)
        settling->settled = true;
    settling->before = global_signal;
    settling->n_seen++;
    return !settling->settled;
}
