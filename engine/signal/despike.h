/* SPDX-License-Identifier: MIT
 *
 * Modified Kalman filter for one feedback signal (Koush 2012,
 * doi 10.1016/j.neuroimage.2011.07.076): a jump is held back once; if the next sample jumps the
 * same way it is taken for a step, otherwise it was a spike. Smooths with about 1.6 volumes of
 * delay: meant for signals that are shown, not for the decoders, which have their own outlier test.
 * Plain struct, one owner.
 */
#ifndef PHI_SIGNAL_DESPIKE_H
#define PHI_SIGNAL_DESPIKE_H

#include <stdbool.h>

#include "signal/running.h"

struct phi_despike {
    double level;    /* the output so far */
    double variance; /* of the level */
    double sigma;    /* of the signal; 0: its standard deviation so far */
    bool held_up;    /* the last sample above was held back */
    bool held_down;
    bool newest_held;
    bool started;
    struct phi_welford past;
};

/* A filter for a signal of standard deviation `sigma`, or 0 to learn it as the signal comes. It
 * begins at its first sample. */
void phi_despike_init(struct phi_despike *despike, double sigma);

/* As phi_despike_init, but it begins at `level`. */
void phi_despike_init_at(struct phi_despike *despike, double sigma, double level);

/* Takes a sample, returns the filtered signal. A sample that is not finite changes nothing. */
double phi_despike_step(struct phi_despike *despike, double sample);

/* True if the newest sample was held back as a suspected spike. */
bool phi_despike_held(const struct phi_despike *despike);

#endif
