/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cli.h"
#include "decode/reduce.h"
#include "fit/trials.h"
#include "io/safetensors.h"
#include "plugins/decoder/common/place.h"
#include "types.h"

#define MAX_TENSORS 10

struct decode_args {
    struct cli_list bold, events, plugins;
    const char *run, *model, *stimuli, *out, *mask, *trial_type;
    int64_t n_samples, seed;
    bool json;
};

/* One report about one trial. */
struct trial_lists {
    float *z;                  /* [n][p] */
    float *delay_s;            /* [n] from onset to the end of the volume */
    int32_t *number, *picture; /* [n] */
    size_t n, capacity;
};

struct decode {
    const struct decode_args *args;
    struct phi_registry *registry;
    struct phi_stimuli *set;
    struct fit_rows rows;
    struct fit_latents latents; /* of_event and sizes */
    struct phi_decoder_model *model;
    struct trial_lists trials;
    double *last_mean, *last_var;  /* [n_events][p] blurred channels after the last report; var 0:
                                      none */
    double *mean, *var, *z, *sd;   /* [p] scratch */
    double *stretch;               /* [p] phi_channels_blur */
    float *picture_z, *picture_sd; /* [n][p] */
    float *samples;                /* [n][n_samples][p] */
    uint8_t *pixels;               /* [n][height][width][channels] or NULL */
    int32_t *n_trials;             /* [n] */
};

static enum ph_status check_model(const struct decode *d, struct ph_error *reterr)
{
    const struct phi_posterior *post = d->model->posterior;
    const struct phi_decoder_place place = {
        .geometry = d->model->geometry, .q = post->q, .chain = d->model->chain};
    const struct ph_spec spec = {.kind = PH_FRAME_VECTOR, .geometry = d->rows.geometry};
    enum ph_status status;

    status = phi_decoder_place_check(&place, true, &spec, reterr);
    if (status)
        return phi_error_prefix(reterr, "%s", d->args->model);
    if (post->q != d->rows.q ||
        memcmp(d->model->voxels, d->rows.voxels, post->q * sizeof *d->rows.voxels) != 0)
        return phi_error(reterr, PH_E_SHAPE,
                         "%s was fitted on %zu voxels, the runs have %zu, or others: use the mask "
                         "of the fit",
                         d->args->model, post->q, d->rows.q);
    if (strcmp(d->model->chain, d->rows.chain) != 0) {
        char text[PH_ERROR_TEXT];
        struct phi_str out = phi_str_over(text, sizeof text);

        phi_decoder_chain_difference(d->model->chain, d->rows.chain, &out);
        return phi_error(reterr, PH_E_INVAL,
                         "%s was fitted behind other filters than those of %s: %s", d->args->model,
                         d->args->run, text);
    }
    return PH_OK;
}

static enum ph_status open_inputs(struct decode *d, struct ph_error *reterr)
{
    const struct decode_args *a = d->args;
    struct fit_rows_from from = {
        .run_file = a->run, .bold = &a->bold, .events = &a->events, .mask = a->mask};
    struct fit_latents_from pictures = {NULL, NULL, a->trial_type, 0};
    enum ph_status status = types_open(&a->plugins, &d->registry, reterr);

    from.registry = d->registry;
    if (status == PH_OK)
        status = phi_stimuli_open(a->stimuli, &d->set, reterr);
    if (status == PH_OK)
        status = phi_decoder_model_open(a->model, &d->model, reterr);
    if (status != PH_OK)
        return status;
    from.ref = d->model->ref;
    pictures.set = d->set;
    d->latents.n = phi_stimuli_count(d->set);
    d->latents.p = d->model->posterior->p;
    status = fit_rows_load(&from, &d->rows, reterr);
    if (status == PH_OK)
        status = fit_latents_match(&pictures, &d->rows, &d->latents, reterr);
    return status == PH_OK ? check_model(d, reterr) : status;
}

static enum ph_status take_memory(struct decode *d, struct ph_error *reterr)
{
    size_t p = d->latents.p, n = d->latents.n, n_events = d->rows.n_events;
    size_t most = d->rows.n * PHI_TRIAL_MAX_OPEN;

