/* SPDX-License-Identifier: MIT
 *
 * DAND's generator (models/dand.h): latents are whitened principal components of the encoder's
 * features of the training pictures; the first layer, their inverse, is fixed; the rest learns to
 * draw the pictures from them against a discriminator.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli.h"
#include "models/dand.h"
#include "nn/layers.h"
#include "plugins/generator/common/weights_file.h"
#include "train/encoder.h"
#include "train/model.h"
#include "train/net.h"

#define SIDE    64
#define N_SHEET 32

struct dand_params {
    const char *encoder;
    int64_t latents;
    int64_t width;
    bool inverse_pca;
    int64_t feature_layers;
    int64_t feature_side;
    double lambda_adv, lambda_dis, lambda_fea, lambda_sti;
    bool sum;
    bool soft_labels;
};

static const struct ph_param params_table[] = {
    PH_PATH(struct dand_params, encoder, "", PH_PARAM_REQUIRED,
            "Model file of the encoder whose features the latents are made from."),
    PH_INT(struct dand_params, latents, 64, 2, 4096, "", 0,
           "Whitened principal components; 699 in the paper."),
    PH_INT(struct dand_params, width, 16, 4, 128, "channels", 0,
           "Channels before the last layer, 64 in the paper; the first has 8 times as many."),
    PH_BOOL(struct dand_params, inverse_pca, true, 0,
            "Begin with the fixed layer that turns latents back into features."),
    PH_INT(struct dand_params, feature_layers, 4, 1, PHI_VGG16_LAYERS, "layers", 0,
           "Convolutions of the encoder that the feature loss looks through; of VGG-16's 7 is "
           "relu3_3."),
    PH_INT(struct dand_params, feature_side, 0, 0, 448, "pixels", 0,
           "Side of the pictures that the feature loss compares, enlarged bilinearly; 0 is 64, as "
           "they are drawn."),
    PH_FLOAT(struct dand_params, lambda_adv, 1, 0, 1e6, "", 0, "Weight of the adversarial loss."),
    PH_FLOAT(struct dand_params, lambda_dis, 1, 0, 1e6, "", 0,
             "Weight of the discriminator's loss."),
    PH_FLOAT(struct dand_params, lambda_fea, 1, 0, 1e6, "", 0, "Weight of the feature loss."),
    PH_FLOAT(struct dand_params, lambda_sti, 1, 0, 1e6, "", 0, "Weight of the pixels' loss."),
    PH_BOOL(struct dand_params, sum, false, 0,
            "Squared norms summed over a picture instead of averaged."),
    PH_BOOL(struct dand_params, soft_labels, false, 0,
            "Show the discriminator 0.99 and 0.01 instead of 1 and 0."),
};

struct train_model {
    const struct dand_params *params;
    const struct train_data *data;
    struct train_encoder_layout encoder;
    size_t batch;
    float ema;
    struct phi_weights *weights, *average;
    struct phi_pca *pca;
    float *latents; /* [n pictures][n_latent] */
    float *z, *x;   /* the batch's */
    struct phi_dand_trainer *trainer;
    struct train_net draw; /* the generator in inference, for sheets */
    int draw_z, draw_out;
};

static bool show_encoding(void *context, size_t done, size_t total)
{
    (void)context;
    cli_progress("features", done, total);
    return !cli_interrupted();
}

/* Features of all pictures -> components -> latents of all pictures. */
static enum ph_status make_latents(struct train_model *m, struct ph_error *reterr)
{
    size_t n_features = train_encoder_features(m->weights);
    float *features = NULL;
    double *scores = NULL;
    enum ph_status status =
        train_encoder_run(m->weights, m->data, n_features, show_encoding, NULL, &features, reterr);

    cli_progress_end();
    if (status == PH_OK)
        status = phi_pca_fit(features, m->data->n, n_features, (size_t)m->params->latents, &m->pca,
                             reterr);
    if (status == PH_OK && m->pca->n_components < (size_t)m->params->latents)
        status = phi_error(reterr, PH_E_INVAL,
                           "the features of these pictures have only %zu components: lower "
                           "model.latents",
                           m->pca->n_components);
    if (status == PH_OK) {
        size_t n = m->data->n * m->pca->n_components;

        scores = phi_calloc(n, sizeof *scores);
        m->latents = phi_calloc(n, sizeof *m->latents);
        if (!scores || !m->latents) {
            status = phi_error_nomem(reterr, "latents", n * sizeof *scores);
        } else {
            phi_pca_whiten(m->pca, features, m->data->n, scores);
            for (size_t i = 0; i < n; i++)
                m->latents[i] = (float)scores[i];
        }
    }
    phi_free(scores);
    phi_free(features);
    return status;
}

