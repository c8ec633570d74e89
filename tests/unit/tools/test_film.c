/* SPDX-License-Identifier: MIT
 * A frame depends on clip and time alone; films move, and little from frame to frame; clips and
 * kinds differ; sizes that networks cannot halve three times are refused. */
#include <stdlib.h>

#include "test.h"
#include "tools/stimuli/film.h"

enum { WIDTH = 80, HEIGHT = 64, N_BYTES = WIDTH * HEIGHT * 3 };

static struct phi_film_painter *painter;

static int make_painter(void **state)
{
    struct ph_error err;

    (void)state;
    return phi_film_painter_create(WIDTH, HEIGHT, &painter, &err) < 0;
}

static int free_painter(void **state)
{
    (void)state;
    phi_film_painter_destroy(&painter);
    return painter != NULL;
}

static void paint(struct phi_film_painter *with, enum phi_film_kind kind, uint64_t index,
                  double time_s, uint8_t *rgb)
{
    const struct phi_film_clip clip = {kind, 3, index};

    assert_int_equal(phi_film_paint(with, &clip, time_s, rgb), PH_OK);
}

static double distance(const uint8_t *a, const uint8_t *b)
{
    double sum = 0;

    for (size_t i = 0; i < N_BYTES; i++)
        sum += abs(a[i] - b[i]);
    return sum / N_BYTES;
}

static void frames_depend_on_clip_and_time_alone(void **state)
{
    static uint8_t first[N_BYTES], other[N_BYTES], again[N_BYTES];
    struct phi_film_painter *fresh;
    struct ph_error err;

    (void)state;
    assert_ok(phi_film_painter_create(WIDTH, HEIGHT, &fresh, &err), err);
    for (int kind = 0; kind < PHI_FILM_N_KINDS; kind++) {
        paint(painter, (enum phi_film_kind)kind, 5, 1.5, first);
        paint(painter, (enum phi_film_kind)kind, 6, 0.5, other);
        paint(painter, (enum phi_film_kind)kind, 5, 1.5, again);
        assert_memory_equal(first, again, N_BYTES);
        paint(fresh, (enum phi_film_kind)kind, 5, 1.5, again);
        assert_memory_equal(first, again, N_BYTES);
        assert_true(distance(first, other) > 5);
    }
    phi_film_painter_destroy(&fresh);
}

static void films_move_smoothly(void **state)
{
    static uint8_t now[N_BYTES], soon[N_BYTES], later[N_BYTES];

    (void)state;
    for (int kind = 0; kind < PHI_FILM_N_KINDS; kind++) {
        for (uint64_t index = 0; index < 4; index++) {
            double near, far;

            paint(painter, (enum phi_film_kind)kind, index, 1, now);
            paint(painter, (enum phi_film_kind)kind, index, 1.02, soon);
            paint(painter, (enum phi_film_kind)kind, index, 2, later);
            near = distance(now, soon);
            far = distance(now, later);
            if (!(near > 0 && near < 0.6 * far && far > 2))
                fail_msg("%s %d: %.2f grey levels in 20 ms, %.2f in 1 s",
                         phi_film_kind_name((enum phi_film_kind)kind), (int)index, near, far);
        }
    }
}

static void bad_wishes_are_refused(void **state)
{
    static const size_t sizes[][2] = {{60, 64}, {64, 60}, {8, 8}, {0, 0}, {4096, 64}};
    static uint8_t rgb[N_BYTES];
    const struct phi_film_clip clip = {PHI_FILM_N_KINDS, 1, 1};
    const struct phi_film_clip good = {PHI_FILM_FACES, 1, 1};
    struct phi_film_painter *none = NULL;
    struct ph_error err;

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_int_equal(phi_film_painter_create(sizes[i][0], sizes[i][1], &none, &err),
                         PH_E_INVAL);
    assert_null(none);
    assert_int_equal(phi_film_paint(painter, &clip, 0, rgb), PH_E_INVAL);
    assert_int_equal(phi_film_paint(painter, &good, -1, rgb), PH_E_INVAL);
    assert_int_equal(phi_film_paint(painter, &good, NAN, rgb), PH_E_INVAL);
    assert_null(phi_film_kind_name(PHI_FILM_N_KINDS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_depend_on_clip_and_time_alone),
        cmocka_unit_test(films_move_smoothly),
        cmocka_unit_test(bad_wishes_are_refused),
    };
    return cmocka_run_group_tests_name("tools/film", tests, make_painter, free_painter);
}
