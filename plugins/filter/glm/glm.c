/* SPDX-License-Identifier: MIT
 *
 * filter/glm: the general linear model, exact after every volume, on all voxels. It gives the
 * volume with its nuisance part removed, the newest residual, or the live map of a contrast. Events
 * come down the chain as they happen; motion and tissue signals are taken from the frame's quality
 * record.
 */
#include <math.h>
#include <string.h>

#include "plugins/filter/glm/noise.h"
#include "plugins/filter/glm/params.h"
#include "plugins/filter/mask_file.h"
#include "plugins/filter/voxels.h"
#include "signal/iglm.h"
#include "signal/regressors.h"

#define MAX_EVENTS 1024

/* Cleaning waits until the nuisance fit is less noisy than this share of the volume itself: with
 * few volumes behind many regressors it would put in more than it takes out. */
#define MAX_FIT_VARIANCE 0.5
#define MAX_NOISE        10
#define MAX_EXTRA        (3 + MAX_NOISE)

enum vector { VECTOR_NUISANCE = 0, VECTOR_CONTRAST = 1, N_VECTORS = 2 };

struct names {
    char text[1024];
    const char *name[PHI_REGRESSORS_MAX_CONDITIONS];
    size_t n;
};

struct state {
    const struct params *given;
    const struct ph_host *host;
    struct phi_iglm *model;
    struct phi_regressors *regressors;
    struct phi_glm_noise *noise; /* NULL without noise components */
    struct names names;
    double *row;      /* [n_columns] */
    double *nuisance; /* [n_columns] the row less its mean so far; level and task 0 */
    double *row_mean; /* [n_columns] over the rows learnt */
    float *fit;       /* [n_capacity] */
    double tr_s;
    size_t n;
    uint64_t layout;
    bool told_missing;
};

/* Splits "a, b,c" in a copy. */
static enum ph_status split_names(const char *text, struct names *names, struct ph_error *reterr)
{
    char *rest = names->text;
    char *item;

    names->n = 0;
    if (strlen(text) >= sizeof names->text)
        return phi_error(reterr, PH_E_LIMIT, "conditions: longer than %zu characters",
                         sizeof names->text - 1);
    memcpy(names->text, text, strlen(text) + 1);
    while ((item = strsep(&rest, ","))) {
        item += strspn(item, " ");
        item[strcspn(item, " ")] = '\0';
        if (!item[0])
            continue;
        if (names->n == PHI_REGRESSORS_MAX_CONDITIONS)
            return phi_error(reterr, PH_E_LIMIT, "conditions: more than %zu names", names->n);
        names->name[names->n++] = item;
    }
    return PH_OK;
}

static size_t n_drift_of(const struct params *given, size_t n_volumes, double tr_s)
{
    if (given->drift == PHI_DRIFT_NONE)
        return 0;
    if (given->drift_order >= 0)
        return (size_t)given->drift_order;
    return given->drift == PHI_DRIFT_DCT ? phi_design_dct_count(n_volumes, tr_s, given->cutoff_s)
                                         : phi_design_polynomial_order(n_volumes, tr_s);
}

static struct phi_regressors_config config_of(const struct params *given, const struct ph_spec *in,
                                              size_t n_conditions)
{
    static const size_t n_motion[] = {0, 6, 12, 24};
    size_t n_volumes = given->planned_volumes ? (size_t)given->planned_volumes : in->n_volumes;

    return (struct phi_regressors_config){
        .timing = {n_volumes, in->geometry.tr_s, given->ref},
        .drift = (enum phi_drift)given->drift,
        .n_drift = n_drift_of(given, n_volumes, in->geometry.tr_s),
        .n_motion = n_motion[given->motion],
        .n_extra = (size_t)given->white_matter + (size_t)given->csf + (size_t)given->global_signal +
                   (size_t)given->noise_components,
        .n_conditions = n_conditions,
        .n_parts = (size_t)given->hrf_parts,
        .hrf = given->hrf ? phi_hrf_glover() : phi_hrf_spm(),
        .max_events = MAX_EVENTS,
    };
}

