/* SPDX-License-Identifier: MIT
 *
 * Arithmetic on specs (what flows over an edge) and on the frames that carry it. Pure.
 */
#ifndef PHI_HOST_SPEC_H
#define PHI_HOST_SPEC_H

#include <stddef.h>

#include "phosphene/plugin.h"

/* Size of the largest payload of `spec` in bytes, in *ret_n_bytes. PH_E_SHAPE for a spec without
 * extent or of an unknown type, PH_E_LIMIT above 4 GiB. */
PH_NODISCARD enum ph_status phi_spec_bytes(const struct ph_spec *spec, size_t *ret_n_bytes,
                                           struct ph_error *reterr);

/* Sets kind, dtype, rank and dims of `frame` as in `spec`; clears flags, times, quality (NaN) and
 * the union. Keeps data and capacity_bytes. */
void phi_frame_shape(struct ph_frame *frame, const struct ph_spec *spec);

/* Copies to `out` what a frame inherits from the frame it is derived from: index, layout, times,
 * flags, quality. */
void phi_frame_inherit(struct ph_frame *out, const struct ph_frame *in);

/* All figures NaN. */
void phi_quality_clear(struct ph_quality *quality);

/* A spec of float32 volumes of `geometry`. */
struct ph_spec phi_spec_volume(const struct ph_geometry *geometry, uint32_t n_volumes);

#endif
