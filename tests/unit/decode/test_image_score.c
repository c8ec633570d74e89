/* SPDX-License-Identifier: MIT
 * SSIM and its one-dimensional variant against plain two-dimensional sums written out here; shapes
 * that cannot be scored are refused. (Stored numbers: tests/golden/decode.) */
#include "base/rng.h"
#include "decode/image_score.h"
#include "test.h"

enum { H = 17, W = 13 };

static float a[H * W * 3], b[H * W * 3];

static int fill(void **state)
{
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 2, 0);
    for (size_t i = 0; i < H * W * 3; i++) {
        a[i] = (float)phi_rng_uniform(&rng);
        b[i] = 0.6F * a[i] + 0.4F * (float)phi_rng_uniform(&rng);
    }
    return 0;
}

static double window(int dy, int dx, int n_across)
{
    static const double unit = 2 * 1.5 * 1.5;

    return exp(-dy * dy / unit) * (n_across == 1 ? 1 : exp(-dx * dx / unit));
}

/* SSIM of the window centred at (y, x), as printed in the paper. */
static double plain_at(int y, int x, int n_across)
{
    double w_sum = 0, ma = 0, mb = 0, va = 0, vb = 0, cab = 0;
    int half = n_across / 2;

    for (int pass = 0; pass < 2; pass++)
        for (int dy = -5; dy <= 5; dy++)
            for (int dx = -half; dx <= half; dx++) {
                double w = window(dy, dx, n_across);
                double pa = (double)a[(y + dy) * W + x + dx], pb = (double)b[(y + dy) * W + x + dx];

                if (pass == 0) {
                    w_sum += w;
                    ma += w * pa;
                    mb += w * pb;
                } else {
                    va += w / w_sum * (pa - ma / w_sum) * (pa - ma / w_sum);
                    vb += w / w_sum * (pb - mb / w_sum) * (pb - mb / w_sum);
                    cab += w / w_sum * (pa - ma / w_sum) * (pb - mb / w_sum);
                }
            }
    ma /= w_sum;
    mb /= w_sum;
    return (2 * ma * mb + 1e-4) * (2 * cab + 9e-4) /
           ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4));
}

static double plain_ssim(int n_across)
{
    double sum = 0;
    int half = n_across / 2, n = 0;

    for (int y = 5; y < H - 5; y++)
        for (int x = half; x < W - half; x++, n++)
            sum += plain_at(y, x, n_across);
    return sum / n;
}

static void both_variants_equal_plain_sums(void **state)
{
    const struct phi_image_view ia = {a, H, W, 1}, ib = {b, H, W, 1};
    struct ph_error err = {0};
    double wang, nsd;

    (void)state;
    assert_ok(phi_image_ssim(ia, ib, 1, &wang, &err), err);
    assert_ok(phi_image_ssim_nsd(ia, ib, 1, &nsd, &err), err);
    assert_near(wang, plain_ssim(11), 1e-12);
    assert_near(nsd, plain_ssim(1), 1e-12);
    assert_true(fabs(wang - nsd) > 1e-3); /* they are different scores */
}

static void channels_are_averaged(void **state)
{
    float grey_a[H * W], grey_b[H * W];
    struct ph_error err = {0};
    double colour, sum = 0, one;

    (void)state;
    assert_ok(phi_image_ssim((struct phi_image_view){a, H, W, 3},
                             (struct phi_image_view){b, H, W, 3}, 1, &colour, &err),
              err);
    for (size_t c = 0; c < 3; c++) {
        for (size_t i = 0; i < H * W; i++) {
            grey_a[i] = a[i * 3 + c];
            grey_b[i] = b[i * 3 + c];
        }
        assert_ok(phi_image_ssim((struct phi_image_view){grey_a, H, W, 1},
                                 (struct phi_image_view){grey_b, H, W, 1}, 1, &one, &err),
                  err);
        sum += one / 3;
    }
    assert_near(colour, sum, 1e-12);
}

static void odd_cases(void **state)
{
    const float flat[4] = {1, 1, 1, 1}, rgb[3] = {1, 0.5F, 0.25F};
    const struct phi_image_view grey = {flat, 2, 2, 1}, ia = {a, H, W, 1}, low = {a, 10, W, 1};
    struct ph_error err = {0};
    bool undefined = false;
    float out;
    double s = 7;

    (void)state;
    assert_near(phi_image_corr(grey, (struct phi_image_view){a, 2, 2, 1}, &undefined), 0, 0);
    assert_true(undefined);
    assert_near(phi_image_corr(ia, ia, &undefined), 1, 1e-15);
    assert_false(undefined);
    assert_true(isinf(phi_image_psnr(phi_image_mse(ia, ia), 1)));
    assert_int_equal(phi_image_ssim(ia, low, 1, &s, &err), PH_E_SHAPE);
    assert_int_equal(phi_image_ssim(low, low, 1, &s, &err), PH_E_SHAPE);
    assert_near(s, 7, 0);
    phi_image_grey((struct phi_image_view){rgb, 1, 1, 3}, &out);
    assert_near(out, 0.2125 + 0.7154 / 2 + 0.0721 / 4, 1e-7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_variants_equal_plain_sums),
        cmocka_unit_test(channels_are_averaged),
        cmocka_unit_test(odd_cases),
    };
    return cmocka_run_group_tests_name("decode/image_score", tests, fill, NULL);
}
