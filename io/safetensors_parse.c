/* SPDX-License-Identifier: MIT
 *
 * The untrusted half. The header is JSON of at most the file's own size, so jansson's memory is
 * bounded by what is really there; numbers are checked before they are used as sizes. As the format
 * asks, the tensors must cover the data area exactly: no hole, no overlap, nothing behind. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/span.h"
#include "io/safetensors_private.h"

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [PHI_SAFETENSORS_BOOL] = {"BOOL", 1}, [PHI_SAFETENSORS_U8] = {"U8", 1},
    [PHI_SAFETENSORS_F16] = {"F16", 2},   [PHI_SAFETENSORS_BF16] = {"BF16", 2},
    [PHI_SAFETENSORS_I32] = {"I32", 4},   [PHI_SAFETENSORS_F32] = {"F32", 4},
    [PHI_SAFETENSORS_I64] = {"I64", 8},   [PHI_SAFETENSORS_F64] = {"F64", 8},
};

#define N_DTYPES (sizeof dtypes / sizeof *dtypes)

size_t phi_safetensors_dtype_size(enum phi_safetensors_dtype dtype)
{
    return (size_t)dtype < N_DTYPES ? dtypes[dtype].size : 0;
}

const char *phi_safetensors_dtype_name(enum phi_safetensors_dtype dtype)
{
    return (size_t)dtype < N_DTYPES ? dtypes[dtype].name : "unknown";
}

int phi_safetensors_dtype_parse(const char *name, enum phi_safetensors_dtype *ret_dtype)
{
    for (size_t i = 0; i < N_DTYPES; i++) {
        if (strcmp(name, dtypes[i].name) == 0) {
            *ret_dtype = (enum phi_safetensors_dtype)i;
            return 1;
        }
    }
    return 0;
}

int phi_safetensors_measure(const struct phi_safetensors_tensor *tensor, size_t *ret_values,
                            size_t *ret_bytes)
{
    size_t n = 1;
    size_t n_bytes;

    for (size_t i = 0; i < tensor->n_dims; i++) {
        if (!phi_mul_size(n, tensor->shape[i], &n))
            return 0;
    }
    if (!phi_mul_size(n, phi_safetensors_dtype_size(tensor->dtype), &n_bytes))
        return 0;
    *ret_values = n;
    *ret_bytes = n_bytes;
    return 1;
}

/* Where the data of a tensor lie, for the check that they tile the data area. */
struct extent {
    size_t begin;
    size_t end;
    const char *name;
};

static int compare_extents(const void *a, const void *b)
{
    const struct extent *x = a;
    const struct extent *y = b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static int compare_tensors(const void *a, const void *b)
{
    return strcmp(((const struct phi_safetensors_tensor *)a)->name,
                  ((const struct phi_safetensors_tensor *)b)->name);
}

static int compare_pairs(const void *a, const void *b)
{
    return strcmp(((const struct phi_safetensors_pair *)a)->key,
                  ((const struct phi_safetensors_pair *)b)->key);
}

static int to_size(const json_t *value, size_t *ret_size)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return 0;
    *ret_size = (size_t)json_integer_value(value);
    return 1;
}

static enum ph_status parse_dtype(const json_t *entry, struct phi_safetensors_tensor *tensor,
                                  struct ph_error *reterr)
{
    const char *name = json_string_value(json_object_get(entry, "dtype"));

    if (!name)
        return phi_error(reterr, PH_E_FORMAT, "tensor '%.80s': no dtype", tensor->name);
    if (!phi_safetensors_dtype_parse(name, &tensor->dtype))
        return phi_error(reterr, PH_E_FORMAT,
                         "tensor '%.80s': type '%.20s' is not read here (BOOL U8 F16 BF16 I32 F32 "
                         "I64 F64 are)",
                         tensor->name, name);
    return PH_OK;
}

