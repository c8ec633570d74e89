/* SPDX-License-Identifier: MIT
 *
 * The same content gives the same bytes: metadata sorted by key; tensors sorted by the size of
 * their type, widest first, then by name, which also keeps every tensor aligned to its type; data
 * begin at a multiple of 64 bytes. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "io/file.h"
#include "io/safetensors_private.h"

#define DATA_ALIGN 64

/* A tensor of the content with its place in the file. */
struct slot {
    struct phi_safetensors_tensor tensor; /* name copied */
    size_t index;                         /* in the caller's content */
    uint64_t begin;                       /* in the data area */
};

struct phi_safetensors_writer {
    struct phi_new_file file;
    char *path;
    struct slot *slots; /* [n_slots], in the order of the file */
    size_t n_slots;
    uint64_t data_begin;
    uint64_t n_data_bytes;
    uint64_t n_put_bytes;
};

static int compare_slots(const void *a, const void *b)
{
    const struct slot *x = a;
    const struct slot *y = b;
    size_t x_size = phi_safetensors_dtype_size(x->tensor.dtype);
    size_t y_size = phi_safetensors_dtype_size(y->tensor.dtype);

    if (x_size != y_size)
        return x_size > y_size ? -1 : 1;
    return strcmp(x->tensor.name, y->tensor.name);
}

static int compare_pairs(const void *a, const void *b)
{
    return strcmp(((const struct phi_safetensors_pair *)a)->key,
                  ((const struct phi_safetensors_pair *)b)->key);
}

static char *copy_text(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = phi_calloc(n, 1);

    if (copy)
        memcpy(copy, text, n);
    return copy;
}

static enum ph_status take_tensor(struct phi_safetensors_writer *writer,
                                  const struct phi_safetensors_tensor *tensor,
                                  struct ph_error *reterr)
{
    struct slot *slot = &writer->slots[writer->n_slots];

    if (tensor->n_dims > PHI_SAFETENSORS_MAX_DIMS)
        return phi_error(reterr, PH_E_LIMIT, "'%.200s', tensor '%.80s': too many dimensions",
                         writer->path, tensor->name);
    slot->tensor = *tensor;
    if (!phi_safetensors_measure(tensor, &slot->tensor.n_values, &slot->tensor.n_bytes))
        return phi_error(reterr, PH_E_LIMIT, "'%.200s', tensor '%.80s': its shape is too large",
                         writer->path, tensor->name);
    slot->tensor.name = copy_text(tensor->name);
    if (!slot->tensor.name)
        return phi_error_nomem(reterr, "a tensor's name", strlen(tensor->name));
    slot->index = writer->n_slots++;
    return PH_OK;
}

static enum ph_status place_tensors(struct phi_safetensors_writer *writer, struct ph_error *reterr)
{
    uint64_t at = 0;

    qsort(writer->slots, writer->n_slots, sizeof *writer->slots, compare_slots);
    for (size_t i = 0; i < writer->n_slots; i++) {
        writer->slots[i].begin = at;
        if (__builtin_add_overflow(at, writer->slots[i].tensor.n_bytes, &at) || at > INT64_MAX)
            return phi_error(reterr, PH_E_LIMIT, "'%.200s': the tensors are too large together",
                             writer->path);
    }
    writer->n_data_bytes = at;
    return PH_OK;
}

/* New references; NULL when memory is short or a string is not UTF-8. */
static json_t *pack_tensor(const struct slot *slot)
{
    json_t *shape = json_array();

    for (size_t i = 0; shape && i < slot->tensor.n_dims; i++) {
        if (json_array_append_new(shape, json_integer((json_int_t)slot->tensor.shape[i]))) {
            json_decref(shape);
            return NULL;
        }
    }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype",
                     phi_safetensors_dtype_name(slot->tensor.dtype), "shape", shape, "data_offsets",
                     (json_int_t)slot->begin, (json_int_t)(slot->begin + slot->tensor.n_bytes));
}

