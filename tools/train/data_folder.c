/* SPDX-License-Identifier: MIT
 *
 * A folder of PNG and JPEG pictures in the order of their names, each cropped to its middle
 * and resized by averaging areas, with attributes from a table beside it: TSV (a header, then the
 * file's name and numbers) or CelebA's list_attr (a count, a line of names, then rows).
 */
#include <dirent.h>
#include <errno.h>
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
#include "train/data.h"

#define MAX_TABLE_BYTES ((size_t)256 << 20)
#define MAX_ATTRIBUTES  256

static int is_picture(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return dot && (strcasecmp(dot, ".png") == 0 || strcasecmp(dot, ".jpg") == 0 ||
                   strcasecmp(dot, ".jpeg") == 0);
}

/* The largest part of the picture with the wanted shape, in the middle. */
struct crop {
    size_t x0, y0, width, height;
};

static struct crop crop_of(const struct phi_image *image, const struct train_data *data)
{
    struct crop crop = {.width = image->width, .height = image->height};

    if (image->width * data->side > image->height * data->side_w)
        crop.width = image->height * data->side_w / data->side;
    else
        crop.height = image->width * data->side / data->side_w;
    crop.width += crop.width == 0;
    crop.height += crop.height == 0;
    crop.x0 = (image->width - crop.width) / 2;
    crop.y0 = (image->height - crop.height) / 2;
    return crop;
}

/* out[side][side_w][3] from the middle of `image`; each value is the mean over the area of the
 * source that it covers (at least one pixel). */
static void resize(const struct phi_image *image, const struct train_data *data, uint8_t *out)
{
    const struct crop crop = crop_of(image, data);

    for (size_t y = 0; y < data->side; y++)
        for (size_t x = 0; x < data->side_w; x++) {
            size_t top = crop.y0 + y * crop.height / data->side;
            size_t bottom = crop.y0 + (y + 1) * crop.height / data->side;
            size_t left = crop.x0 + x * crop.width / data->side_w;
            size_t right = crop.x0 + (x + 1) * crop.width / data->side_w;
            size_t sum[3] = {0, 0, 0};

            bottom += bottom == top;
            right += right == left;
            for (size_t v = top; v < bottom; v++)
                for (size_t u = left; u < right; u++)
                    for (size_t c = 0; c < 3; c++)
                        sum[c] += image->pixels[(v * image->width + u) * 3 + c];
            for (size_t c = 0; c < 3; c++) {
                size_t area = (bottom - top) * (right - left);

                out[(y * data->side_w + x) * 3 + c] = (uint8_t)((sum[c] + area / 2) / area);
            }
        }
}

/* The next word of *at within its line, cut off in place; NULL at the line's end. */
static char *next_word(char **at)
{
    char *word = *at + strspn(*at, " \t\r,");

    if (*word == '\0' || *word == '\n') {
        *at = word;
        return NULL;
    }
    *at = word + strcspn(word, " \t\r\n,");
    return word;
}

struct table {
    char *text;
    char names[MAX_ATTRIBUTES][64];
    size_t n_names;
    char *rows; /* the first row */
};

/* Reads the header line at *at: names of columns, the first of which is the file's unless this is
 * CelebA's layout, whose header has only attributes. */
static bool read_names(struct table *table, char *at, bool celeba)
{
    char *word;
    bool first = !celeba;

    while ((word = next_word(&at))) {
        char kept = *at;

        *at = '\0';
        if (!first) {
            if (table->n_names == MAX_ATTRIBUTES)
                return false;
            (void)phi_str_copy(table->names[table->n_names], sizeof table->names[0], word);
            table->n_names++;
        }
        first = false;
        *at = kept;
    }
    table->rows = strchr(at, '\n');
    return table->rows && table->n_names > 0;
}

static enum ph_status open_table(const char *path, struct table *table, struct ph_error *reterr)
{
    unsigned char *bytes;
    size_t n_bytes;
    char *first_line;
    enum ph_status status = phi_file_read(path, MAX_TABLE_BYTES, &bytes, &n_bytes, reterr);

