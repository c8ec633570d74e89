/* SPDX-License-Identifier: MIT
 *
 * Initial values of parameters. Each call draws from (seed, stream of the parameter's name), so
 * that a parameter's values do not depend on the order in which others are made. Convolution
 * weights count kernel area in their fans.
 */
#ifndef PHI_NN_INIT_H
#define PHI_NN_INIT_H

#include "nn/graph.h"
#include "nn/weights.h"

enum phi_init {
    PHI_INIT_ZERO,
    PHI_INIT_CONSTANT,       /* value */
    PHI_INIT_NORMAL,         /* N(0, value^2) */
    PHI_INIT_UNIFORM,        /* U(-value, value) */
    PHI_INIT_GLOROT_UNIFORM, /* U(+-sqrt(6 / (fan_in + fan_out))), Glorot and Bengio 2010 */
    PHI_INIT_HE_NORMAL,      /* N(0, 2 / fan_in), He et al. 2015 */
    PHI_INIT_ORTHOGONAL      /* orthonormal rows (or columns) times value, Saxe et al. 2014 */
};

/* The values of a parameter, made from its shape: axis 0 counts as outputs, axis 1 as inputs.
 * Errors: _NOMEM (orthogonal). */
PH_NODISCARD enum ph_status phi_init_param(struct phi_param *param, enum phi_init kind, float value,
                                           uint64_t seed);

/* N(mean, sd^2), as for gains of batch norm. */
void phi_init_normal_about(struct phi_param *param, float mean, float sd, uint64_t seed);

/* Adds every parameter of `graph` that `params` lacks, so that a network can be trained from
 * nothing: weights (two or more axes) by `rule` with `value`, vectors 0, batch norm gains N(1,
 * 0.02^2), its shifts and running means 0, variances 1. Running statistics are frozen, also those
 * that were there. Errors: a builder's, _NOMEM. */
PH_NODISCARD enum ph_status phi_init_graph(struct phi_weights *params,
                                           const struct phi_graph *graph, enum phi_init rule,
                                           float value, uint64_t seed, struct ph_error *reterr);

/* Refuses a parameter whose name begins with `prefix` and that no layer of `graph` uses: a file of
 * another network, which would be drawn from in part. Errors: _FORMAT with its name. */
PH_NODISCARD enum ph_status phi_weights_check_used(const struct phi_weights *params,
                                                   const struct phi_graph *graph,
                                                   const char *prefix, struct ph_error *reterr);

#endif
