/* SPDX-License-Identifier: MIT
 *
 * One resolution of realignment: smoothing width, points, gradients and the factored normal
 * matrix. Same rules as realign.h; used by it alone.
 */
#ifndef PHI_SIGNAL_REALIGN_LEVEL_H
#define PHI_SIGNAL_REALIGN_LEVEL_H

#include "signal/bspline.h"
#include "signal/realign.h"
#include "signal/smooth.h"

struct phi_realign_level {
    double separation_mm;
    double fwhm_mm;
    double keep;
    struct phi_grid reference;
    struct phi_grid image;
    struct phi_smooth *smooth_reference;
    struct phi_smooth *smooth_image;
    size_t n_candidates;
    size_t n_points;
    float *x; /* [n_candidates], kept points first; voxel coordinates of the reference */
    float *y;
    float *z;
    float *value;        /* the reference there */
    float *jacobian;     /* [n_candidates][6] change of value by mm or rad */
    float *leverage;     /* work */
    float *sampled;      /* work */
    float *inside;       /* work */
    double factor[6][6]; /* lower Cholesky factor of jacobian' jacobian */
};

/* One look at the residuals of a pose. */
struct phi_realign_look {
    double slope[6]; /* jacobian' residual */
    double scale;
    double mean_square;
    double correlation;
    size_t n_inside;
};

/* Memory and plans. separation_mm, fwhm_mm, keep and the grids are set by the caller before. */
PH_NODISCARD enum ph_status phi_realign_level_init(struct phi_realign_level *level,
                                                   struct ph_error *reterr);

/* Frees what init took; accepts a zeroed or half-built level. */
void phi_realign_level_fini(struct phi_realign_level *level);

/* Chooses points and factors the normal matrix from the coefficients of the reference; `smoothed`
 * is overwritten. PH_E_INVAL if the reference does not fix six parameters. */
PH_NODISCARD enum ph_status phi_realign_level_set_reference(struct phi_realign_level *level,
                                                            const struct phi_bspline *coefficients,
                                                            struct phi_bspline *smoothed);

/* Smooths the coefficients of an image for this level. */
void phi_realign_level_load(struct phi_realign_level *level, const struct phi_bspline *coefficients,
                            struct phi_bspline *smoothed);

/* Residuals of the loaded image at `pose`. PH_E_INVAL if a pose or scale has no meaning (nothing
 * inside, no positive sum). */
PH_NODISCARD enum ph_status phi_realign_level_look(struct phi_realign_level *level,
                                                   const struct phi_bspline *smoothed,
                                                   const struct phi_affine *pose,
                                                   struct phi_realign_look *ret_look);

/* step = inverse normal matrix times slope. */
void phi_realign_level_solve(const struct phi_realign_level *level, const double slope[6],
                             double ret_step[6]);

#endif
