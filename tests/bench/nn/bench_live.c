/* SPDX-License-Identifier: MIT
 * DAND's generator and PredNet's step at full width, planned, against the same layers called bare
 * through oneDNN in the same process: each layer in the layout oneDNN likes, operands in place, no
 * reorders, convolutions by the faster of direct and Winograd. The two are run in turn; medians. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "models/dand_live.h"
#include "models/prednet_live.h"
#include "nn/init.h"
#include "nn/prim.h"

#define MAX_LAYERS 16
#define N_RUNS     31

struct layer {
    int n_in, n_out, h, w, kernel, stride, pad;
    enum { CONV, DECONV, PRODUCT } kind;
};

static const struct layer prednet_layers[] = {
    {576, 768, 16, 20, 3, 1, 1, CONV}, {480, 384, 32, 40, 3, 1, 1, CONV},
    {240, 192, 64, 80, 3, 1, 1, CONV}, {57, 12, 128, 160, 3, 1, 1, CONV},
    {3, 3, 128, 160, 3, 1, 1, CONV},   {6, 48, 128, 160, 3, 1, 1, CONV},
    {48, 48, 64, 80, 3, 1, 1, CONV},   {96, 96, 64, 80, 3, 1, 1, CONV},
    {96, 96, 32, 40, 3, 1, 1, CONV},   {192, 192, 32, 40, 3, 1, 1, CONV},
    {192, 192, 16, 20, 3, 1, 1, CONV}, {0}};
static const struct layer dand_layers[] = {{699, 4096, 1, 1, 1, 1, 0, PRODUCT},
                                           {4096, 8192, 1, 1, 1, 1, 0, PRODUCT},
                                           {512, 256, 4, 4, 4, 2, 1, DECONV},
                                           {256, 128, 8, 8, 4, 2, 1, DECONV},
                                           {128, 64, 16, 16, 4, 2, 1, DECONV},
                                           {64, 3, 32, 32, 4, 2, 1, DECONV},
                                           {0}};

struct bare {
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t arg[4];
    void *block[4];
};

static dnnl_engine_t engine;
static dnnl_stream_t stream;

/* With one thread its CPU time, which other programs disturb less; with more, the clock. */
static double seconds(void)
{
    struct timespec t;

    clock_gettime(phi_nn_threads() > 1 ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check(int status, const char *what)
{
    if (status != 0) {
        fprintf(stderr, "%s failed with %d\n", what, status);
        exit(1);
    }
}

static dnnl_memory_desc_t desc(int n, const dnnl_dim_t *dims, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t d;

    check((int)dnnl_memory_desc_init_by_tag(&d, n, dims, dnnl_f32, tag), "a description");
    return d;
}

static dnnl_status_t describe(const struct layer *l, dnnl_alg_kind_t kind,
                              dnnl_primitive_desc_t *pd)
{
    int oh = l->kind == DECONV ? 2 * l->h : l->h, ow = l->kind == DECONV ? 2 * l->w : l->w;
    dnnl_dims_t x = {1, l->n_in, l->h, l->w}, w = {l->n_out, l->n_in, l->kernel, l->kernel};
    dnnl_dims_t y = {1, l->n_out, oh, ow}, b = {l->n_out};
    int n = l->kind == PRODUCT ? 2 : 4;
    dnnl_dims_t stride = {l->stride, l->stride}, pad = {l->pad, l->pad};
    dnnl_memory_desc_t dx = desc(n, x, dnnl_format_tag_any), dw = desc(n, w, dnnl_format_tag_any);
    dnnl_memory_desc_t dy = desc(n, y, dnnl_format_tag_any), db = desc(1, b, dnnl_a);
    dnnl_convolution_desc_t conv;
    dnnl_deconvolution_desc_t deconv;
    dnnl_inner_product_desc_t product;
    const void *op = &conv;
    dnnl_status_t status;

    if (l->kind == CONV) {
        status = dnnl_convolution_forward_desc_init(&conv, dnnl_forward_inference, kind, &dx, &dw,
                                                    &db, &dy, stride, pad, pad);
    } else if (l->kind == DECONV) {
        op = &deconv;
        status = dnnl_deconvolution_forward_desc_init(&deconv, dnnl_forward_inference,
                                                      dnnl_deconvolution_direct, &dx, &dw, &db, &dy,
                                                      stride, pad, pad);
    } else {
        op = &product;
        status = dnnl_inner_product_forward_desc_init(&product, dnnl_forward_inference, &dx, &dw,
                                                      &db, &dy);
    }
    return status != dnnl_success ? status : dnnl_primitive_desc_create(pd, op, NULL, engine, NULL);
}

static void bind(struct bare *bare, int i, int arg, const dnnl_memory_desc_t *d)
{
    size_t n = dnnl_memory_desc_get_size(d) / sizeof(float);
    float *data = phi_calloc(n, sizeof *data);

    if (!data)
        exit(1);
    for (size_t k = 0; k < n; k++)
        data[k] = 0.01f * (float)(k % 7);
    bare->block[i] = data;
    bare->arg[i].arg = arg;
    check((int)dnnl_memory_create(&bare->arg[i].memory, d, engine, data), "memory");
}

static double run_bare(const struct bare *bare)
{
    double start = seconds();

    check((int)dnnl_primitive_execute(bare->primitive, stream, 4, bare->arg), "a layer");
    check((int)dnnl_stream_wait(stream), "a layer");
    return seconds() - start;
}

static void drop(struct bare *bare)
{
    for (int i = 0; i < 4; i++) {
        if (bare->arg[i].memory)
            dnnl_memory_destroy(bare->arg[i].memory);
        phi_free(bare->block[i]);
    }
    if (bare->primitive)
        dnnl_primitive_destroy(bare->primitive);
    memset(bare, 0, sizeof *bare);
}

/* One candidate; its best time, or a huge one if oneDNN has none. */
static double make(const struct layer *l, dnnl_alg_kind_t kind, struct bare *bare)
{
    dnnl_primitive_desc_t pd = NULL;
    double best = 1e9;

    memset(bare, 0, sizeof *bare);
    if (describe(l, kind, &pd) != dnnl_success)
        return best;
    check((int)dnnl_primitive_create(&bare->primitive, pd), "a layer");
    bind(bare, 0, DNNL_ARG_SRC, dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0));
    bind(bare, 1, DNNL_ARG_WEIGHTS, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0));
    bind(bare, 2, DNNL_ARG_BIAS, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 1));
    bind(bare, 3, DNNL_ARG_DST, dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0));
    dnnl_primitive_desc_destroy(pd);
    for (int i = 0; i < 7; i++) {
        double t = run_bare(bare);

        best = i > 0 && t < best ? t : best;
    }
    return best;
}

