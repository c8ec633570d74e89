/* SPDX-License-Identifier: MIT
 * LSTM, bidirectional LSTM and convolutional LSTM built from layers, and the gradient of feature
 * inversion, agree with values computed in float64 by another implementation. */
#include "fixture.h"
#include "nn/prim.h"

static void forward(void)
{
    struct phi_tape_options options = {.train_prefix = ""};
    struct ph_error err = {0};

    assert_ok(phi_tape_create(graph, params, &options, &tape, &err), err);
    assert_int_equal(phi_tape_forward(tape, false), PH_OK);
}

/* Seeds with a stored gradient. */
static void seed(int node, const char *name)
{
    phi_tape_seed(tape, node, golden_tensor(params, name)->data);
}

static void compare(const char *name, int node, double tolerance)
{
    golden_compare(params, name, phi_tape_value(tape, node), tolerance);
}

static void lstm_cell(void **state)
{
    struct phi_lstm lstm;
    int h, c;

    (void)state;
    begin("lstm_cell");
    lstm = (struct phi_lstm){p("weight_ih"), p("weight_hh"),
                             phi_graph_add(graph, p("bias_ih"), p("bias_hh"))};
    h = p("h");
    c = p("c");
    phi_graph_lstm_step(graph, &lstm, p("x"), &h, &c);
    forward();
    compare("h_new", h, 1e-5);
    compare("c_new", c, 1e-5);
    seed(h, "grad_h");
    seed(c, "grad_c");
    assert_int_equal(phi_tape_backward(tape), PH_OK);
    assert_int_equal(golden_check_grads(params, "", 1e-5), 6);
}

static void lstm_bidirectional(void **state)
{
    static const char *const way[2] = {"fwd", "rev"};
    struct phi_lstm lstm[2];
    struct phi_lstm_state ends[2];
    int hn, cn, out;

    (void)state;
    begin("lstm_bidirectional");
    for (int d = 0; d < 2; d++)
        lstm[d] =
            (struct phi_lstm){phi_graph_paramf(graph, PHI_SHAPE(16, 3), "%s.weight_ih", way[d]),
                              phi_graph_paramf(graph, PHI_SHAPE(16, 4), "%s.weight_hh", way[d]),
                              phi_graph_paramf(graph, PHI_SHAPE(16), "%s.bias", way[d])};
    out = phi_graph_bilstm(graph, lstm, p("x"), ends);
    hn = phi_graph_concat(graph, 0, (const int[]){ends[0].h, ends[1].h}, 2);
    cn = phi_graph_concat(graph, 0, (const int[]){ends[0].c, ends[1].c}, 2);
    forward();
    compare("y", out, 1e-5);
    compare("h_n", hn, 1e-5);
    compare("c_n", cn, 1e-5);
    seed(out, "grad_out");
    assert_int_equal(phi_tape_backward(tape), PH_OK);
    assert_int_equal(golden_check_grads(params, "", 1e-5), 7);
}

static void conv_lstm(void **state)
{
    int weight, bias, in, gates, c, h;

    (void)state;
    begin("conv_lstm");
    weight = phi_graph_concat(
        graph, 0, (const int[]){p("weight_i"), p("weight_f"), p("weight_c"), p("weight_o")}, 4);
    bias = phi_graph_concat(graph, 0,
                            (const int[]){p("bias_i"), p("bias_f"), p("bias_c"), p("bias_o")}, 4);
    in = phi_graph_concat(
        graph, 1,
        (const int[]){p("R"), p("E"), phi_graph_resize_nearest(graph, p("R_above"), 6, 8)}, 3);
    gates = phi_graph_conv2d(graph, in, weight, bias, 1, 1);
    c = phi_graph_lstm_cell(graph, gates, p("c"), true);
    h = phi_graph_lstm_output(graph, gates, c, true);
    forward();
    compare("R_new", h, 1e-5);
    compare("c_new", c, 1e-5);
    seed(h, "grad_R");
    seed(c, "grad_c");
    assert_int_equal(phi_tape_backward(tape), PH_OK);
    assert_int_equal(golden_check_grads(params, "", 1e-5), 12);
}

/* The small network of the feature inversion case. */
static int features(int x)
{
    int h =
        phi_graph_relu(graph, phi_graph_conv2d(graph, x, p("conv1.weight"), p("conv1.bias"), 1, 1));

    h = phi_graph_max_pool(graph, h, 2, 2);
    return phi_graph_relu(graph,
                          phi_graph_conv2d(graph, h, p("conv2.weight"), p("conv2.bias"), 1, 1));
}

static int square(int x)
{
    return phi_graph_unary(graph, PHI_SQUARE, x, 0, 0);
}

static void check_term(const char *name, int node)
{
    char full[PHI_PARAM_NAME];

    snprintf(full, sizeof full, "term.%s", name);
    compare(full, node, 2e-5);
    snprintf(full, sizeof full, "grad_term.%s", name);
    phi_weights_zero_grads(params, "");
    assert_int_equal(phi_tape_backward_from(tape, node), PH_OK);
    golden_compare(params, full, phi_weights_find(params, "x")->grad, 2e-5);
}

static void feature_inversion(void **state)
{
    float sigma, inverse, *x, momentum[3 * 256] = {0};
    int phi0, feature, tv, alpha, energy, x2;

    (void)state;
    begin("feature_inversion");
    sigma = golden_tensor(params, "sigma")->data[0];
    inverse = 1 / (sigma * sigma);
    phi0 = phi_graph_constant(graph, PHI_SHAPE(1, 5, 8, 8), golden_tensor(params, "phi0")->data);
    feature = phi_graph_div(graph, phi_loss_mse_sum(graph, features(p("x")), phi0),
                            phi_graph_sum_all(graph, square(phi0)));
    tv = phi_graph_scale(graph, phi_loss_tv(graph, p("x"), 2, 0, false), 0.025f * inverse);
    x2 = square(p("x"));
    alpha = phi_graph_scale(graph, phi_graph_sum_all(graph, phi_graph_mul(graph, square(x2), x2)),
                            2e-8f * inverse);
    energy = phi_graph_add(graph, phi_graph_add(graph, feature, tv), alpha);
    (void)phi_graph_name(graph, features(p("x0")), "features of x0");
    forward();
    compare("phi0", phi_graph_find(graph, "features of x0"), 2e-5);
    compare("E", energy, 2e-5);
    check_term("feature", feature);
    check_term("tv", tv);
    check_term("alpha", alpha);
    x = phi_weights_find(params, "x")->value.data;
    for (size_t step = 0; step < 3; step++) {
        const float *grad = phi_weights_find(params, "x")->grad;

        assert_int_equal(phi_tape_forward(tape, false), PH_OK);
        phi_weights_zero_grads(params, "");
        assert_int_equal(phi_tape_backward_from(tape, energy), PH_OK);
        if (step == 0)
            golden_compare(params, "grad.x", grad, 2e-5);
        for (size_t i = 0; i < 3 * 256; i++) {
            momentum[i] = 0.9f * momentum[i] - 0.004f * sigma * sigma * grad[i];
            x[i] += momentum[i];
            assert_near(x[i], golden_tensor(params, "path")->data[step * 3 * 256 + i],
                        2e-5 * (double)sigma);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(lstm_cell, end),
        cmocka_unit_test_teardown(lstm_bidirectional, end),
        cmocka_unit_test_teardown(conv_lstm, end),
        cmocka_unit_test_teardown(feature_inversion, end),
    };

    phi_nn_set_threads(1);
    return cmocka_run_group_tests_name("golden/nn recurrent", tests, NULL, NULL);
}
