/* SPDX-License-Identifier: MIT */
#include "train/net.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/safetensors.h"
#include "nn/init.h"

enum ph_status train_average_create(const struct phi_weights *weights,
                                    struct phi_weights **ret_average, struct ph_error *reterr)
{
    struct phi_weights *average = NULL;
    enum ph_status status = phi_weights_create(&average);

    if (status != PH_OK)
        return phi_error_nomem(reterr, "an average of weights", 0);
    for (size_t i = 0; i < phi_weights_count(weights) && status == PH_OK; i++) {
        const struct phi_param *param = phi_weights_at(weights, i);

        status =
            phi_weights_put(average, param->name, param->value.shape, param->value.data, reterr);
    }
    if (status != PH_OK)
        phi_weights_destroy(&average);
    else
        *ret_average = average;
    return status;
}

enum ph_status train_net_finish(struct train_net *net, struct phi_weights *weights,
                                const struct phi_tape_options *options, uint64_t seed,
                                struct ph_error *reterr)
{
    enum ph_status status = phi_graph_check(net->graph, reterr);

    if (status == PH_OK)
        status = phi_init_graph(weights, net->graph, PHI_INIT_HE_NORMAL, 1, seed, reterr);
    if (status == PH_OK)
        status = phi_tape_create(net->graph, weights, options, &net->tape, reterr);
    return status;
}

void train_net_fini(struct train_net *net)
{
    phi_tape_destroy(&net->tape);
    phi_graph_destroy(&net->graph);
}

static enum ph_status load_one(struct phi_weights *weights, const struct phi_safetensors *file,
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

enum ph_status train_weights_load(struct phi_weights *weights, const char *path, const char *prefix,
                                  struct ph_error *reterr)
{
    struct phi_safetensors *file = NULL;
    size_t n = 0;
    enum ph_status status = phi_safetensors_open(path, &file, reterr);

    for (size_t i = 0; status == PH_OK && i < phi_safetensors_count(file); i++) {
        const struct phi_safetensors_tensor *tensor = phi_safetensors_at(file, i);

        if (!phi_str_starts(tensor->name, prefix))
            continue;
        status = load_one(weights, file, tensor, reterr);
        n++;
    }
    phi_safetensors_close(&file);
    if (status == PH_OK && n == 0)
        return phi_error(reterr, PH_E_FORMAT, "%s: there is no tensor '%s...'", path, prefix);
    return status == PH_OK ? phi_weights_check_finite(weights, reterr) : status;
}

void train_place(uint8_t *rgb, size_t n, size_t i, const float *chw, size_t side,
                 const float low_high[2])
{
    float scale = 255.0f / (low_high[1] - low_high[0]);

    for (size_t y = 0; y < side; y++)
        for (size_t x = 0; x < side; x++)
            for (size_t c = 0; c < 3; c++) {
                float value = (chw[(c * side + y) * side + x] - low_high[0]) * scale;

                value = value > 0 ? value < 255 ? value : 255 : 0;
                rgb[((i / n * side + y) * n * side + i % n * side + x) * 3 + c] =
                    (uint8_t)(value + 0.5f);
            }
}
