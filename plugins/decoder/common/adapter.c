/* SPDX-License-Identifier: MIT */
#include "plugins/decoder/common/adapter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "plugins/decoder/common/place.h"

#define SAMPLE_SEED 1

static enum ph_status check_input(const struct phi_decoder_model *m, bool accept,
                                  const struct ph_spec *in, struct ph_error *reterr)
{
    const struct phi_decoder_place place = {
        .geometry = m->geometry, .layout = m->layout, .q = m->posterior->q, .chain = m->chain};

    return phi_decoder_place_check(&place, accept, in, reterr);
}

enum ph_status phi_adapter_plan(const char *path, bool accept, const struct ph_spec *in,
                                struct ph_spec *ret_out, struct ph_error *reterr)
{
    struct phi_decoder_model *model = NULL;
    enum ph_status status = phi_decoder_model_open(path, &model, reterr);

    if (status == PH_OK)
        status = check_input(model, accept, in, reterr);
    if (status == PH_OK) {
        ret_out->kind = PH_FRAME_LATENT;
        ret_out->dtype = PH_DTYPE_F32;
        ret_out->rank = 2;
        memset(ret_out->dims, 0, sizeof ret_out->dims);
        ret_out->dims[0] = 2;
        ret_out->dims[1] = (uint32_t)model->posterior->p;
        ret_out->layout = ph_space_hash(model->space);
    }
    phi_decoder_model_destroy(&model);
    return status;
}

/* z = T mean and var z = T^2 var as two products with fixed order. */
static enum ph_status make_rotations(struct phi_adapter *a, struct ph_error *reterr)
{
    size_t p = a->model->posterior->p;
    const size_t shape[2] = {p, p};
    float *t = phi_calloc2(p, p, sizeof *t);
    enum ph_status status;

    if (!t)
        return phi_error_nomem(reterr, "a rotation", p * p * sizeof *t);
    for (size_t i = 0; i < p * p; i++)
        t[i] = (float)a->model->posterior->t[i];
    status = phi_gemv_create(t, NULL, shape, PHI_GEMV_F32, &a->rotate, reterr);
    for (size_t i = 0; i < p * p; i++)
        t[i] *= t[i];
    if (status == PH_OK)
        status = phi_gemv_create(t, NULL, shape, PHI_GEMV_F32, &a->spread, reterr);
    if (status == PH_OK)
        status = phi_gemv_reserve(a->rotate, a->n_statements, reterr);
    if (status == PH_OK)
        status = phi_gemv_reserve(a->spread, a->n_statements, reterr);
    phi_free(t);
    return status;
}

enum ph_status phi_adapter_open(struct phi_adapter *a, const struct phi_adapter_options *options,
                                const struct ph_spec *in, const struct ph_host *host,
                                struct ph_error *reterr)
{
    enum ph_status status = phi_decoder_model_open(options->model, &a->model, reterr);
    struct phi_posterior *post;
    size_t shape[2], n = options->n_statements;

    if (status)
        return status;
    post = a->model->posterior;
    shape[0] = post->p;
    shape[1] = post->q;
    a->host = host;
    a->tr_s = a->model->geometry.tr_s;
    a->x = phi_calloc(post->p, sizeof *a->x);
    a->n_statements = n;
    a->wide = phi_calloc2(2 * n, post->p, sizeof *a->wide);
    a->narrow = phi_calloc2(n, post->p, sizeof *a->narrow);
    a->gathered = phi_calloc(in->kind == PH_FRAME_VOLUME ? post->q : 1, sizeof *a->gathered);
    if (!a->x || !a->wide || !a->narrow || !a->gathered)
        return phi_error_nomem(reterr, "the decoder's buffers", post->q * sizeof(float));
    status = phi_gemv_create(post->w, post->c, shape, options->format, &a->project, reterr);
    phi_free(post->w); /* the product has its own copy, and this is the largest block there is */
    post->w = NULL;
    return status ? status : make_rotations(a, reterr);
}

enum ph_status phi_adapter_samples(struct phi_adapter *a, size_t n, struct ph_error *reterr)
{
    size_t p = a->model->posterior->p;
    struct phi_rng rng;

    if (n == 0)
        return PH_OK;
    a->normal = phi_calloc2(n, p, sizeof *a->normal);
    a->drawn = phi_calloc2(n, p, sizeof *a->drawn);
    a->turned = phi_calloc2(n, p, sizeof *a->turned);
    if (!a->normal || !a->drawn || !a->turned)
        return phi_error_nomem(reterr, "posterior samples", n * p * sizeof *a->normal);
    if (n > a->n_statements) {
        enum ph_status status = phi_gemv_reserve(a->rotate, n, reterr);

        if (status)
            return status;
    }
    a->n_samples = n;
    phi_rng_init(&rng, SAMPLE_SEED, 0);
    for (size_t i = 0; i < n * p; i++)
        a->normal[i] = phi_rng_normal(&rng);
    return PH_OK;
}

