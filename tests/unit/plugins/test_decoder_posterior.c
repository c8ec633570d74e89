/* SPDX-License-Identifier: MIT
 * The stage states what the kernels say: a shown latent comes back with growing certainty, from
 * vectors and from volumes alike; repeats, gaps, gate, trial types and reset; a run that does not
 * fit the model is refused in words; a damaged model is refused. */
#include "decoder_fixture.h"

static const double shown[FX_P] = {1.5, -0.7, 0.4};

static void show(struct rig *rig, uint32_t number, int32_t stim, double onset_s, const char *type)
{
    struct ph_event event = {
        .onset_s = onset_s, .duration_s = 2, .amplitude = 1, .number = number, .stim_index = stim};

    (void)snprintf(event.trial_type, sizeof event.trial_type, "%s", type);
    assert_int_equal(rig_event(rig, &event), PH_OK);
}

static double response(double delay_s)
{
    const struct phi_hrf hrf = phi_hrf_spm();
    struct phi_decoder_shape shape = phi_decoder_shape_of(&hrf);

    return phi_decoder_response(&shape, delay_s, 2);
}

/* Volume k carries the shown latent from an onset at 0 s, taken at the middle of its TR. */
static void push(struct rig *rig, const struct fixture *fx, size_t k, uint32_t flags)
{
    float y[FX_Q], volume[24] = {0};

    fixture_volume(fx, shown, response(2 * (double)k + 1), y);
    for (size_t v = 0; v < FX_Q; v++)
        volume[fx->voxels[v]] = y[v];
    assert_int_equal(rig_push(rig, rig_stage(rig)->in.kind == PH_FRAME_VOLUME ? volume : y, flags),
                     PH_OK);
}

static struct rig *open_rig(const struct fixture *fx, const char *more, const struct ph_spec *in)
{
    char params[1024];

    (void)snprintf(params, sizeof params, "%s %s", fx->params, more);
    return rig_open("decoder/posterior", params, in);
}

static void latent_comes_back(const struct ph_spec *in, const struct fixture *fx)
{
    struct rig *rig = open_rig(fx, "", in);
    double sd = 1e9, share = -1;

    assert_int_equal(rig_out(rig)->kind, PH_FRAME_LATENT);
    assert_int_equal(rig_out(rig)->dims[1], FX_P);
    show(rig, 4, 7, 0, "face");
    for (size_t k = 0; k < 12; k++) {
        const struct ph_frame *frame;
        const float *values;

        push(rig, fx, k, 0);
        assert_int_equal(rig_count(rig), k + 1);
        frame = rig_last(rig);
        values = frame->data;
        assert_int_equal(frame->u.latent.trial, 4);
        assert_int_equal(frame->u.latent.stim_index, 7);
        assert_int_equal(frame->u.latent.revision, k);
        assert_int_equal(!!(frame->flags & PH_FLAG_REVISED), k > 0);
        assert_near(frame->u.latent.lag_s, 2 * (double)k + 2, 1e-9);
        assert_true(values[FX_P] <= sd && frame->u.latent.share >= (float)share);
        sd = values[FX_P];
        share = frame->u.latent.share;
    }
    for (size_t i = 0; i < FX_P; i++) { /* shrunk towards 0 by the little that is not known */
        double z = ((const float *)rig_last(rig)->data)[i];

        assert_near(z, shown[i], 0.1);
        assert_true(fabs(z - shown[i]) <
                    2 * (double)((const float *)rig_last(rig)->data)[FX_P + i]);
    }
    assert_true(rig_last(rig)->u.latent.evidence > 3);
    assert_false(rig_last(rig)->flags & PH_FLAG_GATED);
    assert_true(rig_at(rig, 0)->flags & PH_FLAG_GATED);
    rig_close(&rig);
}

static void a_shown_latent_comes_back(void **state)
{
    struct fixture fx;

    (void)state;
    fixture_open(&fx, 0);
    latent_comes_back(&fx.vectors, &fx);
    latent_comes_back(&fx.volumes, &fx);
    fixture_close(&fx);
}