static enum ph_status parse_shape(const json_t *entry, struct phi_safetensors_tensor *tensor,
                                  struct ph_error *reterr)
{
    const json_t *shape = json_object_get(entry, "shape");

    if (!json_is_array(shape))
        return phi_error(reterr, PH_E_FORMAT, "tensor '%.80s': no shape", tensor->name);
    tensor->n_dims = json_array_size(shape);
    if (tensor->n_dims > PHI_SAFETENSORS_MAX_DIMS)
        return phi_error(reterr, PH_E_LIMIT, "tensor '%.80s': %zu dimensions, at most %d",
                         tensor->name, tensor->n_dims, PHI_SAFETENSORS_MAX_DIMS);
    for (size_t i = 0; i < tensor->n_dims; i++) {
        if (!to_size(json_array_get(shape, i), &tensor->shape[i]))
            return phi_error(reterr, PH_E_FORMAT, "tensor '%.80s': dimension %zu is not a size",
                             tensor->name, i);
    }
    if (!phi_safetensors_measure(tensor, &tensor->n_values, &tensor->n_bytes))
        return phi_error(reterr, PH_E_LIMIT, "tensor '%.80s': its shape is too large",
                         tensor->name);
    return PH_OK;
}

static enum ph_status parse_extent(const json_t *entry, const struct phi_safetensors_tensor *tensor,
                                   size_t n_data_bytes, struct extent *ret_extent,
                                   struct ph_error *reterr)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    struct extent extent = {0, 0, tensor->name};

    if (!json_is_array(offsets) || json_array_size(offsets) != 2 ||
        !to_size(json_array_get(offsets, 0), &extent.begin) ||
        !to_size(json_array_get(offsets, 1), &extent.end))
        return phi_error(reterr, PH_E_FORMAT, "tensor '%.80s': no pair of data offsets",
                         tensor->name);
    if (extent.begin > extent.end || extent.end > n_data_bytes)
        return phi_error(reterr, PH_E_FORMAT,
                         "tensor '%.80s': data offsets %zu..%zu leave the %zu bytes of data; is "
                         "the file cut short?",
                         tensor->name, extent.begin, extent.end, n_data_bytes);
    if (extent.end - extent.begin != tensor->n_bytes)
        return phi_error(reterr, PH_E_FORMAT,
                         "tensor '%.80s': %zu bytes of data, its shape needs %zu", tensor->name,
                         extent.end - extent.begin, tensor->n_bytes);
    *ret_extent = extent;
    return PH_OK;
}

static enum ph_status check_tiling(struct extent *extents, size_t n, size_t n_data_bytes,
                                   struct ph_error *reterr)
{
    size_t at = 0;

    qsort(extents, n, sizeof *extents, compare_extents);
    for (size_t i = 0; i < n; i++) {
        if (extents[i].begin != at)
            return phi_error(reterr, PH_E_FORMAT,
                             "tensor '%.80s': its data begin at %zu, %s the end of the tensor "
                             "before (%zu)",
                             extents[i].name, extents[i].begin,
                             extents[i].begin < at ? "before" : "after", at);
        at = extents[i].end;
    }
    if (at != n_data_bytes)
        return phi_error(reterr, PH_E_FORMAT, "%zu bytes of data belong to no tensor",
                         n_data_bytes - at);
    return PH_OK;
}

static enum ph_status parse_tensors(struct phi_safetensors *file, struct phi_span data,
                                    struct extent *extents, struct ph_error *reterr)
{
    const char *name;
    json_t *entry;

    json_object_foreach(file->header, name, entry)
    {
        struct phi_safetensors_tensor *tensor = &file->tensors[file->n_tensors];
        struct extent *extent = &extents[file->n_tensors];
        enum ph_status status;

        if (strcmp(name, "__metadata__") == 0)
            continue;
        tensor->name = name;
        status = parse_dtype(entry, tensor, reterr);
        if (status >= 0)
            status = parse_shape(entry, tensor, reterr);
        if (status >= 0)
            status = parse_extent(entry, tensor, data.n_bytes, extent, reterr);
        if (status < 0)
            return status;
        tensor->data = data.bytes + extent->begin;
        file->n_tensors++;
    }
    return check_tiling(extents, file->n_tensors, data.n_bytes, reterr);
}

