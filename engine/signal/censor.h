/* SPDX-License-Identifier: MIT
 *
 * Which volumes the estimators skip: rules on motion, DVARS and outliers, and the volumes after a
 * bad one (spin history). A volume is never repaired or interpolated. Plain struct, one owner.
 */
#ifndef PHI_SIGNAL_CENSOR_H
#define PHI_SIGNAL_CENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum phi_censor_reason {
    PHI_CENSOR_MOTION = 1u << 0,
    PHI_CENSOR_DVARS = 1u << 1,
    PHI_CENSOR_OUTLIERS = 1u << 2,
    PHI_CENSOR_AFTER = 1u << 3 /* follows a bad volume */
};

/* Limits; a limit of 0 or below turns its rule off. */
struct phi_censor_config {
    double fd_mm;            /* framewise displacement (Power): .5, strict .2 */
    double std_dvars;        /* standardised DVARS: 1.5 to 2 */
    double outlier_fraction; /* .05 to .1 */
    size_t n_after;          /* volumes skipped after a bad one: 1 */
};

struct phi_censor {
    struct phi_censor_config config;
    size_t n_left; /* of the volumes after the last bad one */
    size_t n_bad;  /* volumes censored so far */
};

/* Figures of one volume; NaN where not measured, and then its rule does not speak. */
struct phi_censor_figures {
    double fd_mm;
    double std_dvars;
    double outlier_fraction;
};

/* Starts without a bad volume behind. */
void phi_censor_init(struct phi_censor *censor, const struct phi_censor_config *config);

/* The reasons to censor this volume, or-ed enum phi_censor_reason; 0 if it is good. */
uint32_t phi_censor_step(struct phi_censor *censor, const struct phi_censor_figures *figures);

#endif
