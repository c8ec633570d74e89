/* SPDX-License-Identifier: MIT
 * A NaN or infinity is found wherever it stands, and nothing else is. */
#include <float.h>

#include "signal/finite.h"
#include "test.h"

static void finds_each(void **state)
{
    float x[67];

    (void)state;
    for (size_t i = 0; i < 67; i++)
        x[i] = i % 2 ? FLT_MAX : -FLT_MIN;
    assert_true(phi_all_finite(x, 67));
    assert_true(phi_all_finite(x, 0));
    for (size_t i = 0; i < 67; i++) {
        float before = x[i];

        x[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -INFINITY;
        assert_false(phi_all_finite(x, 67));
        assert_true(phi_all_finite(x, i));
        x[i] = before;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_each)};

    return cmocka_run_group_tests_name("signal/finite", tests, NULL, NULL);
}
