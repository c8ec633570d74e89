/* SPDX-License-Identifier: MIT
 * bench_train [RUNS [one]]; "one" leaves out two threads.
 * One adversarial training step (DCGAN, 64x64, batch 64, 64 to 512 channels, Adam: 159 GFLOP as
 * usually counted) of ours against PyTorch's, in turn, with one thread and with two; and the peak
 * memory of both. PyTorch gets the best of its settings for two threads, and also the form that
 * spares the discriminator's weight gradients in the generator's half, as ours does. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/mem.h"
#include "models/dand_live.h"
#include "nn/init.h"
#include "nn/optim.h"
#include "nn/prim.h"
#include "torch_side.h"

#define BATCH    64
#define LATENT   100
#define MAX_RUNS 15

static void check(enum ph_status status, const struct ph_error *err)
{
    if (status != PH_OK) {
        (void)fprintf(stderr, "%s\n", err->text);
        exit(1);
    }
}

/* With one thread its processor time, which other programs disturb less; with more, the clock. */
static double seconds(bool cpu)
{
    struct timespec t;

    (void)clock_gettime(cpu ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double peak_mb(void)
{
    struct rusage usage;

    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss / 1024 : 0;
}

struct ours {
    struct phi_weights *params;
    struct phi_dand_trainer *trainer;
    float *x, *z;
};

static void begin(struct ours *ours)
{
    const struct phi_dand_training training = {
        .net = {.n_latent = LATENT, .width = 64, .bn_eps = 1e-5f},
        .loss = {.lambda_dis = 1, .lambda_adv = 1, .target_real = 1},
        .optim = {.kind = PHI_ADAM, .lr = 2e-4f, .beta1 = 0.5f, .beta2 = 0.999f, .eps = 1e-8f},
        .batch = BATCH,
        .seed = 1};
    struct ph_error err = {0};

    memset(ours, 0, sizeof *ours);
    check(phi_weights_create(&ours->params), &err);
    check(phi_dand_trainer_create(ours->params, &training, &ours->trainer, &err), &err);
    ours->x = phi_calloc((size_t)BATCH * 3 * 64 * 64, sizeof *ours->x);
    ours->z = phi_calloc((size_t)BATCH * LATENT, sizeof *ours->z);
    if (!ours->x || !ours->z)
        exit(1);
    for (size_t i = 0; i < (size_t)BATCH * 3 * 64 * 64; i++)
        ours->x[i] = (float)(i * 7919 % 1000) / 500 - 1;
    for (size_t i = 0; i < (size_t)BATCH * LATENT; i++)
        ours->z[i] = (float)(i * 104729 % 1000) / 300 - 1.6f;
}

static double step(struct ours *ours, bool cpu)
{
    float terms[PHI_DAND_N_TERMS];
    double start = seconds(cpu);

    if (phi_dand_trainer_step(ours->trainer, ours->z, ours->x, 1, terms) != PH_OK)
        exit(1);
    return seconds(cpu) - start;
}

static void finish(struct ours *ours)
{
    phi_dand_trainer_destroy(&ours->trainer);
    phi_weights_destroy(&ours->params);
    phi_free(ours->x);
    phi_free(ours->z);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *t, int n)
{
    qsort(t, (size_t)n, sizeof *t, ascending);
    return t[n / 2];
}

static void compare(int threads, int torch_threads, int blas_threads, int n_runs)
{
    bool cpu = threads == 1, torch;
    struct torch_side side;
    struct ours ours;
    double a[MAX_RUNS], b[MAX_RUNS], c[MAX_RUNS];

    phi_nn_set_threads(threads);
    begin(&ours);
    torch = torch_side_open(&side, torch_threads, blas_threads);
    (void)step(&ours, cpu);
    if (torch)
        (void)torch_side_run(&side, "gan", cpu);
    for (int i = 0; i < n_runs; i++) {
        a[i] = step(&ours, cpu);
        b[i] = torch ? torch_side_run(&side, "gan", cpu) : 0;
        c[i] = torch ? torch_side_run(&side, "gan-frozen", cpu) : 0;
    }
    printf("%d thread%s (%s): ours %.2f s [best %.2f], peak memory %.0f MB", threads,
           threads > 1 ? "s" : " ", cpu ? "processor time" : "clock", median(a, n_runs), a[0],
           peak_mb());
    if (torch)
        printf("; PyTorch (%d threads, %d in BLAS) %.2f s [best %.2f], ratio %.2f; sparing D's "
               "gradients %.2f s, ratio %.2f; its peak %.0f MB",
               torch_threads, blas_threads, median(b, n_runs), b[0], a[n_runs / 2] / b[n_runs / 2],
               median(c, n_runs), a[n_runs / 2] / c[n_runs / 2], side.peak_mb);
    printf("\n");
    (void)fflush(stdout);
    if (torch)
        torch_side_close(&side);
    finish(&ours);
}

/* DAND's generator at full width, one picture: a live plan against PyTorch. */
static struct phi_dand_live *make_generator(void)
{
    const struct phi_dand_config config = {.n_latent = 699, .n_code = 4096, .width = 64};
    struct phi_graph *graph = NULL;
    struct phi_weights *weights = NULL;
    struct phi_dand_live *live = NULL;
    struct ph_error err = {0};

    check(phi_graph_create(&graph), &err);
    check(phi_weights_create(&weights), &err);
    (void)phi_dand_generator(graph, &config, phi_graph_input(graph, "z", PHI_SHAPE(1, 699)), NULL);
    check(phi_init_graph(weights, graph, PHI_INIT_GLOROT_UNIFORM, 0, 1, &err), &err);
    check(phi_dand_live_create(weights, &config, NULL, &live, &err), &err);
    phi_weights_destroy(&weights);
    phi_graph_destroy(&graph);
    return live;
}

static void compare_generator(int threads)
{
    static const float z[699] = {0.1f};
    bool cpu = threads == 1;
    struct phi_dand_live *live;
    struct torch_side side;
    double a[MAX_RUNS], b[MAX_RUNS];

    phi_nn_set_threads(threads);
    live = make_generator();
    if (torch_side_open(&side, threads, threads)) {
        for (int i = -2; i < MAX_RUNS; i++) {
            const float *picture;
            double start = seconds(cpu);

            check(phi_dand_live_run(live, z, &picture), &(struct ph_error){0});
            a[i < 0 ? 0 : i] = seconds(cpu) - start;
            b[i < 0 ? 0 : i] = torch_side_run(&side, "generator", cpu);
        }
        printf("generator, one picture, %d thread%s: ours %.1f ms, PyTorch %.1f ms, ratio %.2f\n",
               threads, threads > 1 ? "s" : " ", 1e3 * median(a, MAX_RUNS),
               1e3 * median(b, MAX_RUNS), a[MAX_RUNS / 2] / b[MAX_RUNS / 2]);
        (void)fflush(stdout);
        torch_side_close(&side);
    }
    phi_dand_live_destroy(&live);
}

int main(int argc, char **argv)
{
    int n_runs = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 5;
    bool one = argc > 2;

    n_runs = n_runs < 1 || n_runs > MAX_RUNS ? 5 : n_runs;
    compare(1, 1, 1, n_runs);
    compare_generator(1);
    if (one)
        return 0;
    compare_generator(2);
    compare(2, 2, 1, n_runs);
    compare(2, 2, 2, n_runs);
    compare(2, 1, 2, n_runs);
    return 0;
}
