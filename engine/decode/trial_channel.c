/* SPDX-License-Identifier: MIT
 *
 * Per channel the open trials have a Gaussian with a covariance C that starts as the identity. A
 * volume observes x = d h.zeta + N(0, d v0), where h and x are whitened against the last used
 * volume, g volumes back: h(t) - rho^g h(t_last), v0 = 1 - rho^2g. With v = C h and
 * den = v0 + d h.v the update is m += v inn/den and C -= d/den v v', safe as d goes to 0. C is kept
 * as a full matrix in which a free slot is an unused prior, so nothing ever moves; leaving a trial
 * out of it is integrating it out. The level, if there is one, is a last slot whose h is that of a
 * constant, 1 - rho^g. Cost per volume: 2 n_channels n^2 with n
 * open.
 */
#include "decode/trial_private.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

static void set_slot(struct phi_trials *trials, size_t i, size_t k, double mean, double var)
{
    size_t a = trials->side, p = trials->config.n_channels;
    double *cov = phi_trial_covariance(trials, i);

    for (size_t j = 0; j < a; j++)
        cov[k * a + j] = cov[j * a + k] = j == k ? var : 0;
    trials->mean[k * p + i] = mean;
    trials->var[k * p + i] = var;
}

void phi_trial_clear_slot(struct phi_trials *trials, size_t k)
{
    memset(&trials->slots[k], 0, sizeof trials->slots[k]);
    for (size_t i = 0; i < trials->config.n_channels; i++)
        set_slot(trials, i, k, 0, 1);
}

/* Stretching x by s divides the level by s, as the channel's d grows by s^2. */
void phi_trial_clear_level(struct phi_trials *trials)
{
    for (size_t i = 0; i < trials->config.n_channels; i++) {
        double sd = trials->config.level_sd / trials->stretch[i];

        set_slot(trials, i, trials->config.max_open, 0, sd * sd);
    }
}

void phi_trial_seed_slot(struct phi_trials *trials, size_t k, const double *mean, const double *var)
{
    for (size_t i = 0; i < trials->config.n_channels; i++)
        set_slot(trials, i, k, mean[i], var[i]);
}

/* v = C h, and innovation of channel i with its variance over d: v0 + d h.v. */
static void predict_channel(struct phi_trials *trials, size_t i, const struct phi_trial_row *row,
                            double x)
{
    size_t n = trials->n_states, p = trials->config.n_channels, a = trials->side;
    const double *cov = phi_trial_covariance(trials, i);
    double *v = trials->v + i * a, spread = 0, mean = 0, d = trials->d[i];

    for (size_t r = 0; r < n; r++) {
        const double *line = cov + trials->order[r] * a;

        v[r] = 0;
        for (size_t c = 0; c < n; c++)
            v[r] += line[trials->order[c]] * row->h[c];
        spread += row->h[r] * v[r];
        mean += row->h[r] * trials->mean[trials->order[r] * p + i];
    }
    trials->inn[i] = x - row->carry * trials->x_last[i] - d * mean;
    trials->den[i] = row->v0 + d * spread;
}

double phi_trial_predict(struct phi_trials *trials, const struct phi_trial_row *row,
                         const double *x)
{
    double sum = 0;
    size_t n = 0;

    for (size_t i = 0; i < trials->config.n_channels; i++) {
        predict_channel(trials, i, row, x[i]);
        if (trials->d[i] > 0) {
            sum += trials->inn[i] * trials->inn[i] / (trials->d[i] * trials->den[i]);
            n++;
        }
    }
    return n ? sum / (double)n : NAN;
}

static void absorb_channel(struct phi_trials *trials, size_t i)
{
    size_t n = trials->n_states, p = trials->config.n_channels, a = trials->side;
    const double *v = trials->v + i * a;
    double *cov = phi_trial_covariance(trials, i), den = trials->den[i], inn = trials->inn[i];
    double shrink = trials->d[i] / den;

    for (size_t r = 0; r < n; r++) {
        size_t k = trials->order[r];
        double factor = shrink * v[r];

        for (size_t c = 0; c < n; c++)
            cov[k * a + trials->order[c]] -= factor * v[c];
        trials->mean[k * p + i] += v[r] * (inn / den);
        trials->var[k * p + i] = cov[k * a + k];
    }
    if (trials->d[i] > 0)
        trials->loglik -=
            0.5 * (log(2 * PI * den / trials->d[i]) + inn * inn / (trials->d[i] * den));
}

void phi_trial_absorb(struct phi_trials *trials, const struct phi_trial_row *row)
{
    for (size_t i = 0; i < trials->config.n_channels; i++)
        absorb_channel(trials, i);
    for (size_t r = 0; r < trials->n_open; r++)
        trials->slots[trials->order[r]].info += row->h[r] * row->h[r] / row->v0;
}
