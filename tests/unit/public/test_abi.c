/* SPDX-License-Identifier: MIT
 * The plugin interface as built modules know it: sizes, places of fields and values of names are
 * those of interface 1.1 on 64-bit machines. A difference here breaks every module out there:
 * append at a structure's end and raise PH_ABI_MINOR, or raise PH_ABI_MAJOR and write the numbers
 * anew. */
#include "phosphene/plugin.h"
#include "test.h"

struct pin {
    const char *name;
    size_t is;
    size_t was;
};

#define SIZE(type, n)                                                                              \
    {                                                                                              \
        .name = #type, .is = sizeof(struct type), .was = (n)                                       \
    }
#define FIELD(type, field, n)                                                                      \
    {                                                                                              \
        .name = #type "." #field, .is = offsetof(struct type, field), .was = (n)                   \
    }

static const struct pin geometry_pins[] = {
    SIZE(ph_geometry, 120),         FIELD(ph_geometry, dims, 0),   FIELD(ph_geometry, reserved, 12),
    FIELD(ph_geometry, affine, 16), FIELD(ph_geometry, tr_s, 112),
};

static const struct pin quality_pins[] = {
    SIZE(ph_quality, 72),
    FIELD(ph_quality, motion, 0),
    FIELD(ph_quality, fd_mm, 24),
    FIELD(ph_quality, fd_jenkinson_mm, 28),
    FIELD(ph_quality, dvars, 32),
    FIELD(ph_quality, std_dvars, 36),
    FIELD(ph_quality, tsnr, 40),
    FIELD(ph_quality, global_signal, 44),
    FIELD(ph_quality, outlier_fraction, 48),
    FIELD(ph_quality, gcor, 52),
    FIELD(ph_quality, drift_percent, 56),
    FIELD(ph_quality, csf, 60),
    FIELD(ph_quality, white_matter, 64),
    FIELD(ph_quality, n_spikes, 68),
};

static const struct pin event_pins[] = {
    SIZE(ph_event, 224),
    FIELD(ph_event, onset_s, 0),
    FIELD(ph_event, duration_s, 8),
    FIELD(ph_event, amplitude, 16),
    FIELD(ph_event, number, 24),
    FIELD(ph_event, stim_index, 28),
    FIELD(ph_event, trial_type, 32),
    FIELD(ph_event, stim_file, 96),
};

static const struct pin latent_pins[] = {
    SIZE(ph_latent, 72),
    FIELD(ph_latent, stimulus_s, 0),
    FIELD(ph_latent, lag_s, 8),
    FIELD(ph_latent, trial, 16),
    FIELD(ph_latent, revision, 20),
    FIELD(ph_latent, stim_index, 24),
    FIELD(ph_latent, share, 28),
    FIELD(ph_latent, evidence, 32),
    FIELD(ph_latent, nis, 36),
    FIELD(ph_latent, decoder, 40),
};

static const struct pin image_pins[] = {
    SIZE(ph_image, 104),
    FIELD(ph_image, latent, 0),
    FIELD(ph_image, generator, 72),
};

static const struct pin frame_pins[] = {
    SIZE(ph_frame, 656),
    FIELD(ph_frame, struct_size, 0),
    FIELD(ph_frame, kind, 4),
    FIELD(ph_frame, flags, 8),
    FIELD(ph_frame, dtype, 12),
    FIELD(ph_frame, rank, 16),
    FIELD(ph_frame, generation, 20),
    FIELD(ph_frame, dims, 24),
    FIELD(ph_frame, index, 40),
    FIELD(ph_frame, layout, 48),
    FIELD(ph_frame, acquired_s, 56),
    FIELD(ph_frame, sent_ns, 64),
    FIELD(ph_frame, received_ns, 72),
    FIELD(ph_frame, capacity_bytes, 80),
    FIELD(ph_frame, data, 88),
    FIELD(ph_frame, quality, 96),
    FIELD(ph_frame, u, 168),
    FIELD(ph_frame, n_signals, 392),
    FIELD(ph_frame, signals, 400),
};

static const struct pin run_stats_pins[] = {
    SIZE(ph_run_stats, 56),
    FIELD(ph_run_stats, struct_size, 0),
    FIELD(ph_run_stats, state, 4),
    FIELD(ph_run_stats, n_volumes, 8),
    FIELD(ph_run_stats, n_missing, 16),
    FIELD(ph_run_stats, n_censored, 24),
    FIELD(ph_run_stats, latency_p50_ns, 32),
    FIELD(ph_run_stats, latency_p99_ns, 40),
    FIELD(ph_run_stats, latency_max_ns, 48),
};

static const struct pin host_pins[] = {
    SIZE(ph_host, 120),
    FIELD(ph_host, struct_size, 0),
    FIELD(ph_host, n_workers, 4),
    FIELD(ph_host, self, 8),
    FIELD(ph_host, stage, 16),
    FIELD(ph_host, run_dir, 24),
    FIELD(ph_host, alloc, 32),
    FIELD(ph_host, log, 40),
    FIELD(ph_host, now_ns, 48),
    FIELD(ph_host, parallel_for, 56),
    FIELD(ph_host, request_stop, 64),
    FIELD(ph_host, set_param, 72),
    FIELD(ph_host, run_stats, 80),
    FIELD(ph_host, tell_voxels, 88),
    FIELD(ph_host, voxels, 96),
    FIELD(ph_host, show_map, 104),
    FIELD(ph_host, show_curves, 112),
};

