/* SPDX-License-Identifier: MIT
 * Tall and wide data give the same components as a plain covariance; bad data are refused. */
#include "decode/pca.h"

#include "base/mem.h"
#include "base/rng.h"
#include "test.h"

static void fill(float *x, size_t n, size_t m)
{
    struct phi_rng rng;

    phi_rng_init(&rng, 7, 1);
    for (size_t i = 0; i < n * m; i++)
        x[i] = (float)(phi_rng_normal(&rng) * (1 + (double)(i % m)) + 3);
}

/* Components are orthonormal eigenvectors of the sample covariance with eigenvalue sd^2. */
static void check_eigen(const struct phi_pca *pca, const float *x, size_t n)
{
    size_t m = pca->n_features;

    for (size_t k = 0; k < pca->n_components; k++) {
        const double *v = pca->components + k * m;
        double variance = 0, norm = 0, largest = 0;

        for (size_t j = 0; j < m; j++) {
            norm += v[j] * v[j];
            largest = fabs(v[j]) > fabs(largest) ? v[j] : largest;
        }
        for (size_t i = 0; i < n; i++) {
            double score = 0;

            for (size_t j = 0; j < m; j++)
                score += (x[i * m + j] - pca->mean[j]) * v[j];
            variance += score * score;
        }
        assert_near(norm, 1, 1e-12);
        assert_true(largest > 0);
        assert_near(variance / (double)(n - 1), pca->sd[k] * pca->sd[k],
                    1e-9 * pca->sd[0] * pca->sd[0]);
    }
}

static void check_shape(size_t n, size_t m, size_t rank)
{
    float *x = phi_calloc2(n, m, sizeof *x);
    double *scores = phi_calloc2(n, m, sizeof *scores);
    double *back = phi_calloc(m, sizeof *back);
    struct phi_pca *pca = NULL;
    struct ph_error err;

    fill(x, n, m);
    assert_ok(phi_pca_fit(x, n, m, 0, &pca, &err), err);
    assert_int_equal(pca->n_components, rank);
    check_eigen(pca, x, n);
    phi_pca_whiten(pca, x, n, scores);
    phi_pca_unwhiten(pca, scores, rank, back); /* full rank: the data come back */
    for (size_t j = 0; j < m; j++)
        assert_near(back[j], x[j], 1e-9 * pca->sd[0]);
    phi_pca_destroy(&pca);
    phi_free(x);
    phi_free(scores);
    phi_free(back);
}

static void tall_and_wide(void **state)
{
    (void)state;
    check_shape(40, 7, 7);
    check_shape(9, 1500, 8); /* more features than one block */
}

static void bad_data_are_refused(void **state)
{
    float x[6] = {1, 2, 1, 2, 1, 2};
    struct phi_pca *pca = NULL;
    struct ph_error err;

    (void)state;
    assert_int_equal(phi_pca_fit(x, 1, 6, 0, &pca, &err), PH_E_SHAPE);
    assert_int_equal(phi_pca_fit(x, 3, 2, 0, &pca, &err), PH_E_INVAL); /* all equal */
    x[3] = NAN;
    assert_int_equal(phi_pca_fit(x, 3, 2, 0, &pca, &err), PH_E_INVAL);
    assert_null(pca);
    phi_pca_destroy(&pca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tall_and_wide),
        cmocka_unit_test(bad_data_are_refused),
    };
    return cmocka_run_group_tests_name("decode/pca", tests, NULL, NULL);
}
