/* SPDX-License-Identifier: MIT
 * DRAW and alignDRAW agree with values computed in float64 by another implementation: windows of
 * both sizes and three grids, read and written, alignment, and whole models of three steps with the
 * gradient of every parameter back through time; a plan of the generator draws what the tape draws.
 */
#include <stdlib.h>

#include "fixture.h"
#include "models/draw.h"
#include "nn/plan.h"
#include "nn/prim.h"

static const struct phi_draw_config plain = {.batch = 2,
                                             .channels = 1,
                                             .h = 8,
                                             .w = 10,
                                             .n_steps = 3,
                                             .n_enc = 7,
                                             .n_dec = 6,
                                             .n_latent = 4,
                                             .n_read = 3,
                                             .n_write = 4};

static int pf(const char *prefix, const char *name)
{
    char full[PHI_PARAM_NAME];

    snprintf(full, sizeof full, "%s%s", prefix, name);
    return p(full);
}

static void forward(void)
{
    struct phi_tape_options options = {.train_prefix = ""};
    struct ph_error err = {0};

    assert_ok(phi_tape_create(graph, params, &options, &tape, &err), err);
    assert_int_equal(phi_tape_forward(tape, false), PH_OK);
}

static void compare(const char *prefix, const char *name, const float *actual, double tolerance)
{
    char full[PHI_PARAM_NAME];

    snprintf(full, sizeof full, "%s%s", prefix, name);
    golden_compare(params, full, actual, tolerance);
}

static void compare_node(const char *prefix, const char *name, int node)
{
    compare(prefix, name, phi_tape_value(tape, node), 1e-5);
}

/* Carries the stored seed of `node` back and compares the gradients of PREFIXgrad. */
static void compare_grads(int node, const char *seed, const char *prefix, int n_expected)
{
    phi_weights_zero_grads(params, "");
    phi_tape_clear(tape);
    phi_tape_seed(tape, node, golden_tensor(params, seed)->data);
    assert_int_equal(phi_tape_backward(tape), PH_OK);
    assert_int_equal(golden_check_grads(params, prefix, 1e-5), n_expected);
}

static int picture(const char *name)
{
    struct phi_shape s = golden_tensor(params, name)->shape;

    return phi_graph_reshape(graph, p(name), PHI_SHAPE(s.dim[0], 1, s.dim[1], s.dim[2]));
}

/* The patch has another name in the file than golden_check_grads looks for. */
static void compare_patch_grad(const char *prefix)
{
    char name[PHI_PARAM_NAME], grad[PHI_PARAM_NAME];

    snprintf(name, sizeof name, "%spatch", prefix);
    snprintf(grad, sizeof grad, "%swrite.grad.patch", prefix);
    golden_compare(params, grad, phi_weights_find(params, name)->grad, 1e-5);
}

static void window(const char *prefix, size_t n)
{
    static const char *const grids[3] = {"", "authors.", "centred."};
    struct phi_draw_config config = {.batch = 4, .channels = 1, .h = 10, .w = 12};
    struct phi_draw_window windows[3];
    char name[24];
    int read, canvas;

    begin("draw_attention");
    for (int grid = 0; grid < 3; grid++) {
        config.grid = (enum phi_draw_grid)grid;
        windows[grid] = phi_draw_filters(graph, &config, p("p"), n);
    }
    read = phi_graph_concat(graph, 1,
                            (const int[]){phi_draw_read(graph, &windows[0], picture("x")),
                                          phi_draw_read(graph, &windows[0], picture("xhat"))},
                            2);
    canvas = phi_graph_add(graph, picture("canvas"),
                           phi_draw_write(graph, &windows[0], pf(prefix, "patch"), 1));
    forward();
    for (int grid = 0; grid < 3; grid++) {
        snprintf(name, sizeof name, "%s%s", prefix, grids[grid]);
        compare_node(name, "Fx", windows[grid].fx);
        compare_node(name, "Fy", windows[grid].fy);
    }
    compare_node(prefix, "read.value", read);
    compare_node(prefix, "write.canvas_new", canvas);
    snprintf(name, sizeof name, "%sread.", prefix);
    compare_grads(read, n == 4 ? "n4.grad_read" : "n5.grad_read", name, 3);
}

