/* SPDX-License-Identifier: MIT
 * Payload sizes are checked; frames take the spec's shape and inherit what they should. */
#include "host/spec.h"
#include "rig.h"
#include "test.h"

static void sizes(void **state)
{
    struct ph_spec spec = rig_volumes(10, 20, 30, 2);
    struct ph_error err;
    size_t n_bytes = 7;

    (void)state;
    assert_ok(phi_spec_bytes(&spec, &n_bytes, &err), err);
    assert_int_equal(n_bytes, 24000);
    spec.dims[0] = spec.dims[1] = spec.dims[2] = UINT32_MAX;
    assert_int_equal(phi_spec_bytes(&spec, &n_bytes, &err), PH_E_LIMIT);
    spec.dims[0] = 0;
    assert_int_equal(phi_spec_bytes(&spec, &n_bytes, &err), PH_E_SHAPE);
    spec.rank = 5;
    assert_int_equal(phi_spec_bytes(&spec, &n_bytes, &err), PH_E_SHAPE);
    spec.dtype = 9;
    assert_int_equal(phi_spec_bytes(&spec, &n_bytes, &err), PH_E_SHAPE);
    assert_int_equal(n_bytes, 24000);
}

static void shapes_and_inheritance(void **state)
{
    struct ph_spec spec = rig_vectors(4, 2);
    float values[4];
    struct ph_frame in = {.kind = PH_FRAME_VOLUME,
                          .flags = PH_FLAG_CENSORED,
                          .index = 9,
                          .layout = 5,
                          .acquired_s = 18,
                          .received_ns = 77};
    struct ph_frame out = {.data = values, .capacity_bytes = sizeof values, .flags = 99};

    (void)state;
    in.quality.fd_mm = 0.25f;
    phi_frame_shape(&out, &spec);
    assert_int_equal(out.flags, 0);
    assert_int_equal(ph_frame_count(&out), 4);
    assert_ptr_equal(out.data, values);
    assert_true(isnan(out.quality.fd_mm) && isnan(out.quality.n_spikes));
    phi_frame_inherit(&out, &in);
    assert_int_equal(out.flags, PH_FLAG_CENSORED);
    assert_int_equal(out.index, 9);
    assert_int_equal(out.received_ns, 77);
    assert_near(out.quality.fd_mm, 0.25, 0);
    assert_true(out.layout == spec.layout);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(shapes_and_inheritance),
    };
    return cmocka_run_group_tests_name("host/spec", tests, NULL, NULL);
}
