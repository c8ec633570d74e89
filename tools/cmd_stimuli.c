/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli.h"
#include "tools/stimuli/face.h"
#include "tools/stimuli/film.h"
#include "tools/stimuli/set_write.h"

struct face_options {
    const char *out;
    int64_t n, first, seed, size;
    double spread;
    bool no_png;
    struct cli_list fix;
    double fixed[PHI_FACE_N_FACTORS];
    bool is_fixed[PHI_FACE_N_FACTORS];
};

/* One "name=value" of --fix. */
static bool take_fix(struct face_options *options, const char *text)
{
    char name[64];
    const char *equals = strchr(text, '=');
    enum phi_face_factor factor;
    double value;

    if (!equals || (size_t)(equals - text) >= sizeof name ||
        !phi_parse_double(equals + 1, &value) || value < -1 || value > 1)
        return false;
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = '\0';
    factor = phi_face_factor_find(name);
    if (factor == PHI_FACE_N_FACTORS)
        return false;
    options->fixed[factor] = value;
    options->is_fixed[factor] = true;
    return true;
}

static void sample(const struct face_options *options, size_t i, double *factors)
{
    phi_face_sample((uint64_t)options->seed, (uint64_t)options->first + i, factors);
    for (int k = 0; k < PHI_FACE_N_FACTORS; k++)
        factors[k] = options->is_fixed[k] ? options->fixed[k] : factors[k] * options->spread;
}

static enum ph_status paint_all(const struct face_options *options,
                                struct phi_face_painter *painter, struct phi_stimuli_writer *writer,
                                struct ph_error *reterr)
{
    size_t size = (size_t)options->size;
    uint8_t *rgb = phi_calloc2(size, size, 3);
    enum ph_status status = rgb ? PH_OK : phi_error_nomem(reterr, "a face", size * size * 3);

    for (size_t i = 0; status >= 0 && i < (size_t)options->n; i++) {
        double factors[PHI_FACE_N_FACTORS];

        sample(options, i, factors);
        status = phi_face_paint(painter, factors, NULL, rgb);
        if (status < 0)
            (void)phi_error(reterr, status, "face %zu could not be drawn", i);
        else
            status = phi_stimuli_writer_add(writer, rgb, factors, 0, reterr);
        cli_progress("faces", i + 1, (uint64_t)options->n);
        if (cli_interrupted())
            status = phi_error(reterr, PH_E_STATE, "interrupted");
    }
    cli_progress_end();
    phi_free(rgb);
    return status;
}

static enum ph_status make_faces(const struct face_options *options, struct ph_error *reterr)
{
    const char *names[PHI_FACE_N_FACTORS];
    char seed[24];
    char first[24];
    char spread[32];
    const struct phi_safetensors_pair notes[] = {
        {"set", "faces"}, {"seed", seed}, {"first", first}, {"spread", spread}};
    const struct phi_stimuli_plan plan = {.folder = options->out,
                                          .n = (size_t)options->n,
                                          .height = (size_t)options->size,
                                          .width = (size_t)options->size,
                                          .png = !options->no_png,
                                          .name_format = "face_%05zu.png",
                                          .attribute_names = names,
                                          .n_attributes = PHI_FACE_N_FACTORS,
                                          .notes = notes,
                                          .n_notes = sizeof notes / sizeof *notes};
    struct phi_face_painter *painter = NULL;
    struct phi_stimuli_writer *writer = NULL;
    enum ph_status status;

    for (int i = 0; i < PHI_FACE_N_FACTORS; i++)
        names[i] = phi_face_factor_info((enum phi_face_factor)i)->name;
    (void)snprintf(seed, sizeof seed, "%lld", (long long)options->seed);
    (void)snprintf(first, sizeof first, "%lld", (long long)options->first);
    (void)snprintf(spread, sizeof spread, "%.9g", options->spread);
    status = phi_face_painter_create((size_t)options->size, &painter, reterr);
    if (status >= 0)
        status = phi_stimuli_writer_create(&plan, &writer, reterr);
    if (status >= 0)
        status = paint_all(options, painter, writer, reterr);
    if (status >= 0)
        status = phi_stimuli_writer_finish(writer, reterr);
    phi_stimuli_writer_destroy(&writer);
    phi_face_painter_destroy(&painter);
    return status;
}

