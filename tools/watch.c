/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli.h"
#include "display/app.h"
#include "io/file.h"
#include "io/png.h"
#include "io/safetensors.h"

#define MAX_TEXT 512

struct watch {
    const char *out_dir;
    struct phi_display_config config;
    double hold_s; /* how long windows stay after the end; < 0: until closed */
    char label[MAX_TEXT];
    char generator[64]; /* of the subject's window; "" is the first */
    char stimuli_path[PHI_PATH_MAX];
    struct phi_safetensors *stimuli; /* NULL where none are known */
    const uint8_t *images;           /* [n][h][w][3] in it */
    size_t n_stimuli, height, width;
    char axes_path[PHI_PATH_MAX];
    struct phi_panel panel; /* n is 0 where there are no axes */
    float *directions;      /* [panel.n][panel.p] */
    uint64_t space;         /* of the axes' latents, 0 unknown */
    char truth_path[PHI_PATH_MAX];
    struct phi_truth truth; /* n is 0 where it is not known */
    float *true_latents;    /* [truth.n][truth.p] */
    uint64_t truth_space;   /* of them, 0 unknown */
    unsigned n_screenshots;
};

enum kind { FLAG, WHOLE, REAL, COLOUR, TEXT, PATH };

/* Every key, where its value goes and what it may be. */
static const struct setting {
    const char *key;
    enum kind kind;
    size_t offset; /* in struct watch */
    double least, most;
} settings[] = {
    {"operator.window", FLAG, offsetof(struct watch, config.operator_window), 0, 1},
    {"operator.width", WHOLE, offsetof(struct watch, config.width), 640, 8192},
    {"operator.height", WHOLE, offsetof(struct watch, config.height), 360, 8192},
    {"operator.page", WHOLE, offsetof(struct watch, config.page), 0, PHI_OPERATOR_PAGES - 1},
    {"operator.slices", FLAG, offsetof(struct watch, config.mosaic), 0, 1},
    {"subject.window", FLAG, offsetof(struct watch, config.subject_window), 0, 1},
    {"subject.screen", WHOLE, offsetof(struct watch, config.subject_display), -1, 64},
    {"subject.full_screen", FLAG, offsetof(struct watch, config.subject_full_screen), 0, 1},
    {"subject.generator", TEXT, offsetof(struct watch, generator), 0, 64},
    {"subject.size_deg", REAL, offsetof(struct watch, config.subject.size_deg), 0.1, 120},
    {"subject.screen_width_mm", REAL, offsetof(struct watch, config.subject.screen_width_mm), 10,
     1e5},
    {"subject.distance_mm", REAL, offsetof(struct watch, config.subject.distance_mm), 10, 1e5},
    {"subject.background", COLOUR, offsetof(struct watch, config.subject.background), 0, 0xffffff},
    {"subject.fixation", FLAG, offsetof(struct watch, config.subject.fixation), 0, 1},
    {"subject.photodiode", FLAG, offsetof(struct watch, config.subject.photodiode), 0, 1},
    {"stimuli", PATH, offsetof(struct watch, stimuli_path), 0, 0},
    {"axes", PATH, offsetof(struct watch, axes_path), 0, 0},
    {"truth", PATH, offsetof(struct watch, truth_path), 0, 0},
    {"label", TEXT, offsetof(struct watch, label), 0, MAX_TEXT},
    {"hold_s", REAL, offsetof(struct watch, hold_s), -1, 1e6},
    {"refresh_hz", REAL, offsetof(struct watch, config.refresh_hz), 0, 1000},
};

#define N_SETTINGS (sizeof settings / sizeof *settings)

static enum ph_status refuse(const struct phi_run *run, const struct phi_run_setting *given,
                             const char *what, struct ph_error *reterr)
{
    return phi_error(reterr, PH_E_INVAL, "%s:%d:%d: display.%s %s", run->path, given->line,
                     given->column, given->key, what);
}

