/* SPDX-License-Identifier: MIT
 * Running mean, variance and z, exponential mean and the modified Kalman filter, sample by sample,
 * against stored numbers of an independent program, to 1e-9. */
#include "golden.h"
#include "signal/despike.h"
#include "signal/running.h"

enum { N = 60 };

static void welford(void **state)
{
    json_t *root = golden_open("online_stats.json");
    double y[N], mean[N], variance[N], z[N], got[3][N];
    struct phi_welford w = {0};

    (void)state;
    golden_numbers(root, "y", y, N);
    golden_numbers(root, "welford.mean", mean, N);
    golden_numbers(root, "welford.var", variance, N);
    golden_numbers(root, "welford.z", z, N);
    for (int t = 0; t < N; t++) {
        phi_welford_add(&w, y[t]);
        got[0][t] = w.mean;
        got[1][t] = phi_welford_variance(&w);
        got[2][t] = phi_welford_z(&w, y[t]);
    }
    golden_compare("mean", got[0], mean, N, 1e-12);
    golden_compare("variance", got[1], variance, N, 1e-11);
    golden_compare("z", got[2], z, N, 1e-11);
    json_decref(root);
}

static void ema(void **state)
{
    json_t *root = golden_open("online_stats.json");
    double y[N], want[N], got[N];
    struct phi_ema e = {.keep = golden_number(root, "ema.alpha")};

    (void)state;
    golden_numbers(root, "y", y, N);
    golden_numbers(root, "ema.output", want, N);
    for (int t = 0; t < N; t++)
        got[t] = phi_ema_step(&e, y[t]);
    golden_compare("ema", got, want, N, 1e-12);
    json_decref(root);
}

static void koush(void **state)
{
    json_t *root = golden_open("online_stats.json");
    double z[N], want[N], got[N], up[N], down[N];
    struct phi_despike d;

    (void)state;
    golden_numbers(root, "koush.input", z, N);
    golden_numbers(root, "koush.output", want, N);
    golden_numbers(root, "koush.pos_flag", up, N);
    golden_numbers(root, "koush.neg_flag", down, N);
    phi_despike_init_at(&d, golden_number(root, "koush.sigma"), 0);
    for (int t = 0; t < N; t++) {
        got[t] = phi_despike_step(&d, z[t]);
        assert_true(d.held_up == (up[t] > 0) && d.held_down == (down[t] > 0));
    }
    golden_compare("koush", got, want, N, 1e-12);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(welford),
        cmocka_unit_test(ema),
        cmocka_unit_test(koush),
    };
    return cmocka_run_group_tests_name("golden/signal/running", tests, NULL, NULL);
}