static void gaps_say_nothing_and_final_comes_once(void **state)
{
    struct fixture fx;
    struct rig *rig;
    size_t n_final = 0;

    (void)state;
    fixture_open(&fx, 0);
    rig = open_rig(&fx, "", &fx.vectors);
    show(rig, 0, -1, 0, "face");
    for (size_t k = 0; k < 24; k++)
        push(rig, &fx, k, k % 3 == 1 ? PH_FLAG_GAP : 0);
    for (size_t i = 0; i < rig_count(rig); i++) {
        n_final += (rig_at(rig, i)->flags & PH_FLAG_FINAL) != 0;
        assert_false(rig_at(rig, i)->flags & PH_FLAG_GAP);
    }
    assert_int_equal(n_final, 1);
    assert_true(rig_last(rig)->flags & PH_FLAG_FINAL);
    assert_true(rig_count(rig) >= 11 && rig_count(rig) <= 14);
    rig_close(&rig);
    fixture_close(&fx);
}

/* A trial that is still open when the run ends is stated once more, as final; one whose time has
 * not come is not. */
static void the_end_is_final(void **state)
{
    struct fixture fx;
    struct rig *rig;
    const struct ph_frame *frame;
    float last[2 * FX_P];

    (void)state;
    fixture_open(&fx, 0);
    rig = open_rig(&fx, "", &fx.vectors);
    show(rig, 4, 7, 0, "face");
    show(rig, 5, 8, 100, "face");
    for (size_t k = 0; k < 5; k++)
        push(rig, &fx, k, 0);
    assert_int_equal(rig_count(rig), 5);
    assert_false(rig_last(rig)->flags & PH_FLAG_FINAL);
    memcpy(last, rig_last(rig)->data, sizeof last);
    assert_int_equal(rig_end(rig), PH_OK);
    assert_int_equal(rig_count(rig), 6);
    frame = rig_last(rig);
    assert_int_equal(frame->u.latent.trial, 4);
    assert_int_equal(frame->u.latent.revision, 5);
    assert_int_equal(frame->flags & (PH_FLAG_FINAL | PH_FLAG_REVISED),
                     PH_FLAG_FINAL | PH_FLAG_REVISED);
    assert_int_equal(frame->index, 4);
    assert_near(frame->u.latent.lag_s, 10, 1e-9);
    assert_memory_equal(frame->data, last, sizeof last);
    rig_close(&rig);
    fixture_close(&fx);
}

static void only_wanted_events_open_trials(void **state)
{
    struct fixture fx;
    struct rig *rig;

    (void)state;
    fixture_open(&fx, 0);
    rig = open_rig(&fx, "trial_type=face", &fx.vectors);
    show(rig, 0, -1, 0, "house");
    push(rig, &fx, 0, 0);
    assert_int_equal(rig_count(rig), 0);
    show(rig, 1, -1, 2, "face");
    push(rig, &fx, 1, 0);
    assert_int_equal(rig_count(rig), 1);
    assert_int_equal(rig_last(rig)->u.latent.trial, 1);
    rig_close(&rig);
    fixture_close(&fx);
}

static void outliers_are_left_out(void **state)
{
    struct fixture fx;
    struct rig *rig;
    float spike[FX_Q];

    (void)state;
    fixture_open(&fx, 20);
    rig = open_rig(&fx, "", &fx.vectors);
    show(rig, 0, -1, 0, "face");
    push(rig, &fx, 0, 0);
    for (size_t v = 0; v < FX_Q; v++)
        spike[v] = fx.c[v] + 500;
    assert_int_equal(rig_push(rig, spike, 0), PH_OK);
    assert_int_equal(rig_count(rig), 1); /* the spike says nothing */
    spike[3] = NAN;
    assert_int_equal(rig_push(rig, spike, 0), PH_OK);
    assert_int_equal(rig_count(rig), 1);
    rig_close(&rig);
    fixture_close(&fx);
}

