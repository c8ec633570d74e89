/* SPDX-License-Identifier: MIT
 *
 * The small convolutional VAE of 64x64 pictures (models/vae.h). The bound is per picture: squared
 * error over 2 sigma^2 summed over pixels (a Gaussian decoder of fixed sd), plus the KL divergence.
 */
#include "base/error.h"
#include "base/mem.h"
#include "models/vae.h"
#include "nn/init.h"
#include "nn/losses.h"
#include "nn/tape.h"
#include "train/model.h"
#include "train/net.h"

#define SIDE 64

struct vae_params {
    int64_t latents;
    int64_t width;
    double pixel_sd;
    double kl_weight;
    int64_t kl_warmup;
};

static const struct ph_param params_table[] = {
    PH_INT(struct vae_params, latents, 64, 2, 512, "", 0, "Components of the latent."),
    PH_INT(struct vae_params, width, 24, 4, 128, "channels", 0,
           "Of the first convolution; the others have 2, 4 and 8 times as many."),
    PH_FLOAT(struct vae_params, pixel_sd, 0.1, 0.001, 10, "", 0,
             "Standard deviation of a pixel around its mean, in a range of 0..1."),
    PH_FLOAT(struct vae_params, kl_weight, 1, 0, 100, "", 0,
             "Of the KL divergence; 1 is the bound itself."),
    PH_INT(struct vae_params, kl_warmup, 0, 0, 1e9, "steps", 0,
           "Rise of the KL divergence's weight from 0."),
};

struct train_model {
    const struct vae_params *params;
    uint64_t seed;
    size_t batch;
    double clip_norm;
    float ema;
    struct phi_weights *weights, *average;
    struct phi_graph *graph;
    struct phi_tape *tape;
    struct phi_optim *optim;
    int x, eps, kl_factor;        /* inputs */
    int rec, kl, loss;            /* outputs */
    struct phi_graph *draw_graph; /* the decoder alone, for sheets */
    struct phi_tape *draw_tape;
    int draw_z, draw_out;
    size_t draw_batch;
};

static void build_training(struct train_model *m)
{
    const struct phi_cvae_config config = {(size_t)m->params->width, (size_t)m->params->latents};
    struct phi_graph *g = m->graph;
    float weight = (float)(0.5 / (m->params->pixel_sd * m->params->pixel_sd) / (double)m->batch);
    struct phi_vae_posterior posterior;
    int picture;
    int weighted;

    m->x = phi_graph_input(g, "x", PHI_SHAPE(m->batch, 3, SIDE, SIDE));
    m->eps = phi_graph_input(g, "eps", PHI_SHAPE(m->batch, config.n_latent));
    m->kl_factor = phi_graph_input(g, "kl_factor", PHI_SHAPE(1));
    posterior = phi_cvae_encode(g, &config, m->x);
    picture =
        phi_graph_sigmoid(g, phi_cvae_decode(g, &config, phi_vae_sample(g, &posterior, m->eps)));
    m->rec = phi_graph_scale(g, phi_loss_mse_sum(g, picture, m->x), weight);
    m->kl = phi_graph_mean_all(g, phi_loss_kl_standard(g, posterior.mean, posterior.logvar));
    weighted = phi_graph_mul(g, m->kl, m->kl_factor);
    m->loss = phi_graph_add(g, m->rec, weighted);
}

static enum ph_status build_drawing(struct train_model *m, struct ph_error *reterr)
{
    const struct phi_cvae_config config = {(size_t)m->params->width, (size_t)m->params->latents};

    m->draw_batch = 32;
    m->draw_z = phi_graph_input(m->draw_graph, "z", PHI_SHAPE(m->draw_batch, config.n_latent));
    m->draw_out =
        phi_graph_sigmoid(m->draw_graph, phi_cvae_decode(m->draw_graph, &config, m->draw_z));
    return phi_tape_create(m->draw_graph, m->average ? m->average : m->weights, NULL, &m->draw_tape,
                           reterr);
}

static enum ph_status fill(struct train_model *m, const struct train_optim_params *optim,
                           struct ph_error *reterr)
{
    const struct phi_tape_options options = {.train_prefix = ""};
    const struct phi_optim_config config = train_optim_config(optim);
    enum ph_status status = phi_weights_create(&m->weights);

    if (status == PH_OK)
        status = phi_graph_create(&m->graph);
    if (status == PH_OK)
        status = phi_graph_create(&m->draw_graph);
    if (status != PH_OK)
        return phi_error_nomem(reterr, "a network", 0);
    build_training(m);
    status = phi_graph_check(m->graph, reterr);
    if (status == PH_OK)
        status = phi_init_graph(m->weights, m->graph, PHI_INIT_GLOROT_UNIFORM, 1, m->seed, reterr);
    if (status == PH_OK && m->ema > 0)
        status = train_average_create(m->weights, &m->average, reterr);
    if (status == PH_OK)
        status = phi_tape_create(m->graph, m->weights, &options, &m->tape, reterr);
    if (status == PH_OK)
        status = phi_optim_create(m->weights, "", &config, &m->optim, reterr);
    return status == PH_OK ? build_drawing(m, reterr) : status;
}

static void vae_destroy(struct train_model **model)
{
    struct train_model *m = *model;

    phi_tape_destroy(&m->draw_tape);
    phi_tape_destroy(&m->tape);
    phi_optim_destroy(&m->optim);
    phi_graph_destroy(&m->draw_graph);
    phi_graph_destroy(&m->graph);
    phi_weights_destroy(&m->average);
    phi_weights_destroy(&m->weights);
    phi_free(m);
    *model = NULL;
}

