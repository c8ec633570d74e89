/* SPDX-License-Identifier: MIT */
#include "signal/finite.h"

#include "base/simd.h"

#define LANES 16

PHI_VECTOR bool phi_all_finite(const float *x, size_t n)
{
    /* x - x is 0 for a finite x and NaN otherwise */
    float sum[LANES] = {0};
    float all = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            sum[lane] += x[i + lane] - x[i + lane];
    for (; i < n; i++)
        all += x[i] - x[i];
    for (size_t lane = 0; lane < LANES; lane++)
        all += sum[lane];
    return all == 0;
}
