/* SPDX-License-Identifier: MIT */
#include "decode/reduce.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/linalg.h"

struct work {
    double *l; /* [p][p] lower factor of Q */
    double *a; /* [p][p] L'GL, then its eigenvectors as rows, values upwards */
    double *values;
};

static enum ph_status prior_factor(const double *q, size_t p, double *l, struct ph_error *reterr)
{
    memset(l, 0, p * p * sizeof *l);
    for (size_t i = 0; i < p; i++)
        l[i * p + i] = 1;
    if (!q)
        return PH_OK;
    memcpy(l, q, p * p * sizeof *l);
    if (phi_chol_factor(l, p, reterr))
        return phi_error_prefix(reterr, "the prior covariance of the latents");
    return PH_OK;
}

/* a = L'GL, made exactly symmetric. */
static void congruence(struct work *work, const double *g, size_t p)
{
    int n = (int)p;

    memcpy(work->a, g, p * p * sizeof *g);
    cblas_dtrmm(CblasRowMajor, CblasLeft, CblasLower, CblasTrans, CblasNonUnit, n, n, 1, work->l, n,
                work->a, n);
    cblas_dtrmm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, n, n, 1, work->l,
                n, work->a, n);
    for (size_t i = 0; i < p; i++)
        for (size_t j = 0; j < i; j++)
            work->a[i * p + j] = work->a[j * p + i] =
                0.5 * (work->a[i * p + j] + work->a[j * p + i]);
}

static void fix_sign(double *t, size_t p, size_t column)
{
    double largest = 0;

    for (size_t i = 0; i < p; i++)
        if (fabs(t[i * p + column]) > fabs(largest))
            largest = t[i * p + column];
    if (largest < 0)
        cblas_dscal((int)p, -1, t + column, (int)p);
}

/* T = L U with the columns of U in falling order of d. */
static void assemble(const struct work *work, size_t p, double *ret_t, double *ret_d)
{
    for (size_t k = 0; k < p; k++) {
        size_t from = p - 1 - k;

        ret_d[k] = fmax(0, work->values[from]);
        cblas_dcopy((int)p, work->a + from * p, 1, ret_t + k, (int)p);
    }
    cblas_dtrmm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, (int)p, (int)p, 1,
                work->l, (int)p, ret_t, (int)p);
    for (size_t k = 0; k < p; k++)
        fix_sign(ret_t, p, k);
}

enum ph_status phi_reduce(const double *g, const double *q, size_t p, double *ret_t, double *ret_d,
                          struct ph_error *reterr)
{
    struct work work = {phi_calloc2(p, p, sizeof(double)), phi_calloc2(p, p, sizeof(double)),
                        phi_calloc(p, sizeof(double))};
    enum ph_status status;

    if (!work.l || !work.a || !work.values) {
        status = phi_error_nomem(reterr, "the reduction", 2 * p * p * sizeof(double));
    } else {
        status = prior_factor(q, p, work.l, reterr);
        if (status == PH_OK) {
            congruence(&work, g, p);
            status = phi_eigh(work.a, p, work.values, reterr);
        }
        if (status == PH_OK)
            assemble(&work, p, ret_t, ret_d);
    }
    phi_free(work.l);
    phi_free(work.a);
    phi_free(work.values);
    return status;
}

void phi_channel_posterior(const double *d, const double *eta, double s, size_t p, double *ret_mean,
                           double *ret_var)
{
    for (size_t i = 0; i < p; i++) {
        ret_var[i] = 1 / (1 + s * d[i]);
        ret_mean[i] = ret_var[i] * eta[i];
    }
}

void phi_channels_blur(const double *d, const double *error, size_t p, double *ret_d,
                       double *ret_stretch)
{
    for (size_t i = 0; i < p; i++) {
        double e = error && d[i] > 0 ? error[i] : 0;

        ret_d[i] = d[i] + e;
        ret_stretch[i] = e > 0 ? sqrt(1 + e / d[i]) : 1;
    }
}

void phi_channels_sharpen(const double *stretch, const double *mean, const double *var, size_t p,
                          double *ret_mean, double *ret_var)
{
    for (size_t i = 0; i < p; i++) {
        double g = 1 / (stretch[i] * stretch[i]);

        ret_mean[i] = mean[i] / stretch[i];
        ret_var[i] = g * var[i] + (1 - g);
    }
}

void phi_channels_to_latent(const double *t, const double *mu, size_t p, const double *mean,
                            const double *var, double *ret_z, double *ret_sd)
{
    for (size_t k = 0; k < p; k++) {
        const double *row = t + k * p;
        double z = mu ? mu[k] : 0, v = 0;

        for (size_t i = 0; i < p; i++) {
            z += row[i] * mean[i];
            v += row[i] * row[i] * var[i];
        }
        ret_z[k] = z;
        ret_sd[k] = sqrt(v);
    }
}

void phi_channels_to_cov(const double *t, const double *var, size_t p, double *ret_cov)
{
    for (size_t a = 0; a < p; a++)
        for (size_t b = 0; b <= a; b++) {
            double sum = 0;

            for (size_t i = 0; i < p; i++)
                sum += t[a * p + i] * var[i] * t[b * p + i];
            ret_cov[a * p + b] = ret_cov[b * p + a] = sum;
        }
}

void phi_channels_sample(const double *t, const double *mu, size_t p, const double *mean,
                         const double *var, double *normal, double *ret_z)
{
    for (size_t i = 0; i < p; i++)
        normal[i] = mean[i] + sqrt(var[i]) * normal[i];
    for (size_t k = 0; k < p; k++)
        ret_z[k] = (mu ? mu[k] : 0) + cblas_ddot((int)p, t + k * p, 1, normal, 1);
}

double phi_channels_gain(const double *d, const double *eta, double s, size_t p)
{
    double sum = 0;

    for (size_t i = 0; i < p; i++)
        sum += 0.5 * (eta[i] * eta[i] / (1 + s * d[i]) - log1p(s * d[i]));
    return sum;
}
