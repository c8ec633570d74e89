/* SPDX-License-Identifier: MIT
 * Quality figures on a stored block of 40 volumes and 30 voxels against an independent program. The
 * engine takes float32 volumes, so 2e-5 of each figure. */
#include "golden.h"
#include "signal/quality.h"

enum { N = 40, Q = 30 };

static void block(void **state)
{
    json_t *root = golden_open("online_stats.json");
    static double data[N][Q];
    const struct phi_quality_config config = {Q, 64, 0, 0, 0};
    struct phi_quality *quality = NULL;
    struct phi_quality_figures f;
    struct ph_error err;
    double dvars[N - 1], standard[N - 1], tsnr[Q], got[N - 1], sorted;
    float y[Q];

    (void)state;
    golden_numbers(root, "block.V", &data[0][0], N * Q);
    golden_numbers(root, "block.dvars", dvars, N - 1);
    golden_numbers(root, "block.dvars_standardised", standard, N - 1);
    golden_numbers(root, "block.tsnr", tsnr, Q);
    assert_ok(phi_quality_create(&config, &quality, &err), err);
    for (int t = 0; t < N; t++) {
        for (int v = 0; v < Q; v++)
            y[v] = (float)data[t][v];
        phi_quality_process(quality, y, true, &f);
        if (t > 0)
            got[t - 1] = f.dvars / dvars[t - 1]; /* 1000 over the median so far */
    }
    sorted = golden_number(root, "block.median");
    for (int t = N / 2; t < N - 1; t++)
        assert_near(got[t], 1000 / sorted, 0.01); /* about: the median of running means */
    assert_near(f.std_dvars, standard[N - 2], 2e-5 * standard[N - 2]);
    assert_near(f.gcor, golden_number(root, "block.gcor"), 1e-5);
    phi_quality_destroy(&quality);
    /* median over voxels of the stored tSNR */
    for (int i = 0; i < Q; i++)
        for (int j = i + 1; j < Q; j++)
            if (tsnr[j] < tsnr[i]) {
                double swap = tsnr[i];

                tsnr[i] = tsnr[j];
                tsnr[j] = swap;
            }
    sorted = (tsnr[Q / 2 - 1] + tsnr[Q / 2]) / 2;
    assert_near(f.tsnr, sorted, 2e-5 * sorted);
    json_decref(root);
}

static void series(void **state)
{
    json_t *root = golden_open("online_stats.json");
    static double data[N][Q];
    double sd[Q], ar1[Q], median = golden_number(root, "block.median");

    (void)state;
    golden_numbers(root, "block.V", &data[0][0], N * Q);
    golden_numbers(root, "block.robust_sd", sd, Q);
    golden_numbers(root, "block.ar1", ar1, Q);
    for (int v = 0; v < Q; v++) {
        struct phi_series_figures f;
        float x[N], scratch[N];

        for (int t = 0; t < N; t++)
            x[t] = (float)(data[t][v] / median * 1000);
        phi_quality_series(x, N, scratch, &f);
        assert_near(f.robust_sd, sd[v], 1e-4); /* differences of float32 near 1000 */
        assert_near(f.ar1, ar1[v], 2e-5);
    }
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(block), cmocka_unit_test(series)};

    return cmocka_run_group_tests_name("golden/signal/quality", tests, NULL, NULL);
}
