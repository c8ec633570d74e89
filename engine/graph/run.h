/* SPDX-License-Identifier: MIT
 *
 * The description of a run: what a YAML run file says, checked, with every default in place.
 *
 *     phosphene: 1                  # version of the format
 *     title: faces, session 2       # free text
 *     source: {type: wire}          # a stage: type, its parameters, and name, on_error
 *     filters:                      # in the order of processing
 *       - type: smooth
 *         fwhm_mm: 5
 *     decoder: {type: posterior, model: faces.safetensors}
 *     generators:
 *       - {type: eigenface, model: pca.safetensors}
 *     sinks:
 *       - {type: record}
 *     engine: {workers: 2, queue_depth: 8}
 *     display: {operator: {width: 1280}}   # kept as text for the display
 *
 * A stage's name is its type unless `name` says otherwise; names are unique. Unknown keys, wrong
 * types and values out of range are refused with file, line and column. YAML aliases are refused.
 * A description belongs to one thread; it is only read once a run has been created from it.
 */
#ifndef PHI_GRAPH_RUN_H
#define PHI_GRAPH_RUN_H

#include <stddef.h>

#include "host/param.h"
#include "host/registry.h"
#include "host/stage.h"

#define PHI_MAX_FILTERS    32
#define PHI_MAX_GENERATORS 8
#define PHI_MAX_SINKS      8
#define PHI_MAX_SETTINGS   128
#define PHI_RUN_FILE_BYTES ((size_t)1 << 20)

/* What a failure of process does: end the run, mark the frame invalid, or take the stage out of the
 * chain for the rest of the run (filters whose output spec equals the input's). */
enum phi_on_error { PHI_ON_ERROR_SKIP = 0, PHI_ON_ERROR_STOP = 1, PHI_ON_ERROR_BYPASS = 2 };

/* Which statements become settled pictures. */
enum phi_render_policy { PHI_RENDER_EACH = 0, PHI_RENDER_FINAL = 1 };

enum phi_gap_policy { PHI_GAP_MARK = 0, PHI_GAP_STOP = 1 };

/* Where a value stands in the run file, from 1; zeros if it comes from elsewhere. */
struct phi_run_place {
    int line;
    int column;
};

struct phi_run_stage {
    const struct ph_stage_type *type;
    char name[PHI_STAGE_NAME];
    struct phi_params *params;    /* owned */
    struct phi_run_place *places; /* [type's n_params], owned; of the values. NULL: unknown */
    enum phi_on_error on_error;
    int line; /* in the run file, from 1; 0 if it comes from elsewhere */
    int column;
};

/* The `engine` section; the struct behind its parameter table. */
struct phi_run_engine {
    int64_t workers;       /* 0: one per core, at most 8 */
    int64_t queue_depth;   /* frames an edge holds */
    int32_t gap;           /* enum phi_gap_policy */
    int64_t max_gap;       /* more volumes missing in a row end the run */
    int32_t render;        /* enum phi_render_policy */
    double stale_after_tr; /* results older than this many TRs are marked stale */
    bool pin;              /* pin stage threads to cores */
    bool realtime;         /* lock memory, ask for real-time scheduling */
    const char *out_dir;   /* folder of the recording; "" for none */
};

/* One scalar of the `display` section: dotted key, text, place in the file. */
struct phi_run_setting {
    char *key; /* owned */
    char *value;
    int line;
    int column;
};

struct phi_run {
    char *path; /* of the run file, or what it is called in messages; owned */
    char *dir;  /* absolute folder that relative paths start from; owned */
    char *title;
    struct phi_run_stage source; /* type NULL if absent */
    struct phi_run_stage decoder;
    struct phi_run_stage filters[PHI_MAX_FILTERS];
    size_t n_filters;
    struct phi_run_stage generators[PHI_MAX_GENERATORS];
    size_t n_generators;
    struct phi_run_stage sinks[PHI_MAX_SINKS];
    size_t n_sinks;
    struct phi_params *engine; /* of phi_run_engine_type */
    struct phi_run_setting display[PHI_MAX_SETTINGS];
    size_t n_display;
};

/* The parameter table of the `engine` section, as a stage type without operations. */
extern const struct ph_stage_type phi_run_engine_type;

/* Reads `path`, then applies the `n_sets` texts "stage.key=value", "engine.key=value" or
 * "display.key=value". Owned by the caller. PH_E_IO: not readable; PH_E_INVAL, PH_E_FORMAT: the
 * message starts with "file:line:column: ". `registry` must outlive the description. */
PH_NODISCARD enum ph_status phi_run_load(const char *path, const char *const *sets, size_t n_sets,
                                         const struct phi_registry *registry,
                                         struct phi_run **ret_run, struct ph_error *reterr);

/* As phi_run_load from `n_bytes` bytes of text, called `name` in messages; relative paths start at
 * the absolute folder `dir`. */
PH_NODISCARD enum ph_status phi_run_parse(const char *text, size_t n_bytes, const char *name,
                                          const char *dir, const struct phi_registry *registry,
                                          struct phi_run **ret_run, struct ph_error *reterr);

/* Applies one "stage.key=value". */
PH_NODISCARD enum ph_status phi_run_set(struct phi_run *run, const char *text,
                                        struct ph_error *reterr);

/* Frees; accepts NULL and *run == NULL, clears *run. */
void phi_run_destroy(struct phi_run **run);

/* Puts another source in place, as a replay does. `*params` (of `type`) is taken over. */
void phi_run_replace_source(struct phi_run *run, const struct ph_stage_type *type,
                            struct phi_params **params);

/* The engine section's values. */
const struct phi_run_engine *phi_run_engine(const struct phi_run *run);

/* The stage called `name`, or NULL. */
struct phi_run_stage *phi_run_find(struct phi_run *run, const char *name);

/* The text of display setting `key` ("operator.width"), or NULL. */
const char *phi_run_display(const struct phi_run *run, const char *key);

/* Appends the complete effective configuration as YAML that phi_run_parse reads back. */
void phi_run_format(const struct phi_run *run, struct phi_str *out);

#endif
