/* SPDX-License-Identifier: MIT
 *
 * The header is a Python dict literal of three known keys; NumPy's own writer always gives it in
 * one form, so a small scanner that accepts just that grammar is enough and can be bounded.
 */
#include "io/npy.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/span.h"

#define MAX_HEADER 65536

struct header {
    enum phi_safetensors_dtype dtype;
    bool big_endian;
    bool fortran_order;
    size_t n_dims;
    size_t shape[PHI_SAFETENSORS_MAX_DIMS];
    bool has_descr, has_order, has_shape;
};

static void skip_space(struct phi_cursor *c)
{
    while (phi_cursor_left(c) && strchr(" \n\t,", c->span.bytes[c->at]) && c->span.bytes[c->at])
        c->at++;
}

static bool take_char(struct phi_cursor *c, char wanted)
{
    skip_space(c);
    if (!phi_cursor_left(c) || c->span.bytes[c->at] != (unsigned char)wanted)
        return false;
    c->at++;
    return true;
}

/* A string in single or double quotes without escapes. */
static bool take_string(struct phi_cursor *c, char out[32])
{
    unsigned char quote;
    size_t n = 0;

    skip_space(c);
    if (!phi_cursor_left(c))
        return false;
    quote = c->span.bytes[c->at++];
    if (quote != '\'' && quote != '"')
        return false;
    while (phi_cursor_left(c) && c->span.bytes[c->at] != quote && n < 31)
        out[n++] = (char)c->span.bytes[c->at++];
    out[n] = '\0';
    return phi_cursor_left(c) && c->span.bytes[c->at++] == quote;
}

static bool take_word(struct phi_cursor *c, const char *word)
{
    size_t n = strlen(word);

    skip_space(c);
    if (phi_cursor_left(c) < n || memcmp(c->span.bytes + c->at, word, n) != 0)
        return false;
    c->at += n;
    return true;
}

static bool take_size(struct phi_cursor *c, size_t *ret)
{
    size_t value = 0;
    size_t start;

    skip_space(c);
    start = c->at;
    while (phi_cursor_left(c) && c->span.bytes[c->at] >= '0' && c->span.bytes[c->at] <= '9') {
        if (!phi_mul_size(value, 10, &value) ||
            !phi_add_size(value, (size_t)(c->span.bytes[c->at] - '0'), &value))
            return false;
        c->at++;
    }
    *ret = value;
    return c->at > start;
}

static bool take_shape(struct phi_cursor *c, struct header *header)
{
    if (!take_char(c, '('))
        return false;
    while (!take_char(c, ')')) {
        if (header->n_dims == PHI_SAFETENSORS_MAX_DIMS ||
            !take_size(c, &header->shape[header->n_dims]))
            return false;
        header->n_dims++;
    }
    return true;
}

static bool set_dtype(struct header *header, const char *descr)
{
    static const struct {
        const char *code;
        enum phi_safetensors_dtype dtype;
    } types[] = {
        {"b1", PHI_SAFETENSORS_BOOL}, {"u1", PHI_SAFETENSORS_U8},  {"i4", PHI_SAFETENSORS_I32},
        {"i8", PHI_SAFETENSORS_I64},  {"f2", PHI_SAFETENSORS_F16}, {"f4", PHI_SAFETENSORS_F32},
        {"f8", PHI_SAFETENSORS_F64},
    };

    if (!descr[0] || !strchr("<>|=", descr[0]))
        return false;
    header->big_endian = descr[0] == '>';
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(descr + 1, types[i].code) == 0) {
            header->dtype = types[i].dtype;
            return true;
        }
    return false;
}

/* One "key: value" pair; false on anything unknown. */
static bool take_pair(struct phi_cursor *c, struct header *header)
{
    char key[32];
    char descr[32];

    if (!take_string(c, key) || !take_char(c, ':'))
        return false;
    if (strcmp(key, "descr") == 0) {
        header->has_descr = true;
        return take_string(c, descr) && set_dtype(header, descr);
    }
    if (strcmp(key, "fortran_order") == 0) {
        header->has_order = true;
        header->fortran_order = take_word(c, "True");
        return header->fortran_order || take_word(c, "False");
    }
    if (strcmp(key, "shape") == 0) {
        header->has_shape = true;
        return take_shape(c, header);
    }
    return false;
}

