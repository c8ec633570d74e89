/* SPDX-License-Identifier: MIT
 * The live forms of DAND and PredNet, at widths where blocked layouts, Winograd and folded batch
 * norm are at work, agree with the plain tape; they give the same bits for 1 and 2 threads and for
 * two plans; our code allocates nothing in a run, and a run leaves no memory behind. The program is
 * linked so that calls of our own libraries to the allocator come here first; what oneDNN allocates
 * inside a primitive call and frees before it returns is not ours to count. */
#include <malloc.h>

#include "models/dand_live.h"
#include "models/prednet_live.h"
#include "nn/init.h"
#include "nn/prim.h"
#include "test.h"

static int n_allocations;

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *block, size_t size);

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    n_allocations++;
    return __real_aligned_alloc(alignment, size);
}

void *__wrap_malloc(size_t size)
{
    n_allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    n_allocations++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    n_allocations++;
    return __real_realloc(block, size);
}

#define N_FRAMES 3
#define FRAME    (3 * 32 * 48)

static const struct phi_dand_config dand = {.n_latent = 40, .n_code = 96, .width = 16};
static const struct phi_prednet_config prednet = {
    .n_layers = 4, .channels = {3, 16, 32, 48}, .h = 32, .w = 48, .batch = 1};

static struct phi_weights *weights;
static struct phi_graph *graph;
static struct phi_tape *tape;
static struct ph_error err;

static int begin(void **state)
{
    (void)state;
    return phi_weights_create(&weights) == PH_OK && phi_graph_create(&graph) == PH_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    phi_tape_destroy(&tape);
    phi_graph_destroy(&graph);
    phi_weights_destroy(&weights);
    phi_nn_set_threads(1);
    return 0;
}

static void fill(float *x, size_t n, uint64_t stream)
{
    struct phi_rng rng;

    phi_rng_init(&rng, 77, stream);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)phi_rng_uniform(&rng);
}

static void make_weights(void)
{
    assert_ok(phi_init_graph(weights, graph, PHI_INIT_HE_NORMAL, 0, 9, &err), err);
    for (size_t i = 0; i < phi_weights_count(weights); i++) {
        struct phi_param *param = phi_weights_at(weights, i);
        size_t n = phi_shape_count(&param->value.shape);

        if (param->frozen || strstr(param->name, "bias")) /* batch norm must have work to do */
            fill(param->value.data, n, i);
    }
}

static double error_of(const float *actual, const float *expected, size_t n)
{
    double worst = 0, largest = 0;

    for (size_t i = 0; i < n; i++) {
        double e = fabs((double)actual[i] - (double)expected[i]);

        worst = e <= worst ? worst : e;
        largest = fmax(largest, fabs((double)expected[i]));
    }
    assert_true(largest > 0);
    return worst / largest;
}

static void dand_pictures(const struct phi_plan_options *options, const float *z, float *ret)
{
    struct phi_dand_live *live = NULL;
    const float *picture = NULL;

    assert_ok(phi_dand_live_create(weights, &dand, options, &live, &err), err);
    assert_int_equal(phi_dand_live_run(live, z, &picture), PH_OK);
    memcpy(ret, picture, 12288 * sizeof *ret);
    phi_dand_live_destroy(&live);
}

static void generator(void **state)
{
    static float one[12288], two[12288];
    float z[40];
    int z_node = phi_graph_input(graph, "z", PHI_SHAPE(1, 40));
    int image = phi_dand_generator(graph, &dand, z_node, NULL);

    (void)state;
    make_weights();
    fill(z, 40, 1);
    assert_ok(phi_tape_create(graph, weights, NULL, &tape, &err), err);
    phi_tape_set(tape, z_node, z);
    assert_int_equal(phi_tape_forward(tape, false), PH_OK);
    dand_pictures(NULL, z, one);
    assert_true(error_of(one, phi_tape_value(tape, image), 12288) < 5e-5);
    dand_pictures(NULL, z, two);
    assert_memory_equal(one, two, sizeof one);
    phi_nn_set_threads(2);
    dand_pictures(NULL, z, two);
    assert_memory_equal(one, two, sizeof one);
}

/* N_FRAMES steps on the live form: the last predictions and R of each layer in turn. */
struct result {
    float prediction[N_FRAMES][FRAME];
    float r[4][16 * 16 * 24 * 2];
};

