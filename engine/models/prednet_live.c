/* SPDX-License-Identifier: MIT */
#include "models/prednet_live.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "nn/init.h"

struct phi_prednet_live {
    struct phi_prednet_config config;
    struct phi_plan *plan;
    struct phi_prednet_state before; /* state nodes */
    struct phi_prednet_state after;  /* what the step makes of them */
    struct phi_prednet_output out;
    int frame, errors;
    bool has_units;
    float *mixture;                 /* room for one R */
    struct phi_prednet_drive drive; /* of the step under way, r NULL for none ... */
    bool driven;                    /* ... and whether it has been applied */
};

/* Everything a plan is asked to keep. */
struct wanted {
    int node[2 + 2 * PHI_PREDNET_LAYERS], n;
};

static int state_node(struct phi_graph *graph, const struct phi_prednet_config *config, char kind,
                      int layer)
{
    struct phi_shape shape = phi_prednet_shape(config, layer);
    char name[16];

    shape.dim[1] *= kind == 'e' ? 2 : 1;
    (void)snprintf(name, sizeof name, "%c%d", kind, layer);
    return phi_graph_state(graph, name, shape);
}

static void build_graph(struct phi_prednet_live *live, struct phi_graph *graph, bool want_errors)
{
    const struct phi_prednet_config *config = &live->config;

    live->frame = phi_graph_input(graph, "frame", phi_prednet_shape(config, 0));
    for (int l = 0; l < config->n_layers; l++) {
        live->before.r[l] = state_node(graph, config, 'r', l);
        live->before.c[l] = state_node(graph, config, 'c', l);
        live->before.e[l] = state_node(graph, config, 'e', l);
    }
    live->after = live->before;
    live->out = phi_prednet_step(graph, config, live->frame, NULL, &live->after);
    live->errors = want_errors ? phi_prednet_error_means(graph, config, &live->after) : -1;
    for (int l = 0; l < config->n_layers; l++) {
        phi_graph_carry(graph, live->before.r[l], live->after.r[l]);
        phi_graph_carry(graph, live->before.c[l], live->after.c[l]);
        phi_graph_carry(graph, live->before.e[l], live->after.e[l]);
    }
}

static size_t largest_r(const struct phi_prednet_config *config)
{
    size_t n = 0;

    for (int l = 0; l < config->n_layers; l++) {
        struct phi_shape shape = phi_prednet_shape(config, l);

        n = phi_shape_count(&shape) > n ? phi_shape_count(&shape) : n;
    }
    return n;
}

static struct wanted wanted_of(const struct phi_prednet_live *live)
{
    struct wanted wanted = {{live->out.prediction}, 1};

    if (live->errors >= 0)
        wanted.node[wanted.n++] = live->errors;
    for (int l = 0; live->has_units && l < live->config.n_layers; l++) {
        if (l > 0) { /* else the frame, and the prediction */
            wanted.node[wanted.n++] = live->out.a[l];
            wanted.node[wanted.n++] = live->out.ahat[l];
        }
    }
    return wanted;
}

static enum ph_status build(struct phi_prednet_live *live, const struct phi_weights *weights,
                            const struct phi_prednet_live_options *options, struct ph_error *reterr)
{
    struct phi_graph *graph = NULL;
    struct wanted wanted;
    struct phi_plan_request request = {.weights = weights};
    enum ph_status status = phi_prednet_check(&live->config, reterr);

    if (status != PH_OK)
        return status;
    live->mixture = phi_calloc(largest_r(&live->config), sizeof(float));
    if (!live->mixture || phi_graph_create(&graph) != PH_OK)
        return phi_error_nomem(reterr, "a network", 1);
    live->has_units = options && options->want_units;
    build_graph(live, graph, options && options->want_errors);
    wanted = wanted_of(live);
    request.graph = graph;
    request.outputs = wanted.node;
    request.n_outputs = wanted.n;
    status = phi_graph_check(graph, reterr);
    if (status == PH_OK)
        status = phi_plan_create(&request, options ? &options->plan : NULL, &live->plan, reterr);
    if (status == PH_OK)
        status = phi_weights_check_used(weights, graph, "prednet.", reterr);
    phi_graph_destroy(&graph);
    return status;
}

enum ph_status phi_prednet_live_create(const struct phi_weights *weights,
                                       const struct phi_prednet_config *config,
                                       const struct phi_prednet_live_options *options,
                                       struct phi_prednet_live **ret_live, struct ph_error *reterr)
{
    struct phi_prednet_live *live = phi_calloc(1, sizeof *live);
    enum ph_status status;

    if (!live)
        return phi_error_nomem(reterr, "a network", sizeof *live);
    live->config = *config;
    live->config.batch = 1;
    status = build(live, weights, options, reterr);
    if (status != PH_OK)
        phi_prednet_live_destroy(&live);
    else
        *ret_live = live;
    return status;
}

