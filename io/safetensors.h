/* SPDX-License-Identifier: MIT
 *
 * Model and data files: named tensors with string metadata in the safetensors format (64-bit
 * little-endian header length, JSON header, packed little-endian data). The reader maps the file
 * and trusts nothing in it: every offset, shape and name is checked before a tensor can be asked
 * for, and it allocates no more than a constant times the header's real size. The writer replaces
 * files atomically and writes the same bytes for the same content.
 *
 * A file that is open may be read by any number of threads; open, close and the writer belong to
 * one thread at a time. A mapped file must not be cut short by others while it is open.
 */
#ifndef PHI_IO_SAFETENSORS_H
#define PHI_IO_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#define PHI_SAFETENSORS_MAX_DIMS         8
#define PHI_SAFETENSORS_MAX_HEADER_BYTES ((size_t)100 << 20)

enum phi_safetensors_dtype {
    PHI_SAFETENSORS_BOOL,
    PHI_SAFETENSORS_U8,
    PHI_SAFETENSORS_F16,
    PHI_SAFETENSORS_BF16,
    PHI_SAFETENSORS_I32,
    PHI_SAFETENSORS_F32,
    PHI_SAFETENSORS_I64,
    PHI_SAFETENSORS_F64
};

/* One tensor. In a reader, `name` and `data` live as long as the file is open, and `data` need not
 * be aligned to its type; for the writer they are the caller's. */
struct phi_safetensors_tensor {
    const char *name;
    enum phi_safetensors_dtype dtype;
    size_t n_dims; /* 0 is a scalar */
    size_t shape[PHI_SAFETENSORS_MAX_DIMS];
    const void *data; /* row-major; the writer accepts NULL, see phi_safetensors_writer_put */
    size_t n_values;  /* product of shape; set by the reader, ignored by the writer */
    size_t n_bytes;   /* likewise */
};

/* One metadata entry; both strings UTF-8. */
struct phi_safetensors_pair {
    const char *key;
    const char *value;
};

struct phi_safetensors;

/* Bytes of one value. */
size_t phi_safetensors_dtype_size(enum phi_safetensors_dtype dtype);

/* The format's name of a type: "F32". */
const char *phi_safetensors_dtype_name(enum phi_safetensors_dtype dtype);

/* Maps and checks the file at `path`. PH_E_IO if it cannot be read, PH_E_FORMAT with the tensor's
 * name if anything in it is wrong. Owned by the caller, freed with phi_safetensors_close. */
PH_NODISCARD enum ph_status
phi_safetensors_open(const char *path, struct phi_safetensors **ret_file, struct ph_error *reterr);

/* As open, over bytes in memory, which must outlive the result. `name` stands for the path in error
 * texts. */
PH_NODISCARD enum ph_status phi_safetensors_parse(const void *bytes, size_t n_bytes,
                                                  const char *name,
                                                  struct phi_safetensors **ret_file,
                                                  struct ph_error *reterr);

/* Unmaps and frees; accepts NULL and *file == NULL, clears *file. */
void phi_safetensors_close(struct phi_safetensors **file);

/* The path or name given at opening. */
const char *phi_safetensors_path(const struct phi_safetensors *file);

/* Number of tensors, and the i-th in the order of names (i < count). */
size_t phi_safetensors_count(const struct phi_safetensors *file);
const struct phi_safetensors_tensor *phi_safetensors_at(const struct phi_safetensors *file,
                                                        size_t i);

/* The tensor of that name, or NULL. */
const struct phi_safetensors_tensor *phi_safetensors_find(const struct phi_safetensors *file,
                                                          const char *name);

/* The metadata value of `key`, or NULL. Lives as long as the file is open. */
const char *phi_safetensors_metadata(const struct phi_safetensors *file, const char *key);

/* The i-th metadata entry in the order of keys, as found in the file; false from the last on. */
int phi_safetensors_metadata_at(const struct phi_safetensors *file, size_t i,
                                struct phi_safetensors_pair *ret_pair);

/* The metadata value of `key` as an integer within [low, high]; PH_E_FORMAT names file and key. */
PH_NODISCARD enum ph_status phi_safetensors_metadata_i64(const struct phi_safetensors *file,
                                                         const char *key, const int64_t range[2],
                                                         int64_t *ret_value,
                                                         struct ph_error *reterr);

