/* SPDX-License-Identifier: MIT */
#include "train/net.h"

#include "base/error.h"
#include "base/mem.h"
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

void train_place(uint8_t *rgb, size_t n, size_t i, const float *chw, const size_t size[2],
                 const float low_high[2])
{
    float scale = 255.0f / (low_high[1] - low_high[0]);
    size_t h = size[0], w = size[1];

    for (size_t y = 0; y < h; y++)
        for (size_t x = 0; x < w; x++)
            for (size_t c = 0; c < 3; c++) {
                float value = (chw[(c * h + y) * w + x] - low_high[0]) * scale;

                value = value > 0 ? value < 255 ? value : 255 : 0;
                rgb[((i / n * h + y) * n * w + i % n * w + x) * 3 + c] = (uint8_t)(value + 0.5f);
            }
}
