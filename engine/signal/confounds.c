/* SPDX-License-Identifier: MIT */
#include "signal/confounds.h"

#include <math.h>

#define N_MOTION      24
#define MOTION4(name) name, name "_derivative1", name "_power2", name "_derivative1_power2"

static const char *const names[PHI_CONFOUNDS_N] = {
    MOTION4("trans_x"),
    MOTION4("trans_y"),
    MOTION4("trans_z"),
    MOTION4("rot_x"),
    MOTION4("rot_y"),
    MOTION4("rot_z"),
    "framewise_displacement",
    "rmsd",
    "dvars",
    "std_dvars",
    "global_signal",
    "csf",
    "white_matter",
    "tsnr",
    "outlier_fraction",
    "gcor",
    "drift_percent",
    "n_spikes",
};

const char *phi_confounds_name(size_t i)
{
    return i < PHI_CONFOUNDS_N ? names[i] : NULL;
}

static void fill_motion(const struct ph_quality *now, const struct ph_quality *before, double *out)
{
    for (int i = 0; i < 6; i++, out += 4) {
        double value = (double)now->motion[i];
        double step = before ? value - (double)before->motion[i] : NAN;

        out[0] = value;
        out[1] = step;
        out[2] = value * value;
        out[3] = step * step;
    }
}

void phi_confounds_row(const struct ph_quality *now, const struct ph_quality *before,
                       double *ret_row)
{
    const float figures[PHI_CONFOUNDS_N - N_MOTION] = {
        now->fd_mm,
        now->fd_jenkinson_mm,
        now->dvars,
        now->std_dvars,
        now->global_signal,
        now->csf,
        now->white_matter,
        now->tsnr,
        now->outlier_fraction,
        now->gcor,
        now->drift_percent,
        now->n_spikes,
    };

    fill_motion(now, before, ret_row);
    for (size_t i = N_MOTION; i < PHI_CONFOUNDS_N; i++)
        ret_row[i] = (double)figures[i - N_MOTION];
}
