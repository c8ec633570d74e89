/* SPDX-License-Identifier: MIT
 * Impossible networks and weights are refused with a sentence that names the layer and the shapes;
 * the first error stays. */
#include "nn/init.h"
#include "nn/layers.h"
#include "nn/losses.h"
#include "nn/plan.h"
#include "nn/prim.h"
#include "nn/tape.h"
#include "test.h"

static struct phi_graph *graph;
static struct ph_error err;

static int begin(void **state)
{
    (void)state;
    return phi_graph_create(&graph) == PH_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    phi_graph_destroy(&graph);
    return 0;
}

static void names_layer_and_shapes(void **state)
{
    int x = phi_graph_input(graph, "x", PHI_SHAPE(1, 3, 8, 8));
    int w = phi_graph_param(graph, "net.conv.weight", PHI_SHAPE(4, 5, 3, 3));
    int y = phi_graph_conv2d(graph, x, w, -1, 1, 1);

    (void)state;
    assert_int_equal(y, -1);
    assert_int_equal(phi_graph_relu(graph, y), -1);
    (void)phi_graph_fail(graph, PH_E_INVAL, "a later error");
    assert_int_equal(phi_graph_check(graph, &err), PH_E_SHAPE);
    assert_non_null(strstr(err.text, "net.conv.weight"));
    assert_non_null(strstr(err.text, "[1, 3, 8, 8]"));
    assert_non_null(strstr(err.text, "[4, 5, 3, 3]"));
}

static void one_name_one_shape(void **state)
{
    int a = phi_graph_param(graph, "w", PHI_SHAPE(4, 5));

    (void)state;
    assert_int_equal(phi_graph_param(graph, "w", PHI_SHAPE(4, 5)), a);
    assert_int_equal(phi_graph_param(graph, "w", PHI_SHAPE(5, 4)), -1);
    assert_int_equal(phi_graph_check(graph, &err), PH_E_SHAPE);
}

static void two_inputs_of_one_name(void **state)
{
    (void)state;
    (void)phi_graph_input(graph, "x", PHI_SHAPE(1));
    assert_int_equal(phi_graph_input(graph, "x", PHI_SHAPE(1)), -1);
    assert_int_equal(phi_graph_check(graph, &err), PH_E_INVAL);
}

/* Each builder refuses one impossible thing. */
static int impossible(int which, int x)
{
    switch (which) {
    case 0:
        return phi_graph_max_pool(graph, x, 9, 1);
    case 1:
        return phi_graph_reshape(graph, x, PHI_SHAPE(5));
    case 2:
        return phi_graph_slice(graph, x, 1, 2, 2);
    case 3:
        return phi_graph_concat(graph, 1, (const int[]){x, phi_graph_slice(graph, x, 2, 0, 4)}, 2);
    case 4:
        return phi_graph_dropout(graph, x, 1.5f);
    case 5:
        return phi_graph_add(graph, x, phi_graph_slice(graph, x, 2, 0, 3));
    case 6:
        return phi_graph_transpose(graph, x, (const int[]){0, 1, 1, 3});
    case 7:
        return phi_loss_cross_entropy_mean(graph, x, x);
    case 8:
        return phi_graph_lstm_cell(graph, x, x, true);
    case 9:
        return phi_graph_matmul(graph, x, x, false, false);
    default:
        return phi_graph_linear(graph, x, x, -1);
    }
}

static void refuses_the_impossible(void **state)
{
    for (int i = 0; i < 11; i++) {
        begin(state);
        assert_int_equal(impossible(i, phi_graph_input(graph, "x", PHI_SHAPE(1, 3, 8, 8))), -1);
        assert_true(phi_graph_check(graph, &err) < 0);
        assert_true(err.text[0] != '\0');
        end(state);
    }
    begin(state);
}

static void weights_must_fit(void **state)
{
    struct phi_weights *weights = NULL;
    struct phi_tape *tape = NULL;
    struct phi_plan *plan = NULL;
    int x = phi_graph_input(graph, "x", PHI_SHAPE(1, 5));
    int y = phi_graph_linear(graph, x, phi_graph_param(graph, "net.fc", PHI_SHAPE(4, 5)), -1);
    struct phi_plan_request request = {.graph = graph, .outputs = &y, .n_outputs = 1};

    (void)state;
    assert_int_equal(phi_weights_create(&weights), PH_OK);
    request.weights = weights;
    assert_ok(phi_weights_add(weights, "net.fd", PHI_SHAPE(4, 5), NULL, &err), err);
    assert_int_equal(phi_tape_create(graph, weights, NULL, &tape, &err), PH_E_FORMAT);
    assert_non_null(strstr(err.text, "net.fd")); /* the nearest name */
    assert_int_equal(phi_plan_create(&request, NULL, &plan, &err), PH_E_FORMAT);
    assert_ok(phi_weights_add(weights, "net.fc", PHI_SHAPE(4, 6), NULL, &err), err);
    assert_int_equal(phi_tape_create(graph, weights, NULL, &tape, &err), PH_E_SHAPE);
    assert_non_null(strstr(err.text, "[4, 6]"));
    assert_null(tape);
    assert_null(plan);
    phi_weights_destroy(&weights);
}

static void weights_store(void **state)
{
    struct phi_weights *weights = NULL, *other = NULL;
    struct phi_param *param = NULL;
    const float nan_value[2] = {1, NAN};

    (void)state;
    assert_int_equal(phi_weights_create(&weights), PH_OK);
    assert_int_equal(phi_weights_create(&other), PH_OK);
    for (int i = 0; i < 100; i++) {
        char name[16];

        snprintf(name, sizeof name, "p%d", i);
        assert_ok(phi_weights_add(weights, name, PHI_SHAPE(2), i == 0 ? &param : NULL, &err), err);
    }
    assert_ptr_equal(phi_weights_find(weights, "p0"), param); /* growth moves nothing */
    assert_int_equal(phi_weights_add(weights, "p7", PHI_SHAPE(2), NULL, &err), PH_E_INVAL);
    assert_int_equal(phi_weights_add(weights, "", PHI_SHAPE(2), NULL, &err), PH_E_INVAL);
    assert_int_equal(phi_weights_elements(weights, "p1"), 22);
    assert_ok(phi_weights_check_finite(weights, &err), err);
    assert_ok(phi_weights_put(other, "p3", PHI_SHAPE(2), nan_value, &err), err);
    assert_ok(phi_weights_copy(weights, other, &err), err);
    assert_int_equal(phi_weights_check_finite(weights, &err), PH_E_FORMAT);
    assert_non_null(strstr(err.text, "'p3'"));
    phi_weights_destroy(&weights);
    phi_weights_destroy(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_layer_and_shapes, begin, end),
        cmocka_unit_test_setup_teardown(one_name_one_shape, begin, end),
        cmocka_unit_test_setup_teardown(two_inputs_of_one_name, begin, end),
        cmocka_unit_test_teardown(refuses_the_impossible, end),
        cmocka_unit_test_setup_teardown(weights_must_fit, begin, end),
        cmocka_unit_test(weights_store),
    };

    phi_nn_set_threads(1);
    return cmocka_run_group_tests_name("nn/graph", tests, NULL, NULL);
}
