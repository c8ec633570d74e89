/* SPDX-License-Identifier: MIT
 * The threaded run: everything arrives everywhere, in order, the same bits for any queue depth and
 * worker count; missing volumes, failing stages, stop, abort, live parameters, the view. */
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "fakes.h"
#include "graph/live.h"
#include "guard.h"
#include "rt/clock.h"
#include "test.h"

static struct phi_registry *registry;

#define CHAIN                                                                                      \
    "filters: [{type: gain, factor: 2}, {type: pick, n: 4}]\n"                                     \
    "decoder: {type: sum}\n"                                                                       \
    "generators: [{type: flat}]\n"                                                                 \
    "sinks: [{type: tally}, {type: tally, name: second, slot: 1}]\n"

static struct phi_run *run_of(const char *text)
{
    struct phi_run *run = NULL;
    struct ph_error err = {0};

    assert_ok(phi_run_parse(text, strlen(text), "run.yaml", "/", registry, &run, &err), err);
    return run;
}

static struct phi_live *start(const struct phi_run *run)
{
    struct phi_live *live = NULL;
    struct ph_error err = {0};

    assert_ok(phi_live_create(run, NULL, &live, &err), err);
    assert_int_equal(phi_live_state(live), PHI_LIVE_CREATED);
    assert_null(phi_live_view(live));
    assert_ok(phi_live_start(live, &err), err);
    return live;
}

static enum ph_status run_text(const char *text, struct phi_live_summary *summary,
                               struct ph_error *err)
{
    struct phi_run *run = run_of(text);
    struct phi_live *live = start(run);
    enum ph_status status = phi_live_join(live, summary, err);

    assert_int_equal(phi_live_state(live), PHI_LIVE_STOPPED);
    phi_live_destroy(&live);
    assert_null(live);
    phi_run_destroy(&run);
    return status;
}

static void everything_arrives(void **state)
{
    struct phi_live_summary summary;
    struct ph_error err = {0};

    (void)state;
    assert_ok(
        run_text("source: {type: ramp, n_volumes: 50, event_every: 10}\n" CHAIN, &summary, &err),
        err);
    assert_int_equal(summary.n_volumes, 50);
    assert_int_equal(summary.n_events, 5);
    assert_int_equal(summary.n_failures, 0);
    assert_int_equal(summary.latency.n, 50);
    assert_false(summary.interrupted);
    for (int slot = 0; slot < 2; slot++) {
        const struct fake_tally *tally = &fake_tally[slot];

        assert_int_equal(tally->n_volumes, 0);
        assert_int_equal(tally->n_vectors, 50);
        assert_int_equal(tally->n_latents, 55);
        assert_int_equal(tally->n_images, 55);
        assert_int_equal(tally->n_events, 5);
        assert_int_equal(tally->n_stale_order, 0);
        assert_int_equal(tally->ended, 1);
    }
    assert_true(fake_tally[0].hash == fake_tally[1].hash);
}

static void same_bits_for_any_depth_and_workers(void **state)
{
    const int depths[] = {1, 2, 8};
    const int workers[] = {1, 2, 8};
    uint64_t hash = 0;

    (void)state;
    for (int d = 0; d < 3; d++)
        for (int w = 0; w < 3; w++) {
            struct phi_live_summary summary;
            struct ph_error err = {0};
            char text[1024];

            (void)snprintf(
                text, sizeof text,
                "source: {type: ramp, n_volumes: 40, event_every: 7, drop: [3, 9]}\n" CHAIN
                "engine: {queue_depth: %d, workers: %d}\n",
                depths[d], workers[w]);
            assert_ok(run_text(text, &summary, &err), err);
            if (d + w == 0)
                hash = fake_tally[0].hash;
            assert_true(fake_tally[0].hash == hash);
            assert_true(fake_tally[1].hash == hash);
        }
}

