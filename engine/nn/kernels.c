/* SPDX-License-Identifier: MIT
 * Compiled once per instruction set, with KERNELS naming the table. */
#include "nn/kernels.h"

#include "nn/vmath.h"

static void cell_soft(const float *const *gates, float *out, size_t n)
{
    const float *i = gates[0], *f = gates[1], *g = gates[2], *c = gates[3];

    for (size_t k = 0; k < n; k++)
        out[k] = phi_sigmoidf(f[k]) * c[k] + phi_sigmoidf(i[k]) * phi_tanhf(g[k]);
}

static void cell(const float *const *gates, float *out, size_t n, bool hard)
{
    const float *i = gates[0], *f = gates[1], *g = gates[2], *c = gates[3];

    if (!hard) {
        cell_soft(gates, out, n);
        return;
    }
    for (size_t k = 0; k < n; k++)
        out[k] = phi_hard_sigmoidf(f[k]) * c[k] + phi_hard_sigmoidf(i[k]) * phi_tanhf(g[k]);
}

static void output(const float *o, const float *c, float *out, size_t n, bool hard)
{
    if (hard) {
        for (size_t k = 0; k < n; k++)
            out[k] = phi_hard_sigmoidf(o[k]) * phi_tanhf(c[k]);
    } else {
        for (size_t k = 0; k < n; k++)
            out[k] = phi_sigmoidf(o[k]) * phi_tanhf(c[k]);
    }
}

static void pair(const float *a, const float *b, float *const *over_under, size_t n)
{
    float *restrict over = over_under[0], *restrict under = over_under[1];

    for (size_t k = 0; k < n; k++) {
        float d = a[k] - b[k];

        over[k] = d > 0 ? d : 0;
        under[k] = d < 0 ? -d : 0;
    }
}

static void pool_row(const float *const *rows, float *restrict out, size_t n_out, size_t width)
{
    for (size_t x = 0; x < n_out; x++) {
        const float *a = rows[0] + 2 * x * width, *b = rows[1] + 2 * x * width;

        for (size_t l = 0; l < width; l++) {
            float top = a[l] > a[width + l] ? a[l] : a[width + l];
            float bottom = b[l] > b[width + l] ? b[l] : b[width + l];

            out[x * width + l] = top > bottom ? top : bottom;
        }
    }
}

static void bias_row(float *restrict x, const float *restrict bias, size_t width, float slope)
{
    for (size_t l = 0; l < width; l++) {
        float y = x[l] + bias[l];

        x[l] = y > 0 ? y : slope * y;
    }
}

static void bias_in_place(float *x, const float *bias, const size_t *n_width, float slope)
{
    if (n_width[1] == 16) { /* the usual block, with its width known to the compiler */
        for (size_t i = 0; i < n_width[0]; i++)
            bias_row(x + 16 * i, bias, 16, slope);
        return;
    }
    for (size_t i = 0; i < n_width[0]; i++)
        bias_row(x + i * n_width[1], bias, n_width[1], slope);
}

static void tanh_in_place(float *x, size_t n)
{
    for (size_t k = 0; k < n; k++)
        x[k] = phi_tanhf(x[k]);
}

static void sigmoid_in_place(float *x, size_t n)
{
    for (size_t k = 0; k < n; k++)
        x[k] = phi_sigmoidf(x[k]);
}

const struct phi_kernels KERNELS = {cell,          output,          pair, pool_row, bias_in_place,
                                    tanh_in_place, sigmoid_in_place};