static bool wants_contrast(const struct params *given)
{
    return given->output == OUT_T || given->output == OUT_EFFECT;
}

/* Weights [n_columns] of the contrast: on the responses, not on their derivatives. */
static enum ph_status contrast_of(const struct params *given, const struct names *names,
                                  const struct phi_regressors *regressors, double *ret_vector,
                                  struct ph_error *reterr)
{
    double weights[PHI_REGRESSORS_MAX_CONDITIONS] = {0};
    enum ph_status status;

    if (!given->contrast[0] && !wants_contrast(given))
        return PH_OK;
    if (!given->contrast[0])
        return phi_error(reterr, PH_E_INVAL, "output = %s needs a contrast, as face-house",
                         outputs[given->output]);
    status = phi_contrast_parse(given->contrast, names->name, names->n, weights, reterr);
    for (size_t i = 0; status == PH_OK && i < names->n; i++)
        ret_vector[phi_regressors_column_of(regressors, i)] = weights[i];
    return status;
}

static enum ph_status make_model(struct state *glm, const struct ph_spec *in,
                                 struct ph_error *reterr)
{
    struct phi_regressors_config config = config_of(glm->given, in, glm->names.n);
    struct phi_iglm_config model = {voxels_capacity(in), 0, N_VECTORS, glm->given->rho};
    double contrast[PHI_IGLM_MAX_REGRESSORS] = {0};
    enum ph_status status = phi_regressors_create(&config, &glm->regressors, reterr);

    if (status != PH_OK)
        return status;
    model.n_regressors = phi_regressors_n_columns(glm->regressors);
    status = phi_iglm_create(&model, &glm->model, reterr);
    if (status == PH_OK)
        status = contrast_of(glm->given, &glm->names, glm->regressors, contrast, reterr);
    return status == PH_OK ? phi_iglm_set_vector(glm->model, VECTOR_CONTRAST, contrast) : status;
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
    if (given->noise_mask[0] && in->kind != PH_FRAME_VOLUME)
        return phi_error(reterr, PH_E_SHAPE,
                         "noise_mask is an image of whole volumes: place glm before the mask");
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

static enum ph_status glm_plan(const void *params, const struct ph_spec *in,
                               struct ph_spec *ret_out, struct ph_error *reterr)
{
    const struct params *given = params;
    double vector[PHI_IGLM_MAX_REGRESSORS] = {0};
    struct phi_regressors *trial = NULL;
    struct phi_glm_noise *noise = NULL;
    struct phi_regressors_config config;
    struct names names;
    enum ph_status status = voxels_check(in, reterr);

    (void)ret_out;
    if (status == PH_OK)
        status = split_names(given->conditions, &names, reterr);
    if (status != PH_OK)
        return status;
    config = config_of(given, in, names.n);
    status = phi_regressors_create(&config, &trial, reterr);
    if (status == PH_OK && phi_regressors_n_columns(trial) > PHI_IGLM_MAX_REGRESSORS)
        status = phi_error(reterr, PH_E_LIMIT, "%zu regressors: a model has at most %d",
                           phi_regressors_n_columns(trial), PHI_IGLM_MAX_REGRESSORS);
    if (status == PH_OK)
        status = contrast_of(given, &names, trial, vector, reterr);
    if (status == PH_OK)
        status = make_noise(given, in, &noise, reterr);
    phi_glm_noise_close(&noise);
    phi_regressors_destroy(&trial);
    return status;
}

static enum ph_status glm_init(void *state, const void *params, const struct ph_spec *in,
                               const struct ph_spec *out, const struct ph_host *host,
                               struct ph_error *reterr)
{
    struct state *glm = state;
    enum ph_status status;
    size_t n_columns;

