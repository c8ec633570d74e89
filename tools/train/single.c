/* SPDX-License-Identifier: MIT */
#include "train/single.h"

#include "base/error.h"

enum ph_status train_single_init(struct train_single *single, const struct recipe *recipe,
                                 struct ph_error *reterr)
{
    single->seed = (uint64_t)recipe_run(recipe)->seed;
    single->clip_norm = recipe_optim(recipe)->clip_norm;
    single->ema = (float)recipe_optim(recipe)->ema;
    if (phi_weights_create(&single->weights) != PH_OK ||
        phi_graph_create(&single->net.graph) != PH_OK)
        return phi_error_nomem(reterr, "a network", 0);
    return PH_OK;
}

enum ph_status train_single_finish(struct train_single *single, const struct recipe *recipe,
                                   struct ph_error *reterr)
{
    const struct phi_tape_options options = {.train_prefix = "",
                                             .seed = single->seed,
                                             .lean = true,
                                             .recompute = recipe_run(recipe)->recompute};
    const struct phi_optim_config config = train_optim_config(recipe_optim(recipe));
    enum ph_status status =
        train_net_finish(&single->net, single->weights, &options, single->seed, reterr);

    if (status == PH_OK && single->ema > 0)
        status = train_average_create(single->weights, &single->average, reterr);
    if (status == PH_OK)
        status = phi_optim_create(single->weights, "", &config, &single->optim, reterr);
    return status;
}

enum ph_status train_single_step(struct train_single *single, int loss, float factor)
{
    enum ph_status status;

    phi_weights_zero_grads(single->weights, "");
    status = phi_tape_forward(single->net.tape, true);
    if (status == PH_OK)
        status = phi_tape_backward_from(single->net.tape, loss);
    if (status != PH_OK)
        return status;
    if (single->clip_norm > 0)
        (void)phi_optim_clip(single->weights, "", single->clip_norm);
    phi_optim_step(single->optim, factor);
    if (single->average)
        phi_ema_update(single->average, single->weights, single->ema);
    return PH_OK;
}

struct phi_weights *train_single_best(const struct train_single *single)
{
    return single->average ? single->average : single->weights;
}

void train_single_state(const struct train_single *single, struct train_state *ret_state)
{
    ret_state->stores[ret_state->n_stores].name = "weights";
    ret_state->stores[ret_state->n_stores++].weights = single->weights;
    if (single->average) {
        ret_state->stores[ret_state->n_stores].name = "average";
        ret_state->stores[ret_state->n_stores++].weights = single->average;
    }
    ret_state->optims[ret_state->n_optims++] = single->optim;
}

void train_single_fini(struct train_single *single)
{
    phi_optim_destroy(&single->optim);
    train_net_fini(&single->net);
    phi_weights_destroy(&single->average);
    phi_weights_destroy(&single->weights);
}
