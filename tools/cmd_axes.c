/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli.h"
#include "decode/axes.h"
#include "eval/faces.h"
#include "io/safetensors.h"
#include "tools/stimuli/set.h"
#include "tools/stimuli/sheet.h"

#define N_STEPS 7
#define NAME    64

struct axes_args {
    const char *out, *generator, *sheet;
    struct cli_list orthogonal;
    double range_sd;
    int64_t n_rows;
    bool json;
};

/* Attributes [n][k] explained by latents [n][p]. */
struct axes {
    const struct axes_args *args;
    size_t n, p, k;
    double *x, *y;
    struct phi_axes *fit;
    char (*names)[NAME];       /* [k] */
    size_t base[CLI_MAX_LIST]; /* numbers of the attributes that --orthogonal names */
    char space[64];            /* the latents', "" unknown */
};

static void free_axes(struct axes *a)
{
    phi_free(a->x);
    phi_free(a->y);
    phi_free(a->names);
    phi_axes_destroy(&a->fit);
}

/* ---- input ---- */

/* Names from attributes.tsv's source: the metadata of the set's file. */
static void copy_names(const char *text, struct axes *a)
{
    for (size_t i = 0; i < a->k; i++) {
        size_t length = text ? strcspn(text, "\n") : 0;

        if (length && length < NAME)
            memcpy(a->names[i], text, length);
        else
            (void)snprintf(a->names[i], NAME, "attribute_%zu", i);
        if (text)
            text = text[length] ? text + length + 1 : NULL;
    }
}

static enum ph_status read_latents(const char *path, struct axes *a, struct ph_error *reterr)
{
    const size_t any[2] = {0, 0};
    const struct phi_safetensors_tensor *tensor;
    struct phi_safetensors *file = NULL;
    enum ph_status status = phi_safetensors_open(path, &file, reterr);

    if (status == PH_OK)
        status = phi_safetensors_expect(file, "latents", 2, any, &tensor, reterr);
    if (status == PH_OK) {
        const char *space = phi_safetensors_metadata(file, "latents.space");

        a->n = tensor->shape[0];
        a->p = tensor->shape[1];
        (void)phi_str_copy(a->space, sizeof a->space, space ? space : "");
        status = phi_safetensors_load_f64(file, "latents", 2, tensor->shape, &a->x, reterr);
    }
    phi_safetensors_close(&file);
    return status;
}

static enum ph_status read_attributes(const char *folder, struct axes *a, struct ph_error *reterr)
{
    const size_t shape[2] = {a->n, 0};
    const struct phi_safetensors_tensor *tensor;
    struct phi_safetensors *file = NULL;
    char path[1024];
    enum ph_status status;

    if (snprintf(path, sizeof path, "%s%s", folder,
                 phi_str_ends(folder, ".safetensors") ? "" : "/stimuli.safetensors") >=
        (int)sizeof path)
        return phi_error(reterr, PH_E_INVAL, "the path %s is too long", folder);
    status = phi_safetensors_open(path, &file, reterr);
    if (status == PH_OK)
        status = phi_safetensors_expect(file, "attributes", 2, shape, &tensor, reterr);
    if (status == PH_OK) {
        a->k = tensor->shape[1];
        status = phi_safetensors_load_f64(file, "attributes", 2, tensor->shape, &a->y, reterr);
    }
    a->names = status == PH_OK ? phi_calloc(a->k, NAME) : NULL;
    if (status == PH_OK && !a->names)
        status = phi_error_nomem(reterr, "names", a->k * NAME);
    if (status == PH_OK)
        copy_names(phi_safetensors_metadata(file, "attribute_names"), a);
    phi_safetensors_close(&file);
    return status;
}

/* ---- the regression ---- */

static enum ph_status find_base(struct axes *a, struct ph_error *reterr)
{
    const struct cli_list *list = &a->args->orthogonal;

    for (size_t b = 0; b < list->n; b++) {
        a->base[b] = a->k;
        for (size_t j = 0; j < a->k; j++)
            if (strcmp(a->names[j], list->items[b]) == 0)
                a->base[b] = j;
        if (a->base[b] == a->k)
            return phi_error(reterr, PH_E_INVAL, "the stimuli have no attribute '%s'",
                             list->items[b]);
    }
    return PH_OK;
}

static bool is_base(const struct axes *a, size_t j)
{
    bool found = false;

    for (size_t b = 0; b < a->args->orthogonal.n; b++)
        found |= a->base[b] == j;
    return found;
}

