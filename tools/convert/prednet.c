/* SPDX-License-Identifier: MIT
 *
 * PredNet as its authors store it (Keras 2, HDF5): layer_{a,ahat,c,f,i,o}_{l}/{kernel,bias}:0,
 * kernels height x width x in x out. The fixed layers of the training loss are left out. Files of
 * the Theano flavour hold the same names with kernels rotated by 180 degrees (flip).
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "convert/convert.h"

#define MAX_LAYERS 8

struct stack {
    unsigned n_layers;
    size_t channels[MAX_LAYERS];
};

static enum ph_status kernel_of(const struct phi_arrays *in, const char *part, unsigned layer,
                                const size_t shape[4],
                                const struct phi_safetensors_tensor **ret_kernel,
                                struct ph_error *reterr)
{
    char name[64];

    (void)snprintf(name, sizeof name, "layer_%s_%u/kernel:0", part, layer);
    return convert_find(in, name, 4, shape, ret_kernel, reterr);
}

/* Counts layers and reads their widths from the prediction kernels, which exist for every layer. */
static enum ph_status find_stack(const struct phi_arrays *in, struct stack *stack,
                                 struct ph_error *reterr)
{
    const size_t any[4] = {3, 3, 0, 0};
    const struct phi_safetensors_tensor *kernel;

    while (stack->n_layers < MAX_LAYERS &&
           kernel_of(in, "ahat", stack->n_layers, any, &kernel, NULL) == PH_OK)
        stack->channels[stack->n_layers++] = kernel->shape[3];
    if (stack->n_layers == 0) /* again, for its error */
        return kernel_of(in, "ahat", 0, any, &kernel, reterr);
    return PH_OK;
}

static enum ph_status put_convolution(const struct phi_arrays *in, const char *part, unsigned layer,
                                      const size_t channels[2], bool flip,
                                      struct convert_output *out, struct ph_error *reterr)
{
    static const int oihw[4] = {3, 2, 0, 1};
    const size_t shape[4] = {3, 3, channels[0], channels[1]};
    const struct phi_safetensors_tensor *kernel;
    const struct phi_safetensors_tensor *bias;
    char name[64];
    enum ph_status status = kernel_of(in, part, layer, shape, &kernel, reterr);

    if (status != PH_OK)
        return status;
    (void)snprintf(name, sizeof name, "prednet.%s.%u.weight", part, layer);
    status = convert_put_kernel(out, name, kernel, oihw, flip, reterr);
    if (status != PH_OK)
        return status;
    (void)snprintf(name, sizeof name, "layer_%s_%u/bias:0", part, layer);
    status = convert_find(in, name, 1, &channels[1], &bias, reterr);
    if (status != PH_OK)
        return status;
    (void)snprintf(name, sizeof name, "prednet.%s.%u.bias", part, layer);
    return convert_put(out, name, bias, 1, &channels[1], reterr);
}

static enum ph_status put_layer(const struct phi_arrays *in, const struct stack *stack,
                                unsigned layer, bool flip, struct convert_output *out,
                                struct ph_error *reterr)
{
    static const char *const gates[] = {"i", "f", "c", "o"};
    size_t c = stack->channels[layer];
    bool top = layer + 1 == stack->n_layers;
    /* Gates see R and both halves of E of their layer, and R of the layer above. */
    const size_t gate[2] = {3 * c + (top ? 0 : stack->channels[layer + 1]), c};
    const size_t ahat[2] = {c, c};
    const size_t a[2] = {2 * c, top ? 0 : stack->channels[layer + 1]};
    enum ph_status status = put_convolution(in, "ahat", layer, ahat, flip, out, reterr);

    for (int i = 0; i < 4 && status == PH_OK; i++)
        status = put_convolution(in, gates[i], layer, gate, flip, out, reterr);
    if (status == PH_OK && !top)
        status = put_convolution(in, "a", layer, a, flip, out, reterr);
    return status;
}

static enum ph_status convert(const struct phi_arrays *in, bool flip, struct convert_output *out,
                              struct ph_error *reterr)
{
    struct stack stack = {0};
    char widths[64] = "";
    size_t used = 0;
    enum ph_status status = find_stack(in, &stack, reterr);

    for (unsigned l = 0; l < stack.n_layers && status == PH_OK; l++) {
        status = put_layer(in, &stack, l, flip, out, reterr);
        used += (size_t)snprintf(widths + used, sizeof widths - used, "%s%zu", l ? "," : "",
                                 stack.channels[l]);
    }
    if (status != PH_OK)
        return status;
    if (convert_note(out, "phosphene.kind", "prednet") != PH_OK ||
        convert_note(out, "phosphene.version", "1") != PH_OK ||
        convert_note(out, "prednet.stack", widths) != PH_OK)
        return phi_error(reterr, PH_E_LIMIT, "too much metadata");
    return PH_OK;
}

const struct convert_kind convert_prednet = {"prednet",
                                             "PredNet weights of its authors, Keras HDF5", convert};