static struct phi_dand_training training_of(const struct train_model *m,
                                            const struct recipe *recipe)
{
    const struct dand_params *p = m->params;

    return (struct phi_dand_training){.net = {.n_latent = (size_t)p->latents,
                                              .n_code = p->inverse_pca ? m->pca->n_features : 0,
                                              .width = (size_t)p->width},
                                      .features = {.layers = m->encoder.layers,
                                                   .n_layers = (int)p->feature_layers,
                                                   .side = (size_t)p->feature_side},
                                      .loss = {.lambda_dis = (float)p->lambda_dis,
                                               .lambda_adv = (float)p->lambda_adv,
                                               .lambda_fea = (float)p->lambda_fea,
                                               .lambda_sti = (float)p->lambda_sti,
                                               .sum = p->sum,
                                               .target_real = p->soft_labels ? 0.99f : 1,
                                               .target_fake = p->soft_labels ? 0.01f : 0},
                                      .optim = train_optim_config(recipe_optim(recipe)),
                                      .batch = m->batch,
                                      .seed = (uint64_t)recipe_run(recipe)->seed};
}

static enum ph_status prepare_drawing(struct train_model *m, const struct phi_dand_config *net,
                                      struct ph_error *reterr)
{
    enum ph_status status = phi_graph_create(&m->draw.graph);

    if (status != PH_OK)
        return phi_error_nomem(reterr, "a network", 0);
    m->draw_z = phi_graph_input(m->draw.graph, "z", PHI_SHAPE(N_SHEET, net->n_latent));
    m->draw_out = phi_dand_generator(m->draw.graph, net, m->draw_z, NULL);
    status = phi_graph_check(m->draw.graph, reterr);
    if (status == PH_OK)
        status = phi_tape_create(m->draw.graph, m->average ? m->average : m->weights, NULL,
                                 &m->draw.tape, reterr);
    return status;
}

static void dand_destroy(struct train_model **model)
{
    struct train_model *m = *model;

    train_net_fini(&m->draw);
    phi_dand_trainer_destroy(&m->trainer);
    phi_pca_destroy(&m->pca);
    phi_weights_destroy(&m->average);
    phi_weights_destroy(&m->weights);
    phi_free(m->latents);
    phi_free(m->z);
    phi_free(m->x);
    phi_free(m);
    *model = NULL;
}

static enum ph_status fill(struct train_model *m, const struct train_setup *setup,
                           struct ph_error *reterr)
{
    struct phi_dand_training training;
    enum ph_status status = phi_weights_create(&m->weights);

    m->z = phi_calloc2(m->batch, (size_t)m->params->latents, sizeof(float));
    m->x = phi_calloc2(m->batch, (size_t)3 * SIDE * SIDE, sizeof(float));
    if (status != PH_OK || !m->z || !m->x)
        return phi_error_nomem(reterr, "a batch", m->batch * 3 * SIDE * SIDE * sizeof(float));
    status = phi_weights_load(m->weights, m->params->encoder, "dand.f.", reterr);
    if (status == PH_OK && train_encoder_features(m->weights) == 0)
        status = phi_error(reterr, PH_E_FORMAT, "%s: this is no encoder", m->params->encoder);
    if (status == PH_OK)
        status = train_encoder_layout(m->weights, m->params->encoder, &m->encoder, reterr);
    if (status == PH_OK && m->params->feature_layers > m->encoder.n_layers)
        status = phi_error(reterr, PH_E_INVAL,
                           "model.feature_layers is %lld, the encoder has %d convolutions",
                           (long long)m->params->feature_layers, m->encoder.n_layers);
    if (status == PH_OK)
        status = make_latents(m, reterr);
    if (status == PH_OK)
        status = train_encoder_put_pca(m->weights, m->pca, reterr);
    if (status != PH_OK)
        return status;
    training = training_of(m, setup->recipe);
    status = phi_dand_trainer_create(m->weights, &training, &m->trainer, reterr);
    if (status == PH_OK && m->ema > 0)
        status = train_average_create(m->weights, &m->average, reterr);
    return status == PH_OK ? prepare_drawing(m, &training.net, reterr) : status;
}

static enum ph_status dand_create(const struct train_setup *setup, struct train_model **ret_model,
                                  struct ph_error *reterr)
{
    const struct train_data_params *data = recipe_data(setup->recipe);
    struct train_model *m;
    enum ph_status status;

    if (setup->data->size != SIDE || data->flip || data->crop)
        return phi_error(reterr, PH_E_INVAL,
                         "dand takes pictures of 64 x 64 as they are: latents belong to the "
                         "picture, so data.flip and data.crop must be off");
    m = phi_calloc(1, sizeof *m);
    if (!m)
        return phi_error_nomem(reterr, "a generator", sizeof *m);
    m->params = phi_params_values(setup->recipe->model);
    m->data = setup->data;
    m->batch = (size_t)recipe_run(setup->recipe)->batch;
    m->ema = (float)recipe_optim(setup->recipe)->ema;
    status = fill(m, setup, reterr);
    if (status != PH_OK) {
        dand_destroy(&m);
        return status;
    }
    *ret_model = m;
    return PH_OK;
}

