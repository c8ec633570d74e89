/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "decode/linalg.h"
#include "decode/resample.h"
#include "eval/prednet.h"

/* Two series of rows, each made so that a sum of products is a correlation. */
struct pair {
    float *estimate, *truth; /* [n][t] */
    size_t n, t;
};

struct work {
    struct study_scores *s;
    const struct study_layer *layer;
    struct pair pair;
    size_t *shift;                          /* [n_shifts] */
    double *sum;                            /* [t] of one shift */
    double *place;                          /* [h w] of one shift */
    uint32_t *as_good;                      /* [t] shifts that do as well as the true order */
    uint32_t *place_as_good, *best_as_good; /* [h w] */
    double *pattern;                        /* [n_shifts][n] */
};

/* Each unit less its mean over time, of length 1 over time (0 where it is constant). Returns how
 * many are constant. */
static size_t make_units(float *rows, size_t n, size_t t)
{
    size_t n_constant = 0;

    for (size_t k = 0; k < t; k++) {
        double mean = 0, square = 0, scale;

        for (size_t i = 0; i < n; i++)
            mean += (double)rows[i * t + k] / (double)n;
        for (size_t i = 0; i < n; i++)
            square += ((double)rows[i * t + k] - mean) * ((double)rows[i * t + k] - mean);
        scale = square > 0 ? 1 / sqrt(square) : 0;
        n_constant += !(square > 0);
        for (size_t i = 0; i < n; i++)
            rows[i * t + k] = (float)(((double)rows[i * t + k] - mean) * scale);
    }
    return n_constant;
}

/* Each unit less its mean over time, so that a pattern is what sets a moment apart; then each row
 * less its mean and of length 1. */
static void make_patterns(float *rows, size_t n, size_t t)
{
    for (size_t k = 0; k < t; k++) {
        double mean = 0;

        for (size_t i = 0; i < n; i++)
            mean += (double)rows[i * t + k] / (double)n;
        for (size_t i = 0; i < n; i++)
            rows[i * t + k] -= (float)mean;
    }
    for (size_t i = 0; i < n; i++) {
        float *row = rows + i * t;
        double mean = 0, square = 0, scale;

        for (size_t k = 0; k < t; k++)
            mean += (double)row[k] / (double)t;
        for (size_t k = 0; k < t; k++)
            square += ((double)row[k] - mean) * ((double)row[k] - mean);
        scale = square > 0 ? 1 / sqrt(square) : 0;
        for (size_t k = 0; k < t; k++)
            row[k] = (float)(((double)row[k] - mean) * scale);
    }
}

static void copy_rows(struct work *w)
{
    size_t n_bytes = w->pair.n * w->pair.t * sizeof(float);

    memcpy(w->pair.estimate, w->layer->estimate, n_bytes);
    memcpy(w->pair.truth, w->layer->truth, n_bytes);
}

/* Unit correlations of the estimate with the truth `shift` later, to sum[t]. */
static void correlate_units(const struct pair *pair, size_t shift, double *sum)
{
    memset(sum, 0, pair->t * sizeof *sum);
    for (size_t i = 0; i < pair->n; i++) {
        const float *e = pair->estimate + i * pair->t;
        const float *x = pair->truth + (i + shift) % pair->n * pair->t;

        for (size_t k = 0; k < pair->t; k++)
            sum[k] += (double)e[k] * (double)x[k];
    }
}

static double correlate_patterns(const struct pair *pair, size_t i, size_t shift)
{
    const float *e = pair->estimate + i * pair->t;
    const float *x = pair->truth + (i + shift) % pair->n * pair->t;
    double sum = 0;

    for (size_t k = 0; k < pair->t; k++)
        sum += (double)e[k] * (double)x[k];
    return sum;
}

/* Means over channels of sum[c][h w]; returns the largest. */
static double make_places(const struct study_scores *s, const double *sum, double *place)
{
    size_t n_places = s->h * s->w;
    double best = -1;

    for (size_t k = 0; k < n_places; k++) {
        place[k] = 0;
        for (size_t c = 0; c < s->n_channels; c++)
            place[k] += sum[c * n_places + k] / (double)s->n_channels;
        best = place[k] > best ? place[k] : best;
    }
    return best;
}

static double mean_of(const double *values, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return n ? sum / (double)n : 0;
}

static double mean_of_floats(const float *values, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)values[i];
    return n ? sum / (double)n : 0;
}

static float share(uint32_t n_as_good, size_t n_shifts)
{
    return (float)(((double)n_as_good + 1) / ((double)n_shifts + 1));
}