static enum ph_status make_axes(struct axes *a, struct ph_error *reterr)
{
    const struct phi_axes_problem problem = {
        a->x, a->y, a->n, a->p, a->k, a->base, a->args->orthogonal.n};
    enum ph_status status = find_base(a, reterr);

    return status == PH_OK ? phi_axes_fit(&problem, &a->fit, reterr) : status;
}

/* ---- output ---- */

static struct phi_safetensors_tensor tensor(const char *name, size_t n_rows, size_t n_cols,
                                            const void *data)
{
    return (struct phi_safetensors_tensor){.name = name,
                                           .dtype = PHI_SAFETENSORS_F64,
                                           .n_dims = n_cols ? 2 : 1,
                                           .shape = {n_rows, n_cols},
                                           .data = data};
}

static enum ph_status write_axes(const struct axes *a, struct ph_error *reterr)
{
    const struct phi_safetensors_tensor tensors[] = {
        tensor("axes", a->k, a->p, a->fit->axis),
        tensor("slope", a->k, 0, a->fit->slope),
        tensor("intercept", a->k, 0, a->fit->intercept),
        tensor("r2", a->k, 0, a->fit->r2),
        tensor("cosine.before", a->k, a->k, a->fit->cosine_before),
        tensor("cosine", a->k, a->k, a->fit->cosine)};
    char *names = phi_calloc(a->k, NAME + 1);
    struct phi_safetensors_pair pairs[] = {{"phosphene.kind", "axes"},
                                           {"phosphene.version", "1"},
                                           {"attribute_names", names},
                                           {"latents.space", a->space}};
    const struct phi_safetensors_content content = {tensors, 6, pairs, *a->space ? 4U : 3U};
    size_t length = 0;
    enum ph_status status;

    if (!names)
        return phi_error_nomem(reterr, "names", a->k * NAME);
    for (size_t j = 0; j < a->k; j++)
        length += (size_t)snprintf(names + length, a->k * (NAME + 1) - length, "%s%s",
                                   j ? "\n" : "", a->names[j]);
    status = phi_safetensors_write(a->args->out, &content, reterr);
    phi_free(names);
    return status;
}

/* The j-th best explained attribute. */
static size_t ranked(const struct axes *a, size_t rank)
{
    for (size_t j = 0; j < a->k; j++) {
        size_t n_better = 0;

        for (size_t i = 0; i < a->k; i++)
            n_better +=
                a->fit->r2[i] > a->fit->r2[j] || (i < j && !(a->fit->r2[i] < a->fit->r2[j]));
        if (n_better == rank)
            return j;
    }
    return 0;
}

static enum ph_status put_axis(struct eval_faces *faces, const struct axes *a, size_t axis,
                               struct phi_sheet *sheet, size_t row, struct ph_error *reterr)
{
    uint8_t *rgb = phi_calloc(EVAL_FACE_BYTES, 1);
    float *z = phi_calloc(a->p, sizeof *z);
    enum ph_status status =
        rgb && z ? PH_OK : phi_error_nomem(reterr, "a picture", EVAL_FACE_BYTES);

    phi_sheet_label_row(sheet, row, a->names[axis]);
    for (size_t col = 0; status == PH_OK && col < N_STEPS; col++) {
        double at = a->args->range_sd * (2 * (double)col / (N_STEPS - 1) - 1);

        for (size_t i = 0; i < a->p; i++)
            z[i] = (float)(at * a->fit->axis[axis * a->p + i]);
        status = eval_faces_draw(faces, z, rgb, reterr);
        if (status == PH_OK)
            phi_sheet_put(sheet, (struct phi_sheet_cell){row, col}, EVAL_FACE_SIDE, EVAL_FACE_SIDE,
                          rgb);
    }
    phi_free(rgb);
    phi_free(z);
    return status;
}

/* The best explained attributes, one a row, from the mean face to both sides. */
static enum ph_status write_sheet(const struct axes *a, struct ph_error *reterr)
{
    size_t n_rows = (size_t)a->args->n_rows < a->k ? (size_t)a->args->n_rows : a->k;
    const struct phi_sheet_layout layout = {n_rows,      N_STEPS,   EVAL_FACE_SIDE, EVAL_FACE_SIDE,
                                            .left = 140, .top = 16, .gap = 2};
    struct eval_faces faces = {0};
    struct phi_sheet *sheet = NULL;
    char text[32];
    enum ph_status status = eval_faces_open(a->args->generator, &faces, reterr);

