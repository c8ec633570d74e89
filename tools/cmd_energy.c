/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli.h"
#include "decode/linalg.h"
#include "decode/pca.h"
#include "io/safetensors.h"
#include "tools/stimuli/energy.h"
#include "tools/stimuli/set.h"

#define M PHI_ENERGY_FEATURES

struct energy_args {
    const char *pictures, *out, *basis;
    int64_t n_components;
    bool json;
};

struct energy_work {
    const struct energy_args *args;
    struct phi_stimuli *set;
    struct phi_energy *energy;
    struct phi_pca *pca;
    size_t n;
    float *x;            /* [n][M] */
    double *centre, *sd; /* [M] of the features of the training pictures */
    double *scores;      /* [n][p] */
};

static enum ph_status read_pictures(struct energy_work *w, struct ph_error *reterr)
{
    enum ph_status status = phi_stimuli_open(w->args->pictures, &w->set, reterr);

    if (status != PH_OK)
        return status;
    w->n = phi_stimuli_count(w->set);
    status = phi_energy_create(phi_stimuli_height(w->set), phi_stimuli_width(w->set), &w->energy,
                               reterr);
    if (status != PH_OK)
        return status;
    w->x = phi_calloc2(w->n, M, sizeof *w->x);
    w->centre = phi_calloc(M, sizeof *w->centre);
    w->sd = phi_calloc(M, sizeof *w->sd);
    if (!w->x || !w->centre || !w->sd)
        return phi_error_nomem(reterr, "features", w->n * M * sizeof *w->x);
    for (size_t i = 0; i < w->n; i++) {
        phi_energy_features(w->energy, phi_stimuli_image(w->set, i), w->x + i * M);
        cli_progress("pictures", i + 1, w->n);
        if (cli_interrupted())
            return phi_error(reterr, PH_E_STATE, "interrupted");
    }
    return PH_OK;
}

/* Every feature to mean 0 and sd 1 over the pictures; one that is constant stays 0. */
static void describe(struct energy_work *w)
{
    for (size_t j = 0; j < M; j++) {
        double sum = 0, squares = 0;

        for (size_t i = 0; i < w->n; i++)
            sum += (double)w->x[i * M + j];
        w->centre[j] = sum / (double)w->n;
        for (size_t i = 0; i < w->n; i++)
            squares += pow((double)w->x[i * M + j] - w->centre[j], 2);
        w->sd[j] = sqrt(squares / (double)w->n);
    }
}

static void standardise(struct energy_work *w)
{
    for (size_t i = 0; i < w->n; i++)
        for (size_t j = 0; j < M; j++)
            w->x[i * M + j] =
                w->sd[j] > 0 ? (float)(((double)w->x[i * M + j] - w->centre[j]) / w->sd[j]) : 0;
}

static enum ph_status load_doubles(const struct phi_safetensors *file, const char *name,
                                   const size_t shape[2], double *out, struct ph_error *reterr)
{
    size_t n_dims = shape[1] ? 2 : 1, n = shape[0] * (shape[1] ? shape[1] : 1);
    double *values = NULL;
    enum ph_status status = phi_safetensors_load_f64(file, name, n_dims, shape, &values, reterr);

    if (status == PH_OK)
        memcpy(out, values, n * sizeof *out);
    phi_free(values);
    return status;
}

static enum ph_status read_basis(struct energy_work *w, struct ph_error *reterr)
{
    const size_t free_shape[2] = {0, M}, of_features[2] = {M, 0};
    const struct phi_safetensors_tensor *rows;
    struct phi_safetensors *file = NULL;
    enum ph_status status = phi_safetensors_open(w->args->basis, &file, reterr);

    if (status == PH_OK)
        status = phi_safetensors_expect(file, "energy.components", 2, free_shape, &rows, reterr);
    if (status == PH_OK)
        status = phi_pca_create(M, rows->shape[0], &w->pca, reterr);
    if (status == PH_OK) {
        const size_t all[2] = {w->pca->n_components, M}, of_scores[2] = {w->pca->n_components, 0};

        status = load_doubles(file, "energy.components", all, w->pca->components, reterr);
        if (status == PH_OK)
            status = load_doubles(file, "energy.sd", of_scores, w->pca->sd, reterr);
    }
    if (status == PH_OK)
        status = load_doubles(file, "energy.feature_mean", of_features, w->centre, reterr);
    if (status == PH_OK)
        status = load_doubles(file, "energy.feature_sd", of_features, w->sd, reterr);
    phi_safetensors_close(&file);
    return status;
}

static enum ph_status make_latents(struct energy_work *w, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    if (w->args->basis)
        status = read_basis(w, reterr);
    else
        describe(w);
    if (status != PH_OK)
        return status;
    standardise(w);
    if (!w->args->basis) {
        (void)phi_blas_set_threads(1); /* the same bits on any machine */
        status = phi_pca_fit(w->x, w->n, M, (size_t)w->args->n_components, &w->pca, reterr);
        if (status == PH_OK) /* its centre is 0 up to rounding */
            memset(w->pca->mean, 0, M * sizeof *w->pca->mean);
    }
    if (status != PH_OK)
        return status;
    w->scores = phi_calloc2(w->n, w->pca->n_components, sizeof *w->scores);
    if (!w->scores)
        return phi_error_nomem(reterr, "latents", w->n * w->pca->n_components * sizeof(double));
    phi_pca_whiten(w->pca, w->x, w->n, w->scores);
    return PH_OK;
}

