/* SPDX-License-Identifier: MIT
 * Initial values have the spread their rule says and repeat for a seed; schedules, clipping and
 * averages follow their formulas; nonsense is refused. */
#include "nn/init.h"
#include "nn/layers.h"
#include "nn/optim.h"
#include "test.h"

static struct phi_weights *weights;
static struct ph_error err;

static int begin(void **state)
{
    (void)state;
    return phi_weights_create(&weights) == PH_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    phi_weights_destroy(&weights);
    return 0;
}

static struct phi_param *add(const char *name, struct phi_shape shape)
{
    struct phi_param *param = NULL;

    assert_ok(phi_weights_add(weights, name, shape, &param, &err), err);
    return param;
}

static double rms(const struct phi_param *param)
{
    size_t n = phi_shape_count(&param->value.shape);
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)param->value.data[i] * (double)param->value.data[i];
    return sqrt(sum / (double)n);
}

static void spreads(void **state)
{
    struct phi_param *w = add("w", PHI_SHAPE(64, 32, 3, 3));
    double fan_in = 32 * 9, fan_out = 64 * 9;
    float first;

    (void)state;
    assert_int_equal(phi_init_param(w, PHI_INIT_GLOROT_UNIFORM, 0, 3), PH_OK);
    assert_near(rms(w), sqrt(2 / (fan_in + fan_out)), 0.02 * sqrt(2 / (fan_in + fan_out)));
    assert_int_equal(phi_init_param(w, PHI_INIT_HE_NORMAL, 0, 3), PH_OK);
    assert_near(rms(w), sqrt(2 / fan_in), 0.03 * sqrt(2 / fan_in));
    first = w->value.data[0];
    assert_int_equal(phi_init_param(w, PHI_INIT_HE_NORMAL, 0, 4), PH_OK);
    assert_true(first != w->value.data[0]);
    assert_int_equal(phi_init_param(w, PHI_INIT_HE_NORMAL, 0, 3), PH_OK);
    assert_true(first == w->value.data[0]);
    assert_int_equal(phi_init_param(w, PHI_INIT_UNIFORM, 0.5f, 3), PH_OK);
    assert_near(rms(w), 0.5 / sqrt(3), 0.01);
}

static double row_product(const struct phi_param *w, size_t i, size_t j)
{
    size_t n = w->value.shape.dim[1];
    double sum = 0;

    for (size_t k = 0; k < n; k++)
        sum += (double)w->value.data[i * n + k] * (double)w->value.data[j * n + k];
    return sum;
}

static void orthogonal_rows(void **state)
{
    struct phi_param *w = add("w", PHI_SHAPE(5, 9));

    (void)state;
    assert_int_equal(phi_init_param(w, PHI_INIT_ORTHOGONAL, 2, 1), PH_OK);
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j <= i; j++)
            assert_near(row_product(w, i, j), i == j ? 4 : 0, 1e-5);
    }
}

static void schedules(void **state)
{
    const struct phi_schedule step = {PHI_STEP_RATE, 0, 10, 0.5f};
    const struct phi_schedule line = {PHI_LINEAR_RATE, 0, 100, 0.2f};
    const struct phi_schedule cosine = {PHI_COSINE_RATE, 4, 100, 0};

    (void)state;
    assert_near(phi_schedule_at(&step, 9), 1, 0);
    assert_near(phi_schedule_at(&step, 10), 0.5, 0);
    assert_near(phi_schedule_at(&step, 25), 0.25, 0);
    assert_near(phi_schedule_at(&line, 50), 0.6, 1e-6);
    assert_near(phi_schedule_at(&line, 1000), 0.2, 1e-6);
    assert_near(phi_schedule_at(&cosine, 0), 0.25, 1e-6);
    assert_near(phi_schedule_at(&cosine, 50), 0.5, 1e-6);
    assert_near(phi_schedule_at(&cosine, 100), 0, 1e-6);
}

