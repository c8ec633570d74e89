/* SPDX-License-Identifier: MIT */
#include "io/nifti_write.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/file.h"
#include "io/nifti_values.h"

struct phi_nifti_writer {
    struct phi_new_file file;
    gzFile gz; /* NULL when the file is not compressed */
    struct phi_nifti_info info;
    uint32_t n_added;
    unsigned char *volume; /* [n_volume_bytes], for converted values */
};

static enum ph_status put(struct phi_nifti_writer *writer, const void *bytes, size_t n_bytes,
                          struct ph_error *reterr)
{
    int os_errno = 0;
    int code = 0;

    if (!writer->gz) {
        if (!phi_write_all(writer->file.fd, bytes, n_bytes, &os_errno))
            return PH_OK;
    } else if (gzwrite(writer->gz, bytes, (unsigned)n_bytes) == (int)n_bytes) {
        return PH_OK;
    } else {
        (void)gzerror(writer->gz, &code);
        os_errno = code == Z_ERRNO ? errno : EIO;
    }
    return phi_error_os(reterr, PH_E_IO, os_errno, "cannot write '%s'", writer->file.path);
}

/* zlib gets its own descriptor: closing it must not take the one that is synced afterwards. */
static enum ph_status open_gz(struct phi_nifti_writer *writer, struct ph_error *reterr)
{
    int fd;

    if (!phi_str_ends(writer->file.path, ".gz"))
        return PH_OK;
    fd = dup(writer->file.fd);
    writer->gz = fd < 0 ? NULL : gzdopen(fd, "wb1");
    if (writer->gz)
        return PH_OK;
    if (fd >= 0)
        (void)close(fd);
    return phi_error_nomem(reterr, "compression", 0);
}

static enum ph_status start(struct phi_nifti_writer *writer, const char *path,
                            struct ph_error *reterr)
{
    unsigned char prefix[PHI_NIFTI_MAX_PREFIX];
    size_t n_prefix;
    enum ph_status status;

    if (phi_nifti_reheader(&writer->info, writer->info.n_volumes, 0, prefix, &n_prefix))
        return phi_error(reterr, PH_E_LIMIT, "'%s': %u volumes do not fit in a NIfTI-%d file", path,
                         writer->info.n_volumes, writer->info.version);
    writer->volume = phi_calloc(writer->info.n_volume_bytes, 1);
    if (!writer->volume)
        return phi_error_nomem(reterr, "a volume", writer->info.n_volume_bytes);
    if ((status = phi_new_file_open(&writer->file, path, reterr)) ||
        (status = open_gz(writer, reterr)))
        return status;
    return put(writer, prefix, n_prefix, reterr);
}

enum ph_status phi_nifti_writer_create(const char *path, const struct phi_nifti_info *info,
                                       struct phi_nifti_writer **ret_writer,
                                       struct ph_error *reterr)
{
    struct phi_nifti_writer *writer = phi_calloc(1, sizeof *writer);
    enum ph_status status;

    if (!writer)
        return phi_error_nomem(reterr, "a NIfTI writer", sizeof *writer);
    writer->info = *info;
    writer->file.fd = -1;
    status = start(writer, path, reterr);
    if (status) {
        phi_nifti_writer_destroy(&writer);
        return status;
    }
    *ret_writer = writer;
    return PH_OK;
}

enum ph_status phi_nifti_writer_add(struct phi_nifti_writer *writer, const unsigned char *data,
                                    struct ph_error *reterr)
{
    enum ph_status status;

    if (writer->n_added >= writer->info.n_volumes)
        return phi_error(reterr, PH_E_STATE, "'%s': more volumes than the %u announced",
                         writer->file.path, writer->info.n_volumes);
    status = put(writer, data, writer->info.n_volume_bytes, reterr);
    if (!status)
        writer->n_added++;
    return status;
}

enum ph_status phi_nifti_writer_add_float32(struct phi_nifti_writer *writer, const float *values,
                                            struct ph_error *reterr)
{
    phi_nifti_from_float32(&writer->info, values, writer->info.n_voxels, writer->volume);
    return phi_nifti_writer_add(writer, writer->volume, reterr);
}

enum ph_status phi_nifti_writer_finish(struct phi_nifti_writer **writer, struct ph_error *reterr)
{
    struct phi_nifti_writer *w = *writer;
    enum ph_status status = PH_OK;

    if (w->n_added != w->info.n_volumes)
        status = phi_error(reterr, PH_E_STATE, "'%s': %u of %u volumes were added", w->file.path,
                           w->n_added, w->info.n_volumes);
    if (w->gz && !status) {
        if (gzclose(w->gz) != Z_OK)
            status = phi_error_os(reterr, PH_E_IO, errno, "cannot write '%s'", w->file.path);
        w->gz = NULL;
    }
    if (!status)
        status = phi_new_file_commit(&w->file, reterr);
    phi_nifti_writer_destroy(writer);
    return status;
}

void phi_nifti_writer_destroy(struct phi_nifti_writer **writer)
{
    if (!writer || !*writer)
        return;
    if ((*writer)->gz)
        (void)gzclose((*writer)->gz);
    phi_new_file_abandon(&(*writer)->file);
    phi_free((*writer)->volume);
    phi_free(*writer);
    *writer = NULL;
}

enum ph_status phi_nifti_write_float32(const char *path, struct phi_nifti_info *info,
                                       const float *values, struct ph_error *reterr)
{
    struct phi_nifti_writer *writer = NULL;
    enum ph_status status = phi_nifti_make(info, reterr);

    if (!status)
        status = phi_nifti_writer_create(path, info, &writer, reterr);
    for (uint32_t v = 0; v < info->n_volumes && !status; v++)
        status = phi_nifti_writer_add_float32(writer, values + v * info->n_voxels, reterr);
    if (!status)
        return phi_nifti_writer_finish(&writer, reterr);
    phi_nifti_writer_destroy(&writer);
    return status;
}
