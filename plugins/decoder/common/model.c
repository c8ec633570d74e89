/* SPDX-License-Identifier: MIT */
#include "plugins/decoder/common/model.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/safetensors.h"

#define MAX_LATENTS 8192
#define N_SCALARS   9
#define TEXT        32

/* Numbers kept as metadata text, so that a person can read them. */
struct scalar {
    const char *key;
    double *value;
    double low, high;
};

static void list_scalars(struct phi_decoder_model *m, struct scalar out[N_SCALARS])
{
    struct phi_posterior *p = m->posterior;
    const struct scalar scalars[N_SCALARS] = {
        {"tr_s", &m->geometry.tr_s, 1e-3, 3600},
        {"ref", &m->ref, 0, 1},
        {"rho", &p->rho, 0, 0.999},
        {"tau", &p->tau, 1e-6, 1e12},
        {"nis_threshold", &m->nis_threshold, 0, 1e12},
        {"lambda", &p->lambda, 0, 1e30},
        {"df", &p->df, 0, 1e9},
        {"noise_shrink", &p->shrink, 0, 1},
        {"noise_prior_dof", &p->prior_dof, 0, INFINITY},
    };

    memcpy(out, scalars, sizeof scalars);
}

struct phi_decoder_shape phi_decoder_shape_of(const struct phi_hrf *hrf)
{
    struct phi_decoder_shape shape = {*hrf, 1};
    double time_s, height;

    phi_hrf_peak(hrf, &time_s, &height);
    if (height > 0)
        shape.scale = 1 / height;
    return shape;
}

double phi_decoder_response(void *shape, double delay_s, double duration_s)
{
    const struct phi_decoder_shape *s = shape;

    return s->scale * phi_hrf_event(&s->hrf, PHI_HRF_CANONICAL, delay_s, duration_s);
}

void phi_decoder_model_destroy(struct phi_decoder_model **model)
{
    if (!model || !*model)
        return;
    phi_posterior_destroy(&(*model)->posterior);
    phi_pca_destroy(&(*model)->pca);
    phi_free((*model)->on);
    phi_free((*model)->voxels);
    phi_free((*model)->chain);
    phi_free(*model);
    *model = NULL;
}

static char *copy_text(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = phi_calloc(n, 1);

    if (copy)
        memcpy(copy, text, n);
    return copy;
}

enum ph_status phi_decoder_model_create(const uint32_t *voxels, const char *chain,
                                        struct phi_posterior **posterior,
                                        struct phi_decoder_model **ret_model,
                                        struct ph_error *reterr)
{
    struct phi_decoder_model *m = phi_calloc(1, sizeof *m);

    if (m) {
        m->posterior = *posterior;
        *posterior = NULL;
        m->on = phi_calloc(m->posterior->p, sizeof *m->on);
        m->voxels = phi_calloc(m->posterior->q, sizeof *m->voxels);
        m->chain = copy_text(chain);
    }
    if (!m || !m->on || !m->voxels || !m->chain) {
        phi_decoder_model_destroy(&m);
        return phi_error_nomem(reterr, "the decoder", sizeof *m);
    }
    memcpy(m->voxels, voxels, m->posterior->q * sizeof *voxels);
    *ret_model = m;
    return PH_OK;
}

/* ---- reading ---- */

static enum ph_status read_scalars(const struct phi_safetensors *file, struct phi_decoder_model *m,
                                   struct ph_error *reterr)
{
    struct scalar scalars[N_SCALARS];

    list_scalars(m, scalars);
    for (size_t i = 0; i < N_SCALARS; i++) {
        const char *text = phi_safetensors_metadata(file, scalars[i].key);

        if (text && strcmp(text, "inf") == 0)
            *scalars[i].value = INFINITY;
        else if (!text || !phi_parse_double(text, scalars[i].value))
            return phi_error(reterr, PH_E_FORMAT, "%s: '%s' is missing or not a number",
                             phi_safetensors_path(file), scalars[i].key);
        if (!(*scalars[i].value >= scalars[i].low && *scalars[i].value <= scalars[i].high))
            return phi_error(reterr, PH_E_FORMAT, "%s: %s = %s is outside %g to %g",
                             phi_safetensors_path(file), scalars[i].key, text, scalars[i].low,
                             scalars[i].high);
    }
    return PH_OK;
}

