/* SPDX-License-Identifier: MIT
 *
 * What one volume costs a decoder of 699 latents beside the product with W: trials (1, 4 and 8
 * open), continuous content (24 lags; exact and steady), and the rotation of one statement. One
 * thread; medians. The product of 65,665 voxels is timed in the same process for the ratio.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/rng.h"
#include "decode/gemv.h"
#include "decode/stream.h"
#include "decode/trial.h"

enum { P = 699, Q = 65665, REPEATS = 31, TAPS = 24 };

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
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

static double time_product(size_t p, size_t q, struct phi_rng *rng)
{
    const size_t shape[2] = {p, q};
    float *w = phi_calloc2(p, q, sizeof *w), *y = phi_calloc(q, sizeof *y);
    struct phi_gemv *gemv = NULL;
    double x[P], ms[REPEATS];

    if (!w || !y)
        exit(1);
    for (size_t i = 0; i < p * q; i++)
        w[i] = (float)(i % 97) - 48;
    phi_rng_normal_f32(rng, y, q);
    if (phi_gemv_create(w, NULL, shape, PHI_GEMV_F32, &gemv, NULL))
        exit(1);
    for (int i = 0; i < REPEATS; i++) {
        double start = now_ms();

        phi_gemv_run(gemv, y, NULL, x);
        ms[i] = now_ms() - start;
    }
    phi_gemv_destroy(&gemv);
    phi_free(w);
    phi_free(y);
    return median(ms);
}

int main(void)
{
    double d[P], x[P], product;
    struct phi_rng rng;

    phi_rng_init(&rng, 1, 1);
    for (size_t i = 0; i < P; i++) {
        d[i] = 3.0 / (double)(i + 1);
        x[i] = phi_rng_normal(&rng);
    }
    product = time_product(P, Q, &rng);
    printf("product of 65,665 voxels  %6.2f ms\n", product);
    for (uint32_t n = 1; n <= 8; n += n < 4 ? 3 : 4)
        printf("%u open trials            %6.2f ms\n", n, time_trials(d, x, n));
    printf("24 lags, exact           %6.2f ms\n", time_stream(d, x, false));
    printf("24 lags, steady          %6.2f ms\n", time_stream(d, x, true));
    printf("rotation of a statement  %6.2f ms\n", 2 * time_product(P, P, &rng));
    return 0;
}
