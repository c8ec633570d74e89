/* SPDX-License-Identifier: MIT
 *
 * A small decoder on disk for the tests of the decoder stages: 3 latents from 12 of 4 x 3 x 2
 * voxels, TR 2 s, random W with the matching T and d.
 */
#ifndef TESTS_UNIT_PLUGINS_DECODER_FIXTURE_H
#define TESTS_UNIT_PLUGINS_DECODER_FIXTURE_H

#include "base/mem.h"
#include "base/rng.h"
#include "decode/reduce.h"
#include "plugins/decoder/common/model.h"
#include "rig.h"
#include "tempdir.h"
#include "test.h"

enum { FX_P = 3, FX_Q = 12, FX_FEATURES = 27 };

struct fixture {
    struct tempdir dir;
    char path[512];
    char params[700]; /* "model=..." */
    double b[FX_P * FX_Q];
    double t[FX_P * FX_P], d[FX_P];
    float w[FX_P * FX_Q], c[FX_Q];
    uint32_t voxels[FX_Q];
    struct ph_spec volumes, vectors;
};

/* B random, S = I. */
static inline void fixture_model(struct fixture *fx, struct phi_posterior *post)
{
    double g[FX_P * FX_P] = {0};
    struct phi_rng rng;
    struct ph_error err;

    phi_rng_init(&rng, 3, 1);
    for (size_t i = 0; i < FX_P * FX_Q; i++)
        fx->b[i] = phi_rng_normal(&rng);
    for (size_t i = 0; i < FX_P * FX_P; i++)
        for (size_t v = 0; v < FX_Q; v++)
            g[i] += fx->b[i / FX_P * FX_Q + v] * fx->b[i % FX_P * FX_Q + v];
    assert_ok(phi_reduce(g, NULL, FX_P, fx->t, fx->d, &err), err);
    for (size_t v = 0; v < FX_Q; v++) {
        fx->c[v] = 100 + (float)v;
        fx->voxels[v] = (uint32_t)(2 * v);
        post->c[v] = fx->c[v];
        post->sigma[v] = 1;
        for (size_t i = 0; i < FX_P; i++) {
            double w = 0;

            for (size_t k = 0; k < FX_P; k++)
                w += fx->t[k * FX_P + i] * fx->b[k * FX_Q + v];
            fx->w[i * FX_Q + v] = post->w[i * FX_Q + v] = (float)w;
        }
    }
    memcpy(post->t, fx->t, sizeof fx->t);
    memcpy(post->d, fx->d, sizeof fx->d);
    post->rho = 0.2;
}

static inline void fixture_open(struct fixture *fx, double nis_threshold)
{
    const struct phi_hrf hrf = phi_hrf_spm();
    struct phi_posterior *post = NULL;
    struct phi_decoder_model *model = NULL;
    struct ph_error err;
    size_t inside = 0;

    memset(fx, 0, sizeof *fx);
    assert_true(tempdir_make(&fx->dir));
    (void)snprintf(fx->path, sizeof fx->path, "%s/decoder.safetensors", fx->dir.path);
    (void)snprintf(fx->params, sizeof fx->params, "model=%s", fx->path);
    fx->volumes = rig_volumes(4, 3, 2, 2);
    assert_ok(phi_posterior_create(FX_P, FX_Q, &post, &err), err);
    fixture_model(fx, post);
    assert_ok(phi_decoder_model_create(fx->voxels, "", &post, &model, &err), err);
    model->geometry = fx->volumes.geometry;
    model->shape = phi_decoder_shape_of(&hrf);
    model->ref = 0.5;
    model->nis_threshold = nis_threshold;
    assert_ok(phi_pca_create(FX_FEATURES, FX_P, &model->pca, &err), err);
    for (size_t i = 0; i < FX_FEATURES; i++)
        model->pca->mean[i] = (double)i;
    model->pca->sd[0] = 2;
    model->image[0] = model->image[1] = model->image[2] = 3;
    assert_ok(phi_decoder_model_write(model, fx->path, "by a test", &err), err);
    phi_decoder_model_destroy(&model);
    fx->vectors = fx->volumes;
    fx->vectors.kind = PH_FRAME_VECTOR;
    fx->vectors.rank = 1;
    memset(fx->vectors.dims, 0, sizeof fx->vectors.dims);
    fx->vectors.dims[0] = FX_Q;
    fx->vectors.layout = ph_layout_hash(fx->volumes.geometry.dims, fx->voxels, FX_Q);
    for (size_t v = 0; v < FX_Q; v++)
        inside += fx->voxels[v] < 24;
    assert_int_equal(inside, FX_Q);
}

static inline void fixture_close(struct fixture *fx)
{
    tempdir_remove(&fx->dir);
}

/* Voxels that hold latent z at strength h above c. */
static inline void fixture_volume(const struct fixture *fx, const double *z, double h, float *y)
{
    for (size_t v = 0; v < FX_Q; v++) {
        double sum = fx->c[v];

        for (size_t k = 0; k < FX_P; k++)
            sum += h * z[k] * fx->b[k * FX_Q + v];
        y[v] = (float)sum;
    }
}

#endif
