/* SPDX-License-Identifier: MIT
 * decoder/ridge: estimates are intercept + sum of weights times delayed volumes, of vectors and of
 * whole volumes alike, each about its own moment; a missing volume counts as the training mean and
 * is told by `share`; dual coefficients with their training volumes give the same; runs and files
 * that do not fit are refused by name. */
#include <math.h>

#include "base/rng.h"
#include "io/safetensors.h"
#include "rig.h"
#include "tempdir.h"
#include "test.h"

enum { L = 2, T = 5, Q = 12, N_GRID = 24, N_VOLUMES = 9 };

struct setup {
    struct tempdir dir;
    char path[512], params[700];
    float w[L][T][Q], intercept[T], sd[T], mean[Q];
    int32_t lags[L], index[Q];
    float y[N_VOLUMES][N_GRID]; /* whole volumes */
    float x[N_VOLUMES][Q];      /* the masked part */
    struct ph_spec volumes, vectors;
};

struct changes {
    const char *grid, *chain;
    bool no_sd;
};

static void write_model(const struct setup *s, struct changes changes)
{
    const struct phi_safetensors_tensor tensors[] = {
        {"weights", PHI_SAFETENSORS_F32, 3, {L, T, Q}, s->w, 0, 0},
        {"intercept", PHI_SAFETENSORS_F32, 1, {T}, s->intercept, 0, 0},
        {"lags", PHI_SAFETENSORS_I32, 1, {L}, s->lags, 0, 0},
        {"voxel_mean", PHI_SAFETENSORS_F32, 1, {Q}, s->mean, 0, 0},
        {"voxel_index", PHI_SAFETENSORS_I32, 1, {Q}, s->index, 0, 0},
        {"residual_sd", PHI_SAFETENSORS_F32, 1, {T}, s->sd, 0, 0}};
    char grid[256];
    const struct phi_safetensors_pair pairs[] = {
        {"phosphene.kind", "ridge"},
        {"phosphene.version", "1"},
        {"phosphene.grid", changes.grid ? changes.grid : grid},
        {"phosphene.tr_s", "2"},
        {"chain", changes.chain ? changes.chain : ""}};
    const struct phi_safetensors_content content = {tensors, changes.no_sd ? 5 : 6, pairs, 5};
    const struct ph_geometry *g = &s->volumes.geometry;
    struct ph_error err;
    int used = snprintf(grid, sizeof grid, "4 3 2");

    for (int i = 0; i < 12; i++)
        used += snprintf(grid + used, sizeof grid - (size_t)used, " %.9g", g->affine[i / 4][i % 4]);
    assert_ok(phi_safetensors_write(s->path, &content, &err), err);
}

static void open_setup(struct setup *s)
{
    uint32_t voxels[Q];
    struct phi_rng rng;

    memset(s, 0, sizeof *s);
    assert_true(tempdir_make(&s->dir));
    (void)snprintf(s->path, sizeof s->path, "%s/ridge.safetensors", s->dir.path);
    (void)snprintf(s->params, sizeof s->params, "model=%s", s->path);
    phi_rng_init(&rng, 5, 0);
    for (size_t i = 0; i < L * T * Q; i++)
        (&s->w[0][0][0])[i] = (float)phi_rng_normal(&rng);
    for (size_t k = 0; k < T; k++) {
        s->intercept[k] = (float)k - 300;
        s->sd[k] = 0.5f + (float)k;
    }
    s->lags[0] = 3;
    s->lags[1] = 1;
    for (size_t v = 0; v < Q; v++) {
        s->mean[v] = 1000 + (float)v;
        s->index[v] = (int32_t)(2 * v + v % 2);
        voxels[v] = (uint32_t)s->index[v];
    }
    for (size_t i = 0; i < N_VOLUMES; i++) {
        for (size_t v = 0; v < N_GRID; v++)
            s->y[i][v] = 1000 + 20 * (float)phi_rng_normal(&rng);
        for (size_t v = 0; v < Q; v++)
            s->x[i][v] = s->y[i][s->index[v]];
    }
    s->volumes = rig_volumes(4, 3, 2, 2);
    s->vectors = s->volumes;
    s->vectors.kind = PH_FRAME_VECTOR;
    s->vectors.rank = 1;
    memset(s->vectors.dims, 0, sizeof s->vectors.dims);
    s->vectors.dims[0] = Q;
    s->vectors.layout = ph_layout_hash(s->volumes.geometry.dims, voxels, Q);
    write_model(s, (struct changes){0});
}

