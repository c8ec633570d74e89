/* SPDX-License-Identifier: MIT */
#include "fit/ridge_model.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/safetensors.h"

/* Tensors in the order they are declared; the first is written block by block. */
enum { COEF, INTERCEPT, LAMBDA, CV_R2, RESIDUAL_SD, LAGS, MEAN, SCALE, INDEX, TRAIN, N_TENSORS };
#define MOST_TENSORS (N_TENSORS + 1)

struct ridge_model {
    struct ridge_model_from from;
    struct phi_safetensors_writer *writer, *estimates;
    float *intercept, *lambda, *cv_r2; /* [t] */
    float *residual_sd;                /* [t] */
    float *mean, *scale;               /* [q_all] */
    float *lag_mean;                   /* [L][q_all] mean over the rows, of standardised voxels */
    float *spread;                     /* [n][n_block], grown to the largest block */
    float *weights;                    /* [n_block][q_all] */
    float *coef;                       /* [n_rows][n_block] float32 copy of float64 coefficients */
    size_t n_block, n_tensors;
};

static struct phi_safetensors_tensor vector_of(const char *name, const void *data, size_t n)
{
    return (struct phi_safetensors_tensor){
        .name = name, .dtype = PHI_SAFETENSORS_F32, .n_dims = 1, .shape = {n}, .data = data};
}

static size_t declare(const struct ridge_model *m, struct phi_safetensors_tensor *out)
{
    const struct ridge_model_from *f = &m->from;
    size_t q = f->voxels->q_all, n = N_TENSORS;

    out[COEF] = (struct phi_safetensors_tensor){.name = f->dual ? "dual" : "weights",
                                                .dtype = PHI_SAFETENSORS_F32,
                                                .n_dims = 3,
                                                .shape = {f->lags->n_lags, f->t, q}};
    if (f->dual) {
        out[COEF].n_dims = 2;
        out[COEF].shape[0] = f->n_rows;
    }
    out[INTERCEPT] = vector_of("intercept", NULL, f->t);
    out[LAMBDA] = vector_of("lambda", NULL, f->t);
    out[CV_R2] = vector_of("cv_r2", NULL, f->t);
    out[RESIDUAL_SD] = vector_of("residual_sd", NULL, f->t);
    out[LAGS] = vector_of("lags", f->lag_volumes, f->lags->n_lags);
    out[LAGS].dtype = PHI_SAFETENSORS_I32;
    out[MEAN] = vector_of("voxel_mean", m->mean, q);
    out[SCALE] = vector_of("voxel_scale", m->scale, q);
    out[INDEX] = vector_of("voxel_index", f->voxels->index, q);
    out[INDEX].dtype = PHI_SAFETENSORS_I32;
    out[TRAIN] = (struct phi_safetensors_tensor){.name = "train",
                                                 .dtype = PHI_SAFETENSORS_F32,
                                                 .n_dims = 2,
                                                 .shape = {f->voxels->n, q},
                                                 .data = f->product ? NULL : f->voxels->x};
    if (!f->voxels->index)
        out[INDEX] = out[--n];
    if (!f->dual)
        n--;
    if (f->share)
        out[n++] = (struct phi_safetensors_tensor){.name = "band_share",
                                                   .dtype = PHI_SAFETENSORS_F32,
                                                   .n_dims = 2,
                                                   .shape = {f->t, f->n_bands}};
    return n;
}

/* Grid and affine as text; "none" for a matrix from a file. */
static void describe_grid(const struct fit_voxels *v, char *out, size_t capacity)
{
    struct phi_str text = phi_str_over(out, capacity);

    if (!v->index) {
        phi_str_addf(&text, "none");
        return;
    }
    phi_str_addf(&text, "%zu %zu %zu", v->grid.n[0], v->grid.n[1], v->grid.n[2]);
    for (size_t i = 0; i < 12; i++)
        phi_str_addf(&text, " %.9g", v->grid.affine.m[i / 4][i % 4]);
}

static enum ph_status start_file(struct ridge_model *m, struct ph_error *reterr)
{
    struct phi_safetensors_tensor tensors[MOST_TENSORS];
    const char *chain = m->from.voxels->chain;
    char grid[512], tr[32];
    const struct phi_safetensors_pair pairs[] = {
        {"phosphene.kind", "ridge"}, {"phosphene.version", "1"},    {"phosphene.grid", grid},
        {"phosphene.tr_s", tr},      {"chain", chain ? chain : ""}, {"phosphene.how", m->from.how}};
    struct phi_safetensors_content content = {tensors, declare(m, tensors), pairs,
                                              sizeof pairs / sizeof *pairs};

