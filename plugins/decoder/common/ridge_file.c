/* SPDX-License-Identifier: MIT */
#include "plugins/decoder/common/ridge_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/safetensors.h"

#define MAX_FEATURES ((size_t)1 << 24)

static enum ph_status check_sizes(const struct phi_safetensors *file,
                                  const struct phi_ridge_model *m, struct ph_error *reterr)
{
    if (m->n_lags < 1 || m->n_lags > PHI_RIDGE_MAX_LAGS || m->t < 1 || m->t > MAX_FEATURES ||
        m->q < 1 || m->q > UINT32_MAX)
        return phi_error(reterr, PH_E_LIMIT, "%s: %zu lags, %zu features, %zu voxels",
                         phi_safetensors_path(file), m->n_lags, m->t, m->q);
    return PH_OK;
}

/* Dual coefficients [n][t] with the training volumes [n][q]. */
static enum ph_status read_dual_sizes(const struct phi_safetensors *file, struct phi_ridge_model *m,
                                      struct ph_error *reterr)
{
    const size_t free_shape[2] = {0, 0};
    const struct phi_safetensors_tensor *dual, *train;
    enum ph_status status = phi_safetensors_expect(file, "dual", 2, free_shape, &dual, reterr);

    if (status == PH_OK)
        status = phi_safetensors_expect(file, "train", 2, free_shape, &train, reterr);
    if (status)
        return status;
    m->n_lags = 1;
    m->n_train = dual->shape[0];
    m->t = dual->shape[1];
    m->q = train->shape[1];
    if (m->n_train < 1 || train->shape[0] != m->n_train || dual->dtype != PHI_SAFETENSORS_F32)
        return phi_error(reterr, PH_E_FORMAT,
                         "%s: %zu rows of coefficients (of type %s) for %zu training volumes",
                         phi_safetensors_path(file), m->n_train,
                         phi_safetensors_dtype_name(dual->dtype), train->shape[0]);
    return check_sizes(file, m, reterr);
}

/* Refuses what cannot be used live, by name. */
static enum ph_status read_sizes(const struct phi_safetensors *file, struct phi_ridge_model *m,
                                 struct ph_error *reterr)
{
    const size_t free_shape[3] = {0, 0, 0};
    const struct phi_safetensors_tensor *w;
    int64_t version;
    enum ph_status status = phi_safetensors_expect_kind(file, "ridge", 1, &version, reterr);

    if (status == PH_OK && phi_safetensors_find(file, "dual"))
        return read_dual_sizes(file, m, reterr);
    if (status == PH_OK)
        status = phi_safetensors_expect(file, "weights", 3, free_shape, &w, reterr);
    if (status)
        return status;
    m->n_lags = w->shape[0];
    m->t = w->shape[1];
    m->q = w->shape[2];
    return check_sizes(file, m, reterr);
}

static enum ph_status read_lags(const struct phi_safetensors *file, struct phi_ridge_model *m,
                                struct ph_error *reterr)
{
    double lags[PHI_RIDGE_MAX_LAGS];
    const struct phi_safetensors_tensor *tensor;
    enum ph_status status = phi_safetensors_expect(file, "lags", 1, &m->n_lags, &tensor, reterr);

    if (status == PH_OK)
        status = phi_safetensors_read_f64(file, tensor, m->n_lags, lags, reterr);
    for (size_t l = 0; status == PH_OK && l < m->n_lags; l++) {
        if (!(fabs(lags[l]) <= 1000))
            return phi_error(reterr, PH_E_FORMAT, "%s: a lag of %g volumes",
                             phi_safetensors_path(file), lags[l]);
        m->lags[l] = (int)lags[l];
        if (l == 0 || m->lags[l] < m->first_lag)
            m->first_lag = m->lags[l];
        if (l == 0 || m->lags[l] > m->last_lag)
            m->last_lag = m->lags[l];
    }
    return status;
}

/* "nx ny nz" and the twelve numbers of the affine. */
static enum ph_status read_grid(const struct phi_safetensors *file, struct phi_ridge_model *m,
                                struct ph_error *reterr)
{
    const char *at = phi_safetensors_metadata(file, "phosphene.grid");
    const char *tr = phi_safetensors_metadata(file, "phosphene.tr_s");
    struct ph_geometry *g = &m->geometry;
    int used = 0;
    bool good = at && sscanf(at, "%u %u %u%n", &g->dims[0], &g->dims[1], &g->dims[2], &used) == 3;

