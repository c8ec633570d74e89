/* SPDX-License-Identifier: MIT
 *
 * Fork and join for fits: `n_tasks` independent tasks on a few threads. Which thread does which
 * task is left to chance, so a task may depend on its number alone; then the results are the same
 * bits for any number of threads. Not for the live path.
 */
#ifndef PHI_DECODE_FORK_H
#define PHI_DECODE_FORK_H

#include <stddef.h>

#include "phosphene/status.h"

#define PHI_FORK_MAX_THREADS 64

/* Does one task. `worker` (0 .. n_threads - 1) names the thread, for scratch memory. A status
 * below zero stops the others before their next task. */
typedef enum ph_status phi_fork_fn(void *ctx, size_t task, size_t worker, struct ph_error *reterr);

/* Runs tasks 0 .. n_tasks-1 and waits for all. `n_threads` is cut to 1 .. PHI_FORK_MAX_THREADS; the
 * calling thread is one of them. Fewer threads than asked for, if the system gives no more, is no
 * failure. Returns the first failure seen, with its error. */
PH_NODISCARD enum ph_status phi_fork(size_t n_threads, size_t n_tasks, phi_fork_fn *fn, void *ctx,
                                     struct ph_error *reterr);

/* Threads phi_fork would use for a wish of `n_threads`, 0 meaning one a processor. */
size_t phi_fork_threads(size_t n_threads);

#endif
