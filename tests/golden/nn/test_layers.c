/* SPDX-License-Identifier: MIT
 * Every layer, forward and backward, agrees with values computed in float64 by another
 * implementation, within the tolerance that belongs to each file. */
#include "golden.h"
#include "nn/prim.h"

static struct phi_weights *params;
static struct phi_graph *graph;

static void begin(const char *file)
{
    golden_load(&params, file);
    assert_int_equal(phi_graph_create(&graph), PH_OK);
}

static int restart(void **state)
{
    (void)state;
    phi_graph_destroy(&graph);
    phi_weights_destroy(&params);
    return 0;
}

static int p(const char *prefix, const char *name)
{
    char full[PHI_PARAM_NAME];

    snprintf(full, sizeof full, "%s%s", prefix, name);
    return golden_param(graph, params, full);
}

static void check(int node, const char *prefix, double tolerance)
{
    golden_check_node(graph, params, node,
                      &(struct golden_check){.prefix = prefix, .tolerance = tolerance});
}

static void conv2d(void **state)
{
    static const struct {
        const char *prefix;
        int stride, pad;
    } cases[] = {{"k3s1p1.", 1, 1},
                 {"k4s2p1.", 2, 1},
                 {"k3s1p1_odd.", 1, 1},
                 {"k4s2p1_odd.", 2, 1},
                 {"k5s2p2.", 2, 2}};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        const char *prefix = cases[i].prefix;

        begin("conv2d");
        check(phi_graph_conv2d(graph, p(prefix, "x"), p(prefix, "weight"), p(prefix, "bias"),
                               cases[i].stride, cases[i].pad),
              prefix, 1e-5);
        restart(NULL);
    }
}

static void conv_transpose2d(void **state)
{
    static const struct {
        const char *prefix;
        int geometry[3];
    } cases[] = {{"k4s2p1.", {2, 1, 0}},
                 {"k4s2p1_odd.", {2, 1, 0}},
                 {"k4s1p0.", {1, 0, 0}},
                 {"k5s2p2op1.", {2, 2, 1}}};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const char *prefix = cases[i].prefix;

        begin("conv_transpose2d");
        check(phi_graph_deconv2d(graph, p(prefix, "x"), p(prefix, "weight"), p(prefix, "bias"),
                                 cases[i].geometry),
              prefix, 1e-5);
        restart(NULL);
    }
}

static void linear(void **state)
{
    (void)state;
    begin("linear");
    check(phi_graph_linear(graph, p("", "x"), p("", "weight"), p("", "bias")), "", 1e-5);
}

/* Batch norm names its running statistics mean and var. */
static void rename_statistics(const char *prefix)
{
    static const char *const names[2][2] = {{"running_mean", "mean"}, {"running_var", "var"}};

    for (int i = 0; i < 2; i++) {
        char from[PHI_PARAM_NAME], to[PHI_PARAM_NAME];
        const struct phi_tensor *value;
        struct ph_error err = {0};

        snprintf(from, sizeof from, "%s%s", prefix, names[i][0]);
        snprintf(to, sizeof to, "%s%s", prefix, names[i][1]);
        value = golden_tensor(params, from);
        assert_ok(phi_weights_put(params, to, value->shape, value->data, &err), err);
    }
}

static void norm_case(const char *prefix, bool train)
{
    char head[32], name[PHI_PARAM_NAME];
    const struct phi_tensor *grad;
    struct ph_error err = {0};
    int y;

    begin("batch_norm");
    rename_statistics(prefix);
    snprintf(head, sizeof head, "%s%s.", prefix, train ? "train" : "eval");
    snprintf(name, sizeof name, "%sgrad_out", prefix);
    grad = golden_tensor(params, name);
    snprintf(name, sizeof name, "%sgrad_out", head);
    assert_ok(phi_weights_put(params, name, grad->shape, grad->data, &err), err);
    y = phi_graph_batch_norm(graph, p(prefix, "x"), prefix, 1e-5f, 0.1f);
    golden_check_node(graph, params, y,
                      &(struct golden_check){.prefix = head, .tolerance = 2e-5, .train = train});
    if (train && prefix[0] == '\0') {
        golden_compare(params, "train.running_mean_after", golden_tensor(params, "mean")->data,
                       2e-5);
        golden_compare(params, "train.running_var_after", golden_tensor(params, "var")->data, 2e-5);
    }
    restart(NULL);
}

