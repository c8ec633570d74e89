/* SPDX-License-Identifier: MIT */
#include "host/stage.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "host/registry.h"
#include "host/spec.h"

#define MAX_BLOCKS  4096
#define CHAIN_BYTES 8192
#define LOG_BYTES   320

static void *host_alloc(void *self, size_t n, size_t size)
{
    struct phi_stage *stage = self;
    void *block;

    if (stage->n_blocks == MAX_BLOCKS)
        return NULL;
    block = phi_calloc(n, size);
    if (block)
        stage->blocks[stage->n_blocks++] = block;
    return block;
}

static void PH_PRINTF(4, 5)
    host_log(void *self, enum ph_log_level level, const char *id, const char *format, ...)
{
    struct phi_stage *stage = self;
    char text[LOG_BYTES];
    va_list args;

    if (!stage->services.log)
        return;
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0)
        text[0] = '\0';
    va_end(args);
    stage->services.log(stage->services.arg, level, stage->name, id, text);
}

static int64_t host_now_ns(void *self)
{
    struct phi_stage *stage = self;
    struct timespec now;

    if (stage->services.now_ns)
        return stage->services.now_ns(stage->services.arg);
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void host_parallel_for(void *self, size_t n, void (*fn)(void *arg, size_t i), void *arg)
{
    struct phi_stage *stage = self;

    if (stage->services.parallel_for) {
        stage->services.parallel_for(stage->services.arg, n, fn, arg);
        return;
    }
    for (size_t i = 0; i < n; i++)
        fn(arg, i);
}

static void host_request_stop(void *self)
{
    struct phi_stage *stage = self;

    if (stage->services.request_stop)
        stage->services.request_stop(stage->services.arg);
}

static enum ph_status host_set_param(void *self, const char *key, const char *value,
                                     struct ph_error *reterr)
{
    struct phi_stage *stage = self;

    if (!stage->services.set_param)
        return phi_error(reterr, PH_E_STATE, "parameters cannot be changed in this run");
    return stage->services.set_param(stage->services.arg, key, value, reterr);
}

static void host_run_stats(void *self, struct ph_run_stats *ret_stats)
{
    struct phi_stage *stage = self;

    *ret_stats = (struct ph_run_stats){.struct_size = (uint32_t)sizeof *ret_stats};
    if (stage->services.run_stats)
        stage->services.run_stats(stage->services.arg, ret_stats);
}

/* The list of voxels and what is shown belong to the filters' thread. */
static bool is_filter(const struct phi_stage *stage)
{
    return stage->type->kind == PH_STAGE_FILTER;
}

static void host_tell_voxels(void *self, uint64_t layout, const uint32_t *voxels, size_t n)
{
    struct phi_stage *stage = self;

    if (stage->services.voxels && is_filter(stage))
        *stage->services.voxels = (struct phi_voxel_list){layout, voxels, n};
}

static size_t host_voxels(void *self, uint64_t layout, const uint32_t **ret_voxels)
{
    struct phi_stage *stage = self;

    const struct phi_voxel_list *list = stage->services.voxels;

    if (!list || !is_filter(stage) || list->n == 0 || list->layout != layout)
        return 0;
    *ret_voxels = list->voxels;
    return list->n;
}

static void host_show_map(void *self, const struct ph_map *map)
{
    struct phi_stage *stage = self;

    if (stage->services.show_map && is_filter(stage))
        stage->services.show_map(stage->services.arg, map);
}

static void host_show_curves(void *self, const struct ph_curves *curves)
{
    struct phi_stage *stage = self;

    if (stage->services.show_curves && is_filter(stage))
        stage->services.show_curves(stage->services.arg, curves);
}

static void fill_host(struct phi_stage *stage)
{
    stage->host = (struct ph_host){
        .struct_size = (uint32_t)sizeof stage->host,
        .n_workers = stage->services.n_workers ? stage->services.n_workers : 1,
        .self = stage,
        .stage = stage->name,
        .run_dir = stage->services.run_dir ? stage->services.run_dir : "",
        .alloc = host_alloc,
        .log = host_log,
        .now_ns = host_now_ns,
        .parallel_for = host_parallel_for,
        .request_stop = host_request_stop,
        .set_param = host_set_param,
        .run_stats = host_run_stats,
        .tell_voxels = host_tell_voxels,
        .voxels = host_voxels,
        .show_map = host_show_map,
        .show_curves = host_show_curves,
    };
}

enum ph_status phi_stage_create(const struct ph_stage_type *type, const char *name,
                                struct phi_params **params, const struct phi_services *services,
                                struct phi_stage **ret_stage, struct ph_error *reterr)
{
    struct phi_stage *stage = phi_calloc(1, sizeof *stage);

    if (!stage) {
        phi_params_destroy(params);
        return phi_error_nomem(reterr, "a stage", sizeof *stage);
    }
    stage->type = type;
    stage->params = *params;
    *params = NULL;
    if (services)
        stage->services = *services;
    (void)phi_str_copy(stage->name, sizeof stage->name, name);
    fill_host(stage);
    stage->state = phi_calloc(type->state_size, 1);
    stage->blocks = phi_calloc(MAX_BLOCKS, sizeof *stage->blocks);
    if (!stage->state || !stage->blocks) {
        phi_stage_destroy(&stage);
        return phi_error_nomem(reterr, name, type->state_size);
    }
    *ret_stage = stage;
    return PH_OK;
}

void phi_stage_destroy(struct phi_stage **stage)
{
    if (!stage || !*stage)
        return;
    if ((*stage)->inited && (*stage)->type->ops->fini)
        (*stage)->type->ops->fini((*stage)->state);
    for (size_t i = 0; i < (*stage)->n_blocks; i++)
        phi_free((*stage)->blocks[i]);
    phi_free((*stage)->blocks);
    phi_free((*stage)->state);
    phi_free((*stage)->chain);
    phi_params_destroy(&(*stage)->params);
    phi_free(*stage);
    *stage = NULL;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

void phi_stage_describe(const struct ph_stage_type *type, const struct phi_params *params,
                        struct phi_str *out)
{
    const char *blank = "";
    char text[1024];

    phi_str_addf(out, "%s(", strchr(type->id, '/') + 1);
    for (uint32_t i = 0; i < type->n_params; i++) {
        struct phi_str value = phi_str_over(text, sizeof text);

        if (type->params[i].flags & (uint32_t)PH_PARAM_ASIDE)
            continue;
        phi_params_format(params, i, &value);
        phi_str_addf(out, "%s%s=%s", blank, type->params[i].name,
                     type->params[i].type == PH_PARAM_PATH ? base_name(text) : text);
        blank = " ";
    }
    phi_str_addf(out, ")");
}

/* The text of the chain up to and with this filter. */
static enum ph_status extend_chain(struct phi_stage *stage, struct ph_error *reterr)
{
    struct phi_str out;

    if (!stage->chain)
        stage->chain = phi_calloc(CHAIN_BYTES, 1);
    if (!stage->chain)
        return phi_error_nomem(reterr, "the chain's text", CHAIN_BYTES);
    out = phi_str_over(stage->chain, CHAIN_BYTES);
    if (stage->in.chain && stage->in.chain[0])
        phi_str_addf(&out, "%s ", stage->in.chain);
    phi_stage_describe(stage->type, stage->params, &out);
    if (out.cut)
        return phi_error(reterr, PH_E_LIMIT, "the filter chain's text is longer than %d bytes",
                         CHAIN_BYTES);
    stage->out.chain = stage->chain;
    return PH_OK;
}

static enum ph_status check_in(const struct phi_stage *stage, struct ph_error *reterr)
{
    uint32_t kind = stage->in.kind;
    uint32_t wanted = stage->type->kind == PH_STAGE_GENERATOR ? PH_FRAME_LATENT : kind;

    if (kind == wanted)
        return PH_OK;
    return phi_error(reterr, PH_E_SHAPE, "a %s cannot stand here: its input is not a latent",
                     phi_kind_name(stage->type->kind));
}

static enum ph_status check_out(const struct phi_stage *stage, struct ph_error *reterr)
{
    uint32_t kind = stage->out.kind;
    bool good = true;
    size_t n_bytes;

    if (stage->type->kind == PH_STAGE_FILTER)
        good = kind == PH_FRAME_VOLUME || kind == PH_FRAME_VECTOR;
    else if (stage->type->kind == PH_STAGE_DECODER)
        good = kind == PH_FRAME_LATENT && stage->out.rank == 2 && stage->out.dims[0] >= 2 &&
               stage->out.dims[0] <= 2 + PH_MAX_SAMPLES;
    else if (stage->type->kind == PH_STAGE_GENERATOR)
        good = kind == PH_FRAME_IMAGE && stage->out.rank == 3 && stage->out.dims[2] == 3;
    else if (stage->type->kind == PH_STAGE_SOURCE)
        good = kind == PH_FRAME_VOLUME && stage->out.rank == 3;
    if (!good)
        return phi_error(reterr, PH_E_INTERNAL, "%s plans an output of the wrong kind",
                         stage->type->id);
    return phi_spec_bytes(&stage->out, &n_bytes, reterr);
}

/* Says which stage failed; a plugin that filled in no text gets one. */
static enum ph_status blame(const struct phi_stage *stage, enum ph_status status, const char *doing,
                            struct ph_error *reterr)
{
    if (status == PH_OK || !reterr)
        return status;
    if (!reterr->text[0])
        (void)phi_error(reterr, status, "%s failed: %s", doing, phi_status_name(status));
    reterr->status = (int32_t)status;
    (void)phi_error_prefix(reterr, "stage '%s'", stage->name);
    return status;
}

static void clear(struct ph_error *reterr)
{
    if (reterr)
        *reterr = (struct ph_error){0};
}

enum ph_status phi_stage_plan(struct phi_stage *stage, const struct ph_spec *in,
                              struct ph_error *reterr)
{
    const struct ph_stage_ops *ops = stage->type->ops;
    enum ph_status status;

    clear(reterr);
    stage->in = *in;
    stage->out = *in;
    status = check_in(stage, reterr);
    if (status == PH_OK && ops->plan)
        status = ops->plan(phi_params_values(stage->params), &stage->in, &stage->out, reterr);
    stage->out.chain = stage->in.chain;
    if (status == PH_OK && stage->type->kind != PH_STAGE_SINK)
        status = check_out(stage, reterr);
    if (status == PH_OK && stage->type->kind == PH_STAGE_FILTER)
        status = extend_chain(stage, reterr);
    return blame(stage, status, "planning", reterr);
}

enum ph_status phi_stage_init(struct phi_stage *stage, struct ph_error *reterr)
{
    uint32_t kind = stage->type->kind;
    const struct ph_spec *in = kind == PH_STAGE_SOURCE ? NULL : &stage->in;
    const struct ph_spec *out =
        kind == PH_STAGE_SOURCE || kind == PH_STAGE_SINK ? NULL : &stage->out;
    enum ph_status status;

    clear(reterr);
    stage->inited = true;
    status = stage->type->ops->init(stage->state, phi_params_values(stage->params), in, out,
                                    &stage->host, reterr);
    return blame(stage, status, "start", reterr);
}

enum ph_status phi_stage_discover(struct phi_stage *stage, struct ph_error *reterr)
{
    enum ph_status status;

    clear(reterr);
    stage->out = (struct ph_spec){.struct_size = (uint32_t)sizeof stage->out};
    status = stage->type->ops->discover(stage->state, &stage->out, reterr);
    if (status == PH_AGAIN)
        return status;
    stage->out.chain = "";
    if (status == PH_OK)
        status = check_out(stage, reterr);
    return blame(stage, status, "waiting for the first volume", reterr);
}

enum ph_status phi_stage_event(struct phi_stage *stage, struct ph_io *io)
{
    return stage->type->ops->event ? stage->type->ops->event(stage->state, io) : PH_OK;
}

enum ph_status phi_stage_end(struct phi_stage *stage, struct ph_io *io)
{
    return stage->type->ops->end ? stage->type->ops->end(stage->state, io) : PH_OK;
}

void phi_stage_reset(struct phi_stage *stage)
{
    if (stage->type->ops->reset)
        stage->type->ops->reset(stage->state);
}

void phi_stage_wake(struct phi_stage *stage)
{
    if (stage->type->ops->wake)
        stage->type->ops->wake(stage->state);
}

void phi_stage_update(struct phi_stage *stage, const struct phi_params *params)
{
    if (stage->type->ops->update)
        stage->type->ops->update(stage->state, phi_params_values(params));
}
