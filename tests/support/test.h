/* SPDX-License-Identifier: MIT
 *
 * What every test program includes: cmocka with the headers it needs, and comparisons of floating
 * numbers that print both sides.
 */
#ifndef TESTS_SUPPORT_TEST_H
#define TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Fails unless |a - b| <= tolerance; NaN on either side fails. */
#define assert_near(a, b, tolerance)                                                               \
    do {                                                                                           \
        double near_a_ = (double)(a);                                                              \
        double near_b_ = (double)(b);                                                              \
        if (!(fabs(near_a_ - near_b_) <= (double)(tolerance)))                                     \
            fail_msg("%s = %.12g, expected %s = %.12g within %.3g", #a, near_a_, #b, near_b_,      \
                     (double)(tolerance));                                                         \
    } while (0)

/* Fails unless the call returned PH_OK; prints the text in `err` (a struct ph_error). */
#define assert_ok(call, err)                                                                       \
    do {                                                                                           \
        int ok_status_ = (int)(call);                                                              \
        if (ok_status_ != 0)                                                                       \
            fail_msg("%s: status %d: %s", #call, ok_status_, (err).text);                          \
    } while (0)

#endif
