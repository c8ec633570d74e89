/* SPDX-License-Identifier: MIT
 * Figures against plain formulas over all data, clean noise has standardised DVARS near 1 and
 * outliers near their nominal share, spikes and drift and shared signals are seen, learning can be
 * withheld, gaps give no DVARS, the start-up is found live and afterwards. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "signal/quality.h"
#include "signal/sort.h"
#include "test.h"

enum { Q = 500 };

static struct phi_quality *make(size_t window, size_t sample)
{
    const struct phi_quality_config config = {Q, window, sample, 0, 0};
    struct phi_quality *q = NULL;
    struct ph_error err;

    assert_ok(phi_quality_create(&config, &q, &err), err);
    return q;
}

static void noise(struct phi_rng *rng, double mean, double sd, float *y)
{
    for (int v = 0; v < Q; v++)
        y[v] = (float)(mean + sd * phi_rng_normal(rng));
}

static void clean_noise(void **state)
{
    struct phi_quality *q = make(100, 200);
    struct phi_quality_figures f;
    struct phi_rng rng;
    float y[Q];
    double dvars = 0, outliers = 0;

    (void)state;
    phi_rng_init(&rng, 1, 0);
    for (int t = 0; t < 300; t++) {
        noise(&rng, 800, 8, y);
        phi_quality_process(q, y, true, &f);
        assert_true(t == 0 ? isnan(f.dvars) : isfinite(f.dvars));
        assert_true((t < 7) == (bool)isnan(f.std_dvars));
        if (t >= 100) {
            dvars += f.std_dvars / 200;
            outliers += f.outlier_fraction / 200;
        }
    }
    assert_near(f.global_signal, 800, 2);
    assert_near(f.tsnr, 100, 3);
    assert_near(f.dvars, 1000 * sqrt(2.0) * 8 / 800, 1);
    assert_near(dvars, 1, 0.04);
    assert_true(outliers < 0.002);
    assert_near(f.gcor, 1.0 / 200, 0.003); /* each voxel with itself */
    assert_near(f.drift_percent, 0, 0.1);
    assert_int_equal(f.n_spikes, 0);
    phi_quality_destroy(&q);
    phi_quality_destroy(&q);
}

static void spikes_drift_and_shared_signal(void **state)
{
    struct phi_quality *q = make(64, 0);
    struct phi_quality_figures f;
    struct phi_rng rng;
    float y[Q];
    double at_spike = 0;

    (void)state;
    phi_rng_init(&rng, 2, 0);
    for (int t = 0; t < 120; t++) {
        noise(&rng, 500 + 0.05 * t + 4 * sin(0.9 * t), 4, y);
        if (t == 60 || t == 90)
            for (int v = 0; v < Q; v++)
                y[v] += 80;
        phi_quality_process(q, y, true, &f);
        if (t == 60)
            at_spike = f.std_dvars;
        if (t == 60)
            assert_true(f.outlier_fraction > 0.5);
    }
    assert_true(at_spike > 5);
    assert_int_equal(f.n_spikes, 2);
    assert_near(f.drift_percent, 1.1, 0.5);
    assert_true(f.gcor > 0.2);
    phi_quality_destroy(&q);
}

static void learning_can_be_withheld(void **state)
{
    struct phi_quality *a = make(32, 0);
    struct phi_quality *b = make(32, 0);
    struct phi_quality_figures f, g;
    struct phi_rng rng;
    float y[Q], bad[Q];

    (void)state;
    phi_rng_init(&rng, 3, 0);
    for (int v = 0; v < Q; v++)
        bad[v] = 1e6F;
    for (int t = 0; t < 40; t++) {
        noise(&rng, 100, 1, y);
        if (t == 20) {
            phi_quality_process(b, bad, false, &g);
            assert_true(g.std_dvars > 100 && g.n_spikes == 1);
        }
        if (t == 20) {
            phi_quality_gap(a);
            phi_quality_gap(b);
        }
        phi_quality_process(a, y, true, &f);
        phi_quality_process(b, y, true, &g);
        if (t == 20)
            assert_true(isnan(f.dvars) && isnan(g.dvars) && isnan(g.std_dvars));
    }
    g.n_spikes = f.n_spikes;
    assert_memory_equal(&f, &g, sizeof f);
    phi_quality_reset(b);
    phi_quality_process(b, y, true, &g);
    assert_true(isnan(g.dvars) && g.n_spikes == 0);
    phi_quality_destroy(&a);
    phi_quality_destroy(&b);
}

static void resized_equals_made_so(void **state)
{
    const struct phi_quality_config config = {100, 32, 64, 0, 0};
    struct phi_quality *a = make(32, 64);
    struct phi_quality *b = NULL;
    struct phi_quality_figures f, g;
    struct phi_rng rng;
    struct ph_error err;
    float y[Q];

    (void)state;
    phi_rng_init(&rng, 6, 0);
    assert_ok(phi_quality_create(&config, &b, &err), err);
    assert_int_equal(phi_quality_resize(a, Q + 1), PH_E_SHAPE);
    assert_int_equal(phi_quality_resize(a, 0), PH_E_SHAPE);
    assert_int_equal(phi_quality_resize(a, 100), PH_OK);
    for (int t = 0; t < 20; t++) {
        noise(&rng, 100, 1, y);
        phi_quality_process(a, y, true, &f);
        phi_quality_process(b, y, true, &g);
    }
    assert_memory_equal(&f, &g, sizeof f);
    phi_quality_destroy(&a);
    phi_quality_destroy(&b);
}