    d->trials.capacity = most;
    d->trials.z = phi_calloc2(most, p, sizeof(float));
    d->trials.delay_s = phi_calloc(most, sizeof(float));
    d->trials.number = phi_calloc(most, sizeof(int32_t));
    d->trials.picture = phi_calloc(most, sizeof(int32_t));
    d->last_mean = phi_calloc2(n_events, p, sizeof(double));
    d->last_var = phi_calloc2(n_events, p, sizeof(double));
    d->mean = phi_calloc2(6, p, sizeof(double));
    d->picture_z = phi_calloc2(n, p, sizeof(float));
    d->picture_sd = phi_calloc2(n, p, sizeof(float));
    d->samples = phi_calloc2(n * (size_t)d->args->n_samples + 1, p, sizeof(float));
    d->n_trials = phi_calloc(n, sizeof(int32_t));
    if (d->model->pca)
        d->pixels = phi_calloc2(n, d->model->pca->n_features, 1);
    if (!d->trials.z || !d->trials.delay_s || !d->trials.number || !d->trials.picture ||
        !d->last_mean || !d->last_var || !d->mean || !d->picture_z || !d->picture_sd ||
        !d->samples || !d->n_trials || (d->model->pca && !d->pixels))
        return phi_error_nomem(reterr, "decoded trials", most * p * sizeof(float));
    d->var = d->mean + p;
    d->z = d->var + p;
    d->sd = d->z + p;
    d->stretch = d->sd + p;
    phi_channels_blur(d->model->posterior->d, d->model->posterior->error, p, d->stretch + p,
                      d->stretch);
    return PH_OK;
}

/* A fit_heard_fn. */
static void hear(void *ctx, const struct phi_trial_report *report, double at_s)
{
    struct decode *d = ctx;
    struct trial_lists *t = &d->trials;
    const struct fit_rows_event *event = &d->rows.events[report->number];
    size_t p = d->latents.p;
    double end_s = at_s + (1 - d->model->ref) * d->model->geometry.tr_s;

    if (t->n == t->capacity)
        return;
    phi_channels_to_latent(d->model->posterior->t, NULL, p, report->mean, report->var, d->z, d->sd);
    for (size_t k = 0; k < p; k++)
        t->z[t->n * p + k] = (float)d->z[k];
    t->delay_s[t->n] = (float)(end_s - event->event.onset_s);
    t->number[t->n] = (int32_t)report->number;
    t->picture[t->n++] = (int32_t)d->latents.of_event[report->number];
    for (size_t k = 0; k < p; k++) {
        double g = 1 / (d->stretch[k] * d->stretch[k]);

        d->last_mean[report->number * p + k] = report->mean[k] * d->stretch[k];
        d->last_var[report->number * p + k] = (report->var[k] - (1 - g)) / g;
    }
    cli_progress("decoding, statement", t->n, 0);
}

/* All trials of a picture as one: each channel's prior is N(0, 1), so trial t adds the precision
 * 1/var_t - 1. This is done on what the channels see (phi_channels_blur), since the weights' errors
 * are the same in every trial of a picture. Trials whose responses overlapped are taken as
 * independent.
 */
static void join_trials(struct decode *d, size_t picture)
{
    size_t p = d->latents.p;

    for (size_t k = 0; k < p; k++) {
        double precision = 1, eta = 0;

        for (size_t e = 0; e < d->rows.n_events; e++) {
            double var = d->last_var[e * p + k];

            if (d->latents.of_event[e] != picture || !(var > 0))
                continue;
            precision += 1 / var - 1;
            eta += d->last_mean[e * p + k] / var;
        }
        d->var[k] = 1 / precision;
        d->mean[k] = eta / precision;
    }
    phi_channels_sharpen(d->stretch, d->mean, d->var, p, d->mean, d->var);
    for (size_t e = 0; e < d->rows.n_events; e++)
        d->n_trials[picture] += d->latents.of_event[e] == picture && d->last_var[e * p] > 0;
}

static void sample(struct decode *d, size_t picture, struct phi_rng *rng)
{
    const double *t = d->model->posterior->t;
    size_t p = d->latents.p, n = (size_t)d->args->n_samples;

    for (size_t s = 0; s < n; s++) {
        for (size_t k = 0; k < p; k++)
            d->sd[k] = phi_rng_normal(rng);
        phi_channels_sample(t, NULL, p, d->mean, d->var, d->sd, d->z);
        for (size_t k = 0; k < p; k++)
            d->samples[(picture * n + s) * p + k] = (float)d->z[k];
    }
}

