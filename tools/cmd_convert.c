/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "cli.h"
#include "convert/convert.h"

/* Everything as it is, by its own names. */
static enum ph_status convert_all(const struct phi_arrays *in, bool flip,
                                  struct convert_output *out, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    if (flip)
        return phi_error(reterr, PH_E_INVAL,
                         "--flip needs to know which arrays are kernels: "
                         "choose a kind with --as");
    for (size_t i = 0; i < in->n && status == PH_OK; i++)
        status = convert_put(out, in->items[i].name, &in->items[i], in->items[i].n_dims,
                             in->items[i].shape, reterr);
    if (status == PH_OK && convert_note(out, "phosphene.kind", "arrays") != PH_OK)
        return phi_error(reterr, PH_E_LIMIT, "too much metadata");
    return status;
}

static const struct convert_kind as_is = {"arrays", "any arrays, unchanged, by their own names",
                                          convert_all};
static const struct convert_kind *const kinds[] = {&as_is, &convert_dcgan, &convert_m2,
                                                   &convert_prednet, &convert_vgg_face};

#define N_KINDS (sizeof kinds / sizeof *kinds)

static const struct convert_kind *find_kind(const char *name)
{
    for (size_t i = 0; i < N_KINDS; i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

/* "path/v.ndict.tar.gz" -> "v" */
static void stem_of(const char *path, char stem[64])
{
    const char *slash = strrchr(path, '/');

    (void)phi_str_copy(stem, 64, slash ? slash + 1 : path);
    stem[strcspn(stem, ".")] = '\0';
}

/* Loads `path` and puts "STEM/" before its names, so that several files may use the same ones. */
static enum ph_status load_with_stem(struct phi_arrays *in, const char *path,
                                     struct ph_error *reterr)
{
    struct phi_arrays own = {0};
    char stem[64];
    enum ph_status status = phi_arrays_load(&own, path, reterr);

    stem_of(path, stem);
    for (size_t i = 0; i < own.n && status == PH_OK; i++) {
        char name[512];
        struct phi_safetensors_tensor moved = own.items[i];

        (void)snprintf(name, sizeof name, "%s/%s", stem, own.items[i].name);
        own.items[i].data = NULL; /* add takes it over */
        status = phi_arrays_add(in, name, &moved, reterr);
    }
    phi_arrays_fini(&own);
    return status;
}

static enum ph_status convert_files(const struct convert_kind *kind, const struct cli_args *files,
                                    bool flip, struct convert_output *out, struct ph_error *reterr)
{
    struct phi_arrays in = {0};
    enum ph_status status = PH_OK;

    for (int i = 0; i < files->n && status == PH_OK; i++)
        status = files->n > 1 ? load_with_stem(&in, files->operands[i], reterr)
                              : phi_arrays_load(&in, files->operands[i], reterr);
    if (status == PH_OK) {
        status = kind->convert(&in, flip, out, reterr);
        if (status != PH_OK)
            (void)phi_error_prefix(reterr, "%s as %s", files->operands[0], kind->name);
    }
    phi_arrays_fini(&in);
    return status;
}

static void report(const struct convert_output *out, const char *path, bool json)
{
    size_t n_values = 0;
    json_t *answer;

    for (size_t i = 0; i < out->tensors.n; i++)
        n_values += out->tensors.items[i].n_values;
    if (!json) {
        printf("%s: %zu tensors, %zu values\n", path, out->tensors.n, n_values);
        return;
    }
    answer = json_pack("{s:s, s:I, s:I}", "file", path, "tensors", (json_int_t)out->tensors.n,
                       "values", (json_int_t)n_values);
    (void)json_dumpf(answer, stdout, 0);
    (void)putchar('\n');
    json_decref(answer);
}

static int run_convert(const struct cli_command *self, int argc, char **argv)
{
    const char *as = "arrays";
    const char *path = NULL;
    bool flip = false;
    bool json = false;
    const struct cli_option options[] = {
        {CLI_TEXT, "as", &as, "KIND", "arrays (default), dcgan, m2, prednet or vgg-face"},
        {CLI_TEXT, "out", &path, "FILE", "the .safetensors file to write"},
        {CLI_BOOL, "flip", &flip, NULL, "rotate kernels by 180 degrees (Theano weights)"},
        CLI_JSON(&json),
        CLI_END};
    struct cli_args args;
    struct convert_output out = {0};
    struct ph_error err;
    const struct convert_kind *kind;
    enum ph_status status;
    int code = cli_parse(self, options, argc, argv, &args);

    if (code >= 0)
        return code;
    kind = find_kind(as);
    if (!kind)
        return cli_usage(self, "there is no kind '%s'", as);
    if (args.n < 1 || !path)
        return cli_usage(self, "FILE and --out FILE are needed");
    status = convert_files(kind, &args, flip, &out, &err);
    code = status == PH_OK ? CLI_DONE : cli_fail(&err);
    if (status == PH_OK) {
        const struct phi_safetensors_content content = {out.tensors.items, out.tensors.n,
                                                        out.metadata, out.n_metadata};

        status = phi_safetensors_write(path, &content, &err);
        if (status == PH_OK)
            report(&out, path, json);
        else
            code = cli_fail_as(CLI_CANNOT_WRITE, &err);
    }
    convert_output_fini(&out);
    return code;
}

const struct cli_command cmd_convert = {
    .name = "convert",
    .summary = "turn weights of other programs into model files",
    .operands = "FILE...",
    .text =
        "Reads .npy, .npz, .tar.gz (of arrays), HDF5 and .safetensors; several files are taken\n"
        "together. Pickled checkpoints (.pt, .pkl) can run code and are refused: save them as\n"
        "safetensors first. vgg-face takes convolutions and fc6 by Caffe's, torchvision's or "
        "Keras\n"
        "ports' names, channels red, green, blue.",
    .examples =
        "phos convert prednet_kitti_weights.hdf5 --as prednet --out kitti.safetensors\n"
        "phos convert theano/prednet_kitti_weights.hdf5 --as prednet --flip --out k.safetensors\n"
        "phos convert weights.npz --out weights.safetensors",
    .run = run_convert,
};
