/* SPDX-License-Identifier: MIT */
#include "fit/team.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "version.h"

/* Beside the command where it was built, and where it is installed. */
static const char *const places[] = {"tools/mpi/phos_mpi.so",
                                     "../" PHOS_LIBDIR "/phosphene/phos_mpi.so"};

/* Folder of the running program, with its slash, to ret[capacity]. */
static bool own_folder(char *ret, size_t capacity)
{
    ssize_t n = readlink("/proc/self/exe", ret, capacity - 1);
    char *slash;

    if (n <= 0)
        return false;
    ret[n] = 0;
    slash = strrchr(ret, '/');
    if (slash)
        slash[1] = 0;
    return slash != NULL;
}

/* Never closed: MPI leaves threads and handlers behind. Its own parts look for each other's
 * symbols, hence RTLD_GLOBAL. */
static void *load(struct ph_error *reterr)
{
    char folder[512], path[1024];

    if (!own_folder(folder, sizeof folder))
        folder[0] = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        void *library;

        (void)snprintf(path, sizeof path, "%s%s", folder, places[i]);
        if (access(path, R_OK) != 0)
            continue;
        library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
        if (!library)
            (void)phi_error(reterr, PH_E_PEER, "the module for --mpi cannot be loaded: %s",
                            dlerror());
        return library;
    }
    (void)phi_error(reterr, PH_E_PEER,
                    "this phos was built without MPI: install libopenmpi-dev and "
                    "libscalapack-openmpi-dev, and build it again");
    return NULL;
}

enum ph_status fit_team_open(struct fit_team *ret_team, struct ph_error *reterr)
{
    void *library = load(reterr), *symbol;
    fit_team_open_fn *open_team;

    if (!library)
        return PH_E_PEER;
    symbol = dlsym(library, FIT_TEAM_SYMBOL);
    if (!symbol)
        return phi_error(reterr, PH_E_PEER, "the module for --mpi is none of ours (no %s)",
                         FIT_TEAM_SYMBOL);
    memcpy(&open_team, &symbol, sizeof open_team);
    return open_team(FIT_TEAM_VERSION, ret_team, reterr);
}

enum ph_status fit_team_agree(const struct fit_team *team, enum ph_status mine,
                              struct ph_error *reterr)
{
    return team ? team->base.agree(team->base.ctx, mine, reterr) : mine;
}

struct fit_part fit_part_of(size_t n_all, size_t rank, size_t n_ranks)
{
    size_t least = n_all / n_ranks, more = n_all % n_ranks;
    size_t before = rank < more ? rank : more;

    return (struct fit_part){rank * least + before, least + (rank < more)};
}
