/* SPDX-License-Identifier: MIT */
#include "files.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

/* The `i`th parameter's path where it was given; NULL for other parameters. */
static const char *path_at(const struct phi_run_stage *stage, uint32_t i)
{
    const struct ph_param *param = &stage->type->params[i];
    const char *path;

    if (param->type != PH_PARAM_PATH)
        return NULL;
    memcpy(&path, (const char *)phi_params_values(stage->params) + param->offset, sizeof path);
    return path[0] ? path : NULL;
}

/* Puts the place of parameter `i` and its name before the message. */
static enum ph_status locate(const struct phi_run *run, const struct phi_run_stage *stage,
                             uint32_t i, struct ph_error *reterr)
{
    struct phi_run_place place = stage->places ? stage->places[i] : (struct phi_run_place){0, 0};

    if (place.line == 0)
        place = (struct phi_run_place){stage->line, stage->column};
    (void)phi_error_prefix(reterr, "%s:%d:%d: %s.%s", run->path, place.line, place.column,
                           stage->name, stage->type->params[i].name);
    reterr->status = PH_E_INVAL; /* the run file is what is wrong */
    return PH_E_INVAL;
}

static enum ph_status check_paths(const struct phi_run *run, const struct phi_run_stage *stage,
                                  uint32_t *ret_last, struct ph_error *reterr)
{
    for (uint32_t i = 0; i < stage->type->n_params; i++) {
        const char *path = path_at(stage, i);

        if (!path)
            continue;
        *ret_last = i;
        if (access(path, R_OK) != 0) {
            (void)phi_error_os(reterr, PH_E_INVAL, errno, "cannot read '%s'", path);
            return locate(run, stage, i, reterr);
        }
    }
    return PH_OK;
}

/* What a stage of this kind may meet: 3 mm volumes every 2 s, masked voxels, or latents. */
static void common_spec(uint32_t kind, struct ph_spec *ret_spec)
{
    *ret_spec = (struct ph_spec){
        .struct_size = sizeof *ret_spec,
        .kind = PH_FRAME_VOLUME,
        .dtype = PH_DTYPE_F32,
        .rank = 3,
        .dims = {32, 64, 64},
        .geometry = {.dims = {64, 64, 32},
                     .affine = {{3, 0, 0, -96}, {0, 3, 0, -96}, {0, 0, 3, -48}},
                     .tr_s = 2},
        .chain = "",
    };
    if (kind == PH_STAGE_DECODER) {
        ret_spec->kind = PH_FRAME_VECTOR;
        ret_spec->rank = 1;
        memcpy(ret_spec->dims, (const uint32_t[4]){10000}, sizeof ret_spec->dims);
    }
    if (kind == PH_STAGE_GENERATOR) {
        ret_spec->kind = PH_FRAME_LATENT;
        ret_spec->rank = 2;
        memcpy(ret_spec->dims, (const uint32_t[4]){2, 50}, sizeof ret_spec->dims);
    }
}

/* The parameter whose path the message names, else `last`. */
static uint32_t blamed(const struct phi_run_stage *stage, uint32_t last, const char *text)
{
    for (uint32_t i = 0; i < stage->type->n_params; i++) {
        const char *path = path_at(stage, i);

        if (path && strstr(text, path))
            return i;
    }
    return last;
}

static enum ph_status check_stage(const struct phi_run *run, const struct phi_run_stage *stage,
                                  struct ph_error *reterr)
{
    struct ph_spec in;
    struct ph_spec out;
    uint32_t last = UINT32_MAX;
    enum ph_status status;

    if (!stage->type || stage->type->kind == PH_STAGE_SINK)
        return PH_OK;
    status = check_paths(run, stage, &last, reterr);
    if (status != PH_OK || last == UINT32_MAX || !stage->type->ops->plan)
        return status;
    common_spec(stage->type->kind, &in);
    out = in;
    status = stage->type->ops->plan(phi_params_values(stage->params), &in, &out, reterr);
    if (status == PH_E_FORMAT || status == PH_E_IO || status == PH_E_LIMIT)
        return locate(run, stage, blamed(stage, last, reterr->text), reterr);
    return PH_OK;
}

enum ph_status files_check(const struct phi_run *run, struct ph_error *reterr)
{
    enum ph_status status = check_stage(run, &run->source, reterr);

    for (size_t i = 0; status == PH_OK && i < run->n_filters; i++)
        status = check_stage(run, &run->filters[i], reterr);
    if (status == PH_OK)
        status = check_stage(run, &run->decoder, reterr);
    for (size_t i = 0; status == PH_OK && i < run->n_generators; i++)
        status = check_stage(run, &run->generators[i], reterr);
    return status;
}
