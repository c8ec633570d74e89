/* SPDX-License-Identifier: MIT */
#include "fakes.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "plugins/table.h"
#include "test.h"

struct fake_tally fake_tally[FAKE_SLOTS];

/* source/ramp */

struct ramp_params {
    int64_t n_volumes;
    int64_t n_voxels;
    struct ph_floats drop;
    int64_t event_every;
    int64_t fail_at;
    double tr_s;
    double pace_s;
    bool endless;
};

static const struct ph_param ramp_params[] = {
    PH_INT(struct ramp_params, n_volumes, 10, 0, 1000000, "volumes", 0, "Length."),
    PH_INT(struct ramp_params, n_voxels, 8, 1, 1000000, "voxels", 0, "Size."),
    PH_FLOATS(struct ramp_params, drop, "", 0, 1e6, "", 0, "Volumes that are not sent."),
    PH_INT(struct ramp_params, event_every, 0, 0, 1000, "volumes", 0, "Distance of events."),
    PH_INT(struct ramp_params, fail_at, -1, -1, 1000000, "", 0, "Volume at which reading fails."),
    PH_FLOAT(struct ramp_params, tr_s, 2, 0.001, 100, "s", 0, "Repetition time."),
    PH_FLOAT(struct ramp_params, pace_s, 0, 0, 100, "s", 0, "Wait before each volume."),
    PH_BOOL(struct ramp_params, endless, 0, 0, "Waits for a wake after the last volume."),
};

struct ramp {
    struct ramp_params params;
    const struct ph_host *host;
    uint64_t index;
    uint32_t n_events;
    int woken; /* eventfd */
};

static enum ph_status ramp_init(void *state, const void *params, const struct ph_spec *in,
                                const struct ph_spec *out, const struct ph_host *host,
                                struct ph_error *reterr)
{
    struct ramp *ramp = state;
    const struct ramp_params *given = params;

    (void)in;
    (void)out;
    (void)reterr;
    ramp->params = *given;
    ramp->host = host;
    ramp->woken = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return ramp->woken >= 0 ? PH_OK : PH_E_IO;
}

static enum ph_status ramp_discover(void *state, struct ph_spec *ret_out, struct ph_error *reterr)
{
    const struct ramp *ramp = state;

    (void)reterr;
    ret_out->kind = PH_FRAME_VOLUME;
    ret_out->dtype = PH_DTYPE_F32;
    ret_out->rank = 3;
    ret_out->dims[0] = 1;
    ret_out->dims[1] = 1;
    ret_out->dims[2] = (uint32_t)ramp->params.n_voxels;
    ret_out->n_volumes = (uint32_t)ramp->params.n_volumes;
    ret_out->geometry = (struct ph_geometry){.dims = {(uint32_t)ramp->params.n_voxels, 1, 1},
                                             .affine = {{3, 0, 0, 0}, {0, 3, 0, 0}, {0, 0, 3, 0}},
                                             .tr_s = ramp->params.tr_s};
    return PH_OK;
}

static bool ramp_drops(const struct ramp *ramp, uint64_t index)
{
    for (uint32_t i = 0; i < ramp->params.drop.n; i++)
        if ((uint64_t)ramp->params.drop.value[i] == index)
            return true;
    return false;
}

static bool ramp_event(struct ramp *ramp, struct ph_io *io)
{
    int64_t every = ramp->params.event_every;
    struct ph_frame *frame;

    if (every == 0 || ramp->index % (uint64_t)every != 0)
        return true;
    frame = ph_take_event(io);
    if (!frame)
        return false;
    frame->u.event = (struct ph_event){.onset_s = (double)ramp->index * ramp->params.tr_s,
                                       .number = ramp->n_events++,
                                       .stim_index = 7,
                                       .amplitude = 1};
    ph_emit(io, frame);
    return true;
}

/* True if woken within `wait_ms`. */
static bool ramp_wait(const struct ramp *ramp, int wait_ms)
{
    struct pollfd poll_fd = {.fd = ramp->woken, .events = POLLIN};

    return poll(&poll_fd, 1, wait_ms) > 0;
}

static enum ph_status ramp_process(void *state, struct ph_io *io)
{
    struct ramp *ramp = state;
    const struct ramp_params *params = &ramp->params;
    struct ph_frame *frame;
    float *values;

