/* SPDX-License-Identifier: MIT */
#include "decode/gram.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/simd.h"
#include "decode/fork.h"
#include "decode/linalg.h"

/* A panel is wide enough that adding its product to the float64 sum costs under 3 % of the product,
 * and narrow enough that float32 rounding grows with 1024 terms, not with all voxels. */
#define PANEL 1024
#define TILE  512

struct gram_job {
    const struct phi_columns *x;
    const struct phi_gram_options *options;
    double *k; /* [n][n], lower tiles */
    double *mean, *scale;
    size_t n, n_tiles, tile;
    void *panel;                         /* [n][PANEL] */
    double *sd;                          /* [PANEL] */
    void *scratch[PHI_FORK_MAX_THREADS]; /* [tile][tile] */
    size_t width;                        /* columns in the present panel */
    size_t n_varying;
};

void phi_progress_report(const struct phi_progress *progress, const char *stage, double fraction)
{
    if (progress && progress->report)
        progress->report(progress->ctx, stage, fraction);
}

/* Task number to tile of the lower triangle, row by row. */
static void tile_of(size_t task, size_t *ret_row, size_t *ret_col)
{
    size_t row = 0;

    while (task > row)
        task -= ++row;
    *ret_row = row;
    *ret_col = task;
}

static void multiply_f32(const struct gram_job *job, const size_t at[2], const size_t len[2],
                         float *out)
{
    const float *panel = job->panel;
    int w = (int)job->width;

    if (at[0] == at[1])
        cblas_ssyrk(CblasRowMajor, CblasLower, CblasNoTrans, (int)len[0], w, 1,
                    panel + at[0] * job->width, w, 0, out, (int)job->tile);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)len[0], (int)len[1], w, 1,
                    panel + at[0] * job->width, w, panel + at[1] * job->width, w, 0, out,
                    (int)job->tile);
}

static void multiply_f64(const struct gram_job *job, const size_t at[2], const size_t len[2],
                         double *out)
{
    const double *panel = job->panel;
    int w = (int)job->width;

    if (at[0] == at[1])
        cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, (int)len[0], w, 1,
                    panel + at[0] * job->width, w, 0, out, (int)job->tile);
    else
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)len[0], (int)len[1], w, 1,
                    panel + at[0] * job->width, w, panel + at[1] * job->width, w, 0, out,
                    (int)job->tile);
}

PHI_VECTOR static void add_f32(double *sum, const float *x, size_t n)
{
    for (size_t j = 0; j < n; j++)
        sum[j] += (double)x[j];
}

PHI_VECTOR static void add_f64(double *sum, const double *x, size_t n)
{
    for (size_t j = 0; j < n; j++)
        sum[j] += x[j];
}

PHI_VECTOR static void scale_f32(float *x, const double *factor, size_t n)
{
    for (size_t j = 0; j < n; j++)
        x[j] = (float)((double)x[j] * factor[j]);
}

static enum ph_status add_tile(void *ctx, size_t task, size_t worker, struct ph_error *reterr)
{
    const struct gram_job *job = ctx;
    const float *out32 = job->scratch[worker];
    const double *out64 = job->scratch[worker];
    bool wide = job->options->dtype == PHI_DTYPE_F64;
    size_t tile[2], at[2], len[2];

    (void)reterr;
    tile_of(task, &tile[0], &tile[1]);
    for (int s = 0; s < 2; s++) {
        at[s] = tile[s] * job->tile;
        len[s] = at[s] + job->tile <= job->n ? job->tile : job->n - at[s];
    }
    if (wide)
        multiply_f64(job, at, len, job->scratch[worker]);
    else
        multiply_f32(job, at, len, job->scratch[worker]);
    for (size_t i = 0; i < len[0]; i++) {
        double *row = job->k + (at[0] + i) * job->n + at[1];
        size_t n_here = at[0] == at[1] ? i + 1 : len[1];

        if (wide)
            add_f64(row, out64 + i * job->tile, n_here);
        else
            add_f32(row, out32 + i * job->tile, n_here);
    }
    return PH_OK;
}

/* The factor of a column: 0 if it must not act. Refuses a constant one unless allowed. */
static enum ph_status scale_column(struct gram_job *job, size_t column, double sd,
                                   struct ph_error *reterr)
{
    bool kept = !job->options->keep || job->options->keep[column];
    /* What rounding leaves of a constant column is below 1e-6 of its value. */
    bool constant = !(sd > 1e-6 * fabs(job->mean[column]));

    if (kept && constant && !job->options->allow_constant)
        return phi_error(reterr, PH_E_INVAL,
                         "column %zu of the %s is constant: leave it out of the mask, or allow "
                         "constant columns to be ignored",
                         job->x->first_number + column, job->x->name);
    job->scale[column] = !kept || constant ? 0 : job->options->standardise ? sd : 1;
    job->n_varying += kept && !constant;
    return PH_OK;
}

