/* SPDX-License-Identifier: MIT */
#include "display/operator.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "display/operator_private.h"
#include "display/palette.h"

enum ph_status phi_operator_fonts_create(int window_height, struct phi_operator_fonts *ret_fonts)
{
    int px = window_height / 48 < 11 ? 11 : window_height / 48 > 28 ? 28 : window_height / 48;
    enum ph_status status;

    memset(ret_fonts, 0, sizeof *ret_fonts);
    status = phi_font_create(NULL, px, &ret_fonts->small);
    if (status == PH_OK)
        status = phi_font_create(NULL, px * 5 / 4, &ret_fonts->normal);
    if (status == PH_OK)
        status = phi_font_create(NULL, px * 2, &ret_fonts->large);
    if (status != PH_OK)
        phi_operator_fonts_destroy(ret_fonts);
    return status;
}

void phi_operator_fonts_destroy(struct phi_operator_fonts *fonts)
{
    phi_font_destroy(&fonts->small);
    phi_font_destroy(&fonts->normal);
    phi_font_destroy(&fonts->large);
}

struct phi_rect phi_operator_pane(const struct view *v, struct phi_rect rect, const char *title)
{
    int line = phi_font_line(v->fonts->small);

    phi_canvas_fill(v->canvas, rect, PHI_COLOUR_PANE);
    phi_canvas_outline(v->canvas, rect, PHI_COLOUR_EDGE);
    if (!title)
        return phi_rect_inset(rect, 3);
    phi_text(v->canvas, v->fonts->small, rect.x + 6, rect.y + 4, PHI_ALIGN_LEFT, PHI_COLOUR_DIM,
             title);
    rect = phi_rect_inset(rect, 4);
    return (struct phi_rect){rect.x, rect.y + line + 2, rect.w, rect.h - line - 2};
}

static void bar(const struct view *v, struct phi_rect rect, float share, uint32_t colour)
{
    float part = isfinite(share) ? fminf(fmaxf(share, 0.0f), 1.0f) : 0.0f;

    phi_canvas_fill(v->canvas, rect, PHI_COLOUR_GRID);
    rect.w = (int)((float)rect.w * part + 0.5f);
    phi_canvas_fill(v->canvas, rect, colour);
}

static uint32_t certainty_colour(const struct view *v, const struct phi_picture *picture)
{
    if (phi_scene_stale(v->scene, picture) && !(picture->flags & (uint32_t)PH_FLAG_FINAL))
        return PHI_COLOUR_STALE;
    if (picture->flags & (uint32_t)PH_FLAG_GATED)
        return PHI_COLOUR_ORANGE;
    return PHI_COLOUR_GREEN;
}

/* Which moment the picture speaks of, and how settled the statement is. */
static void picture_caption(const struct view *v, struct phi_rect rect,
                            const struct phi_picture *picture)
{
    const struct phi_font *font = v->fonts->small;
    bool stale = phi_scene_stale(v->scene, picture);
    int line = phi_font_line(font);
    int y = rect.y + rect.h - line;
    double age = v->scene->clock_s - picture->latent.stimulus_s;

    bar(v, (struct phi_rect){rect.x, y - 8, rect.w, 4}, picture->latent.share,
        certainty_colour(v, picture));
    phi_textf(v->canvas, font, rect.x, y, PHI_ALIGN_LEFT,
              stale ? PHI_COLOUR_STALE : PHI_COLOUR_TEXT, "stimulus at %.1f s, %.1f s ago",
              picture->latent.stimulus_s, age > 0 ? age : 0.0);
    phi_textf(v->canvas, font, rect.x + rect.w, y, PHI_ALIGN_RIGHT, certainty_colour(v, picture),
              "%.0f %% settled%s", (double)picture->latent.share * 100,
              picture->flags & (uint32_t)PH_FLAG_GATED ? ", not enough evidence yet" : "");
}

