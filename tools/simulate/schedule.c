/* SPDX-License-Identifier: MIT */
#include "tools/simulate/schedule.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "signal/hrf.h"

/* Nothing of the SPM response is left after this. */
#define RESPONSE_S 60.0

static enum ph_status check(const struct phi_sim_deck *deck, const struct phi_sim_timing *timing,
                            struct ph_error *reterr)
{
    if (!(timing->duration_s >= 0 && timing->interval_s > 0 && timing->jitter_s >= 0 &&
          timing->lead_s >= 0 && timing->tail_s >= 0 && timing->tr_s > 0))
        return phi_error(reterr, PH_E_INVAL, "durations and intervals must not be negative");
    if (timing->interval_s - timing->jitter_s < timing->duration_s)
        return phi_error(reterr, PH_E_INVAL,
                         "stimuli of %g s every %g s with a jitter of %g s would overlap",
                         timing->duration_s, timing->interval_s, timing->jitter_s);
    if (deck->n_stimuli == 0 || deck->n_repeats == 0 || deck->n_runs == 0 ||
        deck->n_stimuli > UINT32_MAX / deck->n_repeats)
        return phi_error(reterr, PH_E_INVAL, "there is nothing to show");
    if (deck->n_stimuli * deck->n_repeats < deck->n_runs)
        return phi_error(reterr, PH_E_INVAL, "%zu presentations cannot fill %zu runs",
                         deck->n_stimuli * deck->n_repeats, deck->n_runs);
    return PH_OK;
}

/* A round of the stimuli in group[n] in a new order; not the same stimulus as the one before. */
static void shuffle_round(struct phi_rng *rng, const uint32_t *group, size_t n, bool is_first,
                          uint32_t *round)
{
    phi_rng_permutation(rng, round, n);
    for (size_t i = 0; i < n; i++)
        round[i] = group ? group[round[i]] : round[i];
    if (!is_first && n > 1 && round[0] == round[-1]) {
        uint32_t first = round[0];

        round[0] = round[1];
        round[1] = first;
    }
}

/* All presentations of all runs in order[n_stimuli * n_repeats]; `members`[n_stimuli] is room. */
static void shuffle_deck(const struct phi_sim_deck *deck, uint32_t *members, uint32_t *order)
{
    size_t n_group = deck->n_group ? deck->n_group : deck->n_stimuli, at = 0;
    struct phi_rng rng;

    phi_rng_init(&rng, deck->seed, 0);
    if (n_group < deck->n_stimuli)
        phi_rng_permutation(&rng, members, deck->n_stimuli);
    for (size_t first = 0; first < deck->n_stimuli; first += n_group) {
        size_t n = deck->n_stimuli - first < n_group ? deck->n_stimuli - first : n_group;
        const uint32_t *group = n_group < deck->n_stimuli ? members + first : NULL;

        for (size_t r = 0; r < deck->n_repeats; r++, at += n)
            shuffle_round(&rng, group, n, r == 0, order + at);
    }
}

static void place_trials(const struct phi_sim_deck *deck, const struct phi_sim_timing *timing,
                         const uint32_t *order, struct phi_sim_schedule *schedule)
{
    struct phi_rng rng;
    double at = timing->lead_s;

    phi_rng_init(&rng, deck->seed, 1 + deck->run);
    for (size_t i = 0; i < schedule->n_trials; i++) {
        double jitter = timing->jitter_s * (2 * phi_rng_uniform(&rng) - 1);

        /* milliseconds, so that the table of events holds the onset exactly */
        schedule->trials[i] = (struct phi_sim_trial){round(at * 1000) / 1000, order[i]};
        at += timing->interval_s + jitter;
    }
    at = schedule->trials[schedule->n_trials - 1].onset_s + timing->duration_s + timing->tail_s;
    schedule->n_volumes = (size_t)ceil(at / timing->tr_s);
}