    if (status == PH_OK && faces.n_latent != a->p)
        status = phi_error(reterr, PH_E_SHAPE, "%s draws from %zu latents, the file has %zu",
                           a->args->generator, faces.n_latent, a->p);
    if (status == PH_OK)
        status = phi_sheet_create(&layout, &sheet, reterr);
    for (size_t col = 0; status == PH_OK && col < N_STEPS; col++) {
        (void)snprintf(text, sizeof text, "%+.1f sd",
                       a->args->range_sd * (2 * (double)col / (N_STEPS - 1) - 1));
        phi_sheet_label_col(sheet, col, text);
    }
    for (size_t row = 0; status == PH_OK && row < n_rows; row++)
        status = put_axis(&faces, a, ranked(a, row), sheet, row, reterr);
    if (status == PH_OK)
        status = phi_sheet_write(sheet, a->args->sheet, reterr);
    phi_sheet_destroy(&sheet);
    eval_faces_close(&faces);
    return status;
}

static void report(const struct axes *a)
{
    json_t *answer;

    if (!a->args->json) {
        printf("%s: %zu axes of %zu latents from %zu pictures\n", a->args->out, a->k, a->p, a->n);
        for (size_t row = 0; row < a->k && row < (size_t)a->args->n_rows; row++) {
            size_t j = ranked(a, row);

            printf("  %-24s R2 left out %.3f, %+.3f a sd%s\n", a->names[j], a->fit->r2[j],
                   a->fit->slope[j], is_base(a, j) ? ", base" : "");
        }
        return;
    }
    answer = json_object();
    for (size_t j = 0; j < a->k; j++)
        (void)json_object_set_new(
            answer, a->names[j],
            json_pack("{s:f, s:f}", "r2", a->fit->r2[j], "slope", a->fit->slope[j]));
    (void)json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    (void)putchar('\n');
    json_decref(answer);
}

static int run_axes(const struct cli_command *self, int argc, char **argv)
{
    struct axes_args args = {.range_sd = 3, .n_rows = 12};
    const struct cli_option options[] = {
        {CLI_TEXT, "out", &args.out, "FILE", "axes to write (safetensors)"},
        {CLI_LIST, "orthogonal", &args.orthogonal, "NAME",
         "attribute whose axis is kept, and taken out of the others; repeat in order"},
        {CLI_TEXT, "generator", &args.generator, "FILE", "DAND's model, for the sheet"},
        {CLI_TEXT, "sheet", &args.sheet, "FILE.png", "faces along the best explained axes"},
        {CLI_REAL, "range", &args.range_sd, "SD", "of the sheet, to both sides (3)"},
        {CLI_INT, "rows", &args.n_rows, "N", "axes on the sheet and in the answer (12)"},
        CLI_JSON(&args.json),
        CLI_END};
    struct axes a = {.args = &args};
    struct cli_args rest;
    struct ph_error err = {0};
    enum ph_status status;
    int code = cli_parse(self, options, argc, argv, &rest);

    if (code >= 0)
        return code;
    if (rest.n != 2 || !args.out || !args.generator != !args.sheet || args.n_rows < 1 ||
        args.n_rows > 100 || !(args.range_sd > 0))
        return cli_usage(self, "LATENTS, STIMULI and --out are needed; --generator and --sheet go "
                               "together; --rows is 1 to 100");
    status = read_latents(rest.operands[0], &a, &err);
    if (status == PH_OK)
        status = read_attributes(rest.operands[1], &a, &err);
    if (status == PH_OK)
        status = make_axes(&a, &err);
    if (status == PH_OK)
        status = write_axes(&a, &err);
    if (status == PH_OK && args.sheet)
        status = write_sheet(&a, &err);
    if (status == PH_OK)
        report(&a);
    free_axes(&a);
    return status == PH_OK        ? CLI_DONE
           : status == PH_E_INVAL ? cli_fail_as(CLI_DATA, &err)
                                  : cli_fail(&err);
}

const struct cli_command cmd_axes = {
    .name = "axes",
    .summary = "directions in latent space along which an attribute changes",
    .operands = "LATENTS.safetensors STIMULI",
    .text = "Regresses the attributes of procedural pictures on their latents and keeps each "
            "attribute's\ndirection, of unit length. --orthogonal makes the named directions "
            "orthogonal in turn and takes\nthem out of all others, so that moving along these "
            "leaves those attributes alone. R2 is of\nattributes predicted for pictures left "
            "out.",
    .examples = "phos axes train-latents.safetensors stimuli/train --out axes.safetensors "
                "--orthogonal yaw --orthogonal skin_lightness --generator dand.safetensors "
                "--sheet axes.png",
    .run = run_axes,
};
