/* SPDX-License-Identifier: MIT
 * From nodes to steps: what is needed, what is constant (computed here, once), what merges into the
 * layer before, and which layout each value gets. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "nn/layers.h"
#include "nn/plan_private.h"

struct builder {
    struct phi_plan *plan;
    const struct phi_plan_request *request;
    bool *needed, *constant, *owned; /* owned: the constant's data are ours */
    float **data;                    /* of constants */
    int *n_uses, *user;              /* of values that are not constant; user: the last one */
    bool *merged;                    /* done by the layer before */
    bool *blocked;                   /* a Winograd layer will read it */
    struct ph_error *reterr;
};

static void builder_fini(struct builder *b)
{
    for (int i = 0; i < b->plan->n_nodes && b->data && b->owned; i++) {
        if (b->owned[i])
            phi_free(b->data[i]);
    }
    phi_free(b->needed);
    phi_free(b->constant);
    phi_free(b->owned);
    phi_free(b->data);
    phi_free(b->n_uses);
    phi_free(b->user);
    phi_free(b->merged);
    phi_free(b->blocked);
}

static bool builder_init(struct builder *b)
{
    size_t n = (size_t)b->plan->n_nodes;

    b->needed = phi_calloc(n, sizeof *b->needed);
    b->constant = phi_calloc(n, sizeof *b->constant);
    b->owned = phi_calloc(n, sizeof *b->owned);
    b->data = phi_calloc(n, sizeof *b->data);
    b->n_uses = phi_calloc(n, sizeof *b->n_uses);
    b->user = phi_calloc(n, sizeof *b->user);
    b->merged = phi_calloc(n, sizeof *b->merged);
    b->blocked = phi_calloc(n, sizeof *b->blocked);
    return b->needed && b->constant && b->owned && b->data && b->n_uses && b->user && b->merged &&
           b->blocked;
}

/* Marks what the outputs need, and what feeds the states among it. */
static void mark_needed(struct builder *b)
{
    const struct phi_graph *graph = b->request->graph;
    bool more = true;

    for (int i = 0; i < b->request->n_outputs; i++)
        b->needed[b->request->outputs[i]] = true;
    while (more) {
        more = false;
        for (int i = b->plan->n_nodes - 1; i >= 0; i--) {
            const struct phi_node *node = &b->plan->node[i];
            int carried = phi_graph_carried(graph, i);

            if (!b->needed[i])
                continue;
            for (int k = 0; k < node->n_in; k++)
                b->needed[node->in[k]] = true;
            if (carried >= 0 && !b->needed[carried])
                more = b->needed[carried] = true;
        }
    }
}

static void mark_constant(struct builder *b)
{
    for (int i = 0; i < b->plan->n_nodes; i++) {
        const struct phi_node *node = &b->plan->node[i];

        b->constant[i] = node->op == PHI_OP_PARAM || node->op == PHI_OP_CONSTANT || node->n_in > 0;
        for (int k = 0; k < node->n_in; k++)
            b->constant[i] = b->constant[i] && b->constant[node->in[k]];
    }
}

static void count_uses(struct builder *b)
{
    for (int i = 0; i < b->plan->n_nodes; i++) {
        const struct phi_node *node = &b->plan->node[i];
        int carried = phi_graph_carried(b->request->graph, i);

        for (int k = 0; k < node->n_in && b->needed[i] && !b->constant[i]; k++) {
            b->n_uses[node->in[k]]++;
            b->user[node->in[k]] = i;
        }
        if (carried >= 0 && b->needed[i])
            b->n_uses[carried] += 2; /* a carried value merges into nothing */
    }
    for (int i = 0; i < b->request->n_outputs; i++)
        b->n_uses[b->request->outputs[i]] += 2;
}

/* Computes a constant that is not a leaf, with the plain operation. */
static enum ph_status compute_constant(struct builder *b, int i)
{
    const struct phi_node *node = &b->plan->node[i];
    const struct phi_op_kind *kind = phi_op_kind(node->op);
    struct phi_op_run run = {.node = node, .dnnl = &b->plan->dnnl};
    enum ph_status status = PH_OK;

    b->data[i] = phi_calloc(b->plan->value[i].n, sizeof(float));
    b->owned[i] = true;
    run.out = b->data[i];
    for (int k = 0; k < node->n_in; k++) {
        run.in[k] = b->data[node->in[k]];
        run.in_shape[k] = b->plan->value[node->in[k]].shape;
    }
    if (!b->data[i])
        return phi_error_nomem(b->reterr, "a constant", b->plan->value[i].n);
    if (kind->prepare)
        status = kind->prepare(&run, false, b->reterr);
    if (status == PH_OK)
        status = kind->forward(&run);
    if (run.state)
        kind->release(run.state);
    return status;
}

