/* SPDX-License-Identifier: MIT
 *
 * Seeded random numbers: xoshiro256** (Blackman and Vigna 2018) seeded through SplitMix64, so that
 * (seed, stream) pairs give independent sequences and the same pair gives the same numbers on every
 * machine. Not for keys. One generator belongs to one thread.
 */
#ifndef PHI_BASE_RNG_H
#define PHI_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct phi_rng {
    uint64_t s[4];
    double spare_normal; /* the second value of the last Box-Muller pair */
    int has_spare;
};

/* Starts `rng` at the beginning of the sequence of (seed, stream). */
void phi_rng_init(struct phi_rng *rng, uint64_t seed, uint64_t stream);

/* Uniform 64 bits. */
uint64_t phi_rng_u64(struct phi_rng *rng);

/* Uniform integer in [0, n), without bias; 0 if n is 0. */
uint64_t phi_rng_below(struct phi_rng *rng, uint64_t n);

/* Uniform in [0, 1), 53 bits. */
double phi_rng_uniform(struct phi_rng *rng);

/* Standard normal (Box and Muller 1958). */
double phi_rng_normal(struct phi_rng *rng);

/* Fills out[n] with standard normal float32 values. */
void phi_rng_normal_f32(struct phi_rng *rng, float *out, size_t n);

/* Random permutation of 0..n-1 in out[n] (Fisher and Yates). */
void phi_rng_permutation(struct phi_rng *rng, uint32_t *out, size_t n);

#endif