static enum ph_status write_latents(const struct energy_work *w, struct ph_error *reterr)
{
    size_t p = w->pca->n_components;
    const struct phi_safetensors_tensor tensors[] = {{.name = "latents",
                                                      .dtype = PHI_SAFETENSORS_F64,
                                                      .n_dims = 2,
                                                      .shape = {w->n, p},
                                                      .data = w->scores},
                                                     {.name = "energy.components",
                                                      .dtype = PHI_SAFETENSORS_F64,
                                                      .n_dims = 2,
                                                      .shape = {p, M},
                                                      .data = w->pca->components},
                                                     {.name = "energy.sd",
                                                      .dtype = PHI_SAFETENSORS_F64,
                                                      .n_dims = 1,
                                                      .shape = {p},
                                                      .data = w->pca->sd},
                                                     {.name = "energy.feature_mean",
                                                      .dtype = PHI_SAFETENSORS_F64,
                                                      .n_dims = 1,
                                                      .shape = {M},
                                                      .data = w->centre},
                                                     {.name = "energy.feature_sd",
                                                      .dtype = PHI_SAFETENSORS_F64,
                                                      .n_dims = 1,
                                                      .shape = {M},
                                                      .data = w->sd}};
    const struct phi_safetensors_pair pairs[] = {{"phosphene.kind", "latents"},
                                                 {"phosphene.version", "1"},
                                                 {"latents.model", "oriented energies and colours"},
                                                 {"latents.space", "energy"},
                                                 {"latents.scale", "whitened on the training set"}};
    const struct phi_safetensors_content content = {tensors, 5, pairs, 5};

    return phi_safetensors_write(w->args->out, &content, reterr);
}

static void report(const struct energy_work *w)
{
    json_t *answer =
        json_pack("{s:s, s:I, s:I, s:I}", "file", w->args->out, "n", (json_int_t)w->n, "features",
                  (json_int_t)M, "components", (json_int_t)w->pca->n_components);

    if (w->args->json) {
        (void)json_dumpf(answer, stdout, 0);
        (void)putchar('\n');
    } else {
        printf("%s: %zu latents of %zu components of %d energies and colours\n", w->args->out, w->n,
               w->pca->n_components, M);
    }
    json_decref(answer);
}

static int run(const struct energy_args *args)
{
    struct energy_work w = {.args = args};
    struct ph_error err = {0};
    enum ph_status status;

    cli_catch_interrupts();
    status = read_pictures(&w, &err);
    cli_progress_end();
    if (status == PH_OK)
        status = make_latents(&w, &err);
    if (status == PH_OK)
        status = write_latents(&w, &err);
    if (status == PH_OK)
        report(&w);
    phi_pca_destroy(&w.pca);
    phi_energy_destroy(&w.energy);
    phi_stimuli_close(&w.set);
    phi_free(w.x);
    phi_free(w.centre);
    phi_free(w.sd);
    phi_free(w.scores);
    if (status == PH_OK)
        return CLI_DONE;
    return cli_interrupted() ? cli_fail_as(CLI_INTERRUPTED, &err) : cli_fail(&err);
}

static int run_energy(const struct cli_command *self, int argc, char **argv)
{
    struct energy_args a = {0};
    const struct cli_option options[] = {
        {CLI_TEXT, "out", &a.out, "FILE", "the latents to write (safetensors, 'latents' [n][p])"},
        {CLI_INT, "components", &a.n_components, "N", "components kept (64)"},
        {CLI_TEXT, "basis", &a.basis, "FILE", "components of that file instead: for test pictures"},
        CLI_JSON(&a.json),
        CLI_END};
    struct cli_args rest;
    int code = cli_parse(self, options, argc, argv, &rest);

    if (code >= 0)
        return code;
    if (rest.n != 1 || !a.out)
        return cli_usage(self, "PICTURES and --out FILE are needed");
    if (a.basis && a.n_components)
        return cli_usage(self, "--basis has its own components");
    if (a.n_components < 0 || a.n_components > M)
        return cli_usage(self, "--components is 1 to the number of features");
    if (a.n_components == 0)
        a.n_components = 64;
    a.pictures = rest.operands[0];
    return run(&a);
}

const struct cli_command cmd_energy = {
    .name = "energy",
    .summary = "turn pictures into oriented energies and colours: latents of no network",
    .operands = "PICTURES",
    .text =
        "Answers of Gabor pairs of three wavelengths in four orientations, averaged in 8 x 8 "
        "cells, and\nthe cells' luminance and two opponent colours; each to sd 1 over the "
        "pictures, then whitened\nprincipal components. For phos simulate --latents: a brain that "
        "answers to neither the decoder's\nlatents nor pixels.",
    .examples = "phos energy stimuli/train --components 64 --out train-energy.safetensors\n"
                "phos energy stimuli/test --basis train-energy.safetensors --out "
                "test-energy.safetensors",
    .run = run_energy,
};
