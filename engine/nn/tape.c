/* SPDX-License-Identifier: MIT */
#include "nn/tape.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "nn/tape_private.h"

void phi_tape_destroy(struct phi_tape **tape)
{
    struct phi_tape *t = tape ? *tape : NULL;

    if (!t)
        return;
    for (int i = 0; i < t->n && t->run && t->value && t->grad && t->place; i++) {
        const struct phi_op_kind *kind = phi_op_kind(phi_graph_node(t->graph, i)->op);

        if (t->run[i].state)
            kind->release(t->run[i].state);
        if (t->place[i] == PHI_TAPE_OWN) {
            phi_free(t->value[i]);
            phi_free(t->grad[i]);
        }
    }
    phi_free(t->run);
    phi_free(t->value);
    phi_free(t->grad);
    phi_free(t->place);
    phi_free(t->seeded);
    phi_free(t->first);
    phi_free(t->rngs);
    phi_free(t->pool);
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

/* Segments between the graph's marks if the tape recomputes, else one. */
static enum ph_status cut(struct phi_tape *tape, const struct phi_tape_options *options)
{
    size_t n_most = 1;

    for (int i = 0; i < tape->n && options && options->recompute; i++)
        n_most += phi_graph_node(tape->graph, i)->mark;
    tape->first = phi_calloc(n_most + 1, sizeof *tape->first);
    tape->rngs = phi_calloc(n_most, sizeof *tape->rngs);
    if (!tape->first || !tape->rngs)
        return PH_E_NOMEM;
    for (int i = 0; i + 1 < tape->n && n_most > 1; i++) {
        if (phi_graph_node(tape->graph, i)->mark)
            tape->first[++tape->n_segments] = i + 1;
    }
    tape->first[++tape->n_segments] = tape->n;
    return PH_OK;
}

static enum ph_status allocate(struct phi_tape *tape, const struct phi_tape_options *options,
                               struct ph_error *reterr)
{
    size_t n = (size_t)tape->n;

    tape->run = phi_calloc(n, sizeof *tape->run);
    tape->value = phi_calloc(n, sizeof *tape->value);
    tape->grad = phi_calloc(n, sizeof *tape->grad);
    tape->place = phi_calloc(n, sizeof *tape->place);
    tape->seeded = phi_calloc(n, sizeof *tape->seeded);
    if (!tape->run || !tape->value || !tape->grad || !tape->place || !tape->seeded ||
        cut(tape, options) != PH_OK)
        return phi_error_nomem(reterr, "a tape", n * sizeof *tape->run);
    return PH_OK;
}

static enum ph_status build(struct phi_tape *tape, struct phi_weights *params,
                            const struct phi_tape_options *options, struct ph_error *reterr)
{
    enum ph_status status = phi_dnnl_init(&tape->dnnl, reterr);

    if (status == PH_OK)
        status = allocate(tape, options, reterr);
    for (int i = 0; i < tape->n && status == PH_OK; i++) {
        if (phi_graph_node(tape->graph, i)->op == PHI_OP_PARAM)
            status = bind_param(tape, i, params, options, reterr);
    }
    if (status == PH_OK)
        status = phi_tape_place_nodes(tape, options, reterr);
    for (int i = 0; i < tape->n && status == PH_OK; i++)
        status = prepare_node(tape, i, reterr);
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

/* Computes the nodes of a segment; `again` if they were computed in this pass before. */
static enum ph_status run_segment(struct phi_tape *tape, int segment, bool train, bool again)
{
    enum ph_status status = PH_OK;

    for (int i = tape->first[segment]; i < tape->first[segment + 1] && status == PH_OK; i++) {
        const struct phi_op_kind *kind = phi_op_kind(tape->run[i].node->op);

        tape->run[i].train = train;
        tape->run[i].again = again;
        if (kind->forward)
            status = kind->forward(&tape->run[i]);
    }
    tape->present = segment;
    return status;
}

enum ph_status phi_tape_forward(struct phi_tape *tape, bool train)
{
    enum ph_status status = PH_OK;

    for (int s = 0; s < tape->n_segments && status == PH_OK; s++) {
        tape->rngs[s] = tape->rng;
        status = run_segment(tape, s, train, false);
    }
    return status;
}

void phi_tape_clear(struct phi_tape *tape)
{
    memset(tape->seeded, 0, (size_t)tape->n * sizeof *tape->seeded);
}

/* Zeroes a gradient to which nothing was added in this pass. */
static void begin_grad(struct phi_tape *tape, int node)
{
    struct phi_shape shape = phi_graph_shape(tape->graph, node);

    if (!tape->seeded[node] && tape->grad[node] && tape->place[node] != PHI_TAPE_STORE)
        memset(tape->grad[node], 0, phi_shape_count(&shape) * sizeof(float));
}

void phi_tape_seed(struct phi_tape *tape, int node, const float *grad)
{
    struct phi_shape shape = phi_graph_shape(tape->graph, node);
    size_t n = phi_shape_count(&shape);

    if (!tape->grad[node])
        return;
    begin_grad(tape, node);
    for (size_t i = 0; i < n; i++)
        tape->grad[node][i] += grad ? grad[i] : 1.0f;
    tape->seeded[node] = true;
}

/* Carries the gradient of node i to its operands. */
static enum ph_status carry_back(struct phi_tape *tape, int i)
{
    struct phi_op_run *run = &tape->run[i];
    const struct phi_op_kind *kind = phi_op_kind(run->node->op);
    int x = run->node->in[0];
    enum ph_status status;

    run->fresh = kind->writes_first && !tape->seeded[x] && tape->place[x] != PHI_TAPE_STORE;
    for (int k = run->fresh ? 1 : 0; k < run->node->n_in; k++)
        begin_grad(tape, run->node->in[k]);
    status = kind->backward(run);
    for (int k = 0; k < run->node->n_in; k++)
        tape->seeded[run->node->in[k]] |= run->grad_in[k] != NULL;
    return status;
}

/* Computes the values of a segment anew unless they are there, with the same dice. */
static enum ph_status recall(struct phi_tape *tape, int segment)
{
    struct phi_rng now = tape->rng;
    enum ph_status status;

    if (tape->present == segment)
        return PH_OK;
    tape->rng = tape->rngs[segment];
    status = run_segment(tape, segment, tape->run[0].train, true);
    tape->rng = now;
    return status;
}

static enum ph_status segment_back(struct phi_tape *tape, int segment)
{
    enum ph_status status = PH_OK;

    for (int i = tape->first[segment + 1] - 1; i >= tape->first[segment]; i--) {
        if (!tape->seeded[i] || !phi_op_kind(tape->run[i].node->op)->backward)
            continue;
        status = recall(tape, segment);
        if (status == PH_OK)
            status = carry_back(tape, i);
        if (status != PH_OK)
            return status;
    }
    return status;
}

enum ph_status phi_tape_backward(struct phi_tape *tape)
{
    enum ph_status status = PH_OK;

    for (int s = tape->n_segments - 1; s >= 0 && status == PH_OK; s--)
        status = segment_back(tape, s);
    for (int i = 0; i < tape->n && status == PH_OK; i++) {
        if (tape->place[i] == PHI_TAPE_OWN)
            begin_grad(tape, i); /* what nothing flowed to reads as zero */
    }
    return status;
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
    return tape->n_bytes + tape->dnnl.n_scratch_bytes + tape->dnnl.n_work_bytes;
}
