/* SPDX-License-Identifier: MIT */
#include "golden.h"

#include <stdio.h>

const char *golden_dir = ".";

static FILE *open_file(const char *name)
{
    char path[1024];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", golden_dir, name);
    file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    return file;
}

json_t *golden_json(const char *name)
{
    FILE *file = open_file(name);
    json_error_t error;
    json_t *root = json_loadf(file, 0, &error);

    fclose(file);
    if (!root)
        fail_msg("%s: %s", name, error.text);
    return root;
}

const json_t *golden_at(const json_t *root, const char *path)
{
    char key[128];
    const char *at = path;

    while (root && *at) {
        size_t n = strcspn(at, ".");

        assert_true(n < sizeof key);
        memcpy(key, at, n);
        key[n] = 0;
        root = json_is_array(root) ? json_array_get(root, strtoul(key, NULL, 10))
                                   : json_object_get(root, key);
        at += n + (at[n] == '.');
    }
    if (!root)
        fail_msg("no value at %s", path);
    return root;
}

double golden_number(const json_t *root, const char *path)
{
    return json_number_value(golden_at(root, path));
}

static size_t collect(const json_t *value, double *out, size_t at, size_t n)
{
    if (!json_is_array(value)) {
        assert_true(json_is_number(value) && at < n);
        out[at] = json_number_value(value);
        return at + 1;
    }
    for (size_t i = 0; i < json_array_size(value); i++)
        at = collect(json_array_get(value, i), out, at, n);
    return at;
}

double *golden_array(const json_t *root, const char *path, size_t n)
{
    double *out = phi_calloc(n, sizeof *out);

    assert_non_null(out);
    assert_int_equal(collect(golden_at(root, path), out, 0, n), n);
    return out;
}

double golden_error(const double *a, const double *b, size_t n)
{
    double worst = 0, scale = 1;

    for (size_t i = 0; i < n; i++) {
        double error = fabs(a[i] - b[i]);

        if (!(error <= worst)) /* NaN counts as worse */
            worst = error;
        scale = fmax(scale, fabs(b[i]));
    }
    return worst / scale;
}

static double *read_values(FILE *file, int is_f64, size_t n)
{
    double *out = phi_calloc(n, sizeof *out);

    assert_non_null(out);
    for (size_t i = 0; i < n; i++) {
        float f = 0;

        if (is_f64)
            assert_int_equal(fread(out + i, sizeof *out, 1, file), 1);
        else
            assert_int_equal(fread(&f, sizeof f, 1, file), 1);
        out[i] = is_f64 ? out[i] : (double)f;
    }
    return out;
}

double *golden_tensor(const char *file_name, const char *name, size_t n)
{
    FILE *file = open_file(file_name);
    uint64_t n_header = 0;
    char *text;
    json_t *root;
    const json_t *entry;
    double *out;
    int is_f64;

    assert_int_equal(fread(&n_header, sizeof n_header, 1, file), 1);
    text = phi_calloc(n_header + 1, 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, n_header, file), n_header);
    root = json_loads(text, 0, NULL);
    entry = json_object_get(root, name);
    if (!entry)
        fail_msg("%s: no tensor %s", file_name, name);
    is_f64 = strcmp(json_string_value(json_object_get(entry, "dtype")), "F64") == 0;
    fseek(file, (long)(8 + n_header) + (long)golden_number(entry, "data_offsets.0"), SEEK_SET);
    assert_int_equal(
        (size_t)(golden_number(entry, "data_offsets.1") - golden_number(entry, "data_offsets.0")),
        n * (is_f64 ? 8 : 4));
    out = read_values(file, is_f64, n);
    fclose(file);
    json_decref(root);
    phi_free(text);
    return out;
}
