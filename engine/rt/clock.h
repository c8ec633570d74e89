/* SPDX-License-Identifier: MIT
 *
 * Time. One clock for everything inside a run: CLOCK_MONOTONIC in int64 nanoseconds. Any thread.
 */
#ifndef PHI_RT_CLOCK_H
#define PHI_RT_CLOCK_H

#include <stdint.h>

#define PHI_NS_PER_S  INT64_C(1000000000)
#define PHI_NS_PER_MS INT64_C(1000000)

/* Now on the monotonic clock. */
int64_t phi_clock_ns(void);

/* Now on the wall clock, in ns since 1970, for log lines and records only. */
int64_t phi_clock_wall_ns(void);

/* Blocks until the monotonic clock has reached `deadline_ns`. */
void phi_clock_sleep_until(int64_t deadline_ns);

#endif