static void report(const char *set, const char *folder, int64_t n, const int64_t size[2], bool json)
{
    json_t *answer;

    if (!json) {
        printf("%s: %lld %s of %lld x %lld pixels (stimuli.safetensors, attributes.tsv, "
               "sheet.png)\n",
               folder, (long long)n, set, (long long)size[0], (long long)size[1]);
        return;
    }
    answer = json_pack("{s:s, s:s, s:I, s:I, s:I}", "set", set, "folder", folder, "n",
                       (json_int_t)n, "height", (json_int_t)size[0], "width", (json_int_t)size[1]);
    (void)json_dumpf(answer, stdout, 0);
    (void)putchar('\n');
    json_decref(answer);
}

static int list_factors(void)
{
    for (int i = 0; i < PHI_FACE_N_FACTORS; i++) {
        const struct phi_face_factor_info *info = phi_face_factor_info((enum phi_face_factor)i);

        printf("%-22s -1 %-18s +1 %s\n", info->name, info->low, info->high);
    }
    return CLI_DONE;
}

static int run_faces(const struct cli_command *self, int argc, char **argv)
{
    struct face_options options = {.out = NULL, .n = 100, .seed = 1, .size = 64, .spread = 1};
    bool json = false;
    bool factors = false;
    const struct cli_option table[] = {
        {CLI_TEXT, "out", &options.out, "DIR", "folder to write (made if missing)"},
        {CLI_INT, "n", &options.n, "N", "how many faces (100)"},
        {CLI_INT, "first", &options.first, "I", "index of the first face in the endless set (0)"},
        {CLI_INT, "seed", &options.seed, "N", "which endless set (1)"},
        {CLI_INT, "size", &options.size, "PX", "width and height in pixels (64)"},
        {CLI_REAL, "spread", &options.spread, "X",
         "scales all factors: 0 is one average face, 1 (default) the full variety"},
        {CLI_LIST, "fix", &options.fix, "FACTOR=VALUE", "holds a factor at a value in -1..1"},
        {CLI_BOOL, "no-png", &options.no_png, NULL, "only stimuli.safetensors, no file per face"},
        {CLI_BOOL, "factors", &factors, NULL, "lists the factors and ends"},
        CLI_JSON(&json),
        CLI_END};
    const int64_t limit_px = PHI_FACE_MAX_SIZE;
    struct cli_args args;
    struct ph_error err;
    int code = cli_parse(self, table, argc, argv, &args);

    if (code >= 0)
        return code;
    if (factors)
        return list_factors();
    if (!options.out || args.n > 0)
        return cli_usage(self, options.out ? "no operands are taken" : "--out DIR is needed");
    if (options.n < 1 || options.n > 10000000 || options.first < 0 || options.seed < 0)
        return cli_usage(self, "--n must be 1..10000000, --first and --seed not negative");
    if (options.size < 8 || options.size > limit_px ||
        !(options.spread >= 0 && options.spread <= 2))
        return cli_usage(self, "--size must be 8..%lld, --spread 0..2", (long long)limit_px);
    for (size_t i = 0; i < options.fix.n; i++) {
        if (!take_fix(&options, options.fix.items[i]))
            return cli_usage(self,
                             "--fix '%s' is not FACTOR=VALUE with a value in -1..1; "
                             "see --factors",
                             options.fix.items[i]);
    }
    cli_catch_interrupts();
    if (make_faces(&options, &err) < 0)
        return cli_interrupted() ? CLI_INTERRUPTED : cli_fail(&err);
    report("faces", options.out, options.n, (const int64_t[2]){options.size, options.size}, json);
    return CLI_DONE;
}

static const struct cli_command faces = {
    "stimuli faces",
    "draws a set of procedural faces",
    "",
    "Draws faces from 47 continuous factors (head, skin, hair, eyes, brows, nose, mouth, "
    "expression,\n"
    "age, beard, glasses, pose, light, background). Face I of seed S is always the same picture.\n"
    "Writes DIR/stimuli.safetensors, DIR/attributes.tsv, a contact sheet, and a PNG for each face.",
    "phos stimuli faces --out stimuli/train --n 700\n"
    "phos stimuli faces --out stimuli/test --n 48 --first 700 --size 224\n"
    "phos stimuli faces --out frontal --fix yaw=0 --fix pitch=0 --fix roll=0 --spread 0.8",
    run_faces};

#define N_FILM_ATTRIBUTES 3

struct film_options {
    const char *out;
    int64_t n_clips, n_frames, first, seed, width, height;
    double fps;
    const char *kinds;
    bool png;
    enum phi_film_kind kind[PHI_FILM_N_KINDS]; /* [n_kinds], taken in turns */
    size_t n_kinds;
};