static void draw_picture(const struct view *v, struct phi_rect rect, const char *title,
                         const struct phi_picture *picture)
{
    struct phi_rect room = phi_operator_pane(v, rect, title);
    int caption = phi_font_line(v->fonts->small) + 10;
    struct phi_rect area = {room.x, room.y, room.w, room.h - caption};

    if (picture->width == 0) {
        phi_text(v->canvas, v->fonts->normal, area.x + area.w / 2, area.y + area.h / 2,
                 PHI_ALIGN_CENTRE, PHI_COLOUR_STALE, "no picture yet");
        return;
    }
    area = phi_rect_fit(area, (int)picture->width, (int)picture->height);
    phi_canvas_rgb_smooth(v->canvas, area, picture->rgb, (int)picture->width, (int)picture->height);
    if (picture->flags & (uint32_t)PH_FLAG_GATED)
        phi_canvas_outline(v->canvas, area, PHI_COLOUR_ORANGE);
    picture_caption(v, phi_rect_inset(room, 2), picture);
}

static bool find_stimulus(const struct view *v, int32_t index, struct phi_picture *ret_picture)
{
    const uint8_t *rgb = NULL;

    if (!v->scene->config.stimulus || index < 0)
        return false;
    if (!v->scene->config.stimulus(v->scene->config.stimulus_context, index, &rgb,
                                   &ret_picture->width, &ret_picture->height))
        return false;
    /* The picture is only read from here on, as the lookup's const says. */
    memcpy(&ret_picture->rgb, &rgb, sizeof ret_picture->rgb);
    return true;
}

static void draw_stimulus(const struct view *v, struct phi_rect rect, int32_t index, double onset_s,
                          const char *label)
{
    struct phi_rect room = phi_operator_pane(v, rect, "stimulus");
    int caption = phi_font_line(v->fonts->small) + 10;
    struct phi_rect area = {room.x, room.y, room.w, room.h - caption};
    struct phi_picture picture = {0};

    if (!find_stimulus(v, index, &picture)) {
        phi_text(v->canvas, v->fonts->normal, area.x + area.w / 2, area.y + area.h / 2,
                 PHI_ALIGN_CENTRE, PHI_COLOUR_STALE,
                 v->scene->has_event ? "not known here" : "no event yet");
        return;
    }
    area = phi_rect_fit(area, (int)picture.width, (int)picture.height);
    phi_canvas_rgb_smooth(v->canvas, area, picture.rgb, (int)picture.width, (int)picture.height);
    phi_textf(v->canvas, v->fonts->small, room.x + 2, room.y + room.h - caption + 8, PHI_ALIGN_LEFT,
              PHI_COLOUR_TEXT, "%s, onset %.1f s", label, onset_s);
}

/* Several faces beside each other: samples of the posterior. */
static bool is_strip(const struct phi_picture *picture)
{
    return picture->width >= 2 * picture->height && picture->height > 0;
}

/* The strip of samples at the foot of `rect`; returns what it leaves of it. */
static struct phi_rect draw_samples(const struct view *v, struct phi_rect rect)
{
    const struct phi_picture *strip = NULL;
    struct phi_rect below, room;
    int h;

    for (unsigned i = 1; i < v->scene->n_generators && !strip; i++)
        if (is_strip(&v->scene->now[i]))
            strip = &v->scene->now[i];
    if (!strip)
        return rect;
    h = rect.w * (int)strip->height / (int)strip->width + phi_font_line(v->fonts->small) + 6;
    h = h > rect.h * 3 / 10 ? rect.h * 3 / 10 : h;
    below = (struct phi_rect){rect.x, rect.y + rect.h - h, rect.w, h};
    room = phi_operator_pane(v, below, "samples of the posterior: what they share is settled");
    phi_canvas_rgb_smooth(v->canvas, phi_rect_fit(room, (int)strip->width, (int)strip->height),
                          strip->rgb, (int)strip->width, (int)strip->height);
    rect.h -= h + 4;
    return rect;
}

/* The first two generators that draw one picture each; returns how many there are. */
static int choose_pictures(const struct phi_scene *scene, unsigned chosen[2])
{
    int n = 0;

    for (unsigned i = 0; i < scene->n_generators && n < 2; i++)
        if (i == 0 || !is_strip(&scene->now[i]))
            chosen[n++] = i;
    return n;
}