static enum ph_status find_constants(struct builder *b)
{
    enum ph_status status = PH_OK;

    for (int i = 0; i < b->plan->n_nodes && status == PH_OK; i++) {
        const struct phi_node *node = &b->plan->node[i];
        struct phi_param *param = NULL;

        if (!b->needed[i] || !b->constant[i])
            continue;
        if (node->op == PHI_OP_PARAM) {
            status =
                phi_weights_get(b->request->weights, node->name, node->shape, &param, b->reterr);
            b->data[i] = param ? param->value.data : NULL;
        } else if (node->op == PHI_OP_CONSTANT) {
            b->data[i] = phi_graph_node(b->request->graph, i)->constant;
        } else {
            status = compute_constant(b, i);
        }
    }
    return status;
}

static bool is_picture(const struct phi_shape *shape)
{
    return shape->n_dims == 4 && shape->dim[0] == 1;
}

/* Blocks that suit a picture whose maker has no opinion. */
static size_t usual_block(const struct phi_shape *shape)
{
    if (!is_picture(shape))
        return 1;
    return shape->dim[1] % PHI_BLOCK == 0 ? PHI_BLOCK : shape->dim[1];
}

static int add_value(struct phi_plan *plan, struct phi_shape shape, size_t block)
{
    if (plan->n_values == plan->value_capacity)
        return -1;
    plan->value[plan->n_values] =
        (struct phi_plan_value){.shape = shape, .block = block, .n = phi_shape_count(&shape)};
    return plan->n_values++;
}

static struct phi_plan_step *add_step(struct builder *b, const struct phi_node *node, int out)
{
    struct phi_plan *plan = b->plan;
    struct phi_plan_step *step = &plan->step[plan->n_steps];

    if (plan->n_steps == plan->step_capacity || out < 0)
        return NULL;
    plan->n_steps++;
    step->node = node;
    step->out = out;
    step->act = PHI_N_UNARY;
    if (node)
        (void)snprintf(step->text, sizeof step->text, "%s", phi_op_kind(node->op)->name);
    return step;
}

/* A value of equal content in the wanted blocks: `v` itself or a copy made by a new step. -1 if the
 * lists are full. */
static int in_blocks(struct builder *b, int v, size_t block)
{
    struct phi_plan *plan = b->plan;
    struct phi_plan_step *step;
    int copy;

    if (plan->value[v].block == block || !is_picture(&plan->value[v].shape))
        return v;
    copy = add_value(plan, plan->value[v].shape, block);
    step = add_step(b, NULL, copy);
    if (!step)
        return -1;
    step->run = phi_step_copy;
    step->in[0] = v;
    step->n_in = 1;
    (void)snprintf(step->text, sizeof step->text, "reorder");
    return copy;
}

/* The value of a node for use at run time; constants are kept. */
static enum ph_status keep_constant(struct builder *b, int i)
{
    struct phi_plan_value *value = &b->plan->value[i];

    if (!b->constant[i] || value->data)
        return PH_OK;
    value->block = 1;
    value->persistent = true;
    value->data = phi_calloc(value->n, sizeof(float));
    if (!value->data)
        return phi_error_nomem(b->reterr, "a constant", value->n);
    memcpy(value->data, b->data[i], value->n * sizeof(float));
    return PH_OK;
}

/* Adds operand k of the node to the step, in the wanted blocks (0: as it is). */
static enum ph_status use(struct builder *b, const struct phi_node *node, int k, size_t block,
                          int *ret_value)
{
    enum ph_status status = keep_constant(b, node->in[k]);
    int v = node->in[k];

    if (status == PH_OK && block)
        v = in_blocks(b, v, block);
    *ret_value = v;
    return v < 0 ? PH_E_INTERNAL : status;
}

/* A step with all operands, each in the blocks given (0: as it is). */
struct emission {
    enum ph_status (*run)(struct phi_plan *plan, struct phi_plan_step *step);
    size_t in_block[2]; /* of operand 0, and of all others */
    size_t out_block;
};

static enum ph_status emit(struct builder *b, int i, const struct emission *emission)
{
    const struct phi_node *node = &b->plan->node[i];
    int in[PHI_NODE_INPUTS];
    struct phi_plan_step *step;
    enum ph_status status = PH_OK;

    for (int k = 0; k < node->n_in && status == PH_OK; k++)
        status = use(b, node, k, emission->in_block[k > 0], &in[k]);
    if (status != PH_OK)
        return status;
    b->plan->value[i].block = emission->out_block;
    step = add_step(b, node, i);
    if (!step)
        return PH_E_INTERNAL;
    step->run = emission->run;
    step->n_in = node->n_in;
    memcpy(step->in, in, sizeof step->in);
    step->op = (struct phi_op_run){.node = node, .dnnl = &b->plan->dnnl};
    for (int k = 0; k < node->n_in; k++)
        step->op.in_shape[k] = b->plan->value[in[k]].shape;
    return PH_OK;
}

