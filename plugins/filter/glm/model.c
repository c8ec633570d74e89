/* SPDX-License-Identifier: MIT */
#include "plugins/filter/glm/model.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "signal/slicetime.h"

#define MAX_EVENTS 1024
#define MAX_SLICES 1024

enum ph_status glm_names_split(const char *text, struct glm_names *ret_names,
                               struct ph_error *reterr)
{
    char *rest = ret_names->text;
    char *item;

    ret_names->n = 0;
    if (strlen(text) >= sizeof ret_names->text)
        return phi_error(reterr, PH_E_LIMIT, "conditions: longer than %zu characters",
                         sizeof ret_names->text - 1);
    memcpy(ret_names->text, text, strlen(text) + 1);
    while ((item = strsep(&rest, ","))) {
        item += strspn(item, " ");
        item[strcspn(item, " ")] = '\0';
        if (!item[0])
            continue;
        if (ret_names->n == PHI_REGRESSORS_MAX_CONDITIONS)
            return phi_error(reterr, PH_E_LIMIT, "conditions: more than %zu names", ret_names->n);
        ret_names->name[ret_names->n++] = item;
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

static struct phi_hrf response_of(const struct params *given)
{
    struct phi_hrf hrf = given->hrf == RESPONSE_GLOVER ? phi_hrf_glover() : phi_hrf_spm();

    if (given->hrf == RESPONSE_LIBRARY)
        (void)phi_hrf_library((size_t)given->hrf_curve, &hrf); /* its range is the parameter's */
    return hrf;
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
        .hrf = response_of(given),
        .n_fir = given->hrf == RESPONSE_FIR ? (size_t)given->fir_delays : 0,
        .max_events = MAX_EVENTS,
    };
}

static bool by_slice(const struct params *given)
{
    return given->slice_order > 0 || given->slice_times_s.n > 0;
}

/* The slices' times; *ret_n is how many there are, 0 where they are not told apart. */
static enum ph_status slice_times(const struct params *given, const struct ph_spec *in,
                                  double *ret_times_s, size_t *ret_n, struct ph_error *reterr)
{
    size_t n = in->geometry.dims[2];
    size_t listed = given->slice_times_s.n;

    *ret_n = 0;
    if (!by_slice(given))
        return PH_OK;
    if (n == 0 || n > MAX_SLICES)
        return phi_error(reterr, PH_E_LIMIT, "%zu slices: 1 to %d can have times of their own", n,
                         MAX_SLICES);
    if (listed > 0 && n % listed != 0)
        return phi_error(reterr, PH_E_SHAPE,
                         "slice_times_s lists %zu slices, the volumes have %zu: give one time per "
                         "slice, or those of one band",
                         listed, n);
    for (size_t i = 0; listed > 0 && i < n; i++)
        ret_times_s[i] = given->slice_times_s.value[i % listed];
    if (listed == 0 &&
        phi_slice_times((enum phi_slice_order)(given->slice_order - 1), n, (size_t)given->multiband,
                        in->geometry.tr_s, ret_times_s) != PH_OK)
        return phi_error(reterr, PH_E_INVAL, "multiband = %d does not divide %zu slices",
                         (int)given->multiband, n);
    for (size_t i = 0; i < n; i++)
        if (ret_times_s[i] > in->geometry.tr_s)
            return phi_error(reterr, PH_E_INVAL, "slice %zu is taken at %g s, after the TR of %g s",
                             i, ret_times_s[i], in->geometry.tr_s);
    *ret_n = n;
    return PH_OK;
}

static enum ph_status open_part(const struct phi_regressors_config *config,
                                const struct phi_iglm_config *model, struct glm_part *part,
                                struct ph_error *reterr)
{
    enum ph_status status = phi_regressors_create(config, &part->regressors, reterr);
    size_t n_columns = model->n_regressors;

    if (status == PH_OK)
        status = phi_iglm_create(model, &part->model, reterr);
    if (status != PH_OK)
        return status;
    part->row = phi_calloc(n_columns, sizeof *part->row);
    part->nuisance = phi_calloc(n_columns, sizeof *part->nuisance);
    part->row_mean = phi_calloc(n_columns, sizeof *part->row_mean);
    if (!part->row || !part->nuisance || !part->row_mean)
        return phi_error_nomem(reterr, "the model's rows", n_columns * sizeof *part->row);
    return PH_OK;
}

/* Counts the columns by making the regressors once. */
static enum ph_status count_columns(const struct phi_regressors_config *config,
                                    struct glm_model *model, struct ph_error *reterr)
{
    struct phi_regressors *trial = NULL;
    enum ph_status status = phi_regressors_create(config, &trial, reterr);

