/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/noise.h"
#include "fit/fit.h"
#include "fit/hrf.h"
#include "fit/rows.h"
#include "fit/trials.h"
#include "types.h"

#define N_TAUS       14 /* steps of sqrt 2 from LOW_TAU */
#define LOW_TAU      0.5
#define N_WORSE      3 /* in a row end the search */
#define HELD_OUT     6 /* the last sixth of the rows chooses the temperature */
#define RHO_PENALTY  1 /* in units of the design's scale, for the residuals that rho comes from */
#define NIS_MARGIN   1.5
#define NIS_QUANTILE 0.999

struct posterior_args {
    struct cli_list bold, events, plugins;
    const char *run, *stimuli, *latents, *out, *mask, *trial_type, *noise, *penalty, *hrf;
    int64_t n_components, n_folds, n_threads;
    double rho, ref, lambda;
    bool no_temper, json;
};

struct posterior_fit {
    const struct posterior_args *args;
    struct phi_registry *registry;
    struct phi_stimuli *set;
    struct fit_rows rows;
    struct fit_latents latents;
    struct phi_decoder_shape shape;
    struct phi_hrf curves[PHI_HRF_LIBRARY_SIZE]; /* to choose from */
    size_t n_curves, curve;                      /* and the chosen one */
    struct phi_decoder_model *model;
    struct fit_calibration held_out, training;
    double rho, tau;
    size_t n_fitted;
};

static bool on_step(void *ctx, size_t done, size_t total)
{
    cli_progress(ctx, done, total);
    return !cli_interrupted();
}

static enum ph_status open_inputs(struct posterior_fit *f, struct ph_error *reterr)
{
    const struct posterior_args *a = f->args;
    const struct fit_rows_from from = {
        .run_file = a->run, .bold = &a->bold, .events = &a->events, .mask = a->mask, .ref = a->ref};
    struct fit_rows_from with_registry = from;
    struct fit_latents_from pictures = {NULL, a->latents, a->trial_type, (size_t)a->n_components};
    enum ph_status status = types_open(&a->plugins, &f->registry, reterr);

    f->n_curves = fit_hrf_parse(a->hrf, f->curves);
    f->shape = phi_decoder_shape_of(&f->curves[0]);
    with_registry.registry = f->registry;
    if (status == PH_OK && a->stimuli)
        status = phi_stimuli_open(a->stimuli, &f->set, reterr);
    pictures.set = f->set;
    if (status == PH_OK)
        status = fit_rows_load(&with_registry, &f->rows, reterr);
    if (status == PH_OK)
        status = fit_latents_make(&pictures, &f->rows, &f->latents, reterr);
    return status;
}

/* Mean log of what left-out rows leave unexplained, over voxels. */
static enum ph_status left_over(struct posterior_fit *f, double *ret_log, struct ph_error *reterr)
{
    const size_t all[2] = {0, f->rows.n};
    const struct phi_posterior_options options = {.n_threads = (size_t)f->args->n_threads};
    struct phi_posterior *post = NULL;
    struct fit_design design;
    double sum = 0, n = 0;
    enum ph_status status = fit_design_make(&f->rows, &f->latents, &f->shape, all,
                                            (size_t)f->args->n_folds, 0, &design, reterr);

    if (status)
        return status;
    status = phi_posterior_fit(&design.data, &options, &post, reterr);
    fit_design_free(&design);
    for (size_t v = 0; status == PH_OK && v < post->q; v++)
        if (post->sigma[v] > 0) {
            sum += log((double)post->sigma[v]);
            n++;
        }
    *ret_log = n > 0 ? sum / n : INFINITY;
    phi_posterior_destroy(&post);
    return status;
}

/* One curve for all voxels, since the channels of the decoder separate only then: the one whose
 * fits predict left-out rows best. */
static enum ph_status choose_curve(struct posterior_fit *f, struct ph_error *reterr)
{
    double least = INFINITY, now;
    enum ph_status status = PH_OK;

