/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void write_text(struct ph_error *reterr, const char *format, va_list args)
{
    if (vsnprintf(reterr->text, sizeof reterr->text, format, args) < 0)
        (void)snprintf(reterr->text, sizeof reterr->text, "error text could not be formatted");
}

enum ph_status phi_error(struct ph_error *reterr, enum ph_status status, const char *format, ...)
{
    va_list args;

    if (!reterr)
        return status;
    reterr->status = (int32_t)status;
    reterr->os_errno = 0;
    va_start(args, format);
    write_text(reterr, format, args);
    va_end(args);
    return status;
}

enum ph_status phi_error_os(struct ph_error *reterr, enum ph_status status, int os_errno,
                            const char *format, ...)
{
    va_list args;
    size_t used;
    char reason[128];

    if (!reterr)
        return status;
    reterr->status = (int32_t)status;
    reterr->os_errno = os_errno;
    va_start(args, format);
    write_text(reterr, format, args);
    va_end(args);
    used = strlen(reterr->text);
    (void)snprintf(reterr->text + used, sizeof reterr->text - used, ": %s",
                   strerror_r(os_errno, reason, sizeof reason));
    return status;
}

enum ph_status phi_error_prefix(struct ph_error *reterr, const char *format, ...)
{
    va_list args;
    char tail[PH_ERROR_TEXT];
    size_t used;

    if (!reterr)
        return PH_E_INTERNAL;
    memcpy(tail, reterr->text, sizeof tail);
    va_start(args, format);
    write_text(reterr, format, args);
    va_end(args);
    used = strlen(reterr->text);
    (void)snprintf(reterr->text + used, sizeof reterr->text - used, ": %s", tail);
    return (enum ph_status)reterr->status;
}

enum ph_status phi_error_nomem(struct ph_error *reterr, const char *what, size_t n_bytes)
{
    return phi_error(reterr, PH_E_NOMEM, "not enough memory for %s (%zu bytes)", what, n_bytes);
}

const char *phi_status_name(enum ph_status status)
{
    switch (status) {
    case PH_OK:
        return "ok";
    case PH_AGAIN:
        return "again";
    case PH_EOS:
        return "end of stream";
    case PH_SKIP:
        return "skip";
    case PH_E_INVAL:
        return "invalid";
    case PH_E_NOMEM:
        return "out of memory";
    case PH_E_IO:
        return "input/output";
    case PH_E_FORMAT:
        return "format";
    case PH_E_SHAPE:
        return "shape";
    case PH_E_ABI:
        return "abi";
    case PH_E_LIMIT:
        return "limit";
    case PH_E_STATE:
        return "state";
    case PH_E_PEER:
        return "peer";
    case PH_E_INTERNAL:
        return "internal";
    }
    return "unknown";
}
