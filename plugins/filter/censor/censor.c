/* SPDX-License-Identifier: MIT
 *
 * filter/censor: marks volumes that moved or spiked as CENSORED, by the quality figures that stages
 * before it have put on the frame. What was not measured does not censor.
 */
#include "signal/censor.h"
#include "plugins/filter/voxels.h"

struct params {
    double fd_mm;
    double std_dvars;
    double outlier_fraction;
    int64_t after;
};

static const struct ph_param params_table[] = {
    PH_FLOAT(struct params, fd_mm, 0.5, 0, 100, "mm", PH_PARAM_LIVE,
             "Censors above this framewise displacement (Power); 0 turns the rule off."),
    PH_FLOAT(struct params, std_dvars, 2, 0, 1000, "", PH_PARAM_LIVE,
             "Censors above this standardised DVARS; 0 turns the rule off."),
    PH_FLOAT(struct params, outlier_fraction, 0.1, 0, 1, "", PH_PARAM_LIVE,
             "Censors above this share of outlying voxels; 0 turns the rule off."),
    PH_INT(struct params, after, 1, 0, 100, "volumes", PH_PARAM_LIVE,
           "Censors this many volumes after a bad one too (spin history)."),
};

struct state {
    struct phi_censor censor;
    const struct params *given;
};

static struct phi_censor_config config_of(const struct params *given)
{
    return (struct phi_censor_config){given->fd_mm, given->std_dvars, given->outlier_fraction,
                                      (size_t)given->after};
}

static void censor_reset(void *state)
{
    struct state *censor = state;
    struct phi_censor_config config = config_of(censor->given);

    phi_censor_init(&censor->censor, &config);
}

static enum ph_status censor_init(void *state, const void *params, const struct ph_spec *in,
                                  const struct ph_spec *out, const struct ph_host *host,
                                  struct ph_error *reterr)
{
    struct state *censor = state;

    (void)in;
    (void)out;
    (void)host;
    (void)reterr;
    censor->given = params;
    censor_reset(censor);
    return PH_OK;
}

static enum ph_status censor_process(void *state, struct ph_io *io)
{
    struct state *censor = state;
    const struct ph_quality *q = &io->in->quality;
    const struct phi_censor_figures figures = {(double)q->fd_mm, (double)q->std_dvars,
                                               (double)q->outlier_fraction};

    if (!(io->in->flags & (uint32_t)PH_FLAG_GAP) && phi_censor_step(&censor->censor, &figures))
        io->in->flags |= (uint32_t)PH_FLAG_CENSORED;
    return PH_OK;
}

static void censor_update(void *state, const void *params)
{
    struct state *censor = state;

    censor->given = params;
    censor->censor.config = config_of(params);
}

static const struct ph_stage_ops censor_ops = {
    .struct_size = sizeof censor_ops,
    .plan = voxels_plan,
    .init = censor_init,
    .process = censor_process,
    .update = censor_update,
    .reset = censor_reset,
};

static const struct ph_stage_type censor_type = {
    .struct_size = sizeof censor_type,
    .kind = PH_STAGE_FILTER,
    .id = "filter/censor",
    .summary = "Mark volumes that moved or spiked, so that estimators skip them",
    .caps = PH_CAP_IN_PLACE | PH_CAP_STATEFUL | PH_CAP_DETERMINISTIC,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &censor_ops,
};

VOXELS_PLUGIN(filter_censor, "censor", censor_type)
