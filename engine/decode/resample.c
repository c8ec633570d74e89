/* SPDX-License-Identifier: MIT */
#include "decode/resample.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"

/* Fills order[n] for one draw. */
typedef void draw_fn(struct phi_rng *rng, size_t amount, uint32_t *order, size_t n);

static void draw_permutation(struct phi_rng *rng, size_t amount, uint32_t *order, size_t n)
{
    (void)amount;
    phi_rng_permutation(rng, order, n);
}

static void draw_shift(struct phi_rng *rng, size_t min_shift, uint32_t *order, size_t n)
{
    size_t shift = min_shift + (size_t)phi_rng_below(rng, n - 2 * min_shift + 1);

    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)((i + shift) % n);
}

static void draw_blocks(struct phi_rng *rng, size_t n_block, uint32_t *order, size_t n)
{
    size_t start = 0;

    for (size_t i = 0; i < n; i++) {
        if (i % n_block == 0)
            start = (size_t)phi_rng_below(rng, n);
        order[i] = (uint32_t)((start + i % n_block) % n);
    }
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    if (isnan(x) || isnan(y))
        return isnan(x) - isnan(y);
    return (x > y) - (x < y);
}

void phi_sort_doubles(double *values, size_t n)
{
    if (n)
        qsort(values, n, sizeof *values, compare_doubles);
}

double phi_quantile_sorted(const double *sorted, size_t n, double q)
{
    double at = n ? q * (double)(n - 1) : 0;
    size_t i = at > 0 ? (size_t)at : 0;

    if (!n)
        return (double)NAN;
    if (i + 1 >= n)
        return sorted[n - 1];
    return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

void phi_mean_sem(const double *values, size_t n, double *ret_mean, double *ret_sem)
{
    double mean = 0, ss = 0;

    for (size_t i = 0; i < n; i++)
        mean += values[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        ss += (values[i] - mean) * (values[i] - mean);
    *ret_mean = mean;
    *ret_sem = n > 1 ? sqrt(ss / (double)(n - 1) / (double)n) : 0;
}

static enum ph_status check(const struct phi_resample *what, struct ph_error *reterr)
{
    if (what->n < 2 || what->n > UINT32_MAX)
        return phi_error(reterr, PH_E_INVAL,
                         "%zu items are too few (or too many) for a test against chance", what->n);
    if (!what->n_draws)
        return phi_error(reterr, PH_E_INVAL, "a test against chance needs at least one draw");
    return PH_OK;
}

/* The score of the true order and of n_draws drawn ones: out[0] and out[1 ..]. Owned by the
 * caller. */
static enum ph_status scores_of_draws(const struct phi_resample *what, draw_fn *draw, size_t amount,
                                      double **ret_scores, struct ph_error *reterr)
{
    uint32_t *order = phi_calloc(what->n, sizeof *order);
    double *scores = phi_calloc(what->n_draws + 1, sizeof *scores);
    struct phi_rng rng;

    if (!order || !scores) {
        phi_free(order);
        phi_free(scores);
        return phi_error_nomem(reterr, "draws of a test", what->n_draws * sizeof *scores);
    }
    for (size_t i = 0; i < what->n; i++)
        order[i] = (uint32_t)i;
    scores[0] = what->score(what->ctx, order, what->n);
    phi_rng_init(&rng, what->seed, 0);
    for (size_t d = 1; d <= what->n_draws; d++) {
        draw(&rng, amount, order, what->n);
        scores[d] = what->score(what->ctx, order, what->n);
    }
    phi_free(order);
    *ret_scores = scores;
    return PH_OK;
}

static struct phi_null summarise_null(double *scores, size_t n_draws)
{
    struct phi_null null = {.score = scores[0]};
    size_t n_as_good = 0;

    for (size_t d = 1; d <= n_draws; d++)
        n_as_good += !(scores[d] < scores[0]);
    null.p = (1 + (double)n_as_good) / (1 + (double)n_draws);
    phi_mean_sem(scores + 1, n_draws, &null.mean, &null.sd);
    null.sd *= sqrt((double)n_draws);
    phi_sort_doubles(scores + 1, n_draws);
    null.q95 = phi_quantile_sorted(scores + 1, n_draws, 0.95);
    return null;
}

static enum ph_status run_null(const struct phi_resample *what, draw_fn *draw, size_t amount,
                               struct phi_null *ret_null, struct ph_error *reterr)
{
    double *scores = NULL;
    enum ph_status status = scores_of_draws(what, draw, amount, &scores, reterr);

    if (status)
        return status;
    *ret_null = summarise_null(scores, what->n_draws);
    phi_free(scores);
    return PH_OK;
}

enum ph_status phi_null_permute(const struct phi_resample *what, struct phi_null *ret_null,
                                struct ph_error *reterr)
{
    enum ph_status status = check(what, reterr);

    return status ? status : run_null(what, draw_permutation, 0, ret_null, reterr);
}

enum ph_status phi_null_shift(const struct phi_resample *what, size_t min_shift,
                              struct phi_null *ret_null, struct ph_error *reterr)
{
    enum ph_status status = check(what, reterr);

    if (status)
        return status;
    if (!min_shift || min_shift > what->n || what->n <= 2 * min_shift)
        return phi_error(reterr, PH_E_INVAL,
                         "a series of %zu volumes is too short to be shifted by %zu or more: use a "
                         "longer run or a smaller shift",
                         what->n, min_shift);
    return run_null(what, draw_shift, min_shift, ret_null, reterr);
}

enum ph_status phi_bootstrap(const struct phi_resample *what, size_t n_block, double level,
                             struct phi_interval *ret_interval, struct ph_error *reterr)
{
    enum ph_status status = check(what, reterr);
    struct phi_interval interval;
    double *scores = NULL, mean;

    if (status)
        return status;
    if (!n_block || n_block > what->n || !(level > 0 && level < 1))
        return phi_error(reterr, PH_E_INVAL,
                         "cannot bootstrap %zu items in blocks of %zu at level %g", what->n,
                         n_block, level);
    status = scores_of_draws(what, draw_blocks, n_block, &scores, reterr);
    if (status)
        return status;
    interval.score = scores[0];
    phi_mean_sem(scores + 1, what->n_draws, &mean, &interval.sd);
    interval.sd *= sqrt((double)what->n_draws);
    phi_sort_doubles(scores + 1, what->n_draws);
    interval.low = phi_quantile_sorted(scores + 1, what->n_draws, (1 - level) / 2);
    interval.high = phi_quantile_sorted(scores + 1, what->n_draws, (1 + level) / 2);
    phi_free(scores);
    *ret_interval = interval;
    return PH_OK;
}
