/* SPDX-License-Identifier: MIT
 * Networks have the published numbers of parameters; PredNet obeys its closed forms; a small VAE
 * learns; training DAND is resumed to the same bits from weights, slots and step counts. */
#include "base/rng.h"
#include "models/dand.h"
#include "models/prednet.h"
#include "models/vae.h"
#include "nn/init.h"
#include "nn/losses.h"
#include "nn/prim.h"
#include "test.h"

static struct phi_graph *graph;
static struct phi_weights *weights;
static struct ph_error err;

static int begin(void **state)
{
    (void)state;
    return phi_weights_create(&weights) == PH_OK && phi_graph_create(&graph) == PH_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    phi_graph_destroy(&graph);
    phi_weights_destroy(&weights);
    return 0;
}

/* Elements of all parameters of the graph, running statistics left out. */
static size_t n_parameters(void)
{
    size_t n = 0;

    assert_ok(phi_graph_check(graph, &err), err);
    for (int i = 0; i < phi_graph_count(graph); i++) {
        const struct phi_node *node = phi_graph_node(graph, i);

        if (node->op == PHI_OP_PARAM && !strstr(node->name, ".mean") && !strstr(node->name, ".var"))
            n += phi_shape_count(&node->shape);
    }
    return n;
}

static void dand_sizes(void **state)
{
    struct phi_dand_config config = {.n_latent = 699, .n_code = 4096, .width = 64};

    (void)state;
    (void)phi_dand_generator(graph, &config, phi_graph_input(graph, "z", PHI_SHAPE(1, 699)), NULL);
    /* the five transposed convolutions, and loadings and means of the frozen layer */
    assert_int_equal(n_parameters(), 36311936 + 2863104 + 4096);
    end(NULL);
    begin(NULL);
    config.n_code = 0;
    (void)phi_dand_generator(graph, &config, phi_graph_input(graph, "z", PHI_SHAPE(1, 699)), NULL);
    assert_int_equal(n_parameters(), 8483712);
    end(NULL);
    begin(NULL);
    (void)phi_dand_discriminator(graph, &config,
                                 phi_graph_input(graph, "x", PHI_SHAPE(1, 3, 64, 64)));
    assert_int_equal(n_parameters(), 2765568);
}

static void vgg_sizes(void **state)
{
    int x = phi_graph_input(graph, "x", PHI_SHAPE(1, 3, 224, 224));

    (void)state;
    x = phi_stack_build(graph, "vgg.", x, phi_vgg16, PHI_VGG_RELU3_3, true);
    assert_int_equal(phi_graph_shape(graph, x).dim[1], 256);
    assert_int_equal(phi_graph_shape(graph, x).dim[2], 56);
    assert_int_equal(n_parameters(), 1735488);
    x = phi_graph_find(graph, "x");
    x = phi_stack_build(graph, "vgg.", x, phi_vgg16, PHI_VGG16_LAYERS, false);
    (void)phi_stack_features(graph, "vgg.", x, 4096);
    assert_int_equal(n_parameters(), 117479232);
}

static void compact_sizes(void **state)
{
    int x = phi_graph_input(graph, "x", PHI_SHAPE(2, 3, 64, 64));

    (void)state;
    x = phi_stack_build(graph, "enc.", x, phi_compact, PHI_COMPACT_LAYERS, false);
    assert_int_equal(phi_graph_shape(graph, x).dim[1], 64);
    assert_int_equal(phi_graph_shape(graph, x).dim[2], 8);
    x = phi_stack_features(graph, "enc.", x, 128);
    assert_int_equal(phi_graph_shape(graph, x).dim[1], 128);
}

static struct phi_prednet_config kitti(void)
{
    return (struct phi_prednet_config){
        .n_layers = 4, .channels = {3, 48, 96, 192}, .h = 128, .w = 160, .batch = 1};
}

static void prednet_sizes(void **state)
{
    struct phi_prednet_config config = kitti();
    struct phi_prednet_state s = phi_prednet_zero_state(graph, &config);

    (void)state;
    (void)phi_prednet_step(graph, &config,
                           phi_graph_input(graph, "x", phi_prednet_shape(&config, 0)), NULL, &s);
    assert_int_equal(n_parameters(), 6915948);
}

/* With all weights 0 the prediction is clip(bias, 0, 1), E_0 = [0, x] and the L0 loss is
 * 1/2 mean(x); with a bias it follows the same formulas. */