/* Any operation, on plain values. */
static enum ph_status emit_plain(struct builder *b, int i)
{
    const struct emission plain = {phi_step_plain, {1, 1}, 1};
    const struct phi_op_kind *kind = phi_op_kind(b->plan->node[i].op);
    enum ph_status status = emit(b, i, &plain);

    if (status == PH_OK && kind->prepare)
        status = kind->prepare(&b->plan->step[b->plan->n_steps - 1].op, false, b->reterr);
    return status;
}

/* The only user of node i, or -1. */
static int only_user(const struct builder *b, int i)
{
    return b->n_uses[i] == 1 ? b->user[i] : -1;
}

/* Merges batch norm and activation after a layer; returns the node whose value the layer makes. */
static int merge(struct builder *b, int i, struct phi_plan_layer *layer)
{
    int next = only_user(b, i);

    if (next >= 0 && b->plan->node[next].op == PHI_OP_BATCH_NORM) {
        const struct phi_node *norm = &b->plan->node[next];

        for (int k = 0; k < 4; k++)
            layer->norm[k] = b->data[norm->in[1 + k]];
        layer->eps = norm->f[0];
        b->merged[next] = true;
        i = next;
        next = only_user(b, i);
    }
    if (next >= 0 && b->plan->node[next].op == PHI_OP_UNARY) {
        layer->act = (enum phi_unary)b->plan->node[next].a[0];
        memcpy(layer->act_f, b->plan->node[next].f, sizeof layer->act_f);
        b->merged[next] = true;
        i = next;
    }
    return i;
}

static bool is_fixed_layer(const struct builder *b, const struct phi_node *node)
{
    bool kind = node->op == PHI_OP_CONV || node->op == PHI_OP_DECONV || node->op == PHI_OP_LINEAR;

    return kind && b->constant[node->in[1]] && (node->n_in < 3 || b->constant[node->in[2]]);
}

static enum ph_status emit_layer(struct builder *b, int i)
{
    struct phi_plan *plan = b->plan;
    const struct phi_node *node = &plan->node[i];
    struct phi_plan_layer layer = {.node = node,
                                   .x = plan->value[node->in[0]].shape,
                                   .y = node->shape,
                                   .weight_shape = plan->value[node->in[1]].shape,
                                   .weight = b->data[node->in[1]],
                                   .bias = node->n_in == 3 ? b->data[node->in[2]] : NULL,
                                   .act = PHI_N_UNARY};
    struct phi_plan_step made = {.act = PHI_N_UNARY}, *step;
    int last = merge(b, i, &layer), in;
    size_t blocks[2];
    enum ph_status status = phi_plan_layer_prim(plan, &layer, &made, blocks, b->reterr);

    if (status == PH_OK)
        status = use(b, node, 0, blocks[0], &in);
    step = status == PH_OK ? add_step(b, node, last) : NULL;
    if (!step) {
        phi_prim_fini(&made.prim);
        phi_split_destroy(&made.split);
        phi_free(made.bias);
        return status == PH_OK ? PH_E_INTERNAL : status;
    }
    made.node = node;
    made.out = last;
    made.in[0] = in;
    made.n_in = 1;
    plan->value[last].block = is_picture(&plan->value[last].shape) ? blocks[1] : 1;
    *step = made;
    return PH_OK;
}

static bool is_doubling(const struct phi_node *node, const struct phi_shape *in)
{
    return node->a[0] == 0 && node->shape.dim[2] == 2 * in->dim[2] &&
           node->shape.dim[3] == 2 * in->dim[3];
}

/* Blocks in which a picture is whole channels per pixel, or sixteen: its own if so. */
static size_t pixel_block(const struct phi_plan_value *value)
{
    size_t c = value->shape.dim[1];

    return value->block == PHI_BLOCK || value->block == c ? value->block
                                                          : usual_block(&value->shape);
}

/* Operations of pictures of batch 1 that have steps of their own; PH_SKIP for the others. */
static enum ph_status emit_picture(struct builder *b, int i)
{
    const struct phi_node *node = &b->plan->node[i];
    const struct phi_plan_value *in = &b->plan->value[node->in[0]];
    struct emission e = {.out_block = usual_block(&node->shape)};

