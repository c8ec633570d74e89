/* SPDX-License-Identifier: MIT
 * Every figure of the quality record stands under its name, changes against the volume before are
 * right, and what was not measured stays NaN. */
#include "signal/confounds.h"
#include "test.h"

static double value_of(const double *row, const char *name)
{
    for (size_t i = 0; i < PHI_CONFOUNDS_N; i++)
        if (strcmp(phi_confounds_name(i), name) == 0)
            return row[i];
    fail_msg("no column %s", name);
    return 0;
}

static void figures_under_their_names(void **state)
{
    struct ph_quality before = {.motion = {1, 2, 3, 0.1F, 0.2F, 0.3F}};
    struct ph_quality now = {.motion = {1.5F, 2, 2, 0.1F, 0.2F, 0.5F},
                             .fd_mm = 10,
                             .fd_jenkinson_mm = 11,
                             .dvars = 12,
                             .std_dvars = 13,
                             .tsnr = 14,
                             .global_signal = 15,
                             .outlier_fraction = 16,
                             .gcor = 17,
                             .drift_percent = 18,
                             .csf = 19,
                             .white_matter = 20,
                             .n_spikes = 21};
    double row[PHI_CONFOUNDS_N];

    (void)state;
    phi_confounds_row(&now, &before, row);
    assert_near(value_of(row, "trans_x"), 1.5, 0);
    assert_near(value_of(row, "trans_x_derivative1"), 0.5, 0);
    assert_near(value_of(row, "trans_z_power2"), 4, 0);
    assert_near(value_of(row, "rot_z_derivative1_power2"), 0.04, 1e-8);
    assert_near(value_of(row, "rot_x_derivative1"), 0, 0);
    assert_near(value_of(row, "framewise_displacement"), 10, 0);
    assert_near(value_of(row, "rmsd"), 11, 0);
    assert_near(value_of(row, "dvars"), 12, 0);
    assert_near(value_of(row, "std_dvars"), 13, 0);
    assert_near(value_of(row, "tsnr"), 14, 0);
    assert_near(value_of(row, "global_signal"), 15, 0);
    assert_near(value_of(row, "outlier_fraction"), 16, 0);
    assert_near(value_of(row, "gcor"), 17, 0);
    assert_near(value_of(row, "drift_percent"), 18, 0);
    assert_near(value_of(row, "csf"), 19, 0);
    assert_near(value_of(row, "white_matter"), 20, 0);
    assert_near(value_of(row, "n_spikes"), 21, 0);
    assert_null(phi_confounds_name(PHI_CONFOUNDS_N));
}

static void unmeasured(void **state)
{
    struct ph_quality now = {.motion = {1}, .csf = NAN};
    double row[PHI_CONFOUNDS_N];

    (void)state;
    phi_confounds_row(&now, NULL, row);
    assert_true(isnan(value_of(row, "csf")) && isnan(value_of(row, "trans_x_derivative1")));
    assert_near(value_of(row, "trans_x_power2"), 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_under_their_names),
        cmocka_unit_test(unmeasured),
    };
    return cmocka_run_group_tests_name("signal/confounds", tests, NULL, NULL);
}
