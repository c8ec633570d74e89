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

/* A field of an object: its key, or where there is no such key a path of keys joined by dots. */
static inline const json_t *golden_field(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    const char *dot = strchr(key, '.');

    if (!value && dot) {
        char first[64];

        assert_true((size_t)(dot - key) < sizeof first);
        memcpy(first, key, (size_t)(dot - key));
        first[dot - key] = 0;
        return golden_field(golden_field(object, first), dot + 1);
    }

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

/* The single number at `key`. */
static inline double golden_number(const json_t *object, const char *key)
{
    double value = 0;

    golden_numbers(object, key, &value, 1);
    return value;
}

/* Fails unless |got[i] - want[i]| <= tolerance * max(1, largest |want|) for all i. */
static inline void golden_compare(const char *what, const double *got, const double *want, size_t n,
                                  double tolerance)
{
    double scale = 1;

    for (size_t i = 0; i < n; i++)
        scale = fabs(want[i]) > scale ? fabs(want[i]) : scale;
    for (size_t i = 0; i < n; i++)
        if (!(fabs(got[i] - want[i]) <= tolerance * scale))
            fail_msg("%s[%zu] = %.17g, golden %.17g", what, i, got[i], want[i]);
}

#endif
