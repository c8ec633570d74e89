/* SPDX-License-Identifier: MIT */
#include "nn/tape.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "nn/op.h"

struct phi_tape {
    const struct phi_graph *graph;
    struct phi_dnnl dnnl;
    struct phi_rng rng;
    int n;
    struct phi_op_run *run; /* [n] */
    float **value;          /* [n] */
    float **grad;           /* [n]; NULL where no gradient flows */
    bool *owned;            /* [n]: value and grad belong to the tape */
    bool *seeded;           /* [n]: the gradient of this pass is not zero */
    size_t n_bytes;
};

void phi_tape_destroy(struct phi_tape **tape)
{
    struct phi_tape *t = tape ? *tape : NULL;

    if (!t)
        return;
    for (int i = 0; i < t->n && t->run && t->value && t->grad && t->owned; i++) {
        const struct phi_op_kind *kind = phi_op_kind(phi_graph_node(t->graph, i)->op);

        if (t->run[i].state)
            kind->release(t->run[i].state);
        if (t->owned[i]) {
            phi_free(t->value[i]);
            phi_free(t->grad[i]);
        }
    }
    phi_free(t->run);
    phi_free(t->value);
    phi_free(t->grad);
    phi_free(t->owned);
    phi_free(t->seeded);
    phi_dnnl_fini(&t->dnnl);
    phi_free(t);
    *tape = NULL;
}

static bool is_trained(const struct phi_param *param, const struct phi_tape_options *options)
{
    return options && options->train_prefix && !param->frozen &&
           phi_str_starts(param->name, options->train_prefix);
}

static enum ph_status bind_param(struct phi_tape *tape, int i, struct phi_weights *params,
                                 const struct phi_tape_options *options, struct ph_error *reterr)
{
    const struct phi_node *node = phi_graph_node(tape->graph, i);
    struct phi_param *param = NULL;
    enum ph_status status = phi_weights_get(params, node->name, node->shape, &param, reterr);

    if (status != PH_OK)
        return status;
    tape->value[i] = param->value.data;
    if (!is_trained(param, options))
        return PH_OK;
    if (phi_param_want_grad(param) != PH_OK)
        return phi_error(reterr, PH_E_NOMEM, "out of memory for the gradient of '%s'", param->name);
    tape->grad[i] = param->grad;
    return PH_OK;
}

/* True if a gradient flows through the node to something that is differentiated. */
static bool carries_gradient(const struct phi_tape *tape, int i,
                             const struct phi_tape_options *options)
{
    const struct phi_node *node = phi_graph_node(tape->graph, i);

    if (node->op == PHI_OP_INPUT)
        return options && options->input_grads;
    if (!phi_op_kind(node->op)->backward)
        return false;
    for (int k = 0; k < node->n_in; k++) {
        bool statistic = node->op == PHI_OP_BATCH_NORM && k >= 3;

        if (tape->grad[node->in[k]] && !statistic)
            return true;
    }
    return false;
}

static enum ph_status bind_node(struct phi_tape *tape, int i,
                                const struct phi_tape_options *options, struct ph_error *reterr)
{
    const struct phi_node *node = phi_graph_node(tape->graph, i);
    size_t n = phi_shape_count(&node->shape);
    bool backward = carries_gradient(tape, i, options);

    tape->owned[i] = true;
    tape->value[i] = phi_calloc(n, sizeof(float));
    if (backward)
        tape->grad[i] = phi_calloc(n, sizeof(float));
    if (!tape->value[i] || (backward && !tape->grad[i]))
        return phi_error_nomem(reterr, "the values of a layer", n * sizeof(float));
    tape->n_bytes += n * sizeof(float) * (backward ? 2 : 1);
    if (node->op == PHI_OP_CONSTANT)
        memcpy(tape->value[i], node->constant, n * sizeof(float));
    return PH_OK;
}

static enum ph_status prepare_node(struct phi_tape *tape, int i, struct ph_error *reterr)
{
    const struct phi_node *node = phi_graph_node(tape->graph, i);
    const struct phi_op_kind *kind = phi_op_kind(node->op);
    struct phi_op_run *run = &tape->run[i];
    enum ph_status status;

    run->node = node;
    run->out = tape->value[i];
    run->grad_out = tape->grad[i];
    run->rng = &tape->rng;
    run->dnnl = &tape->dnnl;
    for (int k = 0; k < node->n_in; k++) {
        run->in_shape[k] = phi_graph_shape(tape->graph, node->in[k]);
        run->in[k] = tape->value[node->in[k]];
        run->grad_in[k] = tape->grad[node->in[k]];
    }
    if (!kind->prepare)
        return PH_OK;
    status = kind->prepare(run, tape->grad[i] != NULL, reterr);
    return status == PH_OK
               ? PH_OK
               : phi_error(reterr, status, "layer %d (%s) cannot be prepared", i, kind->name);
}

