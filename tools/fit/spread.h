/* SPDX-License-Identifier: MIT
 *
 * Writing one ridge model from a fit that is spread over several processes: each fits targets of
 * its own and holds voxels of its own; in rounds every process brings a block of coefficients, all
 * multiply it with their voxels, and process 0 puts the weights together and into the file. All
 * processes make the same calls. Set-up code; one thread.
 */
#ifndef TOOLS_FIT_SPREAD_H
#define TOOLS_FIT_SPREAD_H

#include "fit/ridge_model.h"
#include "fit/team.h"

struct spread;

/* `from` describes this process's voxels, but for mean, scale, lag_mean and product, which are left
 * out: `mean` and `scale` are given for this process, [q]. Process 0 starts the file. Owned by the
 * caller. */
PH_NODISCARD enum ph_status spread_create(const struct fit_team *team,
                                          const struct ridge_model_from *from,
                                          struct spread **ret_spread, struct ph_error *reterr);

/* Where this process's fit hands its blocks; their first target is number `first` of all. */
struct phi_ridge_sink spread_sink(struct spread *spread, size_t first);

/* After this process's fit, which ended with `mine`: takes part in what the others still bring, and
 * ends the file. Returns the first failure of any process. */
PH_NODISCARD enum ph_status spread_finish(struct spread *spread, enum ph_status mine,
                                          struct ph_error *reterr);

/* The model on process 0, else NULL; and the scales of all voxels there, [q_all]. */
struct ridge_model *spread_model(struct spread *spread);
const double *spread_scale(const struct spread *spread);

/* Frees; accepts NULL and *spread == NULL. */
void spread_destroy(struct spread **spread);

#endif