    for (size_t i = 0; status == PH_OK && f->n_curves > 1 && i < f->n_curves; i++) {
        cli_progress("response curve", i, f->n_curves);
        f->shape = phi_decoder_shape_of(&f->curves[i]);
        status = left_over(f, &now, reterr);
        if (status == PH_OK && now < least) {
            least = now;
            f->curve = i;
        }
        if (status == PH_OK && cli_interrupted())
            status = phi_error(reterr, PH_E_STATE, "interrupted");
    }
    f->shape = phi_decoder_shape_of(&f->curves[f->curve]);
    return status;
}

static enum ph_status estimate_rho(struct posterior_fit *f, struct ph_error *reterr)
{
    const size_t all[2] = {0, f->rows.n};
    struct fit_design design;
    enum ph_status status;

    f->rho = f->args->rho;
    if (f->rho >= 0)
        return PH_OK;
    cli_progress("noise correlation", 0, 0);
    status = fit_design_make(&f->rows, &f->latents, &f->shape, all, (size_t)f->args->n_folds, 0,
                             &design, reterr);
    if (status)
        return status;
    status = phi_posterior_rho(&design.data, design.joined, RHO_PENALTY, &f->rho, reterr);
    fit_design_free(&design);
    return status;
}

/* x of the common response: W b with b the coefficients of the first nuisance column. */
static void common_response(struct phi_decoder_model *model)
{
    const struct phi_posterior *post = model->posterior;

    for (size_t i = 0; i < post->p; i++) {
        double sum = 0;

        for (size_t v = 0; v < post->q; v++)
            sum += (double)post->w[i * post->q + v] * (double)post->extra[v];
        model->on[i] = sum;
    }
}

/* The baseline of a new run is the mean over the training runs': run 0 is in c, the others differ
 * from it by their column. Columns are whitened as the rows are, so both are in units of the data.
 */
static void average_baseline(struct phi_posterior *post, const struct fit_rows *rows, size_t n_rows)
{
    for (size_t run = 1; run < post->n_extra; run++) {
        double share = 0;

        for (size_t r = 0; r < n_rows; r++)
            share += rows->run[r] == run ? 1 / (double)n_rows : 0;
        for (size_t v = 0; v < post->q; v++)
            post->c[v] += (float)(share * (double)post->extra[run * post->q + v]);
    }
}

static enum ph_status fit_range(struct posterior_fit *f, const size_t range[2], const char *what,
                                struct phi_decoder_model **ret_model, struct ph_error *reterr)
{
    const struct posterior_args *a = f->args;
    const struct phi_posterior_options options = {
        .penalty = strcmp(a->penalty, "voxel") == 0    ? PHI_PENALTY_PER_VOXEL
                   : strcmp(a->penalty, "common") == 0 ? PHI_PENALTY_COMMON
                                                       : PHI_PENALTY_FIXED,
        .lambda = a->lambda,
        .full_noise = strcmp(a->noise, "full") == 0,
        .rho = f->rho,
        .n_threads = (size_t)a->n_threads,
        .progress = on_step,
        .progress_ctx = (void *)(uintptr_t)what,
    };
    struct phi_posterior *post = NULL;
    struct fit_design design;
    enum ph_status status = fit_design_make(&f->rows, &f->latents, &f->shape, range,
                                            (size_t)a->n_folds, f->rho, &design, reterr);

    if (status)
        return status;
    f->n_fitted = design.data.design.n;
    status = phi_posterior_fit(&design.data, &options, &post, reterr);
    fit_design_free(&design);
    if (status == PH_SKIP)
        return phi_error(reterr, PH_E_STATE, "interrupted");
    if (status == PH_OK) {
        average_baseline(post, &f->rows, range[1]);
        status = phi_decoder_model_create(f->rows.voxels, f->rows.chain, &post, ret_model, reterr);
    }
    phi_posterior_destroy(&post);
    if (status)
        return status;
    (*ret_model)->geometry = f->rows.geometry;
    (*ret_model)->shape = f->shape;
    (*ret_model)->ref = a->ref;
    common_response(*ret_model);
    return PH_OK;
}

/* Decodes the held-out rows at temperature `tau`; kept where they are most likely so far. */
static enum ph_status try_temperature(struct posterior_fit *f, const struct phi_decoder_model *part,
                                      const size_t range[2], double tau, struct ph_error *reterr)
{
    struct fit_calibration cal;
    enum ph_status status = fit_decode(&f->rows, &f->latents, part, range, tau, &cal, reterr);

    if (status == PH_OK && (f->held_out.n_trials == 0 || cal.nll < f->held_out.nll)) {
        f->held_out = cal;
        f->tau = tau;
    }
    return status;
}

