/* SPDX-License-Identifier: MIT
 *
 * Named threads that are always joined. All signals are blocked in them, so that interrupts reach
 * the main thread. Create and join from one thread.
 */
#ifndef PHI_RT_THREAD_H
#define PHI_RT_THREAD_H

#include "phosphene/status.h"

struct phi_thread;

/* Starts fn(arg) in a new thread called `name` (15 bytes are shown by the system), pinned to `core`
 * unless that is negative; a core that cannot be had is no error. */
PH_NODISCARD enum ph_status phi_thread_create(const char *name, int core, void (*fn)(void *arg),
                                              void *arg, struct phi_thread **ret_thread,
                                              struct ph_error *reterr);

/* Waits for the thread's end and frees; accepts NULL and *thread == NULL, clears *thread. */
void phi_thread_join(struct phi_thread **thread);

/* Asks for SCHED_FIFO at `priority` (1..99) for the calling thread; PH_E_IO if not allowed. */
PH_NODISCARD enum ph_status phi_thread_realtime(int priority, struct ph_error *reterr);

/* Number of cores this process may use, at least 1. */
int phi_thread_cores(void);

#endif
