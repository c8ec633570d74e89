/* SPDX-License-Identifier: MIT
 *
 * A row of faces, one of each posterior sample: what they share, the response has settled. A cell
 * is drawn at a time, in turn, in whatever time there is; the other cells stay as they were. Memory
 * is the caller's host's; one thread.
 */
#ifndef PLUGINS_GENERATOR_DAND_STRIP_H
#define PLUGINS_GENERATOR_DAND_STRIP_H

#include <stdbool.h>

#include "models/dand_live.h"
#include "phosphene/plugin.h"

struct dand_strip {
    size_t n, p;
    float *z;       /* [n][p] the newest samples */
    uint8_t *shown; /* [64][n * 64][3] */
    size_t cell;    /* the next one to draw */
    size_t n_left;  /* cells that are not yet of the newest samples */
    bool under_way; /* a picture of `cell` has been begun and not finished */
};

/* Takes memory for `n` samples of `p` components from `host`. */
PH_NODISCARD enum ph_status dand_strip_init(struct dand_strip *strip, size_t n, size_t p,
                                            const struct ph_host *host);

/* All cells the mean face, drawn now. */
PH_NODISCARD enum ph_status dand_strip_reset(struct dand_strip *strip, struct phi_dand_live *live);

/* Takes the samples of latent[2 + n][p]; what is shown changes cell by cell. */
void dand_strip_aim(struct dand_strip *strip, const float *latent);

/* Draws on until `deadline_ns`, at most one cell. PH_AGAIN: all cells are of the newest samples. */
PH_NODISCARD enum ph_status dand_strip_step(struct dand_strip *strip, struct phi_dand_live *live,
                                            int64_t deadline_ns);

/* The whole row of latent[2 + n][p] into rgb[64][n * 64][3]; begins what was under way anew. */
PH_NODISCARD enum ph_status dand_strip_render(struct dand_strip *strip, struct phi_dand_live *live,
                                              const float *latent, uint8_t *rgb);

/* The network's picture [3][64][64] in -1..1 as bytes, a row of pixels every `stride` bytes. */
void dand_to_bytes(const float *picture, size_t stride, uint8_t *rgb);

#endif
