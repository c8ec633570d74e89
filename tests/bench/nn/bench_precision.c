/* SPDX-License-Identifier: MIT
 * bfloat16 against float32: time of DAND's generator and of PredNet's step at full width (random
 * weights), in turn, one thread, processor time; and what rounding costs the shipped networks:
 * root mean square and largest difference of pictures, in 1/255. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "models/dand_live.h"
#include "models/prednet_live.h"
#include "nn/init.h"
#include "nn/prim.h"
#include "plugins/generator/common/weights_file.h"

#define N_RUNS 31
#define SIDE   64

static const struct phi_plan_options plans[2] = {{.precision = PHI_FLOAT32},
                                                 {.precision = PHI_BFLOAT16}};

static void check(enum ph_status status, const struct ph_error *err)
{
    if (status != PH_OK) {
        (void)fprintf(stderr, "%s\n", err ? err->text : "out of memory");
        exit(1);
    }
}

static double seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Medians of the two precisions, run in turn. */
static void print_times(const char *name, void (*run)(void *), void *const *live)
{
    double t[2][N_RUNS];

    for (int i = 0; i < N_RUNS; i++) {
        for (int k = 0; k < 2; k++) {
            double start = seconds();

            run(live[k]);
            t[k][i] = seconds() - start;
        }
    }
    for (int k = 0; k < 2; k++)
        qsort(t[k], N_RUNS, sizeof *t[k], ascending);
    printf("%-8s float32 %.2f ms, bfloat16 %.2f ms, ratio %.2f, of best runs %.2f\n", name,
           1e3 * t[0][N_RUNS / 2], 1e3 * t[1][N_RUNS / 2], t[1][N_RUNS / 2] / t[0][N_RUNS / 2],
           t[1][0] / t[0][0]);
}

static void random_weights(const struct phi_graph *graph, struct phi_weights **ret_weights)
{
    struct ph_error err = {0};

    check(phi_weights_create(ret_weights), NULL);
    check(phi_init_graph(*ret_weights, graph, PHI_INIT_GLOROT_UNIFORM, 0, 1, &err), &err);
}

static void run_dand(void *live)
{
    static float z[699];
    const float *picture;

    for (size_t i = 0; i < 699; i++)
        z[i] = 0.01f * (float)(i % 100) - 0.5f;
    check(phi_dand_live_run(live, z, &picture), NULL);
}

static void run_prednet(void *live)
{
    static float frame[3 * 128 * 160];

    for (size_t i = 0; i < sizeof frame / sizeof *frame; i++)
        frame[i] = 0.01f * (float)(i % 100);
    check(phi_prednet_live_step(live, frame, NULL), NULL);
}

static void time_dand(void)
{
    const struct phi_dand_config config = {.n_latent = 699, .n_code = 4096, .width = 64};
    struct phi_graph *graph = NULL;
    struct phi_weights *weights = NULL;
    struct phi_dand_live *live[2] = {NULL, NULL};
    struct ph_error err = {0};

    check(phi_graph_create(&graph), NULL);
    (void)phi_dand_generator(graph, &config, phi_graph_input(graph, "z", PHI_SHAPE(1, 699)), NULL);
    random_weights(graph, &weights);
    for (int k = 0; k < 2; k++)
        check(phi_dand_live_create(weights, &config, &plans[k], &live[k], &err), &err);
    print_times("DAND", run_dand, (void *const[]){live[0], live[1]});
    for (int k = 0; k < 2; k++)
        phi_dand_live_destroy(&live[k]);
    phi_weights_destroy(&weights);
    phi_graph_destroy(&graph);
}

static void time_prednet(void)
{
    const struct phi_prednet_config config = {
        .n_layers = 4, .channels = {3, 48, 96, 192}, .h = 128, .w = 160, .batch = 1};
    struct phi_graph *graph = NULL;
    struct phi_weights *weights = NULL;
    struct phi_prednet_live *live[2] = {NULL, NULL};
    struct phi_prednet_state state;
    struct ph_error err = {0};

    check(phi_graph_create(&graph), NULL);
    state = phi_prednet_zero_state(graph, &config);
    (void)phi_prednet_step(
        graph, &config, phi_graph_input(graph, "x", phi_prednet_shape(&config, 0)), NULL, &state);
    random_weights(graph, &weights);
    for (int k = 0; k < 2; k++) {
        const struct phi_prednet_live_options options = {.plan = plans[k]};

        check(phi_prednet_live_create(weights, &config, &options, &live[k], &err), &err);
    }
    print_times("PredNet", run_prednet, (void *const[]){live[0], live[1]});
    for (int k = 0; k < 2; k++)
        phi_prednet_live_destroy(&live[k]);
    phi_weights_destroy(&weights);
    phi_graph_destroy(&graph);
}