    (void)out;
    glm->given = params;
    glm->host = host;
    glm->tr_s = in->geometry.tr_s;
    glm->n = voxels_capacity(in);
    glm->layout = in->layout;
    status = split_names(glm->given->conditions, &glm->names, reterr);
    if (status == PH_OK)
        status = make_model(glm, in, reterr);
    if (status == PH_OK)
        status = make_noise(glm->given, in, &glm->noise, reterr);
    if (status != PH_OK)
        return status;
    n_columns = phi_regressors_n_columns(glm->regressors);
    glm->row = host->alloc(host->self, n_columns, sizeof *glm->row);
    glm->nuisance = host->alloc(host->self, n_columns, sizeof *glm->nuisance);
    glm->row_mean = host->alloc(host->self, n_columns, sizeof *glm->row_mean);
    glm->fit = host->alloc(host->self, glm->n, sizeof *glm->fit);
    if (!glm->row || !glm->nuisance || !glm->row_mean || !glm->fit)
        return phi_error_nomem(reterr, "the model's maps", glm->n * sizeof *glm->fit);
    return PH_OK;
}

static enum ph_status glm_event(void *state, struct ph_io *io)
{
    struct state *glm = state;
    const struct ph_event *event = &io->in->u.event;

    for (size_t i = 0; i < glm->names.n; i++) {
        const struct phi_event known = {event->onset_s, event->duration_s, event->amplitude,
                                        (uint32_t)i};

        if (strcmp(event->trial_type, glm->names.name[i]) == 0)
            return phi_regressors_event(glm->regressors, &known);
    }
    return PH_OK;
}

/* The model's row for this frame. False if it asks for figures that no stage has measured. */
static bool fill_row(struct state *glm, const struct ph_frame *frame)
{
    const struct params *given = glm->given;
    const struct ph_quality *q = &frame->quality;
    size_t n_columns = phi_regressors_n_columns(glm->regressors);
    double motion[6], extra[MAX_EXTRA];
    size_t n_extra = 0;
    bool ok = true;

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
    phi_regressors_row(glm->regressors, frame->index, frame->acquired_s + given->ref * glm->tr_s,
                       motion, extra, glm->row);
    for (size_t i = 0; i < n_columns; i++)
        ok = ok && isfinite(glm->row[i]);
    return ok;
}

/* What cleaning takes away is the nuisance part's deviation from its mean so far: the level of the
 * cleaned signal is then that of the signal, and not what the drift regressors would have it be in
 * the middle of the planned run. */
static void fill_nuisance(struct state *glm, bool learn)
{
    size_t n_nuisance = phi_regressors_column_of(glm->regressors, 0);
    double share = 1 / (double)(phi_iglm_n_rows(glm->model) + 1);

    for (size_t i = 1; i < n_nuisance; i++) {
        if (learn)
            glm->row_mean[i] += share * (glm->row[i] - glm->row_mean[i]);
        glm->nuisance[i] = glm->row[i] - glm->row_mean[i];
    }
}

struct job {
    struct state *glm;
    float *y;
    const struct phi_iglm_maps *maps;
    bool subtract;
    bool replace;
};

/* One block through the model and into the output; blocks are independent. */
static void run_block(void *arg, size_t block)
{
    const struct job *job = arg;
    size_t from = block * PHI_IGLM_BLOCK;
    size_t to = from + PHI_IGLM_BLOCK < job->glm->n ? from + PHI_IGLM_BLOCK : job->glm->n;
    const float *fit = job->glm->fit;

    phi_iglm_block(job->glm->model, block, job->y, job->maps);
    for (size_t v = from; v < to; v++) {
        if (job->subtract)
            job->y[v] -= job->y[v] != 0 ? fit[v] : 0; /* 0: outside the field of view */
        else if (job->replace)
            job->y[v] = fit[v];
    }
}

static void run_model(struct state *glm, struct ph_frame *frame)
{
    struct phi_iglm_maps maps = {0};
    struct job job = {glm, frame->data, &maps, false, true};
    bool ready = phi_iglm_dof(glm->model) > 0;

    switch (glm->given->output) {
    case OUT_CLEANED:
        ready = ready && phi_iglm_variance(glm->model, VECTOR_NUISANCE) <= MAX_FIT_VARIANCE;
        maps.value[VECTOR_NUISANCE] = ready ? glm->fit : NULL;
        job.subtract = ready;
        job.replace = false;
        break;
    case OUT_RESIDUAL:
        maps.residual = glm->fit;
        break;
    case OUT_T:
        maps.t[VECTOR_CONTRAST] = glm->fit;
        ready = ready && phi_iglm_estimable(glm->model, VECTOR_CONTRAST);
        break;
    case OUT_EFFECT:
    default:
        maps.value[VECTOR_CONTRAST] = glm->fit;
        ready = ready && phi_iglm_estimable(glm->model, VECTOR_CONTRAST);
        break;
    }
    if (!ready)
        frame->flags |= (uint32_t)PH_FLAG_GATED;
    glm->host->parallel_for(glm->host->self, phi_iglm_n_blocks(glm->model), run_block, &job);
}

static enum ph_status fit_layout(struct state *glm, const struct ph_frame *frame)
{
    size_t n = ph_frame_count(frame);
    enum ph_status status;

