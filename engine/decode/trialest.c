/* SPDX-License-Identifier: MIT
 *
 * Kept are the cross products of all columns c = (nuisance, trials) with each other and with the
 * voxels. To answer, the nuisance is eliminated from the active trials by a Schur complement, which
 * leaves G = X'X and H = X'Y of the residualised regressors; LSS then needs only sums of these.
 */
#include "decode/trialest.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/linalg.h"

#define LEAST_RESPONSE 1e-3
#define SAME           1e-10

struct phi_trialest {
    size_t n_trials, n_nuisance, n_voxels, n_cols;
    double least_response;
    double *gram;    /* [n_cols][n_cols], nuisance first */
    double *cross;   /* [n_cols][n_voxels] */
    double *row;     /* [n_cols] of the current volume */
    bool *is_active; /* [n_trials] */
    size_t *active;  /* [n_trials] */
    double *nn;      /* [n_nuisance][n_nuisance] factor */
    double *side;    /* [n_nuisance][n_trials + n_voxels] */
    double *g;       /* [n_trials][n_trials] */
    double *h;       /* [n_trials][n_voxels] */
};

void phi_trialest_destroy(struct phi_trialest **est)
{
    struct phi_trialest *e = est ? *est : NULL;

    if (!e)
        return;
    phi_free(e->gram);
    phi_free(e->cross);
    phi_free(e->row);
    phi_free(e->is_active);
    phi_free(e->active);
    phi_free(e->nn);
    phi_free(e->side);
    phi_free(e->g);
    phi_free(e->h);
    phi_free(e);
    *est = NULL;
}

static bool allocate(struct phi_trialest *e)
{
    size_t k = e->n_nuisance, m = e->n_trials, q = e->n_voxels;

    e->gram = phi_calloc2(e->n_cols, e->n_cols, sizeof(double));
    e->cross = phi_calloc2(e->n_cols, q, sizeof(double));
    e->row = phi_calloc(e->n_cols, sizeof(double));
    e->is_active = phi_calloc(m, sizeof(bool));
    e->active = phi_calloc(m, sizeof(size_t));
    e->nn = phi_calloc2(k, k, sizeof(double));
    e->side = phi_calloc2(k, m + q, sizeof(double));
    e->g = phi_calloc2(m, m, sizeof(double));
    e->h = phi_calloc2(m, q, sizeof(double));
    return e->gram && e->cross && e->row && e->is_active && e->active && e->nn && e->side && e->g &&
           e->h;
}

enum ph_status phi_trialest_create(const size_t shape[3], double least_response,
                                   struct phi_trialest **ret_est, struct ph_error *reterr)
{
    struct phi_trialest *e;

    if (shape[0] == 0 || shape[2] == 0 || !phi_blas_fits(shape[0], shape[1], shape[2]))
        return phi_error(reterr, PH_E_SHAPE, "%zu trials, %zu nuisance columns, %zu voxels",
                         shape[0], shape[1], shape[2]);
    e = phi_calloc(1, sizeof *e);
    if (e) {
        e->n_trials = shape[0];
        e->n_nuisance = shape[1];
        e->n_voxels = shape[2];
        e->n_cols = shape[0] + shape[1];
        e->least_response = least_response > 0 ? least_response : LEAST_RESPONSE;
    }
    if (!e || !allocate(e)) {
        phi_trialest_destroy(&e);
        return phi_error_nomem(reterr, "trial estimates", shape[0] * shape[2] * sizeof(double));
    }
    *ret_est = e;
    return PH_OK;
}

void phi_trialest_reset(struct phi_trialest *e)
{
    memset(e->gram, 0, e->n_cols * e->n_cols * sizeof *e->gram);
    memset(e->cross, 0, e->n_cols * e->n_voxels * sizeof *e->cross);
    memset(e->is_active, 0, e->n_trials * sizeof *e->is_active);
}

