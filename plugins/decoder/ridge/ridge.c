/* SPDX-License-Identifier: MIT
 *
 * decoder/ridge: features of what was seen some seconds ago by a ridge model of `phos fit ridge`.
 * Each volume completes one moment, the one whose last delayed volume it is, and that moment is
 * stated once: estimate and the residual sd that the fit found out of fold.
 */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "phosphene/plugin.h"
#include "plugins/decoder/common/place.h"
#include "plugins/decoder/common/ridge_file.h"

struct params {
    const char *model;
    int32_t weights;
    bool accept_chain;
};

static const char *const formats[] = {"float32", "bfloat16", NULL};

static const struct ph_param params_table[] = {
    PH_PATH(struct params, model, "", PH_PARAM_REQUIRED,
            "Model made by `phos fit ridge`. It is refused where mask, grid, repetition time or "
            "filters are not those it was fitted behind."),
    PH_ENUM(struct params, weights, 0, formats, 0,
            "Precision of the weights: bfloat16 halves memory and time of a volume and changes an "
            "estimate by about 0.2 % of its spread."),
    PH_BOOL(struct params, accept_chain, 0, 0,
            "Accept a run whose filters are not those the model was fitted behind."),
};

struct state {
    const struct ph_host *host;
    struct phi_ridge_model *model;
    float *volumes; /* [span][q] the newest volumes, by volume number modulo span */
    bool *usable;   /* [span] */
    size_t span;
    uint64_t n_seen;
};

static enum ph_status ridge_plan(const void *params, const struct ph_spec *in,
                                 struct ph_spec *ret_out, struct ph_error *reterr)
{
    const struct params *p = params;
    struct phi_ridge_model *model = NULL;
    enum ph_status status = phi_ridge_model_peek(p->model, &model, reterr);

    if (status == PH_OK) {
        const struct phi_decoder_place place = {.geometry = model->geometry,
                                                .layout = model->layout,
                                                .q = model->q,
                                                .chain = model->chain};

        status = phi_decoder_place_check(&place, p->accept_chain, in, reterr);
    }
    if (status == PH_OK) {
        ret_out->kind = PH_FRAME_LATENT;
        ret_out->dtype = PH_DTYPE_F32;
        ret_out->rank = 2;
        memset(ret_out->dims, 0, sizeof ret_out->dims);
        ret_out->dims[0] = 2;
        ret_out->dims[1] = (uint32_t)model->t;
        ret_out->layout = 0;
    }
    phi_ridge_model_destroy(&model);
    return status;
}

static enum ph_status ridge_init(void *state, const void *params, const struct ph_spec *in,
                                 const struct ph_spec *out, const struct ph_host *host,
                                 struct ph_error *reterr)
{
    struct state *s = state;
    const struct params *p = params;
    enum ph_status status =
        phi_ridge_model_open(p->model, (enum phi_gemv_format)p->weights, &s->model, reterr);

    (void)in;
    (void)out;
    s->host = host;
    if (status)
        return status;
    s->span = (size_t)(s->model->last_lag - s->model->first_lag) + 1;
    s->volumes = phi_calloc2(s->span, s->model->q, sizeof *s->volumes);
    s->usable = phi_calloc(s->span, sizeof *s->usable);
    if (!s->volumes || !s->usable)
        return phi_error_nomem(reterr, "the newest volumes", s->span * s->model->q * sizeof(float));
    return PH_OK;
}

/* Keeps the volume in its place of the ring; a missing or broken one is marked. */
static enum ph_status keep(struct state *s, const struct ph_frame *frame)
{
    const struct phi_ridge_model *m = s->model;
    size_t slot = s->n_seen++ % s->span;
    float *to = s->volumes + slot * m->q;
    const float *y = frame->data;
    bool usable = !(frame->flags & PH_FLAGS_UNUSABLE);

