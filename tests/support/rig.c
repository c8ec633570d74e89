/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <stdlib.h>

#include "base/mem.h"
#include "host/registry.h"
#include "host/spec.h"
#include "plugins/table.h"
#include "test.h"

#define MAX_OUT 8192

struct rig {
    struct phi_stage *stage;
    struct phi_params *live; /* values given last by rig_set */
    struct ph_frame *outs[MAX_OUT];
    size_t n_outs;
    struct ph_frame *in; /* reused input frame */
    struct ph_frame event;
    uint64_t index;
    struct phi_voxel_list voxels;
    struct phi_shown *shown; /* NULL for inputs without a grid */
};

static struct ph_spec spec_of(uint32_t kind, uint32_t rank, uint32_t nx, uint32_t ny, uint32_t nz)
{
    struct ph_geometry geometry = {.dims = {nx, ny, nz},
                                   .affine = {{3, 0, 0, 0}, {0, 3, 0, 0}, {0, 0, 3, 0}}};
    struct ph_spec spec = phi_spec_volume(&geometry, 0);

    spec.kind = kind;
    spec.rank = rank;
    return spec;
}

struct ph_spec rig_volumes(uint32_t nx, uint32_t ny, uint32_t nz, double tr_s)
{
    struct ph_spec spec = spec_of(PH_FRAME_VOLUME, 3, nx, ny, nz);

    spec.geometry.tr_s = tr_s;
    return spec;
}

struct ph_spec rig_vectors(uint32_t n, double tr_s)
{
    struct ph_spec spec = spec_of(PH_FRAME_VECTOR, 1, n, 1, 1);
    uint32_t dims[3] = {n, 1, 1};
    uint32_t *voxels = phi_calloc(n, sizeof *voxels);

    assert_non_null(voxels);
    for (uint32_t i = 0; i < n; i++)
        voxels[i] = i;
    spec.layout = ph_layout_hash(dims, voxels, n);
    phi_free(voxels);
    spec.dims[0] = n;
    spec.dims[1] = spec.dims[2] = 0;
    spec.geometry.tr_s = tr_s;
    return spec;
}

struct ph_spec rig_latents(uint32_t n)
{
    struct ph_spec spec = spec_of(PH_FRAME_LATENT, 2, 1, 1, 1);

    spec.dims[0] = 2;
    spec.dims[1] = n;
    spec.dims[2] = 0;
    spec.geometry.tr_s = 2.0;
    return spec;
}

/* Kept for the life of the program: tests hold pointers into it. */
static struct phi_registry *all_types(void)
{
    static struct phi_registry *registry;
    struct ph_error err;

    if (!registry)
        assert_ok(phi_registry_create(phi_static_plugins, phi_n_static_plugins, &registry, &err),
                  err);
    return registry;
}

const struct ph_stage_type *rig_type(const char *id)
{
    const struct phi_registered *found = phi_registry_find(all_types(), id);

    if (!found)
        fail_msg("no stage type '%s' is linked in", id);
    return found->type;
}

static uint32_t n_workers = 4;
static void (*guard)(bool inside);
static const char *run_dir;

void rig_use_run_dir(const char *dir)
{
    run_dir = dir;
}

void rig_use_workers(uint32_t n)
{
    n_workers = n;
}

void rig_use_guard(void (*with)(bool inside))
{
    guard = with;
}

static void forbid(bool inside)
{
    if (guard)
        guard(inside);
}

/* From the last index to the first: a result that depends on the order shows. */
static void run_backwards(void *arg, size_t n, void (*fn)(void *fn_arg, size_t i), void *fn_arg)
{
    (void)arg;
    for (size_t i = 0; i < n; i++)
        fn(fn_arg, n_workers == 1 ? i : n - 1 - i);
}

static void show_map(void *arg, const struct ph_map *map)
{
    struct rig *rig = arg;

    if (!rig->shown || !phi_shown_put_map(rig->shown, map))
        fail_msg("a map that the display does not take: %s", map->title);
}