static enum ph_status set_number(const struct phi_run *run, const struct setting *setting,
                                 const struct phi_run_setting *given, void *into,
                                 struct ph_error *reterr)
{
    char what[128];
    double value;

    if (!phi_parse_double(given->value, &value) || value < setting->least ||
        value > setting->most || (setting->kind == WHOLE && value != (double)(int)value)) {
        (void)snprintf(what, sizeof what, "takes a %snumber from %g to %g",
                       setting->kind == WHOLE ? "whole " : "", setting->least, setting->most);
        return refuse(run, given, what, reterr);
    }
    if (setting->kind == WHOLE)
        *(int *)into = (int)value;
    else
        *(double *)into = value;
    return PH_OK;
}

static enum ph_status set_value(const struct phi_run *run, const struct setting *setting,
                                const struct phi_run_setting *given, struct watch *watch,
                                struct ph_error *reterr)
{
    void *into = (char *)watch + setting->offset;
    char *end;

    switch (setting->kind) {
    case FLAG:
        if (strcmp(given->value, "true") != 0 && strcmp(given->value, "false") != 0)
            return refuse(run, given, "is true or false", reterr);
        *(bool *)into = given->value[0] == 't';
        return PH_OK;
    case COLOUR:
        *(uint32_t *)into = (uint32_t)strtoul(given->value, &end, 16);
        if (strlen(given->value) != 6 || *end != '\0')
            return refuse(run, given, "is a colour of six hexadecimal digits, as 808080", reterr);
        return PH_OK;
    case TEXT:
        if (!phi_str_copy(into, (size_t)setting->most, given->value))
            return refuse(run, given, "is too long", reterr);
        return PH_OK;
    case PATH:
        if (given->value[0] == '/' ? !phi_str_copy(into, PHI_PATH_MAX, given->value)
                                   : !phi_path_join(into, PHI_PATH_MAX, run->dir, given->value))
            return refuse(run, given, "is too long", reterr);
        return PH_OK;
    case WHOLE:
    case REAL:
        break;
    }
    return set_number(run, setting, given, into, reterr);
}

static enum ph_status read_settings(const struct phi_run *run, struct watch *watch,
                                    struct ph_error *reterr)
{
    const char *names[N_SETTINGS];
    enum ph_status status = PH_OK;

    for (size_t k = 0; k < N_SETTINGS; k++)
        names[k] = settings[k].key;
    for (size_t i = 0; i < run->n_display && status == PH_OK; i++) {
        const struct phi_run_setting *given = &run->display[i];
        const struct setting *setting = NULL;

        for (size_t k = 0; k < N_SETTINGS && !setting; k++)
            if (strcmp(settings[k].key, given->key) == 0)
                setting = &settings[k];
        if (!setting) {
            const char *near = phi_suggest(given->key, names, N_SETTINGS);
            char what[160];

            (void)snprintf(what, sizeof what, "is no setting of the display%s%s%s",
                           near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
            return refuse(run, given, what, reterr);
        }
        status = set_value(run, setting, given, watch, reterr);
    }
    return status;
}

static enum ph_status open_stimuli(struct watch *watch, struct ph_error *reterr)
{
    static const size_t shape[4] = {0, 0, 0, 3};
    const struct phi_safetensors_tensor *images;
    char path[PHI_PATH_MAX];
    enum ph_status status;

