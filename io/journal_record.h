/* SPDX-License-Identifier: MIT
 *
 * One record of the journal as bytes. Layout, little-endian (docs/formats.md):
 *   0 magic "PHJ1" | 4 n_bytes of the whole record, a multiple of 8 | 8 sequence | 16 index
 *   24 monotonic_ns | 32 wall_ns | 40 kind (u16) | 42 flags (u16) | 44 n_meta | 48 n_payload
 *   52 zero | 56 session[64] | 120 run[64] | 184 zero | 188 CRC-32C of bytes 0..187
 *   192 meta | payload | zeros | CRC-32C of all before it (the last four bytes)
 * The header's own checksum lets a reader trust n_bytes and step over a damaged payload. Pure
 * functions; thread-safe.
 */
#ifndef PHI_IO_JOURNAL_RECORD_H
#define PHI_IO_JOURNAL_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#define PHI_JOURNAL_HEADER      192
#define PHI_JOURNAL_LABEL       64
#define PHI_JOURNAL_MAX_META    ((uint32_t)1 << 20)
#define PHI_JOURNAL_MAX_PAYLOAD (((uint32_t)1 << 30) + ((uint32_t)1 << 16))

/* What a record is about. The numbers stand in files: only append. */
enum phi_journal_kind {
    PHI_JOURNAL_SEGMENT = 1,  /* first in each file; sequence = that of the next record */
    PHI_JOURNAL_HELLO = 2,    /* meta: the HELLO message */
    PHI_JOURNAL_VOLUME = 3,   /* meta: the VOLUME message; payload: the image as received */
    PHI_JOURNAL_EVENT = 4,    /* meta: the EVENT message with its onset in seconds */
    PHI_JOURNAL_LOST = 5,     /* meta: the LOST message; index: the volume that will not come */
    PHI_JOURNAL_GAP = 6,      /* index: the volume that was given up waiting for */
    PHI_JOURNAL_CONFLICT = 7, /* a second, different volume of a taken index, kept as evidence */
    PHI_JOURNAL_COMMAND = 8,  /* meta: the COMMAND message */
    PHI_JOURNAL_END = 9,      /* meta: the END message */
    PHI_JOURNAL_N_KINDS = 10
};

/* A record. The three pointers belong to whoever made it. */
struct phi_journal_record {
    uint16_t kind; /* enum phi_journal_kind */
    uint16_t flags;
    uint64_t sequence; /* counts the records of a journal from 0; set by the writer */
    uint64_t index;    /* volume index; 0 where it has no meaning */
    int64_t monotonic_ns;
    int64_t wall_ns; /* since 1970 */
    char session[PHI_JOURNAL_LABEL];
    char run[PHI_JOURNAL_LABEL];
    const void *meta; /* UTF-8 JSON, n_meta bytes */
    uint32_t n_meta;
    uint32_t n_payload;
    const void *payload;
};

/* What bytes turn out to be. */
enum phi_journal_found {
    PHI_JOURNAL_WHOLE,   /* a record, checksums right */
    PHI_JOURNAL_CUT,     /* a good header, but the record goes beyond the bytes */
    PHI_JOURNAL_DAMAGED, /* a good header, but the checksum over all is wrong */
    PHI_JOURNAL_NONE     /* no record starts here */
};

/* Bytes that `record` takes in a file; 0 if meta or payload is too large. */
size_t phi_journal_record_bytes(const struct phi_journal_record *record);

/* Writes header, and the zeros and checksum that follow the payload (*ret_n_tail bytes, at most
 * 12). Meta and payload are written between them by the caller, from where they are. */
void phi_journal_record_format(const struct phi_journal_record *record,
                               unsigned char header[PHI_JOURNAL_HEADER], unsigned char tail[12],
                               size_t *ret_n_tail);

/* Reads a header; `ret_record` gets all but the pointers, *ret_n_bytes the record's length.
 * PHI_JOURNAL_WHOLE or PHI_JOURNAL_NONE (then nothing is touched). */
enum phi_journal_found phi_journal_header_parse(const unsigned char header[PHI_JOURNAL_HEADER],
                                                struct phi_journal_record *ret_record,
                                                size_t *ret_n_bytes);

/* Reads the record at the start of `bytes`. *ret_n_bytes is set unless the answer is
 * PHI_JOURNAL_NONE, *ret_record only for PHI_JOURNAL_WHOLE; its pointers go into `bytes`. */
enum phi_journal_found phi_journal_record_parse(const unsigned char *bytes, size_t n_bytes,
                                                struct phi_journal_record *ret_record,
                                                size_t *ret_n_bytes);

#endif
