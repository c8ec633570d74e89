/* SPDX-License-Identifier: MIT
 * Types are found and suggested; faulty descriptions are refused with the field's name. */
#include "fakes.h"
#include "rig.h"
#include "test.h"

static void finds_and_suggests(void **state)
{
    struct phi_registry *registry = fake_registry();
    const struct ph_stage_type *type = NULL;
    struct ph_error err = {0};

    (void)state;
    assert_non_null(phi_registry_find(registry, "filter/gain"));
    assert_null(phi_registry_find(registry, "filter/none"));
    assert_ok(phi_registry_lookup(registry, PH_STAGE_SOURCE, "ramp", &type, &err), err);
    assert_string_equal(type->id, "source/ramp");
    assert_int_equal(phi_registry_lookup(registry, PH_STAGE_SINK, "taly", &type, &err), PH_E_INVAL);
    assert_string_equal(err.text, "there is no sink 'taly'; did you mean 'tally'?");
    for (size_t i = 1; i < phi_registry_count(registry); i++)
        assert_true(strcmp(phi_registry_at(registry, i - 1)->type->id,
                           phi_registry_at(registry, i)->type->id) < 0);
    phi_registry_destroy(&registry);
    assert_null(registry);
}

static void expect_fault(const struct ph_stage_type *type, const char *part)
{
    struct ph_error err = {0};

    assert_int_equal(phi_type_check(type, &err), PH_E_ABI);
    if (!strstr(err.text, part))
        fail_msg("'%s' lacks '%s'", err.text, part);
}

static void refuses_faulty_descriptions(void **state)
{
    const struct ph_stage_type *gain = rig_type("filter/gain");
    struct ph_stage_type type = *gain;
    struct ph_stage_ops ops = *gain->ops;
    struct ph_param param = gain->params[0];

    (void)state;
    type.id = "filter/";
    expect_fault(&type, "no stage id");
    type.id = "source/gain";
    expect_fault(&type, "no stage id");
    type = *gain;
    type.summary = "";
    expect_fault(&type, "no summary");
    type = *gain;
    ops.process = NULL;
    type.ops = &ops;
    expect_fault(&type, "'process'");
    type = *gain;
    type.params = &param;
    type.n_params = 1;
    param.offset = (uint32_t)type.params_size - 4;
    expect_fault(&type, "outside the parameter struct");
    param = gain->params[0];
    param.number_default = 1e9;
    expect_fault(&type, "default outside its limits");
    param = gain->params[0];
    param.name = "Factor";
    expect_fault(&type, "no proper name");
    param = gain->params[0];
    param.doc = NULL;
    expect_fault(&type, "no description");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_and_suggests),
        cmocka_unit_test(refuses_faulty_descriptions),
    };
    return cmocka_run_group_tests_name("host/registry", tests, NULL, NULL);
}
