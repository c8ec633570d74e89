/* SPDX-License-Identifier: MIT */
#include <cblas.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "bench/report.h"
#include "cli.h"
#include "rt/thread.h"
#include "types.h"

#define MAX_WORKERS     16
#define DEFAULT_LATENTS 699 /* of the faces study that the decoder follows */
#define DEFAULT_VOXELS  65665

struct bench_args {
    const char *size, *dir, *trace;
    int64_t n, n_flat;
    double rate;
    bool flat_out, display, json, quick;
    struct bench_shape shape;
};

static bool parse_size(const char *text, uint32_t dims[3])
{
    char rest;

    return sscanf(text, "%4ux%4ux%4u%c", &dims[0], &dims[1], &dims[2], &rest) == 3 &&
           dims[0] >= 8 && dims[1] >= 8 && dims[2] >= 8 && dims[0] <= 512 && dims[1] <= 512 &&
           dims[2] <= 512;
}

/* The whole chain of preprocessing is measured on the sizes that published chains were. */
static void set_defaults(struct bench_args *args)
{
    struct bench_shape *shape = &args->shape;

    if (!args->size)
        args->size = shape->chain ? "76x90x74" : "96x96x60";
    if (shape->chain) {
        shape->float32 = true;
        shape->n_latents = 0;
    }
    if (shape->n_latents < 0)
        shape->n_latents = DEFAULT_LATENTS;
    if (shape->n_voxels < 0)
        shape->n_voxels = shape->chain ? 0 : DEFAULT_VOXELS;
    if (shape->workers == 0)
        shape->workers = phi_thread_cores() < 8 ? phi_thread_cores() : 8;
}

static const char *complaint(const struct bench_args *args)
{
    const struct bench_shape *shape = &args->shape;

    if (args->n < 1 || args->n > 1000000 || args->n_flat < 0 || args->n_flat > 1000000)
        return "--n takes 1 to 1000000 volumes";
    if (!(args->rate > 0) || args->rate > 1e6)
        return "--rate takes volumes a second, above 0";
    if (shape->n_latents > 4096 || shape->side < 8 || shape->side > 1024)
        return "--latents takes up to 4096, --picture 8 to 1024";
    if (shape->workers < 1 || shape->workers > MAX_WORKERS)
        return "--workers takes 1 to 16";
    if (!(shape->tr_s > 0) || !(shape->every_s >= shape->tr_s / 10))
        return "--tr and --every take seconds, above 0";
    return NULL;
}

static enum ph_status probe(const struct bench_args *args, const struct bench_setup *setup,
                            struct bench_probe *ret_probe, struct ph_error *reterr)
{
    const struct bench_probe_config config = {
        .n_read_bytes = (size_t)setup->shape.n_latents * setup->n_inside * sizeof(float),
        .n_image_bytes = setup->n_image,
        .n_float_bytes = setup->info.n_voxels * sizeof(float),
        .workers = (size_t)setup->shape.workers,
        .dir = setup->dir,
        .quick = args->quick,
    };

    return bench_probe_run(&config, ret_probe, reterr);
}

static enum ph_status run_passes(const struct bench_args *args, const struct phi_registry *registry,
                                 struct bench_report *report, struct ph_error *reterr)
{
    struct bench_pass_config config = {.setup = report->setup,
                                       .registry = registry,
                                       .n_volumes = (uint64_t)args->n,
                                       .rate = args->rate,
                                       .display = args->display,
                                       .trace_path = args->trace};
    enum ph_status status = PH_OK;

    if (!args->flat_out) {
        status = bench_pass_run(&config, &report->passes[report->n_passes++], reterr);
        config.trace_path = "";
        config.n_volumes = (uint64_t)args->n_flat;
    }
    config.rate = 0;
    if (status == PH_OK && config.n_volumes && !cli_interrupted())
        status = bench_pass_run(&config, &report->passes[report->n_passes++], reterr);
    return status;
}

static enum ph_status measure(const struct bench_args *args, const struct phi_registry *registry,
                              struct bench_report *report, struct ph_error *reterr)
{
    enum ph_status status = probe(args, report->setup, &report->before, reterr);

    if (status == PH_OK)
        status = run_passes(args, registry, report, reterr);
    if (status == PH_OK)
        status = probe(args, report->setup, &report->after, reterr);
    return status;
}

/* A volume that was not acknowledged, lost or failed on makes every other figure worthless. */
static bool is_whole(const struct bench_report *report)
{
    bool whole = true;

    for (size_t i = 0; i < report->n_passes; i++) {
        const struct bench_result *p = &report->passes[i];

        whole = whole && p->sent.done && p->sent.n_acked == p->n_volumes && p->sent.n_lost == 0 &&
                p->summary.n_missing == 0 && p->summary.n_failures == 0 && p->acks_in_order &&
                p->stages_in_order;
    }
    return whole;
}

