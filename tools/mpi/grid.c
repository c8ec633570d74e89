/* SPDX-License-Identifier: MIT */
#include "mpi/grid.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define LARGEST_BLOCK 64

/* ScaLAPACK and BLACS bring no C header. */
void Cblacs_get(int context, int what, int *ret);
void Cblacs_gridinit(int *context, const char *layout, int n_rows, int n_cols);
void Cblacs_gridinfo(int context, int *n_rows, int *n_cols, int *row, int *col);
void Cblacs_gridexit(int context);
void Cblacs_exit(int go_on);
int numroc_(const int *n, const int *block, const int *at, const int *first, const int *n_procs);
void descinit_(int *descriptor, const int *m, const int *n, const int *mb, const int *nb,
               const int *row, const int *col, const int *context, const int *lead, int *info);
void pdsyevd_(const char *job, const char *half, const int *n, double *a, const int *ia,
              const int *ja, const int *desc_a, double *w, double *z, const int *iz, const int *jz,
              const int *desc_z, double *work, const int *l_work, int *iwork, const int *l_iwork,
              int *info);
void pdpotrf_(const char *half, const int *n, double *a, const int *ia, const int *ja,
              const int *desc_a, int *info);
void pdpotri_(const char *half, const int *n, double *a, const int *ia, const int *ja,
              const int *desc_a, int *info);

static const int one = 1, zero = 0;

void grid_open(struct grid *grid, size_t n_ranks, size_t n_most)
{
    int n = (int)(n_ranks < n_most ? n_ranks : n_most), rows = (int)sqrt((double)n);

    while (n % rows)
        rows--;
    Cblacs_get(0, 0, &grid->context);
    Cblacs_gridinit(&grid->context, "Row", rows, n / rows);
    if (grid->context < 0) { /* of the processes that have no place */
        *grid = (struct grid){.context = -1, .row = -1};
        return;
    }
    Cblacs_gridinfo(grid->context, &grid->n_rows, &grid->n_cols, &grid->row, &grid->col);
}

static int at_least_one(int n)
{
    return n > 1 ? n : 1;
}

void grid_plan(struct grid *grid, size_t n)
{
    int wide = grid->n_rows > grid->n_cols ? grid->n_rows : grid->n_cols, lead, info;

    grid->order = (int)n;
    if (grid->row < 0)
        return;
    grid->block = at_least_one(grid->order / (2 * wide));
    grid->block = grid->block < LARGEST_BLOCK ? grid->block : LARGEST_BLOCK;
    grid->local_rows = numroc_(&grid->order, &grid->block, &grid->row, &zero, &grid->n_rows);
    grid->local_cols = numroc_(&grid->order, &grid->block, &grid->col, &zero, &grid->n_cols);
    lead = at_least_one(grid->local_rows);
    descinit_(grid->descriptor, &grid->order, &grid->order, &grid->block, &grid->block, &zero,
              &zero, &grid->context, &lead, &info);
}

void grid_close(struct grid *grid)
{
    if (grid->row >= 0)
        Cblacs_gridexit(grid->context);
}

void grid_end(void)
{
    Cblacs_exit(1);
}

/* Where entry `local` of process `at` of `n_procs` lies in the whole. */
static size_t global_of(size_t local, int block, int at, int n_procs)
{
    size_t b = (size_t)block;

    return (local / b * (size_t)n_procs + (size_t)at) * b + local % b;
}

/* Copies between the whole a and this process's part; columns of ScaLAPACK are rows of a. */
static void copy(const struct grid *g, double *a, double *part, int to_part)
{
    size_t lead = (size_t)at_least_one(g->local_rows);

    for (size_t j = 0; j < (size_t)g->local_cols; j++)
        for (size_t i = 0; i < (size_t)g->local_rows; i++) {
            size_t at = global_of(j, g->block, g->col, g->n_cols) * (size_t)g->order +
                        global_of(i, g->block, g->row, g->n_rows);

            if (to_part)
                part[j * lead + i] = a[at];
            else
                a[at] = part[j * lead + i];
        }
}

static size_t part_size(const struct grid *g)
{
    return (size_t)at_least_one(g->local_rows) * (size_t)at_least_one(g->local_cols);
}

