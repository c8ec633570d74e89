/* SPDX-License-Identifier: MIT
 *
 * filter/normalise: percent signal change, z-scores or the mean removed, per voxel, against a
 * window of this run, all volumes so far, or the stored baseline of an earlier run of the session.
 */
#include "signal/normalise.h"
#include "plugins/filter/normalise/baseline_file.h"
#include "plugins/filter/voxels.h"

struct params {
    int32_t mode;
    int64_t baseline;
    int64_t baseline_start;
    const char *baseline_from;
    const char *store;
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
    PH_INT(struct params, baseline_start, 0, 0, 1000000, "volumes", 0,
           "Volumes before this one do not enter the baseline, as where rest begins later; output "
           "is 0 until it has begun."),
    PH_PATH(
        struct params, baseline_from, "", 0,
        "Baseline that an earlier run of the session has stored: used from the first volume on, "
        "in the place of one of this run."),
    PH_PATH(struct params, store, "", PH_PARAM_ASIDE,
            "File that the baseline goes to at the end of the run, for runs to come."),
    PH_BOOL(struct params, exclude_newest, 0, 0,
            "Judges a volume by those before it alone (baseline = 0)."),
    PH_FLOAT(struct params, floor, 1e-6, 0, 1e9, "", 0,
             "Voxels with a mean at or below this give 0 percent."),
    PH_FLOAT(struct params, time_constant, 50, 1, 100000, "volumes", 0,
             "Memory of the exponential mean (mode = ema)."),
};

struct state {
    const struct params *given;
    const struct ph_host *host;
    struct phi_normalise *kernel;
    struct baseline_file stored; /* n_values 0: this run's own baseline */
    const char *chain;           /* text of the filters before */
    size_t n;
    uint64_t layout;
    bool placed; /* the stored baseline lies in the kernel */
    bool told;
};

static enum ph_status read_stored(const struct params *given, const struct ph_spec *in,
                                  struct baseline_file *ret_stored, struct ph_error *reterr)
{
    enum ph_status status;

    if (given->mode == PHI_NORMALISE_EMA && (given->baseline_from[0] || given->store[0]))
        return phi_error(reterr, PH_E_INVAL, "mode = ema has no baseline to store or to take over");
    if (!given->baseline_from[0])
        return PH_OK;
    status =
        baseline_file_read(given->baseline_from, in->chain ? in->chain : "", ret_stored, reterr);
    if (status == PH_OK && in->layout && in->layout != ret_stored->layout)
        status = phi_error(reterr, PH_E_SHAPE,
                           "the baseline in '%s' is of other voxels than this run's mask",
                           given->baseline_from);
    return status;
}

static enum ph_status normalise_plan(const void *params, const struct ph_spec *in,
                                     struct ph_spec *ret_out, struct ph_error *reterr)
{
    struct baseline_file stored = {.layout = 0};
    enum ph_status status = voxels_plan(params, in, ret_out, reterr);

    if (status == PH_OK)
        status = read_stored(params, in, &stored, reterr);
    baseline_file_free(&stored);
    return status;
}

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
    enum ph_status status;

    (void)out;
    s->given = given;
    s->host = host;
    s->chain = in->chain ? in->chain : "";
    s->n = config.n_voxels;
    s->layout = in->layout;
    status = phi_normalise_create(&config, &s->kernel, reterr);
    return status == PH_OK ? read_stored(given, in, &s->stored, reterr) : status;
}

/* Puts the stored baseline into the kernel once the voxels are known to be those it is of. */
static enum ph_status place_stored(struct state *s)
{
    if (s->placed || s->stored.n_values == 0)
        return PH_OK;
    if (s->layout != s->stored.layout || s->n != s->stored.n_values) {
        if (!s->told)
            s->host->log(s->host->self, PH_LOG_ERROR, "normalise.baseline",
                         "the baseline in '%s' is of other voxels than this run's mask: give both "
                         "runs the same mask file",
                         s->given->baseline_from);
        s->told = true;
        return PH_E_SHAPE;
    }
    s->placed = true;
    return phi_normalise_load(s->kernel, s->stored.n_volumes, s->stored.mean, s->stored.m2);
}

static enum ph_status normalise_process(void *state, struct ph_io *io)
{
    struct state *s = state;
    size_t n = ph_frame_count(io->in);
    enum voxels_use use = voxels_use_of(io->in);
    bool early = io->in->index < (uint64_t)s->given->baseline_start;
    enum ph_status status = PH_OK;

    if (use == VOXELS_NOTHING)
        return PH_OK;
    if (n != s->n || io->in->layout != s->layout) {
        status = phi_normalise_resize(s->kernel, n);
        if (status != PH_OK)
            return status;
        s->n = n;
        s->layout = io->in->layout;
        s->placed = false;
    }
    status = place_stored(s);
    if (status != PH_OK)
        return status;
    phi_normalise_process(s->kernel, io->in->data, use == VOXELS_LEARN && !early);
    return PH_OK;
}

/* Leaves the baseline for the next runs. */
static enum ph_status normalise_end(void *state, struct ph_io *io)
{
    struct state *s = state;
    struct baseline_file file = {
        .layout = s->layout, .n_values = s->n, .n_volumes = phi_normalise_n(s->kernel)};
    struct ph_error err = {0};
    enum ph_status status;

    (void)io;
    if (!s->given->store[0] || file.n_volumes < 2)
        return PH_OK;
    status = baseline_file_write(s->given->store, s->chain, &file, phi_normalise_mean(s->kernel),
                                 phi_normalise_m2(s->kernel), &err);
    if (status != PH_OK)
        s->host->log(s->host->self, PH_LOG_ERROR, "normalise.store", "%s", err.text);
    return status;
}

static void normalise_reset(void *state)
{
    struct state *s = state;

    phi_normalise_reset(s->kernel);
    s->placed = s->told = false;
}

static void normalise_fini(void *state)
{
    struct state *s = state;

    phi_normalise_destroy(&s->kernel);
    baseline_file_free(&s->stored);
}

static const struct ph_stage_ops normalise_ops = {
    .struct_size = sizeof normalise_ops,
    .plan = normalise_plan,
    .init = normalise_init,
    .process = normalise_process,
    .end = normalise_end,
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
