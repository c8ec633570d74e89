/* SPDX-License-Identifier: MIT
 *
 * Services the engine gives to a stage. The table is constant for the life of the stage; `self` is
 * its first argument always. Appended to only; check struct_size before using a later field.
 */
#ifndef PHOSPHENE_HOST_H
#define PHOSPHENE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ph_log_level {
    PH_LOG_ERROR = 0,
    PH_LOG_WARNING = 1,
    PH_LOG_INFO = 2,
    PH_LOG_DEBUG = 3,
    PH_LOG_TRACE = 4
};

/* How a run is going; filled by run_stats. Times of volume complete at the engine to end of the
 * last science stage, in ns, over the newest 1024 volumes. */
struct ph_run_stats {
    uint32_t struct_size;
    uint32_t state;     /* 0 waiting, 1 running, 2 draining, 3 stopped */
    uint64_t n_volumes; /* that entered the first filter */
    uint64_t n_missing;
    uint64_t n_censored;
    int64_t latency_p50_ns; /* 0 until there are volumes */
    int64_t latency_p99_ns;
    int64_t latency_max_ns;
};

/* Limits of what can be shown. */
#define PH_MAX_TRACES 8
#define PH_MAX_POINTS 512
#define PH_MAX_BANDS  4

/* A map over the grid of the volumes, for the operator. */
struct ph_map {
    uint32_t struct_size;
    float threshold;     /* smaller absolute values are not drawn; > 0 */
    const char *title;   /* "t, face-house"; a map of the same title replaces it; to 63 bytes */
    const float *values; /* [nz][ny][nx] */
    uint32_t dims[3];    /* nx, ny, nz */
};

/* A stretch of a horizontal axis that is marked with a word. */
struct ph_band {
    double from, to; /* equal: a line */
    char label[24];
};

/* A picture of lines over one axis, for the operator: a time course, a spectrum. */
struct ph_curves {
    uint32_t struct_size;
    uint32_t n_traces;  /* to PH_MAX_TRACES */
    uint32_t n_points;  /* of each trace, to PH_MAX_POINTS */
    uint32_t n_bands;   /* to PH_MAX_BANDS */
    const char *title;  /* as in ph_map */
    const char *x_unit; /* to 15 bytes, as y_unit */
    const char *y_unit;
    double x0, dx;            /* x of point k is x0 + k dx */
    bool log_y;               /* values are drawn as logarithms; those not above 0 leave a hole */
    const char *const *names; /* [n_traces], to 23 bytes each */
    const float *values;      /* [n_traces][n_points]; NaN leaves a hole */
    const struct ph_band *bands; /* [n_bands] */
};

struct ph_host {
    uint32_t struct_size;
    uint32_t n_workers;  /* threads that parallel_for uses; at least 1 */
    void *self;          /* pass it back */
    const char *stage;   /* the stage's name in the run file */
    const char *run_dir; /* absolute folder of this run's recording; "" when nothing is recorded */

    /* Zeroed, 64-byte aligned memory that lives as long as the stage's run. Only in init.
     * NULL if it cannot be had. */
    void *(*alloc)(void *self, size_t n, size_t size);

    /* Writes a log line. Any thread; never blocks, never allocates; a line may be dropped (and
     * counted) when the log is flooded. `id` is a short stable name such as "wire.crc". */
    void (*log)(void *self, enum ph_log_level level, const char *id, const char *format, ...)
        PH_PRINTF(4, 5);

    /* Monotonic time in ns, the clock of all _ns fields. Any thread. */
    int64_t (*now_ns)(void *self);

    /* Runs fn(arg, i) for every i in [0, n) on the engine's workers and returns when all are done.
     * Only from the stage's own thread. The split must not influence the result. */
    void (*parallel_for)(void *self, size_t n, void (*fn)(void *arg, size_t i), void *arg);

    /* Asks the engine to end the run in an orderly way. Any thread; never blocks. */
    void (*request_stop)(void *self);

    /* Sets a LIVE parameter "stage.key" from text. Any thread but a stage's processing thread; the
     * stage sees it at its next frame. Errors name the key and the limit. */
    PH_NODISCARD enum ph_status (*set_param)(void *self, const char *key, const char *value,
                                             struct ph_error *reterr);

    /* How the run is going. Any thread; never blocks. */
    void (*run_stats)(void *self, struct ph_run_stats *ret_stats);

    /* Since interface 1.1. For filters alone, from init on; they never block or
     * allocate. */

    /* Says which voxels of the grid (ascending numbers, x fastest) the vectors of layout `layout`
     * hold. The list must stay valid and unchanged until fini. A filter that turns volumes into
     * vectors says so before its first vector. */
    void (*tell_voxels)(void *self, uint64_t layout, const uint32_t *voxels, size_t n);

    /* The voxels of vectors of layout `layout`: how many, and where in *ret_voxels; 0 if no filter
     * before has told. Valid until fini. */
    size_t (*voxels)(void *self, uint64_t layout, const uint32_t **ret_voxels);

    /* Puts a map, or curves, up for the operator; copied. What does not fit the display (another
     * grid, more than four titles) is not shown. */
    void (*show_map)(void *self, const struct ph_map *map);
    void (*show_curves)(void *self, const struct ph_curves *curves);
};

#ifdef __cplusplus
}
#endif

#endif
