/* SPDX-License-Identifier: MIT */
#include "display/calibration.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define Z50 0.6745
#define Z90 1.6449

/* Of one trial: how many of the p values lay inside. */
struct held {
    uint32_t trial;
    uint32_t inside50, inside90;
};

struct phi_calibration {
    const struct phi_truth *truth;
    struct held held[PHI_CALIBRATION_TRIALS]; /* a ring, in the order trials were first stated */
    size_t n; /* trials so far, also those that have left the ring */
};

enum ph_status phi_calibration_create(const struct phi_truth *truth,
                                      struct phi_calibration **ret_calibration)
{
    struct phi_calibration *c = phi_calloc(1, sizeof *c);

    if (!c)
        return PH_E_NOMEM;
    c->truth = truth;
    *ret_calibration = c;
    return PH_OK;
}

void phi_calibration_destroy(struct phi_calibration **calibration)
{
    if (!calibration || !*calibration)
        return;
    phi_free(*calibration);
    *calibration = NULL;
}

static size_t first_of(const struct phi_calibration *c)
{
    return c->n > PHI_CALIBRATION_TRIALS ? c->n - PHI_CALIBRATION_TRIALS : 0;
}

/* The trial's place, a new one if it has none. Revisions speak of the newest trials. */
static struct held *place_of(struct phi_calibration *c, uint32_t trial)
{
    struct held *held;

    for (size_t i = c->n; i-- > first_of(c);)
        if (c->held[i % PHI_CALIBRATION_TRIALS].trial == trial)
            return &c->held[i % PHI_CALIBRATION_TRIALS];
    held = &c->held[c->n++ % PHI_CALIBRATION_TRIALS];
    held->trial = trial;
    return held;
}

bool phi_calibration_add(struct phi_calibration *c, const struct ph_frame *latent)
{
    const struct ph_latent *said = &latent->u.latent;
    size_t p = c->truth->p;
    const float *mean = latent->data, *truth;
    struct held *held;

    if (latent->kind != PH_FRAME_LATENT || latent->rank != 2 || latent->dims[0] < 2 ||
        latent->dims[1] != p || said->trial == PH_NO_TRIAL || said->stim_index < 0 ||
        (size_t)said->stim_index >= c->truth->n || latent->flags & (uint32_t)PH_FLAG_INVALID)
        return false;
    truth = c->truth->latents + (size_t)said->stim_index * p;
    held = place_of(c, said->trial);
    held->inside50 = held->inside90 = 0;
    for (size_t i = 0; i < p; i++) {
        float off = fabsf(truth[i] - mean[i]), sd = mean[p + i];

        held->inside50 += off <= (float)Z50 * sd;
        held->inside90 += off <= (float)Z90 * sd;
    }
    return true;
}

size_t phi_calibration_shares(const struct phi_calibration *c, double *ret_inside50,
                              double *ret_inside90)
{
    size_t n = c->n - first_of(c);
    double in50 = 0, in90 = 0;

    for (size_t i = first_of(c); i < c->n; i++) {
        in50 += c->held[i % PHI_CALIBRATION_TRIALS].inside50;
        in90 += c->held[i % PHI_CALIBRATION_TRIALS].inside90;
    }
    *ret_inside50 = n ? in50 / ((double)n * (double)c->truth->p) : (double)NAN;
    *ret_inside90 = n ? in90 / ((double)n * (double)c->truth->p) : (double)NAN;
    return n;
}

void phi_calibration_curves(const struct phi_calibration *c, struct phi_shown_curves *ret)
{
    static const char *const names[] = {"inside 90 %", "claimed", "inside 50 %", "claimed"};
    size_t first = first_of(c), n = c->n - first;
    double in50, in90, sum50 = 0, sum90 = 0;

    memset(ret, 0, sizeof *ret);
    if (phi_calibration_shares(c, &in50, &in90) == 0)
        return;
    (void)snprintf(ret->title, sizeof ret->title,
                   "truth inside 50, 90 %%: %.0f, %.0f %%; %zu trials", 100 * in50, 100 * in90, n);
    (void)phi_str_copy(ret->x_unit, sizeof ret->x_unit, "trial");
    (void)phi_str_copy(ret->y_unit, sizeof ret->y_unit, "%");
    ret->x0 = (double)(first + 1);
    ret->dx = 1;
    ret->n_traces = 4;
    ret->n_points = (uint32_t)n;
    for (size_t t = 0; t < 4; t++)
        (void)phi_str_copy(ret->names[t], sizeof ret->names[t], names[t]);
    for (size_t i = 0; i < n; i++) {
        const struct held *held = &c->held[(first + i) % PHI_CALIBRATION_TRIALS];
        double values = (double)(i + 1) * (double)c->truth->p;

        sum50 += held->inside50;
        sum90 += held->inside90;
        ret->values[0][i] = (float)(100 * sum90 / values);
        ret->values[1][i] = 90;
        ret->values[2][i] = (float)(100 * sum50 / values);
        ret->values[3][i] = 50;
    }
}
