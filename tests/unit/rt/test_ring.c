/* SPDX-License-Identifier: MIT
 * The ring keeps order, holds exactly its depth, and survives the wrap of its indices. */
#include "rt/ring.h"
#include "test.h"

static void keeps_order_and_depth(void **state)
{
    struct phi_ring *ring = NULL;
    struct ph_error err;
    int items[5];

    (void)state;
    assert_ok(phi_ring_create(3, &ring, &err), err);
    assert_int_equal(phi_ring_depth(ring), 3);
    assert_null(phi_ring_pop(ring));
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 3; i++)
            assert_true(phi_ring_push(ring, &items[i]));
        assert_false(phi_ring_push(ring, &items[3]));
        assert_int_equal(phi_ring_count(ring), 3);
        assert_ptr_equal(phi_ring_pop(ring), &items[0]);
        assert_true(phi_ring_push(ring, &items[4]));
        assert_ptr_equal(phi_ring_pop(ring), &items[1]);
        assert_ptr_equal(phi_ring_pop(ring), &items[2]);
        assert_ptr_equal(phi_ring_pop(ring), &items[4]);
        assert_null(phi_ring_pop(ring));
    }
    phi_ring_destroy(&ring);
    assert_null(ring);
    phi_ring_destroy(&ring);
}

static void refuses_impossible_depths(void **state)
{
    struct phi_ring *ring = NULL;
    struct ph_error err;

    (void)state;
    assert_int_equal(phi_ring_create(0, &ring, &err), PH_E_LIMIT);
    assert_int_equal(phi_ring_create(SIZE_MAX, &ring, &err), PH_E_LIMIT);
    assert_null(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order_and_depth),
        cmocka_unit_test(refuses_impossible_depths),
    };
    return cmocka_run_group_tests_name("rt/ring", tests, NULL, NULL);
}