    if (!watch->stimuli_path[0])
        return PH_OK;
    if (phi_str_ends(watch->stimuli_path, ".safetensors")
            ? !phi_str_copy(path, sizeof path, watch->stimuli_path)
            : !phi_path_join(path, sizeof path, watch->stimuli_path, "stimuli.safetensors"))
        return phi_error(reterr, PH_E_LIMIT, "the path of display.stimuli is too long");
    status = phi_safetensors_open(path, &watch->stimuli, reterr);
    if (status == PH_OK)
        status = phi_safetensors_expect(watch->stimuli, "images", 4, shape, &images, reterr);
    if (status == PH_OK && images->dtype != PHI_SAFETENSORS_U8)
        status = phi_error(reterr, PH_E_FORMAT, "%s: images are not 8-bit", path);
    if (status != PH_OK)
        return status;
    watch->images = images->data;
    watch->n_stimuli = images->shape[0];
    watch->height = images->shape[1];
    watch->width = images->shape[2];
    return PH_OK;
}

/* Row `from` of the file's axes as the panel's next. */
static void take_axis(const struct phi_safetensors *file, const double *axes, size_t from,
                      struct watch *watch)
{
    const char *name = phi_safetensors_metadata(file, "attribute_names");
    struct phi_panel *panel = &watch->panel;
    size_t length;

    for (size_t i = 0; name && i < from; i++) {
        name = strchr(name, '\n');
        name = name ? name + 1 : NULL;
    }
    length = name ? strcspn(name, "\n") : 0;
    length = length < PHI_PANEL_NAME ? length : PHI_PANEL_NAME - 1;
    if (length)
        memcpy(panel->names[panel->n], name, length);
    for (size_t i = 0; i < panel->p; i++)
        watch->directions[panel->n * panel->p + i] = (float)axes[from * panel->p + i];
    panel->n++;
}

/* The axes that are predicted best, most first, as many as the panel has rows. */
static void take_best(const struct phi_safetensors *file, const double *axes, const double *r2,
                      size_t k, struct watch *watch)
{
    for (size_t rank = 0; rank < k && rank < PHI_PANEL_MAX; rank++)
        for (size_t j = 0; j < k; j++) {
            size_t n_better = 0;

            for (size_t i = 0; i < k; i++)
                n_better += r2[i] > r2[j] || (i < j && !(r2[i] < r2[j]));
            if (n_better == rank)
                take_axis(file, axes, j, watch);
        }
}

static enum ph_status load_axes(const struct phi_safetensors *file, struct watch *watch,
                                struct ph_error *reterr)
{
    const size_t any[2] = {0, 0};
    const struct phi_safetensors_tensor *tensor;
    const char *space = phi_safetensors_metadata(file, "latents.space");
    double *axes = NULL, *r2 = NULL;
    int64_t version;
    enum ph_status status = phi_safetensors_expect_kind(file, "axes", 1, &version, reterr);

    if (status == PH_OK)
        status = phi_safetensors_expect(file, "axes", 2, any, &tensor, reterr);
    if (status == PH_OK)
        status = phi_safetensors_load_f64(file, "axes", 2, tensor->shape, &axes, reterr);
    if (status == PH_OK)
        status = phi_safetensors_load_f64(file, "r2", 1, tensor->shape, &r2, reterr);
    if (status == PH_OK) {
        watch->panel.p = tensor->shape[1];
        watch->space = space ? ph_space_hash(space) : 0;
        watch->directions = phi_calloc2(PHI_PANEL_MAX, watch->panel.p, sizeof(float));
        watch->panel.directions = watch->directions;
        if (watch->directions)
            take_best(file, axes, r2, tensor->shape[0], watch);
        else
            status = phi_error_nomem(reterr, "axes", watch->panel.p * sizeof(float));
    }
    phi_free(axes);
    phi_free(r2);
    return status;
}

static enum ph_status open_axes(struct watch *watch, struct ph_error *reterr)
{
    struct phi_safetensors *file = NULL;
    enum ph_status status;

    if (!watch->axes_path[0])
        return PH_OK;
    status = phi_safetensors_open(watch->axes_path, &file, reterr);
    if (status == PH_OK)
        status = load_axes(file, watch, reterr);
    phi_safetensors_close(&file);
    return status;
}

static enum ph_status load_truth(const struct phi_safetensors *file, struct watch *watch,
                                 struct ph_error *reterr)
{
    const size_t any[2] = {0, 0};
    const struct phi_safetensors_tensor *tensor;
    const char *space = phi_safetensors_metadata(file, "latents.space");
    enum ph_status status = phi_safetensors_expect(file, "latents", 2, any, &tensor, reterr);

