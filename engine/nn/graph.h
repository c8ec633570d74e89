/* SPDX-License-Identifier: MIT
 *
 * One description of a network for both executors: a list of nodes in the order of evaluation, each
 * with fixed shape. nn/tape.h differentiates it, nn/plan.h runs it without allocation. A node is a
 * number; a builder that fails returns -1, remembers the first error in the graph and lets all that
 * follows pass -1 along, so that a model is written without a check on every line and asks once,
 * with phi_graph_check. Layers are declared in nn/layers.h. One thread at a time.
 */
#ifndef PHI_NN_GRAPH_H
#define PHI_NN_GRAPH_H

#include "nn/tensor.h"

#define PHI_NODE_INPUTS 16
#define PHI_NODE_NAME   96

enum phi_op {
    PHI_OP_INPUT,
    PHI_OP_PARAM,
    PHI_OP_CONSTANT,
    PHI_OP_CONV,        /* x, weight, [bias]; a = stride, pad */
    PHI_OP_DECONV,      /* x, weight, [bias]; a = stride, pad, output padding */
    PHI_OP_LINEAR,      /* x, weight, [bias] */
    PHI_OP_BATCH_NORM,  /* x, gain, shift, mean, var; f = eps, momentum */
    PHI_OP_POOL,        /* x; a = 1 for max and 0 for average, kernel, stride */
    PHI_OP_RESIZE,      /* x; a = 1 for bilinear, 0 for nearest */
    PHI_OP_UNARY,       /* x; a = enum phi_unary; f = its numbers */
    PHI_OP_BINARY,      /* x, y; a = enum phi_binary */
    PHI_OP_MATMUL,      /* x [b][m][k], y [b][k][n]; a = x transposed, y transposed */
    PHI_OP_REDUCE,      /* x; a = bit mask of axes, 1 for mean */
    PHI_OP_SOFTMAX,     /* x; a = 1 for its logarithm */
    PHI_OP_CONCAT,      /* any number of parts; a = axis */
    PHI_OP_SLICE,       /* x; a = axis, begin */
    PHI_OP_RESHAPE,     /* x */
    PHI_OP_TRANSPOSE,   /* x; a = source axis of each axis */
    PHI_OP_PAD,         /* x; a = axis, before */
    PHI_OP_DROPOUT,     /* x; f = share dropped */
    PHI_OP_EMBED,       /* indices, table */
    PHI_OP_ONE_HOT,     /* indices */
    PHI_OP_TV,          /* picture; f = beta, eps; a = 1 for the clamped gradient */
    PHI_OP_LSTM_CELL,   /* gates, c; a = 1 for hard sigmoid */
    PHI_OP_LSTM_OUTPUT, /* gates, new c; a = 1 for hard sigmoid */
    PHI_OP_ERROR_PAIR,  /* prediction, target */
    PHI_N_OPS
};

struct phi_node {
    enum phi_op op;
    int n_in;
    int in[PHI_NODE_INPUTS];
    struct phi_shape shape;
    int a[PHI_MAX_DIMS];
    float f[2];
    bool keep;                /* phi_graph_keep */
    bool mark;                /* phi_graph_mark was called after it */
    bool state;               /* an input that phi_graph_carry feeds from the run before */
    char name[PHI_NODE_NAME]; /* inputs, parameters and named outputs */
    float *constant;          /* PHI_OP_CONSTANT: owned values */
};

struct phi_graph;

/* An empty graph. Owned by the caller. */
PH_NODISCARD enum ph_status phi_graph_create(struct phi_graph **ret_graph);

/* Accepts NULL and *graph == NULL, clears *graph. */
void phi_graph_destroy(struct phi_graph **graph);

/* PH_OK, or the first error that a builder met. */
PH_NODISCARD enum ph_status phi_graph_check(const struct phi_graph *graph, struct ph_error *reterr);

/* Remembers an error (the first one stays) and returns -1. For builders, here and in models. */
int phi_graph_fail(struct phi_graph *graph, enum ph_status status, const char *format, ...)
    PH_PRINTF(3, 4);

/* How many nodes there are, and node number `node`. */
int phi_graph_count(const struct phi_graph *graph);
const struct phi_node *phi_graph_node(const struct phi_graph *graph, int node);

/* The shape of a node; no shape for -1. */
struct phi_shape phi_graph_shape(const struct phi_graph *graph, int node);

/* The node with that name, or -1. */
int phi_graph_find(const struct phi_graph *graph, const char *name);

/* Gives `node` a name by which executors and callers find it; returns `node`. */
int phi_graph_name(struct phi_graph *graph, int node, const char *name);

/* A value that the caller sets before each run. */
int phi_graph_input(struct phi_graph *graph, const char *name, struct phi_shape shape);

/* A value kept from run to run: zero at first, later what phi_graph_carry says. */
int phi_graph_state(struct phi_graph *graph, const char *name, struct phi_shape shape);

/* After a run, `state` takes the value of `node` (same shape) for the next. Planned networks only;
 * on a tape, unroll instead. */
void phi_graph_carry(struct phi_graph *graph, int state, int node);

/* The node that feeds `state` next, or -1. */
int phi_graph_carried(const struct phi_graph *graph, int state);

/* A parameter of the store the graph will be bound to. The same name twice is the same node. */
int phi_graph_param(struct phi_graph *graph, const char *name, struct phi_shape shape);

/* As phi_graph_param, with a name formatted as by printf. */
int phi_graph_paramf(struct phi_graph *graph, struct phi_shape shape, const char *format, ...)
    PH_PRINTF(3, 4);

/* Fixed values, copied from data[count of shape]; zeros for NULL. */
int phi_graph_constant(struct phi_graph *graph, struct phi_shape shape, const float *data);

/* Marks a place after the nodes so far, where a tape that recomputes may cut: the end of a step of
 * recurrence, or of a block of layers. */
void phi_graph_mark(struct phi_graph *graph);

/* Says that the caller will read `node` of a tape that is lean or recomputes; returns it. */
int phi_graph_keep(struct phi_graph *graph, int node);

/* Appends a node made by a layer builder (a checked shape, inputs that exist); returns it. */
int phi_graph_append(struct phi_graph *graph, const struct phi_node *node);

#endif
