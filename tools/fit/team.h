/* SPDX-License-Identifier: MIT
 *
 * The processes that a fit is spread over, started by mpirun. Message passing lives in a module of
 * its own (tools/mpi), loaded when --mpi asks for it, so that no other command depends on it.
 * Set-up code; the thread that opened a team makes all calls, and all processes make the same ones.
 */
#ifndef TOOLS_FIT_TEAM_H
#define TOOLS_FIT_TEAM_H

#include <stddef.h>

#include "decode/team.h"

#define FIT_TEAM_VERSION 1
#define FIT_TEAM_SYMBOL  "phos_team_open"

struct fit_team {
    struct phi_team base;
    size_t n_here; /* of its processes run on this machine */
    /* Everyone gets data[n_bytes] of process `root`. */
    enum ph_status (*share)(void *ctx, size_t root, void *data, size_t n_bytes,
                            struct ph_error *reterr);
    /* Process 0 gets each one's bytes, one after the other: ret_all holds their sum (NULL on the
     * others), n_bytes[n_ranks] is known to all. */
    enum ph_status (*collect)(void *ctx, const void *mine, const size_t *n_bytes, void *ret_all,
                              struct ph_error *reterr);
    /* Ends the team; the last call. */
    void (*close)(void *ctx);
    /* Ends all processes at once, with exit code `code`: for what cannot be agreed on. */
    void (*give_up)(void *ctx, int code);
};

/* What the module exports: fills the team, if its `version` is ours. */
typedef enum ph_status fit_team_open_fn(int version, struct fit_team *ret_team,
                                        struct ph_error *reterr);

/* Loads the module and joins the team; owned by the caller. PH_E_PEER, with the reason, where the
 * module was not built or cannot be loaded. */
PH_NODISCARD enum ph_status fit_team_open(struct fit_team *ret_team, struct ph_error *reterr);

/* NULL-safe: the failure of any process, else PH_OK. */
PH_NODISCARD enum ph_status fit_team_agree(const struct fit_team *team, enum ph_status mine,
                                           struct ph_error *reterr);

/* Part `rank` of `n_all` things: parts are contiguous, their sizes differ by at most one. */
struct fit_part {
    size_t first, n;
};
struct fit_part fit_part_of(size_t n_all, size_t rank, size_t n_ranks);

#endif
