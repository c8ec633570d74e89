/* SPDX-License-Identifier: MIT
 * What a test of a small network needs: the stored case, a graph with the stored parameters, a
 * tape. Included by one source file a program. */
#ifndef GOLDEN_NN_FIXTURE_H
#define GOLDEN_NN_FIXTURE_H

#include "golden.h"

static struct phi_weights *params;
static struct phi_graph *graph;
static struct phi_tape *tape;

static inline void begin(const char *file)
{
    golden_load(&params, file);
    assert_int_equal(phi_graph_create(&graph), PH_OK);
}

/* The teardown of a test. */
static inline int end(void **state)
{
    (void)state;
    phi_tape_destroy(&tape);
    phi_graph_destroy(&graph);
    phi_weights_destroy(&params);
    return 0;
}

/* The node of a stored parameter. */
static inline int p(const char *name)
{
    return golden_param(graph, params, name);
}

#endif
