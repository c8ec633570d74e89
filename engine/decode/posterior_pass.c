/* SPDX-License-Identifier: MIT
 *
 * The visits to the voxels, in chunks that the threads share out. float32 inside a chunk, float64
 * across chunks; sums over chunks are made in a fixed order, so that the bits do not depend on the
 * number of threads.
 */
#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/simd.h"
#include "decode/fork.h"
#include "decode/posterior_private.h"

static size_t chunk_width(size_t n, size_t chunk)
{
    return n - chunk * PHI_FIT_CHUNK < PHI_FIT_CHUNK ? n - chunk * PHI_FIT_CHUNK : PHI_FIT_CHUNK;
}

static size_t n_chunks(size_t n)
{
    return (n + PHI_FIT_CHUNK - 1) / PHI_FIT_CHUNK;
}

static float *worker_scratch(const struct phi_fit *fit, size_t worker, size_t half)
{
    return fit->scratch + (2 * worker + half) * fit->n * PHI_FIT_CHUNK;
}

/* The element-wise loops: one row of a chunk at a time, sums per voxel in the order of the rows. */

PHI_VECTOR static void add_mean(const float *y, size_t width, double share, double *mean)
{
    for (size_t j = 0; j < width; j++)
        mean[j] += (double)y[j] * share;
}

PHI_VECTOR static void add_variance(const float *y, const double *mean, size_t width, double share,
                                    double *variance)
{
    for (size_t j = 0; j < width; j++) {
        double e = (double)y[j] - mean[j];

        variance[j] += e * e * share;
    }
}

PHI_VECTOR static void centre(const float *y, const double *mean, size_t width, float *out)
{
    for (size_t j = 0; j < width; j++)
        out[j] = (float)((double)y[j] - mean[j]);
}

PHI_VECTOR static void centre_and_scale(const float *y, const double *mean, const double *scale,
                                        size_t width, float *out)
{
    for (size_t j = 0; j < width; j++)
        out[j] = (float)(((double)y[j] - mean[j]) * scale[j]);
}

PHI_VECTOR static void add_moments(const float *e, size_t width, double *square, double *fourth)
{
    for (size_t j = 0; j < width; j++) {
        double s = (double)e[j] * (double)e[j];

        square[j] += s;
        fourth[j] += s * s;
    }
}

PHI_VECTOR static void multiply(const float *w, const double *scale, size_t width, float *out)
{
    for (size_t j = 0; j < width; j++)
        out[j] = (float)((double)w[j] * scale[j]);
}

PHI_VECTOR static void add_row(const float *x, size_t width, double *sum)
{
    for (size_t j = 0; j < width; j++)
        sum[j] += (double)x[j];
}

/* Mean and variance of one chunk of voxels. */
static enum ph_status describe_task(void *ctx, size_t task, size_t worker, struct ph_error *reterr)
{
    struct phi_fit *fit = ctx;
    size_t first = task * PHI_FIT_CHUNK, width = chunk_width(fit->q, task);
    const float *y = fit->data->y + first;
    double share = 1 / (double)fit->n;

    (void)worker;
    (void)reterr;
    for (size_t i = 0; i < fit->n; i++)
        add_mean(y + i * fit->q, width, share, fit->mean + first);
    for (size_t i = 0; i < fit->n; i++)
        add_variance(y + i * fit->q, fit->mean + first, width, share, fit->var_y + first);
    return PH_OK;
}

enum ph_status phi_fit_describe(struct phi_fit *fit)
{
    return phi_fork(fit->n_threads, n_chunks(fit->q), describe_task, fit, fit->reterr);
}

/* Voxels order[first ..] of the data, centred and multiplied by `scale` (NULL: 1), into
 * out[n][width]. Most chunks are voxels in a row, which the compiler can take many at a time. */
static void load(const struct phi_fit *fit, size_t first, size_t width, const double *scale,
                 float *out)
{
    const uint32_t *order = fit->order + first;
    bool in_a_row = order[width - 1] - order[0] == width - 1;

    for (size_t i = 0; i < fit->n; i++) {
        const float *row = fit->data->y + i * fit->q;

        if (in_a_row && scale)
            centre_and_scale(row + order[0], fit->mean + order[0], scale + order[0], width,
                             out + i * width);
        else if (in_a_row)
            centre(row + order[0], fit->mean + order[0], width, out + i * width);
        for (size_t j = 0; !in_a_row && j < width; j++)
            out[i * width + j] = (float)(((double)row[order[j]] - fit->mean[order[j]]) *
                                         (scale ? scale[order[j]] : 1));
    }
}

/* Residual moments of one chunk under the current penalty, kept where they are better. */
static enum ph_status moments_task(void *ctx, size_t task, size_t worker, struct ph_error *reterr)
{
    struct phi_fit *fit = ctx;
    size_t n = fit->n, first = task * PHI_FIT_CHUNK, width = chunk_width(fit->n_used, task);
    float *y = worker_scratch(fit, worker, 0), *e = worker_scratch(fit, worker, 1);
    double squares[PHI_FIT_CHUNK] = {0}, fourths[PHI_FIT_CHUNK] = {0};

