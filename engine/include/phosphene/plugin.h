/* SPDX-License-Identifier: MIT
 *
 * The stage interface. A plugin is a shared object with one exported function, ph_plugin_query,
 * that returns a constant description of the stage types in it. docs/plugins.md has a complete
 * one-page example.
 *
 * Life of a stage:  plan -> init -> (process | event | update)* -> end -> fini,
 * with reset between two runs over the same plan. plan and init may allocate, open files and take
 * their time; from the first process to end nothing in a stage allocates or blocks, except that a
 * source waits for its input and a sink for its socket or disk. All calls of one stage after init
 * come from one thread, except `wake`, which may come from any.
 *
 * Kinds and what process does:
 *   - source: waits for input, emits volume and event frames, volumes in ascending index with a
 *     PH_FLAG_GAP frame for each missing one (the engine fills holes that a source leaves).
 *     PH_AGAIN: woken or nothing yet; PH_EOS: the run is over.
 *   - filter: in place (PH_CAP_IN_PLACE) changes io->in and returns; the engine passes it on.
 *     Otherwise takes an output frame, fills it, emits it. PH_SKIP: no output.
 *   - decoder: as a filter that turns vectors into latents; may emit any number per volume.
 *   - generator: `render` draws the settled picture of a latent; the anytime trio aim, step, peek
 *     serves the moving display between volumes.
 *   - sink: reads every frame of the run: volumes or vectors after the last filter, latents, images
 *     and events, in the order each stage emitted them.
 *
 * Events pass every stage in order with the volumes; a stage that wants them has `event`. The
 * engine passes the event frame on by itself after `event` has returned.
 * Frames that carry one of PH_FLAGS_UNUSABLE still pass through process: a filter must keep its
 * estimators away from them, and a payload of a PH_FLAG_GAP frame has no meaning.
 */
#ifndef PHOSPHENE_PLUGIN_H
#define PHOSPHENE_PLUGIN_H

#include "phosphene/frame.h"
#include "phosphene/host.h"
#include "phosphene/param.h"
#include "phosphene/status.h"
#include "phosphene/version.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ph_stage_kind {
    PH_STAGE_SOURCE = 1,
    PH_STAGE_FILTER = 2,
    PH_STAGE_DECODER = 3,
    PH_STAGE_GENERATOR = 4,
    PH_STAGE_SINK = 5
};

enum ph_stage_cap {
    PH_CAP_IN_PLACE = 1u << 0,      /* filter: output is the changed input */
    PH_CAP_STATEFUL = 1u << 1,      /* output depends on earlier frames */
    PH_CAP_DETERMINISTIC = 1u << 2, /* same frames and parameters, same bits */
    PH_CAP_OWN_THREAD = 1u << 3,    /* asks for a thread of its own */
    PH_CAP_OFFLINE_ONLY = 1u << 4   /* refused by a live run */
};

/* What flows over an edge, known before the run starts. dims are capacities: a frame may be smaller
 * (a vector whose mask is computed from the first volumes) but never larger. */
struct ph_spec {
    uint32_t struct_size;
    uint32_t kind;  /* enum ph_frame_kind */
    uint32_t dtype; /* enum ph_dtype */
    uint32_t rank;
    uint32_t dims[4];            /* as in ph_frame */
    uint32_t n_volumes;          /* planned length of the run; 0 if unknown */
    uint32_t latency_volumes;    /* how many volumes the chain up to here looks ahead */
    uint64_t layout;             /* vectors: the voxel list if it is known already, else 0; latents:
                                    the space they are in (ph_space_hash), 0 if it has no name */
    struct ph_geometry geometry; /* of the volumes this comes from */
    const char *chain; /* the filters so far with their effective parameters, one canonical text:
                          "realign(reference=first) smooth(fwhm_mm=5)"; a model stores the text it
                          was fitted behind. Filled by the engine, never by a stage. */
};

/* One processing call's way in and out. Lives on the caller's stack. */
struct ph_io {
    uint32_t struct_size;
    struct ph_frame *in; /* the input frame; NULL for sources. Read-only unless in place. */
    void *self;
    /* An empty frame of the stage's output spec with header fields that derive from `in` already
     * copied (index, times, flags, quality). Waits until one is free; NULL when the run is being
     * stopped: return PH_EOS then. */
    struct ph_frame *(*take)(void *self);
    /* Passes a taken frame on; it may not be touched afterwards. */
    void (*emit)(void *self, struct ph_frame *frame);
    /* Sources: an empty event frame (kind set, no payload), otherwise as `take`. */
    struct ph_frame *(*take_event)(void *self);
};

static inline struct ph_frame *ph_take(struct ph_io *io)
{
    return io->take(io->self);
}

static inline struct ph_frame *ph_take_event(struct ph_io *io)
{
    return io->take_event(io->self);
}

static inline void ph_emit(struct ph_io *io, struct ph_frame *frame)
{
    io->emit(io->self, frame);
}