static void score_units(struct work *w)
{
    struct study_scores *s = w->s;
    size_t n_places = s->h * s->w;

    copy_rows(w);
    s->n_constant = make_units(w->pair.estimate, s->n, s->t);
    (void)make_units(w->pair.truth, s->n, s->t);
    correlate_units(&w->pair, 0, w->sum);
    (void)make_places(s, w->sum, w->place);
    for (size_t k = 0; k < s->t; k++)
        s->unit_r[k] = (float)w->sum[k];
    for (size_t k = 0; k < n_places; k++)
        s->map_r[k] = (float)w->place[k];
    for (size_t d = 0; d < s->n_shifts; d++) {
        double best;

        correlate_units(&w->pair, w->shift[d], w->sum);
        best = make_places(s, w->sum, w->place);
        for (size_t k = 0; k < s->t; k++)
            w->as_good[k] += (float)w->sum[k] >= s->unit_r[k];
        for (size_t k = 0; k < n_places; k++) {
            w->place_as_good[k] += (float)w->place[k] >= s->map_r[k];
            w->best_as_good[k] += (float)best >= s->map_r[k];
        }
        s->null_unit_r[d] = mean_of(w->sum, s->t);
    }
    for (size_t k = 0; k < s->t; k++)
        s->unit_p[k] = share(w->as_good[k], s->n_shifts);
    for (size_t k = 0; k < n_places; k++) {
        s->map_p[k] = share(w->place_as_good[k], s->n_shifts);
        s->map_p_corrected[k] = share(w->best_as_good[k], s->n_shifts);
    }
    phi_sort_doubles(s->null_unit_r, s->n_shifts);
}

/* What the shifts of volume i make, into its column of figures; `sorted` has room for them. */
static void judge_pattern(struct work *w, size_t i, double *sorted)
{
    struct study_scores *s = w->s;
    uint32_t as_good = 0;

    for (size_t d = 0; d < s->n_shifts; d++) {
        sorted[d] = w->pattern[d * s->n + i];
        as_good += (float)sorted[d] >= s->pattern_r[i];
    }
    phi_sort_doubles(sorted, s->n_shifts);
    s->pattern_p[i] = share(as_good, s->n_shifts);
    s->pattern_low[i] = (float)phi_quantile_sorted(sorted, s->n_shifts, 0.025);
    s->pattern_high[i] = (float)phi_quantile_sorted(sorted, s->n_shifts, 0.975);
}

static void score_patterns(struct work *w)
{
    struct study_scores *s = w->s;

    copy_rows(w);
    make_patterns(w->pair.estimate, s->n, s->t);
    make_patterns(w->pair.truth, s->n, s->t);
    for (size_t i = 0; i < s->n; i++)
        s->pattern_r[i] = (float)correlate_patterns(&w->pair, i, 0);
    for (size_t d = 0; d < s->n_shifts; d++) {
        double *row = w->pattern + d * s->n;

        for (size_t i = 0; i < s->n; i++)
            row[i] = correlate_patterns(&w->pair, i, w->shift[d]);
    }
    for (size_t i = 0; i < s->n; i++)
        judge_pattern(w, i, s->null_pattern_r);
    for (size_t d = 0; d < s->n_shifts; d++)
        s->null_pattern_r[d] = mean_of(w->pattern + d * s->n, s->n);
    phi_sort_doubles(s->null_pattern_r, s->n_shifts);
}

static enum ph_status take_scores(struct study_scores *s, struct ph_error *reterr)
{
    size_t n_places = s->h * s->w;

    s->volume = phi_calloc(s->n, sizeof *s->volume);
    s->unit_r = phi_calloc2(2, s->t, sizeof(float));
    s->map_r = phi_calloc2(3, n_places, sizeof(float));
    s->pattern_r = phi_calloc2(4, s->n, sizeof(float));
    s->null_unit_r = phi_calloc2(2, s->n_shifts, sizeof(double));
    if (!s->volume || !s->unit_r || !s->map_r || !s->pattern_r || !s->null_unit_r)
        return phi_error_nomem(reterr, "scores", 2 * s->t * sizeof(float));
    s->unit_p = s->unit_r + s->t;
    s->map_p = s->map_r + n_places;
    s->map_p_corrected = s->map_p + n_places;
    s->pattern_p = s->pattern_r + s->n;
    s->pattern_low = s->pattern_p + s->n;
    s->pattern_high = s->pattern_low + s->n;
    s->null_pattern_r = s->null_unit_r + s->n_shifts;
    return PH_OK;
}

static enum ph_status take_work(struct work *w, struct ph_error *reterr)
{
    const struct study_scores *s = w->s;
    size_t n_places = s->h * s->w;

    w->pair = (struct pair){.n = s->n, .t = s->t};
    w->pair.estimate = phi_calloc2(s->n, s->t, sizeof(float));
    w->pair.truth = phi_calloc2(s->n, s->t, sizeof(float));
    w->shift = phi_calloc(s->n_shifts, sizeof *w->shift);
    w->sum = phi_calloc(s->t, sizeof *w->sum);
    w->place = phi_calloc(n_places, sizeof *w->place);
    w->as_good = phi_calloc(s->t, sizeof *w->as_good);
    w->place_as_good = phi_calloc(n_places, sizeof *w->place_as_good);
    w->best_as_good = phi_calloc(n_places, sizeof *w->best_as_good);
    w->pattern = phi_calloc2(s->n_shifts, s->n, sizeof *w->pattern);
    if (!w->pair.estimate || !w->pair.truth || !w->shift || !w->sum || !w->place || !w->as_good ||
        !w->place_as_good || !w->best_as_good || !w->pattern)
        return phi_error_nomem(reterr, "scores", 2 * s->n * s->t * sizeof(float));
    return PH_OK;
}