    (void)reterr;
    load(fit, first, width, NULL, y);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)width, (int)n, 1, fit->r32,
                (int)n, y, (int)width, 0, e, (int)width);
    for (size_t i = 0; i < n; i++)
        add_moments(e + i * width, width, squares, fourths);
    for (size_t j = 0; j < width; j++) {
        size_t v = fit->order[first + j];
        double square = squares[j] / (double)n, fourth = fourths[j] / (double)n;

        if (fit->ss[v] > 0 && square >= fit->ss[v])
            continue;
        fit->ss[v] = square;
        fit->fourth[v] = fourth;
        fit->choice[v] = (uint8_t)fit->group->penalty;
    }
    return PH_OK;
}

enum ph_status phi_fit_moments(struct phi_fit *fit, const struct phi_fit_group *group)
{
    fit->group = group;
    return phi_fork(fit->n_threads, n_chunks(fit->n_used), moments_task, fit, fit->reterr);
}

/* Partial Gram matrix `task` of the group: its chunks task, task + PHI_FIT_SUMS, ... */
static enum ph_status gram_task(void *ctx, size_t task, size_t worker, struct ph_error *reterr)
{
    struct phi_fit *fit = ctx;
    size_t n = fit->n;
    float *y = worker_scratch(fit, worker, 0), *part = fit->scratch_gram + worker * n * n;
    double *sum = fit->gram + task * n * n;

    (void)reterr;
    memset(sum, 0, n * n * sizeof *sum);
    for (size_t chunk = task; chunk < n_chunks(fit->group->n); chunk += PHI_FIT_SUMS) {
        size_t width = chunk_width(fit->group->n, chunk);

        load(fit, fit->group->first + chunk * PHI_FIT_CHUNK, width, fit->inverse, y);
        cblas_ssyrk(CblasRowMajor, CblasUpper, CblasNoTrans, (int)n, (int)width, 1, y, (int)width,
                    0, part, (int)n);
        for (size_t i = 0; i < n; i++)
            add_row(part + i * n + i, n - i, sum + i * n + i);
    }
    return PH_OK;
}

enum ph_status phi_fit_gram(struct phi_fit *fit, const struct phi_fit_group *group)
{
    size_t n = fit->n;
    enum ph_status status;

    fit->group = group;
    status = phi_fork(fit->n_threads, PHI_FIT_SUMS, gram_task, fit, fit->reterr);
    for (size_t s = 1; s < PHI_FIT_SUMS; s++)
        for (size_t i = 0; i < n * n; i++)
            fit->gram[i] += fit->gram[s * n * n + i];
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            fit->gram[i * n + j] = fit->gram[j * n + i];
    return status;
}

/* One chunk of W and c. The last rows of the map are for constant and nuisance. */
static enum ph_status weights_task(void *ctx, size_t task, size_t worker, struct ph_error *reterr)
{
    struct phi_fit *fit = ctx;
    size_t n = fit->n, p = fit->p, n_map = p + fit->smoother->n_free;
    size_t first = fit->group->first + task * PHI_FIT_CHUNK;
    size_t width = chunk_width(fit->group->n, task);
    float *y = worker_scratch(fit, worker, 0), *w = worker_scratch(fit, worker, 1);
    const uint32_t *order = fit->order + first;
    bool in_a_row = order[width - 1] - order[0] == width - 1;

    (void)reterr;
    load(fit, first, width, fit->inverse, y);
    for (size_t from = 0; from < n_map; from += n) { /* n rows fit the scratch */
        size_t rows = n_map - from < n ? n_map - from : n;

        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)width, (int)n, 1,
                    fit->m32 + from * n, (int)n, y, (int)width, 0, w, (int)width);
        for (size_t k = 0; k < rows; k++) {
            if (in_a_row && from + k < p) {
                multiply(w + k * width, fit->inverse + order[0], width,
                         fit->out->w + (from + k) * fit->q + order[0]);
                continue;
            }
            for (size_t j = 0; j < width; j++) {
                size_t v = fit->order[first + j];
                float value = w[k * width + j];

                if (from + k < p)
                    fit->out->w[(from + k) * fit->q + v] = (float)((double)value * fit->inverse[v]);
                else if (from + k == p)
                    fit->out->c[v] = (float)((fit->mean[v] + (double)value * fit->sd[v]) /
                                             (1 - fit->options->rho));
                else
                    fit->out->extra[(from + k - p - 1) * fit->q + v] =
                        (float)((double)value * fit->sd[v]);
            }
        }
    }
    return PH_OK;
}

enum ph_status phi_fit_weights(struct phi_fit *fit, const struct phi_fit_group *group)
{
    fit->group = group;
    return phi_fork(fit->n_threads, n_chunks(group->n), weights_task, fit, fit->reterr);
}
