/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli.h"
#include "decode/linalg.h"
#include "decode/pca.h"
#include "film/walk.h"

#define MAX_FIT_FRAMES  600 /* that components are fitted on */
#define MAX_FRAME_BYTES ((size_t)8 << 30)

struct features_args {
    const char *model, *film, *out, *basis, *part_name;
    struct cli_list bold, events;
    int64_t layer, n_components;
    double fps;
    bool json;
};

struct features {
    const struct features_args *args;
    struct film_source source;
    struct film_run *runs; /* [n_runs] */
    struct film_part part;
    size_t n_runs, n_rows, t;
    struct phi_safetensors_writer *writer;
    double *mean; /* [t] over the rows with film */
    bool *seen;   /* [n_rows] */
    size_t first; /* row of the run being walked */
    size_t n_seen;
    struct phi_pca *pca;
};

/* ---- one row a volume ---- */

static enum ph_status put_row(struct features *f, size_t row, const float *values,
                              struct ph_error *reterr)
{
    size_t n_bytes = f->t * sizeof *values;

    return phi_safetensors_writer_put(f->writer, 0, row * n_bytes, values, n_bytes, reterr);
}

static enum ph_status take_row(void *ctx, size_t volume, const float *mean, struct ph_error *reterr)
{
    struct features *f = ctx;

    f->n_seen++;
    for (size_t i = 0; i < f->t; i++)
        f->mean[i] += ((double)mean[i] - f->mean[i]) / (double)f->n_seen;
    f->seen[f->first + volume] = true;
    return put_row(f, f->first + volume, mean, reterr);
}

static enum ph_status start_rows(struct features *f, struct ph_error *reterr)
{
    const struct phi_safetensors_tensor tensor = {
        .name = "targets", .dtype = PHI_SAFETENSORS_F32, .n_dims = 2, .shape = {f->n_rows, f->t}};
    char layer[16], fps[32];
    const struct phi_safetensors_pair pairs[] = {{"phosphene.kind", "features"},
                                                 {"phosphene.version", "1"},
                                                 {"features.model", f->args->model},
                                                 {"features.layer", layer},
                                                 {"features.fps", fps}};
    const struct phi_safetensors_content content = {&tensor, 1, pairs,
                                                    sizeof pairs / sizeof *pairs};

    (void)snprintf(layer, sizeof layer, "%s%d", f->args->part_name, f->part.layer);
    (void)snprintf(fps, sizeof fps, "%g", f->args->fps);
    f->mean = phi_calloc(f->t, sizeof *f->mean);
    f->seen = phi_calloc(f->n_rows, sizeof *f->seen);
    if (!f->mean || !f->seen)
        return phi_error_nomem(reterr, "features", f->t * sizeof *f->mean);
    return phi_safetensors_writer_create(f->args->out, &content, &f->writer, reterr);
}

/* Volumes without film get the mean of the others: they then teach a regression nothing. */
static enum ph_status fill_rows(struct features *f, struct ph_error *reterr)
{
    float *mean = phi_calloc(f->t, sizeof *mean);
    enum ph_status status = PH_OK;

    if (!mean)
        return phi_error_nomem(reterr, "features", f->t * sizeof *mean);
    for (size_t i = 0; i < f->t; i++)
        mean[i] = (float)f->mean[i];
    for (size_t row = 0; status == PH_OK && row < f->n_rows; row++)
        if (!f->seen[row])
            status = put_row(f, row, mean, reterr);
    phi_free(mean);
    return status;
}

static enum ph_status open_runs(struct features *f, struct ph_error *reterr)
{
    const struct features_args *a = f->args;
    enum ph_status status = PH_OK;