static void draw(struct decode *d, size_t picture, double *drawing)
{
    const struct phi_pca *pca = d->model->pca;
    uint8_t *pixels = d->pixels + picture * pca->n_features;

    phi_pca_unwhiten(pca, d->z, d->latents.p, drawing);
    for (size_t j = 0; j < pca->n_features; j++) {
        double value = drawing[j] > 0 ? fmin(drawing[j], 1) : 0;

        pixels[j] = (uint8_t)(value * 255 + 0.5);
    }
}

static enum ph_status join_pictures(struct decode *d, struct ph_error *reterr)
{
    size_t p = d->latents.p;
    double *drawing = d->pixels ? phi_calloc(d->model->pca->n_features, sizeof *drawing) : NULL;
    struct phi_rng rng;

    if (d->pixels && !drawing)
        return phi_error_nomem(reterr, "a picture", d->model->pca->n_features * sizeof *drawing);
    phi_rng_init(&rng, (uint64_t)d->args->seed, 0);
    for (size_t i = 0; i < d->latents.n; i++) {
        join_trials(d, i);
        sample(d, i, &rng);
        phi_channels_to_latent(d->model->posterior->t, NULL, p, d->mean, d->var, d->z, d->sd);
        for (size_t k = 0; k < p; k++) {
            d->picture_z[i * p + k] = (float)d->z[k];
            d->picture_sd[i * p + k] = (float)d->sd[k];
        }
        if (d->pixels)
            draw(d, i, drawing);
    }
    phi_free(drawing);
    return PH_OK;
}

static struct phi_safetensors_tensor tensor(const char *name, enum phi_safetensors_dtype dtype,
                                            const size_t shape[4], const void *data)
{
    struct phi_safetensors_tensor t = {.name = name, .dtype = dtype, .data = data};

    for (; t.n_dims < 4 && shape[t.n_dims]; t.n_dims++)
        t.shape[t.n_dims] = shape[t.n_dims];
    return t;
}

static enum ph_status write_all(const struct decode *d, struct ph_error *reterr)
{
    size_t n = d->latents.n, p = d->latents.p, m = d->trials.n,
           n_samples = (size_t)d->args->n_samples;
    const size_t *image = d->model->image;
    struct phi_safetensors_tensor tensors[MAX_TENSORS] = {
        tensor("latents", PHI_SAFETENSORS_F32, (size_t[4]){n, p}, d->picture_z),
        tensor("sd", PHI_SAFETENSORS_F32, (size_t[4]){n, p}, d->picture_sd),
        tensor("n_trials", PHI_SAFETENSORS_I32, (size_t[4]){n}, d->n_trials),
        tensor("trial.latents", PHI_SAFETENSORS_F32, (size_t[4]){m, p}, d->trials.z),
        tensor("trial.delay_s", PHI_SAFETENSORS_F32, (size_t[4]){m}, d->trials.delay_s),
        tensor("trial.number", PHI_SAFETENSORS_I32, (size_t[4]){m}, d->trials.number),
        tensor("trial.picture", PHI_SAFETENSORS_I32, (size_t[4]){m}, d->trials.picture),
    };
    const struct phi_safetensors_pair pairs[] = {{"phosphene.kind", "decoded"},
                                                 {"phosphene.version", "1"},
                                                 {"decoded.model", d->args->model},
                                                 {"latents.space", d->model->space}};
    struct phi_safetensors_content content = {tensors, 7, pairs, *d->model->space ? 4U : 3U};

    if (n_samples)
        tensors[content.n_tensors++] =
            tensor("samples", PHI_SAFETENSORS_F32, (size_t[4]){n, n_samples, p}, d->samples);
    if (d->pixels)
        tensors[content.n_tensors++] =
            tensor("pictures", PHI_SAFETENSORS_U8, (size_t[4]){n, image[0], image[1], image[2]},
                   d->pixels);
    return phi_safetensors_write(d->args->out, &content, reterr);
}

static enum ph_status work(struct decode *d, struct ph_error *reterr)
{
    enum ph_status status = open_inputs(d, reterr);

    if (status == PH_OK)
        status = take_memory(d, reterr);
    if (status == PH_OK)
        status = fit_decode_all(&d->rows, &d->latents, d->model, hear, d, reterr);
    if (status == PH_OK && d->trials.n == 0)
        status = phi_error(reterr, PH_E_INVAL, "no volume came after the onset of a picture");
    if (status == PH_OK)
        status = join_pictures(d, reterr);
    return status == PH_OK ? write_all(d, reterr) : status;
}

