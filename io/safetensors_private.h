/* SPDX-License-Identifier: MIT
 *
 * What the files of the safetensors module share. Not for others.
 */
#ifndef PHI_IO_SAFETENSORS_PRIVATE_H
#define PHI_IO_SAFETENSORS_PRIVATE_H

#include <jansson.h>

#include "io/safetensors.h"

struct phi_safetensors {
    char *path;
    void *map; /* NULL when the bytes are the caller's */
    size_t n_map_bytes;
    json_t *header;                         /* owns every name and metadata string */
    struct phi_safetensors_tensor *tensors; /* [n_tensors], sorted by name */
    size_t n_tensors;
    struct phi_safetensors_pair *metadata; /* [n_metadata], sorted by key */
    size_t n_metadata;
};

/* Fills tensors and metadata of `file` from the whole file's bytes. Errors lack the path. */
PH_NODISCARD enum ph_status phi_safetensors_parse_header(struct phi_safetensors *file,
                                                         const unsigned char *bytes, size_t n_bytes,
                                                         struct ph_error *reterr);

/* *ret_values and *ret_bytes of a shape; false on overflow. */
int phi_safetensors_measure(const struct phi_safetensors_tensor *tensor, size_t *ret_values,
                            size_t *ret_bytes);

/* The type of that name; false if unknown. */
int phi_safetensors_dtype_parse(const char *name, enum phi_safetensors_dtype *ret_dtype);

#endif
