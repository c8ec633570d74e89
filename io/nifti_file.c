/* SPDX-License-Identifier: MIT
 *
 * zlib's gz layer reads plain and gzipped files alike. A gzipped file's length is not known before
 * it is read, but deflate cannot expand more than 1032 times, so the compressed size bounds what a
 * header may claim.
 */
#include "io/nifti_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/file.h"
#include "io/nifti_values.h"

#define DEFLATE_MAX_RATIO 1032

struct phi_nifti_reader {
    char path[PHI_PATH_MAX]; /* of the header, for errors */
    gzFile file;
    struct phi_nifti_info info;
    uint32_t next;
    unsigned char *volume; /* [n_volume_bytes] */
};

static gzFile open_gz(const char *path, struct ph_error *reterr)
{
    gzFile file = gzopen(path, "rbe");

    if (!file)
        (void)phi_error_os(reterr, PH_E_IO, errno ? errno : ENOMEM, "cannot open '%s'", path);
    else
        (void)gzbuffer(file, 256 * 1024);
    return file;
}

/* path with the extension `from` (and ".gz" after it) replaced; false if it does not end so. */
static bool replace_extension(const char *path, const char *from, const char *to, char *out)
{
    size_t n = strlen(path);
    const char *gz = phi_str_ends(path, ".gz") ? ".gz" : "";
    size_t tail = strlen(from) + strlen(gz);

    if (n < tail || strncmp(path + n - tail, from, strlen(from)) != 0)
        return false;
    return snprintf(out, PHI_PATH_MAX, "%.*s%s%s", (int)(n - tail), path, to, gz) < PHI_PATH_MAX;
}

/* The image beside a header: "x.hdr" has "x.img" or "x.img.gz". */
static bool find_other(const char *path, const char *from, const char *to, char *out)
{
    size_t n;

    if (!replace_extension(path, from, to, out))
        return false;
    if (phi_path_exists(out))
        return true;
    n = strlen(out);
    if (phi_str_ends(out, ".gz"))
        out[n - 3] = '\0';
    else if (n + 4 <= PHI_PATH_MAX)
        memcpy(out + n, ".gz", 4);
    return phi_path_exists(out);
}

static enum ph_status read_header(struct phi_nifti_reader *reader, struct ph_error *reterr)
{
    unsigned char bytes[PHI_NIFTI_MAX_HEADER];
    int n;

    reader->file = open_gz(reader->path, reterr);
    if (!reader->file)
        return PH_E_IO;
    n = gzread(reader->file, bytes, sizeof bytes);
    if (n < 0)
        return phi_error(reterr, PH_E_FORMAT, "'%s': cannot be read: %s", reader->path,
                         gzerror(reader->file, &n));
    return phi_nifti_parse_header(bytes, (size_t)n, reader->path, &reader->info, reterr);
}

static enum ph_status open_image(struct phi_nifti_reader *reader, char *image_path,
                                 struct ph_error *reterr)
{
    if (reader->info.one_file)
        return phi_str_copy(image_path, PHI_PATH_MAX, reader->path) ? PH_OK : PH_E_LIMIT;
    if (!find_other(reader->path, ".hdr", ".img", image_path))
        return phi_error(reterr, PH_E_IO,
                         "'%s' is the header of a pair, but its .img file is missing",
                         reader->path);
    (void)gzclose(reader->file);
    reader->file = open_gz(image_path, reterr);
    return reader->file ? PH_OK : PH_E_IO;
}

static enum ph_status check_file_size(struct phi_nifti_reader *reader, const char *image_path,
                                      struct ph_error *reterr)
{
    const struct phi_nifti_info *info = &reader->info;
    bool plain = gzdirect(reader->file) == 1;
    struct stat file;
    size_t claimed;
    size_t most;

    if (stat(image_path, &file) != 0)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot look at '%s'", image_path);
    if (!phi_mul_size(info->n_volume_bytes, info->n_volumes, &claimed) ||
        !phi_add_size(claimed, info->data_offset, &claimed) ||
        !phi_mul_size((size_t)file.st_size, plain ? 1 : DEFLATE_MAX_RATIO, &most) || claimed > most)
        return phi_error(
            reterr, PH_E_FORMAT,
            "'%s': field dim asks for %u x %u x %u x %u voxels of %s, more than a file "
            "of %lld bytes can hold",
            reader->path, info->n_x, info->n_y, info->n_z, info->n_volumes,
            phi_nifti_type_name((int)info->type), (long long)file.st_size);
    return PH_OK;
}

static enum ph_status prepare(struct phi_nifti_reader *reader, struct ph_error *reterr)
{
    char image_path[PHI_PATH_MAX];
    enum ph_status status;

    if ((status = read_header(reader, reterr)) ||
        (status = open_image(reader, image_path, reterr)) ||
        (status = check_file_size(reader, image_path, reterr)))
        return status;
    reader->volume = phi_calloc(reader->info.n_volume_bytes, 1);
    if (!reader->volume)
        return phi_error_nomem(reterr, "a volume", reader->info.n_volume_bytes);
    return phi_nifti_reader_seek(reader, 0, reterr);
}