    f->n_runs = a->bold.n;
    f->runs = phi_calloc(f->n_runs, sizeof *f->runs);
    if (!f->runs)
        return phi_error_nomem(reterr, "runs", f->n_runs * sizeof *f->runs);
    for (size_t r = 0; status == PH_OK && r < f->n_runs; r++) {
        status = film_run_open(a->bold.items[r], a->events.items[r], &f->source.film, a->fps,
                               &f->runs[r], reterr);
        f->n_rows += f->runs[r].n_volumes;
    }
    return status;
}

static enum ph_status rows_of_volumes(struct features *f, struct ph_error *reterr)
{
    enum ph_status status = open_runs(f, reterr);

    if (status == PH_OK)
        status = start_rows(f, reterr);
    for (size_t r = 0; status == PH_OK && r < f->n_runs; r++) {
        status = film_walk(&f->source, &f->runs[r], f->part, take_row, f, reterr);
        f->first += f->runs[r].n_volumes;
    }
    if (status == PH_OK)
        status = fill_rows(f, reterr);
    return status == PH_OK ? phi_safetensors_writer_commit(f->writer, reterr) : status;
}

/* ---- components, one row a frame ---- */

/* R of every frame, the network starting anew at each cut. */
static enum ph_status read_frames(struct features *f, float *r, struct ph_error *reterr)
{
    struct phi_prednet_live *net = f->source.player.net;
    float *frame = f->source.player.frame;

    for (size_t i = 0; i < f->n_rows; i++) {
        if (phi_film_cut(&f->source.film, i))
            phi_prednet_live_reset(net);
        phi_film_planes(&f->source.film, i, frame);
        if (phi_prednet_live_step(net, frame, NULL) != PH_OK ||
            phi_prednet_live_read(net, f->part.kind, f->part.layer, r + i * f->t) != PH_OK)
            return phi_error(reterr, PH_E_INTERNAL, "the network cannot be run");
        cli_progress("frames through the network", i + 1, f->n_rows);
        if (cli_interrupted())
            return phi_error(reterr, PH_E_STATE, "interrupted");
    }
    return PH_OK;
}

static enum ph_status fit_basis(struct features *f, const float *r, struct ph_error *reterr)
{
    size_t n = f->n_rows < MAX_FIT_FRAMES ? f->n_rows : MAX_FIT_FRAMES;
    float *some;
    enum ph_status status;

    if (n == f->n_rows)
        return phi_pca_fit(r, n, f->t, (size_t)f->args->n_components, &f->pca, reterr);
    some = phi_calloc2(n, f->t, sizeof *some);
    if (!some)
        return phi_error_nomem(reterr, "frames", n * f->t * sizeof *some);
    for (size_t i = 0; i < n; i++)
        memcpy(some + i * f->t, r + i * f->n_rows / n * f->t, f->t * sizeof *r);
    status = phi_pca_fit(some, n, f->t, (size_t)f->args->n_components, &f->pca, reterr);
    phi_free(some);
    return status;
}

static enum ph_status read_basis(struct features *f, struct ph_error *reterr)
{
    const size_t shape[2] = {0, f->t};
    const struct phi_safetensors_tensor *tensor;
    struct phi_safetensors *file = NULL;
    struct phi_pca *pca = NULL;
    enum ph_status status = phi_safetensors_open(f->args->basis, &file, reterr);

    if (status == PH_OK)
        status = phi_safetensors_expect(file, "basis.components", 2, shape, &tensor, reterr);
    if (status == PH_OK)
        status = phi_pca_create(f->t, tensor->shape[0], &pca, reterr);
    f->pca = pca;
    if (status == PH_OK)
        status = phi_safetensors_read_f64(file, tensor, tensor->n_values, pca->components, reterr);
    if (status == PH_OK)
        status = phi_safetensors_expect(file, "basis.mean", 1, &f->t, &tensor, reterr);
    if (status == PH_OK)
        status = phi_safetensors_read_f64(file, tensor, f->t, pca->mean, reterr);
    if (status == PH_OK)
        status = phi_safetensors_expect(file, "basis.sd", 1, &pca->n_components, &tensor, reterr);
    if (status == PH_OK)
        status = phi_safetensors_read_f64(file, tensor, pca->n_components, pca->sd, reterr);
    phi_safetensors_close(&file);
    return status;
}