static void prednet_closed_form(void **state)
{
    const struct phi_prednet_config config = {
        .n_layers = 2, .channels = {3, 4}, .h = 8, .w = 8, .batch = 2};
    const float lambda[2] = {1, 0};
    struct phi_tape *tape = NULL;
    int errors[3], predictions[3], frames, loss;
    struct phi_prednet_unrolled u = {3, 3, errors, predictions};
    double mean = 0;

    (void)state;
    frames = phi_graph_input(graph, "frames", PHI_SHAPE(3, 2, 3, 8, 8));
    (void)phi_prednet_unroll(graph, &config, frames, &u);
    loss = phi_prednet_loss(graph, &config, errors, 3, lambda);
    assert_ok(phi_init_graph(weights, graph, PHI_INIT_ZERO, 0, 1, &err), err);
    assert_ok(phi_tape_create(graph, weights, NULL, &tape, &err), err);
    for (size_t i = 0; i < 3 * 384; i++) {
        phi_tape_value(tape, frames)[i] = (float)(i % 11) / 11;
        mean += i >= 384 ? (double)(i % 11) / 11 / 768 : 0;
    }
    assert_int_equal(phi_tape_forward(tape, false), PH_OK);
    assert_near(*phi_tape_value(tape, loss), 0.5 * mean, 1e-6);
    assert_near(phi_tape_value(tape, predictions[2])[5], 0, 0);
    phi_weights_find(weights, "prednet.ahat.0.bias")->value.data[0] = 1.5f;
    phi_weights_find(weights, "prednet.ahat.0.bias")->value.data[1] = 0.25f;
    assert_int_equal(phi_tape_forward(tape, false), PH_OK);
    assert_near(phi_tape_value(tape, predictions[0])[0], 1, 0);
    assert_near(phi_tape_value(tape, predictions[0])[64], 0.25, 0);
    phi_tape_destroy(&tape);
}

#define N_UNROLLED 8

/* The gradient of every parameter one after the other, and the loss. */
struct gradients {
    float value[20000], loss;
    size_t n, n_bytes; /* values, and what the tape holds */
};

static void copy_gradients(struct gradients *ret)
{
    ret->n = 0;
    for (size_t i = 0; i < phi_weights_count(weights); i++) {
        const struct phi_param *param = phi_weights_at(weights, i);
        size_t n = phi_shape_count(&param->value.shape);

        assert_true(ret->n + n <= sizeof ret->value / sizeof *ret->value);
        memcpy(ret->value + ret->n, param->grad, n * sizeof *ret->value);
        ret->n += n;
    }
}

static void unrolled_gradients(bool recompute, struct gradients *ret)
{
    const struct phi_prednet_config config = {
        .n_layers = 3, .channels = {3, 6, 8}, .h = 16, .w = 24, .batch = 2};
    const struct phi_tape_options options = {.train_prefix = "", .recompute = recompute};
    const float lambda[3] = {1, 0.1f, 0.1f};
    int errors[N_UNROLLED];
    const struct phi_prednet_unrolled u = {N_UNROLLED, N_UNROLLED, errors, NULL};
    int frames = phi_graph_input(graph, "frames", PHI_SHAPE(N_UNROLLED, 2, 3, 16, 24)), loss;
    struct phi_tape *tape = NULL;

    (void)phi_prednet_unroll(graph, &config, frames, &u);
    loss = phi_prednet_loss(graph, &config, errors, N_UNROLLED, lambda);
    assert_ok(phi_init_graph(weights, graph, PHI_INIT_GLOROT_UNIFORM, 1, 4, &err), err);
    assert_ok(phi_tape_create(graph, weights, &options, &tape, &err), err);
    for (size_t i = 0; i < (size_t)N_UNROLLED * 2 * 3 * 16 * 24; i++)
        phi_tape_value(tape, frames)[i] = (float)(i * 31 % 97) / 97;
    assert_int_equal(phi_tape_forward(tape, true), PH_OK);
    phi_weights_zero_grads(weights, "");
    assert_int_equal(phi_tape_backward_from(tape, loss), PH_OK);
    ret->loss = *phi_tape_value(tape, loss);
    ret->n_bytes = phi_tape_bytes(tape);
    copy_gradients(ret);
    phi_tape_destroy(&tape);
}

/* Recurrence that is computed again in the backward pass: the same bits in less memory. */
static void prednet_recomputes(void **state)
{
    static struct gradients plain, again;

    unrolled_gradients(false, &plain);
    end(state);
    begin(state);
    unrolled_gradients(true, &again);
    assert_memory_equal(&plain.loss, &again.loss, sizeof(float));
    assert_int_equal(plain.n, again.n);
    assert_memory_equal(plain.value, again.value, plain.n * sizeof *plain.value);
    assert_true(again.n_bytes < plain.n_bytes / 2);
}

