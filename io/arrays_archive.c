/* SPDX-License-Identifier: MIT
 *
 * Zip (.npz) and compressed tar through libarchive. Sizes are bounded by what is really unpacked,
 * so a small file cannot ask for gigabytes by its headers.
 */
#include <archive.h>
#include <archive_entry.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/arrays.h"
#include "io/npy.h"

#define PIECE     ((size_t)1 << 20)
#define MAX_NAMES (1u << 16)

struct bytes {
    unsigned char *data;
    size_t n, capacity;
};

/* Makes room for one more piece. */
static bool keep_room(struct bytes *bytes)
{
    size_t capacity = bytes->capacity ? 2 * bytes->capacity : 2 * PIECE;
    unsigned char *data;

    if (bytes->n <= bytes->capacity && bytes->capacity - bytes->n >= PIECE)
        return true;
    if (bytes->n > capacity || capacity > PHI_ARRAYS_MAX_BYTES)
        return false;
    data = phi_calloc(capacity, 1);
    if (!data)
        return false;
    if (bytes->data)
        memcpy(data, bytes->data, bytes->n);
    phi_free(bytes->data);
    bytes->data = data;
    bytes->capacity = capacity;
    return true;
}

static enum ph_status unpack(struct archive *archive, const char *where, struct bytes *ret_bytes,
                             struct ph_error *reterr)
{
    struct bytes bytes = {0};
    la_ssize_t got = 1;

    while (got > 0) {
        if (!keep_room(&bytes)) {
            phi_free(bytes.data);
            return phi_error(reterr, PH_E_LIMIT, "%s: a member is too large", where);
        }
        got = archive_read_data(archive, bytes.data + bytes.n, PIECE);
        bytes.n += got > 0 ? (size_t)got : 0;
    }
    if (got < 0) {
        phi_free(bytes.data);
        return phi_error(reterr, PH_E_FORMAT, "%s: %s", where, archive_error_string(archive));
    }
    *ret_bytes = bytes;
    return PH_OK;
}

/* "folder/w0.npy" -> "folder/w0" */
static bool member_name(const char *path, char *out, size_t capacity)
{
    bool whole;

    while (phi_str_starts(path, "./"))
        path += 2;
    whole = phi_str_copy(out, capacity, path);
    if (whole && phi_str_ends(out, ".npy"))
        out[strlen(out) - 4] = '\0';
    return whole;
}

static enum ph_status add_npy(struct phi_arrays *arrays, const char *where, const char *member,
                              const struct bytes *bytes, struct ph_error *reterr)
{
    struct phi_safetensors_tensor tensor;
    char name[256];
    enum ph_status status;

    if (!member_name(member, name, sizeof name))
        return phi_error(reterr, PH_E_LIMIT, "%s: a member's name is too long", where);
    status = phi_npy_parse(bytes->data, bytes->n, name, &tensor, reterr);
    if (status == PH_OK)
        return phi_arrays_add(arrays, name, &tensor, reterr);
    (void)phi_error_prefix(reterr, "%s", where);
    return status;
}

static struct archive *reader(bool tar)
{
    struct archive *archive = archive_read_new();

    if (!archive)
        return NULL;
    if (tar) {
        (void)archive_read_support_filter_gzip(archive);
        (void)archive_read_support_format_tar(archive);
    } else {
        (void)archive_read_support_format_zip(archive);
    }
    return archive;
}

/* What one pass over an archive collects besides the arrays. */
struct found {
    struct bytes npz;   /* the nested .npz of a tar */
    struct bytes names; /* its names.txt */
};

static enum ph_status take_member(struct archive *archive, const char *member, const char *where,
                                  struct phi_arrays *arrays, struct found *found,
                                  struct ph_error *reterr)
{
    struct bytes bytes = {0};
    struct bytes *keep = phi_str_ends(member, ".npz")        ? &found->npz
                         : phi_str_ends(member, "names.txt") ? &found->names
                                                             : NULL;
    enum ph_status status = PH_OK;

    if (!keep && !phi_str_ends(member, ".npy"))
        return PH_OK;
    status = unpack(archive, where, &bytes, reterr);
    if (status != PH_OK)
        return status;
    if (keep) {
        phi_free(keep->data);
        *keep = bytes;
        return PH_OK;
    }
    status = add_npy(arrays, where, member, &bytes, reterr);
    phi_free(bytes.data);
    return status;
}

