/* SPDX-License-Identifier: MIT
 *
 * DCGAN's generator on SVHN as its authors release it: a joblib list, so ten .npy files that end in
 * _01 to _10. Their kernels are Theano's, rotated by 180 degrees.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "convert/convert.h"

static enum ph_status find_part(const struct phi_arrays *in, unsigned number, size_t n_dims,
                                const struct phi_safetensors_tensor **ret_tensor,
                                struct ph_error *reterr)
{
    char ending[8];

    (void)snprintf(ending, sizeof ending, "_%02u", number);
    for (size_t i = 0; i < in->n; i++)
        if (phi_str_ends(in->items[i].name, ending)) {
            if (in->items[i].n_dims != n_dims)
                return phi_error(reterr, PH_E_SHAPE, "array '%s' has %zu dimensions, expected %zu",
                                 in->items[i].name, in->items[i].n_dims, n_dims);
            *ret_tensor = &in->items[i];
            return PH_OK;
        }
    return phi_error(reterr, PH_E_FORMAT, "an array whose name ends in '%s' is missing", ending);
}

/* fc (latents, units) -> [units][latents], as a kernel of one pixel whose axes are exchanged. */
static enum ph_status put_linear(const struct phi_arrays *in, struct convert_output *out,
                                 struct ph_error *reterr)
{
    static const int exchanged[4] = {1, 0, 2, 3};
    const struct phi_safetensors_tensor *source;
    struct phi_safetensors_tensor as_kernel;
    struct phi_safetensors_tensor *put;
    enum ph_status status = find_part(in, 1, 2, &source, reterr);

    if (status != PH_OK)
        return status;
    as_kernel = *source;
    as_kernel.n_dims = 4;
    as_kernel.shape[2] = as_kernel.shape[3] = 1;
    status = convert_put_kernel(out, "dcgan.g.fc.weight", &as_kernel, exchanged, false, reterr);
    if (status != PH_OK)
        return status;
    put = phi_arrays_find(&out->tensors, "dcgan.g.fc.weight");
    put->n_dims = 2;
    return PH_OK;
}

/* Gain and shift of batch norm number `layer` from parts `first`, `first` + 1, with running values
 * of a standard batch, which sampling does not use. */
static enum ph_status put_norm(const struct phi_arrays *in, unsigned layer, unsigned first,
                               struct convert_output *out, struct ph_error *reterr)
{
    static const char *const parts[] = {"weight", "bias", "mean", "var"};
    enum ph_status status = PH_OK;

    for (unsigned k = 0; k < 4 && status == PH_OK; k++) {
        const struct phi_safetensors_tensor *source;
        char name[48];

        status = find_part(in, first + (k == 1), 1, &source, reterr);
        if (status != PH_OK)
            return status;
        (void)snprintf(name, sizeof name, "dcgan.g.bn.%u.%s", layer, parts[k]);
        status = convert_put(out, name, source, 1, source->shape, reterr);
        if (status == PH_OK && k >= 2) {
            struct phi_safetensors_tensor *put = phi_arrays_find(&out->tensors, name);
            float *values;

            memcpy(&values, &put->data, sizeof values); /* ours, const only to readers */
            for (size_t i = 0; i < put->n_values; i++)
                values[i] = k == 2 ? 0 : 1;
        }
    }
    return status;
}

static enum ph_status convert(const struct phi_arrays *in, bool flip, struct convert_output *out,
                              struct ph_error *reterr)
{
    static const int as_is[4] = {0, 1, 2, 3};
    static const unsigned kernels[] = {4, 7, 10};
    const struct phi_safetensors_tensor *source;
    char latents[24], width[24];
    enum ph_status status = put_linear(in, out, reterr);

    (void)flip; /* these files are always Theano's */
    for (unsigned i = 0; i < 3 && status == PH_OK; i++)
        status = put_norm(in, i, i == 0 ? 2 : kernels[i - 1] + 1, out, reterr);
    for (unsigned i = 0; i < 3 && status == PH_OK; i++) {
        char name[48];

        status = find_part(in, kernels[i], 4, &source, reterr);
        (void)snprintf(name, sizeof name, "dcgan.g.deconv.%u.weight", i + 1);
        if (status == PH_OK)
            status = convert_put_kernel(out, name, source, as_is, true, reterr);
    }
    if (status != PH_OK)
        return status;
    (void)snprintf(latents, sizeof latents, "%zu",
                   phi_arrays_find(&out->tensors, "dcgan.g.fc.weight")->shape[1]);
    (void)snprintf(width, sizeof width, "%zu", source->shape[0]);
    if (convert_note(out, "phosphene.kind", "dcgan") != PH_OK ||
        convert_note(out, "phosphene.version", "1") != PH_OK ||
        convert_note(out, "dcgan.latents", latents) != PH_OK ||
        convert_note(out, "dcgan.width", width) != PH_OK)
        return phi_error(reterr, PH_E_LIMIT, "too much metadata");
    return PH_OK;
}

const struct convert_kind convert_dcgan = {
    "dcgan", "DCGAN's generator on SVHN of its authors: ten .npy files", convert};
