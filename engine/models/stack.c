/* SPDX-License-Identifier: MIT */
#include "models/stack.h"

#include "nn/layers.h"

const struct phi_stack_layer phi_vgg16[PHI_VGG16_LAYERS] = {
    {64, false},  {64, true},   {128, false}, {128, true},  {256, false}, {256, false}, {256, true},
    {512, false}, {512, false}, {512, true},  {512, false}, {512, false}, {512, true},
};

const struct phi_stack_layer phi_compact[PHI_COMPACT_LAYERS] = {
    {16, true}, {32, true}, {48, false}, {48, true}, {64, false},
};

int phi_stack_build(struct phi_graph *graph, const char *prefix, int x,
                    const struct phi_stack_layer *layers, int n_layers, bool open_end)
{
    for (int i = 0; i < n_layers; i++) {
        size_t c = phi_graph_shape(graph, x).dim[1], width = layers[i].width;
        int weight =
            phi_graph_paramf(graph, PHI_SHAPE(width, c, 3, 3), "%sconv.%d.weight", prefix, i + 1);
        int bias = phi_graph_paramf(graph, PHI_SHAPE(width), "%sconv.%d.bias", prefix, i + 1);

        x = phi_graph_relu(graph, phi_graph_conv2d(graph, x, weight, bias, 1, 1));
        if (layers[i].pool && !(open_end && i == n_layers - 1))
            x = phi_graph_max_pool(graph, x, 2, 2);
    }
    return x;
}

int phi_stack_features(struct phi_graph *graph, const char *prefix, int x, size_t n_out)
{
    struct phi_shape shape = phi_graph_shape(graph, x);
    size_t n_in = x < 0 ? 1 : phi_shape_count(&shape) / shape.dim[0];
    int flat = x < 0 ? -1 : phi_graph_reshape(graph, x, PHI_SHAPE(shape.dim[0], n_in));
    int weight = phi_graph_paramf(graph, PHI_SHAPE(n_out, n_in), "%sfc.weight", prefix);
    int bias = phi_graph_paramf(graph, PHI_SHAPE(n_out), "%sfc.bias", prefix);

    return phi_graph_relu(graph, phi_graph_linear(graph, flat, weight, bias));
}

int phi_stack_vgg_input(struct phi_graph *graph, int x, size_t size)
{
    static const float mean[3] = {129.1863f, 104.7624f, 93.5940f};
    int shift = phi_graph_constant(graph, PHI_SHAPE(3, 1, 1), mean);
    int scaled = phi_graph_unary(graph, PHI_AFFINE, x, 127.5f, 127.5f);

    x = phi_graph_sub(graph, scaled, shift);
    return size ? phi_graph_resize_bilinear(graph, x, size, size) : x;
}
