/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "decode/corr.h"
#include "eval/streaming.h"

#define WARM_UP    64 /* volumes before the first, so that responses are under way */
#define RHO_LOW    0.2
#define RHO_HIGH   0.5
#define SHARED     0.2 /* of the noise variance */
#define MEAN_R2    0.1
#define FIRST      10 /* onset of the first trial, volumes */
#define AFTER_LAST 40
#define TRIAL_TAPS 32

double streaming_response(double delay, double duration)
{
    const struct phi_hrf hrf = phi_hrf_spm();
    double peak = 0;

    if (delay < 0)
        return 0;
    for (int t = 0; t < 16; t++)
        peak = fmax(peak, phi_hrf_event(&hrf, PHI_HRF_CANONICAL, t, duration));
    return phi_hrf_event(&hrf, PHI_HRF_CANONICAL, delay, duration) / peak;
}

double streaming_correlation(const float *estimate, const float *truth, size_t n, size_t p)
{
    double sum = 0;

    for (size_t k = 0; k < p; k++)
        sum += phi_corr_f32(estimate + k, p, truth + k, p, n);
    return sum / (double)p;
}

struct streaming_row *streaming_add(struct streaming_table *table, const char *name)
{
    struct streaming_row *row = table->n < STREAMING_MAX_ROWS ? &table->row[table->n++] : NULL;

    if (!row)
        return NULL;
    strncpy(row->name, name, sizeof row->name - 1);
    for (size_t d = 0; d < STREAMING_MAX_DELAYS; d++)
        row->r[d] = row->coverage[d] = (double)NAN;
    return row;
}

void streaming_sim_free(struct streaming_sim *sim)
{
    phi_free(sim->y);
    phi_free(sim->z);
    phi_free(sim->onset);
    phi_free(sim->b);
    phi_free(sim->offset);
    phi_free(sim->noise_v);
    phi_free(sim->noise_f);
    memset(sim, 0, sizeof *sim);
}

/* Stationary AR(1) of unit variance in columns of ret[n][m]. */
static void fill_ar1(struct phi_rng *rng, size_t n, size_t m, double rho, double *ret)
{
    double step = sqrt(1 - rho * rho);

    for (size_t t = 0; t < n; t++)
        for (size_t j = 0; j < m; j++)
            ret[t * m + j] =
                t ? rho * ret[(t - 1) * m + j] + step * phi_rng_normal(rng) : phi_rng_normal(rng);
}

/* What is being made, before standardising. */
struct making {
    struct streaming_sim *sim;
    struct phi_rng rng;
    size_t n;       /* volumes with the warm-up */
    double *z;      /* [n][p], or [trials][p] */
    double *drive;  /* [n][p] latents through the response */
    double *signal; /* [n] of a voxel */
    double *noise;  /* [n] of a voxel */
    double *shared; /* [n][STREAMING_SHARED] */
};

static void drive_content(struct making *m)
{
    size_t p = m->sim->size.p;
    double h[STREAMING_TAPS];

    for (size_t k = 0; k < STREAMING_TAPS; k++)
        h[k] = streaming_response((double)k, 0);
    fill_ar1(&m->rng, m->n, p, m->sim->size.a, m->z);
    for (size_t t = 0; t < m->n; t++)
        for (size_t k = 0; k < STREAMING_TAPS && k <= t; k++)
            for (size_t j = 0; j < p; j++)
                m->drive[t * p + j] += h[k] * m->z[(t - k) * p + j];
}

static void drive_trials(struct making *m)
{
    const struct streaming_size *s = &m->sim->size;
    size_t p = s->p;
    double h[TRIAL_TAPS];

    for (size_t k = 0; k < TRIAL_TAPS; k++)
        h[k] = streaming_response((double)k, STREAMING_DURATION);
    fill_ar1(&m->rng, s->n_train + s->n_test, p, 0, m->z);
    for (size_t i = 0; i < s->n_train + s->n_test; i++) {
        m->sim->onset[i] = FIRST + s->soa * i;
        for (size_t k = 0; k < TRIAL_TAPS && m->sim->onset[i] + k < m->n; k++)
            for (size_t j = 0; j < p; j++)
                m->drive[(m->sim->onset[i] + k) * p + j] += h[k] * m->z[i * p + j];
    }
}

