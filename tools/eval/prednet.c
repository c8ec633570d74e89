/* SPDX-License-Identifier: MIT */
#include "eval/prednet.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/linalg.h"
#include "eval/eval.h"
#include "io/file.h"
#include "types.h"

struct prednet_args {
    const char *model, *film, *out, *run, *bold, *events, *mask;
    struct cli_list ridge, plugins;
    int64_t n_draws, n_volumes;
    double fps;
    const char *precision;
    bool json;
};

struct study {
    const struct prednet_args *args;
    struct film_source_from from;
    struct film_source source;
    struct film_run run;
    struct phi_registry *registry;
    struct fit_voxels voxels;
    struct study_layer layers[PHI_PREDNET_LAYERS];
    struct study_scores scores[PHI_PREDNET_LAYERS];
    size_t n_layers;
    json_t *report;
};

static const char *const precisions[] = {"float32", "bfloat16"}; /* enum phi_precision */

static enum ph_status path_of(const struct study *s, const char *name, char *path,
                              struct ph_error *reterr)
{
    return phi_path_join(path, PHI_PATH_MAX, s->args->out, name)
               ? PH_OK
               : phi_error(reterr, PH_E_LIMIT, "the path of '%s' is too long", s->args->out);
}

static enum ph_status predict(struct study *s, struct ph_error *reterr)
{
    json_t *part = NULL;
    enum ph_status status = study_predict(&s->source, s->args->out, &part, reterr);

    if (status == PH_OK)
        (void)json_object_set_new(s->report, "prediction", part);
    return status;
}

static enum ph_status load_run(struct study *s, struct ph_error *reterr)
{
    const struct prednet_args *a = s->args;
    const struct cli_list bold = {.items = {a->bold}, .n = 1};
    struct fit_voxels_from from = {.bold = &bold, .mask = a->mask, .run_file = a->run};
    enum ph_status status =
        film_run_open(a->bold, a->events, &s->source.film, a->fps, &s->run, reterr);

    if (status == PH_OK && a->run)
        status = types_open(&a->plugins, &s->registry, reterr);
    from.registry = s->registry;
    return status == PH_OK ? fit_voxels_load(&from, &s->voxels, reterr) : status;
}

/* "0=r0.safetensors" */
static enum ph_status decode_layer(struct study *s, const char *text, json_t *rows,
                                   struct ph_error *reterr)
{
    struct study_layer *layer = &s->layers[s->n_layers];
    struct study_scores *scores = &s->scores[s->n_layers];
    enum ph_status status;

    if (s->n_layers == PHI_PREDNET_LAYERS || text[0] < '0' || text[0] > '9' || text[1] != '=')
        return phi_error(reterr, PH_E_INVAL,
                         "--ridge '%s': write LAYER=FILE, as 0=r0.safetensors, for up to %d layers",
                         text, PHI_PREDNET_LAYERS);
    status =
        study_layer_decode(text + 2, text[0] - '0', &s->voxels, &s->run, &s->source, layer, reterr);
    if (status)
        return status;
    s->n_layers++;
    status = study_scores_make(layer, &s->source.config, (size_t)s->args->n_draws, scores, reterr);
    if (status == PH_OK)
        (void)json_array_append_new(rows, study_scores_json(scores));
    return status;
}

static enum ph_status make_sheet(const struct study *s, struct phi_sheet **ret_sheet,
                                 struct ph_error *reterr)
{
    size_t n_volumes = (size_t)s->args->n_volumes;
    const struct phi_sheet_layout layout = {.n_rows = 1 + STUDY_CONTROLS * s->n_layers,
                                            .n_cols = n_volumes < STUDY_COLUMNS ? n_volumes
                                                                                : STUDY_COLUMNS,
                                            .tile_width = 80,
                                            .tile_height = 80 * s->source.film.h / s->source.film.w,
                                            .left = 110,
                                            .gap = 2};
    enum ph_status status = phi_sheet_create(&layout, ret_sheet, reterr);
    char label[32];

    if (status)
        return status;
    phi_sheet_label_row(*ret_sheet, 0, "shown");
    for (size_t l = 0; l < s->n_layers; l++)
        for (size_t c = 0; c < STUDY_CONTROLS; c++) {
            (void)snprintf(label, sizeof label, "R%d %s", s->layers[l].layer,
                           study_control_name(c));
            phi_sheet_label_row(*ret_sheet, 1 + STUDY_CONTROLS * l + c, label);
        }
    return PH_OK;
}

static enum ph_status draw_layers(struct study *s, bool seen, json_t *rows, struct ph_error *reterr)
{
    struct phi_sheet *sheet = NULL;
    char path[PHI_PATH_MAX];
    enum ph_status status = make_sheet(s, &sheet, reterr);

