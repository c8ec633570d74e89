/* SPDX-License-Identifier: MIT
 *
 * VGG-16-shaped face networks (VGG-Face: Parkhi et al., 2015) up to fc6, the features of DAND's
 * latents. By the names of Caffe's layout (conv1_1.weight, fc6.weight; kernels out x in x h x w,
 * fc6 flattened channels first), of torchvision's VGG-16 (features.0.weight, classifier.0.weight;
 * the same layout) or of Keras ports (conv1_1/kernel:0; kernels h x w x in x out, fc6 flattened
 * channels last, in x out). Channels must be in the order red, green, blue.
 */
#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "convert/convert.h"
#include "models/stack.h"

enum names { CAFFE, TORCHVISION, KERAS, N_NAMES };

/* Block and place of each convolution, and its number in torchvision's list. */
static const struct {
    int block, place, listed;
} layers[PHI_VGG16_LAYERS] = {{1, 1, 0},  {1, 2, 2},  {2, 1, 5},  {2, 2, 7},  {3, 1, 10},
                              {3, 2, 12}, {3, 3, 14}, {4, 1, 17}, {4, 2, 19}, {4, 3, 21},
                              {5, 1, 24}, {5, 2, 26}, {5, 3, 28}};

/* Name of the weight (or bias) of convolution `i`, or of fc6 for i = PHI_VGG16_LAYERS. */
static void name_of(enum names names, int i, bool bias, char name[64])
{
    static const char *const parts[N_NAMES][2] = {
        {"weight", "bias"}, {"weight", "bias"}, {"kernel:0", "bias:0"}};
    const char *part = parts[names][bias];

    if (i == PHI_VGG16_LAYERS)
        (void)snprintf(name, 64, "%s%s%s", names == TORCHVISION ? "classifier.0" : "fc6",
                       names == KERAS ? "/" : ".", part);
    else if (names == TORCHVISION)
        (void)snprintf(name, 64, "features.%d.%s", layers[i].listed, part);
    else
        (void)snprintf(name, 64, "conv%d_%d%s%s", layers[i].block, layers[i].place,
                       names == KERAS ? "/" : ".", part);
}

/* The way of naming under which the first kernel is there. */
static enum ph_status find_names(const struct phi_arrays *in, enum names *ret_names,
                                 struct ph_error *reterr)
{
    const size_t any[4] = {0, 0, 0, 0};
    const struct phi_safetensors_tensor *kernel;

    for (enum names names = CAFFE; names < N_NAMES; names++) {
        char name[64];

        name_of(names, 0, false, name);
        if (convert_find(in, name, 4, any, &kernel, NULL) == PH_OK) {
            *ret_names = names;
            return PH_OK;
        }
    }
    return phi_error(reterr, PH_E_FORMAT,
                     "there is no first kernel: 'conv1_1.weight' (Caffe's names), "
                     "'features.0.weight' (torchvision's) or 'conv1_1/kernel:0' (Keras ports')");
}

static enum ph_status put_bias(const struct phi_arrays *in, enum names names, int i, size_t n,
                               const char *as, struct convert_output *out, struct ph_error *reterr)
{
    const struct phi_safetensors_tensor *bias;
    char name[64];
    enum ph_status status;

    name_of(names, i, true, name);
    status = convert_find(in, name, 1, &n, &bias, reterr);
    return status == PH_OK ? convert_put(out, as, bias, 1, &n, reterr) : status;
}

/* *channels is the number of inputs, and becomes the number of outputs. */
static enum ph_status put_convolution(const struct phi_arrays *in, enum names names, int i,
                                      size_t *channels, struct convert_output *out,
                                      struct ph_error *reterr)
{
    static const int as_is[4] = {0, 1, 2, 3}, from_keras[4] = {3, 2, 0, 1};
    const size_t torch[4] = {0, *channels, 3, 3}, keras[4] = {3, 3, *channels, 0};
    const struct phi_safetensors_tensor *kernel;
    char name[64], as[64];
    enum ph_status status;