static void free_work(struct work *w)
{
    phi_free(w->pair.estimate);
    phi_free(w->pair.truth);
    phi_free(w->shift);
    phi_free(w->sum);
    phi_free(w->place);
    phi_free(w->as_good);
    phi_free(w->place_as_good);
    phi_free(w->best_as_good);
    phi_free(w->pattern);
}

/* Each shift once, or so many at random. */
static void choose_shifts(struct work *w, size_t n_possible)
{
    struct phi_rng rng;

    phi_rng_init(&rng, 1, 0);
    for (size_t d = 0; d < w->s->n_shifts; d++)
        w->shift[d] = STUDY_MIN_SHIFT +
                      (w->s->n_shifts == n_possible ? d : (size_t)phi_rng_below(&rng, n_possible));
}

enum ph_status study_scores_make(const struct study_layer *layer,
                                 const struct phi_prednet_config *config, size_t n_draws,
                                 struct study_scores *ret_scores, struct ph_error *reterr)
{
    size_t n_possible = layer->n - 2 * STUDY_MIN_SHIFT + 1;
    struct study_scores s = {.layer = layer->layer,
                             .n = layer->n,
                             .t = layer->t,
                             .n_channels = config->channels[layer->layer],
                             .h = config->h >> layer->layer,
                             .w = config->w >> layer->layer,
                             .n_shifts = n_draws < n_possible ? n_draws : n_possible};
    struct work w = {.s = &s, .layer = layer};
    enum ph_status status = take_scores(&s, reterr);

    if (status == PH_OK)
        status = take_work(&w, reterr);
    if (status == PH_OK) {
        memcpy(s.volume, layer->volume, s.n * sizeof *s.volume);
        choose_shifts(&w, n_possible);
        score_units(&w);
        score_patterns(&w);
        *ret_scores = s;
    } else {
        study_scores_fini(&s);
    }
    free_work(&w);
    return status;
}

void study_scores_fini(struct study_scores *scores)
{
    phi_free(scores->volume);
    phi_free(scores->unit_r);
    phi_free(scores->map_r);
    phi_free(scores->pattern_r);
    phi_free(scores->null_unit_r);
    memset(scores, 0, sizeof *scores);
}

static double share_within(const float *p, size_t n, double limit)
{
    size_t n_within = 0;

    for (size_t i = 0; i < n; i++)
        n_within += (double)p[i] <= limit + 1e-6;
    return n ? (double)n_within / (double)n : 0;
}

/* Share of a sorted null that does as well, the true order counted among it. */
static double p_of(const double *null, size_t n, double value)
{
    size_t n_as_good = 0;

    for (size_t d = 0; d < n; d++)
        n_as_good += null[d] >= value;
    return ((double)n_as_good + 1) / ((double)n + 1);
}

json_t *study_scores_json(const struct study_scores *s)
{
    double *sorted = phi_calloc(s->t, sizeof *sorted);
    double r = mean_of_floats(s->unit_r, s->t), pattern = mean_of_floats(s->pattern_r, s->n);
    json_t *row =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:f}", "layer", (json_int_t)s->layer, "units",
                  (json_int_t)s->t, "constant_units", (json_int_t)s->n_constant, "volumes",
                  (json_int_t)s->n, "shifts", (json_int_t)s->n_shifts, "unit_r", r);

    for (size_t k = 0; sorted && k < s->t; k++)
        sorted[k] = (double)s->unit_r[k];
    if (sorted) {
        phi_sort_doubles(sorted, s->t);
        (void)json_object_set_new(row, "unit_r_median",
                                  json_real(phi_quantile_sorted(sorted, s->t, 0.5)));
        (void)json_object_set_new(row, "unit_r_q95",
                                  json_real(phi_quantile_sorted(sorted, s->t, 0.95)));
    }
    (void)json_object_update_new(
        row,
        json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "null_mean",
                  mean_of(s->null_unit_r, s->n_shifts), "null_q95",
                  phi_quantile_sorted(s->null_unit_r, s->n_shifts, 0.95), "p",
                  p_of(s->null_unit_r, s->n_shifts, r), "units_p05",
                  share_within(s->unit_p, s->t, 0.05), "places_p05_corrected",
                  share_within(s->map_p_corrected, s->h * s->w, 0.05), "pattern_r", pattern,
                  "pattern_null_q95", phi_quantile_sorted(s->null_pattern_r, s->n_shifts, 0.95),
                  "pattern_p", p_of(s->null_pattern_r, s->n_shifts, pattern), "volumes_p05",
                  share_within(s->pattern_p, s->n, 0.05)));
    phi_free(sorted);
    return row;
}
