/* SPDX-License-Identifier: MIT */
#include "golden.h"

#include "io/safetensors.h"

#ifndef GOLDEN_DIR
#    error "GOLDEN_DIR names the folder of the golden files"
#endif

static void add_tensor(struct phi_weights *params, const struct phi_safetensors *file,
                       const struct phi_safetensors_tensor *tensor)
{
    struct ph_error err = {0};
    struct phi_param *param = NULL;

    assert_ok(phi_weights_add(params, tensor->name, phi_shape_of(tensor->n_dims, tensor->shape),
                              &param, &err),
              err);
    assert_ok(phi_safetensors_read_f32(file, tensor, tensor->n_values, param->value.data, &err),
              err);
}

void golden_load(struct phi_weights **params, const char *name)
{
    struct phi_safetensors *file = NULL;
    struct ph_error err = {0};
    char path[512];

    snprintf(path, sizeof path, "%s/%s.safetensors", GOLDEN_DIR, name);
    assert_ok(phi_safetensors_open(path, &file, &err), err);
    if (!*params)
        assert_int_equal(phi_weights_create(params), PH_OK);
    for (size_t i = 0; i < phi_safetensors_count(file); i++)
        add_tensor(*params, file, phi_safetensors_at(file, i));
    phi_safetensors_close(&file);
}

const struct phi_tensor *golden_tensor(const struct phi_weights *params, const char *name)
{
    const struct phi_param *param = phi_weights_find(params, name);

    if (!param)
        fail_msg("no golden tensor '%s'", name);
    return &param->value;
}

int golden_param(struct phi_graph *graph, const struct phi_weights *params, const char *name)
{
    return phi_graph_param(graph, name, golden_tensor(params, name)->shape);
}

void golden_compare(const struct phi_weights *params, const char *name, const float *actual,
                    double tolerance)
{
    const struct phi_tensor *r = golden_tensor(params, name);
    size_t n = phi_shape_count(&r->shape);
    double worst = 0, largest = 0;

    for (size_t i = 0; i < n; i++) {
        double e = fabs((double)actual[i] - (double)r->data[i]);

        worst = e <= worst ? worst : e; /* NaN wins */
        largest = fmax(largest, fabs((double)r->data[i]));
    }
    if (!(worst <= tolerance * largest))
        fail_msg("%s: error %.3g of %.3g, relative %.3g, allowed %.3g", name, worst, largest,
                 worst / largest, tolerance);
}

static const float *grad_of(const struct phi_weights *params, const char *prefix, const char *name)
{
    char full[PHI_PARAM_NAME];
    const struct phi_param *param;

    snprintf(full, sizeof full, "%s%s", prefix, name);
    param = phi_weights_find(params, full);
    /* dense.train.grad.x belongs to dense.x */
    if (!param && strncmp(prefix, "dense.", 6) == 0) {
        snprintf(full, sizeof full, "dense.%s", name);
        param = phi_weights_find(params, full);
    }
    if (!param)
        param = phi_weights_find(params, name);
    return param ? param->grad : NULL;
}

int golden_check_grads(const struct phi_weights *params, const char *prefix, double tolerance)
{
    char head[PHI_PARAM_NAME];
    int n_found = 0;

    snprintf(head, sizeof head, "%sgrad.", prefix);
    for (size_t i = 0; i < phi_weights_count(params); i++) {
        const char *name = phi_weights_at(params, i)->name;
        const float *grad;

        if (strncmp(name, head, strlen(head)) != 0)
            continue;
        grad = grad_of(params, prefix, name + strlen(head));
        if (!grad)
            fail_msg("no gradient was computed for %s", name);
        golden_compare(params, name, grad, tolerance);
        n_found++;
    }
    return n_found;
}

void golden_check_node(struct phi_graph *graph, struct phi_weights *params, int node,
                       const struct golden_check *check)
{
    struct phi_tape_options options = {.train_prefix = ""};
    struct phi_tape *tape = NULL;
    struct ph_error err = {0};
    const struct phi_param *seed;
    char name[PHI_PARAM_NAME];

    assert_ok(phi_tape_create(graph, params, &options, &tape, &err), err);
    assert_int_equal(phi_tape_forward(tape, check->train), PH_OK);
    snprintf(name, sizeof name, "%sy", check->prefix);
    if (phi_weights_find(params, name))
        golden_compare(params, name, phi_tape_value(tape, node), check->tolerance);
    snprintf(name, sizeof name, "%sgrad_out", check->prefix);
    seed = phi_weights_find(params, name);
    phi_weights_zero_grads(params, "");
    phi_tape_clear(tape);
    phi_tape_seed(tape, node, seed ? seed->value.data : NULL);
    assert_int_equal(phi_tape_backward(tape), PH_OK);
    assert_true(golden_check_grads(params, check->prefix, check->tolerance) > 0);
    phi_tape_destroy(&tape);
}
