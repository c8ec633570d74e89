/* SPDX-License-Identifier: MIT
 * Every task is done exactly once for any number of threads, and a failing task is reported. */
#include "base/error.h"
#include "decode/fork.h"
#include "test.h"

static enum ph_status count(void *ctx, size_t task, size_t worker, struct ph_error *reterr)
{
    unsigned char *done = ctx;

    (void)reterr;
    if (worker < PHI_FORK_MAX_THREADS)
        done[task]++;
    return PH_OK;
}

static enum ph_status fail_at_seven(void *ctx, size_t task, size_t worker, struct ph_error *reterr)
{
    (void)ctx;
    (void)worker;
    return task == 7 ? phi_error(reterr, PH_E_SHAPE, "task %zu", task) : PH_OK;
}

static void each_task_once(void **state)
{
    (void)state;
    for (size_t n_threads = 1; n_threads <= 9; n_threads += 4) {
        unsigned char done[300] = {0};
        struct ph_error err = {0};

        assert_ok(phi_fork(n_threads, 300, count, done, &err), err);
        for (size_t i = 0; i < 300; i++)
            assert_int_equal(done[i], 1);
    }
    assert_int_equal(phi_fork(3, 0, count, NULL, NULL), PH_OK);
    assert_true(phi_fork_threads(0) >= 1);
    assert_int_equal(phi_fork_threads(1000), PHI_FORK_MAX_THREADS);
}

static void failure_is_reported(void **state)
{
    struct ph_error err = {0};

    (void)state;
    assert_int_equal(phi_fork(3, 20, fail_at_seven, NULL, &err), PH_E_SHAPE);
    assert_string_equal(err.text, "task 7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_task_once),
        cmocka_unit_test(failure_is_reported),
    };
    return cmocka_run_group_tests_name("decode/fork", tests, NULL, NULL);
}