    m->n_tensors = content.n_tensors;
    describe_grid(m->from.voxels, grid, sizeof grid);
    (void)snprintf(tr, sizeof tr, "%.9g", m->from.voxels->tr_s);
    return phi_safetensors_writer_create(m->from.path, &content, &m->writer, reterr);
}

/* The second file, if it was asked for. */
static enum ph_status start_estimates(struct ridge_model *m, struct ph_error *reterr)
{
    struct phi_safetensors_tensor tensors[2];
    const struct phi_safetensors_pair pairs[] = {{"phosphene.kind", "estimates"},
                                                 {"phosphene.version", "1"},
                                                 {"phosphene.how", m->from.how}};
    struct phi_safetensors_content content = {tensors, 2, pairs, sizeof pairs / sizeof *pairs};

    if (!m->from.estimates)
        return PH_OK;
    tensors[0] = (struct phi_safetensors_tensor){.name = "estimate",
                                                 .dtype = PHI_SAFETENSORS_F32,
                                                 .n_dims = 2,
                                                 .shape = {m->from.n_rows, m->from.t}};
    tensors[1] = tensors[0];
    tensors[1].name = "targets";
    return phi_safetensors_writer_create(m->from.estimates, &content, &m->estimates, reterr);
}

void ridge_model_lag_means(const struct ridge_model_from *f, float *ret)
{
    size_t q = f->voxels->q;

    memset(ret, 0, f->lags->n_lags * q * sizeof *ret);
    for (size_t l = 0; l < f->lags->n_lags; l++)
        for (size_t i = 0; i < f->n_rows; i++) {
            size_t row = (size_t)((int64_t)f->rows[i] + f->lags->lag[l]);

            for (size_t j = 0; j < q; j++)
                ret[l * q + j] += f->voxels->x[row * q + j] / (float)f->n_rows;
        }
}

static bool take_memory(struct ridge_model *m)
{
    size_t t = m->from.t, q = m->from.voxels->q_all;

    m->intercept = phi_calloc(t, sizeof *m->intercept);
    m->lambda = phi_calloc(t, sizeof *m->lambda);
    m->cv_r2 = phi_calloc(t, sizeof *m->cv_r2);
    m->residual_sd = phi_calloc(t, sizeof *m->residual_sd);
    m->mean = phi_calloc(q, sizeof *m->mean);
    m->scale = phi_calloc(q, sizeof *m->scale);
    m->lag_mean = phi_calloc2(m->from.lags->n_lags, q, sizeof *m->lag_mean);
    return m->intercept && m->lambda && m->cv_r2 && m->residual_sd && m->mean && m->scale &&
           m->lag_mean;
}

enum ph_status ridge_model_create(const struct ridge_model_from *from,
                                  struct ridge_model **ret_model, struct ph_error *reterr)
{
    struct ridge_model *m = phi_calloc(1, sizeof *m);
    enum ph_status status;

    if (m)
        m->from = *from;
    if (!m || !take_memory(m)) {
        ridge_model_destroy(&m);
        return phi_error_nomem(reterr, "ridge model", from->t * sizeof(float));
    }
    for (size_t j = 0; j < from->voxels->q_all; j++) {
        m->mean[j] = (float)from->mean[j];
        m->scale[j] = (float)from->scale[j];
    }
    if (from->lag_mean)
        memcpy(m->lag_mean, from->lag_mean,
               from->lags->n_lags * from->voxels->q_all * sizeof *m->lag_mean);
    else
        ridge_model_lag_means(from, m->lag_mean);
    status = start_file(m, reterr);
    if (!status)
        status = start_estimates(m, reterr);
    if (status)
        ridge_model_destroy(&m);
    else
        *ret_model = m;
    return status;
}

static enum ph_status grow(struct ridge_model *m, size_t n, struct ph_error *reterr)
{
    if (n <= m->n_block)
        return PH_OK;
    phi_free(m->spread);
    phi_free(m->weights);
    phi_free(m->coef);
    m->n_block = 0;
    m->spread = phi_calloc2(m->from.voxels->n, n, sizeof *m->spread);
    m->weights = phi_calloc2(n, m->from.voxels->q_all, sizeof *m->weights);
    m->coef =
        phi_calloc2(m->from.weights ? m->from.lags->n_lags * m->from.voxels->q_all : m->from.n_rows,
                    n, sizeof *m->coef);
    if (!m->spread || !m->weights || !m->coef)
        return phi_error_nomem(reterr, "weights of a block",
                               n * m->from.voxels->q_all * sizeof(float));
    m->n_block = n;
    return PH_OK;
}

