/* SPDX-License-Identifier: MIT */
#include "io/arrays.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/file.h"
#include "io/npy.h"

static char *copy_text(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = phi_calloc(n, 1);

    if (copy)
        memcpy(copy, text, n);
    return copy;
}

static enum ph_status grow(struct phi_arrays *arrays, struct ph_error *reterr)
{
    size_t capacity = arrays->capacity ? 2 * arrays->capacity : 32;
    struct phi_safetensors_tensor *items;

    if (arrays->n < arrays->capacity)
        return PH_OK;
    items = phi_calloc(capacity, sizeof *items);
    if (!items)
        return phi_error_nomem(reterr, "a list of arrays", capacity * sizeof *items);
    if (arrays->n)
        memcpy(items, arrays->items, arrays->n * sizeof *items);
    phi_free(arrays->items);
    arrays->items = items;
    arrays->capacity = capacity;
    return PH_OK;
}

/* The data of items are of phi_calloc; the reader's struct calls them const. */
static void free_data(struct phi_safetensors_tensor *tensor)
{
    void *data;

    memcpy(&data, &tensor->data, sizeof data);
    phi_free(data);
    memcpy(&data, &tensor->name, sizeof data);
    phi_free(data);
}

enum ph_status phi_arrays_add(struct phi_arrays *arrays, const char *name,
                              const struct phi_safetensors_tensor *tensor, struct ph_error *reterr)
{
    struct phi_safetensors_tensor mine = *tensor;
    enum ph_status status = PH_OK;

    mine.name = NULL;
    if (phi_arrays_find(arrays, name))
        status = phi_error(reterr, PH_E_FORMAT, "there are two arrays named '%s'", name);
    else if (mine.n_bytes > PHI_ARRAYS_MAX_BYTES - arrays->n_bytes)
        status = phi_error(reterr, PH_E_LIMIT, "array '%s': over %zu bytes in all", name,
                           PHI_ARRAYS_MAX_BYTES);
    else
        status = grow(arrays, reterr);
    if (status == PH_OK) {
        mine.name = copy_text(name);
        if (!mine.name)
            status = phi_error_nomem(reterr, "a name", strlen(name));
    }
    if (status != PH_OK) {
        free_data(&mine);
        return status;
    }
    arrays->items[arrays->n++] = mine;
    arrays->n_bytes += mine.n_bytes;
    return PH_OK;
}

void phi_arrays_fini(struct phi_arrays *arrays)
{
    for (size_t i = 0; i < arrays->n; i++)
        free_data(&arrays->items[i]);
    phi_free(arrays->items);
    memset(arrays, 0, sizeof *arrays);
}

struct phi_safetensors_tensor *phi_arrays_find(const struct phi_arrays *arrays, const char *name)
{
    for (size_t i = 0; i < arrays->n; i++)
        if (strcmp(arrays->items[i].name, name) == 0)
            return &arrays->items[i];
    return NULL;
}

/* "a/b/weights.npy" -> "weights" */
static bool stem_of(const char *path, char *out, size_t capacity)
{
    const char *slash = strrchr(path, '/');
    bool whole = phi_str_copy(out, capacity, slash ? slash + 1 : path);
    char *dot = strrchr(out, '.');

    if (dot)
        *dot = '\0';
    return whole && out[0] != '\0';
}

static enum ph_status load_npy(struct phi_arrays *arrays, const char *path, struct ph_error *reterr)
{
    struct phi_safetensors_tensor tensor;
    char name[256];
    unsigned char *bytes = NULL;
    size_t n_bytes = 0;
    enum ph_status status;

    if (!stem_of(path, name, sizeof name))
        return phi_error(reterr, PH_E_INVAL, "%s: the name is too long", path);
    status = phi_file_read(path, PHI_ARRAYS_MAX_BYTES, &bytes, &n_bytes, reterr);
    if (status == PH_OK)
        status = phi_npy_parse(bytes, n_bytes, path, &tensor, reterr);
    phi_free(bytes);
    return status == PH_OK ? phi_arrays_add(arrays, name, &tensor, reterr) : status;
}

static enum ph_status copy_tensor(struct phi_arrays *arrays,
                                  const struct phi_safetensors_tensor *source,
                                  struct ph_error *reterr)
{
    struct phi_safetensors_tensor copy = *source;
    void *data = phi_calloc(source->n_bytes, 1);

    if (!data)
        return phi_error_nomem(reterr, "an array", source->n_bytes);
    memcpy(data, source->data, source->n_bytes);
    copy.data = data;
    return phi_arrays_add(arrays, source->name, &copy, reterr);
}

static enum ph_status load_safetensors(struct phi_arrays *arrays, const char *path,
                                       struct ph_error *reterr)
{
    struct phi_safetensors *file = NULL;
    enum ph_status status = phi_safetensors_open(path, &file, reterr);

    for (size_t i = 0; status == PH_OK && i < phi_safetensors_count(file); i++)
        status = copy_tensor(arrays, phi_safetensors_at(file, i), reterr);
    phi_safetensors_close(&file);
    return status;
}

enum ph_status phi_arrays_load(struct phi_arrays *arrays, const char *path, struct ph_error *reterr)
{
    static const struct {
        const char *ending;
        enum ph_status (*load)(struct phi_arrays *arrays, const char *path,
                               struct ph_error *reterr);
    } readers[] = {
        {".npy", load_npy},
        {".npz", phi_arrays_load_archive},
        {".tar.gz", phi_arrays_load_archive},
        {".tgz", phi_arrays_load_archive},
        {".h5", phi_arrays_load_hdf5},
        {".hdf5", phi_arrays_load_hdf5},
        {".safetensors", load_safetensors},
    };

    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
        if (phi_str_ends(path, readers[i].ending))
            return readers[i].load(arrays, path, reterr);
    if (phi_str_ends(path, ".pkl") || phi_str_ends(path, ".pt") || phi_str_ends(path, ".pth"))
        return phi_error(reterr, PH_E_FORMAT,
                         "%s: pickled files can run code when they are read and are refused; save "
                         "the weights as safetensors or .npz instead",
                         path);
    return phi_error(reterr, PH_E_FORMAT,
                     "%s: unknown ending; known are .npy .npz .tar.gz .h5 .hdf5 .safetensors",
                     path);
}