static enum ph_status build(struct phi_tape *tape, struct phi_weights *params,
                            const struct phi_tape_options *options, struct ph_error *reterr)
{
    size_t n = (size_t)tape->n;
    enum ph_status status = phi_dnnl_init(&tape->dnnl, reterr);

    tape->run = phi_calloc(n, sizeof *tape->run);
    tape->value = phi_calloc(n, sizeof *tape->value);
    tape->grad = phi_calloc(n, sizeof *tape->grad);
    tape->owned = phi_calloc(n, sizeof *tape->owned);
    tape->seeded = phi_calloc(n, sizeof *tape->seeded);
    if (!tape->run || !tape->value || !tape->grad || !tape->owned || !tape->seeded)
        return phi_error_nomem(reterr, "a tape", n * sizeof *tape->run);
    for (int i = 0; i < tape->n && status == PH_OK; i++) {
        if (phi_graph_node(tape->graph, i)->op == PHI_OP_PARAM)
            status = bind_param(tape, i, params, options, reterr);
        else
            status = bind_node(tape, i, options, reterr);
        if (status == PH_OK)
            status = prepare_node(tape, i, reterr);
    }
    return status;
}

enum ph_status phi_tape_create(const struct phi_graph *graph, struct phi_weights *params,
                               const struct phi_tape_options *options, struct phi_tape **ret_tape,
                               struct ph_error *reterr)
{
    struct phi_tape *tape;
    enum ph_status status = phi_graph_check(graph, reterr);

    if (status != PH_OK)
        return status;
    tape = phi_calloc(1, sizeof *tape);
    if (!tape)
        return phi_error_nomem(reterr, "a tape", sizeof *tape);
    tape->graph = graph;
    tape->n = phi_graph_count(graph);
    phi_rng_init(&tape->rng, options ? options->seed : 0, 0);
    status = build(tape, params, options, reterr);
    if (status != PH_OK)
        phi_tape_destroy(&tape);
    else
        *ret_tape = tape;
    return status;
}

float *phi_tape_value(const struct phi_tape *tape, int node)
{
    return tape->value[node];
}

void phi_tape_set(struct phi_tape *tape, int node, const float *data)
{
    struct phi_shape shape = phi_graph_shape(tape->graph, node);

    memcpy(tape->value[node], data, phi_shape_count(&shape) * sizeof *data);
}

const float *phi_tape_grad(const struct phi_tape *tape, int node)
{
    return tape->grad[node];
}

enum ph_status phi_tape_forward(struct phi_tape *tape, bool train)
{
    enum ph_status status = PH_OK;

    for (int i = 0; i < tape->n && status == PH_OK; i++) {
        const struct phi_op_kind *kind = phi_op_kind(tape->run[i].node->op);

        tape->run[i].train = train;
        if (kind->forward)
            status = kind->forward(&tape->run[i]);
    }
    return status;
}

void phi_tape_clear(struct phi_tape *tape)
{
    for (int i = 0; i < tape->n; i++) {
        struct phi_shape shape = phi_graph_shape(tape->graph, i);

        if (tape->owned[i] && tape->grad[i])
            memset(tape->grad[i], 0, phi_shape_count(&shape) * sizeof(float));
        tape->seeded[i] = false;
    }
}

void phi_tape_seed(struct phi_tape *tape, int node, const float *grad)
{
    struct phi_shape shape = phi_graph_shape(tape->graph, node);
    size_t n = phi_shape_count(&shape);

    if (!tape->grad[node])
        return;
    for (size_t i = 0; i < n; i++)
        tape->grad[node][i] += grad ? grad[i] : 1.0f;
    tape->seeded[node] = true;
}

enum ph_status phi_tape_backward(struct phi_tape *tape)
{
    for (int i = tape->n - 1; i >= 0; i--) {
        struct phi_op_run *run = &tape->run[i];
        enum ph_status status;

        if (!tape->seeded[i] || !phi_op_kind(run->node->op)->backward)
            continue;
        run->fresh = tape->owned[run->node->in[0]] && !tape->seeded[run->node->in[0]];
        status = phi_op_kind(run->node->op)->backward(&tape->run[i]);
        if (status != PH_OK)
            return status;
        for (int k = 0; k < run->node->n_in; k++)
            tape->seeded[run->node->in[k]] |= run->grad_in[k] != NULL;
    }
    return PH_OK;
}

enum ph_status phi_tape_backward_from(struct phi_tape *tape, int node)
{
    phi_tape_clear(tape);
    phi_tape_seed(tape, node, NULL);
    return phi_tape_backward(tape);
}

struct phi_rng *phi_tape_rng(struct phi_tape *tape)
{
    return &tape->rng;
}

size_t phi_tape_bytes(const struct phi_tape *tape)
{
    return tape->n_bytes;
}
