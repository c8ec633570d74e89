/* SPDX-License-Identifier: MIT */
#include "decode/noise.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/linalg.h"

#define PI           3.14159265358979323846
#define ASYMPTOTIC   12.0 /* from here the asymptotic series below is good to 1e-14 */
#define LEAST_SHRINK 1e-3

double phi_digamma(double x)
{
    double sum = 0, y;

    for (; x < ASYMPTOTIC; x += 1)
        sum -= 1 / x;
    y = 1 / (x * x);
    return sum + log(x) - 0.5 / x -
           y * (1.0 / 12 - y * (1.0 / 120 - y * (1.0 / 252 - y * (1.0 / 240 - y / 132))));
}

double phi_trigamma(double x)
{
    double sum = 0, y;

    for (; x < ASYMPTOTIC; x += 1)
        sum += 1 / (x * x);
    y = 1 / (x * x);
    return sum + 1 / x + 0.5 * y +
           y / x * (1.0 / 6 - y * (1.0 / 30 - y * (1.0 / 42 - y * (1.0 / 30 - y * 5 / 66))));
}

/* Bisection in log x: trigamma falls monotonically from infinity to zero. */
double phi_trigamma_inverse(double y)
{
    double low = log(1e-6), high = log(1e9);

    for (int i = 0; i < 100; i++) {
        double middle = 0.5 * (low + high);

        if (phi_trigamma(exp(middle)) > y)
            low = middle;
        else
            high = middle;
    }
    return exp(0.5 * (low + high));
}

