/* SPDX-License-Identifier: MIT */
#include "eval/scores.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "decode/corr.h"
#include "decode/gauss_score.h"
#include "decode/ident.h"
#include "decode/resample.h"

/* What the score functions see. */
struct work {
    const struct eval_data *data;
    struct phi_score_pair pair;
    double *sim;       /* [n][n] correlation of estimate i with truth j */
    uint32_t *rank_of; /* [n][n] rank that truth j would have for estimate i */
    size_t n_way, k;
    bool bootstrap; /* order chooses rows, instead of re-pairing them */
};

/* Truth row that estimate row order[i] or i is scored against. */
static size_t cell(const struct work *w, const uint32_t *order, size_t i)
{
    size_t row = w->bootstrap ? order[i] : i;

    return row * w->data->n + order[i];
}

static double feature_r(void *ctx, const uint32_t *order, size_t n)
{
    const struct work *w = ctx;

    return phi_corr_mean_reordered(&w->pair, w->bootstrap ? order : NULL, order, n);
}

static double pattern_r(void *ctx, const uint32_t *order, size_t n)
{
    const struct work *w = ctx;
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += w->sim[cell(w, order, i)];
    return sum / (double)n;
}

static double n_way(void *ctx, const uint32_t *order, size_t n)
{
    const struct work *w = ctx;
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += phi_ident_n_way(w->rank_of[cell(w, order, i)], w->data->n, w->n_way);
    return sum / (double)n;
}

static double top_k(void *ctx, const uint32_t *order, size_t n)
{
    const struct work *w = ctx;
    size_t n_hits = 0;

    for (size_t i = 0; i < n; i++)
        n_hits += w->rank_of[cell(w, order, i)] < w->k;
    return (double)n_hits / (double)n;
}

/* rank_of[i][j]: how many other candidates are at least as similar to estimate i as j is. */
static enum ph_status fill_ranks(struct work *w, struct ph_error *reterr)
{
    size_t n = w->data->n;
    double *sorted = phi_calloc(n, sizeof *sorted);

    if (!sorted)
        return phi_error_nomem(reterr, "similarities", n * sizeof *sorted);
    for (size_t i = 0; i < n; i++) {
        memcpy(sorted, w->sim + i * n, n * sizeof *sorted);
        phi_sort_doubles(sorted, n);
        for (size_t j = 0; j < n; j++) {
            size_t low = 0, high = n;

            while (low < high) { /* first that is not below */
                size_t middle = (low + high) / 2;

                if (sorted[middle] < w->sim[i * n + j])
                    low = middle + 1;
                else
                    high = middle;
            }
            w->rank_of[i * n + j] = (uint32_t)(n - low - 1);
        }
    }
    phi_free(sorted);
    return PH_OK;
}

static struct eval_score *add(struct eval_scores *scores, const char *name, double value,
                              double chance)
{
    struct eval_score *score = &scores->scores[scores->n++];

    *score = (struct eval_score){
        .value = value, .chance = chance, .low = NAN, .high = NAN, .p = NAN, .null_q95 = NAN};
    (void)phi_str_copy(score->name, sizeof score->name, name);
    return score;
}

/* A score with its null and interval. */
static enum ph_status add_tested(struct work *w, const struct eval_options *o, const char *name,
                                 phi_score_fn *fn, double chance, struct eval_scores *scores,
                                 struct ph_error *reterr)
{
    struct phi_resample what = {fn, w, w->data->n, o->n_draws, o->seed};
    struct eval_score *score;
    struct phi_null null;
    struct phi_interval ci;
    enum ph_status status;

    w->bootstrap = false;
    status = o->min_shift ? phi_null_shift(&what, o->min_shift, &null, reterr)
                          : phi_null_permute(&what, &null, reterr);
    if (status)
        return status;
    w->bootstrap = true;
    status = phi_bootstrap(&what, o->n_block, 0.95, &ci, reterr);
    if (status)
        return status;
    score = add(scores, name, null.score, chance);
    score->p = null.p;
    score->null_q95 = null.q95;
    score->low = ci.low;
    score->high = ci.high;
    return PH_OK;
}

static enum ph_status add_identification(struct work *w, const struct eval_options *o,
                                         struct eval_scores *scores, struct ph_error *reterr)
{
    size_t n = w->data->n;
    enum ph_status status;
    char name[32];

    w->n_way = 2;
    status = add_tested(w, o, "two_way", n_way, 0.5, scores, reterr);
    w->n_way = o->n_way < n ? o->n_way : n;
    (void)snprintf(name, sizeof name, "%zu_way", w->n_way);
    if (!status && w->n_way > 2)
        status = add_tested(w, o, name, n_way, 1 / (double)w->n_way, scores, reterr);
    for (w->k = 1; !status && w->k <= 5 && w->k < n; w->k += 4) {
        (void)snprintf(name, sizeof name, "top_%zu", w->k);
        status = add_tested(w, o, name, top_k, (double)w->k / (double)n, scores, reterr);
    }
    return status;
}

