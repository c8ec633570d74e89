/* SPDX-License-Identifier: MIT
 *
 * Result codes. Every function that can fail returns one of them. Zero is success, a positive
 * value steers the flow and is no failure, a negative value is a failure. Calls made while a run
 * is being set up also fill a struct ph_error with a sentence for the operator.
 */
#ifndef PHOSPHENE_STATUS_H
#define PHOSPHENE_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#    define PH_NODISCARD                     __attribute__((warn_unused_result))
#    define PH_PRINTF(format_arg, first_arg) __attribute__((format(printf, format_arg, first_arg)))
#else
#    define PH_NODISCARD
#    define PH_PRINTF(format_arg, first_arg)
#endif

enum ph_status {
    PH_OK = 0,
    PH_AGAIN = 1, /* nothing yet, call again */
    PH_EOS = 2,   /* the stream has ended */
    PH_SKIP = 3,  /* this frame yields no output */

    PH_E_INVAL = -1,    /* a wrong argument, parameter or combination of them */
    PH_E_NOMEM = -2,    /* memory could not be had */
    PH_E_IO = -3,       /* the operating system refused a read, write, open or sync */
    PH_E_FORMAT = -4,   /* bytes that do not mean what they claim */
    PH_E_SHAPE = -5,    /* sizes that do not fit together */
    PH_E_ABI = -6,      /* a plugin built for another engine */
    PH_E_LIMIT = -7,    /* larger than we are willing to take */
    PH_E_STATE = -8,    /* a call that is not allowed now */
    PH_E_PEER = -9,     /* the other side of a connection is gone or misbehaves */
    PH_E_INTERNAL = -10 /* our own mistake */
};

/* Longest operator text, with its terminating zero. Longer texts are cut. */
#define PH_ERROR_TEXT 512

/* What went wrong, where, and what to try. Owned by the caller; plain data, copied freely. */
struct ph_error {
    int32_t status;           /* enum ph_status */
    int32_t os_errno;         /* errno at the failure, 0 where none applies */
    char text[PH_ERROR_TEXT]; /* UTF-8, never empty after a failure */
};

#ifdef __cplusplus
}
#endif

#endif
