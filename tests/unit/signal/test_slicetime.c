/* SPDX-License-Identifier: MIT
 * A signal linear in time is brought exactly to the reference in every slice; nothing is mixed over
 * a gap; slice orders are permutations with the right start; times that cannot be are refused. */
#include "signal/slicetime.h"
#include "test.h"

enum { SLICES = 5, VOXELS = 3 };

static const double times[SLICES] = {0, 1.2, 0.4, 1.6, 0.8};

static struct phi_slicetime *make(double ref_s)
{
    const struct phi_slicetime_config config = {SLICES, VOXELS, 2, ref_s, times};
    struct phi_slicetime *s = NULL;
    struct ph_error err;

    assert_ok(phi_slicetime_create(&config, &s, &err), err);
    return s;
}

/* The signal a + b time, as each slice sees it in volume t. */
static void ramp(int t, float *y)
{
    for (int i = 0; i < SLICES * VOXELS; i++)
        y[i] = (float)(100 + 3 * (2 * t + times[i / VOXELS]));
}

static void ramps_are_exact(void **state)
{
    struct phi_slicetime *s = make(0);
    float y[SLICES * VOXELS], raw[SLICES * VOXELS];

    (void)state;
    for (int t = 0; t < 6; t++) {
        ramp(t, y);
        memcpy(raw, y, sizeof raw);
        if (t == 4)
            phi_slicetime_gap(s);
        phi_slicetime_process(s, y);
        if (t == 0 || t == 4)
            assert_memory_equal(y, raw, sizeof raw);
        else
            for (int i = 0; i < SLICES * VOXELS; i++)
                assert_near(y[i], 100 + 3 * 2 * t, 1e-4);
    }
    phi_slicetime_destroy(&s);
    phi_slicetime_destroy(&s);
}

static void orders(void **state)
{
    double got[6];
    const double even[6] = {0, 3, 1, 4, 2, 5};
    const double odd[6] = {3, 0, 4, 1, 5, 2};
    const double multiband[6] = {0, 2, 1, 0, 2, 1};

    (void)state;
    assert_int_equal(phi_slice_times(PHI_SLICES_INTERLEAVED_EVEN, 6, 1, 6, got), PH_OK);
    assert_memory_equal(got, even, sizeof got);
    assert_int_equal(phi_slice_times(PHI_SLICES_INTERLEAVED_ODD, 6, 1, 6, got), PH_OK);
    assert_memory_equal(got, odd, sizeof got);
    assert_int_equal(phi_slice_times(PHI_SLICES_SIEMENS, 6, 1, 6, got), PH_OK);
    assert_memory_equal(got, odd, sizeof got);
    assert_int_equal(phi_slice_times(PHI_SLICES_SIEMENS, 6, 2, 3, got), PH_OK);
    assert_memory_equal(got, multiband, sizeof got);
    assert_int_equal(phi_slice_times(PHI_SLICES_DESCENDING, 6, 1, 6, got), PH_OK);
    assert_true(got[0] == 5 && got[5] == 0);
    assert_int_equal(phi_slice_times(PHI_SLICES_ASCENDING, 6, 4, 6, got), PH_E_INVAL);
    assert_int_equal(phi_slice_times(PHI_SLICES_ASCENDING, 6, 0, 6, got), PH_E_INVAL);
}

static void refusals(void **state)
{
    const double outside[SLICES] = {0, 1200, 400, 1600, 800};
    struct phi_slicetime_config config = {SLICES, VOXELS, 2, 1, times};
    struct phi_slicetime *s = NULL;
    struct ph_error err;

    (void)state;
    assert_int_equal(phi_slicetime_create(&config, &s, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "next volume"));
    config.ref_s = 0;
    config.times_s = outside;
    assert_int_equal(phi_slicetime_create(&config, &s, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "seconds"));
    config.times_s = times;
    config.tr_s = 0;
    assert_int_equal(phi_slicetime_create(&config, &s, &err), PH_E_INVAL);
    assert_null(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ramps_are_exact),
        cmocka_unit_test(orders),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests_name("signal/slicetime", tests, NULL, NULL);
}
