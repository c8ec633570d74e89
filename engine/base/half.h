/* SPDX-License-Identifier: MIT
 *
 * The two 16-bit storage formats of model files: IEEE 754 binary16 and bfloat16 (the upper half of
 * a binary32), as bit patterns. Widening is exact; narrowing rounds to nearest, ties to even, and
 * keeps NaN a NaN. Header-only, pure.
 */
#ifndef PHI_BASE_HALF_H
#define PHI_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float phi_f32_from_bits(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t phi_f32_bits(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The value of a bfloat16. */
static inline float phi_f32_from_bf16(uint16_t half)
{
    return phi_f32_from_bits((uint32_t)half << 16);
}

/* The bfloat16 nearest to `value`. */
static inline uint16_t phi_bf16_from_f32(float value)
{
    uint32_t bits = phi_f32_bits(value);

    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* The value of a binary16. */
static inline float phi_f32_from_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t rest = half & 0x7fffu;

    if (rest >= 0x7c00u) /* infinity or NaN */
        return phi_f32_from_bits(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
    if (rest >= 0x400u) /* normal: rebias the exponent from 15 to 127 */
        return phi_f32_from_bits(sign | ((rest << 13) + (112u << 23)));
    return phi_f32_from_bits(sign | phi_f32_bits((float)rest * 0x1p-24f));
}

/* The binary16 nearest to `value`; infinity beyond 65504 (from 65520 up). */
static inline uint16_t phi_f16_from_f32(float value)
{
    uint32_t bits = phi_f32_bits(value);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    uint32_t rest = bits & 0x7fffffffu;

    if (rest > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (rest >= 0x477ff000u) /* 65520 */
        return (uint16_t)(sign | 0x7c00u);
    if (rest < 0x38800000u) { /* below 2^-14: adding 0.5 leaves the subnormal's bits, rounded */
        float shifted = phi_f32_from_bits(rest) + 0.5f;

        return (uint16_t)(sign | (phi_f32_bits(shifted) - 0x3f000000u));
    }
    rest -= 112u << 23;
    return (uint16_t)(sign | ((rest + 0xfffu + (rest >> 13 & 1u)) >> 13));
}

#endif