static enum ph_status write_latents(struct features *f, const double *latents,
                                    struct ph_error *reterr)
{
    size_t p = f->pca->n_components;
    char layer[16];
    const struct phi_safetensors_tensor tensors[] = {
        {.name = "latents", PHI_SAFETENSORS_F64, 2, {f->n_rows, p}, latents, 0, 0},
        {.name = "basis.components", PHI_SAFETENSORS_F64, 2, {p, f->t}, f->pca->components, 0, 0},
        {.name = "basis.mean", PHI_SAFETENSORS_F64, 1, {f->t}, f->pca->mean, 0, 0},
        {.name = "basis.sd", PHI_SAFETENSORS_F64, 1, {p}, f->pca->sd, 0, 0}};
    const struct phi_safetensors_pair pairs[] = {{"phosphene.kind", "latents"},
                                                 {"phosphene.version", "1"},
                                                 {"latents.model", f->args->model},
                                                 {"latents.layer", layer}};
    const struct phi_safetensors_content content = {tensors, 4, pairs, 4};

    (void)snprintf(layer, sizeof layer, "%s%d", f->args->part_name, f->part.layer);
    return phi_safetensors_write(f->args->out, &content, reterr);
}

static enum ph_status components_of_frames(struct features *f, struct ph_error *reterr)
{
    size_t n_bytes = 0;
    float *r = NULL;
    double *latents = NULL;
    enum ph_status status;

    f->n_rows = f->source.film.n;
    if (!phi_mul_size(f->n_rows, f->t * sizeof *r, &n_bytes) || n_bytes > MAX_FRAME_BYTES)
        return phi_error(reterr, PH_E_LIMIT,
                         "components of %zu frames of %zu features need more "
                         "than %zu GB: take a shorter film",
                         f->n_rows, f->t, MAX_FRAME_BYTES >> 30);
    r = phi_calloc2(f->n_rows, f->t, sizeof *r);
    status = r ? read_frames(f, r, reterr) : phi_error_nomem(reterr, "features", n_bytes);
    if (status == PH_OK)
        status = f->args->basis ? read_basis(f, reterr) : fit_basis(f, r, reterr);
    if (status == PH_OK) {
        latents = phi_calloc2(f->n_rows, f->pca->n_components, sizeof *latents);
        if (!latents)
            status = phi_error_nomem(reterr, "latents", f->n_rows * sizeof *latents);
    }
    if (status == PH_OK) {
        phi_pca_whiten(f->pca, r, f->n_rows, latents);
        status = write_latents(f, latents, reterr);
    }
    phi_free(r);
    phi_free(latents);
    return status;
}

static void report(const struct features *f)
{
    size_t width = f->pca ? f->pca->n_components : f->t;
    json_t *json = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "file", f->args->out, "part",
                             f->args->part_name, "layer", (json_int_t)f->args->layer, "rows",
                             (json_int_t)f->n_rows, "features", (json_int_t)width, "rows_with_film",
                             (json_int_t)(f->pca ? f->n_rows : f->n_seen));

    if (f->args->json)
        (void)json_dumpf(json, stdout, 0);
    else
        printf("%s: %s%d, %zu rows of %zu %s", f->args->out, f->args->part_name, f->part.layer,
               f->n_rows, width, f->pca ? "components" : "units");
    (void)putchar('\n');
    json_decref(json);
}

/* R, E, A or Ahat; 0 for another name. */
static char part_of(const char *name)
{
    static const struct {
        const char *name;
        char kind;
    } parts[] = {{"R", 'r'}, {"E", 'e'}, {"A", 'a'}, {"Ahat", 'p'}};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(name, parts[i].name) == 0)
            return parts[i].kind;
    return 0;
}

