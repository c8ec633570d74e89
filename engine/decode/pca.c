/* SPDX-License-Identifier: MIT
 *
 * With n rows and m features the Gram matrix of the shorter side is decomposed: n^2 m operations
 * instead of the 4 n^2 m of a singular value decomposition. That squares the condition number, so
 * float64 keeps components down to about 1e-7 of the largest; the cut at 1e-6 stays above it.
 */
#include "decode/pca.h"

#include <cblas.h>
#include <math.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/linalg.h"

#define BLOCK     1024 /* features converted to float64 at a time */
#define SD_CUT    1e-6
#define MAX_SHORT 30000

enum ph_status phi_pca_create(size_t n_features, size_t n_components, struct phi_pca **ret_pca,
                              struct ph_error *reterr)
{
    struct phi_pca *pca = phi_calloc(1, sizeof *pca);

    if (pca) {
        pca->n_features = n_features;
        pca->n_components = n_components;
        pca->mean = phi_calloc(n_features, sizeof *pca->mean);
        pca->components = phi_calloc2(n_components, n_features, sizeof *pca->components);
        pca->sd = phi_calloc(n_components, sizeof *pca->sd);
    }
    if (!pca || !pca->mean || !pca->components || !pca->sd) {
        phi_pca_destroy(&pca);
        return phi_error_nomem(reterr, "principal components",
                               n_components * n_features * sizeof(double));
    }
    *ret_pca = pca;
    return PH_OK;
}

void phi_pca_destroy(struct phi_pca **pca)
{
    if (!pca || !*pca)
        return;
    phi_free((*pca)->mean);
    phi_free((*pca)->components);
    phi_free((*pca)->sd);
    phi_free(*pca);
    *pca = NULL;
}

/* What the steps of a fit share. */
struct fit {
    const float *x; /* [n][m] */
    size_t n, m, side;
    double *mean;   /* [m] */
    double *block;  /* [n][BLOCK] centred columns */
    double *gram;   /* [side][side], then eigenvectors as rows */
    double *values; /* [side] */
};

static enum ph_status compute_mean(struct fit *fit, struct ph_error *reterr)
{
    for (size_t i = 0; i < fit->n; i++)
        for (size_t j = 0; j < fit->m; j++)
            fit->mean[j] += fit->x[i * fit->m + j];
    for (size_t j = 0; j < fit->m; j++) {
        fit->mean[j] /= (double)fit->n;
        if (!isfinite(fit->mean[j]))
            return phi_error(reterr, PH_E_INVAL,
                             "feature %zu has a value that is not a number; remove that sample", j);
    }
    return PH_OK;
}

/* Centred features first .. first + width - 1 into fit->block[n][width]. */
static size_t load_block(struct fit *fit, size_t first)
{
    size_t width = fit->m - first < BLOCK ? fit->m - first : BLOCK;

    for (size_t i = 0; i < fit->n; i++)
        for (size_t j = 0; j < width; j++)
            fit->block[i * width + j] = fit->x[i * fit->m + first + j] - fit->mean[first + j];
    return width;
}

/* X X' over blocks of features when there are fewer rows than features. */
static void gram_of_rows(struct fit *fit)
{
    for (size_t first = 0; first < fit->m; first += BLOCK) {
        size_t width = load_block(fit, first);

        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasNoTrans, (int)fit->n, (int)width, 1, fit->block,
                    (int)width, 1, fit->gram, (int)fit->n);
    }
}

/* X' X; here m <= n, so one pass over the rows in blocks would save nothing. */
static enum ph_status gram_of_features(struct fit *fit, struct ph_error *reterr)
{
    double *all = phi_calloc2(fit->n, fit->m, sizeof *all);

    if (!all)
        return phi_error_nomem(reterr, "centred samples", fit->n * fit->m * sizeof *all);
    for (size_t i = 0; i < fit->n; i++)
        for (size_t j = 0; j < fit->m; j++)
            all[i * fit->m + j] = fit->x[i * fit->m + j] - fit->mean[j];
    cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)fit->m, (int)fit->n, 1, all,
                (int)fit->m, 0, fit->gram, (int)fit->m);
    phi_free(all);
    return PH_OK;
}

static void mirror_upper(double *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            a[i * n + j] = a[j * n + i];
}

static size_t count_components(const struct fit *fit, size_t max_components)
{
    size_t limit = fit->n - 1 < fit->side ? fit->n - 1 : fit->side;
    size_t k = 0;

    if (max_components && max_components < limit)
        limit = max_components;
    while (k < limit && fit->values[k] > SD_CUT * SD_CUT * fit->values[0] && fit->values[k] > 0)
        k++;
    return k;
}

/* Component k = X' u_k / s_k when the rows' Gram matrix was decomposed. */
static void components_from_rows(struct fit *fit, struct phi_pca *pca)
{
    for (size_t k = 0; k < pca->n_components; k++)
        cblas_dscal((int)fit->n, 1 / sqrt(fit->values[k]), fit->gram + k * fit->n, 1);
    for (size_t first = 0; first < fit->m; first += BLOCK) {
        size_t width = load_block(fit, first);

        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)pca->n_components, (int)width,
                    (int)fit->n, 1, fit->gram, (int)fit->n, fit->block, (int)width, 0,
                    pca->components + first, (int)fit->m);
    }
}

