/* SPDX-License-Identifier: MIT
 * Frames come back when their last reference is gone, ring the bell, and do not share memory. */
#include "rt/pool.h"
#include "test.h"

static void counts_references(void **state)
{
    struct phi_doorbell *bell = NULL;
    struct phi_pool *pool = NULL;
    struct ph_error err;
    struct ph_frame *a;
    struct ph_frame *b;

    (void)state;
    assert_ok(phi_doorbell_create(&bell, &err), err);
    assert_ok(phi_pool_create(2, 100, bell, &pool, &err), err);
    a = phi_pool_take(pool);
    b = phi_pool_take(pool);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(phi_pool_take(pool));
    assert_int_equal(a->capacity_bytes, 100);
    assert_int_equal((uintptr_t)a->data % 64, 0);
    assert_true((char *)b->data - (char *)a->data >= 100 ||
                (char *)a->data - (char *)b->data >= 100);
    phi_frame_ref(a, 2);
    assert_int_equal(phi_frame_refs(a), 3);
    phi_frame_unref(a);
    phi_frame_unref(a);
    assert_null(phi_pool_take(pool));
    phi_doorbell_arm(bell);
    phi_frame_unref(a);
    assert_true(phi_doorbell_wait(bell, 0));
    assert_int_equal(phi_pool_n_free(pool), 1);
    assert_ptr_equal(phi_pool_take(pool), a);
    phi_frame_unref(a);
    phi_frame_unref(b);
    assert_int_equal(phi_pool_n_free(pool), 2);
    phi_pool_destroy(&pool);
    assert_null(pool);
    phi_doorbell_destroy(&bell);
}

static void frames_without_payload(void **state)
{
    struct phi_pool *pool = NULL;
    struct ph_error err;
    struct ph_frame *frame;

    (void)state;
    assert_ok(phi_pool_create(1, 0, NULL, &pool, &err), err);
    frame = phi_pool_take(pool);
    assert_null(frame->data);
    phi_frame_unref(frame);
    phi_pool_destroy(&pool);
    assert_int_equal(phi_pool_create(SIZE_MAX / 64, 1 << 20, NULL, &pool, &err), PH_E_NOMEM);
    assert_null(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_references),
        cmocka_unit_test(frames_without_payload),
    };
    return cmocka_run_group_tests_name("rt/pool", tests, NULL, NULL);
}
