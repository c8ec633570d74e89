/* SPDX-License-Identifier: MIT
 * Directions of attributes: attributes that are linear in the latents give their directions, slopes
 * and intercepts back; orthogonal axes are, in the order asked, and the others lose exactly their
 * share (against plain Gram-Schmidt here); an attribute that goes with nothing explains nothing; an
 * axis of which nothing is left is 0, not noise; numbers out of range are refused. */
#include "base/rng.h"
#include "decode/axes.h"
#include "test.h"

enum { N = 120, P = 6, K = 4 };

/* Directions before scaling: the second leans on the first, the fourth is the third again. */
static const double directions[K][P] = {
    {1, 0, 0, 0, 0, 0}, {0.6, 0.8, 0, 0, 0, 0}, {0, 0, 0, 0.6, 0, -0.8}, {0, 0, 0, 0.6, 0, -0.8}};
static const double slopes[K] = {0.5, 2, -1, 3}, intercepts[K] = {0, 4, -2, 1};

static double x[N * P], y[N * K];

static int make(void **state)
{
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 7, 0);
    for (size_t i = 0; i < N * P; i++)
        x[i] = phi_rng_normal(&rng);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < K; j++) {
            y[i * K + j] = intercepts[j] + 1e-3 * phi_rng_normal(&rng);
            for (size_t c = 0; c < P; c++)
                y[i * K + j] += slopes[j] * directions[j][c] * x[i * P + c];
        }
    return 0;
}

static struct phi_axes *fit(const size_t *base, size_t n_base)
{
    const struct phi_axes_problem problem = {x, y, N, P, K, base, n_base};
    struct phi_axes *axes = NULL;
    struct ph_error err;

    assert_ok(phi_axes_fit(&problem, &axes, &err), err);
    return axes;
}

static double dot(const double *a, const double *b)
{
    double sum = 0;

    for (size_t i = 0; i < P; i++)
        sum += a[i] * b[i];
    return sum;
}

static void directions_come_back(void **state)
{
    struct phi_axes *axes = fit(NULL, 0);

    (void)state;
    for (size_t j = 0; j < K; j++) {
        double sign = slopes[j] > 0 ? 1 : -1; /* along its axis an attribute grows */

        for (size_t c = 0; c < P; c++)
            assert_near(axes->axis[j * P + c], sign * directions[j][c], 2e-3);
        assert_near(axes->slope[j], fabs(slopes[j]), 5e-3);
        assert_near(axes->intercept[j], intercepts[j], 5e-3);
        assert_true(axes->r2[j] > 0.999);
    }
    assert_near(axes->cosine[1], 0.6, 2e-3);
    assert_near(axes->cosine[2 * K + 3], -1, 1e-4);
    for (size_t i = 0; i < (size_t)K * K; i++)
        assert_near(axes->cosine[i], axes->cosine_before[i], 1e-14);
    phi_axes_destroy(&axes);
    assert_null(axes);
}

static void base_axes_are_taken_out(void **state)
{
    const size_t base[2] = {1, 0}; /* attribute 1 keeps its axis, 0 loses its share of it */
    struct phi_axes *plain = fit(NULL, 0), *axes = fit(base, 2);
    double left[P], share = dot(plain->axis, plain->axis + P), length = 0;

    (void)state;
    for (size_t c = 0; c < P; c++) {
        assert_near(axes->axis[P + c], plain->axis[P + c], 1e-12);
        left[c] = plain->axis[c] - share * plain->axis[P + c];
        length += left[c] * left[c];
    }
    for (size_t c = 0; c < P; c++)
        assert_near(axes->axis[c], left[c] / sqrt(length), 1e-9);
    for (size_t j = 0; j < K; j++)
        for (size_t b = 0; b < 2; b++)
            assert_near(dot(axes->axis + j * P, axes->axis + base[b] * P), j == base[b], 1e-9);
    assert_near(axes->slope[0], 0.5 * 0.8, 5e-3); /* of 0.5, the part across attribute 1's axis */
    assert_near(axes->cosine_before[1], 0.6, 2e-3);
    assert_near(axes->cosine[1], 0, 1e-9);
    phi_axes_destroy(&axes);
    phi_axes_destroy(&plain);
}

static void noise_explains_nothing(void **state)
{
    struct phi_axes *axes = NULL;
    struct ph_error err;
    double noise[N];
    const struct phi_axes_problem problem = {x, noise, N, P, 1, NULL, 0};
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 8, 0);
    for (size_t i = 0; i < N; i++)
        noise[i] = phi_rng_normal(&rng);
    assert_ok(phi_axes_fit(&problem, &axes, &err), err);
    assert_true(axes->r2[0] < 0.1); /* of rows left out: not the 5 % that any six columns fit */
    phi_axes_destroy(&axes);
}

/* The same attribute twice, exactly: of the second nothing is left beside the first. */
static void nothing_left_is_zero(void **state)
{
    const size_t base[1] = {0};
    struct phi_axes *axes = NULL;
    struct ph_error err;
    double twice[N * 2];
    const struct phi_axes_problem problem = {x, twice, N, P, 2, base, 1};

    (void)state;
    for (size_t i = 0; i < N; i++)
        twice[2 * i] = twice[2 * i + 1] = y[i * K];
    assert_ok(phi_axes_fit(&problem, &axes, &err), err);
    for (size_t c = 0; c < P; c++)
        assert_near(axes->axis[P + c], 0, 0);
    assert_near(axes->slope[1], 0, 0);
    phi_axes_destroy(&axes);
}

static void wrong_numbers_are_refused(void **state)
{
    const size_t base[1] = {K};
    const struct phi_axes_problem problem = {x, y, N, P, K, base, 1};
    struct phi_axes *axes = NULL;
    struct ph_error err;

    (void)state;
    assert_int_equal(phi_axes_fit(&problem, &axes, &err), PH_E_INVAL);
    assert_null(axes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directions_come_back),      cmocka_unit_test(base_axes_are_taken_out),
        cmocka_unit_test(noise_explains_nothing),    cmocka_unit_test(nothing_left_is_zero),
        cmocka_unit_test(wrong_numbers_are_refused),
    };

    return cmocka_run_group_tests_name("decode/axes", tests, make, NULL);
}