    if (ramp->index == (uint64_t)params->n_volumes) {
        if (!params->endless)
            return PH_EOS;
        (void)ramp_wait(ramp, -1);
        return PH_AGAIN;
    }
    if ((int64_t)ramp->index == params->fail_at)
        return PH_E_IO;
    if (params->pace_s > 0 && ramp_wait(ramp, (int)(params->pace_s * 1000)))
        return PH_AGAIN;
    if (!ramp_event(ramp, io))
        return PH_EOS;
    if (ramp_drops(ramp, ramp->index)) {
        ramp->index++;
        return PH_OK;
    }
    frame = ph_take(io);
    if (!frame)
        return PH_EOS;
    values = frame->data;
    for (int64_t i = 0; i < params->n_voxels; i++)
        values[i] = (float)ramp->index + (float)i / 1000.0f;
    frame->index = ramp->index;
    frame->acquired_s = (double)ramp->index * params->tr_s;
    frame->received_ns = ramp->host->now_ns(ramp->host->self);
    ramp->index++;
    ph_emit(io, frame);
    return PH_OK;
}

static void ramp_wake(void *state)
{
    const struct ramp *ramp = state;
    uint64_t one = 1;

    if (write(ramp->woken, &one, sizeof one) != sizeof one)
        return; /* already woken */
}

static void ramp_reset(void *state)
{
    struct ramp *ramp = state;

    ramp->index = 0;
    ramp->n_events = 0;
}

static void ramp_fini(void *state)
{
    const struct ramp *ramp = state;

    (void)close(ramp->woken);
}

static const struct ph_stage_ops ramp_ops = {
    .struct_size = sizeof ramp_ops,
    .init = ramp_init,
    .discover = ramp_discover,
    .process = ramp_process,
    .wake = ramp_wake,
    .reset = ramp_reset,
    .fini = ramp_fini,
};

static const struct ph_stage_type ramp_type = {
    .struct_size = sizeof ramp_type,
    .kind = PH_STAGE_SOURCE,
    .id = "source/ramp",
    .summary = "Predictable volumes",
    .caps = PH_CAP_STATEFUL | PH_CAP_DETERMINISTIC,
    .n_params = sizeof ramp_params / sizeof *ramp_params,
    .params = ramp_params,
    .params_size = sizeof(struct ramp_params),
    .state_size = sizeof(struct ramp),
    .ops = &ramp_ops,
};

/* filter/pick */

struct pick_params {
    int64_t n;
    int64_t fail_at;
};

static const struct ph_param pick_params[] = {
    PH_INT(struct pick_params, n, 4, 1, 1000000, "voxels", 0, "How many voxels."),
    PH_INT(struct pick_params, fail_at, -1, -1, 1000000, "", 0, "Volume that fails."),
};

struct pick {
    struct pick_params params;
};

static enum ph_status pick_plan(const void *params, const struct ph_spec *in,
                                struct ph_spec *ret_out, struct ph_error *reterr)
{
    const struct pick_params *given = params;

    (void)reterr;
    if (in->kind != PH_FRAME_VOLUME || (int64_t)in->dims[2] < given->n)
        return PH_E_SHAPE;
    ret_out->kind = PH_FRAME_VECTOR;
    ret_out->rank = 1;
    ret_out->dims[0] = (uint32_t)given->n;
    ret_out->dims[1] = ret_out->dims[2] = 0;
    ret_out->layout = 99;
    return PH_OK;
}

static enum ph_status pick_init(void *state, const void *params, const struct ph_spec *in,
                                const struct ph_spec *out, const struct ph_host *host,
                                struct ph_error *reterr)
{
    struct pick *pick = state;
    const struct pick_params *given = params;

    (void)in;
    (void)out;
    (void)host;
    (void)reterr;
    pick->params = *given;
    return PH_OK;
}

static enum ph_status pick_process(void *state, struct ph_io *io)
{
    const struct pick *pick = state;
    struct ph_frame *out;

    if ((int64_t)io->in->index == pick->params.fail_at)
        return PH_E_FORMAT;
    out = ph_take(io);
    if (!out)
        return PH_EOS;
    memcpy(out->data, io->in->data, (size_t)pick->params.n * sizeof(float));
    ph_emit(io, out);
    return PH_OK;
}

