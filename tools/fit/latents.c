/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "decode/ridge.h"
#include "fit/trials.h"
#include "io/safetensors.h"

#define MAX_FIT_PICTURES 2000
#define N_PENALTIES      9

static enum ph_status read_file(const char *path, size_t n_pictures, struct fit_latents *l,
                                struct ph_error *reterr)
{
    const size_t free_shape[2] = {0, 0};
    const struct phi_safetensors_tensor *tensor;
    struct phi_safetensors *file = NULL;
    enum ph_status status = phi_safetensors_open(path, &file, reterr);

    if (status == PH_OK)
        status = phi_safetensors_expect(file, "latents", 2, free_shape, &tensor, reterr);
    if (status == PH_OK && n_pictures && tensor->shape[0] != n_pictures)
        status = phi_error(reterr, PH_E_SHAPE,
                           "%s has latents of %zu pictures, the stimuli are %zu: encode the same "
                           "set (phos encode)",
                           path, tensor->shape[0], n_pictures);
    if (status == PH_OK) {
        const char *space = phi_safetensors_metadata(file, "latents.space");

        (void)phi_str_copy(l->space, sizeof l->space, space ? space : "");
        l->n = tensor->shape[0];
        l->p = tensor->shape[1];
        status = phi_safetensors_load_f32(file, "latents", 2, tensor->shape, &l->z, reterr);
    }
    phi_safetensors_close(&file);
    for (size_t i = 0; status == PH_OK && i < l->n * l->p; i++)
        if (!isfinite(l->z[i]))
            status = phi_error(reterr, PH_E_FORMAT, "%s: the latent of picture %zu is not finite",
                               path, i / l->p);
    return status;
}

/* The penalty with the least generalised cross-validation error over all pixels; pictures are
 * independent rows. */
static enum ph_status choose_penalty(const struct phi_ridge_path *path, double *gcv /* [t] */,
                                     double *ret_lambda, struct ph_error *reterr)
{
    double best = INFINITY;
    enum ph_status status = PH_OK;

    for (int i = 0; status == PH_OK && i < N_PENALTIES; i++) {
        double lambda = (double)path->n * pow(10, -4 + 0.5 * i), sum = 0;

        status = phi_ridge_path_gcv(path, lambda, PHI_ROWS_SEPARATE, gcv, reterr);
        for (size_t j = 0; j < path->t; j++)
            sum += gcv[j];
        if (status == PH_OK && (i == 0 || sum < best)) {
            best = sum;
            *ret_lambda = lambda;
        }
    }
    return status;
}

/* Rows of unit length, and their lengths as sd. */
static void set_lengths(struct phi_pca *pca)
{
    for (size_t k = 0; k < pca->n_components; k++) {
        double *row = pca->components + k * pca->n_features, sum = 0;

        for (size_t j = 0; j < pca->n_features; j++)
            sum += row[j] * row[j];
        pca->sd[k] = sqrt(sum);
        for (size_t j = 0; j < pca->n_features && sum > 0; j++)
            row[j] /= pca->sd[k];
    }
}

/* x[n][p] and y[n][m] hold chosen rows; lambda[m] is scratch. */
static enum ph_status regress(const struct phi_ridge_problem *problem, double *lambda,
                              struct phi_pca *pca, struct ph_error *reterr)
{
    struct phi_ridge_path path = {0};
    double chosen = 1;
    enum ph_status status = phi_ridge_path_create(problem, true, &path, reterr);

    if (status == PH_OK)
        status = choose_penalty(&path, lambda, &chosen, reterr);
    if (status == PH_OK) {
        for (size_t j = 0; j < problem->t; j++)
            lambda[j] = chosen;
        phi_ridge_path_weights(&path, lambda, pca->components, pca->mean);
        set_lengths(pca);
    }
    phi_ridge_path_fini(&path);
    return status;
}

static void fill_problem(const struct phi_stimuli *set, const struct fit_latents *l, size_t n,
                         double *x, double *y, float *pixels)
{
    size_t m = phi_stimuli_height(set) * phi_stimuli_width(set) * 3;

    for (size_t i = 0; i < n; i++) {
        size_t picture = i * l->n / n;

        phi_stimuli_to_float(set, picture, pixels);
        for (size_t k = 0; k < l->p; k++)
            x[i * l->p + k] = (double)l->z[picture * l->p + k];
        for (size_t j = 0; j < m; j++)
            y[i * m + j] = (double)pixels[j];
    }
}

static enum ph_status fit_map(const struct phi_stimuli *set, struct fit_latents *l,
                              struct ph_error *reterr)
{
    size_t m = phi_stimuli_height(set) * phi_stimuli_width(set) * 3;
    size_t n = l->n < MAX_FIT_PICTURES ? l->n : MAX_FIT_PICTURES;
    double *x = phi_calloc2(n, l->p, sizeof *x), *y = phi_calloc2(n, m, sizeof *y);
    double *scratch = phi_calloc(m, sizeof *scratch);
    float *pixels = phi_calloc(m, sizeof *pixels);
    enum ph_status status = PH_OK;

    if (!x || !y || !scratch || !pixels)
        status = phi_error_nomem(reterr, "pictures", n * m * sizeof *y);
    if (status == PH_OK)
        status = phi_pca_create(m, l->p, &l->pca, reterr);
    if (status == PH_OK) {
        const struct phi_ridge_problem problem = {x, y, n, l->p, m};

        fill_problem(set, l, n, x, y, pixels);
        status = regress(&problem, scratch, l->pca, reterr);
    }
    phi_free(x);
    phi_free(y);
    phi_free(scratch);
    phi_free(pixels);
    return status;
}

enum ph_status fit_latents_read(const char *path, const struct phi_stimuli *set,
                                struct fit_latents *latents, struct ph_error *reterr)
{
    enum ph_status status = read_file(path, set ? phi_stimuli_count(set) : 0, latents, reterr);

    return status == PH_OK && set ? fit_map(set, latents, reterr) : status;
}
