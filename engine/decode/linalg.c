/* SPDX-License-Identifier: MIT */
#include "decode/linalg.h"

#include <cblas.h>
#include <lapack.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

/* LAPACK is column-major: what it calls the upper triangle is the lower one of a row-major matrix,
 * and its column k is our row k. */

bool phi_blas_fits(size_t a, size_t b, size_t c)
{
    return a <= INT_MAX && b <= INT_MAX && c <= INT_MAX;
}

int phi_blas_set_threads(int n_threads)
{
    int before = openblas_get_num_threads();

    openblas_set_num_threads(n_threads > 0 ? n_threads : 1);
    return before;
}

enum ph_status phi_chol_factor(double *a, size_t n, struct ph_error *reterr)
{
    int order = (int)n;
    int info = 0;

    if (!phi_blas_fits(n, n, n))
        return phi_error(reterr, PH_E_LIMIT, "a matrix of %zu rows is too large to factor", n);
    for (size_t i = 0; i < n; i++)
        memset(a + i * n + i + 1, 0, (n - i - 1) * sizeof *a);
    if (n)
        LAPACK_dpotrf("U", &order, a, &order, &info);
    if (info)
        return phi_error(reterr, PH_E_INVAL,
                         "a matrix of %zu rows is not positive definite (pivot %d): raise the "
                         "penalty or shrinkage, or look for constant or repeated columns",
                         n, info);
    return PH_OK;
}

void phi_chol_forward(const double *l, size_t n, double *b, size_t k)
{
    if (n && k)
        cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, (int)n,
                    (int)k, 1.0, l, (int)n, b, (int)k);
}

void phi_chol_solve(const double *l, size_t n, double *b, size_t k)
{
    phi_chol_forward(l, n, b, k);
    if (n && k)
        cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasTrans, CblasNonUnit, (int)n, (int)k,
                    1.0, l, (int)n, b, (int)k);
}

enum ph_status phi_chol_inverse(double *a, size_t n, struct ph_error *reterr)
{
    enum ph_status status = phi_chol_factor(a, n, reterr);
    int order = (int)n, info = 0;

    if (!status && n)
        LAPACK_dpotri("U", &order, a, &order, &info);
    if (info)
        return phi_error(reterr, PH_E_INVAL, "a matrix of %zu rows has no inverse (row %d)", n,
                         info);
    for (size_t i = 0; !status && i < n; i++)
        for (size_t j = 0; j < i; j++)
            a[j * n + i] = a[i * n + j];
    return status;
}

double phi_chol_logdet(const double *l, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += 2 * log(l[i * n + i]);
    return sum;
}

/* Turns one vector so that its largest entry is positive: signs then do not depend on LAPACK. */
static void fix_sign(double *v, size_t n)
{
    size_t at = 0;

    for (size_t i = 1; i < n; i++)
        if (fabs(v[i]) > fabs(v[at]))
            at = i;
    if (n && v[at] < 0)
        for (size_t i = 0; i < n; i++)
            v[i] = -v[i];
}

/* The blocks of LAPACK's divide and conquer eigen solver, sized by its own query. */
static enum ph_status run_dsyevd(double *a, size_t n, double *values, struct ph_error *reterr)
{
    int order = (int)n, info = 0, ask = -1, l_work, l_iwork;
    double want_work = 0;
    int want_iwork = 0;
    double *work;
    int *iwork;

    LAPACK_dsyevd("V", "U", &order, a, &order, values, &want_work, &ask, &want_iwork, &ask, &info);
    if (info || !(want_work < INT_MAX))
        return phi_error(reterr, PH_E_LIMIT, "a matrix of %zu rows is too large to decompose", n);
    l_work = (int)want_work;
    l_iwork = want_iwork;
    work = phi_calloc((size_t)l_work, sizeof *work);
    iwork = phi_calloc((size_t)l_iwork, sizeof *iwork);
    if (work && iwork)
        LAPACK_dsyevd("V", "U", &order, a, &order, values, work, &l_work, iwork, &l_iwork, &info);
    phi_free(iwork);
    phi_free(work);
    if (!work || !iwork)
        return phi_error_nomem(reterr, "eigen solver workspace", (size_t)l_work * sizeof *work);
    if (info)
        return phi_error(reterr, PH_E_INVAL,
                         "the eigenvectors of a matrix of %zu rows were not found; check the data "
                         "for values that are not numbers",
                         n);
    return PH_OK;
}

