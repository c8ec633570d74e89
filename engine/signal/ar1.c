/* SPDX-License-Identifier: MIT */
#include "signal/ar1.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

/* A column counts as spanned by those before it below this share of its norm. */
#define NOTHING 1e-9

/* Noise further apart counts as independent. */
#define N_LAGS 64

#define STEP    0.01
#define N_TABLE 181

static double rho_of(int i)
{
    return STEP * (i - N_TABLE / 2);
}

struct phi_ar1 {
    size_t n_capacity;
    size_t n_regressors;
    size_t n;
    size_t rank;
    double *basis;    /* [rank][n] orthonormal */
    double *forming;  /* [n][n] residual-forming matrix R */
    double *rest;     /* [n] residuals of one voxel */
    bool *neighbours; /* [n] row t follows row t - 1 at once */
    double squares[N_LAGS], products[N_LAGS];
    double expected[N_TABLE]; /* of the residuals, by the noise's */
};

enum ph_status phi_ar1_create(size_t n_rows, size_t n_regressors, struct phi_ar1 **ret_ar1,
                              struct ph_error *reterr)
{
    struct phi_ar1 *a;

    if (n_rows < 4 || n_rows > PHI_AR1_MAX_ROWS || n_regressors == 0)
        return phi_error(reterr, PH_E_INVAL,
                         "autocorrelation is estimated from 4 to %d volumes, not %zu",
                         PHI_AR1_MAX_ROWS, n_rows);
    a = phi_calloc(1, sizeof *a);
    if (!a)
        return phi_error_nomem(reterr, "an autocorrelation", sizeof *a);
    a->n_capacity = n_rows;
    a->n_regressors = n_regressors;
    a->basis = phi_calloc2(n_rows, n_regressors, sizeof *a->basis);
    a->forming = phi_calloc2(n_rows, n_rows, sizeof *a->forming);
    a->rest = phi_calloc(n_rows, sizeof *a->rest);
    a->neighbours = phi_calloc(n_rows, sizeof *a->neighbours);
    if (!a->basis || !a->forming || !a->rest || !a->neighbours) {
        phi_ar1_destroy(&a);
        return phi_error_nomem(reterr, "an autocorrelation", n_rows * n_rows * sizeof(double));
    }
    *ret_ar1 = a;
    return PH_OK;
}