static const struct ph_stage_ops pick_ops = {
    .struct_size = sizeof pick_ops,
    .plan = pick_plan,
    .init = pick_init,
    .process = pick_process,
};

static const struct ph_stage_type pick_type = {
    .struct_size = sizeof pick_type,
    .kind = PH_STAGE_FILTER,
    .id = "filter/pick",
    .summary = "The first voxels",
    .caps = PH_CAP_DETERMINISTIC,
    .n_params = sizeof pick_params / sizeof *pick_params,
    .params = pick_params,
    .params_size = sizeof(struct pick_params),
    .state_size = sizeof(struct pick),
    .ops = &pick_ops,
};

/* decoder/sum */

struct sum_params {
    double scale;
    int64_t fail_at;
};

static const struct ph_param sum_params[] = {
    PH_FLOAT(struct sum_params, scale, 1, -1e6, 1e6, "", PH_PARAM_LIVE, "Factor."),
    PH_INT(struct sum_params, fail_at, -1, -1, 1000000, "", 0, "Volume that fails."),
};

struct sum {
    struct sum_params params;
    uint64_t count;
};

static enum ph_status sum_plan(const void *params, const struct ph_spec *in,
                               struct ph_spec *ret_out, struct ph_error *reterr)
{
    (void)params;
    (void)in;
    (void)reterr;
    ret_out->kind = PH_FRAME_LATENT;
    ret_out->dtype = PH_DTYPE_F32;
    ret_out->rank = 2;
    ret_out->dims[0] = 2;
    ret_out->dims[1] = 2;
    ret_out->dims[2] = 0;
    return PH_OK;
}

static enum ph_status sum_init(void *state, const void *params, const struct ph_spec *in,
                               const struct ph_spec *out, const struct ph_host *host,
                               struct ph_error *reterr)
{
    struct sum *sum = state;
    const struct sum_params *given = params;

    (void)in;
    (void)out;
    (void)host;
    (void)reterr;
    sum->params = *given;
    return PH_OK;
}

static enum ph_status sum_process(void *state, struct ph_io *io)
{
    struct sum *sum = state;
    const float *values = io->in->data;
    struct ph_frame *out;
    float *latent;
    double total = 0;

    if ((int64_t)io->in->index == sum->params.fail_at)
        return PH_E_INTERNAL;
    for (size_t i = 0; i < ph_frame_count(io->in); i++)
        total += (double)values[i];
    out = ph_take(io);
    if (!out)
        return PH_EOS;
    latent = out->data;
    latent[0] = (float)(sum->params.scale * total);
    latent[1] = (float)sum->count++;
    latent[2] = latent[3] = 1;
    out->flags |= PH_FLAG_FINAL;
    out->u.latent.trial = PH_NO_TRIAL;
    out->u.latent.stimulus_s = io->in->acquired_s;
    ph_emit(io, out);
    return PH_OK;
}

static enum ph_status sum_event(void *state, struct ph_io *io)
{
    struct ph_frame *out = ph_take(io);
    float *latent;

    (void)state;
    if (!out)
        return PH_EOS;
    latent = out->data;
    latent[0] = latent[1] = -1;
    latent[2] = latent[3] = 1;
    out->u.latent.trial = io->in->u.event.number;
    out->u.latent.stimulus_s = io->in->u.event.onset_s;
    ph_emit(io, out);
    return PH_OK;
}

static void sum_update(void *state, const void *params)
{
    struct sum *sum = state;
    const struct sum_params *given = params;

    sum->params = *given;
}

static void sum_reset(void *state)
{
    struct sum *sum = state;

    sum->count = 0;
}

static const struct ph_stage_ops sum_ops = {
    .struct_size = sizeof sum_ops,
    .plan = sum_plan,
    .init = sum_init,
    .process = sum_process,
    .event = sum_event,
    .update = sum_update,
    .reset = sum_reset,
};

static const struct ph_stage_type sum_type = {
    .struct_size = sizeof sum_type,
    .kind = PH_STAGE_DECODER,
    .id = "decoder/sum",
    .summary = "Sum and count",
    .caps = PH_CAP_STATEFUL | PH_CAP_DETERMINISTIC,
    .n_params = sizeof sum_params / sizeof *sum_params,
    .params = sum_params,
    .params_size = sizeof(struct sum_params),
    .state_size = sizeof(struct sum),
    .ops = &sum_ops,
};

