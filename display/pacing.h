/* SPDX-License-Identifier: MIT
 *
 * When to draw the next frame: absolute deadlines on the monotonic clock, so that errors do not add
 * up, and an account of what came late. Pure; the caller tells the time.
 */
#ifndef PHI_DISPLAY_PACING_H
#define PHI_DISPLAY_PACING_H

#include <stdint.h>

struct phi_pacing {
    int64_t interval_ns;
    int64_t deadline_ns; /* of the next frame */
    int64_t last_ns;     /* when the last frame was presented; 0: none yet */
    uint64_t n_frames;
    uint64_t n_dropped; /* intervals over 120 % of what was planned, counted per missed refresh */
    int64_t worst_ns;   /* longest interval */
};

/* Starts at `now_ns` with `hz` (1 to 1000) frames a second. */
void phi_pacing_start(struct phi_pacing *pacing, double hz, int64_t now_ns);

/* Time left until the next frame is due; 0 if it is. */
int64_t phi_pacing_left_ns(const struct phi_pacing *pacing, int64_t now_ns);

/* A frame was presented at `now_ns`: books it and sets the next deadline, skipping refreshes that
 * have passed already. */
void phi_pacing_presented(struct phi_pacing *pacing, int64_t now_ns);

#endif
