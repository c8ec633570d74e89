/* SPDX-License-Identifier: MIT
 *
 * Training volumes as a live decoder would see them: every run goes through the filters of the run
 * file in this process, and what leaves them is kept, with the events. Set-up code; one thread.
 */
#ifndef TOOLS_FIT_ROWS_H
#define TOOLS_FIT_ROWS_H

#include "cli.h"
#include "host/registry.h"
#include "phosphene/frame.h"
#include "plugins/decoder/common/model.h"

struct fit_rows_event {
    struct ph_event event;
    uint32_t run;
};

struct fit_rows {
    size_t n, q, capacity;
    float *y;      /* [n][q], usable volumes only */
    double *at_s;  /* [n] when each counts as taken */
    uint32_t *run; /* [n] */
    bool *joined;  /* [n] follows the row before without a gap */
    size_t n_runs, n_skipped;
    struct fit_rows_event *events; /* [n_events] */
    size_t n_events, event_capacity;
    struct ph_geometry geometry;
    uint32_t *voxels; /* [q] */
    char *chain;
};

struct fit_rows_from {
    const struct phi_registry *registry;
    const char *run_file;
    const struct cli_list *bold, *events; /* events: none, or one a run */
    bool no_events;                       /* they are not needed */
    const char *mask;                     /* where the filters leave volumes; else NULL */
    double ref;
};

/* Runs everything; owned by the caller. Errors name the file. */
PH_NODISCARD enum ph_status fit_rows_load(const struct fit_rows_from *from,
                                          struct fit_rows *ret_rows, struct ph_error *reterr);

void fit_rows_free(struct fit_rows *rows);

#endif
