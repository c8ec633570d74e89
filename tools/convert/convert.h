/* SPDX-License-Identifier: MIT
 *
 * From other people's weight files to ours: each kind takes arrays by the names their authors gave
 * them and puts tensors by our names into the output, with shapes checked and layouts turned.
 * Set-up code; one thread.
 */
#ifndef TOOLS_CONVERT_H
#define TOOLS_CONVERT_H

#include <stdbool.h>

#include "io/arrays.h"

#define CONVERT_MAX_PAIRS 16

/* What a conversion makes; metadata values are owned by `text`. */
struct convert_output {
    struct phi_arrays tensors;
    struct phi_safetensors_pair metadata[CONVERT_MAX_PAIRS];
    size_t n_metadata;
    char text[1024];
    size_t text_used;
};

struct convert_kind {
    const char *name;    /* of --as */
    const char *summary; /* one line for the help */
    /* Fills `out` from `in`. `flip` rotates convolution kernels by 180 degrees, for files of the
     * Theano kind. Names the array that is missing or has another shape. */
    PH_NODISCARD enum ph_status (*convert)(const struct phi_arrays *in, bool flip,
                                           struct convert_output *out, struct ph_error *reterr);
};

extern const struct convert_kind convert_dcgan, convert_m2, convert_prednet, convert_vgg_face;

/* Adds a metadata pair; both texts are copied. PH_E_LIMIT when there is no room. */
PH_NODISCARD enum ph_status convert_note(struct convert_output *out, const char *key,
                                         const char *value);

/* The array of that name, or the only one whose name ends in "/" and it, with `n_dims` dimensions
 * of the sizes shape[n_dims] (0 accepts any); errors name the array. */
PH_NODISCARD enum ph_status convert_find(const struct phi_arrays *in, const char *name,
                                         size_t n_dims, const size_t *shape,
                                         const struct phi_safetensors_tensor **ret_tensor,
                                         struct ph_error *reterr);

/* Adds `source` as float32 under `name` with `shape` (the same number of values). */
PH_NODISCARD enum ph_status convert_put(struct convert_output *out, const char *name,
                                        const struct phi_safetensors_tensor *source, size_t n_dims,
                                        const size_t *shape, struct ph_error *reterr);

/* Adds a 4-D kernel under `name`: output axis i is input axis order[i]; `flip` reverses the last
 * two output axes. */
PH_NODISCARD enum ph_status convert_put_kernel(struct convert_output *out, const char *name,
                                               const struct phi_safetensors_tensor *source,
                                               const int order[4], bool flip,
                                               struct ph_error *reterr);

/* Frees what `out` holds. */
void convert_output_fini(struct convert_output *out);

#endif
