/* SPDX-License-Identifier: MIT */
#include "decode/smoother.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/linalg.h"

#define RANK_CUT 1e-12 /* of the largest squared singular value: rounding of the Gram matrix */

static enum ph_status check_folds(const struct phi_design *d, struct ph_error *reterr)
{
    if (d->n_folds < 2 || d->n < d->n_folds || d->p == 0)
        return phi_error(reterr, PH_E_SHAPE,
                         "%zu rows of %zu latents in %zu folds: at least two folds with a row each",
                         d->n, d->p, d->n_folds);
    for (size_t f = 0; f < d->n_folds; f++) {
        size_t n = 0;

        for (size_t i = 0; i < d->n; i++)
            n += d->fold[i] == f;
        if (n == 0 || n == d->n)
            return phi_error(reterr, PH_E_SHAPE, "fold %zu has %zu of the %zu rows", f, n, d->n);
    }
    for (size_t i = 0; i < d->n; i++)
        if (d->fold[i] >= d->n_folds)
            return phi_error(reterr, PH_E_INVAL, "row %zu is in fold %u of %zu", i, d->fold[i],
                             d->n_folds);
    return PH_OK;
}

/* Gram-Schmidt, twice for accuracy, over the constant and the nuisance columns. */
static enum ph_status orthonormalise(struct phi_smoother *sm, struct ph_error *reterr)
{
    size_t n = sm->design.n, k = sm->n_free;

    for (size_t j = 0; j < k; j++) {
        double *row = sm->q + j * n, *r = sm->qr + j * k, before, norm;

        for (size_t i = 0; i < n; i++)
            row[i] = j ? sm->design.nuisance[i * (k - 1) + j - 1] : 1;
        before = cblas_dnrm2((int)n, row, 1);
        for (size_t pass = 0; pass < 2; pass++)
            for (size_t l = 0; l < j; l++) {
                double along = cblas_ddot((int)n, row, 1, sm->q + l * n, 1);

                cblas_daxpy((int)n, -along, sm->q + l * n, 1, row, 1);
                r[l] += along;
            }
        norm = cblas_dnrm2((int)n, row, 1);
        if (!isfinite(norm) || !(norm > 1e-9 * before))
            return phi_error(reterr, PH_E_INVAL, "nuisance column %zu follows from those before it",
                             j - 1);
        cblas_dscal((int)n, 1 / norm, row, 1);
        r[j] = norm;
    }
    return PH_OK;
}

/* xc = x without what constant and nuisance explain. */
static enum ph_status residualise(struct phi_smoother *sm, double *xc, struct ph_error *reterr)
{
    size_t n = sm->design.n, p = sm->design.p;

    for (size_t k = 0; k < p; k++) {
        double before = 0, after = 0;

        for (size_t i = 0; i < n; i++) {
            xc[i * p + k] = sm->design.x[i * p + k];
            before += xc[i * p + k] * xc[i * p + k];
        }
        for (size_t l = 0; l < sm->n_free; l++)
            cblas_daxpy((int)n, -cblas_ddot((int)n, xc + k, (int)p, sm->q + l * n, 1),
                        sm->q + l * n, 1, xc + k, (int)p);
        for (size_t i = 0; i < n; i++)
            after += xc[i * p + k] * xc[i * p + k];
        if (!isfinite(before))
            return phi_error(reterr, PH_E_INVAL, "latent %zu has a value that is not a number", k);
        if (after <= 1e-12 * before || after == 0)
            return phi_error(
                reterr, PH_E_INVAL,
                "latent %zu is the same in all %zu rows, or follows from the nuisance: "
                "nothing can be learnt of it; leave it out or add stimuli",
                k, n);
        sm->scale += after / (double)n;
    }
    return PH_OK;
}

/* Other side's vectors: rows k of `ret`[rank][m] = known_k * xc (or xc') / s_k. */
static void other_side(const struct phi_smoother *sm, const double *xc, int from_rows,
                       const double *known, double *ret)
{
    int n = (int)sm->design.n, p = (int)sm->design.p, r = (int)sm->rank;

    cblas_dgemm(CblasRowMajor, CblasNoTrans, from_rows ? CblasNoTrans : CblasTrans, r,
                from_rows ? p : n, from_rows ? n : p, 1, known, from_rows ? n : p, xc, p, 0, ret,
                from_rows ? p : n);
    for (size_t k = 0; k < sm->rank; k++)
        cblas_dscal(from_rows ? p : n, 1 / sqrt(sm->s2[k]), ret + k * (size_t)(from_rows ? p : n),
                    1);
}