static void show_curves(void *arg, const struct ph_curves *curves)
{
    struct rig *rig = arg;

    if (!rig->shown || !phi_shown_put_curves(rig->shown, curves))
        fail_msg("curves that the display does not take: %s", curves->title);
}

static enum ph_status set_all(struct phi_params *params, const char *text, struct ph_error *reterr)
{
    char copy[1024];
    char *rest = copy;
    enum ph_status status = PH_OK;

    if (!phi_str_copy(copy, sizeof copy, text ? text : ""))
        fail_msg("parameter text is too long");
    for (char *item; status == PH_OK && (item = strsep(&rest, " "));) {
        char *equals = strchr(item, '=');

        if (!item[0])
            continue;
        if (!equals)
            fail_msg("'%s' is not key=value", item);
        *equals = '\0';
        status = phi_params_set(params, item, equals + 1, NULL, reterr);
    }
    return status == PH_OK ? phi_params_check(params, reterr) : status;
}

static struct ph_frame *new_frame(size_t n_bytes)
{
    struct ph_frame *frame = phi_calloc(1, sizeof *frame);

    assert_non_null(frame);
    frame->data = n_bytes ? phi_calloc(n_bytes, 1) : NULL;
    frame->capacity_bytes = n_bytes;
    return frame;
}

static void free_frame(struct ph_frame *frame)
{
    if (frame)
        phi_free(frame->data);
    phi_free(frame);
}

static size_t bytes_of(const struct ph_spec *spec)
{
    struct ph_error err;
    size_t n_bytes = 0;

    assert_ok(phi_spec_bytes(spec, &n_bytes, &err), err);
    return n_bytes;
}

static enum ph_status set_up(struct rig *rig, const struct ph_spec *in, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    if (in && in->geometry.dims[0] > 0)
        status = phi_shown_create(in->geometry.dims, &rig->shown, reterr);
    if (in && status == PH_OK)
        status = phi_stage_plan(rig->stage, in, reterr);
    if (status == PH_OK)
        status = phi_stage_init(rig->stage, reterr);
    if (status == PH_OK && !in)
        status = phi_stage_discover(rig->stage, reterr);
    if (status == PH_OK && in)
        rig->in = new_frame(bytes_of(in));
    return status;
}

enum ph_status rig_try_open(const struct ph_stage_type *type, const char *params,
                            const struct ph_spec *in, struct rig **ret_rig, struct ph_error *reterr)
{
    struct rig *rig = phi_calloc(1, sizeof *rig);
    struct phi_params *values = NULL;
    struct phi_services services = {.arg = rig,
                                    .n_workers = n_workers,
                                    .run_dir = run_dir,
                                    .parallel_for = run_backwards,
                                    .voxels = rig ? &rig->voxels : NULL,
                                    .show_map = show_map,
                                    .show_curves = show_curves};
    enum ph_status status;

    assert_non_null(rig);
    status = phi_params_create(type, &values, reterr);
    if (status == PH_OK)
        status = set_all(values, params, reterr);
    if (status == PH_OK)
        status = phi_stage_create(type, strchr(type->id, '/') + 1, &values, &services, &rig->stage,
                                  reterr);
    if (status == PH_OK)
        status = set_up(rig, in, reterr);
    phi_params_destroy(&values);
    if (status != PH_OK) {
        rig_close(&rig);
        return status;
    }
    *ret_rig = rig;
    return PH_OK;
}

struct rig *rig_open(const char *id, const char *params, const struct ph_spec *in)
{
    struct rig *rig = NULL;
    struct ph_error err = {0};

    assert_ok(rig_try_open(rig_type(id), params, in, &rig, &err), err);
    return rig;
}