    for (size_t l = 0; status == PH_OK && l < s->n_layers; l++) {
        const struct study_drawing drawing = {.from = &s->from,
                                              .run = &s->run,
                                              .layer = &s->layers[l],
                                              .seen = seen,
                                              .n_volumes = (size_t)s->args->n_volumes,
                                              .sheet = sheet,
                                              .first_row = 1 + STUDY_CONTROLS * l};

        status = study_draw(&drawing, rows, reterr);
    }
    if (status == PH_OK)
        status = path_of(s, seen ? "film_seen.png" : "film_unseen.png", path, reterr);
    if (status == PH_OK)
        status = phi_sheet_write(sheet, path, reterr);
    phi_sheet_destroy(&sheet);
    return status;
}

static enum ph_status decode_and_draw(struct study *s, struct ph_error *reterr)
{
    json_t *decoding = json_array(), *drawing = json_array();
    enum ph_status status = load_run(s, reterr);

    (void)json_object_set_new(s->report, "decoding", decoding);
    (void)json_object_set_new(s->report, "drawing", drawing);
    for (size_t i = 0; status == PH_OK && i < s->args->ridge.n; i++)
        status = decode_layer(s, s->args->ridge.items[i], decoding, reterr);
    if (status == PH_OK)
        status = study_scores_write(s->scores, s->n_layers, s->args->out, reterr);
    for (int seen = 1; status == PH_OK && seen >= 0; seen--)
        status = draw_layers(s, seen, drawing, reterr);
    return status;
}

static enum ph_status study(struct study *s, struct ph_error *reterr)
{
    char path[PHI_PATH_MAX];
    enum ph_status status = phi_dir_make(s->args->out, reterr);

    if (status == PH_OK)
        status = film_source_open(&s->from, &s->source, reterr);
    if (status == PH_OK)
        status = predict(s, reterr);
    if (status == PH_OK && s->args->bold)
        status = decode_and_draw(s, reterr);
    if (status == PH_OK)
        status = path_of(s, "prednet.json", path, reterr);
    if (status == PH_OK && json_dump_file(s->report, path, JSON_INDENT(2)) != 0)
        status = phi_error(reterr, PH_E_IO, "%s cannot be written", path);
    return status;
}

static void print_score(const char *name, const json_t *score)
{
    printf("%-34s MSE %.5f  SSIM %.3f\n", name, json_real_value(json_object_get(score, "mse")),
           json_real_value(json_object_get(score, "ssim")));
}

static double real_of(const json_t *row, const char *key)
{
    return json_real_value(json_object_get(row, key));
}

static void print_tables(const json_t *report)
{
    const json_t *prediction = json_object_get(report, "prediction"), *row;
    char name[64];
    size_t i;

    print_score("next frame, predicted", json_object_get(prediction, "prediction"));
    print_score("next frame, last one again", json_object_get(prediction, "last_frame"));
    json_array_foreach(json_object_get(prediction, "extrapolation_after_10"), i, row)
    {
        (void)snprintf(name, sizeof name, "t+%zu, extrapolated", i + 1);
        print_score(name, json_object_get(row, "prediction"));
        (void)snprintf(name, sizeof name, "t+%zu, last one seen", i + 1);
        print_score(name, json_object_get(row, "last_frame_seen"));
    }
    json_array_foreach(json_object_get(report, "decoding"), i, row) printf(
        "R%lld decoded: r over time %.3f (median %.3f; shifted: mean %.3f, 95 %% %.3f, p %.3f), "
        "over space %.3f (shifted: 95 %% %.3f, p %.3f); %.0f %% of places beyond chance "
        "(corrected)\n",
        (long long)json_integer_value(json_object_get(row, "layer")), real_of(row, "unit_r"),
        real_of(row, "unit_r_median"), real_of(row, "null_mean"), real_of(row, "null_q95"),
        real_of(row, "p"), real_of(row, "pattern_r"), real_of(row, "pattern_null_q95"),
        real_of(row, "pattern_p"), 100 * real_of(row, "places_p05_corrected"));
    json_array_foreach(json_object_get(report, "drawing"), i, row)
    {
        (void)snprintf(name, sizeof name, "R%lld %s, film %s",
                       (long long)json_integer_value(json_object_get(row, "layer")),
                       json_string_value(json_object_get(row, "r")),
                       json_is_true(json_object_get(row, "film_seen")) ? "seen" : "unseen");
        print_score(name, json_object_get(row, "score"));
        if (json_object_get(row, "better_than_shuffled"))
            printf("%34s nearer to the film than shuffled in %.0f %% of volumes\n", "",
                   100 * real_of(row, "better_than_shuffled"));
    }
}

