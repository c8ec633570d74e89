/* SPDX-License-Identifier: MIT
 *
 * filter/deadband: values nearer to zero than `width` become zero. A complete plugin on one page.
 */
#include "phosphene/plugin.h"

struct params {
    double width;
};

static const struct ph_param param_table[] = {
    PH_FLOAT(struct params, width, 0.1, 0, 1e6, "", PH_PARAM_LIVE,
             "Values between -width and width become zero."),
};

struct state {
    float width;
};

/* Called when the values change while a run is on, and by init. */
static void update(void *state, const void *params)
{
    struct state *s = state;
    const struct params *p = params;

    s->width = (float)p->width;
}

/* May allocate with host->alloc and read files; `in` and `out` say what will come and go. */
static enum ph_status init(void *state, const void *params, const struct ph_spec *in,
                           const struct ph_spec *out, const struct ph_host *host,
                           struct ph_error *reterr)
{
    (void)in;
    (void)out;
    (void)reterr;
    update(state, params);
    host->log(host->self, PH_LOG_DEBUG, "deadband.init", "ready");
    return PH_OK;
}

/* Once a volume; must not allocate or block. In place: what stands in io->in goes on. */
static enum ph_status process(void *state, struct ph_io *io)
{
    const struct state *s = state;
    float *value = io->in->data;
    size_t n = ph_frame_count(io->in);

    if (io->in->flags & PH_FLAG_GAP)
        return PH_OK; /* a missing volume: its payload means nothing */
    for (size_t i = 0; i < n; i++)
        if (value[i] > -s->width && value[i] < s->width)
            value[i] = 0;
    return PH_OK;
}

static const struct ph_stage_ops ops = {
    .struct_size = sizeof ops, .init = init, .process = process, .update = update};

static const struct ph_stage_type type = {
    .struct_size = sizeof type,
    .kind = PH_STAGE_FILTER,
    .id = "filter/deadband",
    .summary = "Set small values to zero",
    .caps = PH_CAP_IN_PLACE | PH_CAP_DETERMINISTIC,
    .n_params = 1,
    .params = param_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &ops,
};

static const struct ph_stage_type *const types[] = {&type};

static const struct ph_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi_major = PH_ABI_MAJOR,
    .abi_minor = 0,
    .n_types = 1,
    .name = "deadband",
    .version = "1.0",
    .licence = "MIT",
    .types = types,
};

PH_PLUGIN_EXPORT(filter_deadband, plugin)
