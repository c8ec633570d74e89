/* SPDX-License-Identifier: MIT */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/posterior_fit.h"

enum ph_status phi_posterior_create(size_t p, size_t q, struct phi_posterior **ret_posterior,
                                    struct ph_error *reterr)
{
    struct phi_posterior *post = phi_calloc(1, sizeof *post);

    if (post) {
        post->p = p;
        post->q = q;
        post->tau = post->shrink = 1;
        post->t = phi_calloc2(p, p, sizeof *post->t);
        post->d = phi_calloc(p, sizeof *post->d);
        post->error = phi_calloc(p, sizeof *post->error);
        post->w = phi_calloc2(p, q, sizeof *post->w);
        post->c = phi_calloc(q, sizeof *post->c);
        post->sigma = phi_calloc(q, sizeof *post->sigma);
    }
    if (!post || !post->t || !post->d || !post->error || !post->w || !post->c || !post->sigma) {
        phi_posterior_destroy(&post);
        return phi_error_nomem(reterr, "the decoder", p * q * sizeof(float));
    }
    *ret_posterior = post;
    return PH_OK;
}

void phi_posterior_destroy(struct phi_posterior **posterior)
{
    if (!posterior || !*posterior)
        return;
    phi_free((*posterior)->t);
    phi_free((*posterior)->d);
    phi_free((*posterior)->error);
    phi_free((*posterior)->w);
    phi_free((*posterior)->c);
    phi_free((*posterior)->sigma);
    phi_free((*posterior)->extra);
    phi_free(*posterior);
    *posterior = NULL;
}

void phi_posterior_temper(struct phi_posterior *post, double tau)
{
    double factor = post->tau / tau;

    for (size_t i = 0; i < post->p; i++)
        post->d[i] *= factor;
    for (size_t i = 0; i < post->p * post->q; i++)
        post->w[i] = (float)((double)post->w[i] * factor);
    post->tau = tau;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Lag-1 correlation of one voxel's residuals e = r y over joined rows. */
static double lag_correlation(const double *r, const bool *joined, size_t n, const float *y,
                              size_t q, double *e)
{
    double product = 0, square = 0;

    for (size_t i = 0; i < n; i++) {
        e[i] = 0;
        for (size_t j = 0; j < n; j++)
            e[i] += r[i * n + j] * (double)y[j * q];
        square += e[i] * e[i];
        if (i && joined[i])
            product += e[i] * e[i - 1];
    }
    return square > 0 ? product / square : NAN;
}

/* A thousand voxels, evenly spread, settle the median to 0.01. */
static double median_correlation(const double *r, const struct phi_posterior_data *data,
                                 const bool *joined, double *work)
{
    size_t n = data->design.n, step = data->q / 1000 + 1, count = 0;

    for (size_t v = 0; v < data->q; v += step) {
        double rho = lag_correlation(r, joined, n, data->y + v, data->q, work);

        if (isfinite(rho))
            work[n + count++] = rho;
    }
    qsort(work + n, count, sizeof *work, by_value);
    return count ? work[n + count / 2] : 0;
}

enum ph_status phi_posterior_rho(const struct phi_posterior_data *data, const bool *joined,
                                 double penalty, double *ret_rho, struct ph_error *reterr)
{
    size_t n = data->design.n;
    double *r = phi_calloc2(n, n, sizeof *r), *work = phi_calloc(n + 1002, sizeof *work);
    struct phi_smoother *smoother = NULL;
    enum ph_status status;

    if (!r || !work)
        status = phi_error_nomem(reterr, "residuals", n * n * sizeof *r);
    else
        status = phi_smoother_create(&data->design, &smoother, reterr);
    if (status == PH_OK)
        status = phi_smoother_residuals(smoother, penalty * smoother->scale, r, reterr);
    if (status == PH_OK)
        *ret_rho = fmin(0.95, fmax(0, median_correlation(r, data, joined, work)));
    phi_smoother_destroy(&smoother);
    phi_free(r);
    phi_free(work);
    return status;
}
