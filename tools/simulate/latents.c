/* SPDX-License-Identifier: MIT */
#include "tools/simulate/latents.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "io/safetensors.h"

#define MAX_FIT 2000
#define BLOCK   64

static size_t features_of(const struct phi_stimuli *set)
{
    return phi_stimuli_height(set) * phi_stimuli_width(set) * 3;
}

enum ph_status phi_sim_latents_fit(const struct phi_stimuli *set, size_t p,
                                   struct phi_pca **ret_pca, struct ph_error *reterr)
{
    size_t n_all = phi_stimuli_count(set);
    size_t n = n_all < MAX_FIT ? n_all : MAX_FIT;
    size_t n_features = features_of(set);
    float *x = phi_calloc2(n, n_features, sizeof *x);
    enum ph_status status;

    if (!x)
        return phi_error_nomem(reterr, "the stimuli's pixels", n * n_features * sizeof *x);
    for (size_t i = 0; i < n; i++)
        phi_stimuli_to_float(set, i * n_all / n, x + i * n_features);
    status = phi_pca_fit(x, n, n_features, p, ret_pca, reterr);
    phi_free(x);
    return status;
}

enum ph_status phi_sim_latents_whiten(const struct phi_pca *pca, const struct phi_stimuli *set,
                                      struct phi_sim_latents *ret_latents, struct ph_error *reterr)
{
    size_t n = phi_stimuli_count(set);
    size_t n_features = features_of(set);
    float *x;
    double *values;

    if (n_features != pca->n_features)
        return phi_error(reterr, PH_E_SHAPE,
                         "the test stimuli are %zu x %zu pixels, not as large as the others",
                         phi_stimuli_width(set), phi_stimuli_height(set));
    x = phi_calloc2(BLOCK, n_features, sizeof *x);
    values = phi_calloc2(n, pca->n_components, sizeof *values);
    if (!x || !values) {
        phi_free(x);
        phi_free(values);
        return phi_error_nomem(reterr, "latents", n * pca->n_components * sizeof *values);
    }
    for (size_t first = 0; first < n; first += BLOCK) {
        size_t n_block = n - first < BLOCK ? n - first : BLOCK;

        for (size_t i = 0; i < n_block; i++)
            phi_stimuli_to_float(set, first + i, x + i * n_features);
        phi_pca_whiten(pca, x, n_block, values + first * pca->n_components);
    }
    phi_free(x);
    *ret_latents = (struct phi_sim_latents){values, n, pca->n_components};
    return PH_OK;
}

enum ph_status phi_sim_latents_read(const char *path, size_t n, struct phi_sim_latents *ret_latents,
                                    struct ph_error *reterr)
{
    const size_t shape[2] = {n, 0};
    const struct phi_safetensors_tensor *tensor;
    struct phi_safetensors *file;
    double *values = NULL;
    enum ph_status status = phi_safetensors_open(path, &file, reterr);

    if (status < 0)
        return status;
    status = phi_safetensors_expect(file, "latents", 2, shape, &tensor, reterr);
    if (status >= 0)
        status = phi_safetensors_load_f64(file, "latents", 2, shape, &values, reterr);
    for (size_t i = 0; status >= 0 && i < tensor->n_values; i++) {
        if (!isfinite(values[i]))
            status = phi_error(reterr, PH_E_FORMAT,
                               "'%.200s': latents hold values that are not "
                               "finite",
                               path);
    }
    if (status >= 0)
        *ret_latents = (struct phi_sim_latents){values, n, tensor->shape[1]};
    else
        phi_free(values);
    phi_safetensors_close(&file);
    return status;
}

enum ph_status phi_sim_latents_append(struct phi_sim_latents *latents,
                                      const struct phi_sim_latents *more, struct ph_error *reterr)
{
    size_t p = latents->p + more->p;
    double *values = phi_calloc2(more->n, p, sizeof *values);

    if (!values)
        return phi_error_nomem(reterr, "latents", more->n * p * sizeof *values);
    for (size_t i = 0; i < more->n; i++) {
        if (latents->p)
            memcpy(values + i * p, latents->values + i * latents->p, latents->p * sizeof *values);
        memcpy(values + i * p + latents->p, more->values + i * more->p, more->p * sizeof *values);
    }
    phi_free(latents->values);
    *latents = (struct phi_sim_latents){values, more->n, p};
    return PH_OK;
}

void phi_sim_latents_fini(struct phi_sim_latents *latents)
{
    phi_free(latents->values);
    *latents = (struct phi_sim_latents){NULL, 0, 0};
}