static double sd_of(const double *x, size_t n)
{
    double mean = 0, var = 0;

    for (size_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        var += (x[i] - mean) * (x[i] - mean) / (double)n;
    return sqrt(var);
}

/* Gamma of shape 1.5 and mean MEAN_R2: an exponential plus half a squared normal. */
static double draw_r2(struct phi_rng *rng)
{
    double normal = phi_rng_normal(rng);
    double gamma = -log(1 - phi_rng_uniform(rng)) + 0.5 * normal * normal;

    return fmin(fmax(gamma * MEAN_R2 / 1.5, 0.002), 0.6);
}

/* Voxel v: weights, noise, and its series, standardised by the training volumes. */
static void make_voxel(struct making *m, size_t v)
{
    struct streaming_sim *sim = m->sim;
    size_t p = sim->size.p, q = sim->size.q, skip = m->n - sim->n;
    double rho = RHO_LOW + (RHO_HIGH - RHO_LOW) * phi_rng_uniform(&m->rng), r2, scale, mean = 0, sd;

    for (size_t j = 0; j < p; j++)
        sim->b[j * q + v] = phi_rng_normal(&m->rng) / sqrt((double)(j + 1));
    for (size_t t = 0; t < m->n; t++) {
        m->signal[t] = 0;
        for (size_t j = 0; j < p; j++)
            m->signal[t] += sim->b[j * q + v] * m->drive[t * p + j];
    }
    r2 = draw_r2(&m->rng);
    scale = sqrt(r2 / (1 - r2)) / sd_of(m->signal, m->n);
    for (size_t k = 0; k < STREAMING_SHARED; k++)
        sim->noise_f[k * q + v] = phi_rng_normal(&m->rng) * sqrt(SHARED / STREAMING_SHARED);
    fill_ar1(&m->rng, m->n, 1, rho, m->noise);
    for (size_t t = 0; t < m->n; t++) {
        m->signal[t] = scale * m->signal[t] + sqrt(1 - SHARED) * m->noise[t];
        for (size_t k = 0; k < STREAMING_SHARED; k++)
            m->signal[t] += sim->noise_f[k * q + v] * m->shared[t * STREAMING_SHARED + k];
    }
    sd = sd_of(m->signal + skip, sim->n_train);
    for (size_t t = 0; t < sim->n_train; t++)
        mean += m->signal[skip + t] / (double)sim->n_train;
    for (size_t t = 0; t < sim->n; t++)
        sim->y[t * q + v] = (float)((m->signal[skip + t] - mean) / sd);
    for (size_t j = 0; j < p; j++)
        sim->b[j * q + v] *= scale / sd;
    for (size_t k = 0; k < STREAMING_SHARED; k++)
        sim->noise_f[k * q + v] /= sd;
    sim->noise_v[v] = (1 - SHARED) / (sd * sd);
    sim->offset[v] = -mean / sd;
}

static bool allocate(struct making *m)
{
    struct streaming_sim *sim = m->sim;
    size_t p = sim->size.p, q = sim->size.q, trials = sim->size.n_train + sim->size.n_test;
    size_t rows = m->n > trials ? m->n : trials;

    m->z = phi_calloc2(rows, p, sizeof *m->z);
    m->drive = phi_calloc2(m->n, p, sizeof *m->drive);
    m->signal = phi_calloc(m->n, sizeof *m->signal);
    m->noise = phi_calloc(m->n, sizeof *m->noise);
    m->shared = phi_calloc2(m->n, STREAMING_SHARED, sizeof *m->shared);
    sim->y = phi_calloc2(sim->n, q, sizeof *sim->y);
    sim->z = phi_calloc2(rows, p, sizeof *sim->z);
    sim->onset = sim->size.soa ? phi_calloc(trials, sizeof *sim->onset) : NULL;
    sim->b = phi_calloc2(p, q, sizeof *sim->b);
    sim->offset = phi_calloc(q, sizeof *sim->offset);
    sim->noise_v = phi_calloc(q, sizeof *sim->noise_v);
    sim->noise_f = phi_calloc2(STREAMING_SHARED, q, sizeof *sim->noise_f);
    return m->z && m->drive && m->signal && m->noise && m->shared && sim->y && sim->z && sim->b &&
           sim->offset && sim->noise_v && sim->noise_f && (!sim->size.soa || sim->onset);
}

enum ph_status streaming_simulate(const struct streaming_size *size, struct streaming_sim *ret_sim,
                                  struct ph_error *reterr)
{
    struct streaming_sim sim = {.size = *size, .rho = (RHO_LOW + RHO_HIGH) / 2};
    struct making m = {.sim = &sim};
    size_t trials = size->n_train + size->n_test, warm_up = size->soa ? 0 : WARM_UP;
    bool ok;

    sim.n = size->soa ? FIRST + size->soa * (trials - 1) + AFTER_LAST : trials;
    sim.n_train = size->soa ? FIRST + size->soa * size->n_train : size->n_train;
    m.n = sim.n + warm_up;
    phi_rng_init(&m.rng, size->seed, size->soa);
    ok = allocate(&m);
    if (ok && size->soa)
        drive_trials(&m);
    else if (ok)
        drive_content(&m);
    if (ok)
        fill_ar1(&m.rng, m.n, STREAMING_SHARED, sim.rho, m.shared);
    for (size_t v = 0; ok && v < size->q; v++)
        make_voxel(&m, v);
    for (size_t i = 0; ok && i < trials * size->p; i++)
        sim.z[i] = (float)m.z[warm_up * size->p + i];
    phi_free(m.z);
    phi_free(m.drive);
    phi_free(m.signal);
    phi_free(m.noise);
    phi_free(m.shared);
    if (!ok) {
        streaming_sim_free(&sim);
        return phi_error_nomem(reterr, "a simulated run", m.n * size->q * sizeof(float));
    }
    *ret_sim = sim;
    return PH_OK;
}