/* Bisection on the error function: called at set-up only. */
static double normal_quantile(double p)
{
    double low = -40, high = 40;

    for (int i = 0; i < 100; i++) {
        double middle = 0.5 * (low + high);

        if (0.5 * erfc(-middle / sqrt(2)) < p)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

double phi_chi2_quantile(double dof, double p)
{
    double a = 2 / (9 * dof);
    double root = 1 - a + normal_quantile(p) * sqrt(a);

    return dof * fmax(0, root * root * root);
}

struct phi_moderation phi_moderate_variances(double *s2, size_t n, double dof)
{
    double shift = phi_digamma(dof / 2) - log(dof / 2);
    double mean = 0, spread = 0;
    struct phi_moderation found = {0, 0};

    if (n < 2 || !(dof > 0))
        return found;
    for (size_t i = 0; i < n; i++)
        mean += (log(s2[i]) - shift) / (double)n;
    for (size_t i = 0; i < n; i++)
        spread += (log(s2[i]) - shift - mean) * (log(s2[i]) - shift - mean) / (double)(n - 1);
    spread -= phi_trigamma(dof / 2);
    if (spread <= 0) {
        found.prior_dof = INFINITY;
        found.prior_variance = exp(mean);
        for (size_t i = 0; i < n; i++)
            s2[i] = found.prior_variance;
        return found;
    }
    found.prior_dof = 2 * phi_trigamma_inverse(spread);
    found.prior_variance = exp(mean + phi_digamma(found.prior_dof / 2) - log(found.prior_dof / 2));
    for (size_t i = 0; i < n; i++)
        s2[i] = (dof * s2[i] + found.prior_dof * found.prior_variance) / (dof + found.prior_dof);
    return found;
}

/* With c_ij(t) = z_ti z_tj the sums over all voxel pairs need only the rows' products:
 * sum_ij mean_t c_ij^2 = mean_t (sum_i z_ti^2)^2, and sum_ij (mean_t c_ij)^2 = |z z'|^2 / n^2. */
double phi_shrink_intensity(const struct phi_shrink_sums *sums)
{
    double n = (double)sums->n, second = 0, square = 0, variance, off, share;

    for (size_t i = 0; i < sums->n; i++)
        second += sums->gram[i * sums->n + i] * sums->gram[i * sums->n + i] / n;
    for (size_t i = 0; i < sums->n * sums->n; i++)
        square += sums->gram[i] * sums->gram[i] / (n * n);
    variance = (second - square) - (sums->sum_fourth - sums->sum_variance2);
    off = square - sums->sum_variance2;
    share = off > 0 ? variance / n / off : 1;
    return fmin(1, fmax(LEAST_SHRINK, share));
}

/* ret[rank][rank] = Cholesky factor of I + F V^-1 F', with fv = F V^-1. */
static enum ph_status inner_factor(const struct phi_noise *noise, const double *fv, double *ret,
                                   struct ph_error *reterr)
{
    int r = (int)noise->rank, q = (int)noise->n_voxels;

    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, r, r, q, 1, fv, q, noise->f, q, 0, ret, r);
    for (int i = 0; i < r; i++)
        ret[i * r + i] += 1;
    return phi_chol_factor(ret, noise->rank, reterr);
}

struct woodbury {
    double *fv;     /* [rank][n_voxels] F V^-1 */
    double *factor; /* [rank][rank] */
    double *side;   /* [rank][n] */
};

static void woodbury_fini(struct woodbury *wb)
{
    phi_free(wb->fv);
    phi_free(wb->factor);
    phi_free(wb->side);
}

static enum ph_status woodbury_init(struct woodbury *wb, const struct phi_noise *noise, size_t n,
                                    struct ph_error *reterr)
{
    wb->fv = phi_calloc2(noise->rank, noise->n_voxels, sizeof(double));
    wb->factor = phi_calloc2(noise->rank, noise->rank, sizeof(double));
    wb->side = phi_calloc2(noise->rank, n, sizeof(double));
    if (!wb->fv || !wb->factor || !wb->side)
        return phi_error_nomem(reterr, "the noise covariance",
                               noise->rank * noise->n_voxels * sizeof(double));
    for (size_t k = 0; k < noise->rank; k++)
        for (size_t i = 0; i < noise->n_voxels; i++)
            wb->fv[k * noise->n_voxels + i] = noise->f[k * noise->n_voxels + i] / noise->v[i];
    return inner_factor(noise, wb->fv, wb->factor, reterr);
}

enum ph_status phi_noise_solve(const struct phi_noise *noise, const double *a, size_t n,
                               double *ret, struct ph_error *reterr)
{
    struct woodbury wb = {0};
    int q = (int)noise->n_voxels, r = (int)noise->rank;
    enum ph_status status;

    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < noise->n_voxels; i++)
            ret[k * noise->n_voxels + i] = a[k * noise->n_voxels + i] / noise->v[i];
    if (noise->rank == 0)
        return PH_OK;
    status = woodbury_init(&wb, noise, n, reterr);
    if (status == PH_OK) {
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, r, (int)n, q, 1, noise->f, q, ret, q,
                    0, wb.side, (int)n);
        phi_chol_solve(wb.factor, noise->rank, wb.side, n);
        cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)n, q, r, -1, wb.side, (int)n,
                    wb.fv, q, 1, ret, q);
    }
    woodbury_fini(&wb);
    return status;
}

enum ph_status phi_noise_loglik(const struct phi_noise *noise, const double *r, double *ret_loglik,
                                struct ph_error *reterr)
{
    double *solved = phi_calloc(noise->n_voxels, sizeof *solved);
    struct woodbury wb = {0};
    double logdet = 0, quadratic;
    enum ph_status status;

    if (!solved)
        return phi_error_nomem(reterr, "a residual", noise->n_voxels * sizeof *solved);
    status = phi_noise_solve(noise, r, 1, solved, reterr);
    quadratic = cblas_ddot((int)noise->n_voxels, r, 1, solved, 1);
    for (size_t i = 0; i < noise->n_voxels; i++)
        logdet += log(noise->v[i]);
    if (status == PH_OK && noise->rank) {
        status = woodbury_init(&wb, noise, 1, reterr);
        logdet += status == PH_OK ? phi_chol_logdet(wb.factor, noise->rank) : 0;
    }
    woodbury_fini(&wb);
    phi_free(solved);
    if (status == PH_OK)
        *ret_loglik = -0.5 * ((double)noise->n_voxels * log(2 * PI) + logdet + quadratic);
    return status;
}
