/* SPDX-License-Identifier: MIT
 *
 * Bounded reading of bytes that came from outside: a cursor that cannot leave its span. A read past
 * the end fails, sets `failed` and stays failed, so that a parser may read a group of fields and
 * ask once. Header-only; thread-safe on separate cursors.
 */
#ifndef PHI_BASE_SPAN_H
#define PHI_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct phi_span {
    const unsigned char *bytes;
    size_t n_bytes;
};

struct phi_cursor {
    struct phi_span span;
    size_t at;
    bool failed;
};

/* A cursor at the start of `n_bytes` bytes, which must outlive it. */
static inline struct phi_cursor phi_cursor_over(const void *bytes, size_t n_bytes)
{
    return (struct phi_cursor){{(const unsigned char *)bytes, n_bytes}, 0, false};
}

/* Bytes not yet read. */
static inline size_t phi_cursor_left(const struct phi_cursor *cursor)
{
    return cursor->span.n_bytes - cursor->at;
}

/* The next `n` bytes, in place, or NULL (and the cursor has failed) if there are fewer. */
static inline const unsigned char *phi_cursor_take(struct phi_cursor *cursor, size_t n)
{
    const unsigned char *here = cursor->span.bytes + cursor->at;

    if (cursor->failed || n > phi_cursor_left(cursor)) {
        cursor->failed = true;
        return NULL;
    }
    cursor->at += n;
    return here;
}

/* Little-endian unsigned integers; 0 once the cursor has failed. */
static inline uint64_t phi_cursor_le(struct phi_cursor *cursor, size_t n)
{
    const unsigned char *p = phi_cursor_take(cursor, n);
    uint64_t value = 0;

    for (size_t i = n; p && i > 0; i--)
        value = value << 8 | p[i - 1];
    return value;
}

static inline uint8_t phi_cursor_u8(struct phi_cursor *cursor)
{
    return (uint8_t)phi_cursor_le(cursor, 1);
}

static inline uint16_t phi_cursor_u16le(struct phi_cursor *cursor)
{
    return (uint16_t)phi_cursor_le(cursor, 2);
}

static inline uint32_t phi_cursor_u32le(struct phi_cursor *cursor)
{
    return (uint32_t)phi_cursor_le(cursor, 4);
}

static inline uint64_t phi_cursor_u64le(struct phi_cursor *cursor)
{
    return phi_cursor_le(cursor, 8);
}

#endif
