/* SPDX-License-Identifier: MIT
 *
 * filter/glm: the general linear model, exact after every volume, on all voxels. It gives the
 * volume with its nuisance part removed, the newest residual, or the live map of a contrast, and
 * puts t maps up for the operator. Events come down the chain as they happen; motion and tissue
 * signals are taken from the frame's quality record.
 */
#include <math.h>
#include <string.h>

#include "plugins/filter/glm/maps.h"
#include "plugins/filter/glm/model.h"
#include "plugins/filter/glm/noise.h"
#include "plugins/filter/glm/params_table.h"
#include "plugins/filter/glm/whiten.h"
#include "plugins/filter/mask_file.h"
#include "plugins/filter/voxels.h"

/* Cleaning waits until the nuisance fit is less noisy than this share of the volume itself: with
 * few volumes behind many regressors it would put in more than it takes out. */
#define MAX_FIT_VARIANCE 0.5
/* With fewer, chance alone makes t values of any size. */
#define MIN_MAP_DOF 10

#define MAX_EXTRA (3 + MAX_NOISE)

struct state {
    const struct params *given;
    const struct ph_host *host;
    struct glm_model model;
    struct phi_glm_noise *noise; /* NULL without noise components */
    struct glm_whiten *whiten;   /* NULL where rho is given */
    struct glm_maps maps;
    struct glm_names names;
    float *fit; /* [n_capacity] */
    double threshold;
    size_t n;
    uint64_t layout;
    bool fitted; /* to the layout */
    bool told_missing;
};

static bool wants_contrast(const struct params *given)
{
    return given->output == OUT_T || given->output == OUT_EFFECT;
}

static enum ph_status set_contrasts(const struct params *given, const struct glm_names *names,
                                    const struct glm_maps *maps, struct glm_model *model,
                                    struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    if (!given->contrast[0] && wants_contrast(given))
        return phi_error(reterr, PH_E_INVAL, "output = %s needs a contrast, as face-house",
                         outputs[given->output]);
    if (given->contrast[0])
        status = glm_model_contrast(model, GLM_CONTRAST, given->contrast, names, reterr);
    for (size_t k = 0; k < maps->n && status == PH_OK; k++)
        status = glm_model_contrast(model, GLM_FIRST_MAP + k, maps->contrast[k], names, reterr);
    return status;
}

/* Opens the noise regressors; the mask is read for its voxels alone. */
static enum ph_status make_noise(const struct params *given, const struct ph_spec *in,
                                 struct phi_glm_noise **ret_noise, struct ph_error *reterr)
{
    struct phi_glm_noise_config config = {
        .n_components = (size_t)given->noise_components,
        .n_capacity = voxels_capacity(in),
        .share = given->noise_share,
        .n_volumes = (size_t)given->noise_volumes,
    };
    struct phi_mask *mask = NULL;
    enum ph_status status = PH_OK;

    if (config.n_components == 0)
        return PH_OK;
    if (given->noise_mask[0])
        status = mask_file_load(given->noise_mask, &in->geometry, 0.5, &mask, reterr);
    if (status == PH_OK) {
        config.voxels = mask ? mask->index : NULL;
        config.n_voxels = mask ? mask->n_voxels : 0;
        status = phi_glm_noise_open(&config, ret_noise, reterr);
    }
    phi_mask_destroy(&mask);
    return status;
}

static enum ph_status make_whiten(const struct params *given, const struct ph_spec *in,
                                  const struct glm_model *model, struct glm_whiten **ret_whiten,
                                  struct ph_error *reterr)
{
    size_t n = (size_t)given->ar1_volumes;

    if (n == 0)
        return PH_OK;
    if (given->rho != 0)
        return phi_error(reterr, PH_E_INVAL, "rho is given: leave it out, or ar1_volumes");
    if (n < model->n_columns + 4)
        return phi_error(reterr, PH_E_INVAL,
                         "ar1_volumes = %zu is too few for %zu regressors: at least %zu", n,
                         model->n_columns, model->n_columns + 4);
    return glm_whiten_open(n, voxels_capacity(in), model, ret_whiten, reterr);
}

/* All that can be wrong with the parameters shows here. */
static enum ph_status open_all(struct state *glm, const struct params *given,
                               const struct ph_spec *in, struct ph_error *reterr)
{
    enum ph_status status = glm_names_split(given->conditions, &glm->names, reterr);

    if (status == PH_OK)
        status = glm_maps_split(given->maps, &glm->maps, reterr);
    if (status == PH_OK)
        status = glm_model_open(given, in, &glm->names, glm->maps.n, &glm->model, reterr);
    if (status == PH_OK)
        status = set_contrasts(given, &glm->names, &glm->maps, &glm->model, reterr);
    if (status == PH_OK)
        status = make_whiten(given, in, &glm->model, &glm->whiten, reterr);
    return status == PH_OK ? make_noise(given, in, &glm->noise, reterr) : status;
}