/* The estimate of moment `m`; volume `missing` counts as the mean. */
static double expected(const struct setup *s, size_t m, size_t k, size_t missing)
{
    double sum = (double)s->intercept[k];

    for (size_t l = 0; l < L; l++) {
        size_t at = m + (size_t)s->lags[l];

        for (size_t v = 0; v < Q; v++)
            sum += (double)s->w[l][k][v] * (double)(at == missing ? s->mean[v] : s->x[at][v]);
    }
    return sum;
}

static void check(const struct setup *s, const struct ph_frame *frame, size_t m, size_t missing)
{
    const float *values = frame->data;

    assert_near(frame->u.latent.stimulus_s, 2 * (double)m + 1, 1e-9);
    assert_near(frame->u.latent.lag_s, 7, 1e-9);
    assert_int_equal(frame->u.latent.trial, PH_NO_TRIAL);
    assert_true(frame->flags & PH_FLAG_FINAL);
    for (size_t k = 0; k < T; k++) {
        assert_near(values[k], expected(s, m, k, missing), 2e-2); /* of sums near 1e4 */
        assert_near(values[T + k], s->sd[k], 0);
    }
}

static void estimates_of_delayed_volumes(void **state)
{
    static struct setup s;

    (void)state;
    open_setup(&s);
    for (int whole = 0; whole < 2; whole++) {
        struct rig *rig = rig_open("decoder/ridge", s.params, whole ? &s.volumes : &s.vectors);

        assert_int_equal(rig_out(rig)->dims[1], T);
        for (size_t i = 0; i < N_VOLUMES; i++)
            assert_int_equal(rig_push(rig, whole ? s.y[i] : s.x[i], 0), PH_OK);
        /* The first two volumes complete moments whose earlier volume is not there. */
        assert_int_equal(rig_count(rig), N_VOLUMES - 2);
        for (size_t i = 0; i < rig_count(rig); i++) {
            const struct ph_frame *frame = rig_at(rig, i);

            assert_near(frame->u.latent.stimulus_s, 2 * ((double)i - 1) + 1, 1e-9);
            assert_near(frame->u.latent.share, 1, 0);
            if (i >= 1)
                check(&s, frame, i - 1, SIZE_MAX);
        }
        rig_close(&rig);
    }
    tempdir_remove(&s.dir);
}

static void missing_volumes(void **state)
{
    static struct setup s;
    struct rig *rig;
    float broken[Q];
    size_t m = 2;

    (void)state;
    open_setup(&s);
    rig = rig_open("decoder/ridge", s.params, &s.vectors);
    memcpy(broken, s.x[5], sizeof broken);
    broken[3] = NAN;
    for (size_t i = 0; i < N_VOLUMES; i++)
        assert_int_equal(rig_push(rig, i == 5 ? broken : s.x[i], i == 7 ? PH_FLAG_GAP : 0), PH_OK);
    /* Volume 7 completes a moment of which 5 and 7 are the only volumes: nothing is said. */
    assert_int_equal(rig_count(rig), N_VOLUMES - 3);
    check(&s, rig_at(rig, 1 + m), m, 5);
    assert_near(rig_at(rig, 1 + m)->u.latent.share, 0.5, 0);
    rig_reset(rig);
    assert_int_equal(rig_push(rig, s.x[0], 0), PH_OK);
    assert_int_equal(rig_count(rig), 0); /* the ring was emptied */
    rig_close(&rig);
    tempdir_remove(&s.dir);
}

static void refused(const struct setup *s, const struct ph_spec *in, const char *words)
{
    struct rig *rig = NULL;
    struct ph_error err = {0};

    assert_int_not_equal(rig_try_open(rig_type("decoder/ridge"), s->params, in, &rig, &err), PH_OK);
    if (!strstr(err.text, words))
        fail_msg("'%s' does not say '%s'", err.text, words);
    assert_null(rig);
}

enum { N_TRAIN = 7 };