static void prednet_frames(enum phi_conv_choice conv, const float *frames, struct result *ret)
{
    const struct phi_prednet_live_options options = {.plan = {.conv = conv}};
    struct phi_prednet_live *live = NULL;

    assert_ok(phi_prednet_live_create(weights, &prednet, &options, &live, &err), err);
    for (size_t t = 0; t < N_FRAMES; t++) {
        assert_int_equal(phi_prednet_live_step(live, frames + t * FRAME, NULL), PH_OK);
        memcpy(ret->prediction[t], phi_prednet_live_prediction(live), FRAME * sizeof(float));
    }
    for (int l = 0; l < 4; l++)
        assert_int_equal(phi_prednet_live_read(live, 'r', l, ret->r[l]), PH_OK);
    phi_prednet_live_destroy(&live);
}

static bool uses_winograd(void)
{
    struct phi_prednet_live *live = NULL;
    bool found = false;

    assert_ok(phi_prednet_live_create(weights, &prednet, NULL, &live, &err), err);
    for (int i = 0; i < phi_plan_info(phi_prednet_live_plan(live)).n_steps; i++)
        found |= strstr(phi_plan_step_text(phi_prednet_live_plan(live), i), "wino") != NULL;
    phi_prednet_live_destroy(&live);
    return found;
}

static void film(void **state)
{
    static float frames[N_FRAMES * FRAME];
    static struct result automatic, direct, again;
    int predictions[N_FRAMES], node;
    struct phi_prednet_unrolled u = {N_FRAMES, N_FRAMES, NULL, predictions};
    struct phi_prednet_state last;

    (void)state;
    fill(frames, N_FRAMES * FRAME, 1);
    node = phi_graph_input(graph, "frames", PHI_SHAPE(N_FRAMES, 1, 3, 32, 48));
    last = phi_prednet_unroll(graph, &prednet, node, &u);
    make_weights();
    assert_ok(phi_tape_create(graph, weights, NULL, &tape, &err), err);
    phi_tape_set(tape, node, frames);
    assert_int_equal(phi_tape_forward(tape, false), PH_OK);
    prednet_frames(PHI_CONV_DIRECT, frames, &direct);
    prednet_frames(PHI_CONV_AUTO, frames, &automatic);
    for (size_t t = 0; t < N_FRAMES; t++) {
        const float *expected = phi_tape_value(tape, predictions[t]);

        assert_true(error_of(direct.prediction[t], expected, FRAME) < 2e-5);
        assert_true(error_of(automatic.prediction[t], expected, FRAME) < 2e-4);
    }
    for (int l = 0; l < 4; l++) {
        struct phi_shape shape = phi_prednet_shape(&prednet, l);

        assert_true(
            error_of(direct.r[l], phi_tape_value(tape, last.r[l]), phi_shape_count(&shape)) < 2e-5);
    }
    prednet_frames(PHI_CONV_AUTO, frames, &again);
    assert_memory_equal(&automatic, &again, sizeof again);
    phi_nn_set_threads(2);
    prednet_frames(PHI_CONV_AUTO, frames, &again);
    assert_memory_equal(&automatic, &again, sizeof again);
    prednet_frames(PHI_CONV_MEASURE, frames, &again); /* either choice is a good one */
    assert_true(error_of(again.prediction[2], automatic.prediction[2], FRAME) < 2e-4);
    phi_nn_set_threads(1);
    if (dnnl_get_effective_cpu_isa() >= dnnl_cpu_isa_avx512_core)
        assert_true(uses_winograd());
}

/* bfloat16 where the processor has it: other bits, near, the same each time and for two threads,
 * and smaller weights; elsewhere it is refused. */
