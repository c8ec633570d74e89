/* SPDX-License-Identifier: MIT
 * Single-trial estimates after 45 and after 90 volumes equal the batch fits of the reference, for
 * LSA and LSS. Tolerance 1e-6 of the largest: the voxels are float32. */
#include "decode/betas.h"
#include "decode/trialest.h"
#include "golden.h"

enum { N = 90, TRIALS = 10, NUISANCE = 3, Q = 4 };

static void compare(const json_t *root, size_t n_volumes, const char *key, const double *got,
                    size_t n)
{
    char path[64];
    double *want;

    snprintf(path, sizeof path, "n%zu.%s", n_volumes, key);
    want = golden_array(root, path, n);
    assert_near(golden_error(got, want, n), 0, 1e-6);
    phi_free(want);
}

static void agrees_with_batch(void **state)
{
    json_t *root = golden_json("single_trial.json");
    double *x = golden_array(root, "X_trials", N * TRIALS);
    double *nuisance = golden_array(root, "X_nuisance", N * NUISANCE);
    double *y = golden_array(root, "Y", N * Q), beta[TRIALS * Q];
    const size_t shape[3] = {TRIALS, NUISANCE, Q};
    size_t active[TRIALS];
    struct phi_trialest *est = NULL;
    struct ph_error err;

    (void)state;
    assert_ok(phi_trialest_create(shape, 0, &est, &err), err);
    for (size_t t = 0; t < N; t++) {
        float row[Q];

        for (size_t v = 0; v < Q; v++)
            row[v] = (float)y[t * Q + v];
        phi_trialest_add(est, x + t * TRIALS, nuisance + t * NUISANCE, row);
        if (t == 0) /* one volume cannot tell three nuisance columns apart */
            assert_int_equal(phi_trialest_lsa(est, beta), PH_AGAIN);
        if (t + 1 == 45 || t + 1 == 90) {
            size_t n = phi_trialest_active(est, active);
            double numbers[TRIALS];

            assert_int_equal(n, t + 1 == 45 ? 6 : 10);
            for (size_t j = 0; j < n; j++)
                numbers[j] = (double)active[j];
            compare(root, t + 1, "active_trials", numbers, n);
            assert_int_equal(phi_trialest_lsa(est, beta), PH_OK);
            compare(root, t + 1, "beta_lsa", beta, n * Q);
            assert_int_equal(phi_trialest_lss(est, beta), PH_OK);
            compare(root, t + 1, "beta_lss", beta, n * Q);
        }
    }
    phi_trialest_reset(est);
    assert_int_equal(phi_trialest_active(est, active), 0);
    phi_trialest_destroy(&est);
    phi_free(x);
    phi_free(nuisance);
    phi_free(y);
    json_decref(root);
}

/* The same from all volumes at once, voxel by voxel. */
static void whole_run_agrees(void **state)
{
    json_t *root = golden_json("single_trial.json");
    double *x = golden_array(root, "X_trials", N * TRIALS);
    double *nuisance = golden_array(root, "X_nuisance", N * NUISANCE);
    double *y = golden_array(root, "Y", N * Q), got[TRIALS * Q];
    float y32[N * Q], beta[TRIALS * Q], r2[Q], fraction[Q];
    uint8_t shape[Q];
    const struct phi_betas_data data = {N, TRIALS, Q, 1, NUISANCE, x, nuisance, y32};
    const struct phi_betas out = {beta, shape, r2, fraction};
    struct ph_error err;

    (void)state;
    for (size_t i = 0; i < N * Q; i++)
        y32[i] = (float)y[i];
    for (int method = 0; method < 2; method++) {
        const struct phi_betas_options options = {.method = (enum phi_betas_method)method};

        assert_ok(phi_betas_fit(&data, &options, &out, &err), err);
        for (size_t i = 0; i < TRIALS * Q; i++)
            got[i] = (double)beta[i];
        compare(root, 90, method ? "beta_lss" : "beta_lsa", got, TRIALS * Q);
    }
    phi_free(x);
    phi_free(nuisance);
    phi_free(y);
    json_decref(root);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_batch),
                                       cmocka_unit_test(whole_run_agrees)};

    golden_dir = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests_name("golden/trialest", tests, NULL, NULL);
}
