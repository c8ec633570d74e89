/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli.h"
#include "decode/linalg.h"
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

struct encode_args {
    const char *model, *pictures, *out, *basis;
    int64_t n_components;
    bool json;
};

struct encoding {
    const struct encode_args *args;
    struct phi_weights *weights;
    struct train_data *data;
    float *features, *latents;
    size_t p;
};

/* Components of the features of these pictures, where the model has none. */
static enum ph_status fit_components(struct encoding *e, size_t n_features, struct ph_error *reterr)
{
    struct phi_pca *pca = NULL;
    enum ph_status status;

    (void)phi_blas_set_threads(1); /* the same bits on any machine */
    status = phi_pca_fit(e->features, e->data->n, n_features, (size_t)e->args->n_components, &pca,
                         reterr);
    if (status == PH_OK && pca->n_components < (size_t)e->args->n_components)
        status =
            phi_error(reterr, PH_E_INVAL, "the features of these pictures have only %zu components",
                      pca->n_components);
    if (status == PH_OK)
        status = train_encoder_put_pca(e->weights, pca, reterr);
    phi_pca_destroy(&pca);
    return status;
}

/* The latents, and with components fitted here these too, so that the file is a basis. */
static enum ph_status write_latents(const struct encoding *e, struct ph_error *reterr)
{
    static const char *const names[] = {"dand.p.whiten", "dand.g.fc.bias"};
    char space[TRAIN_SPACE];
    struct phi_safetensors_tensor tensors[3] = {{.name = "latents",
                                                 .dtype = PHI_SAFETENSORS_F32,
                                                 .n_dims = 2,
                                                 .shape = {e->data->n, e->p},
                                                 .data = e->latents}};
    const struct phi_safetensors_pair pairs[] = {{"phosphene.kind", "latents"},
                                                 {"phosphene.version", "1"},
                                                 {"latents.model", e->args->model},
                                                 {"latents.space", space},
                                                 {"latents.scale", "whitened on the training set"}};
    const struct phi_safetensors_content content = {tensors, e->args->n_components ? 3 : 1, pairs,
                                                    5};

    train_encoder_space(e->weights, space);
    for (size_t i = 0; i < 2; i++) {
        const struct phi_tensor *value = &phi_weights_find(e->weights, names[i])->value;

        tensors[1 + i] = (struct phi_safetensors_tensor){.name = names[i],
                                                         .dtype = PHI_SAFETENSORS_F32,
                                                         .n_dims = (size_t)value->shape.n_dims,
                                                         .shape = {value->shape.dim[0]},
                                                         .data = value->data};
        if (value->shape.n_dims > 1)
            tensors[1 + i].shape[1] = value->shape.dim[1];
    }
    return phi_safetensors_write(e->args->out, &content, reterr);
}

static enum ph_status load_model(struct encoding *e, struct ph_error *reterr)
{
    const struct encode_args *a = e->args;
    enum ph_status status = phi_weights_create(&e->weights);

    if (status != PH_OK)
        return phi_error_nomem(reterr, "weights", 0);
    status = phi_weights_load(e->weights, a->model,
                              a->n_components || a->basis ? "dand.f." : "dand.", reterr);
    if (status == PH_OK && a->basis)
        status = phi_weights_load(e->weights, a->basis, "dand.", reterr);
    if (status == PH_OK && a->n_components && train_encoder_features(e->weights) == 0)
        status = phi_error(reterr, PH_E_FORMAT, "%s: this is no encoder", a->model);
    if (status == PH_OK && !a->n_components)
        status = train_encoder_check(e->weights, a->basis ? a->basis : a->model, reterr);
    return status;
}

static enum ph_status encode(struct encoding *e, struct ph_error *reterr)
{
    enum ph_status status = load_model(e, reterr);
    size_t n_features = status == PH_OK ? train_encoder_features(e->weights) : 0;

    if (status == PH_OK)
        status = load_pictures(e->args->pictures, &e->data, reterr);
    if (status == PH_OK)
        status =
            train_encoder_run(e->weights, e->data, n_features, NULL, NULL, &e->features, reterr);
    if (status == PH_OK && e->args->n_components)
        status = fit_components(e, n_features, reterr);
    if (status != PH_OK)
        return status;
    e->p = phi_weights_find(e->weights, "dand.p.whiten")->value.shape.dim[0];
    e->latents = phi_calloc2(e->data->n, e->p, sizeof(float));
    if (!e->latents)
        return phi_error_nomem(reterr, "latents", e->data->n * e->p * sizeof(float));
    train_encoder_whiten(e->weights, e->features, e->data->n, e->latents);
    return write_latents(e, reterr);
}

static void report(const struct encoding *e)
{
    const char *out = e->args->out;
    json_t *answer;

    if (!e->args->json) {
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
    struct encode_args a = {0};
    const struct cli_option options[] = {
        {CLI_TEXT, "out", &a.out, "FILE", "the latents to write (safetensors, 'latents' [n][p])"},
        {CLI_INT, "components", &a.n_components, "N",
         "fit N whitened components to the features of these pictures"},
        {CLI_TEXT, "basis", &a.basis, "FILE", "the components that --components fitted there"},
        CLI_JSON(&a.json),
        CLI_END};
    struct cli_args args;
    struct encoding e = {.args = &a};
    struct ph_error err;
    int code = cli_parse(self, options, argc, argv, &args);

    if (code >= 0)
        return code;
    if (args.n != 2 || !a.out)
        return cli_usage(self, "MODEL, PICTURES and --out FILE are needed");
    if (a.n_components < 0 || a.n_components > 8192 || (a.n_components && a.basis))
        return cli_usage(self, "--components is 1 to 8192, and --basis has its own");
    a.model = args.operands[0];
    a.pictures = args.operands[1];
    code = CLI_DONE;
    if (encode(&e, &err) == PH_OK)
        report(&e);
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
        "in the order of their names, cropped to a square, resized to 64 x 64). A model of kind "
        "dand "
        "has\nits components; an encoder (phos train, phos convert --as vgg-face) gets them by "
        "--components\nfrom the training pictures and by --basis for others.",
    .examples =
        "phos encode dand.safetensors stimuli/train --out train-latents.safetensors\n"
        "phos encode vgg-face.safetensors stimuli/train --components 699 --out train.safetensors\n"
        "phos encode vgg-face.safetensors stimuli/test --basis train.safetensors --out "
        "test.safetensors",
    .run = run_encode,
};
