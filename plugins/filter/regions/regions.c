/* SPDX-License-Identifier: MIT
 *
 * filter/regions: the mean signals of labelled regions, filtered as they come, on the frame (for
 * feedback and the recording) and as time courses and power spectra for the operator, with the
 * bands marked where breathing and heartbeat appear at this TR. Values pass unchanged.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "plugins/filter/mask_file.h"
#include "plugins/filter/regions/signal.h"
#include "plugins/filter/voxels.h"

#define MAX_NAMES 256
#define N_SHOWN   150

struct params {
    const char *labels;
    const char *names;
    bool percent;
    int64_t baseline;
    double low_hz;
    double high_hz;
    struct ph_floats notch_hz;
    double notch_width_hz;
    bool despike;
    int64_t segment;
    double respiration_hz;
    double heart_hz;
};

static const struct ph_param params_table[] = {
    PH_PATH(struct params, labels, "", 0,
            "NIfTI image on the grid of the volumes: 1, 2 ... number the regions, to 8. Empty: one "
            "region, all voxels."),
    PH_STRING(struct params, names, "", 0,
              "Names of regions 1, 2 ..., separated by commas: letters, digits and underscores."),
    PH_BOOL(struct params, percent, 1, 0,
            "Signals as percent change from their baseline; off: as they are."),
    PH_INT(struct params, baseline, 0, 0, 100000, "volumes", 0,
           "Usable volumes that make the baseline, which is then frozen; 0: all volumes so far."),
    PH_FLOAT(struct params, low_hz, 0, 0, 1000, "Hz", 0,
             "Lower edge of the band that signals keep; 0: open."),
    PH_FLOAT(struct params, high_hz, 0, 0, 1000, "Hz", 0,
             "Upper edge of the band; 0: open. The filter delays by about 0.2 / high_hz."),
    PH_FLOATS(struct params, notch_hz, "", 0, 1000, "Hz", 0,
              "Frequencies that are taken out, as an aliased heartbeat."),
    PH_FLOAT(struct params, notch_width_hz, 0.02, 0.0001, 100, "Hz", 0,
             "Distance of the notches' -3 dB points."),
    PH_BOOL(struct params, despike, 0, 0, "Holds single jumps back (modified Kalman filter)."),
    PH_INT(struct params, segment, 64, 8, PH_MAX_POINTS, "volumes", 0,
           "Length of the segments that power spectra are averaged over (Welch)."),
    PH_FLOAT(struct params, respiration_hz, 0, 0, 10, "Hz",
             (uint32_t)PH_PARAM_LIVE | (uint32_t)PH_PARAM_ASIDE,
             "The subject's breathing rate; 0: marks 0.2 to 0.33 Hz, adults at rest."),
    PH_FLOAT(struct params, heart_hz, 0, 0, 10, "Hz",
             (uint32_t)PH_PARAM_LIVE | (uint32_t)PH_PARAM_ASIDE,
             "The subject's heart rate; 0: marks 0.9 to 1.3 Hz, adults at rest."),
};

struct state {
    const struct params *given;
    const struct ph_host *host;
    struct region *regions; /* [n_regions] */
    uint32_t n_regions;
    char names[PH_MAX_SIGNALS][24];
    uint8_t *label_of_voxel; /* [grid] 0: none */
    uint8_t *label_of_value; /* [capacity] for the layout */
    size_t n_grid;
    size_t n_values;
    uint64_t layout;
    bool placed; /* label_of_value belongs to the layout */
    bool told;
    double tr_s;
    double heart_hz, respiration_hz;
    struct phi_welch *welch; /* NULL without a TR */
    double *series, *density;
    float *curves; /* [PH_MAX_TRACES][PH_MAX_POINTS] */
};

static bool good_name(const char *name)
{
    return name[0] && strlen(name) < 24 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
               strlen(name);
}

/* Names of the regions; those not given are numbered. */
static enum ph_status name_regions(const char *text, struct state *s, struct ph_error *reterr)
{
    char copy[MAX_NAMES];
    char *rest = copy;
    char *item;
    uint32_t n = 0;

