/* SPDX-License-Identifier: MIT
 *
 * The covariance P is [n][n] per channel, n = L (+ 1 for the level), and does not depend on the
 * data. The update is in the form that stays safe as d goes to 0: with v = P h, den = v0 + d h.v,
 * inn = x - rho^g x_last - d h.m, it is m += v inn/den and P -= d/den v v'. P stays in float64.
 */
#include "decode/stream.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/reduce.h"

#define PI          3.14159265358979323846
#define MAX_LAGS    256
#define STEADY_TOL  1e-12
#define STEADY_MOST 5000

struct phi_stream {
    struct phi_stream_config config;
    size_t n;         /* state length */
    double *d, *h;    /* [n_channels] with the error of the weights, [n_taps] */
    double *stretch;  /* [n_channels] of x, sqrt(d now / d before) */
    double *x;        /* [n_channels] the volume, stretched */
    double *m;        /* [n_channels][n] */
    double *p;        /* [n_channels][n][n] */
    double *v;        /* [n_channels][n] P h of the current volume */
    double *den;      /* [n_channels] */
    double *inn;      /* [n_channels] */
    double *x_last;   /* [n_channels] */
    double *row;      /* [n] whitened observation row */
    double *gain;     /* [n_channels][n] steady v/den, or NULL */
    double *last_var; /* [n_channels] steady variance of lag L-1 */
    size_t n_steps, gap;
    bool has_last;
    double loglik;
};

static enum ph_status check_config(const struct phi_stream_config *c, struct ph_error *reterr)
{
    if (!c->n_channels || !c->d || !c->h || !c->n_taps)
        return phi_error(reterr, PH_E_INVAL, "a continuous decoder needs channels and a response");
    if (c->n_taps > MAX_LAGS || c->n_lags > MAX_LAGS || c->max_gap > MAX_LAGS)
        return phi_error(reterr, PH_E_LIMIT, "%zu taps and %zu lags: at most %d volumes each",
                         c->n_taps, c->n_lags, MAX_LAGS);
    if (!(c->a >= 0 && c->a < 1) || !(c->rho >= 0 && c->rho < 1))
        return phi_error(reterr, PH_E_INVAL, "a = %g and rho = %g must be in [0, 1)", c->a, c->rho);
    if (c->has_drift && (!(c->kappa >= 0) || !(c->kappa0 >= 0)))
        return phi_error(reterr, PH_E_INVAL, "drift variances %g, %g must not be negative",
                         c->kappa, c->kappa0);
    if (c->has_drift && c->steady)
        return phi_error(reterr, PH_E_INVAL, "steady gains and a drift level exclude each other");
    for (size_t i = 0; i < c->n_channels; i++)
        if (!(c->d[i] >= 0) || isinf(c->d[i]))
            return phi_error(reterr, PH_E_INVAL, "channel %zu has signal %g: the decoder is broken",
                             i, c->d[i]);
    for (size_t i = 0; c->weight_error && i < c->n_channels; i++)
        if (!(c->weight_error[i] >= 0) || isinf(c->weight_error[i]))
            return phi_error(reterr, PH_E_INVAL,
                             "channel %zu has weight error %g: the decoder is broken", i,
                             c->weight_error[i]);
    return PH_OK;
}

static struct phi_stream_config completed(const struct phi_stream_config *config)
{
    struct phi_stream_config c = *config;
    size_t least;

    c.max_gap = c.max_gap ? c.max_gap : 3;
    c.kappa0 = c.kappa0 > 0 ? c.kappa0 : 1e4;
    least = c.n_taps + (c.rho > 0 ? c.max_gap : 0);
    c.n_lags = c.n_lags > least ? c.n_lags : least;
    return c;
}

static bool allocate(struct phi_stream *s)
{
    size_t p = s->config.n_channels, n = s->n;

    s->d = phi_calloc(p, sizeof(double));
    s->stretch = phi_calloc(p, sizeof(double));
    s->x = phi_calloc(p, sizeof(double));
    s->h = phi_calloc(s->config.n_taps, sizeof(double));
    s->m = phi_calloc2(p, n, sizeof(double));
    s->p = phi_calloc2(p, n * n, sizeof(double));
    s->v = phi_calloc2(p, n, sizeof(double));
    s->den = phi_calloc(p, sizeof(double));
    s->inn = phi_calloc(p, sizeof(double));
    s->x_last = phi_calloc(p, sizeof(double));
    s->row = phi_calloc(n, sizeof(double));
    s->last_var = phi_calloc(p, sizeof(double));
    return s->d && s->stretch && s->x && s->h && s->m && s->p && s->v && s->den && s->inn &&
           s->x_last && s->row && s->last_var;
}

