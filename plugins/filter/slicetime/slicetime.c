/* SPDX-License-Identifier: MIT
 *
 * filter/slicetime: brings every slice to one instant of its volume, linearly between this volume
 * and the one before; no volume is waited for.
 */
#include <string.h>

#include "plugins/filter/voxels.h"
#include "signal/slicetime.h"

#define MAX_SLICES 1024

struct params {
    int32_t order;
    int64_t multiband;
    struct ph_floats times_s;
    double ref_s;
};

static const char *const orders[] = {"ascending",       "descending", "interleaved",
                                     "interleaved_odd", "siemens",    NULL};

static const struct ph_param params_table[] = {
    PH_ENUM(struct params, order, 0, orders, 0,
            "Order in which the scanner takes the slices along z: interleaved is 0 2 4 ... 1 3 5, "
            "siemens begins odd for an even number of slices."),
    PH_INT(struct params, multiband, 1, 1, 64, "", 0, "Slices excited at once."),
    PH_FLOATS(struct params, times_s, "", 0, 100, "s", 0,
              "Time of each slice from the start of its volume, instead of an order (BIDS "
              "SliceTiming); one per slice, or the repeating pattern of one band."),
    PH_FLOAT(struct params, ref_s, 0, 0, 100, "s", 0,
             "Instant that all slices are brought to; not later than the first slice."),
};

struct state {
    struct phi_slicetime *kernel;
};

/* Slice times in seconds, from the list (repeated over bands) or the order. */
static enum ph_status slice_times(const struct params *given, const struct ph_spec *in,
                                  double *ret_times_s, struct ph_error *reterr)
{
    size_t n = in->dims[0];
    size_t listed = given->times_s.n;

    if (n > MAX_SLICES)
        return phi_error(reterr, PH_E_LIMIT, "%zu slices: at most %d are corrected", n, MAX_SLICES);
    if (listed > 0 && n % listed != 0)
        return phi_error(reterr, PH_E_SHAPE,
                         "times_s lists %zu slices, the volumes have %zu: give one time per slice, "
                         "or those of one band",
                         listed, n);
    for (size_t i = 0; listed > 0 && i < n; i++)
        ret_times_s[i] = given->times_s.value[i % listed];
    if (listed == 0 &&
        phi_slice_times((enum phi_slice_order)given->order, n, (size_t)given->multiband,
                        in->geometry.tr_s, ret_times_s) != PH_OK)
        return phi_error(reterr, PH_E_INVAL, "multiband = %d does not divide %zu slices",
                         (int)given->multiband, n);
    return PH_OK;
}

static enum ph_status make_kernel(const struct params *given, const struct ph_spec *in,
                                  struct phi_slicetime **ret_kernel, struct ph_error *reterr)
{
    double times_s[MAX_SLICES];
    const struct phi_slicetime_config config = {
        .n_slices = in->dims[0],
        .slice_voxels = (size_t)in->dims[1] * in->dims[2],
        .tr_s = in->geometry.tr_s,
        .ref_s = given->ref_s,
        .times_s = times_s,
    };
    enum ph_status status = slice_times(given, in, times_s, reterr);

    return status == PH_OK ? phi_slicetime_create(&config, ret_kernel, reterr) : status;
}

static enum ph_status slicetime_plan(const void *params, const struct ph_spec *in,
                                     struct ph_spec *ret_out, struct ph_error *reterr)
{
    struct phi_slicetime *trial = NULL;
    enum ph_status status = voxels_check(in, reterr);

    (void)ret_out;
    if (status == PH_OK && in->kind != PH_FRAME_VOLUME)
        return phi_error(reterr, PH_E_SHAPE, "slices are gone after the mask: place it before");
    if (status == PH_OK)
        status = make_kernel(params, in, &trial, reterr);
    phi_slicetime_destroy(&trial);
    return status;
}

static enum ph_status slicetime_init(void *state, const void *params, const struct ph_spec *in,
                                     const struct ph_spec *out, const struct ph_host *host,
                                     struct ph_error *reterr)
{
    struct state *slices = state;

    (void)out;
    (void)host;
    return make_kernel(params, in, &slices->kernel, reterr);
}

static enum ph_status slicetime_process(void *state, struct ph_io *io)
{
    struct state *slices = state;
    enum voxels_use use = voxels_use_of(io->in);

    if (use != VOXELS_NOTHING)
        phi_slicetime_process(slices->kernel, io->in->data);
    if (use != VOXELS_LEARN) /* a bad volume must not reach into the next */
        phi_slicetime_gap(slices->kernel);
    return PH_OK;
}

static void slicetime_reset(void *state)
{
    struct state *slices = state;

    phi_slicetime_reset(slices->kernel);
}

static void slicetime_fini(void *state)
{
    struct state *slices = state;

    phi_slicetime_destroy(&slices->kernel);
}

static const struct ph_stage_ops slicetime_ops = {
    .struct_size = sizeof slicetime_ops,
    .plan = slicetime_plan,
    .init = slicetime_init,
    .process = slicetime_process,
    .reset = slicetime_reset,
    .fini = slicetime_fini,
};

static const struct ph_stage_type slicetime_type = {
    .struct_size = sizeof slicetime_type,
    .kind = PH_STAGE_FILTER,
    .id = "filter/slicetime",
    .summary = "Bring every slice to one instant of its volume",
    .caps = PH_CAP_IN_PLACE | PH_CAP_STATEFUL | PH_CAP_DETERMINISTIC,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &slicetime_ops,
};

VOXELS_PLUGIN(filter_slicetime, "slicetime", slicetime_type)
