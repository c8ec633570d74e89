/* SPDX-License-Identifier: MIT
 * Every optimiser follows the stored trajectory of five steps on f(p) = 1/2 p^T A p - b^T p +
 * sum log(1 + (p - s)^2), with gradients from our own tape. */
#include "golden.h"
#include "nn/prim.h"

static const struct {
    const char *name;
    struct phi_optim_config config;
    double clip;
} cases[] = {
    {"sgd", {.kind = PHI_SGD, .lr = 0.05f}, 0},
    {"momentum", {.kind = PHI_SGD, .lr = 0.02f, .momentum = 0.9f}, 0},
    {"nesterov", {.kind = PHI_SGD, .lr = 0.02f, .momentum = 0.9f, .nesterov = true}, 0},
    {"rmsprop", {.kind = PHI_RMSPROP, .lr = 0.01f}, 0},
    {"rmsprop_clip", {.kind = PHI_RMSPROP, .lr = 0.01f, .eps = 1e-6f, .eps_inside = true}, 10},
    {"adagrad", {.kind = PHI_ADAGRAD, .lr = 0.1f, .eps = 1e-10f}, 0},
    {"adam", {.kind = PHI_ADAM, .lr = 0.05f}, 0},
    {"adam_l2", {.kind = PHI_ADAM, .lr = 0.05f, .weight_decay = 0.1f}, 0},
    {"adamw", {.kind = PHI_ADAM, .lr = 0.05f, .weight_decay = 0.1f, .decoupled_decay = true}, 0},
    {"adam_keras", {.kind = PHI_ADAM, .lr = 0.05f, .eps = 1e-3f, .keras_eps = true}, 0},
    {"adam_b5", {.kind = PHI_ADAM, .lr = 0.05f, .beta1 = 0.5f}, 0},
};

static int objective(struct phi_graph *graph, const struct phi_weights *params)
{
    int p = phi_graph_param(graph, "p", PHI_SHAPE(6));
    int row = phi_graph_reshape(graph, p, PHI_SHAPE(1, 6));
    int ap = phi_graph_linear(graph, row, golden_param(graph, params, "A"), -1);
    int quadratic =
        phi_graph_scale(graph, phi_graph_sum_all(graph, phi_graph_mul(graph, row, ap)), 0.5f);
    int line = phi_graph_sum_all(graph, phi_graph_mul(graph, p, golden_param(graph, params, "b")));
    int d = phi_graph_sub(graph, p, golden_param(graph, params, "s"));
    int square = phi_graph_unary(graph, PHI_SQUARE, d, 0, 0);
    int bend =
        phi_graph_unary(graph, PHI_LOG, phi_graph_unary(graph, PHI_AFFINE, square, 1, 1), 0, 0);

    return phi_graph_add(graph, phi_graph_sub(graph, quadratic, line),
                         phi_graph_sum_all(graph, bend));
}

static void follow(struct phi_weights *params, size_t i, bool interrupted)
{
    struct phi_tape_options options = {.train_prefix = "p"};
    struct phi_graph *graph = NULL;
    struct phi_tape *tape = NULL;
    struct phi_optim *optim = NULL;
    struct ph_error err = {0};
    struct phi_param *p = NULL;
    float path[36];
    char name[64];
    int f;

    assert_int_equal(phi_graph_create(&graph), PH_OK);
    p = phi_weights_find(params, "p");
    memcpy(p->value.data, golden_tensor(params, "p0")->data, 6 * sizeof(float));
    f = objective(graph, params);
    assert_ok(phi_tape_create(graph, params, &options, &tape, &err), err);
    assert_ok(phi_optim_create(params, "p", &cases[i].config, &optim, &err), err);
    for (size_t t = 0; t < 6; t++) {
        memcpy(path + 6 * t, p->value.data, 6 * sizeof(float));
        phi_weights_zero_grads(params, "");
        assert_int_equal(phi_tape_forward(tape, true), PH_OK);
        assert_int_equal(phi_tape_backward_from(tape, f), PH_OK);
        if (cases[i].clip > 0)
            (void)phi_optim_clip(params, "p", cases[i].clip);
        phi_optim_step(optim, 1);
        if (interrupted && t == 2) { /* a checkpoint: slots and step count move to a new one */
            struct phi_optim *next = NULL;

            assert_ok(phi_optim_create(params, "p", &cases[i].config, &next, &err), err);
            assert_ok(phi_weights_copy(phi_optim_slots(next), phi_optim_slots(optim), &err), err);
            phi_optim_set_steps(next, phi_optim_steps(optim));
            phi_optim_destroy(&optim);
            optim = next;
        }
    }
    snprintf(name, sizeof name, "%s.p", cases[i].name);
    golden_compare(params, name, path, 1e-5);
    phi_optim_destroy(&optim);
    phi_tape_destroy(&tape);
    phi_graph_destroy(&graph);
}

static void trajectories(void **state)
{
    struct phi_weights *params = NULL;
    struct ph_error err = {0};
    struct phi_param *p = NULL;

    (void)state;
    golden_load(&params, "optimisers");
    phi_weights_freeze(params, "", true);
    assert_ok(phi_weights_add(params, "p", PHI_SHAPE(6), &p, &err), err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        follow(params, i, false);
        follow(params, i, true);
    }
    phi_weights_destroy(&params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(trajectories)};

    phi_nn_set_threads(1);
    return cmocka_run_group_tests_name("golden/nn optim", tests, NULL, NULL);
}
