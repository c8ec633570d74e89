/* SPDX-License-Identifier: MIT
 *
 * Compiled once per instruction set with PHI_SPATIAL_SET naming the table. Vectors are the
 * compiler's own type of one register's width, so one text serves all. Multiply-adds are fused here
 * (-ffp-contract=fast): smoothing is bound by them.
 */
#include "signal/spatial_kernels.h"

#include <math.h>
#include <string.h>

#if defined(__AVX512F__)
#    define LANES 16
#elif defined(__AVX2__)
#    define LANES 8
#else
#    define LANES 4
#endif

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef float vecu __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint32_t bits_of_float __attribute__((may_alias));
typedef float v4 __attribute__((vector_size(16)));
typedef float v4u __attribute__((vector_size(16), aligned(4), may_alias));

#define SAMPLE_BLOCK 64
#define POLE         (-0.26794919243112270647) /* sqrt(3) - 2 */
#define GAIN         6.0F                      /* (1 - POLE)(1 - 1 / POLE) */
#define POLE_REACH   18                        /* |POLE|^18 is below float32 resolution */

/* On the bits: comparing floats would keep the loops from being vectorised. Returns 1 if *bits is
 * not finite, and clears it then. */
static inline uint32_t clear_bad(uint32_t *bits)
{
    uint32_t bad = (*bits & 0x7f800000U) == 0x7f800000U ? 1U : 0U;

    *bits &= bad - 1U;
    return bad;
}

static uint32_t load_row(const bits_of_float *restrict in, size_t n, bits_of_float *restrict out)
{
    uint32_t n_bad = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t bits = in[i];

        n_bad += clear_bad(&bits);
        out[i] = bits;
    }
    return n_bad;
}

static uint32_t load_row_kept(const bits_of_float *restrict in, const uint8_t *restrict keep,
                              size_t n, bits_of_float *restrict out)
{
    uint32_t n_bad = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t bits = in[i] & (0U - (uint32_t)(keep[i] != 0));

        n_bad += clear_bad(&bits);
        out[i] = bits;
    }
    return n_bad;
}

static size_t load_rows(const float *in, const uint8_t *keep, const struct phi_rows *rows,
                        float *out)
{
    size_t n_bad = 0;

    for (size_t r = 0; r < rows->n_rows; r++) {
        const bits_of_float *from = (const bits_of_float *)(in + r * rows->in_stride);
        bits_of_float *to = (bits_of_float *)(out + r * rows->out_stride);

        n_bad += keep ? load_row_kept(from, keep + r * rows->in_stride, rows->width, to)
                      : load_row(from, rows->width, to);
    }
    return n_bad;
}

static void stencil_tail(const float *in, size_t step, const float *w, size_t radius, size_t n,
                         float *out)
{
    for (size_t i = 0; i < n; i++) {
        float sum = w[0] * in[i];

        for (size_t k = 1; k <= radius; k++)
            sum += w[k] * (*(in + i - k * step) + in[i + k * step]);
        out[i] = sum;
    }
}

static void stencil(const float *in, size_t step, const float *w, size_t radius, size_t n,
                    float *out)
{
    size_t i = 0;

    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        const vecu *c = (const vecu *)(in + i);
        vec a = c[0] * w[0], b = c[1] * w[0], d = c[2] * w[0], e = c[3] * w[0];

        for (size_t k = 1; k <= radius; k++) {
            const vecu *lo = (const vecu *)(in + i - k * step);
            const vecu *hi = (const vecu *)(in + i + k * step);

            a += w[k] * (lo[0] + hi[0]);
            b += w[k] * (lo[1] + hi[1]);
            d += w[k] * (lo[2] + hi[2]);
            e += w[k] * (lo[3] + hi[3]);
        }
        ((vecu *)(out + i))[0] = a;
        ((vecu *)(out + i))[1] = b;
        ((vecu *)(out + i))[2] = d;
        ((vecu *)(out + i))[3] = e;
    }
    stencil_tail(in + i, step, w, radius, n - i, out + i);
}

