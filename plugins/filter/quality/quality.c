/* SPDX-License-Identifier: MIT
 *
 * filter/quality: puts DVARS, tSNR, outliers, global correlation, drift and spikes on the frame's
 * quality record, where the display, the feedback socket and the recording find them. Values pass
 * unchanged. It belongs behind motion correction and mask, before anything that removes the mean.
 */
#include "signal/quality.h"
#include "plugins/filter/voxels.h"

struct params {
    int64_t window;
    double spike_std_dvars;
    double spike_outlier_fraction;
};

static const struct ph_param params_table[] = {
    PH_INT(struct params, window, 128, 16, 4096, "volumes", 0,
           "Newest volumes that robust figures are taken over."),
    PH_FLOAT(struct params, spike_std_dvars, 2, 0.1, 1000, "", 0,
             "A volume with a standardised DVARS above this is a spike."),
    PH_FLOAT(struct params, spike_outlier_fraction, 0.1, 0.001, 1, "", 0,
             "A volume with a larger share of outlying voxels is a spike."),
};

struct state {
    struct phi_quality *kernel;
    size_t n;
    uint64_t layout;
};

static enum ph_status quality_init(void *state, const void *params, const struct ph_spec *in,
                                   const struct ph_spec *out, const struct ph_host *host,
                                   struct ph_error *reterr)
{
    struct state *s = state;
    const struct params *given = params;
    const struct phi_quality_config config = {
        .n_voxels = voxels_capacity(in),
        .n_window = (size_t)given->window,
        .spike_std_dvars = given->spike_std_dvars,
        .spike_outlier_fraction = given->spike_outlier_fraction,
    };

    (void)out;
    (void)host;
    s->n = config.n_voxels;
    s->layout = in->layout;
    return phi_quality_create(&config, &s->kernel, reterr);
}

static void write_figures(const struct phi_quality_figures *f, struct ph_quality *out)
{
    out->dvars = (float)f->dvars;
    out->std_dvars = (float)f->std_dvars;
    out->tsnr = (float)f->tsnr;
    out->global_signal = (float)f->global_signal;
    out->outlier_fraction = (float)f->outlier_fraction;
    out->gcor = (float)f->gcor;
    out->drift_percent = (float)f->drift_percent;
    out->n_spikes = (float)f->n_spikes;
}

static enum ph_status quality_process(void *state, struct ph_io *io)
{
    struct state *s = state;
    struct phi_quality_figures figures;
    enum voxels_use use = voxels_use_of(io->in);
    size_t n = ph_frame_count(io->in);

    if (use == VOXELS_NOTHING) {
        phi_quality_gap(s->kernel);
        return PH_OK;
    }
    if (n != s->n || io->in->layout != s->layout) {
        enum ph_status status = phi_quality_resize(s->kernel, n);

        if (status != PH_OK)
            return status;
        s->n = n;
        s->layout = io->in->layout;
    }
    phi_quality_process(s->kernel, io->in->data, use == VOXELS_LEARN, &figures);
    write_figures(&figures, &io->in->quality);
    return PH_OK;
}

static void quality_reset(void *state)
{
    struct state *s = state;

    phi_quality_reset(s->kernel);
}

static void quality_fini(void *state)
{
    struct state *s = state;

    phi_quality_destroy(&s->kernel);
}

static const struct ph_stage_ops quality_ops = {
    .struct_size = sizeof quality_ops,
    .plan = voxels_plan,
    .init = quality_init,
    .process = quality_process,
    .reset = quality_reset,
    .fini = quality_fini,
};

static const struct ph_stage_type quality_type = {
    .struct_size = sizeof quality_type,
    .kind = PH_STAGE_FILTER,
    .id = "filter/quality",
    .summary = "Measure every volume: DVARS, tSNR, outliers, drift, spikes",
    .caps = PH_CAP_IN_PLACE | PH_CAP_STATEFUL | PH_CAP_DETERMINISTIC,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &quality_ops,
};

VOXELS_PLUGIN(filter_quality, "quality", quality_type)