void phi_adapter_fini(struct phi_adapter *a)
{
    phi_decoder_model_destroy(&a->model);
    phi_gemv_destroy(&a->project);
    phi_gemv_destroy(&a->rotate);
    phi_gemv_destroy(&a->spread);
    phi_free(a->gathered);
    phi_free(a->narrow);
    phi_free(a->x);
    phi_free(a->wide);
    phi_free(a->normal);
    phi_free(a->drawn);
    phi_free(a->turned);
    memset(a, 0, sizeof *a);
}

static struct phi_parallel parallel_of(const struct phi_adapter *a)
{
    return (struct phi_parallel){a->host->parallel_for, a->host->self};
}

enum ph_status phi_adapter_project(struct phi_adapter *a, const struct ph_frame *frame,
                                   const double **ret_x)
{
    const struct phi_decoder_model *m = a->model;
    const struct phi_parallel parallel = parallel_of(a);
    const float *y = frame->data;

    *ret_x = NULL;
    if (frame->flags & PH_FLAGS_UNUSABLE)
        return PH_OK;
    if (frame->kind == PH_FRAME_VOLUME) {
        for (size_t i = 0; i < m->posterior->q; i++)
            a->gathered[i] = y[m->voxels[i]];
        y = a->gathered;
    } else if (frame->layout != m->layout || frame->dims[0] != m->posterior->q) {
        a->host->log(
            a->host->self, PH_LOG_ERROR, "decoder.mask",
            "the mask of this run (%u voxels) is not the decoder's (%zu): give the run the "
            "mask file the decoder was fitted with",
            frame->dims[0], m->posterior->q);
        return PH_E_SHAPE;
    }
    phi_gemv_run(a->project, y, &parallel, a->x);
    for (size_t i = 0; i < m->posterior->p; i++)
        if (!isfinite(a->x[i]))
            return PH_OK;
    *ret_x = a->x;
    return PH_OK;
}

/* Means and variances of z for all statements, two products; T is read once for each. */
static void rotate(struct phi_adapter *a, const struct phi_statement *statements, size_t n)
{
    const struct phi_parallel parallel = parallel_of(a);
    size_t p = a->model->posterior->p;

    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < p; i++)
            a->narrow[j * p + i] = (float)statements[j].mean[i];
    phi_gemv_run_many(a->rotate, a->narrow, n, &parallel, a->wide);
    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < p; i++)
            a->narrow[j * p + i] = (float)statements[j].var[i];
    phi_gemv_run_many(a->spread, a->narrow, n, &parallel, a->wide + a->n_statements * p);
}

/* Channels are independent given the data, so each is drawn by itself and the samples rotated. */
static void draw_samples(struct phi_adapter *a, const struct phi_statement *statement, float *out)
{
    const struct phi_parallel parallel = parallel_of(a);
    size_t p = a->model->posterior->p, n = a->n_samples;

    for (size_t s = 0; s < n; s++)
        for (size_t i = 0; i < p; i++)
            a->drawn[s * p + i] = (float)(statement->mean[i] +
                                          sqrt(fmax(0, statement->var[i])) * a->normal[s * p + i]);
    if (n)
        phi_gemv_run_many(a->rotate, a->drawn, n, &parallel, a->turned);
    for (size_t j = 0; j < n * p; j++)
        out[j] = (float)a->turned[j];
}

static enum ph_status emit_one(struct phi_adapter *a, struct ph_io *io,
                               const struct phi_statement *statement, size_t j)
{
    struct ph_frame *out = ph_take(io);
    size_t p = a->model->posterior->p;
    const double *mean = a->wide + j * p, *var = mean + a->n_statements * p;

    if (!out)
        return PH_EOS;
    out->flags = (out->flags & (uint32_t)PH_FLAG_LATE) | statement->flags;
    if (!io->in) {
        out->index = statement->volume;
        out->acquired_s = statement->acquired_s;
    }
    out->dims[0] = 2 + (uint32_t)a->n_samples;
    out->dims[1] = (uint32_t)p;
    out->u.latent = statement->latent;
    (void)phi_str_copy(out->u.latent.decoder, sizeof out->u.latent.decoder, a->host->stage);
    for (size_t i = 0; i < p; i++) {
        ((float *)out->data)[i] = (float)mean[i];
        ((float *)out->data)[p + i] = (float)sqrt(fmax(0, var[i]));
    }
    draw_samples(a, statement, (float *)out->data + 2 * p);
    ph_emit(io, out);
    return PH_OK;
}

enum ph_status phi_adapter_emit(struct phi_adapter *a, struct ph_io *io,
                                const struct phi_statement *statements, size_t n)
{
    enum ph_status status = PH_OK;

    if (n > a->n_statements)
        return PH_E_INTERNAL;
    if (n)
        rotate(a, statements, n);
    for (size_t j = 0; status == PH_OK && j < n; j++)
        status = emit_one(a, io, &statements[j], j);
    return status;
}
