/* SPDX-License-Identifier: MIT
 * DRAW's windows: a grid of Gaussian filters, read through and written through. */
#include "base/mem.h"
#include "models/draw.h"
#include "nn/layers.h"

#define NO_MASS 1e-4f /* keeps a filter outside the picture near 0 */

/* from, from + 1, ... as a constant of the given shape. */
static int count_up(struct phi_graph *graph, struct phi_shape shape, float from)
{
    size_t n = phi_shape_count(&shape);
    float *data = phi_calloc(n, sizeof *data);
    int node;

    if (!data)
        return phi_graph_fail(graph, PH_E_NOMEM, "out of memory for a window");
    for (size_t i = 0; i < n; i++)
        data[i] = from + (float)i;
    node = phi_graph_constant(graph, shape, data);
    phi_free(data);
    return node;
}

static int affine(struct phi_graph *graph, int x, float factor, float term)
{
    return phi_graph_unary(graph, PHI_AFFINE, x, factor, term);
}

static int exponential(struct phi_graph *graph, int x)
{
    return phi_graph_unary(graph, PHI_EXP, x, 0, 0);
}

/* i - N / 2 - 1/2 of the first grid point. */
static float first_offset(enum phi_draw_grid grid, size_t n)
{
    if (grid == PHI_DRAW_GRID_AUTHORS)
        return -(float)(n / 2) - 0.5f;
    return 0.5f - (float)n / 2;
}

/* A window's numbers, each [batch][1][1]. */
struct numbers {
    int x, y, stride, precision;
};

/* exp(-(a - mu_i)^2 / (2 sigma^2)) along one axis, over its sum: [batch][n][size]. */
static int filters_along(struct phi_graph *graph, const struct phi_draw_config *config,
                         const struct numbers *numbers, bool vertical, size_t n)
{
    size_t size = vertical ? config->h : config->w;
    float half = ((float)size + 1) / 2;
    int centre = affine(graph, vertical ? numbers->y : numbers->x, half, half);
    int offset = count_up(graph, PHI_SHAPE(1, n, 1), first_offset(config->grid, n));
    int mu = phi_graph_add(graph, centre, phi_graph_mul(graph, numbers->stride, offset));
    int pixel =
        count_up(graph, PHI_SHAPE(1, 1, size), config->grid == PHI_DRAW_GRID_CENTRED ? 1.0f : 0.0f);
    int square = phi_graph_unary(graph, PHI_SQUARE, phi_graph_sub(graph, pixel, mu), 0, 0);
    int mass = exponential(
        graph, phi_graph_mul(graph, square, affine(graph, numbers->precision, -0.5f, 0)));

    return phi_graph_div(graph, mass, affine(graph, phi_graph_sum(graph, mass, 4), 1, NO_MASS));
}

struct phi_draw_window phi_draw_filters(struct phi_graph *graph,
                                        const struct phi_draw_config *config, int p, size_t n)
{
    float longest = (float)(config->h > config->w ? config->h : config->w);
    struct phi_shape shape = phi_graph_shape(graph, p);
    struct numbers numbers;
    struct phi_draw_window window;
    int part[5];

    phi_graph_split(graph, p, 1, 5, part);
    for (int i = 0; i < 5; i++)
        part[i] = phi_graph_reshape(graph, part[i], PHI_SHAPE(shape.dim[0], 1, 1));
    numbers = (struct numbers){
        part[0], part[1],
        affine(graph, exponential(graph, part[2]), (longest - 1) / ((float)n - 1), 0),
        exponential(graph, affine(graph, part[3], -1, 0))};
    window.fx = filters_along(graph, config, &numbers, false, n);
    window.fy = filters_along(graph, config, &numbers, true, n);
    window.strength = exponential(graph, part[4]);
    window.weakness = exponential(graph, affine(graph, part[4], -1, 0));
    return window;
}

/* One plane of pictures [batch][channels][h][w]: [batch][h][w]. */
static int plane(struct phi_graph *graph, int picture, size_t channel)
{
    struct phi_shape s = phi_graph_shape(graph, picture);
    int slice = s.dim[1] == 1 ? picture : phi_graph_slice(graph, picture, 1, channel, 1);

    return phi_graph_reshape(graph, slice, PHI_SHAPE(s.dim[0], s.dim[2], s.dim[3]));
}

int phi_draw_read(struct phi_graph *graph, const struct phi_draw_window *window, int picture)
{
    struct phi_shape s = phi_graph_shape(graph, picture), f = phi_graph_shape(graph, window->fx);
    int part[PHI_NODE_INPUTS], n_parts = 0;

    for (size_t c = 0; c < s.dim[1] && n_parts < PHI_NODE_INPUTS; c++) {
        int rows = phi_graph_matmul(graph, window->fy, plane(graph, picture, c), false, false);
        int seen = phi_graph_matmul(graph, rows, window->fx, false, true);

        part[n_parts++] = phi_graph_reshape(graph, phi_graph_mul(graph, seen, window->strength),
                                            PHI_SHAPE(s.dim[0], f.dim[1] * f.dim[1]));
    }
    return n_parts == 1 ? part[0] : phi_graph_concat(graph, 1, part, n_parts);
}

int phi_draw_write(struct phi_graph *graph, const struct phi_draw_window *window, int patch,
                   size_t channels)
{
    struct phi_shape fx = phi_graph_shape(graph, window->fx);
    struct phi_shape fy = phi_graph_shape(graph, window->fy);
    size_t batch = fx.dim[0], n = fx.dim[1];
    int part[PHI_NODE_INPUTS], n_parts = 0;

    patch = phi_graph_reshape(graph, patch, PHI_SHAPE(batch, channels, n, n));
    for (size_t c = 0; c < channels && n_parts < PHI_NODE_INPUTS; c++) {
        int rows = phi_graph_matmul(graph, plane(graph, patch, c), window->fx, false, false);
        int painted = phi_graph_matmul(graph, window->fy, rows, true, false);

        part[n_parts++] = phi_graph_reshape(graph, phi_graph_mul(graph, painted, window->weakness),
                                            PHI_SHAPE(batch, 1, fy.dim[2], fx.dim[2]));
    }
    return n_parts == 1 ? part[0] : phi_graph_concat(graph, 1, part, n_parts);
}
