/* SPDX-License-Identifier: MIT
 *
 * The product of a volume with the decoder's weights against a plain read of the same bytes, one
 * thread: 65,665 voxels to 699 latents in float32 and bfloat16. Prints times and their ratio to
 * the read, which is the floor; OpenBLAS beside it.
 */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "decode/gemv.h"

enum { P = 699, Q = 65665, REPEATS = 15 };

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

static double median(double *ms)
{
    qsort(ms, REPEATS, sizeof *ms, by_value);
    return ms[REPEATS / 2];
}

/* Eight accumulators, wide enough to be limited by memory alone. */
static double read_ms(const uint64_t *words, size_t n, uint64_t *sink)
{
    double ms[REPEATS];

    for (int r = 0; r < REPEATS; r++) {
        uint64_t acc[32] = {0};
        double start = now_ms();

        for (size_t i = 0; i + 32 <= n; i += 32)
            for (size_t l = 0; l < 32; l++)
                acc[l] ^= words[i + l];
        for (size_t l = 0; l < 32; l++)
            *sink ^= acc[l];
        ms[r] = now_ms() - start;
    }
    return median(ms);
}

static double gemv_ms(struct phi_gemv *gemv, const float *y, double *x)
{
    double ms[REPEATS];

    for (int r = 0; r < REPEATS; r++) {
        double start = now_ms();

        phi_gemv_run(gemv, y, NULL, x);
        ms[r] = now_ms() - start;
    }
    return median(ms);
}

static double blas_ms(const float *w, const float *y, float *x)
{
    double ms[REPEATS];

    openblas_set_num_threads(1);
    for (int r = 0; r < REPEATS; r++) {
        double start = now_ms();

        cblas_sgemv(CblasRowMajor, CblasNoTrans, P, Q, 1, w, Q, y, 1, 0, x, 1);
        ms[r] = now_ms() - start;
    }
    return median(ms);
}

static double relative_loss(const double *x, const double *exact)
{
    double error = 0, scale = 0;

    for (size_t i = 0; i < P; i++) {
        error += (x[i] - exact[i]) * (x[i] - exact[i]);
        scale += exact[i] * exact[i];
    }
    return sqrt(error / scale);
}

int main(void)
{
    static const char *const names[] = {"float32", "bfloat16"};
    float *w = phi_calloc2(P, Q, sizeof *w), *y = phi_calloc(Q, sizeof *y), x32[P];
    double x[2][P];
    uint64_t sink = 0, seed = 1;
    size_t shape[2] = {P, Q};

    if (!w || !y)
        return 1;
    for (size_t i = 0; i < (size_t)P * Q + Q; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        *(i < (size_t)P * Q ? w + i : y + (i - (size_t)P * Q)) = (float)(seed >> 40) * 0x1p-23f - 1;
    }
    for (int f = 0; f < 2; f++) {
        struct phi_gemv *gemv = NULL;
        double floor_ms, ms;

        if (phi_gemv_create(w, NULL, shape, (enum phi_gemv_format)f, &gemv, NULL))
            return 1;
        floor_ms = read_ms((const uint64_t *)(const void *)w, phi_gemv_bytes(gemv) / 8, &sink);
        ms = gemv_ms(gemv, y, x[f]);
        printf("%-8s %7.2f ms, read of the same bytes %7.2f ms (%.1f GB/s), ratio %.2f\n", names[f],
               ms, floor_ms, (double)phi_gemv_bytes(gemv) / floor_ms * 1e-6, ms / floor_ms);
        phi_gemv_destroy(&gemv);
    }
    printf("OpenBLAS sgemv %.2f ms; relative loss of bfloat16 %.1e [%u]\n", blas_ms(w, y, x32),
           relative_loss(x[1], x[0]), (unsigned)(sink & 1));
    phi_free(w);
    phi_free(y);
    return 0;
}
