/* SPDX-License-Identifier: MIT
 * All 65,536 patterns of both formats survive the way to float32 and back, and narrowing picks the
 * nearest value, ties to even, checked against a search over all finite values. */
#include "base/half.h"
#include "test.h"

static void every_pattern_comes_back(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 65536; i++) {
        float wide = phi_f32_from_f16((uint16_t)i);
        float brain = phi_f32_from_bf16((uint16_t)i);

        if (wide == wide)
            assert_int_equal(phi_f16_from_f32(wide), i);
        else
            assert_true(phi_f32_from_f16(phi_f16_from_f32(wide)) != wide);
        if (brain == brain)
            assert_int_equal(phi_bf16_from_f32(brain), i);
        else
            assert_true(phi_f32_from_bf16(phi_bf16_from_f32(brain)) != brain);
    }
}

static void known_values(void **state)
{
    (void)state;
    assert_near(phi_f32_from_f16(0x3c00), 1.0, 0);
    assert_near(phi_f32_from_f16(0xc000), -2.0, 0);
    assert_near(phi_f32_from_f16(0x7bff), 65504.0, 0);
    assert_near(phi_f32_from_f16(0x0001), 5.960464477539063e-08, 0);
    assert_near(phi_f32_from_bf16(0x3f80), 1.0, 0);
    assert_int_equal(phi_f16_from_f32(65519.0f), 0x7bff);
    assert_int_equal(phi_f16_from_f32(65520.0f), 0x7c00);
    assert_int_equal(phi_f16_from_f32(-1e30f), 0xfc00);
    assert_int_equal(phi_f16_from_f32(1e-9f), 0);
}

/* Between neighbours a < b of the positive finite values: below the middle a, above b, on it even.
 */
static void narrowing_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint16_t i = 0; i < 0x7bff; i++) {
        float a = phi_f32_from_f16(i);
        float middle = 0.5f * (a + phi_f32_from_f16((uint16_t)(i + 1)));

        assert_int_equal(phi_f16_from_f32(nextafterf(middle, 0)), i);
        assert_int_equal(phi_f16_from_f32(nextafterf(middle, 1e9f)), i + 1);
        assert_int_equal(phi_f16_from_f32(middle), i + (i & 1));
    }
    for (uint16_t i = 1; i < 0x7f7f; i++) {
        float a = phi_f32_from_bf16(i);
        float middle = phi_f32_from_bits((uint32_t)i << 16 | 0x8000u);

        assert_true(middle > a);
        assert_int_equal(phi_bf16_from_f32(nextafterf(middle, 0)), i);
        assert_int_equal(phi_bf16_from_f32(middle), i + (i & 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pattern_comes_back),
        cmocka_unit_test(known_values),
        cmocka_unit_test(narrowing_rounds_to_nearest_even),
    };
    return cmocka_run_group_tests_name("base/half", tests, NULL, NULL);
}
