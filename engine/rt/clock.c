/* SPDX-License-Identifier: MIT */
#include "rt/clock.h"

#include <errno.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec now;

    (void)clock_gettime(id, &now); /* cannot fail for these clocks */
    return (int64_t)now.tv_sec * PHI_NS_PER_S + now.tv_nsec;
}

int64_t phi_clock_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t phi_clock_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

void phi_clock_sleep_until(int64_t deadline_ns)
{
    struct timespec when = {.tv_sec = (time_t)(deadline_ns / PHI_NS_PER_S),
                            .tv_nsec = (long)(deadline_ns % PHI_NS_PER_S)};

    if (deadline_ns <= 0)
        return;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
        ;
}