/* generator/flat */

struct flat_params {
    int64_t size;
    double offset;
};

static const struct ph_param flat_params[] = {
    PH_INT(struct flat_params, size, 4, 1, 1024, "px", 0, "Edge length."),
    PH_FLOAT(struct flat_params, offset, 0, -255, 255, "", PH_PARAM_LIVE, "Added to the grey."),
};

struct flat {
    struct flat_params params;
    int now; /* grey of the moving picture */
    int target;
};

static enum ph_status flat_plan(const void *params, const struct ph_spec *in,
                                struct ph_spec *ret_out, struct ph_error *reterr)
{
    const struct flat_params *given = params;

    (void)in;
    (void)reterr;
    ret_out->kind = PH_FRAME_IMAGE;
    ret_out->dtype = PH_DTYPE_U8;
    ret_out->rank = 3;
    ret_out->dims[0] = ret_out->dims[1] = (uint32_t)given->size;
    ret_out->dims[2] = 3;
    return PH_OK;
}

static enum ph_status flat_init(void *state, const void *params, const struct ph_spec *in,
                                const struct ph_spec *out, const struct ph_host *host,
                                struct ph_error *reterr)
{
    struct flat *flat = state;
    const struct flat_params *given = params;

    (void)in;
    (void)out;
    (void)host;
    (void)reterr;
    flat->params = *given;
    return PH_OK;
}

static int grey_of(const struct flat *flat, const struct ph_frame *latent)
{
    const float *values = latent->data;

    return (int)fabsf(fmodf(values[0] + (float)flat->params.offset, 256));
}

static void flat_aim(void *state, const struct ph_frame *latent)
{
    struct flat *flat = state;

    flat->target = grey_of(flat, latent);
}

static enum ph_status flat_step(void *state, int64_t budget_ns)
{
    struct flat *flat = state;

    (void)budget_ns;
    if (flat->now == flat->target)
        return PH_AGAIN;
    flat->now += flat->now < flat->target ? 1 : -1;
    return PH_OK;
}

static enum ph_status flat_peek(void *state, struct ph_frame *image)
{
    const struct flat *flat = state;

    memset(image->data, flat->now, ph_frame_count(image));
    return PH_OK;
}

static enum ph_status flat_render(void *state, const struct ph_frame *latent,
                                  struct ph_frame *image)
{
    const struct flat *flat = state;

    memset(image->data, grey_of(flat, latent), ph_frame_count(image));
    return PH_OK;
}

static void flat_update(void *state, const void *params)
{
    struct flat *flat = state;
    const struct flat_params *given = params;

    flat->params = *given;
}

static void flat_reset(void *state)
{
    struct flat *flat = state;

    flat->now = 0;
    flat->target = 0;
}

static const struct ph_stage_ops flat_ops = {
    .struct_size = sizeof flat_ops,
    .plan = flat_plan,
    .init = flat_init,
    .aim = flat_aim,
    .step = flat_step,
    .peek = flat_peek,
    .render = flat_render,
    .update = flat_update,
    .reset = flat_reset,
};

static const struct ph_stage_type flat_type = {
    .struct_size = sizeof flat_type,
    .kind = PH_STAGE_GENERATOR,
    .id = "generator/flat",
    .summary = "A grey picture",
    .caps = PH_CAP_DETERMINISTIC,
    .n_params = sizeof flat_params / sizeof *flat_params,
    .params = flat_params,
    .params_size = sizeof(struct flat_params),
    .state_size = sizeof(struct flat),
    .ops = &flat_ops,
};

/* sink/tally */

struct tally_params {
    int64_t slot;
    double slow_s;
    int64_t fail_at;
};

static const struct ph_param tally_params[] = {
    PH_INT(struct tally_params, slot, 0, 0, FAKE_SLOTS - 1, "", 0, "Where to count."),
    PH_FLOAT(struct tally_params, slow_s, 0, 0, 1, "s", 0, "Delay for each frame."),
    PH_INT(struct tally_params, fail_at, -1, -1, 1000000, "", 0, "Volume that fails."),
};