static void bfloat16(void **state)
{
    static float exact[12288], rounded[12288], again[12288];
    const struct phi_plan_options options = {.precision = PHI_BFLOAT16};
    struct phi_dand_live *live[2] = {NULL, NULL};
    int z_node = phi_graph_input(graph, "z", PHI_SHAPE(1, 40));
    float z[40];

    (void)state;
    (void)phi_dand_generator(graph, &dand, z_node, NULL);
    make_weights();
    fill(z, 40, 1);
    if (!phi_nn_has_bfloat16()) {
        assert_int_equal(phi_dand_live_create(weights, &dand, &options, &live[0], &err),
                         PH_E_INVAL);
        assert_non_null(strstr(err.text, "bfloat16"));
        return;
    }
    dand_pictures(NULL, z, exact);
    dand_pictures(&options, z, rounded);
    assert_memory_not_equal(exact, rounded, sizeof exact);
    assert_true(error_of(rounded, exact, 12288) < 5e-2);
    phi_nn_set_threads(2);
    dand_pictures(&options, z, again);
    assert_memory_equal(again, rounded, sizeof again);
    phi_nn_set_threads(1);
    assert_ok(phi_dand_live_create(weights, &dand, NULL, &live[0], &err), err);
    assert_ok(phi_dand_live_create(weights, &dand, &options, &live[1], &err), err);
    assert_true(phi_plan_info(phi_dand_live_plan(live[1])).weight_bytes * 4 <
                phi_plan_info(phi_dand_live_plan(live[0])).weight_bytes * 3);
    phi_dand_live_destroy(&live[0]);
    phi_dand_live_destroy(&live[1]);
}

/* The same of PredNet, whose rounding goes round through its states. */
static void bfloat16_film(void **state)
{
    static float frames[N_FRAMES * FRAME], prediction[2][FRAME];
    struct phi_prednet_state s = phi_prednet_zero_state(graph, &prednet);

    (void)state;
    (void)phi_prednet_step(graph, &prednet,
                           phi_graph_input(graph, "frame", PHI_SHAPE(1, 3, 32, 48)), NULL, &s);
    make_weights();
    fill(frames, N_FRAMES * FRAME, 1);
    for (int k = 0; k < 2 && phi_nn_has_bfloat16(); k++) {
        const struct phi_prednet_live_options options = {
            .plan = {.conv = PHI_CONV_DIRECT, .precision = k ? PHI_BFLOAT16 : PHI_FLOAT32}};
        struct phi_prednet_live *live = NULL;

        assert_ok(phi_prednet_live_create(weights, &prednet, &options, &live, &err), err);
        for (size_t t = 0; t < N_FRAMES; t++)
            assert_int_equal(phi_prednet_live_step(live, frames + t * FRAME, NULL), PH_OK);
        memcpy(prediction[k], phi_prednet_live_prediction(live), sizeof prediction[k]);
        phi_prednet_live_destroy(&live);
    }
    if (phi_nn_has_bfloat16()) {
        assert_memory_not_equal(prediction[0], prediction[1], sizeof prediction[0]);
        assert_true(error_of(prediction[1], prediction[0], FRAME) < 3e-2);
    }
}

/* A and Ahat of every layer, where they are kept, are the tape's; where not, or of no layer,
 * reading them is refused. */
static void units(void **state)
{
    static const char kinds[2] = {'a', 'p'};
    static float frame[FRAME], got[16 * 16 * 24];
    const struct phi_prednet_live_options options = {.plan = {.conv = PHI_CONV_DIRECT},
                                                     .want_units = true};
    struct phi_prednet_live *live = NULL, *plain = NULL;
    struct phi_prednet_state s = phi_prednet_zero_state(graph, &prednet);
    int node = phi_graph_input(graph, "frame", PHI_SHAPE(1, 3, 32, 48));
    const struct phi_prednet_output out = phi_prednet_step(graph, &prednet, node, NULL, &s);

    (void)state;
    make_weights();
    fill(frame, FRAME, 1);
    assert_ok(phi_tape_create(graph, weights, NULL, &tape, &err), err);
    phi_tape_set(tape, node, frame);
    assert_int_equal(phi_tape_forward(tape, false), PH_OK);
    assert_ok(phi_prednet_live_create(weights, &prednet, &options, &live, &err), err);
    assert_int_equal(phi_prednet_live_step(live, frame, NULL), PH_OK);
    for (int l = 0; l < 4; l++) {
        struct phi_shape shape = phi_prednet_shape(&prednet, l);

        for (int k = 0; k < 2; k++) {
            assert_int_equal(phi_prednet_live_read(live, kinds[k], l, got), PH_OK);
            assert_true(error_of(got, phi_tape_value(tape, k ? out.ahat[l] : out.a[l]),
                                 phi_shape_count(&shape)) < 2e-5);
        }
    }
    assert_int_equal(phi_prednet_live_read(live, 'a', 4, got), PH_E_INVAL);
    assert_ok(phi_prednet_live_create(weights, &prednet, NULL, &plain, &err), err);
    assert_int_equal(phi_prednet_live_read(plain, 'p', 1, got), PH_E_INVAL);
    phi_prednet_live_destroy(&live);
    phi_prednet_live_destroy(&plain);
}

