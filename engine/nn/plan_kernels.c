/* SPDX-License-Identifier: MIT
 * Steps of our own. Operands may stand in different layouts: a step works on chunks of `width`
 * channels by some pixels, which are used in place where they are contiguous and gathered into a
 * small buffer (first-level cache) where they are not. */
#include <string.h>

#include "nn/kernels.h"
#include "nn/layers.h"
#include "nn/plan_private.h"

#define CHUNK 1024 /* floats */

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static float *element(const struct phi_plane *plane, size_t c, size_t pixel)
{
    return plane->data + c / plane->block * plane->n_pixels * plane->block + pixel * plane->block +
           c % plane->block;
}

static void copy_pixels(float *to, const float *from, const size_t *step, size_t n, size_t run)
{
    if (run == PHI_BLOCK) {
        for (size_t i = 0; i < n; i++)
            memcpy(to + i * step[0], from + i * step[1], PHI_BLOCK * sizeof *to);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t l = 0; l < run; l++)
            to[i * step[0] + l] = from[i * step[1] + l];
    }
}

/* As phi_plane_copy, for pixels [begin, begin + n). */
static void copy_range(const struct phi_plane *to, const struct phi_plane *from,
                       const struct phi_plane_part *part, size_t begin, size_t n)
{
    size_t step[2] = {to->block, from->block};

    for (size_t c = 0; c < part->n_channels;) {
        size_t a = part->c_to + c, b = part->c_from + c;
        size_t run = min_size(to->block - a % to->block, from->block - b % from->block);

        run = min_size(run, part->n_channels - c);
        copy_pixels(element(to, a, begin), element(from, b, begin), step, n, run);
        c += run;
    }
}

void phi_plane_copy(const struct phi_plane *to, const struct phi_plane *from,
                    const struct phi_plane_part *part)
{
    size_t n_chunks = (to->n_pixels + 63) / 64;

    if (to->block == from->block && part->n_channels == to->n_channels &&
        part->n_channels == from->n_channels) {
        memcpy(to->data, from->data, to->n_channels * to->n_pixels * sizeof *to->data);
        return;
    }
    PHI_PARALLEL(part->n_channels * to->n_pixels)
    for (size_t i = 0; i < n_chunks; i++)
        copy_range(to, from, part, 64 * i, min_size(64, to->n_pixels - 64 * i));
}

enum ph_status phi_step_copy(struct phi_plan *plan, struct phi_plan_step *step)
{
    struct phi_plane from = phi_plan_plane(plan, step->in[0]);
    struct phi_plane to = phi_plan_plane(plan, step->out);
    struct phi_plane_part all = {0, 0, from.n_channels};

    phi_plane_copy(&to, &from, &all);
    return PH_OK;
}

enum ph_status phi_step_concat(struct phi_plan *plan, struct phi_plan_step *step)
{
    struct phi_plane to = phi_plan_plane(plan, step->out);
    size_t n_chunks = (to.n_pixels + 63) / 64;

    PHI_PARALLEL(to.n_channels * to.n_pixels)
    for (size_t i = 0; i < n_chunks; i++) {
        struct phi_plane_part part = {0};

        for (int k = 0; k < step->n_in; k++) {
            struct phi_plane from = phi_plan_plane(plan, step->in[k]);

            part.n_channels = from.n_channels;
            copy_range(&to, &from, &part, 64 * i, min_size(64, to.n_pixels - 64 * i));
            part.c_to += from.n_channels;
        }
    }
    return PH_OK;
}

/* A chunk: channels [c, c + width) of pixels [begin, begin + n), as [n][width]. */
struct chunk {
    size_t c, width, begin, n;
};

static bool is_in_place(const struct phi_plane *plane, const struct chunk *k, size_t shift)
{
    return plane->block == k->width && (k->c + shift) % plane->block == 0;
}

/* The chunk of `plane` whose channels begin `shift` later; in `buffer` if it must be gathered. */
static const float *gather(const struct phi_plane *plane, const struct chunk *k, size_t shift,
                           float *buffer)
{
    struct phi_plane to = {buffer, k->width, k->n, k->width};
    struct phi_plane from = *plane;
    struct phi_plane_part part = {0, k->c + shift, k->width};
    size_t step[2] = {k->width, plane->block};

    if (is_in_place(plane, k, shift))
        return element(plane, k->c + shift, k->begin);
    for (size_t c = 0; c < part.n_channels;) {
        size_t b = part.c_from + c;
        size_t run = min_size(from.block - b % from.block, part.n_channels - c);

        copy_pixels(to.data + c, element(&from, b, k->begin), step, k->n, run);
        c += run;
    }
    return buffer;
}

static void scatter(const struct phi_plane *plane, const struct chunk *k, size_t shift,
                    const float *buffer)
{
    size_t step[2] = {plane->block, k->width};

    for (size_t c = 0; c < k->width;) {
        size_t a = k->c + shift + c;
        size_t run = min_size(plane->block - a % plane->block, k->width - c);

        copy_pixels(element(plane, a, k->begin), buffer + c, step, k->n, run);
        c += run;
    }
}

