/* SPDX-License-Identifier: MIT
 * SSIM, mean squared error, PSNR and pixel correlation of two stored pictures against an
 * independent float64 implementation, within 1e-6. */
#include "decode/image_score.h"
#include "golden.h"

enum { SIDE = 64 };

static float a[SIDE * SIDE], b[SIDE * SIDE];

static void read_csv(const char *name, float *out)
{
    char path[1024];
    FILE *file;

    assert_true(snprintf(path, sizeof path, "%s/%s", golden_dir, name) < (int)sizeof path);
    file = fopen(path, "r");
    assert_non_null(file);
    for (size_t i = 0; i < SIDE * SIDE; i++)
        assert_int_equal(fscanf(file, "%f%*[,\n]", out + i), 1);
    fclose(file);
}

static int read_pictures(void **state)
{
    (void)state;
    read_csv("ssim_a.csv", a);
    read_csv("ssim_b.csv", b);
    return 0;
}

static void scores_match(void **state)
{
    const struct phi_image_view ia = {a, SIDE, SIDE, 1}, ib = {b, SIDE, SIDE, 1};
    json_t *root = golden_json("ssim.json");
    struct ph_error err = {0};
    double ssim, self, mse = phi_image_mse(ia, ib);

    (void)state;
    assert_ok(phi_image_ssim(ia, ib, 1, &ssim, &err), err);
    assert_ok(phi_image_ssim(ia, ia, 1, &self, &err), err);
    assert_near(ssim, golden_number(root, "mean_ssim_valid_54x54"), 1e-6);
    assert_near(self, 1, 1e-12);
    assert_near(mse, golden_number(root, "mse"), 1e-8);
    assert_near(phi_image_psnr(mse, 1), golden_number(root, "psnr_db"), 1e-6);
    assert_near(phi_image_corr(ia, ib, NULL), golden_number(root, "pearson_r"), 1e-6);
    json_decref(root);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(scores_match)};

    if (argc > 1)
        golden_dir = argv[1];
    return cmocka_run_group_tests_name("golden/ssim", tests, read_pictures, NULL);
}