static void reset_gives_the_same_bits(void **state)
{
    struct fixture fx;
    struct rig *rig;
    float first[2 * FX_P];

    (void)state;
    fixture_open(&fx, 0);
    rig = open_rig(&fx, "", &fx.vectors);
    for (int round = 0; round < 2; round++) {
        show(rig, 0, 3, 0, "face");
        for (size_t k = 0; k < 8; k++)
            push(rig, &fx, k, 0);
        if (round == 0)
            memcpy(first, rig_last(rig)->data, sizeof first);
        else
            assert_memory_equal(first, rig_last(rig)->data, sizeof first);
        rig_reset(rig);
    }
    rig_close(&rig);
    fixture_close(&fx);
}

static void refused(const struct fixture *fx, const char *more, struct ph_spec in, const char *word)
{
    char params[1024];
    struct rig *rig = NULL;
    struct ph_error err = {0};

    (void)snprintf(params, sizeof params, "%s %s", fx->params, more);
    assert_true(rig_try_open(rig_type("decoder/posterior"), params, &in, &rig, &err) < 0);
    assert_null(rig);
    if (!strstr(err.text, word))
        fail_msg("'%s' does not say '%s'", err.text, word);
}

static void other_runs_are_refused(void **state)
{
    struct fixture fx;
    struct ph_spec in;
    struct rig *rig = NULL;

    (void)state;
    fixture_open(&fx, 0);
    refused(&fx, "", rig_volumes(4, 3, 3, 2), "4 x 3 x 2");
    refused(&fx, "", rig_volumes(4, 3, 2, 1), "repetition time");
    in = fx.volumes;
    in.geometry.affine[0][3] += 3;
    refused(&fx, "", in, "elsewhere");
    in = fx.vectors;
    in.layout ^= 1;
    refused(&fx, "", in, "mask");
    in = fx.vectors;
    in.chain = "smooth(fwhm_mm=5)";
    refused(&fx, "", in, "other filters");
    rig = open_rig(&fx, "accept_chain=true", &in);
    rig_close(&rig);
    /* a mask that is known only after the first volumes */
    in = fx.vectors;
    in.layout = 0;
    in.dims[0] = 24;
    rig = open_rig(&fx, "", &in);
    assert_int_equal(rig_push(rig, NULL, 0), PH_E_SHAPE);
    rig_close(&rig);
    fixture_close(&fx);
}

/* Every way of cutting the file short is an error, never a crash. */
static void damaged_models_are_refused(void **state)
{
    struct fixture fx;
    FILE *file;
    char bytes[8192];
    size_t n;

    (void)state;
    fixture_open(&fx, 0);
    file = fopen(fx.path, "rb");
    assert_non_null(file);
    n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_true(n > 1000);
    for (size_t cut = 0; cut < n; cut += 97) {
        struct phi_decoder_model *model = NULL;
        struct ph_error err;

        file = fopen(fx.path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, cut, file), cut);
        fclose(file);
        assert_true(phi_decoder_model_open(fx.path, &model, &err) < 0);
        assert_null(model);
    }
    fixture_close(&fx);
}

static void model_survives_its_file(void **state)
{
    struct fixture fx;
    struct phi_decoder_model *model = NULL;
    struct ph_error err;

    (void)state;
    fixture_open(&fx, 12.5);
    assert_ok(phi_decoder_model_open(fx.path, &model, &err), err);
    assert_memory_equal(model->posterior->w, fx.w, sizeof fx.w);
    assert_memory_equal(model->posterior->t, fx.t, sizeof fx.t);
    assert_memory_equal(model->voxels, fx.voxels, sizeof fx.voxels);
    assert_near(model->nis_threshold, 12.5, 0);
    assert_near(model->posterior->rho, 0.2, 0);
    assert_near(model->pca->mean[5], 5, 0);
    assert_int_equal(model->image[2], 3);
    assert_true(model->layout == fx.vectors.layout);
    phi_decoder_model_destroy(&model);
    fixture_close(&fx);
}

