/* SPDX-License-Identifier: MIT
 * DAND's generator, discriminator and one whole training step agree with values computed in float64
 * by another implementation: pictures, logits, running statistics, losses, every gradient, and the
 * parameters after Adam's first step. */
#include "golden.h"
#include "models/dand.h"
#include "nn/prim.h"

#define BATCH 3

static const struct phi_dand_config net = {.n_latent = 20, .n_code = 64, .width = 4};
static const struct phi_stack_layer feature_layers[3] = {{4, false}, {6, true}, {8, false}};

static struct phi_weights *params;
static struct phi_graph *graph;
static struct phi_tape *tape;

static int end(void **state)
{
    (void)state;
    phi_tape_destroy(&tape);
    phi_graph_destroy(&graph);
    phi_weights_destroy(&params);
    return 0;
}

static void begin(const char *file)
{
    golden_load(&params, "dand_weights");
    golden_load(&params, file);
    assert_int_equal(phi_graph_create(&graph), PH_OK);
}

static void make_tape(void)
{
    struct phi_tape_options options = {.input_grads = true};
    struct ph_error err = {0};

    assert_ok(phi_tape_create(graph, params, &options, &tape, &err), err);
}

/* Compares all PREFIXNAME with the parameter NAME now in the store; returns how many. */
static int compare_after(const char *prefix, double tolerance)
{
    int n = 0;

    for (size_t i = 0; i < phi_weights_count(params); i++) {
        const char *name = phi_weights_at(params, i)->name;

        if (strncmp(name, prefix, strlen(prefix)) != 0)
            continue;
        golden_compare(params, name, golden_tensor(params, name + strlen(prefix))->data, tolerance);
        n++;
    }
    return n;
}

static void generator(void **state)
{
    int z, image, code;

    (void)state;
    begin("dand_generator");
    z = phi_graph_input(graph, "z in", PHI_SHAPE(BATCH, 20));
    image = phi_dand_generator(graph, &net, z, &code);
    make_tape();
    phi_tape_set(tape, z, golden_tensor(params, "z")->data);
    assert_int_equal(phi_tape_forward(tape, false), PH_OK);
    golden_compare(params, "eval.image", phi_tape_value(tape, image), 5e-5);
    golden_compare(params, "eval.code", phi_tape_value(tape, code), 5e-5);
    phi_tape_seed(tape, image, phi_tape_value(tape, image)); /* of 1/2 sum image^2 */
    assert_int_equal(phi_tape_backward(tape), PH_OK);
    golden_compare(params, "eval.grad.z", phi_tape_grad(tape, z), 5e-5);
    assert_int_equal(phi_tape_forward(tape, true), PH_OK);
    golden_compare(params, "train.image", phi_tape_value(tape, image), 5e-5);
    assert_int_equal(compare_after("train.after.", 5e-5), 8);
}

static void discriminator(void **state)
{
    const float one = 1;
    int x, logit, psi, loss;

    (void)state;
    begin("dand_discriminator");
    x = phi_graph_input(graph, "x in", PHI_SHAPE(BATCH, 3, 64, 64));
    logit = phi_dand_discriminator(graph, &net, x);
    psi = phi_graph_sigmoid(graph, logit);
    loss = phi_graph_mean_all(
        graph, phi_loss_bce_logits(graph, logit, phi_graph_constant(graph, PHI_SHAPE(1), &one)));
    make_tape();
    phi_tape_set(tape, x, golden_tensor(params, "x")->data);
    assert_int_equal(phi_tape_forward(tape, false), PH_OK);
    golden_compare(params, "eval.logit", phi_tape_value(tape, logit), 2e-5);
    golden_compare(params, "eval.psi", phi_tape_value(tape, psi), 2e-5);
    assert_int_equal(phi_tape_backward_from(tape, loss), PH_OK);
    golden_compare(params, "eval.grad.x", phi_tape_grad(tape, x), 2e-5);
    assert_int_equal(phi_tape_forward(tape, true), PH_OK);
    golden_compare(params, "train.logit", phi_tape_value(tape, logit), 2e-5);
    golden_compare(params, "train.psi", phi_tape_value(tape, psi), 2e-5);
    assert_int_equal(compare_after("train.after.", 2e-5), 6);
}

static double norm_of(const float *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

/* Adam's first step is lr g / (|g| + eps), about lr sign(g): where the stored gradient is firm the
 * parameter must land on the same value, elsewhere within the length of a step. */
static void check_adam(const char *name, const float *before)
{
    const struct phi_param *param = phi_weights_find(params, name);
    char full[PHI_PARAM_NAME + 16];
    size_t n = phi_shape_count(&param->value.shape);
    const float *g;
    double largest = 0;

    snprintf(full, sizeof full, "grad.%s", name);
    g = golden_tensor(params, full)->data;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)g[i]));
    for (size_t i = 0; i < n; i++) {
        double expected = (double)before[i] - 1e-3 * (double)g[i] / (fabs((double)g[i]) + 1e-8);

        assert_near(param->value.data[i], expected,
                    fabs((double)g[i]) > 1e-3 * largest ? 2e-6 : 2.1e-3);
    }
}