static void stencil_slices(const float *const *slices, const float *w, size_t radius, size_t n,
                           float *out)
{
    const float *const *mid = slices + radius;
    size_t i = 0;

    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        const vecu *c = (const vecu *)(mid[0] + i);
        vec a = c[0] * w[0], b = c[1] * w[0], d = c[2] * w[0], e = c[3] * w[0];

        for (size_t k = 1; k <= radius; k++) {
            const vecu *lo = (const vecu *)(*(mid - k) + i);
            const vecu *hi = (const vecu *)(mid[k] + i);

            a += w[k] * (lo[0] + hi[0]);
            b += w[k] * (lo[1] + hi[1]);
            d += w[k] * (lo[2] + hi[2]);
            e += w[k] * (lo[3] + hi[3]);
        }
        ((vecu *)(out + i))[0] = a;
        ((vecu *)(out + i))[1] = b;
        ((vecu *)(out + i))[2] = d;
        ((vecu *)(out + i))[3] = e;
    }
    for (; i < n; i++) {
        float sum = w[0] * mid[0][i];

        for (size_t k = 1; k <= radius; k++)
            sum += w[k] * ((*(mid - k))[i] + mid[k][i]);
        out[i] = sum;
    }
}

static void store_scaled(const float *in, const float *column_scale, const float *row_scale,
                         const struct phi_rows *rows, float *out)
{
    for (size_t r = 0; r < rows->n_rows; r++) {
        const float *restrict from = in + r * rows->in_stride;
        float *restrict to = out + r * rows->out_stride;

        for (size_t i = 0; i < rows->width; i++)
            to[i] = from[i] * (column_scale[i] * row_scale[r]);
    }
}

static void store_weighted(const float *in, const float *scale, const struct phi_rows *rows,
                           float *out)
{
    for (size_t r = 0; r < rows->n_rows; r++) {
        const float *restrict from = in + r * rows->in_stride;
        const float *restrict by = scale + r * rows->out_stride;
        float *restrict to = out + r * rows->out_stride;

        for (size_t i = 0; i < rows->width; i++)
            to[i] = from[i] * by[i];
    }
}

/* row = gain * row + weight * other, elementwise. */
static void add_row(float *restrict row, const float *restrict other, float weight, float gain,
                    size_t width)
{
    for (size_t i = 0; i < width; i++)
        row[i] = gain * row[i] + weight * other[i];
}

/* The causal start: GAIN times the sum of POLE^k s[k] over the mirrored signal, into row 0. */
static void causal_start(float *data, size_t n, size_t stride, size_t width)
{
    size_t period = 2 * n - 2;
    size_t reach = period < POLE_REACH ? period : POLE_REACH;
    double weight = POLE;
    /* With a short axis the mirrored signal repeats within reach: sum the geometric series. */
    double gain = period < POLE_REACH ? GAIN / (1.0 - pow(POLE, (double)period)) : GAIN;

    for (size_t k = 1; k < reach; k++, weight *= POLE) {
        size_t from = k < n ? k : period - k;

        add_row(data, data + from * stride, (float)weight, 1.0F, width);
    }
    for (size_t i = 0; i < width; i++)
        data[i] *= (float)gain;
}

static void prefilter(float *data, size_t n, size_t stride, size_t width)
{
    const float pole = (float)POLE;
    const float last = (float)(POLE / (POLE * POLE - 1.0));

    if (n < 2)
        return;
    causal_start(data, n, stride, width);
    for (size_t k = 1; k < n; k++)
        add_row(data + k * stride, data + (k - 1) * stride, pole, GAIN, width);
    add_row(data + (n - 1) * stride, data + (n - 2) * stride, last * pole, last, width);
    for (size_t k = n - 1; k-- > 0;)
        add_row(data + k * stride, data + (k + 1) * stride, pole, -pole, width);
}