enum ph_status phi_sim_schedule_make(const struct phi_sim_deck *deck,
                                     const struct phi_sim_timing *timing,
                                     struct phi_sim_schedule *ret_schedule, struct ph_error *reterr)
{
    enum ph_status status = check(deck, timing, reterr);
    size_t n = deck->n_stimuli * deck->n_repeats;
    size_t from, to;
    uint32_t *order, *members;
    struct phi_sim_schedule schedule = {NULL, 0, 0};

    if (status < 0)
        return status;
    from = n * deck->run / deck->n_runs;
    to = n * (deck->run + 1) / deck->n_runs;
    order = phi_calloc(n, sizeof *order);
    members = phi_calloc(deck->n_stimuli, sizeof *members);
    schedule.n_trials = to - from;
    schedule.trials = phi_calloc(schedule.n_trials, sizeof *schedule.trials);
    if (order && members && schedule.trials) {
        shuffle_deck(deck, members, order);
        place_trials(deck, timing, order + from, &schedule);
        *ret_schedule = schedule;
    } else {
        status = phi_error_nomem(reterr, "a schedule", n * sizeof *order);
        phi_free(schedule.trials);
    }
    phi_free(order);
    phi_free(members);
    return status;
}

void phi_sim_schedule_fini(struct phi_sim_schedule *schedule)
{
    phi_free(schedule->trials);
    *schedule = (struct phi_sim_schedule){NULL, 0, 0};
}

static double volume_time(const struct phi_sim_timing *timing, size_t volume)
{
    return ((double)volume + timing->ref) * timing->tr_s;
}

static void add_trial(const struct phi_sim_timing *timing, double since, const double *latents,
                      size_t p, double *row)
{
    const struct phi_hrf hrf = phi_hrf_spm();
    double response;

    if (since <= 0 || since > RESPONSE_S + timing->duration_s)
        return;
    response = phi_hrf_event(&hrf, PHI_HRF_CANONICAL, since, timing->duration_s);
    for (size_t k = 0; k < p; k++)
        row[k] += response * latents[k];
    row[p] += response;
}

void phi_sim_design_events(const struct phi_sim_schedule *schedule,
                           const struct phi_sim_timing *timing, const double *latents, size_t p,
                           double *ret_design)
{
    memset(ret_design, 0, schedule->n_volumes * (p + 1) * sizeof *ret_design);
    for (size_t t = 0; t < schedule->n_volumes; t++) {
        for (size_t i = 0; i < schedule->n_trials; i++) {
            const struct phi_sim_trial *trial = &schedule->trials[i];

            add_trial(timing, volume_time(timing, t) - trial->onset_s,
                      latents + trial->stimulus * p, p, ret_design + t * (p + 1));
        }
    }
}

void phi_sim_design_film(const struct phi_sim_film *film, const struct phi_sim_timing *timing,
                         size_t n_volumes, double *ret_design)
{
    const struct phi_hrf hrf = phi_hrf_spm();
    size_t p = film->p;

    memset(ret_design, 0, n_volumes * (p + 1) * sizeof *ret_design);
    for (size_t t = 0; t < n_volumes; t++) {
        double *row = ret_design + t * (p + 1);

        for (size_t f = 0; f < film->n_frames; f++) {
            double since = volume_time(timing, t) - timing->lead_s - (double)f / film->fps;
            double response;

            if (since <= 0 || since > RESPONSE_S)
                continue;
            /* each frame is a box as long as it is shown */
            response = phi_hrf_event(&hrf, PHI_HRF_CANONICAL, since, 1 / film->fps);
            for (size_t k = 0; k < p; k++)
                row[k] += response * film->latents[f * p + k];
            row[p] += response;
        }
    }
}

size_t phi_sim_film_volumes(const struct phi_sim_film *film, const struct phi_sim_timing *timing)
{
    return (size_t)ceil((timing->lead_s + (double)film->n_frames / film->fps + timing->tail_s) /
                        timing->tr_s);
}