/* Copies a tensor of exactly n_values; its shape has been checked by the first that was loaded. */
static enum ph_status fill_f64(const struct phi_safetensors *file, const char *name, size_t n_dims,
                               const size_t *shape, double *out, struct ph_error *reterr)
{
    const struct phi_safetensors_tensor *tensor;
    enum ph_status status = phi_safetensors_expect(file, name, n_dims, shape, &tensor, reterr);

    return status ? status : phi_safetensors_read_f64(file, tensor, tensor->n_values, out, reterr);
}

static enum ph_status fill_f32(const struct phi_safetensors *file, const char *name, size_t n_dims,
                               const size_t *shape, float *out, struct ph_error *reterr)
{
    const struct phi_safetensors_tensor *tensor;
    enum ph_status status = phi_safetensors_expect(file, name, n_dims, shape, &tensor, reterr);

    return status ? status : phi_safetensors_read_f32(file, tensor, tensor->n_values, out, reterr);
}

static enum ph_status read_posterior(const struct phi_safetensors *file, struct phi_posterior *post,
                                     struct ph_error *reterr)
{
    const size_t pq[2] = {post->p, post->q}, pp[2] = {post->p, post->p};
    enum ph_status status = fill_f32(file, "decoder.w", 2, pq, post->w, reterr);

    if (status == PH_OK)
        status = fill_f32(file, "decoder.c", 1, pq + 1, post->c, reterr);
    if (status == PH_OK)
        status = fill_f32(file, "decoder.sigma", 1, pq + 1, post->sigma, reterr);
    if (status == PH_OK)
        status = fill_f64(file, "decoder.t", 2, pp, post->t, reterr);
    if (status == PH_OK)
        status = fill_f64(file, "decoder.d", 1, pp, post->d, reterr);
    if (status == PH_OK && phi_safetensors_find(file, "decoder.error"))
        status = fill_f64(file, "decoder.error", 1, pp, post->error, reterr);
    for (size_t i = 0; status == PH_OK && i < post->p; i++)
        if (!(post->d[i] >= 0) || isinf(post->d[i]) || !(post->error[i] >= 0) ||
            isinf(post->error[i]))
            status = phi_error(reterr, PH_E_FORMAT, "%s: channel %zu has signal %g, error %g",
                               phi_safetensors_path(file), i, post->d[i], post->error[i]);
    return status;
}

/* Ascending voxel numbers inside the grid. */
static enum ph_status read_voxels(const struct phi_safetensors *file, struct phi_decoder_model *m,
                                  struct ph_error *reterr)
{
    size_t q = m->posterior->q;
    const struct ph_geometry *g = &m->geometry;
    double n_grid = (double)g->dims[0] * g->dims[1] * g->dims[2];
    double *values = NULL;
    enum ph_status status =
        phi_safetensors_load_f64(file, "decoder.voxels", 1, &q, &values, reterr);

    for (size_t i = 0; status == PH_OK && i < q; i++) {
        if (!(values[i] >= 0 && values[i] < n_grid) || (i && values[i] <= values[i - 1]))
            status = phi_error(reterr, PH_E_FORMAT,
                               "%s: voxel list is not ascending inside %u x %u x %u",
                               phi_safetensors_path(file), g->dims[0], g->dims[1], g->dims[2]);
        else
            m->voxels[i] = (uint32_t)values[i];
    }
    phi_free(values);
    m->layout = ph_layout_hash(g->dims, m->voxels, q);
    return status;
}

static enum ph_status read_geometry(const struct phi_safetensors *file, struct phi_decoder_model *m,
                                    struct ph_error *reterr)
{
    const size_t three = 3, seven = 7, affine[2] = {3, 4};
    double dims[3], hrf[7];
    enum ph_status status = fill_f64(file, "decoder.dims", 1, &three, dims, reterr);

    if (status == PH_OK)
        status = fill_f64(file, "decoder.affine", 2, affine, &m->geometry.affine[0][0], reterr);
    if (status == PH_OK)
        status = fill_f64(file, "decoder.hrf", 1, &seven, hrf, reterr);
    if (status)
        return status;
    for (int i = 0; i < 3; i++) {
        if (!(dims[i] >= 1 && dims[i] <= 4096))
            return phi_error(reterr, PH_E_FORMAT, "%s: grid size %g", phi_safetensors_path(file),
                             dims[i]);
        m->geometry.dims[i] = (uint32_t)dims[i];
    }
    m->shape.hrf = (struct phi_hrf){hrf[0], hrf[1], hrf[2], hrf[3], hrf[4], hrf[5], hrf[6]};
    if (!phi_hrf_valid(&m->shape.hrf))
        return phi_error(reterr, PH_E_FORMAT, "%s: the response's parameters make no sense",
                         phi_safetensors_path(file));
    m->shape = phi_decoder_shape_of(&m->shape.hrf);
    return PH_OK;
}

