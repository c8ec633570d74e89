/* SPDX-License-Identifier: MIT
 * Mean, components (with their sign), sd, whitened scores and inverse agree with a float64
 * reference to 1e-9 of the largest magnitude, on the data of the fit and on new rows. */
#include "decode/pca.h"
#include "golden.h"

#define FILE_NAME "pca.safetensors"

static float *as_float(const char *name, size_t n)
{
    double *wide = golden_tensor(FILE_NAME, name, n);
    float *out = phi_calloc(n, sizeof *out);

    assert_non_null(out);
    for (size_t i = 0; i < n; i++)
        out[i] = (float)wide[i];
    phi_free(wide);
    return out;
}

static void check(const double *got, const char *name, size_t n)
{
    double *want = golden_tensor(FILE_NAME, name, n);

    assert_near(golden_error(got, want, n), 0, 1e-9);
    phi_free(want);
}

static void agrees_with_reference(void **state)
{
    float *x = as_float("X", 30 * 50);
    float *fresh = as_float("new.X", 3 * 50);
    struct phi_pca *pca = NULL;
    struct ph_error err;
    double scores[30 * 29], image[3 * 50];

    (void)state;
    assert_ok(phi_pca_fit(x, 30, 50, 0, &pca, &err), err);
    assert_int_equal(pca->n_components, 29);
    check(pca->mean, "mean.f64", 50);
    check(pca->components, "components.f64", 29 * 50);
    check(pca->sd, "sd.f64", 29);
    phi_pca_whiten(pca, x, 30, scores);
    check(scores, "whitened.f64", 30 * 29);
    phi_pca_whiten(pca, fresh, 3, scores);
    check(scores, "new.whitened.f64", 3 * 29);
    for (size_t i = 0; i < 3; i++)
        phi_pca_unwhiten(pca, scores + i * 29, 10, image + i * 50);
    check(image, "new.reconstruction10.f64", 3 * 50);
    phi_pca_destroy(&pca);
    phi_free(x);
    phi_free(fresh);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_reference)};

    golden_dir = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests_name("golden/pca", tests, NULL, NULL);
}
