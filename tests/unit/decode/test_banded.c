/* SPDX-License-Identifier: MIT
 * Banded ridge finds which band carries each target, beats one penalty for both, and repeats with
 * its seed. (Stored numbers: tests/golden.) */
#include "base/mem.h"
#include "base/rng.h"
#include "decode/banded.h"
#include "test.h"

enum { N = 120, M = 130, T = 6 };

static float bands[2][N * M];
static float y[N * T];
static double k[2][(size_t)N * N];

static int make_data(void **state)
{
    struct phi_rng rng;
    struct ph_error err = {0};
    double mean[M], scale[M];

    (void)state;
    phi_rng_init(&rng, 5, 0);
    for (size_t b = 0; b < 2; b++) {
        struct phi_columns_memory memory = {bands[b], PHI_DTYPE_F32, N, M};
        struct phi_columns columns = phi_columns_over(&memory, M, "voxels");
        struct phi_gram_options options = {.dtype = PHI_DTYPE_F64, .n_threads = 1};

        phi_rng_normal_f32(&rng, bands[b], (size_t)N * M);
        assert_ok(phi_gram(&columns, &options, k[b], mean, scale, &err), err);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t t = 0; t < T; t++) { /* even targets live in band 0, odd ones in band 1 */
            y[i * T + t] = 0.5F * (float)phi_rng_normal(&rng);
            for (size_t j = 0; j < 8; j++)
                y[i * T + t] += bands[t % 2][i * M + t + j];
        }
    return 0;
}

struct out {
    double share[T * 2], lambda[T], r2[T], dual[N * T];
};

static struct out search(size_t n_draws, uint64_t seed)
{
    const double *grams[] = {k[0], k[1]};
    double lambdas[10];
    struct phi_folds folds;
    struct phi_bands both = {grams, 2, N};
    struct phi_columns_memory memory = {y, PHI_DTYPE_F32, N, T};
    struct phi_columns targets = phi_columns_over(&memory, T, "targets");
    struct phi_banded_options options = {.lambdas = lambdas,
                                         .n_lambdas = 10,
                                         .folds = &folds,
                                         .n_draws = n_draws,
                                         .seed = seed,
                                         .n_threads = 1};
    struct out out = {0};
    struct phi_banded_result result = {out.share, out.lambda, out.r2, out.dual};
    struct ph_error err = {0};

    for (size_t l = 0; l < 10; l++)
        lambdas[l] = phi_gram_mean_diagonal(k[0], N) * pow(10, -3 + 0.5 * (double)l);
    assert_ok(phi_folds_contiguous(N, 5, 0, &folds, &err), err);
    assert_ok(phi_banded_fit(&both, &targets, &options, &result, &err), err);
    return out;
}

static void finds_the_band(void **state)
{
    struct out equal = search(1, 3), found = search(30, 3), again = search(30, 3);

    (void)state;
    for (size_t t = 0; t < T; t++) {
        assert_near(equal.share[2 * t], 0.5, 1e-15);
        assert_near(found.share[2 * t] + found.share[2 * t + 1], 1, 1e-12);
        assert_true(found.share[2 * t + t % 2] > 0.8);
        assert_true(found.r2[t] > equal.r2[t] + 0.05);
    }
    assert_memory_equal(&found, &again, sizeof found);
}

/* (sum_b share_b K_b + lambda I) dual = centred targets. */
static void coefficients_solve_their_equation(void **state)
{
    struct out out = search(10, 4);

    (void)state;
    for (size_t t = 0; t < T; t++) {
        double mean = 0;

        for (size_t i = 0; i < N; i++)
            mean += (double)y[i * T + t] / N;
        for (size_t i = 0; i < N; i++) {
            double sum = out.lambda[t] * out.dual[i * T + t];

            for (size_t j = 0; j < N; j++)
                sum +=
                    (out.share[2 * t] * k[0][i * N + j] + out.share[2 * t + 1] * k[1][i * N + j]) *
                    out.dual[j * T + t];
            assert_near(sum, (double)y[i * T + t] - mean, 1e-9);
        }
    }
}

static void needs_draws_and_bands(void **state)
{
    struct phi_bands none = {NULL, 0, N};
    struct phi_columns_memory memory = {y, PHI_DTYPE_F32, N, T};
    struct phi_columns targets = phi_columns_over(&memory, T, "targets");
    struct phi_banded_options options = {0};
    struct phi_banded_result result = {0};
    struct ph_error err = {0};

    (void)state;
    assert_int_equal(phi_banded_fit(&none, &targets, &options, &result, &err), PH_E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_band),
        cmocka_unit_test(coefficients_solve_their_equation),
        cmocka_unit_test(needs_draws_and_bands),
    };
    return cmocka_run_group_tests_name("decode/banded", tests, make_data, NULL);
}