static void check_parameters(const struct phi_weights *before)
{
    int n = 0;

    for (size_t i = 0; i < phi_weights_count(params); i++) {
        const struct phi_param *param = phi_weights_at(params, i);
        char full[PHI_PARAM_NAME + 16];
        float norm;

        if (!param->grad || param->frozen)
            continue;
        snprintf(full, sizeof full, "grad.%s", param->name);
        golden_compare(params, full, param->grad, 5e-5);
        snprintf(full, sizeof full, "grad_norm.%s", param->name);
        norm = (float)norm_of(param->grad, phi_shape_count(&param->value.shape));
        golden_compare(params, full, &norm, 5e-5);
        check_adam(param->name, golden_tensor(before, param->name)->data);
        n++;
    }
    assert_int_equal(n, 24);
}

static void check_image_grads(struct phi_dand_trainer *trainer, const struct phi_dand_loss *loss)
{
    const struct phi_graph *g;
    struct phi_tape *critic = phi_dand_trainer_critic(trainer, &g);
    const char *const term[3] = {"adv", "fea", "sti"};
    const float lambda[3] = {loss->lambda_adv, loss->lambda_fea, loss->lambda_sti};

    for (int i = 0; i < 3; i++) {
        char name[PHI_PARAM_NAME];
        float norm;

        assert_int_equal(phi_tape_backward_from(critic, phi_graph_find(g, term[i])), PH_OK);
        norm = lambda[i] * (float)norm_of(phi_tape_grad(critic, phi_graph_find(g, "fake")),
                                          BATCH * 3 * 64 * 64);
        snprintf(name, sizeof name, "image_grad_norm.%s", term[i]);
        golden_compare(params, name, &norm, 5e-5);
    }
    golden_compare(params, "logit.fake_after_d", phi_tape_value(critic, phi_graph_find(g, "logit")),
                   5e-5);
    golden_compare(params, "xi.real0", phi_tape_value(critic, phi_graph_find(g, "real features")),
                   5e-5);
}

static void check_losses(const float *terms)
{
    float gen_paper =
        100 * terms[PHI_DAND_ADV] + 1e-2f * terms[PHI_DAND_FEA] + 2e-6f * terms[PHI_DAND_STI];

    golden_compare(params, "loss.dis", &terms[PHI_DAND_DIS], 5e-5);
    golden_compare(params, "loss.adv_mean", &terms[PHI_DAND_ADV], 5e-5);
    golden_compare(params, "loss.fea_mean", &terms[PHI_DAND_FEA], 5e-5);
    golden_compare(params, "loss.sti_mean", &terms[PHI_DAND_STI], 5e-5);
    golden_compare(params, "loss.gen", &terms[PHI_DAND_GEN], 5e-5);
    golden_compare(params, "loss.gen_paper", &gen_paper, 5e-5);
}

static void load_step(void)
{
    golden_load(&params, "dand_weights");
    golden_load(&params, "dand_step");
    golden_load(&params, "dand_grads");
    phi_weights_freeze(params, "", true);
    phi_weights_freeze(params, "dand.", false);
}

static struct phi_dand_training training_of_golden(void)
{
    return (struct phi_dand_training){.net = net,
                                      .features = {feature_layers, 3, 80},
                                      .loss = {.lambda_dis = 100,
                                               .lambda_adv = 10,
                                               .lambda_fea = 200,
                                               .lambda_sti = 1000,
                                               .target_real = 1},
                                      .optim = {.kind = PHI_ADAM, .lr = 1e-3f},
                                      .batch = BATCH};
}

static void training_step(void **state)
{
    struct phi_dand_training training = training_of_golden();
    struct phi_dand_trainer *trainer = NULL;
    struct phi_weights *before = NULL, *data = NULL;
    struct ph_error err = {0};
    float terms[PHI_DAND_N_TERMS];

    (void)state;
    load_step();
    golden_load(&before, "dand_weights");
    golden_load(&data, "dand_discriminator");
    assert_ok(phi_dand_trainer_create(params, &training, &trainer, &err), err);
    {
        struct phi_weights *latents = NULL;

        golden_load(&latents, "dand_generator");
        assert_int_equal(phi_dand_trainer_step(trainer, golden_tensor(latents, "z")->data,
                                               golden_tensor(data, "x")->data, 1, terms),
                         PH_OK);
        phi_weights_destroy(&latents);
    }
    check_losses(terms);
    check_parameters(before);
    assert_int_equal(compare_after("after.", 5e-5), 14);
    check_image_grads(trainer, &training.loss);
    phi_dand_trainer_destroy(&trainer);
    phi_weights_destroy(&before);
    phi_weights_destroy(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(generator, end),
        cmocka_unit_test_teardown(discriminator, end),
        cmocka_unit_test_teardown(training_step, end),
    };

    phi_nn_set_threads(1);
    return cmocka_run_group_tests_name("golden/nn dand", tests, NULL, NULL);
}
