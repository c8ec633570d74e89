/* SPDX-License-Identifier: MIT
 *
 * filter/normalise: percent signal change, z-scores or the mean removed, per voxel, against the
 * first volumes or all so far.
 */
#include "signal/normalise.h"
#include "plugins/filter/voxels.h"

struct params {
    int32_t mode;
    int64_t baseline;
    bool exclude_newest;
    double floor;
    double time_constant;
};

static const char *const modes[] = {"percent", "zscore", "centre", "ema", NULL};

static const struct ph_param params_table[] = {
    PH_ENUM(struct params, mode, 1, modes, 0,
            "percent: signal change against the mean; zscore: mean and sd; centre: mean removed; "
            "ema: an exponential mean removed."),
    PH_INT(struct params, baseline, 0, 0, 100000, "volumes", 0,
           "Usable volumes that make the baseline, which is then frozen; 0: all volumes so far."),
    PH_BOOL(struct params, exclude_newest, 0, 0,
            "Judges a volume by those before it alone (baseline = 0)."),
    PH_FLOAT(struct params, floor, 1e-6, 0, 1e9, "", 0,
             "Voxels with a mean at or below this give 0 percent."),
    PH_FLOAT(struct params, time_constant, 50, 1, 100000, "volumes", 0,
             "Memory of the exponential mean (mode = ema)."),
};

struct state {
    struct phi_normalise *kernel;
    size_t n;
    uint64_t layout;
};

static enum ph_status normalise_init(void *state, const void *params, const struct ph_spec *in,
                                     const struct ph_spec *out, const struct ph_host *host,
                                     struct ph_error *reterr)
{
    struct state *s = state;
    const struct params *given = params;
    const struct phi_normalise_config config = {
        .n_voxels = voxels_capacity(in),
        .mode = (enum phi_normalise_mode)given->mode,
        .n_baseline = (size_t)given->baseline,
        .exclude_newest = given->exclude_newest,
        .floor = given->floor,
        .ema_keep = 1 - 1 / given->time_constant,
    };

    (void)out;
    (void)host;
    s->n = config.n_voxels;
    s->layout = in->layout;
    return phi_normalise_create(&config, &s->kernel, reterr);
}

static enum ph_status normalise_process(void *state, struct ph_io *io)
{
    struct state *s = state;
    size_t n = ph_frame_count(io->in);
    enum voxels_use use = voxels_use_of(io->in);

    if (use == VOXELS_NOTHING)
        return PH_OK;
    if (n != s->n || io->in->layout != s->layout) {
        enum ph_status status = phi_normalise_resize(s->kernel, n);

        if (status != PH_OK)
            return status;
        s->n = n;
        s->layout = io->in->layout;
    }
    phi_normalise_process(s->kernel, io->in->data, use == VOXELS_LEARN);
    return PH_OK;
}

static void normalise_reset(void *state)
{
    struct state *s = state;

    phi_normalise_reset(s->kernel);
}

static void normalise_fini(void *state)
{
    struct state *s = state;

    phi_normalise_destroy(&s->kernel);
}

static const struct ph_stage_ops normalise_ops = {
    .struct_size = sizeof normalise_ops,
    .plan = voxels_plan,
    .init = normalise_init,
    .process = normalise_process,
    .reset = normalise_reset,
    .fini = normalise_fini,
};

static const struct ph_stage_type normalise_type = {
    .struct_size = sizeof normalise_type,
    .kind = PH_STAGE_FILTER,
    .id = "filter/normalise",
    .summary = "Bring every voxel to percent signal change or z-scores",
    .caps = PH_CAP_IN_PLACE | PH_CAP_STATEFUL | PH_CAP_DETERMINISTIC,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &normalise_ops,
};

VOXELS_PLUGIN(filter_normalise, "normalise", normalise_type)
