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
    const struct phi_team *team;  /* NULL: alone */
    struct phi_ridge_fold *folds; /* [n_folds] */
    struct phi_ridge_whole whole;
};

/* Frees what a fold holds. */
void phi_ridge_fold_fini(struct phi_ridge_fold *fold);

/* One penalty for all targets: the number of the one with the least mean share of variance left
 * out of fold, by one product of the targets with themselves. Reads them once; what they are
 * refused for is as in phi_ridge_fit. */
PH_NODISCARD enum ph_status phi_ridge_choose_shared(const struct phi_ridge_plan *plan,
                                                    const struct phi_columns *targets,
                                                    size_t *ret_choice, struct ph_error *reterr);

/* The folds at that one penalty: ret_folds[n_folds] with their maps, owned by the caller. */
PH_NODISCARD enum ph_status phi_ridge_shared_folds(const struct phi_ridge_plan *plan, double lambda,
                                                   struct phi_ridge_fold *ret_folds,
                                                   struct ph_error *reterr);

/* The sd of what rounding leaves of a constant target is below this share of its mean. */
static inline bool phi_ridge_is_constant(double mean, double sd)
{
    return !(sd > 1e-7 * (mean < 0 ? -mean : mean));
}

#endif
