/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>

#include "display/mosaic.h"
#include "display/operator_private.h"
#include "display/palette.h"

int phi_operator_next_map(const struct phi_scene *scene, int map)
{
    for (int i = map + 1; i < PHI_SHOWN_MAPS; i++)
        if (scene->maps[i].known)
            return i;
    return -1;
}

static const struct phi_scene_map *map_of(const struct phi_scene *scene, int map)
{
    return map >= 0 && map < PHI_SHOWN_MAPS && scene->maps[map].known ? &scene->maps[map] : NULL;
}

/* The value of the strongest colour: a map of noise does not glow. */
static float most_of(const struct phi_scene_map *map)
{
    return fmaxf(map->most, 2 * map->threshold);
}

static struct phi_mosaic mosaic_of(const struct phi_scene *scene, const struct phi_scene_map *map)
{
    const struct ph_geometry *geometry = &scene->config.geometry;
    struct phi_mosaic mosaic = {
        .volume = scene->volume, .low = scene->grey_low, .high = scene->grey_high};

    for (int i = 0; i < 3; i++) {
        mosaic.dims[i] = geometry->dims[i];
        mosaic.voxel_mm[i] = ph_geometry_voxel_mm(geometry, i);
    }
    if (map) {
        mosaic.overlay = map->values;
        mosaic.threshold = map->threshold;
        mosaic.overlay_most = most_of(map);
    }
    return mosaic;
}

/* Half of the colour bar: from the threshold outwards, to the left for negative values. */
static void draw_bar(struct phi_canvas *canvas, struct phi_rect rect, float from, float to)
{
    for (int i = 0; i < rect.w; i++) {
        float share = ((float)i + 0.5f) / (float)rect.w;
        struct phi_rect line = {rect.x + i, rect.y, 1, rect.h};

        phi_canvas_fill(canvas, line, phi_mosaic_heat(from + share * (to - from)));
    }
}

/* What the colours mean, in a strip at the bottom; returns the room above. */
static struct phi_rect draw_legend(struct phi_canvas *canvas, const struct phi_font *font,
                                   struct phi_rect room, const struct phi_scene_map *map)
{
    int line = phi_font_line(font);
    int y = room.y + room.h - line - 2;
    int bar = room.w / 6;
    float low = map->threshold / most_of(map);
    int x = room.x + 6;
    char peak[80];

    x += phi_textf(canvas, font, x, y, PHI_ALIGN_LEFT, PHI_COLOUR_DIM, "%.1f ",
                   (double)-most_of(map));
    draw_bar(canvas, (struct phi_rect){x, y + 3, bar, line - 6}, -1, -low);
    x += bar;
    x += phi_textf(canvas, font, x, y, PHI_ALIGN_LEFT, PHI_COLOUR_DIM, " %.1f   %.1f ",
                   (double)-map->threshold, (double)map->threshold);
    draw_bar(canvas, (struct phi_rect){x, y + 3, bar, line - 6}, low, 1);
    x += bar;
    x += phi_textf(canvas, font, x, y, PHI_ALIGN_LEFT, PHI_COLOUR_DIM, " %.1f",
                   (double)most_of(map));
    (void)snprintf(peak, sizeof peak, "peak %.1f at %u, %u, %u", (double)map->most, map->peak[0],
                   map->peak[1], map->peak[2]);
    if (x + 12 + phi_text_width(font, peak) < room.x + room.w) /* small windows have no room */
        phi_text(canvas, font, room.x + room.w - 6, y, PHI_ALIGN_RIGHT, PHI_COLOUR_TEXT, peak);
    room.h -= line + 6;
    return room;
}

static void title_of(const struct phi_scene_map *map, char *title, size_t n)
{
    if (map)
        (void)snprintf(title, n, "newest volume; %s, beyond %.1f", map->title,
                       (double)map->threshold);
    else
        (void)snprintf(title, n, "newest volume");
}

void phi_operator_draw_brain(const struct view *v, struct phi_rect rect)
{
    const struct phi_scene *scene = v->scene;
    const uint32_t *dims = scene->config.geometry.dims;
    const struct phi_scene_map *map = map_of(scene, v->choice->map);
    struct phi_mosaic mosaic = mosaic_of(scene, map);
    uint32_t at[3] = {dims[0] / 2, dims[1] / 2, dims[2] / 2};
    struct phi_rect room;
    char title[128];

    title_of(map, title, sizeof title);
    room = phi_operator_pane(v, rect, title);
    if (!scene->has_volume)
        return;
    if (map)
        room = draw_legend(v->canvas, v->fonts->small, room, map);
    for (int i = 0; i < 3 && map && map->most >= map->threshold; i++)
        at[i] = map->peak[i];
    if (v->choice->mosaic)
        phi_mosaic_draw(v->canvas, room, &mosaic);
    else
        phi_planes_draw(v->canvas, room, &mosaic, at);
}

bool phi_map_draw(struct phi_canvas *canvas, const struct phi_operator_fonts *fonts,
                  const struct phi_scene *scene, int map)
{
    const struct phi_operator_choice choice = {.map = map, .mosaic = true};
    const struct view v = {canvas, fonts, scene, &choice, scene->now_ns};

    if (!map_of(scene, map) || !scene->has_volume)
        return false;
    phi_operator_draw_brain(&v, (struct phi_rect){0, 0, canvas->width, canvas->height});
    return true;
}