    if (status != PH_OK)
        return status;
    table->text = (char *)bytes;
    first_line = table->text;
    /* CelebA's first line is the number of pictures alone. */
    if (strspn(first_line, "0123456789") > 0 &&
        strspn(first_line, "0123456789 \t\r") == strcspn(first_line, "\n")) {
        char *names = strchr(first_line, '\n');

        if (names && read_names(table, names + 1, true))
            return PH_OK;
    } else if (read_names(table, first_line, false)) {
        return PH_OK;
    }
    return phi_error(reterr, PH_E_FORMAT,
                     "%s: neither a table with a header line nor CelebA's list_attr", path);
}

/* The row that begins with `file`; rows are usually in the files' order, so *hint is tried first.
 */
static char *find_row(const struct table *table, const char *file, char **hint)
{
    size_t n = strlen(file);

    for (int pass = 0; pass < 2; pass++) {
        char *at = pass == 0 ? *hint : table->rows;

        for (int k = 0; at && (pass || k < 2); k++) {
            char *line = *at == '\n' ? at + 1 : at;

            if (strncmp(line, file, n) == 0 && strchr(" \t,", line[n]) && line[n]) {
                *hint = strchr(line, '\n');
                return line + n;
            }
            at = strchr(line, '\n');
        }
    }
    return NULL;
}

static enum ph_status read_row(const struct table *table, const char *file, char **hint, float *out,
                               struct ph_error *reterr)
{
    char *at = find_row(table, file, hint);

    if (!at)
        return phi_error(reterr, PH_E_FORMAT, "the attribute table has no row for '%s'", file);
    for (size_t i = 0; i < table->n_names; i++) {
        char *word = next_word(&at);
        char kept = *at;
        double value;
        bool good;

        *at = '\0';
        good = word && phi_parse_double(word, &value);
        *at = kept;
        if (!good)
            return phi_error(reterr, PH_E_FORMAT, "attribute '%s' of '%s' is no number",
                             table->names[i], file);
        out[i] = (float)value;
    }
    return PH_OK;
}

/* Paths of pictures, in the order in which they are read. */
struct list {
    char **paths;    /* [n] within the folder */
    size_t n, n_all; /* n_all with those that fill no clip */
};

static void free_list(struct list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->paths[i]);
    free(list->paths);
    *list = (struct list){0};
}

static enum ph_status read_picture(struct train_data *data, size_t i, const char *folder,
                                   const char *file, struct ph_error *reterr)
{
    struct phi_image image = {0};
    char path[PHI_PATH_MAX];
    enum ph_status status;

    if (!phi_path_join(path, sizeof path, folder, file))
        return phi_error(reterr, PH_E_LIMIT, "the path of '%s' is too long", file);
    status = phi_image_open(path, &image, reterr);
    if (status == PH_OK)
        resize(&image, data, data->pixels + i * data->side * data->side_w * 3);
    phi_image_fini(&image);
    return status;
}

static enum ph_status read_all(struct train_data *data, const struct train_data_params *params,
                               const struct list *list, struct table *table,
                               train_progress_fn *progress, void *context, struct ph_error *reterr)
{
    char *hint = table->rows;
    enum ph_status status = PH_OK;

    for (size_t i = 0; i < data->n * data->n_stored && status == PH_OK; i++) {
        const char *file = list->paths[i];

        if (progress && i % 64 == 0 && !progress(context, i, data->n * data->n_stored))
            return phi_error(reterr, PH_E_STATE, "interrupted while reading pictures");
        status = read_picture(data, i, params->path, file, reterr);
        if (status == PH_OK && table->n_names)
            status = read_row(table, file, &hint, data->attributes + i * table->n_names, reterr);
    }
    return status;
}

static enum ph_status fill(struct train_data *data, const struct train_data_params *params,
                           const struct list *list, train_progress_fn *progress, void *context,
                           struct ph_error *reterr)
{
    struct table *table = phi_calloc(1, sizeof *table);
    size_t n = list->n / data->n_stored;
    enum ph_status status = PH_OK;

