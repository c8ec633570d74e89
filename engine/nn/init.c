/* SPDX-License-Identifier: MIT */
#include "nn/init.h"

#include <math.h>
#include <string.h>

#include "base/crc.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"

static struct phi_rng rng_of(const struct phi_param *param, uint64_t seed)
{
    struct phi_rng rng;

    phi_rng_init(&rng, seed, phi_crc32c(0, param->name, strlen(param->name)));
    return rng;
}

/* fan[0] inputs and fan[1] outputs of one unit. */
static void fans_of(const struct phi_shape *shape, double *ret_fan)
{
    double area = 1;

    for (int i = 2; i < shape->n_dims; i++)
        area *= (double)shape->dim[i];
    ret_fan[0] = area * (double)(shape->n_dims > 1 ? shape->dim[1] : 1);
    ret_fan[1] = area * (double)shape->dim[0];
}

static void fill_uniform(struct phi_param *param, double limit, uint64_t seed)
{
    struct phi_rng rng = rng_of(param, seed);
    size_t n = phi_shape_count(&param->value.shape);

    for (size_t i = 0; i < n; i++)
        param->value.data[i] = (float)(limit * (2 * phi_rng_uniform(&rng) - 1));
}

void phi_init_normal_about(struct phi_param *param, float mean, float sd, uint64_t seed)
{
    struct phi_rng rng = rng_of(param, seed);
    size_t n = phi_shape_count(&param->value.shape);

    for (size_t i = 0; i < n; i++)
        param->value.data[i] = (float)((double)mean + (double)sd * phi_rng_normal(&rng));
}

/* Row i of the [rows][columns] matrix `q` made orthogonal to the rows before it, and of length 1;
 * twice, since once leaves rounding errors. */
static void orthogonalise_row(double *q, size_t i, size_t columns)
{
    double *row = q + i * columns, norm = 0;

    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t j = 0; j < i; j++) {
            double dot = 0;

            for (size_t k = 0; k < columns; k++)
                dot += row[k] * q[j * columns + k];
            for (size_t k = 0; k < columns; k++)
                row[k] -= dot * q[j * columns + k];
        }
    }
    for (size_t k = 0; k < columns; k++)
        norm += row[k] * row[k];
    norm = sqrt(norm);
    for (size_t k = 0; k < columns; k++)
        row[k] /= norm;
}

static enum ph_status fill_orthogonal(struct phi_param *param, double gain, uint64_t seed)
{
    size_t m = param->value.shape.dim[0], n = phi_shape_count(&param->value.shape) / m;
    size_t rows = m < n ? m : n, columns = m < n ? n : m;
    struct phi_rng rng = rng_of(param, seed);
    double *q = phi_calloc2(rows, columns, sizeof *q);

    if (!q)
        return PH_E_NOMEM;
    for (size_t i = 0; i < rows * columns; i++)
        q[i] = phi_rng_normal(&rng);
    for (size_t i = 0; i < rows; i++)
        orthogonalise_row(q, i, columns);
    for (size_t i = 0; i < m; i++) {
        for (size_t k = 0; k < n; k++)
            param->value.data[i * n + k] =
                (float)(gain * (m < n ? q[i * columns + k] : q[k * columns + i]));
    }
    phi_free(q);
    return PH_OK;
}

enum ph_status phi_init_param(struct phi_param *param, enum phi_init kind, float value,
                              uint64_t seed)
{
    size_t n = phi_shape_count(&param->value.shape);
    double fan[2];

    fans_of(&param->value.shape, fan);
    switch (kind) {
    case PHI_INIT_ZERO:
    case PHI_INIT_CONSTANT:
        for (size_t i = 0; i < n; i++)
            param->value.data[i] = kind == PHI_INIT_ZERO ? 0 : value;
        break;
    case PHI_INIT_NORMAL:
        phi_init_normal_about(param, 0, value, seed);
        break;
    case PHI_INIT_UNIFORM:
        fill_uniform(param, (double)value, seed);
        break;
    case PHI_INIT_GLOROT_UNIFORM:
        fill_uniform(param, sqrt(6 / (fan[0] + fan[1])), seed);
        break;
    case PHI_INIT_HE_NORMAL:
        phi_init_normal_about(param, 0, (float)sqrt(2 / fan[0]), seed);
        break;
    case PHI_INIT_ORTHOGONAL:
        return fill_orthogonal(param, (double)value, seed);
    }
    return PH_OK;
}

static enum ph_status add_missing(struct phi_weights *params, const struct phi_node *node,
                                  struct phi_param **ret_param, struct ph_error *reterr)
{
    *ret_param = NULL;
    if (phi_weights_find(params, node->name))
        return PH_OK;
    return phi_weights_add(params, node->name, node->shape, ret_param, reterr);
}

/* Gain, shift, mean and variance of one batch norm. */
static enum ph_status init_norm(struct phi_weights *params, const struct phi_graph *graph,
                                const struct phi_node *norm, uint64_t seed, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    for (int k = 1; k < 5 && status == PH_OK; k++) {
        const struct phi_node *node = phi_graph_node(graph, norm->in[k]);
        struct phi_param *param;

        status = add_missing(params, node, &param, reterr);
        if (param && k == 1)
            phi_init_normal_about(param, 1, 0.02f, seed);
        if (param && k == 4)
            status = phi_init_param(param, PHI_INIT_CONSTANT, 1, seed);
        if (k >= 3)
            phi_weights_freeze(params, node->name, true);
    }
    return status;
}

enum ph_status phi_init_graph(struct phi_weights *params, const struct phi_graph *graph,
                              enum phi_init rule, float value, uint64_t seed,
                              struct ph_error *reterr)
{
    enum ph_status status = phi_graph_check(graph, reterr);

    for (int i = 0; i < phi_graph_count(graph) && status == PH_OK; i++) {
        const struct phi_node *node = phi_graph_node(graph, i);

        if (node->op == PHI_OP_BATCH_NORM)
            status = init_norm(params, graph, node, seed, reterr);
    }
    for (int i = 0; i < phi_graph_count(graph) && status == PH_OK; i++) {
        const struct phi_node *node = phi_graph_node(graph, i);
        struct phi_param *param;

        if (node->op != PHI_OP_PARAM)
            continue;
        status = add_missing(params, node, &param, reterr);
        if (status == PH_OK && param && node->shape.n_dims > 1)
            status = phi_init_param(param, rule, value, seed);
    }
    return status == PH_E_NOMEM ? phi_error_nomem(reterr, "initial values", 1) : status;
}

enum ph_status phi_weights_check_used(const struct phi_weights *params,
                                      const struct phi_graph *graph, const char *prefix,
                                      struct ph_error *reterr)
{
    for (size_t i = 0; i < phi_weights_count(params); i++) {
        const char *name = phi_weights_at(params, i)->name;

        if (phi_str_starts(name, prefix) && phi_graph_find(graph, name) < 0)
            return phi_error(reterr, PH_E_FORMAT,
                             "tensor '%s' belongs to no layer of this network: the file is of "
                             "another one, or its metadata state other sizes",
                             name);
    }
    return PH_OK;
}
