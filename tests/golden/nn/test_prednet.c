/* SPDX-License-Identifier: MIT
 * PredNet's forward pass, extrapolation, overwritten R and back-propagation through time agree with
 * values computed in float64 by another implementation. */
#include "golden.h"
#include "models/prednet.h"
#include "nn/prim.h"

static const struct phi_prednet_config net = {
    .n_layers = 4, .channels = {3, 8, 12, 16}, .h = 32, .w = 40, .batch = 2};
static const float lambda_all[4] = {1, 0.1f, 0.1f, 0.1f}, lambda_0[4] = {1, 0, 0, 0};

static struct phi_weights *params;
static struct phi_graph *graph;
static struct phi_tape *tape;

static int begin(void **state)
{
    (void)state;
    golden_load(&params, "prednet_weights");
    golden_load(&params, "prednet_forward");
    return phi_graph_create(&graph) == PH_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    phi_tape_destroy(&tape);
    phi_graph_destroy(&graph);
    phi_weights_destroy(&params);
    return 0;
}

static void forward(const char *train_prefix)
{
    struct phi_tape_options options = {.train_prefix = train_prefix};
    struct ph_error err = {0};

    assert_ok(phi_tape_create(graph, params, &options, &tape, &err), err);
    assert_int_equal(phi_tape_forward(tape, false), PH_OK);
}

static int joined(const int *node, int n, struct phi_shape shape)
{
    int part[PHI_NODE_INPUTS];

    for (int i = 0; i < n; i++)
        part[i] = phi_graph_reshape(graph, node[i], shape);
    return phi_graph_concat(graph, 0, part, n);
}

static void compare(const struct phi_weights *from, const char *name, int node, double tolerance)
{
    golden_compare(from, name, phi_tape_value(tape, node), tolerance);
}

static void compare_states(const struct phi_weights *from, const char *prefix, const int *node,
                           double tolerance)
{
    for (int l = 0; l < 4; l++) {
        char name[PHI_PARAM_NAME + 16];

        snprintf(name, sizeof name, "%s%d", prefix, l);
        if (phi_weights_find(from, name))
            compare(from, name, node[l], tolerance);
    }
}

static void forward_pass(void **state)
{
    int errors[4], predictions[4], ahat, means, all, only;
    struct phi_prednet_unrolled u = {4, 4, errors, predictions};
    struct phi_prednet_state last;

    (void)state;
    last = phi_prednet_unroll(graph, &net, golden_param(graph, params, "frames"), &u);
    ahat = joined(predictions, 4, PHI_SHAPE(1, 2, 3, 32, 40));
    means = joined(errors, 4, PHI_SHAPE(1, 2, 4));
    all = phi_prednet_loss(graph, &net, errors, 4, lambda_all);
    only = phi_prednet_loss(graph, &net, errors, 4, lambda_0);
    forward(NULL);
    compare(params, "Ahat0", ahat, 5e-5);
    compare(params, "E_mean", means, 5e-5);
    compare(params, "loss.Lall", all, 5e-5);
    compare(params, "loss.L0", only, 5e-5);
    compare_states(params, "R", last.r, 5e-5);
    compare_states(params, "C", last.c, 5e-5);
}

static void back_through_time(void **state)
{
    struct phi_weights *expected = NULL;
    int errors[4], all;
    struct phi_prednet_unrolled u = {4, 4, errors, NULL};

    (void)state;
    (void)phi_prednet_unroll(graph, &net, golden_param(graph, params, "frames"), &u);
    all = phi_prednet_loss(graph, &net, errors, 4, lambda_all);
    forward("prednet.");
    golden_load(&expected, "prednet_bptt");
    compare(expected, "loss.Lall", all, 1e-4);
    assert_int_equal(phi_tape_backward_from(tape, all), PH_OK);
    assert_int_equal(phi_weights_count(expected), 47);
    for (size_t i = 0; i < 47; i++) {
        const char *name = phi_weights_at(expected, i)->name;

        if (strncmp(name, "grad.", 5) == 0)
            golden_compare(expected, name, phi_weights_find(params, name + 5)->grad, 1e-4);
    }
    phi_weights_destroy(&expected);
}

