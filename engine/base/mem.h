/* SPDX-License-Identifier: MIT
 *
 * Heap memory whose sizes come from input: every product is checked, every block is zeroed and
 * 64-byte aligned (a cache line, and the widest vector register). For set-up code only; nothing
 * on the live path allocates. Thread-safe as malloc is.
 */
#ifndef PHI_BASE_MEM_H
#define PHI_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

#define PHI_ALIGN 64

/* *ret = a * b. False, with *ret untouched, if the product does not fit. */
bool phi_mul_size(size_t a, size_t b, size_t *ret);

/* *ret = a + b. False, with *ret untouched, if the sum does not fit. */
bool phi_add_size(size_t a, size_t b, size_t *ret);

/* `n` zeroed elements of `size` bytes, aligned to PHI_ALIGN; NULL if the product overflows or
 * memory is short. A zero count gives a block of one element, so NULL always means failure.
 * Owned by the caller, freed with phi_free. Blocks of 4 MiB and more ask for huge pages. */
void *phi_calloc(size_t n, size_t size);

/* `n1 * n2` elements of `size` bytes, otherwise as phi_calloc. */
void *phi_calloc2(size_t n1, size_t n2, size_t size);

/* Frees a block of phi_calloc; NULL is allowed. */
void phi_free(void *block);

#endif
