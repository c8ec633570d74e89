/* SPDX-License-Identifier: MIT
 *
 * Parameters of filter/glm. The table is in params_table.h.
 */
#ifndef PLUGINS_FILTER_GLM_PARAMS_H
#define PLUGINS_FILTER_GLM_PARAMS_H

#include "phosphene/param.h"

#define MAX_NOISE 10

enum response { RESPONSE_SPM, RESPONSE_GLOVER, RESPONSE_LIBRARY, RESPONSE_FIR };

enum output { OUT_CLEANED, OUT_RESIDUAL, OUT_T, OUT_EFFECT };

struct params {
    int32_t output;
    const char *conditions;
    const char *contrast;
    int32_t hrf;
    int64_t hrf_curve;
    int64_t fir_delays;
    int64_t hrf_parts;
    double ref;
    int32_t drift;
    int64_t drift_order;
    double cutoff_s;
    int64_t planned_volumes;
    int32_t motion;
    bool white_matter;
    bool csf;
    bool global_signal;
    int64_t noise_components;
    const char *noise_mask;
    double noise_share;
    int64_t noise_volumes;
    double rho;
    int64_t ar1_volumes;
    const char *maps;
    double map_threshold;
    int32_t slice_order;
    int64_t multiband;
    struct ph_floats slice_times_s;
};

#endif
