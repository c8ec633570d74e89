/* SPDX-License-Identifier: MIT */
#include "models/dand_live.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "nn/init.h"

struct phi_dand_live {
    struct phi_plan *plan;
    size_t n_latent;
    int z, picture;
};

static enum ph_status build(struct phi_dand_live *live, const struct phi_weights *weights,
                            const struct phi_dand_config *config,
                            const struct phi_plan_options *options, struct ph_error *reterr)
{
    struct phi_graph *graph = NULL;
    struct phi_plan_request request = {
        .weights = weights, .outputs = &live->picture, .n_outputs = 1};
    enum ph_status status;

    if (phi_graph_create(&graph) != PH_OK)
        return phi_error_nomem(reterr, "a generator", 1);
    live->n_latent = config->n_latent;
    live->z = phi_graph_input(graph, "z", PHI_SHAPE(1, config->n_latent));
    live->picture = phi_dand_generator(graph, config, live->z, NULL);
    request.graph = graph;
    status = phi_graph_check(graph, reterr);
    if (status == PH_OK)
        status = phi_plan_create(&request, options, &live->plan, reterr);
    if (status == PH_OK)
        status = phi_weights_check_used(weights, graph, "dand.g.", reterr);
    phi_graph_destroy(&graph);
    return status;
}

enum ph_status phi_dand_live_create(const struct phi_weights *weights,
                                    const struct phi_dand_config *config,
                                    const struct phi_plan_options *options,
                                    struct phi_dand_live **ret_live, struct ph_error *reterr)
{
    struct phi_dand_live *live = phi_calloc(1, sizeof *live);
    enum ph_status status;

    if (!live)
        return phi_error_nomem(reterr, "a generator", sizeof *live);
    status = build(live, weights, config, options, reterr);
    if (status != PH_OK)
        phi_dand_live_destroy(&live);
    else
        *ret_live = live;
    return status;
}

void phi_dand_live_destroy(struct phi_dand_live **live)
{
    if (!live || !*live)
        return;
    phi_plan_destroy(&(*live)->plan);
    phi_free(*live);
    *live = NULL;
}

static void begin(struct phi_dand_live *live, const float *z)
{
    phi_plan_abandon(live->plan);
    memcpy(phi_plan_input(live->plan, live->z), z, live->n_latent * sizeof *z);
}

enum ph_status phi_dand_live_run(struct phi_dand_live *live, const float *z,
                                 const float **ret_picture)
{
    enum ph_status status;

    begin(live, z);
    status = phi_plan_run(live->plan);
    if (status == PH_OK)
        *ret_picture = phi_plan_output(live->plan, live->picture);
    return status;
}

enum ph_status phi_dand_live_run_until(struct phi_dand_live *live, const float *z,
                                       int64_t deadline_ns, const float **ret_picture)
{
    enum ph_status status;

    if (z)
        begin(live, z);
    status = phi_plan_run_until(live->plan, deadline_ns);
    if (status == PH_OK)
        *ret_picture = phi_plan_output(live->plan, live->picture);
    return status;
}

const struct phi_plan *phi_dand_live_plan(const struct phi_dand_live *live)
{
    return live->plan;
}
