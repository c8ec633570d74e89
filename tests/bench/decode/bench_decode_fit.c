/* SPDX-License-Identifier: MIT
 *
 * Fit of the Gaussian decoder at full size: 700 samples, 699 latents, 65,665 voxels, one fixed
 * penalty, seven folds; diagonal and full noise, two threads and one. Beside it the time of one
 * matrix product of 700 x 700 by 700 x 65,665 in float32, of which the fit needs about four.
 */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/rng.h"
#include "decode/linalg.h"
#include "decode/posterior_fit.h"

enum { N = 700, P = 699, Q = 65665, FOLDS = 7 };

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double product_s(const float *a, const float *y, float *out, int n_threads)
{
    int before = phi_blas_set_threads(n_threads);
    double best = 1e9;

    for (int i = 0; i < 3; i++) {
        double start = now_s();

        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, Q, N, 1, a, N, y, Q, 0, out, Q);
        best = now_s() - start < best ? now_s() - start : best;
    }
    (void)phi_blas_set_threads(before);
    return best;
}

static int run(const struct phi_posterior_data *data, size_t n_threads, bool full, double floor_s)
{
    const struct phi_posterior_options options = {
        .penalty = PHI_PENALTY_FIXED, .lambda = 70, .full_noise = full, .n_threads = n_threads};
    double best = 1e9, least = 1e9;

    for (int i = 0; i < 3; i++) {
        struct phi_posterior *post = NULL;
        struct ph_error err;
        double start = now_s(), cpu = cpu_s();

        if (phi_posterior_fit(data, &options, &post, &err)) {
            printf("%s\n", err.text);
            return 1;
        }
        best = now_s() - start < best ? now_s() - start : best;
        least = cpu_s() - cpu < least ? cpu_s() - cpu : least;
        phi_posterior_destroy(&post);
    }
    printf("%zu thread%s, %s noise: %.2f s, %.1f products of %.3f s; processor %.2f s\n", n_threads,
           n_threads > 1 ? "s" : "", full ? "full    " : "diagonal", best, best / floor_s, floor_s,
           least);
    return 0;
}

int main(void)
{
    float *x = phi_calloc2(N, P, sizeof *x), *y = phi_calloc2(N, Q, sizeof *y);
    float *a = phi_calloc2(N, N, sizeof *a), *out = phi_calloc2(N, Q, sizeof *out);
    uint32_t *fold = phi_calloc(N, sizeof *fold);
    struct phi_posterior_data data = {{x, fold, N, P, FOLDS, NULL, 0}, y, Q};
    struct phi_rng rng;
    int failed = 0;

    if (!x || !y || !a || !out || !fold)
        return 1;
    phi_rng_init(&rng, 1, 1);
    phi_rng_normal_f32(&rng, x, N * P);
    phi_rng_normal_f32(&rng, y, (size_t)N * Q);
    phi_rng_normal_f32(&rng, a, N * N);
    for (size_t i = 0; i < N; i++)
        fold[i] = (uint32_t)(i * FOLDS / N);
    for (int threads = 2; threads >= 1 && !failed; threads--) {
        double floor_s = product_s(a, y, out, threads);

        failed |= run(&data, (size_t)threads, false, floor_s);
        failed |= run(&data, (size_t)threads, true, floor_s);
    }
    phi_free(x);
    phi_free(y);
    phi_free(a);
    phi_free(out);
    phi_free(fold);
    return failed;
}
