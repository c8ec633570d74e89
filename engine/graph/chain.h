/* SPDX-License-Identifier: MIT
 *
 * The filters of a run, without threads: a source's volumes go through the run's filter list in the
 * calling thread and come out one by one. Fitting, evaluation and tests use it, so that what a
 * model is fitted on is what a live run decodes. One object belongs to one thread.
 *
 *     status = phi_chain_open(run, &services, &chain, &err);
 *     while ((status = phi_chain_next(chain, &frame, &err)) == PH_OK)
 *         ... frame->kind is PH_FRAME_EVENT, or the kind of phi_chain_spec(chain)->kind
 *     phi_chain_close(&chain);
 */
#ifndef PHI_GRAPH_CHAIN_H
#define PHI_GRAPH_CHAIN_H

#include "graph/run.h"

struct phi_chain;

/* Opens the run's source, waits for its spec, plans and initialises the filters behind it. The
 * decoder, generators and sinks of the run are left alone. `run` must outlive the chain; `services`
 * is copied and may be NULL. Owned by the caller. */
PH_NODISCARD enum ph_status phi_chain_open(const struct phi_run *run,
                                           const struct phi_services *services,
                                           struct phi_chain **ret_chain, struct ph_error *reterr);

/* Ends all stages, frees all; accepts NULL and *chain == NULL, clears *chain. */
void phi_chain_close(struct phi_chain **chain);

/* What leaves the last filter: vectors or volumes; `chain` in it is the canonical text to store in
 * a model fitted on them. */
const struct ph_spec *phi_chain_spec(const struct phi_chain *chain);

/* What the source delivers. */
const struct ph_spec *phi_chain_source_spec(const struct phi_chain *chain);

/* The next frame behind the last filter, events in order between volumes, missing volumes as frames
 * with PH_FLAG_GAP; quality and flags as the filters set them. *ret_frame is valid until the next
 * call. PH_EOS at the end of the run; a failure names the stage. */
PH_NODISCARD enum ph_status
phi_chain_next(struct phi_chain *chain, const struct ph_frame **ret_frame, struct ph_error *reterr);

#endif
