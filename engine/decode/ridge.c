/* SPDX-License-Identifier: MIT */
#include "decode/ridge.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

/* Singular values below this share of the largest are rounding. */
#define NULL_SHARE 1e-13

static enum ph_status check(const struct phi_ridge_problem *p, struct ph_error *reterr)
{
    if (p->n < 2 || !p->m || !p->t || !phi_blas_fits(p->n, p->m, p->t))
        return phi_error(reterr, PH_E_SHAPE, "cannot fit %zu samples of %zu columns to %zu targets",
                         p->n, p->m, p->t);
    for (size_t i = 0; i < p->n * p->m; i++)
        if (!isfinite(p->x[i]))
            return phi_error(reterr, PH_E_INVAL,
                             "sample %zu, column %zu holds a value that is not a number", i / p->m,
                             i % p->m);
    for (size_t i = 0; i < p->n * p->t; i++)
        if (!isfinite(p->y[i]))
            return phi_error(reterr, PH_E_INVAL,
                             "sample %zu, target %zu holds a value that is not a number", i / p->t,
                             i % p->t);
    return PH_OK;
}

/* A copy of x[n][m] less its column means, which go to mean[m] (zeros if not asked). */
static double *centred_copy(const double *x, size_t n, size_t m, bool centre, double *mean)
{
    double *copy = phi_calloc2(n, m, sizeof *copy);

    memset(mean, 0, m * sizeof *mean);
    for (size_t i = 0; centre && i < n; i++)
        for (size_t j = 0; j < m; j++)
            mean[j] += x[i * m + j] / (double)n;
    for (size_t i = 0; copy && i < n * m; i++)
        copy[i] = x[i] - mean[i % m];
    return copy;
}

/* The centred problem and its solution. */
struct solve_work {
    double *x, *y;           /* [n][m], [n][t] */
    double *x_mean, *y_mean; /* [m], [t] */
    double *gram;            /* [k][k], k the smaller of n and m */
    double *w;               /* [m][t] */
};

static enum ph_status solve_primal(const struct phi_ridge_problem *p, struct solve_work *s,
                                   double lambda, struct ph_error *reterr)
{
    int n = (int)p->n, m = (int)p->m, t = (int)p->t;
    enum ph_status status;

    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, m, m, n, 1, s->x, m, s->x, m, 0, s->gram,
                m);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, m, t, n, 1, s->x, m, s->y, t, 0, s->w, t);
    for (size_t j = 0; j < p->m; j++)
        s->gram[j * p->m + j] += lambda;
    status = phi_chol_factor(s->gram, p->m, reterr);
    if (!status)
        phi_chol_solve(s->gram, p->m, s->w, p->t);
    return status;
}

static enum ph_status solve_dual(const struct phi_ridge_problem *p, struct solve_work *s,
                                 double lambda, struct ph_error *reterr)
{
    int n = (int)p->n, m = (int)p->m, t = (int)p->t;
    enum ph_status status;

    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, m, 1, s->x, m, s->x, m, 0, s->gram,
                n);
    for (size_t i = 0; i < p->n; i++)
        s->gram[i * p->n + i] += lambda;
    status = phi_chol_factor(s->gram, p->n, reterr);
    if (status)
        return status;
    phi_chol_solve(s->gram, p->n, s->y, p->t);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, m, t, n, 1, s->x, m, s->y, t, 0, s->w, t);
    return PH_OK;
}

static void intercept_of(const struct solve_work *s, size_t m, size_t t, double *ret_intercept)
{
    for (size_t k = 0; k < t; k++) {
        ret_intercept[k] = s->y_mean[k];
        for (size_t j = 0; j < m; j++)
            ret_intercept[k] -= s->x_mean[j] * s->w[j * t + k];
    }
}

static enum ph_status solve_svd(const struct phi_ridge_problem *p, double lambda,
                                double *ret_weights, double *ret_intercept, struct ph_error *reterr)
{
    struct phi_ridge_path path;
    double *lambdas = phi_calloc(p->t, sizeof *lambdas);
    enum ph_status status;

    if (!lambdas)
        return phi_error_nomem(reterr, "penalties", p->t * sizeof *lambdas);
    for (size_t k = 0; k < p->t; k++)
        lambdas[k] = lambda;
    status = phi_ridge_path_create(p, true, &path, reterr);
    if (!status) {
        phi_ridge_path_weights(&path, lambdas, ret_weights, ret_intercept);
        phi_ridge_path_fini(&path);
    }
    phi_free(lambdas);
    return status;
}

static enum ph_status solve_gram(const struct phi_ridge_problem *p, bool primal, double lambda,
                                 struct solve_work *s, struct ph_error *reterr)
{
    size_t k = primal ? p->m : p->n;