/* Weights of one lag from standardised to raw voxels; the constant parts go to the intercept. */
static void unscale(struct ridge_model *m, size_t lag, size_t first, size_t n)
{
    size_t q = m->from.voxels->q_all;

    for (size_t k = 0; k < n; k++) {
        float *w = m->weights + k * q;
        double shift = 0;

        for (size_t j = 0; j < q; j++) {
            shift += (double)w[j] * (double)m->lag_mean[lag * q + j];
            w[j] = m->scale[j] > 0 ? w[j] / m->scale[j] : 0;
            shift += (double)w[j] * (double)m->mean[j];
        }
        m->intercept[first + k] -= (float)shift;
    }
}

/* The block's coefficients as float32. */
static const float *coef_f32(struct ridge_model *m, const struct phi_ridge_block *b)
{
    const double *wide = b->coef;

    if (b->dtype == PHI_DTYPE_F32)
        return b->coef;
    for (size_t i = 0; i < b->n_out * b->n; i++)
        m->coef[i] = (float)wide[i];
    return m->coef;
}

void ridge_model_multiply(const struct ridge_model_from *f, size_t lag, const float *coef, size_t n,
                          float *spread, float *ret)
{
    size_t q = f->voxels->q, n_rows = f->voxels->n;

    phi_lag_spread(f->lags, lag, coef, n, f->rows, f->n_rows, spread, n_rows);
    if (q)
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)n, (int)q, (int)n_rows, 1, spread,
                    (int)n, f->voxels->x, (int)q, 0, ret, (int)q);
}

/* Weights as the primal form has them, [L * q][n], to [n][q] of one lag. */
static void turn_weights(const struct ridge_model *m, size_t lag, const float *coef, size_t n)
{
    size_t q = m->from.voxels->q_all;

    for (size_t j = 0; j < q; j++)
        for (size_t k = 0; k < n; k++)
            m->weights[k * q + j] = coef[(lag * q + j) * n + k];
}

/* Each band's own factor of banded ridge. */
static void scale_bands(const struct ridge_model *m, size_t lag, size_t first, size_t n)
{
    const struct ridge_model_from *f = &m->from;
    size_t q = f->voxels->q_all;

    for (size_t k = 0; k < n; k++) {
        const double *share = f->share + (first + k) * f->n_bands;

        for (size_t j = 0; j < q; j++)
            m->weights[k * q + j] *= (float)share[f->band ? f->band[j] : lag];
    }
}

static enum ph_status make_weights(struct ridge_model *m, size_t lag, const float *coef, size_t n,
                                   struct ph_error *reterr)
{
    const struct ridge_model_from *f = &m->from;

    if (f->product)
        return f->product->make(f->product->ctx, lag, coef, n, m->weights, reterr);
    if (f->weights)
        turn_weights(m, lag, coef, n);
    else
        ridge_model_multiply(f, lag, coef, n, m->spread, m->weights);
    return PH_OK;
}

static enum ph_status put_weights(struct ridge_model *m, const struct phi_ridge_block *b,
                                  struct ph_error *reterr)
{
    const struct ridge_model_from *f = &m->from;
    size_t q = f->voxels->q_all;
    enum ph_status status = grow(m, b->n, reterr);
    const float *coef = status ? NULL : coef_f32(m, b);

    for (size_t l = 0; !status && l < f->lags->n_lags; l++) {
        status = make_weights(m, l, coef, b->n, reterr);
        if (status)
            return status;
        if (f->share)
            scale_bands(m, l, b->first, b->n);
        unscale(m, l, b->first, b->n);
        status =
            phi_safetensors_writer_put(m->writer, COEF, ((l * f->t + b->first) * q) * sizeof(float),
                                       m->weights, b->n * q * sizeof(float), reterr);
    }
    return status;
}

enum ph_status ridge_model_put_train(struct ridge_model *m, size_t first, size_t n,
                                     const float *rows, struct ph_error *reterr)
{
    size_t size = m->from.voxels->q_all * sizeof *rows;

    return phi_safetensors_writer_put(m->writer, m->from.voxels->index ? TRAIN : TRAIN - 1,
                                      first * size, rows, n * size, reterr);
}

static enum ph_status put_dual(struct ridge_model *m, const struct phi_ridge_block *b,
                               struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    for (size_t i = 0; !status && i < m->from.n_rows; i++)
        status = phi_safetensors_writer_put(
            m->writer, COEF, (i * m->from.t + b->first) * sizeof(float),
            (const float *)b->coef + i * b->n, b->n * sizeof(float), reterr);
    return status;
}

