/* SPDX-License-Identifier: MIT */
#include "display/pacing.h"

#include <string.h>

void phi_pacing_start(struct phi_pacing *pacing, double hz, int64_t now_ns)
{
    memset(pacing, 0, sizeof *pacing);
    if (!(hz >= 1))
        hz = 1;
    if (hz > 1000)
        hz = 1000;
    pacing->interval_ns = (int64_t)(1e9 / hz);
    pacing->deadline_ns = now_ns + pacing->interval_ns;
}

int64_t phi_pacing_left_ns(const struct phi_pacing *pacing, int64_t now_ns)
{
    return pacing->deadline_ns > now_ns ? pacing->deadline_ns - now_ns : 0;
}

void phi_pacing_presented(struct phi_pacing *pacing, int64_t now_ns)
{
    int64_t interval = pacing->last_ns ? now_ns - pacing->last_ns : 0;

    if (interval > pacing->worst_ns)
        pacing->worst_ns = interval;
    if (interval * 5 > pacing->interval_ns * 6)
        pacing->n_dropped += (uint64_t)((interval - pacing->interval_ns / 2) / pacing->interval_ns);
    pacing->n_frames++;
    pacing->last_ns = now_ns;
    pacing->deadline_ns += pacing->interval_ns;
    if (pacing->deadline_ns <= now_ns) {
        int64_t behind = (now_ns - pacing->deadline_ns) / pacing->interval_ns + 1;

        pacing->deadline_ns += behind * pacing->interval_ns;
    }
}