static void finish_component(const struct fit *fit, struct phi_pca *pca, size_t k)
{
    double *row = pca->components + k * fit->m;
    size_t largest = cblas_idamax((int)fit->m, row, 1);
    double norm = cblas_dnrm2((int)fit->m, row, 1);

    cblas_dscal((int)fit->m, (row[largest] < 0 ? -1 : 1) / norm, row, 1);
    pca->sd[k] = sqrt(fit->values[k] / (double)(fit->n - 1));
}

/* phi_eigh sorts upwards; components are counted from the largest. */
static enum ph_status eigh_downwards(struct fit *fit, struct ph_error *reterr)
{
    size_t n = fit->side;
    enum ph_status status = phi_eigh(fit->gram, n, fit->values, reterr);

    for (size_t i = 0; status == PH_OK && i < n / 2; i++) {
        double low = fit->values[i];

        fit->values[i] = fit->values[n - 1 - i];
        fit->values[n - 1 - i] = low;
        cblas_dswap((int)n, fit->gram + i * n, 1, fit->gram + (n - 1 - i) * n, 1);
    }
    return status;
}

static enum ph_status decompose(struct fit *fit, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    if (fit->side == fit->n)
        gram_of_rows(fit);
    else
        status = gram_of_features(fit, reterr);
    if (status)
        return status;
    mirror_upper(fit->gram, fit->side);
    return eigh_downwards(fit, reterr);
}

static enum ph_status make_components(struct fit *fit, size_t max_components,
                                      struct phi_pca **ret_pca, struct ph_error *reterr)
{
    size_t k = count_components(fit, max_components);
    struct phi_pca *pca;

    if (k == 0)
        return phi_error(reterr, PH_E_INVAL,
                         "all %zu samples are equal: there is no direction to describe", fit->n);
    if (phi_pca_create(fit->m, k, &pca, reterr))
        return PH_E_NOMEM;
    cblas_dcopy((int)fit->m, fit->mean, 1, pca->mean, 1);
    if (fit->side == fit->n)
        components_from_rows(fit, pca);
    else
        cblas_dcopy((int)(k * fit->m), fit->gram, 1, pca->components, 1);
    for (size_t i = 0; i < k; i++)
        finish_component(fit, pca, i);
    *ret_pca = pca;
    return PH_OK;
}

static enum ph_status run_fit(struct fit *fit, size_t max_components, struct phi_pca **ret_pca,
                              struct ph_error *reterr)
{
    enum ph_status status = compute_mean(fit, reterr);

    if (status)
        return status;
    status = decompose(fit, reterr);
    if (status)
        return status;
    return make_components(fit, max_components, ret_pca, reterr);
}

enum ph_status phi_pca_fit(const float *x, size_t n, size_t n_features, size_t max_components,
                           struct phi_pca **ret_pca, struct ph_error *reterr)
{
    struct fit fit = {.x = x, .n = n, .m = n_features, .side = n < n_features ? n : n_features};
    enum ph_status status;

    if (n < 2 || n_features < 1)
        return phi_error(reterr, PH_E_SHAPE, "%zu samples of %zu features: at least two samples", n,
                         n_features);
    if (fit.side > MAX_SHORT)
        return phi_error(reterr, PH_E_LIMIT,
                         "%zu samples and %zu features: one of them must be at most %d", n,
                         n_features, MAX_SHORT);
    fit.mean = phi_calloc(n_features, sizeof(double));
    fit.block = phi_calloc2(n, BLOCK, sizeof(double));
    fit.gram = phi_calloc2(fit.side, fit.side, sizeof(double));
    fit.values = phi_calloc(fit.side, sizeof(double));
    if (fit.mean && fit.block && fit.gram && fit.values)
        status = run_fit(&fit, max_components, ret_pca, reterr);
    else
        status = phi_error_nomem(reterr, "the component fit", fit.side * fit.side * sizeof(double));
    phi_free(fit.mean);
    phi_free(fit.block);
    phi_free(fit.gram);
    phi_free(fit.values);
    return status;
}

void phi_pca_whiten(const struct phi_pca *pca, const float *x, size_t n, double *ret)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < pca->n_components; k++) {
            const double *row = pca->components + k * pca->n_features;
            double sum = 0;

            for (size_t j = 0; j < pca->n_features; j++)
                sum += (x[i * pca->n_features + j] - pca->mean[j]) * row[j];
            ret[i * pca->n_components + k] = sum / pca->sd[k];
        }
}

void phi_pca_unwhiten(const struct phi_pca *pca, const double *score, size_t n_used, double *ret)
{
    for (size_t j = 0; j < pca->n_features; j++)
        ret[j] = pca->mean[j];
    for (size_t k = 0; k < n_used && k < pca->n_components; k++)
        cblas_daxpy((int)pca->n_features, score[k] * pca->sd[k],
                    pca->components + k * pca->n_features, 1, ret, 1);
}
