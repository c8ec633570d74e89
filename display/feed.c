/* SPDX-License-Identifier: MIT */
#include "display/feed.h"

#include <stdio.h>

#include "base/error.h"
#include "base/str.h"

/* A warning stays on the state line this long. */
#define WARNING_NS ((int64_t)10 * 1000000000)
#define SILENT_TR  2.5

enum ph_status phi_feed_scene(const struct phi_view *view, const struct phi_scene_config *config,
                              struct phi_scene **ret_scene, struct ph_error *reterr)
{
    const struct phi_view_info *info = phi_view_info(view);
    struct phi_scene_config mine = *config;
    enum ph_status status;

    mine.geometry = info->geometry;
    mine.tr_s = info->geometry.tr_s;
    mine.stale_s = info->stale_after_s;
    if (!mine.title)
        mine.title = info->title;
    mine.max_width = mine.max_height = 1;
    for (size_t g = 0; g < info->n_generators; g++) {
        if (info->generators[g].width > mine.max_width)
            mine.max_width = info->generators[g].width;
        if (info->generators[g].height > mine.max_height)
            mine.max_height = info->generators[g].height;
    }
    status = phi_scene_create(&mine, ret_scene);
    if (status != PH_OK)
        return phi_error(reterr, status, "the display's memory cannot be had");
    /* Known from the start, so that each generator keeps its pane. */
    for (size_t g = 0; g < info->n_generators && g < PHI_SCENE_GENERATORS; g++) {
        (void)phi_str_copy((*ret_scene)->now[g].generator, sizeof(*ret_scene)->now[g].generator,
                           info->generators[g].name);
        (*ret_scene)->n_generators = (unsigned)g + 1;
    }
    return PH_OK;
}

static bool take_points(struct phi_view *view, struct phi_scene *scene)
{
    struct phi_view_point point;
    bool any = false;

    while (phi_view_next_point(view, &point)) {
        struct ph_frame frame = {.flags = point.flags,
                                 .index = point.index,
                                 .acquired_s = point.acquired_s,
                                 .quality = point.quality};

        phi_scene_add_quality(scene, &frame);
        phi_scene_add_latency(scene, point.latency_ns);
        any = true;
    }
    return any;
}

static bool take_events(struct phi_view *view, struct phi_scene *scene)
{
    struct ph_event event;
    bool any = false;

    while (phi_view_next_event(view, &event)) {
        phi_scene_add_event(scene, &event);
        any = true;
    }
    return any;
}

static bool take_lines(struct phi_view *view, struct phi_scene *scene)
{
    struct phi_view_line line;
    bool any = false;

    while (phi_view_next_line(view, &line)) {
        (void)snprintf(scene->warning, sizeof scene->warning, "%s: %.120s", line.stage, line.text);
        scene->warned_ns = scene->now_ns;
        any = true;
    }
    return any;
}

static bool take_shown(struct phi_view *view, struct phi_scene *scene)
{
    struct phi_shown *shown = phi_view_shown(view);
    const struct phi_shown_map *map;
    const struct phi_shown_curves *curves;
    bool any = false;

    for (size_t i = 0; i < PHI_SHOWN_MAPS; i++)
        if (phi_shown_map(shown, i, &map)) {
            phi_scene_set_map(scene, i, map);
            any = true;
        }
    for (size_t i = 0; i < PHI_SHOWN_CURVES; i++)
        if (phi_shown_curves(shown, i, &curves)) {
            phi_scene_set_curves(scene, i, curves);
            any = true;
        }
    return any;
}

static bool take_latent(struct phi_view *view, struct phi_scene *scene)
{
    const struct ph_frame *latent;
    bool any = false;
    size_t newest;

    if ((!scene->config.axes && !scene->config.truth) || !phi_view_newest_slot(view, &newest))
        return false;
    for (size_t slot = 0; slot < PHI_VIEW_SLOTS; slot++) {
        if (!phi_view_latent(view, slot, &latent) || !latent)
            continue;
        any = true;
        phi_scene_calibrate(scene, latent);
        if (slot == newest)
            phi_scene_set_latent(scene, latent);
    }
    return any;
}

static bool take_pictures(struct phi_view *view, struct phi_scene *scene, size_t g)
{
    const struct ph_frame *frame;
    bool any = false;
    size_t newest;

    for (size_t slot = 0; slot < PHI_VIEW_SLOTS; slot++)
        if (phi_view_picture(view, g, slot, &frame) && frame) {
            any = true;
            if (g == 0)
                phi_scene_add_tile(scene, frame, scene->now_ns);
            if (phi_view_newest_slot(view, &newest) && newest == slot)
                phi_scene_set_now(scene, frame, scene->now_ns);
        }
    if (phi_view_moving(view, g, &frame) && frame) {
        phi_scene_set_now(scene, frame, scene->now_ns);
        any = true;
    }
    return any;
}

/* The state line's warning: the newest log line for a while, or that the scanner is silent. */
static void judge_state(const struct phi_view_status *status, struct phi_scene *scene)
{
    double silent_s = (double)(status->now_ns - status->newest_received_ns) * 1e-9;

    if (scene->warning[0] && status->now_ns - scene->warned_ns > WARNING_NS)
        scene->warning[0] = '\0';
    if (status->state == PHI_VIEW_RUNNING && status->newest_received_ns > 0 &&
        silent_s > SILENT_TR * scene->config.tr_s && scene->config.tr_s > 0) {
        (void)snprintf(scene->warning, sizeof scene->warning, "scanner silent for %.0f s",
                       silent_s);
        scene->warned_ns = status->now_ns - WARNING_NS; /* gone with the next volume */
    }
}

bool phi_feed_update(struct phi_view *view, struct phi_scene *scene)
{
    const struct ph_frame *volume;
    struct phi_view_status status;
    bool any = false;

    phi_view_status(view, &status);
    scene->now_ns = status.now_ns;
    scene->stats = status.stats;
    scene->stats.state = (uint32_t)status.state;
    any |= take_events(view, scene);
    any |= take_points(view, scene);
    any |= take_lines(view, scene);
    if (phi_view_volume(view, &volume) && volume) {
        phi_scene_add_volume(scene, volume);
        any = true;
    }
    any |= take_shown(view, scene);
    any |= take_latent(view, scene);
    for (size_t g = 0; g < phi_view_info(view)->n_generators && g < PHI_SCENE_GENERATORS; g++)
        any |= take_pictures(view, scene, g);
    judge_state(&status, scene);
    return any;
}
