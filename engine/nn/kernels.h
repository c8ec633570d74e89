/* SPDX-License-Identifier: MIT
 *
 * Flat vector loops of the live path, compiled for several instruction sets and chosen once. No FMA
 * and no reordered sums: every set gives the same bits. Arrays do not overlap unless stated.
 */
#ifndef PHI_NN_KERNELS_H
#define PHI_NN_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

struct phi_kernels {
    /* out = f c + i tanh(g), from pre-activations; `out` may be `c`. gates = {i, f, g, c}. */
    void (*cell)(const float *const *gates, float *out, size_t n, bool hard);
    /* out = o tanh(c). */
    void (*output)(const float *o, const float *c, float *out, size_t n, bool hard);
    /* over = max(a - b, 0), under = max(b - a, 0). */
    void (*pair)(const float *a, const float *b, float *const *over_under, size_t n);
    /* One row of 2x2 maxima of pixels with `width` channels: n_out pixels from two input rows. */
    void (*pool_row)(const float *const *rows, float *out, size_t n_out, size_t width);
    /* x = y for y >= 0 and slope y below, with y = x + bias, in place on n pixels of `width`
     * channels; slope 1 only adds. */
    void (*bias)(float *x, const float *bias, const size_t *n_width, float slope);
    /* In place. */
    void (*tanh)(float *x, size_t n);
    void (*sigmoid)(float *x, size_t n);
};

/* The table for this processor. */
const struct phi_kernels *phi_kernels(void);

extern const struct phi_kernels phi_kernels_base;
#if defined(__x86_64__)
extern const struct phi_kernels phi_kernels_avx2, phi_kernels_avx512;
#endif

#endif