    if (status != PH_OK)
        return status;
    model->n_columns = phi_regressors_n_columns(trial);
    model->n_nuisance = phi_regressors_column_of(trial, 0);
    phi_regressors_destroy(&trial);
    if (model->n_columns > PHI_IGLM_MAX_REGRESSORS)
        return phi_error(reterr, PH_E_LIMIT, "%zu regressors: a model has at most %d",
                         model->n_columns, PHI_IGLM_MAX_REGRESSORS);
    return PH_OK;
}

enum ph_status glm_model_open(const struct params *given, const struct ph_spec *in,
                              const struct glm_names *names, size_t n_maps,
                              struct glm_model *ret_model, struct ph_error *reterr)
{
    struct phi_regressors_config config = config_of(given, in, names->n);
    struct phi_iglm_config fit = {.n_vectors = GLM_FIRST_MAP + n_maps, .rho = given->rho};
    const uint32_t *dims = in->geometry.dims;
    double times_s[MAX_SLICES];
    size_t n_slices, n = 1;
    enum ph_status status = slice_times(given, in, times_s, &n_slices, reterr);

    *ret_model = (struct glm_model){.n_vectors = fit.n_vectors,
                                    .n_weighted = config.n_fir ? config.n_fir : 1};
    if (status == PH_OK)
        status = count_columns(&config, ret_model, reterr);
    if (status != PH_OK)
        return status;
    for (uint32_t i = 0; i < in->rank; i++)
        n *= in->dims[i];
    ret_model->slice_size = n_slices ? (size_t)dims[0] * dims[1] : 0;
    fit.n_voxels = n_slices ? ret_model->slice_size : n;
    fit.n_regressors = ret_model->n_columns;
    ret_model->n_parts = n_slices ? n_slices : 1;
    ret_model->parts = phi_calloc(ret_model->n_parts, sizeof *ret_model->parts);
    if (!ret_model->parts)
        return phi_error_nomem(reterr, "the slices' models", ret_model->n_parts);
    for (size_t i = 0; i < ret_model->n_parts && status == PH_OK; i++) {
        struct glm_part *part = &ret_model->parts[i];

        part->ref_s = n_slices ? times_s[i] : given->ref * in->geometry.tr_s;
        part->first = i * ret_model->slice_size;
        part->n = fit.n_voxels;
        status = open_part(&config, &fit, part, reterr);
    }
    return status;
}

void glm_model_close(struct glm_model *model)
{
    for (size_t i = 0; model->parts && i < model->n_parts; i++) {
        struct glm_part *part = &model->parts[i];

        phi_iglm_destroy(&part->model);
        phi_regressors_destroy(&part->regressors);
        phi_free(part->row);
        phi_free(part->nuisance);
        phi_free(part->row_mean);
    }
    phi_free(model->parts);
    *model = (struct glm_model){.parts = NULL};
}

enum ph_status glm_model_contrast(struct glm_model *model, size_t k, const char *text,
                                  const struct glm_names *names, struct ph_error *reterr)
{
    double weights[PHI_REGRESSORS_MAX_CONDITIONS] = {0};
    double vector[PHI_IGLM_MAX_REGRESSORS] = {0};
    enum ph_status status = phi_contrast_parse(text, names->name, names->n, weights, reterr);

    for (size_t i = 0; status == PH_OK && i < names->n; i++)
        for (size_t j = 0; j < model->n_weighted; j++)
            vector[phi_regressors_column_of(model->parts[0].regressors, i) + j] =
                weights[i] / (double)model->n_weighted;
    for (size_t i = 0; status == PH_OK && i < model->n_parts; i++)
        status = phi_iglm_set_vector(model->parts[i].model, k, vector);
    return status;
}

static void forget_means(struct glm_model *model)
{
    for (size_t i = 0; i < model->n_parts; i++)
        memset(model->parts[i].row_mean, 0, model->n_columns * sizeof(double));
}

/* Where the slices' voxels lie in a list that ascends. */
static void share_out(struct glm_model *model, size_t n, const uint32_t *voxels)
{
    size_t at = 0;

    for (size_t i = 0; i < model->n_parts; i++) {
        struct glm_part *part = &model->parts[i];

        part->first = at;
        while (at < n && (voxels ? voxels[at] : at) < (i + 1) * model->slice_size)
            at++;
        part->n = at - part->first;
    }
}

enum ph_status glm_model_fit(struct glm_model *model, size_t n, const uint32_t *voxels)
{
    enum ph_status status = PH_OK;

    if (model->slice_size && !voxels && n != model->n_parts * model->slice_size)
        return PH_E_STATE;
    if (model->slice_size)
        share_out(model, n, voxels);
    else
        model->parts[0].n = n;
    for (size_t i = 0; i < model->n_parts && status == PH_OK; i++)
        if (model->parts[i].n > 0)
            status = phi_iglm_resize(model->parts[i].model, model->parts[i].n);
    forget_means(model);
    return status;
}

void glm_model_reset(struct glm_model *model)
{
    for (size_t i = 0; i < model->n_parts; i++) {
        phi_iglm_reset(model->parts[i].model);
        phi_regressors_reset(model->parts[i].regressors);
    }
    forget_means(model);
}

enum ph_status glm_model_set_rho(struct glm_model *model, double rho)
{
    enum ph_status status = PH_OK;

