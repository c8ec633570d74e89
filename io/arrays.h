/* SPDX-License-Identifier: MIT
 *
 * Named arrays as other programs store them: .npy, .npz, a tar.gz with an .npz and its names.txt,
 * Keras HDF5 weights, safetensors. Reading only, no format that can run code. Set-up code; one
 * thread.
 */
#ifndef PHI_IO_ARRAYS_H
#define PHI_IO_ARRAYS_H

#include "io/safetensors.h"

/* No single array, nor all of a file together, may be larger than this. */
#define PHI_ARRAYS_MAX_BYTES ((size_t)4 << 30)

struct phi_arrays {
    struct phi_safetensors_tensor *items; /* names and data are owned */
    size_t n;
    size_t capacity;
    size_t n_bytes; /* of all data */
};

/* Appends to `arrays` (zeroed at first) what the file at `path` holds, by its ending: .npy (named
 * after the file), .npz, .tar.gz or .tgz (of .npy and .npz members; a names.txt beside an .npz
 * names its arr_0, arr_1, ... by its lines), .h5, .hdf5 or .keras-weights (names are the paths of
 * the datasets), .safetensors. On failure `arrays` keeps what it had plus what was read whole. */
PH_NODISCARD enum ph_status phi_arrays_load(struct phi_arrays *arrays, const char *path,
                                            struct ph_error *reterr);

/* Frees all arrays and clears the struct. */
void phi_arrays_fini(struct phi_arrays *arrays);

/* The array of that name, or NULL. */
struct phi_safetensors_tensor *phi_arrays_find(const struct phi_arrays *arrays, const char *name);

/* Appends a copy of `name` with `tensor`'s shape and takes over tensor->data (of phi_calloc), also
 * on failure. PH_E_FORMAT if the name is there already. */
PH_NODISCARD enum ph_status phi_arrays_add(struct phi_arrays *arrays, const char *name,
                                           const struct phi_safetensors_tensor *tensor,
                                           struct ph_error *reterr);

/* The readers behind phi_arrays_load. */
PH_NODISCARD enum ph_status phi_arrays_load_archive(struct phi_arrays *arrays, const char *path,
                                                    struct ph_error *reterr);
PH_NODISCARD enum ph_status phi_arrays_load_hdf5(struct phi_arrays *arrays, const char *path,
                                                 struct ph_error *reterr);

#endif
