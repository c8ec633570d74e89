/* SPDX-License-Identifier: MIT */
#include "io/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/safetensors_private.h"

static enum ph_status create(const char *path, struct phi_safetensors **ret_file,
                             struct ph_error *reterr)
{
    size_t n_path = strlen(path) + 1;
    struct phi_safetensors *file = phi_calloc(1, sizeof *file);

    if (file)
        file->path = phi_calloc(n_path, 1);
    if (!file || !file->path) {
        phi_safetensors_close(&file);
        return phi_error_nomem(reterr, "a model file", sizeof *file);
    }
    memcpy(file->path, path, n_path);
    *ret_file = file;
    return PH_OK;
}

static enum ph_status map_descriptor(struct phi_safetensors *file, int fd, struct ph_error *reterr)
{
    struct stat info;
    void *map;

    if (fstat(fd, &info))
        return phi_error_os(reterr, PH_E_IO, errno, "cannot read '%s'", file->path);
    if (!S_ISREG(info.st_mode))
        return phi_error(reterr, PH_E_IO, "'%s' is not a regular file", file->path);
    if (info.st_size == 0)
        return phi_error(reterr, PH_E_FORMAT, "'%s' is empty", file->path);
    map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot map '%s'", file->path);
    file->map = map;
    file->n_map_bytes = (size_t)info.st_size;
    return PH_OK;
}

static enum ph_status map_file(struct phi_safetensors *file, struct ph_error *reterr)
{
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    enum ph_status status;

    if (fd < 0)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot open '%s'", file->path);
    status = map_descriptor(file, fd, reterr);
    (void)close(fd);
    return status;
}

static enum ph_status parse_or_prefix(struct phi_safetensors *file, const void *bytes,
                                      size_t n_bytes, struct ph_error *reterr)
{
    enum ph_status status = phi_safetensors_parse_header(file, bytes, n_bytes, reterr);

    if (status < 0)
        (void)phi_error_prefix(reterr, "'%.200s'", file->path);
    return status;
}

enum ph_status phi_safetensors_open(const char *path, struct phi_safetensors **ret_file,
                                    struct ph_error *reterr)
{
    struct phi_safetensors *file = NULL;
    enum ph_status status = create(path, &file, reterr);

    if (status >= 0)
        status = map_file(file, reterr);
    if (status >= 0)
        status = parse_or_prefix(file, file->map, file->n_map_bytes, reterr);
    if (status < 0)
        phi_safetensors_close(&file);
    else
        *ret_file = file;
    return status;
}

enum ph_status phi_safetensors_parse(const void *bytes, size_t n_bytes, const char *name,
                                     struct phi_safetensors **ret_file, struct ph_error *reterr)
{
    struct phi_safetensors *file = NULL;
    enum ph_status status = create(name, &file, reterr);

    if (status >= 0)
        status = parse_or_prefix(file, bytes, n_bytes, reterr);
    if (status < 0)
        phi_safetensors_close(&file);
    else
        *ret_file = file;
    return status;
}

void phi_safetensors_close(struct phi_safetensors **file)
{
    if (!file || !*file)
        return;
    if ((*file)->map)
        (void)munmap((*file)->map, (*file)->n_map_bytes);
    json_decref((*file)->header);
    phi_free((*file)->tensors);
    phi_free((*file)->metadata);
    phi_free((*file)->path);
    phi_free(*file);
    *file = NULL;
}

const char *phi_safetensors_path(const struct phi_safetensors *file)
{
    return file->path;
}

size_t phi_safetensors_count(const struct phi_safetensors *file)
{
    return file->n_tensors;
}

const struct phi_safetensors_tensor *phi_safetensors_at(const struct phi_safetensors *file,
                                                        size_t i)
{
    return i < file->n_tensors ? &file->tensors[i] : NULL;
}

