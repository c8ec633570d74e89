/* SPDX-License-Identifier: MIT
 * One adversarial step. Three tapes share the parameters: the generator; the discriminator alone,
 * run on real and then on generated pictures with gradients that add up; and the critic, which
 * holds the discriminator fixed and gives the gradient of the generator's loss w.r.t. its picture.
 * So the generator runs once a step and its running statistics move once. */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "models/dand.h"
#include "nn/init.h"
#include "nn/layers.h"
#include "nn/losses.h"

#define INIT_SD 0.02f

struct part {
    struct phi_graph *graph;
    struct phi_tape *tape;
};

struct phi_dand_trainer {
    struct phi_dand_training t;
    struct phi_weights *params;
    struct part generator, judge, critic;
    int z, picture;                            /* generator */
    int x, target, loss;                       /* judge */
    int fake, real, logit, adv, fea, sti, gen; /* critic */
    struct phi_optim *optim_d, *optim_g;
};

static struct phi_shape pictures(const struct phi_dand_trainer *trainer)
{
    return PHI_SHAPE(trainer->t.batch, 3, PHI_DAND_SIDE, PHI_DAND_SIDE);
}

static void build_generator(struct phi_dand_trainer *trainer)
{
    struct phi_graph *graph = trainer->generator.graph;

    trainer->z = phi_graph_input(graph, "z", PHI_SHAPE(trainer->t.batch, trainer->t.net.n_latent));
    trainer->picture = phi_dand_generator(graph, &trainer->t.net, trainer->z, NULL);
}

/* -log psi for a target of 1 and -log(1 - psi) for one of 0, averaged over the batch. */
static int verdict(struct phi_graph *graph, int logit, int target, float lambda)
{
    return phi_graph_scale(
        graph, phi_graph_mean_all(graph, phi_loss_bce_logits(graph, logit, target)), lambda);
}

static void build_judge(struct phi_dand_trainer *trainer)
{
    struct phi_graph *graph = trainer->judge.graph;
    int logit;

    trainer->x = phi_graph_input(graph, "x", pictures(trainer));
    trainer->target = phi_graph_input(graph, "target", PHI_SHAPE(1));
    logit = phi_dand_discriminator(graph, &trainer->t.net, trainer->x);
    trainer->loss = verdict(graph, logit, trainer->target, trainer->t.loss.lambda_dis);
}

/* The squared distance of two batches, averaged over elements or summed per picture. */
static int distance(struct phi_graph *graph, const struct phi_dand_trainer *trainer, int a, int b)
{
    if (!trainer->t.loss.sum)
        return phi_loss_mse_mean(graph, a, b);
    return phi_graph_scale(graph, phi_loss_mse_sum(graph, a, b), 1.0f / (float)trainer->t.batch);
}

/* 0 without a network of features, which leaves a plain adversarial step. */
static int feature_loss(struct phi_dand_trainer *trainer)
{
    struct phi_graph *graph = trainer->critic.graph;
    int fake, real;

    if (trainer->t.features.n_layers == 0)
        return phi_graph_constant(graph, PHI_SHAPE(1), NULL);
    fake = phi_dand_feature_network(graph, &trainer->t.features, trainer->fake);
    real = phi_dand_feature_network(graph, &trainer->t.features, trainer->real);
    (void)phi_graph_name(graph, real, "real features");
    return distance(graph, trainer, real, fake);
}