static enum ph_status vae_create(const struct train_setup *setup, struct train_model **ret_model,
                                 struct ph_error *reterr)
{
    const struct train_run_params *run = recipe_run(setup->recipe);
    struct train_model *m;
    enum ph_status status;

    if (setup->data->size != SIDE)
        return phi_error(reterr, PH_E_SHAPE, "the vae takes pictures of 64 x 64: data.size is %zu",
                         setup->data->size);
    m = phi_calloc(1, sizeof *m);
    if (!m)
        return phi_error_nomem(reterr, "a vae", sizeof *m);
    m->params = phi_params_values(setup->recipe->model);
    m->seed = (uint64_t)run->seed;
    m->batch = (size_t)run->batch;
    m->clip_norm = recipe_optim(setup->recipe)->clip_norm;
    m->ema = (float)recipe_optim(setup->recipe)->ema;
    status = fill(m, recipe_optim(setup->recipe), reterr);
    if (status != PH_OK) {
        vae_destroy(&m);
        return status;
    }
    *ret_model = m;
    return PH_OK;
}

static enum ph_status vae_step(struct train_model *m, const struct train_batch *batch,
                               uint64_t step, float factor, double *ret_losses)
{
    struct phi_rng rng;
    float weight = (float)m->params->kl_weight;
    enum ph_status status;

    if (m->params->kl_warmup > 0 && step < (uint64_t)m->params->kl_warmup)
        weight *= (float)step / (float)m->params->kl_warmup;
    phi_rng_init(&rng, m->seed ^ 0x7ae, step);
    phi_rng_normal_f32(&rng, phi_tape_value(m->tape, m->eps),
                       m->batch * (size_t)m->params->latents);
    phi_tape_set(m->tape, m->x, batch->images);
    phi_tape_set(m->tape, m->kl_factor, &weight);
    phi_weights_zero_grads(m->weights, "");
    status = phi_tape_forward(m->tape, true);
    if (status == PH_OK)
        status = phi_tape_backward_from(m->tape, m->loss);
    if (status != PH_OK)
        return status;
    if (m->clip_norm > 0)
        (void)phi_optim_clip(m->weights, "", m->clip_norm);
    phi_optim_step(m->optim, factor);
    if (m->average)
        phi_ema_update(m->average, m->weights, m->ema);
    ret_losses[0] = (double)phi_tape_value(m->tape, m->loss)[0];
    ret_losses[1] = (double)phi_tape_value(m->tape, m->rec)[0];
    ret_losses[2] = (double)phi_tape_value(m->tape, m->kl)[0];
    return PH_OK;
}

static enum ph_status vae_sample(struct train_model *m, size_t n, uint8_t *rgb)
{
    static const float unit_range[2] = {0, 1};
    size_t n_latent = (size_t)m->params->latents;
    struct phi_rng rng;
    enum ph_status status = PH_OK;

    phi_rng_init(&rng, 1, 0); /* the same latents on every sheet, so that one sees them improve */
    for (size_t first = 0; first < n * n && status == PH_OK; first += m->draw_batch) {
        phi_rng_normal_f32(&rng, phi_tape_value(m->draw_tape, m->draw_z), m->draw_batch * n_latent);
        status = phi_tape_forward(m->draw_tape, false);
        for (size_t i = first; status == PH_OK && i < n * n && i < first + m->draw_batch; i++)
            train_place(rgb, n, i,
                        phi_tape_value(m->draw_tape, m->draw_out) + (i - first) * 3 * SIDE * SIDE,
                        SIDE, unit_range);
    }
    return status;
}

static void vae_state(struct train_model *m, struct train_state *ret_state)
{
    ret_state->stores[ret_state->n_stores].name = "weights";
    ret_state->stores[ret_state->n_stores++].weights = m->weights;
    if (m->average) {
        ret_state->stores[ret_state->n_stores].name = "average";
        ret_state->stores[ret_state->n_stores++].weights = m->average;
    }
    ret_state->optims[ret_state->n_optims++] = m->optim;
}

static enum ph_status vae_export(struct train_model *m, struct train_export *ret_export,
                                 struct ph_error *reterr)
{
    (void)reterr;
    ret_export->weights = m->average ? m->average : m->weights;
    ret_export->prefix = "cvae.";
    train_note(ret_export, "phosphene.kind", "cvae");
    train_note(ret_export, "phosphene.version", "1");
    train_note(ret_export, "cvae.width", "%lld", (long long)m->params->width);
    train_note(ret_export, "cvae.latents", "%lld", (long long)m->params->latents);
    train_note(ret_export, "picture", "3x64x64 in 0..1");
    return PH_OK;
}

const struct train_model_type train_vae = {
    .section = {.struct_size = sizeof(struct ph_stage_type),
                .id = "model/vae",
                .summary = "small convolutional variational auto-encoder, 64 x 64",
                .n_params = sizeof params_table / sizeof *params_table,
                .params = params_table,
                .params_size = sizeof(struct vae_params)},
    .losses = {"loss", "rec", "kl"},
    .create = vae_create,
    .step = vae_step,
    .sample = vae_sample,
    .state = vae_state,
    .export = vae_export,
    .destroy = vae_destroy,
};