static void glm_fini(void *state)
{
    struct state *glm = state;

    glm_model_close(&glm->model);
    phi_glm_noise_close(&glm->noise);
    glm_whiten_close(&glm->whiten);
}

static enum ph_status glm_plan(const void *params, const struct ph_spec *in,
                               struct ph_spec *ret_out, struct ph_error *reterr)
{
    struct state trial = {.given = params};
    enum ph_status status = voxels_check(in, reterr);

    (void)ret_out;
    if (status == PH_OK)
        status = open_all(&trial, params, in, reterr);
    glm_fini(&trial);
    return status;
}

static void glm_update(void *state, const void *params)
{
    struct state *glm = state;

    glm->threshold = ((const struct params *)params)->map_threshold;
}

static enum ph_status glm_init(void *state, const void *params, const struct ph_spec *in,
                               const struct ph_spec *out, const struct ph_host *host,
                               struct ph_error *reterr)
{
    struct state *glm = state;
    enum ph_status status;

    (void)out;
    glm->given = params;
    glm->host = host;
    glm->n = voxels_capacity(in);
    glm->layout = in->layout;
    glm_update(state, params);
    status = open_all(glm, params, in, reterr);
    if (status == PH_OK)
        status = glm_maps_open(&glm->maps, in, host, reterr);
    if (status != PH_OK)
        return status;
    glm->fit = host->alloc(host->self, glm->n, sizeof *glm->fit);
    return glm->fit ? PH_OK
                    : phi_error_nomem(reterr, "the model's maps", glm->n * sizeof *glm->fit);
}

static enum ph_status glm_event(void *state, struct ph_io *io)
{
    struct state *glm = state;
    const struct ph_event *event = &io->in->u.event;

    for (size_t i = 0; i < glm->names.n; i++) {
        const struct phi_event known = {event->onset_s, event->duration_s, event->amplitude,
                                        (uint32_t)i};

        if (strcmp(event->trial_type, glm->names.name[i]) == 0)
            return glm_model_event(&glm->model, &known);
    }
    return PH_OK;
}

/* The model's rows for this frame. False if they ask for figures that no stage has measured. */
static bool fill_rows(struct state *glm, const struct ph_frame *frame)
{
    const struct params *given = glm->given;
    const struct ph_quality *q = &frame->quality;
    double motion[6], extra[MAX_EXTRA];
    size_t n_extra = 0;

    for (int i = 0; i < 6; i++)
        motion[i] = (double)q->motion[i];
    if (given->white_matter)
        extra[n_extra++] = (double)q->white_matter;
    if (given->csf)
        extra[n_extra++] = (double)q->csf;
    if (given->global_signal)
        extra[n_extra++] = (double)q->global_signal;
    if (glm->noise)
        phi_glm_noise_row(glm->noise, frame->data, extra + n_extra);
    return glm_model_rows(&glm->model, frame, motion, extra);
}

/* What this volume's pass shall make; the frame is marked where the model cannot answer yet. */
static struct glm_pass choose_pass(struct state *glm, struct ph_frame *frame)
{
    struct glm_pass pass = {.y = frame->data, .fit = glm->fit, .replace = true};
    size_t dof = glm_model_dof(&glm->model);
    bool ready = dof > 0;

    switch (glm->given->output) {
    case OUT_CLEANED:
        ready = ready && glm_model_steady(&glm->model, MAX_FIT_VARIANCE);
        pass.fit = ready ? glm->fit : NULL;
        pass.fit_vector = GLM_NUISANCE;
        pass.subtract = ready;
        pass.replace = false;
        break;
    case OUT_RESIDUAL:
        pass.fit_is_residual = true;
        break;
    case OUT_T:
    case OUT_EFFECT:
    default:
        pass.fit_vector = GLM_CONTRAST;
        pass.fit_is_t = glm->given->output == OUT_T;
        ready = ready && glm_model_estimable(&glm->model, GLM_CONTRAST);
        break;
    }
    if (!ready)
        frame->flags |= (uint32_t)PH_FLAG_GATED;
    for (size_t k = 0; k < glm->maps.n; k++)
        if (dof >= MIN_MAP_DOF)
            pass.t[k] = glm->maps.vector[k];
        else
            memset(glm->maps.vector[k], 0, glm->n * sizeof(float));
    return pass;
}

/* Brings the noise region to the frame's values; a region outside the mask is told once. */
static enum ph_status fit_noise(struct state *glm, size_t n, const uint32_t *voxels)
{
    enum ph_status status = phi_glm_noise_reset(glm->noise, n, voxels);

    if (status != PH_OK && !glm->told_missing)
        glm->host->log(glm->host->self, PH_LOG_ERROR, "glm.noise",
                       "no voxel of '%s' is in the mask, or no filter says which are: place glm "
                       "before the mask, or give it a mask that holds them",
                       glm->given->noise_mask);
    glm->told_missing = glm->told_missing || status != PH_OK;
    return status;
}