static void build_critic(struct phi_dand_trainer *trainer)
{
    const struct phi_dand_loss *loss = &trainer->t.loss;
    struct phi_graph *graph = trainer->critic.graph;
    const float one = 1;
    int sum;

    trainer->fake = phi_graph_input(graph, "fake", pictures(trainer));
    trainer->real = phi_graph_input(graph, "real", pictures(trainer));
    trainer->logit = phi_dand_discriminator(graph, &trainer->t.net, trainer->fake);
    trainer->adv = verdict(graph, trainer->logit, phi_graph_constant(graph, PHI_SHAPE(1), &one), 1);
    trainer->fea = feature_loss(trainer);
    trainer->sti = distance(graph, trainer, trainer->real, trainer->fake);
    sum = phi_graph_add(graph, phi_graph_scale(graph, trainer->adv, loss->lambda_adv),
                        phi_graph_scale(graph, trainer->fea, loss->lambda_fea));
    trainer->gen =
        phi_graph_add(graph, sum, phi_graph_scale(graph, trainer->sti, loss->lambda_sti));
    (void)phi_graph_name(graph, trainer->logit, "logit");
    (void)phi_graph_name(graph, trainer->adv, "adv");
    (void)phi_graph_name(graph, trainer->fea, "fea");
    (void)phi_graph_name(graph, trainer->sti, "sti");
    (void)phi_graph_name(graph, trainer->gen, "gen");
}

/* Makes the missing parameters of a part and its tape. */
static enum ph_status finish_part(struct phi_dand_trainer *trainer, struct part *part,
                                  const struct phi_tape_options *options, struct ph_error *reterr)
{
    enum ph_status status = phi_graph_check(part->graph, reterr);

    if (status == PH_OK)
        status = phi_init_graph(trainer->params, part->graph, PHI_INIT_NORMAL, INIT_SD,
                                trainer->t.seed, reterr);
    if (status != PH_OK)
        return status;
    phi_weights_freeze(trainer->params, "dand.g.fc.", true);
    phi_weights_freeze(trainer->params, "dand.f.", true);
    return phi_tape_create(part->graph, trainer->params, options, &part->tape, reterr);
}

static enum ph_status create_graphs(struct phi_dand_trainer *trainer, struct ph_error *reterr)
{
    struct part *const part[3] = {&trainer->generator, &trainer->judge, &trainer->critic};

    for (int i = 0; i < 3; i++) {
        if (phi_graph_create(&part[i]->graph) != PH_OK)
            return phi_error_nomem(reterr, "a network", 1);
    }
    build_generator(trainer);
    build_judge(trainer);
    build_critic(trainer);
    return PH_OK;
}

static enum ph_status build(struct phi_dand_trainer *trainer, struct ph_error *reterr)
{
    const struct phi_tape_options g = {.train_prefix = "dand.g.", .lean = true};
    const struct phi_tape_options d = {.train_prefix = "dand.d.", .lean = true};
    const struct phi_tape_options critic = {.input_grads = true, .lean = true};
    const struct phi_optim_config *optim = &trainer->t.optim;
    enum ph_status status = create_graphs(trainer, reterr);

    if (status == PH_OK)
        status = finish_part(trainer, &trainer->generator, &g, reterr);
    if (status == PH_OK)
        status = finish_part(trainer, &trainer->judge, &d, reterr);
    if (status == PH_OK)
        status = finish_part(trainer, &trainer->critic, &critic, reterr);
    if (status == PH_OK)
        status = phi_optim_create(trainer->params, "dand.d.", optim, &trainer->optim_d, reterr);
    if (status == PH_OK)
        status = phi_optim_create(trainer->params, "dand.g.", optim, &trainer->optim_g, reterr);
    return status;
}

enum ph_status phi_dand_trainer_create(struct phi_weights *params,
                                       const struct phi_dand_training *training,
                                       struct phi_dand_trainer **ret_trainer,
                                       struct ph_error *reterr)
{
    struct phi_dand_trainer *trainer = phi_calloc(1, sizeof *trainer);
    enum ph_status status;

    if (!trainer)
        return phi_error_nomem(reterr, "a trainer", sizeof *trainer);
    trainer->t = *training;
    trainer->params = params;
    status = build(trainer, reterr);
    if (status != PH_OK)
        phi_dand_trainer_destroy(&trainer);
    else
        *ret_trainer = trainer;
    return status;
}

