/* SPDX-License-Identifier: MIT
 *
 * The parts of `phos fit ridge`: what was asked for, what a fit holds, and its steps in their order
 * - inputs, products of the volumes, solution - each a file of its own. Set-up code; one thread, in
 * each of several processes with --mpi.
 */
#ifndef TOOLS_FIT_RIDGE_H
#define TOOLS_FIT_RIDGE_H

#include <time.h>

#include "cli.h"
#include "decode/lags.h"
#include "decode/ridge_fit.h"
#include "fit/ridge_model.h"
#include "fit/spread.h"
#include "fit/targets.h"
#include "fit/team.h"
#include "fit/voxels.h"

#define RIDGE_MAX_LAGS      32
#define RIDGE_MAX_PENALTIES 64

enum ridge_form { RIDGE_AUTO, RIDGE_DUAL, RIDGE_PRIMAL, RIDGE_SVD };
enum ridge_choose { RIDGE_KFOLD, RIDGE_LOO, RIDGE_GCV };

struct ridge_args {
    struct cli_list bold;
    struct cli_list plugins;
    const char *run, *mask, *voxels, *targets, *tensor, *out, *estimates, *lags, *penalties,
        *fold_starts, *form_name, *choose_name, *bands;
    int64_t n_folds, gap, n_top, n_threads, n_block, n_draws, seed;
    double drift_s, min_r2;
    bool leave_run_out, shared, one_sd, raw, dual, float64, allow_constant, separate, mpi, json;
    enum ridge_form form;
    enum ridge_choose choose;
};

/* Everything a fit holds, freed in one place. */
struct ridge_fit {
    const struct ridge_args *args;
    struct phi_registry *registry;
    struct fit_voxels voxels;
    struct fit_targets targets;
    struct phi_columns target_columns, voxel_columns;
    struct phi_columns_memory voxel_memory;
    int lag_volumes[RIDGE_MAX_LAGS], zero_lag;
    struct phi_lags lags;
    uint32_t *file_rows, *rows; /* [n] rows of the targets file; [n] rows of x */
    size_t n;                   /* rows fitted */
    struct phi_folds folds;
    double *k; /* [n][n] */
    double *k_of_fold[PHI_FOLDS_MAX];
    double *mean, *scale; /* [q] */
    unsigned char *keep;  /* [q] or NULL */
    double unit;          /* of the penalties: mean diagonal of k, over the number of bands */
    double lambdas[RIDGE_MAX_PENALTIES];
    size_t n_lambdas;
    struct ridge_model *model;
    struct fit_team *team; /* NULL: alone */
    struct fit_team own_team;
    struct spread *spread; /* with a team */
    struct phi_columns_part part;
    struct phi_columns own_columns; /* this process's targets */
    size_t n_bands;                 /* 0: plain ridge */
    uint32_t *band;                 /* [q] band of each voxel, NULL where the lags are the bands */
    double **k_of_band;             /* [n_bands] of [n][n] */
    double *share;                  /* [t][n_bands] found */
    struct phi_progress progress;
    struct timespec stage_start;
    char stage[64];
};

/* Threads of this process: the machine's processors shared by those of its processes; 0: all. */
size_t ridge_threads(const struct ridge_fit *fit);

/* The form that `auto` comes to: primal where that is smaller and possible. */
enum ridge_form ridge_form_of(const struct ridge_fit *fit);

/* Lags and penalties as they were given. */
PH_NODISCARD enum ph_status ridge_parse(struct ridge_fit *fit, struct ph_error *reterr);

/* Opens targets and voxels, settles rows and folds. */
PH_NODISCARD enum ph_status ridge_open_inputs(struct ridge_fit *fit, struct ph_error *reterr);

/* Bands of the voxels, after the inputs. */
PH_NODISCARD enum ph_status ridge_read_bands(struct ridge_fit *fit, struct ph_error *reterr);

/* Products of the volumes over the voxels that are kept, which end standardised. */
PH_NODISCARD enum ph_status ridge_prepare(struct ridge_fit *fit, struct ph_error *reterr);

/* Those products, ret_k[n][n], over the voxels in `keep` (NULL: all); sets mean and scale. */
PH_NODISCARD enum ph_status ridge_gram(struct ridge_fit *fit, const unsigned char *keep,
                                       double *ret_k, struct ph_error *reterr);

/* Solves and writes the model. */
PH_NODISCARD enum ph_status ridge_write(struct ridge_fit *fit, struct phi_ridge_report *report,
                                        struct ph_error *reterr);

/* Standardised voxels of all lags side by side, float64, [n][L * q]; the caller frees them. */
PH_NODISCARD enum ph_status ridge_wide_columns(const struct ridge_fit *fit, double **ret_x,
                                               struct ph_error *reterr);

/* By one SVD: weights at penalties chosen by leave-one-out, GCV or (already, in `lambda`) folds. */
PH_NODISCARD enum ph_status ridge_solve_svd(struct ridge_fit *fit,
                                            const struct phi_ridge_sink *sink,
                                            struct phi_ridge_report *report,
                                            struct ph_error *reterr);

/* Banded ridge: the products of each band, then the search for shares and penalties. */
PH_NODISCARD enum ph_status ridge_band_grams(struct ridge_fit *fit, struct ph_error *reterr);
PH_NODISCARD enum ph_status ridge_write_bands(struct ridge_fit *fit,
                                              const struct phi_ridge_sink *sink,
                                              struct phi_ridge_report *report,
                                              struct ph_error *reterr);

#endif
