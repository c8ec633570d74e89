/* SPDX-License-Identifier: MIT */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Matrices of a decoder are read once a volume from memory; with 2 MiB pages that read is 7 to 25 %
 * faster (docs/measurements.md), and transparent huge pages must be asked for. */
#define HUGE_FROM  ((size_t)4 << 20)
#define HUGE_ALIGN ((size_t)2 << 20)

bool phi_mul_size(size_t a, size_t b, size_t *ret)
{
    size_t product;

    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *ret = product;
    return true;
}

bool phi_add_size(size_t a, size_t b, size_t *ret)
{
    size_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *ret = sum;
    return true;
}

void *phi_calloc(size_t n, size_t size)
{
    size_t n_bytes;
    size_t align;
    void *block;

    if (!phi_mul_size(n ? n : 1, size ? size : 1, &n_bytes))
        return NULL;
    align = n_bytes >= HUGE_FROM ? HUGE_ALIGN : PHI_ALIGN;
    if (n_bytes > SIZE_MAX - align)
        return NULL;
    n_bytes = (n_bytes + align - 1) / align * align;
    block = aligned_alloc(align, n_bytes);
    if (!block)
        return NULL;
    if (align == HUGE_ALIGN)
        (void)madvise(block, n_bytes, MADV_HUGEPAGE); /* a hint: failure costs only speed */
    memset(block, 0, n_bytes);
    return block;
}

void *phi_calloc2(size_t n1, size_t n2, size_t size)
{
    size_t n;

    return phi_mul_size(n1, n2, &n) ? phi_calloc(n, size) : NULL;
}

void phi_free(void *block)
{
    free(block);
}
