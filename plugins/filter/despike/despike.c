/* SPDX-License-Identifier: MIT
 *
 * filter/despike: the modified Kalman filter on every voxel or region signal. It smooths with about
 * 1.6 volumes of delay; for signals that are shown, not in front of a decoder with a model of time.
 */
#include "signal/despike.h"
#include "plugins/filter/voxels.h"

struct params {
    double sigma;
};

static const struct ph_param params_table[] = {
    PH_FLOAT(struct params, sigma, 0, 0, 1e9, "", 0,
             "Standard deviation of the signals; 0 learns each one's as it comes."),
};

struct state {
    const struct params *given;
    struct phi_despike *voxels; /* [n_capacity] */
    size_t n_capacity;
    uint64_t layout;
};

static void despike_reset(void *state)
{
    struct state *despike = state;

    for (size_t v = 0; v < despike->n_capacity; v++)
        phi_despike_init(&despike->voxels[v], despike->given->sigma);
}

static enum ph_status despike_init(void *state, const void *params, const struct ph_spec *in,
                                   const struct ph_spec *out, const struct ph_host *host,
                                   struct ph_error *reterr)
{
    struct state *despike = state;

    (void)out;
    despike->given = params;
    despike->n_capacity = voxels_capacity(in);
    despike->voxels = host->alloc(host->self, despike->n_capacity, sizeof *despike->voxels);
    if (!despike->voxels)
        return phi_error_nomem(reterr, "the despiking filters",
                               despike->n_capacity * sizeof *despike->voxels);
    despike_reset(despike);
    return PH_OK;
}

static enum ph_status despike_process(void *state, struct ph_io *io)
{
    struct state *despike = state;
    float *y = io->in->data;
    size_t n = ph_frame_count(io->in);

    if (voxels_use_of(io->in) != VOXELS_LEARN || n > despike->n_capacity)
        return PH_OK;
    if (io->in->layout != despike->layout) {
        despike_reset(despike);
        despike->layout = io->in->layout;
    }
    for (size_t v = 0; v < n; v++)
        y[v] = (float)phi_despike_step(&despike->voxels[v], (double)y[v]);
    return PH_OK;
}

static const struct ph_stage_ops despike_ops = {
    .struct_size = sizeof despike_ops,
    .plan = voxels_plan,
    .init = despike_init,
    .process = despike_process,
    .reset = despike_reset,
};

static const struct ph_stage_type despike_type = {
    .struct_size = sizeof despike_type,
    .kind = PH_STAGE_FILTER,
    .id = "filter/despike",
    .summary = "Hold back spikes in every signal, follow steps",
    .caps = PH_CAP_IN_PLACE | PH_CAP_STATEFUL | PH_CAP_DETERMINISTIC,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &despike_ops,
};

VOXELS_PLUGIN(filter_despike, "despike", despike_type)