static void missing_volumes_are_marked(void **state)
{
    struct phi_live_summary summary;
    struct ph_error err = {0};

    (void)state;
    assert_ok(
        run_text("source: {type: ramp, n_volumes: 20, drop: [0, 7, 8]}\n" CHAIN, &summary, &err),
        err);
    assert_int_equal(summary.n_volumes, 17);
    assert_int_equal(summary.n_missing, 3);
    assert_int_equal(fake_tally[0].n_vectors, 20);
    assert_int_equal(fake_tally[0].n_gaps, 3);
    assert_int_equal(
        run_text("source: {type: ramp, drop: [3]}\nengine: {gap: stop}\n" CHAIN, &summary, &err),
        PH_E_PEER);
    assert_non_null(strstr(err.text, "engine.gap"));
    assert_int_equal(run_text("source: {type: ramp, drop: [3, 4]}\nengine: {max_gap: 1}\n" CHAIN,
                              &summary, &err),
                     PH_E_LIMIT);
    assert_int_equal(fake_tally[0].ended, 1);
}

static void failing_stages_are_survived_or_stop(void **state)
{
    struct phi_live_summary summary;
    struct ph_error err = {0};

    (void)state;
    assert_ok(run_text("source: {type: ramp}\n"
                       "filters: [{type: pick, fail_at: 2}]\n"
                       "decoder: {type: sum, fail_at: 5}\n"
                       "sinks: [{type: tally}]\n",
                       &summary, &err),
              err);
    assert_int_equal(summary.n_failures, 2);
    assert_int_equal(fake_tally[0].n_vectors, 10);
    assert_int_equal(fake_tally[0].n_invalid, 1);
    assert_int_equal(fake_tally[0].n_latents, 9);
    assert_int_equal(run_text("source: {type: ramp, n_volumes: 100000, pace_s: 0.001}\n"
                              "filters: [{type: pick, fail_at: 2, on_error: stop}]\n"
                              "sinks: [{type: tally}]\n",
                              &summary, &err),
                     PH_E_FORMAT);
    assert_non_null(strstr(err.text, "'pick'"));
    assert_int_equal(fake_tally[0].ended, 1);
    assert_int_equal(run_text("source: {type: ramp, n_volumes: 100000, pace_s: 0.001}\n"
                              "sinks: [{type: tally, fail_at: 3, on_error: stop}]\n",
                              &summary, &err),
                     PH_E_IO);
    assert_int_equal(run_text("source: {type: ramp, fail_at: 4}\n" CHAIN, &summary, &err), PH_E_IO);
    assert_int_equal(fake_tally[0].n_vectors, 4);
}

static void not_a_number_is_no_finding(void **state)
{
    struct phi_live_summary summary;
    struct ph_error err = {0};

    (void)state;
    assert_ok(run_text("source: {type: ramp, n_volumes: 3, n_voxels: 4}\n"
                       "filters: [{type: gain, factor: 1000000, offset: 0},"
                       " {type: gain, name: g2, factor: 1000000}, {type: gain, name: g3, factor: "
                       "1000000}, {type: gain, name: g4, factor: 1000000},"
                       " {type: gain, name: g5, factor: 1000000},"
                       " {type: gain, name: g6, factor: 1000000},"
                       " {type: gain, name: g7, factor: 1000000}]\n"
                       "decoder: {type: sum}\ngenerators: [{type: flat}]\nsinks: [{type: tally}]\n",
                       &summary, &err),
              err);
    assert_int_equal(summary.n_failures, 3);
    assert_int_equal(fake_tally[0].n_latents, 3);
    assert_int_equal(fake_tally[0].n_images, 0);
}

static void planning_errors_end_the_run(void **state)
{
    struct phi_live_summary summary;
    struct ph_error err = {0};

    (void)state;
    assert_int_equal(run_text("source: {type: ramp, n_voxels: 3}\n" CHAIN, &summary, &err),
                     PH_E_SHAPE);
    assert_int_equal(strncmp(err.text, "run.yaml:2:", 11), 0);
    assert_non_null(strstr(err.text, "stage 'pick'"));
}

static void stop_drains(void **state)
{
    struct phi_run *run =
        run_of("source: {type: ramp, n_volumes: 20, event_every: 3, endless: true}\n" CHAIN);
    struct phi_live_summary summary;
    struct ph_error err = {0};

    (void)state;
    for (int repeat = 0; repeat < 20; repeat++) {
        struct phi_live *live = start(run);

        if (repeat % 2)
            assert_true(phi_live_wait(live, PHI_LIVE_RUNNING, -1));
        phi_live_stop(live);
        phi_live_stop(live);
        assert_ok(phi_live_join(live, &summary, &err), err);
        assert_true(summary.interrupted);
        if (repeat % 2)
            assert_int_equal(fake_tally[0].n_vectors, summary.n_volumes);
        phi_live_destroy(&live);
    }
    phi_run_destroy(&run);
}

