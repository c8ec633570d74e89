/* SPDX-License-Identifier: MIT */
#include "convert/convert.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

static const char *keep_text(struct convert_output *out, const char *text)
{
    char *copy = out->text + out->text_used;
    size_t n = strlen(text) + 1;

    if (n > sizeof out->text - out->text_used)
        return NULL;
    memcpy(copy, text, n);
    out->text_used += n;
    return copy;
}

enum ph_status convert_note(struct convert_output *out, const char *key, const char *value)
{
    const char *kept_key = keep_text(out, key);
    const char *kept_value = keep_text(out, value);

    if (!kept_key || !kept_value || out->n_metadata == CONVERT_MAX_PAIRS)
        return PH_E_LIMIT;
    out->metadata[out->n_metadata++] = (struct phi_safetensors_pair){kept_key, kept_value};
    return PH_OK;
}

static bool names_match(const char *full, const char *name)
{
    size_t n = strlen(full);
    size_t m = strlen(name);

    return strcmp(full, name) == 0 ||
           (n > m + 1 && full[n - m - 1] == '/' && strcmp(full + n - m, name) == 0);
}

static enum ph_status check_shape(const struct phi_safetensors_tensor *tensor, size_t n_dims,
                                  const size_t *shape, struct ph_error *reterr)
{
    bool same = tensor->n_dims == n_dims;
    char have[128];
    char need[128];
    struct phi_str have_str = phi_str_over(have, sizeof have);
    struct phi_str need_str = phi_str_over(need, sizeof need);

    for (size_t d = 0; d < tensor->n_dims; d++)
        phi_str_addf(&have_str, "%s%zu", d ? " x " : "", tensor->shape[d]);
    for (size_t d = 0; d < n_dims; d++) {
        phi_str_addf(&need_str, shape[d] ? "%s%zu" : "%sany", d ? " x " : "", shape[d]);
        same = same && (shape[d] == 0 || shape[d] == tensor->shape[d]);
    }
    if (same)
        return PH_OK;
    return phi_error(reterr, PH_E_SHAPE, "array '%s' is %s, expected %s", tensor->name, have, need);
}

enum ph_status convert_find(const struct phi_arrays *in, const char *name, size_t n_dims,
                            const size_t *shape, const struct phi_safetensors_tensor **ret_tensor,
                            struct ph_error *reterr)
{
    const struct phi_safetensors_tensor *found = NULL;
    enum ph_status status;

    for (size_t i = 0; i < in->n; i++) {
        if (!names_match(in->items[i].name, name))
            continue;
        if (found)
            return phi_error(reterr, PH_E_FORMAT, "two arrays are called '%s': '%s' and '%s'", name,
                             found->name, in->items[i].name);
        found = &in->items[i];
    }
    if (!found)
        return phi_error(reterr, PH_E_FORMAT, "array '%s' is missing", name);
    status = check_shape(found, n_dims, shape, reterr);
    if (status == PH_OK)
        *ret_tensor = found;
    return status;
}

static enum ph_status as_f32(const struct phi_safetensors_tensor *source, float **ret_values,
                             struct ph_error *reterr)
{
    float *values = phi_calloc(source->n_values, sizeof *values);
    enum ph_status status;

    if (!values)
        return phi_error_nomem(reterr, "a tensor", source->n_values * sizeof *values);
    status = phi_safetensors_read_f32(NULL, source, source->n_values, values, reterr);
    if (status != PH_OK) {
        phi_free(values);
        return status;
    }
    *ret_values = values;
    return PH_OK;
}

static enum ph_status add_f32(struct convert_output *out, const char *name, float *values,
                              size_t n_dims, const size_t *shape, struct ph_error *reterr)
{
    struct phi_safetensors_tensor tensor = {
        .dtype = PHI_SAFETENSORS_F32, .n_dims = n_dims, .data = values, .n_values = 1};

    for (size_t d = 0; d < n_dims; d++) {
        tensor.shape[d] = shape[d];
        tensor.n_values *= shape[d];
    }
    tensor.n_bytes = tensor.n_values * sizeof(float);
    return phi_arrays_add(&out->tensors, name, &tensor, reterr);
}

enum ph_status convert_put(struct convert_output *out, const char *name,
                           const struct phi_safetensors_tensor *source, size_t n_dims,
                           const size_t *shape, struct ph_error *reterr)
{
    size_t n = 1;
    float *values = NULL;
    enum ph_status status;

    for (size_t d = 0; d < n_dims; d++)
        n *= shape[d];
    if (n != source->n_values)
        return phi_error(reterr, PH_E_SHAPE, "array '%s' has %zu values, '%s' needs %zu",
                         source->name, source->n_values, name, n);
    status = as_f32(source, &values, reterr);
    return status == PH_OK ? add_f32(out, name, values, n_dims, shape, reterr) : status;
}

/* Where the value at output index `at` comes from. */
static size_t source_index(const size_t at[4], const size_t *source_shape, const size_t *out_shape,
                           const int order[4], bool flip)
{
    size_t in[4];
    size_t position = 0;

    for (int i = 0; i < 4; i++)
        in[order[i]] = flip && i >= 2 ? out_shape[i] - 1 - at[i] : at[i];
    for (int i = 0; i < 4; i++)
        position = position * source_shape[i] + in[i];
    return position;
}

enum ph_status convert_put_kernel(struct convert_output *out, const char *name,
                                  const struct phi_safetensors_tensor *source, const int order[4],
                                  bool flip, struct ph_error *reterr)
{
    size_t shape[4];
    size_t at[4];
    float *values = NULL;
    float *turned;
    size_t n = 0;
    enum ph_status status = as_f32(source, &values, reterr);

    if (status != PH_OK)
        return status;
    turned = phi_calloc(source->n_values, sizeof *turned);
    if (!turned) {
        phi_free(values);
        return phi_error_nomem(reterr, "a kernel", source->n_values * sizeof *turned);
    }
    for (int i = 0; i < 4; i++)
        shape[i] = source->shape[order[i]];
    for (at[0] = 0; at[0] < shape[0]; at[0]++)
        for (at[1] = 0; at[1] < shape[1]; at[1]++)
            for (at[2] = 0; at[2] < shape[2]; at[2]++)
                for (at[3] = 0; at[3] < shape[3]; at[3]++)
                    turned[n++] = values[source_index(at, source->shape, shape, order, flip)];
    phi_free(values);
    return add_f32(out, name, turned, 4, shape, reterr);
}

void convert_output_fini(struct convert_output *out)
{
    phi_arrays_fini(&out->tensors);
    memset(out, 0, sizeof *out);
}
