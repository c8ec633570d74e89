/* SPDX-License-Identifier: MIT */
#include "signal/motion.h"

#include <math.h>

double phi_motion_fd_power(const double previous[6], const double current[6])
{
    double fd = 0;

    for (int i = 0; i < 6; i++)
        fd += fabs(current[i] - previous[i]) * (i < 3 ? 1.0 : PHI_FD_POWER_RADIUS_MM);
    return fd;
}

double phi_motion_fd_jenkinson(const struct phi_affine *previous, const struct phi_affine *current,
                               const double centre_mm[3])
{
    const double radius = PHI_FD_JENKINSON_RADIUS_MM;
    struct phi_affine inverse;
    struct phi_affine step;
    double trace = 0;
    double shift = 0;

    if (phi_affine_invert(previous, &inverse) != PH_OK)
        return NAN;
    step = phi_affine_multiply(current, &inverse);
    for (int i = 0; i < 3; i++) {
        double moved = step.m[i][3];

        for (int j = 0; j < 3; j++) {
            double d = step.m[i][j] - (i == j ? 1.0 : 0.0);

            trace += d * d;
            moved += d * centre_mm[j];
        }
        shift += moved * moved;
    }
    return sqrt(radius * radius / 5.0 * trace + shift);
}
