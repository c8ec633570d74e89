/* SPDX-License-Identifier: MIT
 * The generator repeats for a seed, differs between streams, and has the moments it should. */
#include "base/rng.h"
#include "test.h"

static void same_seed_same_numbers(void **state)
{
    struct phi_rng a, b, c;

    (void)state;
    phi_rng_init(&a, 42, 3);
    phi_rng_init(&b, 42, 3);
    phi_rng_init(&c, 42, 4);
    for (int i = 0; i < 100; i++) {
        uint64_t x = phi_rng_u64(&a);

        assert_true(x == phi_rng_u64(&b));
        assert_true(x != phi_rng_u64(&c));
    }
}

static void matches_the_published_recurrence(void **state)
{
    /* xoshiro256** from the state {1, 2, 3, 4}; the first values follow by hand from its definition
     * rotl(s1 * 5, 7) * 9. */
    struct phi_rng rng = {.s = {1, 2, 3, 4}};

    (void)state;
    assert_true(phi_rng_u64(&rng) == 11520);
    assert_true(phi_rng_u64(&rng) == 0);
    assert_true(phi_rng_u64(&rng) == 1509978240);
}

static void moments(void **state)
{
    struct phi_rng rng;
    double sum = 0, sum2 = 0, sum4 = 0, uniform = 0;
    const int n = 200000;

    (void)state;
    phi_rng_init(&rng, 7, 0);
    for (int i = 0; i < n; i++) {
        double x = phi_rng_normal(&rng);

        sum += x;
        sum2 += x * x;
        sum4 += x * x * x * x;
        uniform += phi_rng_uniform(&rng);
    }
    assert_near(sum / n, 0, 0.01); /* 4.5 standard errors */
    assert_near(sum2 / n, 1, 0.015);
    assert_near(sum4 / n, 3, 0.1);
    assert_near(uniform / n, 0.5, 0.003);
}

static void permutation_holds_each_once(void **state)
{
    uint32_t order[50];
    int seen[50] = {0};
    int moved = 0;
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 9, 0);
    phi_rng_permutation(&rng, order, 50);
    for (uint32_t i = 0; i < 50; i++) {
        assert_in_range(order[i], 0, 49);
        seen[order[i]]++;
        moved += order[i] != i;
    }
    for (int i = 0; i < 50; i++)
        assert_int_equal(seen[i], 1);
    assert_true(moved > 30);
    assert_int_equal(phi_rng_below(&rng, 0), 0);
    assert_int_equal(phi_rng_below(&rng, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_numbers),
        cmocka_unit_test(matches_the_published_recurrence),
        cmocka_unit_test(moments),
        cmocka_unit_test(permutation_holds_each_once),
    };
    return cmocka_run_group_tests_name("base/rng", tests, NULL, NULL);
}
