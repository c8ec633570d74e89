/* SPDX-License-Identifier: MIT */
#include "display/scene.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "display/mosaic.h"

static size_t n_voxels(const struct phi_scene *scene)
{
    const uint32_t *dims = scene->config.geometry.dims;

    return (size_t)dims[0] * dims[1] * dims[2];
}

static enum ph_status take_pictures(struct phi_scene *scene)
{
    size_t side = (size_t)scene->config.max_width * scene->config.max_height;

    for (unsigned i = 0; i < PHI_SCENE_GENERATORS; i++) {
        scene->now[i].rgb = phi_calloc2(side, 3, 1);
        if (!scene->now[i].rgb)
            return PH_E_NOMEM;
    }
    for (unsigned i = 0; i < PHI_SCENE_TILES; i++) {
        scene->tiles[i].picture.rgb = phi_calloc2(side, 3, 1);
        if (!scene->tiles[i].picture.rgb)
            return PH_E_NOMEM;
    }
    scene->volume = phi_calloc(n_voxels(scene), sizeof(float));
    for (unsigned i = 0; i < PHI_SHOWN_MAPS; i++) {
        scene->maps[i].values = phi_calloc(n_voxels(scene), sizeof(float));
        if (!scene->maps[i].values)
            return PH_E_NOMEM;
    }
    return scene->volume ? PH_OK : PH_E_NOMEM;
}

enum ph_status phi_scene_create(const struct phi_scene_config *config, struct phi_scene **ret_scene)
{
    struct phi_scene *scene;
    enum ph_status status;

    if (config->max_width > 4096 || config->max_height > 4096)
        return PH_E_LIMIT;
    scene = phi_calloc(1, sizeof *scene);
    if (!scene)
        return PH_E_NOMEM;
    scene->config = *config;
    scene->newest_trial = PH_NO_TRIAL;
    if (!(scene->config.stale_s > 0))
        scene->config.stale_s = 2 * config->tr_s;
    status = take_pictures(scene);
    if (status == PH_OK && config->truth)
        status = phi_calibration_create(config->truth, &scene->calibration);
    if (status != PH_OK) {
        phi_scene_destroy(&scene);
        return status;
    }
    *ret_scene = scene;
    return PH_OK;
}

void phi_scene_destroy(struct phi_scene **scene)
{
    if (!scene || !*scene)
        return;
    for (unsigned i = 0; i < PHI_SCENE_GENERATORS; i++)
        phi_free((*scene)->now[i].rgb);
    for (unsigned i = 0; i < PHI_SCENE_TILES; i++)
        phi_free((*scene)->tiles[i].picture.rgb);
    phi_free((*scene)->volume);
    for (unsigned i = 0; i < PHI_SHOWN_MAPS; i++)
        phi_free((*scene)->maps[i].values);
    phi_calibration_destroy(&(*scene)->calibration);
    phi_free(*scene);
    *scene = NULL;
}

static void add_mark(struct phi_scene *scene, double at_s, double duration_s,
                     enum phi_mark_kind kind)
{
    scene->marks[scene->n_marks % PHI_SCENE_MARKS] = (struct phi_mark){at_s, duration_s, kind};
    scene->n_marks++;
}

void phi_scene_add_volume(struct phi_scene *scene, const struct ph_frame *frame)
{
    const uint32_t *dims = scene->config.geometry.dims;

    if (frame->flags & (uint32_t)PH_FLAG_GAP)
        return;
    if (frame->kind != PH_FRAME_VOLUME || frame->dims[0] != dims[2] || frame->dims[1] != dims[1] ||
        frame->dims[2] != dims[0])
        return;
    memcpy(scene->volume, frame->data, n_voxels(scene) * sizeof(float));
    if (!scene->has_volume) /* one grey scale for the whole run, so that drops are seen */
        phi_mosaic_range(scene->volume, n_voxels(scene), &scene->grey_low, &scene->grey_high);
    scene->has_volume = true;
}