/* Where a block of points falls: tap weights by axis, first tap, inside or not. */
struct block {
    float w[3][SAMPLE_BLOCK][4];
    int32_t tap[3][SAMPLE_BLOCK];
    float inside[SAMPLE_BLOCK];
};

static void locate(const struct phi_spline_points *p, size_t first, size_t n, int axis,
                   size_t n_axis, struct block *block)
{
    const double *m = p->map + 4 * axis;
    const double top = (double)(n_axis - 1);
    float f[SAMPLE_BLOCK];

    for (size_t i = 0; i < n; i++) {
        double at = m[0] * (double)p->x[first + i] + m[1] * (double)p->y[first + i] +
                    m[2] * (double)p->z[first + i] + m[3];
        float in = at >= -p->slack && at <= top + p->slack ? 1.0F : 0.0F;

        at = at > 0.0 ? at : 0.0; /* also NaN */
        at = at < top ? at : top;
        block->tap[axis][i] = (int32_t)at;
        f[i] = (float)(at - (double)(int32_t)at);
        block->inside[i] *= in;
    }
    for (size_t i = 0; i < n; i++) {
        float a = f[i];
        float b = 1.0F - a;

        block->w[axis][i][0] = b * b * b * (1.0F / 6.0F);
        block->w[axis][i][1] = 2.0F / 3.0F - a * a * (1.0F - 0.5F * a);
        block->w[axis][i][2] = 2.0F / 3.0F - b * b * (1.0F - 0.5F * b);
        block->w[axis][i][3] = a * a * a * (1.0F / 6.0F);
    }
}

/* The 64 taps of point i, four at a time along x. */
static float tap_sum(const struct phi_spline_view *s, const struct block *block, size_t i)
{
    const float *c = s->origin + block->tap[0][i] + (size_t)block->tap[1][i] * s->row +
                     (size_t)block->tap[2][i] * s->slice - 1 - s->row - s->slice;
    const float *wx = block->w[0][i];
    const float *wy = block->w[1][i];
    const float *wz = block->w[2][i];
    v4 sum = {0, 0, 0, 0};

    for (int k = 0; k < 4; k++, c += s->slice) {
        v4 plane = *(const v4u *)c * wy[0];

        plane += *(const v4u *)(c + s->row) * wy[1];
        plane += *(const v4u *)(c + 2 * s->row) * wy[2];
        plane += *(const v4u *)(c + 3 * s->row) * wy[3];
        sum += plane * wz[k];
    }
    sum *= *(const v4u *)wx;
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static size_t sample(const struct phi_spline_view *spline, const struct phi_spline_points *points,
                     float *out, float *inside)
{
    struct block block;
    size_t n_inside = 0;

    for (size_t first = 0; first < points->n; first += SAMPLE_BLOCK) {
        size_t left = points->n - first;
        size_t n = left < SAMPLE_BLOCK ? left : SAMPLE_BLOCK;
        float count = 0;

        for (size_t i = 0; i < n; i++)
            block.inside[i] = 1.0F;
        for (int axis = 0; axis < 3; axis++)
            locate(points, first, n, axis, spline->n[axis], &block);
        for (size_t i = 0; i < n; i++) {
            out[first + i] = block.inside[i] * tap_sum(spline, &block, i);
            inside[first + i] = block.inside[i];
            count += block.inside[i];
        }
        n_inside += (size_t)count;
    }
    return n_inside;
}

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

extern const struct phi_spatial_kernels PHI_SPATIAL_SET;
const struct phi_spatial_kernels PHI_SPATIAL_SET = {
    .name = TEXT(PHI_SPATIAL_SET),
    .load_rows = load_rows,
    .stencil = stencil,
    .stencil_slices = stencil_slices,
    .store_scaled = store_scaled,
    .store_weighted = store_weighted,
    .prefilter = prefilter,
    .sample = sample,
};