static const struct pin shown_pins[] = {
    SIZE(ph_map, 40),
    FIELD(ph_map, threshold, 4),
    FIELD(ph_map, title, 8),
    FIELD(ph_map, values, 16),
    FIELD(ph_map, dims, 24),
    SIZE(ph_band, 40),
    FIELD(ph_band, label, 16),
    SIZE(ph_curves, 88),
    FIELD(ph_curves, n_bands, 12),
    FIELD(ph_curves, title, 16),
    FIELD(ph_curves, x0, 40),
    FIELD(ph_curves, log_y, 56),
    FIELD(ph_curves, names, 64),
    FIELD(ph_curves, bands, 80),
    SIZE(ph_signal, 32),
    FIELD(ph_signal, mean, 24),
    FIELD(ph_signal, value, 28),
};

static const struct pin floats_pins[] = {
    SIZE(ph_floats, 264),
    FIELD(ph_floats, n, 0),
    FIELD(ph_floats, value, 8),
};

static const struct pin param_pins[] = {
    SIZE(ph_param, 80),        FIELD(ph_param, struct_size, 0),     FIELD(ph_param, type, 4),
    FIELD(ph_param, flags, 8), FIELD(ph_param, offset, 12),         FIELD(ph_param, name, 16),
    FIELD(ph_param, unit, 24), FIELD(ph_param, number_default, 32), FIELD(ph_param, min, 40),
    FIELD(ph_param, max, 48),  FIELD(ph_param, text_default, 56),   FIELD(ph_param, choices, 64),
    FIELD(ph_param, doc, 72),
};

static const struct pin spec_pins[] = {
    SIZE(ph_spec, 176),
    FIELD(ph_spec, struct_size, 0),
    FIELD(ph_spec, kind, 4),
    FIELD(ph_spec, dtype, 8),
    FIELD(ph_spec, rank, 12),
    FIELD(ph_spec, dims, 16),
    FIELD(ph_spec, n_volumes, 32),
    FIELD(ph_spec, latency_volumes, 36),
    FIELD(ph_spec, layout, 40),
    FIELD(ph_spec, geometry, 48),
    FIELD(ph_spec, chain, 168),
};

static const struct pin io_pins[] = {
    SIZE(ph_io, 48),
    FIELD(ph_io, struct_size, 0),
    FIELD(ph_io, in, 8),
    FIELD(ph_io, self, 16),
    FIELD(ph_io, take, 24),
    FIELD(ph_io, emit, 32),
    FIELD(ph_io, take_event, 40),
};

static const struct pin stage_ops_pins[] = {
    SIZE(ph_stage_ops, 120),           FIELD(ph_stage_ops, struct_size, 0),
    FIELD(ph_stage_ops, plan, 8),      FIELD(ph_stage_ops, init, 16),
    FIELD(ph_stage_ops, discover, 24), FIELD(ph_stage_ops, process, 32),
    FIELD(ph_stage_ops, event, 40),    FIELD(ph_stage_ops, aim, 48),
    FIELD(ph_stage_ops, step, 56),     FIELD(ph_stage_ops, peek, 64),
    FIELD(ph_stage_ops, render, 72),   FIELD(ph_stage_ops, update, 80),
    FIELD(ph_stage_ops, wake, 88),     FIELD(ph_stage_ops, end, 96),
    FIELD(ph_stage_ops, reset, 104),   FIELD(ph_stage_ops, fini, 112),
};

static const struct pin stage_type_pins[] = {
    SIZE(ph_stage_type, 64),
    FIELD(ph_stage_type, struct_size, 0),
    FIELD(ph_stage_type, kind, 4),
    FIELD(ph_stage_type, id, 8),
    FIELD(ph_stage_type, summary, 16),
    FIELD(ph_stage_type, caps, 24),
    FIELD(ph_stage_type, n_params, 28),
    FIELD(ph_stage_type, params, 32),
    FIELD(ph_stage_type, params_size, 40),
    FIELD(ph_stage_type, state_size, 48),
    FIELD(ph_stage_type, ops, 56),
};

static const struct pin plugin_pins[] = {
    SIZE(ph_plugin, 48),
    FIELD(ph_plugin, struct_size, 0),
    FIELD(ph_plugin, abi_major, 4),
    FIELD(ph_plugin, abi_minor, 8),
    FIELD(ph_plugin, n_types, 12),
    FIELD(ph_plugin, name, 16),
    FIELD(ph_plugin, version, 24),
    FIELD(ph_plugin, licence, 32),
    FIELD(ph_plugin, types, 40),
};

static const struct pin error_pins[] = {
    SIZE(ph_error, 520),
    FIELD(ph_error, status, 0),
    FIELD(ph_error, os_errno, 4),
    FIELD(ph_error, text, 8),
};