void phi_dand_trainer_destroy(struct phi_dand_trainer **trainer)
{
    struct phi_dand_trainer *t = trainer ? *trainer : NULL;

    if (!t)
        return;
    struct part *const part[3] = {&t->generator, &t->judge, &t->critic};

    for (int i = 0; i < 3; i++) {
        phi_tape_destroy(&part[i]->tape);
        phi_graph_destroy(&part[i]->graph);
    }
    phi_optim_destroy(&t->optim_d);
    phi_optim_destroy(&t->optim_g);
    phi_free(t);
    *trainer = NULL;
}

/* The discriminator's loss on one batch; its gradients are added up in the store. */
static enum ph_status judge(struct phi_dand_trainer *trainer, const float *x, float target,
                            float *loss)
{
    struct phi_tape *tape = trainer->judge.tape;
    enum ph_status status;

    phi_tape_set(tape, trainer->x, x);
    *phi_tape_value(tape, trainer->target) = target;
    status = phi_tape_forward(tape, true);
    if (status == PH_OK)
        status = phi_tape_backward_from(tape, trainer->loss);
    *loss += *phi_tape_value(tape, trainer->loss);
    return status;
}

/* The generator's loss through the updated discriminator, and back through both. */
static enum ph_status criticise(struct phi_dand_trainer *trainer, const float *x)
{
    struct phi_tape *critic = trainer->critic.tape, *generator = trainer->generator.tape;
    enum ph_status status;

    phi_tape_set(critic, trainer->fake, phi_tape_value(generator, trainer->picture));
    phi_tape_set(critic, trainer->real, x);
    status = phi_tape_forward(critic, true);
    if (status == PH_OK)
        status = phi_tape_backward_from(critic, trainer->gen);
    phi_tape_clear(generator);
    phi_tape_seed(generator, trainer->picture, phi_tape_grad(critic, trainer->fake));
    return status == PH_OK ? phi_tape_backward(generator) : status;
}

enum ph_status phi_dand_trainer_step(struct phi_dand_trainer *trainer, const float *z,
                                     const float *x, float factor, float *ret_terms)
{
    const struct phi_tape *critic = trainer->critic.tape;
    enum ph_status status;
    float dis = 0;

    phi_weights_zero_grads(trainer->params, "dand.");
    phi_tape_set(trainer->generator.tape, trainer->z, z);
    status = phi_tape_forward(trainer->generator.tape, true);
    if (status == PH_OK)
        status = judge(trainer, x, trainer->t.loss.target_real, &dis);
    if (status == PH_OK)
        status = judge(trainer, phi_dand_trainer_fake(trainer), trainer->t.loss.target_fake, &dis);
    if (status != PH_OK)
        return status;
    phi_optim_step(trainer->optim_d, factor);
    status = criticise(trainer, x);
    if (status != PH_OK)
        return status;
    phi_optim_step(trainer->optim_g, factor);
    ret_terms[PHI_DAND_DIS] = dis;
    ret_terms[PHI_DAND_ADV] = *phi_tape_value(critic, trainer->adv);
    ret_terms[PHI_DAND_FEA] = *phi_tape_value(critic, trainer->fea);
    ret_terms[PHI_DAND_STI] = *phi_tape_value(critic, trainer->sti);
    ret_terms[PHI_DAND_GEN] = *phi_tape_value(critic, trainer->gen);
    return PH_OK;
}

const float *phi_dand_trainer_fake(const struct phi_dand_trainer *trainer)
{
    return phi_tape_value(trainer->generator.tape, trainer->picture);
}

struct phi_optim *phi_dand_trainer_optim_d(struct phi_dand_trainer *trainer)
{
    return trainer->optim_d;
}

struct phi_optim *phi_dand_trainer_optim_g(struct phi_dand_trainer *trainer)
{
    return trainer->optim_g;
}

struct phi_tape *phi_dand_trainer_critic(struct phi_dand_trainer *trainer,
                                         const struct phi_graph **ret_graph)
{
    *ret_graph = trainer->critic.graph;
    return trainer->critic.tape;
}
