/* SPDX-License-Identifier: MIT */
#include "host/loader.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"

#define MAX_PATH_BYTES 4096
#define MAX_LOADS      1024

/* Why an object of these attributes may not be trusted, or NULL. A sticky folder such as /tmp lets
 * nobody replace what others own, so only its entries count. */
static const char *distrust(const struct stat *st, bool is_dir)
{
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return "belongs to another user";
    if (st->st_mode & (S_IWGRP | S_IWOTH) && !(is_dir && st->st_mode & S_ISVTX))
        return "can be written by other users";
    return NULL;
}

static enum ph_status check_node(int fd, const char *name, bool is_dir, struct ph_error *reterr)
{
    struct stat st;
    const char *why;

    if (fstat(fd, &st) != 0)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot look at '%s'", name);
    if (!is_dir && !S_ISREG(st.st_mode))
        return phi_error(reterr, PH_E_INVAL, "'%s' is no regular file", name);
    why = distrust(&st, is_dir);
    if (why)
        return phi_error(reterr, PH_E_INVAL,
                         "'%s' %s; a plugin must lie where only you or root can write", name, why);
    return PH_OK;
}

/* Opens the next part of the path relative to the folder `dir`, never through a link. */
static enum ph_status open_part(int dir, const char *part, bool is_dir, int *ret_fd,
                                struct ph_error *reterr)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | (is_dir ? O_DIRECTORY : 0);
    int fd = openat(dir, part, flags);
    enum ph_status status;

    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
        return phi_error_os(reterr, PH_E_INVAL, errno,
                            "'%s' in the plugin's path is a link or no folder", part);
    if (fd < 0)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot open '%s'", part);
    status = check_node(fd, part, is_dir, reterr);
    if (status != PH_OK) {
        (void)close(fd);
        return status;
    }
    *ret_fd = fd;
    return PH_OK;
}

/* Walks from the root to the file, checking each folder on the way. */
static enum ph_status open_checked(const char *path, int *ret_fd, struct ph_error *reterr)
{
    char copy[MAX_PATH_BYTES];
    char *rest = copy;
    int dir;

    if (path[0] != '/')
        return phi_error(reterr, PH_E_INVAL, "a plugin is named by its absolute path");
    if (!phi_str_copy(copy, sizeof copy, path + 1))
        return phi_error(reterr, PH_E_LIMIT, "the path is longer than %d bytes", MAX_PATH_BYTES);
    dir = open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (dir < 0)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot open '/'");
    for (char *part; (part = strsep(&rest, "/"));) {
        int fd = -1;
        enum ph_status status;

        if (rest && !part[0])
            continue; /* a doubled slash */
        status = open_part(dir, part[0] ? part : ".", rest != NULL, &fd, reterr);
        (void)close(dir);
        if (status != PH_OK)
            return status;
        dir = fd;
    }
    *ret_fd = dir;
    return PH_OK;
}

static enum ph_status add_library(struct phi_registry *registry, void *library, const char *path,
                                  struct ph_error *reterr)
{
    ph_plugin_query_fn *query;
    void *symbol = dlsym(library, "ph_plugin_query");
    const struct ph_plugin *plugin;

    if (!symbol)
        return phi_error(reterr, PH_E_FORMAT,
                         "is no plugin: it exports no ph_plugin_query (see docs/plugins.md)");
    memcpy(&query, &symbol, sizeof query); /* an object pointer as a function: POSIX allows it */
    plugin = query(PH_ABI_MAJOR << 16 | PH_ABI_MINOR);
    if (!plugin)
        return phi_error(reterr, PH_E_ABI, "declines plugin interface %u.%u", PH_ABI_MAJOR,
                         PH_ABI_MINOR);
    return phi_registry_add(registry, plugin, path, library, reterr);
}

static enum ph_status load_descriptor(struct phi_registry *registry, int fd, const char *path,
                                      struct ph_error *reterr)
{
    static atomic_uint n_loads;
    char slashes[MAX_LOADS + 1] = "";
    char self[MAX_LOADS + 64];
    void *library;
    enum ph_status status;

    /* glibc takes a name that it has met before for the same library, and descriptors are numbered
     * alike again and again: more slashes name the same file differently. */
    memset(slashes, '/', atomic_fetch_add(&n_loads, 1) % MAX_LOADS);
    (void)snprintf(self, sizeof self, "/proc/self/fd/%s%d", slashes, fd);
    library = dlopen(self, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return phi_error(reterr, PH_E_FORMAT, "cannot be loaded: %s", dlerror());
    status = add_library(registry, library, path, reterr);
    if (status != PH_OK)
        (void)dlclose(library);
    return status;
}

enum ph_status phi_loader_load(struct phi_registry *registry, const char *path,
                               struct ph_error *reterr)
{
    int fd = -1;
    enum ph_status status = open_checked(path, &fd, reterr);

    if (status == PH_OK) {
        status = load_descriptor(registry, fd, path, reterr);
        (void)close(fd);
    }
    if (status != PH_OK)
        (void)phi_error_prefix(reterr, "plugin file '%s'", path);
    return status;
}
