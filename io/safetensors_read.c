/* SPDX-License-Identifier: MIT
 *
 * Conversions. Data in a file need not be aligned, so every value goes through memcpy, which the
 * compiler turns into a plain load. The host is little-endian, as the format is. */
#include <string.h>

#include "base/error.h"
#include "base/half.h"
#include "base/mem.h"
#include "io/safetensors_private.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format's byte order");

/* out[i] = `value`, an expression of the loaded `type raw`, for all i. */
#define CONVERT(type, value)                                                                       \
    do {                                                                                           \
        for (size_t i = 0; i < n; i++) {                                                           \
            type raw;                                                                              \
                                                                                                   \
            memcpy(&raw, bytes + i * sizeof raw, sizeof raw);                                      \
            out[i] = (value);                                                                      \
        }                                                                                          \
        return 1;                                                                                  \
    } while (0)

static int to_f32(const struct phi_safetensors_tensor *tensor, float *out)
{
    const unsigned char *bytes = tensor->data;
    size_t n = tensor->n_values;

    switch (tensor->dtype) {
    case PHI_SAFETENSORS_F32:
        memcpy(out, bytes, tensor->n_bytes);
        return 1;
    case PHI_SAFETENSORS_F64:
        CONVERT(double, (float)raw);
    case PHI_SAFETENSORS_F16:
        CONVERT(uint16_t, phi_f32_from_f16(raw));
    case PHI_SAFETENSORS_BF16:
        CONVERT(uint16_t, phi_f32_from_bf16(raw));
    case PHI_SAFETENSORS_U8:
        CONVERT(uint8_t, (float)raw);
    case PHI_SAFETENSORS_I32:
        CONVERT(int32_t, (float)raw);
    case PHI_SAFETENSORS_BOOL:
    case PHI_SAFETENSORS_I64:
        break;
    }
    return 0;
}

static int to_f64(const struct phi_safetensors_tensor *tensor, double *out)
{
    const unsigned char *bytes = tensor->data;
    size_t n = tensor->n_values;

    switch (tensor->dtype) {
    case PHI_SAFETENSORS_F64:
        memcpy(out, bytes, tensor->n_bytes);
        return 1;
    case PHI_SAFETENSORS_F32:
        CONVERT(float, (double)raw);
    case PHI_SAFETENSORS_F16:
        CONVERT(uint16_t, (double)phi_f32_from_f16(raw));
    case PHI_SAFETENSORS_BF16:
        CONVERT(uint16_t, (double)phi_f32_from_bf16(raw));
    case PHI_SAFETENSORS_U8:
        CONVERT(uint8_t, (double)raw);
    case PHI_SAFETENSORS_I32:
        CONVERT(int32_t, (double)raw);
    case PHI_SAFETENSORS_I64:
        CONVERT(int64_t, (double)raw);
    case PHI_SAFETENSORS_BOOL:
        break;
    }
    return 0;
}

static const char *path_of(const struct phi_safetensors *file)
{
    return file ? file->path : "memory";
}

static enum ph_status check_count(const struct phi_safetensors *file,
                                  const struct phi_safetensors_tensor *tensor, size_t n_values,
                                  struct ph_error *reterr)
{
    if (tensor->n_values == n_values)
        return PH_OK;
    return phi_error(reterr, PH_E_SHAPE, "'%.200s', tensor '%.80s': %zu values, needed %zu",
                     path_of(file), tensor->name, tensor->n_values, n_values);
}

static enum ph_status type_error(const struct phi_safetensors *file,
                                 const struct phi_safetensors_tensor *tensor, const char *wanted,
                                 struct ph_error *reterr)
{
    return phi_error(reterr, PH_E_FORMAT, "'%.200s', tensor '%.80s': type %s cannot serve as %s",
                     path_of(file), tensor->name, phi_safetensors_dtype_name(tensor->dtype),
                     wanted);
}

enum ph_status phi_safetensors_read_f32(const struct phi_safetensors *file,
                                        const struct phi_safetensors_tensor *tensor,
                                        size_t n_values, float *ret_values, struct ph_error *reterr)
{
    enum ph_status status = check_count(file, tensor, n_values, reterr);

    if (status < 0)
        return status;
    return to_f32(tensor, ret_values) ? PH_OK : type_error(file, tensor, "float32", reterr);
}

enum ph_status phi_safetensors_read_f64(const struct phi_safetensors *file,
                                        const struct phi_safetensors_tensor *tensor,
                                        size_t n_values, double *ret_values,
                                        struct ph_error *reterr)
{
    enum ph_status status = check_count(file, tensor, n_values, reterr);

    if (status < 0)
        return status;
    return to_f64(tensor, ret_values) ? PH_OK : type_error(file, tensor, "float64", reterr);
}

enum ph_status phi_safetensors_load_f32(const struct phi_safetensors *file, const char *name,
                                        size_t n_dims, const size_t *shape, float **ret_values,
                                        struct ph_error *reterr)
{
    const struct phi_safetensors_tensor *tensor;
    enum ph_status status = phi_safetensors_expect(file, name, n_dims, shape, &tensor, reterr);
    float *values;

    if (status < 0)
        return status;
    values = phi_calloc(tensor->n_values, sizeof *values);
    if (!values)
        return phi_error_nomem(reterr, name, tensor->n_values * sizeof *values);
    status = phi_safetensors_read_f32(file, tensor, tensor->n_values, values, reterr);
    if (status < 0)
        phi_free(values);
    else
        *ret_values = values;
    return status;
}

enum ph_status phi_safetensors_load_f64(const struct phi_safetensors *file, const char *name,
                                        size_t n_dims, const size_t *shape, double **ret_values,
                                        struct ph_error *reterr)
{
    const struct phi_safetensors_tensor *tensor;
    enum ph_status status = phi_safetensors_expect(file, name, n_dims, shape, &tensor, reterr);
    double *values;

    if (status < 0)
        return status;
    values = phi_calloc(tensor->n_values, sizeof *values);
    if (!values)
        return phi_error_nomem(reterr, name, tensor->n_values * sizeof *values);
    status = phi_safetensors_read_f64(file, tensor, tensor->n_values, values, reterr);
    if (status < 0)
        phi_free(values);
    else
        *ret_values = values;
    return status;
}
