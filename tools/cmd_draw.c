/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cli.h"
#include "io/png.h"
#include "models/dand.h"
#include "models/dcgan.h"
#include "models/vae.h"
#include "nn/init.h"
#include "nn/layers.h"
#include "plugins/generator/common/weights_file.h"
#include "train/net.h"

/* A generator as a graph from z to pictures. */
struct drawing {
    size_t n_latent, n_classes;
    size_t side, channels;
    float low_high[2]; /* range of the pictures' values */
    bool batch_statistics;
    int z, y, out;
};

struct draw_kind {
    const char *name, *prefix;
    /* Reads the sizes from the file and appends the network for `n` pictures. */
    enum ph_status (*build)(const struct phi_safetensors *file, size_t n, struct phi_graph *graph,
                            struct drawing *d, struct ph_error *reterr);
};

static enum ph_status size_of(const struct phi_safetensors *file, const char *key, size_t *ret,
                              struct ph_error *reterr)
{
    const int64_t range[2] = {0, 65536};
    int64_t value = 0;
    enum ph_status status = phi_safetensors_metadata_i64(file, key, range, &value, reterr);

    *ret = (size_t)value;
    return status;
}

static enum ph_status build_cvae(const struct phi_safetensors *file, size_t n,
                                 struct phi_graph *graph, struct drawing *d,
                                 struct ph_error *reterr)
{
    struct phi_cvae_config config = {0};
    enum ph_status status = size_of(file, "cvae.width", &config.width, reterr);
    size_t norm = 0;

    if (status == PH_OK)
        status = size_of(file, "cvae.latents", &config.n_latent, reterr);
    if (status == PH_OK && phi_safetensors_metadata(file, "cvae.norm"))
        status = size_of(file, "cvae.norm", &norm, reterr);
    config.norm = norm != 0;
    if (status != PH_OK)
        return status;
    *d = (struct drawing){
        .n_latent = config.n_latent, .side = 64, .channels = 3, .low_high = {0, 1}, .y = -1};
    d->z = phi_graph_input(graph, "z", PHI_SHAPE(n, config.n_latent));
    d->out = phi_graph_sigmoid(graph, phi_cvae_decode(graph, &config, d->z));
    return PH_OK;
}

static enum ph_status build_m2(const struct phi_safetensors *file, size_t n,
                               struct phi_graph *graph, struct drawing *d, struct ph_error *reterr)
{
    struct phi_vae_config config = {.n_layers = 2, .activation = PHI_SOFTPLUS};
    enum ph_status status = size_of(file, "m2.pixels", &config.n_in, reterr);

    if (status == PH_OK)
        status = size_of(file, "m2.hidden", &config.n_hidden, reterr);
    if (status == PH_OK)
        status = size_of(file, "m2.latents", &config.n_latent, reterr);
    if (status == PH_OK)
        status = size_of(file, "m2.classes", &config.n_classes, reterr);
    if (status != PH_OK)
        return status;
    *d = (struct drawing){.n_latent = config.n_latent,
                          .n_classes = config.n_classes,
                          .channels = 1,
                          .low_high = {0, 1}};
    while (d->side * d->side < config.n_in)
        d->side++;
    d->z = phi_graph_input(graph, "z", PHI_SHAPE(n, config.n_latent));
    d->y = phi_graph_input(graph, "y", PHI_SHAPE(n, config.n_classes));
    d->out = phi_graph_sigmoid(graph, phi_m2_decode(graph, &config, d->y, d->z));
    return PH_OK;
}

static enum ph_status build_dcgan(const struct phi_safetensors *file, size_t n,
                                  struct phi_graph *graph, struct drawing *d,
                                  struct ph_error *reterr)
{
    struct phi_dcgan_config config = {0};
    enum ph_status status = size_of(file, "dcgan.latents", &config.n_latent, reterr);

    if (status == PH_OK)
        status = size_of(file, "dcgan.width", &config.width, reterr);
    if (status != PH_OK)
        return status;
    *d = (struct drawing){.n_latent = config.n_latent,
                          .side = 32,
                          .channels = 3,
                          .low_high = {-1, 1},
                          .batch_statistics = true,
                          .y = -1};
    d->z = phi_graph_input(graph, "z", PHI_SHAPE(n, config.n_latent));
    d->out = phi_dcgan_generator(graph, &config, d->z);
    return PH_OK;
}

static enum ph_status build_dand(const struct phi_safetensors *file, size_t n,
                                 struct phi_graph *graph, struct drawing *d,
                                 struct ph_error *reterr)
{
    struct phi_dand_config config = {0};
    enum ph_status status = size_of(file, "dand.latents", &config.n_latent, reterr);

    if (status == PH_OK)
        status = size_of(file, "dand.code", &config.n_code, reterr);
    if (status == PH_OK)
        status = size_of(file, "dand.width", &config.width, reterr);
    if (status != PH_OK)
        return status;
    *d = (struct drawing){
        .n_latent = config.n_latent, .side = 64, .channels = 3, .low_high = {-1, 1}, .y = -1};
    d->z = phi_graph_input(graph, "z", PHI_SHAPE(n, config.n_latent));
    d->out = phi_dand_generator(graph, &config, d->z, NULL);
    return PH_OK;
}

static const struct draw_kind kinds[] = {
    {"cvae", "cvae.dec.", build_cvae},
    {"m2", "m2.dec.", build_m2},
    {"dcgan", "dcgan.g.", build_dcgan},
    {"dand", "dand.g.", build_dand},
};

/* z ~ N(0, I); with classes, rows share z and columns are the classes in turn: one handwriting a
 * row. */