/* Multiplies the panel's columns by the inverse of their scale, row by row as memory lies. */
static void apply_scales(const struct gram_job *job, size_t first)
{
    double *factor = job->sd;

    for (size_t j = 0; j < job->width; j++)
        factor[j] = job->scale[first + j] > 0 ? 1 / job->scale[first + j] : 0;
    for (size_t i = 0; i < job->n; i++) {
        float *row32 = (float *)job->panel + i * job->width;
        double *row64 = (double *)job->panel + i * job->width;

        if (job->options->dtype == PHI_DTYPE_F64)
            for (size_t j = 0; j < job->width; j++)
                row64[j] *= factor[j];
        else
            scale_f32(row32, factor, job->width);
    }
}

static enum ph_status add_panel(struct gram_job *job, size_t first, struct ph_error *reterr)
{
    struct phi_columns_block block = {job->options->dtype, job->panel, job->mean + first, job->sd};
    enum ph_status status = phi_columns_read_centred(job->x, first, job->width, &block, reterr);

    for (size_t j = 0; !status && j < job->width; j++)
        status = scale_column(job, first + j, job->sd[j], reterr);
    if (status)
        return status;
    apply_scales(job, first);
    return phi_fork(job->options->n_threads, job->n_tiles * (job->n_tiles + 1) / 2, add_tile, job,
                    reterr);
}

static enum ph_status add_all_panels(struct gram_job *job, struct ph_error *reterr)
{
    size_t m = job->x->n_cols;

    for (size_t first = 0; first < m; first += PANEL) {
        enum ph_status status;

        job->width = m - first < PANEL ? m - first : PANEL;
        status = add_panel(job, first, reterr);
        if (status)
            return status;
        phi_progress_report(job->options->progress,
                            job->options->stage ? job->options->stage : "products of the rows",
                            (double)(first + job->width) / (double)m);
    }
    if (!job->n_varying && !job->options->allow_none)
        return phi_error(reterr, PH_E_INVAL, "none of the %zu %s varies over the samples", m,
                         job->x->name);
    return PH_OK;
}

static void mirror(double *k, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            k[j * n + i] = k[i * n + j];
}

static enum ph_status take_memory(struct gram_job *job, struct ph_error *reterr)
{
    size_t size = phi_dtype_size(job->options->dtype);
    size_t width = job->x->n_cols < PANEL ? job->x->n_cols : PANEL;
    size_t n_threads = phi_fork_threads(job->options->n_threads);
    bool all = true;

    job->panel = phi_calloc2(job->n, width, size);
    job->sd = phi_calloc(width, sizeof *job->sd);
    for (size_t t = 0; t < n_threads; t++) {
        job->scratch[t] = phi_calloc2(job->tile, job->tile, size);
        all = all && job->scratch[t];
    }
    if (job->panel && job->sd && all)
        return PH_OK;
    return phi_error_nomem(reterr, "panel of the voxels", job->n * width * size);
}

static void free_memory(struct gram_job *job)
{
    for (size_t t = 0; t < PHI_FORK_MAX_THREADS; t++)
        phi_free(job->scratch[t]);
    phi_free(job->panel);
    phi_free(job->sd);
}

enum ph_status phi_gram(const struct phi_columns *x, const struct phi_gram_options *options,
                        double *ret_k, double *ret_mean, double *ret_scale, struct ph_error *reterr)
{
    struct gram_job job = {.x = x,
                           .options = options,
                           .k = ret_k,
                           .mean = ret_mean,
                           .scale = ret_scale,
                           .n = x->n_rows};
    enum ph_status status;
    int before;

    if (x->n_rows < 2 || !x->n_cols || !phi_blas_fits(x->n_rows, PANEL, 1))
        return phi_error(reterr, PH_E_SHAPE, "cannot fit %zu samples of %zu %s", x->n_rows,
                         x->n_cols, x->name);
    job.n_tiles = (job.n + TILE - 1) / TILE;
    job.tile = (job.n + job.n_tiles - 1) / job.n_tiles;
    memset(ret_k, 0, job.n * job.n * sizeof *ret_k);
    status = take_memory(&job, reterr);
    before = phi_blas_set_threads(1);
    if (!status)
        status = add_all_panels(&job, reterr);
    (void)phi_blas_set_threads(before);
    free_memory(&job);
    if (!status)
        mirror(ret_k, job.n);
    return status;
}

void phi_gram_centre(double *k, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double row = 0;

        for (size_t j = 0; j < n; j++)
            row += k[i * n + j];
        row /= (double)n;
        for (size_t j = 0; j < n; j++)
            k[i * n + j] -= row;
    }
    for (size_t j = 0; j < n; j++) {
        double column = 0;

        for (size_t i = 0; i < n; i++)
            column += k[i * n + j];
        column /= (double)n;
        for (size_t i = 0; i < n; i++)
            k[i * n + j] -= column;
    }
}

double phi_gram_mean_diagonal(const double *k, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += k[i * n + i];
    return n ? sum / (double)n : 0;
}
