/* SPDX-License-Identifier: MIT
 *
 * generator/eigenface: the picture whose principal components are the latent: mean + components *
 * (z sd). The linear baseline of the DAND study. 64 components of a 64 x 64 picture are 0.8 million
 * multiply-adds, so the moving picture follows the latent at any display rate.
 */
#include <string.h>

#include "base/error.h"
#include "phosphene/plugin.h"
#include "plugins/decoder/common/model.h"
#include "plugins/generator/common/morph.h"

struct params {
    const char *model;
    double glide_s;
};

static const struct ph_param params_table[] = {
    PH_PATH(
        struct params, model, "", PH_PARAM_REQUIRED,
        "Model file with the principal components of the stimuli's pixels, as phos fit posterior "
        "writes it."),
    PH_FLOAT(struct params, glide_s, 0.6, 0, 30, "s", 0,
             "How long the moving picture takes from one estimate to the next."),
};

struct state {
    const struct ph_host *host;
    size_t n_latent;
    size_t n_values;   /* height * width * 3 */
    uint32_t image[2]; /* height, width */
    float *mean;       /* [n_values], 0..1 */
    float *weight;     /* [n_values][n_latent]: components times their sd */
    struct phi_morph morph;
    struct ph_latent latent; /* of the newest aim */
    uint32_t flags;
};

/* The model, checked to have components that make pictures and fit the latent. */
static enum ph_status open_model(const char *path, const struct ph_spec *in,
                                 struct phi_decoder_model **ret_model, struct ph_error *reterr)
{
    struct phi_decoder_model *model = NULL;
    enum ph_status status = phi_decoder_model_open(path, &model, reterr);

    if (status != PH_OK)
        return status;
    if (!model->pca || model->image[2] != 3)
        status = phi_error(reterr, PH_E_FORMAT,
                           "%s holds no principal components of RGB pictures; fit it with pictures "
                           "(phos fit posterior --stimuli)",
                           path);
    else if (model->pca->n_components != in->dims[1])
        status =
            phi_error(reterr, PH_E_SHAPE,
                      "%s draws from %zu components, the decoder's latent has %u: use the file "
                      "the decoder was fitted with",
                      path, model->pca->n_components, in->dims[1]);
    else if (in->layout && *model->space && in->layout != ph_space_hash(model->space))
        status = phi_error(reterr, PH_E_SHAPE,
                           "%s draws from latents of another space ('%s') than the decoder gives, "
                           "though they are as many: use the file the decoder was fitted with",
                           path, model->space);
    if (status != PH_OK)
        phi_decoder_model_destroy(&model);
    else
        *ret_model = model;
    return status;
}

static enum ph_status eigenface_plan(const void *params, const struct ph_spec *in,
                                     struct ph_spec *ret_out, struct ph_error *reterr)
{
    const struct params *given = params;
    struct phi_decoder_model *model = NULL;
    enum ph_status status;

    if (in->kind != PH_FRAME_LATENT || in->rank != 2)
        return phi_error(reterr, PH_E_SHAPE, "a generator draws from a decoder's latents");
    status = open_model(given->model, in, &model, reterr);
    if (status != PH_OK)
        return status;
    ret_out->kind = PH_FRAME_IMAGE;
    ret_out->dtype = PH_DTYPE_U8;
    ret_out->rank = 3;
    ret_out->dims[0] = (uint32_t)model->image[0];
    ret_out->dims[1] = (uint32_t)model->image[1];
    ret_out->dims[2] = 3;
    phi_decoder_model_destroy(&model);
    return PH_OK;
}

static void copy_weights(struct state *s, const struct phi_pca *pca)
{
    for (size_t i = 0; i < s->n_values; i++) {
        s->mean[i] = (float)pca->mean[i];
        for (size_t k = 0; k < s->n_latent; k++)
            s->weight[i * s->n_latent + k] =
                (float)(pca->components[k * s->n_values + i] * pca->sd[k]);
    }
}

