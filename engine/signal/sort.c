/* SPDX-License-Identifier: MIT */
#include "signal/sort.h"

static void sort_gap(float *x, size_t n, size_t gap)
{
    for (size_t i = gap; i < n; i++) {
        float value = x[i];
        size_t j = i;

        for (; j >= gap && x[j - gap] > value; j -= gap)
            x[j] = x[j - gap];
        x[j] = value;
    }
}

void phi_sort_f32(float *x, size_t n)
{
    static const size_t gaps[] = {22129, 9836, 4371, 1942, 863, 383, 170, 74, 33, 14, 6, 3, 1};

    for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++)
        if (gaps[i] < n || gaps[i] == 1)
            sort_gap(x, n, gaps[i]);
}

double phi_sorted_median_f32(const float *x, size_t n)
{
    return n % 2 ? (double)x[n / 2] : ((double)x[n / 2 - 1] + (double)x[n / 2]) / 2;
}
