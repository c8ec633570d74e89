/* SPDX-License-Identifier: MIT
 *
 * The way from one latent to the next: where the moving picture of a generator stands at a given
 * time. A generator aims at each new posterior mean; the latent then glides there, so that the eye
 * sees one face change into another instead of jumps. Memory is the caller's host's; one thread.
 */
#ifndef PLUGINS_GENERATOR_COMMON_MORPH_H
#define PLUGINS_GENERATOR_COMMON_MORPH_H

#include <stdbool.h>

#include "phosphene/plugin.h"

struct phi_morph {
    size_t n;
    float *from; /* [n] */
    float *to;   /* [n] */
    float *now;  /* [n] where the picture stands */
    int64_t start_ns;
    int64_t glide_ns;
    bool spherical;
    bool aimed;
};

/* Takes memory for `n` components from `host`; starts at the origin, the mean picture. */
PH_NODISCARD enum ph_status phi_morph_init(struct phi_morph *morph, size_t n, double glide_s,
                                           bool spherical, const struct ph_host *host);

/* From where it stands towards to[n], beginning at now_ns. */
void phi_morph_aim(struct phi_morph *morph, const float *to, int64_t now_ns);

/* Moves `now` to its place at now_ns. True if it has arrived. */
bool phi_morph_move(struct phi_morph *morph, int64_t now_ns);

/* Back to the origin. */
void phi_morph_reset(struct phi_morph *morph);

/* ret = the point at t in 0..1 between a and b: linear, or along the arc with its length in between
 * (Shoemake 1985, for latents whose length carries meaning). ret may be a or b. */
void phi_morph_between(const float *a, const float *b, size_t n, float t, bool spherical,
                       float *ret);

#endif
