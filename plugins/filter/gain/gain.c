/* SPDX-License-Identifier: MIT
 *
 * filter/gain: out = factor * in + offset, on volumes or vectors. A unit conversion, and the
 * pattern for a filter in place without state.
 */
#include "phosphene/plugin.h"

struct params {
    double factor;
    double offset;
};

static const struct ph_param params_table[] = {
    PH_FLOAT(struct params, factor, 1.0, -1e6, 1e6, "", PH_PARAM_LIVE, "Multiplies every value."),
    PH_FLOAT(struct params, offset, 0.0, -1e9, 1e9, "", PH_PARAM_LIVE,
             "Is added after the multiplication."),
};

struct state {
    struct params now;
};

static enum ph_status gain_init(void *state, const void *params, const struct ph_spec *in,
                                const struct ph_spec *out, const struct ph_host *host,
                                struct ph_error *reterr)
{
    struct state *gain = state;
    const struct params *given = params;

    (void)in;
    (void)out;
    (void)host;
    (void)reterr;
    gain->now = *given;
    return PH_OK;
}

static enum ph_status gain_process(void *state, struct ph_io *io)
{
    const struct state *gain = state;
    float factor = (float)gain->now.factor;
    float offset = (float)gain->now.offset;
    float *value = io->in->data;
    size_t n = ph_frame_count(io->in);

    if (io->in->flags & PH_FLAG_GAP)
        return PH_OK;
    for (size_t i = 0; i < n; i++)
        value[i] = factor * value[i] + offset;
    return PH_OK;
}

static void gain_update(void *state, const void *params)
{
    struct state *gain = state;
    const struct params *given = params;

    gain->now = *given;
}

static const struct ph_stage_ops gain_ops = {
    .struct_size = sizeof gain_ops,
    .init = gain_init,
    .process = gain_process,
    .update = gain_update,
};

static const struct ph_stage_type gain_type = {
    .struct_size = sizeof gain_type,
    .kind = PH_STAGE_FILTER,
    .id = "filter/gain",
    .summary = "Multiply every value by a factor and add an offset",
    .caps = PH_CAP_IN_PLACE | PH_CAP_DETERMINISTIC,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &gain_ops,
};

static const struct ph_stage_type *const types[] = {&gain_type};

static const struct ph_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi_major = PH_ABI_MAJOR,
    .abi_minor = 0,
    .n_types = 1,
    .name = "gain",
    .version = "1.0",
    .licence = "MIT",
    .types = types,
};

PH_PLUGIN_EXPORT(filter_gain, plugin)