/* Channels of a chunk that suits `plane`: a block of 16, or all channels while they fit. */
static size_t chunk_width(const struct phi_plane *plane)
{
    if (plane->block == plane->n_channels && plane->n_channels <= CHUNK)
        return plane->n_channels;
    return plane->n_channels % PHI_BLOCK == 0 ? PHI_BLOCK : 1;
}

static size_t chunk_count(const struct phi_plane *plane, size_t width)
{
    size_t n = CHUNK / width;

    return plane->n_channels / width * ((plane->n_pixels + n - 1) / n);
}

static struct chunk chunk_at(const struct phi_plane *plane, size_t width, size_t i)
{
    size_t n = CHUNK / width, n_ranges = (plane->n_pixels + n - 1) / n;
    size_t begin = i % n_ranges * n;

    return (struct chunk){i / n_ranges * width, width, begin, min_size(n, plane->n_pixels - begin)};
}

static void cell_chunk(const struct phi_plane *p, const struct chunk *k, bool hard)
{
    float buffer[5][CHUNK];
    size_t n_channels = p[2].n_channels;
    const float *in[4] = {gather(&p[0], k, 0, buffer[0]), gather(&p[0], k, n_channels, buffer[1]),
                          gather(&p[0], k, 2 * n_channels, buffer[2]),
                          gather(&p[1], k, 0, buffer[3])};
    bool direct = is_in_place(&p[2], k, 0);

    phi_kernels()->cell(in, direct ? element(&p[2], k->c, k->begin) : buffer[4], k->n * k->width,
                        hard);
    if (!direct)
        scatter(&p[2], k, 0, buffer[4]);
}

enum ph_status phi_step_cell(struct phi_plan *plan, struct phi_plan_step *step)
{
    const struct phi_plane p[3] = {phi_plan_plane(plan, step->in[0]),
                                   phi_plan_plane(plan, step->in[1]),
                                   phi_plan_plane(plan, step->out)};
    size_t width = chunk_width(&p[2]), n = chunk_count(&p[2], width);
    bool hard = step->node->a[0] != 0;

    PHI_PARALLEL(p[2].n_channels * p[2].n_pixels)
    for (size_t i = 0; i < n; i++) {
        struct chunk k = chunk_at(&p[2], width, i);

        cell_chunk(p, &k, hard);
    }
    return PH_OK;
}

static void output_chunk(const struct phi_plane *p, const struct chunk *k, bool hard)
{
    float buffer[3][CHUNK];
    const float *o = gather(&p[0], k, 3 * p[2].n_channels, buffer[0]);
    const float *c = gather(&p[1], k, 0, buffer[1]);
    bool direct = is_in_place(&p[2], k, 0);

    phi_kernels()->output(o, c, direct ? element(&p[2], k->c, k->begin) : buffer[2],
                          k->n * k->width, hard);
    if (!direct)
        scatter(&p[2], k, 0, buffer[2]);
}

enum ph_status phi_step_output(struct phi_plan *plan, struct phi_plan_step *step)
{
    const struct phi_plane p[3] = {phi_plan_plane(plan, step->in[0]),
                                   phi_plan_plane(plan, step->in[1]),
                                   phi_plan_plane(plan, step->out)};
    size_t width = chunk_width(&p[2]), n = chunk_count(&p[2], width);
    bool hard = step->node->a[0] != 0;

    PHI_PARALLEL(p[2].n_channels * p[2].n_pixels)
    for (size_t i = 0; i < n; i++) {
        struct chunk k = chunk_at(&p[2], width, i);

        output_chunk(p, &k, hard);
    }
    return PH_OK;
}

static void pair_chunk(const struct phi_plane *p, const struct chunk *k)
{
    float buffer[4][CHUNK];
    size_t n_channels = p[0].n_channels;
    const float *a = gather(&p[0], k, 0, buffer[0]), *b = gather(&p[1], k, 0, buffer[1]);
    bool direct = is_in_place(&p[2], k, 0) && is_in_place(&p[2], k, n_channels);
    float *out[2] = {buffer[2], buffer[3]};

    if (direct) {
        out[0] = element(&p[2], k->c, k->begin);
        out[1] = element(&p[2], k->c + n_channels, k->begin);
    }
    phi_kernels()->pair(a, b, out, k->n * k->width);
    if (!direct) {
        scatter(&p[2], k, 0, buffer[2]);
        scatter(&p[2], k, n_channels, buffer[3]);
    }
}

enum ph_status phi_step_pair(struct phi_plan *plan, struct phi_plan_step *step)
{
    const struct phi_plane p[3] = {phi_plan_plane(plan, step->in[0]),
                                   phi_plan_plane(plan, step->in[1]),
                                   phi_plan_plane(plan, step->out)};
    size_t width = chunk_width(&p[0]), n = chunk_count(&p[0], width);

