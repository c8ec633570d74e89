/* SPDX-License-Identifier: MIT
 * Responses agree with independent numpy/scipy numbers: the continuous density, SPM's samples and
 * derivatives (its sum normalisation restated here), nilearn's shifted grid, Glover, the library.
 */
#include "golden.h"
#include "signal/hrf.h"

/* SPM's sampled form: the sum of the kept samples is 1. */
static void spm_samples(const struct phi_hrf *hrf, double dt_s, size_t n, double *out)
{
    phi_hrf_sample(hrf, PHI_HRF_CANONICAL, dt_s, n, out);
    phi_hrf_normalise_sum(out, n);
}

static void spm_sampled(void **state)
{
    json_t *root = golden_open("hrf.json");
    struct phi_hrf hrf = phi_hrf_spm();
    double want[321], got[321];

    (void)state;
    golden_numbers(root, "spm_dt0.1", want, 321);
    assert_int_equal(phi_hrf_n_samples(&hrf, 0.1), 321);
    spm_samples(&hrf, 0.1, 321, got);
    golden_compare("spm_dt0.1", got, want, 321, 1e-13);
    golden_numbers(root, "spm_tr1", want, 33);
    spm_samples(&hrf, 1, 33, got);
    golden_compare("spm_tr1", got, want, 33, 1e-13);
    golden_numbers(root, "spm_tr2", want, 17);
    spm_samples(&hrf, 2, 17, got);
    golden_compare("spm_tr2", got, want, 17, 1e-13);
    json_decref(root);
}

static void spm_derivatives(void **state)
{
    json_t *root = golden_open("hrf.json");
    struct phi_hrf hrf = phi_hrf_spm();
    struct phi_hrf later = hrf;
    struct phi_hrf wider = hrf;
    double want[33], h[33], moved[33];

    (void)state;
    later.onset_s += 1;
    wider.dispersion_s += 0.01;
    spm_samples(&hrf, 1, 33, h);
    spm_samples(&later, 1, 33, moved);
    golden_numbers(root, "spm_tr1_time_derivative", want, 33);
    for (int i = 0; i < 33; i++)
        moved[i] = h[i] - moved[i];
    golden_compare("time derivative", moved, want, 33, 1e-13);
    spm_samples(&wider, 1, 33, moved);
    golden_numbers(root, "spm_tr1_dispersion_derivative", want, 33);
    for (int i = 0; i < 33; i++)
        moved[i] = (h[i] - moved[i]) / 0.01;
    golden_compare("dispersion derivative", moved, want, 33, 1e-12);
    /* our density form times 6/5 is the same thing: what differs is the sums over whole seconds */
    for (int i = 0; i < 33; i++)
        moved[i] = 1.2 * phi_hrf_at(&hrf, PHI_HRF_DISPERSION_DERIVATIVE, i);
    golden_compare("density dispersion derivative", moved, want, 33, 2e-3);
    json_decref(root);
}

static void continuous(void **state)
{
    json_t *root = golden_open("hrf.json");
    struct phi_hrf hrf = phi_hrf_spm();
    double t[65], want[65], got[65], peak_s, peak;

    (void)state;
    golden_numbers(root, "continuous.t_s", t, 65);
    golden_numbers(root, "continuous.h_per_s", want, 65);
    for (int i = 0; i < 65; i++)
        got[i] = phi_hrf_at(&hrf, PHI_HRF_CANONICAL, t[i]);
    golden_compare("h", got, want, 65, 1e-14);
    golden_numbers(root, "continuous.box3", want, 32);
    for (int i = 0; i < 32; i++)
        got[i] = phi_hrf_event(&hrf, PHI_HRF_CANONICAL, i, 3);
    golden_compare("box3", got, want, 32, 1e-12);
    phi_hrf_peak(&hrf, &peak_s, &peak);
    assert_near(peak_s, golden_number(root, "continuous.peak_time_s"), 1e-3); /* its grid */
    assert_near(peak, golden_number(root, "continuous.peak_per_s"), 1e-8);
    assert_near(phi_hrf_step(&hrf, PHI_HRF_CANONICAL, 32),
                golden_number(root, "continuous.integral_0_32"), 1e-6);
    json_decref(root);
}

