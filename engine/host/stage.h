/* SPDX-License-Identifier: MIT
 *
 * One stage of a run: a type, its parameter values, its state and the services it is given. The
 * graph, the offline chain and the tests all run stages through this. A stage belongs to one thread
 * at a time; only phi_stage_wake may be called from another.
 */
#ifndef PHI_HOST_STAGE_H
#define PHI_HOST_STAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "host/param.h"
#include "phosphene/plugin.h"

#define PHI_STAGE_NAME 32 /* with the terminating zero, as in ph_latent.decoder */

/* Which voxels vectors hold, as a filter has told; the filter's memory. */
struct phi_voxel_list {
    uint64_t layout;
    const uint32_t *voxels;
    size_t n;
};

/* What a host lends to its stages. A NULL function has a plain replacement: no log, the monotonic
 * clock, a serial loop, no stop, PH_E_STATE for set_param, empty statistics, no voxels, nothing
 * shown. */
struct phi_services {
    void *arg; /* first argument of all functions */
    uint32_t n_workers;
    const char *run_dir; /* NULL: "" */
    void (*log)(void *arg, enum ph_log_level level, const char *stage, const char *id,
                const char *text);
    int64_t (*now_ns)(void *arg);
    void (*parallel_for)(void *arg, size_t n, void (*fn)(void *fn_arg, size_t i), void *fn_arg);
    void (*request_stop)(void *arg);
    enum ph_status (*set_param)(void *arg, const char *key, const char *value,
                                struct ph_error *reterr);
    void (*run_stats)(void *arg, struct ph_run_stats *ret_stats);
    struct phi_voxel_list *voxels; /* shared by the filters of a chain */
    void (*show_map)(void *arg, const struct ph_map *map);
    void (*show_curves)(void *arg, const struct ph_curves *curves);
};

struct phi_stage {
    const struct ph_stage_type *type;
    char name[PHI_STAGE_NAME];
    struct phi_params *params;    /* owned */
    struct phi_services services; /* a copy */
    struct ph_host host;          /* what the plugin sees */
    void *state;
    struct ph_spec in; /* kind PH_FRAME_NONE for sources */
    struct ph_spec out;
    char *chain;   /* owned text behind out.chain of a filter */
    void **blocks; /* what the plugin got from host.alloc */
    size_t n_blocks;
    bool inited;
};

/* A stage called `name` (cut to 31 bytes). Takes `*params` over and clears it, also on failure. */
PH_NODISCARD enum ph_status phi_stage_create(const struct ph_stage_type *type, const char *name,
                                             struct phi_params **params,
                                             const struct phi_services *services,
                                             struct phi_stage **ret_stage, struct ph_error *reterr);

/* Calls fini if init was called, frees all; accepts NULL and *stage == NULL. */
void phi_stage_destroy(struct phi_stage **stage);

/* Plans the stage behind `in` (NULL for a source, whose spec comes from phi_stage_discover). Fills
 * stage->in and stage->out, and the chain text of a filter. Checks what the type returned. */
PH_NODISCARD enum ph_status phi_stage_plan(struct phi_stage *stage, const struct ph_spec *in,
                                           struct ph_error *reterr);

/* Calls init. Once, after plan (a source: after create). */
PH_NODISCARD enum ph_status phi_stage_init(struct phi_stage *stage, struct ph_error *reterr);

/* Sources, after init: waits for the spec; PH_AGAIN after a wake. */
PH_NODISCARD enum ph_status phi_stage_discover(struct phi_stage *stage, struct ph_error *reterr);

/* Optional operations; a missing one does nothing and gives PH_OK. */
PH_NODISCARD enum ph_status phi_stage_event(struct phi_stage *stage, struct ph_io *io);
PH_NODISCARD enum ph_status phi_stage_end(struct phi_stage *stage, struct ph_io *io);
void phi_stage_reset(struct phi_stage *stage);
void phi_stage_wake(struct phi_stage *stage);

/* Gives the stage new values; the caller keeps them alive until the next update or destroy. */
void phi_stage_update(struct phi_stage *stage, const struct phi_params *params);

/* Appends "name(key=value ...)" with every parameter but those ASIDE in table order: the canonical
 * text of a filter in a chain. Of a path only the file's name counts, so that a model can move
 * between machines. */
void phi_stage_describe(const struct ph_stage_type *type, const struct phi_params *params,
                        struct phi_str *out);

#endif
