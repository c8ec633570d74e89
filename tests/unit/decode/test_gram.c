/* SPDX-License-Identifier: MIT
 * Gram matrices against plain sums, for sizes that need several panels and tiles; float32 within
 * its rounding although the columns have large means; the same bits for any number of threads. */
#include "base/mem.h"
#include "base/rng.h"
#include "decode/gram.h"
#include "test.h"

enum { N = 530, M = 1100 };

static float *x;
static double *plain, *k, *mean, *scale;

static int make_data(void **state)
{
    struct phi_rng rng;

    (void)state;
    x = phi_calloc2(N, M, sizeof *x);
    plain = phi_calloc2(N, N, sizeof *plain);
    k = phi_calloc2(N, N, sizeof *k);
    mean = phi_calloc(M, sizeof *mean);
    scale = phi_calloc(M, sizeof *scale);
    phi_rng_init(&rng, 8, 0);
    for (size_t i = 0; i < N * M; i++)
        x[i] = 500 + (float)(1 + i % M % 3) * (float)phi_rng_normal(&rng);
    return 0;
}

static int free_data(void **state)
{
    (void)state;
    phi_free(x);
    phi_free(plain);
    phi_free(k);
    phi_free(mean);
    phi_free(scale);
    return 0;
}

/* Adds column j, centred and optionally standardised, to `plain`. */
static void add_column(size_t j, bool standardise)
{
    double column[N], m = 0, ss = 0;

    for (size_t i = 0; i < N; i++)
        m += (double)x[i * M + j] / N;
    for (size_t i = 0; i < N; i++) {
        column[i] = (double)x[i * M + j] - m;
        ss += column[i] * column[i] / N;
    }
    for (size_t a = 0; a < N; a++)
        for (size_t b = 0; b < N; b++)
            plain[a * N + b] += column[a] * column[b] / (standardise ? ss : 1);
}

static struct phi_columns source(struct phi_columns_memory *memory)
{
    *memory = (struct phi_columns_memory){x, PHI_DTYPE_F32, N, M};
    return phi_columns_over(memory, M, "voxels");
}

static double worst_error(void)
{
    double worst = 0, unit = phi_gram_mean_diagonal(plain, N);

    for (size_t i = 0; i < (size_t)N * N; i++)
        worst = fmax(worst, fabs(k[i] - plain[i]) / unit);
    return worst;
}

static void equals_plain_sums(void **state)
{
    static unsigned char keep[M];
    struct phi_columns_memory memory;
    struct phi_columns columns = source(&memory);
    struct phi_gram_options options = {.standardise = true, .n_threads = 2, .keep = keep};
    struct ph_error err = {0};

    (void)state;
    memset(plain, 0, (size_t)N * N * sizeof *plain);
    for (size_t j = 0; j < M; j++) {
        keep[j] = j % 5 == 0;
        if (keep[j])
            add_column(j, true);
    }
    options.dtype = PHI_DTYPE_F64;
    assert_ok(phi_gram(&columns, &options, k, mean, scale, &err), err);
    assert_near(worst_error(), 0, 1e-12);
    options.dtype = PHI_DTYPE_F32;
    assert_ok(phi_gram(&columns, &options, k, mean, scale, &err), err);
    assert_near(worst_error(), 0, 2e-6);
    assert_near(mean[0], 500, 0.5);
    assert_near(scale[1], 0, 0); /* left out */
    assert_near(scale[5], 3, 0.5);
}

static void threads_change_no_bit(void **state)
{
    struct phi_columns_memory memory;
    struct phi_columns columns = source(&memory);
    struct phi_gram_options options = {.n_threads = 1};
    struct ph_error err = {0};

    (void)state;
    assert_ok(phi_gram(&columns, &options, plain, mean, scale, &err), err);
    options.n_threads = 3;
    assert_ok(phi_gram(&columns, &options, k, mean, scale, &err), err);
    assert_memory_equal(k, plain, (size_t)N * N * sizeof *k);
}

static void centring(void **state)
{
    double a[4] = {5, 1, 1, 3};

    (void)state;
    phi_gram_centre(a, 2);
    assert_near(a[0], 1.5, 1e-15);
    assert_near(a[1], -1.5, 1e-15);
    assert_near(a[3], 1.5, 1e-15);
}

static void bad_columns_are_named(void **state)
{
    float bad[] = {1, 7, 2, 7, 3, 7}, worse[] = {1, 7, 2, NAN, 3, 7}, flat[] = {4, 4};
    struct phi_columns_memory memory = {bad, PHI_DTYPE_F32, 3, 2};
    struct phi_columns columns = phi_columns_over(&memory, 2, "voxels");
    struct phi_gram_options options = {.n_threads = 1};
    struct ph_error err = {0};

    (void)state;
    assert_int_equal(phi_gram(&columns, &options, k, mean, scale, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "column 1 of the voxels is constant"));
    options.allow_constant = true;
    assert_ok(phi_gram(&columns, &options, k, mean, scale, &err), err);
    assert_near(k[0], 1, 1e-6);
    memory.at = worse;
    assert_int_equal(phi_gram(&columns, &options, k, mean, scale, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "row 1, column 1"));
    memory = (struct phi_columns_memory){flat, PHI_DTYPE_F32, 2, 1};
    columns = phi_columns_over(&memory, 1, "voxels");
    assert_int_equal(phi_gram(&columns, &options, k, mean, scale, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "none of the 1 voxels varies"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_plain_sums),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(centring),
        cmocka_unit_test(bad_columns_are_named),
    };
    return cmocka_run_group_tests_name("decode/gram", tests, make_data, free_data);
}
