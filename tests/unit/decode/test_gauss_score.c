/* SPDX-License-Identifier: MIT
 * NLL against its formula by hand; coverage and variance ratio of simulated honest and
 * overconfident estimates; the normal quantile against known values. */
#include "base/rng.h"
#include "decode/gauss_score.h"
#include "test.h"

enum { N = 20000 };

static void nll_by_hand(void **state)
{
    const float mean[] = {0, 1}, sd[] = {1, 2}, truth[] = {1, -1};
    const struct phi_gauss_pair pair = {mean, sd, truth, 2};

    (void)state;
    assert_near(phi_gauss_nll(&pair), log(2 * M_PI) / 2 + (0.5 + log(2) + 0.5) / 2, 1e-12);
}

static void honest_estimates_cover_what_they_say(void **state)
{
    static float mean[N], sd[N], truth[N];
    struct phi_gauss_pair pair = {mean, sd, truth, N};
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 11, 0);
    for (size_t i = 0; i < N; i++) {
        mean[i] = (float)phi_rng_normal(&rng);
        sd[i] = 0.5F + (float)phi_rng_uniform(&rng);
        truth[i] = mean[i] + sd[i] * (float)phi_rng_normal(&rng);
    }
    assert_near(phi_gauss_coverage(&pair, phi_gauss_z(0.90)), 0.90, 0.01);
    assert_near(phi_gauss_variance_ratio(&pair), 1, 0.05);
    for (size_t i = 0; i < N; i++)
        sd[i] /= 2;
    assert_near(phi_gauss_coverage(&pair, phi_gauss_z(0.90)), 0.589, 0.015);
    assert_near(phi_gauss_variance_ratio(&pair), 4, 0.2);
}

static void quantiles(void **state)
{
    (void)state;
    assert_near(phi_gauss_z(0.90), 1.6448536269514722, 1e-12);
    assert_near(phi_gauss_z(0.95), 1.959963984540054, 1e-12);
    assert_near(phi_gauss_z(0), 0, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nll_by_hand),
        cmocka_unit_test(honest_estimates_cover_what_they_say),
        cmocka_unit_test(quantiles),
    };
    return cmocka_run_group_tests_name("decode/gauss_score", tests, NULL, NULL);
}
