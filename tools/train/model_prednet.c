/* SPDX-License-Identifier: MIT
 *
 * PredNet on clips (models/prednet.h): back through all frames of an example. Besides its loss it
 * reports the error of its predictions beside that of showing the last frame again, the only figure
 * that says whether it predicts.
 */
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "models/prednet.h"
#include "nn/layers.h"
#include "nn/losses.h"
#include "plugins/generator/common/weights_file.h"
#include "train/single.h"

#define MAX_FRAMES 64

struct prednet_params {
    struct ph_floats channels;
    bool all_layers;
    int64_t extrapolate_from;
    const char *start;
};

static const struct ph_param params_table[] = {
    PH_FLOATS(struct prednet_params, channels, "3,16,32,48", 1, 1024, "channels", 0,
              "Of A and R of each layer; the first is the picture's 3."),
    PH_BOOL(struct prednet_params, all_layers, false, 0,
            "Count the errors of all layers (Lall: 1, .1, .1, ...) instead of the lowest's (L0)."),
    PH_INT(struct prednet_params, extrapolate_from, 0, 0, MAX_FRAMES, "frames", 0,
           "From this frame on the network sees its own predictions, and the loss is the pictures' "
           "mean absolute error (the authors' fine-tuning); 0 trains one-step predictions."),
    PH_PATH(struct prednet_params, start, "", 0, "Model file of kind prednet to begin from."),
};

struct train_model {
    const struct prednet_params *params;
    const struct train_data *data;
    struct phi_prednet_config config;
    int n_frames;
    struct train_single net;
    int frames, loss, predictions[MAX_FRAMES];
};

static size_t picture_values(const struct train_model *m)
{
    return m->config.batch * 3 * m->config.h * m->config.w;
}

/* 1/2 mean |x - prediction| over all frames but the first (prednet.md section 3). */
static int picture_loss(struct train_model *m)
{
    struct phi_graph *g = m->net.net.graph;
    int sum = -1;

    for (int t = 1; t < m->n_frames; t++) {
        int frame = phi_graph_slice(g, m->frames, 0, (size_t)t, 1);
        int flat =
            phi_graph_reshape(g, frame, PHI_SHAPE(m->config.batch, 3, m->config.h, m->config.w));
        int one = phi_loss_l1_mean(g, m->predictions[t], flat);

        sum = t == 1 ? one : phi_graph_add(g, sum, one);
    }
    return phi_graph_scale(g, sum, 0.5f / (float)(m->n_frames - 1));
}

static void build(struct train_model *m)
{
    struct phi_graph *g = m->net.net.graph;
    int first_guess = m->params->extrapolate_from ? (int)m->params->extrapolate_from : m->n_frames;
    int errors[MAX_FRAMES];
    float lambda[PHI_PREDNET_LAYERS] = {1};
    const struct phi_prednet_unrolled unrolled = {.n_frames = m->n_frames,
                                                  .first_guess = first_guess,
                                                  .errors = errors,
                                                  .predictions = m->predictions};

    for (int l = 1; l < m->config.n_layers; l++)
        lambda[l] = m->params->all_layers ? 0.1f : 0;
    m->frames = phi_graph_input(
        g, "frames", PHI_SHAPE((size_t)m->n_frames, m->config.batch, 3, m->config.h, m->config.w));
    (void)phi_prednet_unroll(g, &m->config, m->frames, &unrolled);
    m->loss = m->params->extrapolate_from
                  ? picture_loss(m)
                  : phi_prednet_loss(g, &m->config, errors, m->n_frames, lambda);
}

static void prednet_destroy(struct train_model **model)
{
    train_single_fini(&(*model)->net);
    phi_free(*model);
    *model = NULL;
}

static enum ph_status fill(struct train_model *m, const struct train_setup *setup,
                           struct ph_error *reterr)
{
    enum ph_status status = phi_prednet_check(&m->config, reterr);

    if (status == PH_OK)
        status = train_single_init(&m->net, setup->recipe, reterr);
    if (status == PH_OK && m->params->start[0])
        status = phi_weights_load(m->net.weights, m->params->start, "prednet.", reterr);
    if (status != PH_OK)
        return status;
    build(m);
    return train_single_finish(&m->net, setup->recipe, reterr);
}

static enum ph_status check_setup(const struct train_setup *setup,
                                  const struct prednet_params *params, struct ph_error *reterr)
{
    if (setup->data->n_frames < 2 || setup->data->n_frames > MAX_FRAMES)
        return phi_error(reterr, PH_E_INVAL,
                         "prednet learns from clips of 2 to %d frames: data.type films, frames or "
                         "video, and data.frames",
                         MAX_FRAMES);
    if (params->channels.n < 2 || params->channels.n > PHI_PREDNET_LAYERS ||
        params->channels.value[0] != 3)
        return phi_error(reterr, PH_E_INVAL,
                         "model.channels: 2 to %d numbers are needed, the first of which is 3",
                         PHI_PREDNET_LAYERS);
    if (params->extrapolate_from >= (int64_t)setup->data->n_frames)
        return phi_error(reterr, PH_E_INVAL,
                         "model.extrapolate_from must be below data.frames (%zu)",
                         setup->data->n_frames);
    return PH_OK;
}

