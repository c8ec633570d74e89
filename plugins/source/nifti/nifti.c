/* SPDX-License-Identifier: MIT
 *
 * source/nifti: a run from files, NIfTI and events.tsv, at the scanner's pace or as fast as the
 * stages take it. An event comes before the first volume that ends after its onset, as in a live
 * run that phos send plays.
 */
#include <math.h>

#include "io/events.h"
#include "io/nifti_file.h"
#include "io/sidecar.h"
#include "plugins/source/source.h"

struct params {
    const char *path;
    const char *events;
    double tr_s;
    double speed;
};

static const struct ph_param params_table[] = {
    PH_PATH(struct params, path, "", PH_PARAM_REQUIRED,
            "The run: .nii, .nii.gz, .hdr or .img, 4-D."),
    PH_PATH(struct params, events, "", 0, "Events table (BIDS events.tsv) of the run."),
    PH_FLOAT(struct params, tr_s, 0, 0, 3600, "s", 0,
             "Repetition time; 0 takes it from the JSON sidecar, else from the header."),
    PH_FLOAT(struct params, speed, 0, 0, 1e6, "", 0,
             "Times the scanner's pace; 0 is as fast as the stages take it."),
};

struct state {
    const struct params *params;
    const struct ph_host *host;
    struct source_bell bell;
    struct phi_nifti_reader *reader;
    struct phi_events events;
    size_t next_event;
    uint32_t next_volume;
    double tr_s;
    int64_t begun_ns; /* of the run's time 0; 0 before the first volume was asked for */
};

static enum ph_status find_tr(struct state *s, struct ph_error *reterr)
{
    struct phi_sidecar sidecar;
    enum ph_status status = phi_sidecar_read_beside(s->params->path, &sidecar, reterr);

    if (status)
        return status;
    s->tr_s = s->params->tr_s > 0 ? s->params->tr_s
              : sidecar.tr_s > 0  ? sidecar.tr_s
                                  : phi_nifti_reader_info(s->reader)->tr_s;
    if (s->tr_s > 0)
        return PH_OK;
    return phi_error(reterr, PH_E_INVAL,
                     "'%s' tells no repetition time, and no JSON file beside it does; set tr_s",
                     s->params->path);
}

static enum ph_status nifti_init(void *state, const void *params, const struct ph_spec *in,
                                 const struct ph_spec *out, const struct ph_host *host,
                                 struct ph_error *reterr)
{
    struct state *s = state;
    enum ph_status status;

    (void)in;
    (void)out;
    s->params = params;
    s->host = host;
    s->bell.fd = -1;
    if ((status = source_bell_open(&s->bell, reterr)) ||
        (status = phi_nifti_reader_open(s->params->path, &s->reader, reterr)) ||
        (status = find_tr(s, reterr)))
        return status;
    return s->params->events[0] ? phi_events_read(s->params->events, &s->events, reterr) : PH_OK;
}

static enum ph_status nifti_discover(void *state, struct ph_spec *ret_out, struct ph_error *reterr)
{
    const struct state *s = state;
    const struct phi_nifti_info *info = phi_nifti_reader_info(s->reader);

    (void)reterr;
    source_spec(info, s->tr_s, info->n_volumes, ret_out);
    return PH_OK;
}

/* True once the run's clock shows `at_s`; false after a wake. */
static bool wait_until(struct state *s, double at_s)
{
    int64_t now = s->host->now_ns(s->host->self);

    if (s->params->speed <= 0)
        return true;
    if (s->begun_ns == 0)
        s->begun_ns = now;
    int64_t due = s->begun_ns + (int64_t)(fmax(at_s, 0) / s->params->speed * 1e9);

    return due <= now || !source_bell_wait(&s->bell, due - now);
}

static enum ph_status emit_event(struct state *s, struct ph_io *io)
{
    enum ph_status status = source_emit_event(io, &s->events.rows[s->next_event]);

    if (!status)
        s->next_event++;
    return status;
}

static enum ph_status emit_volume(struct state *s, struct ph_io *io)
{
    const unsigned char *data = NULL;
    struct ph_error err;
    struct ph_frame header = {.index = s->next_volume,
                              .acquired_s = (double)s->next_volume * s->tr_s};
    enum ph_status status = phi_nifti_reader_next(s->reader, &data, &err);

    if (status) {
        if (status != PH_EOS)
            s->host->log(s->host->self, PH_LOG_ERROR, "nifti.read", "%s", err.text);
        return status;
    }
    header.received_ns = s->host->now_ns(s->host->self);
    status = source_emit_volume(io, phi_nifti_reader_info(s->reader), data, &header);
    if (!status)
        s->next_volume++;
    return status;
}

static enum ph_status nifti_process(void *state, struct ph_io *io)
{
    struct state *s = state;
    const struct phi_nifti_info *info = phi_nifti_reader_info(s->reader);
    double volume_s = (double)(s->next_volume + 1) * s->tr_s; /* when it is whole */
    bool has_event = s->next_event < s->events.n;
    bool is_last = s->next_volume >= info->n_volumes;
    double event_s = has_event ? s->events.rows[s->next_event].onset_s : 0;

    if (is_last && !has_event)
        return PH_EOS;
    if (has_event && (is_last || event_s < volume_s))
        return wait_until(s, is_last ? 0 : event_s) ? emit_event(s, io) : PH_AGAIN;
    return wait_until(s, volume_s) ? emit_volume(s, io) : PH_AGAIN;
}

static void nifti_wake(void *state)
{
    const struct state *s = state;

    source_bell_ring(&s->bell);
}

static void nifti_reset(void *state)
{
    struct state *s = state;
    struct ph_error ignored;

    (void)source_bell_clear(&s->bell);
    s->next_event = 0;
    s->next_volume = 0;
    s->begun_ns = 0;
    (void)!phi_nifti_reader_seek(s->reader, 0, &ignored); /* the next read tells what is wrong */
}

static void nifti_fini(void *state)
{
    struct state *s = state;

    source_bell_close(&s->bell);
    phi_nifti_reader_close(&s->reader);
    phi_events_free(&s->events);
}

static const struct ph_stage_ops ops = {
    .struct_size = sizeof ops,
    .init = nifti_init,
    .discover = nifti_discover,
    .process = nifti_process,
    .wake = nifti_wake,
    .reset = nifti_reset,
    .fini = nifti_fini,
};

static const struct ph_stage_type type = {
    .struct_size = sizeof type,
    .kind = PH_STAGE_SOURCE,
    .id = "source/nifti",
    .summary = "A run from a NIfTI file and its events table",
    .caps = PH_CAP_STATEFUL | PH_CAP_DETERMINISTIC | PH_CAP_OWN_THREAD,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
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
    .name = "nifti",
    .version = "1.0",
    .licence = "MIT",
    .types = types,
};

PH_PLUGIN_EXPORT(source_nifti, plugin)