static void draw_pictures(const struct view *v, struct phi_rect row)
{
    const struct phi_scene *scene = v->scene;
    unsigned chosen[2] = {0};
    int n = choose_pictures(scene, chosen), columns = (n > 0 ? n : 1) + 1;
    const struct phi_tile *tile;
    char title[64];

    for (int i = 0; i < columns - 1; i++) {
        struct phi_rect rect = {row.x + i * row.w / columns, row.y, row.w / columns - 4, row.h};
        const struct phi_picture *picture = &scene->now[chosen[i]];

        if (i == columns - 2) /* the first, which people look at, keeps its height if it can */
            rect = draw_samples(v, rect);
        (void)snprintf(title, sizeof title, "reconstruction: %s", picture->generator);
        draw_picture(v, rect, n ? title : "reconstruction", picture);
    }
    /* The true picture of the moment that the first reconstruction speaks of. */
    tile = scene->now[0].width > 0 && scene->now[0].latent.trial != PH_NO_TRIAL
               ? phi_scene_tile(scene, scene->now[0].latent.trial)
               : NULL;
    draw_stimulus(
        v,
        (struct phi_rect){row.x + (columns - 1) * row.w / columns, row.y, row.w / columns, row.h},
        tile               ? tile->stim_index
        : scene->has_event ? scene->newest_event.stim_index
                           : -1,
        tile ? tile->onset_s : scene->newest_event.onset_s,
        tile ? tile->label : scene->newest_event.trial_type);
}

unsigned phi_operator_tiles(int width, int height)
{
    int side = (height - 12) / 2;
    int n = side > 4 ? width / (side + 6) : 0;

    return n > PHI_SCENE_TILES ? PHI_SCENE_TILES : (unsigned)(n > 0 ? n : 0);
}

static void draw_tile(const struct view *v, struct phi_rect rect, const struct phi_tile *tile)
{
    struct phi_rect top = {rect.x, rect.y, rect.w, rect.w};
    struct phi_rect below = {rect.x, rect.y + rect.w + 8, rect.w, rect.w};
    struct phi_picture stimulus = {0};

    if (tile->picture.width > 0) {
        phi_canvas_rgb_smooth(
            v->canvas, phi_rect_fit(top, (int)tile->picture.width, (int)tile->picture.height),
            tile->picture.rgb, (int)tile->picture.width, (int)tile->picture.height);
        bar(v, (struct phi_rect){rect.x, rect.y + rect.w + 2, rect.w, 3},
            tile->picture.latent.share, certainty_colour(v, &tile->picture));
    } else {
        phi_canvas_outline(v->canvas, top, PHI_COLOUR_EDGE);
    }
    if (find_stimulus(v, tile->stim_index, &stimulus))
        phi_canvas_rgb_smooth(v->canvas,
                              phi_rect_fit(below, (int)stimulus.width, (int)stimulus.height),
                              stimulus.rgb, (int)stimulus.width, (int)stimulus.height);
}

static void draw_film(const struct view *v, struct phi_rect rect)
{
    struct phi_rect room = phi_operator_pane(
        v, rect, "film strip: decoded above, shown below; the bar fills as a moment settles");
    unsigned n = phi_operator_tiles(room.w, room.h);
    int side = (room.h - 12) / 2;
    const struct phi_scene *scene = v->scene;
    uint32_t newest = scene->newest_trial;

    if (newest == PH_NO_TRIAL || n == 0)
        return;
    if (v->choice->back > 0)
        newest = newest > (uint32_t)v->choice->back ? newest - (uint32_t)v->choice->back : 0;
    for (unsigned i = 0; i < n && i <= newest; i++) {
        const struct phi_tile *tile = phi_scene_tile(scene, newest - i);

        if (tile)
            draw_tile(v,
                      (struct phi_rect){room.x + room.w - (int)(i + 1) * (side + 6), room.y, side,
                                        room.h},
                      tile);
    }
}

/* Attributes of the newest statement; returns what the pane leaves of `rect`, all without axes. */
static struct phi_rect draw_attributes(const struct view *v, struct phi_rect rect)
{
    const struct phi_scene *scene = v->scene;
    struct phi_rect right = {rect.x + rect.w * 52 / 100, rect.y, rect.w - rect.w * 52 / 100,
                             rect.h};
    struct phi_rect room;
    char title[96];

