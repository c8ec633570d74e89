/* SPDX-License-Identifier: MIT
 * Gradients agree with central differences for layers that the golden files do not hold; frozen
 * parameters get none; dropout repeats from its saved generator. */
#include "nn/init.h"
#include "nn/layers.h"
#include "nn/prim.h"
#include "nn/tape.h"
#include "test.h"

static struct phi_graph *graph;
static struct phi_weights *weights;
static struct phi_tape *tape;
static struct ph_error err;

static int begin(void **state)
{
    (void)state;
    return phi_graph_create(&graph) == PH_OK && phi_weights_create(&weights) == PH_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    phi_tape_destroy(&tape);
    phi_graph_destroy(&graph);
    phi_weights_destroy(&weights);
    return 0;
}

static int p(const char *name, struct phi_shape shape)
{
    struct phi_param *param = NULL;

    assert_ok(phi_weights_add(weights, name, shape, &param, &err), err);
    assert_int_equal(phi_init_param(param, PHI_INIT_NORMAL, 0.7f, 11), PH_OK);
    return phi_graph_param(graph, name, shape);
}

static double value_of(int node)
{
    assert_int_equal(phi_tape_forward(tape, false), PH_OK);
    return (double)*phi_tape_value(tape, node);
}

/* d f / d p of every element against (f(p + h) - f(p - h)) / 2h. */
static void check_param(struct phi_param *param, int node)
{
    size_t n = phi_shape_count(&param->value.shape);
    const double h = 1e-2;

    for (size_t i = 0; i < n; i++) {
        float kept = param->value.data[i];
        double up, down;

        param->value.data[i] = kept + (float)h;
        up = value_of(node);
        param->value.data[i] = kept - (float)h;
        down = value_of(node);
        param->value.data[i] = kept;
        assert_near(param->grad[i], (up - down) / (2 * h), 2e-2 * (1 + fabs(up)));
    }
}

/* The objective is a smooth function of all elements of `node`, so that every gradient differs. */
static void check(int node)
{
    struct phi_tape_options options = {.train_prefix = ""};
    struct phi_shape shape = phi_graph_shape(graph, node);
    int mixed = phi_graph_mul(graph, phi_graph_tanh(graph, node), p("mix", shape));
    int f = phi_graph_sum_all(graph, mixed);

    assert_ok(phi_tape_create(graph, weights, &options, &tape, &err), err);
    assert_int_equal(phi_tape_forward(tape, false), PH_OK);
    assert_int_equal(phi_tape_backward_from(tape, f), PH_OK);
    for (size_t i = 0; i < phi_weights_count(weights); i++)
        check_param(phi_weights_at(weights, i), f);
}

static void matmul_all_ways(void **state)
{
    for (int way = 0; way < 4; way++) {
        bool a = way & 1, b = way & 2;

        begin(state);
        check(phi_graph_matmul(graph, p("x", a ? PHI_SHAPE(2, 4, 3) : PHI_SHAPE(2, 3, 4)),
                               p("y", b ? PHI_SHAPE(2, 5, 4) : PHI_SHAPE(2, 4, 5)), a, b));
        end(state);
    }
}

static void broadcasting(void **state)
{
    for (int fn = PHI_ADD; fn <= PHI_MUL; fn++) {
        begin(state);
        check(phi_graph_binary(graph, (enum phi_binary)fn, p("x", PHI_SHAPE(2, 1, 3)),
                               p("y", PHI_SHAPE(4, 1))));
        end(state);
    }
}

static void division(void **state)
{
    int y =
        phi_graph_unary(graph, PHI_AFFINE, phi_graph_sigmoid(graph, p("y", PHI_SHAPE(3))), 1, 1);

    (void)state;
    check(phi_graph_div(graph, p("x", PHI_SHAPE(2, 3)), y));
}

static void movements(void **state)
{
    int x = p("x", PHI_SHAPE(2, 3, 4)), parts[2];

    (void)state;
    x = phi_graph_transpose(graph, x, (const int[]){2, 0, 1}); /* [4][2][3] */
    x = phi_graph_pad(graph, x, 2, 1, 2);                      /* [4][2][6] */
    phi_graph_split(graph, x, 0, 2, parts);
    x = phi_graph_concat(graph, 1, (const int[]){parts[1], parts[0], parts[1]}, 3);
    check(phi_graph_reshape(graph, x, PHI_SHAPE(12, 6)));
}

static void reductions(void **state)
{
    int x = p("x", PHI_SHAPE(2, 3, 4));

    (void)state;
    check(phi_graph_add(graph, phi_graph_mean(graph, x, 1 | 4), phi_graph_sum(graph, x, 2)));
}

