/* SPDX-License-Identifier: MIT */
#include "plugins/filter/glm/maps.h"

#include <ctype.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "io/file.h"
#include "io/nifti_write.h"

enum ph_status glm_maps_split(const char *text, struct glm_maps *ret_maps, struct ph_error *reterr)
{
    char *rest = ret_maps->text;
    char *item;

    ret_maps->n = 0;
    if (!phi_str_copy(ret_maps->text, sizeof ret_maps->text, text))
        return phi_error(reterr, PH_E_LIMIT, "maps: longer than %zu characters",
                         sizeof ret_maps->text - 1);
    while ((item = strsep(&rest, ";"))) {
        item += strspn(item, " ");
        for (size_t n = strlen(item); n > 0 && item[n - 1] == ' '; n--)
            item[n - 1] = '\0';
        if (!item[0])
            continue;
        if (ret_maps->n == GLM_MAX_MAPS)
            return phi_error(reterr, PH_E_LIMIT, "maps: more than %d contrasts", GLM_MAX_MAPS);
        ret_maps->contrast[ret_maps->n++] = item;
    }
    return PH_OK;
}

static size_t n_grid(const struct glm_maps *maps)
{
    const uint32_t *dims = maps->geometry.dims;

    return (size_t)dims[0] * dims[1] * dims[2];
}

enum ph_status glm_maps_open(struct glm_maps *maps, const struct ph_spec *in,
                             const struct ph_host *host, struct ph_error *reterr)
{
    bool whole = in->kind == PH_FRAME_VOLUME;
    bool ok = true;

    maps->geometry = in->geometry;
    for (size_t k = 0; k < maps->n && ok; k++) {
        maps->volume[k] = host->alloc(host->self, n_grid(maps), sizeof(float));
        maps->vector[k] =
            whole ? maps->volume[k] : host->alloc(host->self, in->dims[0], sizeof(float));
        ok = maps->volume[k] && maps->vector[k];
    }
    return ok ? PH_OK : phi_error_nomem(reterr, "t maps", n_grid(maps) * sizeof(float));
}

/* Frame values to a volume; voxels outside the mask are 0. */
static void scatter(const float *vector, const uint32_t *voxels, size_t n, float *volume)
{
    for (size_t i = 0; i < n; i++)
        volume[voxels[i]] = vector[i];
}

static void tell_unknown(struct glm_maps *maps, const struct ph_host *host)
{
    if (!maps->told)
        host->log(host->self, PH_LOG_WARNING, "glm.maps",
                  "no filter before glm says where its voxels are: maps cannot be shown");
    maps->told = true;
}

void glm_maps_show(struct glm_maps *maps, const struct ph_frame *frame, double threshold,
                   const struct ph_host *host)
{
    bool whole = frame->kind == PH_FRAME_VOLUME;
    const uint32_t *voxels = NULL;
    size_t n = whole || maps->n == 0 ? 0 : host->voxels(host->self, frame->layout, &voxels);
    const uint32_t *dims = maps->geometry.dims;
    char title[64];

    if (maps->n > 0 && !whole && n != ph_frame_count(frame)) {
        tell_unknown(maps, host);
        return;
    }
    for (size_t k = 0; k < maps->n; k++) {
        struct phi_str text = phi_str_over(title, sizeof title);

        if (!whole)
            scatter(maps->vector[k], voxels, n, maps->volume[k]);
        phi_str_addf(&text, "t, %s", maps->contrast[k]);
        host->show_map(host->self, &(struct ph_map){.struct_size = (uint32_t)sizeof(struct ph_map),
                                                    .threshold = (float)threshold,
                                                    .title = title,
                                                    .values = maps->volume[k],
                                                    .dims = {dims[0], dims[1], dims[2]}});
        maps->has_values = true;
    }
}

/* A contrast as a BIDS label: letters and digits. */
static void label_of(const char *contrast, struct phi_str *label)
{
    for (const char *c = contrast; *c; c++)
        if (isalnum((unsigned char)*c))
            phi_str_addf(label, "%c", *c);
        else if (*c == '-')
            phi_str_addf(label, "Minus");
        else if (*c == '+')
            phi_str_addf(label, "Plus");
}

static enum ph_status write_map(const struct glm_maps *maps, size_t k, const char *dir,
                                struct ph_error *reterr)
{
    const struct ph_geometry *g = &maps->geometry;
    struct phi_nifti_info info = {.type = PHI_NIFTI_FLOAT32,
                                  .n_x = g->dims[0],
                                  .n_y = g->dims[1],
                                  .n_z = g->dims[2],
                                  .n_volumes = 1,
                                  .slope = 1};
    struct phi_str text = phi_str_over(info.description, sizeof info.description);
    char name[320], path[PHI_PATH_MAX];
    struct phi_str file = phi_str_over(name, sizeof name);

    for (int i = 0; i < 3; i++)
        info.voxel_mm[i] = ph_geometry_voxel_mm(g, i);
    memcpy(info.affine, g->affine, sizeof info.affine);
    phi_str_addf(&text, "t, %.60s", maps->contrast[k]);
    phi_str_addf(&file, "contrast-");
    label_of(maps->contrast[k], &file);
    phi_str_addf(&file, "_stat-t_statmap.nii.gz");
    if (!phi_path_join(path, sizeof path, dir, name))
        return phi_error(reterr, PH_E_LIMIT, "the path '%.60s...' is too long", dir);
    return phi_nifti_write_float32(path, &info, maps->volume[k], reterr);
}

enum ph_status glm_maps_write(const struct glm_maps *maps, const struct ph_host *host,
                              struct ph_error *reterr)
{
    char dir[PHI_PATH_MAX];
    enum ph_status status;

    if (!maps->has_values || !host->run_dir[0])
        return PH_OK;
    if (!phi_path_join(dir, sizeof dir, host->run_dir, "maps"))
        return phi_error(reterr, PH_E_LIMIT, "the path '%.60s...' is too long", host->run_dir);
    status = phi_dir_make(dir, reterr);
    for (size_t k = 0; k < maps->n && status == PH_OK; k++)
        status = write_map(maps, k, dir, reterr);
    return status;
}