    if (!scene->config.axes)
        return rect;
    if (scene->has_along)
        (void)snprintf(title, sizeof title, "attributes (sd), stimulus at %.1f s",
                       scene->stated.stimulus_s);
    room = phi_operator_pane(v, right, scene->has_along ? title : "attributes: no statement yet");
    if (scene->has_along)
        phi_panel_draw(v->canvas, v->fonts->small, room, scene->config.axes, &scene->along);
    rect.w = rect.w * 52 / 100 - 4;
    return rect;
}

static void draw_timeline(const struct view *v, struct phi_rect rect)
{
    struct phi_rect room = phi_operator_pane(v, rect, NULL);
    const struct phi_scene *scene = v->scene;
    uint64_t n = scene->n_marks < PHI_SCENE_MARKS ? scene->n_marks : PHI_SCENE_MARKS;
    double window_s = 120 * (scene->config.tr_s > 0 ? scene->config.tr_s : 1);
    double from_s = scene->clock_s > window_s ? scene->clock_s - window_s : 0;
    static const uint32_t colours[] = {0, PHI_COLOUR_BLUE, PHI_COLOUR_VERMILION, PHI_COLOUR_YELLOW,
                                       PHI_COLOUR_PINK};

    for (uint64_t i = 0; i < n; i++) {
        const struct phi_mark *mark = &scene->marks[(scene->n_marks - n + i) % PHI_SCENE_MARKS];
        double x0 = (mark->at_s - from_s) / window_s * room.w;
        int w = (int)(mark->duration_s / window_s * room.w) - 1;
        bool event = mark->kind == PHI_MARK_EVENT;
        struct phi_rect box = {room.x + (int)x0, event ? room.y : room.y + room.h / 2,
                               w > 1 ? w : 1, room.h / 2 - 1};

        phi_canvas_fill(v->canvas, phi_rect_and(box, room), colours[mark->kind]);
    }
}

static void draw_state(const struct view *v, struct phi_rect rect)
{
    static const char *const states[] = {"waiting for the scanner", "running", "finishing",
                                         "finished"};
    const struct phi_scene *s = v->scene;
    const struct ph_run_stats *stats = &s->stats;
    int y = rect.y + 2;
    int x = rect.x + 6;

    x += phi_textf(v->canvas, v->fonts->normal, x, y, PHI_ALIGN_LEFT, PHI_COLOUR_TEXT, "%s  %s",
                   s->config.title ? s->config.title : "",
                   states[stats->state < 4 ? stats->state : 3]);
    x += phi_textf(v->canvas, v->fonts->normal, x, y, PHI_ALIGN_LEFT, PHI_COLOUR_DIM,
                   "   volume %llu, %.1f s   missing %llu   censored %llu   events %llu",
                   (unsigned long long)s->n_volumes, s->clock_s, (unsigned long long)s->n_missing,
                   (unsigned long long)s->n_censored, (unsigned long long)s->n_events);
    phi_textf(v->canvas, v->fonts->normal, x, y, PHI_ALIGN_LEFT, PHI_COLOUR_DIM,
              "   latency p50 %.1f ms  p99 %.1f ms", (double)stats->latency_p50_ns * 1e-6,
              (double)stats->latency_p99_ns * 1e-6);
    phi_text(v->canvas, v->fonts->normal, rect.x + rect.w - 6, y, PHI_ALIGN_RIGHT,
             s->warning[0] || v->choice->frozen ? PHI_COLOUR_ORANGE : PHI_COLOUR_DIM,
             v->choice->frozen ? "frozen (f)"
             : s->warning[0]
                 ? s->warning
                 : (s->config.label && s->config.label[0] ? s->config.label : "? help"));
}

static void draw_help(const struct view *v)
{
    static const char *const lines[] = {
        "?  or  h     this list",
        "q  or  Esc   end the run in an orderly way (twice: close the window)",
        "s            screenshot, next to the recording",
        "f            freeze the view; the run goes on",
        "m            brain as planes or as all slices",
        "o            next map over the brain, then none",
        "p            next page of plots: quality, more of it, signals and spectra",
        "left, right  scroll the film strip; End: newest",
        "space        put a mark into the record",
        "F11          full screen",
    };
    int n = (int)(sizeof lines / sizeof *lines);
    int line = phi_font_line(v->fonts->normal) + 4;
    struct phi_rect box = {v->canvas->width / 2 - 330, v->canvas->height / 2 - (n + 2) * line / 2,
                           660, (n + 2) * line};

    phi_canvas_fill(v->canvas, box, PHI_COLOUR_GROUND);
    phi_canvas_outline(v->canvas, box, PHI_COLOUR_SKY);
    for (int i = 0; i < n; i++)
        phi_text(v->canvas, v->fonts->normal, box.x + 24, box.y + line + i * line, PHI_ALIGN_LEFT,
                 PHI_COLOUR_TEXT, lines[i]);
}

