/* SPDX-License-Identifier: MIT
 * Special functions against known values; moderation recovers the prior it was simulated from;
 * shrinkage equals the sum over voxel pairs written out; Woodbury equals a dense inverse. */
#include "decode/noise.h"

#include "base/mem.h"
#include "base/rng.h"
#include "decode/linalg.h"
#include "test.h"

static void special_functions(void **state)
{
    (void)state;
    assert_near(phi_digamma(1), -0.57721566490153286, 1e-13);
    assert_near(phi_digamma(0.5), -1.9635100260214235, 1e-13);
    assert_near(phi_trigamma(1), 1.6449340668482264, 1e-13);
    assert_near(phi_trigamma(0.5), 4.9348022005446793, 1e-12);
    assert_near(phi_trigamma_inverse(phi_trigamma(3.7)), 3.7, 1e-9);
    assert_near(phi_chi2_quantile(10, 0.999), 29.588, 0.3);
    assert_near(phi_chi2_quantile(100, 0.5), 99.334, 0.05);
}

/* Variances s0^2 * (prior) * chi2_dof/dof: sums of squared normals. */
static void moderation_finds_its_prior(void **state)
{
    enum { N = 4000, DOF = 6, DOF0 = 12 };
    double *s2 = phi_calloc(N, sizeof *s2);
    struct phi_moderation found;
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 5, 5);
    for (size_t i = 0; i < N; i++) {
        double num = 0, den = 0, z;

        for (int k = 0; k < DOF; k++)
            z = phi_rng_normal(&rng), num += z * z / DOF;
        for (int k = 0; k < DOF0; k++)
            z = phi_rng_normal(&rng), den += z * z / DOF0;
        s2[i] = 2.5 * num / den;
    }
    found = phi_moderate_variances(s2, N, DOF);
    assert_near(found.prior_dof, DOF0, 2);
    assert_near(found.prior_variance, 2.5, 0.15);
    phi_free(s2);
}

static void equal_variances_are_pooled(void **state)
{
    double s2[3] = {2, 2, 2};
    struct phi_moderation found = phi_moderate_variances(s2, 3, 5);

    (void)state;
    assert_true(isinf(found.prior_dof));
    assert_near(s2[0], s2[2], 0);
}

static double pairwise_intensity(const double *z, size_t n, size_t q)
{
    double var = 0, square = 0;

    for (size_t i = 0; i < q; i++)
        for (size_t j = 0; j < q; j++) {
            double m1 = 0, m2 = 0;

            for (size_t t = 0; t < n; t++) {
                double c = z[t * q + i] * z[t * q + j];

                m1 += c / (double)n;
                m2 += c * c / (double)n;
            }
            var += i == j ? 0 : (m2 - m1 * m1) / (double)n;
            square += i == j ? 0 : m1 * m1;
        }
    return fmin(1, fmax(1e-3, var / square));
}

static void intensity_equals_the_pair_sum(void **state)
{
    enum { N = 20, Q = 7 };
    double z[N * Q], gram[N * N] = {0};
    struct phi_shrink_sums sums = {.gram = gram, .n = N};
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 3, 3);
    for (size_t t = 0; t < N; t++) {
        double shared = phi_rng_normal(&rng);

        for (size_t i = 0; i < Q; i++)
            z[t * Q + i] = phi_rng_normal(&rng) + shared;
    }
    for (size_t i = 0; i < Q; i++) {
        double m2 = 0;

        for (size_t t = 0; t < N; t++) {
            m2 += z[t * Q + i] * z[t * Q + i] / N;
            sums.sum_fourth += pow(z[t * Q + i], 4) / N;
        }
        sums.sum_variance2 += m2 * m2;
    }
    for (size_t a = 0; a < N; a++)
        for (size_t b = 0; b < N; b++)
            for (size_t i = 0; i < Q; i++)
                gram[a * N + b] += z[a * Q + i] * z[b * Q + i];
    assert_near(phi_shrink_intensity(&sums), pairwise_intensity(z, N, Q), 1e-12);
}

static void woodbury_equals_dense(void **state)
{
    enum { Q = 9, R = 3 };
    double v[Q], f[R * Q], dense[Q * Q], a[2 * Q], got[2 * Q], want[2 * Q], loglik = 0;
    struct phi_noise noise = {Q, R, v, f};
    struct phi_rng rng;
    struct ph_error err;

    (void)state;
    phi_rng_init(&rng, 11, 2);
    for (size_t i = 0; i < Q; i++)
        v[i] = 0.5 + phi_rng_uniform(&rng);
    for (size_t i = 0; i < R * Q; i++)
        f[i] = phi_rng_normal(&rng);
    for (size_t i = 0; i < 2 * Q; i++)
        a[i] = phi_rng_normal(&rng);
    for (size_t i = 0; i < Q; i++)
        for (size_t j = 0; j < Q; j++) {
            dense[i * Q + j] = i == j ? v[i] : 0;
            for (size_t k = 0; k < R; k++)
                dense[i * Q + j] += f[k * Q + i] * f[k * Q + j];
        }
    assert_ok(phi_chol_factor(dense, Q, &err), err);
    for (size_t i = 0; i < Q; i++) { /* as columns for the dense solve */
        want[2 * i] = a[i];
        want[2 * i + 1] = a[Q + i];
    }
    phi_chol_solve(dense, Q, want, 2);
    assert_ok(phi_noise_solve(&noise, a, 2, got, &err), err);
    for (size_t i = 0; i < Q; i++) {
        assert_near(got[i], want[2 * i], 1e-12);
        assert_near(got[Q + i], want[2 * i + 1], 1e-12);
    }
    assert_ok(phi_noise_loglik(&noise, a, &loglik, &err), err);
    double quadratic = 0;
    for (size_t i = 0; i < Q; i++)
        quadratic += a[i] * want[2 * i];
    assert_near(loglik,
                -0.5 *
                    (Q * log(2 * 3.14159265358979323846) + phi_chol_logdet(dense, Q) + quadratic),
                1e-10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_functions),
        cmocka_unit_test(moderation_finds_its_prior),
        cmocka_unit_test(equal_variances_are_pooled),
        cmocka_unit_test(intensity_equals_the_pair_sum),
        cmocka_unit_test(woodbury_equals_dense),
    };
    return cmocka_run_group_tests_name("decode/noise", tests, NULL, NULL);
}
