/* SPDX-License-Identifier: MIT
 * Ranks, top-k and pairwise scores by hand; the exact n-way score against drawing distractors. */
#include "base/rng.h"
#include "decode/ident.h"
#include "test.h"

/* Ranks 0, 1 (a tie counts against), 2. */
static const double sim[] = {.9, .1, .2, .5, .5, .1, .6, .7, .4};
static const struct phi_ident ident = {sim, 3, 3, NULL};

static void ranks_by_hand(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(phi_ident_rank(&ident, i), i);
    assert_near(phi_ident_mean_n_way(&ident, 2), 0.5, 1e-15);
    assert_near(phi_ident_mean_n_way(&ident, 3), 1. / 3, 1e-15);
    assert_near(phi_ident_top_k(&ident, 1), 1. / 3, 1e-15);
    assert_near(phi_ident_top_k(&ident, 2), 2. / 3, 1e-15);
}

static void pairs_by_hand(void **state)
{
    const uint32_t same[] = {1, 1, 1};
    const struct phi_ident alike = {sim, 3, 3, same};

    (void)state;
    /* (0,1): .9+.5 > .1+.5 yes; (0,2): .9+.4 > .2+.6 yes; (1,2): .5+.4 > .1+.7 yes */
    assert_near(phi_ident_pairwise_2v2(&ident), 1, 0);
    /* right: 0>1, 0>2, 1>2; wrong: 1>0 (tie), 2>0, 2>1 */
    assert_near(phi_ident_pairwise_one_sided(&ident), 0.5, 1e-15);
    assert_true(isnan(phi_ident_pairwise_2v2(&alike)));
}

/* Draws n_way - 1 of m - 1 distractors, the first `rank` of which beat the true candidate. */
static double drawn_n_way(struct phi_rng *rng, size_t rank, size_t m, size_t n_way)
{
    uint32_t order[16];
    size_t n_hits = 0;

    for (size_t d = 0; d < 20000; d++) {
        size_t beaten = 0;

        phi_rng_permutation(rng, order, m - 1);
        for (size_t k = 0; k + 1 < n_way; k++)
            beaten += order[k] < rank;
        n_hits += beaten == 0;
    }
    return (double)n_hits / 20000;
}

static void n_way_equals_drawing(void **state)
{
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 4, 0);
    for (size_t n_way = 2; n_way <= 10; n_way += 4)
        for (size_t rank = 0; rank < 10; rank += 3)
            assert_near(phi_ident_n_way(rank, 11, n_way), drawn_n_way(&rng, rank, 11, n_way),
                        0.012);
    assert_near(phi_ident_n_way(3, 11, 2), 0.7, 1e-15);
}

static void correlation_matrix(void **state)
{
    const float a[] = {1, 2, 3, 3, 2, 1, 5, 5, 5};
    double r[9];
    struct ph_error err = {0};

    (void)state;
    assert_ok(phi_ident_correlate(a, 3, a, 3, 3, r, &err), err);
    assert_near(r[0], 1, 1e-15);
    assert_near(r[1], -1, 1e-15);
    assert_near(r[8], 0, 0); /* constant row */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_by_hand),
        cmocka_unit_test(pairs_by_hand),
        cmocka_unit_test(n_way_equals_drawing),
        cmocka_unit_test(correlation_matrix),
    };
    return cmocka_run_group_tests_name("decode/ident", tests, NULL, NULL);
}
