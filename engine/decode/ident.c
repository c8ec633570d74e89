/* SPDX-License-Identifier: MIT */
#include "decode/ident.h"

#include <math.h>

#include "base/error.h"
#include "base/mem.h"

static size_t truth_of(const struct phi_ident *ident, size_t i)
{
    return ident->truth ? ident->truth[i] : i;
}

/* Rows centred and scaled to unit length, so that correlations are plain products. */
static double *unit_rows(const float *x, size_t n, size_t p)
{
    double *unit = phi_calloc2(n, p, sizeof *unit);

    for (size_t i = 0; unit && i < n; i++) {
        double mean = 0, ss = 0;

        for (size_t j = 0; j < p; j++)
            mean += (double)x[i * p + j];
        mean /= p ? (double)p : 1;
        for (size_t j = 0; j < p; j++) {
            unit[i * p + j] = (double)x[i * p + j] - mean;
            ss += unit[i * p + j] * unit[i * p + j];
        }
        for (size_t j = 0; j < p; j++)
            unit[i * p + j] = ss > 0 ? unit[i * p + j] / sqrt(ss) : 0;
    }
    return unit;
}

enum ph_status phi_ident_correlate(const float *estimate, size_t n, const float *candidates,
                                   size_t m, size_t p, double *ret_sim, struct ph_error *reterr)
{
    double *a = unit_rows(estimate, n, p);
    double *b = unit_rows(candidates, m, p);
    enum ph_status status = PH_OK;

    if (!a || !b)
        status = phi_error_nomem(reterr, "identification rows", (n + m) * p * sizeof *a);
    for (size_t i = 0; !status && i < n; i++)
        for (size_t j = 0; j < m; j++) {
            double sum = 0;

            for (size_t k = 0; k < p; k++)
                sum += a[i * p + k] * b[j * p + k];
            ret_sim[i * m + j] = sum;
        }
    phi_free(a);
    phi_free(b);
    return status;
}

size_t phi_ident_rank(const struct phi_ident *ident, size_t i)
{
    const double *row = ident->sim + i * ident->m;
    size_t t = truth_of(ident, i), rank = 0;

    for (size_t j = 0; j < ident->m; j++)
        rank += j != t && !(row[j] < row[t]);
    return rank;
}

double phi_ident_n_way(size_t rank, size_t m, size_t n_way)
{
    double chance = 1;

    for (size_t d = 0; d + 1 < n_way; d++) {
        if (rank + d + 1 > m - 1)
            return 0;
        chance *= (double)(m - 1 - rank - d) / (double)(m - 1 - d);
    }
    return chance;
}

double phi_ident_mean_n_way(const struct phi_ident *ident, size_t n_way)
{
    double sum = 0;

    for (size_t i = 0; i < ident->n; i++)
        sum += phi_ident_n_way(phi_ident_rank(ident, i), ident->m, n_way);
    return ident->n ? sum / (double)ident->n : (double)NAN;
}

double phi_ident_top_k(const struct phi_ident *ident, size_t k)
{
    size_t n_hits = 0;

    for (size_t i = 0; i < ident->n; i++)
        n_hits += phi_ident_rank(ident, i) < k;
    return ident->n ? (double)n_hits / (double)ident->n : (double)NAN;
}

double phi_ident_pairwise_2v2(const struct phi_ident *ident)
{
    size_t n_pairs = 0, n_right = 0, m = ident->m;

    for (size_t a = 0; a < ident->n; a++)
        for (size_t b = a + 1; b < ident->n; b++) {
            size_t ta = truth_of(ident, a), tb = truth_of(ident, b);

            if (ta == tb)
                continue;
            n_pairs++;
            n_right += ident->sim[a * m + ta] + ident->sim[b * m + tb] >
                       ident->sim[a * m + tb] + ident->sim[b * m + ta];
        }
    return n_pairs ? (double)n_right / (double)n_pairs : (double)NAN;
}

double phi_ident_pairwise_one_sided(const struct phi_ident *ident)
{
    size_t n_pairs = 0, n_right = 0, m = ident->m;

    for (size_t a = 0; a < ident->n; a++)
        for (size_t b = 0; b < ident->n; b++) {
            size_t ta = truth_of(ident, a), tb = truth_of(ident, b);

            if (ta == tb)
                continue;
            n_pairs++;
            n_right += ident->sim[a * m + ta] > ident->sim[a * m + tb];
        }
    return n_pairs ? (double)n_right / (double)n_pairs : (double)NAN;
}
