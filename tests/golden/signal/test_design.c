/* SPDX-License-Identifier: MIT
 * Closed-form regressors against SPM's and nilearn's grid versions (kernels of sum 1 there, of
 * integral 5/6 here), FIR columns, and drift bases against independent numbers. */
#include <stdlib.h>

#include "golden.h"
#include "signal/design.h"

#define N_EVENTS 3
#define N_SCANS  30

static void read_events(json_t *root, const char *set, struct phi_event *events)
{
    double onset[N_EVENTS], duration[N_EVENTS], amplitude[N_EVENTS];
    const json_t *e = golden_field(golden_field(root, set), "events");

    golden_numbers(e, "onsets_s", onset, N_EVENTS);
    golden_numbers(e, "durations_s", duration, N_EVENTS);
    golden_numbers(e, "amplitudes", amplitude, N_EVENTS);
    for (int i = 0; i < N_EVENTS; i++)
        events[i] = (struct phi_event){onset[i], duration[i], amplitude[i], 0};
}

/* Largest |scale * ours - theirs| as a share of their peak, for one sampling instant. */
static double worst_share(json_t *root, const char *set, const char *column, double ref,
                          double scale)
{
    struct phi_event events[N_EVENTS];
    const struct phi_design_timing timing = {N_SCANS, 2, ref};
    struct phi_regressor regressor = {events, N_EVENTS, 0, phi_hrf_spm(), PHI_HRF_CANONICAL};
    double ours[N_SCANS], theirs[N_SCANS], peak = 0, worst = 0;

    read_events(root, set, events);
    golden_numbers(golden_field(root, set), column, theirs, N_SCANS);
    phi_regressor_column(&regressor, &timing, ours);
    for (int k = 0; k < N_SCANS; k++) {
        peak = fmax(peak, fabs(theirs[k]));
        worst = fmax(worst, fabs(scale * ours[k] - theirs[k]));
    }
    return worst / peak;
}

static void other_packages_conventions(void **state)
{
    json_t *root = golden_open("hrf.json");

    (void)state;
    /* Sticks agree; SPM's boxes are one bin of TR/16 longer than stated. nilearn's sticks have the
     * area of one grid step, TR/50. */
    assert_true(worst_share(root, "events_impulses", "spm_T16_T0_8", 7.0 / 16, 1.2) < 0.01);
    assert_true(worst_share(root, "events_impulses", "nilearn_os50", 0, 1.2 / 25) < 0.02);
    assert_true(worst_share(root, "events_boxcars", "spm_T16_T0_8", 7.0 / 16, 1.2) < 0.04);
    assert_true(worst_share(root, "events_boxcars", "spm_T16_T0_1", 0, 1.2) < 0.04);
    assert_true(worst_share(root, "events_boxcars", "nilearn_os50", 0, 1.2) < 0.02);
    json_decref(root);
}

static void fir(void **state)
{
    json_t *root = golden_open("hrf.json");
    struct phi_event events[N_EVENTS];
    const struct phi_design_timing timing = {N_SCANS, 2, 0};
    struct phi_regressor regressor = {events, N_EVENTS, 0, phi_hrf_spm(), PHI_HRF_CANONICAL};
    double want[N_SCANS * 6], row[6];

    (void)state;
    read_events(root, "events_impulses", events);
    for (int i = 0; i < N_EVENTS; i++)
        events[i].amplitude = 1;
    golden_numbers(root, "fir_design.X", want, N_SCANS * 6);
    for (size_t k = 0; k < N_SCANS; k++) {
        phi_design_fir_row(&regressor, &timing, k, 6, row);
        golden_compare("fir", row, want + 6 * k, 6, 0);
    }
    json_decref(root);
}

/* A row of the CSV: volume, dct1..4, legendre0..3, y, y_highpass_spm, y_minus_legendre. */
enum { CSV_COLUMNS = 12, CSV_ROWS = 150 };

static void read_csv(double rows[CSV_ROWS][CSV_COLUMNS])
{
    FILE *file = fopen(GOLDEN_DIR "/dct_basis.csv", "r");
    char line[1024];

    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    for (int r = 0; r < CSV_ROWS; r++) {
        char *at = line;

        assert_non_null(fgets(line, sizeof line, file));
        for (int c = 0; c < CSV_COLUMNS; c++, at++)
            rows[r][c] = strtod(at, &at);
    }
    fclose(file);
}

static void drift_bases(void **state)
{
    static double rows[CSV_ROWS][CSV_COLUMNS];
    double row[4], weight[4] = {0};

    (void)state;
    read_csv(rows);
    assert_int_equal(phi_design_dct_count(CSV_ROWS, 2, 128), 4);
    assert_int_equal(phi_design_polynomial_order(CSV_ROWS, 2), 3);
    for (size_t k = 0; k < CSV_ROWS; k++) {
        phi_design_dct_row(CSV_ROWS, k, 4, row);
        golden_compare("dct", row, &rows[k][1], 4, 1e-14);
        for (int c = 0; c < 4; c++)
            weight[c] += row[c] * rows[k][9];
        phi_design_legendre_row(CSV_ROWS, k, 4, row);
        golden_compare("legendre", row, &rows[k][5], 4, 1e-14);
    }
    for (size_t k = 0; k < CSV_ROWS; k++) {
        double rest = rows[k][9];

        phi_design_dct_row(CSV_ROWS, k, 4, row);
        for (int c = 0; c < 4; c++)
            rest -= weight[c] * row[c];
        assert_near(rest, rows[k][10], 1e-9); /* SPM's high-pass */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_packages_conventions),
        cmocka_unit_test(fir),
        cmocka_unit_test(drift_bases),
    };
    return cmocka_run_group_tests_name("golden/signal/design", tests, NULL, NULL);
}
