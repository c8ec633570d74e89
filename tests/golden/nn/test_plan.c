/* SPDX-License-Identifier: MIT
 * Planned networks (folded batch norm, packed weights, blocked layouts, carried states) give the
 * stored pictures, predictions and states; stopping between layers and driving R change nothing and
 * what they should; two plans give the same bits. */
#include "golden.h"
#include "models/dand_live.h"
#include "models/prednet_live.h"
#include "nn/prim.h"

static const struct phi_dand_config dand = {.n_latent = 20, .n_code = 64, .width = 4};
static const struct phi_prednet_config prednet = {
    .n_layers = 4, .channels = {3, 8, 12, 16}, .h = 32, .w = 40, .batch = 1};

static struct phi_weights *weights;

static int end(void **state)
{
    (void)state;
    phi_weights_destroy(&weights);
    return 0;
}

static void compare_values(const float *actual, const float *expected, size_t n, double tolerance)
{
    double worst = 0, largest = 0;

    for (size_t i = 0; i < n; i++) {
        double e = fabs((double)actual[i] - (double)expected[i]);

        worst = e <= worst ? worst : e;
        largest = fmax(largest, fabs((double)expected[i]));
    }
    if (!(worst <= tolerance * largest))
        fail_msg("error %.3g of %.3g, relative %.3g", worst, largest, worst / largest);
}

static void dand_pictures(void **state)
{
    struct phi_dand_live *live = NULL, *other = NULL;
    struct ph_error err = {0};
    const float *z, *image, *picture = NULL, *again = NULL;

    (void)state;
    golden_load(&weights, "dand_weights");
    golden_load(&weights, "dand_generator");
    z = golden_tensor(weights, "z")->data;
    image = golden_tensor(weights, "eval.image")->data;
    assert_ok(phi_dand_live_create(weights, &dand, NULL, &live, &err), err);
    assert_ok(phi_dand_live_create(weights, &dand, NULL, &other, &err), err);
    for (size_t i = 0; i < 2; i++) {
        int n_stops = 0;
        enum ph_status status = phi_dand_live_run_until(other, z + 20 * i, 0, &again);

        while (status == PH_AGAIN) {
            n_stops++;
            status = phi_dand_live_run_until(other, NULL, 0, &again);
        }
        assert_int_equal(status, PH_OK);
        assert_true(n_stops >= 5);
        assert_int_equal(phi_dand_live_run(live, z + 20 * i, &picture), PH_OK);
        compare_values(picture, image + i * 12288, 12288, 5e-5);
        assert_memory_equal(picture, again, 12288 * sizeof(float));
    }
    phi_dand_live_destroy(&live);
    phi_dand_live_destroy(&other);
}

/* Batch item 0 of a stored tensor [t][2][n]. */
static const float *item(const char *name, size_t t, size_t n)
{
    return golden_tensor(weights, name)->data + 2 * t * n;
}

static void prednet_frames(void **state)
{
    struct phi_prednet_live_options options = {.want_errors = true};
    struct phi_prednet_live *live = NULL;
    struct ph_error err = {0};
    float r[8 * 16 * 20];

    (void)state;
    golden_load(&weights, "prednet_weights");
    golden_load(&weights, "prednet_forward");
    assert_ok(phi_prednet_live_create(weights, &prednet, &options, &live, &err), err);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t t = 0; t < 4; t++) {
            assert_int_equal(phi_prednet_live_step(live, item("frames", t, 3840), NULL), PH_OK);
            compare_values(phi_prednet_live_prediction(live), item("Ahat0", t, 3840), 3840, 5e-5);
            compare_values(phi_prednet_live_errors(live), item("E_mean", t, 4), 4, 5e-5);
        }
        assert_int_equal(phi_prednet_live_read(live, 'r', 1, r), PH_OK);
        compare_values(r, item("R1", 0, 2560), 2560, 5e-5);
        assert_int_equal(phi_prednet_live_read(live, 'c', 3, r), PH_OK);
        compare_values(r, item("C3", 0, 320), 320, 5e-5);
        phi_prednet_live_reset(live); /* the second pass starts anew */
    }
    phi_prednet_live_destroy(&live);
}

static void prednet_guesses(void **state)
{
    struct phi_prednet_live *live = NULL;
    struct phi_weights *expected = NULL;
    struct ph_error err = {0};

    (void)state;
    golden_load(&weights, "prednet_weights");
    golden_load(&weights, "prednet_forward");
    golden_load(&expected, "prednet_extrapolate");
    assert_ok(phi_prednet_live_create(weights, &prednet, NULL, &live, &err), err);
    for (size_t t = 0; t < 4; t++)
        assert_int_equal(phi_prednet_live_step(live, item("frames", t, 3840), NULL), PH_OK);
    for (size_t t = 0; t < 2; t++) {
        enum ph_status status = phi_prednet_live_step_until(live, NULL, NULL, 0);

        while (status == PH_AGAIN)
            status = phi_prednet_live_continue(live, 0);
        assert_int_equal(status, PH_OK);
        compare_values(phi_prednet_live_prediction(live),
                       golden_tensor(expected, "Ahat0")->data + 2 * t * 3840, 3840, 1e-4);
    }
    phi_prednet_live_destroy(&live);
    phi_weights_destroy(&expected);
}

static void drive_layer(const struct phi_weights *expected, int layer)
{
    struct phi_prednet_live *live = NULL;
    struct phi_shape shape = phi_prednet_shape(&prednet, layer);
    size_t n = phi_shape_count(&shape);
    struct ph_error err = {0};
    char name[32];

    assert_ok(phi_prednet_live_create(weights, &prednet, NULL, &live, &err), err);
    for (size_t t = 0; t < 4; t++) {
        struct phi_prednet_drive drive = {layer, 1, NULL};

        snprintf(name, sizeof name, "r%d.given", layer);
        if (t >= 2)
            drive.r = golden_tensor(expected, name)->data + (t - 2) * n;
        assert_int_equal(
            phi_prednet_live_step(live, item("frames", t, 3840), t >= 2 ? &drive : NULL), PH_OK);
        snprintf(name, sizeof name, "r%d.Ahat0", layer);
        if (t >= 2)
            compare_values(phi_prednet_live_prediction(live),
                           golden_tensor(expected, name)->data + (t - 2) * 3840, 3840, 5e-5);
    }
    phi_prednet_live_destroy(&live);
}

static void prednet_driven(void **state)
{
    struct phi_weights *expected = NULL;

    (void)state;
    golden_load(&weights, "prednet_weights");
    golden_load(&weights, "prednet_forward");
    golden_load(&expected, "prednet_brain");
    drive_layer(expected, 0);
    drive_layer(expected, 2);
    drive_layer(expected, 3);
    phi_weights_destroy(&expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(dand_pictures, end),
        cmocka_unit_test_teardown(prednet_frames, end),
        cmocka_unit_test_teardown(prednet_guesses, end),
        cmocka_unit_test_teardown(prednet_driven, end),
    };

    phi_nn_set_threads(1);
    return cmocka_run_group_tests_name("golden/nn plan", tests, NULL, NULL);
}