static enum ph_status parse_metadata(struct phi_safetensors *file, struct ph_error *reterr)
{
    json_t *metadata = json_object_get(file->header, "__metadata__");
    const char *key;
    json_t *value;

    if (metadata && !json_is_object(metadata))
        return phi_error(reterr, PH_E_FORMAT, "the metadata are not an object");
    file->metadata = phi_calloc(json_object_size(metadata), sizeof *file->metadata);
    if (!file->metadata)
        return phi_error_nomem(reterr, "metadata", json_object_size(metadata));
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value))
            return phi_error(reterr, PH_E_FORMAT, "metadata '%.80s' is not a string", key);
        file->metadata[file->n_metadata++] =
            (struct phi_safetensors_pair){key, json_string_value(value)};
    }
    qsort(file->metadata, file->n_metadata, sizeof *file->metadata, compare_pairs);
    return PH_OK;
}

static enum ph_status parse_json(struct phi_safetensors *file, struct phi_span header,
                                 struct ph_error *reterr)
{
    json_error_t problem;

    if (header.n_bytes == 0 || header.bytes[0] != '{')
        return phi_error(reterr, PH_E_FORMAT, "the header does not begin with '{'");
    file->header =
        json_loadb((const char *)header.bytes, header.n_bytes, JSON_REJECT_DUPLICATES, &problem);
    if (!file->header)
        return phi_error(reterr, PH_E_FORMAT, "header, byte %d: %s", problem.position,
                         problem.text);
    return PH_OK;
}

static enum ph_status split_file(const unsigned char *bytes, size_t n_bytes,
                                 struct phi_span *ret_header, struct phi_span *ret_data,
                                 struct ph_error *reterr)
{
    struct phi_cursor cursor = phi_cursor_over(bytes, n_bytes);
    uint64_t n_header = phi_cursor_u64le(&cursor);

    if (cursor.failed)
        return phi_error(reterr, PH_E_FORMAT, "%zu bytes are too few for a safetensors file",
                         n_bytes);
    if (n_header > PHI_SAFETENSORS_MAX_HEADER_BYTES || n_header > phi_cursor_left(&cursor))
        return phi_error(reterr, PH_E_FORMAT,
                         "its header claims %llu bytes, the file has %zu: not a safetensors file, "
                         "or cut short",
                         (unsigned long long)n_header, n_bytes);
    ret_header->n_bytes = (size_t)n_header;
    ret_header->bytes = phi_cursor_take(&cursor, (size_t)n_header);
    ret_data->n_bytes = phi_cursor_left(&cursor);
    ret_data->bytes = bytes + cursor.at;
    return PH_OK;
}

enum ph_status phi_safetensors_parse_header(struct phi_safetensors *file,
                                            const unsigned char *bytes, size_t n_bytes,
                                            struct ph_error *reterr)
{
    struct phi_span header = {NULL, 0};
    struct phi_span data = {NULL, 0};
    struct extent *extents;
    enum ph_status status = split_file(bytes, n_bytes, &header, &data, reterr);

    if (status >= 0)
        status = parse_json(file, header, reterr);
    if (status < 0)
        return status;
    file->tensors = phi_calloc(json_object_size(file->header), sizeof *file->tensors);
    extents = phi_calloc(json_object_size(file->header), sizeof *extents);
    if (file->tensors && extents)
        status = parse_tensors(file, data, extents, reterr);
    else
        status = phi_error_nomem(reterr, "the table of tensors", json_object_size(file->header));
    phi_free(extents);
    if (status < 0)
        return status;
    qsort(file->tensors, file->n_tensors, sizeof *file->tensors, compare_tensors);
    return parse_metadata(file, reterr);
}