    for (int i = 0; good && i < 12; i++) {
        at += used;
        good = sscanf(at, "%lf%n", &g->affine[i / 4][i % 4], &used) == 1;
    }
    for (int i = 0; good && i < 3; i++)
        good = g->dims[i] >= 1 && g->dims[i] <= 4096;
    if (!good)
        return phi_error(reterr, PH_E_FORMAT,
                         "%s was not fitted on volumes (no grid): a live decoder needs to know "
                         "where its voxels are",
                         phi_safetensors_path(file));
    if (!tr || !phi_parse_double(tr, &g->tr_s) || !(g->tr_s > 0 && g->tr_s < 1000))
        return phi_error(reterr, PH_E_FORMAT, "%s does not tell its repetition time",
                         phi_safetensors_path(file));
    return PH_OK;
}

static enum ph_status read_voxels(const struct phi_safetensors *file, struct phi_ridge_model *m,
                                  struct ph_error *reterr)
{
    const uint32_t *dims = m->geometry.dims;
    double n_grid = (double)dims[0] * dims[1] * dims[2], *values = NULL;
    enum ph_status status =
        phi_safetensors_load_f64(file, "voxel_index", 1, &m->q, &values, reterr);

    m->voxels = phi_calloc(m->q, sizeof *m->voxels);
    if (status == PH_OK && !m->voxels)
        status = phi_error_nomem(reterr, "a voxel list", m->q * sizeof *m->voxels);
    for (size_t i = 0; status == PH_OK && i < m->q; i++) {
        if (!(values[i] >= 0 && values[i] < n_grid) || (i && values[i] <= values[i - 1]))
            status = phi_error(reterr, PH_E_FORMAT, "%s: voxel_index does not ascend in its grid",
                               phi_safetensors_path(file));
        else
            m->voxels[i] = (uint32_t)values[i];
    }
    phi_free(values);
    if (status == PH_OK)
        m->layout = ph_layout_hash(dims, m->voxels, m->q);
    return status;
}

static enum ph_status read_chain(const struct phi_safetensors *file, struct phi_ridge_model *m,
                                 struct ph_error *reterr)
{
    const char *chain = phi_safetensors_metadata(file, "chain");
    size_t n = chain ? strlen(chain) : 0;

    m->chain = phi_calloc(n + 1, 1);
    if (!m->chain)
        return phi_error_nomem(reterr, "a text", n + 1);
    if (n)
        memcpy(m->chain, chain, n);
    return PH_OK;
}

static enum ph_status read_place(const struct phi_safetensors *file, struct phi_ridge_model *m,
                                 struct ph_error *reterr)
{
    enum ph_status status = read_sizes(file, m, reterr);

    if (status == PH_OK)
        status = read_lags(file, m, reterr);
    if (status == PH_OK)
        status = read_grid(file, m, reterr);
    if (status == PH_OK)
        status = read_voxels(file, m, reterr);
    return status == PH_OK ? read_chain(file, m, reterr) : status;
}

/* One lag's product, and what it gives at the voxel means. */
static enum ph_status take_lag(struct phi_ridge_model *m, size_t lag, const float *w,
                               const float *mean, enum phi_gemv_format format,
                               struct ph_error *reterr)
{
    const size_t shape[2] = {m->t, m->q};

    for (size_t k = 0; k < m->t; k++) {
        double sum = 0;

        for (size_t j = 0; j < m->q; j++)
            sum += (double)w[k * m->q + j] * (double)mean[j];
        m->offset[k] += sum;
    }
    for (size_t i = 0; i < m->t; i++)
        if (!isfinite(m->offset[i]))
            return phi_error(reterr, PH_E_FORMAT, "feature %zu has weights that are not numbers",
                             i);
    return phi_gemv_create(w, mean, shape, format, &m->weights[lag], reterr);
}

static enum ph_status read_weights(const struct phi_safetensors *file, struct phi_ridge_model *m,
                                   const float *mean, enum phi_gemv_format format,
                                   struct ph_error *reterr)
{
    const size_t shape[3] = {m->n_lags, m->t, m->q};
    struct phi_safetensors_tensor tensor;
    const struct phi_safetensors_tensor *all;
    float *w = phi_calloc2(m->t, m->q, sizeof *w);
    enum ph_status status = phi_safetensors_expect(file, "weights", 3, shape, &all, reterr);