void phi_trialest_add(struct phi_trialest *e, const double *trials, const double *nuisance,
                      const float *y)
{
    if (e->n_nuisance)
        memcpy(e->row, nuisance, e->n_nuisance * sizeof *e->row);
    memcpy(e->row + e->n_nuisance, trials, e->n_trials * sizeof *e->row);
    for (size_t j = 0; j < e->n_trials; j++)
        e->is_active[j] = e->is_active[j] || fabs(trials[j]) > e->least_response;
    for (size_t a = 0; a < e->n_cols; a++) {
        double weight = e->row[a], *cross = e->cross + a * e->n_voxels;

        if (weight == 0)
            continue;
        for (size_t b = 0; b < e->n_cols; b++)
            e->gram[a * e->n_cols + b] += weight * e->row[b];
        for (size_t v = 0; v < e->n_voxels; v++)
            cross[v] += weight * (double)y[v];
    }
}

size_t phi_trialest_active(const struct phi_trialest *e, size_t *ret_active)
{
    size_t n = 0;

    for (size_t j = 0; j < e->n_trials; j++)
        if (e->is_active[j])
            ret_active[n++] = j;
    return n;
}

/* side = L^-1 (N'X, N'Y) with N'N = LL'. */
static enum ph_status eliminate(struct phi_trialest *e, size_t n)
{
    size_t k = e->n_nuisance, width = n + e->n_voxels;

    for (size_t a = 0; a < k; a++) {
        const double *gram = e->gram + a * e->n_cols;

        memcpy(e->nn + a * k, gram, k * sizeof *gram);
        for (size_t j = 0; j < n; j++)
            e->side[a * width + j] = gram[k + e->active[j]];
        memcpy(e->side + a * width + n, e->cross + a * e->n_voxels, e->n_voxels * sizeof *gram);
    }
    if (k && phi_chol_factor(e->nn, k, NULL))
        return PH_AGAIN;
    if (k)
        phi_chol_forward(e->nn, k, e->side, width);
    return PH_OK;
}

/* g[n][n] and h[n][n_voxels] of the residualised regressors. */
static enum ph_status residualise(struct phi_trialest *e, size_t n)
{
    size_t k = e->n_nuisance, width = n + e->n_voxels;
    enum ph_status status = eliminate(e, n);

    for (size_t i = 0; status == PH_OK && i < n; i++) {
        size_t column = k + e->active[i];

        for (size_t j = 0; j < n; j++)
            e->g[i * n + j] = e->gram[column * e->n_cols + k + e->active[j]];
        memcpy(e->h + i * e->n_voxels, e->cross + column * e->n_voxels, e->n_voxels * sizeof *e->h);
        for (size_t a = 0; a < k; a++) {
            double s = e->side[a * width + i];

            for (size_t j = 0; j < n; j++)
                e->g[i * n + j] -= s * e->side[a * width + j];
            for (size_t v = 0; v < e->n_voxels; v++)
                e->h[i * e->n_voxels + v] -= s * e->side[a * width + n + v];
        }
    }
    return status;
}

enum ph_status phi_trialest_lsa(struct phi_trialest *e, double *ret_beta)
{
    size_t n = phi_trialest_active(e, e->active);
    enum ph_status status = residualise(e, n);

    if (status)
        return status;
    if (phi_chol_factor(e->g, n, NULL))
        return PH_AGAIN;
    memcpy(ret_beta, e->h, n * e->n_voxels * sizeof *ret_beta);
    phi_chol_solve(e->g, n, ret_beta, e->n_voxels);
    return PH_OK;
}

enum ph_status phi_trialest_lss(struct phi_trialest *e, double *ret_beta)
{
    size_t n = phi_trialest_active(e, e->active), q = e->n_voxels;
    double total = 0;
    enum ph_status status = residualise(e, n);

    if (status)
        return status;
    for (size_t i = 0; i < n * n; i++)
        total += e->g[i];
    for (size_t j = 0; j < n; j++) {
        double g = 0, a11 = e->g[j * n + j], a12, a22, det;

        for (size_t i = 0; i < n; i++)
            g += e->g[j * n + i];
        a12 = g - a11;
        a22 = total - 2 * g + a11;
        det = a11 * a22 - a12 * a12;
        for (size_t v = 0; v < q; v++) {
            double others = 0, own = e->h[j * q + v];

            for (size_t i = 0; i < n; i++)
                others += i == j ? 0 : e->h[i * q + v];
            if (n == 1)
                ret_beta[v] = own / a11;
            else
                ret_beta[j * q + v] =
                    det < SAME * a11 * a22 ? NAN : (a22 * own - a12 * others) / det;
        }
    }
    return PH_OK;
}
