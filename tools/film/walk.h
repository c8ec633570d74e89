/* SPDX-License-Identifier: MIT
 *
 * A film run through PredNet as the subject saw it: R, A, its prediction or E of a layer, averaged
 * over the frames of each volume. Memory does not grow with the film. Set-up code; one thread.
 */
#ifndef TOOLS_FILM_WALK_H
#define TOOLS_FILM_WALK_H

#include "plugins/generator/common/player.h"

/* One run of a session. */
struct film_run {
    struct phi_film_clock clock;
    double tr_s;
    size_t n_volumes;
};

/* Network, film and a player that drives nothing, for frames of the film's size. */
struct film_source {
    struct phi_film film;
    struct phi_prednet_config config;
    struct phi_player player;
    struct phi_film_clock clock; /* of the run that is being walked */
};

/* Opens model and film; owned by the caller. PH_E_SHAPE for frames that cannot be halved often
 * enough. `window_s` and `layer` are the player's, for callers that drive it. */
struct film_source_from {
    const char *model, *film;
    double fps, window_s;
    int layer;
    bool want_units; /* A and Ahat can be read */
    enum phi_precision precision;
};
PH_NODISCARD enum ph_status film_source_open(const struct film_source_from *from,
                                             struct film_source *ret_source,
                                             struct ph_error *reterr);
void film_source_close(struct film_source *source);

/* Fills ret_run for the run at `bold` (its volumes and TR; the sidecar's TR counts first) with the
 * film events of the table at `events`. PH_E_SHAPE if the events show frames that the film does not
 * have, or outlast the run. */
PH_NODISCARD enum ph_status film_run_open(const char *bold, const char *events,
                                          const struct phi_film *film, double fps,
                                          struct film_run *ret_run, struct ph_error *reterr);

/* As above from what is known: TR and number of volumes. */
PH_NODISCARD enum ph_status film_run_make(const char *events, double tr_s, size_t n_volumes,
                                          const struct phi_film *film, double fps,
                                          struct film_run *ret_run, struct ph_error *reterr);

/* Units of one layer: kind 'r', 'e', 'a' or 'p' of phi_prednet_live_read. */
struct film_part {
    char kind;
    int layer;
};

/* Its values a frame; 0 if there is no such layer. */
size_t film_part_size(const struct phi_prednet_config *config, struct film_part part);

/* Calls `row` for every volume during which a frame was on, in order, with the mean of
 * `part` over its frames. The first failure of `row` ends it. */
typedef enum ph_status film_row_fn(void *ctx, size_t volume, const float *mean,
                                   struct ph_error *reterr);
PH_NODISCARD enum ph_status film_walk(struct film_source *source, const struct film_run *run,
                                      struct film_part part, film_row_fn *row, void *ctx,
                                      struct ph_error *reterr);

#endif
