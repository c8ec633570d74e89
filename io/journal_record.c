/* SPDX-License-Identifier: MIT */
#include "io/journal_record.h"

#include <string.h>

#include "base/crc.h"
#include "base/span.h"

#define MAGIC 0x314a4850u /* "PHJ1" */
#define ALIGN 8
#define N_CRC 4

static void put_le(unsigned char *p, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        p[i] = (unsigned char)(value >> (8 * i));
}

static size_t record_bytes(uint32_t n_meta, uint32_t n_payload)
{
    size_t n = (size_t)PHI_JOURNAL_HEADER + n_meta + n_payload + N_CRC;

    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

size_t phi_journal_record_bytes(const struct phi_journal_record *record)
{
    if (record->n_meta > PHI_JOURNAL_MAX_META || record->n_payload > PHI_JOURNAL_MAX_PAYLOAD)
        return 0;
    return record_bytes(record->n_meta, record->n_payload);
}

void phi_journal_record_format(const struct phi_journal_record *record,
                               unsigned char header[PHI_JOURNAL_HEADER], unsigned char tail[12],
                               size_t *ret_n_tail)
{
    size_t n_bytes = record_bytes(record->n_meta, record->n_payload);
    size_t n_tail = n_bytes - PHI_JOURNAL_HEADER - record->n_meta - record->n_payload;
    uint32_t crc;

    memset(header, 0, PHI_JOURNAL_HEADER);
    put_le(header, MAGIC, 4);
    put_le(header + 4, n_bytes, 4);
    put_le(header + 8, record->sequence, 8);
    put_le(header + 16, record->index, 8);
    put_le(header + 24, (uint64_t)record->monotonic_ns, 8);
    put_le(header + 32, (uint64_t)record->wall_ns, 8);
    put_le(header + 40, record->kind, 2);
    put_le(header + 42, record->flags, 2);
    put_le(header + 44, record->n_meta, 4);
    put_le(header + 48, record->n_payload, 4);
    memcpy(header + 56, record->session, PHI_JOURNAL_LABEL);
    memcpy(header + 120, record->run, PHI_JOURNAL_LABEL);
    put_le(header + 188, phi_crc32c(0, header, 188), 4);
    memset(tail, 0, 12);
    crc = phi_crc32c(0, header, PHI_JOURNAL_HEADER);
    if (record->n_meta)
        crc = phi_crc32c(crc, record->meta, record->n_meta);
    if (record->n_payload)
        crc = phi_crc32c(crc, record->payload, record->n_payload);
    crc = phi_crc32c(crc, tail, n_tail - N_CRC);
    put_le(tail + n_tail - N_CRC, crc, 4);
    *ret_n_tail = n_tail;
}

enum phi_journal_found phi_journal_header_parse(const unsigned char header[PHI_JOURNAL_HEADER],
                                                struct phi_journal_record *ret_record,
                                                size_t *ret_n_bytes)
{
    struct phi_cursor cursor = phi_cursor_over(header, PHI_JOURNAL_HEADER);
    struct phi_journal_record record = {0};
    uint32_t magic = phi_cursor_u32le(&cursor);
    uint32_t n_bytes = phi_cursor_u32le(&cursor);

    if (magic != MAGIC)
        return PHI_JOURNAL_NONE;
    record.sequence = phi_cursor_u64le(&cursor);
    record.index = phi_cursor_u64le(&cursor);
    record.monotonic_ns = (int64_t)phi_cursor_u64le(&cursor);
    record.wall_ns = (int64_t)phi_cursor_u64le(&cursor);
    record.kind = phi_cursor_u16le(&cursor);
    record.flags = phi_cursor_u16le(&cursor);
    record.n_meta = phi_cursor_u32le(&cursor);
    record.n_payload = phi_cursor_u32le(&cursor);
    memcpy(record.session, header + 56, PHI_JOURNAL_LABEL);
    memcpy(record.run, header + 120, PHI_JOURNAL_LABEL);
    cursor.at = 188;
    if (phi_cursor_u32le(&cursor) != phi_crc32c(0, header, 188) ||
        phi_journal_record_bytes(&record) != n_bytes ||
        record.session[PHI_JOURNAL_LABEL - 1] != '\0' || record.run[PHI_JOURNAL_LABEL - 1] != '\0')
        return PHI_JOURNAL_NONE;
    *ret_record = record;
    *ret_n_bytes = n_bytes;
    return PHI_JOURNAL_WHOLE;
}

enum phi_journal_found phi_journal_record_parse(const unsigned char *bytes, size_t n_bytes,
                                                struct phi_journal_record *ret_record,
                                                size_t *ret_n_bytes)
{
    struct phi_journal_record record;
    struct phi_cursor cursor;
    size_t n;

    if (n_bytes < PHI_JOURNAL_HEADER ||
        phi_journal_header_parse(bytes, &record, &n) != PHI_JOURNAL_WHOLE)
        return PHI_JOURNAL_NONE;
    *ret_n_bytes = n;
    if (n > n_bytes)
        return PHI_JOURNAL_CUT;
    cursor = phi_cursor_over(bytes + n - N_CRC, N_CRC);
    if (phi_cursor_u32le(&cursor) != phi_crc32c(0, bytes, n - N_CRC))
        return PHI_JOURNAL_DAMAGED;
    record.meta = bytes + PHI_JOURNAL_HEADER;
    record.payload = bytes + PHI_JOURNAL_HEADER + record.n_meta;
    *ret_record = record;
    return PHI_JOURNAL_WHOLE;
}