static enum ph_status dand_step(struct train_model *m, const struct train_batch *batch,
                                uint64_t step, float factor, double *ret_losses)
{
    size_t p = (size_t)m->params->latents;
    float terms[PHI_DAND_N_TERMS];
    enum ph_status status;

    (void)step;
    for (size_t i = 0; i < m->batch; i++)
        memcpy(m->z + i * p, m->latents + batch->index[i] * p, p * sizeof *m->z);
    for (size_t i = 0; i < m->batch * 3 * SIDE * SIDE; i++)
        m->x[i] = 2 * batch->images[i] - 1;
    status = phi_dand_trainer_step(m->trainer, m->z, m->x, factor, terms);
    if (status != PH_OK)
        return status;
    if (m->average)
        phi_ema_update(m->average, m->weights, m->ema);
    for (int i = 0; i < PHI_DAND_N_TERMS; i++)
        ret_losses[i] = (double)terms[i];
    return PH_OK;
}

/* Odd rows: the first training pictures; the row under each: drawn from their latents. */
static enum ph_status dand_sample(struct train_model *m, size_t n, uint8_t *rgb)
{
    static const float signed_range[2] = {-1, 1};
    size_t p = (size_t)m->params->latents;
    size_t side = n * SIDE;

    for (size_t row = 0; row < n; row++) {
        size_t first = row / 2 * n % m->data->n;
        enum ph_status status;

        for (size_t k = 0; k < n && k < N_SHEET; k++) {
            size_t i = (first + k) % m->data->n;

            memcpy(phi_tape_value(m->draw.tape, m->draw_z) + k * p, m->latents + i * p,
                   p * sizeof(float));
            for (size_t y = 0; row % 2 == 0 && y < SIDE; y++)
                memcpy(rgb + ((row * SIDE + y) * side + k * SIDE) * 3,
                       m->data->pixels + (i * SIDE + y) * SIDE * 3, (size_t)SIDE * 3);
        }
        if (row % 2 == 0)
            continue;
        status = phi_tape_forward(m->draw.tape, false);
        if (status != PH_OK)
            return status;
        for (size_t k = 0; k < n && k < N_SHEET; k++)
            train_place(rgb, n, row * n + k,
                        phi_tape_value(m->draw.tape, m->draw_out) + k * 3 * SIDE * SIDE,
                        (const size_t[2]){SIDE, SIDE}, signed_range);
    }
    return PH_OK;
}

static void dand_state(struct train_model *m, struct train_state *ret_state)
{
    ret_state->stores[ret_state->n_stores].name = "weights";
    ret_state->stores[ret_state->n_stores++].weights = m->weights;
    if (m->average) {
        ret_state->stores[ret_state->n_stores].name = "average";
        ret_state->stores[ret_state->n_stores++].weights = m->average;
    }
    ret_state->optims[ret_state->n_optims++] = phi_dand_trainer_optim_d(m->trainer);
    ret_state->optims[ret_state->n_optims++] = phi_dand_trainer_optim_g(m->trainer);
}

static enum ph_status dand_export(struct train_model *m, struct train_export *ret_export,
                                  struct ph_error *reterr)
{
    struct phi_weights *weights = m->average ? m->average : m->weights;

    (void)reterr;
    ret_export->weights = weights;
    ret_export->prefix = "dand.";
    ret_export->left_out = "dand.d.";
    train_note(ret_export, "phosphene.kind", "dand");
    train_note(ret_export, "phosphene.version", "1");
    train_note(ret_export, "dand.latents", "%lld", (long long)m->params->latents);
    train_note(ret_export, "dand.code", "%zu", m->params->inverse_pca ? m->pca->n_features : 0);
    train_note(ret_export, "dand.width", "%lld", (long long)m->params->width);
    train_note(ret_export, "dand.bn_eps", "2e-5");
    train_note(ret_export, "dand.features", "%zu", m->pca->n_features);
    train_note(ret_export, "picture", "3x64x64 in -1..1");
    return PH_OK;
}

const struct train_model_type train_dand = {
    .section = {.struct_size = sizeof(struct ph_stage_type),
                .id = "model/dand",
                .summary = "adversarially trained generator of faces from latents",
                .n_params = sizeof params_table / sizeof *params_table,
                .params = params_table,
                .params_size = sizeof(struct dand_params)},
    .losses = {"dis", "adv", "fea", "sti", "gen"},
    .create = dand_create,
    .step = dand_step,
    .sample = dand_sample,
    .state = dand_state,
    .export = dand_export,
    .destroy = dand_destroy,
};