    s->x_mean = phi_calloc(p->m, sizeof *s->x_mean);
    s->y_mean = phi_calloc(p->t, sizeof *s->y_mean);
    s->gram = phi_calloc2(k, k, sizeof *s->gram);
    s->w = phi_calloc2(p->m, p->t, sizeof *s->w);
    if (s->x_mean && s->y_mean) {
        s->x = centred_copy(p->x, p->n, p->m, true, s->x_mean);
        s->y = centred_copy(p->y, p->n, p->t, true, s->y_mean);
    }
    if (!s->x || !s->y || !s->gram || !s->w)
        return phi_error_nomem(reterr, "ridge problem", (p->n * p->m + k * k) * sizeof *s->x);
    return primal ? solve_primal(p, s, lambda, reterr) : solve_dual(p, s, lambda, reterr);
}

enum ph_status phi_ridge_solve(const struct phi_ridge_problem *problem, enum phi_ridge_form form,
                               double lambda, double *ret_weights, double *ret_intercept,
                               struct ph_error *reterr)
{
    bool primal = form == PHI_RIDGE_PRIMAL || (form == PHI_RIDGE_AUTO && problem->m <= problem->n);
    struct solve_work s = {0};
    enum ph_status status;

    if (!(lambda > 0) || !isfinite(lambda))
        return phi_error(reterr, PH_E_INVAL, "a penalty of %g is not above 0", lambda);
    if (form == PHI_RIDGE_SVD)
        return solve_svd(problem, lambda, ret_weights, ret_intercept, reterr);
    status = check(problem, reterr);
    if (!status)
        status = solve_gram(problem, primal, lambda, &s, reterr);
    if (!status) {
        memcpy(ret_weights, s.w, problem->m * problem->t * sizeof *s.w);
        intercept_of(&s, problem->m, problem->t, ret_intercept);
    }
    phi_free(s.x);
    phi_free(s.y);
    phi_free(s.x_mean);
    phi_free(s.y_mean);
    phi_free(s.gram);
    phi_free(s.w);
    return status;
}

void phi_ridge_path_fini(struct phi_ridge_path *path)
{
    phi_svd_fini(&path->svd);
    phi_free(path->uty);
    phi_free(path->yc);
    phi_free(path->x_mean);
    phi_free(path->y_mean);
    *path = (struct phi_ridge_path){0};
}

static enum ph_status decompose(const double *x, const double *y, struct phi_ridge_path *path,
                                struct ph_error *reterr)
{
    double *xc = centred_copy(x, path->n, path->m, path->centred, path->x_mean);
    enum ph_status status = PH_OK;

    path->yc = centred_copy(y, path->n, path->t, path->centred, path->y_mean);
    if (!xc || !path->yc)
        status = phi_error_nomem(reterr, "ridge problem", path->n * path->m * sizeof *xc);
    if (!status)
        status = phi_svd_create(xc, path->n, path->m, &path->svd, reterr);
    phi_free(xc);
    if (status)
        return status;
    while (path->svd.r && !(path->svd.s[path->svd.r - 1] > NULL_SHARE * path->svd.s[0]))
        path->svd.s[--path->svd.r] = 0;
    return PH_OK;
}

/* svd.u keeps its row length when trailing singular values are dropped. */
static size_t u_stride(const struct phi_ridge_path *path)
{
    return path->n < path->m ? path->n : path->m;
}

enum ph_status phi_ridge_path_create(const struct phi_ridge_problem *problem, bool centre,
                                     struct phi_ridge_path *ret_path, struct ph_error *reterr)
{
    struct phi_ridge_path path = {
        .n = problem->n, .m = problem->m, .t = problem->t, .centred = centre};
    enum ph_status status = check(problem, reterr);

    if (status)
        return status;
    path.x_mean = phi_calloc(path.m, sizeof *path.x_mean);
    path.y_mean = phi_calloc(path.t, sizeof *path.y_mean);
    path.uty = phi_calloc2(u_stride(&path), path.t, sizeof *path.uty);
    if (path.x_mean && path.y_mean && path.uty)
        status = decompose(problem->x, problem->y, &path, reterr);
    else
        status = phi_error_nomem(reterr, "ridge path", u_stride(&path) * path.t * sizeof(double));
    if (status) {
        phi_ridge_path_fini(&path);
        return status;
    }
    if (path.svd.r)
        cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)path.svd.r, (int)path.t,
                    (int)path.n, 1, path.svd.u, (int)u_stride(&path), path.yc, (int)path.t, 0,
                    path.uty, (int)path.t);
    *ret_path = path;
    return PH_OK;
}

