/* SPDX-License-Identifier: MIT
 * On data with no more directions than components, the components are eigenvectors of the batch
 * scatter matrix; with noise around, scores follow the hidden signals; weights stay orthonormal
 * over thousands of volumes and keep their sign; regions and the choice of variable voxels are
 * right. */
#include "base/rng.h"
#include "signal/noisecomp.h"
#include "test.h"

enum { Q = 60, REGION = 40 };

static struct phi_noisecomp *make(size_t n_components)
{
    struct phi_noisecomp *c = NULL;
    struct ph_error err;
    uint32_t voxels[REGION];

    assert_ok(phi_noisecomp_create(REGION, n_components, &c, &err), err);
    for (uint32_t i = 0; i < REGION; i++)
        voxels[i] = i + 10; /* the rest of the volume is not looked at */
    assert_int_equal(phi_noisecomp_set_region(c, voxels, REGION), PH_OK);
    return c;
}

/* A volume of three hidden signals over fixed maps, and noise; NaN outside the region. */
static void volume(struct phi_rng *rng, const double *signal, double noise, float *y)
{
    for (int v = 0; v < Q; v++) {
        double x = 300 + signal[0] * sin(v) + signal[1] * cos(2.0 * v) + signal[2] * (v % 3 - 1.0);

        y[v] = v < 10 || v >= 50 ? NAN : (float)(x + noise * phi_rng_normal(rng));
    }
}

static void assert_orthonormal(const struct phi_noisecomp *c)
{
    for (size_t i = 0; i < phi_noisecomp_n_components(c); i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = 0;

            for (int v = 0; v < REGION; v++)
                sum += phi_noisecomp_weights(c, i)[v] * phi_noisecomp_weights(c, j)[v];
            assert_near(sum, i == j, 1e-10);
        }
}

static void exact_for_few_directions(void **state)
{
    enum { N = 50 };
    struct phi_noisecomp *c = make(4);
    struct phi_rng rng;
    static float y[N][Q];
    double mean[REGION] = {0};

    (void)state;
    phi_rng_init(&rng, 1, 0);
    for (int t = 0; t < N; t++) {
        const double signal[3] = {8 * phi_rng_normal(&rng), 5 * phi_rng_normal(&rng),
                                  2 * phi_rng_normal(&rng)};

        volume(&rng, signal, 0, y[t]);
        phi_noisecomp_learn(c, y[t]);
        for (int v = 0; v < REGION; v++)
            mean[v] += (double)y[t][v + 10] / N;
    }
    assert_orthonormal(c);
    assert_int_equal(phi_noisecomp_n(c), N);
    for (size_t i = 0; i < 3; i++) { /* S w = l w, S applied as sum of outer products */
        const double *w = phi_noisecomp_weights(c, i);
        double l = phi_noisecomp_variance(c, i) * (N - 1), applied[REGION] = {0};

        for (int t = 0; t < N; t++) {
            double along = 0;

            for (int v = 0; v < REGION; v++)
                along += w[v] * ((double)y[t][v + 10] - mean[v]);
            for (int v = 0; v < REGION; v++)
                applied[v] += along * ((double)y[t][v + 10] - mean[v]);
        }
        for (int v = 0; v < REGION; v++)
            assert_near(applied[v], l * w[v],
                        1e-4 * l); /* float32 rounding is a small 4th direction */
        if (i > 0)
            assert_true(phi_noisecomp_variance(c, i) < phi_noisecomp_variance(c, i - 1));
    }
    assert_true(phi_noisecomp_variance(c, 3) < 1e-6 * phi_noisecomp_variance(c, 2));
    phi_noisecomp_destroy(&c);
    phi_noisecomp_destroy(&c);
}

static void follows_a_hidden_signal(void **state)
{
    enum { N = 3000 };
    struct phi_noisecomp *c = make(3);
    struct phi_rng rng;
    double xy = 0, xx = 0, yy = 0, last_weight = 0;

    (void)state;
    phi_rng_init(&rng, 2, 0);
    for (int t = 0; t < N; t++) {
        const double signal[3] = {6 * phi_rng_normal(&rng), 0, 0};
        float y[Q];
        double scores[3];

        volume(&rng, signal, 1, y);
        phi_noisecomp_scores(c, y, scores);
        phi_noisecomp_learn(c, y);
        if (t < 100)
            continue;
        xy += scores[0] * signal[0];
        xx += scores[0] * scores[0];
        yy += signal[0] * signal[0];
        if (t > 100) /* no flip of sign */
            assert_true(phi_noisecomp_weights(c, 0)[1] * last_weight > 0);
        last_weight = phi_noisecomp_weights(c, 0)[1];
    }
    assert_true(fabs(xy) / sqrt(xx * yy) > 0.98);
    assert_near(phi_noisecomp_variance(c, 0), 36 * REGION / 2.0, 36 * REGION / 2.0 * 0.1);
    assert_orthonormal(c);
    phi_noisecomp_destroy(&c);
}

static void constant_and_early(void **state)
{
    struct phi_noisecomp *c = make(2);
    float y[Q];
    double scores[2] = {9, 9};

    (void)state;
    for (int v = 0; v < Q; v++)
        y[v] = 5;
    phi_noisecomp_scores(c, y, scores);
    assert_true(scores[0] == 0 && scores[1] == 0);
    for (int t = 0; t < 10; t++)
        phi_noisecomp_learn(c, y);
    assert_int_equal(phi_noisecomp_n_components(c), 0);
    y[20] = 6;
    phi_noisecomp_learn(c, y);
    assert_int_equal(phi_noisecomp_n_components(c), 1);
    assert_near(fabs(phi_noisecomp_weights(c, 0)[10]), 1, 1e-12);
    assert_near(phi_noisecomp_variance(c, 0), 1.0 / 11, 1e-12); /* of ten 5s and one 6 */
    phi_noisecomp_destroy(&c);
}

static void variable_voxels(void **state)
{
    const double m2[8] = {0, 5, 3, 9, 3, 3, 1, 0};
    uint32_t found[8];

    (void)state;
    assert_int_equal(phi_noisecomp_most_variable(m2, 8, 2, found), 2);
    assert_true(found[0] == 1 && found[1] == 3);
    assert_int_equal(phi_noisecomp_most_variable(m2, 8, 4, found), 4); /* ties: lower first */
    assert_true(found[0] == 1 && found[1] == 2 && found[2] == 3 && found[3] == 4);
    assert_int_equal(phi_noisecomp_most_variable(m2, 8, 8, found), 6);
    assert_int_equal(phi_noisecomp_most_variable(m2, 0, 3, found), 0);
}

static void refusals(void **state)
{
    struct phi_noisecomp *c = NULL;
    struct ph_error err;
    uint32_t voxels[REGION + 1] = {0};

    (void)state;
    assert_int_equal(phi_noisecomp_create(0, 2, &c, &err), PH_E_INVAL);
    assert_int_equal(phi_noisecomp_create(9, 0, &c, &err), PH_E_INVAL);
    assert_int_equal(phi_noisecomp_create(9, 99, &c, &err), PH_E_INVAL);
    assert_null(c);
    c = make(2);
    assert_int_equal(phi_noisecomp_set_region(c, voxels, 0), PH_E_SHAPE);
    assert_int_equal(phi_noisecomp_set_region(c, voxels, REGION + 1), PH_E_SHAPE);
    phi_noisecomp_destroy(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_for_few_directions),
        cmocka_unit_test(follows_a_hidden_signal),
        cmocka_unit_test(constant_and_early),
        cmocka_unit_test(variable_voxels),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests_name("signal/noisecomp", tests, NULL, NULL);
}