static double det3(const double *a)
{
    return a[0] * (a[4] * a[8] - a[5] * a[7]) - a[1] * (a[3] * a[8] - a[5] * a[6]) +
           a[2] * (a[3] * a[7] - a[4] * a[6]);
}

/* Variances of the channels from the sd of the latents: T^2 var = sd^2, by Cramer's rule. */
static void channel_variances(const struct fixture *fx, const float *sd, double *ret_var)
{
    double squares[FX_P * FX_P], with[FX_P * FX_P];

    for (size_t i = 0; i < FX_P * FX_P; i++)
        squares[i] = fx->t[i] * fx->t[i];
    for (size_t k = 0; k < FX_P; k++) {
        memcpy(with, squares, sizeof with);
        for (size_t i = 0; i < FX_P; i++)
            with[i * FX_P + k] = (double)sd[i] * (double)sd[i];
        ret_var[k] = det3(with) / det3(squares);
    }
}

/* Every sample is mean + T sqrt(var) e with numbers e that stay the same while var shrinks, and
 * that look normal; mean and sd are those of a decoder without samples. */
static void samples_are_of_the_posterior(void **state)
{
    enum { N = PH_MAX_SAMPLES };
    struct fixture fx;
    struct rig *rig, *plain;
    double first[N * FX_P], sum = 0, squares = 0;

    (void)state;
    fixture_open(&fx, 0);
    plain = open_rig(&fx, "", &fx.vectors);
    rig = open_rig(&fx, "samples=16", &fx.vectors);
    assert_int_equal(rig_out(plain)->dims[0], 2);
    assert_int_equal(rig_out(rig)->dims[0], 2 + N);
    show(plain, 0, 3, 0, "face");
    show(rig, 0, 3, 0, "face");
    for (size_t k = 0; k < 10; k++) {
        const float *values;
        double var[FX_P];

        push(plain, &fx, k, 0);
        push(rig, &fx, k, 0);
        values = rig_last(rig)->data;
        assert_int_equal(rig_last(rig)->dims[0], 2 + N);
        assert_memory_equal(values, rig_last(plain)->data, 2 * FX_P * sizeof *values);
        channel_variances(&fx, values + FX_P, var);
        for (size_t i = 0; i < N * FX_P; i++) {
            const float *sample = values + (2 + i / FX_P) * FX_P;
            double along = 0;

            for (size_t c = 0; c < FX_P; c++) /* T is orthogonal: the prior is the identity */
                along += fx.t[c * FX_P + i % FX_P] * ((double)sample[c] - (double)values[c]);
            if (k == 0)
                first[i] = along / sqrt(var[i % FX_P]);
            assert_near(along / sqrt(var[i % FX_P]), first[i], 2e-3);
        }
    }
    for (size_t i = 0; i < N * FX_P; i++) {
        sum += first[i] / (N * FX_P);
        squares += first[i] * first[i] / (N * FX_P);
    }
    assert_near(sum, 0, 0.6); /* 48 numbers: 4 standard errors */
    assert_near(squares, 1, 0.8);
    rig_close(&rig);
    rig_close(&plain);
    fixture_close(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_of_the_posterior),
        cmocka_unit_test(a_shown_latent_comes_back),
        cmocka_unit_test(gaps_say_nothing_and_final_comes_once),
        cmocka_unit_test(the_end_is_final),
        cmocka_unit_test(only_wanted_events_open_trials),
        cmocka_unit_test(outliers_are_left_out),
        cmocka_unit_test(reset_gives_the_same_bits),
        cmocka_unit_test(other_runs_are_refused),
        cmocka_unit_test(damaged_models_are_refused),
        cmocka_unit_test(model_survives_its_file),
    };
    return cmocka_run_group_tests_name("plugins/decoder/posterior", tests, NULL, NULL);
}
