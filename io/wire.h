/* SPDX-License-Identifier: MIT
 *
 * Messages of the protocol phosphene/1 (docs/protocol.md) as JSON frames. A frame is read into one
 * flat struct from a table that says, for each type of message, which fields it has; the same table
 * writes it. Pure functions; parsing allocates (jansson), bounded by the frame's size. Thread-safe.
 */
#ifndef PHI_IO_WIRE_H
#define PHI_IO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#define PHI_WIRE_PROTOCOL   "phosphene/1"
#define PHI_WIRE_MAX_JSON   ((size_t)64 * 1024)
#define PHI_WIRE_MAX_SLICES 512
#define PHI_WIRE_LABEL      64 /* session, run, subject: letters, digits, "_.-" */

enum phi_wire_type {
    PHI_WIRE_NONE = 0,
    PHI_WIRE_HELLO,
    PHI_WIRE_WELCOME,
    PHI_WIRE_VOLUME,
    PHI_WIRE_ACK,
    PHI_WIRE_LOST,
    PHI_WIRE_END,
    PHI_WIRE_DONE,
    PHI_WIRE_PING,
    PHI_WIRE_PONG,
    PHI_WIRE_ERROR,
    PHI_WIRE_EVENT,
    PHI_WIRE_COMMAND,
    PHI_WIRE_ASK,
    PHI_WIRE_OK,
    PHI_WIRE_N_TYPES
};

enum phi_wire_encoding { PHI_WIRE_NIFTI = 0, PHI_WIRE_NIFTI_ZSTD = 1 };

/* Any message. Fields that a type does not have, and optional ones that were not sent, are zero,
 * except as noted. Plain data, about 6 kB. */
struct phi_wire_message {
    enum phi_wire_type type;
    /* HELLO */
    char session[PHI_WIRE_LABEL];
    char run[PHI_WIRE_LABEL];
    char subject[PHI_WIRE_LABEL];
    char sender[PHI_WIRE_LABEL];
    double tr_s;
    uint32_t dims[3];
    char datatype[16];
    uint32_t n_slices;
    double slice_timing_s[PHI_WIRE_MAX_SLICES]; /* [n_slices] */
    uint64_t n_volumes;                         /* HELLO (planned, 0 unknown), END */
    /* WELCOME, ACK */
    uint64_t next;
    uint64_t credit;
    char engine[PHI_WIRE_LABEL];
    bool journalled;
    /* VOLUME, ACK, LOST, ERROR */
    bool has_index;
    uint64_t index;
    double acquired_s; /* NaN if not sent */
    enum phi_wire_encoding encoding;
    uint32_t crc32;
    /* time stamps, each side's monotonic clock; 0 if not sent */
    int64_t sent_ns;
    int64_t now_ns;
    /* DONE */
    uint64_t n_received;
    uint64_t n_lost;
    uint64_t n_duplicates;
    double latency_ms[3]; /* p50, p99, max */
    /* LOST (why), ERROR (message), COMMAND (value) */
    char text[256];
    /* ERROR */
    char code[32];
    bool fatal;
    /* EVENT, OK */
    bool has_id;
    uint64_t id;    /* chosen by the sender; a repeated one is answered again and dropped */
    double onset_s; /* NaN means "now" in EVENT, not sent in OK */
    double duration_s;
    double amplitude;   /* 1 if not sent */
    int64_t stim_index; /* -1 if not sent */
    char trial_type[64];
    char stim[128];
    /* COMMAND (name), ASK (what) */
    char name[PHI_WIRE_LABEL];
};

/* A message of `type` with its optional fields at "not sent". */
struct phi_wire_message phi_wire_message_of(enum phi_wire_type type);

/* Reads a JSON frame. PH_E_FORMAT names the field; PH_E_LIMIT if it is longer than
 * PHI_WIRE_MAX_JSON. Unknown fields are passed over. */
PH_NODISCARD enum ph_status phi_wire_parse(const void *json, size_t n_bytes,
                                           struct phi_wire_message *ret_message,
                                           struct ph_error *reterr);

/* Writes the JSON frame of `message` to out[capacity], *ret_n bytes without a terminating zero.
 * PH_E_LIMIT if it does not fit, PH_E_INVAL for a type outside the enum. */
PH_NODISCARD enum ph_status phi_wire_format(const struct phi_wire_message *message, char *out,
                                            size_t capacity, size_t *ret_n);

/* An ERROR message. `code` is a short word, `format` makes the sentence. */
struct phi_wire_message phi_wire_error(const char *code, bool fatal, const char *format, ...)
    PH_PRINTF(3, 4);

/* Name of a type as it stands in JSON, "HELLO"; "?" outside the enum. */
const char *phi_wire_type_name(enum phi_wire_type type);

/* Whether `text` may be a session, run or subject: 1 to 63 letters, digits, '_', '-' or '.', not
 * starting with '.'; so it is safe as part of a file name. */
bool phi_wire_is_label(const char *text);

#endif