static enum ph_status decompose(struct phi_smoother *sm, const double *xc, double *gram,
                                double *values, struct ph_error *reterr)
{
    size_t n = sm->design.n, p = sm->design.p, side = n < p ? n : p;
    int from_rows = n < p;
    enum ph_status status;

    cblas_dsyrk(CblasRowMajor, CblasUpper, from_rows ? CblasNoTrans : CblasTrans, (int)side,
                from_rows ? (int)p : (int)n, 1, xc, (int)p, 0, gram, (int)side);
    for (size_t i = 0; i < side; i++)
        for (size_t j = 0; j < i; j++)
            gram[i * side + j] = gram[j * side + i];
    status = phi_eigh(gram, side, values, reterr);
    if (status)
        return status;
    for (size_t k = 0; k < side && values[side - 1 - k] > RANK_CUT * values[side - 1]; k++)
        sm->s2[sm->rank++] = values[side - 1 - k];
    for (size_t k = 0; k < sm->rank; k++)
        memcpy((from_rows ? sm->u : sm->v) + k * side, gram + (side - 1 - k) * side,
               side * sizeof *gram);
    other_side(sm, xc, from_rows, from_rows ? sm->u : sm->v, from_rows ? sm->v : sm->u);
    return PH_OK;
}

static enum ph_status fill(struct phi_smoother *sm, struct ph_error *reterr)
{
    size_t n = sm->design.n, p = sm->design.p, side = n < p ? n : p;
    double *xc = phi_calloc2(n, p, sizeof *xc);
    double *gram = phi_calloc2(side, side, sizeof *gram);
    double *values = phi_calloc(side, sizeof *values);
    enum ph_status status;

    sm->n_free = 1 + sm->design.n_nuisance;
    sm->q = phi_calloc2(sm->n_free, n, sizeof *sm->q);
    sm->qr = phi_calloc2(sm->n_free, sm->n_free, sizeof *sm->qr);
    sm->s2 = phi_calloc(side, sizeof *sm->s2);
    sm->u = phi_calloc2(side, n, sizeof *sm->u);
    sm->v = phi_calloc2(side, p, sizeof *sm->v);
    if (!xc || !gram || !values || !sm->q || !sm->qr || !sm->s2 || !sm->u || !sm->v) {
        status = phi_error_nomem(reterr, "the design", n * p * sizeof *xc);
    } else {
        status = orthonormalise(sm, reterr);
        if (status == PH_OK)
            status = residualise(sm, xc, reterr);
        if (status == PH_OK)
            status = decompose(sm, xc, gram, values, reterr);
    }
    phi_free(xc);
    phi_free(gram);
    phi_free(values);
    return status;
}

enum ph_status phi_smoother_create(const struct phi_design *design,
                                   struct phi_smoother **ret_smoother, struct ph_error *reterr)
{
    enum ph_status status = check_folds(design, reterr);
    struct phi_smoother *sm;

    if (status)
        return status;
    sm = phi_calloc(1, sizeof *sm);
    if (!sm)
        return phi_error_nomem(reterr, "the design", sizeof *sm);
    sm->design = *design;
    status = fill(sm, reterr);
    if (status) {
        phi_smoother_destroy(&sm);
        return status;
    }
    *ret_smoother = sm;
    return PH_OK;
}

void phi_smoother_destroy(struct phi_smoother **smoother)
{
    if (!smoother || !*smoother)
        return;
    phi_free((*smoother)->q);
    phi_free((*smoother)->qr);
    phi_free((*smoother)->s2);
    phi_free((*smoother)->u);
    phi_free((*smoother)->v);
    phi_free(*smoother);
    *smoother = NULL;
}

double phi_smoother_df(const struct phi_smoother *sm, double lambda)
{
    double df = 0;

    for (size_t k = 0; k < sm->rank; k++)
        df += sm->s2[k] / (sm->s2[k] + lambda);
    return df;
}

/* v'Qv of right vector k. */
static double prior_along(const struct phi_smoother *sm, size_t k, const double *q)
{
    size_t p = sm->design.p;
    const double *v = sm->v + k * p;
    double sum = 0;

    for (size_t a = 0; q && a < p; a++)
        sum += v[a] * cblas_ddot((int)p, q + a * p, 1, v, 1);
    return q ? sum : 1;
}

double phi_smoother_error(const struct phi_smoother *sm, double lambda, const double *q)
{
    size_t p = sm->design.p;
    double sum = 0, unseen = 0;

    for (size_t a = 0; a < p; a++)
        unseen += q ? q[a * p + a] : 1;
    for (size_t k = 0; k < sm->rank; k++) {
        double along = prior_along(sm, k, q);

        sum += along / (sm->s2[k] + lambda);
        unseen -= along;
    }
    return lambda > 0 ? sum + fmax(0, unseen) / lambda : sum;
}

/* ret[rank][m] = diag(f) vectors with f = s^power / (s^2 + lambda). */
static void scaled_rows(const struct phi_smoother *sm, double lambda, double power,
                        const double *vectors, size_t m, double *ret)
{
    for (size_t k = 0; k < sm->rank; k++) {
        double f = pow(sm->s2[k], power / 2) / (sm->s2[k] + lambda);

        for (size_t i = 0; i < m; i++)
            ret[k * m + i] = f * vectors[k * m + i];
    }
}