    PHI_PARALLEL(p[2].n_channels * p[2].n_pixels)
    for (size_t i = 0; i < n; i++) {
        struct chunk k = chunk_at(&p[0], width, i);

        pair_chunk(p, &k);
    }
    return PH_OK;
}

/* 2x2 maxima, both operands in the same blocks. */
enum ph_status phi_step_max_pool(struct phi_plan *plan, struct phi_plan_step *step)
{
    struct phi_plane x = phi_plan_plane(plan, step->in[0]), y = phi_plan_plane(plan, step->out);
    const size_t *in = plan->value[step->in[0]].shape.dim, *out = step->node->shape.dim;
    size_t n_rows = x.n_channels / x.block * out[2];

    PHI_PARALLEL(x.n_channels * x.n_pixels)
    for (size_t i = 0; i < n_rows; i++) {
        size_t c = i / out[2] * x.block, row = i % out[2];
        const float *rows[2] = {element(&x, c, 2 * row * in[3]),
                                element(&x, c, (2 * row + 1) * in[3])};

        phi_kernels()->pool_row(rows, element(&y, c, row * out[3]), out[3], x.block);
    }
    return PH_OK;
}

static void double_row(const float *from, float *to, size_t n, size_t width)
{
    for (size_t x = 0; x < n; x++) {
        memcpy(to + 2 * x * width, from + x * width, width * sizeof *to);
        memcpy(to + (2 * x + 1) * width, from + x * width, width * sizeof *to);
    }
    memcpy(to + 2 * n * width, to, 2 * n * width * sizeof *to);
}

/* Nearest-neighbour doubling, both operands in the same blocks. */
enum ph_status phi_step_double(struct phi_plan *plan, struct phi_plan_step *step)
{
    struct phi_plane x = phi_plan_plane(plan, step->in[0]), y = phi_plan_plane(plan, step->out);
    const size_t *in = plan->value[step->in[0]].shape.dim;
    size_t n_rows = x.n_channels / x.block * in[2];

    PHI_PARALLEL(y.n_channels * y.n_pixels)
    for (size_t i = 0; i < n_rows; i++) {
        size_t c = i / in[2] * x.block, row = i % in[2];

        double_row(element(&x, c, row * in[3]), element(&y, c, 4 * row * in[3]), in[3], x.block);
    }
    return PH_OK;
}

/* An activation on the result of a primitive, in place. */
static enum ph_status activate(struct phi_plan *plan, struct phi_plan_step *step)
{
    struct phi_plan_value *value = &plan->value[step->out];
    size_t n_chunks = (value->n + CHUNK - 1) / CHUNK;
    struct phi_node node = {.op = PHI_OP_UNARY,
                            .shape = value->shape,
                            .a = {(int)step->act},
                            .f = {step->act_f[0], step->act_f[1]}};
    struct phi_op_run run = {.node = &node, .in = {value->data}, .out = value->data};

    if (step->act != PHI_TANH && step->act != PHI_SIGMOID)
        return phi_op_unary.forward(&run);
    PHI_PARALLEL(value->n)
    for (size_t i = 0; i < n_chunks; i++) {
        size_t n = min_size(CHUNK, value->n - i * CHUNK);

        if (step->act == PHI_TANH)
            phi_kernels()->tanh(value->data + i * CHUNK, n);
        else
            phi_kernels()->sigmoid(value->data + i * CHUNK, n);
    }
    return PH_OK;
}

/* Bias and (leaky) ReLU of a transposed convolution, a block of channels at a time. */
static void add_bias(struct phi_plan *plan, struct phi_plan_step *step)
{
    struct phi_plane plane = phi_plan_plane(plan, step->out);
    size_t n_blocks = plane.n_channels / plane.block, rows = 64;
    size_t n_parts = (plane.n_pixels + rows - 1) / rows;

    PHI_PARALLEL(plane.n_channels * plane.n_pixels)
    for (size_t i = 0; i < n_blocks * n_parts; i++) {
        size_t c = i / n_parts * plane.block, begin = i % n_parts * rows;
        size_t n_width[2] = {min_size(rows, plane.n_pixels - begin), plane.block};

        phi_kernels()->bias(element(&plane, c, begin), step->bias + c, n_width, step->slope);
    }
}

enum ph_status phi_step_prim(struct phi_plan *plan, struct phi_plan_step *step)
{
    enum ph_status status = step->split ? phi_split_run(plan, step) : phi_prim_run(&step->prim);

    if (status == PH_OK && step->bias && !step->split)
        add_bias(plan, step);
    return status == PH_OK && step->act != PHI_N_UNARY ? activate(plan, step) : status;
}

/* Element-wise in any layout: both operands stand alike. */
enum ph_status phi_step_unary(struct phi_plan *plan, struct phi_plan_step *step)
{
    (void)plan;
    return phi_op_unary.forward(&step->op);
}

enum ph_status phi_step_plain(struct phi_plan *plan, struct phi_plan_step *step)
{
    (void)plan;
    return phi_op_kind(step->node->op)->forward(&step->op);
}