    if (status == PH_OK)
        status = phi_safetensors_load_f32(file, "latents", 2, tensor->shape, &watch->true_latents,
                                          reterr);
    if (status != PH_OK)
        return status;
    watch->truth = (struct phi_truth){tensor->shape[0], tensor->shape[1], watch->true_latents};
    watch->truth_space = space ? ph_space_hash(space) : 0;
    return PH_OK;
}

static enum ph_status open_truth(struct watch *watch, struct ph_error *reterr)
{
    struct phi_safetensors *file = NULL;
    enum ph_status status;

    if (!watch->truth_path[0])
        return PH_OK;
    status = phi_safetensors_open(watch->truth_path, &file, reterr);
    if (status == PH_OK)
        status = load_truth(file, watch, reterr);
    phi_safetensors_close(&file);
    return status;
}

/* Puts the setting's place before what was wrong with its file. */
static void refuse_file(const struct phi_run *run, const char *key, struct ph_error *reterr)
{
    for (size_t i = 0; i < run->n_display; i++)
        if (strcmp(run->display[i].key, key) == 0)
            (void)phi_error_prefix(reterr, "%s:%d:%d: display.%s", run->path, run->display[i].line,
                                   run->display[i].column, key);
}

static enum ph_status read_all(const struct phi_run *run, bool with_files, struct watch *watch,
                               struct ph_error *reterr)
{
    enum ph_status status = read_settings(run, watch, reterr);

    if (status == PH_OK && with_files) {
        status = open_stimuli(watch, reterr);
        if (status != PH_OK)
            refuse_file(run, "stimuli", reterr);
    }
    if (status == PH_OK && with_files) {
        status = open_axes(watch, reterr);
        if (status != PH_OK)
            refuse_file(run, "axes", reterr);
    }
    if (status == PH_OK && with_files) {
        status = open_truth(watch, reterr);
        if (status != PH_OK)
            refuse_file(run, "truth", reterr);
    }
    return status;
}

enum ph_status watch_check(const struct phi_run *run, bool with_files, struct ph_error *reterr)
{
    struct watch *watch = phi_calloc(1, sizeof *watch);
    enum ph_status status;

    if (!watch)
        return phi_error_nomem(reterr, "the display's settings", sizeof *watch);
    status = read_all(run, with_files, watch, reterr);
    watch_destroy(&watch);
    return status;
}

static bool find_stimulus(void *context, int32_t index, const uint8_t **ret_rgb,
                          uint32_t *ret_width, uint32_t *ret_height)
{
    const struct watch *watch = context;

    if (index < 0 || (size_t)index >= watch->n_stimuli)
        return false;
    *ret_rgb = watch->images + (size_t)index * watch->height * watch->width * 3;
    *ret_width = (uint32_t)watch->width;
    *ret_height = (uint32_t)watch->height;
    return true;
}

static void save_picture(const struct watch *watch, const char *name, const uint8_t *rgb, int width,
                         int height)
{
    const struct phi_png_pixels picture = {
        .width = (size_t)width, .height = (size_t)height, .n_channels = 3, .pixels = rgb};
    char path[PHI_PATH_MAX];
    struct ph_error err;

    if (!phi_path_join(path, sizeof path, watch->out_dir, name) ||
        phi_png_write(path, &picture, &err) != PH_OK)
        (void)cli_fail_as(CLI_CANNOT_WRITE, &err);
}

static void take_screenshot(void *context, const uint8_t *rgb, int width, int height)
{
    struct watch *watch = context;
    char name[64];

    if (!watch->out_dir[0])
        return;
    (void)snprintf(name, sizeof name, "screenshot-%03u.png", ++watch->n_screenshots);
    save_picture(watch, name, rgb, width, height);
}

static void say_screen_lost(void *context)
{
    (void)context;
    (void)fprintf(stderr, "phos: the screen is gone; the run goes on without a window\n");
}

enum ph_status watch_create(const struct phi_run *run, bool headless, const char *out_dir,
                            struct watch **ret_watch, struct ph_error *reterr)
{
    struct watch *watch = phi_calloc(1, sizeof *watch);
    enum ph_status status;

