/* SPDX-License-Identifier: MIT
 *
 * filter/drop: marks the volumes before the signal has settled (T1 saturation) as DUMMY: a given
 * number, or until the mean signal no longer falls. They still pass, so that volume numbers and the
 * display stay whole, but no estimator learns from them.
 */
#include "plugins/filter/voxels.h"
#include "signal/quality.h"

struct params {
    int64_t volumes;
    bool detect;
    double tolerance_percent;
    int64_t most;
};

static const struct ph_param params_table[] = {
    PH_INT(struct params, volumes, 0, 0, 1000, "volumes", 0,
           "Marks this many volumes at the start, whatever they look like."),
    PH_BOOL(struct params, detect, 0, 0,
            "Also marks the first volume and all that follow while the mean signal still falls."),
    PH_FLOAT(struct params, tolerance_percent, 0.5, 0.001, 50, "%", 0,
             "A fall from volume to volume by more than this counts as not settled."),
    PH_INT(struct params, most, 10, 1, 1000, "volumes", 0,
           "The signal is taken as settled after this many volumes at the latest."),
};

struct state {
    const struct params *given;
    struct phi_settling settling;
};

static void drop_reset(void *state)
{
    struct state *drop = state;

    drop->settling =
        (struct phi_settling){.tolerance = drop->given->tolerance_percent / 100,
                              .n_max = drop->given->detect ? (size_t)drop->given->most : 0};
}

static enum ph_status drop_init(void *state, const void *params, const struct ph_spec *in,
                                const struct ph_spec *out, const struct ph_host *host,
                                struct ph_error *reterr)
{
    struct state *drop = state;

    (void)in;
    (void)out;
    (void)host;
    (void)reterr;
    drop->given = params;
    drop_reset(drop);
    return PH_OK;
}

static double mean_of(const float *y, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)y[i];
    return sum / (double)n;
}

static enum ph_status drop_process(void *state, struct ph_io *io)
{
    struct state *drop = state;
    bool dummy = io->in->index < (uint64_t)drop->given->volumes;

    if (!drop->settling.settled && voxels_use_of(io->in) != VOXELS_NOTHING)
        dummy |= phi_settling_step(&drop->settling, mean_of(io->in->data, ph_frame_count(io->in)));
    if (dummy)
        io->in->flags |= (uint32_t)PH_FLAG_DUMMY;
    return PH_OK;
}

static const struct ph_stage_ops drop_ops = {
    .struct_size = sizeof drop_ops,
    .plan = voxels_plan,
    .init = drop_init,
    .process = drop_process,
    .reset = drop_reset,
};

static const struct ph_stage_type drop_type = {
    .struct_size = sizeof drop_type,
    .kind = PH_STAGE_FILTER,
    .id = "filter/drop",
    .summary = "Mark the volumes before the signal has settled",
    .caps = PH_CAP_IN_PLACE | PH_CAP_STATEFUL | PH_CAP_DETERMINISTIC,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &drop_ops,
};

VOXELS_PLUGIN(filter_drop, "drop", drop_type)
