/* SPDX-License-Identifier: MIT */
#include "decode/paired.h"

#include <math.h>

#include "base/error.h"
#include "base/mem.h"

static double squared_distance(const float *a, const float *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum;
}

double phi_similarity_distance(const float *a, const float *b, size_t n)
{
    return 1 / (1 + sqrt(squared_distance(a, b, n)));
}

double phi_similarity_mse(const float *a, const float *b, size_t n)
{
    return 1 / (1 + squared_distance(a, b, n) / (double)n);
}

static double mean_paired(void *ctx, const uint32_t *order, size_t n)
{
    const double *table = ctx;
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += table[i * n + order[i]];
    return sum / (double)n;
}

static double mean_drawn(void *ctx, const uint32_t *order, size_t n)
{
    const double *values = ctx;
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += values[order[i]];
    return sum / (double)n;
}

enum ph_status phi_paired_summary(const double *table, const struct phi_paired_items *items,
                                  struct phi_paired_score *ret_score, struct ph_error *reterr)
{
    size_t n = items->n;
    double *all = phi_calloc2(n, n, sizeof *all), *right = phi_calloc(n, sizeof *right);
    const struct phi_resample pairings = {mean_paired, all, n, items->n_draws, items->seed};
    const struct phi_resample drawn = {mean_drawn, right, n, items->n_draws, items->seed};
    double sum = 0, sum_right = 0;
    struct phi_interval ci;
    struct phi_null null;
    enum ph_status status = PH_OK;

    if (!all || !right)
        status = phi_error_nomem(reterr, "scores", n * n * sizeof *all);
    for (size_t i = 0; status == PH_OK && i < n * n; i++) {
        sum += all[i] = table[i];
        if (i / n == i % n)
            sum_right += right[i / n] = table[i];
    }
    if (status == PH_OK)
        status = phi_null_permute(&pairings, &null, reterr);
    if (status == PH_OK)
        status = phi_bootstrap(&drawn, 1, 0.95, &ci, reterr);
    if (status == PH_OK) {
        phi_mean_sem(right, n, &ret_score->mean, &ret_score->sem);
        ret_score->low = ci.low;
        ret_score->high = ci.high;
        ret_score->other = (sum - sum_right) / (double)(n * (n - 1));
        ret_score->p = null.p;
    }
    phi_free(all);
    phi_free(right);
    return status;
}

enum ph_status phi_paired_difference(const double *a, const double *b,
                                     const struct phi_paired_items *items,
                                     struct phi_interval *ret_interval, struct ph_error *reterr)
{
    double *values = phi_calloc(items->n, sizeof *values);
    const struct phi_resample drawn = {mean_drawn, values, items->n, items->n_draws, items->seed};
    enum ph_status status;

    if (!values)
        return phi_error_nomem(reterr, "scores", items->n * sizeof *values);
    for (size_t i = 0; i < items->n; i++)
        values[i] = a[i] - b[i];
    status = phi_bootstrap(&drawn, 1, 0.95, ret_interval, reterr);
    phi_free(values);
    return status;
}

/* With the attributes of item order[i] in the place of item i's; NULL: as they are. */
static double correlate(const struct phi_relation *r, const uint32_t *order, size_t n_items,
                        size_t column)
{
    double n = (double)n_items, ma = 0, ms = 0, aa = 0, ss = 0, as = 0;

    for (size_t i = 0; i < n_items; i++) {
        ma += (double)r->attributes[i * r->k + column];
        ms += r->score[i];
    }
    ma /= n;
    ms /= n;
    for (size_t i = 0; i < n_items; i++) {
        double a = (double)r->attributes[(order ? order[i] : i) * r->k + column] - ma;
        double s = r->score[i] - ms;

        aa += a * a;
        ss += s * s;
        as += a * s;
    }
    /* a constant is one up to the rounding of its mean */
    return aa > 1e-20 * n * ma * ma && ss > 1e-20 * n * ms * ms ? as / sqrt(aa * ss) : 0;
}

static double largest(void *ctx, const uint32_t *order, size_t n)
{
    const struct phi_relation *r = ctx;
    double most = 0;

    for (size_t column = 0; column < r->k; column++)
        most = fmax(most, fabs(correlate(r, order, n, column)));
    return most;
}

enum ph_status phi_relation_test(const struct phi_relation *relation,
                                 const struct phi_paired_items *items, double *ret_r,
                                 struct phi_null *ret_null, struct ph_error *reterr)
{
    struct phi_relation own = *relation;
    const struct phi_resample what = {largest, &own, items->n, items->n_draws, items->seed};
    enum ph_status status = phi_null_permute(&what, ret_null, reterr);

    for (size_t column = 0; status == PH_OK && column < own.k; column++)
        ret_r[column] = correlate(&own, NULL, items->n, column);
    return status;
}
