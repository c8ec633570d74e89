/* SPDX-License-Identifier: MIT
 *
 * The parameter store: named tensors with room for their gradients. Graphs declare parameters by
 * name; executors look them up here; tools fill the store from files and write it back. The order
 * of the store is the order of addition. One thread at a time.
 */
#ifndef PHI_NN_WEIGHTS_H
#define PHI_NN_WEIGHTS_H

#include "nn/tensor.h"

#define PHI_PARAM_NAME 96

struct phi_param {
    char name[PHI_PARAM_NAME];
    struct phi_tensor value;
    float *grad; /* same shape, row-major; NULL until somebody asks for it */
    bool frozen; /* never trained: running statistics, fixed layers */
};

struct phi_weights;

/* An empty store. Owned by the caller. */
PH_NODISCARD enum ph_status phi_weights_create(struct phi_weights **ret_params);

/* Frees the store and its tensors; accepts NULL and *params == NULL, clears *params. */
void phi_weights_destroy(struct phi_weights **params);

/* Adds a zeroed tensor. The pointer stays valid until the store is destroyed. Errors: _INVAL (name
 * empty, too long or taken), _SHAPE, _NOMEM. */
PH_NODISCARD enum ph_status phi_weights_add(struct phi_weights *params, const char *name,
                                            struct phi_shape shape, struct phi_param **ret_param,
                                            struct ph_error *reterr);

/* As phi_weights_add, filled with data[count of shape] (row-major). */
PH_NODISCARD enum ph_status phi_weights_put(struct phi_weights *params, const char *name,
                                            struct phi_shape shape, const float *data,
                                            struct ph_error *reterr);

/* The parameter called `name`, or NULL. */
struct phi_param *phi_weights_find(const struct phi_weights *params, const char *name);

/* As phi_weights_find, but a missing name or another shape is an error that names the nearest name
 * or both shapes. */
PH_NODISCARD enum ph_status phi_weights_get(const struct phi_weights *params, const char *name,
                                            struct phi_shape shape, struct phi_param **ret_param,
                                            struct ph_error *reterr);

/* Number of parameters, and the i-th (i < count). */
size_t phi_weights_count(const struct phi_weights *params);
struct phi_param *phi_weights_at(const struct phi_weights *params, size_t i);

/* Number of elements of all parameters whose name begins with `prefix` ("" for all). */
size_t phi_weights_elements(const struct phi_weights *params, const char *prefix);

/* Marks all parameters whose name begins with `prefix` as (not) to be trained. */
void phi_weights_freeze(struct phi_weights *params, const char *prefix, bool frozen);

/* Makes room for the gradient of `param`, zeroed, if there is none. Errors: _NOMEM. */
PH_NODISCARD enum ph_status phi_param_want_grad(struct phi_param *param);

/* Zeroes the gradients of all parameters whose name begins with `prefix`. */
void phi_weights_zero_grads(struct phi_weights *params, const char *prefix);

/* Copies the values of all parameters of `from` that `to` has too, by name. Errors: _SHAPE. */
PH_NODISCARD enum ph_status phi_weights_copy(struct phi_weights *to, const struct phi_weights *from,
                                             struct ph_error *reterr);

/* Refuses NaN and infinity, naming the parameter. Errors: _FORMAT. */
PH_NODISCARD enum ph_status phi_weights_check_finite(const struct phi_weights *params,
                                                     struct ph_error *reterr);

#endif