void phi_ridge_path_weights(const struct phi_ridge_path *path, const double *lambda,
                            double *ret_weights, double *ret_intercept)
{
    size_t t = path->t;

    memset(ret_weights, 0, path->m * t * sizeof *ret_weights);
    for (size_t r = 0; r < path->svd.r; r++)
        for (size_t j = 0; j < path->m; j++) {
            double s = path->svd.s[r], v = path->svd.vt[r * path->m + j];

            for (size_t k = 0; k < t; k++)
                ret_weights[j * t + k] += v * (s / (s * s + lambda[k])) * path->uty[r * t + k];
        }
    for (size_t k = 0; k < t; k++) {
        ret_intercept[k] = path->y_mean[k];
        for (size_t j = 0; j < path->m; j++)
            ret_intercept[k] -= path->x_mean[j] * ret_weights[j * t + k];
    }
}

double phi_ridge_path_hat(const struct phi_ridge_path *path, double lambda, double *ret_hat)
{
    double df = path->centred ? 1 : 0;

    for (size_t i = 0; i < path->n; i++) {
        ret_hat[i] = 0;
        for (size_t r = 0; r < path->svd.r; r++) {
            double s2 = path->svd.s[r] * path->svd.s[r], u = path->svd.u[i * u_stride(path) + r];

            ret_hat[i] += u * u * s2 / (s2 + lambda);
        }
        df += ret_hat[i];
    }
    return df;
}

/* Fitted value of sample i, target k, less the mean. */
static double fitted(const struct phi_ridge_path *path, double lambda, size_t i, size_t k)
{
    double sum = 0;

    for (size_t r = 0; r < path->svd.r; r++) {
        double s2 = path->svd.s[r] * path->svd.s[r];

        sum +=
            path->svd.u[i * u_stride(path) + r] * s2 / (s2 + lambda) * path->uty[r * path->t + k];
    }
    return sum;
}

static enum ph_status refuse_series(enum phi_rows rows, const char *what, struct ph_error *reterr)
{
    if (rows == PHI_ROWS_SEPARATE)
        return PH_OK;
    return phi_error(reterr, PH_E_STATE,
                     "%s is not valid for volumes of a series: a volume left out is still known "
                     "from its neighbours, so the penalty comes out too small; use contiguous "
                     "folds or leave one run out",
                     what);
}

enum ph_status phi_ridge_path_loo(const struct phi_ridge_path *path, double lambda,
                                  enum phi_rows rows, double *ret_pred, struct ph_error *reterr)
{
    enum ph_status status = refuse_series(rows, "leave-one-out", reterr);
    double *hat = status ? NULL : phi_calloc(path->n, sizeof *hat);
    double mean_share = path->centred ? 1 / (double)path->n : 0;

    if (status)
        return status;
    if (!hat)
        return phi_error_nomem(reterr, "hat diagonal", path->n * sizeof *hat);
    (void)phi_ridge_path_hat(path, lambda, hat);
    for (size_t i = 0; i < path->n; i++)
        for (size_t k = 0; k < path->t; k++) {
            double y = path->yc[i * path->t + k];
            double e = (y - fitted(path, lambda, i, k)) / (1 - hat[i] - mean_share);

            ret_pred[i * path->t + k] = y + path->y_mean[k] - e;
        }
    phi_free(hat);
    return PH_OK;
}

enum ph_status phi_ridge_path_gcv(const struct phi_ridge_path *path, double lambda,
                                  enum phi_rows rows, double *ret_gcv, struct ph_error *reterr)
{
    enum ph_status status = refuse_series(rows, "generalised cross-validation", reterr);
    double *hat = status ? NULL : phi_calloc(path->n, sizeof *hat);
    double n = (double)path->n, df;

    if (status)
        return status;
    if (!hat)
        return phi_error_nomem(reterr, "hat diagonal", path->n * sizeof *hat);
    df = phi_ridge_path_hat(path, lambda, hat);
    for (size_t k = 0; k < path->t; k++) {
        double rss = 0;

        for (size_t i = 0; i < path->n; i++) {
            double e = path->yc[i * path->t + k] - fitted(path, lambda, i, k);

            rss += e * e;
        }
        ret_gcv[k] = rss / n / ((1 - df / n) * (1 - df / n));
    }
    phi_free(hat);
    return PH_OK;
}

/* Squared length of the weights of one target. */
static double length2(const struct phi_ridge_path *path, size_t target, double lambda)
{
    double sum = 0;

    for (size_t r = 0; r < path->svd.r; r++) {
        double s = path->svd.s[r];
        double w = s / (s * s + lambda) * path->uty[r * path->t + target];

        sum += w * w;
    }
    return sum;
}

double phi_ridge_path_fraction(const struct phi_ridge_path *path, size_t target, double fraction)
{
    double wanted = fraction * fraction * length2(path, target, 0);
    double low = 0, high = path->svd.r ? path->svd.s[0] * path->svd.s[0] : 1;

    if (!(fraction < 1) || !(wanted > 0))
        return 0;
    while (length2(path, target, high) > wanted)
        high *= 4;
    for (int i = 0; i < 200; i++) {
        double middle = (low + high) / 2;

        if (length2(path, target, middle) > wanted)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}