#define VALUE(symbol, n)                                                                           \
    {                                                                                              \
        .name = #symbol, .is = (int)(symbol), .was = (n)                                           \
    }

static const struct {
    const char *name;
    int is;
    int was;
} values[] = {
    VALUE(PH_FRAME_NONE, 0),
    VALUE(PH_FRAME_VOLUME, 1),
    VALUE(PH_FRAME_VECTOR, 2),
    VALUE(PH_FRAME_LATENT, 3),
    VALUE(PH_FRAME_IMAGE, 4),
    VALUE(PH_FRAME_EVENT, 5),
    VALUE(PH_DTYPE_NONE, 0),
    VALUE(PH_DTYPE_F32, 1),
    VALUE(PH_DTYPE_U8, 2),
    VALUE(PH_FLAG_GAP, 1),
    VALUE(PH_FLAG_LATE, 2),
    VALUE(PH_FLAG_CENSORED, 4),
    VALUE(PH_FLAG_REVISED, 8),
    VALUE(PH_FLAG_INVALID, 16),
    VALUE(PH_FLAG_FINAL, 32),
    VALUE(PH_FLAG_GATED, 64),
    VALUE(PH_FLAG_DUMMY, 128),
    VALUE(PH_LOG_ERROR, 0),
    VALUE(PH_LOG_WARNING, 1),
    VALUE(PH_LOG_INFO, 2),
    VALUE(PH_LOG_DEBUG, 3),
    VALUE(PH_LOG_TRACE, 4),
    VALUE(PH_PARAM_BOOL, 1),
    VALUE(PH_PARAM_INT, 2),
    VALUE(PH_PARAM_FLOAT, 3),
    VALUE(PH_PARAM_ENUM, 4),
    VALUE(PH_PARAM_STRING, 5),
    VALUE(PH_PARAM_PATH, 6),
    VALUE(PH_PARAM_FLOATS, 7),
    VALUE(PH_PARAM_LIVE, 1),
    VALUE(PH_PARAM_REQUIRED, 2),
    VALUE(PH_PARAM_ASIDE, 4),
    VALUE(PH_STAGE_SOURCE, 1),
    VALUE(PH_STAGE_FILTER, 2),
    VALUE(PH_STAGE_DECODER, 3),
    VALUE(PH_STAGE_GENERATOR, 4),
    VALUE(PH_STAGE_SINK, 5),
    VALUE(PH_CAP_IN_PLACE, 1),
    VALUE(PH_CAP_STATEFUL, 2),
    VALUE(PH_CAP_DETERMINISTIC, 4),
    VALUE(PH_CAP_OWN_THREAD, 8),
    VALUE(PH_CAP_OFFLINE_ONLY, 16),
    VALUE(PH_OK, 0),
    VALUE(PH_AGAIN, 1),
    VALUE(PH_EOS, 2),
    VALUE(PH_SKIP, 3),
    VALUE(PH_E_INVAL, -1),
    VALUE(PH_E_NOMEM, -2),
    VALUE(PH_E_IO, -3),
    VALUE(PH_E_FORMAT, -4),
    VALUE(PH_E_SHAPE, -5),
    VALUE(PH_E_ABI, -6),
    VALUE(PH_E_LIMIT, -7),
    VALUE(PH_E_STATE, -8),
    VALUE(PH_E_PEER, -9),
    VALUE(PH_E_INTERNAL, -10),
};

static void check(const struct pin *pins, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (pins[i].is != pins[i].was)
            fail_msg("%s is at %zu, interface 1.1 has %zu", pins[i].name, pins[i].is, pins[i].was);
}

#define CHECK(pins) check(pins, sizeof(pins) / sizeof *(pins))

static void structures_keep_their_layout(void **state)
{
    (void)state;
    CHECK(geometry_pins);
    CHECK(quality_pins);
    CHECK(event_pins);
    CHECK(latent_pins);
    CHECK(image_pins);
    CHECK(frame_pins);
    CHECK(run_stats_pins);
    CHECK(host_pins);
    CHECK(shown_pins);
    CHECK(floats_pins);
    CHECK(param_pins);
    CHECK(spec_pins);
    CHECK(io_pins);
    CHECK(stage_ops_pins);
    CHECK(stage_type_pins);
    CHECK(plugin_pins);
    CHECK(error_pins);
}

static void names_keep_their_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (values[i].is != values[i].was)
            fail_msg("%s is %d, interface 1.1 has %d", values[i].name, values[i].is, values[i].was);
    assert_int_equal(PH_ABI_MAJOR, 1);
    assert_int_equal(PH_ABI_MINOR, 1);
    assert_int_equal(PH_FLAGS_UNUSABLE, 0x95);
    assert_int_equal(PH_NO_TRIAL, 0xffffffff);
    assert_int_equal(PH_MAX_FLOATS, 32);
    assert_int_equal(PH_ERROR_TEXT, 512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structures_keep_their_layout),
        cmocka_unit_test(names_keep_their_values),
    };

    return cmocka_run_group_tests_name("public/abi", tests, NULL, NULL);
}
