/* SPDX-License-Identifier: MIT
 * Where a tape keeps values and gradients. Plainly, each node has memory of its own. A lean tape
 * writes an element-wise function over the operand that nobody else reads. A tape that recomputes
 * keeps of each segment (of recurrence: each step) only what later ones read; the rest lies in one
 * pool that the segments share, and is computed again when the backward pass comes to it. */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "nn/layers.h"
#include "nn/tape_private.h"

#define LINE 64 /* bytes of a cache line */

struct layout {
    struct phi_tape *tape;
    const struct phi_tape_options *options;
    int *segment;    /* [n] */
    int *last_user;  /* [n]: segment of it, or -1 */
    int *n_users;    /* [n] */
    bool *backward;  /* [n]: a gradient flows */
    size_t *offset;  /* [n]: in the pool, of the value; the gradient follows */
    size_t n_pooled; /* bytes of the pool */
};

static size_t room(const struct phi_node *node)
{
    return (phi_shape_count(&node->shape) * sizeof(float) + LINE - 1) / LINE * LINE;
}

/* True if a gradient flows through the node to something that is differentiated. */
static bool carries_gradient(const struct layout *l, int i)
{
    const struct phi_node *node = phi_graph_node(l->tape->graph, i);

    if (node->op == PHI_OP_PARAM)
        return l->tape->grad[i] != NULL;
    if (node->op == PHI_OP_INPUT)
        return l->options && l->options->input_grads;
    if (!phi_op_kind(node->op)->backward)
        return false;
    for (int k = 0; k < node->n_in; k++) {
        bool statistic = node->op == PHI_OP_BATCH_NORM && k >= 3;

        if (l->backward[node->in[k]] && !statistic)
            return true;
    }
    return false;
}

static void read_graph(struct layout *l)
{
    const struct phi_tape *tape = l->tape;

    for (int s = 0; s < tape->n_segments; s++) {
        for (int i = tape->first[s]; i < tape->first[s + 1]; i++)
            l->segment[i] = s;
    }
    for (int i = 0; i < tape->n; i++) {
        const struct phi_node *node = phi_graph_node(tape->graph, i);

        l->last_user[i] = -1;
        l->backward[i] = carries_gradient(l, i);
        for (int k = 0; k < node->n_in; k++) {
            l->n_users[node->in[k]]++;
            l->last_user[node->in[k]] = l->segment[i];
        }
    }
}

static bool is_kept(const struct phi_node *node)
{
    return node->keep || node->name[0] != '\0';
}

/* Read by nobody but its own segment: what has no user or is kept is read by the caller. */
static bool is_internal(const struct layout *l, int i)
{
    const struct phi_node *node = phi_graph_node(l->tape->graph, i);

    return node->op != PHI_OP_INPUT && node->op != PHI_OP_CONSTANT && !is_kept(node) &&
           l->last_user[i] == l->segment[i];
}

/* Functions whose slope can be told from their value, after an operation that does not need to see
 * its own result again. */
static bool runs_in_place(const struct layout *l, int i)
{
    const struct phi_node *node = phi_graph_node(l->tape->graph, i), *from;
    enum phi_unary fn = (enum phi_unary)node->a[0];

    if (node->op != PHI_OP_UNARY || l->n_users[node->in[0]] != 1 ||
        !phi_op_unary_in_place((int)fn, node->f))
        return false;
    from = phi_graph_node(l->tape->graph, node->in[0]);
    return from->name[0] == '\0' &&
           (from->op == PHI_OP_CONV || from->op == PHI_OP_DECONV || from->op == PHI_OP_LINEAR ||
            from->op == PHI_OP_BATCH_NORM || from->op == PHI_OP_BINARY);
}

static void choose_places(struct layout *l)
{
    struct phi_tape *tape = l->tape;
    bool lean = l->options && l->options->lean;

    for (int i = tape->n - 1; i >= 0; i--) {
        const struct phi_node *node = phi_graph_node(tape->graph, i);
        bool internal = tape->n_segments > 1 && is_internal(l, i);

        if (node->op == PHI_OP_PARAM) {
            tape->place[i] = PHI_TAPE_STORE;
        } else if (lean && runs_in_place(l, i)) {
            /* The operand is in the segment of its only user, and must stand where that would. */
            tape->place[i] = PHI_TAPE_SAME;
            if (!internal || l->segment[node->in[0]] != l->segment[i])
                l->last_user[node->in[0]] = -1;
        } else {
            tape->place[i] = internal ? PHI_TAPE_POOLED : PHI_TAPE_OWN;
        }
    }
}