    s->usable[slot] = false;
    if (!usable)
        return PH_OK;
    if (frame->kind == PH_FRAME_VECTOR && (frame->layout != m->layout || frame->dims[0] != m->q)) {
        s->host->log(
            s->host->self, PH_LOG_ERROR, "decoder.mask",
            "the mask of this run (%u voxels) is not the decoder's (%zu): give the run the "
            "mask file the decoder was fitted with",
            frame->dims[0], m->q);
        return PH_E_SHAPE;
    }
    for (size_t i = 0; i < m->q; i++) {
        to[i] = y[frame->kind == PH_FRAME_VECTOR ? i : m->voxels[i]];
        usable = usable && isfinite(to[i]);
    }
    s->usable[slot] = usable;
    return PH_OK;
}

/* The volumes at the model's lags from the moment that the newest completes; how many are there. */
static size_t gather(const struct state *s, const float **x)
{
    const struct phi_ridge_model *m = s->model;
    size_t n = 0;

    for (size_t l = 0; l < m->n_lags; l++) {
        uint64_t at = s->n_seen - 1 - (uint64_t)(m->last_lag - m->lags[l]);

        x[l] = s->usable[at % s->span] ? s->volumes + at % s->span * m->q : NULL;
        n += x[l] != NULL;
    }
    return n;
}

static void describe(const struct state *s, size_t n_used, struct ph_frame *out)
{
    const struct phi_ridge_model *m = s->model;
    double tr_s = m->geometry.tr_s;
    struct ph_latent latent = {.trial = PH_NO_TRIAL, .stim_index = -1};

    latent.stimulus_s = out->acquired_s + (0.5 - m->last_lag) * tr_s;
    latent.lag_s = (m->last_lag + 0.5) * tr_s;
    latent.share = (float)n_used / (float)m->n_lags;
    latent.evidence = latent.nis = NAN;
    (void)phi_str_copy(latent.decoder, sizeof latent.decoder, s->host->stage);
    out->u.latent = latent;
    out->flags = (out->flags & (uint32_t)PH_FLAG_LATE) | (uint32_t)PH_FLAG_FINAL;
    out->dims[0] = 2;
    out->dims[1] = (uint32_t)m->t;
}

static enum ph_status ridge_process(void *state, struct ph_io *io)
{
    struct state *s = state;
    const struct phi_parallel parallel = {s->host->parallel_for, s->host->self};
    const float *x[PHI_RIDGE_MAX_LAGS];
    enum ph_status status = keep(s, io->in);
    struct ph_frame *out;
    size_t n_used;

    if (status || s->n_seen < s->span) /* moments whose volumes began before the run are left out */
        return status;
    n_used = gather(s, x);
    if (n_used == 0)
        return PH_OK;
    out = ph_take(io);
    if (!out)
        return PH_EOS;
    (void)phi_ridge_model_run(s->model, x, &parallel, out->data);
    memcpy((float *)out->data + s->model->t, s->model->sd, s->model->t * sizeof(float));
    describe(s, n_used, out);
    ph_emit(io, out);
    return PH_OK;
}

static void ridge_reset(void *state)
{
    struct state *s = state;

    s->n_seen = 0;
    memset(s->usable, 0, s->span * sizeof *s->usable);
}

static void ridge_fini(void *state)
{
    struct state *s = state;

    phi_ridge_model_destroy(&s->model);
    phi_free(s->volumes);
    phi_free(s->usable);
}

static const struct ph_stage_ops ridge_ops = {
    .struct_size = sizeof ridge_ops,
    .plan = ridge_plan,
    .init = ridge_init,
    .process = ridge_process,
    .reset = ridge_reset,
    .fini = ridge_fini,
};

static const struct ph_stage_type ridge_type = {
    .struct_size = sizeof ridge_type,
    .kind = PH_STAGE_DECODER,
    .id = "decoder/ridge",
    .summary = "Features of what was seen some seconds ago, by ridge regression on delayed volumes",
    .caps = PH_CAP_STATEFUL | PH_CAP_DETERMINISTIC,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &ridge_ops,
};

static const struct ph_stage_type *const types[] = {&ridge_type};

static const struct ph_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi_major = PH_ABI_MAJOR,
    .abi_minor = 0,
    .n_types = 1,
    .name = "ridge",
    .version = "1.0",
    .licence = "MIT",
    .types = types,
};

PH_PLUGIN_EXPORT(decoder_ridge, plugin)