void rig_close(struct rig **rig)
{
    if (!rig || !*rig)
        return;
    rig_clear(*rig);
    phi_stage_destroy(&(*rig)->stage);
    phi_params_destroy(&(*rig)->live);
    phi_shown_destroy(&(*rig)->shown);
    free_frame((*rig)->in);
    phi_free(*rig);
    *rig = NULL;
}

void rig_tell_voxels(struct rig *rig, uint64_t layout, const uint32_t *voxels, size_t n)
{
    rig->voxels = (struct phi_voxel_list){layout, voxels, n};
}

const float *rig_shown_map(struct rig *rig, const char *title, float *ret_threshold)
{
    const struct phi_shown_map *map;

    for (size_t i = 0; rig->shown && i < PHI_SHOWN_MAPS; i++) {
        (void)phi_shown_map(rig->shown, i, &map);
        if (map && strcmp(map->title, title) == 0) {
            *ret_threshold = map->threshold;
            return map->values;
        }
    }
    return NULL;
}

const struct phi_shown_curves *rig_shown_curves(struct rig *rig, const char *title)
{
    const struct phi_shown_curves *curves;

    for (size_t i = 0; rig->shown && i < PHI_SHOWN_CURVES; i++) {
        (void)phi_shown_curves(rig->shown, i, &curves);
        if (curves && strcmp(curves->title, title) == 0)
            return curves;
    }
    return NULL;
}

const struct ph_spec *rig_out(const struct rig *rig)
{
    return &rig->stage->out;
}

struct phi_stage *rig_stage(struct rig *rig)
{
    return rig->stage;
}

struct call {
    struct rig *rig;
    const struct ph_frame *in;
    struct ph_frame *taken;
};

static struct ph_frame *take(void *self)
{
    struct call *call = self;

    if (call->taken)
        fail_msg("a second frame was taken before the first was emitted");
    forbid(false); /* the bench allocates, the stage does not */
    call->taken = new_frame(bytes_of(&call->rig->stage->out));
    phi_frame_shape(call->taken, &call->rig->stage->out);
    if (call->in)
        phi_frame_inherit(call->taken, call->in);
    forbid(true);
    return call->taken;
}

static struct ph_frame *take_event(void *self)
{
    struct call *call = self;

    forbid(false);
    call->taken = new_frame(0);
    forbid(true);
    call->taken->struct_size = (uint32_t)sizeof *call->taken;
    call->taken->kind = PH_FRAME_EVENT;
    return call->taken;
}

static void collect(struct rig *rig, struct ph_frame *frame)
{
    if (rig->n_outs == MAX_OUT)
        fail_msg("more than %d outputs", MAX_OUT);
    rig->outs[rig->n_outs++] = frame;
}

static void emit(void *self, struct ph_frame *frame)
{
    struct call *call = self;

    assert_ptr_equal(frame, call->taken);
    call->taken = NULL;
    collect(call->rig, frame);
}

static enum ph_status call_op(struct rig *rig, struct ph_frame *in,
                              enum ph_status (*op)(void *state, struct ph_io *io))
{
    struct call call = {rig, in, NULL};
    struct ph_io io = {(uint32_t)sizeof io, in, &call, take, emit, take_event};
    enum ph_status status = PH_OK;

    forbid(true);
    if (op)
        status = op(rig->stage->state, &io);
    forbid(false);

    free_frame(call.taken); /* taken but not emitted */
    return status;
}

static void collect_copy(struct rig *rig, const struct ph_frame *frame)
{
    struct ph_frame *copy = new_frame(frame->capacity_bytes);
    void *data = copy->data;

    *copy = *frame;
    copy->data = data;
    if (data)
        memcpy(data, frame->data, frame->capacity_bytes);
    collect(rig, copy);
}

static enum ph_status process(struct rig *rig)
{
    const struct ph_stage_type *type = rig->stage->type;
    enum ph_status status = call_op(rig, rig->in, type->ops->process);

    if (status == PH_OK && type->kind == PH_STAGE_FILTER && type->caps & PH_CAP_IN_PLACE)
        collect_copy(rig, rig->in);
    return status;
}