static void clipping(void **state)
{
    struct phi_param *a = add("a", PHI_SHAPE(1)), *b = add("b", PHI_SHAPE(1));

    (void)state;
    assert_int_equal(phi_param_want_grad(a), PH_OK);
    assert_int_equal(phi_param_want_grad(b), PH_OK);
    a->grad[0] = 3;
    b->grad[0] = 4;
    assert_near(phi_optim_clip(weights, "", 10), 5, 1e-9);
    assert_near(a->grad[0], 3, 0);
    assert_near(phi_optim_clip(weights, "", 1), 5, 1e-9);
    assert_near(a->grad[0], 0.6, 1e-6);
    assert_near(phi_optim_grad_norm(weights, "b"), 0.8, 1e-6);
}

static void average(void **state)
{
    struct phi_weights *ema = NULL;
    struct phi_param *a = add("a", PHI_SHAPE(1));

    (void)state;
    assert_int_equal(phi_weights_create(&ema), PH_OK);
    assert_ok(phi_weights_put(ema, "a", PHI_SHAPE(1), (const float[]){1}, &err), err);
    a->value.data[0] = 3;
    phi_ema_update(ema, weights, 0.75f);
    assert_near(phi_weights_find(ema, "a")->value.data[0], 1.5, 1e-6);
    phi_weights_destroy(&ema);
}

static void refuses_nonsense(void **state)
{
    const struct phi_optim_config no_rate = {.kind = PHI_SGD}, high = {.lr = 1, .momentum = 1};
    const struct phi_optim_config good = {.kind = PHI_ADAM, .lr = 1};
    struct phi_optim *optim = NULL;

    (void)state;
    (void)add("w", PHI_SHAPE(3));
    assert_int_equal(phi_optim_create(weights, "", &no_rate, &optim, &err), PH_E_INVAL);
    assert_int_equal(phi_optim_create(weights, "", &high, &optim, &err), PH_E_INVAL);
    assert_int_equal(phi_optim_create(weights, "x.", &good, &optim, &err), PH_E_INVAL);
    phi_weights_freeze(weights, "", true);
    assert_int_equal(phi_optim_create(weights, "", &good, &optim, &err), PH_E_INVAL);
    assert_null(optim);
}

static void graph_fills_the_store(void **state)
{
    struct phi_graph *graph = NULL;
    int x;

    (void)state;
    assert_int_equal(phi_graph_create(&graph), PH_OK);
    assert_ok(phi_weights_put(weights, "n.bias", PHI_SHAPE(4), (const float[]){1, 2, 3, 4}, &err),
              err);
    x = phi_graph_input(graph, "x", PHI_SHAPE(2, 3));
    x = phi_graph_linear(graph, x, phi_graph_param(graph, "w", PHI_SHAPE(4, 3)),
                         phi_graph_param(graph, "b", PHI_SHAPE(4)));
    (void)phi_graph_batch_norm(graph, x, "n.", 1e-5f, 0.1f);
    assert_ok(phi_init_graph(weights, graph, PHI_INIT_NORMAL, 0.02f, 1, &err), err);
    assert_int_equal(phi_weights_count(weights), 6);
    assert_near(phi_weights_find(weights, "n.bias")->value.data[2], 3, 0); /* kept */
    assert_near(phi_weights_find(weights, "n.var")->value.data[1], 1, 0);
    assert_near(phi_weights_find(weights, "n.weight")->value.data[1], 1, 0.1);
    assert_true(phi_weights_find(weights, "n.mean")->frozen);
    assert_true(phi_weights_find(weights, "n.var")->frozen);
    assert_false(phi_weights_find(weights, "w")->frozen);
    assert_true(rms(phi_weights_find(weights, "w")) > 0);
    phi_graph_destroy(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(spreads, begin, end),
        cmocka_unit_test_setup_teardown(orthogonal_rows, begin, end),
        cmocka_unit_test(schedules),
        cmocka_unit_test_setup_teardown(clipping, begin, end),
        cmocka_unit_test_setup_teardown(average, begin, end),
        cmocka_unit_test_setup_teardown(refuses_nonsense, begin, end),
        cmocka_unit_test_setup_teardown(graph_fills_the_store, begin, end),
    };
    return cmocka_run_group_tests_name("nn/optim", tests, NULL, NULL);
}
