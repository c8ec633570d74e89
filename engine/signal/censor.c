/* SPDX-License-Identifier: MIT */
#include "signal/censor.h"

void phi_censor_init(struct phi_censor *censor, const struct phi_censor_config *config)
{
    *censor = (struct phi_censor){.config = *config};
}

/* False for NaN on either side. */
static bool over(double value, double limit)
{
    return limit > 0 && value > limit;
}

uint32_t phi_censor_step(struct phi_censor *censor, const struct phi_censor_figures *figures)
{
    const struct phi_censor_config *c = &censor->config;
    uint32_t reasons = 0;

    reasons |= over(figures->fd_mm, c->fd_mm) ? PHI_CENSOR_MOTION : 0;
    reasons |= over(figures->std_dvars, c->std_dvars) ? PHI_CENSOR_DVARS : 0;
    reasons |= over(figures->outlier_fraction, c->outlier_fraction) ? PHI_CENSOR_OUTLIERS : 0;
    if (reasons) {
        censor->n_left = c->n_after;
    } else if (censor->n_left > 0) {
        censor->n_left--;
        reasons = PHI_CENSOR_AFTER;
    }
    censor->n_bad += reasons != 0;
    return reasons;
}
