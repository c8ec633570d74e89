/* SPDX-License-Identifier: MIT
 *
 * Rigid motion correction of a series against a reference volume. Gauss-Newton on the gradients of
 * the reference, whose normal matrix is factored once; residuals at the most informative points of
 * a 4 mm grid, on volumes smoothed with 5 mm, by cubic B-splines; a common intensity factor is
 * taken out in every step. Starts from the pose of the volume before; where that fails, and on
 * request for the first volume of another session, it goes from coarse to fine.
 *
 * Poses are image -> reference in world mm, as SPM's realignment parameters: x, y, z (mm), pitch,
 * roll, yaw (rad); a positive x means that the head moved to -x. All memory is taken at creation;
 * setting the reference and estimating may run on the live path. One object, one thread, except
 * that different slices may be resliced at once.
 */
#ifndef PHI_SIGNAL_REALIGN_H
#define PHI_SIGNAL_REALIGN_H

#include <stdint.h>

#include "signal/affine.h"

struct phi_realign;

/* 0 in a field means its default, given in brackets. */
struct phi_realign_config {
    double separation_mm;    /* of the points (4) */
    double fwhm_mm;          /* smoothing before comparing (5) */
    double keep;             /* share of the points that is used, most informative first (0.3) */
    double tolerance;        /* stops two steps after the mean square falls by less (0.01) */
    double jump_mm;          /* displacement between volumes that is flagged (5) */
    uint32_t max_iterations; /* per level (10) */
    bool far_start;          /* the first volume may be centimetres away from the reference */
};

/* What is wrong with a volume; none of them is fatal. */
enum phi_realign_flag {
    PHI_REALIGN_BAD_VALUES = 1u << 0,    /* NaN or Inf were taken as 0 */
    PHI_REALIGN_NO_SIGNAL = 1u << 1,     /* nothing positive: the pose is the last good one */
    PHI_REALIGN_NO_OVERLAP = 1u << 2,    /* too few points inside: last good pose */
    PHI_REALIGN_POOR_MATCH = 1u << 3,    /* does not look like the reference: last good pose */
    PHI_REALIGN_JUMP = 1u << 4,          /* moved more than jump_mm since the last good pose */
    PHI_REALIGN_NOT_CONVERGED = 1u << 5, /* still moving after max_iterations */
    PHI_REALIGN_RECOVERED = 1u << 6      /* the coarse levels were needed */
};

/* The flags with which the pose was not measured but held. */
#define PHI_REALIGN_HELD                                                                           \
    ((uint32_t)PHI_REALIGN_NO_SIGNAL | (uint32_t)PHI_REALIGN_NO_OVERLAP |                          \
     (uint32_t)PHI_REALIGN_POOR_MATCH)

struct phi_realign_result {
    double params[6];                     /* the pose, SPM's order: mm and rad */
    struct phi_affine image_to_reference; /* the same as a matrix */
    double fd_power_mm;                   /* since the volume before; 0 for the first */
    double fd_jenkinson_mm;
    double scale;       /* reference intensity over image intensity */
    double mean_square; /* of the last residual, in reference units */
    double correlation; /* of image and reference over the points */
    size_t n_points;
    size_t n_inside;
    size_t n_bad;          /* values that were not finite */
    uint32_t n_iterations; /* over all levels */
    uint32_t flags;        /* enum phi_realign_flag, or-ed */
};

/* Memory and plans for images of `image` against references of `reference`; the two grids may
 * differ in size and affine. PH_E_SHAPE, PH_E_INVAL, PH_E_NOMEM. Owned by the caller. */
PH_NODISCARD enum ph_status phi_realign_create(const struct phi_realign_config *config,
                                               const struct phi_grid *reference,
                                               const struct phi_grid *image,
                                               struct phi_realign **ret_realign,
                                               struct ph_error *reterr);

/* Frees it; accepts NULL and *realign == NULL, clears *realign. */
void phi_realign_destroy(struct phi_realign **realign);

/* Takes the reference volume[nz][ny][nx] (the first volume, a named one, or a stored mean) and
 * forgets the poses so far. PH_E_INVAL if it has too little structure to fix six parameters; the
 * object then has no reference. */
PH_NODISCARD enum ph_status phi_realign_set_reference(struct phi_realign *realign,
                                                      const float *volume);

/* The pose of volume[nz][ny][nx]. Always fills *ret_result with finite numbers. PH_E_STATE
 * without a reference. */
PH_NODISCARD enum ph_status phi_realign_estimate(struct phi_realign *realign, const float *volume,
                                                 struct phi_realign_result *ret_result);

/* The volume of the last estimate, moved by `pose`, on the reference grid: slices first_slice <= z
 * < last_slice of out[nz][ny][nx]. More than half a voxel outside the image: 0;
 * *ret_outside counts those voxels. */
PH_NODISCARD enum ph_status phi_realign_reslice(const struct phi_realign *realign,
                                                const struct phi_affine *pose, size_t first_slice,
                                                size_t last_slice, float *out, size_t *ret_outside);

/* Forgets the poses but keeps the reference: the next volume counts as the first. */
void phi_realign_restart(struct phi_realign *realign);

#endif