static enum ph_status create_bare(const struct phi_stream_config *config,
                                  struct phi_stream **ret_stream, struct ph_error *reterr)
{
    struct phi_stream *s = phi_calloc(1, sizeof *s);

    if (s) {
        s->config = completed(config);
        s->n = s->config.n_lags + (config->has_drift ? 1 : 0);
    }
    if (!s || !allocate(s)) {
        size_t n_bytes = s ? s->n * s->n * config->n_channels * sizeof(double) : sizeof *s;

        phi_stream_destroy(&s);
        return phi_error_nomem(reterr, "the continuous decoder's state", n_bytes);
    }
    phi_channels_blur(config->d, config->weight_error, config->n_channels, s->d, s->stretch);
    memcpy(s->h, config->h, config->n_taps * sizeof *s->h);
    s->config.d = s->d;
    s->config.weight_error = NULL;
    s->config.h = s->h;
    phi_stream_reset(s);
    *ret_stream = s;
    return PH_OK;
}

void phi_stream_destroy(struct phi_stream **stream)
{
    struct phi_stream *s = stream ? *stream : NULL;

    if (!s)
        return;
    phi_free(s->d);
    phi_free(s->stretch);
    phi_free(s->x);
    phi_free(s->h);
    phi_free(s->m);
    phi_free(s->p);
    phi_free(s->v);
    phi_free(s->den);
    phi_free(s->inn);
    phi_free(s->x_last);
    phi_free(s->row);
    phi_free(s->gain);
    phi_free(s->last_var);
    phi_free(s);
    *stream = NULL;
}

/* The level's variances are relative to 1/d; a channel without signal keeps no level. */
static double level_unit(const struct phi_stream *s, size_t i)
{
    return s->d[i] > 0 ? 1 / s->d[i] : 0;
}

void phi_stream_reset(struct phi_stream *s)
{
    size_t n_lags = s->config.n_lags;

    for (size_t i = 0; !s->gain && i < s->config.n_channels; i++) { /* steady: converged already */
        double *p = s->p + i * s->n * s->n;

        for (size_t r = 0; r < s->n; r++)
            for (size_t c = 0; c < s->n; c++)
                p[r * s->n + c] =
                    r < n_lags && c < n_lags ? pow(s->config.a, fabs((double)r - (double)c)) : 0;
        if (s->config.has_drift)
            p[s->n * s->n - 1] = s->config.kappa0 * level_unit(s, i);
    }
    memset(s->m, 0, s->config.n_channels * s->n * sizeof *s->m);
    s->n_steps = s->gap = 0;
    s->has_last = false;
    s->loglik = 0;
}

static void predict_mean(struct phi_stream *s, size_t i)
{
    double *m = s->m + i * s->n;

    memmove(m + 1, m, (s->config.n_lags - 1) * sizeof *m);
    m[0] = s->config.a * m[1];
}

/* Rows and columns of the lags move by one, from the last row up so that nothing is overwritten
 * before it is read; the level stays. */
static void predict_covariance(struct phi_stream *s, size_t i)
{
    size_t n = s->n, n_lags = s->config.n_lags;
    double *p = s->p + i * n * n, a = s->config.a, old00 = p[0];

    for (size_t r = n_lags; r-- > 1;)
        memmove(p + r * n + 1, p + (r - 1) * n, (n_lags - 1) * sizeof *p);
    for (size_t j = 1; j < n_lags; j++)
        p[j * n] = a * p[j * n + 1]; /* slot 1 holds the old slot 0 */
    for (size_t j = 1; j < n_lags; j++)
        p[j] = p[j * n];
    p[0] = a * a * old00 + 1 - a * a;
    if (!s->config.has_drift)
        return;
    for (size_t r = n_lags; r-- > 1;)
        p[r * n + n_lags] = p[n_lags * n + r] = p[n_lags * n + r - 1];
    p[n_lags] = p[n_lags * n] = a * p[n_lags * n + 1];
    p[n * n - 1] += s->config.kappa * level_unit(s, i);
}