    if (status == PH_OK && !w)
        status = phi_error_nomem(reterr, "weights", m->t * m->q * sizeof *w);
    for (size_t l = 0; status == PH_OK && l < m->n_lags; l++) {
        tensor = *all;
        tensor.n_values = m->t * m->q;
        tensor.n_bytes = all->n_bytes / m->n_lags;
        tensor.data = (const char *)all->data + l * tensor.n_bytes;
        status = phi_safetensors_read_f32(file, &tensor, m->t * m->q, w, reterr);
        if (status == PH_OK)
            status = take_lag(m, l, w, mean, format, reterr);
    }
    phi_free(w);
    return status;
}

/* The training volumes, standardised in the file, so that they act on a volume as it comes. */
static enum ph_status read_train(const struct phi_safetensors *file, struct phi_ridge_model *m,
                                 const float *mean, enum phi_gemv_format format,
                                 struct ph_error *reterr)
{
    const size_t shape[2] = {m->n_train, m->q};
    float *train = NULL, *scale = NULL;
    enum ph_status status = phi_safetensors_load_f32(file, "voxel_scale", 1, &m->q, &scale, reterr);

    if (status == PH_OK)
        status = phi_safetensors_load_f32(file, "train", 2, shape, &train, reterr);
    for (size_t i = 0; status == PH_OK && i < m->n_train * m->q; i++) {
        float s = scale[i % m->q];

        train[i] = s > 0 ? train[i] / s : 0;
        if (!isfinite(train[i]))
            status = phi_error(reterr, PH_E_FORMAT, "%s: training volume %zu is not finite",
                               phi_safetensors_path(file), i / m->q);
    }
    if (status == PH_OK)
        status = phi_gemv_create(train, mean, shape, format, &m->train, reterr);
    phi_free(train);
    phi_free(scale);
    return status;
}

/* Features first .. first+n-1 of the coefficients, turned to w[n][n_train]. */
static enum ph_status take_piece(const struct phi_safetensors *file, struct phi_ridge_model *m,
                                 const size_t range[2], float *w, enum phi_gemv_format format,
                                 struct ph_error *reterr)
{
    const size_t shape[2] = {range[1], m->n_train};
    const struct phi_safetensors_tensor *dual = phi_safetensors_find(file, "dual");
    const char *data = dual->data;

    for (size_t i = 0; i < m->n_train; i++)
        for (size_t k = 0; k < range[1]; k++) {
            float value;

            memcpy(&value, data + (i * m->t + range[0] + k) * sizeof value, sizeof value);
            if (!isfinite(value))
                return phi_error(reterr, PH_E_FORMAT,
                                 "feature %zu has coefficients that are not numbers", range[0] + k);
            w[k * m->n_train + i] = value;
        }
    return phi_gemv_create(w, NULL, shape, format, &m->pieces[range[0] / PHI_RIDGE_PIECE], reterr);
}

static enum ph_status read_dual(const struct phi_safetensors *file, struct phi_ridge_model *m,
                                const float *mean, enum phi_gemv_format format,
                                struct ph_error *reterr)
{
    float *w = phi_calloc2(PHI_RIDGE_PIECE, m->n_train, sizeof *w);
    enum ph_status status = PH_OK;

    m->n_pieces = (m->t + PHI_RIDGE_PIECE - 1) / PHI_RIDGE_PIECE;
    m->pieces = phi_calloc(m->n_pieces, sizeof *m->pieces);
    m->products = phi_calloc(m->n_train, sizeof *m->products);
    m->narrow = phi_calloc(m->n_train, sizeof *m->narrow);
    if (!w || !m->pieces || !m->products || !m->narrow)
        status = phi_error_nomem(reterr, "coefficients", PHI_RIDGE_PIECE * m->n_train * sizeof *w);
    for (size_t first = 0; status == PH_OK && first < m->t; first += PHI_RIDGE_PIECE) {
        size_t left = m->t - first;
        const size_t range[2] = {first, left < PHI_RIDGE_PIECE ? left : PHI_RIDGE_PIECE};

        status = take_piece(file, m, range, w, format, reterr);
    }
    phi_free(w);
    return status == PH_OK ? read_train(file, m, mean, format, reterr) : status;
}

