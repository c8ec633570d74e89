/* SPDX-License-Identifier: MIT
 * Rings, mailbox, pool, record queues and doorbell under load from several threads: nothing lost,
 * nothing doubled, nothing torn, no wake-up missed. Run under the thread sanitizer it also shows
 * that there is no data race. */
#include <sched.h>
#include <stdatomic.h>

#include "rt/doorbell.h"
#include "rt/mailbox.h"
#include "rt/pool.h"
#include "rt/records.h"
#include "rt/ring.h"
#include "rt/thread.h"
#include "test.h"

#define N 20000u

/* A small ring between two threads that sleep on doorbells: deadlocks here if a ring is lost. */
struct pipe {
    struct phi_ring *ring;
    struct phi_doorbell *filled;
    struct phi_doorbell *emptied;
    struct phi_pool *pool;
    uint64_t sum;
    uint64_t out_of_order;
};

static struct ph_frame *take_waiting(struct pipe *pipe)
{
    struct ph_frame *frame;

    while (!(frame = phi_pool_take(pipe->pool))) {
        phi_doorbell_arm(pipe->emptied);
        frame = phi_pool_take(pipe->pool);
        if (frame)
            break;
        (void)phi_doorbell_wait(pipe->emptied, -1);
    }
    return frame;
}

static void produce(void *arg)
{
    struct pipe *pipe = arg;

    for (uint64_t i = 0; i < N; i++) {
        struct ph_frame *frame = take_waiting(pipe);
        uint64_t *value = frame->data;

        frame->index = i;
        *value = i * 3;
        while (!phi_ring_push(pipe->ring, frame)) {
            phi_doorbell_arm(pipe->emptied);
            if (phi_ring_count(pipe->ring) >= phi_ring_depth(pipe->ring))
                (void)phi_doorbell_wait(pipe->emptied, -1);
        }
        phi_doorbell_ring(pipe->filled);
    }
}

static struct ph_frame *pop_waiting(struct pipe *pipe)
{
    struct ph_frame *frame;

    while (!(frame = phi_ring_pop(pipe->ring))) {
        phi_doorbell_arm(pipe->filled);
        if (phi_ring_count(pipe->ring) == 0)
            (void)phi_doorbell_wait(pipe->filled, -1);
    }
    phi_doorbell_ring(pipe->emptied);
    return frame;
}

static void frames_flow(void **state)
{
    struct pipe pipe = {0};
    struct phi_thread *thread = NULL;
    struct ph_error err;

    (void)state;
    assert_ok(phi_ring_create(2, &pipe.ring, &err), err);
    assert_ok(phi_doorbell_create(&pipe.filled, &err), err);
    assert_ok(phi_doorbell_create(&pipe.emptied, &err), err);
    assert_ok(phi_pool_create(3, sizeof(uint64_t), pipe.emptied, &pipe.pool, &err), err);
    assert_ok(phi_thread_create("producer", -1, produce, &pipe, &thread, &err), err);
    for (uint64_t i = 0; i < N; i++) {
        struct ph_frame *frame = pop_waiting(&pipe);

        pipe.out_of_order += frame->index != i;
        pipe.sum += *(const uint64_t *)frame->data;
        phi_frame_unref(frame);
    }
    phi_thread_join(&thread);
    assert_int_equal(pipe.out_of_order, 0);
    assert_int_equal(pipe.sum, 3 * ((uint64_t)N * (N - 1) / 2));
    assert_int_equal(phi_pool_n_free(pipe.pool), 3);
    phi_pool_destroy(&pipe.pool);
    phi_ring_destroy(&pipe.ring);
    phi_doorbell_destroy(&pipe.filled);
    phi_doorbell_destroy(&pipe.emptied);
}

#define BLOCK 64

static void write_blocks(void *arg)
{
    struct phi_mailbox *mailbox = arg;

    for (uint64_t i = 1; i <= N; i++) {
        uint64_t *block = phi_mailbox_back(mailbox);

        for (int k = 0; k < BLOCK; k++)
            block[k] = i;
        phi_mailbox_publish(mailbox);
    }
}

static void blocks_are_never_torn(void **state)
{
    struct phi_mailbox *mailbox = NULL;
    struct phi_thread *thread = NULL;
    struct ph_error err;
    uint64_t last = 0;
    uint64_t torn = 0;

    (void)state;
    assert_ok(phi_mailbox_create(BLOCK * sizeof(uint64_t), &mailbox, &err), err);
    assert_ok(phi_thread_create("writer", -1, write_blocks, mailbox, &thread, &err), err);
    while (last < N) {
        const void *block = NULL;
        const uint64_t *values;

        if (!phi_mailbox_newest(mailbox, &block))
            continue;
        values = block;
        for (int k = 1; k < BLOCK; k++)
            torn += values[k] != values[0];
        assert_true(values[0] > last);
        last = values[0];
    }
    phi_thread_join(&thread);
    assert_int_equal(torn, 0);
    phi_mailbox_destroy(&mailbox);
}