/* Checks `phosphene.kind` equal to `kind` and `phosphene.version` an integer in 1..`max_version`.
 * The message names what the file is instead. */
PH_NODISCARD enum ph_status phi_safetensors_expect_kind(const struct phi_safetensors *file,
                                                        const char *kind, int64_t max_version,
                                                        int64_t *ret_version,
                                                        struct ph_error *reterr);

/* The tensor `name`, which must exist and have `n_dims` dimensions of the sizes shape[n_dims]; a
 * size 0 in `shape` accepts any size, which is then read from the tensor. PH_E_FORMAT if missing,
 * PH_E_SHAPE with both shapes if different. */
PH_NODISCARD enum ph_status phi_safetensors_expect(const struct phi_safetensors *file,
                                                   const char *name, size_t n_dims,
                                                   const size_t *shape,
                                                   const struct phi_safetensors_tensor **ret_tensor,
                                                   struct ph_error *reterr);

/* Converts all values of `tensor` (of `file`, named in errors; NULL for arrays in memory) to
 * float32 / float64 in ret_values[n_values], the caller's memory. Any type but BOOL and I64 to
 * float32 (I64 converts to float64 when exact). PH_E_SHAPE if n_values differs. */
PH_NODISCARD enum ph_status phi_safetensors_read_f32(const struct phi_safetensors *file,
                                                     const struct phi_safetensors_tensor *tensor,
                                                     size_t n_values, float *ret_values,
                                                     struct ph_error *reterr);
PH_NODISCARD enum ph_status phi_safetensors_read_f64(const struct phi_safetensors *file,
                                                     const struct phi_safetensors_tensor *tensor,
                                                     size_t n_values, double *ret_values,
                                                     struct ph_error *reterr);

/* expect + read into a new block, owned by the caller and freed with phi_free. `ret_tensor` may be
 * NULL. */
PH_NODISCARD enum ph_status phi_safetensors_load_f32(const struct phi_safetensors *file,
                                                     const char *name, size_t n_dims,
                                                     const size_t *shape, float **ret_values,
                                                     struct ph_error *reterr);
PH_NODISCARD enum ph_status phi_safetensors_load_f64(const struct phi_safetensors *file,
                                                     const char *name, size_t n_dims,
                                                     const size_t *shape, double **ret_values,
                                                     struct ph_error *reterr);

/* What a file is to hold. The order of tensors and pairs does not matter: the file sorts them. */
struct phi_safetensors_content {
    const struct phi_safetensors_tensor *tensors;
    size_t n_tensors;
    const struct phi_safetensors_pair *metadata;
    size_t n_metadata;
};

/* Writes `content`, whose tensors all have data, to `path`: a temporary file beside it, synced and
 * renamed, so that a reader sees the old file or the whole new one. On failure the old file stays
 * and no temporary file is left. */
PH_NODISCARD enum ph_status phi_safetensors_write(const char *path,
                                                  const struct phi_safetensors_content *content,
                                                  struct ph_error *reterr);

struct phi_safetensors_writer;

/* Starts a file whose data come piece by piece (larger than memory): writes the header; tensors
 * with data are written at once, the others by phi_safetensors_writer_put. Names and shapes are
 * copied. */
PH_NODISCARD enum ph_status
phi_safetensors_writer_create(const char *path, const struct phi_safetensors_content *content,
                              struct phi_safetensors_writer **ret_writer, struct ph_error *reterr);

/* Writes `n_bytes` of the content's tensor `index` at `offset_bytes` of its data. */
PH_NODISCARD enum ph_status phi_safetensors_writer_put(struct phi_safetensors_writer *writer,
                                                       size_t index, size_t offset_bytes,
                                                       const void *data, size_t n_bytes,
                                                       struct ph_error *reterr);

/* Syncs and renames. PH_E_STATE if the bytes put so far do not add up to all tensors. The writer
 * stays to be destroyed. */
PH_NODISCARD enum ph_status phi_safetensors_writer_commit(struct phi_safetensors_writer *writer,
                                                          struct ph_error *reterr);

/* Frees; removes the temporary file if there was no commit. Accepts NULL and *writer == NULL. */
void phi_safetensors_writer_destroy(struct phi_safetensors_writer **writer);

#endif
