/* SPDX-License-Identifier: MIT
 *
 * The face encoder, trained to read the attributes of pictures: the head that names them is dropped
 * afterwards, the features under it are kept (transfer, as VGG-Face's identities are in DAND).
 */
#include "base/error.h"
#include "base/mem.h"
#include "nn/layers.h"
#include "nn/losses.h"
#include "train/encoder.h"
#include "train/single.h"

struct encoder_params {
    int64_t features;
    double dropout;
};

static const struct ph_param params_table[] = {
    PH_INT(struct encoder_params, features, 256, 16, 4096, "", 0,
           "Features of the last layer, which latents are made from."),
    PH_FLOAT(struct encoder_params, dropout, 0.1, 0, 0.9, "", 0,
             "Share of features left out in a training step."),
};

struct train_model {
    const struct encoder_params *params;
    size_t n_attributes;
    struct train_single net;
    int x, y, loss, explained;
};

/* mse: mean over the batch and attributes. explained: 1 - mse / mean square, the share of the
 * attributes' variance that is read. */
static void build(struct train_model *m, size_t batch)
{
    const struct train_encoder_layout layout = train_encoder_compact();
    struct phi_graph *g = m->net.net.graph;
    int features;
    int weight;
    int bias;
    int read;

    m->x = phi_graph_input(g, "x", PHI_SHAPE(batch, 3, 64, 64));
    m->y = phi_graph_input(g, "y", PHI_SHAPE(batch, m->n_attributes));
    features = train_encoder_build(g, &layout, m->x, (size_t)m->params->features);
    features = phi_graph_dropout(g, features, (float)m->params->dropout);
    weight = phi_graph_param(g, "dand.f.head.weight",
                             PHI_SHAPE(m->n_attributes, (size_t)m->params->features));
    bias = phi_graph_param(g, "dand.f.head.bias", PHI_SHAPE(m->n_attributes));
    read = phi_graph_linear(g, features, weight, bias);
    m->loss = phi_loss_mse_mean(g, read, m->y);
    m->explained = phi_graph_div(g, m->loss,
                                 phi_graph_mean_all(g, phi_graph_unary(g, PHI_SQUARE, m->y, 0, 0)));
}

/* Pixels come in VGG's range of +-128: the first layer starts that much smaller, and the head
 * small, so that the first steps are not spent on undoing them. */
static void tame(struct train_model *m)
{
    static const struct {
        const char *name;
        float factor;
    } layers[] = {{"dand.f.conv.1.weight", 1.0f / 64}, {"dand.f.head.weight", 0.1f}};

    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        struct phi_param *param = phi_weights_find(m->net.weights, layers[i].name);
        size_t n = param ? phi_shape_count(&param->value.shape) : 0;

        for (size_t k = 0; k < n; k++)
            param->value.data[k] *= layers[i].factor;
    }
}

static void encoder_destroy(struct train_model **model)
{
    train_single_fini(&(*model)->net);
    phi_free(*model);
    *model = NULL;
}

static enum ph_status fill(struct train_model *m, const struct train_setup *setup,
                           struct ph_error *reterr)
{
    enum ph_status status = train_single_init(&m->net, setup->recipe, reterr);

    if (status != PH_OK)
        return status;
    build(m, (size_t)recipe_run(setup->recipe)->batch);
    status = train_single_finish(&m->net, setup->recipe, reterr);
    if (status == PH_OK)
        tame(m);
    return status;
}

static enum ph_status encoder_create(const struct train_setup *setup,
                                     struct train_model **ret_model, struct ph_error *reterr)
{
    struct train_model *m;
    enum ph_status status;

    if (setup->data->size != 64 || setup->data->n_attributes == 0)
        return phi_error(reterr, PH_E_SHAPE,
                         "the encoder needs pictures of 64 x 64 with attributes");
    m = phi_calloc(1, sizeof *m);
    if (!m)
        return phi_error_nomem(reterr, "an encoder", sizeof *m);
    m->params = phi_params_values(setup->recipe->model);
    m->n_attributes = setup->data->n_attributes;
    status = fill(m, setup, reterr);
    if (status != PH_OK) {
        encoder_destroy(&m);
        return status;
    }
    *ret_model = m;
    return PH_OK;
}

static enum ph_status encoder_step(struct train_model *m, const struct train_batch *batch,
                                   uint64_t step, float factor, double *ret_losses)
{
    struct phi_tape *tape = m->net.net.tape;
    enum ph_status status;

    phi_rng_init(phi_tape_rng(tape), m->net.seed ^ 0xd10, step);
    phi_tape_set(tape, m->x, batch->images);
    phi_tape_set(tape, m->y, batch->attributes);
    status = train_single_step(&m->net, m->loss, factor);
    ret_losses[0] = (double)phi_tape_value(tape, m->loss)[0];
    ret_losses[1] = 1 - (double)phi_tape_value(tape, m->explained)[0];
    return status;
}

static void encoder_state(struct train_model *m, struct train_state *ret_state)
{
    train_single_state(&m->net, ret_state);
}

static enum ph_status encoder_export(struct train_model *m, struct train_export *ret_export,
                                     struct ph_error *reterr)
{
    (void)reterr;
    ret_export->weights = train_single_best(&m->net);
    ret_export->prefix = "dand.f.";
    train_note(ret_export, "phosphene.kind", "encoder");
    train_note(ret_export, "phosphene.version", "1");
    train_note(ret_export, "encoder.features", "%lld", (long long)m->params->features);
    train_note(ret_export, "encoder.attributes", "%zu", m->n_attributes);
    train_note(ret_export, "picture", "3x64x64 in 0..1");
    return PH_OK;
}

const struct train_model_type train_encoder = {
    .section = {.struct_size = sizeof(struct ph_stage_type),
                .id = "model/encoder",
                .summary = "compact face encoder, trained on attributes",
                .n_params = sizeof params_table / sizeof *params_table,
                .params = params_table,
                .params_size = sizeof(struct encoder_params)},
    .losses = {"mse", "explained"},
    .create = encoder_create,
    .step = encoder_step,
    .state = encoder_state,
    .export = encoder_export,
    .destroy = encoder_destroy,
};
