/* SPDX-License-Identifier: MIT
 *
 * decoder/posterior: Gaussian posterior of each stimulus from its onset on (trials with known
 * onsets). After every usable volume it states what is known of every open trial: posterior mean
 * and sd, share of the information, evidence against the prior. Repeats of a stimulus carry over.
 */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "decode/trial.h"
#include "phosphene/plugin.h"
#include "plugins/decoder/common/adapter.h"

struct params {
    const char *model;
    const char *trial_type;
    int32_t weights;
    double gate_nats;
    double level_sd;
    bool outlier_test;
    int64_t max_open;
    int64_t remember;
    int64_t samples;
    bool accept_chain;
};

static const char *const formats[] = {"float32", "bfloat16", NULL};

static const struct ph_param params_table[] = {
    PH_PATH(struct params, model, "", PH_PARAM_REQUIRED,
            "Decoder made by `phos fit posterior`. It is refused where mask, grid, repetition time "
            "or filters are not those it was fitted behind."),
    PH_STRING(struct params, trial_type, "", 0,
              "Only events of this trial_type are decoded; empty: all events."),
    PH_ENUM(struct params, weights, 0, formats, 0,
            "Precision of the weights: bfloat16 halves the time a volume takes and changes the "
            "channel statistics by about 0.1 %."),
    PH_FLOAT(struct params, gate_nats, 3, -1e6, 1e6, "nats", PH_PARAM_LIVE,
             "Statements with less evidence against the prior are marked as not enough yet."),
    PH_FLOAT(struct params, level_sd, 0, 0, 100, "", 0,
             "How far the run's baseline may lie from that of the training runs, in sd of the "
             "stimuli; 0: not at all. Where a filter takes the run's own mean away that is about "
             "one over the root of the number of different stimuli."),
    PH_BOOL(struct params, outlier_test, 1, 0,
            "Leave out volumes whose innovations exceed what 99.9 % of the training volumes had."),
    PH_INT(struct params, max_open, 12, 1, PHI_TRIAL_MAX_OPEN, "trials", 0,
           "How many trials may overlap; with more, the oldest is closed early."),
    PH_INT(struct params, remember, 256, 0, 65536, "stimuli", 0,
           "Of how many stimuli the knowledge is kept for their next showing."),
    PH_INT(struct params, samples, 0, 0, PH_MAX_SAMPLES, "samples", 0,
           "Draws of the posterior that go with every statement, for generators that show them."),
    PH_BOOL(struct params, accept_chain, 0, 0,
            "Accept a run whose filters are not those the decoder was fitted behind."),
};

struct state {
    struct params now;
    struct phi_adapter adapter;
    struct phi_trials *trials;
    double ref_s;    /* from the start of a volume to when it counts as taken */
    uint64_t newest; /* volume */
    double end_s;    /* of it, on the run's clock */
    size_t n_early, n_outliers;
};

static enum ph_status posterior_plan(const void *params, const struct ph_spec *in,
                                     struct ph_spec *ret_out, struct ph_error *reterr)
{
    const struct params *p = params;

    enum ph_status status = phi_adapter_plan(p->model, p->accept_chain, in, ret_out, reterr);

    if (status == PH_OK)
        ret_out->dims[0] = 2 + (uint32_t)p->samples;
    return status;
}

static enum ph_status posterior_init(void *state, const void *params, const struct ph_spec *in,
                                     const struct ph_spec *out, const struct ph_host *host,
                                     struct ph_error *reterr)
{
    struct state *s = state;
    const struct params *p = params;
    const struct phi_adapter_options options = {p->model, (enum phi_gemv_format)p->weights,
                                                (size_t)p->max_open};
    struct phi_trials_config config = {0};
    struct phi_decoder_model *model;
    enum ph_status status;

    (void)out;
    s->now = *p;
    status = phi_adapter_open(&s->adapter, &options, in, host, reterr);
    if (status == PH_OK)
        status = phi_adapter_samples(&s->adapter, (size_t)p->samples, reterr);
    if (status)
        return status;
    model = s->adapter.model;
    s->ref_s = model->ref * model->geometry.tr_s;
    config.n_channels = model->posterior->p;
    config.d = model->posterior->d;
    config.weight_error = model->posterior->error;
    config.on = model->on;
    config.level_sd = p->level_sd;
    config.rho = model->posterior->rho;
    config.tr_s = model->geometry.tr_s;
    config.response_s = model->shape.hrf.length_s;
    config.response = phi_decoder_response;
    config.response_ctx = &model->shape;
    config.max_open = (size_t)p->max_open;
    config.n_remembered = (size_t)p->remember;
    config.nis_threshold = p->outlier_test ? model->nis_threshold : 0;
    return phi_trials_create(&config, &s->trials, reterr);
}

static enum ph_status posterior_event(void *state, struct ph_io *io)
{
    struct state *s = state;
    const struct ph_event *event = &io->in->u.event;
    const struct phi_trial_event trial = {event->number, event->stim_index, event->onset_s,
                                          event->duration_s, event->amplitude};

    if (*s->now.trial_type && strcmp(s->now.trial_type, event->trial_type) != 0)
        return PH_OK;
    return phi_trials_open(s->trials, &trial);
}

