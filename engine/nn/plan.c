/* SPDX-License-Identifier: MIT */
#include "nn/plan.h"

#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "nn/plan_private.h"

void phi_plan_destroy(struct phi_plan **plan)
{
    struct phi_plan *p = plan ? *plan : NULL;

    if (!p)
        return;
    for (int i = 0; i < p->n_steps; i++) {
        struct phi_plan_step *step = &p->step[i];

        phi_prim_fini(&step->prim);
        phi_split_destroy(&step->split);
        phi_free(step->bias);
        if (step->op.state)
            phi_op_kind(step->node->op)->release(step->op.state);
    }
    for (int i = 0; i < p->n_values; i++) {
        if (p->value[i].persistent)
            phi_free(p->value[i].data);
    }
    phi_free(p->node);
    phi_free(p->value);
    phi_free(p->step);
    phi_free(p->state);
    phi_free(p->output);
    phi_free(p->output_value);
    phi_free(p->block);
    phi_dnnl_fini(&p->dnnl);
    phi_free(p);
    *plan = NULL;
}

static enum ph_status check_request(const struct phi_plan_request *request, struct ph_error *reterr)
{
    enum ph_status status = phi_graph_check(request->graph, reterr);

    for (int i = 0; i < request->n_outputs && status == PH_OK; i++) {
        if (request->outputs[i] < 0 || request->outputs[i] >= phi_graph_count(request->graph))
            status = phi_error(reterr, PH_E_INVAL, "output %d of the plan is no node", i);
    }
    if (status == PH_OK && request->n_outputs < 1)
        status = phi_error(reterr, PH_E_INVAL, "a plan without outputs");
    return status;
}

enum ph_status phi_plan_create(const struct phi_plan_request *request,
                               const struct phi_plan_options *options, struct phi_plan **ret_plan,
                               struct ph_error *reterr)
{
    struct phi_plan *plan;
    enum ph_status status = check_request(request, reterr);

    if (status == PH_OK && options && options->precision == PHI_BFLOAT16 && !phi_nn_has_bfloat16())
        status = phi_error(reterr, PH_E_INVAL,
                           "this processor does not multiply bfloat16; take float32 precision");
    if (status != PH_OK)
        return status;
    plan = phi_calloc(1, sizeof *plan);
    if (!plan)
        return phi_error_nomem(reterr, "a plan", sizeof *plan);
    plan->conv = options ? options->conv : PHI_CONV_AUTO;
    plan->precision = options ? options->precision : PHI_FLOAT32;
    status = phi_dnnl_init(&plan->dnnl, reterr);
    if (status == PH_OK)
        status = phi_plan_build(plan, request, reterr);
    if (status == PH_OK)
        status = phi_plan_place(plan, reterr);
    if (status != PH_OK)
        phi_plan_destroy(&plan);
    else
        *ret_plan = plan;
    return status;
}

struct phi_plane phi_plan_plane(const struct phi_plan *plan, int value)
{
    const struct phi_plan_value *v = &plan->value[value];

    if (v->shape.n_dims == 4 && v->shape.dim[0] == 1)
        return (struct phi_plane){v->data, v->shape.dim[1], v->shape.dim[2] * v->shape.dim[3],
                                  v->block};
    return (struct phi_plane){v->data, 1, v->n, 1};
}

float *phi_plan_input(struct phi_plan *plan, int node)
{
    if (node < 0 || node >= plan->n_nodes || plan->node[node].op != PHI_OP_INPUT ||
        plan->node[node].state)
        return NULL;
    return plan->value[node].data;
}

const float *phi_plan_output(const struct phi_plan *plan, int node)
{
    for (int i = 0; i < plan->n_outputs; i++) {
        if (plan->output[i] == node)
            return plan->value[plan->output_value[i]].data;
    }
    return NULL;
}

static enum ph_status run_step(struct phi_plan *plan)
{
    struct phi_plan_step *step = &plan->step[plan->at];
    enum ph_status status;

    if (plan->n_steps == 0) /* all that is asked for is constant */
        return PH_OK;
    status = step->run(plan, step);
    if (status != PH_OK)
        return status;
    plan->at = plan->at + 1 < plan->n_steps ? plan->at + 1 : 0;
    return PH_OK;
}

enum ph_status phi_plan_run(struct phi_plan *plan)
{
    enum ph_status status;

    do {
        status = run_step(plan);
    } while (status == PH_OK && plan->at != 0);
    return status;
}

static int64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* States are carried all together: no stop between those steps. */
enum ph_status phi_plan_run_until(struct phi_plan *plan, int64_t deadline_ns)
{
    enum ph_status status;

    do {
        status = run_step(plan);
    } while (status == PH_OK && plan->at != 0 &&
             (plan->at > plan->n_compute || now_ns() < deadline_ns));
    return status == PH_OK && plan->at != 0 ? PH_AGAIN : status;
}

void phi_plan_abandon(struct phi_plan *plan)
{
    plan->at = 0;
}

enum ph_status phi_plan_run_to_until(struct phi_plan *plan, int node, int64_t deadline_ns)
{
    int target = 0;
    enum ph_status status;

    while (target < plan->n_compute && plan->step[target].out != node)
        target++;
    if (target == plan->n_compute || target < plan->at)
        return PH_E_INVAL;
    do {
        status = run_step(plan);
    } while (status == PH_OK && plan->at != 0 && plan->at <= target && now_ns() < deadline_ns);
    return status == PH_OK && plan->at != 0 && plan->at <= target ? PH_AGAIN : status;
}

enum ph_status phi_plan_run_to(struct phi_plan *plan, int node)
{
    return phi_plan_run_to_until(plan, node, INT64_MAX);
}

/* A row-major view of data[count of shape]. */
static struct phi_plane plain(const struct phi_plane *like, float *data)
{
    return (struct phi_plane){data, like->n_channels, like->n_pixels, 1};
}

static bool has_value(const struct phi_plan *plan, int node)
{
    return node >= 0 && node < plan->n_nodes && plan->value[node].data != NULL;
}

enum ph_status phi_plan_read(const struct phi_plan *plan, int node, float *ret_data)
{
    struct phi_plane from, to;
    struct phi_plane_part all = {0};

    if (!has_value(plan, node))
        return PH_E_INVAL;
    from = phi_plan_plane(plan, node);
    to = plain(&from, ret_data);
    all.n_channels = from.n_channels;
    phi_plane_copy(&to, &from, &all);
    return PH_OK;
}

enum ph_status phi_plan_write(struct phi_plan *plan, int node, const float *data)
{
    struct phi_plane to, from;
    struct phi_plane_part all = {0};
    union {
        const float *in;
        float *out; /* only read through */
    } pointer = {.in = data};

    if (!has_value(plan, node))
        return PH_E_INVAL;
    to = phi_plan_plane(plan, node);
    from = plain(&to, pointer.out);
    all.n_channels = to.n_channels;
    phi_plane_copy(&to, &from, &all);
    return PH_OK;
}

void phi_plan_reset(struct phi_plan *plan)
{
    for (int i = 0; i < plan->n_states; i++) {
        struct phi_plan_value *value = &plan->value[plan->state[i]];

        memset(value->data, 0, value->n * sizeof(float));
    }
    plan->at = 0;
}

struct phi_plan_info phi_plan_info(const struct phi_plan *plan)
{
    return (struct phi_plan_info){plan->n_steps, plan->n_block_bytes, plan->n_weight_bytes};
}

const char *phi_plan_step_text(const struct phi_plan *plan, int step)
{
    return step >= 0 && step < plan->n_steps ? plan->step[step].text : "";
}
