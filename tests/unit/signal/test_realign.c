/* SPDX-License-Identifier: MIT
 *
 * Realignment on an analytic head with known poses at tSNR 70: 0.05 mm / 0.05 degrees up to
 * 1 mm / 1 degree, twice that at 3 mm / 3 degrees, displacement within 0.05 mm; intensity changes
 * do not matter; a reference of another session with another grid, centimetres away, is reached;
 * reslicing brings the head back; jumps, empty, noisy and non-finite volumes are flagged with
 * finite answers and do not spoil the next volume; references without structure are refused; same
 * input, same bits.
 */
#include "test.h"

#include "base/mem.h"
#include "phantom.h"
#include "signal/motion.h"
#include "signal/realign.h"

#define DEG   (M_PI / 180)
#define NOISE 10.0

static const double rest[6] = {0};

struct bench {
    struct phantom head;
    struct phi_grid grid;
    struct phi_realign *realign;
    float *volume;
    float *other;
};

static struct bench bench_open(const struct phi_realign_config *config)
{
    const size_t n[3] = {48, 56, 32};
    const double mm[3] = {3, 3, 3};
    struct bench b = {.head = phantom_make(1), .grid = phantom_grid(n, mm)};
    struct ph_error err = {0};

    b.volume = phi_calloc(phi_grid_count(&b.grid), sizeof(float));
    b.other = phi_calloc(phi_grid_count(&b.grid), sizeof(float));
    assert_true(b.volume && b.other);
    assert_ok(phi_realign_create(config, &b.grid, &b.grid, &b.realign, &err), err);
    phantom_sample(&b.head, &b.grid, rest, NOISE, 1, b.volume);
    assert_int_equal(phi_realign_set_reference(b.realign, b.volume), PH_OK);
    return b;
}

static void bench_close(struct bench *b)
{
    phi_realign_destroy(&b->realign);
    phi_free(b->volume);
    phi_free(b->other);
}

static struct phi_realign_result estimate(struct bench *b)
{
    struct phi_realign_result result;

    assert_int_equal(phi_realign_estimate(b->realign, b->volume, &result), PH_OK);
    for (int i = 0; i < 6; i++)
        assert_true(isfinite(result.params[i]));
    assert_true(isfinite(result.fd_power_mm) && isfinite(result.fd_jenkinson_mm));
    assert_true(isfinite(result.scale) && isfinite(result.mean_square));
    return result;
}

static void random_pose(struct phi_rng *rng, double size, double params[6])
{
    for (int i = 0; i < 6; i++)
        params[i] = (2 * phi_rng_uniform(rng) - 1) * size * (i < 3 ? 1 : DEG);
}

static void assert_pose(const struct phi_realign_result *result, const double truth[6], double size)
{
    for (int i = 0; i < 6; i++)
        assert_near(result->params[i], truth[i], size * (i < 3 ? 1 : DEG));
}

static void test_known_poses(void **state)
{
    struct bench b = bench_open(&(struct phi_realign_config){0});
    double before[6] = {0};
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 3, 0);
    for (int k = 0; k < 6; k++) {
        double size = k < 3 ? 1 : 3;
        double truth[6];
        struct phi_realign_result result;

        random_pose(&rng, size, truth);
        phantom_sample(&b.head, &b.grid, truth, NOISE, 10 + (uint64_t)k, b.volume);
        result = estimate(&b);
        assert_int_equal(result.flags & ~(uint32_t)PHI_REALIGN_JUMP, 0);
        assert_pose(&result, truth, size > 1 ? 0.1 : 0.05);
        if (k > 0 && k < 3)
            assert_near(result.fd_power_mm, phi_motion_fd_power(before, truth), 0.05);
        for (int i = 0; i < 6; i++)
            before[i] = truth[i];
    }
    bench_close(&b);
}

