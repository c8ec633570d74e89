/* SPDX-License-Identifier: MIT
 *
 * The parts of a tape: tape.c runs it, tape_memory.c decides where values and gradients stand.
 */
#ifndef PHI_NN_TAPE_PRIVATE_H
#define PHI_NN_TAPE_PRIVATE_H

#include "nn/op.h"
#include "nn/tape.h"

/* Where the value and the gradient of a node stand. */
enum phi_tape_place {
    PHI_TAPE_OWN,    /* in memory of their own */
    PHI_TAPE_STORE,  /* a parameter: in the store */
    PHI_TAPE_POOLED, /* in the pool, over which every segment goes anew */
    PHI_TAPE_SAME    /* where those of the operand stand: written over it */
};

struct phi_tape {
    const struct phi_graph *graph;
    struct phi_dnnl dnnl;
    struct phi_rng rng;
    int n;
    struct phi_op_run *run;     /* [n] */
    float **value;              /* [n] */
    float **grad;               /* [n]; NULL where no gradient flows */
    enum phi_tape_place *place; /* [n] */
    bool *seeded;               /* [n]: the gradient of this pass is not zero */
    int n_segments;
    int *first;           /* [n_segments + 1]: nodes where segments begin, and n */
    struct phi_rng *rngs; /* [n_segments]: state of the generator at their beginning */
    int present;          /* the segment whose values the pool holds */
    char *pool;
    size_t n_bytes;
};

/* Places the values of all nodes but parameters, whose value and gradient are there already. */
PH_NODISCARD enum ph_status phi_tape_place_nodes(struct phi_tape *tape,
                                                 const struct phi_tape_options *options,
                                                 struct ph_error *reterr);

#endif
