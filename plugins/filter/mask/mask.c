/* SPDX-License-Identifier: MIT
 *
 * filter/mask: from volumes to the vector of the voxels inside a mask. The mask is an image, or
 * the brain in the mean of the first usable volumes (engine/signal/mask). In the second case the
 * first volumes wait inside until the mask is known, then all go on in their order.
 */
#include "signal/mask.h"
#include "phosphene/plugin.h"
#include "signal/geometry.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "io/nifti_file.h"

#define MAX_MASK_BYTES ((size_t)1 << 31)
#define MAX_WANTED     50
#define N_EXTRA        8 /* places for unusable volumes among those that wait */

struct params {
    const char *file;
    double threshold;
    int64_t n_volumes;
};

static const struct ph_param params_table[] = {
    PH_PATH(struct params, file, "", 0,
            "NIfTI mask on the grid of the volumes that arrive here. Empty: the brain is found in "
            "the first volumes."),
    PH_FLOAT(struct params, threshold, 0.5, -1e9, 1e9, "", 0,
             "Voxels of the mask image above this are inside."),
    PH_INT(struct params, n_volumes, 5, 1, MAX_WANTED, "volumes", 0,
           "Over how many usable volumes the mean for finding the brain is taken; so many volumes "
           "late the first vectors come."),
};

/* A volume that waits for the mask. */
struct waiting {
    struct ph_frame header;
    float *volume; /* [nz][ny][nx] */
};

struct state {
    const struct ph_host *host;
    struct phi_mask *mask;
    uint64_t layout; /* 0 until the mask is known */
    bool stored;     /* from a file, known at init */
    size_t n_voxels; /* of a volume */
    size_t n_wanted; /* usable volumes for the mean */
    size_t n_usable; /* of those waiting */
    size_t n_waiting;
    size_t capacity;
    struct waiting *queue; /* [capacity] */
    float *mean;
};

/* Reads the mask image into `mask`, after checking that it lies where the volumes do. */
static enum ph_status load_mask(const struct params *p, struct phi_mask *mask,
                                struct ph_error *reterr)
{
    struct phi_nifti_info info;
    struct phi_grid grid = {.affine = phi_affine_identity()};
    float *values = NULL;
    enum ph_status status = phi_nifti_read_float32(p->file, MAX_MASK_BYTES, &info, &values, reterr);

    if (status != PH_OK)
        return status;
    grid.n[0] = info.n_x;
    grid.n[1] = info.n_y;
    grid.n[2] = info.n_z;
    memcpy(grid.affine.m, info.affine, sizeof info.affine);
    status = phi_mask_check(mask, &grid, p->file, reterr);
    if (status == PH_OK && info.n_volumes != 1)
        status = phi_error(reterr, PH_E_SHAPE, "'%s' has %u volumes; a mask has one", p->file,
                           info.n_volumes);
    if (status == PH_OK && phi_mask_from_values(mask, values, (float)p->threshold) != PH_OK)
        status = phi_error(reterr, PH_E_INVAL, "'%s' has no voxel above %g", p->file, p->threshold);
    phi_free(values);
    return status;
}

static uint64_t layout_of(const struct phi_mask *mask)
{
    const uint32_t dims[3] = {(uint32_t)mask->grid.n[0], (uint32_t)mask->grid.n[1],
                              (uint32_t)mask->grid.n[2]};

    return ph_layout_hash(dims, mask->index, mask->n_voxels);
}

static enum ph_status mask_plan(const void *params, const struct ph_spec *in,
                                struct ph_spec *ret_out, struct ph_error *reterr)
{
    const struct params *p = params;
    struct phi_grid grid = phi_grid_from_geometry(&in->geometry);
    struct phi_mask *mask = NULL;
    enum ph_status status;

    if (in->kind != PH_FRAME_VOLUME)
        return phi_error(reterr, PH_E_SHAPE, "the mask takes volumes, and only once in a run");
    status = phi_mask_create(&grid, &mask, reterr);
    if (status == PH_OK && *p->file)
        status = load_mask(p, mask, reterr);
    if (status == PH_OK) {
        ret_out->kind = PH_FRAME_VECTOR;
        ret_out->rank = 1;
        memset(ret_out->dims, 0, sizeof ret_out->dims);
        ret_out->dims[0] = (uint32_t)(*p->file ? mask->n_voxels : phi_grid_count(&grid));
        ret_out->layout = *p->file ? layout_of(mask) : 0;
    }
    phi_mask_destroy(&mask);
    return status;
}

static enum ph_status make_queue(struct state *s, struct ph_error *reterr)
{
    bool complete;

    s->capacity = s->n_wanted + N_EXTRA;
    s->mean = s->host->alloc(s->host->self, s->n_voxels, sizeof(float));
    s->queue = s->host->alloc(s->host->self, s->capacity, sizeof *s->queue);
    complete = s->mean && s->queue;
    for (size_t i = 0; complete && i < s->capacity; i++) {
        s->queue[i].volume = s->host->alloc(s->host->self, s->n_voxels, sizeof(float));
        complete = s->queue[i].volume != NULL;
    }
    if (!complete)
        return phi_error_nomem(reterr, "volumes that wait for the mask",
                               s->n_voxels * s->capacity * sizeof(float));
    return PH_OK;
}

/* The vectors' voxels, for filters behind that draw maps or look for regions. */
static void learn_layout(struct state *s)
{
    s->layout = layout_of(s->mask);
    s->host->tell_voxels(s->host->self, s->layout, s->mask->index, s->mask->n_voxels);
}