static void window_even(void **state)
{
    (void)state;
    window("n4.", 4);
}

static void window_odd(void **state)
{
    (void)state;
    window("n5.", 5);
}

static void window_written(void **state)
{
    static const char *const prefix[2] = {"n4.", "n5."};
    struct phi_draw_config config = {.batch = 4, .channels = 1, .h = 10, .w = 12};
    struct phi_draw_window windows;
    char name[PHI_PARAM_NAME];

    for (size_t k = 0; k < 2; k++) {
        int canvas;

        begin("draw_attention");
        windows = phi_draw_filters(graph, &config, p("p"), 4 + k);
        canvas = phi_draw_write(graph, &windows, pf(prefix[k], "patch"), 1);
        forward();
        phi_tape_seed(tape, canvas, golden_tensor(params, "grad_canvas")->data);
        assert_int_equal(phi_tape_backward(tape), PH_OK);
        snprintf(name, sizeof name, "%swrite.grad.p", prefix[k]);
        golden_compare(params, name, phi_weights_find(params, "p")->grad, 1e-5);
        compare_patch_grad(prefix[k]);
        (void)end(state);
    }
}

static void alignment(void **state)
{
    const struct phi_draw_config config = {
        .batch = 3, .n_words = 6, .n_lang = 4, .n_align = 5, .n_dec = 7};
    struct phi_draw_alignment align;

    (void)state;
    begin("draw_align");
    align = phi_draw_align(graph, &config, p("h_lang"), p("h_gen"));
    forward();
    compare_node("", "e", align.score);
    compare_node("", "alpha", align.alpha);
    compare_node("", "s", align.sentence);
    phi_tape_seed(tape, align.sentence, golden_tensor(params, "grad_s")->data);
    phi_tape_seed(tape, align.alpha, golden_tensor(params, "grad_alpha")->data);
    assert_int_equal(phi_tape_backward(tape), PH_OK);
    assert_int_equal(golden_check_grads(params, "", 1e-5), 6);
}

/* Compares a list of nodes, one a step, with a stored [steps][...]. */
static void compare_steps(const char *name, const int *node, size_t n_steps)
{
    struct phi_tensor expected = *golden_tensor(params, name);
    size_t n = phi_shape_count(&expected.shape) / n_steps;
    float *all = calloc(n_steps, n * sizeof *all);

    assert_non_null(all);
    for (size_t t = 0; t < n_steps; t++)
        memcpy(all + t * n, phi_tape_value(tape, node[t]), n * sizeof *all);
    golden_compare(params, name, all, 5e-5);
    free(all);
}

static void model(const char *file, const struct phi_draw_config *config, int n_grads)
{
    struct ph_error err = {0};
    struct phi_draw_pass pass;
    int bce, loss;

    assert_ok(phi_draw_check(config, &err), err);
    begin(file);
    pass =
        phi_draw_pass(graph, config, picture("x"), config->n_words ? p("caption") : -1, p("eps"));
    bce = phi_draw_cross_entropy(graph, config, &pass, picture("x"));
    loss = phi_draw_loss(graph, config, &pass, bce);
    forward();
    compare_steps("canvas", pass.canvas, 3);
    compare_steps("z", pass.z, 3);
    compare_steps("read", pass.read, 3);
    compare_steps("kl", pass.kl, 3);
    if (config->n_words) {
        compare_steps("alpha", pass.alpha, 3);
        compare("", "h_lang", phi_tape_value(tape, pass.language), 5e-5);
    }
    compare("", "h_dec", phi_tape_value(tape, pass.h_dec), 5e-5);
    compare("", "bce", phi_tape_value(tape, bce), 5e-5);
    compare("", "loss", phi_tape_value(tape, loss), 5e-5);
    assert_int_equal(phi_tape_backward_from(tape, loss), PH_OK);
    assert_int_equal(golden_check_grads(params, "", 5e-5), n_grads);
}

static void draw(void **state)
{
    (void)state;
    model("draw_model", &plain, 17);
}

static struct phi_draw_config with_captions(void)
{
    struct phi_draw_config config = plain;

    config.n_words = 4;
    config.n_vocabulary = 6;
    config.n_lang = 3;
    config.n_align = 5;
    return config;
}