    if (strlen(text) >= sizeof copy)
        return phi_error(reterr, PH_E_LIMIT, "names: longer than %d characters", MAX_NAMES - 1);
    memcpy(copy, text, strlen(text) + 1);
    for (uint32_t i = 0; i < PH_MAX_SIGNALS; i++)
        (void)snprintf(s->names[i], sizeof s->names[i],
                       s->given->labels[0] ? "region_%u" : "global", i + 1);
    while (text[0] && (item = strsep(&rest, ","))) {
        item += strspn(item, " ");
        item[strcspn(item, " ")] = '\0';
        if (n == PH_MAX_SIGNALS)
            return phi_error(reterr, PH_E_LIMIT, "names: more than %d regions", PH_MAX_SIGNALS);
        if (!good_name(item))
            return phi_error(reterr, PH_E_INVAL,
                             "names: '%s' is no name of up to 23 letters, digits, underscores",
                             item);
        memcpy(s->names[n++], item, strlen(item) + 1);
    }
    return PH_OK;
}

/* The labels' image into label_of_voxel, which may be NULL for a check alone. */
static enum ph_status read_labels(const struct params *given, const struct ph_geometry *geometry,
                                  uint8_t *label_of_voxel, uint32_t *ret_n, struct ph_error *reterr)
{
    struct phi_mask *any = NULL;
    struct phi_nifti_info info;
    float *values = NULL;
    enum ph_status status = mask_file_load(given->labels, geometry, 0.5, &any, reterr);

    if (status == PH_OK)
        status = phi_nifti_read_float32(given->labels, MASK_FILE_MAX_BYTES, &info, &values, reterr);
    *ret_n = 0;
    for (size_t i = 0; status == PH_OK && i < any->n_voxels; i++) {
        float value = values[any->index[i]];

        if (!(value <= PH_MAX_SIGNALS) || value != floorf(value)) {
            status = phi_error(reterr, PH_E_INVAL,
                               "'%s' holds %g: regions are numbered 1 to %d, 0 is none",
                               given->labels, (double)value, PH_MAX_SIGNALS);
            break;
        }
        if (label_of_voxel)
            label_of_voxel[any->index[i]] = (uint8_t)value;
        if ((uint32_t)value > *ret_n)
            *ret_n = (uint32_t)value;
    }
    phi_mask_destroy(&any);
    phi_free(values);
    return status;
}

static enum ph_status make_filters(const struct params *given, double tr_s, struct phi_iir *iir,
                                   struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    phi_iir_init(iir);
    if (!(tr_s > 0) && (given->low_hz > 0 || given->high_hz > 0 || given->notch_hz.n > 0))
        return phi_error(reterr, PH_E_INVAL, "filters need the TR, which the source does not say");
    if (given->low_hz > 0 || given->high_hz > 0)
        status = phi_iir_add_band(iir, 1 / tr_s, given->low_hz, given->high_hz, reterr);
    for (uint32_t i = 0; i < given->notch_hz.n && status == PH_OK; i++)
        status = phi_iir_add_notch(iir, 1 / tr_s, given->notch_hz.value[i], given->notch_width_hz,
                                   reterr);
    return status;
}

static enum ph_status regions_plan(const void *params, const struct ph_spec *in,
                                   struct ph_spec *ret_out, struct ph_error *reterr)
{
    const struct params *given = params;
    struct state trial = {.given = given};
    struct phi_iir iir;
    uint32_t n;
    enum ph_status status = voxels_check(in, reterr);

    (void)ret_out;
    if (status == PH_OK)
        status = name_regions(given->names, &trial, reterr);
    if (status == PH_OK)
        status = make_filters(given, in->geometry.tr_s, &iir, reterr);
    if (status == PH_OK && given->labels[0])
        status = read_labels(given, &in->geometry, NULL, &n, reterr);
    return status;
}

static void regions_update(void *state, const void *params)
{
    struct state *s = state;
    const struct params *given = params;

    s->heart_hz = given->heart_hz;
    s->respiration_hz = given->respiration_hz;
}

static enum ph_status regions_reset_all(struct state *s, struct ph_error *reterr)
{
    struct region_config config = {.percent = s->given->percent,
                                   .n_baseline = (size_t)s->given->baseline,
                                   .despike = s->given->despike};
    enum ph_status status = make_filters(s->given, s->tr_s, &config.iir, reterr);

    for (uint32_t i = 0; i < s->n_regions && status == PH_OK; i++)
        region_init(&s->regions[i], &config);
    return status;
}

static void regions_reset(void *state)
{
    struct state *s = state;

    (void)!regions_reset_all(s, NULL); /* what init could make */
    s->told = false;
}