/* "faces,scenes" */
static bool take_kinds(struct film_options *options)
{
    const char *at = options->kinds;

    while (*at) {
        size_t length = strcspn(at, ",");
        int kind = 0;

        while (kind < PHI_FILM_N_KINDS &&
               (strlen(phi_film_kind_name((enum phi_film_kind)kind)) != length ||
                strncmp(phi_film_kind_name((enum phi_film_kind)kind), at, length) != 0))
            kind++;
        if (kind == PHI_FILM_N_KINDS || options->n_kinds == PHI_FILM_N_KINDS)
            return false;
        options->kind[options->n_kinds++] = (enum phi_film_kind)kind;
        at += length + (at[length] == ',');
    }
    return options->n_kinds > 0;
}

static enum ph_status film_all(const struct film_options *options, struct phi_film_painter *painter,
                               struct phi_stimuli_writer *writer, struct ph_error *reterr)
{
    uint8_t *rgb = phi_calloc2((size_t)options->width, (size_t)options->height, 3);
    int64_t n = options->n_clips * options->n_frames;
    enum ph_status status =
        rgb ? PH_OK
            : phi_error_nomem(reterr, "a frame", (size_t)(options->width * options->height));

    for (int64_t i = 0; status >= 0 && i < n; i++) {
        uint64_t number = (uint64_t)(options->first + i / options->n_frames);
        const struct phi_film_clip clip = {options->kind[number % options->n_kinds],
                                           (uint64_t)options->seed, number};
        double time_s = (double)(i % options->n_frames) / options->fps;
        const double attributes[N_FILM_ATTRIBUTES] = {(double)clip.kind,
                                                      (double)(i % options->n_frames), time_s};

        status = phi_film_paint(painter, &clip, time_s, rgb);
        if (status < 0)
            (void)phi_error(reterr, status, "frame %lld could not be drawn", (long long)i);
        else
            status = phi_stimuli_writer_add(writer, rgb, attributes,
                                            (int32_t)(i / options->n_frames), reterr);
        cli_progress("frames", (uint64_t)i + 1, (uint64_t)n);
        if (cli_interrupted())
            status = phi_error(reterr, PH_E_STATE, "interrupted");
    }
    cli_progress_end();
    phi_free(rgb);
    return status;
}

static enum ph_status make_films(const struct film_options *options, struct ph_error *reterr)
{
    static const char *const names[N_FILM_ATTRIBUTES] = {"kind", "frame", "time_s"};
    char seed[24];
    char first[24];
    char fps[32];
    const struct phi_safetensors_pair notes[] = {{"set", "films"},
                                                 {"seed", seed},
                                                 {"first", first},
                                                 {"fps", fps},
                                                 {"kinds", "0 faces, 1 shapes, 2 scenes"}};
    const struct phi_stimuli_plan plan = {.folder = options->out,
                                          .n = (size_t)(options->n_clips * options->n_frames),
                                          .height = (size_t)options->height,
                                          .width = (size_t)options->width,
                                          .png = options->png,
                                          .film = true,
                                          .name_format = "frame_%06zu.png",
                                          .attribute_names = names,
                                          .n_attributes = N_FILM_ATTRIBUTES,
                                          .notes = notes,
                                          .n_notes = sizeof notes / sizeof *notes};
    struct phi_film_painter *painter = NULL;
    struct phi_stimuli_writer *writer = NULL;
    enum ph_status status;

    (void)snprintf(seed, sizeof seed, "%lld", (long long)options->seed);
    (void)snprintf(first, sizeof first, "%lld", (long long)options->first);
    (void)snprintf(fps, sizeof fps, "%.9g", options->fps);
    status =
        phi_film_painter_create((size_t)options->width, (size_t)options->height, &painter, reterr);
    if (status >= 0)
        status = phi_stimuli_writer_create(&plan, &writer, reterr);
    if (status >= 0)
        status = film_all(options, painter, writer, reterr);
    if (status >= 0)
        status = phi_stimuli_writer_finish(writer, reterr);
    phi_stimuli_writer_destroy(&writer);
    phi_film_painter_destroy(&painter);
    return status;
}

