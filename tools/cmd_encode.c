/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli.h"
#include "io/file.h"
#include "io/safetensors.h"
#include "nn/prim.h"
#include "plugins/generator/common/weights_file.h"
#include "train/encoder.h"

/* Pictures of a stimulus folder: its stimuli.safetensors where there is one, else its files. */
static enum ph_status load_pictures(const char *path, struct train_data **ret_data,
                                    struct ph_error *reterr)
{
    struct train_data_params params = {
        .type = TRAIN_FOLDER, .size = 64, .path = path, .attributes = "", .tensor = "images"};
    char file[PHI_PATH_MAX];

    if (!phi_path_join(file, sizeof file, path, "stimuli.safetensors"))
        return phi_error(reterr, PH_E_LIMIT, "the path of '%s' is too long", path);
    if (phi_path_exists(file)) {
        params.type = TRAIN_TENSORS;
        params.path = file;
    }
    return train_data_load(&params, NULL, NULL, ret_data, reterr);
}

static enum ph_status write_latents(const char *path, const float *latents, size_t n, size_t p,
                                    const char *model, const char *space, struct ph_error *reterr)
{
    const struct phi_safetensors_tensor tensor = {.name = "latents",
                                                  .dtype = PHI_SAFETENSORS_F32,
                                                  .n_dims = 2,
                                                  .shape = {n, p},
                                                  .data = latents};
    const struct phi_safetensors_pair pairs[] = {{"phosphene.kind", "latents"},
                                                 {"phosphene.version", "1"},
                                                 {"latents.model", model},
                                                 {"latents.space", space},
                                                 {"latents.scale", "whitened on the training set"}};
    const struct phi_safetensors_content content = {&tensor, 1, pairs, 5};

    return phi_safetensors_write(path, &content, reterr);
}

struct encoding {
    struct phi_weights *weights;
    struct train_data *data;
    float *features, *latents;
    size_t p;
};

static enum ph_status encode(struct encoding *e, const char *model, const char *pictures,
                             const char *out, struct ph_error *reterr)
{
    char space[TRAIN_SPACE];
    enum ph_status status = phi_weights_create(&e->weights);

    if (status != PH_OK)
        return phi_error_nomem(reterr, "weights", 0);
    status = phi_weights_load(e->weights, model, "dand.", reterr);
    if (status == PH_OK)
        status = train_encoder_check(e->weights, model, reterr);
    if (status == PH_OK)
        status = load_pictures(pictures, &e->data, reterr);
    if (status == PH_OK)
        status = train_encoder_run(e->weights, e->data, train_encoder_features(e->weights), NULL,
                                   NULL, &e->features, reterr);
    if (status != PH_OK)
        return status;
    e->p = phi_weights_find(e->weights, "dand.p.whiten")->value.shape.dim[0];
    e->latents = phi_calloc2(e->data->n, e->p, sizeof(float));
    if (!e->latents)
        return phi_error_nomem(reterr, "latents", e->data->n * e->p * sizeof(float));
    train_encoder_whiten(e->weights, e->features, e->data->n, e->latents);
    train_encoder_space(e->weights, space);
    return write_latents(out, e->latents, e->data->n, e->p, model, space, reterr);
}

static void report(const struct encoding *e, const char *out, bool json)
{
    json_t *answer;

    if (!json) {
        printf("%s: %zu latents of %zu components\n", out, e->data->n, e->p);
        return;
    }
    answer = json_pack("{s:s, s:I, s:I}", "file", out, "n", (json_int_t)e->data->n, "components",
                       (json_int_t)e->p);
    (void)json_dumpf(answer, stdout, 0);
    (void)putchar('\n');
    json_decref(answer);
}

static int run_encode(const struct cli_command *self, int argc, char **argv)
{
    const char *out = NULL;
    bool json = false;
    const struct cli_option options[] = {
        {CLI_TEXT, "out", &out, "FILE", "the latents to write (safetensors, 'latents' [n][p])"},
        CLI_JSON(&json),
        CLI_END};
    struct cli_args args;
    struct encoding e = {0};
    struct ph_error err;
    int code = cli_parse(self, options, argc, argv, &args);

    if (code >= 0)
        return code;
    if (args.n != 2 || !out)
        return cli_usage(self, "MODEL, PICTURES and --out FILE are needed");
    code = CLI_DONE;
    if (encode(&e, args.operands[0], args.operands[1], out, &err) == PH_OK)
        report(&e, out, json);
    else
        code = cli_fail(&err);
    phi_weights_destroy(&e.weights);
    train_data_destroy(&e.data);
    phi_free(e.features);
    phi_free(e.latents);
    return code;
}

const struct cli_command cmd_encode = {
    .name = "encode",
    .summary = "turn pictures into a network's latents",
    .operands = "MODEL.safetensors PICTURES",
    .text =
        "PICTURES is a folder that phos stimuli made, or any folder of PNG and JPEG files (taken\n"
        "in the order of their names, cropped to a square, resized to 64 x 64).",
    .examples = "phos encode dand.safetensors stimuli/train --out train-latents.safetensors",
    .run = run_encode,
};