static enum ph_status take_memory(struct state *s, const struct ph_spec *in,
                                  struct ph_error *reterr)
{
    const struct ph_host *host = s->host;
    const uint32_t *dims = in->geometry.dims;

    s->n_grid = (size_t)dims[0] * dims[1] * dims[2];
    s->n_values = voxels_capacity(in);
    s->label_of_voxel = host->alloc(host->self, s->n_grid, 1);
    s->label_of_value = host->alloc(host->self, s->n_values, 1);
    s->regions = host->alloc(host->self, PH_MAX_SIGNALS, sizeof *s->regions);
    s->series = host->alloc(host->self, PH_MAX_POINTS, sizeof *s->series);
    s->density = host->alloc(host->self, PH_MAX_POINTS, sizeof *s->density);
    s->curves = host->alloc(host->self, PH_MAX_TRACES * PH_MAX_POINTS, sizeof *s->curves);
    if (!s->label_of_voxel || !s->label_of_value || !s->regions || !s->series || !s->density ||
        !s->curves)
        return phi_error_nomem(reterr, "the regions", s->n_grid + s->n_values);
    return PH_OK;
}

static enum ph_status regions_init(void *state, const void *params, const struct ph_spec *in,
                                   const struct ph_spec *out, const struct ph_host *host,
                                   struct ph_error *reterr)
{
    struct state *s = state;
    enum ph_status status;

    (void)out;
    s->given = params;
    s->host = host;
    s->tr_s = in->geometry.tr_s;
    s->n_regions = 1;
    regions_update(state, params);
    status = take_memory(s, in, reterr);
    if (status == PH_OK)
        status = name_regions(s->given->names, s, reterr);
    if (status == PH_OK && s->given->labels[0])
        status = read_labels(s->given, &in->geometry, s->label_of_voxel, &s->n_regions, reterr);
    if (status == PH_OK && s->tr_s > 0)
        status = phi_welch_create((size_t)s->given->segment, 1 / s->tr_s, &s->welch, reterr);
    return status == PH_OK ? regions_reset_all(s, reterr) : status;
}

/* Labels of a frame's values. False if its voxels are not known. */
static bool place(struct state *s, const struct ph_frame *frame)
{
    size_t n = ph_frame_count(frame);
    const uint32_t *voxels = NULL;

    if (s->placed && frame->layout == s->layout && n == s->n_values)
        return true;
    if (!s->given->labels[0]) {
        memset(s->label_of_value, 1, n);
    } else if (frame->kind == PH_FRAME_VOLUME) {
        memcpy(s->label_of_value, s->label_of_voxel, n);
    } else {
        if (s->host->voxels(s->host->self, frame->layout, &voxels) != n)
            return false;
        for (size_t i = 0; i < n; i++)
            s->label_of_value[i] = s->label_of_voxel[voxels[i]];
    }
    s->placed = true;
    s->layout = frame->layout;
    s->n_values = n;
    return true;
}

static void measure(const struct state *s, const float *y, double means[PH_MAX_SIGNALS])
{
    double sum[PH_MAX_SIGNALS + 1] = {0};
    size_t n[PH_MAX_SIGNALS + 1] = {0};

    for (size_t i = 0; i < s->n_values; i++) {
        sum[s->label_of_value[i]] += (double)y[i];
        n[s->label_of_value[i]]++;
    }
    for (uint32_t k = 0; k < PH_MAX_SIGNALS; k++)
        means[k] = n[k + 1] ? sum[k + 1] / (double)n[k + 1] : (double)NAN;
}

/* Where a rate, or a band of rates, appears at this TR; an alias folds at 0 and half the rate. */
static struct ph_band alias_band(const struct state *s, double hz, double low, double high,
                                 const char *what)
{
    double rate = 1 / s->tr_s;
    struct ph_band band = {INFINITY, 0, ""};

    if (hz > 0)
        low = high = hz;
    for (int i = 0; i <= 50; i++) {
        double at = phi_spectrum_alias_hz(low + (high - low) * i / 50, rate);

        band.from = fmin(band.from, at);
        band.to = fmax(band.to, at);
    }
    (void)snprintf(band.label, sizeof band.label, "%s%s", what, hz > 0 ? "" : " (usual)");
    return band;
}