static enum ph_status read_pca(const struct phi_safetensors *file, struct phi_decoder_model *m,
                               struct ph_error *reterr)
{
    const size_t free_shape[2] = {m->posterior->p, 0};
    const size_t three = 3;
    const struct phi_safetensors_tensor *tensor;
    double image[3];
    enum ph_status status;

    if (!phi_safetensors_find(file, "pca.components"))
        return PH_OK;
    status = phi_safetensors_expect(file, "pca.components", 2, free_shape, &tensor, reterr);
    if (status == PH_OK)
        status = fill_f64(file, "pca.image", 1, &three, image, reterr);
    if (status)
        return status;
    for (int i = 0; i < 3; i++)
        m->image[i] = image[i] >= 1 && image[i] <= 16384 ? (size_t)image[i] : 0;
    if (m->image[0] * m->image[1] * m->image[2] != tensor->shape[1])
        return phi_error(
            reterr, PH_E_FORMAT, "%s: components of %zu values for %g x %g x %g images",
            phi_safetensors_path(file), tensor->shape[1], image[0], image[1], image[2]);
    status = phi_pca_create(tensor->shape[1], m->posterior->p, &m->pca, reterr);
    if (status == PH_OK)
        status = fill_f64(file, "pca.components", 2, tensor->shape, m->pca->components, reterr);
    if (status == PH_OK)
        status = fill_f64(file, "pca.mean", 1, &m->pca->n_features, m->pca->mean, reterr);
    if (status == PH_OK)
        status = fill_f64(file, "pca.sd", 1, &m->pca->n_components, m->pca->sd, reterr);
    return status;
}

static enum ph_status read_parts(const struct phi_safetensors *file, struct phi_decoder_model *m,
                                 struct ph_error *reterr)
{
    enum ph_status status = read_posterior(file, m->posterior, reterr);

    if (status == PH_OK)
        status = fill_f64(file, "decoder.on", 1, &m->posterior->p, m->on, reterr);
    if (status == PH_OK)
        status = read_geometry(file, m, reterr);
    if (status == PH_OK)
        status = read_voxels(file, m, reterr);
    if (status == PH_OK)
        status = read_scalars(file, m, reterr);
    if (status == PH_OK)
        status = read_pca(file, m, reterr);
    return status;
}

static enum ph_status make_from(const struct phi_safetensors *file,
                                struct phi_decoder_model **ret_model, struct ph_error *reterr)
{
    const size_t free_shape[2] = {0, 0};
    const struct phi_safetensors_tensor *w;
    const char *chain = phi_safetensors_metadata(file, "chain");
    const char *space = phi_safetensors_metadata(file, "latents.space");
    struct phi_posterior *post = NULL;
    int64_t version;
    uint32_t *blank;
    enum ph_status status =
        phi_safetensors_expect_kind(file, PHI_DECODER_KIND, PHI_DECODER_VERSION, &version, reterr);

    if (status == PH_OK)
        status = phi_safetensors_expect(file, "decoder.w", 2, free_shape, &w, reterr);
    if (status)
        return status;
    if (w->shape[0] == 0 || w->shape[0] > MAX_LATENTS || w->shape[1] == 0 ||
        w->shape[1] > UINT32_MAX)
        return phi_error(reterr, PH_E_LIMIT, "%s: %zu latents from %zu voxels",
                         phi_safetensors_path(file), w->shape[0], w->shape[1]);
    status = phi_posterior_create(w->shape[0], w->shape[1], &post, reterr);
    blank = status == PH_OK ? phi_calloc(post->q, sizeof *blank) : NULL;
    if (status == PH_OK && !blank)
        status = phi_error_nomem(reterr, "the decoder", w->shape[1] * sizeof *blank);
    if (status == PH_OK)
        status = phi_decoder_model_create(blank, chain ? chain : "", &post, ret_model, reterr);
    if (status == PH_OK && space)
        (void)phi_str_copy((*ret_model)->space, sizeof(*ret_model)->space, space);
    phi_free(blank);
    phi_posterior_destroy(&post);
    return status;
}

enum ph_status phi_decoder_model_open(const char *path, struct phi_decoder_model **ret_model,
                                      struct ph_error *reterr)
{
    struct phi_safetensors *file = NULL;
    struct phi_decoder_model *model = NULL;
    enum ph_status status = phi_safetensors_open(path, &file, reterr);

