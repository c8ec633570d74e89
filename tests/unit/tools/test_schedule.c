/* SPDX-License-Identifier: MIT
 * Schedules: every stimulus is shown as often as asked, never twice in a row; without groups each
 * round holds every stimulus once; with groups all presentations of a stimulus lie within its
 * group's part, and the group's rounds hold each member once; runs cut one order; bad timings and
 * empty decks are refused. */
#include "test.h"
#include "tools/simulate/schedule.h"

enum { N = 23, REPEATS = 3, RUNS = 2 };

static const struct phi_sim_timing timing = {
    .tr_s = 2, .duration_s = 1, .interval_s = 3, .jitter_s = 0.5, .lead_s = 4, .tail_s = 10};

/* The order of all runs in shown[N * REPEATS]. */
static void order_of(size_t n_group, uint64_t seed, uint32_t *shown)
{
    size_t at = 0;

    for (size_t run = 0; run < RUNS; run++) {
        const struct phi_sim_deck deck = {N, REPEATS, n_group, RUNS, run, seed};
        struct phi_sim_schedule schedule;
        struct ph_error err;

        assert_ok(phi_sim_schedule_make(&deck, &timing, &schedule, &err), err);
        for (size_t i = 0; i < schedule.n_trials; i++)
            shown[at++] = schedule.trials[i].stimulus;
        phi_sim_schedule_fini(&schedule);
    }
    assert_int_equal(at, N * REPEATS);
}

/* Each of shown[n] is different. */
static void assert_distinct(const uint32_t *shown, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_true(shown[i] < N);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(shown[i], shown[j]);
    }
}

static void every_round_holds_each_stimulus(void **state)
{
    uint32_t shown[N * REPEATS];

    (void)state;
    for (uint64_t seed = 1; seed < 20; seed++) {
        order_of(0, seed, shown);
        for (size_t r = 0; r < REPEATS; r++)
            assert_distinct(shown + r * N, N);
        for (size_t i = 1; i < N * REPEATS; i++)
            assert_int_not_equal(shown[i], shown[i - 1]);
    }
}

static void groups_keep_their_presentations_together(void **state)
{
    uint32_t shown[N * REPEATS], all[N];

    (void)state;
    for (uint64_t seed = 1; seed < 20; seed++) {
        size_t n_group = 2 + seed % 7, n_members = 0;

        order_of(n_group, seed, shown);
        for (size_t first = 0; first < N; first += n_group) {
            size_t n = N - first < n_group ? N - first : n_group;

            for (size_t r = 0; r < REPEATS; r++) {
                const uint32_t *round = shown + first * REPEATS + r * n;

                assert_distinct(round, n);
                for (size_t i = 0; r > 0 && i < n; i++) { /* the same members as the first round */
                    size_t found = 0;

                    for (size_t j = 0; j < n; j++)
                        found += round[i] == all[first + j];
                    assert_int_equal(found, 1);
                }
                for (size_t i = 0; r == 0 && i < n; i++)
                    all[n_members++] = round[i];
            }
        }
        assert_distinct(all, N); /* a stimulus is in one group only */
    }
}

static void one_group_of_all_is_no_group(void **state)
{
    uint32_t plain[N * REPEATS], grouped[N * REPEATS];

    (void)state;
    order_of(0, 5, plain);
    order_of(N, 5, grouped);
    assert_memory_equal(plain, grouped, sizeof plain);
}

static void nonsense_is_refused(void **state)
{
    const struct phi_sim_deck deck = {N, REPEATS, 0, RUNS, 0, 1}, empty = {0, 1, 0, 1, 0, 1};
    struct phi_sim_timing overlapping = timing;
    struct phi_sim_schedule schedule;
    struct ph_error err;

    (void)state;
    overlapping.jitter_s = 2.5;
    assert_int_equal(phi_sim_schedule_make(&deck, &overlapping, &schedule, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "overlap"));
    assert_int_equal(phi_sim_schedule_make(&empty, &timing, &schedule, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "nothing to show"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_round_holds_each_stimulus),
        cmocka_unit_test(groups_keep_their_presentations_together),
        cmocka_unit_test(one_group_of_all_is_no_group),
        cmocka_unit_test(nonsense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