enum ph_status phi_smoother_weights(const struct phi_smoother *sm, double lambda, double *ret,
                                    struct ph_error *reterr)
{
    size_t n = sm->design.n, p = sm->design.p;
    double *scaled = phi_calloc2(sm->rank, p, sizeof *scaled);

    if (!scaled)
        return phi_error_nomem(reterr, "weights", sm->rank * p * sizeof *scaled);
    scaled_rows(sm, lambda, 1, sm->v, p, scaled);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)p, (int)n, (int)sm->rank, 1, scaled,
                (int)p, sm->u, (int)n, 0, ret, (int)n);
    phi_free(scaled);
    return PH_OK;
}

/* ret = A^-1 Q'(I - X M) with the triangular A of orthonormalise. */
void phi_smoother_free_part(const struct phi_smoother *sm, const double *weights, double *ret)
{
    size_t n = sm->design.n, p = sm->design.p, k = sm->n_free;

    for (size_t l = 0; l < k; l++) {
        double *row = ret + l * n;

        memcpy(row, sm->q + l * n, n * sizeof *row);
        for (size_t c = 0; c < p; c++) {
            double along = 0;

            for (size_t i = 0; i < n; i++)
                along += sm->q[l * n + i] * (double)sm->design.x[i * p + c];
            cblas_daxpy((int)n, -along, weights + c * n, 1, row, 1);
        }
    }
    for (size_t l = k; l-- > 0;) {
        for (size_t j = l + 1; j < k; j++)
            cblas_daxpy((int)n, -sm->qr[j * k + l], ret + j * n, 1, ret + l * n, 1);
        cblas_dscal((int)n, 1 / sm->qr[l * k + l], ret + l * n, 1);
    }
}

/* I - H, H = U f U' + Q Q'; `room` [rank][n]. */
static void complement(const struct phi_smoother *sm, double lambda, double *room, double *ret)
{
    size_t n = sm->design.n;

    scaled_rows(sm, lambda, 2, sm->u, n, room);
    for (size_t i = 0; i < n * n; i++)
        ret[i] = i / n == i % n ? 1 : 0;
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)n, (int)n, (int)sm->n_free, -1, sm->q,
                (int)n, sm->q, (int)n, 1, ret, (int)n);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)n, (int)n, (int)sm->rank, -1, room,
                (int)n, sm->u, (int)n, 1, ret, (int)n);
}

/* Rows of fold f of ret become (I - H_ff)^-1 times themselves. */
static enum ph_status solve_fold(const struct phi_smoother *sm, size_t f, double *ret,
                                 double *block, double *rows, struct ph_error *reterr)
{
    size_t n = sm->design.n, n_rows = 0, at = 0;
    enum ph_status status;

    for (size_t i = 0; i < n; i++)
        n_rows += sm->design.fold[i] == f;
    for (size_t i = 0; i < n; i++) {
        if (sm->design.fold[i] != f)
            continue;
        memcpy(rows + at * n, ret + i * n, n * sizeof *ret);
        for (size_t j = 0, c = 0; j < n; j++)
            if (sm->design.fold[j] == f)
                block[at * n_rows + c++] = ret[i * n + j];
        at++;
    }
    status = phi_chol_factor(block, n_rows, reterr);
    for (size_t i = 0; status == PH_OK && i < n_rows; i++)
        if (block[i * n_rows + i] < 1e-5) /* squared: below the rounding of H */
            status = PH_E_INVAL;
    if (status == PH_E_INVAL)
        return phi_error(
            reterr, PH_E_INVAL,
            "%zu latents fit %zu rows exactly, so nothing is left to measure the noise "
            "with: use single presentations, fewer components or a penalty",
            sm->design.p, n);
    if (status)
        return status;
    phi_chol_solve(block, n_rows, rows, n);
    for (size_t i = 0, r = 0; i < n; i++)
        if (sm->design.fold[i] == f)
            memcpy(ret + i * n, rows + r++ * n, n * sizeof *ret);
    return PH_OK;
}

enum ph_status phi_smoother_residuals(const struct phi_smoother *sm, double lambda, double *ret,
                                      struct ph_error *reterr)
{
    size_t n = sm->design.n;
    double *block = phi_calloc2(n, n, sizeof *block), *rows = phi_calloc2(n, n, sizeof *rows);
    enum ph_status status = PH_OK;

    if (!block || !rows) {
        status = phi_error_nomem(reterr, "residuals", n * n * sizeof *rows);
    } else {
        complement(sm, lambda, rows, ret); /* rank < n rows fit */
        for (size_t f = 0; status == PH_OK && f < sm->design.n_folds; f++)
            status = solve_fold(sm, f, ret, block, rows, reterr);
    }
    phi_free(block);
    phi_free(rows);
    return status;
}