static void abort_and_destroy_do_not_hang(void **state)
{
    struct phi_run *run = run_of("source: {type: ramp, n_volumes: 100000}\n"
                                 "sinks: [{type: tally, slow_s: 0.01}]\n"
                                 "engine: {queue_depth: 2}\n");
    struct ph_error err = {0};
    struct phi_live *live = NULL;

    (void)state;
    for (int repeat = 0; repeat < 10; repeat++) {
        live = start(run);
        if (repeat % 2)
            assert_true(phi_live_wait(live, PHI_LIVE_RUNNING, -1));
        phi_live_destroy(&live);
        assert_null(live);
    }
    assert_ok(phi_live_create(run, NULL, &live, &err), err);
    phi_live_destroy(&live);
    phi_run_destroy(&run);
}

static void live_parameters_arrive(void **state)
{
    struct phi_run *run = run_of("source: {type: ramp, n_volumes: 0, endless: true}\n" CHAIN);
    struct phi_live *live = start(run);
    struct phi_live_summary summary;
    struct ph_error err = {0};

    (void)state;
    assert_true(phi_live_wait(live, PHI_LIVE_PLANNED, -1));
    assert_ok(phi_live_set_param(live, "gain.factor", "3", &err), err);
    assert_ok(phi_live_set_param(live, "gain.factor", "4", &err), err);
    assert_int_equal(phi_live_set_param(live, "pick.n", "3", &err), PH_E_STATE);
    assert_int_equal(phi_live_set_param(live, "gain.factor", "1e9", &err), PH_E_INVAL);
    assert_int_equal(phi_live_set_param(live, "gain.facto", "1", &err), PH_E_INVAL);
    assert_int_equal(phi_live_set_param(live, "nobody.x", "1", &err), PH_E_INVAL);
    assert_int_equal(phi_live_set_param(live, "x", "1", &err), PH_E_INVAL);
    phi_live_stop(live);
    assert_ok(phi_live_join(live, &summary, &err), err);
    phi_live_destroy(&live);
    phi_run_destroy(&run);
}

/* Changes the gain while volumes flow: every volume has one of the two values whole. */
static void live_parameters_change_whole_frames(void **state)
{
    struct phi_run *run = run_of("source: {type: ramp, n_volumes: 200, pace_s: 0.001}\n"
                                 "filters: [{type: gain}]\ndecoder: {type: sum}\n"
                                 "sinks: [{type: tally}]\n");
    struct phi_live *live = start(run);
    struct phi_live_summary summary;
    struct ph_error err = {0};

    (void)state;
    assert_true(phi_live_wait(live, PHI_LIVE_RUNNING, -1));
    for (int i = 0; i < 50; i++) {
        assert_ok(phi_live_set_param(live, "gain.factor", i % 2 ? "1" : "2", &err), err);
        (void)usleep(1000);
    }
    assert_ok(phi_live_join(live, &summary, &err), err);
    assert_int_equal(fake_tally[0].n_latents, 200);
    phi_live_destroy(&live);
    phi_run_destroy(&run);
}

static void the_view_shows_the_run(void **state)
{
    struct phi_run *run =
        run_of("title: seen\nsource: {type: ramp, n_volumes: 12, event_every: 4}\n"
               "filters: [{type: gain, factor: 2}]\ndecoder: {type: sum}\n"
               "generators: [{type: flat, size: 2}]\n");
    struct phi_live *live = start(run);
    struct phi_live_summary summary;
    struct ph_error err = {0};
    struct phi_view *view;
    const struct ph_frame *frame = NULL;
    struct phi_view_point point;
    struct phi_view_status status;
    size_t n_points = 0;
    size_t slot = 99;

    (void)state;
    assert_ok(phi_live_join(live, &summary, &err), err);
    view = phi_live_view(live);
    assert_non_null(view);
    assert_string_equal(phi_view_info(view)->title, "seen");
    assert_string_equal(phi_view_info(view)->generators[0].name, "flat");
    assert_int_equal(phi_view_info(view)->n_stages, 4);
    assert_true(phi_view_volume(view, &frame));
    assert_int_equal(frame->index, 11);
    assert_near(((const float *)frame->data)[0], 22, 0);
    while (phi_view_next_point(view, &point))
        assert_int_equal(point.index, n_points++);
    assert_int_equal(n_points, 12);
    assert_true(point.latency_ns > 0);
    assert_true(phi_view_newest_slot(view, &slot));
    assert_int_equal(slot, 11 % PHI_VIEW_SLOTS);
    assert_true(phi_view_picture(view, 0, slot, &frame));
    assert_int_equal(frame->index, 11);
    assert_string_equal(frame->u.image.generator, "flat");
    assert_string_equal(frame->u.image.latent.decoder, "sum");
    phi_view_status(view, &status);
    assert_int_equal(status.state, PHI_VIEW_STOPPED);
    assert_int_equal(status.stats.n_volumes, 12);
    assert_int_equal(status.n_events, 3);
    assert_int_equal(phi_trace_count(phi_live_trace(live), 1), 15);
    phi_live_destroy(&live);
    phi_run_destroy(&run);
}

