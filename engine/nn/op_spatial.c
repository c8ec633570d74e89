/* SPDX-License-Identifier: MIT
 * Pooling, resizing and total variation on pictures [n][c][h][w]. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "nn/op.h"

struct planes {
    size_t n, h, w, out_h, out_w;
};

static struct planes planes_of(const struct phi_op_run *run)
{
    const size_t *in = run->in_shape[0].dim, *out = run->node->shape.dim;

    return (struct planes){in[0] * in[1], in[2], in[3], out[2], out[3]};
}

/* Where in the window at `top` the largest value is; the first of equals. */
static size_t largest(const float *top, size_t width, size_t kernel)
{
    size_t best = 0;

    for (size_t y = 0; y < kernel; y++) {
        for (size_t x = 0; x < kernel; x++) {
            if (top[y * width + x] > top[best])
                best = y * width + x;
        }
    }
    return best;
}

static float window_sum(const float *top, size_t width, size_t kernel)
{
    float sum = 0;

    for (size_t y = 0; y < kernel; y++) {
        for (size_t x = 0; x < kernel; x++)
            sum += top[y * width + x];
    }
    return sum;
}

static void pool_plane(const struct phi_op_run *run, const struct planes *p, size_t n)
{
    size_t kernel = (size_t)run->node->a[1], stride = (size_t)run->node->a[2];
    const float *x = run->in[0] + n * p->h * p->w;
    float *y = run->out + n * p->out_h * p->out_w;
    float share = 1.0f / (float)(kernel * kernel);

    for (size_t i = 0; i < p->out_h; i++) {
        for (size_t j = 0; j < p->out_w; j++) {
            const float *top = x + i * stride * p->w + j * stride;

            y[i * p->out_w + j] = run->node->a[0] ? top[largest(top, p->w, kernel)]
                                                  : share * window_sum(top, p->w, kernel);
        }
    }
}

static void unpool_plane(const struct phi_op_run *run, const struct planes *p, size_t n)
{
    size_t kernel = (size_t)run->node->a[1], stride = (size_t)run->node->a[2];
    const float *x = run->in[0] + n * p->h * p->w;
    const float *g = run->grad_out + n * p->out_h * p->out_w;
    float *gx = run->grad_in[0] + n * p->h * p->w;
    float share = 1.0f / (float)(kernel * kernel);

    for (size_t k = 0; k < p->out_h * p->out_w; k++) {
        size_t at = k / p->out_w * stride * p->w + k % p->out_w * stride;

        if (run->node->a[0]) {
            gx[at + largest(x + at, p->w, kernel)] += g[k];
            continue;
        }
        for (size_t i = 0; i < kernel * kernel; i++)
            gx[at + i / kernel * p->w + i % kernel] += share * g[k];
    }
}

static enum ph_status forward_pool(struct phi_op_run *run)
{
    struct planes p = planes_of(run);

    PHI_PARALLEL(p.n * p.h * p.w)
    for (size_t n = 0; n < p.n; n++)
        pool_plane(run, &p, n);
    return PH_OK;
}

static enum ph_status backward_pool(struct phi_op_run *run)
{
    struct planes p = planes_of(run);

    PHI_PARALLEL(p.n * p.h * p.w)
    for (size_t n = 0; n < p.n; n++)
        unpool_plane(run, &p, n);
    return PH_OK;
}

const struct phi_op_kind phi_op_pool = {"pool", NULL, forward_pool, backward_pool, NULL, false};

/* Where one output coordinate reads: two rows (or columns) and the weight of the second. */
struct tap {
    size_t a, b;
    float weight;
};

static struct tap tap_of(size_t i, size_t n_in, size_t n_out, bool bilinear)
{
    double at;
    size_t a;

    if (!bilinear) {
        a = i * n_in / n_out;
        return (struct tap){a, a, 0};
    }
    at = ((double)i + 0.5) * (double)n_in / (double)n_out - 0.5;
    at = at > 0 ? at : 0;
    a = (size_t)at < n_in - 1 ? (size_t)at : n_in - 1;
    return (struct tap){a, a + 1 < n_in ? a + 1 : a, (float)(at - (double)a)};
}

static enum ph_status prepare_resize(struct phi_op_run *run, bool backward, struct ph_error *reterr)
{
    struct planes p = planes_of(run);
    struct tap *tap = phi_calloc(p.out_h + p.out_w, sizeof *tap);

    (void)backward;
    (void)reterr;
    if (!tap)
        return PH_E_NOMEM;
    for (size_t i = 0; i < p.out_h; i++)
        tap[i] = tap_of(i, p.h, p.out_h, run->node->a[0] != 0);
    for (size_t i = 0; i < p.out_w; i++)
        tap[p.out_h + i] = tap_of(i, p.w, p.out_w, run->node->a[0] != 0);
    run->state = tap;
    return PH_OK;
}

