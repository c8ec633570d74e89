/* SPDX-License-Identifier: MIT */
#include "decode/spectrum.h"

#include <cblas.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/fold_gram.h"
#include "decode/linalg.h"

/* Eigenvalues below this share of the largest are rounding (the centred mean always is one). */
#define NULL_SHARE 1e-13

static size_t fold_n_test(const struct phi_fold *fold)
{
    return fold->test_to - fold->test_from;
}

static enum ph_status take_memory(struct phi_spectrum *s, struct ph_error *reterr)
{
    s->e = phi_calloc(s->r, sizeof *s->e);
    s->q = phi_calloc2(s->r, s->n_train, sizeof *s->q);
    s->p = s->n_test ? phi_calloc2(s->n_test, s->r, sizeof *s->p) : NULL;
    s->out = phi_calloc2(s->n_out, s->r, sizeof *s->out);
    if (s->e && s->q && s->out && (s->p || !s->n_test))
        return PH_OK;
    phi_spectrum_fini(s);
    return phi_error_nomem(reterr, "spectrum of a fold",
                           (s->n_train + s->n_out + s->n_test) * s->r * sizeof *s->q);
}

void phi_spectrum_fini(struct phi_spectrum *s)
{
    phi_free(s->e);
    phi_free(s->q);
    phi_free(s->p);
    phi_free(s->out);
    s->e = s->q = s->p = s->out = NULL;
}

/* How many of the ascending values[n] are above rounding. */
static size_t count_kept(const double *values, size_t n)
{
    size_t n_kept = 0;

    for (size_t i = 0; i < n; i++)
        n_kept += values[i] > NULL_SHARE * values[n - 1] && values[i] > 0;
    return n_kept;
}

/* Fills the spectrum from eigenvectors (rows of v, ascending values) of the training Gram. */
static void fill_dual(struct phi_spectrum *s, const double *v, const double *values)
{
    size_t n = s->n_train;

    for (size_t j = 0; j < s->r; j++) {
        const double *u = v + (n - 1 - j) * n;

        s->e[j] = values[n - 1 - j];
        memcpy(s->q + j * n, u, n * sizeof *u);
        for (size_t i = 0; i < n; i++)
            s->out[i * s->r + j] = u[i];
    }
}

static void multiply_test(const struct phi_spectrum *s, const double *test, size_t n_columns,
                          const double *basis /* [n_columns][r] */)
{
    if (s->n_test)
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)s->n_test, (int)s->r,
                    (int)n_columns, 1, test, (int)n_columns, basis, (int)s->r, 0, s->p, (int)s->r);
}

static enum ph_status dual_from(double *train, const double *cross, double *values,
                                const struct phi_team *team, struct phi_spectrum *s,
                                struct ph_error *reterr)
{
    enum ph_status status = team ? team->eigh(team->ctx, train, s->n_train, values, reterr)
                                 : phi_eigh(train, s->n_train, values, reterr);

    if (status)
        return status;
    s->r = count_kept(values, s->n_train);
    if (!s->r)
        return phi_error(reterr, PH_E_INVAL, "the training samples of a fold are all alike");
    s->n_out = s->n_train;
    status = take_memory(s, reterr);
    if (status)
        return status;
    fill_dual(s, train, values);
    multiply_test(s, cross, s->n_train, s->out);
    return PH_OK;
}

enum ph_status phi_spectrum_dual(const double *k, const struct phi_fold *fold,
                                 const struct phi_team *team, struct phi_spectrum *ret_spectrum,
                                 struct ph_error *reterr)
{
    struct phi_spectrum s = {
        .fold = *fold, .n_train = phi_fold_n_train(fold), .n_test = fold_n_test(fold)};
    double *values = phi_calloc(s.n_train, sizeof *values);
    double *train = phi_calloc2(s.n_train, s.n_train, sizeof *train);
    double *cross = phi_calloc2(s.n_test, s.n_train, sizeof *cross);
    enum ph_status status;