static void embedding(void **state)
{
    const float rows[4] = {2, 0, 2, 9}; /* the last is outside and gives zeros */
    int at = phi_graph_constant(graph, PHI_SHAPE(4), rows);
    int table = p("table", PHI_SHAPE(3, 2));

    (void)state;
    check(phi_graph_concat(
        graph, 1, (const int[]){phi_graph_embed(graph, at, table), phi_graph_one_hot(graph, at, 3)},
        2));
}

static void log_softmax(void **state)
{
    (void)state;
    check(phi_graph_log_softmax(graph, p("x", PHI_SHAPE(3, 4))));
}

static void smooth_functions(void **state)
{
    static const enum phi_unary fn[] = {PHI_EXP, PHI_SQUARE, PHI_ELU, PHI_SOFTPLUS, PHI_AFFINE};

    for (size_t i = 0; i < 5; i++) {
        begin(state);
        check(phi_graph_unary(graph, fn[i], p("x", PHI_SHAPE(7)), 0.5f, 0.1f));
        end(state);
    }
    begin(state);
    check(phi_graph_unary(
        graph, PHI_SQRT,
        phi_graph_unary(graph, PHI_AFFINE, phi_graph_sigmoid(graph, p("x", PHI_SHAPE(5))), 1, 1), 0,
        0));
}

static void frozen_gets_nothing(void **state)
{
    struct phi_tape_options options = {.train_prefix = "a.", .input_grads = true};
    int x = phi_graph_input(graph, "x", PHI_SHAPE(2, 3));
    int a = p("a.w", PHI_SHAPE(3, 3)), b = p("b.w", PHI_SHAPE(2, 3)), y, f;

    (void)state;
    y = phi_graph_linear(graph, phi_graph_linear(graph, x, a, -1), b, -1);
    f = phi_graph_sum_all(graph, y);
    assert_ok(phi_tape_create(graph, weights, &options, &tape, &err), err);
    assert_int_equal(phi_tape_forward(tape, true), PH_OK);
    assert_int_equal(phi_tape_backward_from(tape, f), PH_OK);
    assert_non_null(phi_weights_find(weights, "a.w")->grad);
    assert_null(phi_weights_find(weights, "b.w")->grad);
    assert_non_null(phi_tape_grad(tape, x));
    assert_true(phi_tape_bytes(tape) > 0);
}

static void dropout_repeats(void **state)
{
    struct phi_tape_options options = {.train_prefix = "", .seed = 5};
    int x = p("x", PHI_SHAPE(1000)), y = phi_graph_dropout(graph, x, 0.25f), dropped = 0;
    struct phi_rng saved;
    float first[1000];

    (void)state;
    for (size_t i = 0; i < 1000; i++)
        phi_weights_find(weights, "x")->value.data[i] = 3;
    assert_ok(phi_tape_create(graph, weights, &options, &tape, &err), err);
    saved = *phi_tape_rng(tape);
    assert_int_equal(phi_tape_forward(tape, true), PH_OK);
    memcpy(first, phi_tape_value(tape, y), sizeof first);
    assert_int_equal(phi_tape_backward_from(tape, y), PH_OK);
    for (size_t i = 0; i < 1000; i++) {
        dropped += first[i] == 0;
        assert_near(first[i], first[i] == 0 ? 0 : 4, 1e-6);
        assert_near(phi_weights_find(weights, "x")->grad[i], first[i] / 3, 1e-6);
    }
    assert_in_range(dropped, 190, 310); /* 4.4 standard deviations */
    assert_int_equal(phi_tape_forward(tape, true), PH_OK);
    assert_memory_not_equal(first, phi_tape_value(tape, y), sizeof first);
    *phi_tape_rng(tape) = saved;
    assert_int_equal(phi_tape_forward(tape, true), PH_OK);
    assert_memory_equal(first, phi_tape_value(tape, y), sizeof first);
    assert_int_equal(phi_tape_forward(tape, false), PH_OK);
    assert_near(phi_tape_value(tape, y)[0], 3, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matmul_all_ways),
        cmocka_unit_test(broadcasting),
        cmocka_unit_test_setup_teardown(division, begin, end),
        cmocka_unit_test_setup_teardown(movements, begin, end),
        cmocka_unit_test_setup_teardown(reductions, begin, end),
        cmocka_unit_test_setup_teardown(embedding, begin, end),
        cmocka_unit_test_setup_teardown(log_softmax, begin, end),
        cmocka_unit_test_teardown(smooth_functions, end),
        cmocka_unit_test_setup_teardown(frozen_gets_nothing, begin, end),
        cmocka_unit_test_setup_teardown(dropout_repeats, begin, end),
    };

    phi_nn_set_threads(1);
    return cmocka_run_group_tests_name("nn/tape", tests, NULL, NULL);
}