    if (!is_picture(&node->shape) || !is_picture(&in->shape) || b->constant[node->in[0]])
        return PH_SKIP;
    if (node->op == PHI_OP_LSTM_CELL || node->op == PHI_OP_LSTM_OUTPUT) {
        e.run = node->op == PHI_OP_LSTM_CELL ? phi_step_cell : phi_step_output;
    } else if (node->op == PHI_OP_ERROR_PAIR) {
        e.run = phi_step_pair;
        e.out_block = in->shape.dim[1] % PHI_BLOCK ? node->shape.dim[1] : PHI_BLOCK;
    } else if (node->op == PHI_OP_CONCAT && node->a[0] == 1) {
        e.run = phi_step_concat;
        e.out_block = b->blocked[i] ? PHI_BLOCK : node->shape.dim[1];
    } else if (node->op == PHI_OP_POOL && node->a[0] && node->a[1] == 2 && node->a[2] == 2) {
        e.run = phi_step_max_pool;
        e.in_block[0] = e.out_block = pixel_block(in);
    } else if (node->op == PHI_OP_RESIZE && is_doubling(node, &in->shape)) {
        e.run = phi_step_double;
        e.in_block[0] = e.out_block = pixel_block(in);
    } else if (node->op == PHI_OP_UNARY) {
        e.run = phi_step_unary;
        e.out_block = in->block;
    } else {
        return PH_SKIP;
    }
    return emit(b, i, &e);
}

static enum ph_status emit_node(struct builder *b, int i)
{
    const struct phi_node *node = &b->plan->node[i];
    struct phi_plan_value *value = &b->plan->value[i];
    enum ph_status status;

    if (!b->needed[i] || b->constant[i] || b->merged[i])
        return PH_OK;
    if (node->op == PHI_OP_INPUT) {
        value->block = node->state ? usual_block(&node->shape) : 1;
        value->persistent = true;
        return PH_OK;
    }
    if (is_fixed_layer(b, node))
        return emit_layer(b, i);
    status = emit_picture(b, i);
    return status == PH_SKIP ? emit_plain(b, i) : status;
}

/* Notes which values a Winograd layer will read, so that they are made in its blocks. */
static void mark_blocked(struct builder *b)
{
    for (int i = 0; i < b->plan->n_nodes; i++) {
        const struct phi_node *node = &b->plan->node[i];

        if (b->needed[i] && node->op == PHI_OP_CONV && is_fixed_layer(b, node) &&
            phi_plan_is_winograd(b->plan, &b->plan->value[node->in[0]].shape, node,
                                 &b->plan->value[node->in[1]].shape))
            b->blocked[node->in[0]] = true;
    }
}

/* Copies what feeds the states, after everything else. */
static enum ph_status emit_carries(struct builder *b)
{
    struct phi_plan *plan = b->plan;
    enum ph_status status = PH_OK;

    for (int i = 0; i < plan->n_nodes && status == PH_OK; i++) {
        int carried = phi_graph_carried(b->request->graph, i);
        struct phi_plan_step *step;

        if (!b->needed[i] || !plan->node[i].state)
            continue;
        plan->state[plan->n_states++] = i;
        if (carried < 0)
            continue;
        status = keep_constant(b, carried);
        step = add_step(b, NULL, i);
        if (!step)
            return PH_E_INTERNAL;
        step->run = phi_step_copy;
        step->in[0] = carried;
        step->n_in = 1;
        (void)snprintf(step->text, sizeof step->text, "carry %s", plan->node[i].name);
    }
    return status;
}

static enum ph_status emit_outputs(struct builder *b)
{
    struct phi_plan *plan = b->plan;
    enum ph_status status = PH_OK;

    for (int i = 0; i < b->request->n_outputs && status == PH_OK; i++) {
        int node = b->request->outputs[i], v;

        status = keep_constant(b, node);
        v = in_blocks(b, node, 1);
        if (v < 0)
            return PH_E_INTERNAL;
        plan->value[v].persistent = true;
        plan->output[i] = node;
        plan->output_value[i] = v;
    }
    return status;
}

static enum ph_status emit_all(struct builder *b)
{
    enum ph_status status = find_constants(b);

    mark_blocked(b);
    for (int i = 0; i < b->plan->n_nodes && status == PH_OK; i++)
        status = emit_node(b, i);
    if (status == PH_OK)
        status = emit_outputs(b);
    b->plan->n_compute = b->plan->n_steps;
    return status == PH_OK ? emit_carries(b) : status;
}

enum ph_status phi_plan_build(struct phi_plan *plan, const struct phi_plan_request *request,
                              struct ph_error *reterr)
{
    struct builder b = {.plan = plan, .request = request, .reterr = reterr};
    enum ph_status status = phi_plan_allocate(plan, request, reterr);

    if (status != PH_OK)
        return status;
    if (builder_init(&b)) {
        mark_needed(&b);
        mark_constant(&b);
        count_uses(&b);
        status = emit_all(&b);
        if (status == PH_E_INTERNAL)
            (void)phi_error(reterr, status, "the plan of a network outgrew its lists");
    } else {
        status = phi_error_nomem(reterr, "a plan", (size_t)plan->n_nodes);
    }
    builder_fini(&b);
    return status;
}