static void warn_if_early(struct state *s)
{
    const struct ph_host *host = s->adapter.host;
    size_t n = phi_trials_n_early(s->trials);

    if (n > s->n_early)
        host->log(host->self, PH_LOG_WARNING, "decoder.early",
                  "more than %d trials overlap: the oldest was closed early (%zu so far)",
                  (int)s->now.max_open, n);
    s->n_early = n;
}

/* A volume that the decoder does not explain: the operator should know. */
static void warn_of_outlier(struct state *s, uint64_t volume, double nis)
{
    const struct ph_host *host = s->adapter.host;

    s->n_outliers++;
    host->log(
        host->self, PH_LOG_WARNING, "decoder.outlier",
        "volume %llu does not fit the decoder (NIS %.2f, at most %.2f expected): left out, %zu "
        "so far",
        (unsigned long long)volume, nis, s->adapter.model->nis_threshold, s->n_outliers);
}

static struct phi_statement statement_of(const struct state *s, size_t i, double end_s, double nis)
{
    struct phi_trial_report report = phi_trials_report(s->trials, i);
    struct phi_statement st = {.mean = report.mean, .var = report.var};

    st.latent.stimulus_s = report.onset_s;
    st.latent.lag_s = end_s - report.onset_s;
    st.latent.trial = report.number;
    st.latent.revision = report.revision;
    st.latent.stim_index = report.stim_index;
    st.latent.share = (float)report.share;
    st.latent.evidence = (float)report.evidence;
    st.latent.nis = (float)nis;
    st.flags = (report.revision ? (uint32_t)PH_FLAG_REVISED : 0) |
               (report.final ? (uint32_t)PH_FLAG_FINAL : 0) |
               (report.evidence < s->now.gate_nats ? (uint32_t)PH_FLAG_GATED : 0);
    return st;
}

/* A volume that was not used changes nothing, but may be a trial's last. */
static enum ph_status posterior_process(void *state, struct ph_io *io)
{
    struct state *s = state;
    struct phi_statement statements[PHI_TRIAL_MAX_OPEN];
    double at_s = io->in->acquired_s + s->ref_s, nis = NAN;
    size_t n = 0;
    const double *x;
    enum ph_status status = phi_adapter_project(&s->adapter, io->in, &x);
    bool used;

    if (status)
        return status;
    s->newest = io->in->index;
    s->end_s = io->in->acquired_s + s->adapter.tr_s;
    used = phi_trials_step(s->trials, at_s, x, &nis);
    if (x && !used)
        warn_of_outlier(s, s->newest, nis);
    warn_if_early(s);
    for (size_t i = 0; i < phi_trials_count(s->trials); i++) {
        statements[n] = statement_of(s, i, s->end_s, nis);
        n += statements[n].latent.stimulus_s <= at_s &&
             (used || statements[n].flags & (uint32_t)PH_FLAG_FINAL);
    }
    return phi_adapter_emit(&s->adapter, io, statements, n);
}

/* The run is over: what is known of trials whose response was still under way will not change any
 * more. */
static enum ph_status posterior_end(void *state, struct ph_io *io)
{
    struct state *s = state;
    struct phi_statement statements[PHI_TRIAL_MAX_OPEN];
    size_t n = 0;

    for (size_t i = 0; i < phi_trials_count(s->trials); i++) {
        struct phi_statement *st = &statements[n];

        *st = statement_of(s, i, s->end_s, NAN);
        if (st->flags & (uint32_t)PH_FLAG_FINAL || st->latent.stimulus_s > s->end_s)
            continue;
        st->latent.revision++;
        st->flags |= (uint32_t)PH_FLAG_FINAL | (uint32_t)PH_FLAG_REVISED;
        st->volume = s->newest;
        st->acquired_s = s->end_s - s->adapter.tr_s;
        n++;
    }
    return phi_adapter_emit(&s->adapter, io, statements, n);
}

static void posterior_update(void *state, const void *params)
{
    struct state *s = state;
    const struct params *p = params;

    s->now.gate_nats = p->gate_nats;
}

static void posterior_reset(void *state)
{
    struct state *s = state;

    phi_trials_reset(s->trials);
    s->n_early = s->n_outliers = 0;
    s->newest = 0;
    s->end_s = 0;
}

static void posterior_fini(void *state)
{
    struct state *s = state;

    phi_trials_destroy(&s->trials);
    phi_adapter_fini(&s->adapter);
}

static const struct ph_stage_ops posterior_ops = {
    .struct_size = sizeof posterior_ops,
    .plan = posterior_plan,
    .init = posterior_init,
    .process = posterior_process,
    .event = posterior_event,
    .end = posterior_end,
    .update = posterior_update,
    .reset = posterior_reset,
    .fini = posterior_fini,
};

static const struct ph_stage_type posterior_type = {
    .struct_size = sizeof posterior_type,
    .kind = PH_STAGE_DECODER,
    .id = "decoder/posterior",
    .summary = "Gaussian posterior of each shown stimulus, revised with every volume",
    .caps = PH_CAP_STATEFUL | PH_CAP_DETERMINISTIC,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &posterior_ops,
};

static const struct ph_stage_type *const types[] = {&posterior_type};

static const struct ph_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi_major = PH_ABI_MAJOR,
    .abi_minor = 0,
    .n_types = 1,
    .name = "posterior",
    .version = "1.0",
    .licence = "MIT",
    .types = types,
};

PH_PLUGIN_EXPORT(decoder_posterior, plugin)
