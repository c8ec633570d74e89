/* SPDX-License-Identifier: MIT
 *
 * NumPy's array format (.npy, versions 1 to 3) over bytes in memory: numbers only, no objects, so
 * nothing in a file can run code. Pure; any thread.
 */
#ifndef PHI_IO_NPY_H
#define PHI_IO_NPY_H

#include <stddef.h>

#include "io/safetensors.h"

/* Reads the array in bytes[n_bytes] into a new tensor in row-major little-endian order, whatever
 * the file's order was. `name` is used in errors only; ret->name is NULL. `ret->data` is a new
 * block, freed with phi_free. Types: bool, uint8, int32, int64, float16, float32, float64.
 * PH_E_FORMAT for anything else, including object arrays. */
PH_NODISCARD enum ph_status phi_npy_parse(const void *bytes, size_t n_bytes, const char *name,
                                          struct phi_safetensors_tensor *ret_tensor,
                                          struct ph_error *reterr);

#endif
