/* SPDX-License-Identifier: MIT
 *
 * What an operation is to an executor: a table entry that computes one node forward and adds its
 * gradients backward, on row-major float32 arrays. Internal to nn.
 */
#ifndef PHI_NN_OP_H
#define PHI_NN_OP_H

#include "base/rng.h"
#include "nn/graph.h"
#include "nn/prim.h"

/* One node at run time. Arrays have the shapes of the graph's nodes. */
struct phi_op_run {
    const struct phi_node *node;
    struct phi_shape in_shape[PHI_NODE_INPUTS];
    float *in[PHI_NODE_INPUTS];
    float *out;
    float *grad_out;                 /* NULL without a backward pass */
    float *grad_in[PHI_NODE_INPUTS]; /* added to; NULL where not wanted */
    bool fresh;                      /* grad_in[0] holds zeros so far: it may be written instead */
    bool train;
    bool again;          /* a forward run whose effects on the store have been had already */
    struct phi_rng *rng; /* dropout */
    struct phi_dnnl *dnnl;
    void *state; /* of the operation */
};

struct phi_op_kind {
    const char *name;
    /* Makes run->state; may be NULL. `backward`: gradients will be asked for. */
    enum ph_status (*prepare)(struct phi_op_run *run, bool backward, struct ph_error *reterr);
    enum ph_status (*forward)(struct phi_op_run *run);
    /* NULL for operations without a gradient. */
    enum ph_status (*backward)(struct phi_op_run *run);
    void (*release)(void *state);
    /* The backward pass writes grad_in[0] instead of adding to it if run->fresh: it need not be
     * zeroed before. */
    bool writes_first;
};

/* The table entry of an operation. */
const struct phi_op_kind *phi_op_kind(enum phi_op op);

extern const struct phi_op_kind phi_op_conv, phi_op_deconv, phi_op_linear, phi_op_matmul;
extern const struct phi_op_kind phi_op_batch_norm, phi_op_softmax, phi_op_dropout;
extern const struct phi_op_kind phi_op_pool, phi_op_resize, phi_op_tv;
extern const struct phi_op_kind phi_op_unary, phi_op_binary, phi_op_reduce;
extern const struct phi_op_kind phi_op_concat, phi_op_slice, phi_op_reshape, phi_op_transpose;
extern const struct phi_op_kind phi_op_pad, phi_op_embed, phi_op_one_hot;
extern const struct phi_op_kind phi_op_lstm_cell, phi_op_lstm_output, phi_op_error_pair;

/* True if the function's slope follows from its value: run->out may be run->in[0], and the gradient
 * likewise. */
bool phi_op_unary_in_place(int fn, const float *numbers);

/* Loops over many independent elements run on the threads of oneDNN's pool; each element is
 * computed by one thread in one order, so the bits do not depend on their number. */
#define PHI_PIECE ((size_t)4096) /* elements that a thread takes at a time */

static inline size_t phi_n_pieces(size_t n)
{
    return (n + PHI_PIECE - 1) / PHI_PIECE;
}

static inline size_t phi_piece_size(size_t n, size_t i)
{
    return n - i * PHI_PIECE < PHI_PIECE ? n - i * PHI_PIECE : PHI_PIECE;
}

#ifdef _OPENMP
#    define PHI_PRAGMA(text) _Pragma(#    text)
#    define PHI_PARALLEL(work) PHI_PRAGMA(omp parallel for schedule(static) if ((work) > 32768))
#else
#    define PHI_PARALLEL(work)
#endif

#endif