void phi_operator_draw(struct phi_canvas *canvas, const struct phi_operator_fonts *fonts,
                       const struct phi_scene *scene, const struct phi_operator_choice *choice,
                       int64_t now_ns)
{
    struct view v = {canvas, fonts, scene, choice, now_ns};
    int state_h = phi_font_line(fonts->normal) + 6;
    int time_h = canvas->height / 24;
    int h = canvas->height - state_h - time_h - 16;
    int w = canvas->width - 8;
    bool pictures = scene->n_generators > 0;
    int pictures_h = pictures ? h * 42 / 100 : 0;
    int film_h = pictures ? h * 22 / 100 : 0;
    int rest_h = h - pictures_h - film_h;
    int y = 4;

    phi_canvas_fill(canvas, (struct phi_rect){0, 0, canvas->width, canvas->height},
                    PHI_COLOUR_GROUND);
    if (pictures) {
        draw_pictures(&v, (struct phi_rect){4, y, w, pictures_h});
        draw_film(&v, (struct phi_rect){4, y + pictures_h + 4, w, film_h});
        y += pictures_h + film_h + 8;
    }
    phi_operator_draw_brain(&v,
                            draw_attributes(&v, (struct phi_rect){4, y, w * 45 / 100 - 4, rest_h}));
    phi_operator_draw_plots(&v, (struct phi_rect){4 + w * 45 / 100, y, w - w * 45 / 100, rest_h},
                            !pictures);
    y += rest_h + 4;
    draw_timeline(&v, (struct phi_rect){4, y, w, time_h});
    draw_state(&v, (struct phi_rect){0, y + time_h, canvas->width, state_h});
    if (choice->help)
        draw_help(&v);
}

/* Columns that make square-ish tiles (each a decoded and a shown picture) fill the canvas best. */
static int film_columns(const struct phi_canvas *canvas, int n)
{
    int best = 1;
    double most = 0;

    for (int columns = 1; columns <= n; columns++) {
        int rows = (n + columns - 1) / columns;
        double side = fmin((double)canvas->width / columns, (double)canvas->height / rows / 2);

        if (side > most) {
            most = side;
            best = columns;
        }
    }
    return best;
}

void phi_film_draw(struct phi_canvas *canvas, const struct phi_operator_fonts *fonts,
                   const struct phi_scene *scene)
{
    const struct phi_operator_choice choice = {.map = -1};
    struct view v = {canvas, fonts, scene, &choice, scene->now_ns};
    const struct phi_tile *tiles[PHI_SCENE_TILES];
    int n = 0;
    int columns;
    int side;

    phi_canvas_fill(canvas, (struct phi_rect){0, 0, canvas->width, canvas->height},
                    PHI_COLOUR_GROUND);
    for (uint32_t back = PHI_SCENE_TILES; scene->newest_trial != PH_NO_TRIAL && back-- > 0;) {
        const struct phi_tile *tile =
            back <= scene->newest_trial ? phi_scene_tile(scene, scene->newest_trial - back) : NULL;

        if (tile && tile->picture.width > 0)
            tiles[n++] = tile;
    }
    if (n == 0)
        return;
    columns = film_columns(canvas, n);
    side = canvas->width / columns - 6;
    if (canvas->height / ((n + columns - 1) / columns) / 2 - 8 < side)
        side = canvas->height / ((n + columns - 1) / columns) / 2 - 8;
    for (int i = 0; i < n; i++)
        draw_tile(&v,
                  (struct phi_rect){3 + i % columns * (side + 6), 3 + i / columns * (2 * side + 16),
                                    side, 2 * side + 12},
                  tiles[i]);
}
