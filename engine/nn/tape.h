/* SPDX-License-Identifier: MIT
 *
 * Reverse-mode differentiation of a graph, with respect to parameters and inputs. All memory is
 * taken when the tape is made; a run allocates nothing but what oneDNN does inside a call. Values
 * are row-major. A tape keeps the activations of its last forward pass, so a network that is used
 * twice before a backward pass needs two tapes; parameters and their gradients are shared through
 * the store. Recurrence is unrolled in the graph. One thread at a time.
 *
 * Exact resumption: everything a training run carries over is in the parameter store, the
 * optimiser's slots and step (nn/optim.h), and plain struct phi_rng values: that of the tape
 * (phi_tape_rng) and those of the caller's data.
 */
#ifndef PHI_NN_TAPE_H
#define PHI_NN_TAPE_H

#include "base/rng.h"
#include "nn/graph.h"
#include "nn/weights.h"

struct phi_tape;

struct phi_tape_options {
    const char *train_prefix; /* differentiate parameters with this prefix; "" all, NULL none */
    bool input_grads;         /* and inputs */
    uint64_t seed;            /* of dropout */
    /* Saves memory and time: ReLU, sigmoid and tanh are written over operands that have no other
     * user, no name and no phi_graph_keep, which cannot be read afterwards. */
    bool lean;
    /* Gradient checkpointing (Chen et al. 2016): between the marks of the graph (phi_graph_mark)
     * only values that are read elsewhere are kept; others are computed again in the backward pass.
     * Inputs, named and kept nodes, nodes without users and those that another segment reads can be
     * read, and seeded, as ever. Same bits. */
    bool recompute;
};

/* A tape over `graph` and `params`, which both outlive it. A frozen parameter is never
 * differentiated. Errors: a builder's error, a parameter that is missing or of another shape,
 * _NOMEM. `options` may be NULL (no gradients). */
PH_NODISCARD enum ph_status phi_tape_create(const struct phi_graph *graph,
                                            struct phi_weights *params,
                                            const struct phi_tape_options *options,
                                            struct phi_tape **ret_tape, struct ph_error *reterr);

/* Accepts NULL and *tape == NULL, clears *tape. */
void phi_tape_destroy(struct phi_tape **tape);

/* The array of a node, of its shape: written by the caller for inputs, read for others. */
float *phi_tape_value(const struct phi_tape *tape, int node);

/* Copies data[count of shape] to an input. */
void phi_tape_set(struct phi_tape *tape, int node, const float *data);

/* The gradient of a node after a backward pass, of one that can be read (see the options); NULL if
 * none flows to it. */
const float *phi_tape_grad(const struct phi_tape *tape, int node);

/* Computes all nodes. `train` uses batch statistics (and updates the running ones) and dropout. */
PH_NODISCARD enum ph_status phi_tape_forward(struct phi_tape *tape, bool train);

/* Forgets seeds and node gradients. Gradients of parameters stay: phi_weights_zero_grads. */
void phi_tape_clear(struct phi_tape *tape);

/* Adds the gradient of the objective w.r.t. `node`: grad[count of shape], or all ones for NULL. */
void phi_tape_seed(struct phi_tape *tape, int node, const float *grad);

/* Carries the seeds back to inputs and adds to the gradients of parameters in the store. The
 * parameters must not have changed since the forward pass. */
PH_NODISCARD enum ph_status phi_tape_backward(struct phi_tape *tape);

/* Clear, seed `node` with ones, and backward. */
PH_NODISCARD enum ph_status phi_tape_backward_from(struct phi_tape *tape, int node);

/* The generator behind dropout: plain data, saved and restored by assignment. */
struct phi_rng *phi_tape_rng(struct phi_tape *tape);

/* Bytes that the tape holds: values, gradients and the working memory of layers. */
size_t phi_tape_bytes(const struct phi_tape *tape);

#endif
