/* SPDX-License-Identifier: MIT */
#include "decode/axes.h"

#include <math.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/ridge.h"

#define N_PENALTIES 9

struct work {
    const struct phi_axes_problem *problem;
    struct phi_axes *out;
    double *weights; /* [p][k] */
    double *pred;    /* [n][k] */
    double *lambda;  /* [k] */
    bool *is_base;   /* [k] */
};

/* r2 of attribute j when each row is predicted from the others. */
static double explained(const struct work *w, size_t j)
{
    size_t n = w->problem->n, k = w->problem->k;
    double mean = 0, rss = 0, tss = 0;

    for (size_t i = 0; i < n; i++)
        mean += w->problem->y[i * k + j] / (double)n;
    for (size_t i = 0; i < n; i++) {
        double y = w->problem->y[i * k + j], d = y - w->pred[i * k + j];

        rss += d * d;
        tss += (y - mean) * (y - mean);
    }
    return tss > 0 ? 1 - rss / tss : 0;
}

static enum ph_status choose_penalties(const struct phi_ridge_path *path, struct work *w,
                                       struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    for (int i = 0; status == PH_OK && i < N_PENALTIES; i++) {
        double penalty = (double)w->problem->n * pow(10, -4 + 0.5 * i);

        status = phi_ridge_path_loo(path, penalty, PHI_ROWS_SEPARATE, w->pred, reterr);
        for (size_t j = 0; status == PH_OK && j < w->problem->k; j++) {
            double r2 = explained(w, j);

            if (i == 0 || r2 > w->out->r2[j]) {
                w->out->r2[j] = r2;
                w->lambda[j] = penalty;
            }
        }
    }
    return status;
}

static enum ph_status regress(struct work *w, struct ph_error *reterr)
{
    const struct phi_axes_problem *p = w->problem;
    const struct phi_ridge_problem problem = {p->x, p->y, p->n, p->p, p->k};
    struct phi_ridge_path path = {0};
    enum ph_status status = phi_ridge_path_create(&problem, true, &path, reterr);

    if (status == PH_OK)
        status = choose_penalties(&path, w, reterr);
    if (status == PH_OK)
        phi_ridge_path_weights(&path, w->lambda, w->weights, w->out->intercept);
    phi_ridge_path_fini(&path);
    return status;
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* An axis of which rounding is all that is left becomes 0. */
static void normalise(double *row, size_t n)
{
    double length = sqrt(dot(row, row, n));

    for (size_t i = 0; i < n; i++)
        row[i] = length > 1e-12 ? row[i] / length : 0;
}

static void set_cosines(const struct phi_axes *a, double *cosine)
{
    for (size_t i = 0; i < a->k; i++)
        for (size_t j = 0; j < a->k; j++)
            cosine[i * a->k + j] = dot(a->axis + i * a->p, a->axis + j * a->p, a->p);
}

static void take_out(struct phi_axes *a, size_t from, size_t which)
{
    double *row = a->axis + from * a->p;
    const double *base = a->axis + which * a->p;
    double share = dot(row, base, a->p);

    for (size_t i = 0; i < a->p; i++)
        row[i] -= share * base[i];
}

/* Gram-Schmidt over the base axes in the order given; then all others lose their share of them. */
static void orthogonalise(struct work *w)
{
    const struct phi_axes_problem *problem = w->problem;
    struct phi_axes *a = w->out;

    for (size_t b = 0; b < problem->n_base; b++) {
        for (size_t c = 0; c < b && !w->is_base[problem->base[b]]; c++)
            take_out(a, problem->base[b], problem->base[c]);
        normalise(a->axis + problem->base[b] * a->p, a->p);
        w->is_base[problem->base[b]] = true;
    }
    for (size_t j = 0; j < a->k; j++) {
        for (size_t b = 0; b < problem->n_base && !w->is_base[j]; b++)
            take_out(a, j, problem->base[b]);
        normalise(a->axis + j * a->p, a->p);
    }
}

static void make_axes(struct work *w)
{
    struct phi_axes *a = w->out;

    for (size_t j = 0; j < a->k; j++) {
        for (size_t i = 0; i < a->p; i++)
            a->axis[j * a->p + i] = w->weights[i * a->k + j];
        normalise(a->axis + j * a->p, a->p);
    }
    set_cosines(a, a->cosine_before);
    orthogonalise(w);
    set_cosines(a, a->cosine);
    for (size_t j = 0; j < a->k; j++) {
        a->slope[j] = 0;
        for (size_t i = 0; i < a->p; i++)
            a->slope[j] += a->axis[j * a->p + i] * w->weights[i * a->k + j];
    }
}

static struct phi_axes *create(size_t p, size_t k)
{
    struct phi_axes *a = phi_calloc(1, sizeof *a);

    if (!a)
        return NULL;
    a->p = p;
    a->k = k;
    a->axis = phi_calloc2(k, p, sizeof(double));
    a->slope = phi_calloc(k, sizeof(double));
    a->intercept = phi_calloc(k, sizeof(double));
    a->r2 = phi_calloc(k, sizeof(double));
    a->cosine = phi_calloc2(k, k, sizeof(double));
    a->cosine_before = phi_calloc2(k, k, sizeof(double));
    if (!a->axis || !a->slope || !a->intercept || !a->r2 || !a->cosine || !a->cosine_before)
        phi_axes_destroy(&a);
    return a;
}

static enum ph_status fit(struct work *w, struct ph_error *reterr)
{
    const struct phi_axes_problem *problem = w->problem;
    enum ph_status status;

    w->out = create(problem->p, problem->k);
    w->weights = phi_calloc2(problem->p, problem->k, sizeof *w->weights);
    w->pred = phi_calloc2(problem->n, problem->k, sizeof *w->pred);
    w->lambda = phi_calloc(problem->k, sizeof *w->lambda);
    w->is_base = phi_calloc(problem->k, sizeof *w->is_base);
    if (!w->out || !w->weights || !w->pred || !w->lambda || !w->is_base)
        return phi_error_nomem(reterr, "axes", problem->n * problem->k * sizeof(double));
    status = regress(w, reterr);
    if (status == PH_OK)
        make_axes(w);
    return status;
}

enum ph_status phi_axes_fit(const struct phi_axes_problem *problem, struct phi_axes **ret_axes,
                            struct ph_error *reterr)
{
    struct work w = {.problem = problem};
    enum ph_status status;

    for (size_t b = 0; b < problem->n_base; b++)
        if (problem->base[b] >= problem->k)
            return phi_error(reterr, PH_E_INVAL, "attribute %zu of %zu: there is none",
                             problem->base[b], problem->k);
    status = fit(&w, reterr);
    phi_free(w.weights);
    phi_free(w.pred);
    phi_free(w.lambda);
    phi_free(w.is_base);
    if (status == PH_OK)
        *ret_axes = w.out;
    else
        phi_axes_destroy(&w.out);
    return status;
}

void phi_axes_destroy(struct phi_axes **axes)
{
    if (!axes || !*axes)
        return;
    phi_free((*axes)->axis);
    phi_free((*axes)->slope);
    phi_free((*axes)->intercept);
    phi_free((*axes)->r2);
    phi_free((*axes)->cosine);
    phi_free((*axes)->cosine_before);
    phi_free(*axes);
    *axes = NULL;
}
