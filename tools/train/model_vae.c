/* SPDX-License-Identifier: MIT
 *
 * The small convolutional VAE of 64x64 pictures (models/vae.h). The bound is per picture: squared
 * error over 2 sigma^2 summed over pixels (a Gaussian decoder of fixed sd), plus the KL divergence.
 */
#include "base/error.h"
#include "base/mem.h"
#include "models/vae.h"
#include "nn/losses.h"
#include "train/single.h"

#define SIDE 64

struct vae_params {
    int64_t latents;
    int64_t width;
    double pixel_sd;
    double kl_weight;
    int64_t kl_warmup;
    bool norm;
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
    PH_BOOL(struct vae_params, norm, true, 0,
            "Batch norm between the layers: sharper pictures after as many steps."),
};

struct train_model {
    const struct vae_params *params;
    size_t batch;
    struct train_single net;
    int x, eps, kl_factor; /* inputs */
    int rec, kl, loss;     /* outputs */
    struct train_net draw; /* the decoder alone, for sheets */
    int draw_z, draw_out;
    size_t draw_batch;
};

static struct phi_cvae_config config_of(const struct vae_params *params)
{
    return (struct phi_cvae_config){(size_t)params->width, (size_t)params->latents, params->norm};
}

static void build_training(struct train_model *m)
{
    const struct phi_cvae_config config = config_of(m->params);
    struct phi_graph *g = m->net.net.graph;
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
    m->rec = phi_graph_keep(g, phi_graph_scale(g, phi_loss_mse_sum(g, picture, m->x), weight));
    m->kl = phi_graph_keep(
        g, phi_graph_mean_all(g, phi_loss_kl_standard(g, posterior.mean, posterior.logvar)));
    weighted = phi_graph_mul(g, m->kl, m->kl_factor);
    m->loss = phi_graph_add(g, m->rec, weighted);
}

static enum ph_status build_drawing(struct train_model *m, struct ph_error *reterr)
{
    const struct phi_cvae_config config = config_of(m->params);
    struct phi_graph *graph;

    if (phi_graph_create(&m->draw.graph) != PH_OK)
        return phi_error_nomem(reterr, "a network", 0);
    graph = m->draw.graph;
    m->draw_batch = 32;
    m->draw_z = phi_graph_input(graph, "z", PHI_SHAPE(m->draw_batch, config.n_latent));
    m->draw_out = phi_graph_sigmoid(graph, phi_cvae_decode(graph, &config, m->draw_z));
    return phi_tape_create(graph, train_single_best(&m->net), NULL, &m->draw.tape, reterr);
}

static void vae_destroy(struct train_model **model)
{
    train_net_fini(&(*model)->draw);
    train_single_fini(&(*model)->net);
    phi_free(*model);
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
    m->batch = (size_t)run->batch;
    status = train_single_init(&m->net, setup->recipe, reterr);
    if (status == PH_OK) {
        build_training(m);
        status = train_single_finish(&m->net, setup->recipe, reterr);
    }
    if (status == PH_OK)
        status = build_drawing(m, reterr);
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
    struct phi_tape *tape = m->net.net.tape;
    struct phi_rng rng;
    float weight = (float)m->params->kl_weight;
    enum ph_status status;

    if (m->params->kl_warmup > 0 && step < (uint64_t)m->params->kl_warmup)
        weight *= (float)step / (float)m->params->kl_warmup;
    phi_rng_init(&rng, m->net.seed ^ 0x7ae, step);
    phi_rng_normal_f32(&rng, phi_tape_value(tape, m->eps), m->batch * (size_t)m->params->latents);
    phi_tape_set(tape, m->x, batch->images);
    phi_tape_set(tape, m->kl_factor, &weight);
    status = train_single_step(&m->net, m->loss, factor);
    ret_losses[0] = (double)phi_tape_value(tape, m->loss)[0];
    ret_losses[1] = (double)phi_tape_value(tape, m->rec)[0];
    ret_losses[2] = (double)phi_tape_value(tape, m->kl)[0];
    return status;
}

static enum ph_status vae_sample(struct train_model *m, size_t n, uint8_t *rgb)
{
    static const float unit_range[2] = {0, 1};
    size_t n_latent = (size_t)m->params->latents;
    struct phi_rng rng;
    enum ph_status status = PH_OK;

    phi_rng_init(&rng, 1, 0); /* the same latents on every sheet, so that one sees them improve */
    for (size_t first = 0; first < n * n && status == PH_OK; first += m->draw_batch) {
        phi_rng_normal_f32(&rng, phi_tape_value(m->draw.tape, m->draw_z), m->draw_batch * n_latent);
        status = phi_tape_forward(m->draw.tape, false);
        for (size_t i = first; status == PH_OK && i < n * n && i < first + m->draw_batch; i++)
            train_place(rgb, n, i,
                        phi_tape_value(m->draw.tape, m->draw_out) + (i - first) * 3 * SIDE * SIDE,
                        (const size_t[2]){SIDE, SIDE}, unit_range);
    }
    return status;
}

static void vae_state(struct train_model *m, struct train_state *ret_state)
{
    train_single_state(&m->net, ret_state);
}

static enum ph_status vae_export(struct train_model *m, struct train_export *ret_export,
                                 struct ph_error *reterr)
{
    (void)reterr;
    ret_export->weights = train_single_best(&m->net);
    ret_export->prefix = "cvae.";
    train_note(ret_export, "phosphene.kind", "cvae");
    train_note(ret_export, "phosphene.version", "1");
    train_note(ret_export, "cvae.width", "%lld", (long long)m->params->width);
    train_note(ret_export, "cvae.latents", "%lld", (long long)m->params->latents);
    train_note(ret_export, "cvae.norm", "%d", m->params->norm);
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
