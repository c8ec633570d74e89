/* SPDX-License-Identifier: MIT
 *
 * decoder/stream: Gaussian posterior of continuous content (a film), without onsets. After every
 * volume it states the estimate at each of the wanted lags: the same moment is stated again, surer,
 * at the next lag. Several time constants run as banks; each latent is read from the bank that
 * explained it best in the run so far.
 */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/stream.h"
#include "phosphene/plugin.h"
#include "plugins/decoder/common/adapter.h"

#define MAX_BANKS 8
#define MAX_TAPS  64

struct params {
    const char *model;
    struct ph_floats a;
    struct ph_floats lags_s;
    int32_t weights;
    double kappa;
    bool steady;
    double gate_nats;
    bool outlier_test;
    bool accept_chain;
};

static const char *const formats[] = {"float32", "bfloat16", NULL};

static const struct ph_param params_table[] = {
    PH_PATH(struct params, model, "", PH_PARAM_REQUIRED,
            "Decoder made by `phos fit posterior`. It is refused where mask, grid, repetition time "
            "or filters are not those it was fitted behind."),
    PH_FLOATS(struct params, a, "0.9", 0, 0.9999, "", 0,
              "Correlation of the content from one volume to the next. Up to eight values run side "
              "by side; the one under which the data are most likely is read."),
    PH_FLOATS(struct params, lags_s, "0, 2, 4, 6, 8", 0, 60, "s", 0,
              "How long after a moment it is stated, in rising order; each restatement is surer."),
    PH_ENUM(struct params, weights, 0, formats, 0,
            "Precision of the weights: bfloat16 halves the time a volume takes and changes the "
            "channel statistics by about 0.1 %."),
    PH_FLOAT(struct params, kappa, 0, 0, 1, "", 0,
             "Variance a volume of a drifting level, over the noise variance; 0: no level."),
    PH_BOOL(struct params, steady, 0, 0,
            "Steady gains: less work a volume, the same from about volume 60 on. Not with kappa."),
    PH_FLOAT(struct params, gate_nats, 3, -1e6, 1e6, "nats", PH_PARAM_LIVE,
             "Statements with less evidence against the prior are marked as not enough yet."),
    PH_BOOL(struct params, outlier_test, 1, 0,
            "Leave out volumes whose innovations exceed what 99.9 % of the training volumes had."),
    PH_BOOL(struct params, accept_chain, 0, 0,
            "Accept a run whose filters are not those the decoder was fitted behind."),
};

struct state {
    struct params now;
    struct phi_adapter adapter;
    struct phi_stream *banks[MAX_BANKS];
    size_t n_banks;
    size_t lags[PH_MAX_FLOATS]; /* [n_lags] volumes, rising */
    size_t n_lags;
    double *mean, *var; /* [n_lags][p] */
    struct phi_statement statements[PH_MAX_FLOATS];
    double *x;       /* [p] less the common response of content that is always on */
    double on_share; /* sum of the taps */
    double ref_s;
    uint64_t n_steps;
};

static enum ph_status stream_plan(const void *params, const struct ph_spec *in,
                                  struct ph_spec *ret_out, struct ph_error *reterr)
{
    const struct params *p = params;

    if (p->a.n == 0 || p->a.n > MAX_BANKS || p->lags_s.n == 0)
        return phi_error(reterr, PH_E_INVAL, "a takes 1 to %d values, lags_s at least one",
                         MAX_BANKS);
    for (uint32_t i = 1; i < p->lags_s.n; i++)
        if (p->lags_s.value[i] <= p->lags_s.value[i - 1])
            return phi_error(reterr, PH_E_INVAL, "lags_s must rise");
    if (p->steady && p->kappa > 0)
        return phi_error(reterr, PH_E_INVAL, "steady gains and a drift level exclude each other");
    return phi_adapter_plan(p->model, p->accept_chain, in, ret_out, reterr);
}

/* Wanted lags in whole volumes, each once. */
static void set_lags(struct state *s, double tr_s)
{
    for (uint32_t i = 0; i < s->now.lags_s.n; i++) {
        size_t lag = (size_t)lround(s->now.lags_s.value[i] / tr_s);

        if (s->n_lags == 0 || lag > s->lags[s->n_lags - 1])
            s->lags[s->n_lags++] = lag;
    }
}

/* Content k volumes back held for one TR: the response to a box of one TR that ended k TR ago. */
static size_t make_taps(const struct phi_decoder_model *model, double *h)
{
    double tr_s = model->geometry.tr_s;
    size_t n = (size_t)ceil(model->shape.hrf.length_s / tr_s);

    n = n < MAX_TAPS ? n : MAX_TAPS;
    for (size_t k = 0; k < n; k++)
        h[k] = phi_decoder_response((void *)(uintptr_t)&model->shape, (double)(k + 1) * tr_s, tr_s);
    return n;
}

static enum ph_status make_banks(struct state *s, struct ph_error *reterr)
{
    const struct phi_decoder_model *model = s->adapter.model;
    double h[MAX_TAPS] = {0};
    struct phi_stream_config config = {
        .n_channels = model->posterior->p,
        .d = model->posterior->d,
        .weight_error = model->posterior->error,
        .h = h,
        .n_taps = make_taps(model, h),
        .rho = model->posterior->rho,
        .n_lags = s->lags[s->n_lags - 1] + 1,
        .has_drift = s->now.kappa > 0,
        .kappa = s->now.kappa,
        .steady = s->now.steady,
        .nis_threshold = s->now.outlier_test ? model->nis_threshold : 0,
    };

