/* SPDX-License-Identifier: MIT
 *
 * filter/tissue: measures the mean signal of white matter and cerebrospinal fluid, given as masks,
 * and puts it on the frame's quality record, where filter/glm and the recording find it. Values
 * pass unchanged. It belongs behind realign and before mask.
 */
#include "plugins/filter/mask_file.h"
#include "plugins/filter/voxels.h"

struct params {
    const char *white_matter;
    const char *csf;
    double threshold;
};

static const struct ph_param params_table[] = {
    PH_PATH(struct params, white_matter, "", 0,
            "NIfTI image of white matter on the grid of the volumes."),
    PH_PATH(struct params, csf, "", 0,
            "NIfTI image of cerebrospinal fluid on the grid of the volumes."),
    PH_FLOAT(struct params, threshold, 0.9, -1e9, 1e9, "", 0,
             "Voxels of the images above this belong to the tissue."),
};

struct state {
    struct phi_mask *white_matter;
    struct phi_mask *csf;
};

static enum ph_status load(const struct params *given, const struct ph_spec *in,
                           struct state *tissue, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    if (given->white_matter[0])
        status = mask_file_load(given->white_matter, &in->geometry, given->threshold,
                                &tissue->white_matter, reterr);
    if (status == PH_OK && given->csf[0])
        status = mask_file_load(given->csf, &in->geometry, given->threshold, &tissue->csf, reterr);
    return status;
}

static void tissue_fini(void *state)
{
    struct state *tissue = state;

    phi_mask_destroy(&tissue->white_matter);
    phi_mask_destroy(&tissue->csf);
}

static enum ph_status tissue_plan(const void *params, const struct ph_spec *in,
                                  struct ph_spec *ret_out, struct ph_error *reterr)
{
    const struct params *given = params;
    struct state trial = {NULL, NULL};
    enum ph_status status = voxels_check(in, reterr);

    (void)ret_out;
    if (status == PH_OK && in->kind != PH_FRAME_VOLUME)
        return phi_error(reterr, PH_E_SHAPE,
                         "tissues are images on whole volumes: place this before the mask");
    if (status == PH_OK && !given->white_matter[0] && !given->csf[0])
        return phi_error(reterr, PH_E_INVAL, "no tissue to measure: give white_matter or csf");
    if (status == PH_OK)
        status = load(given, in, &trial, reterr);
    tissue_fini(&trial);
    return status;
}

static enum ph_status tissue_init(void *state, const void *params, const struct ph_spec *in,
                                  const struct ph_spec *out, const struct ph_host *host,
                                  struct ph_error *reterr)
{
    (void)out;
    (void)host;
    return load(params, in, state, reterr);
}

static float mean_over(const struct phi_mask *mask, const float *y)
{
    double sum = 0;

    for (size_t i = 0; i < mask->n_voxels; i++)
        sum += (double)y[mask->index[i]];
    return (float)(sum / (double)mask->n_voxels);
}

static enum ph_status tissue_process(void *state, struct ph_io *io)
{
    const struct state *tissue = state;

    if (voxels_use_of(io->in) == VOXELS_NOTHING)
        return PH_OK;
    if (tissue->white_matter)
        io->in->quality.white_matter = mean_over(tissue->white_matter, io->in->data);
    if (tissue->csf)
        io->in->quality.csf = mean_over(tissue->csf, io->in->data);
    return PH_OK;
}

static const struct ph_stage_ops tissue_ops = {
    .struct_size = sizeof tissue_ops,
    .plan = tissue_plan,
    .init = tissue_init,
    .process = tissue_process,
    .fini = tissue_fini,
};

static const struct ph_stage_type tissue_type = {
    .struct_size = sizeof tissue_type,
    .kind = PH_STAGE_FILTER,
    .id = "filter/tissue",
    .summary = "Measure the mean signal of white matter and cerebrospinal fluid",
    .caps = PH_CAP_IN_PLACE | PH_CAP_DETERMINISTIC,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &tissue_ops,
};

VOXELS_PLUGIN(filter_tissue, "tissue", tissue_type)