void phi_ar1_destroy(struct phi_ar1 **ar1)
{
    if (!ar1 || !*ar1)
        return;
    phi_free((*ar1)->basis);
    phi_free((*ar1)->forming);
    phi_free((*ar1)->rest);
    phi_free((*ar1)->neighbours);
    phi_free(*ar1);
    *ar1 = NULL;
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Takes the basis so far out of column[n], twice, as once leaves rounding behind. */
static void orthogonalise(const struct phi_ar1 *a, double *column)
{
    for (int pass = 0; pass < 2; pass++)
        for (size_t k = 0; k < a->rank; k++) {
            const double *q = a->basis + k * a->n;
            double share = dot(q, column, a->n);

            for (size_t t = 0; t < a->n; t++)
                column[t] -= share * q[t];
        }
}

/* An orthonormal basis of the columns of x[n][n_regressors]. */
static void make_basis(struct phi_ar1 *a, const double *x)
{
    a->rank = 0;
    for (size_t i = 0; i < a->n_regressors && a->rank < a->n; i++) {
        double *column = a->basis + a->rank * a->n;
        double before, left;

        for (size_t t = 0; t < a->n; t++)
            column[t] = x[t * a->n_regressors + i];
        before = dot(column, column, a->n);
        orthogonalise(a, column);
        left = dot(column, column, a->n);
        if (!(left > NOTHING * NOTHING * before))
            continue;
        for (size_t t = 0; t < a->n; t++)
            column[t] /= sqrt(left);
        a->rank++;
    }
}

static void make_forming(struct phi_ar1 *a)
{
    size_t n = a->n;

    for (size_t s = 0; s < n; s++)
        for (size_t t = 0; t < n; t++) {
            double sum = s == t ? 1 : 0;

            for (size_t k = 0; k < a->rank; k++)
                sum -= a->basis[k * n + s] * a->basis[k * n + t];
            a->forming[s * n + t] = sum;
        }
}

/* For one i, the row (R D R)[i][.], D being 1 where row t follows t - 1. */
static void products_row(struct phi_ar1 *a, size_t i, double *row)
{
    size_t n = a->n;

    memset(row, 0, n * sizeof *row);
    for (size_t k = 0; k + 1 < n; k++) {
        double shifted = a->neighbours[k + 1] ? a->forming[i * n + k + 1] : 0;

        for (size_t j = 0; j < n; j++)
            row[j] += shifted * a->forming[k * n + j];
    }
}

/* Sums of R and of R D R over pairs of rows as far apart in time as each lag: with noise of
 * covariance rho^lag, E r'r = sum_lag squares rho^lag and E r'D r = sum_lag products rho^lag. */
static void sum_by_lag(struct phi_ar1 *a, const uint64_t *index)
{
    size_t n = a->n;

    memset(a->squares, 0, sizeof a->squares);
    memset(a->products, 0, sizeof a->products);
    for (size_t i = 0; i < n; i++) {
        products_row(a, i, a->rest);
        for (size_t j = 0; j < n; j++) {
            uint64_t lag = index[i] > index[j] ? index[i] - index[j] : index[j] - index[i];

            if (lag >= N_LAGS)
                continue;
            a->squares[lag] += a->forming[i * n + j];
            a->products[lag] += a->rest[j];
        }
    }
}

/* What the residuals' own autocorrelation is expected to be for each rho of the table. */
static void make_table(struct phi_ar1 *a)
{
    for (int i = 0; i < N_TABLE; i++) {
        double rho = rho_of(i);
        double squares = 0, products = 0, power = 1;

        for (size_t lag = 0; lag < N_LAGS; lag++) {
            squares += a->squares[lag] * power;
            products += a->products[lag] * power;
            power *= rho;
        }
        a->expected[i] = products / squares;
    }
}

enum ph_status phi_ar1_prepare(struct phi_ar1 *ar1, const double *x, const uint64_t *index,
                               size_t n)
{
    if (n < 4 || n > ar1->n_capacity)
        return PH_E_INVAL;
    ar1->n = n;
    for (size_t t = 0; t < n; t++)
        ar1->neighbours[t] = t > 0 && index[t] == index[t - 1] + 1;
    make_basis(ar1, x);
    if (n < ar1->rank + 4)
        return PH_E_INVAL;
    make_forming(ar1);
    sum_by_lag(ar1, index);
    make_table(ar1);
    return PH_OK;
}

/* Residuals of one voxel, their sum of squares and of products of neighbours. False without
 * variance. */
static bool sums_of(struct phi_ar1 *a, const float *y, size_t stride, double *ret_squares,
                    double *ret_products)
{
    double whole;

    *ret_products = 0;
    for (size_t t = 0; t < a->n; t++)
        a->rest[t] = (double)y[t * stride];
    whole = dot(a->rest, a->rest, a->n);
    orthogonalise(a, a->rest);
    *ret_squares = dot(a->rest, a->rest, a->n);
    for (size_t t = 1; t < a->n; t++)
        *ret_products += a->neighbours[t] ? a->rest[t] * a->rest[t - 1] : 0;
    return isfinite(whole) && *ret_squares > 1e-12 * whole;
}

double phi_ar1_plain(struct phi_ar1 *ar1, const float *y, size_t stride)
{
    double squares, products;

    return sums_of(ar1, y, stride, &squares, &products) ? products / squares : (double)NAN;
}

double phi_ar1_estimate(struct phi_ar1 *ar1, const float *y, size_t stride)
{
    double plain = phi_ar1_plain(ar1, y, stride);
    int low = 0, high = N_TABLE - 1;
    double from, to;

    if (isnan(plain))
        return plain;
    while (high - low > 1) {
        int middle = (low + high) / 2;

        *(ar1->expected[middle] <= plain ? &low : &high) = middle;
    }
    from = ar1->expected[low];
    to = ar1->expected[high];
    if (!(to > from))
        return rho_of(low);
    return rho_of(low) + fmin(fmax((plain - from) / (to - from), 0), 1) * STEP;
}
