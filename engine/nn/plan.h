/* SPDX-License-Identifier: MIT
 *
 * Inference: a graph with fixed shapes becomes a list of steps with all memory planned. Batch norm
 * is folded into weights, activations into the layer before, weights are packed once, values of
 * batch 1 stay in the layouts that convolutions like, nodes that depend on parameters alone are
 * computed once, and values whose lives do not overlap share memory. A run allocates nothing
 * (inside each primitive call oneDNN makes and frees a small table of its operands) and can be
 * stopped between steps. Same plan, same input, same bits.
 *
 * A plan belongs to one thread at a time, and copies all it needs of the parameters.
 */
#ifndef PHI_NN_PLAN_H
#define PHI_NN_PLAN_H

#include <stdint.h>

#include "nn/graph.h"
#include "nn/weights.h"

enum phi_conv_choice {
    PHI_CONV_AUTO, /* Winograd or direct by a fixed rule on the shape: the same in every process */
    PHI_CONV_DIRECT, /* never Winograd: closest to exact arithmetic */
    PHI_CONV_MEASURE /* whichever is faster when the plan is made: bits may differ between plans */
};

/* Arithmetic of products and convolutions. Values stay float32 between layers. */
enum phi_precision {
    PHI_FLOAT32,
    /* Weights and the operands of a layer rounded to bfloat16, sums in float32: half the bytes of
     * weights. Layers that float32 does faster stay float32: those that Winograd takes, and
     * narrow ones. */
    PHI_BFLOAT16
};

/* True if the processor multiplies bfloat16 itself. */
bool phi_nn_has_bfloat16(void);

struct phi_plan_options {
    enum phi_conv_choice conv;
    enum phi_precision precision;
};

struct phi_plan;

/* What is asked for: the nodes outputs[n_outputs] of a graph. */
struct phi_plan_request {
    const struct phi_graph *graph;
    const struct phi_weights *weights;
    const int *outputs;
    int n_outputs;
};

/* A plan for `request`, whose parts may all go away afterwards; `options` may be NULL. Errors: a
 * builder's, a parameter missing or of another shape, a layer that oneDNN cannot do, bfloat16 on a
 * processor without it (PH_E_INVAL), _NOMEM. */
PH_NODISCARD enum ph_status phi_plan_create(const struct phi_plan_request *request,
                                            const struct phi_plan_options *options,
                                            struct phi_plan **ret_plan, struct ph_error *reterr);

/* Accepts NULL and *plan == NULL, clears *plan. */
void phi_plan_destroy(struct phi_plan **plan);

/* Where the caller writes an input before a run: row-major, of the node's shape. NULL if the node
 * is no input that the plan uses. */
float *phi_plan_input(struct phi_plan *plan, int node);

/* Where an output stands after a run: row-major. NULL if it is none. Valid until the next run. */
const float *phi_plan_output(const struct phi_plan *plan, int node);

/* One whole run. */
PH_NODISCARD enum ph_status phi_plan_run(struct phi_plan *plan);

/* Starts (if none is under way) or continues a run until `deadline_ns` of CLOCK_MONOTONIC has
 * passed between two steps: PH_AGAIN, or PH_OK when the run is complete. At least one step is made.
 * Inputs must not change in between. */
PH_NODISCARD enum ph_status phi_plan_run_until(struct phi_plan *plan, int64_t deadline_ns);

/* Gives up a run that is under way. Carried states keep the values of the last complete run. */
void phi_plan_abandon(struct phi_plan *plan);

/* Starts (or continues) a run up to and with the step that makes `node`, whose value may then be
 * read and overwritten by phi_plan_read and _write before the run is continued. PH_E_INVAL if no
 * step makes it (it was merged into another). */
PH_NODISCARD enum ph_status phi_plan_run_to(struct phi_plan *plan, int node);

/* The same within a time budget: PH_AGAIN if `deadline_ns` has passed before that step was made. */
PH_NODISCARD enum ph_status phi_plan_run_to_until(struct phi_plan *plan, int node,
                                                  int64_t deadline_ns);

/* Copies the present value of a node, or of a state, to or from data[count of shape], row-major. A
 * value is present from the step that makes it to the last that uses it. PH_E_INVAL if there is
 * none. */
PH_NODISCARD enum ph_status phi_plan_read(const struct phi_plan *plan, int node, float *ret_data);
PH_NODISCARD enum ph_status phi_plan_write(struct phi_plan *plan, int node, const float *data);

/* Zeroes all states. */
void phi_plan_reset(struct phi_plan *plan);

/* What was planned, for reports: number of steps, bytes of values and of packed weights; and one
 * line about step i, "conv2d 240x64x80 -> 192x64x80 jit_wino_4x3:avx512_core". */
struct phi_plan_info {
    int n_steps;
    size_t value_bytes, weight_bytes;
};
struct phi_plan_info phi_plan_info(const struct phi_plan *plan);
const char *phi_plan_step_text(const struct phi_plan *plan, int step);

#endif