static enum ph_status mask_init(void *state, const void *params, const struct ph_spec *in,
                                const struct ph_spec *out, const struct ph_host *host,
                                struct ph_error *reterr)
{
    struct state *s = state;
    const struct params *p = params;
    struct phi_grid grid = phi_grid_from_geometry(&in->geometry);
    enum ph_status status = phi_mask_create(&grid, &s->mask, reterr);

    s->host = host;
    s->stored = *p->file != '\0';
    s->n_voxels = phi_grid_count(&grid);
    s->n_wanted = (size_t)p->n_volumes;
    if (status != PH_OK)
        return status;
    if (!s->stored)
        return make_queue(s, reterr);
    status = load_mask(p, s->mask, reterr);
    if (status == PH_OK && s->mask->n_voxels != out->dims[0])
        status =
            phi_error(reterr, PH_E_STATE, "'%s' changed while the run was being prepared", p->file);
    if (status == PH_OK)
        learn_layout(s);
    return status;
}

/* Emits one vector; `header` gives what the frame inherits, NULL: as taken. */
static enum ph_status emit_vector(const struct state *s, struct ph_io *io, const float *volume,
                                  const struct ph_frame *header)
{
    struct ph_frame *out = ph_take(io);

    if (!out)
        return PH_EOS;
    if (header) {
        out->flags = header->flags;
        out->index = header->index;
        out->acquired_s = header->acquired_s;
        out->sent_ns = header->sent_ns;
        out->received_ns = header->received_ns;
        out->quality = header->quality;
        out->n_signals = header->n_signals;
        memcpy(out->signals, header->signals, sizeof out->signals);
    }
    out->dims[0] = (uint32_t)s->mask->n_voxels;
    out->layout = s->layout;
    if (out->flags & PH_FLAG_GAP)
        memset(out->data, 0, s->mask->n_voxels * sizeof(float));
    else
        phi_mask_gather(s->mask, volume, out->data);
    ph_emit(io, out);
    return PH_OK;
}

static void average(struct state *s)
{
    float weight = 1.0F / (float)s->n_usable;

    memset(s->mean, 0, s->n_voxels * sizeof(float));
    for (size_t k = 0; k < s->n_waiting; k++)
        if (!(s->queue[k].header.flags & PH_FLAGS_UNUSABLE))
            for (size_t i = 0; i < s->n_voxels; i++)
                s->mean[i] += weight * s->queue[k].volume[i];
}

/* Finds the mask from what waits and lets it all go. */
static enum ph_status release(struct state *s, struct ph_io *io)
{
    enum ph_status status = PH_OK;

    average(s);
    if (phi_mask_from_mean(s->mask, s->mean) != PH_OK) {
        s->host->log(s->host->self, PH_LOG_ERROR, "mask.empty",
                     "no brain found in the mean of %zu volumes; trying again with the next ones",
                     s->n_usable);
        s->n_waiting = s->n_usable = 0;
        return PH_E_INVAL;
    }
    learn_layout(s);
    for (size_t k = 0; status == PH_OK && k < s->n_waiting; k++)
        status = emit_vector(s, io, s->queue[k].volume, &s->queue[k].header);
    s->n_waiting = s->n_usable = 0;
    return status;
}

/* Makes room by forgetting the oldest unusable frame; there is one, or the mask would be known. */
static void drop_unusable(struct state *s)
{
    size_t k = 0;
    float *volume;

    while (!(s->queue[k].header.flags & PH_FLAGS_UNUSABLE))
        k++;
    volume = s->queue[k].volume;
    for (; k + 1 < s->capacity; k++)
        s->queue[k] = s->queue[k + 1];
    s->queue[s->capacity - 1].volume = volume;
    s->n_waiting--;
}

static enum ph_status wait_for_mask(struct state *s, struct ph_io *io)
{
    struct waiting *last;

    if (s->n_waiting == s->capacity)
        drop_unusable(s);
    last = &s->queue[s->n_waiting++];
    last->header = *io->in;
    memcpy(last->volume, io->in->data, s->n_voxels * sizeof(float));
    if (!(io->in->flags & PH_FLAGS_UNUSABLE))
        s->n_usable++;
    return s->n_usable < s->n_wanted ? PH_SKIP : release(s, io);
}

static enum ph_status mask_process(void *state, struct ph_io *io)
{
    struct state *s = state;

    return s->layout ? emit_vector(s, io, io->in->data, NULL) : wait_for_mask(s, io);
}

/* A run shorter than the wait: what is there must do. */
static enum ph_status mask_end(void *state, struct ph_io *io)
{
    struct state *s = state;

    return s->layout || s->n_usable == 0 ? PH_OK : release(s, io);
}

static void mask_reset(void *state)
{
    struct state *s = state;

    s->n_waiting = s->n_usable = 0;
    if (!s->stored)
        s->layout = 0;
}

static void mask_fini(void *state)
{
    struct state *s = state;

    phi_mask_destroy(&s->mask);
}

static const struct ph_stage_ops mask_ops = {
    .struct_size = sizeof mask_ops,
    .plan = mask_plan,
    .init = mask_init,
    .process = mask_process,
    .end = mask_end,
    .reset = mask_reset,
    .fini = mask_fini,
};

static const struct ph_stage_type mask_type = {
    .struct_size = sizeof mask_type,
    .kind = PH_STAGE_FILTER,
    .id = "filter/mask",
    .summary = "Keep the voxels inside a mask, given or found",
    .caps = PH_CAP_STATEFUL | PH_CAP_DETERMINISTIC,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &mask_ops,
};

static const struct ph_stage_type *const types[] = {&mask_type};

static const struct ph_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi_major = PH_ABI_MAJOR,
    .abi_minor = 0,
    .n_types = 1,
    .name = "mask",
    .version = "1.0",
    .licence = "MIT",
    .types = types,
};

PH_PLUGIN_EXPORT(filter_mask, plugin)
