/* SPDX-License-Identifier: MIT
 * generator/prednet at full KITTI width on frames of 128 x 160, random weights: frames a second of
 * the moving picture, left alone and with R0 replaced, and by how much a step outlasts its time.
 * With "step THREADS N": the times of N bare steps in ms, one a line (for
 * compare_prednet_torch.py). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "io/safetensors.h"
#include "models/prednet_live.h"
#include "nn/init.h"
#include "nn/prim.h"
#include "rig.h"
#include "tempdir.h"

enum { FPS = 30, N_ROUNDS = 4, N_R = 3 * 128 * 160 };

static const struct phi_prednet_config kitti = {
    .n_layers = 4, .channels = {3, 48, 96, 192}, .h = 128, .w = 160, .batch = 1};

static void check(int status, const char *what)
{
    if (status == 0)
        return;
    fprintf(stderr, "%s failed with %d\n", what, status);
    exit(1);
}

/* With one thread its CPU time, which other programs disturb less; with more, the clock. */
static double ms_now(int n_threads)
{
    struct timespec t;

    clock_gettime(n_threads > 1 ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static struct phi_weights *make_weights(void)
{
    struct phi_graph *graph = NULL;
    struct phi_weights *weights = NULL;
    struct phi_prednet_state state;
    struct ph_error err = {0};

    check(phi_graph_create(&graph), "a graph");
    check(phi_weights_create(&weights), "weights");
    state = phi_prednet_zero_state(graph, &kitti);
    (void)phi_prednet_step(
        graph, &kitti, phi_graph_input(graph, "frame", phi_prednet_shape(&kitti, 0)), NULL, &state);
    check(phi_init_graph(weights, graph, PHI_INIT_GLOROT_UNIFORM, 0, 1, &err), "weights");
    phi_graph_destroy(&graph);
    return weights;
}

static void write_model(const struct phi_weights *weights, const char *path)
{
    struct phi_safetensors_tensor tensors[64] = {0};
    const struct phi_safetensors_pair pairs[] = {{"phosphene.kind", "prednet"},
                                                 {"phosphene.version", "1"},
                                                 {"prednet.stack", "3,48,96,192"}};
    const struct phi_safetensors_content content = {tensors, phi_weights_count(weights), pairs, 3};
    struct ph_error err = {0};

    for (size_t i = 0; i < content.n_tensors; i++) {
        const struct phi_param *param = phi_weights_at(weights, i);

        tensors[i].name = param->name;
        tensors[i].dtype = PHI_SAFETENSORS_F32;
        tensors[i].n_dims = (size_t)param->value.shape.n_dims;
        memcpy(tensors[i].shape, param->value.shape.dim,
               tensors[i].n_dims * sizeof *tensors[i].shape);
        tensors[i].data = param->value.data;
    }
    check(phi_safetensors_write(path, &content, &err), "a model file");
}

static void fill(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = 0.01f * (float)(i % 100);
}

static int bare_steps(const struct phi_weights *weights, int n_threads, int n)
{
    static float frame[3 * 128 * 160];
    struct phi_prednet_live *live = NULL;
    struct ph_error err = {0};

    phi_nn_set_threads(n_threads);
    fill(frame, sizeof frame / sizeof *frame);
    check(phi_prednet_live_create(weights, &kitti, NULL, &live, &err), "the network");
    for (int i = -3; i < n; i++) {
        double start = ms_now(n_threads);

        check(phi_prednet_live_step(live, frame, NULL), "a step");
        if (i >= 0)
            printf("%.4f\n", ms_now(n_threads) - start);
    }
    phi_prednet_live_destroy(&live);
    return 0;
}

/* What is played towards one statement. */
struct played {
    double ms;       /* a frame */
    double worst_ms; /* by which a step outlasted its time */
};

/* Plays the second before a moment, one frame after the other, in steps of 4 ms. */
static struct played play(struct rig *rig, int round, int n_threads)
{
    static float values[2 * N_R];
    const struct ph_stage_ops *ops = rig_type("generator/prednet")->ops;
    void *stage = rig_stage(rig)->state;
    struct ph_frame latent = {.kind = PH_FRAME_LATENT, .rank = 2, .dims = {2, N_R}, .data = values};
    const double budget_ms = 4;
    struct played played = {0};
    double begin;
    enum ph_status status;

    fill(values, N_R);
    latent.u.latent.stimulus_s = 100.0 * (round + 1); /* too far to play on from the last */
    latent.received_ns = INT64_MAX / 2;               /* nothing beyond it */
    ops->aim(stage, &latent);
    begin = ms_now(n_threads);
    do {
        double start = ms_now(n_threads), took;

        status = ops->step(stage, (int64_t)(1e6 * budget_ms));
        took = ms_now(n_threads) - start - budget_ms;
        played.worst_ms = took > played.worst_ms ? took : played.worst_ms;
    } while (status == PH_OK);
    check(status != PH_AGAIN, "a step");
    played.ms = (ms_now(n_threads) - begin) / (FPS + 1);
    return played;
}

static void bench(const char *model, int n_threads, const char *mix, const char *precision)
{
    struct ph_spec in = rig_latents(N_R);
    struct rig *rig;
    char params[1024];
    double best = 1e9, worst = 0;

    in.geometry.tr_s = 2;
    (void)snprintf(params, sizeof params,
                   "model=%s layer=0 fps=%d height=128 width=160 horizon_s=0 mix=%s threads=%d "
                   "precision=%s",
                   model, FPS, mix, n_threads, precision);
    rig = rig_open("generator/prednet", params, &in);
    for (int i = 0; i < N_ROUNDS; i++) {
        struct played played = play(rig, i, n_threads);

        if (i == 0) /* warm-up */
            continue;
        best = played.ms < best ? played.ms : best;
        worst = played.worst_ms > worst ? played.worst_ms : worst;
    }
    printf("generator/prednet 128x160, 3/48/96/192, %s, R0 %s, %d thread%s: best of %d rounds "
           "%.1f ms a frame, %.1f frames/s; a step of 4 ms outlasts its time by %.1f ms at most\n",
           precision, mix[0] == '0' ? "left alone" : "replaced", n_threads,
           n_threads > 1 ? "s" : "", N_ROUNDS - 1, best, 1e3 / best, worst);
    rig_close(&rig);
}

int main(int argc, char **argv)
{
    struct phi_weights *weights = make_weights();
    struct tempdir dir;
    char model[512];

    if (argc == 4 && strcmp(argv[1], "step") == 0) {
        int code =
            bare_steps(weights, (int)strtol(argv[2], NULL, 10), (int)strtol(argv[3], NULL, 10));

        phi_weights_destroy(&weights);
        return code;
    }
    check(!tempdir_make(&dir), "a folder");
    (void)snprintf(model, sizeof model, "%s", tempdir_file(&dir, "kitti.safetensors"));
    write_model(weights, model);
    phi_weights_destroy(&weights);
    for (int n_threads = 1; n_threads <= 2; n_threads++) {
        bench(model, n_threads, "0", "float32");
        bench(model, n_threads, "1", "float32");
        if (phi_nn_has_bfloat16())
            bench(model, n_threads, "1", "bfloat16");
    }
    tempdir_remove(&dir);
    return 0;
}