static bool add_metadata(json_t *header, const struct phi_safetensors_content *content)
{
    struct phi_safetensors_pair *sorted = phi_calloc(content->n_metadata, sizeof *sorted);
    json_t *metadata = json_object();
    bool good = sorted && metadata;

    if (content->n_metadata > 0 && good) {
        memcpy(sorted, content->metadata, content->n_metadata * sizeof *sorted);
        qsort(sorted, content->n_metadata, sizeof *sorted, compare_pairs);
    }
    for (size_t i = 0; good && i < content->n_metadata; i++)
        good = !json_object_get(metadata, sorted[i].key) &&
               json_object_set_new(metadata, sorted[i].key, json_string(sorted[i].value)) == 0;
    phi_free(sorted);
    if (!good) {
        json_decref(metadata);
        return false;
    }
    if (content->n_metadata > 0)
        return json_object_set_new(header, "__metadata__", metadata) == 0;
    json_decref(metadata);
    return true;
}

static enum ph_status build_header(const struct phi_safetensors_writer *writer,
                                   const struct phi_safetensors_content *content, char **ret_text,
                                   struct ph_error *reterr)
{
    json_t *header = json_object();
    bool good = header && add_metadata(header, content);
    char *text = NULL;

    for (size_t i = 0; good && i < writer->n_slots; i++) {
        const struct slot *slot = &writer->slots[i];

        if (json_object_get(header, slot->tensor.name) ||
            strcmp(slot->tensor.name, "__metadata__") == 0) {
            json_decref(header);
            return phi_error(reterr, PH_E_INVAL,
                             "'%.200s': tensor name '%.80s' given twice or "
                             "reserved",
                             writer->path, slot->tensor.name);
        }
        good = json_object_set_new(header, slot->tensor.name, pack_tensor(slot)) == 0;
    }
    text = good ? json_dumps(header, JSON_COMPACT) : NULL;
    json_decref(header);
    if (!text)
        return phi_error(reterr, PH_E_INVAL,
                         "'%.200s': the header cannot be made: a name or "
                         "metadata string that is not UTF-8, or a key given twice",
                         writer->path);
    *ret_text = text;
    return PH_OK;
}

