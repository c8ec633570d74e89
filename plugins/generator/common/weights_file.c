/* SPDX-License-Identifier: MIT */
#include "plugins/generator/common/weights_file.h"

#include "base/error.h"
#include "base/str.h"

static enum ph_status read_one(struct phi_weights *weights, const struct phi_safetensors *file,
                               const struct phi_safetensors_tensor *tensor, struct ph_error *reterr)
{
    struct phi_param *param;
    enum ph_status status;

    if (tensor->n_dims < 1 || tensor->n_dims > PHI_MAX_DIMS)
        return phi_error(reterr, PH_E_SHAPE, "%s: '%s' has %zu dimensions",
                         phi_safetensors_path(file), tensor->name, tensor->n_dims);
    status = phi_weights_add(weights, tensor->name, phi_shape_of(tensor->n_dims, tensor->shape),
                             &param, reterr);
    if (status == PH_OK)
        status =
            phi_safetensors_read_f32(file, tensor, tensor->n_values, param->value.data, reterr);
    return status;
}

enum ph_status phi_weights_read(struct phi_weights *weights, const struct phi_safetensors *file,
                                const char *prefix, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;
    size_t n = 0;

    for (size_t i = 0; status == PH_OK && i < phi_safetensors_count(file); i++) {
        const struct phi_safetensors_tensor *tensor = phi_safetensors_at(file, i);

        if (!phi_str_starts(tensor->name, prefix))
            continue;
        status = read_one(weights, file, tensor, reterr);
        n++;
    }
    if (status == PH_OK && n == 0)
        return phi_error(reterr, PH_E_FORMAT, "%s: there is no tensor '%s...'",
                         phi_safetensors_path(file), prefix);
    if (status == PH_OK) {
        status = phi_weights_check_finite(weights, reterr);
        if (status != PH_OK)
            (void)phi_error_prefix(reterr, "%s", phi_safetensors_path(file));
    }
    return status;
}

enum ph_status phi_weights_load(struct phi_weights *weights, const char *path, const char *prefix,
                                struct ph_error *reterr)
{
    struct phi_safetensors *file = NULL;
    enum ph_status status = phi_safetensors_open(path, &file, reterr);

    if (status == PH_OK)
        status = phi_weights_read(weights, file, prefix, reterr);
    phi_safetensors_close(&file);
    return status;
}