/* The observation row when the last used volume is g volumes back (0: none); returns rho^g. */
static double set_row(struct phi_stream *s, size_t g)
{
    double carry = g ? pow(s->config.rho, (double)g) : 0;

    memset(s->row, 0, s->n * sizeof *s->row);
    for (size_t k = 0; k < s->config.n_taps; k++)
        s->row[k] = s->h[k];
    for (size_t k = 0; g && k < s->config.n_taps; k++)
        s->row[g + k] -= carry * s->h[k];
    if (s->config.has_drift)
        s->row[s->n - 1] = 1 - carry;
    return carry;
}

/* v = P h and den; in the steady form they are constants. */
static void observe_channel(struct phi_stream *s, size_t i, double v0)
{
    const double *p = s->p + i * s->n * s->n;
    double *v = s->v + i * s->n, spread = 0;

    for (size_t r = 0; r < s->n; r++) {
        double sum = 0;

        for (size_t c = 0; c < s->n; c++)
            sum += p[r * s->n + c] * s->row[c];
        v[r] = sum;
        spread += s->row[r] * sum;
    }
    s->den[i] = v0 + s->d[i] * spread;
}

static double innovate(struct phi_stream *s, double carry)
{
    double sum = 0;
    size_t n_signal = 0;

    for (size_t i = 0; i < s->config.n_channels; i++) {
        const double *m = s->m + i * s->n;
        double expected = 0;

        for (size_t k = 0; k < s->n; k++)
            expected += s->row[k] * m[k];
        s->inn[i] = s->x[i] - carry * s->x_last[i] - s->d[i] * expected;
        if (s->d[i] > 0) {
            sum += s->inn[i] * s->inn[i] / (s->d[i] * s->den[i]);
            n_signal++;
        }
    }
    return n_signal ? sum / (double)n_signal : NAN;
}

static void update_channel(struct phi_stream *s, size_t i)
{
    const double *v = s->gain ? s->gain + i * s->n : s->v + i * s->n;
    double step = s->gain ? s->inn[i] : s->inn[i] / s->den[i];
    double shrink = s->d[i] / s->den[i];
    double *m = s->m + i * s->n, *p = s->p + i * s->n * s->n;

    for (size_t r = 0; r < s->n; r++)
        m[r] += v[r] * step;
    for (size_t r = 0; !s->gain && r < s->n; r++) {
        double factor = shrink * v[r];

        for (size_t c = 0; c < s->n; c++)
            p[r * s->n + c] -= factor * v[c];
    }
    if (s->d[i] > 0)
        s->loglik -= 0.5 * (log(2 * PI * s->den[i] / s->d[i]) +
                            s->inn[i] * s->inn[i] / (s->d[i] * s->den[i]));
}

static void predict(struct phi_stream *s)
{
    for (size_t i = 0; i < s->config.n_channels; i++) {
        predict_mean(s, i);
        if (!s->gain)
            predict_covariance(s, i);
    }
}

/* s->x = x stretched; false if something is not finite. */
static bool take_volume(struct phi_stream *s, const double *x)
{
    for (size_t i = 0; i < s->config.n_channels; i++) {
        s->x[i] = s->stretch[i] * x[i];
        if (!isfinite(s->x[i]))
            return false;
    }
    return true;
}

bool phi_stream_step(struct phi_stream *s, const double *x, double weight, double *ret_nis)
{
    size_t p = s->config.n_channels, g = 0;
    double carry, nis = NAN;
    bool use = x && weight > 0 && take_volume(s, x);

    if (s->n_steps++ > 0)
        predict(s);
    s->gap++;
    if (use) {
        if (s->config.rho > 0 && s->has_last && s->gap <= s->config.max_gap)
            g = s->gap;
        carry = set_row(s, g);
        for (size_t i = 0; !s->gain && i < p; i++)
            observe_channel(s, i, (1 - carry * carry) / weight);
        nis = innovate(s, carry);
        use = !(s->config.nis_threshold > 0 && nis > s->config.nis_threshold);
    }
    if (use) {
        for (size_t i = 0; i < p; i++)
            update_channel(s, i);
        memcpy(s->x_last, s->x, p * sizeof *x);
        s->has_last = true;
        s->gap = 0;
    }
    if (ret_nis)
        *ret_nis = nis;
    return use;
}

/* Variance of channel i of the content itself. */
static double variance_at(const struct phi_stream *s, size_t i, size_t lag)
{
    double told_mean, told_var;

    phi_channels_sharpen(s->stretch + i, s->m + i * s->n + lag,
                         s->p + (i * s->n + lag) * s->n + lag, 1, &told_mean, &told_var);
    return told_var;
}

