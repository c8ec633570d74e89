/* SPDX-License-Identifier: MIT */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

enum ph_status phi_new_file_open(struct phi_new_file *file, const char *path,
                                 struct ph_error *reterr)
{
    mode_t mask;

    file->fd = -1;
    if (!phi_str_copy(file->path, sizeof file->path, path) ||
        strlen(path) + sizeof ".tmp-XXXXXX" > sizeof file->temporary)
        return phi_error(reterr, PH_E_LIMIT, "the path '%.60s...' is too long", path);
    (void)snprintf(file->temporary, sizeof file->temporary, "%.*s.tmp-XXXXXX",
                   (int)(sizeof file->temporary - sizeof ".tmp-XXXXXX"), path);
    file->fd = mkstemp(file->temporary);
    if (file->fd < 0)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot create a file beside '%s'", path);
    mask = umask(0);
    (void)umask(mask);
    (void)fchmod(file->fd, 0666 & ~mask); /* mkstemp gives 0600; readers may be others */
    return PH_OK;
}

void phi_new_file_abandon(struct phi_new_file *file)
{
    if (file->fd < 0)
        return;
    (void)close(file->fd);
    (void)unlink(file->temporary);
    file->fd = -1;
}

enum ph_status phi_new_file_commit(struct phi_new_file *file, struct ph_error *reterr)
{
    if (fsync(file->fd) != 0) {
        (void)phi_error_os(reterr, PH_E_IO, errno, "cannot flush '%s' to the disk", file->path);
        phi_new_file_abandon(file);
        return PH_E_IO;
    }
    if (rename(file->temporary, file->path) != 0) {
        (void)phi_error_os(reterr, PH_E_IO, errno, "cannot give '%s' its name", file->path);
        phi_new_file_abandon(file);
        return PH_E_IO;
    }
    (void)close(file->fd); /* synced above: close has nothing left to report */
    file->fd = -1;
    return phi_dir_sync_of(file->path, reterr);
}

enum ph_status phi_write_all(int fd, const void *bytes, size_t n_bytes, int *ret_errno)
{
    const unsigned char *p = bytes;

    while (n_bytes > 0) {
        ssize_t n = write(fd, p, n_bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (ret_errno)
                *ret_errno = n < 0 ? errno : ENOSPC;
            return PH_E_IO;
        }
        p += n;
        n_bytes -= (size_t)n;
    }
    return PH_OK;
}

enum ph_status phi_file_write(const char *path, const void *bytes, size_t n_bytes,
                              struct ph_error *reterr)
{
    struct phi_new_file file;
    enum ph_status status = phi_new_file_open(&file, path, reterr);
    int os_errno = 0;

    if (status)
        return status;
    if (phi_write_all(file.fd, bytes, n_bytes, &os_errno)) {
        phi_new_file_abandon(&file);
        return phi_error_os(reterr, PH_E_IO, os_errno, "cannot write '%s'", path);
    }
    return phi_new_file_commit(&file, reterr);
}

/* Reads to the end or to the limit: the size that stat tells may be wrong by the time we read. */
static enum ph_status read_open_file(FILE *stream, size_t max_bytes, unsigned char **ret_bytes,
                                     size_t *ret_n_bytes)
{
    size_t capacity = 64 * 1024;
    size_t n_bytes = 0;
    unsigned char *bytes = phi_calloc(capacity, 1);

    while (bytes) {
        n_bytes += fread(bytes + n_bytes, 1, capacity - 1 - n_bytes, stream);
        if (n_bytes < capacity - 1 || n_bytes > max_bytes)
            break;
        unsigned char *larger = phi_calloc2(capacity, 2, 1);

        if (larger)
            memcpy(larger, bytes, n_bytes);
        phi_free(bytes);
        bytes = larger;
        capacity *= 2;
    }
    if (!bytes)
        return PH_E_NOMEM;
    if (ferror(stream) || n_bytes > max_bytes) {
        phi_free(bytes);
        return n_bytes > max_bytes ? PH_E_LIMIT : PH_E_IO;
    }
    bytes[n_bytes] = '\0';
    *ret_bytes = bytes;
    *ret_n_bytes = n_bytes;
    return PH_OK;
}

enum ph_status phi_file_read(const char *path, size_t max_bytes, unsigned char **ret_bytes,
                             size_t *ret_n_bytes, struct ph_error *reterr)
{
    FILE *stream = fopen(path, "rbe");
    enum ph_status status;
    int os_errno;

    if (!stream)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot open '%s'", path);
    errno = 0;
    status = read_open_file(stream, max_bytes, ret_bytes, ret_n_bytes);
    os_errno = errno;
    (void)fclose(stream);
    if (status == PH_E_LIMIT)
        return phi_error(reterr, status, "'%s' has more than %zu bytes, the most it may have", path,
                         max_bytes);
    if (status == PH_E_IO)
        return phi_error_os(reterr, status, os_errno, "cannot read '%s'", path);
    return status ? phi_error_nomem(reterr, path, max_bytes) : PH_OK;
}

enum ph_status phi_dir_make(const char *path, struct ph_error *reterr)
{
    char part[PHI_PATH_MAX];

    if (!phi_str_copy(part, sizeof part, path))
        return phi_error(reterr, PH_E_LIMIT, "the path '%.60s...' is too long", path);
    for (char *p = part + 1; part[0] != '\0'; p++) {
        char kept = *p;

        if (kept != '/' && kept != '\0')
            continue;
        *p = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return phi_error_os(reterr, PH_E_IO, errno, "cannot make the folder '%s'", part);
        *p = kept;
        if (kept == '\0')
            break;
    }
    return PH_OK;
}

enum ph_status phi_dir_sync_of(const char *path, struct ph_error *reterr)
{
    char directory[PHI_PATH_MAX];
    char *slash;
    int fd;
    int result;

    (void)phi_str_copy(directory, sizeof directory, path);
    slash = strrchr(directory, '/');
    if (!slash)
        (void)phi_str_copy(directory, sizeof directory, ".");
    else
        slash[slash == directory ? 1 : 0] = '\0';
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot open the folder '%s'", directory);
    result = fsync(fd) == 0 || errno == EINVAL ? 0 : errno; /* some file systems cannot */
    (void)close(fd);
    if (result)
        return phi_error_os(reterr, PH_E_IO, result, "cannot flush the folder '%s'", directory);
    return PH_OK;
}

bool phi_path_join(char *out, size_t capacity, const char *a, const char *b)
{
    size_t n = strlen(a);
    const char *between = n == 0 || a[n - 1] == '/' ? "" : "/";
    int length = snprintf(out, capacity, "%s%s%s", a, between, b);

    return length >= 0 && (size_t)length < capacity;
}

bool phi_path_exists(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0;
}