struct loss {
    double square, largest;
    size_t n;
};

static void add_loss(struct loss *loss, const float *a, const float *b, size_t n, double unit)
{
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]) * unit;

        loss->square += d * d;
        loss->largest = fmax(loss->largest, d);
    }
    loss->n += n;
}

static void print_loss(const char *name, const struct loss *loss)
{
    printf("%s: bfloat16 moves pixels by %.3f / 255 (root mean square), at most %.2f / 255\n", name,
           sqrt(loss->square / (double)loss->n), loss->largest);
}

/* Pictures of whitened latents. */
static void lose_dand(const char *path)
{
    const struct phi_dand_config config = {.n_latent = 64, .n_code = 256, .width = 16};
    struct phi_weights *weights = NULL;
    struct phi_dand_live *live[2] = {NULL, NULL};
    struct ph_error err = {0};
    struct loss loss = {0};
    struct phi_rng rng;
    float z[64];

    check(phi_weights_create(&weights), NULL);
    check(phi_weights_load(weights, path, "dand.g.", &err), &err);
    for (int k = 0; k < 2; k++)
        check(phi_dand_live_create(weights, &config, &plans[k], &live[k], &err), &err);
    phi_rng_init(&rng, 1, 0);
    for (int i = 0; i < 100; i++) {
        const float *picture[2];

        phi_rng_normal_f32(&rng, z, 64);
        for (int k = 0; k < 2; k++)
            check(phi_dand_live_run(live[k], z, &picture[k]), NULL);
        add_loss(&loss, picture[0], picture[1], (size_t)3 * SIDE * SIDE, 127.5);
    }
    print_loss("DAND on faces, 100 pictures", &loss);
    for (int k = 0; k < 2; k++)
        phi_dand_live_destroy(&live[k]);
    phi_weights_destroy(&weights);
}

/* A moving bar, whose next frame the network predicts. */
static void draw_bar(float *frame, size_t t)
{
    for (size_t i = 0; i < (size_t)3 * SIDE * SIDE; i++)
        frame[i] = (i % SIDE + SIDE - 3 * t % SIDE) % SIDE < 10 ? 0.8f : 0.2f;
}

static void lose_prednet(const char *path)
{
    const struct phi_prednet_config config = {
        .n_layers = 4, .channels = {3, 12, 24, 36}, .h = SIDE, .w = SIDE, .batch = 1};
    static float frame[3 * SIDE * SIDE];
    struct phi_weights *weights = NULL;
    struct phi_prednet_live *live[2] = {NULL, NULL};
    struct ph_error err = {0};
    struct loss loss = {0};

    check(phi_weights_create(&weights), NULL);
    check(phi_weights_load(weights, path, "prednet.", &err), &err);
    for (int k = 0; k < 2; k++) {
        const struct phi_prednet_live_options options = {.plan = plans[k]};

        check(phi_prednet_live_create(weights, &config, &options, &live[k], &err), &err);
    }
    for (size_t t = 0; t < 20; t++) {
        draw_bar(frame, t);
        for (int k = 0; k < 2; k++)
            check(phi_prednet_live_step(live[k], frame, NULL), NULL);
        add_loss(&loss, phi_prednet_live_prediction(live[0]), phi_prednet_live_prediction(live[1]),
                 sizeof frame / sizeof *frame, 255);
    }
    print_loss("PredNet on a moving bar, 20 frames", &loss);
    for (int k = 0; k < 2; k++)
        phi_prednet_live_destroy(&live[k]);
    phi_weights_destroy(&weights);
}

int main(int argc, char **argv)
{
    if (!phi_nn_has_bfloat16()) {
        printf("this processor does not multiply bfloat16\n");
        return 0;
    }
    phi_nn_set_threads(1);
    time_dand();
    time_prednet();
    if (argc > 1)
        lose_dand(argv[1]);
    if (argc > 2)
        lose_prednet(argv[2]);
    return 0;
}
