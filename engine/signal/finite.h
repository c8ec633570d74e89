/* SPDX-License-Identifier: MIT
 *
 * One question asked of every volume before an estimator sees it. Pure, any thread.
 */
#ifndef PHI_SIGNAL_FINITE_H
#define PHI_SIGNAL_FINITE_H

#include <stdbool.h>
#include <stddef.h>

/* True if x[n] holds neither NaN nor infinity. */
bool phi_all_finite(const float *x, size_t n);

#endif
