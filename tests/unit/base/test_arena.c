/* SPDX-License-Identifier: MIT
 * Blocks from an arena are aligned, zeroed, disjoint, and refused when they do not fit. */
#include "base/arena.h"
#include "base/mem.h"
#include "test.h"

static void blocks_are_aligned_and_zeroed(void **state)
{
    struct phi_arena *arena;
    unsigned char *a, *b;

    (void)state;
    assert_int_equal(phi_arena_create(1024, &arena), PH_OK);
    a = phi_arena_alloc(arena, 3, 5);
    b = phi_arena_alloc(arena, 1, 1);
    assert_int_equal((uintptr_t)a % PHI_ALIGN, 0);
    assert_int_equal(b - a, PHI_ALIGN);
    memset(a, 0xff, 15);
    phi_arena_reset(arena);
    a = phi_arena_alloc(arena, 3, 5);
    for (int i = 0; i < 15; i++)
        assert_int_equal(a[i], 0);
    phi_arena_destroy(&arena);
    assert_null(arena);
    phi_arena_destroy(&arena);
}

static void what_does_not_fit_is_refused(void **state)
{
    struct phi_arena *arena;

    (void)state;
    assert_int_equal(phi_arena_create(128, &arena), PH_OK);
    assert_non_null(phi_arena_alloc(arena, 1, 64));
    assert_null(phi_arena_alloc(arena, 1, 65));
    assert_null(phi_arena_alloc(arena, SIZE_MAX / 2, 4));
    assert_null(phi_arena_alloc(arena, 1, SIZE_MAX - 3));
    assert_non_null(phi_arena_alloc(arena, 1, 64));
    assert_int_equal(phi_arena_used(arena), 128);
    phi_arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_zeroed),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests_name("base/arena", tests, NULL, NULL);
}