/* Rows of a block, which are strips of the file's rows, into tensor `which`. */
static enum ph_status put_rows(struct ridge_model *m, size_t which, const void *values,
                               const struct phi_ridge_block *b, struct ph_error *reterr)
{
    enum ph_status status = grow(m, b->n, reterr);
    const double *wide = values;
    const float *narrow = values;

    for (size_t i = 0; !status && i < m->from.n_rows; i++) {
        for (size_t k = 0; k < b->n; k++)
            m->coef[k] =
                b->dtype == PHI_DTYPE_F64 ? (float)wide[i * b->n + k] : narrow[i * b->n + k];
        status = phi_safetensors_writer_put(m->estimates, which,
                                            (i * m->from.t + b->first) * sizeof(float), m->coef,
                                            b->n * sizeof(float), reterr);
    }
    return status;
}

/* Estimates and the targets they are for. */
static enum ph_status put_estimates(struct ridge_model *m, const struct phi_ridge_block *b,
                                    struct ph_error *reterr)
{
    const struct phi_columns *targets = m->from.targets;
    size_t size = phi_dtype_size(b->dtype);
    void *truth;
    enum ph_status status = put_rows(m, 0, b->estimate, b, reterr);

    if (status)
        return status;
    truth = phi_calloc2(m->from.n_rows, b->n, size);
    if (!truth)
        return phi_error_nomem(reterr, "targets of a block", m->from.n_rows * b->n * size);
    status = targets->read(targets->ctx, b->first, b->n, b->dtype, truth, reterr);
    if (!status)
        status = put_rows(m, 1, truth, b, reterr);
    phi_free(truth);
    return status;
}

static enum ph_status write_block(void *ctx, const struct phi_ridge_block *b,
                                  struct ph_error *reterr)
{
    struct ridge_model *m = ctx;

    for (size_t k = 0; k < b->n; k++) {
        m->intercept[b->first + k] = (float)b->mean[k];
        m->lambda[b->first + k] = (float)b->lambda[k];
        m->cv_r2[b->first + k] = (float)b->cv_r2[k];
        m->residual_sd[b->first + k] = (float)(b->sd[k] * sqrt(fmax(0, 1 - b->cv_r2[k])));
    }
    if (m->estimates) {
        enum ph_status status = put_estimates(m, b, reterr);

        if (status)
            return status;
    }
    return m->from.dual ? put_dual(m, b, reterr) : put_weights(m, b, reterr);
}

struct phi_ridge_sink ridge_model_sink(struct ridge_model *model)
{
    return (struct phi_ridge_sink){write_block, model};
}

/* The last tensor. */
static enum ph_status put_shares(struct ridge_model *m, struct ph_error *reterr)
{
    size_t n = m->from.t * m->from.n_bands;
    float *share = phi_calloc(n, sizeof *share);
    enum ph_status status;

    if (!share)
        return phi_error_nomem(reterr, "shares of the bands", n * sizeof *share);
    for (size_t i = 0; i < n; i++)
        share[i] = (float)m->from.share[i];
    status = phi_safetensors_writer_put(m->writer, m->n_tensors - 1, 0, share, n * sizeof *share,
                                        reterr);
    phi_free(share);
    return status;
}

enum ph_status ridge_model_commit(struct ridge_model *m, struct ph_error *reterr)
{
    const float *const late[] = {m->intercept, m->lambda, m->cv_r2, m->residual_sd};
    enum ph_status status = PH_OK;

    for (size_t i = 0; !status && i < 4; i++)
        status = phi_safetensors_writer_put(m->writer, INTERCEPT + i, 0, late[i],
                                            m->from.t * sizeof(float), reterr);
    if (!status && m->from.share)
        status = put_shares(m, reterr);
    if (!status && m->estimates)
        status = phi_safetensors_writer_commit(m->estimates, reterr);
    return status ? status : phi_safetensors_writer_commit(m->writer, reterr);
}

const float *ridge_model_lambda(const struct ridge_model *model)
{
    return model->lambda;
}

const float *ridge_model_cv_r2(const struct ridge_model *model)
{
    return model->cv_r2;
}

void ridge_model_destroy(struct ridge_model **model)
{
    if (!model || !*model)
        return;
    phi_safetensors_writer_destroy(&(*model)->writer);
    phi_safetensors_writer_destroy(&(*model)->estimates);
    phi_free((*model)->intercept);
    phi_free((*model)->lambda);
    phi_free((*model)->cv_r2);
    phi_free((*model)->residual_sd);
    phi_free((*model)->mean);
    phi_free((*model)->scale);
    phi_free((*model)->lag_mean);
    phi_free((*model)->spread);
    phi_free((*model)->weights);
    phi_free((*model)->coef);
    phi_free(*model);
    *model = NULL;
}