    for (size_t k = 0; k < config.n_taps; k++)
        s->on_share += h[k];
    for (uint32_t b = 0; b < s->now.a.n; b++) {
        enum ph_status status;

        config.a = s->now.a.value[b];
        status = phi_stream_create(&config, &s->banks[b], reterr);
        if (status)
            return status;
        s->n_banks++;
    }
    return PH_OK;
}

static enum ph_status stream_init(void *state, const void *params, const struct ph_spec *in,
                                  const struct ph_spec *out, const struct ph_host *host,
                                  struct ph_error *reterr)
{
    struct state *s = state;
    const struct params *p = params;
    const struct phi_adapter_options options = {p->model, (enum phi_gemv_format)p->weights,
                                                p->lags_s.n};
    enum ph_status status;
    size_t n;

    (void)out;
    s->now = *p;
    status = phi_adapter_open(&s->adapter, &options, in, host, reterr);
    if (status)
        return status;
    n = s->adapter.model->posterior->p;
    s->ref_s = s->adapter.model->ref * s->adapter.tr_s;
    s->mean = phi_calloc2(p->lags_s.n, n, sizeof *s->mean);
    s->var = phi_calloc2(p->lags_s.n, n, sizeof *s->var);
    s->x = phi_calloc(n, sizeof *s->x);
    if (!s->mean || !s->var || !s->x)
        return phi_error_nomem(reterr, "the decoder's buffers",
                               (2 * p->lags_s.n + 1) * n * sizeof *s->mean);
    set_lags(s, s->adapter.tr_s);
    return make_banks(s, reterr);
}

/* The bank under which the run so far is most likely. */
static struct phi_stream *best_bank(const struct state *s)
{
    size_t best = 0;

    for (size_t b = 1; b < s->n_banks; b++)
        if (phi_stream_loglik(s->banks[b]) > phi_stream_loglik(s->banks[best]))
            best = b;
    return s->banks[best];
}

static struct phi_statement statement_of(struct state *s, const struct phi_stream *bank, size_t i,
                                         double at_s)
{
    size_t lag = s->lags[i], p = s->adapter.model->posterior->p;
    double *mean = s->mean + i * p, *var = s->var + i * p;
    struct phi_statement st = {.mean = mean, .var = var};
    double evidence = phi_stream_evidence(bank, lag);

    phi_stream_read(bank, lag, mean, var);
    st.latent.stimulus_s = at_s - ((double)lag + 0.5) * s->adapter.tr_s;
    st.latent.lag_s = at_s - s->ref_s + s->adapter.tr_s - st.latent.stimulus_s;
    st.latent.trial = PH_NO_TRIAL;
    st.latent.revision = (uint32_t)i;
    st.latent.stim_index = -1;
    st.latent.share = (float)phi_stream_share(bank, lag);
    st.latent.evidence = (float)evidence;
    st.flags = (i ? (uint32_t)PH_FLAG_REVISED : 0) |
               (i + 1 == s->n_lags ? (uint32_t)PH_FLAG_FINAL : 0) |
               (evidence < s->now.gate_nats ? (uint32_t)PH_FLAG_GATED : 0);
    return st;
}

/* Every volume of the run's clock is a step, also one that never came: the engine hands those over
 * as gaps. */
static enum ph_status stream_process(void *state, struct ph_io *io)
{
    struct state *s = state;
    const double *x;
    const struct phi_stream *bank;
    double nis = NAN;
    size_t n = 0;
    enum ph_status status = phi_adapter_project(&s->adapter, io->in, &x);

    if (status)
        return status;
    for (size_t i = 0; x && i < s->adapter.model->posterior->p; i++)
        s->x[i] = x[i] - s->on_share * s->adapter.model->on[i];
    for (size_t b = 0; b < s->n_banks; b++)
        (void)phi_stream_step(s->banks[b], x ? s->x : NULL, 1, &nis);
    s->n_steps++;
    bank = best_bank(s);
    for (; n < s->n_lags && s->lags[n] < s->n_steps; n++) { /* not before the first volume */
        s->statements[n] = statement_of(s, bank, n, io->in->acquired_s + s->ref_s);
        s->statements[n].latent.nis = (float)nis;
    }
    return phi_adapter_emit(&s->adapter, io, s->statements, n);
}

static void stream_update(void *state, const void *params)
{
    struct state *s = state;
    const struct params *p = params;

    s->now.gate_nats = p->gate_nats;
}

static void stream_reset(void *state)
{
    struct state *s = state;

    for (size_t b = 0; b < s->n_banks; b++)
        phi_stream_reset(s->banks[b]);
    s->n_steps = 0;
}

static void stream_fini(void *state)
{
    struct state *s = state;

    for (size_t b = 0; b < s->n_banks; b++)
        phi_stream_destroy(&s->banks[b]);
    phi_free(s->mean);
    phi_free(s->var);
    phi_free(s->x);
    phi_adapter_fini(&s->adapter);
}

static const struct ph_stage_ops stream_ops = {
    .struct_size = sizeof stream_ops,
    .plan = stream_plan,
    .init = stream_init,
    .process = stream_process,
    .update = stream_update,
    .reset = stream_reset,
    .fini = stream_fini,
};

static const struct ph_stage_type stream_type = {
    .struct_size = sizeof stream_type,
    .kind = PH_STAGE_DECODER,
    .id = "decoder/stream",
    .summary = "Gaussian posterior of continuous content, every moment revised as volumes come",
    .caps = PH_CAP_STATEFUL | PH_CAP_DETERMINISTIC,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &stream_ops,
};

static const struct ph_stage_type *const types[] = {&stream_type};

static const struct ph_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi_major = PH_ABI_MAJOR,
    .abi_minor = 0,
    .n_types = 1,
    .name = "stream",
    .version = "1.0",
    .licence = "MIT",
    .types = types,
};

PH_PLUGIN_EXPORT(decoder_stream, plugin)
