/* SPDX-License-Identifier: MIT
 *
 * When what is shown: event-related runs with repeats and jittered intervals, and the expected
 * response of every volume to the latents of what was shown (the design in latent space). Pure but
 * for allocation.
 */
#ifndef TOOLS_SIMULATE_SCHEDULE_H
#define TOOLS_SIMULATE_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

struct phi_sim_timing {
    double tr_s;
    double ref;        /* share of the TR at which a volume counts as taken */
    double duration_s; /* of a stimulus */
    double interval_s; /* from onset to onset, mean */
    double jitter_s;   /* uniform, to both sides */
    double lead_s;     /* before the first onset */
    double tail_s;     /* from the last onset's end to the end of the run */
};

struct phi_sim_trial {
    double onset_s;
    uint32_t stimulus; /* index in its set */
};

struct phi_sim_schedule {
    struct phi_sim_trial *trials; /* [n_trials] */
    size_t n_trials;
    size_t n_volumes;
};

/* One run of a set: `n_stimuli` stimuli shown `n_repeats` times in all runs together, each time in
 * a new random order without immediate repeats, cut into `n_runs` runs; this is number `run`.
 * With `n_group` all repeats of that many stimuli come before the next stimuli: parts of a run
 * that are left out of a fit then leave out all presentations of what they show. */
struct phi_sim_deck {
    size_t n_stimuli;
    size_t n_repeats;
    size_t n_group; /* 0: all stimuli are one group */
    size_t n_runs;
    size_t run;
    uint64_t seed; /* the same for all runs of a set */
};

/* Fills *ret_schedule; freed with phi_sim_schedule_fini. PH_E_INVAL for timings that make no
 * sense. */
PH_NODISCARD enum ph_status phi_sim_schedule_make(const struct phi_sim_deck *deck,
                                                  const struct phi_sim_timing *timing,
                                                  struct phi_sim_schedule *ret_schedule,
                                                  struct ph_error *reterr);
void phi_sim_schedule_fini(struct phi_sim_schedule *schedule);

/* ret_design[n_volumes][p + 1]: for each volume the sum over trials of latents[stimulus][p] times
 * the SPM response, and in the last column the sum of the responses alone. */
void phi_sim_design_events(const struct phi_sim_schedule *schedule,
                           const struct phi_sim_timing *timing, const double *latents, size_t p,
                           double *ret_design);

/* As events for a film: latents[n_frames][p] at `fps` frames a second from lead_s on; the last
 * column is the response to the film being on. */
struct phi_sim_film {
    const double *latents; /* [n_frames][p] */
    size_t n_frames, p;
    double fps;
};
void phi_sim_design_film(const struct phi_sim_film *film, const struct phi_sim_timing *timing,
                         size_t n_volumes, double *ret_design);

/* Volumes a film with its lead and tail takes. */
size_t phi_sim_film_volumes(const struct phi_sim_film *film, const struct phi_sim_timing *timing);

#endif