/* Fits without the last sixth, and takes the temperature under which that is most likely: steps of
 * sqrt 2, then of its square root around the best. It may be below 1: the residuals of left-out
 * folds hold the error of the weights, which is also counted by itself. */
static enum ph_status choose_temperature(struct posterior_fit *f, struct ph_error *reterr)
{
    const size_t split = f->rows.n - f->rows.n / HELD_OUT;
    const size_t first[2] = {0, split}, last[2] = {split, f->rows.n};
    bool search = !f->args->no_temper;
    struct phi_decoder_model *part = NULL;
    enum ph_status status = fit_range(f, first, "fitting five sixths", &part, reterr);

    f->tau = 1;
    for (size_t i = 0; status == PH_OK && i < (search ? N_TAUS : 1); i++) {
        double tau = search ? LOW_TAU * pow(2, (double)i / 2) : 1;

        if (i && tau > f->tau * pow(2, (N_WORSE + 0.5) / 2))
            break;
        cli_progress("temperature", i, N_TAUS + 2);
        status = try_temperature(f, part, last, tau, reterr);
    }
    for (double centre = f->tau, side = -1; status == PH_OK && search && side <= 1; side += 2)
        status = try_temperature(f, part, last, centre * pow(2, side / 4), reterr);
    if (status == PH_OK && f->held_out.n_trials == 0)
        status = phi_error(reterr, PH_E_INVAL,
                           "no trial fits into the last sixth of the %zu training volumes: more "
                           "volumes are needed",
                           f->rows.n);
    phi_decoder_model_destroy(&part);
    return status;
}

static enum ph_status fit_all(struct posterior_fit *f, struct ph_error *reterr)
{
    const size_t all[2] = {0, f->rows.n};
    enum ph_status status = fit_range(f, all, "fitting all", &f->model, reterr);
    double p = (double)f->latents.p;

    if (status)
        return status;
    phi_posterior_temper(f->model->posterior, f->tau);
    for (size_t i = 0; i < f->model->posterior->p; i++)
        f->model->on[i] /= f->tau;
    status = fit_decode(&f->rows, &f->latents, f->model, all, 1, &f->training, reterr);
    /* volumes of training fit better than new ones will, hence the margin */
    f->model->nis_threshold =
        NIS_MARGIN * fmax(phi_chi2_quantile(p, NIS_QUANTILE) / p, f->training.nis_q999);
    f->model->pca = f->latents.pca;
    f->latents.pca = NULL;
    memcpy(f->model->space, f->latents.space, sizeof f->model->space);
    if (f->set) {
        f->model->image[0] = phi_stimuli_height(f->set);
        f->model->image[1] = phi_stimuli_width(f->set);
        f->model->image[2] = 3;
    }
    return status;
}

static size_t n_trials(const struct posterior_fit *f)
{
    size_t n = 0;

    for (size_t e = 0; e < f->rows.n_events; e++)
        n += f->latents.of_event[e] != SIZE_MAX;
    return n;
}

/* More unknowns than trials can still be fitted, but then by the penalty as much as by the data. */
static void note_few_trials(const struct posterior_fit *f)
{
    if (n_trials(f) < f->latents.p)
        (void)fprintf(
            stderr,
            "phos fit posterior: %zu trials are fewer than the %zu latents: what the "
            "trials leave open, the ridge penalty sets to 0; more trials or fewer latents "
            "(--components, phos train's model.latents) decode better\n",
            n_trials(f), f->latents.p);
}