/* The workspace its query asks for, and no less than its manual does. */
static size_t workspace(const struct grid *g, double asked)
{
    double n = g->order, b = g->block, rows = at_least_one(g->local_rows);
    double tridiagonal = 3 * n + fmax(b * (rows + 1), 3 * b);
    double least = fmax(1 + 6 * n + 2 * rows * at_least_one(g->local_cols), tridiagonal) + 2 * n;

    return (size_t)fmax(asked, least);
}

static enum ph_status run_eigh(const struct grid *g, double *part, double *values, double *vectors,
                               struct ph_error *reterr)
{
    int info = 0, ask = -1, l_work, l_iwork = 7 * g->order + 8 * g->n_cols + 2;
    double want = 0, *work;
    int *iwork = phi_calloc((size_t)l_iwork, sizeof *iwork);
    size_t n_work;

    if (!iwork)
        return phi_error_nomem(reterr, "eigen solver workspace", (size_t)l_iwork * sizeof *iwork);
    pdsyevd_("V", "L", &g->order, part, &one, &one, g->descriptor, values, vectors, &one, &one,
             g->descriptor, &want, &ask, iwork, &l_iwork, &info);
    n_work = workspace(g, want);
    l_work = n_work < INT_MAX ? (int)n_work : INT_MAX;
    work = phi_calloc((size_t)l_work, sizeof *work);
    if (work)
        pdsyevd_("V", "L", &g->order, part, &one, &one, g->descriptor, values, vectors, &one, &one,
                 g->descriptor, work, &l_work, iwork, &l_iwork, &info);
    phi_free(iwork);
    phi_free(work);
    if (!work)
        return phi_error_nomem(reterr, "eigen solver workspace", (size_t)l_work * sizeof *work);
    if (info)
        return phi_error(reterr, PH_E_INVAL,
                         "the eigenvectors of a matrix of %d rows were not found; check the data "
                         "for values that are not numbers",
                         g->order);
    return PH_OK;
}

enum ph_status grid_eigh(struct grid *g, double *a, double *values, struct ph_error *reterr)
{
    size_t n = (size_t)g->order;
    double *part = NULL, *vectors = NULL;
    enum ph_status status = PH_OK;

    if (g->row >= 0) {
        part = phi_calloc(part_size(g), sizeof *part);
        vectors = phi_calloc(part_size(g), sizeof *vectors);
        if (!part || !vectors)
            status = phi_error_nomem(reterr, "part of a matrix", 2 * part_size(g) * sizeof *part);
        else
            copy(g, a, part, 1);
    }
    if (!status && g->row >= 0)
        status = run_eigh(g, part, values, vectors, reterr);
    memset(a, 0, n * n * sizeof *a);
    if (!status && g->row >= 0)
        copy(g, a, vectors, 0);
    phi_free(part);
    phi_free(vectors);
    return status;
}

static enum ph_status run_inverse(const struct grid *g, double *part, struct ph_error *reterr)
{
    int info = 0;

    pdpotrf_("L", &g->order, part, &one, &one, g->descriptor, &info);
    if (info)
        return phi_error(reterr, PH_E_INVAL,
                         "a matrix of %d rows is not positive definite (pivot %d): raise the "
                         "penalty or shrinkage, or look for constant or repeated columns",
                         g->order, info);
    pdpotri_("L", &g->order, part, &one, &one, g->descriptor, &info);
    if (info)
        return phi_error(reterr, PH_E_INVAL, "a matrix of %d rows has no inverse (row %d)",
                         g->order, info);
    return PH_OK;
}

/* The half that ScaLAPACK did not touch goes. */
static void clear_below(double *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        memset(a + i * n, 0, i * sizeof *a);
}

enum ph_status grid_inverse(struct grid *g, double *a, double *values, struct ph_error *reterr)
{
    size_t n = (size_t)g->order;
    double *part = g->row >= 0 ? phi_calloc(part_size(g), sizeof *part) : NULL;
    enum ph_status status = PH_OK;

    (void)values;
    if (g->row >= 0 && !part)
        status = phi_error_nomem(reterr, "part of a matrix", part_size(g) * sizeof *part);
    if (!status && g->row >= 0) {
        copy(g, a, part, 1);
        status = run_inverse(g, part, reterr);
    }
    memset(a, 0, n * n * sizeof *a);
    if (!status && g->row >= 0)
        copy(g, a, part, 0);
    clear_below(a, n);
    phi_free(part);
    return status;
}
