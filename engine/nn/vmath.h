/* SPDX-License-Identifier: MIT
 *
 * Exponential, tanh and logistic function in float32, written so that the compiler makes vector
 * loops of them: no calls, no branches, no tables, no FMA, hence the same bits on every path.
 * Errors against the exact values: below 3e-7 relative for exp, 2e-7 absolute for the others. Pure.
 */
#ifndef PHI_NN_VMATH_H
#define PHI_NN_VMATH_H

#include <stdint.h>

static inline float phi_clampf(float x, float lo, float hi)
{
    x = x < lo ? lo : x;
    return x > hi ? hi : x;
}

/* exp(x) = 2^n exp(r) with |r| <= ln 2 / 2 and a Taylor sum of degree 7 for exp(r), whose remainder
 * is below 1e-8. x is clamped to +-87, where the result is still a normal number. */
static inline float phi_expf(float x)
{
    union {
        float f;
        int32_t i;
    } power;
    float n, r, sum;

    x = phi_clampf(x, -87.0f, 87.0f);
    n = (x * 1.44269504f + 12582912.0f) - 12582912.0f; /* round to nearest by 1.5 * 2^23 */
    r = (x - n * 0.693359375f) + n * 2.12194440e-4f;   /* ln 2 in two parts */
    sum = 1.0f / 5040 * r + 1.0f / 720;
    sum = sum * r + 1.0f / 120;
    sum = sum * r + 1.0f / 24;
    sum = sum * r + 1.0f / 6;
    sum = sum * r + 0.5f;
    sum = sum * r + 1.0f;
    sum = sum * r + 1.0f;
    power.i = ((int32_t)n + 127) * (1 << 23);
    return sum * power.f;
}

/* tanh(x) = 1 - 2 / (exp(2 x) + 1), and its series near 0, where that cancels. */
static inline float phi_tanhf(float x)
{
    float q = x * x;
    float series =
        x * (1 + q * (-1.0f / 3 + q * (2.0f / 15 + q * (-17.0f / 315 + q * (62.0f / 2835)))));
    float whole = 1.0f - 2.0f / (phi_expf(2.0f * x) + 1.0f);

    return q < 0.09f ? series : whole;
}

static inline float phi_sigmoidf(float x)
{
    return 1.0f / (1.0f + phi_expf(-x));
}

/* Keras' hard sigmoid. */
static inline float phi_hard_sigmoidf(float x)
{
    return phi_clampf(0.2f * x + 0.5f, 0.0f, 1.0f);
}

#endif
