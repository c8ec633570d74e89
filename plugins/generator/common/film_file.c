/* SPDX-License-Identifier: MIT */
#include "plugins/generator/common/film_file.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "io/file.h"

#define EARLY_S 5e-4

static enum ph_status read_film(struct phi_film *film, struct ph_error *reterr)
{
    const size_t shape[4] = {0, 0, 0, 3}, one[1] = {0};
    const struct phi_safetensors_tensor *images, *clips;
    int64_t version;
    enum ph_status status = phi_safetensors_expect_kind(film->file, "stimuli", 1, &version, reterr);

    if (status == PH_OK)
        status = phi_safetensors_expect(film->file, "images", 4, shape, &images, reterr);
    if (status)
        return status;
    if (images->dtype != PHI_SAFETENSORS_U8 || images->n_values == 0)
        return phi_error(reterr, PH_E_FORMAT, "%s: images are not 8-bit, or none",
                         phi_safetensors_path(film->file));
    film->n = images->shape[0];
    film->h = images->shape[1];
    film->w = images->shape[2];
    film->pixels = images->data;
    clips = phi_safetensors_find(film->file, "clip");
    if (!clips)
        return PH_OK;
    status = phi_safetensors_expect(film->file, "clip", 1, one, &clips, reterr);
    if (status)
        return status;
    if (clips->dtype != PHI_SAFETENSORS_I32 || clips->shape[0] != film->n)
        return phi_error(reterr, PH_E_FORMAT, "%s: clip is not one I32 a frame",
                         phi_safetensors_path(film->file));
    film->clips = clips->data;
    return PH_OK;
}

enum ph_status phi_film_open(const char *path, struct phi_film *ret_film, struct ph_error *reterr)
{
    struct phi_film film = {0};
    char file[PHI_PATH_MAX];
    bool is_folder =
        phi_path_join(file, sizeof file, path, "stimuli.safetensors") && phi_path_exists(file);
    enum ph_status status = phi_safetensors_open(is_folder ? file : path, &film.file, reterr);

    if (status == PH_OK)
        status = read_film(&film, reterr);
    if (status)
        phi_film_close(&film);
    else
        *ret_film = film;
    return status;
}

void phi_film_close(struct phi_film *film)
{
    phi_safetensors_close(&film->file);
    memset(film, 0, sizeof *film);
}

void phi_film_planes(const struct phi_film *film, size_t i, float *ret)
{
    size_t n = film->h * film->w;
    const uint8_t *from = film->pixels + i * n * 3;

    for (size_t k = 0; k < n; k++)
        for (size_t c = 0; c < 3; c++)
            ret[c * n + k] = (float)from[3 * k + c] / 255.0f;
}

static int32_t clip_of(const struct phi_film *film, size_t i)
{
    int32_t clip = 0;

    if (film->clips) /* not aligned in the file */
        memcpy(&clip, (const char *)film->clips + i * sizeof clip, sizeof clip);
    return clip;
}

bool phi_film_cut(const struct phi_film *film, size_t i)
{
    return i == 0 || clip_of(film, i) != clip_of(film, i - 1);
}

void phi_film_clock_add(struct phi_film_clock *clock, const struct ph_event *event)
{
    size_t n = clock->n_known < PHI_FILM_SHOWINGS ? clock->n_known : PHI_FILM_SHOWINGS;
    size_t at = 0;

    if (event->stim_index < 0 || !(event->duration_s > 0) || !isfinite(event->onset_s))
        return;
    while (at < n && fabs(clock->showings[at].onset_s - event->onset_s) > EARLY_S)
        at++;
    if (at == n)
        at = clock->n_known++ % PHI_FILM_SHOWINGS;
    clock->showings[at] =
        (struct phi_film_showing){event->onset_s, event->duration_s, (size_t)event->stim_index};
}

int64_t phi_film_clock_frame(const struct phi_film_clock *clock, double time_s)
{
    size_t n = clock->n_known < PHI_FILM_SHOWINGS ? clock->n_known : PHI_FILM_SHOWINGS;
    const struct phi_film_showing *best = NULL;

    for (size_t i = 0; i < n; i++) {
        const struct phi_film_showing *s = &clock->showings[i];
        double since = time_s + EARLY_S - s->onset_s;

        if (since >= 0 && since < s->duration_s && (!best || s->onset_s > best->onset_s))
            best = s;
    }
    if (!best)
        return -1;
    return (int64_t)best->first + (int64_t)floor((time_s + EARLY_S - best->onset_s) * clock->fps);
}