static void batch_norm(void **state)
{
    (void)state;
    norm_case("", true);
    norm_case("", false);
    norm_case("dense.", true);
    norm_case("dense.", false);
}

static void pooling(void **state)
{
    static const char *const prefix[] = {"max.", "max_odd.", "avg.", "global."};

    (void)state;
    for (int i = 0; i < 4; i++) {
        int x, y;

        begin("pooling");
        x = p(prefix[i], "x");
        y = i < 2    ? phi_graph_max_pool(graph, x, 2, 2)
            : i == 2 ? phi_graph_avg_pool(graph, x, 2, 2)
                     : phi_graph_mean(graph, x, 4 | 8);
        check(y, prefix[i], 1e-6);
        restart(NULL);
    }
}

static void resize(void **state)
{
    static const struct {
        const char *prefix;
        size_t h, w;
    } cases[] = {{"nearest.", 6, 8}, {"up2.", 10, 12}, {"up.", 8, 12}, {"down.", 4, 5}};

    (void)state;
    for (int i = 0; i < 4; i++) {
        int x;

        begin("resize");
        x = p(cases[i].prefix, "x");
        check(i == 0 ? phi_graph_resize_nearest(graph, x, cases[i].h, cases[i].w)
                     : phi_graph_resize_bilinear(graph, x, cases[i].h, cases[i].w),
              cases[i].prefix, 1e-5);
        restart(NULL);
    }
}

/* Element by element, |a - r| / max(1, |r|), as this file asks. */
static void compare_elements(const char *name, const float *actual)
{
    const struct phi_tensor *r = golden_tensor(params, name);
    size_t n = phi_shape_count(&r->shape);

    for (size_t i = 0; i < n; i++)
        assert_near(actual[i], r->data[i], 2e-6 * fmax(1, fabs((double)r->data[i])));
}

static void activation_case(const char *name, const char *operand, enum phi_unary fn, float f0)
{
    struct phi_tape_options options = {.train_prefix = ""};
    struct phi_tape *tape = NULL;
    struct ph_error err = {0};
    char full[PHI_PARAM_NAME];
    int x, y;

    begin("activations");
    x = golden_param(graph, params, operand);
    y = fn == PHI_N_UNARY ? phi_graph_softmax(graph, x) : phi_graph_unary(graph, fn, x, f0, 0);
    assert_ok(phi_tape_create(graph, params, &options, &tape, &err), err);
    assert_int_equal(phi_tape_forward(tape, false), PH_OK);
    snprintf(full, sizeof full, "%s.y", name);
    compare_elements(full, phi_tape_value(tape, y));
    phi_tape_seed(tape, y,
                  golden_tensor(params, fn == PHI_N_UNARY ? "softmax.grad_out" : "grad_out")->data);
    assert_int_equal(phi_tape_backward(tape), PH_OK);
    snprintf(full, sizeof full, "%s.grad.x", name);
    compare_elements(full, phi_weights_find(params, operand)->grad);
    phi_tape_destroy(&tape);
    restart(NULL);
}

static void activations(void **state)
{
    (void)state;
    activation_case("relu", "x", PHI_RELU, 0);
    activation_case("leaky", "x", PHI_LEAKY_RELU, 0.2f);
    activation_case("sigmoid", "x", PHI_SIGMOID, 0);
    activation_case("hard_sigmoid", "x", PHI_HARD_SIGMOID, 0);
    activation_case("tanh", "x", PHI_TANH, 0);
    activation_case("softplus", "x", PHI_SOFTPLUS, 0);
    activation_case("elu", "x", PHI_ELU, 1);
    activation_case("softmax", "softmax.x", PHI_N_UNARY, 0);
}