static int evaluate(const struct prednet_args *args)
{
    struct study s = {.args = args,
                      .from = {.model = args->model,
                               .film = args->film,
                               .fps = args->fps,
                               .precision = strcmp(args->precision, precisions[PHI_BFLOAT16])
                                                ? PHI_FLOAT32
                                                : PHI_BFLOAT16},
                      .report = json_object()};
    struct ph_error err;
    enum ph_status status;
    int code = CLI_DONE;

    cli_catch_interrupts();
    (void)phi_blas_set_threads(1);
    status = study(&s, &err);
    cli_progress_end();
    if (status)
        code = cli_interrupted() ? cli_fail_as(CLI_INTERRUPTED, &err) : cli_fail(&err);
    else if (args->json)
        (void)json_dumpf(s.report, stdout, JSON_INDENT(2));
    else
        print_tables(s.report);
    for (size_t l = 0; l < s.n_layers; l++) {
        study_layer_fini(&s.layers[l]);
        study_scores_fini(&s.scores[l]);
    }
    fit_voxels_free(&s.voxels);
    phi_registry_destroy(&s.registry);
    film_source_close(&s.source);
    json_decref(s.report);
    return code;
}

static int run_prednet(const struct cli_command *self, int argc, char **argv)
{
    struct prednet_args a = {
        .precision = precisions[PHI_FLOAT32], .fps = 10, .n_draws = 500, .n_volumes = 60};
    const struct cli_option options[] = {
        {CLI_TEXT, "model", &a.model, "FILE", "the network"},
        {CLI_TEXT, "film", &a.film, "FILM", "film it was not trained on"},
        {CLI_REAL, "fps", &a.fps, "N", "its frames a second (10)"},
        {CLI_TEXT, "out", &a.out, "DIR", "where tables and sheets go"},
        {CLI_TEXT, "bold", &a.bold, "FILE", "run in which the film was shown (NIfTI)"},
        {CLI_TEXT, "events", &a.events, "FILE", "its events.tsv"},
        {CLI_TEXT, "run", &a.run, "RUN.yaml", "run file whose filters the volumes go through"},
        {CLI_TEXT, "mask", &a.mask, "FILE", "voxels, where nothing else names them"},
        {CLI_LIST, "ridge", &a.ridge, "L=FILE", "model of phos fit ridge for R of layer L; repeat"},
        {CLI_TEXT, "precision", &a.precision, "NAME",
         "float32 or bfloat16, of the network (float32)"},
        {CLI_INT, "draws", &a.n_draws, "N", "shifts of the nulls, fewer if the run is short (500)"},
        {CLI_INT, "volumes", &a.n_volumes, "N", "how many of the run are drawn (60)"},
        CLI_PLUGINS(&a.plugins),
        CLI_JSON(&a.json),
        CLI_END};
    struct cli_args rest;
    int code = cli_parse(self, options, argc, argv, &rest);

    if (code >= 0)
        return code;
    if (rest.n || !a.model || !a.film || !a.out)
        return cli_usage(self, "--model, --film and --out are needed");
    if (strcmp(a.precision, precisions[PHI_FLOAT32]) &&
        strcmp(a.precision, precisions[PHI_BFLOAT16]))
        return cli_usage(self, "--precision is float32 or bfloat16");
    if ((a.bold || a.ridge.n) && !(a.bold && a.ridge.n && a.events))
        return cli_usage(self, "--bold, --events and --ridge go together");
    if (!(a.fps > 0 && a.fps <= 1000) || a.n_draws < 1 || a.n_volumes < 1)
        return cli_usage(self, "--fps, --draws and --volumes must be above 0");
    return evaluate(&a);
}

const struct cli_command eval_prednet = {
    .name = "eval prednet",
    .summary = "film prediction, decoding of R, and the frames drawn from it",
    .operands = "",
    .text =
        "How well the network predicts a film, against showing the last frame again; with a run, "
        "how well R\nof each layer is decoded (per unit over time, per volume over space, against "
        "shifted truth), and the\nframes that the network draws when R is what was decoded, left "
        "alone, another time's or zero, with\nits Error units seeing the film and not. Writes "
        "prednet.json, sheets of frames, maps of\nr over the picture and scores.safetensors.",
    .examples = "phos eval prednet --model prednet.safetensors --film test --out report\n"
                "phos eval prednet --model prednet.safetensors --film test --run film.yaml --bold "
                "test_bold.nii --events test_events.tsv --ridge 0=r0.safetensors --out report",
    .run = run_prednet,
};