    if (!watch)
        return phi_error_nomem(reterr, "the display's settings", sizeof *watch);
    watch->out_dir = out_dir;
    watch->hold_s = -1;
    watch->config = (struct phi_display_config){
        .headless = headless,
        .operator_window = true,
        .width = 1280,
        .height = 720,
        .subject_display = -1,
        .subject = {.screen_width_mm = 400,
                    .distance_mm = 1000,
                    .size_deg = 10,
                    .background = 0x808080,
                    .fixation = true},
        .screenshot = take_screenshot,
        .screenshot_context = watch,
        .screen_lost = say_screen_lost,
    };
    status = read_all(run, true, watch, reterr);
    if (status != PH_OK) {
        watch_destroy(&watch);
        return status;
    }
    watch->config.label = watch->label;
    if (watch->stimuli) {
        watch->config.stimulus = find_stimulus;
        watch->config.stimulus_context = watch;
    }
    *ret_watch = watch;
    return PH_OK;
}

void watch_destroy(struct watch **watch)
{
    if (!watch || !*watch)
        return;
    phi_safetensors_close(&(*watch)->stimuli);
    phi_free((*watch)->directions);
    phi_free((*watch)->true_latents);
    phi_free(*watch);
    *watch = NULL;
}

/* Draws with `draw` into a canvas of the operator window's size and saves it. */
static void leave_picture(struct watch *watch, struct phi_display *display, const char *name,
                          void (*draw)(struct phi_display *display, struct phi_canvas *canvas))
{
    struct phi_canvas *canvas = NULL;
    uint8_t *rgb = phi_calloc2((size_t)watch->config.width, (size_t)watch->config.height * 3, 1);

    if (rgb && phi_canvas_create(watch->config.width, watch->config.height, &canvas) == PH_OK) {
        draw(display, canvas);
        phi_canvas_to_rgb(canvas, rgb);
        save_picture(watch, name, rgb, canvas->width, canvas->height);
    }
    phi_canvas_destroy(&canvas);
    phi_free(rgb);
}

/* Every map that was shown: map.png, map-2.png ... */
static void leave_maps(struct watch *watch, struct phi_display *display)
{
    struct phi_canvas *canvas = NULL;
    uint8_t *rgb = phi_calloc2((size_t)watch->config.width, (size_t)watch->config.height * 3, 1);
    char name[32] = "map.png";

    if (rgb && phi_canvas_create(watch->config.width, watch->config.height, &canvas) == PH_OK)
        for (int i = 0; phi_display_draw_map(display, canvas, i); i++) {
            if (i > 0)
                (void)snprintf(name, sizeof name, "map-%d.png", i + 1);
            phi_canvas_to_rgb(canvas, rgb);
            save_picture(watch, name, rgb, canvas->width, canvas->height);
        }
    phi_canvas_destroy(&canvas);
    phi_free(rgb);
}

static size_t find_generator(const struct watch *watch, const struct phi_view *view)
{
    const struct phi_view_info *info = phi_view_info(view);

    for (size_t g = 0; g < info->n_generators; g++)
        if (strcmp(info->generators[g].name, watch->generator) == 0)
            return g;
    return 0;
}

/* Lets the session look at interruptions, and tells when to leave: with the run's end when nobody
 * looks on or the user has interrupted, else hold_s later (never, if that is negative). */
struct leaving {
    const struct watch *watch;
    bool (*ended)(void *context);
    void *context;
    double ended_s; /* when the end was first seen; 0: not yet */
};

static bool may_leave(void *arg)
{
    struct leaving *leaving = arg;
    struct timespec now;
    double now_s;

    if (!leaving->ended(leaving->context))
        return false;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    now_s = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    if (leaving->ended_s <= 0)
        leaving->ended_s = now_s;
    return leaving->watch->config.headless || cli_interrupted() ||
           (leaving->watch->hold_s >= 0 && now_s - leaving->ended_s >= leaving->watch->hold_s);
}

/* Axes of another space than the decoder's latents would show plausible wrong numbers. */
static void choose_axes(struct watch *watch, const struct phi_view_info *info)
{
    const struct phi_panel *panel = &watch->panel;

    watch->config.axes = NULL;
    if (panel->n == 0)
        return;
    if (panel->p == info->n_components &&
        (!watch->space || !info->space || watch->space == info->space))
        watch->config.axes = panel;
    else
        (void)fprintf(stderr,
                      "phos: the axes in %s are of %zu latents of another model than the decoder's "
                      "%u: no panel of attributes\n",
                      watch->axes_path, panel->p, info->n_components);
}

/* As choose_axes. */
static void choose_truth(struct watch *watch, const struct phi_view_info *info)
{
    const struct phi_truth *truth = &watch->truth;

    watch->config.truth = NULL;
    if (truth->n == 0)
        return;
    if (truth->p == info->n_components &&
        (!watch->truth_space || !info->space || watch->truth_space == info->space))
        watch->config.truth = truth;
    else
        (void)fprintf(stderr,
                      "phos: %s has %zu latents of another model than the decoder's %u: no running "
                      "calibration\n",
                      watch->truth_path, truth->p, info->n_components);
}

void watch_attend(void *arg, struct phi_view *view, bool (*ended)(void *context), void *context)
{
    struct watch *watch = arg;
    struct phi_display *display = NULL;
    struct leaving leaving = {watch, ended, context, 0};
    struct ph_error err;

    watch->config.subject_generator = find_generator(watch, view);
    choose_axes(watch, phi_view_info(view));
    choose_truth(watch, phi_view_info(view));
    if (phi_display_create(view, &watch->config, &display, &err) != PH_OK) {
        (void)fprintf(stderr, "phos: %s; going on without a window\n", err.text);
        watch->config.headless = true;
        if (phi_display_create(view, &watch->config, &display, &err) != PH_OK) {
            (void)cli_fail(&err);
            return;
        }
    }
    phi_display_loop(display, may_leave, &leaving);
    if (watch->out_dir[0]) {
        leave_picture(watch, display, "window.png", phi_display_draw);
        if (phi_view_info(view)->n_generators > 0)
            leave_picture(watch, display, "film.png", phi_display_draw_film);
        leave_maps(watch, display);
    }
    phi_display_destroy(&display);
}

/* The recording keeps the run file in a folder of its own, from where a relative path leads
 * nowhere. */
static enum ph_status keep_paths(struct phi_run *run, const struct watch *watch,
                                 struct ph_error *reterr)
{
    const char *const keys[] = {"stimuli", "axes", "truth"};
    const char *const paths[] = {watch->stimuli_path, watch->axes_path, watch->truth_path};
    char text[PHI_PATH_MAX + 32];
    enum ph_status status = PH_OK;

    for (size_t i = 0; status == PH_OK && i < 3; i++) {
        (void)snprintf(text, sizeof text, "display.%s=%s", keys[i], paths[i]);
        if (paths[i][0])
            status = phi_run_set(run, text, reterr);
    }
    return status;
}

int watch_run(struct phi_run *run, struct session_options *session, bool headless)
{
    struct watch *watch = NULL;
    struct ph_error err = {0};
    int code;

    if (watch_create(run, headless, session_out_dir(run, session), &watch, &err) != PH_OK ||
        keep_paths(run, watch, &err) != PH_OK) {
        watch_destroy(&watch);
        return err.status == PH_E_INVAL ? cli_fail_as(CLI_CONFIG, &err) : cli_fail(&err);
    }
    session->attend = watch_attend;
    session->arg = watch;
    code = session_run(run, session);
    watch_destroy(&watch);
    return code;
}