static void aligndraw(void **state)
{
    struct phi_draw_config config = with_captions();

    (void)state;
    model("aligndraw_model", &config, 29);
}

static void compare_plan(const struct phi_draw_pass *pass)
{
    struct phi_plan_request request = {graph, params, pass->canvas, 3};
    struct phi_plan *plan = NULL;
    struct ph_error err = {0};
    int eps = phi_graph_find(graph, "noise");

    assert_ok(phi_plan_create(&request, NULL, &plan, &err), err);
    if (eps >= 0)
        memcpy(phi_plan_input(plan, eps), golden_tensor(params, "eps")->data,
               3 * 2 * 4 * sizeof(float));
    assert_int_equal(phi_plan_run(plan), PH_OK);
    for (size_t t = 0; t < 3; t++) {
        const float *expected = golden_tensor(params, "generate.canvas")->data + t * 2 * 80;

        for (size_t i = 0; i < (size_t)2 * 80; i++)
            assert_near(phi_plan_output(plan, pass->canvas[t])[i], expected[i], 1e-4);
    }
    phi_plan_destroy(&plan);
}

/* From the prior: on a tape; in a plan; and in a plan that has nothing to compute, as all it
 * depends on is fixed. */
static void generate(void **state)
{
    struct phi_draw_config config = with_captions();
    struct phi_draw_pass pass;

    (void)state;
    begin("aligndraw_model");
    pass = phi_draw_pass(graph, &config, -1, p("caption"), p("eps"));
    forward();
    compare_steps("generate.canvas", pass.canvas, 3);
    compare_steps("generate.z", pass.z, 3);
    compare_plan(&pass);
    phi_tape_destroy(&tape);
    phi_graph_destroy(&graph);
    assert_int_equal(phi_graph_create(&graph), PH_OK);
    pass = phi_draw_pass(graph, &config, -1, p("caption"),
                         phi_graph_input(graph, "noise", PHI_SHAPE(3, 2, 4)));
    compare_plan(&pass);
}

/* Three planes share a window; without windows the whole picture is read and written. */
static void planes(void **state)
{
    struct phi_draw_config config = plain;
    struct phi_draw_pass pass;
    int x, eps;

    (void)state;
    config.channels = 3;
    for (config.n_read = 0; config.n_read < 4; config.n_read += 3) {
        config.n_write = config.n_read;
        assert_int_equal(phi_graph_create(&graph), PH_OK);
        x = phi_graph_input(graph, "x", PHI_SHAPE(2, 3, 8, 10));
        eps = phi_graph_input(graph, "eps", PHI_SHAPE(3, 2, 4));
        pass = phi_draw_pass(graph, &config, x, -1, eps);
        assert_int_equal(phi_graph_check(graph, NULL), PH_OK);
        assert_int_equal(phi_graph_shape(graph, pass.read[2]).dim[1],
                         2 * 3 * (config.n_read ? 9 : 80));
        assert_int_equal(phi_graph_shape(graph, pass.canvas[2]).dim[1], 3);
        phi_graph_destroy(&graph);
    }
}

static void refuses(void **state)
{
    struct phi_draw_config bad[5] = {plain, plain, plain, plain, with_captions()};

    (void)state;
    bad[0].n_steps = PHI_DRAW_STEPS + 1;
    bad[1].channels = 0;
    bad[2].n_read = 1;
    bad[3].n_latent = 0;
    bad[4].n_vocabulary = 0;
    for (size_t i = 0; i < 5; i++) {
        struct ph_error err = {0};

        assert_int_not_equal(phi_draw_check(&bad[i], &err), PH_OK);
        assert_true(err.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(window_even, end),
        cmocka_unit_test_teardown(window_odd, end),
        cmocka_unit_test_teardown(window_written, end),
        cmocka_unit_test_teardown(alignment, end),
        cmocka_unit_test_teardown(draw, end),
        cmocka_unit_test_teardown(aligndraw, end),
        cmocka_unit_test_teardown(generate, end),
        cmocka_unit_test_teardown(planes, end),
        cmocka_unit_test(refuses),
    };

    phi_nn_set_threads(1);
    return cmocka_run_group_tests_name("golden/nn draw", tests, NULL, NULL);
}