    if (values && train && cross)
        status = phi_fold_gram(k, fold, train, cross, reterr);
    else
        status =
            phi_error_nomem(reterr, "Gram matrix of a fold", s.n_train * s.n_train * sizeof *train);
    if (!status)
        status = dual_from(train, cross, values, team, &s, reterr);
    phi_free(cross);
    phi_free(train);
    phi_free(values);
    if (!status)
        *ret_spectrum = s;
    return status;
}

/* Rows of x listed by `fold` (training, then testing), less the training mean. */
static void centre_rows(const double *x, size_t m, const struct phi_fold *fold, double *train,
                        double *test)
{
    size_t n_train = phi_fold_n_train(fold);

    for (size_t j = 0; j < m; j++) {
        double mean = 0;

        for (size_t i = 0; i < n_train; i++)
            mean += x[phi_fold_train_row(fold, i) * m + j] / (double)n_train;
        for (size_t i = 0; i < n_train; i++)
            train[i * m + j] = x[phi_fold_train_row(fold, i) * m + j] - mean;
        for (size_t i = 0; i < fold_n_test(fold); i++)
            test[i * m + j] = x[(fold->test_from + i) * m + j] - mean;
    }
}

struct primal_work {
    double *train;  /* [n_train][m] */
    double *test;   /* [n_test][m] */
    double *g;      /* [m][m], then eigenvectors in rows */
    double *values; /* [m] */
};

static enum ph_status primal_from(struct primal_work *w, size_t m, struct phi_spectrum *s,
                                  struct ph_error *reterr)
{
    enum ph_status status;

    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)m, (int)m, (int)s->n_train, 1,
                w->train, (int)m, w->train, (int)m, 0, w->g, (int)m);
    status = phi_eigh(w->g, m, w->values, reterr);
    if (status)
        return status;
    s->r = count_kept(w->values, m);
    s->n_out = m;
    if (!s->r)
        return phi_error(reterr, PH_E_INVAL, "the training samples of a fold are all alike");
    status = take_memory(s, reterr);
    if (status)
        return status;
    for (size_t j = 0; j < s->r; j++) {
        s->e[j] = w->values[m - 1 - j];
        for (size_t i = 0; i < m; i++)
            s->out[i * s->r + j] = w->g[(m - 1 - j) * m + i];
    }
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasTrans, (int)s->r, (int)s->n_train, (int)m, 1,
                s->out, (int)s->r, w->train, (int)m, 0, s->q, (int)s->n_train);
    multiply_test(s, w->test, m, s->out);
    return PH_OK;
}

enum ph_status phi_spectrum_primal(const double *x, size_t m, const struct phi_fold *fold,
                                   struct phi_spectrum *ret_spectrum, struct ph_error *reterr)
{
    struct phi_spectrum s = {
        .fold = *fold, .n_train = phi_fold_n_train(fold), .n_test = fold_n_test(fold)};
    struct primal_work w = {phi_calloc2(s.n_train, m, sizeof *w.train),
                            phi_calloc2(s.n_test, m, sizeof *w.test),
                            phi_calloc2(m, m, sizeof *w.g), phi_calloc(m, sizeof *w.values)};
    enum ph_status status;

    if (w.train && w.test && w.g && w.values) {
        centre_rows(x, m, fold, w.train, w.test);
        status = primal_from(&w, m, &s, reterr);
    } else {
        status = phi_error_nomem(reterr, "columns of a fold", (s.n_train + m) * m * sizeof *w.g);
    }
    phi_free(w.values);
    phi_free(w.g);
    phi_free(w.test);
    phi_free(w.train);
    if (!status)
        *ret_spectrum = s;
    return status;
}

enum ph_status phi_spectrum_map(const struct phi_spectrum *s, double lambda, double *ret_map,
                                struct ph_error *reterr)
{
    double *scaled = phi_calloc2(s->n_out, s->r, sizeof *scaled);

