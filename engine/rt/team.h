/* SPDX-License-Identifier: MIT
 *
 * A fixed team of worker threads for loops whose rounds do not depend on each other. One caller at
 * a time has the team; a second one finds it busy and runs its loop alone, which gives the same
 * result. The caller works along.
 */
#ifndef PHI_RT_TEAM_H
#define PHI_RT_TEAM_H

#include <stddef.h>

#include "phosphene/status.h"

struct phi_team;

/* A team of `n_workers` (1 or more) counting the caller: n_workers - 1 threads are started. Owned
 * by the caller. */
PH_NODISCARD enum ph_status phi_team_create(size_t n_workers, struct phi_team **ret_team,
                                            struct ph_error *reterr);

/* Joins the threads and frees; accepts NULL and *team == NULL, clears *team. */
void phi_team_destroy(struct phi_team **team);

/* Runs fn(arg, i) once for every i in [0, n), returns when all are done. Any thread, not from
 * inside `fn`. What was written before is seen by all rounds, what they wrote is seen afterwards.
 */
void phi_team_for(struct phi_team *team, size_t n, void (*fn)(void *arg, size_t i), void *arg);

/* Number of workers with the caller. */
size_t phi_team_size(const struct phi_team *team);

#endif