static enum ph_status fit_layout(struct state *glm, const struct ph_frame *frame)
{
    size_t n = ph_frame_count(frame);
    const uint32_t *voxels = NULL;
    bool whole = frame->kind == PH_FRAME_VOLUME;
    enum ph_status status;

    if (glm->fitted && n == glm->n && frame->layout == glm->layout)
        return PH_OK;
    if (!whole && glm->host->voxels(glm->host->self, frame->layout, &voxels) != n)
        voxels = NULL;
    status = glm_model_fit(&glm->model, n, voxels);
    if (status == PH_OK && glm->noise)
        status = !whole && !voxels && glm->given->noise_mask[0] ? fit_noise(glm, 0, NULL)
                                                                : fit_noise(glm, n, voxels);
    if (status != PH_OK)
        return status;
    if (glm->whiten)
        glm_whiten_reset(glm->whiten, n);
    glm->fitted = true;
    glm->n = n;
    glm->layout = frame->layout;
    return PH_OK;
}

static void whiten(struct state *glm)
{
    struct glm_rho rho;

    if (!glm->whiten || !glm_whiten_complete(glm->whiten))
        return;
    if (glm_whiten_apply(glm->whiten, &glm->model, glm->host, &rho) == PH_OK)
        glm->host->log(glm->host->self, PH_LOG_INFO, "glm.rho",
                       "noise autocorrelation %.3f (quartiles over %zu voxels: %.3f, %.3f); "
                       "whitening from here on",
                       rho.median, rho.n_voxels, rho.quarter, rho.three_quarters);
    else
        glm->host->log(glm->host->self, PH_LOG_WARNING, "glm.rho",
                       "the noise's autocorrelation cannot be estimated; going on with 0");
}

/* Rows that ask for what nobody measures: told once. Frames that are not learnt from need not have
 * been measured. */
static enum ph_status refuse_row(struct state *glm, enum voxels_use use)
{
    glm_model_skip(&glm->model);
    if (use != VOXELS_LEARN)
        return PH_OK;
    if (!glm->told_missing)
        glm->host->log(glm->host->self, PH_LOG_ERROR, "glm.missing",
                       "the model asks for motion or tissue signals that no stage before it "
                       "measures: place realign and quality before glm");
    glm->told_missing = true;
    return PH_E_STATE;
}

static enum ph_status take_volume(struct state *glm, struct ph_frame *frame, bool learn)
{
    enum ph_status status = glm_model_begin(&glm->model, learn);
    struct glm_pass pass;

    if (status != PH_OK)
        return status;
    if (glm->noise && learn)
        phi_glm_noise_learn(glm->noise, frame->data);
    if (glm->whiten && learn)
        glm_whiten_keep(glm->whiten, &glm->model, frame->index, frame->data);
    pass = choose_pass(glm, frame);
    glm_model_pass(&glm->model, glm->host, &pass);
    glm_maps_show(&glm->maps, frame, glm->threshold, glm->host);
    whiten(glm);
    return PH_OK;
}

static enum ph_status glm_process(void *state, struct ph_io *io)
{
    struct state *glm = state;
    enum voxels_use use = voxels_use_of(io->in);
    enum ph_status status;

    if (use == VOXELS_NOTHING) {
        glm_model_skip(&glm->model);
        return PH_OK;
    }
    status = fit_layout(glm, io->in);
    if (status != PH_OK)
        return status;
    if (!fill_rows(glm, io->in))
        return refuse_row(glm, use);
    return take_volume(glm, io->in, use == VOXELS_LEARN);
}

static enum ph_status glm_end(void *state, struct ph_io *io)
{
    struct state *glm = state;
    struct ph_error err = {0};
    enum ph_status status = glm_maps_write(&glm->maps, glm->host, &err);

    (void)io;
    if (status != PH_OK)
        glm->host->log(glm->host->self, PH_LOG_ERROR, "glm.maps", "%s", err.text);
    return status;
}

static void glm_reset(void *state)
{
    struct state *glm = state;

    glm_model_reset(&glm->model);
    if (glm->whiten)
        (void)!glm_model_set_rho(&glm->model, glm->given->rho); /* a rho that create took */
    glm->fitted = false; /* the rest begins anew with the next volume */
    glm->told_missing = glm->maps.has_values = glm->maps.told = false;
}

static const struct ph_stage_ops glm_ops = {
    .struct_size = sizeof glm_ops,
    .plan = glm_plan,
    .init = glm_init,
    .process = glm_process,
    .event = glm_event,
    .update = glm_update,
    .end = glm_end,
    .reset = glm_reset,
    .fini = glm_fini,
};

static const struct ph_stage_type glm_type = {
    .struct_size = sizeof glm_type,
    .kind = PH_STAGE_FILTER,
    .id = "filter/glm",
    .summary = "General linear model, exact after every volume: cleaning and contrast maps",
    .caps = PH_CAP_IN_PLACE | PH_CAP_STATEFUL | PH_CAP_DETERMINISTIC,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &glm_ops,
};

VOXELS_PLUGIN(filter_glm, "glm", glm_type)