void phi_scene_add_quality(struct phi_scene *scene, const struct ph_frame *frame)
{
    const struct ph_quality *q = &frame->quality;
    bool missing = (frame->flags & (uint32_t)PH_FLAG_GAP) != 0;
    bool censored = (frame->flags & (uint32_t)(PH_FLAG_CENSORED | PH_FLAG_INVALID)) != 0;

    for (int i = 0; i < 3; i++) {
        phi_history_add(&scene->motion_mm[i], missing ? NAN : q->motion[i]);
        phi_history_add(&scene->motion_deg[i], missing ? NAN : q->motion[3 + i] * 57.29578f);
    }
    phi_history_add(&scene->fd, missing ? NAN : q->fd_mm);
    phi_history_add(&scene->std_dvars, missing ? NAN : q->std_dvars);
    phi_history_add(&scene->tsnr, missing ? NAN : q->tsnr);
    phi_history_add(&scene->global_signal, missing ? NAN : q->global_signal);
    phi_history_add(&scene->dvars, missing ? NAN : q->dvars);
    phi_history_add(&scene->outlier_percent, missing ? NAN : q->outlier_fraction * 100);
    phi_history_add(&scene->gcor, missing ? NAN : q->gcor);
    phi_history_add(&scene->drift, missing ? NAN : q->drift_percent);
    phi_history_add(&scene->spikes, missing ? NAN : q->n_spikes);
    if (!missing)
        scene->quality = *q;
    scene->n_volumes++;
    scene->n_missing += missing;
    scene->n_censored += censored && !missing;
    scene->clock_s = frame->acquired_s + scene->config.tr_s;
    add_mark(scene, frame->acquired_s, scene->config.tr_s,
             missing    ? PHI_MARK_MISSING
             : censored ? PHI_MARK_CENSORED
                        : PHI_MARK_VOLUME);
}

void phi_scene_add_latency(struct phi_scene *scene, int64_t latency_ns)
{
    phi_history_add(&scene->latency_ms, (float)((double)latency_ns * 1e-6));
}

static struct phi_tile *tile_for(struct phi_scene *scene, uint32_t trial)
{
    struct phi_tile *tile = &scene->tiles[trial % PHI_SCENE_TILES];

    if (tile->used && tile->trial > trial)
        return NULL; /* a later trial has taken its place */
    if (!tile->used || tile->trial != trial) {
        uint8_t *rgb = tile->picture.rgb;

        memset(tile, 0, sizeof *tile);
        tile->picture.rgb = rgb;
        tile->used = true;
        tile->trial = trial;
        tile->stim_index = -1;
        if (scene->newest_trial == PH_NO_TRIAL || trial > scene->newest_trial)
            scene->newest_trial = trial;
    }
    return tile;
}

void phi_scene_add_event(struct phi_scene *scene, const struct ph_event *event)
{
    struct phi_tile *tile;

    scene->n_events++;
    scene->newest_event = *event;
    scene->has_event = true;
    add_mark(scene, event->onset_s, event->duration_s, PHI_MARK_EVENT);
    if (event->number == PH_NO_TRIAL)
        return;
    tile = tile_for(scene, event->number);
    if (!tile)
        return;
    tile->onset_s = event->onset_s;
    tile->duration_s = event->duration_s;
    tile->stim_index = event->stim_index;
    (void)phi_str_copy(tile->label, sizeof tile->label, event->trial_type);
}

static bool fill_picture(struct phi_scene *scene, struct phi_picture *picture,
                         const struct ph_frame *image, int64_t shown_ns)
{
    if (image->kind != PH_FRAME_IMAGE || image->rank != 3 || image->dims[2] != 3 ||
        image->dims[0] > scene->config.max_height || image->dims[1] > scene->config.max_width)
        return false;
    memcpy(picture->rgb, image->data, (size_t)image->dims[0] * image->dims[1] * 3);
    picture->height = image->dims[0];
    picture->width = image->dims[1];
    picture->flags = image->flags;
    picture->latent = image->u.image.latent;
    picture->shown_ns = shown_ns;
    (void)phi_str_copy(picture->generator, sizeof picture->generator, image->u.image.generator);
    return true;
}

static unsigned generator_number(struct phi_scene *scene, const char *name)
{
    unsigned i = 0;

    while (i < scene->n_generators && strcmp(scene->now[i].generator, name) != 0)
        i++;
    if (i == scene->n_generators && i < PHI_SCENE_GENERATORS) {
        (void)phi_str_copy(scene->now[i].generator, sizeof scene->now[i].generator, name);
        scene->n_generators++;
    }
    return i;
}

