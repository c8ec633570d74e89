/* SPDX-License-Identifier: MIT
 *
 * Forbids allocation for a while: between guard_on and guard_off every call of malloc, calloc,
 * realloc, aligned_alloc or posix_memalign in the same thread is counted, wherever it comes from.
 * Also makes the n-th allocation of a thread fail. Replaces the allocator's entry points, so it is
 * left out of sanitizer builds (guard_works tells).
 */
#ifndef TESTS_SUPPORT_GUARD_H
#define TESTS_SUPPORT_GUARD_H

#include <stdbool.h>
#include <stdint.h>

/* Nested calls count: allocation is allowed again after as many guard_off. */
void guard_on(void);
void guard_off(void);

/* guard_on or guard_off, as phi_live_options.guard wants it. */
void guard_switch(bool inside);

/* Allocations under a guard so far, in all threads. */
uint64_t guard_count(void);

/* The `n`-th allocation from now on (1: the next) of this thread fails, once; 0: none. */
void guard_fail_nth(uint64_t n);

/* True if an allocation has been made to fail since the last guard_fail_nth. */
bool guard_has_failed(void);

/* False in sanitizer builds: nothing is counted and nothing fails. */
bool guard_works(void);

#endif