static int make_all(const struct layer *layers, struct bare *bare)
{
    int n = 0;

    for (; layers[n].n_in; n++) {
        struct bare other;
        double direct = make(&layers[n], dnnl_convolution_direct, &bare[n]);
        double winograd = 1e9;

        memset(&other, 0, sizeof other);
        if (layers[n].kind == CONV)
            winograd = make(&layers[n], dnnl_convolution_winograd, &other);
        if (winograd < direct) {
            drop(&bare[n]);
            bare[n] = other;
        } else {
            drop(&other);
        }
    }
    return n;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Runs both in turn and prints medians; best ratio of quartiles is left to the reader. */
static void compare(const char *name, const struct layer *layers, void (*planned)(void *),
                    void *context)
{
    struct bare bare[MAX_LAYERS] = {0};
    int n = make_all(layers, bare);
    double a[N_RUNS], b[N_RUNS];

    for (int i = 0; i < N_RUNS; i++) {
        double start = seconds();

        planned(context);
        a[i] = seconds() - start;
        b[i] = 0;
        for (int k = 0; k < n; k++)
            b[i] += run_bare(&bare[k]);
    }
    qsort(a, N_RUNS, sizeof *a, ascending);
    qsort(b, N_RUNS, sizeof *b, ascending);
    printf("%-8s %d thread%s: planned %.2f ms [%.2f..%.2f], bare layers %.2f ms [%.2f..%.2f], "
           "ratio %.2f, of best runs %.2f\n",
           name, phi_nn_threads(), phi_nn_threads() > 1 ? "s" : " ", 1e3 * a[N_RUNS / 2],
           1e3 * a[N_RUNS / 4], 1e3 * a[3 * N_RUNS / 4], 1e3 * b[N_RUNS / 2], 1e3 * b[N_RUNS / 4],
           1e3 * b[3 * N_RUNS / 4], a[N_RUNS / 2] / b[N_RUNS / 2], a[0] / b[0]);
    for (int k = 0; k < n; k++)
        drop(&bare[k]);
}

static void print_steps(const struct phi_plan *plan)
{
    struct phi_plan_info info = phi_plan_info(plan);

    printf("  %d steps, values %.1f MB, weights %.1f MB\n", info.n_steps,
           (double)info.value_bytes / 1e6, (double)info.weight_bytes / 1e6);
    for (int i = 0; i < info.n_steps; i++)
        printf("  %2d %s\n", i, phi_plan_step_text(plan, i));
}

static struct phi_weights *weights_of(const struct phi_graph *graph)
{
    struct phi_weights *weights = NULL;
    struct ph_error err = {0};

    check(phi_weights_create(&weights), "weights");
    if (phi_init_graph(weights, graph, PHI_INIT_GLOROT_UNIFORM, 0, 1, &err) != PH_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return weights;
}

static void run_dand(void *context)
{
    static float z[699];
    const float *picture;

    for (size_t i = 0; i < 699; i++)
        z[i] = 0.01f * (float)(i % 100) - 0.5f;
    check(phi_dand_live_run(context, z, &picture), "a picture");
}

static void bench_dand(int verbose)
{
    const struct phi_dand_config config = {.n_latent = 699, .n_code = 4096, .width = 64};
    struct phi_graph *graph = NULL;
    struct phi_weights *weights;
    struct phi_dand_live *live = NULL;
    struct ph_error err = {0};

    check(phi_graph_create(&graph), "a graph");
    (void)phi_dand_generator(graph, &config, phi_graph_input(graph, "z", PHI_SHAPE(1, 699)), NULL);
    weights = weights_of(graph);
    check(phi_dand_live_create(weights, &config, NULL, &live, &err), "the generator");
    compare("DAND", dand_layers, run_dand, live);
    if (verbose)
        print_steps(phi_dand_live_plan(live));
    phi_dand_live_destroy(&live);
    phi_weights_destroy(&weights);
    phi_graph_destroy(&graph);
}

static void run_prednet(void *context)
{
    static float frame[3 * 128 * 160];

    for (size_t i = 0; i < 3 * 128 * 160; i++)
        frame[i] = 0.01f * (float)(i % 100);
    check(phi_prednet_live_step(context, frame, NULL), "a step");
}

static void bench_prednet(int verbose)
{
    const struct phi_prednet_config config = {
        .n_layers = 4, .channels = {3, 48, 96, 192}, .h = 128, .w = 160, .batch = 1};
    struct phi_graph *graph = NULL;
    struct phi_weights *weights;
    struct phi_prednet_live *live = NULL;
    struct phi_prednet_state state;
    struct ph_error err = {0};

    check(phi_graph_create(&graph), "a graph");
    state = phi_prednet_zero_state(graph, &config);
    (void)phi_prednet_step(graph, &config,
                           phi_graph_input(graph, "frame", phi_prednet_shape(&config, 0)), NULL,
                           &state);
    weights = weights_of(graph);
    check(phi_prednet_live_create(weights, &config, NULL, &live, &err), "the network");
    compare("PredNet", prednet_layers, run_prednet, live);
    if (verbose)
        print_steps(phi_prednet_live_plan(live));
    phi_prednet_live_destroy(&live);
    phi_weights_destroy(&weights);
    phi_graph_destroy(&graph);
}

int main(int argc, char **argv)
{
    int verbose = argc > 1 && strcmp(argv[1], "-v") == 0;

    check((int)dnnl_engine_create(&engine, dnnl_cpu, 0), "the engine");
    check((int)dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "the stream");
    for (int threads = 1; threads <= 2; threads++) {
        phi_nn_set_threads(threads);
        bench_dand(verbose && threads == 1);
        bench_prednet(verbose && threads == 1);
    }
    dnnl_stream_destroy(stream);
    dnnl_engine_destroy(engine);
    return 0;
}
