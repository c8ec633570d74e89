/* SPDX-License-Identifier: MIT
 * Correlations and R2 on small cases with known answers; constant sides are counted, not hidden. */
#include "decode/corr.h"
#include "test.h"

/* [4][2]; feature 0 is 2 x + 1 of its truth, feature 1 is constant. */
static const float estimate[] = {3, 5, 5, 5, 7, 5, 9, 5};
static const float truth[] = {1, 4, 2, 0, 3, 9, 4, 1};
static const struct phi_score_pair pair = {estimate, truth, 4, 2};

static void features_and_patterns(void **state)
{
    double r[2], rows[4], r2[2];

    (void)state;
    assert_int_equal(phi_corr_features(&pair, r), 1);
    assert_near(r[0], 1, 1e-15);
    assert_near(r[1], 0, 0);
    assert_int_equal(phi_corr_patterns(&pair, rows), 1); /* row 1 of the estimate is 5, 5 */
    assert_near(rows[0], 1, 1e-15);
    assert_near(rows[2], -1, 1e-15);
    assert_int_equal(phi_r2_features(&pair, r2), 0);
    assert_near(r2[0], 1 - (4. + 9 + 16 + 25) / 5, 1e-14);
}

static void reordering_matches_moved_rows(void **state)
{
    const uint32_t order[] = {2, 0, 3, 1};
    const uint32_t identity[] = {0, 1, 2, 3};
    float moved[8];
    double r[2];
    struct phi_score_pair other = {estimate, moved, 4, 2};

    (void)state;
    for (size_t i = 0; i < 4; i++)
        memcpy(moved + 2 * i, truth + 2 * order[i], 2 * sizeof *moved);
    (void)phi_corr_features(&other, r);
    assert_near(phi_corr_mean_reordered(&pair, NULL, order, 4), (r[0] + r[1]) / 2, 1e-15);
    assert_near(phi_corr_mean_reordered(&pair, identity, NULL, 4), 0.5, 1e-15);
}

/* A large offset must not eat the digits: sums are centred first. */
static void offset_does_no_harm(void **state)
{
    const float a[] = {1e6F + 1, 1e6F + 2, 1e6F + 3, 1e6F + 4};
    const float b[] = {1, 3, 2, 4};

    (void)state;
    assert_near(phi_corr_f32(a, 1, b, 1, 4), 0.8, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_and_patterns),
        cmocka_unit_test(reordering_matches_moved_rows),
        cmocka_unit_test(offset_does_no_harm),
    };
    return cmocka_run_group_tests_name("decode/corr", tests, NULL, NULL);
}
