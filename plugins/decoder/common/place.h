/* SPDX-License-Identifier: MIT
 *
 * Where and behind what a decoder was fitted, and whether a run is of that kind: a model applied to
 * other voxels or after other preprocessing gives numbers that look right and mean nothing. Pure.
 */
#ifndef PLUGINS_DECODER_COMMON_PLACE_H
#define PLUGINS_DECODER_COMMON_PLACE_H

#include <stdbool.h>

#include "base/str.h"
#include "phosphene/plugin.h"

struct phi_decoder_place {
    struct ph_geometry geometry;
    uint64_t layout;   /* ph_layout_hash of the voxels */
    size_t q;          /* voxels */
    const char *chain; /* the filters, as in struct ph_spec; borrowed */
};

/* PH_OK if `in` is a run of the same grid, place, repetition time, mask and (unless `accept`)
 * filters; else PH_E_SHAPE with what differs. */
PH_NODISCARD enum ph_status phi_decoder_place_check(const struct phi_decoder_place *place,
                                                    bool accept, const struct ph_spec *in,
                                                    struct ph_error *reterr);

/* Says how two chains of filters differ, as "filter 2 was smooth(fwhm_mm=8) there, here it is
 * smooth(fwhm_mm=6)": the first that is not the same, shortened to what differs where it is long,
 * so that an error text holds it whole. */
void phi_decoder_chain_difference(const char *there, const char *here, struct phi_str *out);

#endif