/* Halves blend half-way: the state after mix 0.5 lies between those after 0 and 1. */
static void blending(void **state)
{
    static float frame[FRAME], given[48 * 4 * 6], r[3][48 * 4 * 6];
    struct phi_prednet_live *live = NULL;
    struct phi_prednet_state s;

    (void)state;
    s = phi_prednet_zero_state(graph, &prednet);
    (void)phi_prednet_step(graph, &prednet,
                           phi_graph_input(graph, "frame", PHI_SHAPE(1, 3, 32, 48)), NULL, &s);
    make_weights();
    fill(frame, FRAME, 1);
    fill(given, 48 * 4 * 6, 2);
    assert_ok(phi_prednet_live_create(weights, &prednet, NULL, &live, &err), err);
    for (int i = 0; i < 3; i++) {
        struct phi_prednet_drive drive = {3, 0.5f * (float)i, given};

        phi_prednet_live_reset(live);
        assert_int_equal(phi_prednet_live_step(live, frame, &drive), PH_OK);
        assert_int_equal(phi_prednet_live_read(live, 'r', 3, r[i]), PH_OK);
    }
    assert_memory_equal(r[2], given, sizeof given);
    assert_memory_not_equal(r[0], given, sizeof given);
    for (size_t i = 0; i < 48 * 4 * 6; i++)
        assert_near(r[1][i], 0.5 * ((double)r[0][i] + (double)r[2][i]), 1e-6);
    {
        struct phi_prednet_drive wrong = {4, 1, given};

        assert_int_equal(phi_prednet_live_step(live, frame, &wrong), PH_E_INVAL);
        assert_int_equal(phi_prednet_live_read(live, 'x', 0, r[0]), PH_E_INVAL);
    }
    phi_prednet_live_destroy(&live);
}

static void nothing_allocated(void **state)
{
    static float frame[FRAME], z[40], given[16 * 16 * 24];
    struct phi_prednet_drive drive = {1, 0.5f, given};
    struct phi_dand_live *generator = NULL;
    struct phi_prednet_live *network = NULL;
    const float *picture = NULL;
    struct phi_prednet_state s;
    size_t n_bytes = 0;

    (void)state;
    s = phi_prednet_zero_state(graph, &prednet);
    (void)phi_prednet_step(graph, &prednet,
                           phi_graph_input(graph, "frame", PHI_SHAPE(1, 3, 32, 48)), NULL, &s);
    (void)phi_dand_generator(graph, &dand, phi_graph_input(graph, "z", PHI_SHAPE(1, 40)), NULL);
    make_weights();
    fill(frame, FRAME, 1);
    n_allocations = 0;
    assert_ok(phi_dand_live_create(weights, &dand, NULL, &generator, &err), err);
    assert_ok(phi_prednet_live_create(weights, &prednet, NULL, &network, &err), err);
    assert_true(n_allocations > 100); /* the count works */
    for (int i = 0; i < 5; i++) {
        if (i == 2) { /* lazy set-up inside libraries is over */
            n_allocations = 0;
            n_bytes = mallinfo2().uordblks;
        }
        assert_int_equal(phi_dand_live_run(generator, z, &picture), PH_OK);
        assert_int_equal(phi_prednet_live_step(network, i % 2 ? NULL : frame, &drive), PH_OK);
    }
    assert_int_equal(n_allocations, 0);
    assert_int_equal(mallinfo2().uordblks, n_bytes);
    phi_dand_live_destroy(&generator);
    phi_prednet_live_destroy(&network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(generator, begin, end),
        cmocka_unit_test_setup_teardown(film, begin, end),
        cmocka_unit_test_setup_teardown(bfloat16, begin, end),
        cmocka_unit_test_setup_teardown(bfloat16_film, begin, end),
        cmocka_unit_test_setup_teardown(units, begin, end),
        cmocka_unit_test_setup_teardown(blending, begin, end),
        cmocka_unit_test_setup_teardown(nothing_allocated, begin, end),
    };

    phi_nn_set_threads(1);
    return cmocka_run_group_tests_name("models/live", tests, NULL, NULL);
}
