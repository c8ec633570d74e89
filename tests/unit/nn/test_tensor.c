/* SPDX-License-Identifier: MIT
 * Tensors have checked shapes, views share memory, copies honour strides. */
#include "base/mem.h"
#include "nn/tensor.h"
#include "test.h"

static void shapes(void **state)
{
    struct phi_shape a = PHI_SHAPE(2, 3, 4), b = PHI_SHAPE(2, 3, 5), none = {0};
    struct phi_shape huge = PHI_SHAPE((size_t)1 << 40, (size_t)1 << 40);
    char text[PHI_SHAPE_TEXT];

    (void)state;
    assert_int_equal(phi_shape_count(&a), 24);
    assert_int_equal(phi_shape_count(&none), 0);
    assert_int_equal(phi_shape_count(&huge), 0);
    assert_true(phi_shape_equal(&a, &a));
    assert_false(phi_shape_equal(&a, &b));
    assert_string_equal(phi_shape_text(&a, text), "[2, 3, 4]");
    assert_int_equal(phi_shape_of(9, (const size_t[9]){1}).n_dims, 0);
}

static void refuses_bad_shapes(void **state)
{
    struct phi_tensor tensor;

    (void)state;
    assert_int_equal(phi_tensor_init(&tensor, PHI_SHAPE(3, 0)), PH_E_SHAPE);
    assert_int_equal(phi_tensor_init(&tensor, PHI_SHAPE((size_t)1 << 62, 16)), PH_E_SHAPE);
}

static void views_share_memory(void **state)
{
    struct phi_tensor whole, part, copy;

    (void)state;
    assert_int_equal(phi_tensor_init(&whole, PHI_SHAPE(2, 3, 4)), PH_OK);
    assert_int_equal((uintptr_t)whole.data % PHI_ALIGN, 0);
    for (int i = 0; i < 24; i++)
        whole.data[i] = (float)i;
    assert_int_equal(phi_tensor_slice(&whole, 1, 1, 2, &part), PH_OK);
    assert_false(phi_tensor_is_packed(&part));
    assert_true(phi_tensor_is_packed(&whole));
    assert_int_equal(phi_tensor_init(&copy, PHI_SHAPE(2, 2, 4)), PH_OK);
    assert_int_equal(phi_tensor_copy(&copy, &part), PH_OK);
    assert_near(copy.data[0], 4, 0);
    assert_near(copy.data[8], 16, 0);
    assert_near(copy.data[15], 23, 0);
    copy.data[3] = 100;
    assert_int_equal(phi_tensor_copy(&part, &copy), PH_OK);
    assert_near(whole.data[7], 100, 0);
    assert_int_equal(phi_tensor_copy(&whole, &copy), PH_E_SHAPE);
    assert_int_equal(phi_tensor_slice(&whole, 1, 2, 2, &part), PH_E_SHAPE);
    assert_int_equal(phi_tensor_slice(&whole, 3, 0, 1, &part), PH_E_SHAPE);
    phi_tensor_fini(&whole);
    phi_tensor_fini(&copy);
    assert_null(whole.data);
}

static void from_an_arena(void **state)
{
    struct phi_arena *arena = NULL;
    struct phi_tensor a, b;

    (void)state;
    assert_int_equal(phi_arena_create(1024, &arena), PH_OK);
    assert_int_equal(phi_tensor_init_arena(&a, PHI_SHAPE(10, 10), arena), PH_OK);
    assert_false(a.owned);
    assert_int_equal(phi_tensor_init_arena(&b, PHI_SHAPE(20, 10), arena), PH_E_NOMEM);
    phi_tensor_fini(&a);
    phi_arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),
        cmocka_unit_test(refuses_bad_shapes),
        cmocka_unit_test(views_share_memory),
        cmocka_unit_test(from_an_arena),
    };
    return cmocka_run_group_tests_name("nn/tensor", tests, NULL, NULL);
}
