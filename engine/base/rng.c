/* SPDX-License-Identifier: MIT */
#include "base/rng.h"

#include <math.h>

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void phi_rng_init(struct phi_rng *rng, uint64_t seed, uint64_t stream)
{
    uint64_t state = seed;
    uint64_t mixed = splitmix64(&state) ^ (stream * 0xd1342543de82ef95ULL);

    for (int i = 0; i < 4; i++)
        rng->s[i] = splitmix64(&mixed);
    rng->spare_normal = 0;
    rng->has_spare = 0;
}

uint64_t phi_rng_u64(struct phi_rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t phi_rng_below(struct phi_rng *rng, uint64_t n)
{
    uint64_t limit;
    uint64_t x;

    if (n == 0)
        return 0;
    limit = UINT64_MAX - UINT64_MAX % n; /* values from here on would favour small results */
    do
        x = phi_rng_u64(rng);
    while (x >= limit);
    return x % n;
}

double phi_rng_uniform(struct phi_rng *rng)
{
    return (double)(phi_rng_u64(rng) >> 11) * 0x1p-53;
}

double phi_rng_normal(struct phi_rng *rng)
{
    double radius;
    double angle;

    if (rng->has_spare) {
        rng->has_spare = 0;
        return rng->spare_normal;
    }
    radius = sqrt(-2.0 * log(1.0 - phi_rng_uniform(rng)));
    angle = 6.283185307179586477 * phi_rng_uniform(rng);
    rng->spare_normal = radius * sin(angle);
    rng->has_spare = 1;
    return radius * cos(angle);
}

void phi_rng_normal_f32(struct phi_rng *rng, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)phi_rng_normal(rng);
}

void phi_rng_permutation(struct phi_rng *rng, uint32_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint32_t)i;
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)phi_rng_below(rng, i);
        uint32_t swap = out[i - 1];

        out[i - 1] = out[j];
        out[j] = swap;
    }
}