static enum ph_status take_all(struct archive *archive, const char *where,
                               struct phi_arrays *arrays, struct found *found,
                               struct ph_error *reterr)
{
    struct archive_entry *entry;
    enum ph_status status = PH_OK;
    int code = ARCHIVE_OK;

    while (status == PH_OK && ((code = archive_read_next_header(archive, &entry)) == ARCHIVE_OK ||
                               code == ARCHIVE_WARN)) {
        const char *member = archive_entry_pathname(entry);

        if (member)
            status = take_member(archive, member, where, arrays, found, reterr);
    }
    if (status == PH_OK && code != ARCHIVE_EOF)
        return phi_error(reterr, PH_E_FORMAT, "%s: %s", where, archive_error_string(archive));
    return status;
}

/* Gives `item` the `n` characters at `text` as its name. */
static enum ph_status rename_item(struct phi_arrays *arrays, struct phi_safetensors_tensor *item,
                                  const unsigned char *text, size_t n)
{
    char *name = phi_calloc(n + 1, 1);
    void *old;

    if (!name)
        return PH_E_NOMEM;
    memcpy(name, text, n);
    if (n == 0 || phi_arrays_find(arrays, name)) {
        phi_free(name);
        return PH_E_FORMAT;
    }
    memcpy(&old, &item->name, sizeof old); /* ours; const only to readers */
    phi_free(old);
    item->name = name;
    return PH_OK;
}

/* Line i of names.txt is the name of arr_i. */
static enum ph_status rename_by_lines(struct phi_arrays *arrays, const struct bytes *names,
                                      const char *where, struct ph_error *reterr)
{
    const unsigned char *at = names->data;
    const unsigned char *end = names->data + names->n;
    enum ph_status status = PH_OK;

    for (unsigned line = 0; at < end && line < MAX_NAMES; line++) {
        const unsigned char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((stop ? stop : end) - at);
        struct phi_safetensors_tensor *item;
        char numbered[32];
        struct phi_str str = phi_str_over(numbered, sizeof numbered);

        phi_str_addf(&str, "arr_%u", line);
        item = phi_arrays_find(arrays, numbered);
        while (n > 0 && (at[n - 1] == '\r' || at[n - 1] == ' '))
            n--;
        if (item)
            status = rename_item(arrays, item, at, n);
        if (status != PH_OK)
            return phi_error(reterr, status, "%s: line %u of names.txt cannot name an array", where,
                             line + 1);
        at = stop ? stop + 1 : end;
    }
    return PH_OK;
}

static enum ph_status load_nested(struct phi_arrays *arrays, const char *where,
                                  const struct found *outer, struct ph_error *reterr)
{
    struct found found = {0};
    struct archive *archive = reader(false);
    enum ph_status status;

    if (!archive)
        return phi_error_nomem(reterr, "an archive reader", 0);
    if (archive_read_open_memory(archive, outer->npz.data, outer->npz.n) != ARCHIVE_OK)
        status = phi_error(reterr, PH_E_FORMAT, "%s: %s", where, archive_error_string(archive));
    else
        status = take_all(archive, where, arrays, &found, reterr);
    (void)archive_read_free(archive);
    phi_free(found.npz.data);
    phi_free(found.names.data);
    if (status == PH_OK && outer->names.data)
        status = rename_by_lines(arrays, &outer->names, where, reterr);
    return status;
}

enum ph_status phi_arrays_load_archive(struct phi_arrays *arrays, const char *path,
                                       struct ph_error *reterr)
{
    struct found found = {0};
    struct archive *archive = reader(!phi_str_ends(path, ".npz"));
    enum ph_status status;

    if (!archive)
        return phi_error_nomem(reterr, "an archive reader", 0);
    if (archive_read_open_filename(archive, path, 65536) != ARCHIVE_OK) {
        int os_error = archive_errno(archive);

        status = os_error > 0
                     ? phi_error_os(reterr, PH_E_IO, os_error, "cannot open '%s'", path)
                     : phi_error(reterr, PH_E_FORMAT, "%s: not a zip or tar.gz archive", path);
    } else {
        status = take_all(archive, path, arrays, &found, reterr);
        if (status == PH_OK && found.npz.data)
            status = load_nested(arrays, path, &found, reterr);
    }
    (void)archive_read_free(archive);
    phi_free(found.npz.data);
    phi_free(found.names.data);
    return status;
}
