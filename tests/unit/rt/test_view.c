/* SPDX-License-Identifier: MIT
 * What the engine puts in comes out: per trial slot, newest wins, a revision never pushes out
 * another trial; queues, status, ages and staleness. */
#include "rt/clock.h"
#include "rt/view.h"
#include "test.h"

static struct phi_view *open_view(const struct phi_view_control *control)
{
    struct phi_view_info info = {
        .geometry = {.dims = {2, 1, 1}, .tr_s = 2},
        .n_components = 2,
        .n_generators = 1,
        .generators = {{"flat", 1, 1}},
        .n_stages = 2,
        .stages = {{"ramp", PH_STAGE_SOURCE}, {"gain", PH_STAGE_FILTER}},
        .stale_after_s = 4,
    };
    struct phi_view *view = NULL;
    struct ph_error err;

    assert_ok(phi_view_create(&info, control, &view, &err), err);
    return view;
}

static void put_picture(struct phi_view *view, uint32_t trial, uint32_t revision, uint8_t grey)
{
    uint8_t pixels[3] = {grey, grey, grey};
    struct ph_frame frame = {
        .kind = PH_FRAME_IMAGE, .dtype = PH_DTYPE_U8, .rank = 3, .dims = {1, 1, 3}, .data = pixels};

    frame.u.image.latent.trial = trial;
    frame.u.image.latent.revision = revision;
    phi_view_put_picture(view, 0, &frame);
}

static void pictures_stay_in_their_slots(void **state)
{
    struct phi_view *view = open_view(NULL);
    const struct ph_frame *frame;

    (void)state;
    assert_false(phi_view_picture(view, 0, 3, &frame));
    assert_null(frame);
    put_picture(view, 3, 0, 30);
    put_picture(view, 4, 0, 40);
    put_picture(view, 3, 1, 31);
    assert_true(phi_view_picture(view, 0, 4, &frame));
    assert_int_equal(*(const uint8_t *)frame->data, 40);
    assert_true(phi_view_picture(view, 0, 3, &frame));
    assert_int_equal(*(const uint8_t *)frame->data, 31);
    assert_int_equal(frame->u.image.latent.revision, 1);
    assert_false(phi_view_picture(view, 0, 3, &frame));
    assert_int_equal(*(const uint8_t *)frame->data, 31);
    put_picture(view, 11, 0, 110);
    assert_true(phi_view_picture(view, 0, 3, &frame));
    assert_int_equal(frame->u.image.latent.trial, 11);
    phi_view_destroy(&view);
    assert_null(view);
}

static void latents_and_newest_slot(void **state)
{
    struct phi_view *view = open_view(NULL);
    float values[4] = {1, 2, 3, 4};
    struct ph_frame frame = {
        .kind = PH_FRAME_LATENT, .dtype = PH_DTYPE_F32, .rank = 2, .dims = {2, 2}, .data = values};
    const struct ph_frame *got;
    size_t slot = 99;

    (void)state;
    assert_false(phi_view_newest_slot(view, &slot));
    frame.u.latent.trial = PH_NO_TRIAL;
    frame.u.latent.stimulus_s = 10; /* moment 5 at a TR of 2 s */
    phi_view_put_latent(view, &frame);
    assert_true(phi_view_newest_slot(view, &slot));
    assert_int_equal(slot, 5);
    assert_true(phi_view_latent(view, 5, &got));
    assert_memory_equal(got->data, values, sizeof values);
    frame.dims[1] = 300; /* does not fit: left out, not overrun */
    frame.u.latent.stimulus_s = 12;
    phi_view_put_latent(view, &frame);
    assert_false(phi_view_latent(view, 6, &got));
    phi_view_destroy(&view);
}

static void volumes_status_and_age(void **state)
{
    struct phi_view *view = open_view(NULL);
    float values[2] = {1, 2};
    struct ph_frame frame = {.kind = PH_FRAME_VOLUME,
                             .dtype = PH_DTYPE_F32,
                             .rank = 3,
                             .dims = {1, 1, 2},
                             .acquired_s = 10,
                             .received_ns = phi_clock_ns(),
                             .data = values};
    struct ph_frame old = frame;
    const struct ph_frame *got;
    struct phi_view_status status;

    (void)state;
    phi_view_put_volume(view, &frame);
    assert_true(phi_view_volume(view, &got));
    assert_memory_equal(got->data, values, sizeof values);
    phi_view_count(view, &frame, 1, 2);
    phi_view_put_state(view, PHI_VIEW_RUNNING);
    phi_view_put_latency(view, 5000, true);
    phi_view_status(view, &status);
    assert_int_equal(status.state, PHI_VIEW_RUNNING);
    assert_int_equal(status.stats.n_volumes, 1);
    assert_int_equal(status.stats.n_missing, 1);
    assert_int_equal(status.stats.n_censored, 1);
    assert_int_equal(status.n_late, 2);
    assert_near(status.newest_acquired_s, 10, 1e-5);
    assert_in_range(status.stats.latency_p50_ns, 5000, 5200);
    assert_false(phi_view_is_stale(view, &frame));
    old.acquired_s = 5;
    assert_true(phi_view_age_s(view, &old) >= 5);
    assert_true(phi_view_is_stale(view, &old));
    phi_view_destroy(&view);
}

static void queues_are_lossy_and_ordered(void **state)
{
    struct phi_view *view = open_view(NULL);
    struct phi_view_point point = {0};
    struct ph_event event = {.number = 4};
    struct phi_view_line line = {.text = "hello"};
    struct phi_view_status status;
    struct phi_view_stage stage;

    (void)state;
    for (uint64_t i = 0; i < 2000; i++) {
        point.index = i;
        phi_view_put_point(view, &point);
    }
    for (uint64_t i = 0; i < 1024; i++) {
        assert_true(phi_view_next_point(view, &point));
        assert_int_equal(point.index, i);
    }
    assert_false(phi_view_next_point(view, &point));
    phi_view_status(view, &status);
    assert_int_equal(status.n_dropped_points, 976);
    phi_view_put_event(view, &event);
    event.number = 0;
    assert_true(phi_view_next_event(view, &event));
    assert_int_equal(event.number, 4);
    phi_view_put_line(view, &line);
    assert_true(phi_view_next_line(view, &line));
    assert_string_equal(line.text, "hello");
    phi_view_put_stage(view, 1, 800, 3);
    phi_view_stage(view, 1, &stage);
    assert_int_equal(stage.last_ns, 800);
    assert_int_equal(stage.depth, 3);
    assert_int_equal(stage.n, 1);
    phi_view_destroy(&view);
}

static void set_flag(void *arg)
{
    *(int *)arg = 1;
}

static void requests_reach_the_engine(void **state)
{
    int asked = 0;
    struct phi_view_control control = {.arg = &asked, .request_stop = set_flag};
    struct phi_view *view = open_view(&control);
    struct ph_error err;

    (void)state;
    phi_view_request_stop(view);
    assert_int_equal(asked, 1);
    assert_int_equal(phi_view_set_param(view, "a.b", "1", &err), PH_E_STATE);
    phi_view_move(view, 0, 1);
    phi_view_mark(view, "x");
    phi_view_destroy(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_stay_in_their_slots),
        cmocka_unit_test(latents_and_newest_slot),
        cmocka_unit_test(volumes_status_and_age),
        cmocka_unit_test(queues_are_lossy_and_ordered),
        cmocka_unit_test(requests_reach_the_engine),
    };
    return cmocka_run_group_tests_name("rt/view", tests, NULL, NULL);
}
