/* SPDX-License-Identifier: MIT */
#include "tools/stimuli/set.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/file.h"
#include "io/image.h"
#include "io/safetensors.h"

/* Pictures of a folder are held in memory together. */
#define MAX_FOLDER_BYTES ((size_t)4 << 30)
#define MAX_FOLDER_FILES ((size_t)1 << 20)

struct phi_stimuli {
    size_t n, height, width;
    const uint8_t *images; /* [n][height][width][3] */
    char (*names)[PHI_STIMULI_NAME];
    float *attributes; /* [n][n_attributes] or NULL */
    size_t n_attributes;
    int32_t *clips;               /* [n] or NULL */
    struct phi_safetensors *file; /* holds `images` if not NULL */
    uint8_t *own;                 /* holds them otherwise */
};

static enum ph_status read_names(struct phi_stimuli *set, struct ph_error *reterr)
{
    const size_t shape[2] = {set->n, PHI_STIMULI_NAME};
    const struct phi_safetensors_tensor *names;
    enum ph_status status = phi_safetensors_expect(set->file, "names", 2, shape, &names, reterr);

    if (status < 0)
        return status;
    if (names->dtype != PHI_SAFETENSORS_U8)
        return phi_error(reterr, PH_E_FORMAT, "'%.200s': names are not bytes",
                         phi_safetensors_path(set->file));
    set->names = phi_calloc(set->n, sizeof *set->names);
    if (!set->names)
        return phi_error_nomem(reterr, "names of stimuli", set->n * PHI_STIMULI_NAME);
    memcpy(set->names, names->data, names->n_bytes);
    for (size_t i = 0; i < set->n; i++)
        set->names[i][PHI_STIMULI_NAME - 1] = '\0';
    return PH_OK;
}

static enum ph_status read_extras(struct phi_stimuli *set, struct ph_error *reterr)
{
    const size_t shape[2] = {set->n, 0};
    const struct phi_safetensors_tensor *attributes = phi_safetensors_find(set->file, "attributes");
    const struct phi_safetensors_tensor *clips;
    enum ph_status status = PH_OK;

    if (attributes) {
        status =
            phi_safetensors_load_f32(set->file, "attributes", 2, shape, &set->attributes, reterr);
        set->n_attributes = attributes->n_dims == 2 ? attributes->shape[1] : 0;
    }
    if (status < 0 || !phi_safetensors_find(set->file, "clip"))
        return status;
    status = phi_safetensors_expect(set->file, "clip", 1, shape, &clips, reterr);
    if (status < 0)
        return status;
    if (clips->dtype != PHI_SAFETENSORS_I32)
        return phi_error(reterr, PH_E_FORMAT, "'%.200s': clip is not I32",
                         phi_safetensors_path(set->file));
    set->clips = phi_calloc(set->n, sizeof *set->clips);
    if (!set->clips)
        return phi_error_nomem(reterr, "clips of frames", set->n);
    memcpy(set->clips, clips->data, clips->n_bytes);
    return PH_OK;
}

static enum ph_status open_file(struct phi_stimuli *set, const char *path, struct ph_error *reterr)
{
    const size_t shape[4] = {0, 0, 0, 3};
    const struct phi_safetensors_tensor *images;
    int64_t version;
    enum ph_status status = phi_safetensors_open(path, &set->file, reterr);

    if (status >= 0)
        status = phi_safetensors_expect_kind(set->file, PHI_STIMULI_KIND, 1, &version, reterr);
    if (status >= 0)
        status = phi_safetensors_expect(set->file, "images", 4, shape, &images, reterr);
    if (status < 0)
        return status;
    if (images->dtype != PHI_SAFETENSORS_U8 || images->n_values == 0)
        return phi_error(reterr, PH_E_FORMAT, "'%.200s': images are not 8-bit, or none", path);
    set->n = images->shape[0];
    set->height = images->shape[1];
    set->width = images->shape[2];
    set->images = images->data;
    status = read_names(set, reterr);
    return status < 0 ? status : read_extras(set, reterr);
}

static bool is_picture(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot && name[0] != '.' &&
           (strcasecmp(dot, ".png") == 0 || strcasecmp(dot, ".jpg") == 0 ||
            strcasecmp(dot, ".jpeg") == 0);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static enum ph_status add_name(struct phi_stimuli *set, size_t *capacity, const char *name,
                               struct ph_error *reterr)
{
    if (strlen(name) >= PHI_STIMULI_NAME)
        return phi_error(reterr, PH_E_LIMIT, "the file name '%.100s' is longer than %d bytes", name,
                         PHI_STIMULI_NAME - 1);
    if (set->n == *capacity) {
        size_t more = *capacity ? 2 * *capacity : 256;
        char(*grown)[PHI_STIMULI_NAME] =
            more <= MAX_FOLDER_FILES ? phi_calloc(more, sizeof *grown) : NULL;

        if (!grown)
            return phi_error(reterr, PH_E_LIMIT, "too many pictures in one folder");
        if (set->n > 0)
            memcpy(grown, set->names, set->n * sizeof *grown);
        phi_free(set->names);
        set->names = grown;
        *capacity = more;
    }
    (void)phi_str_copy(set->names[set->n++], PHI_STIMULI_NAME, name);
    return PH_OK;
}

static enum ph_status list_folder(struct phi_stimuli *set, const char *path,
                                  struct ph_error *reterr)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    size_t capacity = 0;
    enum ph_status status = PH_OK;

    if (!folder)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot open the folder '%s'", path);
    while (status >= 0 && (entry = readdir(folder)) != NULL) {
        if (is_picture(entry->d_name) && strcmp(entry->d_name, "sheet.png") != 0)
            status = add_name(set, &capacity, entry->d_name, reterr);
    }
    (void)closedir(folder);
    if (status >= 0 && set->n == 0)
        return phi_error(reterr, PH_E_FORMAT, "no PNG or JPEG pictures in '%s'", path);
    if (status >= 0)
        qsort(set->names, set->n, sizeof *set->names, compare_names);
    return status;
}