static enum ph_status add_plain(struct work *w, struct eval_scores *scores, struct ph_error *reterr)
{
    const struct eval_data *d = w->data;
    struct phi_ident ident = {w->sim, d->n, d->n, NULL};
    struct phi_gauss_pair gauss = {d->estimate, d->sd, d->truth, d->n * d->p};
    double *r2 = phi_calloc(d->p > d->n ? d->p : d->n, sizeof *r2), mean, sem;

    if (!r2)
        return phi_error_nomem(reterr, "scores", d->p * sizeof *r2);
    (void)phi_r2_features(&w->pair, r2);
    phi_mean_sem(r2, d->p, &mean, &sem);
    (void)add(scores, "r2", mean, 0);
    scores->n_undefined = phi_corr_features(&w->pair, r2) + phi_corr_patterns(&w->pair, r2);
    phi_free(r2);
    (void)add(scores, "pairwise_2v2", phi_ident_pairwise_2v2(&ident), 0.5);
    (void)add(scores, "pairwise_one_sided", phi_ident_pairwise_one_sided(&ident), 0.5);
    if (!d->sd)
        return PH_OK;
    (void)add(scores, "nll_nats", phi_gauss_nll(&gauss), NAN);
    (void)add(scores, "coverage_90", phi_gauss_coverage(&gauss, phi_gauss_z(0.9)), 0.9);
    (void)add(scores, "variance_ratio", phi_gauss_variance_ratio(&gauss), 1);
    return PH_OK;
}

static enum ph_status check(const struct eval_data *d, struct ph_error *reterr)
{
    for (size_t i = 0; i < d->n * d->p; i++) {
        bool bad_sd = d->sd && !(d->sd[i] > 0 && isfinite(d->sd[i]));

        if (!isfinite(d->estimate[i]) || !isfinite(d->truth[i]) || bad_sd)
            return phi_error(reterr, PH_E_INVAL,
                             "row %zu, feature %zu of estimate, sd or truth is not a usable number",
                             i / d->p, i % d->p);
    }
    return PH_OK;
}

static enum ph_status compute(struct work *w, const struct eval_options *o,
                              struct eval_scores *scores, struct ph_error *reterr)
{
    const struct eval_data *d = w->data;
    enum ph_status status =
        phi_ident_correlate(d->estimate, d->n, d->truth, d->n, d->p, w->sim, reterr);

    if (!status)
        status = fill_ranks(w, reterr);
    if (!status)
        status = add_tested(w, o, "feature_r", feature_r, 0, scores, reterr);
    if (!status)
        status = add_tested(w, o, "pattern_r", pattern_r, 0, scores, reterr);
    if (!status)
        status = add_identification(w, o, scores, reterr);
    return status ? status : add_plain(w, scores, reterr);
}

enum ph_status eval_scores_compute(const struct eval_data *data, const struct eval_options *options,
                                   struct eval_scores *ret_scores, struct ph_error *reterr)
{
    struct work w = {.data = data, .pair = {data->estimate, data->truth, data->n, data->p}};
    struct eval_scores scores = {0};
    enum ph_status status = check(data, reterr);

    if (status)
        return status;
    w.sim = phi_calloc2(data->n, data->n, sizeof *w.sim);
    w.rank_of = phi_calloc2(data->n, data->n, sizeof *w.rank_of);
    if (w.sim && w.rank_of)
        status = compute(&w, options, &scores, reterr);
    else
        status = phi_error_nomem(reterr, "similarities", data->n * data->n * sizeof *w.sim);
    phi_free(w.sim);
    phi_free(w.rank_of);
    if (!status)
        *ret_scores = scores;
    return status;
}

const struct eval_score *eval_scores_find(const struct eval_scores *scores, const char *name)
{
    for (size_t i = 0; i < scores->n; i++)
        if (strcmp(scores->scores[i].name, name) == 0)
            return &scores->scores[i];
    return NULL;
}

static void set_number(json_t *object, const char *key, double value)
{
    if (isfinite(value))
        (void)json_object_set_new(object, key, json_real(value));
}

json_t *eval_scores_json(const struct eval_scores *scores)
{
    json_t *all = json_object();

    for (size_t i = 0; i < scores->n; i++) {
        const struct eval_score *s = &scores->scores[i];
        json_t *one = json_object();

        set_number(one, "value", s->value);
        set_number(one, "chance", s->chance);
        set_number(one, "p", s->p);
        set_number(one, "null_q95", s->null_q95);
        if (isfinite(s->low) && isfinite(s->high))
            (void)json_object_set_new(one, "ci95", json_pack("[f, f]", s->low, s->high));
        (void)json_object_set_new(all, s->name, one);
    }
    (void)json_object_set_new(all, "n_undefined", json_integer((json_int_t)scores->n_undefined));
    return all;
}