static int run_all(const struct bench_args *args, const struct phi_registry *registry)
{
    static struct bench_report report; /* large */
    static struct bench_setup setup;
    struct ph_error err = {0};
    enum ph_status status;

    openblas_set_num_threads(1);
    cli_catch_interrupts();
    report = (struct bench_report){.setup = &setup};
    status = bench_setup_make(&args->shape, args->dir, &setup, &err);
    if (status == PH_OK)
        status = measure(args, registry, &report, &err);
    if (status == PH_OK && args->json)
        bench_report_json(&report);
    else if (status == PH_OK)
        bench_report_text(&report);
    bench_setup_remove(&setup);
    if (status != PH_OK)
        return status == PH_E_INVAL ? cli_fail_as(CLI_USAGE, &err) : cli_fail(&err);
    if (cli_interrupted())
        return CLI_INTERRUPTED;
    return is_whole(&report) ? CLI_DONE : CLI_FAILED;
}

static int run_bench(const struct cli_command *self, int argc, char **argv)
{
    struct bench_args args = {.dir = "/var/tmp",
                              .trace = "",
                              .n = 1000,
                              .n_flat = 200,
                              .rate = 20,
                              .shape = {.voxel_mm = 2,
                                        .tr_s = 2,
                                        .n_voxels = -1,
                                        .n_latents = -1,
                                        .side = 64,
                                        .dand = "",
                                        .every_s = 5}};
    const char *dand = NULL;
    char path[PATH_MAX];
    const struct cli_option options[] = {
        {CLI_INT, "n", &args.n, "N", "volumes at the given pace (1000)"},
        {CLI_REAL, "rate", &args.rate, "R", "volumes a second (20)"},
        {CLI_INT, "n-flat", &args.n_flat, "N", "volumes flat out afterwards (200)"},
        {CLI_BOOL, "flat-out", &args.flat_out, NULL, "all volumes flat out, none paced"},
        {CLI_BOOL, "chain", &args.shape.chain, NULL,
         "the whole preprocessing instead, 76x90x74 float32"},
        {CLI_BOOL, "realign", &args.shape.realign, NULL, "correct motion too"},
        {CLI_TEXT, "size", &args.size, "XxYxZ", "voxels (96x96x60)"},
        {CLI_REAL, "voxel-mm", &args.shape.voxel_mm, "MM", "size of a voxel (2)"},
        {CLI_BOOL, "float32", &args.shape.float32, NULL, "float32 volumes instead of int16"},
        {CLI_INT, "voxels", &args.shape.n_voxels, "Q", "voxels in the mask (65665; 0: the head)"},
        {CLI_INT, "latents", &args.shape.n_latents, "P", "latents of the decoder (699)"},
        {CLI_INT, "picture", &args.shape.side, "PIXELS", "side of a picture (64)"},
        {CLI_TEXT, "dand", &dand, "MODEL",
         "let DAND's model draw, from as many latents as it has, instead of eigenface"},
        {CLI_REAL, "tr", &args.shape.tr_s, "SECONDS", "repetition time the run claims (2)"},
        {CLI_REAL, "every", &args.shape.every_s, "SECONDS", "time between stimuli (5)"},
        {CLI_INT, "workers", &args.shape.workers, "N", "worker threads (one a processor)"},
        {CLI_BOOL, "display", &args.display, NULL, "let the operator's view be drawn, in memory"},
        {CLI_TEXT, "dir", &args.dir, "DIR", "where the temporary folder goes (/var/tmp)"},
        {CLI_TEXT, "trace", &args.trace, "FILE", "write what each stage did when (Chrome trace)"},
        {CLI_BOOL, "quick", &args.quick, NULL, "probe the hardware with few repeats"},
        CLI_JSON(&args.json),
        CLI_END};
    struct cli_args rest;
    struct phi_registry *registry = NULL;
    struct ph_error err = {0};
    int code = cli_parse(self, options, argc, argv, &rest);

    if (code >= 0)
        return code;
    if (dand && (!realpath(dand, path) || bench_setup_dand(path, &args.shape, &err) != PH_OK))
        return err.status ? cli_fail(&err) : cli_usage(self, "there is no file '%s'", dand);
    if (dand)
        args.shape.dand = path;
    set_defaults(&args);
    if (rest.n != 0)
        return cli_usage(self, "it takes no operands");
    if (!parse_size(args.size, args.shape.dims))
        return cli_usage(self, "--size takes 8 to 512 voxels each way, as 96x96x60");
    if (complaint(&args))
        return cli_usage(self, "%s", complaint(&args));
    if (types_open(NULL, &registry, &err) != PH_OK)
        return cli_fail(&err);
    code = run_all(&args, registry);
    phi_registry_destroy(&registry);
    return code;
}

const struct cli_command cmd_bench = {
    .name = "bench",
    .summary = "measure the live engine on this machine",
    .operands = "",
    .text =
        "Makes volumes, a decoder and a run of the given sizes, runs the engine with a sender in\n"
        "the same process, first at the given pace, then flat out, and tells how long a volume\n"
        "takes from the socket to its picture and to its acknowledgement, and each stage, beside\n"
        "what this machine's memory, arithmetic and disk allow at that moment. The recording goes\n"
        "to --dir, 1.1 MB a volume of 96x96x60, and is removed at the end. Exit code 1: volumes\n"
        "were lost or calls failed, so the times mean nothing.",
    .examples = "phos bench\n"
                "phos bench --chain --json\n"
                "phos bench --n 20000 --rate 1000 --size 32x32x16 --voxels 2000 --latents 24\n"
                "phos bench --dand data/models/dand-faces.safetensors\n"
                "phos bench --flat-out --n 300 --trace trace.json",
    .run = run_bench,
};
