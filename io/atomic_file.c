/* SPDX-License-Identifier: MIT */
#include "io/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

/* Leftovers of killed processes may hold a name; nobody has this many. */
#define MAX_NAMES 1000

struct phi_atomic_file {
    int fd;
    bool committed;
    char *path;
    char *temporary;
    size_t temporary_size;
};

static enum ph_status open_temporary(struct phi_atomic_file *file, struct ph_error *reterr)
{
    for (int i = 0; i < MAX_NAMES; i++) {
        (void)snprintf(file->temporary, file->temporary_size, "%s.tmp%ld-%d", file->path,
                       (long)getpid(), i);
        file->fd = open(file->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file->fd >= 0)
            return PH_OK;
        if (errno != EEXIST)
            break;
    }
    return phi_error_os(reterr, PH_E_IO, errno, "cannot write '%s'", file->path);
}

enum ph_status phi_atomic_file_create(const char *path, struct phi_atomic_file **ret_file,
                                      struct ph_error *reterr)
{
    size_t n_path = strlen(path) + 1;
    struct phi_atomic_file *file = phi_calloc(1, sizeof *file);
    enum ph_status status;

    if (!file)
        return phi_error_nomem(reterr, "an output file", sizeof *file);
    file->fd = -1;
    file->temporary_size = n_path + 40;
    file->path = phi_calloc(n_path, 1);
    file->temporary = phi_calloc(file->temporary_size, 1);
    if (!file->path || !file->temporary) {
        phi_atomic_file_destroy(&file);
        return phi_error_nomem(reterr, "a file name", n_path);
    }
    memcpy(file->path, path, n_path);
    status = open_temporary(file, reterr);
    if (status < 0) {
        phi_atomic_file_destroy(&file);
        return status;
    }
    *ret_file = file;
    return PH_OK;
}

int phi_atomic_file_fd(const struct phi_atomic_file *file)
{
    return file->fd;
}

/* `offset` below zero appends. */
static enum ph_status write_all(struct phi_atomic_file *file, off_t offset, const void *bytes,
                                size_t n_bytes, struct ph_error *reterr)
{
    const unsigned char *at = bytes;

    while (n_bytes > 0) {
        ssize_t n =
            offset < 0 ? write(file->fd, at, n_bytes) : pwrite(file->fd, at, n_bytes, offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return phi_error_os(reterr, PH_E_IO, errno, "cannot write '%s'", file->path);
        at += n;
        n_bytes -= (size_t)n;
        if (offset >= 0)
            offset += n;
    }
    return PH_OK;
}

enum ph_status phi_atomic_file_append(struct phi_atomic_file *file, const void *bytes,
                                      size_t n_bytes, struct ph_error *reterr)
{
    return write_all(file, -1, bytes, n_bytes, reterr);
}

enum ph_status phi_atomic_file_put(struct phi_atomic_file *file, uint64_t offset_bytes,
                                   const void *bytes, size_t n_bytes, struct ph_error *reterr)
{
    if (offset_bytes > (uint64_t)INT64_MAX - n_bytes)
        return phi_error(reterr, PH_E_LIMIT, "'%s': offset %llu is too large", file->path,
                         (unsigned long long)offset_bytes);
    return write_all(file, (off_t)offset_bytes, bytes, n_bytes, reterr);
}

/* A rename is on disk only once its folder is. Some file systems cannot sync a folder (EINVAL). */
static enum ph_status sync_folder(const struct phi_atomic_file *file, struct ph_error *reterr)
{
    char *slash;
    int fd;
    int failed;
    int reason;

    memcpy(file->temporary, file->path, strlen(file->path) + 1);
    slash = strrchr(file->temporary, '/');
    if (slash)
        slash[slash == file->temporary ? 1 : 0] = '\0';
    fd = open(slash ? file->temporary : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot open the folder of '%s'", file->path);
    failed = fsync(fd);
    reason = errno;
    (void)close(fd);
    if (failed && reason != EINVAL)
        return phi_error_os(reterr, PH_E_IO, reason, "cannot sync the folder of '%s'", file->path);
    return PH_OK;
}

enum ph_status phi_atomic_file_commit(struct phi_atomic_file *file, struct ph_error *reterr)
{
    if (file->committed)
        return phi_error(reterr, PH_E_STATE, "'%s' is already committed", file->path);
    if (fsync(file->fd))
        return phi_error_os(reterr, PH_E_IO, errno, "cannot sync '%s'", file->path);
    if (rename(file->temporary, file->path))
        return phi_error_os(reterr, PH_E_IO, errno, "cannot put '%s' in place", file->path);
    file->committed = true;
    return sync_folder(file, reterr);
}

void phi_atomic_file_destroy(struct phi_atomic_file **file)
{
    if (!file || !*file)
        return;
    if ((*file)->fd >= 0) {
        (void)close((*file)->fd);
        if (!(*file)->committed)
            (void)unlink((*file)->temporary);
    }
    phi_free((*file)->path);
    phi_free((*file)->temporary);
    phi_free(*file);
    *file = NULL;
}

enum ph_status phi_atomic_file_write(const char *path, const void *bytes, size_t n_bytes,
                                     struct ph_error *reterr)
{
    struct phi_atomic_file *file;
    enum ph_status status = phi_atomic_file_create(path, &file, reterr);

    if (status < 0)
        return status;
    status = phi_atomic_file_append(file, bytes, n_bytes, reterr);
    if (status >= 0)
        status = phi_atomic_file_commit(file, reterr);
    phi_atomic_file_destroy(&file);
    return status;
}
