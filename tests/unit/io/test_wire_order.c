/* SPDX-License-Identifier: MIT
 * Whatever order volumes come in, they leave ascending, once each, missing ones marked. */
#include "io/wire_order.h"

#include "base/rng.h"
#include "test.h"

static void in_order_passes_through(void **state)
{
    struct phi_wire_order order = {0};
    uint64_t index;
    uint32_t token;

    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(phi_wire_order_push(&order, i, 100 + i), PH_OK);
        assert_int_equal(phi_wire_order_pop(&order, &index, &token), PH_OK);
        assert_true(index == i && token == 100 + i);
        assert_int_equal(phi_wire_order_pop(&order, &index, &token), PH_AGAIN);
    }
    assert_int_equal(phi_wire_order_push(&order, 3, 0), PH_SKIP);
}

static void gaps_are_given_out_when_given_up(void **state)
{
    struct phi_wire_order order = {0};
    uint64_t index;
    uint32_t token;

    (void)state;
    assert_int_equal(phi_wire_order_push(&order, 3, 13), PH_OK);
    assert_int_equal(phi_wire_order_push(&order, 3, 13), PH_SKIP);
    assert_int_equal(phi_wire_order_push(&order, 1, PHI_WIRE_NO_TOKEN), PH_OK);
    assert_int_equal(phi_wire_order_pop(&order, &index, &token), PH_AGAIN);
    assert_true(phi_wire_order_waits(&order, &index) && index == 1);
    phi_wire_order_give_up(&order, 3);
    for (uint64_t i = 0; i < 4; i++) {
        assert_int_equal(phi_wire_order_pop(&order, &index, &token), PH_OK);
        assert_true(index == i);
        assert_int_equal(token, i == 3 ? 13 : PHI_WIRE_NO_TOKEN);
    }
    assert_int_equal(phi_wire_order_pop(&order, &index, &token), PH_AGAIN);
    assert_false(phi_wire_order_waits(&order, &index));
}

static void holding_is_bounded(void **state)
{
    struct phi_wire_order order = {0};

    (void)state;
    for (uint32_t i = 1; i <= PHI_WIRE_ORDER_MAX; i++)
        assert_int_equal(phi_wire_order_push(&order, i, i), PH_OK);
    assert_int_equal(phi_wire_order_push(&order, 1000, 0), PH_E_LIMIT);
}

static void any_shuffle_comes_out_sorted(void **state)
{
    struct phi_rng rng;
    uint32_t order_of[64];

    (void)state;
    phi_rng_init(&rng, 5, 0);
    for (int round = 0; round < 200; round++) {
        struct phi_wire_order order = {0};
        uint64_t expected = 0;
        uint64_t index;
        uint32_t token;

        phi_rng_permutation(&rng, order_of, 64);
        for (size_t i = 0; i < 64; i++) {
            assert_int_equal(phi_wire_order_push(&order, order_of[i], order_of[i]), PH_OK);
            while (phi_wire_order_pop(&order, &index, &token) == PH_OK) {
                assert_true(index == expected && token == expected);
                expected++;
            }
        }
        assert_true(expected == 64);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order_passes_through),
        cmocka_unit_test(gaps_are_given_out_when_given_up),
        cmocka_unit_test(holding_is_bounded),
        cmocka_unit_test(any_shuffle_comes_out_sorted),
    };
    return cmocka_run_group_tests_name("io/wire_order", tests, NULL, NULL);
}
