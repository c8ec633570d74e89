/* SPDX-License-Identifier: MIT
 * Every round runs once for any team size; a second caller gets its loop done too. */
#include <stdatomic.h>

#include "rt/team.h"
#include "rt/thread.h"
#include "test.h"

#define N 1000

struct job {
    struct phi_team *team;
    int counts[N];
};

static void count(void *arg, size_t i)
{
    struct job *job = arg;

    job->counts[i]++;
}

static void every_round_once(void **state)
{
    const size_t sizes[] = {1, 2, 8};
    struct ph_error err;

    (void)state;
    for (size_t k = 0; k < 3; k++) {
        struct job job = {0};

        assert_ok(phi_team_create(sizes[k], &job.team, &err), err);
        assert_int_equal(phi_team_size(job.team), sizes[k]);
        for (int repeat = 0; repeat < 50; repeat++)
            phi_team_for(job.team, N, count, &job);
        phi_team_for(job.team, 0, count, &job);
        for (size_t i = 0; i < N; i++)
            assert_int_equal(job.counts[i], 50);
        phi_team_destroy(&job.team);
        assert_null(job.team);
    }
}

static void loop_many(void *arg)
{
    struct job *job = arg;

    for (int repeat = 0; repeat < 50; repeat++)
        phi_team_for(job->team, N, count, job);
}

static void two_callers(void **state)
{
    static struct job jobs[2];
    struct phi_thread *threads[2] = {NULL, NULL};
    struct phi_team *team = NULL;
    struct ph_error err;

    (void)state;
    assert_ok(phi_team_create(3, &team, &err), err);
    for (size_t k = 0; k < 2; k++) {
        jobs[k].team = team;
        assert_ok(phi_thread_create("caller", -1, loop_many, &jobs[k], &threads[k], &err), err);
    }
    for (size_t k = 0; k < 2; k++) {
        phi_thread_join(&threads[k]);
        for (size_t i = 0; i < N; i++)
            assert_int_equal(jobs[k].counts[i], 50);
    }
    phi_team_destroy(&team);
    assert_true(phi_thread_cores() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_round_once),
        cmocka_unit_test(two_callers),
    };
    return cmocka_run_group_tests_name("rt/team", tests, NULL, NULL);
}
