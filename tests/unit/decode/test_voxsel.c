/* SPDX-License-Identifier: MIT
 * Voxels driven by the features are chosen, others are not; the rows of the test block are never
 * looked at; a selection that keeps nothing says so. */
#include "base/rng.h"
#include "decode/voxsel.h"
#include "test.h"

enum { N = 80, P = 4, M = 60, DRIVEN = 12 };

static double features[N * P];
static float voxels[N * M];

static int fill(void **state)
{
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 31, 0);
    for (size_t i = 0; i < N * P; i++)
        features[i] = phi_rng_normal(&rng);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < M; j++)
            voxels[i * M + j] =
                (float)phi_rng_normal(&rng) + (j < DRIVEN ? (float)features[i * P + j % P] : 0);
    return 0;
}

static enum ph_status choose(const struct phi_voxsel_options *options, unsigned char *keep,
                             double *r2, struct ph_error *err)
{
    struct phi_columns_memory memory = {voxels, PHI_DTYPE_F32, N, M};
    struct phi_columns columns = phi_columns_over(&memory, M, "voxels");
    struct phi_folds folds;
    struct phi_fold fold;

    assert_ok(phi_folds_contiguous(N, 4, 0, &folds, err), *err);
    fold = phi_fold_at(&folds, 1);
    return phi_voxsel(&columns, features, P, &fold, options, keep, r2, err);
}

static void driven_voxels_are_kept(void **state)
{
    struct phi_voxsel_options options = {.n_top = DRIVEN, .n_threads = 1};
    unsigned char keep[M];
    double r2[M];
    size_t n_right = 0, n_kept = 0;
    struct ph_error err = {0};

    (void)state;
    assert_ok(choose(&options, keep, r2, &err), err);
    for (size_t j = 0; j < M; j++) {
        n_kept += keep[j];
        n_right += keep[j] && j < DRIVEN;
    }
    assert_int_equal(n_kept, DRIVEN);
    assert_true(n_right >= DRIVEN - 1);
    options.n_top = 0;
    options.min_r2 = 0.2;
    assert_ok(choose(&options, keep, r2, &err), err);
    for (size_t j = 0; j < M; j++)
        assert_int_equal(keep[j], r2[j] > 0.2);
    options.min_r2 = 0.99;
    assert_int_equal(choose(&options, keep, r2, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "no voxel"));
}

static void test_rows_are_not_seen(void **state)
{
    struct phi_voxsel_options options = {.n_top = DRIVEN, .n_threads = 1};
    unsigned char before[M], after[M];
    double r2_before[M], r2_after[M];
    struct ph_error err = {0};

    (void)state;
    assert_ok(choose(&options, before, r2_before, &err), err);
    for (size_t i = 20; i < 40; i++)
        for (size_t j = 0; j < M; j++)
            voxels[i * M + j] = 1e3F * (float)features[i * P];
    assert_ok(choose(&options, after, r2_after, &err), err);
    assert_memory_equal(before, after, sizeof before);
    assert_memory_equal(r2_before, r2_after, sizeof r2_before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(driven_voxels_are_kept),
        cmocka_unit_test(test_rows_are_not_seen),
    };
    return cmocka_run_group_tests_name("decode/voxsel", tests, fill, NULL);
}
