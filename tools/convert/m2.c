/* SPDX-License-Identifier: MIT
 *
 * M2 on MNIST as its authors release it (nips14-ssl): two archives, v (encoder) and w (decoder), of
 * matrices (out, in) and biases (out, 1), two hidden layers of softplus units.
 */
#include <stdio.h>

#include "base/error.h"
#include "convert/convert.h"

/* Where each array goes. */
static const struct {
    const char *theirs, *ours;
    bool bias;
} arrays[] = {
    {"v/w0x", "m2.enc.wx", false},
    {"v/w0y", "m2.enc.wy", false},
    {"v/b0", "m2.enc.bias", true},
    {"v/w1", "m2.enc.hidden2.weight", false},
    {"v/b1", "m2.enc.hidden2.bias", true},
    {"v/mean_w", "m2.enc.mean.weight", false},
    {"v/mean_b", "m2.enc.mean.bias", true},
    {"v/logvar_w", "m2.enc.logvar.weight", false},
    {"v/logvar_b", "m2.enc.logvar.bias", true},
    {"w/w0z", "m2.dec.wz", false},
    {"w/w0y", "m2.dec.wy", false},
    {"w/b0", "m2.dec.bias", true},
    {"w/w1", "m2.dec.hidden2.weight", false},
    {"w/b1", "m2.dec.hidden2.bias", true},
    {"w/out_w", "m2.dec.out.weight", false},
    {"w/out_b", "m2.dec.out.bias", true},
};

static enum ph_status note_sizes(struct convert_output *out, struct ph_error *reterr)
{
    const struct phi_safetensors_tensor *wx = phi_arrays_find(&out->tensors, "m2.enc.wx");
    const struct phi_safetensors_tensor *wz = phi_arrays_find(&out->tensors, "m2.dec.wz");
    const struct phi_safetensors_tensor *wy = phi_arrays_find(&out->tensors, "m2.dec.wy");
    char pixels[24], hidden[24], latents[24], classes[24];

    (void)snprintf(pixels, sizeof pixels, "%zu", wx->shape[1]);
    (void)snprintf(hidden, sizeof hidden, "%zu", wx->shape[0]);
    (void)snprintf(latents, sizeof latents, "%zu", wz->shape[1]);
    (void)snprintf(classes, sizeof classes, "%zu", wy->shape[1]);
    if (convert_note(out, "phosphene.kind", "m2") != PH_OK ||
        convert_note(out, "phosphene.version", "1") != PH_OK ||
        convert_note(out, "m2.pixels", pixels) != PH_OK ||
        convert_note(out, "m2.hidden", hidden) != PH_OK ||
        convert_note(out, "m2.latents", latents) != PH_OK ||
        convert_note(out, "m2.classes", classes) != PH_OK)
        return phi_error(reterr, PH_E_LIMIT, "too much metadata");
    return PH_OK;
}

static enum ph_status convert(const struct phi_arrays *in, bool flip, struct convert_output *out,
                              struct ph_error *reterr)
{
    static const size_t any[2] = {0, 0};
    static const size_t column[2] = {0, 1};

    (void)flip;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        const struct phi_safetensors_tensor *found;
        enum ph_status status =
            convert_find(in, arrays[i].theirs, 2, arrays[i].bias ? column : any, &found, reterr);

        if (status == PH_OK)
            status = convert_put(out, arrays[i].ours, found, arrays[i].bias ? 1 : 2, found->shape,
                                 reterr);
        if (status != PH_OK)
            return status;
    }
    return note_sizes(out, reterr);
}

const struct convert_kind convert_m2 = {
    "m2", "M2 of its authors: v.ndict.tar.gz and w.ndict.tar.gz together", convert};
