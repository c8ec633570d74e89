/* SPDX-License-Identifier: MIT */
#include "decode/corr.h"

#include <math.h>

/* A series read through an optional index list. */
struct series {
    const float *at;
    size_t stride;
    const uint32_t *index; /* NULL: 0 .. n-1 */
};

static double value(const struct series *s, size_t i)
{
    return (double)s->at[(s->index ? s->index[i] : i) * s->stride];
}

static double mean(const struct series *s, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += value(s, i);
    return n ? sum / (double)n : 0;
}

/* Pearson r, or NaN where it is not defined. */
static double pearson(const struct series *a, const struct series *b, size_t n)
{
    double ma = mean(a, n), mb = mean(b, n), saa = 0, sbb = 0, sab = 0;

    for (size_t i = 0; i < n; i++) {
        double da = value(a, i) - ma, db = value(b, i) - mb;

        saa += da * da;
        sbb += db * db;
        sab += da * db;
    }
    return saa > 0 && sbb > 0 ? sab / sqrt(saa * sbb) : (double)NAN;
}

double phi_corr_f32(const float *a, size_t stride_a, const float *b, size_t stride_b, size_t n)
{
    double r = pearson(&(struct series){a, stride_a, NULL}, &(struct series){b, stride_b, NULL}, n);

    return isnan(r) ? 0 : r;
}

static size_t store(double r, double *ret)
{
    *ret = isnan(r) ? 0 : r;
    return isnan(r) ? 1U : 0U;
}

size_t phi_corr_features(const struct phi_score_pair *pair, double *ret_r)
{
    size_t n_undefined = 0;

    for (size_t j = 0; j < pair->p; j++) {
        struct series a = {pair->estimate + j, pair->p, NULL};
        struct series b = {pair->truth + j, pair->p, NULL};

        n_undefined += store(pearson(&a, &b, pair->n), ret_r + j);
    }
    return n_undefined;
}

size_t phi_corr_patterns(const struct phi_score_pair *pair, double *ret_r)
{
    size_t n_undefined = 0;

    for (size_t i = 0; i < pair->n; i++) {
        struct series a = {pair->estimate + i * pair->p, 1, NULL};
        struct series b = {pair->truth + i * pair->p, 1, NULL};

        n_undefined += store(pearson(&a, &b, pair->p), ret_r + i);
    }
    return n_undefined;
}

size_t phi_r2_features(const struct phi_score_pair *pair, double *ret_r2)
{
    size_t n_undefined = 0;

    for (size_t j = 0; j < pair->p; j++) {
        struct series a = {pair->estimate + j, pair->p, NULL};
        struct series b = {pair->truth + j, pair->p, NULL};
        double mb = mean(&b, pair->n), sse = 0, sst = 0;

        for (size_t i = 0; i < pair->n; i++) {
            double e = value(&b, i) - value(&a, i), d = value(&b, i) - mb;

            sse += e * e;
            sst += d * d;
        }
        n_undefined += store(sst > 0 ? 1 - sse / sst : (double)NAN, ret_r2 + j);
    }
    return n_undefined;
}

double phi_corr_mean_reordered(const struct phi_score_pair *pair, const uint32_t *rows,
                               const uint32_t *order, size_t n_rows)
{
    double sum = 0;

    for (size_t j = 0; j < pair->p; j++) {
        struct series a = {pair->estimate + j, pair->p, rows};
        struct series b = {pair->truth + j, pair->p, order};
        double r = pearson(&a, &b, n_rows);

        sum += isnan(r) ? 0 : r;
    }
    return pair->p ? sum / (double)pair->p : 0;
}
