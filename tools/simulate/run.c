/* SPDX-License-Identifier: MIT */
#include "tools/simulate/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "io/nifti_write.h"

struct work {
    float *noise;  /* [PHI_SIM_BLOCK][n_brain] */
    float *volume; /* [n_all] */
};

static enum ph_status make_header(const struct phi_sim_run *run, struct phi_nifti_info *ret_info,
                                  struct ph_error *reterr)
{
    const struct phi_sim_source *source = run->source;
    double most = 0;

    for (size_t i = 0; i < source->n_all; i++)
        most = fmax(most, (double)source->mean[i]);
    *ret_info = source->info;
    ret_info->type = PHI_NIFTI_INT16;
    ret_info->slope = most > 0 ? 1.6 * most / 32767 : 1;
    ret_info->inter = 0;
    ret_info->n_volumes = (uint32_t)run->n_volumes;
    ret_info->tr_s = source->tr_s;
    (void)snprintf(ret_info->description, sizeof ret_info->description,
                   "noise of a real run, simulated response");
    return phi_nifti_make(ret_info, reterr);
}

/* Air and skull have white noise of their own size; magnitudes are positive. */
static void fill_outside(const struct phi_sim_run *run, size_t t, float *volume)
{
    const struct phi_sim_source *source = run->source;
    struct phi_rng rng;

    phi_rng_init(&rng, 0x6f757473696465u ^ run->number, t);
    for (size_t i = 0; i < source->n_all; i++) {
        volume[i] = source->mean[i];
        if (!source->mask->inside[i] && source->sd[i] > 0)
            volume[i] = fabsf(volume[i] + source->sd[i] * (float)phi_rng_normal(&rng));
    }
}

static void keep_noise(const struct phi_sim_run *run, size_t t, const float *noise)
{
    size_t n = run->response->n_voxels;

    for (size_t i = 0; run->ret_noise && i < n; i++)
        run->ret_noise[t * n + i] = noise[run->response->in_brain[i]];
}

static enum ph_status make_volume(const struct phi_sim_run *run, size_t t, const float *noise,
                                  float *volume, struct ph_error *reterr)
{
    const struct phi_mask *mask = run->source->mask;

    fill_outside(run, t, volume);
    for (size_t i = 0; i < mask->n_voxels; i++)
        volume[mask->index[i]] += noise[i];
    keep_noise(run, t, noise);
    phi_sim_response_add(run->response, run->design + t * (run->response->p + 1), volume);
    return phi_sim_effects_apply(run->effects, t, volume, reterr);
}

static enum ph_status write_volumes(const struct phi_sim_run *run, struct work *work,
                                    struct phi_nifti_writer *writer, struct ph_error *reterr)
{
    size_t n_brain = run->source->mask->n_voxels;
    enum ph_status status = PH_OK;

    for (size_t t = 0; status >= 0 && t < run->n_volumes; t++) {
        size_t left = run->n_volumes - t;

        if (t % PHI_SIM_BLOCK == 0)
            phi_sim_noise_fill(run->noise, t, left < PHI_SIM_BLOCK ? left : PHI_SIM_BLOCK,
                               work->noise);
        status =
            make_volume(run, t, work->noise + t % PHI_SIM_BLOCK * n_brain, work->volume, reterr);
        if (status >= 0)
            status = phi_nifti_writer_add_float32(writer, work->volume, reterr);
        if (status >= 0 && run->progress && !run->progress(run->progress_ctx, t + 1))
            status = phi_error(reterr, PH_E_STATE, "interrupted");
    }
    return status;
}

static enum ph_status write_file(const struct phi_sim_run *run, struct work *work, const char *path,
                                 struct ph_error *reterr)
{
    struct phi_nifti_info info;
    struct phi_nifti_writer *writer;
    enum ph_status status = make_header(run, &info, reterr);

    if (status >= 0)
        status = phi_nifti_writer_create(path, &info, &writer, reterr);
    if (status < 0)
        return status;
    status = write_volumes(run, work, writer, reterr);
    if (status >= 0)
        status = phi_nifti_writer_finish(&writer, reterr);
    phi_nifti_writer_destroy(&writer);
    return status;
}

enum ph_status phi_sim_run_write(const struct phi_sim_run *run, const char *path,
                                 struct ph_error *reterr)
{
    struct work work;
    enum ph_status status = phi_sim_noise_start(run->noise, run->number, run->n_volumes, reterr);

    if (status >= 0)
        status = phi_sim_effects_start(run->effects, run->number, run->n_volumes, reterr);
    if (status < 0)
        return status;
    work.noise = phi_calloc2(PHI_SIM_BLOCK, run->source->mask->n_voxels, sizeof *work.noise);
    work.volume = phi_calloc(run->source->n_all, sizeof *work.volume);
    if (work.noise && work.volume)
        status = write_file(run, &work, path, reterr);
    else
        status = phi_error_nomem(reterr, "a volume", run->source->n_all * sizeof(float));
    phi_free(work.noise);
    phi_free(work.volume);
    return status;
}
