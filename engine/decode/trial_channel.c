/* SPDX-License-Identifier: MIT
 *
 * Per channel the open trials have a Gaussian N(P^-1 eta, P^-1) with P starting as the identity.
 * A volume adds d h h'/v0 to P and h x/v0 to eta, where h and x are whitened against the last used
 * volume, g volumes back: h(t) - rho^g h(t_last), v0 = 1 - rho^2g. P is kept as a full
 * max_open x max_open matrix in which a free slot is an unused prior, so nothing ever moves; the
 * factorisation runs over the slots in use. Cost per volume: n_channels * n^3 / 3 with n open.
 */
#include "decode/trial_private.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

void phi_trial_clear_slot(struct phi_trials *trials, size_t k)
{
    size_t a = trials->config.max_open, p = trials->config.n_channels;

    memset(&trials->slots[k], 0, sizeof trials->slots[k]);
    for (size_t i = 0; i < p; i++) {
        double *precision = phi_trial_precision(trials, i);

        for (size_t j = 0; j < a; j++)
            precision[k * a + j] = precision[j * a + k] = j == k ? 1 : 0;
        trials->eta[i * a + k] = 0;
        trials->mean[k * p + i] = 0;
        trials->var[k * p + i] = 1;
    }
}

void phi_trial_marginalise(struct phi_trials *trials, size_t k)
{
    size_t a = trials->config.max_open;

    for (size_t i = 0; i < trials->config.n_channels; i++) {
        double *precision = phi_trial_precision(trials, i), *eta = trials->eta + i * a;
        double pivot = precision[k * a + k];

        for (size_t r = 0; r < a; r++) {
            double share = precision[r * a + k] / pivot;

            if (r == k || share == 0)
                continue;
            for (size_t c = 0; c < a; c++)
                if (c != k)
                    precision[r * a + c] -= share * precision[k * a + c];
            eta[r] -= share * eta[k];
        }
    }
}

void phi_trial_seed_slot(struct phi_trials *trials, size_t k, const double *mean, const double *var)
{
    size_t a = trials->config.max_open, p = trials->config.n_channels;

    for (size_t i = 0; i < p; i++) {
        phi_trial_precision(trials, i)[k * a + k] = 1 / var[i];
        trials->eta[i * a + k] = mean[i] / var[i];
        trials->mean[k * p + i] = mean[i];
        trials->var[k * p + i] = var[i];
    }
}

/* Lower Cholesky factor of channel i's precision over the open slots. */
static void factor(const struct phi_trials *trials, size_t i, double l[MAX][MAX])
{
    size_t a = trials->config.max_open, n = trials->n_open;
    const double *precision = trials->precision + i * a * a;

    for (size_t r = 0; r < n; r++)
        for (size_t c = 0; c <= r; c++) {
            double sum = precision[trials->order[r] * a + trials->order[c]];

            for (size_t k = 0; k < c; k++)
                sum -= l[r][k] * l[c][k];
            l[r][c] = r == c ? sqrt(fmax(sum, 1e-300)) : sum / l[c][c];
        }
}

/* Mean and variance of every open slot from the precision: columns of L^-1. */
static void solve_channel(struct phi_trials *trials, size_t i)
{
    size_t n = trials->n_open, p = trials->config.n_channels, a = trials->config.max_open;
    double l[MAX][MAX], u[MAX];

    factor(trials, i, l);
    for (size_t r = 0; r < n; r++) {
        u[r] = trials->eta[i * a + trials->order[r]];
        for (size_t k = 0; k < r; k++)
            u[r] -= l[r][k] * u[k];
        u[r] /= l[r][r];
    }
    for (size_t c = 0; c < n; c++) {
        double inverse[MAX], mean = 0, var = 0;

        for (size_t r = c; r < n; r++) {
            inverse[r] = r == c ? 1 : 0;
            for (size_t k = c; k < r; k++)
                inverse[r] -= l[r][k] * inverse[k];
            inverse[r] /= l[r][r];
            mean += inverse[r] * u[r];
            var += inverse[r] * inverse[r];
        }
        trials->mean[trials->order[c] * p + i] = mean;
        trials->var[trials->order[c] * p + i] = var;
    }
}

/* Innovation of channel i and its variance: v0 d + d^2 h'P^-1 h. */
static void predict_channel(struct phi_trials *trials, size_t i, const struct phi_trial_row *row,
                            double x)
{
    size_t n = trials->n_open, p = trials->config.n_channels;
    double l[MAX][MAX], u[MAX], spread = 0, mean = 0, d = trials->d[i];

    factor(trials, i, l);
    for (size_t r = 0; r < n; r++) {
        u[r] = row->h[r];
        for (size_t k = 0; k < r; k++)
            u[r] -= l[r][k] * u[k];
        u[r] /= l[r][r];
        spread += u[r] * u[r];
        mean += row->h[r] * trials->mean[trials->order[r] * p + i];
    }
    trials->inn[i] = x - row->carry * trials->x_last[i] - d * mean;
    trials->inn_var[i] = d * (row->v0 + d * spread);
}

double phi_trial_predict(struct phi_trials *trials, const struct phi_trial_row *row,
                         const double *x)
{
    double sum = 0;
    size_t n = 0;

    for (size_t i = 0; i < trials->config.n_channels; i++) {
        predict_channel(trials, i, row, x[i]);
        if (trials->inn_var[i] > 0) {
            sum += trials->inn[i] * trials->inn[i] / trials->inn_var[i];
            n++;
        }
    }
    return n ? sum / (double)n : NAN;
}

void phi_trial_absorb(struct phi_trials *trials, const struct phi_trial_row *row, const double *x)
{
    size_t n = trials->n_open, a = trials->config.max_open;

    for (size_t i = 0; i < trials->config.n_channels; i++) {
        double *precision = phi_trial_precision(trials, i), d = trials->d[i] / row->v0;
        double seen = (x[i] - row->carry * trials->x_last[i]) / row->v0;

        for (size_t r = 0; r < n; r++) {
            for (size_t c = 0; c < n; c++)
                precision[trials->order[r] * a + trials->order[c]] += d * row->h[r] * row->h[c];
            trials->eta[i * a + trials->order[r]] += row->h[r] * seen;
        }
        if (trials->inn_var[i] > 0)
            trials->loglik -=
                0.5 * (log(2 * PI * trials->inn_var[i] / (trials->d[i] * trials->d[i])) +
                       trials->inn[i] * trials->inn[i] / trials->inn_var[i]);
        solve_channel(trials, i);
    }
    for (size_t r = 0; r < n; r++)
        trials->slots[trials->order[r]].info += row->h[r] * row->h[r] / row->v0;
}
