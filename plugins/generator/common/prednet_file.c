/* SPDX-License-Identifier: MIT */
#include "plugins/generator/common/prednet_file.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "plugins/generator/common/weights_file.h"

#define MAX_WIDTH 65536
#define MAX_SIDE  16384

/* "3,48,96,192" */
static enum ph_status read_stack(const struct phi_safetensors *file,
                                 struct phi_prednet_config *config, struct ph_error *reterr)
{
    const char *at = phi_safetensors_metadata(file, "prednet.stack");
    int used = 0;

    while (at && *at && config->n_layers < PHI_PREDNET_LAYERS) {
        size_t width;

        if (sscanf(at, "%zu%n", &width, &used) != 1 || width < 1 || width > MAX_WIDTH)
            break;
        config->channels[config->n_layers++] = width;
        at += used;
        at += *at == ',';
    }
    if (!at || *at || config->n_layers == 0 || config->channels[0] != 3)
        return phi_error(reterr, PH_E_FORMAT,
                         "%s: prednet.stack is not a list of widths that begins with 3",
                         phi_safetensors_path(file));
    return PH_OK;
}

static void read_picture(const struct phi_safetensors *file, struct phi_prednet_config *config)
{
    const char *text = phi_safetensors_metadata(file, "picture");
    size_t h, w;

    if (text && sscanf(text, "3x%zux%zu", &h, &w) == 2 && h <= MAX_SIDE && w <= MAX_SIDE) {
        config->h = h;
        config->w = w;
    }
}

enum ph_status phi_prednet_file_config(const char *path, struct phi_prednet_config *ret_config,
                                       struct ph_error *reterr)
{
    struct phi_prednet_config config = {.batch = 1};
    struct phi_safetensors *file = NULL;
    int64_t version;
    enum ph_status status = phi_safetensors_open(path, &file, reterr);

    if (status == PH_OK)
        status = phi_safetensors_expect_kind(file, "prednet", 1, &version, reterr);
    if (status == PH_OK)
        status = read_stack(file, &config, reterr);
    if (status == PH_OK) {
        read_picture(file, &config);
        *ret_config = config;
    }
    phi_safetensors_close(&file);
    return status;
}

enum ph_status phi_prednet_file_open(const char *path, const struct phi_prednet_config *config,
                                     const struct phi_prednet_live_options *options,
                                     struct phi_prednet_live **ret_live, struct ph_error *reterr)
{
    struct phi_weights *weights = NULL;
    enum ph_status status;

    if (phi_weights_create(&weights) != PH_OK)
        return phi_error_nomem(reterr, "weights", 0);
    status = phi_weights_load(weights, path, "prednet.", reterr);
    if (status == PH_OK) {
        status = phi_prednet_live_create(weights, config, options, ret_live, reterr);
        if (status != PH_OK)
            (void)phi_error_prefix(reterr, "%s", path);
    }
    phi_weights_destroy(&weights);
    return status;
}

size_t phi_prednet_r_size(const struct phi_prednet_config *config, int layer)
{
    struct phi_shape shape;

    if (layer < 0 || layer >= config->n_layers)
        return 0;
    shape = phi_prednet_shape(config, layer);
    return phi_shape_count(&shape);
}
