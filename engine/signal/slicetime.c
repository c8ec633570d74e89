/* SPDX-License-Identifier: MIT */
#include "signal/slicetime.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/simd.h"

struct phi_slicetime {
    size_t n_slices;
    size_t slice_voxels;
    float *share;  /* [n_slices] of the volume before */
    float *before; /* [n_slices][slice_voxels] as it came */
    bool has_before;
};

/* Place of slice `i` of `n` in the order of acquisition. */
static size_t place_of(enum phi_slice_order order, size_t i, size_t n)
{
    size_t n_even = (n + 1) / 2;
    bool odd_first =
        order == PHI_SLICES_INTERLEAVED_ODD || (order == PHI_SLICES_SIEMENS && n % 2 == 0);

    if (order == PHI_SLICES_ASCENDING)
        return i;
    if (order == PHI_SLICES_DESCENDING)
        return n - 1 - i;
    if (odd_first)
        return i % 2 ? i / 2 : n / 2 + i / 2;
    return i % 2 ? n_even + i / 2 : i / 2;
}

enum ph_status phi_slice_times(enum phi_slice_order order, size_t n_slices, size_t multiband,
                               double tr_s, double *ret_times_s)
{
    size_t shots;

    if (n_slices == 0 || multiband == 0 || n_slices % multiband || order > PHI_SLICES_SIEMENS)
        return PH_E_INVAL;
    shots = n_slices / multiband;
    for (size_t i = 0; i < n_slices; i++)
        ret_times_s[i] = tr_s * (double)place_of(order, i % shots, shots) / (double)shots;
    return PH_OK;
}

static enum ph_status check(const struct phi_slicetime_config *c, struct ph_error *reterr)
{
    if (c->n_slices == 0 || c->slice_voxels == 0)
        return phi_error(reterr, PH_E_INVAL, "slice timing of a volume without voxels");
    if (!(isfinite(c->tr_s) && c->tr_s > 0))
        return phi_error(reterr, PH_E_INVAL, "slice timing needs the TR; it is %g s", c->tr_s);
    for (size_t i = 0; i < c->n_slices; i++) {
        if (!(c->times_s[i] >= 0 && c->times_s[i] <= c->tr_s))
            return phi_error(reterr, PH_E_INVAL,
                             "slice %zu is said to be taken at %g s, outside the TR of %g s: slice "
                             "times are in seconds",
                             i, c->times_s[i], c->tr_s);
        if (!(c->times_s[i] >= c->ref_s))
            return phi_error(
                reterr, PH_E_INVAL,
                "slice %zu, taken at %g s, comes before the reference of %g s and would "
                "need the next volume: set the reference to 0",
                i, c->times_s[i], c->ref_s);
    }
    return PH_OK;
}

enum ph_status phi_slicetime_create(const struct phi_slicetime_config *config,
                                    struct phi_slicetime **ret_slicetime, struct ph_error *reterr)
{
    enum ph_status status = check(config, reterr);
    struct phi_slicetime *s;

    if (status != PH_OK)
        return status;
    s = phi_calloc(1, sizeof *s);
    if (s) {
        s->n_slices = config->n_slices;
        s->slice_voxels = config->slice_voxels;
        s->share = phi_calloc(config->n_slices, sizeof *s->share);
        s->before = phi_calloc2(config->n_slices, config->slice_voxels, sizeof *s->before);
    }
    if (!s || !s->share || !s->before) {
        phi_slicetime_destroy(&s);
        return phi_error(reterr, PH_E_NOMEM, "no memory for slice timing");
    }
    for (size_t i = 0; i < s->n_slices; i++)
        s->share[i] = (float)((config->times_s[i] - config->ref_s) / config->tr_s);
    *ret_slicetime = s;
    return PH_OK;
}

void phi_slicetime_destroy(struct phi_slicetime **slicetime)
{
    if (!slicetime || !*slicetime)
        return;
    phi_free((*slicetime)->share);
    phi_free((*slicetime)->before);
    phi_free(*slicetime);
    *slicetime = NULL;
}

void phi_slicetime_reset(struct phi_slicetime *slicetime)
{
    slicetime->has_before = false;
}

void phi_slicetime_gap(struct phi_slicetime *slicetime)
{
    slicetime->has_before = false;
}

/* y = f before + (1 - f) y, and before = y as it came. */
PHI_VECTOR static void mix(float f, size_t n, float *restrict before, float *restrict y)
{
    for (size_t v = 0; v < n; v++) {
        float now = y[v];

        y[v] = f * before[v] + (1 - f) * now;
        before[v] = now;
    }
}

void phi_slicetime_process(struct phi_slicetime *slicetime, float *y)
{
    size_t n = slicetime->slice_voxels;

    if (slicetime->has_before)
        for (size_t i = 0; i < slicetime->n_slices; i++)
            mix(slicetime->share[i], n, slicetime->before + i * n, y + i * n);
    else
        memcpy(slicetime->before, y, slicetime->n_slices * n * sizeof *y);
    slicetime->has_before = true;
}
