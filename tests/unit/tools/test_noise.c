/* SPDX-License-Identifier: MIT
 * Surrogates of the source's length keep each voxel's power at every frequency and the covariance
 * of every pair of voxels; longer ones keep the variance; a thermal share keeps the variance and
 * breaks the covariance down to its share; the run itself comes back as it was; the same seed gives
 * the same bits whatever the blocks, other runs other noise; the effects say what they did. */
#include <unistd.h>

#include "small_run.h"
#include "tools/simulate/effects.h"
#include "tools/simulate/noise.h"

static char path[] = "/tmp/phosphene-test-XXXXXX.nii";
static struct phi_sim_source *source;

static int open_source(void **state)
{
    struct ph_error err;
    int fd = mkstemps(path, 4);

    (void)state;
    if (fd < 0)
        return -1;
    (void)close(fd);
    small_run_write(path);
    return phi_sim_source_open(path, NULL, 0, &source, &err) < 0;
}

static int close_source(void **state)
{
    (void)state;
    phi_sim_source_close(&source);
    return unlink(path);
}

/* Noise [n][n_voxels] of run `run`, made in blocks of `block`. */
static float *make(double thermal, bool as_is, uint64_t run, size_t n, size_t block)
{
    const struct phi_sim_noise_config config = {as_is, thermal, 11};
    size_t n_voxels = source->mask->n_voxels;
    float *out = phi_calloc2(n, n_voxels, sizeof *out);
    struct phi_sim_noise *noise;
    struct ph_error err;

    assert_non_null(out);
    assert_ok(phi_sim_noise_create(source, &config, &noise, &err), err);
    assert_ok(phi_sim_noise_start(noise, run, n, &err), err);
    for (size_t t = 0; t < n; t += block)
        phi_sim_noise_fill(noise, t, n - t < block ? n - t : block, out + t * n_voxels);
    phi_sim_noise_destroy(&noise);
    return out;
}

/* Power of voxel v at k cycles a run of n volumes, by the definition. */
static double power(const float *series, size_t n, size_t v, size_t k)
{
    double re = 0;
    double im = 0;

    for (size_t t = 0; t < n; t++) {
        double value = (double)series[t * source->mask->n_voxels + v];

        re += value * cos(2 * M_PI * (double)(k * t) / (double)n);
        im += value * sin(2 * M_PI * (double)(k * t) / (double)n);
    }
    return re * re + im * im;
}

static double covariance(const float *series, size_t n, size_t v, size_t w)
{
    size_t n_voxels = source->mask->n_voxels;
    double sum = 0;

    for (size_t t = 0; t < n; t++)
        sum += (double)series[t * n_voxels + v] * (double)series[t * n_voxels + w];
    return sum / (double)n;
}

static void the_source_is_sane(void **state)
{
    size_t n_inside = 0;

    (void)state;
    for (size_t i = 0; i < SMALL_N; i++)
        n_inside += (size_t)small_inside(i);
    assert_near(source->mask->n_voxels, n_inside, 0.1 * (double)n_inside);
    assert_near(source->tr_s, 2, 1e-6);
    for (size_t v = 0; v < source->mask->n_voxels; v += 7) {
        double trend = 0;

        for (size_t t = 0; t < SMALL_T; t++)
            trend += (double)source->series[t * source->mask->n_voxels + v];
        assert_near(trend / SMALL_T, 0, 0.01);
    }
}

static void spectra_and_covariance_are_kept(void **state)
{
    float *noise = make(0, false, 3, SMALL_T, 16);
    double differs = 0;

    (void)state;
    for (size_t v = 0; v < source->mask->n_voxels; v += 29) {
        double most = 0;

        for (size_t k = 1; k <= SMALL_T / 2; k++)
            most = fmax(most, power(source->series, SMALL_T, v, k));
        for (size_t k = 1; k <= SMALL_T / 2; k++)
            assert_near(power(noise, SMALL_T, v, k), power(source->series, SMALL_T, v, k),
                        1e-4 * most);
        for (size_t w = 0; w < source->mask->n_voxels; w += 31) {
            double scale = sqrt(covariance(source->series, SMALL_T, v, v) *
                                covariance(source->series, SMALL_T, w, w));

            assert_near(covariance(noise, SMALL_T, v, w), covariance(source->series, SMALL_T, v, w),
                        1e-4 * scale);
        }
        for (size_t t = 0; t < SMALL_T; t++)
            differs += fabs((double)noise[t * source->mask->n_voxels + v] -
                            (double)source->series[t * source->mask->n_voxels + v]);
    }
    assert_true(differs > 1000);
    phi_free(noise);
}

/* Mean over voxels of variance over source variance. */
static double variance_ratio(const float *series, size_t n)
{
    size_t n_voxels = source->mask->n_voxels;
    double sum = 0;

    for (size_t v = 0; v < n_voxels; v++)
        sum += covariance(series, n, v, v) / pow((double)source->sd[source->mask->index[v]], 2);
    return sum / (double)n_voxels;
}