static void resize_plane(const struct phi_op_run *run, const struct planes *p, size_t n)
{
    const struct tap *rows = run->state, *columns = rows + p->out_h;
    const float *x = run->in[0] + n * p->h * p->w;
    float *y = run->out + n * p->out_h * p->out_w;

    for (size_t i = 0; i < p->out_h; i++) {
        const float *a = x + rows[i].a * p->w, *b = x + rows[i].b * p->w;

        for (size_t j = 0; j < p->out_w; j++) {
            const struct tap *c = &columns[j];
            float top = a[c->a] + c->weight * (a[c->b] - a[c->a]);
            float bottom = b[c->a] + c->weight * (b[c->b] - b[c->a]);

            y[i * p->out_w + j] = top + rows[i].weight * (bottom - top);
        }
    }
}

static void unresize_plane(const struct phi_op_run *run, const struct planes *p, size_t n)
{
    const struct tap *rows = run->state, *columns = rows + p->out_h;
    const float *g = run->grad_out + n * p->out_h * p->out_w;
    float *gx = run->grad_in[0] + n * p->h * p->w;

    for (size_t k = 0; k < p->out_h * p->out_w; k++) {
        const struct tap *r = &rows[k / p->out_w], *c = &columns[k % p->out_w];
        float top = g[k] * (1 - r->weight), bottom = g[k] * r->weight;

        gx[r->a * p->w + c->a] += top * (1 - c->weight);
        gx[r->a * p->w + c->b] += top * c->weight;
        gx[r->b * p->w + c->a] += bottom * (1 - c->weight);
        gx[r->b * p->w + c->b] += bottom * c->weight;
    }
}

static enum ph_status forward_resize(struct phi_op_run *run)
{
    struct planes p = planes_of(run);

    PHI_PARALLEL(p.n * p.out_h * p.out_w)
    for (size_t n = 0; n < p.n; n++)
        resize_plane(run, &p, n);
    return PH_OK;
}

static enum ph_status backward_resize(struct phi_op_run *run)
{
    struct planes p = planes_of(run);

    PHI_PARALLEL(p.n * p.out_h * p.out_w)
    for (size_t n = 0; n < p.n; n++)
        unresize_plane(run, &p, n);
    return PH_OK;
}

const struct phi_op_kind phi_op_resize = {"resize",        prepare_resize, forward_resize,
                                          backward_resize, phi_free,       false};

/* Forward differences to the right and down, 0 in the last column and row. */
static void differences(const float *x, const struct planes *p, size_t k, float *ret_d)
{
    size_t i = k / p->w, j = k % p->w;

    ret_d[0] = j + 1 < p->w ? x[k + 1] - x[k] : 0;
    ret_d[1] = i + 1 < p->h ? x[k + p->w] - x[k] : 0;
}

static struct planes picture_planes(const struct phi_op_run *run)
{
    const size_t *in = run->in_shape[0].dim;

    return (struct planes){in[0] * in[1], in[2], in[3], in[2], in[3]};
}

static enum ph_status forward_tv(struct phi_op_run *run)
{
    struct planes p = picture_planes(run);
    double half_beta = (double)run->node->f[0] / 2, eps = (double)run->node->f[1], sum = 0;

    for (size_t k = 0; k < p.n * p.h * p.w; k++) {
        const float *plane = run->in[0] + k / (p.h * p.w) * p.h * p.w;
        float d[2];

        differences(plane, &p, k % (p.h * p.w), d);
        sum += pow((double)d[0] * (double)d[0] + (double)d[1] * (double)d[1] + eps, half_beta);
    }
    run->out[0] = (float)sum;
    return PH_OK;
}

/* d v^(beta/2) / d d = beta v^(beta/2 - 1) d. The clamped form (Mahendran and Vedaldi's code)
 * bounds sqrt(v) below by 1e-5. */
static double tv_factor(const struct phi_op_run *run, const float *d)
{
    double beta = (double)run->node->f[0];
    double v = (double)d[0] * (double)d[0] + (double)d[1] * (double)d[1] + (double)run->node->f[1];

    if (run->node->a[0])
        v = v > 1e-10 ? v : 1e-10;
    return v > 0 ? beta * pow(v, beta / 2 - 1) : 0;
}

static enum ph_status backward_tv(struct phi_op_run *run)
{
    struct planes p = picture_planes(run);

    for (size_t k = 0; k < p.n * p.h * p.w; k++) {
        size_t plane = k / (p.h * p.w) * p.h * p.w, at = k % (p.h * p.w);
        float *gx = run->grad_in[0] + plane;
        float d[2], slope;

        differences(run->in[0] + plane, &p, at, d);
        slope = (float)tv_factor(run, d) * run->grad_out[0];
        gx[at] -= slope * (d[0] + d[1]);
        if (at % p.w + 1 < p.w)
            gx[at + 1] += slope * d[0];
        if (at / p.w + 1 < p.h)
            gx[at + p.w] += slope * d[1];
    }
    return PH_OK;
}

const struct phi_op_kind phi_op_tv = {"total variation", NULL, forward_tv,
                                      backward_tv,       NULL, false};