    if (params->count && (size_t)params->count < n)
        n = (size_t)params->count;
    if (!table)
        return phi_error_nomem(reterr, "an attribute table", sizeof *table);
    if (params->attributes[0])
        status = open_table(params->attributes, table, reterr);
    if (status == PH_OK)
        status = train_data_take(data, n, table->n_names, reterr);
    if (status == PH_OK) {
        if (table->n_names)
            memcpy(data->names, table->names, table->n_names * sizeof table->names[0]);
        status = read_all(data, params, list, table, progress, context, reterr);
    }
    phi_free(table->text);
    phi_free(table);
    return status;
}

static void free_entries(struct dirent **entries, int n)
{
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
}

static bool add_path(struct list *list, const char *inner, const char *name)
{
    size_t size = strlen(inner) + strlen(name) + 2;
    char *path = malloc(size);

    if (!path)
        return false;
    (void)snprintf(path, size, "%s%s%s", inner, inner[0] ? "/" : "", name);
    list->paths[list->n++] = path;
    return true;
}

/* Appends the pictures of `folder`/`inner` as far as they fill clips of `n_clip`. */
static enum ph_status add_folder(struct list *list, const char *folder, const char *inner,
                                 size_t n_clip, struct ph_error *reterr)
{
    char path[PHI_PATH_MAX];
    struct dirent **entries = NULL;
    char **larger = NULL;
    size_t n_kept;
    enum ph_status status = PH_OK;
    int n = -1;

    if (!phi_path_join(path, sizeof path, folder, inner[0] ? inner : "."))
        return phi_error(reterr, PH_E_LIMIT, "the path of '%s' is too long", inner);
    n = scandir(path, &entries, is_picture, alphasort);
    if (n < 0)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot read the folder %s", path);
    n_kept = (size_t)n / n_clip * n_clip;
    list->n_all += (size_t)n;
    if (n_kept)
        larger = realloc(list->paths, (list->n + n_kept) * sizeof *larger);
    if (larger)
        list->paths = larger;
    for (size_t i = 0; status == PH_OK && i < n_kept; i++)
        if (!larger || !add_path(list, inner, entries[i]->d_name))
            status = phi_error_nomem(reterr, "a list of pictures", n_kept * sizeof *larger);
    free_entries(entries, n);
    return status;
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Folders within the folder, each a recording: no clip reaches over its end. */
static enum ph_status add_recordings(struct list *list, const char *folder, size_t n_clip,
                                     struct ph_error *reterr)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, is_shown, alphasort);
    enum ph_status status = PH_OK;

    for (int i = 0; status == PH_OK && i < n; i++) {
        char path[PHI_PATH_MAX];
        struct stat about;

        if (phi_path_join(path, sizeof path, folder, entries[i]->d_name) &&
            stat(path, &about) == 0 && S_ISDIR(about.st_mode))
            status = add_folder(list, folder, entries[i]->d_name, n_clip, reterr);
    }
    free_entries(entries, n > 0 ? n : 0);
    return status;
}

enum ph_status train_data_folder(struct train_data *data, const struct train_data_params *params,
                                 train_progress_fn *progress, void *context,
                                 struct ph_error *reterr)
{
    struct list list = {0};
    enum ph_status status = add_folder(&list, params->path, "", data->n_stored, reterr);

    if (status == PH_OK && list.n_all == 0 && params->type == TRAIN_FRAMES)
        status = add_recordings(&list, params->path, data->n_stored, reterr);
    if (status == PH_OK && list.n_all == 0)
        status =
            phi_error(reterr, PH_E_FORMAT, "there are no PNG or JPEG pictures in %s", params->path);
    else if (status == PH_OK && list.n == 0)
        status = phi_error(reterr, PH_E_SHAPE,
                           "%s holds %zu frames, fewer than one clip of %zu: lower data.length",
                           params->path, list.n_all, data->n_stored);
    if (status == PH_OK)
        status = fill(data, params, &list, progress, context, reterr);
    free_list(&list);
    return status;
}