/* The same decoder kept dual: coefficients of training volumes, for one lag. */
static void write_dual(const struct setup *s, const float *dual, const float *train,
                       const float *scale, size_t n_rows)
{
    const struct ph_geometry *g = &s->volumes.geometry;
    char grid[256];
    const struct phi_safetensors_tensor tensors[] = {
        {"dual", PHI_SAFETENSORS_F32, 2, {n_rows, T}, dual, 0, 0},
        {"train", PHI_SAFETENSORS_F32, 2, {N_TRAIN, Q}, train, 0, 0},
        {"voxel_scale", PHI_SAFETENSORS_F32, 1, {Q}, scale, 0, 0},
        {"intercept", PHI_SAFETENSORS_F32, 1, {T}, s->intercept, 0, 0},
        {"lags", PHI_SAFETENSORS_I32, 1, {1}, &s->lags[1], 0, 0},
        {"voxel_mean", PHI_SAFETENSORS_F32, 1, {Q}, s->mean, 0, 0},
        {"voxel_index", PHI_SAFETENSORS_I32, 1, {Q}, s->index, 0, 0},
        {"residual_sd", PHI_SAFETENSORS_F32, 1, {T}, s->sd, 0, 0}};
    const struct phi_safetensors_pair pairs[] = {{"phosphene.kind", "ridge"},
                                                 {"phosphene.version", "1"},
                                                 {"phosphene.grid", grid},
                                                 {"phosphene.tr_s", "2"},
                                                 {"chain", ""}};
    const struct phi_safetensors_content content = {tensors, 8, pairs, 5};
    int used = snprintf(grid, sizeof grid, "4 3 2");
    struct ph_error err;

    for (int i = 0; i < 12; i++)
        used += snprintf(grid + used, sizeof grid - (size_t)used, " %.9g", g->affine[i / 4][i % 4]);
    assert_ok(phi_safetensors_write(s->path, &content, &err), err);
}

/* The estimate of feature k from volume x by the definition; voxel 4 does not act. */
static double expected_dual(const struct setup *s, const float (*dual)[T], const float (*train)[Q],
                            const float *scale, size_t volume, size_t k)
{
    double sum = (double)s->intercept[k];

    for (size_t i = 0; i < N_TRAIN; i++)
        for (size_t v = 0; v < Q; v++)
            if (v != 4)
                sum += (double)dual[i][k] * (double)train[i][v] *
                       (double)(s->x[volume][v] - s->mean[v]) / (double)scale[v];
    return sum;
}

static void dual_coefficients_estimate_too(void **state)
{
    static struct setup s;
    static float dual[N_TRAIN][T], train[N_TRAIN][Q], scale[Q];
    struct phi_rng rng;
    struct rig *rig;

    (void)state;
    open_setup(&s);
    phi_rng_init(&rng, 6, 0);
    phi_rng_normal_f32(&rng, train[0], sizeof train / sizeof **train);
    phi_rng_normal_f32(&rng, dual[0], sizeof dual / sizeof **dual);
    for (size_t v = 0; v < Q; v++)
        scale[v] = v == 4 ? 0 : 15 + (float)v;
    write_dual(&s, dual[0], train[0], scale, N_TRAIN);
    rig = rig_open("decoder/ridge", s.params, &s.vectors);
    for (size_t i = 0; i < N_VOLUMES; i++)
        assert_int_equal(rig_push(rig, s.x[i], 0), PH_OK);
    assert_int_equal(rig_count(rig), N_VOLUMES);
    for (size_t i = 0; i < N_VOLUMES; i++)
        for (size_t k = 0; k < T; k++)
            assert_near(
                ((const float *)rig_at(rig, i)->data)[k],
                expected_dual(&s, (const float(*)[T])dual, (const float(*)[Q])train, scale, i, k),
                2e-4);
    rig_close(&rig);
    dual[3][2] = NAN;
    write_dual(&s, dual[0], train[0], scale, N_TRAIN);
    refused(&s, &s.vectors, "feature 2 has coefficients that are not numbers");
    write_dual(&s, dual[0], train[0], scale, N_TRAIN - 1);
    refused(&s, &s.vectors, "6 rows of coefficients (of type F32) for 7 training volumes");
    tempdir_remove(&s.dir);
}

static void what_does_not_fit_is_refused(void **state)
{
    static struct setup s;
    struct ph_spec in;

    (void)state;
    open_setup(&s);
    in = rig_volumes(4, 4, 2, 2);
    refused(&s, &in, "fitted on volumes of 4 x 3 x 2");
    in = rig_volumes(4, 3, 2, 1.5);
    refused(&s, &in, "repetition time of 2 s");
    in = s.vectors;
    in.layout++;
    refused(&s, &in, "another mask");
    in = s.vectors;
    in.chain = "smooth(fwhm_mm=5)";
    refused(&s, &in, "behind other filters");
    write_model(&s, (struct changes){.no_sd = true});
    refused(&s, &s.vectors, "residual_sd");
    write_model(&s, (struct changes){.grid = "none"});
    refused(&s, &s.vectors, "no grid");
    tempdir_remove(&s.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(estimates_of_delayed_volumes),
        cmocka_unit_test(missing_volumes),
        cmocka_unit_test(dual_coefficients_estimate_too),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests_name("decoder/ridge", tests, NULL, NULL);
}