/* Runs the covariance of `s` alone until its gain stands still. */
static void iterate_covariance(struct phi_stream *s)
{
    for (size_t i = 0; i < s->config.n_channels; i++) {
        double change = INFINITY, before = 0;

        for (size_t step = 0; step < STEADY_MOST && (step < 4 || change > STEADY_TOL); step++) {
            double carry, v0, now = 0;

            if (step)
                predict_covariance(s, i);
            carry = set_row(s, step && s->config.rho > 0 ? 1 : 0);
            v0 = 1 - carry * carry;
            observe_channel(s, i, v0);
            for (size_t r = 0; r < s->n; r++)
                now += s->v[i * s->n + r] * s->d[i] / s->den[i];
            change = fabs(now - before);
            before = now;
            s->inn[i] = 0;
            update_channel(s, i);
        }
    }
}

enum ph_status phi_stream_steady(const struct phi_stream_config *config, double *ret_gain,
                                 double *ret_var, struct ph_error *reterr)
{
    enum ph_status status = check_config(config, reterr);
    struct phi_stream *s = NULL;

    if (status == PH_OK)
        status = create_bare(config, &s, reterr);
    if (status)
        return status;
    iterate_covariance(s);
    for (size_t i = 0; i < s->config.n_channels; i++)
        for (size_t r = 0; r < s->config.n_lags; r++) {
            ret_gain[i * s->config.n_lags + r] = s->v[i * s->n + r] * s->d[i] / s->den[i];
            ret_var[i * s->config.n_lags + r] = s->p[(i * s->n + r) * s->n + r];
        }
    phi_stream_destroy(&s);
    return PH_OK;
}

/* Every filter needs to know what lag L-1 will know, for the share of information; the steady one
 * also keeps its gains and the converged covariance. */
static enum ph_status prepare(struct phi_stream *s, struct ph_error *reterr)
{
    size_t p = s->config.n_channels;
    double *gain = NULL;

    if (s->config.steady) {
        gain = phi_calloc2(p, s->n, sizeof *gain);
        if (!gain)
            return phi_error_nomem(reterr, "steady gains", p * s->n * sizeof *gain);
    }
    iterate_covariance(s);
    for (size_t i = 0; i < p; i++) {
        size_t last = s->config.n_lags - 1;

        s->last_var[i] = variance_at(s, i, last);
        for (size_t r = 0; gain && r < s->n; r++)
            gain[i * s->n + r] = s->v[i * s->n + r] / s->den[i];
    }
    s->gain = gain;
    phi_stream_reset(s);
    return PH_OK;
}

enum ph_status phi_stream_create(const struct phi_stream_config *config,
                                 struct phi_stream **ret_stream, struct ph_error *reterr)
{
    enum ph_status status = check_config(config, reterr);
    struct phi_stream *s = NULL;

    if (status == PH_OK)
        status = create_bare(config, &s, reterr);
    if (status == PH_OK)
        status = prepare(s, reterr);
    if (status) {
        phi_stream_destroy(&s);
        return status;
    }
    *ret_stream = s;
    return PH_OK;
}

size_t phi_stream_n_lags(const struct phi_stream *s)
{
    return s->config.n_lags;
}

void phi_stream_read(const struct phi_stream *s, size_t lag, double *ret_mean, double *ret_var)
{
    for (size_t i = 0; i < s->config.n_channels; i++) {
        ret_mean[i] = s->m[i * s->n + lag] / s->stretch[i];
        ret_var[i] = variance_at(s, i, lag);
    }
}

double phi_stream_share(const struct phi_stream *s, size_t lag)
{
    double now = 0, last = 0;

    for (size_t i = 0; i < s->config.n_channels; i++) {
        now += 1 - variance_at(s, i, lag);
        last += 1 - s->last_var[i];
    }
    return last > 0 ? fmin(1, fmax(0, now / last)) : 0;
}

double phi_stream_evidence(const struct phi_stream *s, size_t lag)
{
    double sum = 0;

    for (size_t i = 0; i < s->config.n_channels; i++) {
        double mean = s->m[i * s->n + lag] / s->stretch[i], var = variance_at(s, i, lag);

        sum += 0.5 * (mean * mean / var + log(var));
    }
    return sum;
}

double phi_stream_loglik(const struct phi_stream *s)
{
    return s->loglik;
}