static void voxels_outside_the_view_are_no_change(void **state)
{
    struct phi_quality *a = make(32, 0);
    struct phi_quality_figures f;
    struct phi_rng rng;
    float y[Q];

    (void)state;
    phi_rng_init(&rng, 7, 0);
    for (int t = 0; t < 40; t++) {
        noise(&rng, 800, 8, y);
        for (int v = 0; v < 20; v++) /* in and out of the field of view */
            y[v] = t % 2 ? 0 : y[v];
        phi_quality_process(a, y, true, &f);
    }
    assert_near(f.dvars, 1000 * sqrt(2.0) * 8 / 800, 1.5);
    phi_quality_destroy(&a);
}

static void dead_voxels_stay_finite(void **state)
{
    struct phi_quality *q = make(16, 0);
    struct phi_quality_figures f;
    float y[Q] = {0};

    (void)state;
    for (int t = 0; t < 30; t++)
        phi_quality_process(q, y, true, &f);
    assert_true(f.tsnr == 0 && f.gcor == 0 && f.outlier_fraction == 0 && f.global_signal == 0);
    assert_true(isnan(f.dvars) && isnan(f.std_dvars) && f.n_spikes == 0);
    phi_quality_destroy(&q);
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;

    return (x > y) - (x < y);
}

static void sorting(void **state)
{
    struct phi_rng rng;
    float x[300], want[300];

    (void)state;
    phi_rng_init(&rng, 4, 0);
    for (size_t n = 1; n <= 300; n += 13) {
        for (size_t i = 0; i < n; i++)
            want[i] = x[i] = (float)phi_rng_below(&rng, 50);
        phi_sort_f32(x, n);
        qsort(want, n, sizeof *want, ascending);
        assert_memory_equal(x, want, n * sizeof *x);
    }
    x[0] = 1;
    x[1] = 4;
    x[2] = 9;
    assert_true(phi_sorted_median_f32(x, 3) == 4 && phi_sorted_median_f32(x, 2) == 2.5);
}

static void normal_tails(void **state)
{
    (void)state;
    assert_near(phi_quality_normal_tail(0.5), 0, 1e-12);
    assert_near(phi_quality_normal_tail(0.025), 1.959963984540054, 1e-12);
    assert_near(phi_quality_normal_tail(1e-5), 4.264890793922825, 1e-11);
}

static void start_up(void **state)
{
    float g[40], scratch[40];
    struct phi_settling settling = {.tolerance = 0.005, .n_max = 10};
    struct phi_settling never = {.tolerance = 0.005, .n_max = 3};
    struct phi_settling off = {.tolerance = 0.005, .n_max = 0};
    struct phi_rng rng;
    size_t live = 0, limited = 0;

    (void)state;
    phi_rng_init(&rng, 5, 0);
    for (int t = 0; t < 40; t++) {
        g[t] = (float)(1000 + 400 * exp(-1.3 * t) + phi_rng_normal(&rng));
        live += phi_settling_step(&settling, (double)g[t]);
        limited += phi_settling_step(&never, 1000.0 - 50 * t);
        assert_false(phi_settling_step(&off, (double)g[t]));
    }
    assert_in_range(phi_quality_startup(g, 40, scratch), 3, 5);
    assert_in_range(live, 3, 5);
    assert_int_equal(limited, 3);
    for (int t = 0; t < 40; t++)
        g[t] = 7;
    assert_int_equal(phi_quality_startup(g, 40, scratch), 0);
    assert_int_equal(phi_quality_startup(g, 0, scratch), 0);
}

static void no_voxels(void **state)
{
    const struct phi_quality_config none = {0, 0, 0, 0, 0};
    const struct phi_quality_config vast = {SIZE_MAX / 2, 0, 0, 0, 0};
    struct phi_quality *q = NULL;
    struct ph_error err;

    (void)state;
    assert_int_equal(phi_quality_create(&none, &q, &err), PH_E_INVAL);
    assert_int_equal(phi_quality_create(&vast, &q, &err), PH_E_NOMEM);
    assert_null(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_noise),
        cmocka_unit_test(spikes_drift_and_shared_signal),
        cmocka_unit_test(learning_can_be_withheld),
        cmocka_unit_test(resized_equals_made_so),
        cmocka_unit_test(voxels_outside_the_view_are_no_change),
        cmocka_unit_test(dead_voxels_stay_finite),
        cmocka_unit_test(sorting),
        cmocka_unit_test(normal_tails),
        cmocka_unit_test(start_up),
        cmocka_unit_test(no_voxels),
    };
    return cmocka_run_group_tests_name("signal/quality", tests, NULL, NULL);
}
