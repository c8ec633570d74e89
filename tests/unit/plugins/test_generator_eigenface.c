/* SPDX-License-Identifier: MIT
 * generator/eigenface: the picture is mean + components sd z within one grey level; it says when
 * file and latent do not belong together; the moving picture glides from the mean to the target and
 * then is the settled one. */
#include "decoder_fixture.h"
#include "plugins/generator/common/morph.h"

/* The fixture's model with components that make pictures. */
static void fixture_make(struct fixture *fx)
{
    struct phi_decoder_model *model = NULL;
    struct phi_rng rng;
    struct ph_error err;

    fixture_open(fx, 0);
    assert_ok(phi_decoder_model_open(fx->path, &model, &err), err);
    phi_rng_init(&rng, 8, 0);
    for (size_t i = 0; i < FX_FEATURES; i++)
        model->pca->mean[i] = phi_rng_uniform(&rng);
    for (size_t i = 0; i < FX_FEATURES * FX_P; i++)
        model->pca->components[i] = phi_rng_normal(&rng) / 3;
    for (size_t k = 0; k < FX_P; k++)
        model->pca->sd[k] = 0.5 / (double)(k + 1);
    assert_ok(phi_decoder_model_write(model, fx->path, "by a test", &err), err);
    phi_decoder_model_destroy(&model);
}

/* What the picture must be, in double. */
static void expected(const struct phi_pca *pca, const float *z, double *ret)
{
    for (size_t i = 0; i < pca->n_features; i++) {
        ret[i] = pca->mean[i];
        for (size_t k = 0; k < pca->n_components; k++)
            ret[i] += pca->components[k * pca->n_features + i] * pca->sd[k] * (double)z[k];
        ret[i] = fmin(fmax(ret[i], 0), 1) * 255;
    }
}

static struct phi_decoder_model *open_model(const struct fixture *fx)
{
    struct phi_decoder_model *model = NULL;
    struct ph_error err;

    assert_ok(phi_decoder_model_open(fx->path, &model, &err), err);
    return model;
}

static void draws_components(void **state)
{
    struct fixture fx;
    struct ph_spec in = rig_latents(FX_P);
    struct rig *rig;
    struct phi_decoder_model *model;
    const float latent[2 * FX_P] = {0.5f, -1.0f, 0.25f, 1, 1, 1};
    double want[FX_FEATURES];
    const uint8_t *got;

    (void)state;
    fixture_make(&fx);
    model = open_model(&fx);
    rig = rig_open("generator/eigenface", fx.params, &in);
    assert_int_equal(rig_out(rig)->kind, PH_FRAME_IMAGE);
    assert_int_equal(rig_out(rig)->dims[0] * rig_out(rig)->dims[1] * rig_out(rig)->dims[2],
                     FX_FEATURES);
    assert_int_equal(rig_render(rig, latent), PH_OK);
    expected(model->pca, latent, want);
    got = rig_last(rig)->data;
    for (size_t i = 0; i < FX_FEATURES; i++)
        assert_near(got[i], want[i], 0.51);
    rig_close(&rig);
    phi_decoder_model_destroy(&model);
    fixture_close(&fx);
}

static void another_latent_is_refused(void **state)
{
    struct fixture fx;
    struct ph_spec in = rig_latents(FX_P + 1);
    struct rig *rig = NULL;
    struct ph_error err = {0};

    (void)state;
    fixture_make(&fx);
    assert_int_equal(rig_try_open(rig_type("generator/eigenface"), fx.params, &in, &rig, &err),
                     PH_E_SHAPE);
    assert_non_null(strstr(err.text, "draws from 3 components, the decoder's latent has 4"));
    assert_int_equal(
        rig_try_open(rig_type("generator/eigenface"), "model=/none.safetensors", &in, &rig, &err),
        PH_E_IO);
    assert_non_null(strstr(err.text, "/none.safetensors"));
    assert_null(rig);
    fixture_close(&fx);
}

static void *test_alloc(void *self, size_t n, size_t size)
{
    (void)self;
    return phi_calloc(n, size);
}

static void morphs(void **state)
{
    const struct ph_host host = {.struct_size = sizeof host, .alloc = test_alloc};
    const float first[2] = {2, 0}, second[2] = {0, 2};
    struct phi_morph morph = {0};
    float between[2];

    (void)state;
    assert_int_equal(phi_morph_init(&morph, 2, 1.0, true, &host), PH_OK);
    assert_true(phi_morph_move(&morph, 0)); /* nothing to do before the first aim */
    phi_morph_aim(&morph, first, 1000);
    assert_false(phi_morph_move(&morph, 1000 + 500000000));
    assert_near(morph.now[0], 1, 1e-5); /* half-way from the origin */
    assert_true(phi_morph_move(&morph, 1000 + 1000000000));
    assert_near(morph.now[0], 2, 0);
    /* On the sphere half-way between two directions of length 2 is (1.414, 1.414). */
    phi_morph_aim(&morph, second, 0);
    assert_false(phi_morph_move(&morph, 500000000));
    assert_near(morph.now[0], sqrt(2), 1e-5);
    assert_near(morph.now[1], sqrt(2), 1e-5);
    phi_morph_between(first, second, 2, 0.5f, false, between);
    assert_near(between[0], 1, 1e-6);
    /* Opposite directions have no arc of their own: the straight way, finite. */
    phi_morph_between((const float[]){1, 0}, (const float[]){-1, 0}, 2, 0.25f, true, between);
    assert_near(between[0], 0.5, 1e-6);
    phi_morph_reset(&morph);
    assert_true(phi_morph_move(&morph, 5));
    assert_near(morph.now[1], 0, 0);
    phi_free(morph.from);
    phi_free(morph.to);
    phi_free(morph.now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_components),
        cmocka_unit_test(another_latent_is_refused),
        cmocka_unit_test(morphs),
    };
    return cmocka_run_group_tests_name("generator/eigenface", tests, NULL, NULL);
}