static enum ph_status read_numbers(const struct phi_safetensors *file, struct phi_ridge_model *m,
                                   enum phi_gemv_format format, struct ph_error *reterr)
{
    float *mean = NULL;
    enum ph_status status = phi_safetensors_load_f32(file, "voxel_mean", 1, &m->q, &mean, reterr);

    if (status == PH_OK)
        status = phi_safetensors_load_f64(file, "intercept", 1, &m->t, &m->offset, reterr);
    if (status == PH_OK && !phi_safetensors_find(file, "residual_sd"))
        status = phi_error(reterr, PH_E_FORMAT,
                           "%s does not tell how sure its estimates are (residual_sd): fit it anew",
                           phi_safetensors_path(file));
    if (status == PH_OK)
        status = phi_safetensors_load_f32(file, "residual_sd", 1, &m->t, &m->sd, reterr);
    m->part = phi_calloc(m->t, sizeof *m->part);
    if (status == PH_OK && !m->part)
        status = phi_error_nomem(reterr, "estimates", m->t * sizeof *m->part);
    if (status == PH_OK)
        status = m->n_train ? read_dual(file, m, mean, format, reterr)
                            : read_weights(file, m, mean, format, reterr);
    phi_free(mean);
    return status;
}

static enum ph_status open_model(const char *path, const enum phi_gemv_format *format,
                                 struct phi_ridge_model **ret_model, struct ph_error *reterr)
{
    struct phi_safetensors *file = NULL;
    struct phi_ridge_model *m = phi_calloc(1, sizeof *m);
    enum ph_status status;

    if (!m)
        return phi_error_nomem(reterr, "a decoder", sizeof *m);
    status = phi_safetensors_open(path, &file, reterr);
    if (status == PH_OK)
        status = read_place(file, m, reterr);
    if (status == PH_OK && format)
        status = read_numbers(file, m, *format, reterr);
    phi_safetensors_close(&file);
    if (status)
        phi_ridge_model_destroy(&m);
    else
        *ret_model = m;
    return status;
}

enum ph_status phi_ridge_model_peek(const char *path, struct phi_ridge_model **ret_model,
                                    struct ph_error *reterr)
{
    return open_model(path, NULL, ret_model, reterr);
}

enum ph_status phi_ridge_model_open(const char *path, enum phi_gemv_format format,
                                    struct phi_ridge_model **ret_model, struct ph_error *reterr)
{
    return open_model(path, &format, ret_model, reterr);
}

void phi_ridge_model_destroy(struct phi_ridge_model **model)
{
    struct phi_ridge_model *m = model ? *model : NULL;

    if (!m)
        return;
    for (size_t l = 0; l < PHI_RIDGE_MAX_LAGS; l++)
        phi_gemv_destroy(&m->weights[l]);
    for (size_t i = 0; m->pieces && i < m->n_pieces; i++)
        phi_gemv_destroy(&m->pieces[i]);
    phi_gemv_destroy(&m->train);
    phi_free(m->pieces);
    phi_free(m->products);
    phi_free(m->narrow);
    phi_free(m->offset);
    phi_free(m->sd);
    phi_free(m->voxels);
    phi_free(m->chain);
    phi_free(m->part);
    phi_free(m);
    *model = NULL;
}

/* All features of one volume, into part. */
static void run_dual(struct phi_ridge_model *m, const float *x, const struct phi_parallel *parallel)
{
    phi_gemv_run(m->train, x, parallel, m->products);
    for (size_t i = 0; i < m->n_train; i++)
        m->narrow[i] = (float)m->products[i];
    for (size_t i = 0; i < m->n_pieces; i++)
        phi_gemv_run(m->pieces[i], m->narrow, parallel, m->part + i * PHI_RIDGE_PIECE);
}

size_t phi_ridge_model_run(struct phi_ridge_model *m, const float *const *x,
                           const struct phi_parallel *parallel, float *ret)
{
    size_t n_used = 0;

    for (size_t k = 0; k < m->t; k++)
        ret[k] = (float)m->offset[k];
    for (size_t l = 0; l < m->n_lags; l++) {
        if (!x[l])
            continue;
        if (m->n_train)
            run_dual(m, x[l], parallel);
        else
            phi_gemv_run(m->weights[l], x[l], parallel, m->part);
        for (size_t k = 0; k < m->t; k++)
            ret[k] += (float)m->part[k];
        n_used++;
    }
    return n_used;
}