    for (size_t i = 0; i < model->n_parts && status == PH_OK; i++)
        status = phi_iglm_set_rho(model->parts[i].model, rho);
    return status;
}

void glm_model_skip(struct glm_model *model)
{
    for (size_t i = 0; i < model->n_parts; i++)
        phi_iglm_skip(model->parts[i].model);
}

enum ph_status glm_model_event(struct glm_model *model, const struct phi_event *event)
{
    enum ph_status status = PH_OK;

    for (size_t i = 0; i < model->n_parts && status == PH_OK; i++)
        status = phi_regressors_event(model->parts[i].regressors, event);
    return status;
}

bool glm_model_rows(struct glm_model *model, const struct ph_frame *frame, const double *motion,
                    const double *extra)
{
    bool ok = true;

    for (size_t i = 0; i < model->n_parts; i++) {
        const struct glm_part *part = &model->parts[i];

        phi_regressors_row(part->regressors, frame->index, frame->acquired_s + part->ref_s, motion,
                           extra, part->row);
        for (size_t k = 0; k < model->n_columns; k++)
            ok = ok && isfinite(part->row[k]);
    }
    return ok;
}

/* What cleaning takes away is the nuisance part's deviation from its mean so far: the level of the
 * cleaned signal is then that of the signal, and not what the drift regressors would have it be in
 * the middle of the planned run. */
static void fill_nuisance(const struct glm_model *model, struct glm_part *part, bool learn)
{
    double share = 1 / (double)(phi_iglm_n_rows(part->model) + 1);

    for (size_t i = 1; i < model->n_nuisance; i++) {
        if (learn)
            part->row_mean[i] += share * (part->row[i] - part->row_mean[i]);
        part->nuisance[i] = part->row[i] - part->row_mean[i];
    }
}

enum ph_status glm_model_begin(struct glm_model *model, bool learn)
{
    enum ph_status status = PH_OK;

    for (size_t i = 0; i < model->n_parts && status == PH_OK; i++) {
        struct glm_part *part = &model->parts[i];

        fill_nuisance(model, part, learn);
        status = phi_iglm_set_vector(part->model, GLM_NUISANCE, part->nuisance);
        if (status == PH_OK)
            status = phi_iglm_begin(part->model, part->row, learn);
    }
    return status;
}

size_t glm_model_dof(const struct glm_model *model)
{
    size_t least = phi_iglm_dof(model->parts[0].model);

    for (size_t i = 1; i < model->n_parts; i++) {
        size_t dof = phi_iglm_dof(model->parts[i].model);

        least = dof < least ? dof : least;
    }
    return least;
}

bool glm_model_estimable(const struct glm_model *model, size_t k)
{
    bool all = true;

    for (size_t i = 0; i < model->n_parts; i++)
        all = all && phi_iglm_estimable(model->parts[i].model, k);
    return all;
}

bool glm_model_steady(const struct glm_model *model, double limit)
{
    bool all = true;

    for (size_t i = 0; i < model->n_parts; i++)
        all = all && phi_iglm_variance(model->parts[i].model, GLM_NUISANCE) <= limit;
    return all;
}

struct job {
    const struct glm_model *model;
    const struct glm_pass *pass;
};

/* One block through its model and into the output; blocks are independent. */
static void run_block(const struct job *job, const struct glm_part *part, size_t block)
{
    const struct glm_pass *pass = job->pass;
    float *y = pass->y + part->first;
    const float *fit = pass->fit ? pass->fit + part->first : NULL;
    size_t from = block * PHI_IGLM_BLOCK;
    size_t to = from + PHI_IGLM_BLOCK < part->n ? from + PHI_IGLM_BLOCK : part->n;
    struct phi_iglm_maps maps = {.residual = NULL};

    if (pass->fit && pass->fit_is_residual)
        maps.residual = pass->fit + part->first;
    else if (pass->fit)
        *(pass->fit_is_t ? maps.t + pass->fit_vector : maps.value + pass->fit_vector) =
            pass->fit + part->first;
    for (size_t k = 0; k + GLM_FIRST_MAP < job->model->n_vectors; k++)
        maps.t[GLM_FIRST_MAP + k] = pass->t[k] ? pass->t[k] + part->first : NULL;
    phi_iglm_block(part->model, block, y, &maps);
    for (size_t v = from; fit && v < to; v++) {
        if (pass->subtract)
            y[v] -= y[v] != 0 ? fit[v] : 0; /* 0: outside the field of view */
        else if (pass->replace)
            y[v] = fit[v];
    }
}

static void run_one_block(void *arg, size_t block)
{
    const struct job *job = arg;

    run_block(job, &job->model->parts[0], block);
}

static void run_part(void *arg, size_t i)
{
    const struct job *job = arg;
    const struct glm_part *part = &job->model->parts[i];

    for (size_t b = 0; part->n > 0 && b < phi_iglm_n_blocks(part->model); b++)
        run_block(job, part, b);
}

void glm_model_pass(const struct glm_model *model, const struct ph_host *host,
                    const struct glm_pass *pass)
{
    struct job job = {model, pass};

    if (model->n_parts == 1)
        host->parallel_for(host->self, phi_iglm_n_blocks(model->parts[0].model), run_one_block,
                           &job);
    else
        host->parallel_for(host->self, model->n_parts, run_part, &job);
}
