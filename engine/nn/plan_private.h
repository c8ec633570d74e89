/* SPDX-License-Identifier: MIT
 *
 * The parts of a plan. plan_build.c turns nodes into steps, plan_prim.c makes oneDNN primitives,
 * plan_kernels.c runs the steps of our own, plan_memory.c places values, plan.c runs.
 */
#ifndef PHI_NN_PLAN_PRIVATE_H
#define PHI_NN_PLAN_PRIVATE_H

#include "nn/layers.h"
#include "nn/op.h"
#include "nn/plan.h"

/* A picture of batch 1 in memory: channels in blocks of `block`, element (c, pixel) at
 * (c / block) n_pixels block + pixel block + c % block. So block 1 is [c][h][w], block n_channels
 * is [h][w][c], and block 16 is oneDNN's nChw16c (n_channels a multiple of 16). Values of other
 * ranks are plain, with block 1. */
struct phi_plane {
    float *data;
    size_t n_channels, n_pixels, block;
};

#define PHI_BLOCK 16

/* Layers with fewer input channels cost more to round to bfloat16 than they save. */
#define PHI_MIN_BFLOAT16_WIDTH 32

struct phi_plan_value {
    struct phi_shape shape;
    size_t block; /* 0 until a step makes it */
    size_t n;     /* elements */
    float *data;
    bool persistent; /* has memory of its own: inputs, states, outputs, constants */
    int first, last; /* steps of its life */
};

struct phi_plan_step {
    enum ph_status (*run)(struct phi_plan *plan, struct phi_plan_step *step);
    const struct phi_node *node; /* copy owned by the plan */
    int in[PHI_NODE_INPUTS];     /* values */
    int n_in;
    int out;
    struct phi_prim prim;
    struct phi_split *split; /* instead of `prim`, NULL for none */
    enum phi_unary act; /* run on the result where the primitive cannot; PHI_N_UNARY for none */
    float act_f[2];
    float *bias;          /* added to the result with `slope` after it; owned, NULL for none */
    float slope;          /* below 0: 1 adds only, 0 is ReLU */
    struct phi_op_run op; /* steps that run a plain operation */
    char text[160];
};

struct phi_plan {
    struct phi_dnnl dnnl;
    enum phi_conv_choice conv;
    enum phi_precision precision;
    struct phi_node *node; /* [n_nodes], copied */
    int n_nodes;
    struct phi_plan_value *value; /* [n_values]: nodes first, then reordered copies */
    int n_values, value_capacity;
    struct phi_plan_step *step;
    int n_steps, step_capacity;
    int n_compute; /* steps before those that carry states over */
    int *state;    /* [n_states]: nodes */
    int n_states;
    int *output; /* [n_outputs]: nodes */
    int *output_value;
    int n_outputs;
    int at;      /* next step of the run under way */
    void *block; /* memory of values that are not persistent */
    size_t n_block_bytes, n_weight_bytes;
};

/* The value as a plane; of other ranks one channel of n pixels. */
struct phi_plane phi_plan_plane(const struct phi_plan *plan, int value);

/* A fixed layer: convolution, transposed convolution or linear, with the batch norm and activation
 * that follow it. */
struct phi_plan_layer {
    const struct phi_node *node;
    struct phi_shape x, y, weight_shape;
    const float *weight, *bias; /* bias may be NULL */
    const float *norm[4];       /* gain, shift, mean, var, or NULL */
    float eps;
    enum phi_unary act; /* PHI_N_UNARY for none */
    float act_f[2];
};

/* True if the convolution runs by Winograd under the plan's rule. */
bool phi_plan_is_winograd(const struct phi_plan *plan, const struct phi_shape *x,
                          const struct phi_node *node, const struct phi_shape *weight);

/* Makes the primitive of a layer in `step`, and tells the layouts it wants: block of input and
 * output. */
PH_NODISCARD enum ph_status phi_plan_layer_prim(struct phi_plan *plan,
                                                const struct phi_plan_layer *layer,
                                                struct phi_plan_step *step, size_t *ret_blocks,
                                                struct ph_error *reterr);

/* A transposed convolution as convolutions of its input (plan_split.c), on [h][w][c]: whether the
 * layer can be done so; made from its weights [in][out][4][4] with batch norm folded in; pointed to
 * its input; and run with the step's bias and slope. */
struct phi_split;
bool phi_split_suits(const struct phi_plan_layer *layer);
PH_NODISCARD enum ph_status phi_split_create(struct phi_plan *plan,
                                             const struct phi_plan_layer *layer,
                                             const float *weight, struct phi_split **ret_split);
void phi_split_destroy(struct phi_split **split);
void phi_split_set(struct phi_split *split, float *x);
enum ph_status phi_split_run(struct phi_plan *plan, struct phi_plan_step *step);

/* Copies n_channels channels from channel `c_from` of one plane to channel `c_to` of another, of as
 * many pixels. */
struct phi_plane_part {
    size_t c_to, c_from, n_channels;
};
void phi_plane_copy(const struct phi_plane *to, const struct phi_plane *from,
                    const struct phi_plane_part *part);

/* Steps of our own (members of struct phi_plan_step). */
enum ph_status phi_step_prim(struct phi_plan *plan, struct phi_plan_step *step);
enum ph_status phi_step_plain(struct phi_plan *plan, struct phi_plan_step *step);
enum ph_status phi_step_copy(struct phi_plan *plan, struct phi_plan_step *step);
enum ph_status phi_step_unary(struct phi_plan *plan, struct phi_plan_step *step);
enum ph_status phi_step_concat(struct phi_plan *plan, struct phi_plan_step *step);
enum ph_status phi_step_cell(struct phi_plan *plan, struct phi_plan_step *step);
enum ph_status phi_step_output(struct phi_plan *plan, struct phi_plan_step *step);
enum ph_status phi_step_pair(struct phi_plan *plan, struct phi_plan_step *step);
enum ph_status phi_step_max_pool(struct phi_plan *plan, struct phi_plan_step *step);
enum ph_status phi_step_double(struct phi_plan *plan, struct phi_plan_step *step);

/* Makes room for the plan's lists and copies the nodes; value i is node i's. */
PH_NODISCARD enum ph_status phi_plan_allocate(struct phi_plan *plan,
                                              const struct phi_plan_request *request,
                                              struct ph_error *reterr);

/* Turns the nodes into steps. */
PH_NODISCARD enum ph_status phi_plan_build(struct phi_plan *plan,
                                           const struct phi_plan_request *request,
                                           struct ph_error *reterr);

/* Places all values in memory and points steps to them. */
PH_NODISCARD enum ph_status phi_plan_place(struct phi_plan *plan, struct ph_error *reterr);

#endif