/* Value and gradients of one loss; `build` makes the node of its value. */
static void loss_case(const char *prefix, int (*build)(void))
{
    struct phi_tape_options options = {.train_prefix = ""};
    struct phi_tape *tape = NULL;
    struct ph_error err = {0};
    char name[PHI_PARAM_NAME];
    int node;

    begin("losses");
    node = build();
    assert_ok(phi_tape_create(graph, params, &options, &tape, &err), err);
    assert_int_equal(phi_tape_forward(tape, false), PH_OK);
    snprintf(name, sizeof name, "%svalue", prefix);
    golden_compare(params, name, phi_tape_value(tape, node), 1e-5);
    assert_int_equal(phi_tape_backward_from(tape, node), PH_OK);
    assert_true(golden_check_grads(params, prefix, 1e-5) > 0);
    phi_tape_destroy(&tape);
    restart(NULL);
}

static int build_mse_mean(void)
{
    return phi_loss_mse_mean(graph, p("", "p"), p("", "t"));
}

static int build_mse_sum(void)
{
    return phi_loss_mse_sum(graph, p("", "p"), p("", "t"));
}

static int build_l1_mean(void)
{
    return phi_loss_l1_mean(graph, p("", "p"), p("", "t"));
}

static int build_l1_sum(void)
{
    return phi_loss_l1_sum(graph, p("", "p"), p("", "t"));
}

static int build_bce(void)
{
    return phi_loss_bce_sum(graph, p("", "p"), p("", "t"));
}

static int build_bce_logits(void)
{
    return phi_graph_sum_all(graph, phi_loss_bce_logits(graph, p("", "a"), p("", "t")));
}

static int build_cross_entropy(void)
{
    return phi_loss_cross_entropy_mean(graph, p("", "a"), p("", "label"));
}

static int build_kl(void)
{
    return phi_loss_kl_standard(graph, p("", "mu"), p("", "lv"));
}

static int build_kl2(void)
{
    return phi_loss_kl_gaussians(graph, (const int[]){p("", "mu"), p("", "lv")},
                                 (const int[]){p("", "mu_p"), p("", "lv_p")});
}

static int build_tv_smooth(void)
{
    return phi_loss_tv(graph, p("", "image"), 1, 1e-4f, false);
}

static int build_tv2(void)
{
    return phi_loss_tv(graph, p("", "image"), 2, 0, false);
}

static int build_tv_clamped(void)
{
    return phi_loss_tv(graph, p("", "image"), 1, 0, true);
}

static void losses(void **state)
{
    (void)state;
    loss_case("mse.mean.", build_mse_mean);
    loss_case("mse.sum.", build_mse_sum);
    loss_case("l1.mean.", build_l1_mean);
    loss_case("l1.sum.", build_l1_sum);
    loss_case("bce.sum.", build_bce);
    loss_case("bce_logits.sum.", build_bce_logits);
    loss_case("cross_entropy.", build_cross_entropy);
    loss_case("kl.", build_kl);
    loss_case("kl2.", build_kl2);
    loss_case("tv.beta1_smooth.", build_tv_smooth);
    loss_case("tv.beta2.", build_tv2);
    loss_case("tv.beta1_clamped.", build_tv_clamped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(conv2d, restart),
        cmocka_unit_test_teardown(conv_transpose2d, restart),
        cmocka_unit_test_teardown(linear, restart),
        cmocka_unit_test_teardown(batch_norm, restart),
        cmocka_unit_test_teardown(pooling, restart),
        cmocka_unit_test_teardown(resize, restart),
        cmocka_unit_test_teardown(activations, restart),
        cmocka_unit_test_teardown(losses, restart),
    };

    phi_nn_set_threads(1);
    return cmocka_run_group_tests_name("golden/nn layers", tests, NULL, NULL);
}