/* Gives pooled nodes their offsets; each segment begins at 0. */
static void lay_out_pool(struct layout *l)
{
    const struct phi_tape *tape = l->tape;

    for (int s = 0; s < tape->n_segments; s++) {
        size_t at = 0;

        for (int i = tape->first[s]; i < tape->first[s + 1]; i++) {
            if (tape->place[i] != PHI_TAPE_POOLED)
                continue;
            l->offset[i] = at;
            at += room(phi_graph_node(tape->graph, i)) * (l->backward[i] ? 2 : 1);
        }
        l->n_pooled = at > l->n_pooled ? at : l->n_pooled;
    }
}

static float *in_pool(const struct phi_tape *tape, size_t offset)
{
    union {
        char *byte;
        void *any;
    } place = {.byte = tape->pool + offset};

    return place.any;
}

static enum ph_status take_memory(struct layout *l, int i)
{
    struct phi_tape *tape = l->tape;
    const struct phi_node *node = phi_graph_node(tape->graph, i);
    size_t n = phi_shape_count(&node->shape);

    if (tape->place[i] == PHI_TAPE_SAME) {
        tape->value[i] = tape->value[node->in[0]];
        tape->grad[i] = tape->grad[node->in[0]];
    } else if (tape->place[i] == PHI_TAPE_POOLED) {
        tape->value[i] = in_pool(tape, l->offset[i]);
        if (l->backward[i])
            tape->grad[i] = in_pool(tape, l->offset[i] + room(node));
    } else if (tape->place[i] == PHI_TAPE_OWN) {
        tape->value[i] = phi_calloc(n, sizeof(float));
        if (l->backward[i])
            tape->grad[i] = phi_calloc(n, sizeof(float));
        if (!tape->value[i] || (l->backward[i] && !tape->grad[i]))
            return PH_E_NOMEM;
        tape->n_bytes += n * sizeof(float) * (l->backward[i] ? 2 : 1);
        if (node->op == PHI_OP_CONSTANT)
            memcpy(tape->value[i], node->constant, n * sizeof(float));
    }
    return PH_OK;
}

static enum ph_status place_all(struct layout *l)
{
    struct phi_tape *tape = l->tape;
    enum ph_status status = PH_OK;

    read_graph(l);
    choose_places(l);
    lay_out_pool(l);
    if (l->n_pooled > 0) {
        tape->pool = phi_calloc(l->n_pooled, 1);
        tape->n_bytes += l->n_pooled;
        status = tape->pool ? PH_OK : PH_E_NOMEM;
    }
    for (int i = 0; i < tape->n && status == PH_OK; i++)
        status = take_memory(l, i);
    return status;
}

enum ph_status phi_tape_place_nodes(struct phi_tape *tape, const struct phi_tape_options *options,
                                    struct ph_error *reterr)
{
    size_t n = (size_t)tape->n;
    struct layout l = {.tape = tape, .options = options};
    enum ph_status status = PH_E_NOMEM;

    l.segment = phi_calloc(n, sizeof *l.segment);
    l.last_user = phi_calloc(n, sizeof *l.last_user);
    l.n_users = phi_calloc(n, sizeof *l.n_users);
    l.backward = phi_calloc(n, sizeof *l.backward);
    l.offset = phi_calloc(n, sizeof *l.offset);
    if (l.segment && l.last_user && l.n_users && l.backward && l.offset)
        status = place_all(&l);
    phi_free(l.segment);
    phi_free(l.last_user);
    phi_free(l.n_users);
    phi_free(l.backward);
    phi_free(l.offset);
    if (status != PH_OK)
        return phi_error_nomem(reterr, "the values of a network", tape->n_bytes);
    return PH_OK;
}
