/* SPDX-License-Identifier: MIT
 *
 * A folder of its own for a test that needs files: made under $TMPDIR or /tmp, removed whole.
 */
#ifndef TESTS_SUPPORT_TEMPDIR_H
#define TESTS_SUPPORT_TEMPDIR_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tempdir {
    char path[256];
    char joined[512]; /* the last answer of tempdir_file */
};

/* Makes the folder; false if it could not. */
static inline int tempdir_make(struct tempdir *dir)
{
    const char *base = getenv("TMPDIR");

    (void)snprintf(dir->path, sizeof dir->path, "%.200s/phosphene-test-XXXXXX",
                   base && base[0] ? base : "/tmp");
    return mkdtemp(dir->path) != NULL;
}

/* "<folder>/<name>", valid until the next call. */
static inline const char *tempdir_file(struct tempdir *dir, const char *name)
{
    (void)snprintf(dir->joined, sizeof dir->joined, "%s/%s", dir->path, name);
    return dir->joined;
}

static inline int tempdir_remove_one(const char *path, const struct stat *info, int flag,
                                     struct FTW *walk)
{
    (void)info;
    (void)flag;
    (void)walk;
    return remove(path);
}

/* Removes the folder and all in it. */
static inline void tempdir_remove(struct tempdir *dir)
{
    (void)nftw(dir->path, tempdir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