/* The tile of the event that was on at `at_s`, or NULL. */
static struct phi_tile *tile_at(struct phi_scene *scene, double at_s)
{
    for (size_t i = 0; i < PHI_SCENE_TILES; i++) {
        struct phi_tile *tile = &scene->tiles[i];

        if (tile->used && at_s >= tile->onset_s && at_s < tile->onset_s + tile->duration_s)
            return tile;
    }
    return NULL;
}

static void add_moment(struct phi_scene *scene, const struct ph_frame *image, int64_t shown_ns)
{
    double at_s = image->u.image.latent.stimulus_s;
    struct phi_tile *tile = tile_at(scene, at_s);

    if (tile && (tile->picture.width == 0 || at_s <= tile->picture.latent.stimulus_s))
        (void)fill_picture(scene, &tile->picture, image, shown_ns);
}

void phi_scene_add_tile(struct phi_scene *scene, const struct ph_frame *image, int64_t shown_ns)
{
    struct phi_tile *tile;

    if (generator_number(scene, image->u.image.generator) != 0)
        return; /* the strip shows the first generator */
    if (image->u.image.latent.trial == PH_NO_TRIAL) {
        add_moment(scene, image, shown_ns);
        return;
    }
    tile = tile_for(scene, image->u.image.latent.trial);
    if (!tile ||
        (tile->picture.width > 0 && tile->picture.latent.revision > image->u.image.latent.revision))
        return;
    tile->onset_s = image->u.image.latent.stimulus_s;
    tile->stim_index = image->u.image.latent.stim_index;
    (void)fill_picture(scene, &tile->picture, image, shown_ns);
}

void phi_scene_set_now(struct phi_scene *scene, const struct ph_frame *image, int64_t shown_ns)
{
    unsigned i = generator_number(scene, image->u.image.generator);

    if (i < PHI_SCENE_GENERATORS)
        (void)fill_picture(scene, &scene->now[i], image, shown_ns);
}

void phi_scene_set_latent(struct phi_scene *scene, const struct ph_frame *latent)
{
    const struct phi_panel *axes = scene->config.axes;

    if (!axes || latent->kind != PH_FRAME_LATENT || latent->rank != 2 || latent->dims[0] < 2 ||
        latent->dims[1] != axes->p)
        return;
    phi_panel_measure(axes, latent->data, &scene->along);
    scene->stated = latent->u.latent;
    scene->has_along = true;
}

void phi_scene_calibrate(struct phi_scene *scene, const struct ph_frame *latent)
{
    if (scene->calibration && phi_calibration_add(scene->calibration, latent))
        phi_calibration_curves(scene->calibration, &scene->calibrated);
}

/* Where the strongest value stands. */
static void find_peak(const struct phi_scene *scene, struct phi_scene_map *map)
{
    const uint32_t *dims = scene->config.geometry.dims;
    size_t at = 0;

    map->most = 0;
    for (size_t i = 0; i < n_voxels(scene); i++)
        if (isfinite(map->values[i]) && fabsf(map->values[i]) > map->most) {
            map->most = fabsf(map->values[i]);
            at = i;
        }
    map->peak[0] = (uint32_t)(at % dims[0]);
    map->peak[1] = (uint32_t)(at / dims[0] % dims[1]);
    map->peak[2] = (uint32_t)(at / dims[0] / dims[1]);
}

void phi_scene_set_map(struct phi_scene *scene, size_t slot, const struct phi_shown_map *map)
{
    struct phi_scene_map *mine = &scene->maps[slot % PHI_SHOWN_MAPS];

    mine->known = true;
    mine->threshold = map->threshold;
    (void)phi_str_copy(mine->title, sizeof mine->title, map->title);
    memcpy(mine->values, map->values, n_voxels(scene) * sizeof(float));
    find_peak(scene, mine);
}

void phi_scene_set_curves(struct phi_scene *scene, size_t slot,
                          const struct phi_shown_curves *curves)
{
    scene->curves[slot % PHI_SHOWN_CURVES] = *curves;
}

const struct phi_tile *phi_scene_tile(const struct phi_scene *scene, uint32_t trial)
{
    const struct phi_tile *tile = &scene->tiles[trial % PHI_SCENE_TILES];

    return tile->used && tile->trial == trial ? tile : NULL;
}

bool phi_scene_stale(const struct phi_scene *scene, const struct phi_picture *picture)
{
    double age = scene->clock_s - (picture->latent.stimulus_s + picture->latent.lag_s);

    return picture->width > 0 && age > scene->config.stale_s;
}
