/* SPDX-License-Identifier: MIT
 *
 * The module behind --mpi: sums, broadcasts and collections over MPI (MPI 3.1), eigenvectors and
 * inverses over ScaLAPACK. A matrix is the same in all processes; each puts its blocks of a
 * two-dimensional grid to work, and the result is put together again in all of them.
 */
#include <limits.h>
#include <mpi.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "fit/team.h"
#include "mpi/grid.h"

/* Below this order one process is faster than any number. */
#define LEAST_ORDER 32
#define CHUNK       ((size_t)1 << 28)

static enum ph_status failed(struct ph_error *reterr, const char *what, int code)
{
    char text[MPI_MAX_ERROR_STRING];
    int n = 0;

    (void)MPI_Error_string(code, text, &n);
    return phi_error(reterr, PH_E_PEER, "%s between the processes failed: %.*s", what, n, text);
}

static enum ph_status share(void *ctx, size_t root, void *data, size_t n_bytes,
                            struct ph_error *reterr)
{
    (void)ctx;
    for (size_t at = 0; at < n_bytes; at += CHUNK) {
        size_t n = n_bytes - at < CHUNK ? n_bytes - at : CHUNK;
        int code = MPI_Bcast((char *)data + at, (int)n, MPI_BYTE, (int)root, MPI_COMM_WORLD);

        if (code != MPI_SUCCESS)
            return failed(reterr, "a broadcast", code);
    }
    return PH_OK;
}

/* Added up in one place and then spread, so that all have the same bits. */
static enum ph_status sum(void *ctx, double *values, size_t n, struct ph_error *reterr)
{
    const struct fit_team *team = ctx;

    for (size_t at = 0; at < n; at += CHUNK / sizeof *values) {
        size_t left = n - at, n_now = left < CHUNK / sizeof *values ? left : CHUNK / sizeof *values;
        int code = MPI_Reduce(team->base.rank ? values + at : MPI_IN_PLACE, values + at, (int)n_now,
                              MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);

        if (code != MPI_SUCCESS)
            return failed(reterr, "a sum", code);
    }
    return share(ctx, 0, values, n * sizeof *values, reterr);
}

/* A failure that was agreed on stays: later agreements repeat it without asking, so that processes
 * that left their work at different places need not meet again. */
static enum ph_status agree(void *ctx, enum ph_status mine, struct ph_error *reterr)
{
    static struct ph_error agreed;
    const struct fit_team *team = ctx;
    int n = (int)team->base.n_ranks;
    /* The lowest process that failed, or n. */
    int failing = mine < 0 ? (int)team->base.rank : n, first = n;
    struct ph_error err = {.status = mine};
    int code;

