/* SPDX-License-Identifier: MIT
 *
 * The parameters of filter/glm as the engine sees them. Included by glm.c alone.
 */
#ifndef PLUGINS_FILTER_GLM_PARAMS_TABLE_H
#define PLUGINS_FILTER_GLM_PARAMS_TABLE_H

#include "plugins/filter/glm/params.h"
#include "signal/ar1.h"
#include "signal/regressors.h"

static const char *const outputs[] = {"cleaned", "residual", "t", "effect", NULL};
static const char *const hrfs[] = {"spm", "glover", "library", "fir", NULL};
static const char *const drifts[] = {"none", "legendre", "dct", NULL};
static const char *const slice_orders[] = {
    "none", "ascending", "descending", "interleaved", "interleaved_odd", "siemens", NULL};
static const char *const motions[] = {"0", "6", "12", "24", NULL};

static const struct ph_param params_table[] = {
    PH_ENUM(
        struct params, output, OUT_CLEANED, outputs, 0,
        "cleaned: the volume less drift, motion and tissue signals, level and task kept, once the "
        "model knows them well enough (GATED before); "
        "residual: less the whole model; t, effect: the map of the contrast."),
    PH_STRING(struct params, conditions, "", 0,
              "Trial types that get a regressor, separated by commas."),
    PH_STRING(struct params, contrast, "", 0,
              "Weights of the conditions, as face-house or 0.5*face+0.5*place-house."),
    PH_ENUM(struct params, hrf, 0, hrfs, 0,
            "Haemodynamic response: SPM's, Glover's, a curve of the GLMsingle library, or none "
            "(fir: a column for each of fir_delays volumes after the onset; contrasts then take "
            "their mean)."),
    PH_INT(struct params, hrf_curve, 0, 0, PHI_HRF_LIBRARY_SIZE - 1, "", 0,
           "Curve of the library, fastest to slowest (hrf = library)."),
    PH_INT(struct params, fir_delays, 8, 1, PHI_REGRESSORS_MAX_FIR, "volumes", 0,
           "Delays that an event's response is followed over (hrf = fir)."),
    PH_INT(struct params, hrf_parts, 1, 1, 3, "", 0,
           "1: the response; 2: and its time derivative; 3: and its dispersion derivative."),
    PH_FLOAT(struct params, ref, 0.5, 0, 1, "TR", 0,
             "Instant within the TR that a volume stands for; 0 behind slicetime."),
    PH_ENUM(struct params, drift, 1, drifts, 0,
            "Slow regressors: Legendre polynomials or cosines on the planned run."),
    PH_INT(
        struct params, drift_order, -1, -1, PHI_REGRESSORS_MAX_DRIFT, "", 0,
        "Number of drift regressors; -1: from the length of the run (polynomials: 1 + duration / "
        "150 s; cosines: all periods above cutoff_s)."),
    PH_FLOAT(struct params, cutoff_s, 128, 10, 1e6, "s", 0,
             "Shortest period that counts as drift (drift = dct)."),
    PH_INT(struct params, planned_volumes, 0, 0, 1000000, "volumes", 0,
           "Length of the run that drift is laid over; 0: what the source says."),
    PH_ENUM(struct params, motion, 0, motions, 0,
            "Motion regressors: 6 parameters, 12 with derivatives, 24 with squares."),
    PH_BOOL(struct params, white_matter, 0, 0, "Uses the mean white-matter signal."),
    PH_BOOL(struct params, csf, 0, 0, "Uses the mean signal of cerebrospinal fluid."),
    PH_BOOL(struct params, global_signal, 0, 0, "Uses the mean signal over the mask."),
    PH_INT(struct params, noise_components, 0, 0, MAX_NOISE, "", 0,
           "Principal components of noise voxels as regressors, brought up to date every volume."),
    PH_PATH(struct params, noise_mask, "", 0,
            "NIfTI image of the noise voxels (white matter, fluid) on the grid of the volumes; "
            "behind a mask those that it holds; empty: "
            "the most variable voxels."),
    PH_FLOAT(struct params, noise_share, 0.02, 0.0001, 1, "", 0,
             "Share of the voxels that counts as most variable."),
    PH_INT(struct params, noise_volumes, 20, 2, 10000, "volumes", 0,
           "Usable volumes to choose the voxels, and as many again to find the components; the "
           "regressors are 0 until then."),
    PH_FLOAT(struct params, rho, 0, -0.99, 0.99, "", 0,
             "Lag-1 autocorrelation of the noise that rows are whitened with."),
    PH_INT(struct params, ar1_volumes, 0, 0, PHI_AR1_MAX_ROWS, "volumes", 0,
           "Estimates rho from the residuals of so many usable volumes (median over voxels), then "
           "takes them in once more, whitened. 0: rho is as given."),
    PH_STRING(
        struct params, maps, "", PH_PARAM_ASIDE,
        "Contrasts, separated by semicolons, whose t maps are shown over the brain and stored "
        "at the end of the run, as face-house; face. They are 0 below 10 degrees of freedom."),
    PH_FLOAT(struct params, map_threshold, 3.1, 0.01, 1000, "",
             (uint32_t)PH_PARAM_LIVE | (uint32_t)PH_PARAM_ASIDE,
             "Smallest absolute t value that the maps show."),
    PH_ENUM(
        struct params, slice_order, 0, slice_orders, 0,
        "Gives each slice responses at the time it was taken, in the place of filter/slicetime: "
        "the order in which the scanner takes the slices along z. ref then means nothing."),
    PH_INT(struct params, multiband, 1, 1, 64, "", 0, "Slices excited at once (slice_order)."),
    PH_FLOATS(
        struct params, slice_times_s, "", 0, 100, "s", 0,
        "The slices' times themselves, instead of an order (BIDS SliceTiming); one per slice, "
        "or the repeating pattern of one band."),
};

#endif
