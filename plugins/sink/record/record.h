/* SPDX-License-Identifier: MIT
 *
 * sink/record, inside: the state, and the two parts of it: record.c writes while the run goes on,
 * finish.c makes the dataset when it has ended. One thread.
 */
#ifndef PLUGINS_SINK_RECORD_RECORD_H
#define PLUGINS_SINK_RECORD_RECORD_H

#include <stdio.h>

#include "io/file.h"
#include "phosphene/plugin.h"

enum record_images { RECORD_NONE = 0, RECORD_FINAL = 1, RECORD_ALL = 2 };

struct params {
    const char *task;
    bool bids;
    int32_t images; /* enum record_images */
};

/* One latent in the spool file; mean[q] and sd[q] as float32 follow it. */
struct record_latent {
    uint64_t index;
    double stimulus_s, lag_s;
    uint32_t trial, revision, flags;
    int32_t stim_index;
    float share, evidence, nis;
};

struct record {
    const struct params *params;
    const struct ph_host *host;
    char part_dir[PHI_PATH_MAX]; /* "<run_dir>/derivatives.part", renamed into place at the end */
    FILE *quality, *latency, *latents, *regions, *outliers, *confounds;
    uint64_t n_latents, n_images, n_volumes;
    uint32_t q; /* latent components; 0 before the first */
    char decoder[32];
    float motion[6];    /* of the volume before; NaN before the first */
    uint32_t n_signals; /* columns of the regions' table; 0 before the first */
    bool failed;        /* a write has failed and was told */
};

/* Path of a file in the folder under way; false if it does not fit. */
bool record_path(const struct record *r, const char *name, char out[PHI_PATH_MAX]);

/* Makes the dataset of what has been written, and the BIDS export of the journal beside it. */
PH_NODISCARD enum ph_status record_finish(struct record *r, struct ph_error *reterr);

#endif
