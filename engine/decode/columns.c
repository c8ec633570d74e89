/* SPDX-License-Identifier: MIT */
#include "decode/columns.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/simd.h"

size_t phi_dtype_size(enum phi_dtype dtype)
{
    return dtype == PHI_DTYPE_F64 ? sizeof(double) : sizeof(float);
}

static void copy_row(const struct phi_columns_memory *memory, size_t at, size_t n,
                     enum phi_dtype dtype, void *out)
{
    const float *from32 = memory->at;
    const double *from64 = memory->at;
    float *to32 = out;
    double *to64 = out;

    if (memory->dtype == dtype) {
        memcpy(out, (const char *)memory->at + at * phi_dtype_size(dtype),
               n * phi_dtype_size(dtype));
        return;
    }
    for (size_t j = 0; j < n; j++)
        if (dtype == PHI_DTYPE_F64)
            to64[j] = (double)from32[at + j];
        else
            to32[j] = (float)from64[at + j];
}

static enum ph_status read_memory(void *ctx, size_t first, size_t n, enum phi_dtype dtype,
                                  void *out, struct ph_error *reterr)
{
    const struct phi_columns_memory *memory = ctx;

    (void)reterr;
    for (size_t i = 0; i < memory->n_rows; i++)
        copy_row(memory, i * memory->stride + first, n, dtype,
                 (char *)out + i * n * phi_dtype_size(dtype));
    return PH_OK;
}

struct phi_columns phi_columns_over(struct phi_columns_memory *memory, size_t n_cols,
                                    const char *name)
{
    return (struct phi_columns){.n_rows = memory->n_rows,
                                .n_cols = n_cols,
                                .read = read_memory,
                                .ctx = memory,
                                .name = name};
}

static enum ph_status read_part(void *ctx, size_t first, size_t n, enum phi_dtype dtype, void *out,
                                struct ph_error *reterr)
{
    const struct phi_columns_part *part = ctx;

    return part->whole->read(part->whole->ctx, part->first + first, n, dtype, out, reterr);
}

struct phi_columns phi_columns_of_part(struct phi_columns_part *part)
{
    struct phi_columns columns = *part->whole;

    columns.n_cols = part->n;
    columns.read = read_part;
    columns.ctx = part;
    columns.first_number += part->first;
    return columns;
}

static double load(const struct phi_columns_block *block, size_t i)
{
    return block->dtype == PHI_DTYPE_F64 ? ((const double *)block->values)[i]
                                         : (double)((const float *)block->values)[i];
}

/* A sum that is not finite betrays a bad value; only then is it searched for. */
static enum ph_status name_bad_value(const struct phi_columns *columns, size_t first, size_t n,
                                     const struct phi_columns_block *block, struct ph_error *reterr)
{
    for (size_t i = 0; i < columns->n_rows * n; i++)
        if (!isfinite(load(block, i)))
            return phi_error(reterr, PH_E_INVAL,
                             "%s hold a value that is not a number (row %zu, column %zu): mask or "
                             "interpolate it before fitting",
                             columns->name, i / n, columns->first_number + first + i % n);
    return phi_error(reterr, PH_E_INVAL, "%s are too large to be summed (columns %zu to %zu)",
                     columns->name, columns->first_number + first,
                     columns->first_number + first + n - 1);
}

PHI_VECTOR static void add_rows(const struct phi_columns_block *block, size_t n_rows, size_t n)
{
    double *mean = block->mean;

    memset(mean, 0, n * sizeof *mean);
    for (size_t i = 0; i < n_rows; i++) {
        const float *row32 = (const float *)block->values + i * n;
        const double *row64 = (const double *)block->values + i * n;

        if (block->dtype == PHI_DTYPE_F64)
            for (size_t j = 0; j < n; j++)
                mean[j] += row64[j];
        else
            for (size_t j = 0; j < n; j++)
                mean[j] += (double)row32[j];
    }
}

/* Subtracts the mean in place and adds up the squares of what is stored. */
PHI_VECTOR static void centre_f32(float *row, const double *mean, double *squares, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        float d = (float)((double)row[j] - mean[j]);

        row[j] = d;
        squares[j] += (double)d * (double)d;
    }
}

PHI_VECTOR static void centre_f64(double *row, const double *mean, double *squares, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        row[j] -= mean[j];
        squares[j] += row[j] * row[j];
    }
}

static void centre(const struct phi_columns_block *block, size_t n_rows, size_t n)
{
    memset(block->sd, 0, n * sizeof *block->sd);
    for (size_t i = 0; i < n_rows; i++)
        if (block->dtype == PHI_DTYPE_F64)
            centre_f64((double *)block->values + i * n, block->mean, block->sd, n);
        else
            centre_f32((float *)block->values + i * n, block->mean, block->sd, n);
    for (size_t j = 0; j < n; j++)
        block->sd[j] = sqrt(block->sd[j] / (double)n_rows);
}

enum ph_status phi_columns_read_centred(const struct phi_columns *columns, size_t first, size_t n,
                                        const struct phi_columns_block *block,
                                        struct ph_error *reterr)
{
    enum ph_status status =
        columns->read(columns->ctx, first, n, block->dtype, block->values, reterr);

    if (status)
        return status;
    add_rows(block, columns->n_rows, n);
    for (size_t j = 0; j < n; j++) {
        if (!isfinite(block->mean[j]))
            return name_bad_value(columns, first, n, block, reterr);
        block->mean[j] /= (double)columns->n_rows;
    }
    centre(block, columns->n_rows, n);
    return PH_OK;
}
