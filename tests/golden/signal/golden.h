/* SPDX-License-Identifier: MIT
 *
 * Reading stored vectors: JSON files of nested lists, row-major. Every helper fails the running
 * test when the file or field is missing or has another size, so a test cannot pass unread.
 */
#ifndef TESTS_GOLDEN_SIGNAL_GOLDEN_H
#define TESTS_GOLDEN_SIGNAL_GOLDEN_H

#include "test.h"

#include <jansson.h>

/* The file `name` of this folder; free with json_decref. */
static inline json_t *golden_open(const char *name)
{
    char path[1024];
    json_error_t error;
    json_t *root;

    assert_true(snprintf(path, sizeof path, "%s/%s", GOLDEN_DIR, name) < (int)sizeof path);
    root = json_load_file(path, 0, &error);
    if (!root)
        fail_msg("%s: %s", path, error.text);
    return root;
}

/* A field of an object. */
static inline const json_t *golden_field(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (!value)
        fail_msg("golden field %s is missing", key);
    return value;
}

/* Appends the numbers of nested lists to out[capacity]; returns how many are filled. */
static inline size_t golden_flatten(const json_t *value, double *out, size_t filled,
                                    size_t capacity)
{
    size_t i;
    json_t *item;

    if (!json_is_array(value)) {
        assert_true(json_is_number(value) && filled < capacity);
        out[filled] = json_number_value(value);
        return filled + 1;
    }
    json_array_foreach(value, i, item) filled = golden_flatten(item, out, filled, capacity);
    return filled;
}

/* The `n` numbers of field `key`, in row-major order. */
static inline void golden_numbers(const json_t *object, const char *key, double *out, size_t n)
{
    assert_int_equal(golden_flatten(golden_field(object, key), out, 0, n), n);
}

#endif
