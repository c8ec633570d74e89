/* SPDX-License-Identifier: MIT
 *
 * Between the geometry that frames carry and the grids that the kernels take. Pure, any thread.
 */
#ifndef PHI_SIGNAL_GEOMETRY_H
#define PHI_SIGNAL_GEOMETRY_H

#include "phosphene/frame.h"
#include "signal/affine.h"

/* The grid of a frame's geometry. */
static inline struct phi_grid phi_grid_from_geometry(const struct ph_geometry *geometry)
{
    struct phi_grid grid = {{geometry->dims[0], geometry->dims[1], geometry->dims[2]},
                            phi_affine_identity()};

    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++)
            grid.affine.m[i][j] = geometry->affine[i][j];
    return grid;
}

/* The other way; keeps the repetition time that stands in *geometry. Grids that passed
 * phi_grid_check fit. */
static inline void phi_grid_to_geometry(const struct phi_grid *grid, struct ph_geometry *geometry)
{
    for (int i = 0; i < 3; i++) {
        geometry->dims[i] = (uint32_t)grid->n[i];
        for (int j = 0; j < 4; j++)
            geometry->affine[i][j] = grid->affine.m[i][j];
    }
}

#endif
