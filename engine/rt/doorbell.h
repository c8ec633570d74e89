/* SPDX-License-Identifier: MIT
 *
 * How a thread sleeps until there is something to do. One thread waits on a doorbell, any number
 * ring it. Whoever changes a condition rings afterwards; the waiter arms first and then looks:
 *
 *     while (!condition()) {
 *         phi_doorbell_arm(bell);
 *         if (!condition())
 *             phi_doorbell_wait(bell, -1);
 *     }
 *
 * Ringing costs a system call only when the waiter has armed. Both sides change one atomic with
 * read-modify-write operations, so either the ring sees the arming, or the arming sees what was
 * written before the ring; no wake-up is lost.
 */
#ifndef PHI_RT_DOORBELL_H
#define PHI_RT_DOORBELL_H

#include <stdbool.h>
#include <stdint.h>

#include "phosphene/status.h"

struct phi_doorbell;

/* A silent doorbell, owned by the caller. */
PH_NODISCARD enum ph_status phi_doorbell_create(struct phi_doorbell **ret_bell,
                                                struct ph_error *reterr);

/* Frees; accepts NULL and *bell == NULL, clears *bell. Nobody may ring or wait any more. */
void phi_doorbell_destroy(struct phi_doorbell **bell);

/* Any thread: ends the wait of an armed waiter. Never blocks. */
void phi_doorbell_ring(struct phi_doorbell *bell);

/* Waiter: from now on a ring ends the next wait. */
void phi_doorbell_arm(struct phi_doorbell *bell);

/* Waiter: blocks until rung, or for `timeout_ns` (negative: for ever). True if rung. May return
 * early; the caller looks at its condition again. */
bool phi_doorbell_wait(struct phi_doorbell *bell, int64_t timeout_ns);

#endif