static int make_features(const struct features_args *args)
{
    const struct film_source_from from = {.model = args->model,
                                          .film = args->film,
                                          .fps = args->fps,
                                          .layer = (int)args->layer,
                                          .want_units = true};
    struct features f = {.args = args, .part = {part_of(args->part_name), (int)args->layer}};
    struct ph_error err;
    enum ph_status status;
    int code = CLI_DONE;

    cli_catch_interrupts();
    (void)phi_blas_set_threads(1); /* the same bits on any machine */
    status = film_source_open(&from, &f.source, &err);
    if (status == PH_OK) {
        f.t = film_part_size(&f.source.config, f.part);
        status = args->bold.n ? rows_of_volumes(&f, &err) : components_of_frames(&f, &err);
    }
    cli_progress_end();
    if (status == PH_OK)
        report(&f);
    else
        code = cli_interrupted() ? cli_fail_as(CLI_INTERRUPTED, &err) : cli_fail(&err);
    phi_safetensors_writer_destroy(&f.writer);
    phi_pca_destroy(&f.pca);
    film_source_close(&f.source);
    phi_free(f.runs);
    phi_free(f.mean);
    phi_free(f.seen);
    return code;
}

static int run_features(const struct cli_command *self, int argc, char **argv)
{
    struct features_args a = {.fps = 10, .n_components = 24, .part_name = "R"};
    const struct cli_option options[] = {
        {CLI_TEXT, "out", &a.out, "FILE", "file to write (safetensors)"},
        {CLI_INT, "layer", &a.layer, "N", "whose units are taken (0)"},
        {CLI_TEXT, "part", &a.part_name, "NAME", "R, E, A or Ahat (R)"},
        {CLI_REAL, "fps", &a.fps, "N", "frames a second of the film (10)"},
        {CLI_LIST, "bold", &a.bold, "FILE", "run in which the film was shown; repeat in order"},
        {CLI_LIST, "events", &a.events, "FILE", "its events.tsv; one a run, in the same order"},
        {CLI_INT, "components", &a.n_components, "N", "without --bold: components kept (24)"},
        {CLI_TEXT, "basis", &a.basis, "FILE", "without --bold: components of that file instead"},
        CLI_JSON(&a.json),
        CLI_END};
    struct cli_args rest;
    int code = cli_parse(self, options, argc, argv, &rest);

    if (code >= 0)
        return code;
    if (rest.n != 2 || !a.out)
        return cli_usage(self, "MODEL, FILM and --out FILE are needed");
    if (a.bold.n != a.events.n)
        return cli_usage(self, "each --bold needs its --events");
    if (!(a.fps > 0 && a.fps <= 1000) || a.layer < 0 || a.layer >= PHI_PREDNET_LAYERS ||
        a.n_components < 1 || a.n_components > 8192)
        return cli_usage(self, "--fps must be above 0, --layer 0 or more, --components 1 to 8192");
    if (!part_of(a.part_name))
        return cli_usage(self, "--part is R, E, A or Ahat");
    a.model = rest.operands[0];
    a.film = rest.operands[1];
    return make_features(&a);
}

const struct cli_command cmd_features = {
    .name = "features",
    .summary = "turn a film into PredNet's representation of it",
    .operands = "MODEL.safetensors FILM",
    .text = "With --bold and --events: R of the layer (or another --part of it), averaged over the "
            "frames of each volume "
            "('targets',\none row a volume of all runs in order), for phos fit ridge; volumes "
            "without film hold the mean.\nWithout: whitened principal components of R, one row a "
            "frame ('latents'), for phos simulate\n--film --latents. The network begins anew at "
            "every clip.",
    .examples = "phos features prednet.safetensors film --layer 0 --bold run-1.nii.gz --events "
                "run-1_events.tsv --out r0.safetensors\n"
                "phos features prednet.safetensors film --components 24 --out latents.safetensors",
    .run = run_features,
};