static bool parse_dict(struct phi_cursor *c, struct header *header)
{
    if (!take_char(c, '{'))
        return false;
    while (!take_char(c, '}'))
        if (!take_pair(c, header))
            return false;
    return header->has_descr && header->has_order && header->has_shape;
}

static bool take_dict(struct phi_cursor *c, struct header *header)
{
    const unsigned char *magic = phi_cursor_take(c, 6);
    uint8_t major = phi_cursor_u8(c);
    size_t n;
    struct phi_cursor dict;

    if (!magic || memcmp(magic, "\x93NUMPY", 6) != 0)
        return false;
    (void)phi_cursor_u8(c);
    n = major == 1 ? phi_cursor_u16le(c) : phi_cursor_u32le(c);
    if (c->failed || major < 1 || major > 3 || n > MAX_HEADER || n > phi_cursor_left(c))
        return false;
    dict = phi_cursor_over(phi_cursor_take(c, n), n);
    return parse_dict(&dict, header);
}

static void copy_value(unsigned char *to, const unsigned char *from, size_t size, bool swapped)
{
    for (size_t i = 0; i < size; i++)
        to[i] = from[swapped ? size - 1 - i : i];
}

/* Row-major position of the element at column-major position `at`. */
static size_t row_major(const struct header *header, size_t at)
{
    size_t index[PHI_SAFETENSORS_MAX_DIMS];
    size_t position = 0;

    for (size_t d = 0; d < header->n_dims; d++) {
        index[d] = at % header->shape[d];
        at /= header->shape[d];
    }
    for (size_t d = 0; d < header->n_dims; d++)
        position = position * header->shape[d] + index[d];
    return position;
}

static void copy_values(unsigned char *to, const unsigned char *from, size_t n,
                        const struct header *header)
{
    size_t size = phi_safetensors_dtype_size(header->dtype);

    if (!header->fortran_order && !header->big_endian) {
        memcpy(to, from, n * size);
        return;
    }
    for (size_t i = 0; i < n; i++)
        copy_value(to + (header->fortran_order ? row_major(header, i) : i) * size, from + i * size,
                   size, header->big_endian);
}

enum ph_status phi_npy_parse(const void *bytes, size_t n_bytes, const char *name,
                             struct phi_safetensors_tensor *ret_tensor, struct ph_error *reterr)
{
    struct phi_cursor cursor = phi_cursor_over(bytes, n_bytes);
    struct header header = {0};
    size_t n = 1;
    size_t n_data;
    unsigned char *data;

    if (!take_dict(&cursor, &header))
        return phi_error(reterr, PH_E_FORMAT,
                         "%s: not a NumPy array of numbers (bool, uint8, int32, int64 or float)",
                         name);
    for (size_t d = 0; d < header.n_dims; d++)
        if (!phi_mul_size(n, header.shape[d], &n))
            return phi_error(reterr, PH_E_LIMIT, "%s: the shape is too large", name);
    if (!phi_mul_size(n, phi_safetensors_dtype_size(header.dtype), &n_data) ||
        n_data != phi_cursor_left(&cursor))
        return phi_error(reterr, PH_E_FORMAT, "%s: %zu bytes of data where the shape asks for %zu",
                         name, phi_cursor_left(&cursor), n_data);
    data = phi_calloc(n_data, 1);
    if (!data)
        return phi_error_nomem(reterr, "an array", n_data);
    copy_values(data, cursor.span.bytes + cursor.at, n, &header);
    *ret_tensor = (struct phi_safetensors_tensor){.dtype = header.dtype,
                                                  .n_dims = header.n_dims,
                                                  .data = data,
                                                  .n_values = n,
                                                  .n_bytes = n_data};
    memcpy(ret_tensor->shape, header.shape, sizeof header.shape);
    return PH_OK;
}