static enum ph_status eigenface_init(void *state, const void *params, const struct ph_spec *in,
                                     const struct ph_spec *out, const struct ph_host *host,
                                     struct ph_error *reterr)
{
    struct state *s = state;
    const struct params *given = params;
    struct phi_decoder_model *model = NULL;
    enum ph_status status = open_model(given->model, in, &model, reterr);

    if (status != PH_OK)
        return status;
    s->host = host;
    s->n_latent = in->dims[1];
    s->image[0] = out->dims[0];
    s->image[1] = out->dims[1];
    s->n_values = model->pca->n_features;
    s->mean = host->alloc(host->self, s->n_values, sizeof(float));
    s->weight = host->alloc(host->self, s->n_values * s->n_latent, sizeof(float));
    status = phi_morph_init(&s->morph, s->n_latent, given->glide_s, false, host);
    if (!s->mean || !s->weight || status != PH_OK)
        status = phi_error_nomem(reterr, "the components of pictures",
                                 s->n_values * s->n_latent * sizeof(float));
    else
        copy_weights(s, model->pca);
    phi_decoder_model_destroy(&model);
    return status;
}

static void draw(const struct state *s, const float *z, struct ph_frame *image)
{
    uint8_t *out = image->data;

    for (size_t i = 0; i < s->n_values; i++) {
        const float *weight = s->weight + i * s->n_latent;
        float sum[8] = {s->mean[i]};
        float value;
        size_t k = 0;

        for (; k + 8 <= s->n_latent; k += 8)
            for (size_t j = 0; j < 8; j++)
                sum[j] += weight[k + j] * z[k + j];
        for (; k < s->n_latent; k++)
            sum[0] += weight[k] * z[k];
        value = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
        value = value > 0 ? value < 1 ? value : 1 : 0; /* NaN is black */
        out[i] = (uint8_t)(value * 255.0f + 0.5f);
    }
    image->rank = 3;
    image->dims[0] = s->image[0];
    image->dims[1] = s->image[1];
    image->dims[2] = 3;
    image->dtype = PH_DTYPE_U8;
}

static void eigenface_aim(void *state, const struct ph_frame *latent)
{
    struct state *s = state;

    s->latent = latent->u.latent;
    s->flags = latent->flags;
    phi_morph_aim(&s->morph, latent->data, s->host->now_ns(s->host->self));
}

static enum ph_status eigenface_step(void *state, int64_t budget_ns)
{
    struct state *s = state;

    (void)budget_ns;
    return phi_morph_move(&s->morph, s->host->now_ns(s->host->self)) ? PH_AGAIN : PH_OK;
}

static enum ph_status eigenface_peek(void *state, struct ph_frame *image)
{
    const struct state *s = state;

    draw(s, s->morph.now, image);
    image->u.image.latent = s->latent;
    image->flags = s->flags;
    return PH_OK;
}

static enum ph_status eigenface_render(void *state, const struct ph_frame *latent,
                                       struct ph_frame *image)
{
    draw(state, latent->data, image);
    return PH_OK;
}

static void eigenface_reset(void *state)
{
    struct state *s = state;

    phi_morph_reset(&s->morph);
    memset(&s->latent, 0, sizeof s->latent);
    s->flags = 0;
}

static const struct ph_stage_ops eigenface_ops = {
    .struct_size = sizeof eigenface_ops,
    .plan = eigenface_plan,
    .init = eigenface_init,
    .aim = eigenface_aim,
    .step = eigenface_step,
    .peek = eigenface_peek,
    .render = eigenface_render,
    .reset = eigenface_reset,
};

static const struct ph_stage_type eigenface_type = {
    .struct_size = sizeof eigenface_type,
    .kind = PH_STAGE_GENERATOR,
    .id = "generator/eigenface",
    .summary = "Draw the picture whose principal components are the latent",
    .caps = PH_CAP_DETERMINISTIC,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &eigenface_ops,
};

static const struct ph_stage_type *const types[] = {&eigenface_type};

static const struct ph_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi_major = PH_ABI_MAJOR,
    .abi_minor = 0,
    .n_types = 1,
    .name = "eigenface",
    .version = "1.0",
    .licence = "MIT",
    .types = types,
};

PH_PLUGIN_EXPORT(generator_eigenface, plugin)