enum ph_status phi_nifti_reader_open(const char *path, struct phi_nifti_reader **ret_reader,
                                     struct ph_error *reterr)
{
    struct phi_nifti_reader *reader = phi_calloc(1, sizeof *reader);
    enum ph_status status;

    if (!reader)
        return phi_error_nomem(reterr, "a NIfTI reader", sizeof *reader);
    if (!find_other(path, ".img", ".hdr", reader->path) &&
        !phi_str_copy(reader->path, sizeof reader->path, path)) {
        phi_nifti_reader_close(&reader);
        return phi_error(reterr, PH_E_LIMIT, "the path '%.60s...' is too long", path);
    }
    status = prepare(reader, reterr);
    if (status) {
        phi_nifti_reader_close(&reader);
        return status;
    }
    *ret_reader = reader;
    return PH_OK;
}

void phi_nifti_reader_close(struct phi_nifti_reader **reader)
{
    if (!reader || !*reader)
        return;
    if ((*reader)->file)
        (void)gzclose((*reader)->file);
    phi_free((*reader)->volume);
    phi_free(*reader);
    *reader = NULL;
}

const struct phi_nifti_info *phi_nifti_reader_info(const struct phi_nifti_reader *reader)
{
    return &reader->info;
}

enum ph_status phi_nifti_reader_seek(struct phi_nifti_reader *reader, uint32_t index,
                                     struct ph_error *reterr)
{
    z_off_t at = (z_off_t)(reader->info.data_offset +
                           (uint64_t)index * (uint64_t)reader->info.n_volume_bytes);

    if (index > reader->info.n_volumes)
        return phi_error(reterr, PH_E_INVAL, "'%s' has %u volumes, no number %u", reader->path,
                         reader->info.n_volumes, index);
    if (gzseek(reader->file, at, SEEK_SET) != at)
        return phi_error(reterr, PH_E_FORMAT,
                         "'%s': ends before volume %u, or its compression is "
                         "damaged",
                         reader->path, index);
    reader->next = index;
    return PH_OK;
}

enum ph_status phi_nifti_reader_next(struct phi_nifti_reader *reader,
                                     const unsigned char **ret_data, struct ph_error *reterr)
{
    size_t n_bytes = reader->info.n_volume_bytes; /* at most 2^30, so gzread's unsigned holds it */
    int n;
    int code;
    const char *why;

    if (reader->next >= reader->info.n_volumes)
        return PH_EOS;
    n = gzread(reader->file, reader->volume, (unsigned)n_bytes);
    if (n < 0 || (size_t)n < n_bytes) {
        why = gzerror(reader->file, &code);
        return phi_error(reterr, PH_E_FORMAT, "'%s': volume %u of %u is cut short%s%s",
                         reader->path, reader->next, reader->info.n_volumes,
                         code == Z_OK ? "" : ": ", code == Z_OK ? "" : why);
    }
    reader->next++;
    *ret_data = reader->volume;
    return PH_OK;
}

enum ph_status phi_nifti_reader_next_float32(struct phi_nifti_reader *reader, float *out,
                                             struct ph_error *reterr)
{
    const unsigned char *data = NULL;
    enum ph_status status = phi_nifti_reader_next(reader, &data, reterr);

    if (status)
        return status;
    phi_nifti_to_float32(&reader->info, data, reader->info.n_voxels, out);
    return PH_OK;
}

static enum ph_status read_all(struct phi_nifti_reader *reader, size_t max_bytes,
                               float **ret_values, struct ph_error *reterr)
{
    const struct phi_nifti_info *info = &reader->info;
    enum ph_status status = PH_OK;
    size_t n_bytes;
    float *values;

    if (!phi_mul_size(info->n_voxels, info->n_volumes, &n_bytes) ||
        !phi_mul_size(n_bytes, sizeof *values, &n_bytes) || n_bytes > max_bytes)
        return phi_error(reterr, PH_E_LIMIT, "'%s' is larger than the %zu bytes allowed",
                         reader->path, max_bytes);
    values = phi_calloc(n_bytes, 1);
    if (!values)
        return phi_error_nomem(reterr, reader->path, n_bytes);
    for (uint32_t v = 0; v < info->n_volumes && !status; v++)
        status = phi_nifti_reader_next_float32(reader, values + v * info->n_voxels, reterr);
    if (status) {
        phi_free(values);
        return status;
    }
    *ret_values = values;
    return PH_OK;
}

enum ph_status phi_nifti_read_float32(const char *path, size_t max_bytes,
                                      struct phi_nifti_info *ret_info, float **ret_values,
                                      struct ph_error *reterr)
{
    struct phi_nifti_reader *reader = NULL;
    enum ph_status status = phi_nifti_reader_open(path, &reader, reterr);

    if (!status)
        status = read_all(reader, max_bytes, ret_values, reterr);
    if (!status)
        *ret_info = reader->info;
    phi_nifti_reader_close(&reader);
    return status;
}
