/* SPDX-License-Identifier: MIT
 *
 * source/journal: a recorded run again, exactly as the stages saw it: order, gaps, events, at the
 * pace of the recording or as fast as the stages take it.
 */
#include "io/file.h"
#include "plugins/source/replay_emit.h"

struct params {
    const char *path;
    double speed;
    int64_t max_volume_mb;
};

static const struct ph_param params_table[] = {
    PH_PATH(struct params, path, "", PH_PARAM_REQUIRED,
            "Folder of the recording, or of its journal files."),
    PH_FLOAT(struct params, speed, 0, 0, 1e6, "", 0,
             "Times the recorded pace; 0 is as fast as the stages take it."),
    PH_INT(struct params, max_volume_mb, 256, 1, 1024, "MB", 0, "Largest volume that is taken."),
};

struct state {
    const struct params *params;
    const struct ph_host *host;
    struct source_bell bell;
    char dir[PHI_PATH_MAX];
    struct phi_replay *replay;
    struct ph_spec spec;
    struct phi_replay_item item; /* read, not emitted yet */
    bool has_item;
    uint32_t n_events;
    int64_t begun_ns, recorded_begin_ns;
};

static size_t max_bytes(const struct state *s)
{
    return (size_t)s->params->max_volume_mb << 20;
}

static enum ph_status journal_init(void *state, const void *params, const struct ph_spec *in,
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
    if (!phi_path_join(s->dir, sizeof s->dir, s->params->path, "journal"))
        return phi_error(reterr, PH_E_LIMIT, "the path '%.60s...' is too long", s->params->path);
    if (!phi_path_exists(s->dir))
        (void)phi_str_copy(s->dir, sizeof s->dir, s->params->path);
    if ((status = source_bell_open(&s->bell, reterr)) ||
        (status = source_probe(s->dir, max_bytes(s), &s->spec, reterr)))
        return status == PH_EOS ? phi_error(reterr, PH_E_FORMAT, "'%s' holds no recorded volume",
                                            s->params->path)
                                : status;
    return phi_replay_open(s->dir, max_bytes(s), NULL, &s->replay, reterr);
}

static enum ph_status journal_discover(void *state, struct ph_spec *ret_out,
                                       struct ph_error *reterr)
{
    const struct state *s = state;

    (void)reterr;
    *ret_out = s->spec;
    return PH_OK;
}

/* True once the entry is due; false after a wake. */
static bool wait_for_item(struct state *s)
{
    int64_t now = s->host->now_ns(s->host->self);

    if (s->params->speed <= 0)
        return true;
    if (s->begun_ns == 0) {
        s->begun_ns = now;
        s->recorded_begin_ns = s->item.recorded_ns;
    }
    int64_t due = s->begun_ns + (int64_t)((double)(s->item.recorded_ns - s->recorded_begin_ns) /
                                          s->params->speed);

    return due <= now || !source_bell_wait(&s->bell, due - now);
}

static void tell_damage(const struct state *s)
{
    const struct phi_journal_report *report = phi_replay_report(s->replay);

    if (report->n_holes || report->n_lost || phi_replay_n_unread(s->replay))
        s->host->log(s->host->self, PH_LOG_WARNING, "journal.damage",
                     "the recording is damaged: %llu holes, %llu records lost, %llu not understood",
                     (unsigned long long)report->n_holes, (unsigned long long)report->n_lost,
                     (unsigned long long)phi_replay_n_unread(s->replay));
}

static enum ph_status journal_process(void *state, struct ph_io *io)
{
    struct state *s = state;
    struct ph_error err;
    enum ph_status status;

    if (!s->has_item) {
        status = phi_replay_next(s->replay, &s->item, &err);
        if (status == PH_EOS)
            tell_damage(s);
        else if (status)
            s->host->log(s->host->self, PH_LOG_ERROR, "journal.read", "%s", err.text);
        if (status)
            return status;
        s->has_item = true;
    }
    if (!wait_for_item(s))
        return PH_AGAIN;
    status = source_emit_item(io, &s->item, &s->spec, s->host, s->host->now_ns(s->host->self),
                              &s->n_events);
    if (status != PH_EOS)
        s->has_item = false;
    return status;
}

static void journal_wake(void *state)
{
    const struct state *s = state;

    source_bell_ring(&s->bell);
}

static void journal_reset(void *state)
{
    struct state *s = state;
    struct ph_error err;

    (void)source_bell_clear(&s->bell);
    phi_replay_close(&s->replay);
    s->has_item = false;
    s->n_events = 0;
    s->begun_ns = 0;
    if (phi_replay_open(s->dir, max_bytes(s), NULL, &s->replay, &err))
        s->host->log(s->host->self, PH_LOG_ERROR, "journal.open", "%s", err.text);
}

static void journal_fini(void *state)
{
    struct state *s = state;

    source_bell_close(&s->bell);
    phi_replay_close(&s->replay);
}

static const struct ph_stage_ops ops = {
    .struct_size = sizeof ops,
    .init = journal_init,
    .discover = journal_discover,
    .process = journal_process,
    .wake = journal_wake,
    .reset = journal_reset,
    .fini = journal_fini,
};

static const struct ph_stage_type type = {
    .struct_size = sizeof type,
    .kind = PH_STAGE_SOURCE,
    .id = "source/journal",
    .summary = "A recorded run, exactly as it was",
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
    .name = "journal",
    .version = "1.0",
    .licence = "MIT",
    .types = types,
};

PH_PLUGIN_EXPORT(source_journal, plugin)
