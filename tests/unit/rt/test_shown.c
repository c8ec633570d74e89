/* SPDX-License-Identifier: MIT
 * Maps and curves keep their places by title, the newest wins, what does not fit is left out. */
#include "rt/shown.h"
#include "test.h"

static const uint32_t dims[3] = {3, 2, 1};

static void maps(void **state)
{
    struct phi_shown *shown = NULL;
    struct ph_error err;
    float values[6] = {1, 2, 3, 4, 5, 6};
    struct ph_map map = {.threshold = 2, .title = "a", .values = values, .dims = {3, 2, 1}};
    const struct phi_shown_map *seen;

    (void)state;
    assert_ok(phi_shown_create(dims, &shown, &err), err);
    assert_false(phi_shown_map(shown, 0, &seen));
    assert_null(seen);
    assert_true(phi_shown_put_map(shown, &map));
    map.title = "b";
    assert_true(phi_shown_put_map(shown, &map));
    map.title = "a";
    values[5] = 60;
    assert_true(phi_shown_put_map(shown, &map));
    assert_true(phi_shown_map(shown, 0, &seen));
    assert_near(seen->values[5], 60, 0);
    assert_string_equal(seen->title, "a");
    assert_false(phi_shown_map(shown, 0, &seen)); /* nothing new, but still there */
    assert_non_null(seen);
    assert_true(phi_shown_map(shown, 1, &seen));
    assert_near(seen->values[5], 6, 0);
    map.dims[0] = 4;
    assert_false(phi_shown_put_map(shown, &map));
    map.dims[0] = 3;
    map.threshold = 0;
    assert_false(phi_shown_put_map(shown, &map));
    phi_shown_destroy(&shown);
    assert_null(shown);
}

static void curves(void **state)
{
    static const char *const names[] = {"x", "y"};
    static const char *const titles[] = {"1", "2", "3", "4", "5"};
    const struct ph_band bands[1] = {{0.1, 0.2, "heart"}};
    const float values[6] = {1, 2, 3, 4, 5, 6};
    struct ph_curves c = {.n_traces = 2,
                          .n_points = 3,
                          .n_bands = 1,
                          .title = "1",
                          .x_unit = "a unit that is far too long",
                          .dx = 0.5,
                          .names = names,
                          .values = values,
                          .bands = bands};
    struct phi_shown *shown = NULL;
    const struct phi_shown_curves *seen;
    struct ph_error err;

    (void)state;
    assert_ok(phi_shown_create(dims, &shown, &err), err);
    for (int i = 0; i < 5; i++) {
        c.title = titles[i];
        assert_int_equal(phi_shown_put_curves(shown, &c), i < PHI_SHOWN_CURVES);
    }
    assert_true(phi_shown_curves(shown, 2, &seen));
    assert_string_equal(seen->title, "3");
    assert_string_equal(seen->names[1], "y");
    assert_near(seen->values[1][2], 6, 0);
    assert_string_equal(seen->bands[0].label, "heart");
    assert_int_equal(strlen(seen->x_unit), PHI_SHOWN_UNIT - 1);
    c.title = "3";
    c.n_points = PH_MAX_POINTS + 1;
    assert_false(phi_shown_put_curves(shown, &c));
    phi_shown_destroy(&shown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(maps), cmocka_unit_test(curves)};

    return cmocka_run_group_tests_name("rt/shown", tests, NULL, NULL);
}
