/* SPDX-License-Identifier: MIT
 * The same (seed, index) gives the same bytes, whatever was painted before; every factor changes
 * the picture; faces of a set differ from each other; values outside the range are clamped. */
#include <stdlib.h>

#include "test.h"
#include "tools/stimuli/face.h"

#define SIZE    64
#define N_BYTES (SIZE * SIZE * 3)

static struct phi_face_painter *painter;

static int make_painter(void **state)
{
    struct ph_error err;

    (void)state;
    return phi_face_painter_create(SIZE, &painter, &err) < 0;
}

static int free_painter(void **state)
{
    (void)state;
    phi_face_painter_destroy(&painter);
    return painter != NULL;
}

static void paint(const double *factors, uint8_t *rgb)
{
    assert_int_equal(phi_face_paint(painter, factors, NULL, rgb), PH_OK);
}

/* Mean absolute difference, in grey levels. */
static double distance(const uint8_t *a, const uint8_t *b)
{
    double sum = 0;

    for (size_t i = 0; i < N_BYTES; i++)
        sum += abs(a[i] - b[i]);
    return sum / N_BYTES;
}

static int largest_difference(const uint8_t *a, const uint8_t *b)
{
    int largest = 0;

    for (size_t i = 0; i < N_BYTES; i++)
        largest = abs(a[i] - b[i]) > largest ? abs(a[i] - b[i]) : largest;
    return largest;
}

static void same_seed_same_bytes(void **state)
{
    static uint8_t first[N_BYTES], second[N_BYTES], other[N_BYTES];
    double factors[PHI_FACE_N_FACTORS];
    struct ph_error err;

    (void)state;
    phi_face_sample(5, 17, factors);
    paint(factors, first);
    phi_face_sample(5, 18, factors);
    paint(factors, other);
    phi_face_sample(5, 17, factors);
    assert_ok(phi_face_draw(factors, SIZE, second, &err), err);
    assert_memory_equal(first, second, N_BYTES);
    assert_true(distance(first, other) > 3);
    phi_face_sample(6, 17, factors);
    paint(factors, other);
    assert_true(distance(first, other) > 3);
}

static void every_factor_changes_the_picture(void **state)
{
    static uint8_t low[N_BYTES], high[N_BYTES];
    double factors[PHI_FACE_N_FACTORS] = {0};

    (void)state;
    assert_true(PHI_FACE_N_FACTORS >= 24);
    for (int i = 0; i < PHI_FACE_N_FACTORS; i++) {
        const char *name = phi_face_factor_info((enum phi_face_factor)i)->name;

        factors[i] = -1;
        paint(factors, low);
        factors[i] = 1;
        paint(factors, high);
        factors[i] = 0;
        if (distance(low, high) < 0.5 && largest_difference(low, high) < 15)
            fail_msg("%s changes the picture by only %.3f grey levels, %d at most", name,
                     distance(low, high), largest_difference(low, high));
        assert_int_equal(phi_face_factor_find(name), i);
    }
    assert_int_equal(phi_face_factor_find("no such factor"), PHI_FACE_N_FACTORS);
}

static void faces_of_a_set_differ(void **state)
{
    enum { N = 60 };
    static uint8_t faces[N][N_BYTES];
    double factors[PHI_FACE_N_FACTORS];

    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        phi_face_sample(1, i, factors);
        for (int k = 0; k < PHI_FACE_N_FACTORS; k++)
            assert_true(factors[k] >= -1 && factors[k] <= 1);
        paint(factors, faces[i]);
        for (uint64_t k = 0; k < i; k++)
            assert_true(distance(faces[i], faces[k]) > 5);
    }
}

static void wild_factors_are_clamped(void **state)
{
    static uint8_t wild[N_BYTES], tame[N_BYTES];
    double factors[PHI_FACE_N_FACTORS] = {0};

    (void)state;
    factors[PHI_FACE_AGE] = 40;
    factors[PHI_FACE_YAW] = NAN;
    paint(factors, wild);
    factors[PHI_FACE_AGE] = 1;
    factors[PHI_FACE_YAW] = 0;
    paint(factors, tame);
    assert_memory_equal(wild, tame, N_BYTES);
}

static void transparent_faces_leave_the_corners(void **state)
{
    const struct phi_face_view view = {.zoom = 0.5, .no_background = true, .head_only = true};
    static uint8_t rgba[SIZE * SIZE * 4];
    double factors[PHI_FACE_N_FACTORS] = {0};

    (void)state;
    assert_int_equal(phi_face_paint_rgba(painter, factors, &view, rgba), PH_OK);
    assert_int_equal(rgba[3], 0);
    assert_int_equal(rgba[SIZE * SIZE * 4 - 1], 0);
    assert_int_equal(rgba[(SIZE / 2 * SIZE + SIZE / 2) * 4 + 3], 255);
}

static void wrong_sizes_are_refused(void **state)
{
    struct phi_face_painter *none = NULL;
    struct ph_error err;

    (void)state;
    assert_int_equal(phi_face_painter_create(0, &none, &err), PH_E_INVAL);
    assert_int_equal(phi_face_painter_create(100000, &none, &err), PH_E_INVAL);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_bytes),
        cmocka_unit_test(every_factor_changes_the_picture),
        cmocka_unit_test(faces_of_a_set_differ),
        cmocka_unit_test(wild_factors_are_clamped),
        cmocka_unit_test(transparent_faces_leave_the_corners),
        cmocka_unit_test(wrong_sizes_are_refused),
    };
    return cmocka_run_group_tests_name("tools/face", tests, make_painter, free_painter);
}