static void report(const struct decode *d)
{
    size_t n_shown = 0, n_trials = 0;

    for (size_t i = 0; i < d->latents.n; i++) {
        n_shown += d->n_trials[i] > 0;
        n_trials += (size_t)d->n_trials[i];
    }
    if (d->args->json)
        printf("{\"file\": \"%s\", \"pictures\": %zu, \"trials\": %zu, \"statements\": %zu}\n",
               d->args->out, n_shown, n_trials, d->trials.n);
    else
        printf("%s: %zu trials of %zu pictures, %zu statements about them, %zu latents\n",
               d->args->out, n_trials, n_shown, d->trials.n, d->latents.p);
}

static void release(struct decode *d)
{
    void *blocks[] = {d->trials.z,   d->trials.delay_s, d->trials.number, d->trials.picture,
                      d->last_mean,  d->last_var,       d->mean,          d->picture_z,
                      d->picture_sd, d->samples,        d->pixels,        d->n_trials};

    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        phi_free(blocks[i]);
    fit_latents_free(&d->latents);
    fit_rows_free(&d->rows);
    phi_decoder_model_destroy(&d->model);
    phi_stimuli_close(&d->set);
    phi_registry_destroy(&d->registry);
}

static int run_decode(const struct cli_command *self, int argc, char **argv)
{
    struct decode_args a = {.seed = 1};
    const struct cli_option options[] = {
        {CLI_TEXT, "run", &a.run, "RUN.yaml", "run file whose filters the volumes go through"},
        {CLI_TEXT, "model", &a.model, "FILE", "decoder (phos fit posterior)"},
        {CLI_LIST, "bold", &a.bold, "FILE", "run to decode (NIfTI); repeat in order"},
        {CLI_LIST, "events", &a.events, "FILE", "its events.tsv; one a run, in the same order"},
        {CLI_TEXT, "stimuli", &a.stimuli, "PATH", "pictures shown: a folder or stimuli file"},
        {CLI_TEXT, "out", &a.out, "FILE", "decoded latents to write (safetensors)"},
        {CLI_TEXT, "mask", &a.mask, "FILE", "voxels, where the filters leave whole volumes"},
        {CLI_TEXT, "trial-type", &a.trial_type, "NAME", "use these events only"},
        {CLI_INT, "samples", &a.n_samples, "N", "posterior samples of each picture (0)"},
        {CLI_INT, "seed", &a.seed, "N", "of the samples (1)"},
        CLI_PLUGINS(&a.plugins),
        CLI_JSON(&a.json),
        CLI_END};
    struct decode d = {.args = &a};
    struct cli_args rest;
    struct ph_error err = {0};
    enum ph_status status;
    int code = cli_parse(self, options, argc, argv, &rest);

    if (code >= 0)
        return code;
    if (rest.n || !a.run || !a.model || !a.stimuli || !a.out || a.bold.n == 0)
        return cli_usage(self, "--run, --model, --bold, --stimuli and --out are needed");
    if (a.n_samples < 0 || a.n_samples > 1000 || a.seed < 0)
        return cli_usage(self, "--samples is 0 to 1000, --seed not negative");
    cli_catch_interrupts();
    status = work(&d, &err);
    cli_progress_end();
    if (status == PH_OK)
        report(&d);
    release(&d);
    if (status == PH_OK)
        return CLI_DONE;
    if (cli_interrupted())
        return cli_fail_as(CLI_INTERRUPTED, &err);
    return status == PH_E_INVAL ? cli_fail_as(CLI_DATA, &err) : cli_fail(&err);
}

const struct cli_command cmd_decode = {
    .name = "decode",
    .summary = "what recorded runs say about the pictures shown, trial by trial",
    .operands = "",
    .text =
        "Runs go through the filters of the run file and the decoder as they would live, volume "
        "by volume.\nWrites every statement about every trial (trial.latents, trial.delay_s "
        "from the onset to the end\nof the volume, trial.number, trial.picture), and for each "
        "picture all its trials taken together\n(latents, sd, samples of the posterior, and "
        "pictures drawn linearly where the decoder has the\nmeans).",
    .examples = "phos decode --run live.yaml --model faces.safetensors --bold test.nii.gz --events "
                "test_events.tsv --stimuli stimuli/test --out decoded.safetensors",
    .run = run_decode,
};