    if (status == PH_OK)
        status = make_from(file, &model, reterr);
    if (status == PH_OK)
        status = read_parts(file, model, reterr);
    phi_safetensors_close(&file);
    if (status) {
        phi_decoder_model_destroy(&model);
        return status;
    }
    *ret_model = model;
    return PH_OK;
}

/* ---- writing ---- */

static struct phi_safetensors_tensor tensor_of(const char *name, enum phi_safetensors_dtype dtype,
                                               size_t n_rows, size_t n_cols, const void *data)
{
    return (struct phi_safetensors_tensor){.name = name,
                                           .dtype = dtype,
                                           .data = data,
                                           .n_dims = n_rows ? 2 : 1,
                                           .shape = {n_rows ? n_rows : n_cols, n_cols}};
}

enum ph_status phi_decoder_model_write(const struct phi_decoder_model *model, const char *path,
                                       const char *made_by, struct ph_error *reterr)
{
    struct phi_decoder_model m = *model; /* list_scalars wants it writable */
    const struct phi_posterior *p = m.posterior;
    const struct phi_hrf *h = &m.shape.hrf;
    const double hrf[7] = {h->delay_s,      h->undershoot_delay_s,
                           h->dispersion_s, h->undershoot_dispersion_s,
                           h->ratio,        h->onset_s,
                           h->length_s};
    const double dims[3] = {m.geometry.dims[0], m.geometry.dims[1], m.geometry.dims[2]};
    const double image[3] = {(double)m.image[0], (double)m.image[1], (double)m.image[2]};
    const struct phi_safetensors_tensor tensors[] = {
        tensor_of("decoder.w", PHI_SAFETENSORS_F32, p->p, p->q, p->w),
        tensor_of("decoder.c", PHI_SAFETENSORS_F32, 0, p->q, p->c),
        tensor_of("decoder.sigma", PHI_SAFETENSORS_F32, 0, p->q, p->sigma),
        tensor_of("decoder.t", PHI_SAFETENSORS_F64, p->p, p->p, p->t),
        tensor_of("decoder.d", PHI_SAFETENSORS_F64, 0, p->p, p->d),
        tensor_of("decoder.error", PHI_SAFETENSORS_F64, 0, p->p, p->error),
        tensor_of("decoder.on", PHI_SAFETENSORS_F64, 0, p->p, m.on),
        tensor_of("decoder.voxels", PHI_SAFETENSORS_I32, 0, p->q, m.voxels),
        tensor_of("decoder.dims", PHI_SAFETENSORS_F64, 0, 3, dims),
        tensor_of("decoder.affine", PHI_SAFETENSORS_F64, 3, 4, m.geometry.affine),
        tensor_of("decoder.hrf", PHI_SAFETENSORS_F64, 0, 7, hrf),
        tensor_of("pca.components", PHI_SAFETENSORS_F64, p->p, m.pca ? m.pca->n_features : 0,
                  m.pca ? m.pca->components : NULL),
        tensor_of("pca.mean", PHI_SAFETENSORS_F64, 0, m.pca ? m.pca->n_features : 0,
                  m.pca ? m.pca->mean : NULL),
        tensor_of("pca.sd", PHI_SAFETENSORS_F64, 0, p->p, m.pca ? m.pca->sd : NULL),
        tensor_of("pca.image", PHI_SAFETENSORS_F64, 0, 3, image),
    };
    char texts[N_SCALARS][TEXT];
    struct scalar scalars[N_SCALARS];
    struct phi_safetensors_pair pairs[N_SCALARS + 5] = {{"phosphene.kind", PHI_DECODER_KIND},
                                                        {"phosphene.version", "1"},
                                                        {"chain", m.chain},
                                                        {"made_by", made_by}};
    struct phi_safetensors_content content = {tensors, 11 + (m.pca ? 4U : 0U), pairs,
                                              N_SCALARS + 4};

    list_scalars(&m, scalars);
    for (size_t i = 0; i < N_SCALARS; i++) {
        snprintf(texts[i], TEXT, "%.17g", *scalars[i].value);
        pairs[4 + i] = (struct phi_safetensors_pair){scalars[i].key, texts[i]};
    }
    if (*m.space)
        pairs[content.n_metadata++] = (struct phi_safetensors_pair){"latents.space", m.space};
    return phi_safetensors_write(path, &content, reterr);
}
