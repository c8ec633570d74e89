/* SPDX-License-Identifier: MIT
 * Oriented energies: a grating answers most in its own scale and orientation, whatever its phase,
 * and in proportion to its contrast; a plain picture answers nothing but its luminance and colours;
 * the map of a cell is where the grating is; pictures too small are refused. */
#include "test.h"
#include "tools/stimuli/energy.h"

enum { SIDE = 64, CELLS = PHI_ENERGY_CELLS * PHI_ENERGY_CELLS };

static struct phi_energy *energy;

static int make(void **state)
{
    struct ph_error err;

    (void)state;
    return phi_energy_create(SIDE, SIDE, &energy, &err) == PH_OK ? 0 : -1;
}

static int destroy(void **state)
{
    (void)state;
    phi_energy_destroy(&energy);
    return 0;
}

/* A grating of `wavelength` that runs at `angle`; right of `left` only. */
static void grating(double wavelength, double angle, double phase, double contrast, size_t left,
                    uint8_t *rgb)
{
    for (size_t row = 0; row < SIDE; row++)
        for (size_t col = 0; col < SIDE; col++) {
            double at = (double)col * cos(angle) + (double)row * sin(angle);
            double wave = contrast * cos(2 * M_PI * at / wavelength + phase);

            for (size_t c = 0; c < 3; c++)
                rgb[(row * SIDE + col) * 3 + c] =
                    (uint8_t)lround(127.5 + (col >= left ? 127.5 * wave : 0));
        }
}

static double map_mean(const float *features, size_t map)
{
    double sum = 0;

    for (size_t i = 0; i < CELLS; i++)
        sum += (double)features[map * CELLS + i] / CELLS;
    return sum;
}

static void gratings_answer_in_their_map(void **state)
{
    static uint8_t rgb[SIDE * SIDE * 3];
    float features[PHI_ENERGY_FEATURES];

    (void)state;
    for (size_t s = 0; s < PHI_ENERGY_SCALES; s++)
        for (size_t o = 0; o < PHI_ENERGY_ORIENTATIONS; o++) {
            size_t own = s * PHI_ENERGY_ORIENTATIONS + o;

            grating(4 << s, M_PI * (double)o / PHI_ENERGY_ORIENTATIONS, 0.7, 0.8, 0, rgb);
            phi_energy_features(energy, rgb, features);
            for (size_t map = 0; map < PHI_ENERGY_SCALES * PHI_ENERGY_ORIENTATIONS; map++)
                assert_true(map == own || map_mean(features, map) < 0.6 * map_mean(features, own));
        }
}

static void energy_ignores_phase_and_grows_with_contrast(void **state)
{
    static uint8_t rgb[SIDE * SIDE * 3];
    float first[PHI_ENERGY_FEATURES], other[PHI_ENERGY_FEATURES];

    (void)state;
    grating(8, 0, 0, 0.8, 0, rgb);
    phi_energy_features(energy, rgb, first);
    grating(8, 0, 1.9, 0.8, 0, rgb);
    phi_energy_features(energy, rgb, other);
    assert_near(map_mean(other, PHI_ENERGY_ORIENTATIONS) / map_mean(first, PHI_ENERGY_ORIENTATIONS),
                1, 0.03);
    /* an exact pair's answer to a grating of luminance a cos: a / 2 */
    assert_near(first[PHI_ENERGY_ORIENTATIONS * CELLS + 27], 0.8 * 0.5 / 2, 0.004);
    grating(8, 0, 0, 0.4, 0, rgb);
    phi_energy_features(energy, rgb, other);
    assert_near(map_mean(other, PHI_ENERGY_ORIENTATIONS) / map_mean(first, PHI_ENERGY_ORIENTATIONS),
                0.5, 0.01);
}

static void answers_are_where_the_grating_is(void **state)
{
    static uint8_t rgb[SIDE * SIDE * 3];
    float features[PHI_ENERGY_FEATURES];
    const float *map = features;

    (void)state;
    grating(4, 0, 0, 0.8, SIDE / 2, rgb);
    phi_energy_features(energy, rgb, features);
    for (size_t row = 0; row < PHI_ENERGY_CELLS; row++) {
        assert_true(map[row * PHI_ENERGY_CELLS + 1] < 1e-3F);
        assert_true(map[row * PHI_ENERGY_CELLS + 6] > 0.15F);
    }
}

static void plain_colours_are_told(void **state)
{
    static uint8_t rgb[SIDE * SIDE * 3];
    float features[PHI_ENERGY_FEATURES];
    const size_t first = PHI_ENERGY_SCALES * PHI_ENERGY_ORIENTATIONS;

    (void)state;
    for (size_t i = 0; i < SIDE * SIDE; i++) {
        rgb[3 * i] = 204;
        rgb[3 * i + 1] = 102;
        rgb[3 * i + 2] = 51;
    }
    phi_energy_features(energy, rgb, features);
    for (size_t map = 0; map < first; map++)
        assert_near(map_mean(features, map), 0, 1e-5);
    assert_near(map_mean(features, first), 0.299 * 0.8 + 0.587 * 0.4 + 0.114 * 0.2, 1e-5);
    assert_near(map_mean(features, first + 1), 0.4, 1e-5);
    assert_near(map_mean(features, first + 2), 0.2 - 0.6, 1e-5);
}

static void small_pictures_are_refused(void **state)
{
    struct phi_energy *none = NULL;
    struct ph_error err;

    (void)state;
    assert_int_equal(phi_energy_create(8, 64, &none, &err), PH_E_SHAPE);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gratings_answer_in_their_map),
        cmocka_unit_test(energy_ignores_phase_and_grows_with_contrast),
        cmocka_unit_test(answers_are_where_the_grating_is),
        cmocka_unit_test(plain_colours_are_told),
        cmocka_unit_test(small_pictures_are_refused),
    };

    return cmocka_run_group_tests(tests, make, destroy);
}