const struct phi_safetensors_tensor *phi_safetensors_find(const struct phi_safetensors *file,
                                                          const char *name)
{
    size_t low = 0;
    size_t high = file->n_tensors;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, file->tensors[middle].name);

        if (order == 0)
            return &file->tensors[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

int phi_safetensors_metadata_at(const struct phi_safetensors *file, size_t i,
                                struct phi_safetensors_pair *ret_pair)
{
    if (i >= file->n_metadata)
        return 0;
    *ret_pair = file->metadata[i];
    return 1;
}

const char *phi_safetensors_metadata(const struct phi_safetensors *file, const char *key)
{
    for (size_t i = 0; i < file->n_metadata; i++) {
        if (strcmp(file->metadata[i].key, key) == 0)
            return file->metadata[i].value;
    }
    return NULL;
}

enum ph_status phi_safetensors_metadata_i64(const struct phi_safetensors *file, const char *key,
                                            const int64_t range[2], int64_t *ret_value,
                                            struct ph_error *reterr)
{
    const char *text = phi_safetensors_metadata(file, key);
    int64_t value;

    if (!text)
        return phi_error(reterr, PH_E_FORMAT, "'%.200s': no metadata '%s'", file->path, key);
    if (!phi_parse_i64(text, &value) || value < range[0] || value > range[1])
        return phi_error(reterr, PH_E_FORMAT,
                         "'%.200s': metadata '%s' is '%.40s', not an integer in %lld..%lld",
                         file->path, key, text, (long long)range[0], (long long)range[1]);
    *ret_value = value;
    return PH_OK;
}

enum ph_status phi_safetensors_expect_kind(const struct phi_safetensors *file, const char *kind,
                                           int64_t max_version, int64_t *ret_version,
                                           struct ph_error *reterr)
{
    const char *found = phi_safetensors_metadata(file, "phosphene.kind");
    const int64_t range[2] = {1, max_version};

    if (!found)
        return phi_error(reterr, PH_E_FORMAT,
                         "'%.200s' has no 'phosphene.kind' in its metadata: not a file of kind "
                         "'%s'; other frameworks' weights go through `phos convert`",
                         file->path, kind);
    if (strcmp(found, kind) != 0)
        return phi_error(reterr, PH_E_FORMAT, "'%.200s' is of kind '%.60s', needed is '%s'",
                         file->path, found, kind);
    return phi_safetensors_metadata_i64(file, "phosphene.version", range, ret_version, reterr);
}

static void print_shape(struct phi_str *out, size_t n_dims, const size_t *shape)
{
    phi_str_addf(out, "[");
    for (size_t i = 0; i < n_dims; i++) {
        if (shape[i] == 0)
            phi_str_addf(out, "%sany", i ? ", " : "");
        else
            phi_str_addf(out, "%s%zu", i ? ", " : "", shape[i]);
    }
    phi_str_addf(out, "]");
}

static enum ph_status shape_error(const struct phi_safetensors *file,
                                  const struct phi_safetensors_tensor *tensor, size_t n_dims,
                                  const size_t *shape, struct ph_error *reterr)
{
    char found[120];
    char wanted[120];
    struct phi_str found_str = phi_str_over(found, sizeof found);
    struct phi_str wanted_str = phi_str_over(wanted, sizeof wanted);

    print_shape(&found_str, tensor->n_dims, tensor->shape);
    print_shape(&wanted_str, n_dims, shape);
    return phi_error(reterr, PH_E_SHAPE, "'%.120s', tensor '%.80s': shape %s, needed %s",
                     file->path, tensor->name, found, wanted);
}

enum ph_status phi_safetensors_expect(const struct phi_safetensors *file, const char *name,
                                      size_t n_dims, const size_t *shape,
                                      const struct phi_safetensors_tensor **ret_tensor,
                                      struct ph_error *reterr)
{
    const struct phi_safetensors_tensor *tensor = phi_safetensors_find(file, name);

    if (!tensor)
        return phi_error(reterr, PH_E_FORMAT, "'%.200s' has no tensor '%.80s'", file->path, name);
    if (tensor->n_dims != n_dims)
        return shape_error(file, tensor, n_dims, shape, reterr);
    for (size_t i = 0; i < n_dims; i++) {
        if (shape[i] != 0 && shape[i] != tensor->shape[i])
            return shape_error(file, tensor, n_dims, shape, reterr);
    }
    *ret_tensor = tensor;
    return PH_OK;
}
