/* SPDX-License-Identifier: MIT */
#include "signal/despike.h"

#include <math.h>

/* Koush's constants: process noise over measurement noise, and the jump, in sigmas. */
#define PROCESS_SHARE 0.25
#define JUMP          0.9

void phi_despike_init(struct phi_despike *despike, double sigma)
{
    *despike = (struct phi_despike){.sigma = sigma > 0 && isfinite(sigma) ? sigma : 0};
}

void phi_despike_init_at(struct phi_despike *despike, double sigma, double level)
{
    phi_despike_init(despike, sigma);
    despike->level = level;
    despike->started = true;
}

static void accept(struct phi_despike *d, double gain, double jump)
{
    d->level += gain * jump;
    d->variance *= 1 - gain;
}

/* The first jump in a direction is held, the second taken. The flag of the other direction stays,
 * as in the published program. */
static void hold_or_accept(struct phi_despike *d, bool *held, double gain, double jump)
{
    if (*held)
        accept(d, gain, jump);
    *held = !*held;
    d->newest_held = *held;
}

double phi_despike_step(struct phi_despike *despike, double sample)
{
    double sigma, gain, jump;

    despike->newest_held = false;
    if (!isfinite(sample))
        return despike->level;
    if (!despike->started)
        despike->level = sample;
    despike->started = true;
    phi_welford_add(&despike->past, sample);
    sigma = despike->sigma > 0 ? despike->sigma : sqrt(phi_welford_variance(&despike->past));
    if (!(sigma > 0)) { /* a constant so far, or nothing to compare with yet */
        despike->level = sample;
        return sample;
    }
    despike->variance += PROCESS_SHARE * sigma * sigma;
    gain = despike->variance / (despike->variance + sigma * sigma);
    jump = sample - despike->level;
    if (fabs(gain * jump) < JUMP * sigma) {
        accept(despike, gain, jump);
        despike->held_up = despike->held_down = false;
    } else {
        hold_or_accept(despike, jump > 0 ? &despike->held_up : &despike->held_down, gain, jump);
    }
    return despike->level;
}

bool phi_despike_held(const struct phi_despike *despike)
{
    return despike->newest_held;
}