enum ph_status phi_eigh(double *a, size_t n, double *ret_values, struct ph_error *reterr)
{
    enum ph_status status;

    if (!phi_blas_fits(n, n, n))
        return phi_error(reterr, PH_E_LIMIT, "a matrix of %zu rows is too large to decompose", n);
    for (size_t i = 0; i < n * n; i++)
        if (!isfinite(a[i]))
            return phi_error(reterr, PH_E_INVAL,
                             "a matrix to decompose holds a value that is not a number (row %zu)",
                             i / n);
    if (!n)
        return PH_OK;
    status = run_dsyevd(a, n, ret_values, reterr);
    for (size_t k = 0; status == PH_OK && k < n; k++)
        fix_sign(a + k * n, n);
    return status;
}

static enum ph_status run_dgesdd(double *copy, struct phi_svd *svd, struct ph_error *reterr)
{
    int m = (int)svd->m, n = (int)svd->n, r = (int)svd->r, info = 0, ask = -1, l_work;
    double want = 0;
    double *work;
    int *iwork = phi_calloc2(8, svd->r, sizeof *iwork);

    if (!iwork)
        return phi_error_nomem(reterr, "singular value workspace", 8 * svd->r * sizeof *iwork);
    LAPACK_dgesdd("S", &m, &n, copy, &m, svd->s, svd->vt, &m, svd->u, &r, &want, &ask, iwork,
                  &info);
    l_work = want < INT_MAX ? (int)want : INT_MAX;
    work = phi_calloc((size_t)l_work, sizeof *work);
    if (work)
        LAPACK_dgesdd("S", &m, &n, copy, &m, svd->s, svd->vt, &m, svd->u, &r, work, &l_work, iwork,
                      &info);
    phi_free(iwork);
    phi_free(work);
    if (!work)
        return phi_error_nomem(reterr, "singular value workspace", (size_t)l_work * sizeof *work);
    if (info)
        return phi_error(reterr, PH_E_INVAL,
                         "the singular values of a %zu x %zu matrix were not found; check the data "
                         "for values that are not numbers",
                         svd->n, svd->m);
    return PH_OK;
}

enum ph_status phi_svd_create(const double *x, size_t n, size_t m, struct phi_svd *ret_svd,
                              struct ph_error *reterr)
{
    struct phi_svd svd = {.n = n, .m = m, .r = n < m ? n : m};
    enum ph_status status;
    double *copy;

    if (!n || !m || !phi_blas_fits(n, m, 1))
        return phi_error(reterr, PH_E_SHAPE, "cannot decompose a %zu x %zu matrix", n, m);
    copy = phi_calloc2(n, m, sizeof *copy);
    svd.u = phi_calloc2(n, svd.r, sizeof *svd.u);
    svd.s = phi_calloc(svd.r, sizeof *svd.s);
    svd.vt = phi_calloc2(svd.r, m, sizeof *svd.vt);
    if (copy && svd.u && svd.s && svd.vt) {
        memcpy(copy, x, n * m * sizeof *copy);
        status = run_dgesdd(copy, &svd, reterr);
    } else {
        status = phi_error_nomem(reterr, "singular vectors", (n + m) * svd.r * sizeof *copy);
    }
    phi_free(copy);
    if (status == PH_OK)
        *ret_svd = svd;
    else
        phi_svd_fini(&svd);
    return status;
}

void phi_svd_fini(struct phi_svd *svd)
{
    phi_free(svd->u);
    phi_free(svd->s);
    phi_free(svd->vt);
    svd->u = svd->s = svd->vt = NULL;
}