enum ph_status rig_push(struct rig *rig, const float *values, uint32_t flags)
{
    struct ph_frame *in = rig->in;
    double tr_s = rig->stage->in.geometry.tr_s;

    phi_frame_shape(in, &rig->stage->in);
    in->flags = flags;
    in->index = rig->index;
    in->acquired_s = (double)rig->index * tr_s;
    in->received_ns = (int64_t)((in->acquired_s + tr_s) * 1e9);
    rig->index++;
    if (values)
        memcpy(in->data, values, in->capacity_bytes);
    else
        memset(in->data, 0, in->capacity_bytes);
    return process(rig);
}

enum ph_status rig_push_frame(struct rig *rig, const struct ph_frame *frame)
{
    struct ph_frame *in = rig->in;
    void *data = in->data;
    size_t capacity_bytes = in->capacity_bytes;
    size_t n_bytes = ph_frame_count(frame) * (frame->dtype == PH_DTYPE_U8 ? 1 : 4);

    assert_true(n_bytes <= capacity_bytes);
    *in = *frame;
    in->data = data;
    in->capacity_bytes = capacity_bytes;
    if (frame->data)
        memcpy(data, frame->data, n_bytes);
    rig->index = frame->index + 1;
    return process(rig);
}

enum ph_status rig_event(struct rig *rig, const struct ph_event *event)
{
    struct ph_frame *frame = &rig->event;

    *frame = (struct ph_frame){.struct_size = (uint32_t)sizeof *frame, .kind = PH_FRAME_EVENT};
    phi_quality_clear(&frame->quality);
    frame->index = rig->index;
    frame->u.event = *event;
    return call_op(rig, frame, rig->stage->type->ops->event);
}

enum ph_status rig_end(struct rig *rig)
{
    return call_op(rig, NULL, rig->stage->type->ops->end);
}

enum ph_status rig_poll(struct rig *rig)
{
    return call_op(rig, NULL, rig->stage->type->ops->process);
}

enum ph_status rig_render(struct rig *rig, const float *latent)
{
    struct ph_frame *image = new_frame(bytes_of(&rig->stage->out));
    enum ph_status status;

    phi_frame_shape(rig->in, &rig->stage->in);
    memcpy(rig->in->data, latent, rig->in->capacity_bytes);
    rig->in->index = rig->index++;
    phi_frame_shape(image, &rig->stage->out);
    phi_frame_inherit(image, rig->in);
    forbid(true);
    status = rig->stage->type->ops->render(rig->stage->state, rig->in, image);
    forbid(false);
    if (status == PH_OK)
        collect(rig, image);
    else
        free_frame(image);
    return status;
}

void rig_set(struct rig *rig, const char *key, const char *value)
{
    struct phi_params *next = NULL;
    struct ph_error err;

    assert_ok(phi_params_copy(rig->live ? rig->live : rig->stage->params, &next, &err), err);
    assert_ok(phi_params_set(next, key, value, NULL, &err), err);
    phi_stage_update(rig->stage, next);
    phi_params_destroy(&rig->live);
    rig->live = next;
}

void rig_reset(struct rig *rig)
{
    phi_stage_reset(rig->stage);
    rig_clear(rig);
    rig->index = 0;
}

size_t rig_count(const struct rig *rig)
{
    return rig->n_outs;
}

const struct ph_frame *rig_at(const struct rig *rig, size_t i)
{
    assert_true(i < rig->n_outs);
    return rig->outs[i];
}

const struct ph_frame *rig_last(const struct rig *rig)
{
    assert_true(rig->n_outs > 0);
    return rig->outs[rig->n_outs - 1];
}

void rig_clear(struct rig *rig)
{
    for (size_t i = 0; i < rig->n_outs; i++)
        free_frame(rig->outs[i]);
    rig->n_outs = 0;
}
