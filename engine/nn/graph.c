/* SPDX-License-Identifier: MIT */
#include "nn/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

struct phi_graph {
    struct phi_node *node;
    int *carried; /* [n]: the node that feeds a state, -1 */
    int n;
    int capacity;
    struct ph_error error;
};

enum ph_status phi_graph_create(struct phi_graph **ret_graph)
{
    struct phi_graph *graph = phi_calloc(1, sizeof *graph);

    if (!graph)
        return PH_E_NOMEM;
    *ret_graph = graph;
    return PH_OK;
}

void phi_graph_destroy(struct phi_graph **graph)
{
    if (!graph || !*graph)
        return;
    for (int i = 0; i < (*graph)->n; i++)
        phi_free((*graph)->node[i].constant);
    phi_free((*graph)->node);
    phi_free((*graph)->carried);
    phi_free(*graph);
    *graph = NULL;
}

enum ph_status phi_graph_check(const struct phi_graph *graph, struct ph_error *reterr)
{
    if (graph->error.status == PH_OK)
        return PH_OK;
    if (reterr)
        *reterr = graph->error;
    return (enum ph_status)graph->error.status;
}

int phi_graph_fail(struct phi_graph *graph, enum ph_status status, const char *format, ...)
{
    char text[PH_ERROR_TEXT];
    va_list args;

    if (graph->error.status != PH_OK)
        return -1;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)phi_error(&graph->error, status, "%s", text);
    return -1;
}

int phi_graph_count(const struct phi_graph *graph)
{
    return graph->n;
}

const struct phi_node *phi_graph_node(const struct phi_graph *graph, int node)
{
    return &graph->node[node];
}

struct phi_shape phi_graph_shape(const struct phi_graph *graph, int node)
{
    return node < 0 ? (struct phi_shape){0} : graph->node[node].shape;
}

int phi_graph_find(const struct phi_graph *graph, const char *name)
{
    for (int i = 0; i < graph->n; i++) {
        if (strcmp(graph->node[i].name, name) == 0)
            return i;
    }
    return -1;
}

int phi_graph_name(struct phi_graph *graph, int node, const char *name)
{
    if (node < 0)
        return -1;
    if (name[0] == '\0' || phi_graph_find(graph, name) >= 0)
        return phi_graph_fail(graph, PH_E_INVAL, "two nodes are called '%s'", name);
    if (!phi_str_copy(graph->node[node].name, PHI_NODE_NAME, name))
        return phi_graph_fail(graph, PH_E_INVAL, "node name '%.40s...' is too long", name);
    return node;
}

static bool make_room(struct phi_graph *graph)
{
    int capacity = graph->capacity ? 2 * graph->capacity : 64;
    struct phi_node *node;
    int *carried;

    if (graph->n < graph->capacity)
        return true;
    node = phi_calloc((size_t)capacity, sizeof *node);
    carried = phi_calloc((size_t)capacity, sizeof *carried);
    if (!node || !carried) {
        phi_free(node);
        phi_free(carried);
        return false;
    }
    if (graph->n > 0) {
        memcpy(node, graph->node, (size_t)graph->n * sizeof *node);
        memcpy(carried, graph->carried, (size_t)graph->n * sizeof *carried);
    }
    phi_free(graph->node);
    phi_free(graph->carried);
    graph->node = node;
    graph->carried = carried;
    graph->capacity = capacity;
    return true;
}

int phi_graph_append(struct phi_graph *graph, const struct phi_node *node)
{
    char text[PHI_SHAPE_TEXT];

    if (graph->error.status != PH_OK)
        return -1;
    if (phi_shape_count(&node->shape) == 0)
        return phi_graph_fail(graph, PH_E_SHAPE, "a layer would have the impossible shape %s",
                              phi_shape_text(&node->shape, text));
    if (!make_room(graph))
        return phi_graph_fail(graph, PH_E_NOMEM, "out of memory for a network of %d layers",
                              graph->n);
    graph->node[graph->n] = *node;
    graph->carried[graph->n] = -1;
    return graph->n++;
}

void phi_graph_mark(struct phi_graph *graph)
{
    if (graph->n > 0)
        graph->node[graph->n - 1].mark = true;
}

int phi_graph_keep(struct phi_graph *graph, int node)
{
    if (node >= 0)
        graph->node[node].keep = true;
    return node;
}

static int append_named(struct phi_graph *graph, enum phi_op op, const char *name,
                        struct phi_shape shape)
{
    struct phi_node node = {.op = op, .shape = shape};

    return phi_graph_name(graph, phi_graph_append(graph, &node), name);
}

int phi_graph_input(struct phi_graph *graph, const char *name, struct phi_shape shape)
{
    return append_named(graph, PHI_OP_INPUT, name, shape);
}

int phi_graph_state(struct phi_graph *graph, const char *name, struct phi_shape shape)
{
    int node = append_named(graph, PHI_OP_INPUT, name, shape);

    if (node >= 0)
        graph->node[node].state = true;
    return node;
}

void phi_graph_carry(struct phi_graph *graph, int state, int node)
{
    if (state < 0 || node < 0)
        return;
    if (!graph->node[state].state ||
        !phi_shape_equal(&graph->node[state].shape, &graph->node[node].shape))
        (void)phi_graph_fail(graph, PH_E_SHAPE, "state '%s' cannot take a value of another shape",
                             graph->node[state].name);
    else
        graph->carried[state] = node;
}

int phi_graph_carried(const struct phi_graph *graph, int state)
{
    return graph->carried[state];
}

int phi_graph_param(struct phi_graph *graph, const char *name, struct phi_shape shape)
{
    int known = phi_graph_find(graph, name);
    char have[PHI_SHAPE_TEXT], want[PHI_SHAPE_TEXT];

    if (known < 0)
        return append_named(graph, PHI_OP_PARAM, name, shape);
    if (graph->node[known].op != PHI_OP_PARAM ||
        !phi_shape_equal(&graph->node[known].shape, &shape))
        return phi_graph_fail(graph, PH_E_SHAPE, "'%s' is used as %s and as %s", name,
                              phi_shape_text(&graph->node[known].shape, have),
                              phi_shape_text(&shape, want));
    return known;
}

int phi_graph_paramf(struct phi_graph *graph, struct phi_shape shape, const char *format, ...)
{
    char name[PHI_NODE_NAME];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return phi_graph_param(graph, name, shape);
}

int phi_graph_constant(struct phi_graph *graph, struct phi_shape shape, const float *data)
{
    struct phi_node node = {.op = PHI_OP_CONSTANT, .shape = shape};
    size_t n = phi_shape_count(&shape);
    int at;

    node.constant = n ? phi_calloc(n, sizeof *data) : NULL;
    if (!node.constant)
        return phi_graph_fail(graph, PH_E_NOMEM, "out of memory for a constant");
    if (data)
        memcpy(node.constant, data, n * sizeof *data);
    at = phi_graph_append(graph, &node);
    if (at < 0)
        phi_free(node.constant);
    return at;
}
