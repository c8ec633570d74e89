/* SPDX-License-Identifier: MIT */
#include "plugins/generator/dand/strip.h"

#include <string.h>

#define SIDE ((size_t)PHI_DAND_SIDE)

void dand_to_bytes(const float *picture, size_t stride, uint8_t *rgb)
{
    for (size_t y = 0; y < SIDE; y++)
        for (size_t x = 0; x < SIDE; x++)
            for (size_t c = 0; c < 3; c++) {
                float value = picture[(c * SIDE + y) * SIDE + x] * 127.5f + 127.5f;

                value = value > 0 ? value < 255 ? value : 255 : 0; /* NaN is black */
                rgb[y * stride + x * 3 + c] = (uint8_t)(value + 0.5f);
            }
}

enum ph_status dand_strip_init(struct dand_strip *strip, size_t n, size_t p,
                               const struct ph_host *host)
{
    strip->n = n;
    strip->p = p;
    strip->z = host->alloc(host->self, n * p, sizeof *strip->z);
    strip->shown = host->alloc(host->self, n * SIDE * SIDE * 3, 1);
    return strip->z && strip->shown ? PH_OK : PH_E_NOMEM;
}

static void put(const struct dand_strip *strip, size_t cell, const float *picture, uint8_t *rgb)
{
    dand_to_bytes(picture, strip->n * SIDE * 3, rgb + cell * SIDE * 3);
}

enum ph_status dand_strip_reset(struct dand_strip *strip, struct phi_dand_live *live)
{
    const float *picture = NULL;
    enum ph_status status;

    memset(strip->z, 0, strip->n * strip->p * sizeof *strip->z);
    strip->cell = strip->n_left = 0;
    strip->under_way = false;
    status = phi_dand_live_run(live, strip->z, &picture);
    for (size_t cell = 0; status == PH_OK && cell < strip->n; cell++)
        put(strip, cell, picture, strip->shown);
    return status;
}

void dand_strip_aim(struct dand_strip *strip, const float *latent)
{
    memcpy(strip->z, latent + 2 * strip->p, strip->n * strip->p * sizeof *strip->z);
    strip->n_left = strip->n;
    strip->under_way = false;
}

enum ph_status dand_strip_step(struct dand_strip *strip, struct phi_dand_live *live,
                               int64_t deadline_ns)
{
    const float *z = strip->under_way ? NULL : strip->z + strip->cell * strip->p;
    const float *picture = NULL;
    enum ph_status status;

    if (strip->n_left == 0)
        return PH_AGAIN;
    status = phi_dand_live_run_until(live, z, deadline_ns, &picture);
    strip->under_way = status == PH_AGAIN;
    if (status != PH_OK)
        return status == PH_AGAIN ? PH_OK : status;
    put(strip, strip->cell, picture, strip->shown);
    strip->cell = (strip->cell + 1) % strip->n;
    strip->n_left--;
    return PH_OK;
}

enum ph_status dand_strip_render(struct dand_strip *strip, struct phi_dand_live *live,
                                 const float *latent, uint8_t *rgb)
{
    enum ph_status status = PH_OK;

    strip->under_way = false;
    for (size_t cell = 0; status == PH_OK && cell < strip->n; cell++) {
        const float *picture = NULL;

        status = phi_dand_live_run(live, latent + (2 + cell) * strip->p, &picture);
        if (status == PH_OK)
            put(strip, cell, picture, rgb);
    }
    return status;
}
