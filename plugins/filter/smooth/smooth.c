/* SPDX-License-Identifier: MIT
 *
 * filter/smooth: Gaussian smoothing of volumes in place (engine/signal/smooth).
 */
#include "signal/smooth.h"
#include "phosphene/plugin.h"
#include "signal/geometry.h"

#include "base/error.h"

struct params {
    double fwhm_mm;
    int32_t method;
};

static const char *const methods[] = {"auto", "separable", "fft", NULL};

static const struct ph_param params_table[] = {
    PH_FLOAT(struct params, fwhm_mm, 5.0, 0.0, 50.0, "mm", 0,
             "Full width at half maximum of the Gaussian. 0 leaves the data alone."),
    PH_ENUM(struct params, method, PHI_SMOOTH_AUTO, methods, 0,
            "Sums along each axis, FFT, or the cheaper of the two; the results are the same to "
            "rounding."),
};

struct state {
    struct phi_smooth *smooth;
    size_t n_usual; /* values that are not finite in every volume: the scanner's background */
    bool counted;
};

static enum ph_status smooth_plan(const void *params, const struct ph_spec *in,
                                  struct ph_spec *ret_out, struct ph_error *reterr)
{
    struct phi_grid grid = phi_grid_from_geometry(&in->geometry);

    (void)params;
    (void)ret_out;
    if (in->kind != PH_FRAME_VOLUME)
        return phi_error(reterr, PH_E_SHAPE,
                         "smoothing takes volumes: put it before the mask in the list of filters");
    return phi_grid_check(&grid, "the volumes of this scan", reterr);
}

static enum ph_status smooth_init(void *state, const void *params, const struct ph_spec *in,
                                  const struct ph_spec *out, const struct ph_host *host,
                                  struct ph_error *reterr)
{
    struct state *s = state;
    const struct params *p = params;
    const struct phi_smooth_config config = {
        .fwhm_mm = {p->fwhm_mm, p->fwhm_mm, p->fwhm_mm},
        .method = (uint32_t)p->method,
    };
    struct phi_grid grid = phi_grid_from_geometry(&in->geometry);

    (void)out;
    (void)host;
    return phi_smooth_plan(&config, &grid, &s->smooth, reterr);
}

static enum ph_status smooth_process(void *state, struct ph_io *io)
{
    struct state *s = state;
    float *volume = io->in->data;
    size_t n_bad;

    if (io->in->flags & PH_FLAG_GAP)
        return PH_OK;
    n_bad = phi_smooth_process(s->smooth, volume, volume);
    if (!s->counted && n_bad <= ph_frame_count(io->in) / 2) {
        s->n_usual = n_bad;
        s->counted = true;
    }
    if (n_bad > s->n_usual)
        io->in->flags |= PH_FLAG_INVALID;
    return PH_OK;
}

static void smooth_reset(void *state)
{
    struct state *s = state;

    s->n_usual = 0;
    s->counted = false;
}

static void smooth_fini(void *state)
{
    struct state *s = state;

    phi_smooth_destroy(&s->smooth);
}

static const struct ph_stage_ops smooth_ops = {
    .struct_size = sizeof smooth_ops,
    .plan = smooth_plan,
    .init = smooth_init,
    .process = smooth_process,
    .reset = smooth_reset,
    .fini = smooth_fini,
};

static const struct ph_stage_type smooth_type = {
    .struct_size = sizeof smooth_type,
    .kind = PH_STAGE_FILTER,
    .id = "filter/smooth",
    .summary = "Smooth volumes with a Gaussian",
    .caps = PH_CAP_IN_PLACE | PH_CAP_STATEFUL | PH_CAP_DETERMINISTIC,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &smooth_ops,
};

static const struct ph_stage_type *const types[] = {&smooth_type};

static const struct ph_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi_major = PH_ABI_MAJOR,
    .abi_minor = 0,
    .n_types = 1,
    .name = "smooth",
    .version = "1.0",
    .licence = "MIT",
    .types = types,
};

PH_PLUGIN_EXPORT(filter_smooth, plugin)