static void extrapolation(void **state)
{
    struct phi_weights *expected = NULL;
    int errors[6], predictions[6], ahat, means;
    struct phi_prednet_unrolled u = {6, 4, errors, predictions};
    struct phi_prednet_state last;

    (void)state;
    last = phi_prednet_unroll(graph, &net, golden_param(graph, params, "frames"), &u);
    ahat = joined(predictions + 4, 2, PHI_SHAPE(1, 2, 3, 32, 40));
    means = joined(errors + 4, 2, PHI_SHAPE(1, 2, 4));
    forward(NULL);
    golden_load(&expected, "prednet_extrapolate");
    compare(expected, "Ahat0", ahat, 1e-4);
    compare(expected, "E_mean", means, 1e-4);
    compare_states(expected, "R", last.r, 1e-4);
    phi_weights_destroy(&expected);
}

/* R of `layer` overwritten in steps 2 and 3; with `mix` half-way blending is asked for instead. */
static struct phi_prednet_state driven(int layer, int mix, const char *prefix,
                                       const struct phi_weights *expected, int *ret_nodes)
{
    struct phi_prednet_config one = net;
    struct phi_prednet_state state;
    struct phi_prednet_given given = {{-1, -1, -1, -1, -1, -1}, mix};
    char name[PHI_PARAM_NAME];
    int frames = golden_param(graph, params, "frames"), r;
    int p[4], e[4];

    one.batch = 1;
    snprintf(name, sizeof name, "%sgiven", prefix);
    r = phi_graph_constant(graph, golden_tensor(expected, name)->shape,
                           golden_tensor(expected, name)->data);
    state = phi_prednet_zero_state(graph, &one);
    for (int t = 0; t < 4; t++) {
        int frame =
            phi_graph_slice(graph, phi_graph_slice(graph, frames, 0, (size_t)t, 1), 1, 0, 1);

        frame = phi_graph_reshape(graph, frame, phi_prednet_shape(&one, 0));
        if (t >= 2)
            given.r[layer] =
                phi_graph_reshape(graph, phi_graph_slice(graph, r, 0, (size_t)t - 2, 1),
                                  phi_prednet_shape(&one, layer));
        p[t] = phi_prednet_step(graph, &one, frame, t >= 2 ? &given : NULL, &state).prediction;
        e[t] = phi_prednet_error_means(graph, &one, &state);
    }
    ret_nodes[0] = joined(p + 2, 2, PHI_SHAPE(1, 1, 3, 32, 40));
    ret_nodes[1] = joined(e + 2, 2, PHI_SHAPE(1, 1, 4));
    return state;
}

static void brain_driven(void **state)
{
    static const int layers[3] = {0, 2, 3};
    struct phi_weights *expected = NULL;

    (void)state;
    golden_load(&expected, "prednet_brain");
    for (int i = 0; i < 3; i++) {
        char prefix[16], name[PHI_PARAM_NAME];
        struct phi_prednet_state last;
        const float one = 1;
        int nodes[2];

        snprintf(prefix, sizeof prefix, "r%d.", layers[i]);
        last = driven(layers[i], i == 1 ? phi_graph_constant(graph, PHI_SHAPE(1), &one) : -1,
                      prefix, expected, nodes);
        forward(NULL);
        snprintf(name, sizeof name, "%sAhat0", prefix);
        compare(expected, name, nodes[0], 5e-5);
        snprintf(name, sizeof name, "%sE_mean", prefix);
        compare(expected, name, nodes[1], 5e-5);
        snprintf(name, sizeof name, "%sR", prefix);
        compare_states(expected, name, last.r, 5e-5);
        phi_tape_destroy(&tape);
    }
    phi_weights_destroy(&expected);
}

static void refuses_sizes(void **state)
{
    struct phi_prednet_config bad = net;
    struct ph_error err = {0};

    (void)state;
    assert_ok(phi_prednet_check(&net, &err), err);
    bad.w = 42;
    assert_int_equal(phi_prednet_check(&bad, &err), PH_E_SHAPE);
    assert_non_null(strstr(err.text, "multiples of 8"));
    bad.n_layers = 0;
    assert_int_equal(phi_prednet_check(&bad, &err), PH_E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(forward_pass, begin, end),
        cmocka_unit_test_setup_teardown(back_through_time, begin, end),
        cmocka_unit_test_setup_teardown(extrapolation, begin, end),
        cmocka_unit_test_setup_teardown(brain_driven, begin, end),
        cmocka_unit_test(refuses_sizes),
    };

    phi_nn_set_threads(1);
    return cmocka_run_group_tests_name("golden/nn prednet", tests, NULL, NULL);
}
