/* SPDX-License-Identifier: MIT
 *
 * Reading a golden file into a parameter store, and comparing with it. Files hold float32 tensors
 * only; expected values were computed in float64. Comparison: max |a - r| / max |r| <= tolerance.
 */
#ifndef TESTS_GOLDEN_NN_GOLDEN_H
#define TESTS_GOLDEN_NN_GOLDEN_H

#include "nn/layers.h"
#include "nn/losses.h"
#include "nn/optim.h"
#include "nn/tape.h"
#include "nn/weights.h"
#include "test.h"

/* Adds all tensors of tests/golden/nn/NAME.safetensors to `params`, made if *params is NULL. Fails
 * the test if that is impossible. */
void golden_load(struct phi_weights **params, const char *name);

/* Node of the parameter `name` with the shape it has in the store. */
int golden_param(struct phi_graph *graph, const struct phi_weights *params, const char *name);

/* The stored tensor; fails the test if there is none. */
const struct phi_tensor *golden_tensor(const struct phi_weights *params, const char *name);

/* Fails unless actual[count] agrees with the stored tensor, of which it may be longer. */
void golden_compare(const struct phi_weights *params, const char *name, const float *actual,
                    double tolerance);

/* Runs the graph of parameters forward (in training mode if `train`), seeds `node` with the stored
 * PREFIXgrad_out (or ones if there is none), carries back, and compares the node with PREFIXy and
 * every PREFIXgrad.NAME with the gradient of PREFIXNAME or NAME. */
struct golden_check {
    const char *prefix;
    double tolerance;
    bool train;
};
void golden_check_node(struct phi_graph *graph, struct phi_weights *params, int node,
                       const struct golden_check *check);

/* Compares every stored PREFIXgrad.NAME with the gradient of PREFIXNAME or NAME; returns how many
 * there were. */
int golden_check_grads(const struct phi_weights *params, const char *prefix, double tolerance);

#endif