static void fill_inputs(const struct train_net *net, const struct drawing *d, size_t n_side,
                        uint64_t seed)
{
    float *z = phi_tape_value(net->tape, d->z);
    struct phi_rng rng;

    phi_rng_init(&rng, seed, 0);
    phi_rng_normal_f32(&rng, z, n_side * n_side * d->n_latent);
    if (d->y < 0)
        return;
    for (size_t i = 0; i < n_side * n_side; i++) {
        memcpy(z + i * d->n_latent, z + i / n_side * n_side * d->n_latent, d->n_latent * sizeof *z);
        for (size_t k = 0; k < d->n_classes; k++)
            phi_tape_value(net->tape, d->y)[i * d->n_classes + k] =
                k == i % n_side % d->n_classes ? 1 : 0;
    }
}

/* Grey pictures become RGB planes. */
static void place_all(const struct train_net *net, const struct drawing *d, size_t n_side,
                      uint8_t *rgb, float *planes)
{
    size_t n_pixels = d->side * d->side;

    for (size_t i = 0; i < n_side * n_side; i++) {
        const float *picture = phi_tape_value(net->tape, d->out) + i * d->channels * n_pixels;

        for (size_t c = 0; c < 3; c++)
            memcpy(planes + c * n_pixels, picture + (d->channels == 3 ? c : 0) * n_pixels,
                   n_pixels * sizeof *planes);
        train_place(rgb, n_side, i, planes, (const size_t[2]){d->side, d->side}, d->low_high);
    }
}

static enum ph_status write_sheet(const struct train_net *net, const struct drawing *d,
                                  size_t n_side, const char *out, struct ph_error *reterr)
{
    size_t side = n_side * d->side;
    uint8_t *rgb = phi_calloc2(side, side * 3, 1);
    float *planes = phi_calloc(3 * d->side * d->side, sizeof *planes);
    enum ph_status status = PH_OK;

    if (!rgb || !planes) {
        status = phi_error_nomem(reterr, "a sheet of pictures", side * side * 3);
    } else {
        const struct phi_png_pixels picture = {
            .width = side, .height = side, .n_channels = 3, .pixels = rgb};

        place_all(net, d, n_side, rgb, planes);
        status = phi_png_write(out, &picture, reterr);
    }
    phi_free(planes);
    phi_free(rgb);
    return status;
}

static enum ph_status draw(const struct phi_safetensors *file, const struct draw_kind *kind,
                           size_t n_side, uint64_t seed, const char *out, struct ph_error *reterr)
{
    struct train_net net = {0};
    struct phi_weights *weights = NULL;
    struct drawing d;
    enum ph_status status = phi_weights_create(&weights);

    if (status == PH_OK)
        status = phi_graph_create(&net.graph);
    if (status != PH_OK)
        status = phi_error_nomem(reterr, "a network", 0);
    if (status == PH_OK)
        status = phi_weights_read(weights, file, kind->prefix, reterr);
    if (status == PH_OK)
        status = kind->build(file, n_side * n_side, net.graph, &d, reterr);
    if (status == PH_OK)
        status = phi_graph_check(net.graph, reterr);
    if (status == PH_OK)
        status = phi_tape_create(net.graph, weights, NULL, &net.tape, reterr);
    if (status == PH_OK)
        status = phi_weights_check_used(weights, net.graph, kind->prefix, reterr);
    if (status == PH_OK) {
        fill_inputs(&net, &d, n_side, seed);
        status = phi_tape_forward(net.tape, d.batch_statistics);
        status = status == PH_OK ? write_sheet(&net, &d, n_side, out, reterr)
                                 : phi_error(reterr, status, "the network cannot be run");
    }
    train_net_fini(&net);
    phi_weights_destroy(&weights);
    return status;
}

static const struct draw_kind *kind_of(const struct phi_safetensors *file, struct ph_error *reterr)
{
    const char *name = phi_safetensors_metadata(file, "phosphene.kind");

    for (size_t i = 0; name && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    (void)phi_error(reterr, PH_E_FORMAT,
                    "%s: kind '%s' draws no pictures (cvae, m2, dcgan and dand do)",
                    phi_safetensors_path(file), name ? name : "unknown");
    return NULL;
}

static int run_draw(const struct cli_command *self, int argc, char **argv)
{
    const char *out = NULL;
    int64_t n_side = 10;
    int64_t seed = 1;
    const struct cli_option options[] = {{CLI_TEXT, "out", &out, "FILE.png", "the sheet to write"},
                                         {CLI_INT, "n", &n_side, "N", "pictures along a side (10)"},
                                         {CLI_INT, "seed", &seed, "N", "of the latents (1)"},
                                         CLI_END};
    struct cli_args args;
    struct phi_safetensors *file = NULL;
    const struct draw_kind *kind;
    struct ph_error err;
    int code = cli_parse(self, options, argc, argv, &args);

    if (code >= 0)
        return code;
    if (args.n != 1 || !out || n_side < 1 || n_side > 32)
        return cli_usage(self, "one MODEL and --out FILE.png are needed, and --n from 1 to 32");
    if (phi_safetensors_open(args.operands[0], &file, &err) != PH_OK)
        return cli_fail(&err);
    kind = kind_of(file, &err);
    code = kind && draw(file, kind, (size_t)n_side, (uint64_t)seed, out, &err) == PH_OK
               ? CLI_DONE
               : cli_fail(&err);
    phi_safetensors_close(&file);
    return code;
}

const struct cli_command cmd_draw = {
    .name = "draw",
    .summary = "draw a sheet of pictures from a generator's random latents",
    .operands = "MODEL.safetensors",
    .text = "Kinds cvae, m2 (each row one handwriting, each column one digit), dcgan and dand.",
    .examples = "phos draw vae/model.safetensors --out faces.png\n"
                "phos draw m2.safetensors --out digits.png --n 10",
    .run = run_draw,
};
