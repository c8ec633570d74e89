/* SPDX-License-Identifier: MIT
 *
 * The state of a decoder fit, shared by its two files: posterior_pass.c visits the voxels, and
 * posterior_fit.c does the algebra between the visits. Not for others.
 */
#ifndef PHI_DECODE_POSTERIOR_PRIVATE_H
#define PHI_DECODE_POSTERIOR_PRIVATE_H

#include "decode/posterior_fit.h"

#define PHI_FIT_CHUNK     1024
#define PHI_FIT_SUMS      4 /* partial Gram matrices, added in this fixed order */
#define PHI_FIT_PENALTIES 9 /* decades over 1e-3 .. 1e5 times the design's scale */

/* Voxels order[first .. first + n) share a penalty. */
struct phi_fit_group {
    size_t penalty, first, n;
};

struct phi_fit {
    const struct phi_posterior_data *data;
    const struct phi_posterior_options *options;
    struct phi_smoother *smoother;
    struct phi_posterior *out;
    struct ph_error *reterr;
    size_t n, p, q, n_threads, n_steps, step;
    double lambdas[PHI_FIT_PENALTIES];
    size_t n_lambdas;
    double *mean, *var_y;     /* [q] of the data */
    double *ss, *fourth, *sd; /* [q] residual mean square and fourth moment, noise sd */
    double *inverse;          /* [q] 1/sd, or 1/sd of the data while choosing a common penalty */
    uint8_t *choice;          /* [q] penalty */
    uint32_t *order;          /* [q] usable voxels by penalty */
    size_t n_used;
    struct phi_fit_group groups[PHI_FIT_PENALTIES];
    size_t n_groups;
    double lambda_now; /* penalty of m, r and r32 if has_maps */
    bool has_maps;
    double *m, *r;                     /* [p][n], [n][n] */
    float *m32, *r32;                  /* the maps a pass applies */
    double *gram;                      /* [PHI_FIT_SUMS][n][n] */
    double *g, *a, *zz;                /* [p][p], [p][n], [n][n] sums over groups */
    float *scratch;                    /* [n_threads][2][n][PHI_FIT_CHUNK] */
    float *scratch_gram;               /* [n_threads][n][n] */
    const struct phi_fit_group *group; /* of the current pass */
};

/* Pass 1: mean and variance of every voxel. */
PH_NODISCARD enum ph_status phi_fit_describe(struct phi_fit *fit);

/* Pass 2: residual moments of the used voxels under the current maps, kept where they are better
 * than those of the penalties before. */
PH_NODISCARD enum ph_status phi_fit_moments(struct phi_fit *fit, const struct phi_fit_group *group);

/* Pass 3: gram[0] = Yw Yw' of the group, both halves. */
PH_NODISCARD enum ph_status phi_fit_gram(struct phi_fit *fit, const struct phi_fit_group *group);

/* Pass 4: columns of W and c for the group, from the map m32 [p + n_free][n]: W, then constant and
 * nuisance. */
PH_NODISCARD enum ph_status phi_fit_weights(struct phi_fit *fit, const struct phi_fit_group *group);

#endif
