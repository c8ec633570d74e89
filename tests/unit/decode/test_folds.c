/* SPDX-License-Identifier: MIT
 * Folds tile the rows, keep their gap, and are refused with a reason when they cannot work. */
#include "decode/folds.h"
#include "test.h"

static void folds_tile_the_rows(void **state)
{
    struct phi_folds folds;
    struct ph_error err = {0};

    (void)state;
    assert_ok(phi_folds_contiguous(23, 5, 2, &folds, &err), err);
    for (size_t f = 0; f < 5; f++) {
        struct phi_fold fold = phi_fold_at(&folds, f);
        unsigned char seen[23] = {0};

        assert_int_equal(fold.test_to - fold.test_from, f < 3 ? 5 : 4);
        for (size_t i = 0; i < phi_fold_n_train(&fold); i++)
            seen[phi_fold_train_row(&fold, i)]++;
        for (size_t i = 0; i < 23; i++) {
            int near = i + 2 >= fold.test_from && i < fold.test_to + 2;

            assert_int_equal(seen[i], near ? 0 : 1);
        }
    }
}

static void one_fold_a_run(void **state)
{
    const size_t rows[] = {4, 7, 5}, empty[] = {4, 0, 5};
    struct phi_folds folds;
    struct phi_fold fold;
    struct ph_error err = {0};

    (void)state;
    assert_ok(phi_folds_runs(rows, 3, &folds, &err), err);
    fold = phi_fold_at(&folds, 1);
    assert_int_equal(fold.test_from, 4);
    assert_int_equal(fold.test_to, 11);
    assert_int_equal(phi_fold_n_train(&fold), 9);
    assert_int_equal(phi_folds_runs(empty, 3, &folds, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "run 1"));
    assert_int_equal(phi_folds_runs(rows, 1, &folds, &err), PH_E_INVAL);
}

static void folds_at_given_rows(void **state)
{
    const size_t starts[] = {0, 6, 20}, late[] = {1, 6, 20}, back[] = {0, 9, 9};
    struct phi_folds folds;
    struct phi_fold fold;
    struct ph_error err = {0};

    (void)state;
    assert_ok(phi_folds_starts(30, starts, 3, 1, &folds, &err), err);
    fold = phi_fold_at(&folds, 1);
    assert_int_equal(fold.test_from, 6);
    assert_int_equal(fold.test_to, 20);
    assert_int_equal(fold.before, 5);
    assert_int_equal(fold.after, 21);
    assert_int_equal(phi_folds_starts(30, late, 3, 0, &folds, &err), PH_E_INVAL);
    assert_int_equal(phi_folds_starts(30, back, 3, 0, &folds, &err), PH_E_INVAL);
    assert_int_equal(phi_folds_starts(20, starts, 3, 0, &folds, &err), PH_E_INVAL);
}

static void impossible_folds(void **state)
{
    struct phi_folds folds = {.n_rows = 77};
    struct ph_error err = {0};

    (void)state;
    assert_int_equal(phi_folds_contiguous(4, 5, 0, &folds, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "4 samples are fewer than the 5 folds"));
    assert_int_equal(phi_folds_contiguous(10, 1, 0, &folds, &err), PH_E_INVAL);
    assert_int_equal(phi_folds_contiguous(10, 2, 4, &folds, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "gap"));
    assert_int_equal(folds.n_rows, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folds_tile_the_rows),
        cmocka_unit_test(one_fold_a_run),
        cmocka_unit_test(folds_at_given_rows),
        cmocka_unit_test(impossible_folds),
    };
    return cmocka_run_group_tests_name("decode/folds", tests, NULL, NULL);
}