/* Operations; those not needed are NULL. `state` is zeroed memory of the type's state_size. */
struct ph_stage_ops {
    uint32_t struct_size;

    /* Filters, decoders, generators: from parameters and input spec to output spec; errors here
     * stop a run before it starts. MUST be free of side effects; may read model files. *ret_out
     * comes as a copy of *in, so a stage sets what differs. NULL on a filter: the same spec.
     * Sinks may check their input here (ret_out is ignored). */
    PH_NODISCARD enum ph_status (*plan)(const void *params, const struct ph_spec *in,
                                        struct ph_spec *ret_out, struct ph_error *reterr);

    /* Makes the stage ready: loads models, allocates. `in` and `out` are as planned (NULL where the
     * kind has none; a sink's `in` is the spec after the last filter). `params` and `host` stay
     * valid until fini. Called once. */
    PH_NODISCARD enum ph_status (*init)(void *state, const void *params, const struct ph_spec *in,
                                        const struct ph_spec *out, const struct ph_host *host,
                                        struct ph_error *reterr);

    /* Sources, after init: waits until the volumes' spec is known (PH_AGAIN after a wake, so that
     * the engine can stop). */
    PH_NODISCARD enum ph_status (*discover)(void *state, struct ph_spec *ret_out,
                                            struct ph_error *reterr);

    /* See the top of this file. A negative status marks the frame; the stage's on_error setting
     * decides what becomes of the run. */
    PH_NODISCARD enum ph_status (*process)(void *state, struct ph_io *io);

    /* A stimulus event reached this stage, in order with the volumes. io->in is the event frame. */
    PH_NODISCARD enum ph_status (*event)(void *state, struct ph_io *io);

    /* Generators. */
    void (*aim)(void *state, const struct ph_frame *latent);
    /* Improves the picture for at most budget_ns. PH_AGAIN: settled, nothing left to do. */
    PH_NODISCARD enum ph_status (*step)(void *state, int64_t budget_ns);
    /* Writes the current picture into `image` (of the planned spec); always valid after init. */
    PH_NODISCARD enum ph_status (*peek)(void *state, struct ph_frame *image);
    /* Writes the settled picture of `latent` into `image`; independent of aim, step and peek, so
     * that what is recorded does not depend on who looked when. */
    PH_NODISCARD enum ph_status (*render)(void *state, const struct ph_frame *latent,
                                          struct ph_frame *image);

    /* New values of LIVE parameters; `params` is a whole valid struct that stays valid until the
     * next update or fini. Between two frames. */
    void (*update)(void *state, const void *params);

    /* Sources: ends a wait in process or discover soon. Any thread; never blocks. */
    void (*wake)(void *state);

    /* The stream has ended: emit or write what is left. */
    PH_NODISCARD enum ph_status (*end)(void *state, struct ph_io *io);

    /* Back to the state after init. */
    void (*reset)(void *state);

    /* Releases what init took; also called after a failed init. */
    void (*fini)(void *state);
};

struct ph_stage_type {
    uint32_t struct_size;
    uint32_t kind;  /* enum ph_stage_kind */
    const char *id; /* "filter/smooth": kind and name, unique */
    const char *summary;
    uint32_t caps; /* enum ph_stage_cap, or-ed */
    uint32_t n_params;
    const struct ph_param *params;
    size_t params_size;
    size_t state_size;
    const struct ph_stage_ops *ops;
};

struct ph_plugin {
    uint32_t struct_size;
    uint32_t abi_major;
    uint32_t abi_minor; /* the least minor version it needs */
    uint32_t n_types;
    const char *name;
    const char *version;
    const char *licence;
    const struct ph_stage_type *const *types; /* [n_types] */
};

/* The one exported symbol of a loadable plugin. `host_abi` is PH_ABI_MAJOR << 16 | PH_ABI_MINOR. */
typedef const struct ph_plugin *ph_plugin_query_fn(uint32_t host_abi);

/* Exports `plugin` (a struct ph_plugin). In a build that links plugins in (PH_PLUGIN_STATIC) the
 * same line gives it the name that the registry's table lists: ph_plugin_<symbol>. */
#if defined(PH_PLUGIN_STATIC)
#    define PH_PLUGIN_EXPORT(symbol, plugin)                                                       \
        extern const struct ph_plugin *const ph_plugin_##symbol;                                   \
        const struct ph_plugin *const ph_plugin_##symbol = &(plugin);
#else
#    define PH_PLUGIN_EXPORT(symbol, plugin)                                                       \
        __attribute__((visibility("default"))) const struct ph_plugin *ph_plugin_query(            \
            uint32_t host_abi);                                                                    \
        const struct ph_plugin *ph_plugin_query(uint32_t host_abi)                                 \
        {                                                                                          \
            (void)host_abi;                                                                        \
            return &(plugin);                                                                      \
        }
#endif

#ifdef __cplusplus
}
#endif

#endif