    if (!scaled)
        return phi_error_nomem(reterr, "ridge solution", s->n_out * s->r * sizeof *scaled);
    for (size_t i = 0; i < s->n_out; i++)
        for (size_t j = 0; j < s->r; j++)
            scaled[i * s->r + j] = s->out[i * s->r + j] / (s->e[j] + lambda);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)s->n_out, (int)s->n_train,
                (int)s->r, 1, scaled, (int)s->r, s->q, (int)s->n_train, 0, ret_map,
                (int)s->n_train);
    phi_free(scaled);
    return PH_OK;
}

static enum ph_status take_basis(struct phi_penalty_basis *b, struct ph_error *reterr)
{
    b->basis = phi_calloc2(b->n_basis, b->r, sizeof *b->basis);
    b->mix = phi_calloc2(b->n_lambdas, b->n_basis, sizeof *b->mix);
    if (b->basis && b->mix)
        return PH_OK;
    phi_penalty_basis_fini(b);
    return phi_error_nomem(reterr, "penalty functions", b->n_basis * b->r * sizeof *b->basis);
}

void phi_penalty_basis_fini(struct phi_penalty_basis *basis)
{
    phi_free(basis->basis);
    phi_free(basis->mix);
    basis->basis = basis->mix = NULL;
}

static enum ph_status exact_basis(const double *e, const double *lambdas,
                                  struct phi_penalty_basis *b, struct ph_error *reterr)
{
    enum ph_status status;

    b->n_basis = b->n_lambdas;
    status = take_basis(b, reterr);
    for (size_t l = 0; !status && l < b->n_lambdas; l++) {
        b->mix[l * b->n_basis + l] = 1;
        for (size_t j = 0; j < b->r; j++)
            b->basis[l * b->r + j] = 1 / (e[j] + lambdas[l]);
    }
    return status;
}

/* The filters e/(e + lambda) are logistic curves in log e: their SVD falls off geometrically. */
static enum ph_status short_basis(const double *e, const struct phi_svd *svd, double tolerance,
                                  struct phi_penalty_basis *b, struct ph_error *reterr)
{
    enum ph_status status;

    while (b->n_basis < svd->r && svd->s[b->n_basis] > tolerance * svd->s[0])
        b->n_basis++;
    status = take_basis(b, reterr);
    for (size_t k = 0; !status && k < b->n_basis; k++) {
        for (size_t l = 0; l < b->n_lambdas; l++)
            b->mix[l * b->n_basis + k] = svd->u[l * svd->r + k];
        for (size_t j = 0; j < b->r; j++)
            b->basis[k * b->r + j] = svd->s[k] * svd->vt[k * b->r + j] / e[j];
    }
    return status;
}

enum ph_status phi_penalty_basis_create(const double *e, size_t r, const double *lambdas,
                                        size_t n_lambdas, double tolerance,
                                        struct phi_penalty_basis *ret_basis,
                                        struct ph_error *reterr)
{
    struct phi_penalty_basis b = {.n_lambdas = n_lambdas, .r = r};
    struct phi_svd svd;
    enum ph_status status;
    double *filters;

    if (!(tolerance > 0)) {
        status = exact_basis(e, lambdas, &b, reterr);
    } else {
        filters = phi_calloc2(n_lambdas, r, sizeof *filters);
        if (!filters)
            return phi_error_nomem(reterr, "penalty functions", n_lambdas * r * sizeof *filters);
        for (size_t l = 0; l < n_lambdas; l++)
            for (size_t j = 0; j < r; j++)
                filters[l * r + j] = e[j] / (e[j] + lambdas[l]);
        status = phi_svd_create(filters, n_lambdas, r, &svd, reterr);
        phi_free(filters);
        if (status)
            return status;
        status = short_basis(e, &svd, tolerance, &b, reterr);
        phi_svd_fini(&svd);
    }
    if (!status)
        *ret_basis = b;
    return status;
}