/* A convolutional VAE on two kinds of pictures: its loss must fall well below where it began. */
static void vae_learns(const struct phi_cvae_config *config)
{
    const struct phi_optim_config adam = {.kind = PHI_ADAM, .lr = 3e-3f};
    struct phi_tape_options options = {.train_prefix = "cvae."};
    int x = phi_graph_input(graph, "x", PHI_SHAPE(4, 3, 64, 64));
    int eps = phi_graph_input(graph, "eps", PHI_SHAPE(4, 2));
    struct phi_vae_posterior q = phi_cvae_encode(graph, config, x);
    int logits = phi_cvae_decode(graph, config, phi_vae_sample(graph, &q, eps));
    int loss = phi_vae_loss(graph, phi_vae_bernoulli(graph, logits, x),
                            phi_loss_kl_standard(graph, q.mean, q.logvar));
    struct phi_tape *tape = NULL;
    struct phi_optim *optim = NULL;
    struct phi_rng rng;
    float first = 0, last = 0;

    assert_ok(phi_init_graph(weights, graph, PHI_INIT_HE_NORMAL, 0, 2, &err), err);
    assert_ok(phi_tape_create(graph, weights, &options, &tape, &err), err);
    assert_ok(phi_optim_create(weights, "cvae.", &adam, &optim, &err), err);
    for (size_t i = 0; i < 4 * 12288; i++)
        phi_tape_value(tape, x)[i] = (i / 12288) % 2 ? (i % 64 < 32) : (i / 64 % 64 < 32);
    phi_rng_init(&rng, 1, 0);
    for (int t = 0; t < 40; t++) {
        phi_rng_normal_f32(&rng, phi_tape_value(tape, eps), 8);
        phi_weights_zero_grads(weights, "");
        assert_int_equal(phi_tape_forward(tape, true), PH_OK);
        assert_int_equal(phi_tape_backward_from(tape, loss), PH_OK);
        phi_optim_step(optim, 1);
        last = *phi_tape_value(tape, loss);
        first = t == 0 ? last : first;
    }
    assert_true(isfinite(last) && last < 0.7f * first);
    phi_optim_destroy(&optim);
    phi_tape_destroy(&tape);
}

static void plain_vae_learns(void **state)
{
    (void)state;
    vae_learns(&(struct phi_cvae_config){.width = 4, .n_latent = 2});
}

static void normed_vae_learns(void **state)
{
    (void)state;
    vae_learns(&(struct phi_cvae_config){.width = 4, .n_latent = 2, .norm = true});
}

static const struct phi_stack_layer features[2] = {{4, true}, {4, false}};

static void train_dand(struct phi_dand_trainer *trainer, int from, int to)
{
    static float x[2 * 12288];
    float z[2 * 5], terms[PHI_DAND_N_TERMS];

    for (int t = from; t < to; t++) {
        struct phi_rng rng;

        phi_rng_init(&rng, 4, (uint64_t)t);
        phi_rng_normal_f32(&rng, z, 10);
        for (size_t i = 0; i < 2 * 12288; i++)
            x[i] = (float)(2 * phi_rng_uniform(&rng) - 1);
        assert_int_equal(phi_dand_trainer_step(trainer, z, x, 1, terms), PH_OK);
    }
}

static void copy_optim(struct phi_optim *to, struct phi_optim *from)
{
    assert_ok(phi_weights_copy(phi_optim_slots(to), phi_optim_slots(from), &err), err);
    phi_optim_set_steps(to, phi_optim_steps(from));
}

static void dand_resumes_exactly(void **state)
{
    const struct phi_dand_training training = {
        .net = {.n_latent = 5, .n_code = 0, .width = 2},
        .features = {features, 2, 0},
        .loss = {100, 100, 1e-2f, 2e-6f, false, 0.99f, 0.01f},
        .optim = {.kind = PHI_ADAM, .lr = 1e-3f},
        .batch = 2,
        .seed = 8};
    struct phi_weights *resumed = NULL;
    struct phi_dand_trainer *whole = NULL, *rest = NULL;

    (void)state;
    assert_int_equal(phi_weights_create(&resumed), PH_OK);
    assert_ok(phi_dand_trainer_create(weights, &training, &whole, &err), err);
    assert_ok(phi_dand_trainer_create(resumed, &training, &rest, &err), err);
    train_dand(whole, 0, 2);
    assert_ok(phi_weights_copy(resumed, weights, &err), err); /* a checkpoint after two steps */
    copy_optim(phi_dand_trainer_optim_d(rest), phi_dand_trainer_optim_d(whole));
    copy_optim(phi_dand_trainer_optim_g(rest), phi_dand_trainer_optim_g(whole));
    train_dand(whole, 2, 4);
    train_dand(rest, 2, 4);
    for (size_t i = 0; i < phi_weights_count(weights); i++) {
        const struct phi_param *a = phi_weights_at(weights, i);
        const struct phi_param *b = phi_weights_find(resumed, a->name);

        assert_non_null(b);
        assert_memory_equal(a->value.data, b->value.data,
                            phi_shape_count(&a->value.shape) * sizeof(float));
    }
    phi_dand_trainer_destroy(&whole);
    phi_dand_trainer_destroy(&rest);
    phi_weights_destroy(&resumed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(dand_sizes, begin, end),
        cmocka_unit_test_setup_teardown(vgg_sizes, begin, end),
        cmocka_unit_test_setup_teardown(compact_sizes, begin, end),
        cmocka_unit_test_setup_teardown(prednet_sizes, begin, end),
        cmocka_unit_test_setup_teardown(prednet_closed_form, begin, end),
        cmocka_unit_test_setup_teardown(prednet_recomputes, begin, end),
        cmocka_unit_test_setup_teardown(plain_vae_learns, begin, end),
        cmocka_unit_test_setup_teardown(normed_vae_learns, begin, end),
        cmocka_unit_test_setup_teardown(dand_resumes_exactly, begin, end),
    };

    phi_nn_set_threads(1);
    return cmocka_run_group_tests_name("models", tests, NULL, NULL);
}
