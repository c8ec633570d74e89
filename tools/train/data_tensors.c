/* SPDX-License-Identifier: MIT
 *
 * Pictures from an array of a safetensors file: uint8, or float in 0..1.
 */
#include <string.h>

#include "base/error.h"
#include "io/safetensors.h"
#include "train/data.h"

/* Strides of channel, row and column in a picture; false for a shape that is none of ours. */
static bool find_layout(const struct phi_safetensors_tensor *tensor, size_t side, size_t stride[3])
{
    const size_t *shape = tensor->shape;

    if (tensor->n_dims != 4)
        return false;
    if (shape[1] == 3 && shape[2] == side && shape[3] == side) {
        stride[0] = side * side;
        stride[1] = side;
        stride[2] = 1;
        return true;
    }
    if (shape[3] == 3 && shape[1] == side && shape[2] == side) {
        stride[0] = 1;
        stride[1] = 3 * side;
        stride[2] = 3;
        return true;
    }
    return false;
}

static uint8_t value_at(const struct phi_safetensors_tensor *tensor, size_t i)
{
    float value;

    if (tensor->dtype == PHI_SAFETENSORS_U8)
        return ((const uint8_t *)tensor->data)[i];
    memcpy(&value, (const uint8_t *)tensor->data + i * sizeof value, sizeof value);
    return (uint8_t)(value <= 0 ? 0 : value >= 1 ? 255 : value * 255.0f + 0.5f);
}

static void copy_pictures(struct train_data *data, const struct phi_safetensors_tensor *tensor,
                          const size_t stride[3])
{
    size_t size = data->side * data->side * 3;

    for (size_t i = 0; i < data->n; i++)
        for (size_t y = 0; y < data->side; y++)
            for (size_t x = 0; x < data->side; x++)
                for (size_t c = 0; c < 3; c++)
                    data->pixels[i * size + (y * data->side + x) * 3 + c] =
                        value_at(tensor, i * size + c * stride[0] + y * stride[1] + x * stride[2]);
}

static bool all_numbers(const struct phi_safetensors_tensor *tensor)
{
    for (size_t i = 0; tensor->dtype == PHI_SAFETENSORS_F32 && i < tensor->n_values; i++) {
        float value;

        memcpy(&value, (const uint8_t *)tensor->data + i * sizeof value, sizeof value);
        if (!(value - value == 0))
            return false;
    }
    return true;
}

enum ph_status train_data_tensors(struct train_data *data, const struct train_data_params *params,
                                  struct ph_error *reterr)
{
    struct phi_safetensors *file = NULL;
    const struct phi_safetensors_tensor *tensor = NULL;
    size_t stride[3] = {0, 0, 0};
    enum ph_status status = phi_safetensors_open(params->path, &file, reterr);

    if (status != PH_OK)
        return status;
    tensor = phi_safetensors_find(file, params->tensor);
    if (!tensor)
        status = phi_error(reterr, PH_E_FORMAT, "%s: there is no array '%s'", params->path,
                           params->tensor);
    else if (!find_layout(tensor, data->side, stride) ||
             (tensor->dtype != PHI_SAFETENSORS_U8 && tensor->dtype != PHI_SAFETENSORS_F32))
        status =
            phi_error(reterr, PH_E_SHAPE,
                      "%s: '%s' is not [n][3][%zu][%zu] or [n][%zu][%zu][3] in uint8 or float32",
                      params->path, params->tensor, data->side, data->side, data->side, data->side);
    else if (!all_numbers(tensor))
        status = phi_error(reterr, PH_E_FORMAT, "%s: '%s' holds values that are no numbers",
                           params->path, params->tensor);
    if (status == PH_OK) {
        size_t n = tensor->shape[0];

        if (params->count && (size_t)params->count < n)
            n = (size_t)params->count;
        status = train_data_take(data, n, 0, reterr);
    }
    if (status == PH_OK)
        copy_pictures(data, tensor, stride);
    phi_safetensors_close(&file);
    return status;
}