static void test_reslice_brings_back(void **state)
{
    const double truth[6] = {1.2, -0.8, 0.9, 1.5 * DEG, -1 * DEG, 2 * DEG};
    struct bench b = bench_open(&(struct phi_realign_config){0});
    size_t n = phi_grid_count(&b.grid);
    float *back = phi_calloc(n, sizeof(float));
    struct phi_realign_result result;
    size_t n_outside = 0;
    double before = 0;
    double after = 0;
    size_t n_compared = 0;

    (void)state;
    assert_non_null(back);
    phantom_sample(&b.head, &b.grid, truth, 0, 0, b.volume);
    result = estimate(&b);
    assert_int_equal(
        phi_realign_reslice(b.realign, &result.image_to_reference, 0, 32, back, &n_outside), PH_OK);
    phantom_sample(&b.head, &b.grid, rest, 0, 0, b.other);
    assert_in_range(n_outside, 1, n / 5);
    for (size_t i = 0; i < n; i++) {
        double d = (double)b.volume[i] - (double)b.other[i];
        double e = (double)back[i] - (double)b.other[i];

        size_t z = i / (48 * 56);

        /* Outside is 0, and the outermost slices hold the border's value. */
        if (back[i] == 0 || z < 2 || z > 29)
            continue;
        before += d * d;
        after += e * e;
        n_compared++;
    }
    assert_true(n_compared > n / 2);
    assert_true(after < 0.01 * before);
    phi_free(back);
    bench_close(&b);
}

static void test_intensity_does_not_matter(void **state)
{
    const double truth[6] = {0.5, -0.8, 0.3, 0.5 * DEG, -1 * DEG, 0.2 * DEG};
    struct bench b = bench_open(&(struct phi_realign_config){0});
    struct phi_realign_result result;

    (void)state;
    phantom_sample(&b.head, &b.grid, truth, NOISE, 4, b.volume);
    for (size_t i = 0; i < phi_grid_count(&b.grid); i++)
        b.volume[i] *= 1.25F;
    result = estimate(&b);
    assert_int_equal(result.flags, 0);
    assert_pose(&result, truth, 0.05);
    assert_near(result.scale, 0.8, 0.01);
    bench_close(&b);
}

/* Tomorrow's scan: other grid, and the head 3 cm and 8 degrees away. */
static void test_other_session(void **state)
{
    const size_t n[3] = {52, 60, 40};
    const double mm[3] = {3.2, 3.2, 3};
    const double truth[6] = {12, -18, 15, 8 * DEG, -4 * DEG, 5 * DEG};
    struct phi_grid image = phantom_grid(n, mm);
    struct bench b = bench_open(&(struct phi_realign_config){0});
    struct phi_realign_config config = {.far_start = true};
    struct phi_realign_result result;
    struct ph_error err = {0};
    float *volume = phi_calloc(phi_grid_count(&image), sizeof(float));
    struct phi_realign *between = NULL;

    (void)state;
    assert_non_null(volume);
    assert_ok(phi_realign_create(&config, &b.grid, &image, &between, &err), err);
    assert_int_equal(phi_realign_set_reference(between, b.volume), PH_OK);
    phantom_sample(&b.head, &image, truth, NOISE, 8, volume);
    assert_int_equal(phi_realign_estimate(between, volume, &result), PH_OK);
    assert_int_equal(result.flags, 0);
    assert_pose(&result, truth, 0.1);
    assert_near(result.fd_power_mm, 0, 0);
    phi_realign_destroy(&between);
    phi_free(volume);
    bench_close(&b);
}

static void test_jump_is_flagged(void **state)
{
    const double truth[6] = {7, -4, 3, 2 * DEG, 0, -3 * DEG};
    struct bench b = bench_open(&(struct phi_realign_config){0});
    struct phi_realign_result result;

    (void)state;
    result = estimate(&b); /* the reference itself */
    assert_int_equal(result.flags, 0);
    phantom_sample(&b.head, &b.grid, truth, NOISE, 5, b.volume);
    result = estimate(&b);
    assert_true(result.flags & PHI_REALIGN_JUMP);
    assert_int_equal(result.flags & PHI_REALIGN_HELD, 0);
    assert_pose(&result, truth, 0.1);
    result = estimate(&b); /* staying there is no jump */
    assert_int_equal(result.flags, 0);
    assert_near(result.fd_power_mm, 0, 0.05);
    bench_close(&b);
}

/* Every bad volume is answered with its flag and the pose before, and the good one after it is as
 * good as ever. */
