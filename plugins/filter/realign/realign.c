/* SPDX-License-Identifier: MIT
 *
 * filter/realign: rigid motion correction (engine/signal/realign). The reference is a volume of
 * this run or a stored image, whose grid the output then has. Fills the motion figures of each
 * frame. A volume that cannot be placed keeps the last good pose and is marked.
 */
#include "signal/realign.h"
#include "phosphene/plugin.h"
#include "signal/geometry.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "io/nifti_file.h"

#define MAX_REFERENCE_BYTES ((size_t)1 << 31)

struct params {
    const char *reference;
    int64_t reference_volume;
    double fwhm_mm;
    double separation_mm;
    double keep;
    double jump_mm;
    bool reslice;
};

static const struct ph_param params_table[] = {
    PH_PATH(struct params, reference, "", 0,
            "NIfTI image to align to, such as the mean of an earlier session; of a series the mean "
            "is taken. Empty: a volume of this run."),
    PH_INT(struct params, reference_volume, 0, 0, 1e6, "volumes", 0,
           "Which volume of this run is the reference, when no image is given: the first usable "
           "one from this number on. Volumes before it pass unmoved, marked as dummies."),
    PH_FLOAT(struct params, fwhm_mm, 5.0, 1.0, 20.0, "mm", 0,
             "Smoothing before volumes are compared; the output is not smoothed."),
    PH_FLOAT(struct params, separation_mm, 4.0, 1.0, 20.0, "mm", 0,
             "Distance of the points at which volumes are compared."),
    PH_FLOAT(struct params, keep, 0.3, 0.01, 1.0, "", 0,
             "Share of the points that is used, most informative first."),
    PH_FLOAT(struct params, jump_mm, 5.0, 0.1, 1000.0, "mm", 0,
             "A displacement from one volume to the next above this marks the volume censored."),
    PH_BOOL(struct params, reslice, 1, 0,
            "Moves the volumes; off: only measures motion (not with a reference image of another "
            "grid)."),
};

struct state {
    struct params now;
    const struct ph_host *host;
    struct phi_realign *realign;
    struct phi_grid grid; /* of the output */
    bool stored;          /* the reference is an image, set at init */
    bool has_reference;
    bool counted;
    size_t n_usual; /* values that are not finite in every volume */
};

static struct phi_grid grid_of(const struct phi_nifti_info *info)
{
    struct phi_grid grid = {{info->n_x, info->n_y, info->n_z}, phi_affine_identity()};

    memcpy(grid.affine.m, info->affine, sizeof info->affine);
    return grid;
}

/* Header of the reference image. */
static enum ph_status peek(const char *path, struct phi_grid *ret_grid, struct ph_error *reterr)
{
    struct phi_nifti_reader *reader = NULL;
    enum ph_status status = phi_nifti_reader_open(path, &reader, reterr);

    if (status != PH_OK)
        return status;
    *ret_grid = grid_of(phi_nifti_reader_info(reader));
    phi_nifti_reader_close(&reader);
    return phi_grid_check(ret_grid, "reference image", reterr);
}

static bool same_place(const struct phi_grid *a, const struct phi_grid *b)
{
    return a->n[0] == b->n[0] && a->n[1] == b->n[1] && a->n[2] == b->n[2] &&
           phi_affine_near(&a->affine, &b->affine, 0.01);
}

static enum ph_status realign_plan(const void *params, const struct ph_spec *in,
                                   struct ph_spec *ret_out, struct ph_error *reterr)
{
    const struct params *p = params;
    struct phi_grid image = phi_grid_from_geometry(&in->geometry);
    struct phi_grid grid = image;
    enum ph_status status;

    if (in->kind != PH_FRAME_VOLUME)
        return phi_error(
            reterr, PH_E_SHAPE,
            "realignment takes volumes: put it before the mask in the list of filters");
    status = phi_grid_check(&image, "the volumes of this scan", reterr);
    if (status == PH_OK && *p->reference)
        status = peek(p->reference, &grid, reterr);
    if (status != PH_OK)
        return status;
    if (!p->reslice && !same_place(&grid, &image))
        return phi_error(reterr, PH_E_SHAPE,
                         "reslice is off, but the reference image has another grid than the scan: "
                         "switch it on, or give a reference on the grid of the scan");
    phi_grid_to_geometry(&grid, &ret_out->geometry);
    for (int i = 0; i < 3; i++)
        ret_out->dims[i] = (uint32_t)grid.n[2 - i];
    return PH_OK;
}

