/* SPDX-License-Identifier: MIT
 *
 * Oriented energies and colours of a picture: a feature space without a network, after the
 * quadrature pairs by which early visual cortex is modelled (Adelson & Bergen, 1985). Three
 * wavelengths (a sixteenth, an eighth, a quarter of the height) in four orientations, the root of
 * the squared sum of each pair averaged in 8 x 8 cells, and in the same cells the mean luminance
 * and two opponent colours. Pure but for allocation.
 */
#ifndef TOOLS_STIMULI_ENERGY_H
#define TOOLS_STIMULI_ENERGY_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#define PHI_ENERGY_CELLS        8
#define PHI_ENERGY_SCALES       3
#define PHI_ENERGY_ORIENTATIONS 4
#define PHI_ENERGY_MAPS         (PHI_ENERGY_SCALES * PHI_ENERGY_ORIENTATIONS + 3)
#define PHI_ENERGY_FEATURES     (PHI_ENERGY_MAPS * PHI_ENERGY_CELLS * PHI_ENERGY_CELLS)

struct phi_energy;

/* A plan for pictures of that size. PH_E_SHAPE below 16 pixels a side. Owned by the caller. */
PH_NODISCARD enum ph_status phi_energy_create(size_t height, size_t width,
                                              struct phi_energy **ret_energy,
                                              struct ph_error *reterr);

/* Frees; accepts NULL and *energy == NULL. */
void phi_energy_destroy(struct phi_energy **energy);

/* ret[PHI_ENERGY_MAPS][PHI_ENERGY_CELLS][PHI_ENERGY_CELLS] of rgb[height][width][3]: first the
 * energies, scale by scale (shortest wave first), in each the waves that run at 0, 45, 90 and 135
 * degrees from the horizontal axis; then luminance, red against green, blue against yellow. One
 * caller at a time. */
void phi_energy_features(struct phi_energy *energy, const uint8_t *rgb, float *ret);

#endif