static void report(const struct posterior_fit *f)
{
    const struct phi_posterior *post = f->model->posterior;
    json_t *json = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:I, s:{s:I, s:f, s:f, s:f, "
        "s:f, "
        "s:f}}",
        "model", f->args->out, "volumes", (json_int_t)f->rows.n, "skipped_volumes",
        (json_int_t)f->rows.n_skipped, "events", (json_int_t)f->rows.n_events, "trials",
        (json_int_t)n_trials(f), "voxels", (json_int_t)post->q, "latents", (json_int_t)post->p,
        "rho", post->rho, "temperature", post->tau, "noise_shrink", post->shrink, "penalty",
        post->lambda, "degrees_of_freedom", post->df, "constant_voxels",
        (json_int_t)post->n_constant, "held_out", "trials", (json_int_t)f->held_out.n_trials, "nll",
        f->held_out.nll, "coverage90", f->held_out.coverage, "error_over_variance",
        f->held_out.ratio, "r", f->held_out.r, "two_way", f->held_out.two_way);

    if (f->n_curves > 1)
        (void)json_object_set_new(json, "hrf", json_integer((json_int_t)f->curve));
    if (f->args->json) {
        (void)json_dumpf(json, stdout, JSON_INDENT(2));
        (void)putchar('\n');
    } else {
        printf("%s: %zu latents from %zu voxels, %zu volumes of %zu runs\n"
               "noise: rho %.2f, identity's share %.2f, temperature %.1f\n"
               "held-out trials (%zu, components fitted without them): 2-way identification %.3f "
               "(chance .5), r %.3f, 90 %% intervals cover %.1f %%\n",
               f->args->out, post->p, post->q, f->rows.n, f->rows.n_runs, post->rho, post->shrink,
               post->tau, f->held_out.n_trials, f->held_out.two_way, f->held_out.r,
               100 * f->held_out.coverage);
    }
    if (!f->args->json && f->n_curves > 1)
        printf("response: curve %zu of the library\n", f->curve);
    json_decref(json);
}

static enum ph_status work(struct posterior_fit *f, struct ph_error *reterr)
{
    char made_by[256];
    enum ph_status status = open_inputs(f, reterr);

    if (status == PH_OK)
        status = choose_curve(f, reterr);
    if (status == PH_OK)
        status = estimate_rho(f, reterr);
    if (status == PH_OK)
        status = choose_temperature(f, reterr);
    if (status == PH_OK)
        status = fit_all(f, reterr);
    if (status)
        return status;
    (void)snprintf(made_by, sizeof made_by,
                   "phos fit posterior: %zu volumes, %zu events, noise %s, penalty %s, %lld folds",
                   f->n_fitted, f->rows.n_events, f->args->noise, f->args->penalty,
                   (long long)f->args->n_folds);
    return phi_decoder_model_write(f->model, f->args->out, made_by, reterr);
}

static int run_fit(const struct posterior_args *args)
{
    struct posterior_fit f = {.args = args};
    struct ph_error err = {0};
    enum ph_status status;

    cli_catch_interrupts();
    status = work(&f, &err);
    cli_progress_end();
    if (status == PH_OK) {
        note_few_trials(&f);
        report(&f);
    }
    phi_decoder_model_destroy(&f.model);
    fit_latents_free(&f.latents);
    fit_rows_free(&f.rows);
    phi_stimuli_close(&f.set);
    phi_registry_destroy(&f.registry);
    if (status == PH_OK)
        return CLI_DONE;
    if (cli_interrupted())
        return cli_fail_as(CLI_INTERRUPTED, &err);
    return status == PH_E_INVAL ? cli_fail_as(CLI_DATA, &err) : cli_fail(&err);
}

static bool one_of(const char *text, const char *a, const char *b, const char *c)
{
    return strcmp(text, a) == 0 || strcmp(text, b) == 0 || (c && strcmp(text, c) == 0);
}

static int check_args(const struct cli_command *self, const struct posterior_args *a)
{
    struct phi_hrf curves[PHI_HRF_LIBRARY_SIZE];

    if (!a->run || !a->out || a->bold.n == 0 || !(a->stimuli || a->latents))
        return cli_usage(self, "--run, --bold, --out, and --stimuli or --latents are needed");
    if (a->latents && a->n_components)
        return cli_usage(self, "--components is for components of pixels; --latents has its own");
    if (!one_of(a->noise, "full", "diagonal", NULL))
        return cli_usage(self, "--noise is full or diagonal");
    if (fit_hrf_parse(a->hrf, curves) == 0)
        return cli_usage(self, "--hrf is spm, glover, library or a number from 0 to %d",
                         PHI_HRF_LIBRARY_SIZE - 1);
    if (!one_of(a->penalty, "voxel", "common", "fixed"))
        return cli_usage(self, "--penalty is voxel, common or fixed");
    if (a->n_folds < 2 || a->n_folds > 1000 || a->n_components < 0 || a->n_components > 8192 ||
        a->n_threads < 0 || a->n_threads > 64)
        return cli_usage(self, "--folds is 2 to 1000, --components 0 to 8192, --threads 0 to 64");
    if (!(a->ref >= 0 && a->ref <= 1) || !(a->rho < 1) || !(a->lambda >= 0))
        return cli_usage(self, "--ref is 0 to 1, --rho below 1, --lambda not negative");
    return -1;
}