/* nilearn's grid holds both ends in n samples, and its densities start one step dt late. */
static void nilearn_samples(struct phi_hrf hrf, double dt_s, double length_s, size_t n, double *out)
{
    double step_s = length_s / (double)(n - 1);

    hrf.onset_s += dt_s;
    phi_hrf_sample(&hrf, PHI_HRF_CANONICAL, step_s, n, out);
    phi_hrf_normalise_sum(out, n);
}

static void nilearn_conventions(void **state)
{
    json_t *root = golden_open("hrf.json");
    struct phi_hrf spm = phi_hrf_spm();
    struct phi_hrf glover = phi_hrf_glover();
    static double want[1600], got[1600];

    (void)state;
    spm.ratio = 1 / 0.167;
    golden_numbers(root, "nilearn_spm_tr2_os1_len20", want, 10);
    nilearn_samples(spm, 2, 20, 10, got);
    golden_compare("nilearn spm", got, want, 10, 1e-13);
    golden_numbers(root, "nilearn_glover_ratio0.48_tr2_os1_len20", want, 10);
    nilearn_samples(glover, 2, 20, 10, got);
    golden_compare("nilearn glover", got, want, 10, 1e-13);
    golden_numbers(root, "nilearn_spm_tr1_os50_every50", want, 32);
    nilearn_samples(spm, 1.0 / 50, 32, 1600, got);
    for (int i = 0; i < 32; i++)
        got[i] = got[50 * i];
    golden_compare("nilearn spm fine", got, want, 32, 1e-13);
    json_decref(root);
}

static void glover_peak_form(void **state)
{
    json_t *root = golden_open("hrf.json");
    struct phi_hrf hrf = phi_hrf_glover_1999();
    double want[30], got[30], scale;

    (void)state;
    golden_numbers(root, "glover_peak_form_tr1", want, 30);
    phi_hrf_sample(&hrf, PHI_HRF_CANONICAL, 1, 30, got);
    scale = want[5] / got[5];
    for (int i = 0; i < 30; i++)
        got[i] *= scale;
    golden_compare("glover", got, want, 30, 1e-12);
    json_decref(root);
}

static void library(void **state)
{
    json_t *root = golden_open("hrf_library_check.json");
    const json_t *curves = golden_field(root, "hrfs");

    (void)state;
    assert_int_equal(json_array_size(curves), PHI_HRF_LIBRARY_SIZE);
    for (size_t i = 0; i < PHI_HRF_LIBRARY_SIZE; i++) {
        const json_t *curve = json_array_get(curves, i);
        struct phi_hrf hrf;
        double fine[501], got[31], want[31];
        size_t peak = 0;

        assert_true(phi_hrf_library(i, &hrf));
        assert_int_equal(phi_hrf_n_samples(&hrf, 0.1), 501);
        phi_hrf_sample(&hrf, PHI_HRF_CANONICAL, 0.1, 501, fine);
        phi_hrf_normalise_peak(fine, 501);
        for (size_t k = 0; k < 501; k++)
            peak = fine[k] > fine[peak] ? k : peak;
        assert_near((double)peak * 0.1, golden_number(curve, "peak_time_s"), 1e-9);
        for (int k = 0; k < 31; k++)
            got[k] = fine[10 * k];
        golden_numbers(curve, "tr1_peak1", want, 31);
        golden_compare("library curve", got, want, 31, 1e-9);
    }
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spm_sampled),      cmocka_unit_test(spm_derivatives),
        cmocka_unit_test(continuous),       cmocka_unit_test(nilearn_conventions),
        cmocka_unit_test(glover_peak_form), cmocka_unit_test(library),
    };
    return cmocka_run_group_tests_name("golden/signal/hrf", tests, NULL, NULL);
}