static void the_moving_picture_moves_on_request(void **state)
{
    struct phi_run *run = run_of("source: {type: ramp, n_volumes: 2, endless: true}\n"
                                 "filters: [{type: gain, factor: 20}]\ndecoder: {type: sum}\n"
                                 "generators: [{type: flat}]\n");
    struct phi_live *live = start(run);
    struct phi_live_summary summary;
    struct ph_error err = {0};
    const struct ph_frame *frame = NULL;
    struct phi_view *view;
    int grey = -1;

    (void)state;
    assert_true(phi_live_wait(live, PHI_LIVE_RUNNING, -1));
    view = phi_live_view(live);
    phi_view_move(view, 0, PHI_NS_PER_MS);
    while (grey != 160) { /* 20 * 8 voxels * 1, less what float rounds */
        if (phi_view_moving(view, 0, &frame))
            grey = *(const uint8_t *)frame->data;
        (void)usleep(500);
    }
    phi_view_move(view, 0, 0);
    phi_view_request_stop(view);
    assert_ok(phi_live_join(live, &summary, &err), err);
    phi_live_destroy(&live);
    phi_run_destroy(&run);
}

static void only_final_pictures_on_request(void **state)
{
    struct phi_live_summary summary;
    struct ph_error err = {0};

    (void)state;
    assert_ok(run_text("source: {type: ramp, n_volumes: 10, event_every: 2}\n"
                       "engine: {render: final}\n" CHAIN,
                       &summary, &err),
              err);
    assert_int_equal(fake_tally[0].n_latents, 15);
    assert_int_equal(fake_tally[0].n_images, 10);
}

static void stage_threads_do_not_allocate(void **state)
{
    struct phi_run *run = run_of("source: {type: ramp, n_volumes: 100, event_every: 9}\n" CHAIN);
    struct phi_live_options options = {.guard = guard_switch};
    struct phi_live *live = NULL;
    struct phi_live_summary summary;
    struct ph_error err = {0};
    uint64_t before = guard_count();

    (void)state;
    assert_ok(phi_live_create(run, &options, &live, &err), err);
    assert_ok(phi_live_start(live, &err), err);
    assert_ok(phi_live_join(live, &summary, &err), err);
    assert_int_equal(summary.n_volumes, 100);
    assert_int_equal(guard_count() - before, 0);
    phi_live_destroy(&live);
    phi_run_destroy(&run);
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
        cmocka_unit_test(everything_arrives),
        cmocka_unit_test(same_bits_for_any_depth_and_workers),
        cmocka_unit_test(missing_volumes_are_marked),
        cmocka_unit_test(failing_stages_are_survived_or_stop),
        cmocka_unit_test(not_a_number_is_no_finding),
        cmocka_unit_test(planning_errors_end_the_run),
        cmocka_unit_test(stop_drains),
        cmocka_unit_test(abort_and_destroy_do_not_hang),
        cmocka_unit_test(live_parameters_arrive),
        cmocka_unit_test(live_parameters_change_whole_frames),
        cmocka_unit_test(the_view_shows_the_run),
        cmocka_unit_test(the_moving_picture_moves_on_request),
        cmocka_unit_test(only_final_pictures_on_request),
        cmocka_unit_test(stage_threads_do_not_allocate),
    };
    return cmocka_run_group_tests_name("graph/live", tests, open_registry, close_registry);
}
