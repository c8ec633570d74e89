/* SPDX-License-Identifier: MIT
 *
 * Sorting short runs of float32 without allocation (qsort may allocate). Pure, any thread; values
 * must be finite.
 */
#ifndef PHI_SIGNAL_SORT_H
#define PHI_SIGNAL_SORT_H

#include <stddef.h>

/* Sorts x[n] in ascending order (Shell's method, Ciura's gaps). */
void phi_sort_f32(float *x, size_t n);

/* The median of ascending x[n], n >= 1: the mean of the two middle values for an even n. */
double phi_sorted_median_f32(const float *x, size_t n);

#endif