static void show(const struct state *s, struct ph_curves *curves)
{
    const char *names[PH_MAX_SIGNALS];

    for (uint32_t i = 0; i < s->n_regions; i++)
        names[i] = s->names[i];
    curves->struct_size = (uint32_t)sizeof *curves;
    curves->n_traces = s->n_regions;
    curves->names = names;
    curves->values = s->curves;
    s->host->show_curves(s->host->self, curves);
}

static void show_courses(const struct state *s)
{
    const char *unit = s->given->percent ? "%" : "";
    struct ph_curves curves = {.title = "region signals", .x_unit = "s", .y_unit = unit};
    size_t n = s->regions[0].n < N_SHOWN ? s->regions[0].n : N_SHOWN;
    double tr_s = s->tr_s > 0 ? s->tr_s : 1;

    for (uint32_t i = 0; i < s->n_regions; i++)
        (void)region_filtered(&s->regions[i], n, s->curves + i * n);
    curves.n_points = (uint32_t)n;
    curves.dx = tr_s;
    curves.x0 = -tr_s * (double)(n - 1);
    show(s, &curves);
}

static void show_spectra(const struct state *s)
{
    struct ph_band bands[2];
    struct ph_curves curves = {.title = "power of the unfiltered signals",
                               .x_unit = "Hz",
                               .y_unit = s->given->percent ? "%^2/Hz" : "1/Hz",
                               .log_y = true,
                               .n_bands = 2,
                               .bands = bands};
    size_t n_points = (size_t)s->given->segment / 2 + 1;

    bands[0] = alias_band(s, s->respiration_hz, 0.2, 0.33, "breath");
    bands[1] = alias_band(s, s->heart_hz, 0.9, 1.3, "heart");
    for (uint32_t i = 0; i < s->n_regions; i++) {
        size_t n = region_unfiltered(&s->regions[i], PH_MAX_POINTS, s->series);

        if (phi_welch_process(s->welch, s->series, n, s->density) == 0)
            return;          /* shorter than a segment as yet */
        s->density[0] = NAN; /* segments have no mean */
        for (size_t k = 0; k < n_points; k++)
            s->curves[i * n_points + k] = (float)s->density[k];
    }
    curves.n_points = (uint32_t)n_points;
    curves.dx = 1 / (s->tr_s * (double)s->given->segment);
    show(s, &curves);
}

static void write_signals(struct state *s, struct ph_frame *frame, bool learn)
{
    double means[PH_MAX_SIGNALS];

    measure(s, frame->data, means);
    frame->n_signals = s->n_regions;
    for (uint32_t i = 0; i < s->n_regions; i++) {
        struct ph_signal *signal = &frame->signals[i];
        bool usable = learn && isfinite(means[i]);

        memcpy(signal->name, s->names[i], sizeof signal->name);
        signal->mean = (float)means[i];
        signal->value = region_step(&s->regions[i], isfinite(means[i]) ? means[i] : 0, usable);
    }
}

static enum ph_status regions_process(void *state, struct ph_io *io)
{
    struct state *s = state;
    enum voxels_use use = voxels_use_of(io->in);

    if (use == VOXELS_NOTHING) {
        for (uint32_t i = 0; i < s->n_regions; i++)
            region_skip(&s->regions[i]);
        return PH_OK;
    }
    if (!place(s, io->in)) {
        if (!s->told)
            s->host->log(s->host->self, PH_LOG_ERROR, "regions.voxels",
                         "no filter before says where its voxels are: place regions behind mask, "
                         "or before it");
        s->told = true;
        return PH_E_STATE;
    }
    write_signals(s, io->in, use == VOXELS_LEARN);
    show_courses(s);
    if (s->welch)
        show_spectra(s);
    return PH_OK;
}

static void regions_fini(void *state)
{
    struct state *s = state;

    phi_welch_destroy(&s->welch);
}

static const struct ph_stage_ops regions_ops = {
    .struct_size = sizeof regions_ops,
    .plan = regions_plan,
    .init = regions_init,
    .process = regions_process,
    .update = regions_update,
    .reset = regions_reset,
    .fini = regions_fini,
};

static const struct ph_stage_type regions_type = {
    .struct_size = sizeof regions_type,
    .kind = PH_STAGE_FILTER,
    .id = "filter/regions",
    .summary = "Follow the signals of regions: time courses, spectra, feedback",
    .caps = PH_CAP_IN_PLACE | PH_CAP_STATEFUL | PH_CAP_DETERMINISTIC,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &regions_ops,
};

VOXELS_PLUGIN(filter_regions, "regions", regions_type)