static void long_surrogates_keep_the_variance(void **state)
{
    size_t n = SMALL_T * 25 + 7;
    float *noise = make(0, false, 1, n, 16);
    float *half = make(0.5, false, 1, n, 16);
    size_t v = 0;
    size_t w = 4; /* shares slow[i % 4] with v if in the same row */
    double kept;

    (void)state;
    assert_near(variance_ratio(noise, n), 1, 0.08);
    assert_near(variance_ratio(half, n), 1, 0.08);
    kept = covariance(half, n, v, w) / covariance(noise, n, v, w);
    assert_near(kept, 0.5, 0.15);
    phi_free(noise);
    phi_free(half);
}

static void thermal_noise_is_independent(void **state)
{
    size_t n = 2000;
    float *noise = make(1, false, 1, n, 16);
    double sum = 0;

    (void)state;
    assert_near(variance_ratio(noise, n), 1, 0.02);
    for (size_t v = 1; v < 200; v++)
        sum += covariance(noise, n, 0, v) /
               sqrt(covariance(noise, n, 0, 0) * covariance(noise, n, v, v));
    assert_near(sum / 199, 0, 0.01);
    phi_free(noise);
}

static void the_run_itself_comes_back(void **state)
{
    const struct phi_sim_noise_config config = {.as_is = true};
    float *noise = make(0, true, 5, SMALL_T, 7);
    struct phi_sim_noise *shorter;
    struct ph_error err;

    (void)state;
    assert_memory_equal(noise, source->series, SMALL_T * source->mask->n_voxels * sizeof *noise);
    phi_free(noise);
    assert_ok(phi_sim_noise_create(source, &config, &shorter, &err), err);
    assert_int_equal(phi_sim_noise_start(shorter, 0, SMALL_T + 1, &err), PH_E_SHAPE);
    phi_sim_noise_destroy(&shorter);
}

static void noise_depends_on_run_and_not_on_blocks(void **state)
{
    size_t n_bytes = 50 * source->mask->n_voxels * sizeof(float);
    float *a = make(0.5, false, 2, 50, 16);
    float *b = make(0.5, false, 2, 50, 16);
    float *c = make(0.5, false, 3, 50, 16);
    float *d = make(0.5, false, 2, 50, 5);

    (void)state;
    assert_memory_equal(a, b, n_bytes);
    assert_true(memcmp(a, c, n_bytes) != 0);
    for (size_t i = 0; i < 50 * source->mask->n_voxels; i++)
        assert_near(a[i], d[i], 1e-3);
    phi_free(a);
    phi_free(b);
    phi_free(c);
    phi_free(d);
}

static void effects_do_what_they_say(void **state)
{
    const struct phi_sim_effects_config still = {.n_spikes = 3, .start_up = true, .seed = 4};
    const struct phi_sim_effects_config moving = {.motion_mm = 1, .drift_percent = 2, .seed = 4};
    struct phi_sim_effects *effects;
    float *volume = phi_calloc(SMALL_N, sizeof *volume);
    struct ph_error err;
    double most = 0;
    int n_spikes = 0;

    (void)state;
    assert_non_null(volume);
    assert_ok(phi_sim_effects_create(source, &still, &effects, &err), err);
    assert_ok(phi_sim_effects_start(effects, 0, 100, &err), err);
    for (size_t t = 10; t < 100; t++) {
        int changed;

        memcpy(volume, source->mean, SMALL_N * sizeof *volume);
        assert_ok(phi_sim_effects_apply(effects, t, volume, &err), err);
        changed = memcmp(volume, source->mean, SMALL_N * sizeof *volume) != 0;
        assert_int_equal(changed, phi_sim_effects_spikes(effects)[t]);
        n_spikes += changed;
    }
    assert_true(n_spikes >= 1 && n_spikes <= 3);
    memcpy(volume, source->mean, SMALL_N * sizeof *volume);
    assert_ok(phi_sim_effects_apply(effects, 0, volume, &err), err);
    assert_true(volume[source->mask->index[0]] > 1.2f * source->mean[source->mask->index[0]]);
    phi_sim_effects_destroy(&effects);
    assert_ok(phi_sim_effects_create(source, &moving, &effects, &err), err);
    assert_ok(phi_sim_effects_start(effects, 0, 100, &err), err);
    for (size_t i = 0; i < 600; i++)
        most = fmax(most, fabs(phi_sim_effects_poses(effects)[i]) * (i % 6 < 3 ? 1 : 0));
    assert_true(most > 0.1 && most < 3);
    assert_near(phi_sim_effects_poses(effects)[0], 0, 1e-12);
    memcpy(volume, source->mean, SMALL_N * sizeof *volume);
    assert_ok(phi_sim_effects_apply(effects, 60, volume, &err), err);
    assert_true(memcmp(volume, source->mean, SMALL_N * sizeof *volume) != 0);
    phi_sim_effects_destroy(&effects);
    phi_free(volume);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_source_is_sane),
        cmocka_unit_test(spectra_and_covariance_are_kept),
        cmocka_unit_test(long_surrogates_keep_the_variance),
        cmocka_unit_test(thermal_noise_is_independent),
        cmocka_unit_test(the_run_itself_comes_back),
        cmocka_unit_test(noise_depends_on_run_and_not_on_blocks),
        cmocka_unit_test(effects_do_what_they_say),
    };
    return cmocka_run_group_tests_name("tools/noise", tests, open_source, close_source);
}
