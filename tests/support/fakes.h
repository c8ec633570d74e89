/* SPDX-License-Identifier: MIT
 *
 * Stage types for tests of the engine: one of each kind, simple enough to predict.
 *   source/ramp      volumes whose voxel i of volume t is t + i / 1000; parameters drop volumes,
 *                    place events, fail, or wait for ever
 *   filter/pick      volumes to vectors of the first n voxels; may fail on one volume
 *   decoder/sum      vector to a latent of 2 components: sum and count; one statement a volume,
 *                    final; a revision of trial e when event e is seen
 *   generator/flat   latent to a picture of one grey
 *   sink/tally       counts and hashes what it gets into fake_tally[slot]
 */
#ifndef TESTS_SUPPORT_FAKES_H
#define TESTS_SUPPORT_FAKES_H

#include <stdint.h>

#include "host/registry.h"

#define FAKE_SLOTS 4

struct fake_tally {
    uint64_t n_volumes;
    uint64_t n_vectors;
    uint64_t n_latents;
    uint64_t n_images;
    uint64_t n_events;
    uint64_t n_gaps;
    uint64_t n_invalid;
    uint64_t n_stale_order; /* frames of one kind whose index went down */
    uint64_t last_index;
    uint64_t hash; /* of kinds, indices, flags and payloads, per kind, order within the kind */
    int ended;
};

extern struct fake_tally fake_tally[FAKE_SLOTS];

/* A registry of all linked-in types and the fakes. Fails the test on error. */
struct phi_registry *fake_registry(void);

#endif
