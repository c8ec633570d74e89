/* SPDX-License-Identifier: MIT */
#include "io/sidecar.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/file.h"

#define MAX_TR_S 3600.0

static enum ph_status take_tr(const json_t *value, const char *name, struct phi_sidecar *sidecar,
                              struct ph_error *reterr)
{
    if (!value)
        return PH_OK;
    sidecar->tr_s = json_number_value(value);
    if (!json_is_number(value) || !(sidecar->tr_s > 0 && sidecar->tr_s <= MAX_TR_S))
        return phi_error(reterr, PH_E_FORMAT,
                         "%s: field RepetitionTime is no number of seconds in (0, %g]", name,
                         MAX_TR_S);
    return PH_OK;
}

static enum ph_status take_slices(const json_t *value, const char *name,
                                  struct phi_sidecar *sidecar, struct ph_error *reterr)
{
    if (!value)
        return PH_OK;
    if (!json_is_array(value) || json_array_size(value) > PHI_SIDECAR_MAX_SLICES)
        return phi_error(reterr, PH_E_FORMAT,
                         "%s: field SliceTiming is no list of at most %d numbers", name,
                         PHI_SIDECAR_MAX_SLICES);
    sidecar->n_slices = (uint32_t)json_array_size(value);
    for (uint32_t i = 0; i < sidecar->n_slices; i++) {
        const json_t *item = json_array_get(value, i);

        sidecar->slice_timing_s[i] = json_number_value(item);
        if (!json_is_number(item) ||
            !(sidecar->slice_timing_s[i] >= 0 && sidecar->slice_timing_s[i] <= MAX_TR_S))
            return phi_error(reterr, PH_E_FORMAT, "%s: field SliceTiming[%u] is no time in seconds",
                             name, i);
    }
    return PH_OK;
}

static enum ph_status take_task(const json_t *value, const char *name, struct phi_sidecar *sidecar,
                                struct ph_error *reterr)
{
    if (!value)
        return PH_OK;
    if (!json_is_string(value))
        return phi_error(reterr, PH_E_FORMAT, "%s: field TaskName is no text", name);
    (void)phi_str_copy(sidecar->task_name, sizeof sidecar->task_name, json_string_value(value));
    return PH_OK;
}

enum ph_status phi_sidecar_parse(const char *text, size_t n_bytes, const char *name,
                                 struct phi_sidecar *ret_sidecar, struct ph_error *reterr)
{
    struct phi_sidecar sidecar = {0};
    json_error_t why;
    json_t *root = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &why);
    enum ph_status status;

    if (!root)
        return phi_error(reterr, PH_E_FORMAT, "%s: line %d, column %d: %s", name, why.line,
                         why.column, why.text);
    if (!json_is_object(root))
        status = phi_error(reterr, PH_E_FORMAT, "%s: no JSON object", name);
    else if (!(status = take_tr(json_object_get(root, "RepetitionTime"), name, &sidecar, reterr)) &&
             !(status = take_slices(json_object_get(root, "SliceTiming"), name, &sidecar, reterr)))
        status = take_task(json_object_get(root, "TaskName"), name, &sidecar, reterr);
    json_decref(root);
    if (!status)
        *ret_sidecar = sidecar;
    return status;
}

enum ph_status phi_sidecar_read(const char *path, struct phi_sidecar *ret_sidecar,
                                struct ph_error *reterr)
{
    unsigned char *bytes;
    size_t n_bytes;
    enum ph_status status = phi_file_read(path, PHI_SIDECAR_MAX_BYTES, &bytes, &n_bytes, reterr);

    if (status)
        return status;
    status = phi_sidecar_parse((const char *)bytes, n_bytes, path, ret_sidecar, reterr);
    phi_free(bytes);
    return status;
}

enum ph_status phi_sidecar_read_beside(const char *image_path, struct phi_sidecar *ret_sidecar,
                                       struct ph_error *reterr)
{
    static const char *const endings[] = {".nii.gz", ".nii", ".hdr.gz", ".img.gz", ".hdr", ".img"};
    char path[PHI_PATH_MAX];

    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (!phi_str_ends(image_path, endings[i]))
            continue;
        if (snprintf(path, sizeof path, "%.*s.json", (int)(strlen(image_path) - strlen(endings[i])),
                     image_path) < (int)sizeof path &&
            phi_path_exists(path))
            return phi_sidecar_read(path, ret_sidecar, reterr);
        break;
    }
    *ret_sidecar = (struct phi_sidecar){0};
    return PH_OK;
}

static json_t *slices_to_json(const struct phi_sidecar *sidecar)
{
    json_t *list = json_array();

    for (uint32_t i = 0; list && i < sidecar->n_slices; i++)
        (void)json_array_append_new(list, json_real(sidecar->slice_timing_s[i]));
    return list;
}

enum ph_status phi_sidecar_write(const char *path, const struct phi_sidecar *sidecar,
                                 struct ph_error *reterr)
{
    json_t *root = json_object();
    char *text = NULL;
    enum ph_status status;

    if (root && sidecar->task_name[0])
        (void)json_object_set_new(root, "TaskName", json_string(sidecar->task_name));
    if (root && sidecar->tr_s > 0)
        (void)json_object_set_new(root, "RepetitionTime", json_real(sidecar->tr_s));
    if (root && sidecar->n_slices > 0)
        (void)json_object_set_new(root, "SliceTiming", slices_to_json(sidecar));
    if (root)
        text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(root);
    if (!text)
        return phi_error_nomem(reterr, "a sidecar", sizeof *sidecar);
    status = phi_file_write(path, text, strlen(text), reterr);
    free(text);
    return status;
}