/* Mean of the volumes in the file into mean[n], which is values' first volume. */
static void average(float *values, size_t n, uint32_t n_volumes)
{
    for (size_t i = 0; i < n; i++) {
        double sum = 0;

        for (uint32_t t = 0; t < n_volumes; t++)
            sum += (double)values[(size_t)t * n + i];
        values[i] = (float)(sum / n_volumes);
    }
}

static enum ph_status load_reference(struct state *s, struct ph_error *reterr)
{
    struct phi_nifti_info info;
    float *values = NULL;
    enum ph_status status =
        phi_nifti_read_float32(s->now.reference, MAX_REFERENCE_BYTES, &info, &values, reterr);
    struct phi_grid grid;

    if (status != PH_OK)
        return status;
    grid = grid_of(&info);
    average(values, info.n_voxels, info.n_volumes);
    if (!same_place(&grid, &s->grid))
        status = phi_error(reterr, PH_E_STATE, "'%s' changed while the run was being prepared",
                           s->now.reference);
    else if (phi_realign_set_reference(s->realign, values) != PH_OK)
        status = phi_error(reterr, PH_E_INVAL, "'%s' shows too little structure to align a head to",
                           s->now.reference);
    phi_free(values);
    return status;
}

static enum ph_status realign_init(void *state, const void *params, const struct ph_spec *in,
                                   const struct ph_spec *out, const struct ph_host *host,
                                   struct ph_error *reterr)
{
    struct state *s = state;
    struct phi_grid image = phi_grid_from_geometry(&in->geometry);
    struct phi_realign_config config;
    enum ph_status status;

    s->now = *(const struct params *)params;
    s->host = host;
    s->grid = phi_grid_from_geometry(&out->geometry);
    s->stored = *s->now.reference != '\0';
    config = (struct phi_realign_config){
        .separation_mm = s->now.separation_mm,
        .fwhm_mm = s->now.fwhm_mm,
        .keep = s->now.keep,
        .jump_mm = s->now.jump_mm,
        .far_start = s->stored,
    };
    status = phi_realign_create(&config, &s->grid, &image, &s->realign, reterr);
    if (status == PH_OK && s->stored)
        status = load_reference(s, reterr);
    s->has_reference = status == PH_OK && s->stored;
    return status;
}

struct reslice_job {
    const struct state *s;
    const struct phi_affine *pose;
    float *out;
};

static void reslice_slice(void *arg, size_t z)
{
    const struct reslice_job *job = arg;
    size_t n_outside;
    size_t slice = job->s->grid.n[0] * job->s->grid.n[1];

    if (phi_realign_reslice(job->s->realign, job->pose, z, z + 1, job->out, &n_outside) != PH_OK)
        memset(job->out + z * slice, 0, slice * sizeof(float));
}

static void copy_as_is(const struct ph_frame *in, struct ph_frame *out)
{
    size_t n = ph_frame_count(out);

    if (ph_frame_count(in) == n)
        memcpy(out->data, in->data, n * sizeof(float));
    else
        memset(out->data, 0, n * sizeof(float));
}

static uint32_t marks(struct state *s, const struct phi_realign_result *result, size_t n)
{
    uint32_t flags = 0;

    if (!s->counted && result->n_bad <= n / 2) {
        s->counted = true;
        s->n_usual = result->n_bad;
    }
    if (result->n_bad > s->n_usual || (result->flags & PHI_REALIGN_NO_SIGNAL))
        flags |= PH_FLAG_INVALID;
    if (result->flags & (PHI_REALIGN_HELD | (uint32_t)PHI_REALIGN_JUMP))
        flags |= PH_FLAG_CENSORED;
    return flags;
}