    if (n == glm->n && frame->layout == glm->layout)
        return PH_OK;
    status = phi_iglm_resize(glm->model, n);
    if (status != PH_OK)
        return status;
    memset(glm->row_mean, 0, phi_regressors_n_columns(glm->regressors) * sizeof *glm->row_mean);
    if (glm->noise)
        phi_glm_noise_reset(glm->noise, n);
    glm->n = n;
    glm->layout = frame->layout;
    return PH_OK;
}

static enum ph_status glm_process(void *state, struct ph_io *io)
{
    struct state *glm = state;
    enum voxels_use use = voxels_use_of(io->in);
    enum ph_status status;

    if (use == VOXELS_NOTHING) {
        phi_iglm_skip(glm->model);
        return PH_OK;
    }
    status = fit_layout(glm, io->in);
    if (status != PH_OK)
        return status;
    if (!fill_row(glm, io->in)) {
        phi_iglm_skip(glm->model);
        if (use != VOXELS_LEARN) /* such frames need not have been measured */
            return PH_OK;
        if (!glm->told_missing)
            glm->host->log(glm->host->self, PH_LOG_ERROR, "glm.missing",
                           "the model asks for motion or tissue signals that no stage before it "
                           "measures: place realign and quality before glm");
        glm->told_missing = true;
        return PH_E_STATE;
    }
    fill_nuisance(glm, use == VOXELS_LEARN);
    status = phi_iglm_set_vector(glm->model, VECTOR_NUISANCE, glm->nuisance);
    if (status == PH_OK)
        status = phi_iglm_begin(glm->model, glm->row, use == VOXELS_LEARN);
    if (status == PH_OK && glm->noise && use == VOXELS_LEARN)
        phi_glm_noise_learn(glm->noise, io->in->data);
    if (status == PH_OK)
        run_model(glm, io->in);
    return status;
}

static void glm_reset(void *state)
{
    struct state *glm = state;

    phi_iglm_reset(glm->model);
    memset(glm->row_mean, 0, phi_regressors_n_columns(glm->regressors) * sizeof *glm->row_mean);
    phi_regressors_reset(glm->regressors);
    if (glm->noise)
        phi_glm_noise_reset(glm->noise, glm->n);
    glm->told_missing = false;
}

static void glm_fini(void *state)
{
    struct state *glm = state;

    phi_iglm_destroy(&glm->model);
    phi_regressors_destroy(&glm->regressors);
    phi_glm_noise_close(&glm->noise);
}

static const struct ph_stage_ops glm_ops = {
    .struct_size = sizeof glm_ops,
    .plan = glm_plan,
    .init = glm_init,
    .process = glm_process,
    .event = glm_event,
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