void phi_prednet_live_destroy(struct phi_prednet_live **live)
{
    if (!live || !*live)
        return;
    phi_plan_destroy(&(*live)->plan);
    phi_free((*live)->mixture);
    phi_free(*live);
    *live = NULL;
}

static void set_frame(struct phi_prednet_live *live, const float *frame)
{
    struct phi_shape shape = phi_prednet_shape(&live->config, 0);
    const float *from = frame ? frame : phi_plan_output(live->plan, live->out.prediction);

    phi_plan_abandon(live->plan);
    memcpy(phi_plan_input(live->plan, live->frame), from, phi_shape_count(&shape) * sizeof *from);
}

/* Runs up to the new R of the driven layer and overwrites it there. */
static enum ph_status drive_to(struct phi_prednet_live *live, int64_t deadline_ns)
{
    const struct phi_prednet_drive *drive = &live->drive;
    struct phi_shape shape = phi_prednet_shape(&live->config, drive->layer);
    size_t n = phi_shape_count(&shape);
    int r = live->after.r[drive->layer];
    enum ph_status status = phi_plan_run_to_until(live->plan, r, deadline_ns);

    if (status == PH_OK)
        status = phi_plan_read(live->plan, r, live->mixture);
    if (status != PH_OK)
        return status;
    for (size_t i = 0; i < n; i++)
        live->mixture[i] = drive->mix >= 1
                               ? drive->r[i]
                               : live->mixture[i] + drive->mix * (drive->r[i] - live->mixture[i]);
    live->driven = true;
    return phi_plan_write(live->plan, r, live->mixture);
}

enum ph_status phi_prednet_live_continue(struct phi_prednet_live *live, int64_t deadline_ns)
{
    enum ph_status status = PH_OK;

    if (live->drive.r && !live->driven)
        status = drive_to(live, deadline_ns);
    return status == PH_OK ? phi_plan_run_until(live->plan, deadline_ns) : status;
}

enum ph_status phi_prednet_live_step_until(struct phi_prednet_live *live, const float *frame,
                                           const struct phi_prednet_drive *drive,
                                           int64_t deadline_ns)
{
    if (drive && (drive->layer < 0 || drive->layer >= live->config.n_layers))
        return PH_E_INVAL;
    set_frame(live, frame);
    live->drive = drive ? *drive : (struct phi_prednet_drive){0};
    live->driven = false;
    return phi_prednet_live_continue(live, deadline_ns);
}

enum ph_status phi_prednet_live_step(struct phi_prednet_live *live, const float *frame,
                                     const struct phi_prednet_drive *drive)
{
    return phi_prednet_live_step_until(live, frame, drive, INT64_MAX);
}

const float *phi_prednet_live_prediction(const struct phi_prednet_live *live)
{
    return phi_plan_output(live->plan, live->out.prediction);
}

const float *phi_prednet_live_errors(const struct phi_prednet_live *live)
{
    return phi_plan_output(live->plan, live->errors);
}

static int state_of(const struct phi_prednet_live *live, char kind, int layer)
{
    if (layer < 0 || layer >= live->config.n_layers)
        return -1;
    return kind == 'r'   ? live->before.r[layer]
           : kind == 'c' ? live->before.c[layer]
           : kind == 'e' ? live->before.e[layer]
                         : -1;
}

/* A and Ahat of the layer: the frame and the prediction, or what the plan keeps. NULL if it does
 * not.
 */
static const float *units_of(const struct phi_prednet_live *live, char kind, int layer)
{
    if (!live->has_units || layer < 0 || layer >= live->config.n_layers)
        return NULL;
    if (kind == 'a')
        return layer ? phi_plan_output(live->plan, live->out.a[layer])
                     : phi_plan_input(live->plan, live->frame);
    return kind == 'p' ? phi_plan_output(live->plan, live->out.ahat[layer]) : NULL;
}

enum ph_status phi_prednet_live_read(const struct phi_prednet_live *live, char kind, int layer,
                                     float *ret_data)
{
    const float *units = units_of(live, kind, layer);
    struct phi_shape shape;

    if (!units)
        return phi_plan_read(live->plan, state_of(live, kind, layer), ret_data);
    shape = phi_prednet_shape(&live->config, layer);
    memcpy(ret_data, units, phi_shape_count(&shape) * sizeof *units);
    return PH_OK;
}

enum ph_status phi_prednet_live_write(struct phi_prednet_live *live, char kind, int layer,
                                      const float *data)
{
    return phi_plan_write(live->plan, state_of(live, kind, layer), data);
}

void phi_prednet_live_reset(struct phi_prednet_live *live)
{
    phi_plan_reset(live->plan);
    live->drive.r = NULL;
}

const struct phi_plan *phi_prednet_live_plan(const struct phi_prednet_live *live)
{
    return live->plan;
}