    if (agreed.status) {
        if (reterr)
            *reterr = agreed;
        return agreed.status;
    }
    if (mine < 0 && reterr)
        err = *reterr;
    code = MPI_Allreduce(&failing, &first, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    if (code == MPI_SUCCESS && first == n)
        return mine;
    if (code == MPI_SUCCESS)
        code = MPI_Bcast(&err, (int)sizeof err, MPI_BYTE, first, MPI_COMM_WORLD);
    if (code != MPI_SUCCESS)
        return failed(reterr, "an agreement", code);
    agreed = err;
    if (reterr)
        *reterr = err;
    return err.status;
}

/* The part of process `from` arrives in pieces, in order. */
static int receive(char *into, size_t n_bytes, size_t from)
{
    int code = MPI_SUCCESS;

    for (size_t at = 0; code == MPI_SUCCESS && at < n_bytes; at += CHUNK) {
        size_t n = n_bytes - at < CHUNK ? n_bytes - at : CHUNK;

        code =
            MPI_Recv(into + at, (int)n, MPI_BYTE, (int)from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    }
    return code;
}

static int hand_over(const char *mine, size_t n_bytes)
{
    int code = MPI_SUCCESS;

    for (size_t at = 0; code == MPI_SUCCESS && at < n_bytes; at += CHUNK) {
        size_t n = n_bytes - at < CHUNK ? n_bytes - at : CHUNK;

        code = MPI_Send(mine + at, (int)n, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
    }
    return code;
}

static enum ph_status collect(void *ctx, const void *mine, const size_t *n_bytes, void *ret_all,
                              struct ph_error *reterr)
{
    const struct fit_team *team = ctx;
    char *into = ret_all;
    int code = MPI_SUCCESS;

    if (team->base.rank)
        code = hand_over(mine, n_bytes[team->base.rank]);
    else
        memcpy(into, mine, n_bytes[0]);
    for (size_t r = 1; !team->base.rank && code == MPI_SUCCESS && r < team->base.n_ranks; r++) {
        into += n_bytes[r - 1];
        code = receive(into, n_bytes[r], r);
    }
    return code == MPI_SUCCESS ? PH_OK : failed(reterr, "a collection", code);
}

/* One order for all: who has the blocks works, then everybody gets the whole. */
static enum ph_status together(void *ctx, grid_fn *work, double *a, size_t n, double *values,
                               struct ph_error *reterr)
{
    const struct fit_team *team = ctx;
    struct grid grid;
    enum ph_status status;

    if (n > INT_MAX)
        return phi_error(reterr, PH_E_LIMIT, "a matrix of %zu rows is too large to decompose", n);
    grid_open(&grid, team->base.n_ranks, n < LEAST_ORDER ? 1 : n / 2);
    grid_plan(&grid, n);
    status = work(&grid, a, values, reterr);
    grid_close(&grid);
    status = agree(ctx, status, reterr);
    if (!status)
        status = sum(ctx, a, n * n, reterr);
    return status || !values ? status : share(ctx, 0, values, n * sizeof *values, reterr);
}

static enum ph_status eigh(void *ctx, double *a, size_t n, double *ret_values,
                           struct ph_error *reterr)
{
    return together(ctx, grid_eigh, a, n, ret_values, reterr);
}

static enum ph_status inverse(void *ctx, double *a, size_t n, struct ph_error *reterr)
{
    enum ph_status status = together(ctx, grid_inverse, a, n, NULL, reterr);

    for (size_t i = 0; !status && i < n; i++)
        for (size_t j = 0; j < i; j++)
            a[i * n + j] = a[j * n + i];
    return status;
}

static void close_team(void *ctx)
{
    (void)ctx;
    grid_end();
    (void)MPI_Finalize();
}

static void give_up(void *ctx, int code)
{
    (void)ctx;
    (void)MPI_Abort(MPI_COMM_WORLD, code);
}

/* How many of the processes run on this machine. */
static size_t count_here(void)
{
    MPI_Comm here;
    int n = 1;

    if (MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &here) !=
        MPI_SUCCESS)
        return 1;
    (void)MPI_Comm_size(here, &n);
    (void)MPI_Comm_free(&here);
    return (size_t)n;
}

__attribute__((visibility("default"))) enum ph_status
phos_team_open(int version, struct fit_team *ret_team, struct ph_error *reterr);

enum ph_status phos_team_open(int version, struct fit_team *ret_team, struct ph_error *reterr)
{
    static struct fit_team team;
    int level, rank, n_ranks;

    if (version != FIT_TEAM_VERSION)
        return phi_error(reterr, PH_E_ABI,
                         "the module for --mpi belongs to another version of phos (%d, wanted %d): "
                         "install both anew",
                         FIT_TEAM_VERSION, version);
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level) != MPI_SUCCESS ||
        level < MPI_THREAD_FUNNELED)
        return phi_error(reterr, PH_E_PEER, "MPI could not be started: use mpirun -n N phos fit");
    (void)MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    (void)MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    (void)MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);
    team =
        (struct fit_team){.base = {(size_t)rank, (size_t)n_ranks, sum, agree, eigh, inverse, &team},
                          .n_here = count_here(),
                          .share = share,
                          .collect = collect,
                          .close = close_team,
                          .give_up = give_up};
    *ret_team = team;
    return PH_OK;
}