static enum ph_status put_at(const struct phi_safetensors_writer *writer, uint64_t offset,
                             const void *bytes, size_t n_bytes, struct ph_error *reterr)
{
    const unsigned char *at = bytes;

    while (n_bytes > 0) {
        ssize_t n = pwrite(writer->file.fd, at, n_bytes, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return phi_error_os(reterr, PH_E_IO, errno, "cannot write '%s'", writer->path);
        at += n;
        offset += (uint64_t)n;
        n_bytes -= (size_t)n;
    }
    return PH_OK;
}

static enum ph_status write_header(struct phi_safetensors_writer *writer,
                                   const struct phi_safetensors_content *content,
                                   struct ph_error *reterr)
{
    char *text = NULL;
    char pad[DATA_ALIGN];
    enum ph_status status = build_header(writer, content, &text, reterr);
    uint64_t n_text;
    uint64_t n_header;

    if (status < 0)
        return status;
    n_text = strlen(text);
    n_header = (n_text + 8 + DATA_ALIGN - 1) / DATA_ALIGN * DATA_ALIGN - 8;
    memset(pad, ' ', sizeof pad);
    writer->data_begin = n_header + 8;
    status = put_at(writer, 0, &n_header, sizeof n_header, reterr);
    if (status >= 0)
        status = put_at(writer, sizeof n_header, text, n_text, reterr);
    if (status >= 0)
        status = put_at(writer, sizeof n_header + n_text, pad, n_header - n_text, reterr);
    free(text);
    return status;
}

static enum ph_status put_slot(struct phi_safetensors_writer *writer, const struct slot *slot,
                               size_t offset_bytes, const void *data, size_t n_bytes,
                               struct ph_error *reterr)
{
    uint64_t at = writer->data_begin + slot->begin + offset_bytes;
    enum ph_status status = put_at(writer, at, data, n_bytes, reterr);

    if (status >= 0)
        writer->n_put_bytes += n_bytes;
    return status;
}

static enum ph_status fill(struct phi_safetensors_writer *writer,
                           const struct phi_safetensors_content *content, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    for (size_t i = 0; status >= 0 && i < content->n_tensors; i++)
        status = take_tensor(writer, &content->tensors[i], reterr);
    if (status >= 0)
        status = place_tensors(writer, reterr);
    if (status >= 0)
        status = phi_new_file_open(&writer->file, writer->path, reterr);
    if (status >= 0)
        status = write_header(writer, content, reterr);
    for (size_t i = 0; status >= 0 && i < writer->n_slots; i++) {
        const struct phi_safetensors_tensor *tensor = &writer->slots[i].tensor;

        if (tensor->data)
            status = put_slot(writer, &writer->slots[i], 0, tensor->data, tensor->n_bytes, reterr);
    }
    return status;
}

enum ph_status phi_safetensors_writer_create(const char *path,
                                             const struct phi_safetensors_content *content,
                                             struct phi_safetensors_writer **ret_writer,
                                             struct ph_error *reterr)
{
    struct phi_safetensors_writer *writer = phi_calloc(1, sizeof *writer);
    enum ph_status status;

    if (!writer)
        return phi_error_nomem(reterr, "a file writer", sizeof *writer);
    writer->file.fd = -1;
    writer->path = copy_text(path);
    writer->slots = phi_calloc(content->n_tensors, sizeof *writer->slots);
    if (writer->path && writer->slots)
        status = fill(writer, content, reterr);
    else
        status = phi_error_nomem(reterr, "a file writer", content->n_tensors);
    if (status < 0)
        phi_safetensors_writer_destroy(&writer);
    else
        *ret_writer = writer;
    return status;
}

enum ph_status phi_safetensors_writer_put(struct phi_safetensors_writer *writer, size_t index,
                                          size_t offset_bytes, const void *data, size_t n_bytes,
                                          struct ph_error *reterr)
{
    for (size_t i = 0; i < writer->n_slots; i++) {
        const struct slot *slot = &writer->slots[i];

        if (slot->index != index)
            continue;
        if (offset_bytes > slot->tensor.n_bytes || n_bytes > slot->tensor.n_bytes - offset_bytes)
            return phi_error(reterr, PH_E_SHAPE,
                             "'%.200s', tensor '%.80s': %zu bytes at %zu leave its %zu bytes",
                             writer->path, slot->tensor.name, n_bytes, offset_bytes,
                             slot->tensor.n_bytes);
        return put_slot(writer, slot, offset_bytes, data, n_bytes, reterr);
    }
    return phi_error(reterr, PH_E_INVAL, "'%.200s': no tensor number %zu", writer->path, index);
}

enum ph_status phi_safetensors_writer_commit(struct phi_safetensors_writer *writer,
                                             struct ph_error *reterr)
{
    if (writer->n_put_bytes != writer->n_data_bytes)
        return phi_error(reterr, PH_E_STATE, "'%.200s': %llu bytes of data were written of %llu",
                         writer->path, (unsigned long long)writer->n_put_bytes,
                         (unsigned long long)writer->n_data_bytes);
    return phi_new_file_commit(&writer->file, reterr);
}

void phi_safetensors_writer_destroy(struct phi_safetensors_writer **writer)
{
    if (!writer || !*writer)
        return;
    for (size_t i = 0; i < (*writer)->n_slots; i++)
        free((void *)(uintptr_t)(*writer)->slots[i].tensor.name);
    phi_new_file_abandon(&(*writer)->file);
    phi_free((*writer)->slots);
    phi_free((*writer)->path);
    phi_free(*writer);
    *writer = NULL;
}

enum ph_status phi_safetensors_write(const char *path,
                                     const struct phi_safetensors_content *content,
                                     struct ph_error *reterr)
{
    struct phi_safetensors_writer *writer;
    enum ph_status status = phi_safetensors_writer_create(path, content, &writer, reterr);

    if (status < 0)
        return status;
    status = phi_safetensors_writer_commit(writer, reterr);
    phi_safetensors_writer_destroy(&writer);
    return status;
}
