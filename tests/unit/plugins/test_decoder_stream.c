/* SPDX-License-Identifier: MIT
 * The stage follows slow content: every volume states each lag once it exists, later lags are
 * surer and nearer the truth; gaps keep the clock; bad settings are refused. */
#include "decoder_fixture.h"

#include "decode/stream.h"

enum { T = 160 };

struct film {
    double z[T][FX_P];
    float y[T][FX_Q];
};

/* AR(1) content held for one TR each, through the response, plus unit noise. */
static void make_film(const struct fixture *fx, struct film *film)
{
    const struct phi_hrf hrf = phi_hrf_spm();
    struct phi_decoder_shape shape = phi_decoder_shape_of(&hrf);
    struct phi_rng rng;

    phi_rng_init(&rng, 8, 1);
    for (size_t t = 0; t < T; t++) {
        double seen[FX_P] = {0};

        for (size_t k = 0; k < FX_P; k++) {
            film->z[t][k] = (t ? 0.9 * film->z[t - 1][k] : 0) + 0.436 * phi_rng_normal(&rng);
            for (size_t j = 0; j <= t && j < 16; j++)
                seen[k] += phi_decoder_response(&shape, 2 * (double)(j + 1), 2) * film->z[t - j][k];
        }
        fixture_volume(fx, seen, 1, film->y[t]);
        for (size_t v = 0; v < FX_Q; v++)
            film->y[t][v] += (float)phi_rng_normal(&rng);
    }
}

static void later_lags_are_surer(void **state)
{
    struct fixture fx;
    struct film film;
    struct rig *rig;
    double error[3] = {0}, sd[3] = {0}, covered = 0, n = 0;
    char params[800];

    (void)state;
    fixture_open(&fx, 0);
    make_film(&fx, &film);
    (void)snprintf(params, sizeof params, "%s lags_s=0,4,12 a=0.5,0.9,0.99", fx.params);
    rig = rig_open("decoder/stream", params, &fx.vectors);
    for (size_t t = 0; t < T; t++) {
        size_t before = rig_count(rig);

        assert_int_equal(rig_push(rig, film.y[t], 0), PH_OK);
        assert_int_equal(rig_count(rig) - before, 1 + (t >= 2) + (t >= 6));
        for (size_t i = before; t >= 40 && i < rig_count(rig); i++) {
            const struct ph_frame *frame = rig_at(rig, i);
            const size_t lags[3] = {0, 2, 6};
            const float *values = frame->data;
            size_t r = frame->u.latent.revision;

            assert_int_equal(frame->u.latent.trial, PH_NO_TRIAL);
            assert_int_equal(!!(frame->flags & PH_FLAG_FINAL), r == 2);
            assert_near(frame->u.latent.stimulus_s, 2 * (double)t + 1 - 2 * ((double)lags[r] + 0.5),
                        1e-9);
            for (size_t k = 0; k < FX_P; k++) {
                double e = (double)values[k] - film.z[t - lags[r]][k];

                error[r] += e * e;
                sd[r] += values[FX_P + k];
                covered += fabs(e) < 1.6449 * (double)values[FX_P + k];
                n++;
            }
        }
    }
    assert_true(error[2] < error[1] && error[1] < error[0]);
    assert_true(sd[2] < sd[1] && sd[1] < sd[0]);
    assert_near(covered / n, 0.9, 0.05);
    rig_close(&rig);
    fixture_close(&fx);
}

static void gaps_keep_the_clock(void **state)
{
    struct fixture fx;
    struct film film;
    struct rig *rig;

    (void)state;
    fixture_open(&fx, 0);
    make_film(&fx, &film);
    rig = rig_open("decoder/stream", fx.params, &fx.vectors);
    for (size_t t = 0; t < 20; t++)
        assert_int_equal(rig_push(rig, film.y[t], t == 12 ? PH_FLAG_GAP : 0), PH_OK);
    assert_near(rig_last(rig)->u.latent.stimulus_s, 2 * 19 + 1 - 8 - 1, 1e-9);
    assert_int_equal(rig_count(rig), 5 * 20 - (1 + 2 + 3 + 4));
    rig_close(&rig);
    fixture_close(&fx);
}

/* Mean of the newest statement's first latent after the film, with `more` parameters and `offset`
 * times a pattern of the first latent on every volume. */
static void newest_values(const char *more, double offset, float ret[FX_P])
{
    const double first[FX_P] = {1};
    struct fixture fx;
    struct film film;
    struct rig *rig;
    float plain[FX_Q], pattern[FX_Q];
    const double none[FX_P] = {0};
    char params[800];

    fixture_open(&fx, 0);
    make_film(&fx, &film);
    fixture_volume(&fx, none, 1, plain);
    fixture_volume(&fx, first, 1, pattern);
    (void)snprintf(params, sizeof params, "%s lags_s=4 a=0.9 %s", fx.params, more);
    rig = rig_open("decoder/stream", params, &fx.vectors);
    for (size_t t = 0; t < T; t++) {
        for (size_t v = 0; v < FX_Q; v++)
            film.y[t][v] += (float)offset * (pattern[v] - plain[v]);
        assert_int_equal(rig_push(rig, film.y[t], t == 30 ? PH_FLAG_CENSORED : 0), PH_OK);
    }
    memcpy(ret, rig_last(rig)->data, FX_P * sizeof *ret);
    rig_close(&rig);
    fixture_close(&fx);
}

/* Steady gains end where the exact ones do, 16-bit weights lose little, and a drift level takes an
 * offset that shifts the estimate without it; each by a run file's parameter, with a censored
 * volume on the way. */
static void parameters_do_what_they_say(void **state)
{
    float exact[FX_P], other[FX_P], shifted[FX_P], levelled[FX_P], level[FX_P];

    (void)state;
    newest_values("", 0, exact);
    newest_values("steady=true", 0, other);
    for (size_t k = 0; k < FX_P; k++)
        assert_near(other[k], exact[k], 1e-3);
    newest_values("weights=bfloat16", 0, other);
    for (size_t k = 0; k < FX_P; k++)
        assert_near(other[k], exact[k], 0.03);
    newest_values("outlier_test=false", 30, shifted);
    newest_values("outlier_test=false kappa=0.001", 30, levelled);
    newest_values("outlier_test=false kappa=0.001", 0, level);
    assert_true(fabs((double)shifted[0] - (double)exact[0]) > 2);
    assert_near(levelled[0], level[0], 0.5);
}

static void bad_settings_are_refused(void **state)
{
    static const char *const bad[] = {"lags_s=4,2", "steady=true kappa=0.01"};
    struct fixture fx;

    (void)state;
    fixture_open(&fx, 0);
    for (size_t i = 0; i < 2; i++) {
        char params[800];
        struct rig *rig = NULL;
        struct ph_error err;

        (void)snprintf(params, sizeof params, "%s %s", fx.params, bad[i]);
        assert_int_equal(rig_try_open(rig_type("decoder/stream"), params, &fx.vectors, &rig, &err),
                         PH_E_INVAL);
    }
    fixture_close(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_lags_are_surer),
        cmocka_unit_test(gaps_keep_the_clock),
        cmocka_unit_test(parameters_do_what_they_say),
        cmocka_unit_test(bad_settings_are_refused),
    };
    return cmocka_run_group_tests_name("plugins/decoder/stream", tests, NULL, NULL);
}
