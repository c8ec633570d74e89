/* SPDX-License-Identifier: MIT */
#include "nn/weights.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

struct phi_weights {
    struct phi_param **item; /* pointers, so that a parameter never moves */
    size_t n;
    size_t capacity;
};

enum ph_status phi_weights_create(struct phi_weights **ret_params)
{
    struct phi_weights *params = phi_calloc(1, sizeof *params);

    if (!params)
        return PH_E_NOMEM;
    *ret_params = params;
    return PH_OK;
}

void phi_weights_destroy(struct phi_weights **params)
{
    if (!params || !*params)
        return;
    for (size_t i = 0; i < (*params)->n; i++) {
        phi_tensor_fini(&(*params)->item[i]->value);
        phi_free((*params)->item[i]->grad);
        phi_free((*params)->item[i]);
    }
    phi_free((*params)->item);
    phi_free(*params);
    *params = NULL;
}

static bool make_room(struct phi_weights *params)
{
    size_t capacity = params->capacity ? 2 * params->capacity : 32;
    struct phi_param **item;

    if (params->n < params->capacity)
        return true;
    item = phi_calloc(capacity, sizeof *item);
    if (!item)
        return false;
    if (params->n > 0)
        memcpy(item, params->item, params->n * sizeof *item);
    phi_free(params->item);
    params->item = item;
    params->capacity = capacity;
    return true;
}

enum ph_status phi_weights_add(struct phi_weights *params, const char *name, struct phi_shape shape,
                               struct phi_param **ret_param, struct ph_error *reterr)
{
    struct phi_param *param;
    enum ph_status status;

    if (name[0] == '\0' || strlen(name) >= PHI_PARAM_NAME)
        return phi_error(reterr, PH_E_INVAL, "parameter name '%.40s...' is empty or too long",
                         name);
    if (phi_weights_find(params, name))
        return phi_error(reterr, PH_E_INVAL, "two parameters are called '%s'", name);
    param = phi_calloc(1, sizeof *param);
    if (!param || !make_room(params)) {
        phi_free(param);
        return phi_error_nomem(reterr, "a parameter", sizeof *param);
    }
    status = phi_tensor_init(&param->value, shape);
    if (status != PH_OK) {
        phi_free(param);
        return phi_error(reterr, status,
                         "parameter '%s' cannot be made: empty, too large or out "
                         "of memory",
                         name);
    }
    (void)phi_str_copy(param->name, sizeof param->name, name);
    params->item[params->n++] = param;
    if (ret_param)
        *ret_param = param;
    return PH_OK;
}

enum ph_status phi_weights_put(struct phi_weights *params, const char *name, struct phi_shape shape,
                               const float *data, struct ph_error *reterr)
{
    struct phi_param *param = NULL;
    enum ph_status status = phi_weights_add(params, name, shape, &param, reterr);

    if (status == PH_OK)
        memcpy(param->value.data, data, phi_shape_count(&shape) * sizeof *data);
    return status;
}

struct phi_param *phi_weights_find(const struct phi_weights *params, const char *name)
{
    for (size_t i = 0; i < params->n; i++) {
        if (strcmp(params->item[i]->name, name) == 0)
            return params->item[i];
    }
    return NULL;
}

static const char *nearest_name(const struct phi_weights *params, const char *name)
{
    const char *best = "none";
    size_t distance = 8; /* farther names are no help */

    for (size_t i = 0; i < params->n; i++) {
        size_t d = phi_str_distance(params->item[i]->name, name);

        if (d < distance) {
            distance = d;
            best = params->item[i]->name;
        }
    }
    return best;
}

enum ph_status phi_weights_get(const struct phi_weights *params, const char *name,
                               struct phi_shape shape, struct phi_param **ret_param,
                               struct ph_error *reterr)
{
    struct phi_param *param = phi_weights_find(params, name);
    char have[PHI_SHAPE_TEXT], want[PHI_SHAPE_TEXT];

    if (!param)
        return phi_error(reterr, PH_E_FORMAT, "the weights lack '%s' (nearest name: %s)", name,
                         nearest_name(params, name));
    if (!phi_shape_equal(&param->value.shape, &shape))
        return phi_error(reterr, PH_E_SHAPE, "'%s' has shape %s where the network needs %s", name,
                         phi_shape_text(&param->value.shape, have), phi_shape_text(&shape, want));
    *ret_param = param;
    return PH_OK;
}

size_t phi_weights_count(const struct phi_weights *params)
{
    return params->n;
}

struct phi_param *phi_weights_at(const struct phi_weights *params, size_t i)
{
    return params->item[i];
}

size_t phi_weights_elements(const struct phi_weights *params, const char *prefix)
{
    size_t n = 0;

    for (size_t i = 0; i < params->n; i++) {
        if (phi_str_starts(params->item[i]->name, prefix))
            n += phi_shape_count(&params->item[i]->value.shape);
    }
    return n;
}

void phi_weights_freeze(struct phi_weights *params, const char *prefix, bool frozen)
{
    for (size_t i = 0; i < params->n; i++) {
        if (phi_str_starts(params->item[i]->name, prefix))
            params->item[i]->frozen = frozen;
    }
}

enum ph_status phi_param_want_grad(struct phi_param *param)
{
    if (!param->grad)
        param->grad = phi_calloc(phi_shape_count(&param->value.shape), sizeof *param->grad);
    return param->grad ? PH_OK : PH_E_NOMEM;
}

void phi_weights_zero_grads(struct phi_weights *params, const char *prefix)
{
    for (size_t i = 0; i < params->n; i++) {
        struct phi_param *param = params->item[i];

        if (param->grad && phi_str_starts(param->name, prefix))
            memset(param->grad, 0, phi_shape_count(&param->value.shape) * sizeof *param->grad);
    }
}

enum ph_status phi_weights_copy(struct phi_weights *to, const struct phi_weights *from,
                                struct ph_error *reterr)
{
    for (size_t i = 0; i < from->n; i++) {
        struct phi_param *param = phi_weights_find(to, from->item[i]->name);

        if (param && phi_tensor_copy(&param->value, &from->item[i]->value) != PH_OK)
            return phi_error(reterr, PH_E_SHAPE, "'%s' has another shape in the copy", param->name);
    }
    return PH_OK;
}

enum ph_status phi_weights_check_finite(const struct phi_weights *params, struct ph_error *reterr)
{
    for (size_t i = 0; i < params->n; i++) {
        const struct phi_tensor *value = &params->item[i]->value;
        size_t n = phi_shape_count(&value->shape);

        for (size_t k = 0; k < n; k++) {
            if (!isfinite(value->data[k]))
                return phi_error(reterr, PH_E_FORMAT, "parameter '%s' holds NaN or infinity",
                                 params->item[i]->name);
        }
    }
    return PH_OK;
}