static enum ph_status take_picture(struct phi_stimuli *set, size_t i, const char *path,
                                   struct ph_error *reterr)
{
    struct phi_image image;
    enum ph_status status = phi_image_open(path, &image, reterr);
    size_t n_bytes;

    if (status < 0)
        return status;
    n_bytes = image.width * image.height * 3;
    if (i == 0) {
        set->width = image.width;
        set->height = image.height;
        if (n_bytes <= MAX_FOLDER_BYTES / set->n)
            set->own = phi_calloc(set->n, n_bytes);
        set->images = set->own;
        if (!set->own)
            status = phi_error(reterr, PH_E_LIMIT, "%zu pictures like '%.200s' are too much memory",
                               set->n, path);
    } else if (image.width != set->width || image.height != set->height) {
        status = phi_error(reterr, PH_E_SHAPE,
                           "'%.200s' is %zu x %zu pixels, '%.64s' and those before it %zu x %zu; "
                           "all stimuli must be of one size",
                           path, image.width, image.height, set->names[0], set->width, set->height);
    }
    if (status >= 0)
        memcpy(set->own + i * n_bytes, image.pixels, n_bytes);
    phi_image_fini(&image);
    return status;
}

static enum ph_status open_folder(struct phi_stimuli *set, const char *path,
                                  struct ph_error *reterr)
{
    char file[PHI_PATH_MAX];
    enum ph_status status;

    if (phi_path_join(file, sizeof file, path, "stimuli.safetensors") && phi_path_exists(file))
        return open_file(set, file, reterr);
    status = list_folder(set, path, reterr);
    for (size_t i = 0; status >= 0 && i < set->n; i++) {
        if (!phi_path_join(file, sizeof file, path, set->names[i]))
            return phi_error(reterr, PH_E_LIMIT, "the path '%.200s' is too long", path);
        status = take_picture(set, i, file, reterr);
    }
    return status;
}

enum ph_status phi_stimuli_open(const char *path, struct phi_stimuli **ret_set,
                                struct ph_error *reterr)
{
    struct phi_stimuli *set = phi_calloc(1, sizeof *set);
    struct stat info;
    enum ph_status status;

    if (!set)
        return phi_error_nomem(reterr, "a set of stimuli", sizeof *set);
    if (stat(path, &info) != 0)
        status = phi_error_os(reterr, PH_E_IO, errno, "cannot open '%s'", path);
    else if (S_ISDIR(info.st_mode))
        status = open_folder(set, path, reterr);
    else
        status = open_file(set, path, reterr);
    if (status < 0)
        phi_stimuli_close(&set);
    else
        *ret_set = set;
    return status;
}

void phi_stimuli_close(struct phi_stimuli **set)
{
    if (!set || !*set)
        return;
    phi_safetensors_close(&(*set)->file);
    phi_free((*set)->own);
    phi_free((*set)->names);
    phi_free((*set)->attributes);
    phi_free((*set)->clips);
    phi_free(*set);
    *set = NULL;
}

size_t phi_stimuli_count(const struct phi_stimuli *set)
{
    return set->n;
}

size_t phi_stimuli_height(const struct phi_stimuli *set)
{
    return set->height;
}

size_t phi_stimuli_width(const struct phi_stimuli *set)
{
    return set->width;
}

const uint8_t *phi_stimuli_image(const struct phi_stimuli *set, size_t i)
{
    return set->images + i * set->height * set->width * 3;
}

const char *phi_stimuli_name(const struct phi_stimuli *set, size_t i)
{
    return set->names[i];
}

size_t phi_stimuli_find(const struct phi_stimuli *set, const char *name)
{
    const char *slash = strrchr(name, '/');

    name = slash ? slash + 1 : name;
    for (size_t i = 0; i < set->n; i++) {
        if (strcmp(set->names[i], name) == 0)
            return i;
    }
    return SIZE_MAX;
}

const float *phi_stimuli_attributes(const struct phi_stimuli *set, size_t i, size_t *ret_n)
{
    *ret_n = set->n_attributes;
    return set->attributes ? set->attributes + i * set->n_attributes : NULL;
}

int32_t phi_stimuli_clip(const struct phi_stimuli *set, size_t i)
{
    return set->clips ? set->clips[i] : 0;
}

void phi_stimuli_to_float(const struct phi_stimuli *set, size_t i, float *ret)
{
    const uint8_t *image = phi_stimuli_image(set, i);
    size_t n = set->height * set->width * 3;

    for (size_t k = 0; k < n; k++)
        ret[k] = (float)image[k] / 255.0f;
}

void phi_stimuli_to_planes(const struct phi_stimuli *set, size_t i, float *ret)
{
    const uint8_t *image = phi_stimuli_image(set, i);
    size_t n = set->height * set->width;

    for (size_t k = 0; k < n; k++) {
        for (size_t c = 0; c < 3; c++)
            ret[c * n + k] = (float)image[k * 3 + c] / 255.0f;
    }
}