static void test_bad_volumes(void **state)
{
    const double truth[6] = {0.6, 0.4, -0.7, 0.4 * DEG, 0.6 * DEG, -0.5 * DEG};
    static const uint32_t expected[4] = {PHI_REALIGN_NO_SIGNAL,
                                         PHI_REALIGN_NO_SIGNAL | PHI_REALIGN_BAD_VALUES,
                                         PHI_REALIGN_POOR_MATCH, PHI_REALIGN_NO_SIGNAL};
    struct bench b = bench_open(&(struct phi_realign_config){0});
    size_t n = phi_grid_count(&b.grid);
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 5, 0);
    phantom_sample(&b.head, &b.grid, truth, NOISE, 6, b.other);
    memcpy(b.volume, b.other, n * sizeof(float));
    (void)estimate(&b);
    for (int kind = 0; kind < 4; kind++) {
        struct phi_realign_result result;

        for (size_t i = 0; i < n; i++)
            b.volume[i] = kind == 0   ? 0
                          : kind == 1 ? NAN
                          : kind == 2 ? (float)(500 * phi_rng_uniform(&rng))
                                      : -100;
        result = estimate(&b);
        assert_int_equal(result.flags & expected[kind], expected[kind]);
        assert_true(result.flags & PHI_REALIGN_HELD);
        assert_pose(&result, truth, 0.05);
        memcpy(b.volume, b.other, n * sizeof(float));
        result = estimate(&b);
        assert_int_equal(result.flags, 0);
        assert_pose(&result, truth, 0.05);
    }
    bench_close(&b);
}

static void test_some_bad_values(void **state)
{
    const double truth[6] = {0.6, 0.4, -0.7, 0.4 * DEG, 0.6 * DEG, -0.5 * DEG};
    struct bench b = bench_open(&(struct phi_realign_config){0});
    struct phi_realign_result result;

    (void)state;
    phantom_sample(&b.head, &b.grid, truth, NOISE, 6, b.volume);
    b.volume[5] = NAN;
    b.volume[50] = INFINITY;
    result = estimate(&b);
    assert_int_equal(result.flags, PHI_REALIGN_BAD_VALUES);
    assert_int_equal(result.n_bad, 2);
    assert_pose(&result, truth, 0.05);
    bench_close(&b);
}

static void test_references_are_checked(void **state)
{
    struct bench b = bench_open(&(struct phi_realign_config){0});
    struct phi_realign_result result;
    struct phi_grid tiny = b.grid;
    struct phi_realign *realign = NULL;
    struct ph_error err = {0};
    size_t n = phi_grid_count(&b.grid);

    (void)state;
    memset(b.other, 0, n * sizeof(float));
    assert_int_equal(phi_realign_set_reference(b.realign, b.other), PH_E_INVAL);
    assert_int_equal(phi_realign_estimate(b.realign, b.volume, &result), PH_E_STATE);
    for (size_t i = 0; i < n; i++)
        b.other[i] = (float)(100 + i % 48); /* varies along x alone */
    assert_int_equal(phi_realign_set_reference(b.realign, b.other), PH_E_INVAL);
    assert_int_equal(phi_realign_set_reference(b.realign, b.volume), PH_OK);
    tiny.n[0] = tiny.n[1] = 3;
    assert_int_equal(
        phi_realign_create(&(struct phi_realign_config){0}, &tiny, &tiny, &realign, &err),
        PH_E_SHAPE);
    assert_int_equal(phi_realign_create(&(struct phi_realign_config){.keep = 2}, &b.grid, &b.grid,
                                        &realign, &err),
                     PH_E_INVAL);
    phi_realign_destroy(&realign);
    phi_realign_destroy(NULL);
    bench_close(&b);
}

static void test_same_bits(void **state)
{
    const double truth[6] = {0.6, 0.4, -0.7, 0.4 * DEG, 0.6 * DEG, -0.5 * DEG};
    struct phi_realign_result results[2];

    (void)state;
    memset(results, 0, sizeof results);
    for (int k = 0; k < 2; k++) {
        struct bench b = bench_open(&(struct phi_realign_config){0});

        phantom_sample(&b.head, &b.grid, truth, NOISE, 6, b.volume);
        results[k] = estimate(&b);
        bench_close(&b);
    }
    assert_memory_equal(results[0].params, results[1].params, sizeof results[0].params);
    assert_int_equal(results[0].n_iterations, results[1].n_iterations);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_poses),
        cmocka_unit_test(test_reslice_brings_back),
        cmocka_unit_test(test_intensity_does_not_matter),
        cmocka_unit_test(test_other_session),
        cmocka_unit_test(test_jump_is_flagged),
        cmocka_unit_test(test_bad_volumes),
        cmocka_unit_test(test_some_bad_values),
        cmocka_unit_test(test_references_are_checked),
        cmocka_unit_test(test_same_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
