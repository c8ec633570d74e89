/* SPDX-License-Identifier: MIT
 * Every parameter type: default, set, refusal, printed form that reads back; copies are
 * independent; required ones are missed; the nearest name is suggested. */
#include "host/param.h"
#include "test.h"

struct all {
    bool yes;
    int64_t whole;
    double number;
    int32_t choice;
    const char *text;
    const char *path;
    struct ph_floats list;
};

static const char *const choices[] = {"alpha", "beta", NULL};

static const struct ph_param table[] = {
    PH_BOOL(struct all, yes, 1, 0, "A switch."),
    PH_INT(struct all, whole, 3, -5, 10, "volumes", 0, "A count."),
    PH_FLOAT(struct all, number, 0.1, 0, 1, "mm", 0, "A length."),
    PH_ENUM(struct all, choice, 1, choices, 0, "A choice."),
    PH_STRING(struct all, text, "hello", 0, "A text."),
    PH_PATH(struct all, path, "", PH_PARAM_REQUIRED, "A file."),
    PH_FLOATS(struct all, list, "1,2.5", -10, 10, "s", 0, "A list."),
};

static const struct ph_stage_type type = {
    .id = "filter/all",
    .n_params = sizeof table / sizeof *table,
    .params = table,
    .params_size = sizeof(struct all),
};

static struct phi_params *create(void)
{
    struct phi_params *params = NULL;
    struct ph_error err;

    assert_ok(phi_params_create(&type, &params, &err), err);
    return params;
}

static void set(struct phi_params *params, const char *key, const char *text)
{
    struct ph_error err;

    assert_ok(phi_params_set(params, key, text, "/base", &err), err);
}

static void defaults_and_values(void **state)
{
    struct phi_params *params = create();
    const struct all *all = phi_params_values(params);

    (void)state;
    assert_true(all->yes);
    assert_int_equal(all->whole, 3);
    assert_near(all->number, 0.1, 0);
    assert_int_equal(all->choice, 1);
    assert_string_equal(all->text, "hello");
    assert_string_equal(all->path, "");
    assert_int_equal(all->list.n, 2);
    assert_near(all->list.value[1], 2.5, 0);
    set(params, "yes", "false");
    set(params, "whole", "-5");
    set(params, "number", "1");
    set(params, "choice", "alpha");
    set(params, "text", "");
    set(params, "path", "x/y");
    set(params, "list", " 3 , -4 ");
    assert_false(all->yes);
    assert_int_equal(all->whole, -5);
    assert_int_equal(all->choice, 0);
    assert_string_equal(all->text, "");
    assert_string_equal(all->path, "/base/x/y");
    assert_int_equal(all->list.n, 2);
    assert_near(all->list.value[1], -4, 0);
    set(params, "path", "/abs");
    assert_string_equal(all->path, "/abs");
    set(params, "list", "");
    assert_int_equal(all->list.n, 0);
    phi_params_destroy(&params);
    assert_null(params);
}

static void refusals_change_nothing(void **state)
{
    static const char *const bad[][2] = {
        {"yes", "1"},
        {"yes", "True"},
        {"whole", "11"},
        {"whole", "1.0"},
        {"number", "nan"},
        {"number", "1e9"},
        {"number", "-1"},
        {"number", ""},
        {"choice", "gamma"},
        {"list", "1,,2"},
        {"list", "1,a"},
        {"list", "1,99"},
        {"nobody", "1"},
        {"list", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"}};
    struct phi_params *params = create();
    struct all before;
    struct ph_error err;

    (void)state;
    memcpy(&before, phi_params_values(params), sizeof before);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err.text[0] = '\0';
        if (phi_params_set(params, bad[i][0], bad[i][1], NULL, &err) >= 0 || !err.text[0])
            fail_msg("%s = '%s' was taken", bad[i][0], bad[i][1]);
        assert_memory_equal(&before, phi_params_values(params), sizeof before);
    }
    phi_params_destroy(&params);
}

static void printed_values_read_back(void **state)
{
    struct phi_params *params = create();
    struct phi_params *other = create();

    (void)state;
    set(params, "number", "0.30000000000000004");
    set(params, "list", "0.1,1e-9");
    set(params, "path", "/p");
    for (size_t i = 0; i < type.n_params; i++) {
        char text[256];
        struct phi_str out = phi_str_over(text, sizeof text);

        phi_params_format(params, i, &out);
        set(other, table[i].name, text);
    }
    assert_near(((const struct all *)phi_params_values(other))->number, 0.30000000000000004, 0);
    assert_memory_equal(&((const struct all *)phi_params_values(other))->list,
                        &((const struct all *)phi_params_values(params))->list,
                        sizeof(struct ph_floats));
    phi_params_destroy(&params);
    phi_params_destroy(&other);
}

static void copies_are_independent(void **state)
{
    struct phi_params *params = create();
    struct phi_params *copy = NULL;
    struct ph_error err;

    (void)state;
    assert_int_equal(phi_params_check(params, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "'path'"));
    set(params, "path", "a");
    assert_ok(phi_params_check(params, &err), err);
    assert_ok(phi_params_copy(params, &copy, &err), err);
    set(params, "path", "b");
    assert_string_equal(((const struct all *)phi_params_values(copy))->path, "/base/a");
    assert_true(phi_params_given(copy, 5));
    assert_false(phi_params_given(copy, 0));
    phi_params_destroy(&params);
    assert_string_equal(((const struct all *)phi_params_values(copy))->text, "hello");
    phi_params_destroy(&copy);
}

static void suggests_the_nearest(void **state)
{
    const char *const names[] = {"smooth", "mask", "realign"};

    (void)state;
    assert_string_equal(phi_suggest("smoth", names, 3), "smooth");
    assert_string_equal(phi_suggest("mask", names, 3), "mask");
    assert_null(phi_suggest("qqqqqq", names, 3));
    assert_null(phi_suggest("x", names, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_and_values),      cmocka_unit_test(refusals_change_nothing),
        cmocka_unit_test(printed_values_read_back), cmocka_unit_test(copies_are_independent),
        cmocka_unit_test(suggests_the_nearest),
    };
    return cmocka_run_group_tests_name("host/param", tests, NULL, NULL);
}