    name_of(names, i, false, name);
    status = convert_find(in, name, 4, names == KERAS ? keras : torch, &kernel, reterr);
    if (status != PH_OK)
        return status;
    (void)snprintf(as, sizeof as, "dand.f.conv.%d.weight", i + 1);
    status =
        convert_put_kernel(out, as, kernel, names == KERAS ? from_keras : as_is, false, reterr);
    *channels = kernel->shape[names == KERAS ? 3 : 0];
    (void)snprintf(as, sizeof as, "dand.f.conv.%d.bias", i + 1);
    return status == PH_OK ? put_bias(in, names, i, *channels, as, out, reterr) : status;
}

/* fc6 as [out][channels][side][side]; from Keras its rows [side][side][channels] are turned. */
static enum ph_status put_fc(const struct phi_arrays *in, enum names names, size_t channels,
                             size_t *ret_out, size_t *ret_side, struct convert_output *out,
                             struct ph_error *reterr)
{
    static const int from_keras[4] = {3, 2, 0, 1};
    const size_t any[2] = {0, 0};
    const struct phi_safetensors_tensor *weight;
    struct phi_safetensors_tensor turned;
    char name[64];
    size_t n_in, n_out, side;
    enum ph_status status;

    name_of(names, PHI_VGG16_LAYERS, false, name);
    status = convert_find(in, name, 2, any, &weight, reterr);
    if (status != PH_OK)
        return status;
    n_in = weight->shape[names == KERAS ? 0 : 1];
    n_out = weight->shape[names == KERAS ? 1 : 0];
    side = (size_t)lround(sqrt((double)n_in / (double)channels));
    if (side == 0 || side * side * channels != n_in)
        return phi_error(reterr, PH_E_SHAPE,
                         "array '%s' takes %zu inputs: not a square of %zu channels", name, n_in,
                         channels);
    if (names == KERAS) {
        turned = *weight;
        turned.n_dims = 4;
        turned.shape[0] = turned.shape[1] = side;
        turned.shape[2] = channels;
        turned.shape[3] = n_out;
        status = convert_put_kernel(out, "dand.f.fc.weight", &turned, from_keras, false, reterr);
        if (status == PH_OK) {
            struct phi_safetensors_tensor *put = phi_arrays_find(&out->tensors, "dand.f.fc.weight");

            put->n_dims = 2;
            put->shape[1] = n_in;
        }
    } else {
        const size_t shape[2] = {n_out, n_in};

        status = convert_put(out, "dand.f.fc.weight", weight, 2, shape, reterr);
    }
    *ret_out = n_out;
    *ret_side = side;
    return status == PH_OK
               ? put_bias(in, names, PHI_VGG16_LAYERS, n_out, "dand.f.fc.bias", out, reterr)
               : status;
}

static enum ph_status convert(const struct phi_arrays *in, bool flip, struct convert_output *out,
                              struct ph_error *reterr)
{
    enum names names = CAFFE;
    size_t channels = 3, n_out = 0, side = 0;
    char features[24], picture[48];
    enum ph_status status = find_names(in, &names, reterr);

    if (flip)
        return phi_error(reterr, PH_E_INVAL, "--flip is for files of the Theano kind");
    for (int i = 0; i < PHI_VGG16_LAYERS && status == PH_OK; i++)
        status = put_convolution(in, names, i, &channels, out, reterr);
    if (status == PH_OK)
        status = put_fc(in, names, channels, &n_out, &side, out, reterr);
    if (status != PH_OK)
        return status;
    (void)snprintf(features, sizeof features, "%zu", n_out);
    (void)snprintf(picture, sizeof picture, "3x64x64 in 0..1, seen at %zux%zu", 32 * side,
                   32 * side);
    if (convert_note(out, "phosphene.kind", "encoder") != PH_OK ||
        convert_note(out, "phosphene.version", "1") != PH_OK ||
        convert_note(out, "encoder.features", features) != PH_OK ||
        convert_note(out, "picture", picture) != PH_OK)
        return phi_error(reterr, PH_E_LIMIT, "too much metadata");
    return PH_OK;
}

const struct convert_kind convert_vgg_face = {
    "vgg-face", "a VGG-16-shaped face network up to fc6: an encoder of DAND", convert};
