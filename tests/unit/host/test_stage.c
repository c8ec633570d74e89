/* SPDX-License-Identifier: MIT
 * The chain's canonical text, blame of the stage that fails, and set-up under a failing allocator:
 * every allocation of plan and init in turn fails, with an error and without a crash. */
#include "fakes.h"
#include "guard.h"
#include "host/stage.h"
#include "rig.h"
#include "test.h"

static struct phi_registry *registry;

static enum ph_status open_and_close(const struct ph_stage_type *type, const struct ph_spec *in,
                                     struct ph_error *err)
{
    struct phi_params *params = NULL;
    struct phi_stage *stage = NULL;
    enum ph_status status = phi_params_create(type, &params, err);

    if (status == PH_OK)
        status = phi_stage_create(type, "name", &params, NULL, &stage, err);
    if (status == PH_OK)
        status = phi_stage_plan(stage, in, err);
    if (status == PH_OK)
        status = phi_stage_init(stage, err);
    phi_stage_destroy(&stage);
    assert_null(params);
    return status;
}

static void chains_have_one_text(void **state)
{
    struct ph_spec in = rig_volumes(8, 1, 1, 2);
    struct rig *gain = rig_open("filter/gain", "factor=0.1", &in);
    struct rig *again = rig_open("filter/gain", "offset=3", rig_out(gain));

    (void)state;
    assert_string_equal(rig_out(again)->chain, "gain(factor=0.1 offset=0) gain(factor=1 offset=3)");
    rig_close(&again);
    rig_close(&gain);
}

static void failures_name_the_stage(void **state)
{
    struct ph_spec in = rig_volumes(2, 1, 1, 2);
    struct ph_error err = {0};
    const struct phi_registered *pick = phi_registry_find(registry, "filter/pick");

    (void)state;
    assert_int_equal(open_and_close(pick->type, &in, &err), PH_E_SHAPE);
    assert_string_equal(err.text, "stage 'name': planning failed: shape");
}

static void survives_every_failing_allocation(void **state)
{
    struct ph_spec in = rig_volumes(8, 8, 8, 2);
    const struct ph_stage_type *type = rig_type("filter/gain");
    struct ph_error err = {0};
    uint64_t n = 0;

    (void)state;
    for (;;) {
        enum ph_status status;

        guard_fail_nth(++n);
        status = open_and_close(type, &in, &err);
        if (!guard_has_failed())
            break;
        guard_fail_nth(0);
        assert_int_equal(status, PH_E_NOMEM);
        assert_true(err.text[0] != '\0');
    }
    guard_fail_nth(0);
    assert_true(n > 6 || !guard_works());
}

static int open_registry(void **state)
{
    (void)state;
    registry = fake_registry();
    return 0;
}

static int close_registry(void **state)
{
    (void)state;
    phi_registry_destroy(&registry);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_have_one_text),
        cmocka_unit_test(failures_name_the_stage),
        cmocka_unit_test(survives_every_failing_allocation),
    };
    return cmocka_run_group_tests_name("host/stage", tests, open_registry, close_registry);
}
