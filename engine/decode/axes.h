/* SPDX-License-Identifier: MIT
 *
 * Directions of latent space along which an attribute changes: attributes regressed on latents by
 * ridge, each direction of unit length, and on request some made orthogonal and taken out of all
 * others, so that moving along these leaves those attributes alone (after TL-GAN, Guan 2018). Plain
 * functions, one thread.
 */
#ifndef PHI_DECODE_AXES_H
#define PHI_DECODE_AXES_H

#include <stddef.h>

#include "phosphene/status.h"

struct phi_axes_problem {
    const double *x; /* [n][p] latents */
    const double *y; /* [n][k] attributes */
    size_t n, p, k;
    const size_t *base; /* [n_base] attributes kept in turn, the others lose their share of them */
    size_t n_base;      /* 0: no axis is changed */
};

struct phi_axes {
    size_t p, k;
    double *axis;          /* [k][p], rows of unit length; 0 where nothing is left of an axis */
    double *slope;         /* [k] change of the attribute a unit along its axis */
    double *intercept;     /* [k] */
    double *r2;            /* [k] explained of rows left out, one at a time */
    double *cosine;        /* [k][k] between axes */
    double *cosine_before; /* [k][k] the same before anything was made orthogonal */
};

/* Fits; each attribute has the penalty that predicts rows left out best. PH_E_INVAL for an
 * attribute number out of range; else as phi_ridge_path_create. Owned by the caller. */
PH_NODISCARD enum ph_status phi_axes_fit(const struct phi_axes_problem *problem,
                                         struct phi_axes **ret_axes, struct ph_error *reterr);

/* Frees; accepts NULL and *axes == NULL, clears *axes. */
void phi_axes_destroy(struct phi_axes **axes);

#endif