static void tell(const struct state *s, const struct ph_frame *frame,
                 const struct phi_realign_result *result)
{
    if (result->flags & PHI_REALIGN_HELD)
        s->host->log(s->host->self, PH_LOG_WARNING, "realign.held",
                     "volume %llu does not match the reference; kept the last good pose",
                     (unsigned long long)frame->index);
    else if (result->flags & PHI_REALIGN_JUMP)
        s->host->log(s->host->self, PH_LOG_WARNING, "realign.jump", "volume %llu moved by %.1f mm",
                     (unsigned long long)frame->index, result->fd_jenkinson_mm);
}

static void fill_quality(const struct phi_realign_result *result, struct ph_quality *quality)
{
    for (int i = 0; i < 6; i++)
        quality->motion[i] = (float)result->params[i];
    quality->fd_mm = (float)result->fd_power_mm;
    quality->fd_jenkinson_mm = (float)result->fd_jenkinson_mm;
}

/* The frame's volume, placed: out is filled and marked. */
static enum ph_status correct(struct state *s, const struct ph_frame *in, struct ph_frame *out)
{
    struct phi_realign_result result;
    struct reslice_job job = {s, &result.image_to_reference, out->data};
    enum ph_status status = phi_realign_estimate(s->realign, in->data, &result);

    if (status != PH_OK)
        return status;
    if (s->now.reslice)
        s->host->parallel_for(s->host->self, s->grid.n[2], reslice_slice, &job);
    else
        copy_as_is(in, out);
    fill_quality(&result, &out->quality);
    out->flags |= marks(s, &result, ph_frame_count(in));
    tell(s, in, &result);
    return PH_OK;
}

/* The run's own reference, when its turn has come. */
static void maybe_take_reference(struct state *s, const struct ph_frame *in)
{
    if (s->has_reference || (in->flags & PH_FLAGS_UNUSABLE) ||
        in->index < (uint64_t)s->now.reference_volume)
        return;
    s->has_reference = phi_realign_set_reference(s->realign, in->data) == PH_OK;
    if (!s->has_reference)
        s->host->log(s->host->self, PH_LOG_WARNING, "realign.reference",
                     "volume %llu shows too little structure to be the reference; trying the next",
                     (unsigned long long)in->index);
}

static enum ph_status realign_process(void *state, struct ph_io *io)
{
    struct state *s = state;
    struct ph_frame *out;
    enum ph_status status = PH_OK;

    maybe_take_reference(s, io->in);
    out = ph_take(io);
    if (!out)
        return PH_EOS;
    if (io->in->flags & PH_FLAG_GAP) {
        memset(out->data, 0, ph_frame_count(out) * sizeof(float));
    } else if (!s->has_reference) {
        copy_as_is(io->in, out);
        out->flags |= PH_FLAG_DUMMY;
    } else {
        status = correct(s, io->in, out);
    }
    ph_emit(io, out);
    return status;
}

static void realign_reset(void *state)
{
    struct state *s = state;

    phi_realign_restart(s->realign);
    s->has_reference = s->stored;
    s->counted = false;
    s->n_usual = 0;
}

static void realign_fini(void *state)
{
    struct state *s = state;

    phi_realign_destroy(&s->realign);
}

static const struct ph_stage_ops realign_ops = {
    .struct_size = sizeof realign_ops,
    .plan = realign_plan,
    .init = realign_init,
    .process = realign_process,
    .reset = realign_reset,
    .fini = realign_fini,
};

static const struct ph_stage_type realign_type = {
    .struct_size = sizeof realign_type,
    .kind = PH_STAGE_FILTER,
    .id = "filter/realign",
    .summary = "Correct rigid head motion and measure it",
    .caps = PH_CAP_STATEFUL | PH_CAP_DETERMINISTIC,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &realign_ops,
};

static const struct ph_stage_type *const types[] = {&realign_type};

static const struct ph_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi_major = PH_ABI_MAJOR,
    .abi_minor = 0,
    .n_types = 1,
    .name = "realign",
    .version = "1.0",
    .licence = "MIT",
    .types = types,
};

PH_PLUGIN_EXPORT(filter_realign, plugin)