static int check_film(const struct cli_command *self, struct film_options *options)
{
    if (!options->out)
        return cli_usage(self, "--out DIR is needed");
    if (options->n_clips < 1 || options->n_frames < 1 || options->n_clips > 1000000 ||
        options->n_frames > 1000000 || options->n_clips * options->n_frames > 10000000)
        return cli_usage(self, "--clips and --frames must be at least 1, and 10000000 in all");
    if (options->first < 0 || options->seed < 0 || !(options->fps > 0 && options->fps <= 1000))
        return cli_usage(self, "--first and --seed must not be negative, --fps above 0");
    if (options->width < 16 || options->height < 16 || options->width > PHI_FILM_MAX_SIDE ||
        options->height > PHI_FILM_MAX_SIDE || options->width % 8 || options->height % 8)
        return cli_usage(self, "--width and --height must be multiples of 8 from 16 to %d",
                         PHI_FILM_MAX_SIDE);
    if (!take_kinds(options))
        return cli_usage(self, "--kinds '%s' is not a list of faces, shapes, scenes",
                         options->kinds);
    return -1;
}

static int run_films(const struct cli_command *self, int argc, char **argv)
{
    struct film_options options = {.n_clips = 30,
                                   .n_frames = 50,
                                   .seed = 1,
                                   .width = 64,
                                   .height = 64,
                                   .fps = 10,
                                   .kinds = "faces,shapes,scenes"};
    bool json = false;
    const struct cli_option table[] = {
        {CLI_TEXT, "out", &options.out, "DIR", "folder to write (made if missing)"},
        {CLI_INT, "clips", &options.n_clips, "N", "how many clips (30)"},
        {CLI_INT, "frames", &options.n_frames, "N", "frames of each clip (50)"},
        {CLI_INT, "first", &options.first, "I", "index of the first clip in the endless set (0)"},
        {CLI_INT, "seed", &options.seed, "N", "which endless set (1)"},
        {CLI_INT, "width", &options.width, "PX", "multiple of 8 (64)"},
        {CLI_INT, "height", &options.height, "PX", "multiple of 8 (64)"},
        {CLI_REAL, "fps", &options.fps, "N", "frames a second (10)"},
        {CLI_TEXT, "kinds", &options.kinds, "LIST", "clips take turns (faces,shapes,scenes)"},
        {CLI_BOOL, "png", &options.png, NULL, "a PNG for each frame as well"},
        CLI_JSON(&json),
        CLI_END};
    struct cli_args args;
    struct ph_error err;
    int code = cli_parse(self, table, argc, argv, &args);

    if (code >= 0)
        return code;
    if (args.n > 0)
        return cli_usage(self, "no operands are taken");
    code = check_film(self, &options);
    if (code >= 0)
        return code;
    cli_catch_interrupts();
    if (make_films(&options, &err) < 0)
        return cli_interrupted() ? CLI_INTERRUPTED : cli_fail(&err);
    report("frames", options.out, options.n_clips * options.n_frames,
           (const int64_t[2]){options.height, options.width}, json);
    return CLI_DONE;
}

static const struct cli_command films = {
    "stimuli films",
    "draws procedural film clips",
    "",
    "Clips of faces in motion, of textured shapes that drift and hide each other, and of a camera\n"
    "panning over landscapes. Clip I of seed S is always the same film, at any frame rate. Writes\n"
    "DIR/stimuli.safetensors (all frames, with the clip of each), DIR/attributes.tsv and a sheet.",
    "phos stimuli films --out film --clips 60 --frames 60\n"
    "phos stimuli films --out kitti-sized --width 160 --height 128 --kinds scenes --png",
    run_films};

static const struct cli_command *const sets[] = {&faces, &films};

#define N_SETS (sizeof sets / sizeof *sets)

static int run_stimuli(const struct cli_command *self, int argc, char **argv)
{
    static const struct cli_option none[] = {CLI_END};
    struct cli_args args;
    int code;

    for (size_t i = 0; argc > 1 && i < N_SETS; i++) {
        const char *name = strchr(sets[i]->name, ' ') + 1;

        if (strcmp(argv[1], name) == 0)
            return sets[i]->run(sets[i], argc - 1, argv + 1);
    }
    code = cli_parse(self, none, argc, argv, &args);
    return code >= 0 ? code : cli_usage(self, "name a set: faces or films");
}

const struct cli_command cmd_stimuli = {
    "stimuli",
    "draw sets of procedural stimuli",
    "faces|films",
    "Stimulus sets without a licence and with known attributes, the same on every machine.\n"
    "'phos stimuli faces --help' and 'phos stimuli films --help' tell more.",
    "phos stimuli faces --out stimuli --n 700\n"
    "phos stimuli films --out film --clips 60",
    run_stimuli};
