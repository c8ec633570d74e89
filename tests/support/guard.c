/* SPDX-License-Identifier: MIT */
#include "guard.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

static _Thread_local int depth;
static _Thread_local uint64_t until_failure;
static _Thread_local bool failed;
static _Atomic uint64_t count;

void guard_on(void)
{
    depth++;
}

void guard_off(void)
{
    depth--;
}

void guard_switch(bool inside)
{
    depth += inside ? 1 : -1;
}

uint64_t guard_count(void)
{
    return atomic_load(&count);
}

void guard_fail_nth(uint64_t n)
{
    until_failure = n;
    failed = false;
}

bool guard_has_failed(void)
{
    return failed;
}

#ifdef GUARD_INTERPOSES

bool guard_works(void)
{
    return true;
}

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t n);
void *__libc_memalign(size_t align, size_t n);
void *malloc(size_t n);
void *calloc(size_t n, size_t size);
void *realloc(void *block, size_t n);
void *aligned_alloc(size_t align, size_t n);
int posix_memalign(void **ret, size_t align, size_t n);

/* True if this allocation shall fail. */
static bool note(void)
{
    if (depth > 0)
        atomic_fetch_add(&count, 1);
    if (until_failure == 0 || --until_failure > 0)
        return false;
    failed = true;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t n)
{
    return note() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return note() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *block, size_t n)
{
    return note() ? NULL : __libc_realloc(block, n);
}

void *aligned_alloc(size_t align, size_t n)
{
    return note() ? NULL : __libc_memalign(align, n);
}

int posix_memalign(void **ret, size_t align, size_t n)
{
    void *block = note() ? NULL : __libc_memalign(align, n);

    if (!block)
        return ENOMEM;
    *ret = block;
    return 0;
}

#else

bool guard_works(void)
{
    return false;
}

#endif
