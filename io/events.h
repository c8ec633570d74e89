/* SPDX-License-Identifier: MIT
 *
 * BIDS events tables (events.tsv): what was shown when. Columns `onset` and `duration` are needed;
 * `trial_type`, `stim_file` (or `stimulus`), `stim_index` and `amplitude` are understood, others
 * passed over.
 * Parsing is pure; reading and writing may block on the disk. Thread-safe on separate objects.
 * Format: BIDS specification 1.8, "Events".
 */
#ifndef PHI_IO_EVENTS_H
#define PHI_IO_EVENTS_H

#include <stddef.h>

#include "phosphene/frame.h"
#include "phosphene/status.h"

#define PHI_EVENTS_MAX_BYTES ((size_t)32 << 20)

/* A table. All zero is an empty one. */
struct phi_events {
    struct ph_event *rows; /* [n], by ascending onset; rows of one onset in the file's order */
    size_t n;
};

/* Reads a table from `n_bytes` bytes of UTF-8. `name` is what errors call it; they name the line
 * and column. Rows are sorted by onset and numbered from 0. "n/a" as duration is 0, as stim_index
 * -1, as amplitude 1, as text empty; as onset it is an error. *ret_events is the caller's, freed
 * with phi_events_free. */
PH_NODISCARD enum ph_status phi_events_parse(const char *text, size_t n_bytes, const char *name,
                                             struct phi_events *ret_events,
                                             struct ph_error *reterr);

/* Reads the file `path`, otherwise as phi_events_parse. */
PH_NODISCARD enum ph_status phi_events_read(const char *path, struct phi_events *ret_events,
                                            struct ph_error *reterr);

/* Writes rows[n] to `path` whole, with those of the six columns that any row uses. Names of stimuli
 * go into `stimulus`: in BIDS a `stim_file` is a file in the dataset's own folder of stimuli. */
PH_NODISCARD enum ph_status phi_events_write(const char *path, const struct ph_event *rows,
                                             size_t n, struct ph_error *reterr);

/* Writes to `path` ("..._events.json") what the columns that phi_events_write makes mean. */
PH_NODISCARD enum ph_status phi_events_describe(const char *path, struct ph_error *reterr);

/* Frees the rows and empties the table; accepts an empty one. */
void phi_events_free(struct phi_events *events);

#endif