struct tally {
    struct tally_params params;
    uint64_t next[PH_FRAME_EVENT + 1];
    uint64_t hashes[PH_FRAME_EVENT + 1];
};

static enum ph_status tally_init(void *state, const void *params, const struct ph_spec *in,
                                 const struct ph_spec *out, const struct ph_host *host,
                                 struct ph_error *reterr)
{
    struct tally *tally = state;
    const struct tally_params *given = params;

    (void)in;
    (void)out;
    (void)host;
    (void)reterr;
    tally->params = *given;
    fake_tally[given->slot] = (struct fake_tally){0};
    for (int i = 0; i <= PH_FRAME_EVENT; i++)
        tally->hashes[i] = 0xcbf29ce484222325ULL;
    return PH_OK;
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < n; i++)
        hash = (hash ^ at[i]) * 0x100000001b3ULL;
    return hash;
}

static void hash_frame(struct tally *tally, const struct ph_frame *frame)
{
    uint64_t *hash = &tally->hashes[frame->kind];
    size_t size = frame->dtype == PH_DTYPE_U8 ? 1 : 4;

    *hash = hash_bytes(*hash, &frame->index, sizeof frame->index);
    *hash = hash_bytes(*hash, &frame->flags, sizeof frame->flags);
    if (frame->data)
        *hash = hash_bytes(*hash, frame->data, ph_frame_count(frame) * size);
}

static enum ph_status tally_process(void *state, struct ph_io *io)
{
    struct tally *tally = state;
    const struct ph_frame *frame = io->in;
    struct fake_tally *count = &fake_tally[tally->params.slot];
    uint64_t *counts[] = {&count->n_invalid, &count->n_volumes, &count->n_vectors,
                          &count->n_latents, &count->n_images,  &count->n_events};

    if ((int64_t)frame->index == tally->params.fail_at)
        return PH_E_IO;
    if (tally->params.slow_s > 0)
        (void)usleep((useconds_t)(tally->params.slow_s * 1e6));
    ++*counts[frame->kind];
    count->n_gaps += (frame->flags & PH_FLAG_GAP) && frame->kind <= PH_FRAME_VECTOR;
    count->n_invalid += (frame->flags & PH_FLAG_INVALID) && frame->kind <= PH_FRAME_VECTOR;
    count->n_stale_order += frame->index < tally->next[frame->kind];
    tally->next[frame->kind] = frame->index;
    count->last_index = frame->index;
    hash_frame(tally, frame);
    return PH_OK;
}

static enum ph_status tally_end(void *state, struct ph_io *io)
{
    const struct tally *tally = state;
    struct fake_tally *count = &fake_tally[tally->params.slot];

    (void)io;
    count->hash = hash_bytes(0xcbf29ce484222325ULL, tally->hashes, sizeof tally->hashes);
    count->ended++;
    return PH_OK;
}

static const struct ph_stage_ops tally_ops = {
    .struct_size = sizeof tally_ops,
    .init = tally_init,
    .process = tally_process,
    .event = tally_process,
    .end = tally_end,
};

static const struct ph_stage_type tally_type = {
    .struct_size = sizeof tally_type,
    .kind = PH_STAGE_SINK,
    .id = "sink/tally",
    .summary = "Counts",
    .caps = PH_CAP_STATEFUL,
    .n_params = sizeof tally_params / sizeof *tally_params,
    .params = tally_params,
    .params_size = sizeof(struct tally_params),
    .state_size = sizeof(struct tally),
    .ops = &tally_ops,
};

static const struct ph_stage_type *const types[] = {&ramp_type, &pick_type, &sum_type, &flat_type,
                                                    &tally_type};

static const struct ph_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi_major = PH_ABI_MAJOR,
    .n_types = sizeof types / sizeof *types,
    .name = "fakes",
    .version = "1",
    .licence = "MIT",
    .types = types,
};

struct phi_registry *fake_registry(void)
{
    struct phi_registry *registry = NULL;
    struct ph_error err;

    assert_ok(phi_registry_create(phi_static_plugins, phi_n_static_plugins, &registry, &err), err);
    assert_ok(phi_registry_add(registry, &plugin, "", NULL, &err), err);
    return registry;
}