static enum ph_status prednet_create(const struct train_setup *setup,
                                     struct train_model **ret_model, struct ph_error *reterr)
{
    const struct prednet_params *params = phi_params_values(setup->recipe->model);
    struct train_model *m;
    enum ph_status status = check_setup(setup, params, reterr);

    if (status != PH_OK)
        return status;
    m = phi_calloc(1, sizeof *m);
    if (!m)
        return phi_error_nomem(reterr, "a network", sizeof *m);
    m->params = params;
    m->data = setup->data;
    m->n_frames = (int)setup->data->n_frames;
    m->config = (struct phi_prednet_config){.n_layers = (int)params->channels.n,
                                            .h = setup->data->size,
                                            .w = setup->data->width,
                                            .batch = (size_t)recipe_run(setup->recipe)->batch};
    for (uint32_t l = 0; l < params->channels.n; l++)
        m->config.channels[l] = (size_t)params->channels.value[l];
    status = fill(m, setup, reterr);
    if (status != PH_OK) {
        prednet_destroy(&m);
        return status;
    }
    *ret_model = m;
    return PH_OK;
}

static double mean_square(const float *a, const float *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum / (double)n;
}

static void judge(const struct train_model *m, const struct train_batch *batch, double *ret_losses)
{
    size_t n = picture_values(m);

    ret_losses[0] = (double)phi_tape_value(m->net.net.tape, m->loss)[0];
    ret_losses[1] = ret_losses[2] = 0;
    for (int t = 1; t < m->n_frames; t++) {
        const float *frame = batch->images + (size_t)t * n;

        ret_losses[1] += mean_square(phi_tape_value(m->net.net.tape, m->predictions[t]), frame, n) /
                         (m->n_frames - 1);
        ret_losses[2] += mean_square(frame - n, frame, n) / (m->n_frames - 1);
    }
}

static enum ph_status prednet_step(struct train_model *m, const struct train_batch *batch,
                                   uint64_t step, float factor, double *ret_losses)
{
    enum ph_status status;

    (void)step;
    phi_tape_set(m->net.net.tape, m->frames, batch->images);
    status = train_single_step(&m->net, m->loss, factor);
    if (status == PH_OK)
        judge(m, batch, ret_losses);
    return status;
}

/* Pairs of rows: frames of a clip as they were, and the predictions of them below. The first clips
 * of the data, as many as the batch holds. */
static enum ph_status prednet_sample(struct train_model *m, size_t n, uint8_t *rgb)
{
    static const float unit_range[2] = {0, 1};
    const size_t size[2] = {m->config.h, m->config.w};
    size_t picture = 3 * m->config.h * m->config.w;
    const struct train_data plain = {.n = m->data->n,
                                     .side = m->data->side,
                                     .side_w = m->data->side_w,
                                     .size = m->data->size,
                                     .width = m->data->width,
                                     .n_stored = m->data->n_stored,
                                     .n_frames = m->data->n_frames,
                                     .pixels = m->data->pixels};
    struct train_batch batch = {.n = m->config.batch,
                                .images = phi_tape_value(m->net.net.tape, m->frames)};
    enum ph_status status;

    batch.index = phi_calloc(batch.n, sizeof *batch.index);
    if (!batch.index)
        return PH_E_NOMEM;
    train_batch_fill(&plain, 1, 0, &batch);
    phi_free(batch.index);
    status = phi_tape_forward(m->net.net.tape, false);
    for (size_t row = 0; row + 1 < n && row / 2 < batch.n && status == PH_OK; row += 2)
        for (size_t k = 0; k < n && k < (size_t)m->n_frames; k++) {
            size_t at = row / 2 * picture;

            train_place(rgb, n, row * n + k, batch.images + k * picture_values(m) + at, size,
                        unit_range);
            train_place(rgb, n, (row + 1) * n + k,
                        phi_tape_value(m->net.net.tape, m->predictions[k]) + at, size, unit_range);
        }
    return status;
}

static void prednet_state(struct train_model *m, struct train_state *ret_state)
{
    train_single_state(&m->net, ret_state);
}

static enum ph_status prednet_export(struct train_model *m, struct train_export *ret_export,
                                     struct ph_error *reterr)
{
    char stack[64] = "";
    int used = 0;

    (void)reterr;
    for (int l = 0; l < m->config.n_layers; l++)
        used += snprintf(stack + used, sizeof stack - (size_t)used, "%s%zu", l ? "," : "",
                         m->config.channels[l]);
    ret_export->weights = train_single_best(&m->net);
    ret_export->prefix = "prednet.";
    train_note(ret_export, "phosphene.kind", "prednet");
    train_note(ret_export, "phosphene.version", "1");
    train_note(ret_export, "prednet.stack", "%s", stack);
    train_note(ret_export, "picture", "3x%zux%zu in 0..1", m->config.h, m->config.w);
    return PH_OK;
}

const struct train_model_type train_prednet = {
    .section = {.struct_size = sizeof(struct ph_stage_type),
                .id = "model/prednet",
                .summary = "predictive coding network that predicts the next frames of a film",
                .n_params = sizeof params_table / sizeof *params_table,
                .params = params_table,
                .params_size = sizeof(struct prednet_params)},
    .losses = {"loss", "mse", "copy_mse"},
    .create = prednet_create,
    .step = prednet_step,
    .sample = prednet_sample,
    .state = prednet_state,
    .export = prednet_export,
    .destroy = prednet_destroy,
};
