/* SPDX-License-Identifier: MIT
 * Single-trial responses: the shape a voxel was made with is found and its trials come back; ridge
 * brings showings of a stimulus nearer to the truth than least squares; threads leave the bits; bad
 * designs are named. */
#include "decode/betas.h"

#include "base/mem.h"
#include "base/rng.h"
#include "test.h"

enum { N = 240, M = 30, SHAPES = 4, Q = 600, NUISANCE = 2, STIMULI = 10 };

struct problem {
    double x[SHAPES * N * M], nuisance[N * NUISANCE], truth[M * Q];
    float y[N * Q];
    int32_t stimulus[M];
    struct phi_betas_data data;
};

struct answer {
    float beta[M * Q], r2[Q], fraction[Q];
    uint8_t shape[Q];
};

/* Responses of four widths to a trial every 8 volumes. */
static double response(size_t shape, double t)
{
    double rate = 1.2 - 0.2 * (double)shape;

    return t <= 0 ? 0 : pow(t * rate / 4, 4) * exp(4 - t * rate);
}

/* Voxel v has shape v % SHAPES, and a response to each stimulus that is the same at each showing.
 */
static struct problem *make(double noise)
{
    struct problem *t = phi_calloc(1, sizeof *t);
    struct phi_rng rng;

    phi_rng_init(&rng, 4, 2);
    for (size_t j = 0; j < M; j++)
        t->stimulus[j] = (int32_t)(j % STIMULI);
    for (size_t h = 0; h < SHAPES; h++)
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < M; j++)
                t->x[(h * N + i) * M + j] = response(h, (double)i - 7.5 * (double)j);
    for (size_t v = 0; v < Q; v++) {
        double of[STIMULI];

        for (size_t s = 0; s < STIMULI; s++)
            of[s] = 1 + phi_rng_normal(&rng);
        for (size_t j = 0; j < M; j++)
            t->truth[j * Q + v] = of[t->stimulus[j]];
    }
    for (size_t i = 0; i < N; i++) {
        t->nuisance[i * NUISANCE] = 1;
        t->nuisance[i * NUISANCE + 1] = (double)i / N;
        for (size_t v = 0; v < Q; v++) {
            double y = 100 + 20 * (double)i / N + noise * phi_rng_normal(&rng);

            for (size_t j = 0; j < M; j++)
                y += t->x[((v % SHAPES) * N + i) * M + j] * t->truth[j * Q + v];
            t->y[i * Q + v] = (float)y;
        }
    }
    t->data = (struct phi_betas_data){N, M, Q, SHAPES, NUISANCE, t->x, t->nuisance, t->y};
    return t;
}

static struct answer *fit(const struct problem *t, const struct phi_betas_options *options)
{
    struct answer *a = phi_calloc(1, sizeof *a);
    const struct phi_betas out = {a->beta, a->shape, a->r2, a->fraction};
    struct ph_error err;

    assert_ok(phi_betas_fit(&t->data, options, &out, &err), err);
    return a;
}

static double error_of(const struct problem *t, const struct answer *a)
{
    double sum = 0;

    for (size_t i = 0; i < M * Q; i++)
        sum += pow((double)a->beta[i] - t->truth[i], 2) / (M * Q);
    return sum;
}

static void finds_shape_and_trials(void **state)
{
    const struct phi_betas_options options = {.method = PHI_BETAS_LSA};
    struct problem *t = make(0.05);
    struct answer *a = fit(t, &options);

    (void)state;
    for (size_t v = 0; v < Q; v++) {
        assert_int_equal(a->shape[v], v % SHAPES);
        assert_true(a->r2[v] > 0.95f && a->r2[v] <= 1);
        assert_true(a->fraction[v] == 1);
    }
    assert_true(error_of(t, a) < 0.01);
    phi_free(a);
    phi_free(t);
}

/* With noise, fractions below 1 are chosen, and estimates come nearer to the truth. */
static void ridge_gains_with_noise(void **state)
{
    struct phi_betas_options options = {.method = PHI_BETAS_LSA};
    struct problem *t = make(2);
    struct answer *plain = fit(t, &options), *ridge;
    double mean = 0;

    (void)state;
    options.method = PHI_BETAS_RIDGE;
    options.keep_scale = true;
    options.stimulus = t->stimulus;
    ridge = fit(t, &options);
    for (size_t v = 0; v < Q; v++)
        mean += (double)ridge->fraction[v] / Q;
    assert_true(mean < 0.95 && mean > 0.05);
    assert_true(error_of(t, ridge) < 0.9 * error_of(t, plain));
    phi_free(plain);
    phi_free(ridge);
    phi_free(t);
}

static void threads_leave_the_bits(void **state)
{
    struct phi_betas_options options = {.method = PHI_BETAS_LSS, .n_threads = 1};
    struct problem *t = make(1);
    struct answer *one = fit(t, &options), *three;

    (void)state;
    options.n_threads = 3;
    three = fit(t, &options);
    assert_memory_equal(one->beta, three->beta, sizeof one->beta);
    phi_free(one);
    phi_free(three);
    phi_free(t);
}

static void bad_designs_are_named(void **state)
{
    struct phi_betas_options options = {.method = PHI_BETAS_LSA};
    struct problem *t = make(1);
    struct answer *a = phi_calloc(1, sizeof *a);
    const struct phi_betas out = {a->beta, a->shape, a->r2, a->fraction};
    struct ph_error err;

    (void)state;
    options.method = PHI_BETAS_RIDGE;
    assert_int_equal(phi_betas_fit(&t->data, &options, &out, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "shown twice"));
    options.method = PHI_BETAS_LSA;
    for (size_t i = 0; i < N; i++) /* two trials at one time */
        t->x[i * M + 3] = t->x[i * M + 4];
    assert_int_equal(phi_betas_fit(&t->data, &options, &out, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "cannot be told apart"));
    t->data.n = 20;
    assert_int_equal(phi_betas_fit(&t->data, &options, &out, &err), PH_E_SHAPE);
    phi_free(a);
    phi_free(t);
    t = make(1);
    t->y[5 * Q + 9] = NAN;
    a = phi_calloc(1, sizeof *a);
    {
        const struct phi_betas again = {a->beta, a->shape, a->r2, a->fraction};

        assert_int_equal(phi_betas_fit(&t->data, &options, &again, &err), PH_E_INVAL);
        assert_non_null(strstr(err.text, "voxel 9"));
    }
    phi_free(a);
    phi_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_shape_and_trials),
        cmocka_unit_test(ridge_gains_with_noise),
        cmocka_unit_test(threads_leave_the_bits),
        cmocka_unit_test(bad_designs_are_named),
    };

    return cmocka_run_group_tests_name("decode/betas", tests, NULL, NULL);
}
