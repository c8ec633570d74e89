/* SPDX-License-Identifier: MIT
 * Placing values: each lives from the step that makes it to the last that reads it; the largest are
 * placed first, each at the lowest address where no value alive at the same time stands. */
#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"
#include "nn/plan_private.h"

enum ph_status phi_plan_allocate(struct phi_plan *plan, const struct phi_plan_request *request,
                                 struct ph_error *reterr)
{
    size_t n = (size_t)phi_graph_count(request->graph), n_outputs = (size_t)request->n_outputs;

    plan->n_nodes = (int)n;
    /* every operand of every node may need a copy, and so may every output */
    plan->value_capacity = plan->step_capacity = (int)(4 * n + n_outputs) + PHI_NODE_INPUTS;
    plan->node = phi_calloc(n, sizeof *plan->node);
    plan->value = phi_calloc((size_t)plan->value_capacity, sizeof *plan->value);
    plan->step = phi_calloc((size_t)plan->step_capacity, sizeof *plan->step);
    plan->state = phi_calloc(n, sizeof *plan->state);
    plan->output = phi_calloc(n_outputs, sizeof *plan->output);
    plan->output_value = phi_calloc(n_outputs, sizeof *plan->output_value);
    if (!plan->node || !plan->value || !plan->step || !plan->state || !plan->output ||
        !plan->output_value)
        return phi_error_nomem(reterr, "a plan", n * sizeof *plan->step);
    plan->n_outputs = request->n_outputs;
    plan->n_values = plan->n_nodes;
    for (int i = 0; i < plan->n_nodes; i++) {
        plan->node[i] = *phi_graph_node(request->graph, i);
        plan->node[i].constant = NULL;
        plan->value[i].shape = plan->node[i].shape;
        plan->value[i].n = phi_shape_count(&plan->node[i].shape);
    }
    return PH_OK;
}

struct spot {
    int value;
    size_t n_bytes, offset;
};

static int larger_first(const void *a, const void *b)
{
    const struct spot *x = a, *y = b;

    if (x->n_bytes != y->n_bytes)
        return x->n_bytes < y->n_bytes ? 1 : -1;
    return x->value - y->value; /* a fixed order, so that plans do not differ */
}

static bool alive_together(const struct phi_plan_value *a, const struct phi_plan_value *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset at which spot i overlaps none of the spots before it. */
static size_t lowest_offset(const struct phi_plan *plan, const struct spot *spots, int i)
{
    const struct phi_plan_value *value = &plan->value[spots[i].value];
    size_t offset = 0;
    bool moved = true;

    while (moved) {
        moved = false;
        for (int k = 0; k < i; k++) {
            const struct spot *other = &spots[k];

            if (alive_together(value, &plan->value[other->value]) &&
                offset < other->offset + other->n_bytes &&
                other->offset < offset + spots[i].n_bytes) {
                offset = other->offset + other->n_bytes;
                moved = true;
            }
        }
    }
    return offset;
}

static int list_spots(const struct phi_plan *plan, struct spot *spots)
{
    int n = 0;

    for (int i = 0; i < plan->n_values; i++) {
        const struct phi_plan_value *value = &plan->value[i];

        if (value->block && !value->persistent)
            spots[n++] = (struct spot){
                i, (value->n * sizeof(float) + PHI_ALIGN - 1) / PHI_ALIGN * PHI_ALIGN, 0};
    }
    return n;
}

static enum ph_status place_shared(struct phi_plan *plan, struct spot *spots)
{
    int n = list_spots(plan, spots);
    size_t total = 0;

    qsort(spots, (size_t)n, sizeof *spots, larger_first);
    for (int i = 0; i < n; i++) {
        spots[i].offset = lowest_offset(plan, spots, i);
        if (spots[i].offset + spots[i].n_bytes > total)
            total = spots[i].offset + spots[i].n_bytes;
    }
    plan->block = phi_calloc(total, 1);
    if (!plan->block)
        return PH_E_NOMEM;
    plan->n_block_bytes += total;
    for (int i = 0; i < n; i++)
        plan->value[spots[i].value].data =
            (float *)(void *)((unsigned char *)plan->block + spots[i].offset);
    return PH_OK;
}

static void note_lives(struct phi_plan *plan)
{
    for (int s = 0; s < plan->n_steps; s++) {
        const struct phi_plan_step *step = &plan->step[s];

        for (int k = 0; k < step->n_in; k++)
            plan->value[step->in[k]].last = s;
        plan->value[step->out].first = s;
        if (plan->value[step->out].last < s)
            plan->value[step->out].last = s;
    }
}

static void bind_step(struct phi_plan *plan, struct phi_plan_step *step)
{
    if (step->split) {
        phi_split_set(step->split, plan->value[step->in[0]].data);
    } else if (step->run == phi_step_prim) {
        phi_prim_set(&step->prim, 0, plan->value[step->in[0]].data);
        phi_prim_set(&step->prim, 1, plan->value[step->out].data);
    }
    for (int k = 0; k < step->n_in; k++)
        step->op.in[k] = plan->value[step->in[k]].data;
    step->op.out = plan->value[step->out].data;
}

enum ph_status phi_plan_place(struct phi_plan *plan, struct ph_error *reterr)
{
    struct spot *spots = phi_calloc((size_t)plan->n_values, sizeof *spots);
    enum ph_status status = spots ? PH_OK : PH_E_NOMEM;

    note_lives(plan);
    for (int i = 0; i < plan->n_values && status == PH_OK; i++) {
        struct phi_plan_value *value = &plan->value[i];

        if (!value->persistent || value->data)
            continue;
        value->data = phi_calloc(value->n, sizeof(float));
        plan->n_block_bytes += value->n * sizeof(float);
        status = value->data ? PH_OK : PH_E_NOMEM;
    }
    if (status == PH_OK)
        status = place_shared(plan, spots);
    phi_free(spots);
    if (status != PH_OK)
        return phi_error_nomem(reterr, "the values of a network", plan->n_block_bytes);
    for (int s = 0; s < plan->n_steps; s++)
        bind_step(plan, &plan->step[s]);
    return PH_OK;
}
