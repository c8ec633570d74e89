/* SPDX-License-Identifier: MIT
 *
 * What a ridge plan is made of; shared by ridge_plan.c, which builds it, and ridge_fit.c, which
 * runs it.
 */
#ifndef PHI_DECODE_RIDGE_PLAN_H
#define PHI_DECODE_RIDGE_PLAN_H

#include "decode/ridge_block.h"
#include "decode/ridge_fit.h"

/* Targets one thread works on at a time: enough columns for the products to run at full speed. */
#define PHI_RIDGE_SLICE 512

struct phi_ridge_plan {
    size_t n, n_out, n_folds, n_lambdas, n_block, n_threads;
    double *lambdas; /* [n_lambdas] */
    enum phi_ridge_choice choice;
    bool within_one_sd, allow_constant, errors_only, estimates;
    enum phi_dtype dtype;
    struct phi_progress progress;
    struct phi_ridge_fold *folds; /* [n_folds] */
    struct phi_ridge_whole whole;
};

#endif
