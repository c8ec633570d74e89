/* SPDX-License-Identifier: MIT
 *
 * What one volume costs a decoder of 699 latents beside the product with W: trials (1, 4 and 8
 * open), continuous content (24 lags; exact and steady), and the rotation of one statement; then a
 * whole volume, product first, whose weights push all else out of the caches, and seven statements.
 * One thread, its processor time; medians, and of the whole volume the ratio to the product alone
 * by turns.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/rng.h"
#include "decode/gemv.h"
#include "decode/stream.h"
#include "decode/trial.h"

enum { P = 699, Q = 65665, REPEATS = 31, TAPS = 24, OPEN = 7 };

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double response(void *ctx, double delay_s, double duration_s)
{
    (void)ctx;
    (void)duration_s;
    return delay_s / 100;
}

static double median(double *ms)
{
    qsort(ms, REPEATS, sizeof *ms, by_value);
    return ms[REPEATS / 2];
}

static double time_trials(const double *d, const double *x, uint32_t n_open)
{
    const struct phi_trials_config config = {
        .n_channels = P, .d = d, .rho = 0.3, .tr_s = 1, .response_s = 1000, .response = response};
    struct phi_trials *trials = NULL;
    double ms[REPEATS];

    if (phi_trials_create(&config, &trials, NULL))
        exit(1);
    for (uint32_t k = 0; k < n_open; k++) {
        const struct phi_trial_event event = {k, -1, k, 1, 1};

        if (phi_trials_open(trials, &event))
            exit(1);
    }
    for (int i = 0; i < REPEATS; i++) {
        double start = now_ms();

        (void)phi_trials_step(trials, i, x, NULL);
        ms[i] = now_ms() - start;
    }
    phi_trials_destroy(&trials);
    return median(ms);
}

static double time_stream(const double *d, const double *x, bool steady)
{
    double h[TAPS], ms[REPEATS];
    const struct phi_stream_config config = {
        .n_channels = P, .d = d, .h = h, .n_taps = TAPS, .a = 0.9, .steady = steady};
    struct phi_stream *stream = NULL;

    for (int k = 0; k < TAPS; k++)
        h[k] = k < 8 ? 0.1 * k : 0.05;
    if (phi_stream_create(&config, &stream, NULL))
        exit(1);
    for (int i = 0; i < REPEATS; i++) {
        double start = now_ms();

        (void)phi_stream_step(stream, x, 1, NULL);
        ms[i] = now_ms() - start;
    }
    phi_stream_destroy(&stream);
    return median(ms);
}

static struct phi_gemv *make_product(size_t p, size_t q, size_t n_most)
{
    const size_t shape[2] = {p, q};
    float *w = phi_calloc2(p, q, sizeof *w);
    struct phi_gemv *gemv = NULL;

    if (!w)
        exit(1);
    for (size_t i = 0; i < p * q; i++)
        w[i] = (float)(i % 97) - 48;
    if (phi_gemv_create(w, NULL, shape, PHI_GEMV_F32, &gemv, NULL) ||
        phi_gemv_reserve(gemv, n_most, NULL))
        exit(1);
    phi_free(w);
    return gemv;
}

static double time_product(size_t p, size_t q, const float *y)
{
    struct phi_gemv *gemv = make_product(p, q, 1);
    double x[P], ms[REPEATS];

    for (int i = 0; i < REPEATS; i++) {
        double start = now_ms();

        phi_gemv_run(gemv, y, NULL, x);
        ms[i] = now_ms() - start;
    }
    phi_gemv_destroy(&gemv);
    return median(ms);
}

/* All that decoder/posterior does for one volume with OPEN trials; returns the ratio. */
static double time_volume(const double *d, const float *y, double *ret_ms)
{
    const struct phi_trials_config config = {
        .n_channels = P, .d = d, .rho = 0.3, .tr_s = 1, .response_s = 1000, .response = response};
    struct phi_gemv *project = make_product(P, Q, 1), *rotate = make_product(P, P, OPEN),
                    *spread = make_product(P, P, OPEN);
    static float narrow[OPEN * P];
    static double x[P], z[OPEN * P];
    double all[REPEATS], ratio[REPEATS];
    struct phi_trials *trials = NULL;

    if (phi_trials_create(&config, &trials, NULL))
        exit(1);
    for (uint32_t k = 0; k < OPEN; k++) {
        const struct phi_trial_event event = {k, -1, k, 1, 1};

        if (phi_trials_open(trials, &event))
            exit(1);
    }
    for (int i = 0; i < REPEATS; i++) {
        double start = now_ms(), bare;

        phi_gemv_run(project, y, NULL, x);
        bare = now_ms() - start;
        start = now_ms();
        phi_gemv_run(project, y, NULL, x);
        (void)phi_trials_step(trials, i, x, NULL);
        for (int pass = 0; pass < 2; pass++) {
            for (size_t k = 0; k < OPEN; k++) {
                struct phi_trial_report report = phi_trials_report(trials, k);

                for (size_t j = 0; j < P; j++)
                    narrow[k * P + j] = (float)(pass ? report.var[j] : report.mean[j]);
            }
            phi_gemv_run_many(pass ? spread : rotate, narrow, OPEN, NULL, z);
        }
        all[i] = now_ms() - start;
        ratio[i] = all[i] / bare;
    }
    phi_trials_destroy(&trials);
    phi_gemv_destroy(&project);
    phi_gemv_destroy(&rotate);
    phi_gemv_destroy(&spread);
    *ret_ms = median(all);
    return median(ratio);
}

int main(void)
{
    static float y[Q];
    double d[P], x[P], volume, ratio;
    struct phi_rng rng;

    phi_rng_init(&rng, 1, 1);
    for (size_t i = 0; i < P; i++) {
        d[i] = 3.0 / (double)(i + 1);
        x[i] = phi_rng_normal(&rng);
    }
    phi_rng_normal_f32(&rng, y, Q);
    printf("product of 65,665 voxels  %6.2f ms\n", time_product(P, Q, y));
    for (uint32_t n = 1; n <= 8; n += n < 4 ? 3 : 4)
        printf("%u open trials            %6.2f ms\n", n, time_trials(d, x, n));
    printf("24 lags, exact           %6.2f ms\n", time_stream(d, x, false));
    printf("24 lags, steady          %6.2f ms\n", time_stream(d, x, true));
    printf("rotation of a statement  %6.2f ms\n", 2 * time_product(P, P, y));
    ratio = time_volume(d, y, &volume);
    printf("a volume, %d statements   %6.2f ms, %.2f of the product\n", OPEN, volume, ratio);
    return 0;
}
