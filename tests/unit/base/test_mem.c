/* SPDX-License-Identifier: MIT
 * Products that overflow are refused; blocks are aligned and zeroed. */
#include "base/mem.h"
#include "test.h"

static void overflow_is_refused(void **state)
{
    size_t n = 7;

    (void)state;
    assert_false(phi_mul_size(SIZE_MAX / 2, 3, &n));
    assert_false(phi_add_size(SIZE_MAX, 1, &n));
    assert_int_equal(n, 7);
    assert_true(phi_mul_size(6, 7, &n));
    assert_int_equal(n, 42);
    assert_null(phi_calloc(SIZE_MAX / 2, 3));
    assert_null(phi_calloc(1, SIZE_MAX - 1));
    assert_null(phi_calloc2((size_t)1 << 40, (size_t)1 << 40, 4));
}

static void blocks_are_aligned_and_zeroed(void **state)
{
    const size_t sizes[] = {0, 1, 63, 64, 5 << 20};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *block = phi_calloc(sizes[i], 1);

        assert_non_null(block);
        assert_int_equal((uintptr_t)block % PHI_ALIGN, 0);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(block[k], 0);
        phi_free(block);
    }
    phi_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overflow_is_refused),
        cmocka_unit_test(blocks_are_aligned_and_zeroed),
    };
    return cmocka_run_group_tests_name("base/mem", tests, NULL, NULL);
}