static int run_posterior(const struct cli_command *self, int argc, char **argv)
{
    struct posterior_args a = {
        .noise = "full", .penalty = "voxel", .hrf = "spm", .n_folds = 6, .rho = -1, .ref = 0.5};
    const struct cli_option options[] = {
        {CLI_TEXT, "run", &a.run, "RUN.yaml", "run file whose filters the volumes go through"},
        {CLI_LIST, "bold", &a.bold, "FILE", "training run (NIfTI); repeat in order"},
        {CLI_LIST, "events", &a.events, "FILE", "its events.tsv; one a run, in the same order"},
        {CLI_TEXT, "stimuli", &a.stimuli, "PATH", "pictures shown: a folder or stimuli file"},
        {CLI_TEXT, "latents", &a.latents, "FILE",
         "their latents by phos encode, instead of components of pixels"},
        {CLI_TEXT, "out", &a.out, "FILE", "model file to write"},
        {CLI_TEXT, "mask", &a.mask, "FILE", "voxels, where the filters leave whole volumes"},
        {CLI_TEXT, "trial-type", &a.trial_type, "NAME", "use these events only"},
        {CLI_INT, "components", &a.n_components, "N", "latents: components of the pixels (50)"},
        {CLI_TEXT, "noise", &a.noise, "KIND", "full (shrunk) or diagonal"},
        {CLI_TEXT, "penalty", &a.penalty, "KIND", "voxel, common (both by the folds) or fixed"},
        {CLI_REAL, "lambda", &a.lambda, "X", "the penalty where it is fixed"},
        {CLI_TEXT, "hrf", &a.hrf, "NAME", "response of all voxels: " FIT_HRF_HELP},
        {CLI_INT, "folds", &a.n_folds, "N", "folds, contiguous parts of each run (6)"},
        {CLI_REAL, "rho", &a.rho, "X", "noise correlation between volumes (from the residuals)"},
        {CLI_REAL, "ref", &a.ref, "X", "share of the TR at which a volume counts as taken (0.5)"},
        {CLI_BOOL, "no-temper", &a.no_temper, NULL, "keep the temperature at 1"},
        {CLI_INT, "threads", &a.n_threads, "N", "threads (0: one a processor)"},
        CLI_PLUGINS(&a.plugins),
        CLI_JSON(&a.json),
        CLI_END};
    struct cli_args rest;
    int code = cli_parse(self, options, argc, argv, &rest);

    if (code >= 0)
        return code;
    if (rest.n)
        return cli_usage(self, "'%s' is not expected", rest.operands[0]);
    code = check_args(self, &a);
    return code >= 0 ? code : run_fit(&a);
}

const struct cli_command fit_posterior = {
    .name = "fit posterior",
    .summary = "Gaussian decoder of pictures for live runs",
    .operands = "",
    .text = "Fits the decoder behind decoder/posterior and decoder/stream: volumes go through the "
            "filters of\nthe run file, the pictures become principal components of their pixels, "
            "and every voxel is\nexplained by the components of what was shown, through the "
            "response. The model holds the\ncomponents too, so that generator/eigenface can draw "
            "what was decoded. With --latents (phos\nencode) a network's latents take their place, "
            "for generator/dand; with --stimuli too, the model\nalso holds the best linear map "
            "from these latents to the pixels, for generator/eigenface. The\nlast sixth of the "
            "volumes is held out to choose the temperature and to report identification\nand "
            "coverage.",
    .examples = "phos fit posterior --run live.yaml --bold run-1.nii.gz --events run-1_events.tsv "
                "--bold run-2.nii.gz --events run-2_events.tsv --stimuli faces --out "
                "faces.safetensors",
    .run = run_posterior,
};
