/* SPDX-License-Identifier: MIT
 * A lean tape and one that recomputes between marks hold less memory and give the same bits as a
 * plain one: losses, gradients of parameters and of the input, running statistics of batch norm and
 * the generator behind dropout, over several steps. */
#include "nn/init.h"
#include "nn/layers.h"
#include "nn/losses.h"
#include "nn/prim.h"
#include "nn/tape.h"
#include "test.h"

#define N_BLOCKS 6
#define N_STEPS  3
#define N_INPUT  ((size_t)4 * 6 * 12 * 12)
#define N_WAYS   4

static const struct phi_tape_options ways[N_WAYS] = {
    {.train_prefix = "", .input_grads = true, .seed = 3},
    {.train_prefix = "", .input_grads = true, .seed = 3, .lean = true},
    {.train_prefix = "", .input_grads = true, .seed = 3, .recompute = true},
    {.train_prefix = "", .input_grads = true, .seed = 3, .lean = true, .recompute = true}};

struct network {
    struct phi_graph *graph;
    struct phi_weights *weights;
    struct phi_tape *tape;
    int x, named, loss;
};

/* Convolution, batch norm, leaky ReLU and dropout; every block's end is a mark. */
static int block(struct phi_graph *graph, int x, int i)
{
    int weight = phi_graph_paramf(graph, PHI_SHAPE(6, 6, 3, 3), "conv.%d.weight", i);
    char prefix[16];

    (void)snprintf(prefix, sizeof prefix, "bn.%d.", i);
    x = phi_graph_batch_norm(graph, phi_graph_conv2d(graph, x, weight, -1, 1, 1), prefix, 1e-5f,
                             0.1f);
    x = phi_graph_unary(graph, i % 2 ? PHI_TANH : PHI_LEAKY_RELU, x, 0.2f, 0);
    x = phi_graph_dropout(graph, x, 0.2f);
    phi_graph_mark(graph);
    return x;
}

static void make(struct network *net, const struct phi_tape_options *options)
{
    struct ph_error err = {0};
    int h, first = -1;

    memset(net, 0, sizeof *net);
    assert_int_equal(phi_graph_create(&net->graph), PH_OK);
    assert_int_equal(phi_weights_create(&net->weights), PH_OK);
    h = net->x = phi_graph_input(net->graph, "x", PHI_SHAPE(4, 6, 12, 12));
    for (int i = 0; i < N_BLOCKS; i++) {
        h = block(net->graph, h, i);
        first = i == 0 ? h : first;
        if (i == 2)
            net->named = phi_graph_name(net->graph, phi_graph_scale(net->graph, h, 2), "seen");
    }
    h = phi_graph_add(net->graph, h, first); /* read again five segments later */
    net->loss = phi_graph_mean_all(net->graph, phi_graph_unary(net->graph, PHI_SQUARE, h, 0, 0));
    assert_ok(phi_init_graph(net->weights, net->graph, PHI_INIT_HE_NORMAL, 1, 7, &err), err);
    assert_ok(phi_tape_create(net->graph, net->weights, options, &net->tape, &err), err);
}

static void drop(struct network *net)
{
    phi_tape_destroy(&net->tape);
    phi_weights_destroy(&net->weights);
    phi_graph_destroy(&net->graph);
}

/* Also seeds the named node, in the middle of a segment. */
static void step(struct network *net, int t)
{
    for (size_t i = 0; i < N_INPUT; i++)
        phi_tape_value(net->tape, net->x)[i] = (float)((i * 37 + (size_t)t * 11) % 101) / 50 - 1;
    phi_weights_zero_grads(net->weights, "");
    assert_int_equal(phi_tape_forward(net->tape, true), PH_OK);
    phi_tape_clear(net->tape);
    phi_tape_seed(net->tape, net->loss, NULL);
    if (t != 1)
        phi_tape_seed(net->tape, net->named, phi_tape_value(net->tape, net->named));
    assert_int_equal(phi_tape_backward(net->tape), PH_OK);
}

static void assert_same(const struct network *a, const struct network *b)
{
    assert_memory_equal(phi_tape_value(a->tape, a->loss), phi_tape_value(b->tape, b->loss),
                        sizeof(float));
    assert_memory_equal(phi_tape_value(a->tape, a->named), phi_tape_value(b->tape, b->named),
                        N_INPUT * sizeof(float));
    assert_memory_equal(phi_tape_grad(a->tape, a->x), phi_tape_grad(b->tape, b->x),
                        N_INPUT * sizeof(float));
    for (size_t i = 0; i < phi_weights_count(a->weights); i++) {
        const struct phi_param *p = phi_weights_at(a->weights, i);
        const struct phi_param *q = phi_weights_find(b->weights, p->name);
        size_t n_bytes = phi_shape_count(&p->value.shape) * sizeof(float);

        assert_memory_equal(p->value.data, q->value.data, n_bytes);
        if (p->grad)
            assert_memory_equal(p->grad, q->grad, n_bytes);
    }
    assert_memory_equal(phi_tape_rng(a->tape), phi_tape_rng(b->tape), sizeof(struct phi_rng));
}

static void same_bits_in_less_memory(void **state)
{
    struct network net[N_WAYS];

    (void)state;
    for (int w = 0; w < N_WAYS; w++)
        make(&net[w], &ways[w]);
    for (int t = 0; t < N_STEPS; t++) {
        for (int w = 0; w < N_WAYS; w++)
            step(&net[w], t);
        for (int w = 1; w < N_WAYS; w++)
            assert_same(&net[0], &net[w]);
    }
    assert_true(phi_tape_bytes(net[1].tape) < phi_tape_bytes(net[0].tape));
    assert_true(phi_tape_bytes(net[2].tape) < phi_tape_bytes(net[0].tape) * 3 / 4);
    assert_true(phi_tape_bytes(net[3].tape) < phi_tape_bytes(net[2].tape));
    for (int w = 0; w < N_WAYS; w++)
        drop(&net[w]);
}

/* Two objectives of one forward pass, carried back one after the other. */
static void goes_back_twice(void **state)
{
    struct network net[2];

    (void)state;
    for (int w = 0; w < 2; w++) {
        make(&net[w], &ways[2 * w]);
        step(&net[w], 0);
        assert_int_equal(phi_tape_backward_from(net[w].tape, net[w].loss), PH_OK);
    }
    assert_same(&net[0], &net[1]);
    for (int w = 0; w < 2; w++)
        drop(&net[w]);
}

/* A node that nothing flows to reads as zero after a pass in which something did. */
static void untouched_gradients_are_zero(void **state)
{
    struct network net;

    (void)state;
    make(&net, &ways[0]);
    step(&net, 0);
    phi_tape_clear(net.tape);
    assert_int_equal(phi_tape_backward(net.tape), PH_OK);
    for (size_t i = 0; i < N_INPUT; i++)
        assert_true(phi_tape_grad(net.tape, net.x)[i] == 0);
    drop(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_in_less_memory),
        cmocka_unit_test(goes_back_twice),
        cmocka_unit_test(untouched_gradients_are_zero),
    };

    phi_nn_set_threads(1);
    return cmocka_run_group_tests_name("nn/tape memory", tests, NULL, NULL);
}