#define WRITERS 3

struct writer {
    struct phi_mrecords *records;
    uint64_t id;
    _Atomic int *n_done;
};

static void write_records(void *arg)
{
    struct writer *writer = arg;

    for (uint64_t i = 0; i < N; i++) {
        uint64_t record[2] = {writer->id, i};

        while (!phi_mrecords_push(writer->records, record))
            (void)sched_yield();
    }
    atomic_fetch_add(writer->n_done, 1);
}

static void many_writers_one_reader(void **state)
{
    struct phi_mrecords *records = NULL;
    struct phi_thread *threads[WRITERS] = {NULL};
    struct writer writers[WRITERS];
    uint64_t next[WRITERS] = {0};
    _Atomic int n_done = 0;
    uint64_t record[2];
    struct ph_error err;

    (void)state;
    assert_ok(phi_mrecords_create(16, sizeof record, &records, &err), err);
    for (size_t k = 0; k < WRITERS; k++) {
        writers[k] = (struct writer){records, k, &n_done};
        assert_ok(phi_thread_create("writer", -1, write_records, &writers[k], &threads[k], &err),
                  err);
    }
    while (next[0] + next[1] + next[2] < WRITERS * (uint64_t)N) {
        if (!phi_mrecords_pop(records, record)) {
            (void)sched_yield();
            continue;
        }
        assert_true(record[0] < WRITERS);
        assert_int_equal(record[1], next[record[0]]);
        next[record[0]]++;
    }
    for (size_t k = 0; k < WRITERS; k++)
        phi_thread_join(&threads[k]);
    assert_false(phi_mrecords_pop(records, record));
    assert_int_equal(atomic_load(&n_done), WRITERS);
    phi_mrecords_destroy(&records);
}

/* References given back by two threads at once. */
struct giver {
    struct phi_ring *ring;
    struct phi_doorbell *bell;
    uint64_t n;
};

static void give_back(void *arg)
{
    struct giver *giver = arg;

    while (giver->n < N) {
        struct ph_frame *frame = phi_ring_pop(giver->ring);

        if (!frame) {
            phi_doorbell_arm(giver->bell);
            if (phi_ring_count(giver->ring) == 0)
                (void)phi_doorbell_wait(giver->bell, -1);
            continue;
        }
        phi_frame_unref(frame);
        giver->n++;
    }
}

static void references_from_two_threads(void **state)
{
    struct giver givers[2] = {{0}};
    struct phi_thread *threads[2] = {NULL, NULL};
    struct pipe pipe = {0};
    struct ph_error err;

    (void)state;
    assert_ok(phi_doorbell_create(&pipe.emptied, &err), err);
    assert_ok(phi_pool_create(4, 8, pipe.emptied, &pipe.pool, &err), err);
    for (size_t k = 0; k < 2; k++) {
        assert_ok(phi_ring_create(8, &givers[k].ring, &err), err);
        assert_ok(phi_doorbell_create(&givers[k].bell, &err), err);
        assert_ok(phi_thread_create("giver", -1, give_back, &givers[k], &threads[k], &err), err);
    }
    for (uint64_t i = 0; i < N; i++) {
        struct ph_frame *frame = take_waiting(&pipe);

        phi_frame_ref(frame, 1);
        for (size_t k = 0; k < 2; k++) {
            assert_true(phi_ring_push(givers[k].ring, frame)); /* deeper than the pool */
            phi_doorbell_ring(givers[k].bell);
        }
    }
    for (size_t k = 0; k < 2; k++) {
        phi_thread_join(&threads[k]);
        phi_ring_destroy(&givers[k].ring);
        phi_doorbell_destroy(&givers[k].bell);
    }
    assert_int_equal(phi_pool_n_free(pipe.pool), 4);
    phi_pool_destroy(&pipe.pool);
    phi_doorbell_destroy(&pipe.emptied);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_flow),
        cmocka_unit_test(blocks_are_never_torn),
        cmocka_unit_test(many_writers_one_reader),
        cmocka_unit_test(references_from_two_threads),
    };
    return cmocka_run_group_tests_name("stress/rt", tests, NULL, NULL);
}
