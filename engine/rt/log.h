/* SPDX-License-Identifier: MIT
 *
 * The log: any thread writes fixed records into a queue, one thread formats them for a terminal and
 * as JSON lines for a file. A flood drops lines and says how many.
 */
#ifndef PHI_RT_LOG_H
#define PHI_RT_LOG_H

#include <stdint.h>

#include "phosphene/host.h"

struct phi_log;

struct phi_log_line {
    int64_t wall_ns;
    int64_t mono_ns;
    enum ph_log_level level;
    char stage[32];
    char id[32];
    char text[320];
};

struct phi_log_config {
    int fd;                      /* where lines for people go; -1: nowhere */
    enum ph_log_level level;     /* lines above it are not written to fd */
    const char *json_path;       /* NULL: no file; lines of all levels but TRACE are appended */
    enum ph_log_level tee_level; /* lines up to this level also go to `tee`, called in the logger's
                                    thread; NULL: to nobody */
    void (*tee)(void *arg, const struct phi_log_line *line);
    void *arg;
};

/* Opens the file and starts the thread. Owned by the caller. */
PH_NODISCARD enum ph_status phi_log_create(const struct phi_log_config *config,
                                           struct phi_log **ret_log, struct ph_error *reterr);

/* Writes what is left, joins, frees; accepts NULL and *log == NULL, clears *log. */
void phi_log_destroy(struct phi_log **log);

/* Any thread; never blocks or allocates. Texts are cut to fit. `log` may be NULL: nothing happens.
 */
void phi_log_write(struct phi_log *log, enum ph_log_level level, const char *stage, const char *id,
                   const char *format, ...) PH_PRINTF(5, 6);

/* Lower-case name of a level, as "warning". */
const char *phi_log_level_name(enum ph_log_level level);

#endif
