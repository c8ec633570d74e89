/* SPDX-License-Identifier: MIT
 *
 * Four rows are taken together, so that y comes from the cache once for four rows of W, and each
 * row keeps LANES partial sums in vector registers. The same source is
 * compiled for plain x86-64, AVX2 and AVX-512; products and sums are never fused, so all three give
 * the same bits. Lines are fetched PREFETCH bytes ahead: the hardware follows too few streams
 * across 4 KiB boundaries.
 */
#include "decode/gemv.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define LANES    32
#define ROWS     4
#define BLOCK    4096 /* columns between two float64 sums; a multiple of LANES */
#define PREFETCH 2048 /* bytes */
#define TASK     32   /* rows a worker takes at a time; a multiple of ROWS */

struct phi_gemv {
    size_t n_rows, n_cols;
    size_t n_padded; /* rows, to a multiple of ROWS; the extra ones are zero */
    size_t stride;   /* columns, to a multiple of LANES; the extra ones are zero */
    enum phi_gemv_format format;
    void *w;              /* [n_padded][stride] float or uint16_t */
    float *c;             /* [stride] */
    size_t n_most, n_now; /* vectors there is room for, and of the current run */
    float *y;             /* [n_most][stride] y - c of the current run */
    double *sum;          /* [n_most][n_padded] */
    void (*rows)(const struct phi_gemv *gemv, size_t first);
};

uint16_t phi_bf16_from_f32(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float phi_bf16_to_f32(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Sixteen lanes as one value: the compiler splits it where registers are narrower. */
typedef float lanes16 __attribute__((vector_size(64)));
typedef uint32_t bits16 __attribute__((vector_size(64)));
typedef uint16_t halves16 __attribute__((vector_size(32)));

static inline __attribute__((always_inline)) void load_f32(const void *w, size_t at, lanes16 *out)
{
    const float *from = (const float *)w + at;

    __builtin_prefetch((const char *)from + PREFETCH);
    memcpy(out, from, sizeof *out);
}

static inline __attribute__((always_inline)) void load_bf16(const void *w, size_t at, lanes16 *out)
{
    const uint16_t *from = (const uint16_t *)w + at;
    halves16 halves;

    __builtin_prefetch((const char *)from + PREFETCH);
    memcpy(&halves, from, sizeof halves);
    *out = (lanes16)(__builtin_convertvector(halves, bits16) << 16);
}

/* In one order everywhere. */
static inline __attribute__((always_inline)) double add_lanes(const lanes16 *even,
                                                              const lanes16 *odd)
{
    double sum = 0;

    for (size_t l = 0; l < 16; l++)
        sum += (double)(*even)[l] + (double)(*odd)[l];
    return sum;
}

static inline __attribute__((always_inline)) void
block_of_rows(const struct phi_gemv *gemv, size_t which, size_t row, size_t from, size_t to,
              void (*load)(const void *, size_t, lanes16 *))
{
    const float *y = gemv->y + which * gemv->stride;
    double *sum = gemv->sum + which * gemv->n_padded;
    lanes16 even[ROWS] = {{0}}, odd[ROWS] = {{0}};

    for (size_t j = from; j < to; j += LANES) {
        lanes16 y0, y1;

        memcpy(&y0, y + j, sizeof y0);
        memcpy(&y1, y + j + 16, sizeof y1);
        for (size_t r = 0; r < ROWS; r++) {
            size_t at = (row + r) * gemv->stride + j;

            lanes16 w0, w1;

            load(gemv->w, at, &w0);
            load(gemv->w, at + 16, &w1);
            even[r] += w0 * y0;
            odd[r] += w1 * y1;
        }
    }
    for (size_t r = 0; r < ROWS; r++)
        sum[row + r] += add_lanes(&even[r], &odd[r]);
}

static inline __attribute__((always_inline)) void
task_rows(const struct phi_gemv *gemv, size_t first, void (*load)(const void *, size_t, lanes16 *))
{
    size_t end = first + TASK < gemv->n_padded ? first + TASK : gemv->n_padded;

    for (size_t row = first; row < end; row += ROWS) {
        for (size_t i = 0; i < gemv->n_now; i++)
            memset(gemv->sum + i * gemv->n_padded + row, 0, ROWS * sizeof *gemv->sum);
        for (size_t j = 0; j < gemv->stride; j += BLOCK)
            for (size_t i = 0; i < gemv->n_now; i++) /* from the cache after the first */
                block_of_rows(gemv, i, row, j, j + BLOCK < gemv->stride ? j + BLOCK : gemv->stride,
                              load);
    }
}

#define VARIANT(name, load)                                                                        \
    static void name(const struct phi_gemv *gemv, size_t first)                                    \
    {                                                                                              \
        task_rows(gemv, first, load);                                                              \
    }
VARIANT(rows_f32_plain, load_f32)
VARIANT(rows_bf16_plain, load_bf16)
#if defined(__x86_64__)
__attribute__((target("avx2"))) VARIANT(rows_f32_avx2, load_f32) __attribute__((target("avx2")))
VARIANT(rows_bf16_avx2, load_bf16) __attribute__((target("avx512f,avx512bw,avx512vl")))
VARIANT(rows_f32_avx512, load_f32) __attribute__((target("avx512f,avx512bw,avx512vl")))
VARIANT(rows_bf16_avx512, load_bf16)
#endif

    static void choose_variant(struct phi_gemv *gemv)
{
    int wide = gemv->format == PHI_GEMV_F32;

    gemv->rows = wide ? rows_f32_plain : rows_bf16_plain;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        gemv->rows = wide ? rows_f32_avx2 : rows_bf16_avx2;
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        gemv->rows = wide ? rows_f32_avx512 : rows_bf16_avx512;
#endif
}

static size_t element_size(const struct phi_gemv *gemv)
{
    return gemv->format == PHI_GEMV_F32 ? sizeof(float) : sizeof(uint16_t);
}

static void copy_weights(struct phi_gemv *gemv, const float *w)
{
    for (size_t i = 0; i < gemv->n_rows; i++) {
        const float *from = w + i * gemv->n_cols;

        if (gemv->format == PHI_GEMV_F32)
            memcpy((float *)gemv->w + i * gemv->stride, from, gemv->n_cols * sizeof *from);
        else
            for (size_t j = 0; j < gemv->n_cols; j++)
                ((uint16_t *)gemv->w)[i * gemv->stride + j] = phi_bf16_from_f32(from[j]);
    }
}

enum ph_status phi_gemv_create(const float *w, const float *c, const size_t shape[2],
                               enum phi_gemv_format format, struct phi_gemv **ret_gemv,
                               struct ph_error *reterr)
{
    struct phi_gemv *gemv;

    if (shape[0] == 0 || shape[1] == 0 || shape[0] > SIZE_MAX / 2 || shape[1] > SIZE_MAX / 2)
        return phi_error(reterr, PH_E_SHAPE, "a decoder of %zu latents from %zu voxels", shape[0],
                         shape[1]);
    gemv = phi_calloc(1, sizeof *gemv);
    if (!gemv)
        return phi_error_nomem(reterr, "the decoder's weights", sizeof *gemv);
    gemv->n_rows = shape[0];
    gemv->n_cols = shape[1];
    gemv->n_padded = (shape[0] + ROWS - 1) / ROWS * ROWS;
    gemv->stride = (shape[1] + LANES - 1) / LANES * LANES;
    gemv->format = format;
    gemv->w = phi_calloc2(gemv->n_padded, gemv->stride, element_size(gemv));
    gemv->c = phi_calloc(gemv->stride, sizeof *gemv->c);
    if (!gemv->w || !gemv->c || phi_gemv_reserve(gemv, 1, NULL)) {
        phi_gemv_destroy(&gemv);
        return phi_error_nomem(reterr, "the decoder's weights", shape[0] * shape[1] * sizeof *w);
    }
    copy_weights(gemv, w);
    if (c)
        memcpy(gemv->c, c, shape[1] * sizeof *c);
    choose_variant(gemv);
    *ret_gemv = gemv;
    return PH_OK;
}

enum ph_status phi_gemv_reserve(struct phi_gemv *gemv, size_t n, struct ph_error *reterr)
{
    float *y = phi_calloc2(n, gemv->stride, sizeof *y);
    double *sum = phi_calloc2(n, gemv->n_padded, sizeof *sum);

    if (!y || !sum) {
        phi_free(y);
        phi_free(sum);
        return phi_error_nomem(reterr, "a product's vectors", n * gemv->stride * sizeof *y);
    }
    phi_free(gemv->y);
    phi_free(gemv->sum);
    gemv->y = y;
    gemv->sum = sum;
    gemv->n_most = n;
    return PH_OK;
}

void phi_gemv_destroy(struct phi_gemv **gemv)
{
    if (!gemv || !*gemv)
        return;
    phi_free((*gemv)->w);
    phi_free((*gemv)->c);
    phi_free((*gemv)->y);
    phi_free((*gemv)->sum);
    phi_free(*gemv);
    *gemv = NULL;
}

static void one_task(void *arg, size_t i)
{
    const struct phi_gemv *gemv = arg;

    gemv->rows(gemv, i * TASK);
}

void phi_gemv_run_many(struct phi_gemv *gemv, const float *y, size_t n,
                       const struct phi_parallel *parallel, double *ret)
{
    size_t n_tasks = (gemv->n_padded + TASK - 1) / TASK;

    gemv->n_now = n < gemv->n_most ? n : gemv->n_most;
    for (size_t i = 0; i < gemv->n_now; i++)
        for (size_t j = 0; j < gemv->n_cols; j++)
            gemv->y[i * gemv->stride + j] = y[i * gemv->n_cols + j] - gemv->c[j];
    if (parallel && parallel->run)
        parallel->run(parallel->self, n_tasks, one_task, gemv);
    else
        for (size_t i = 0; i < n_tasks; i++)
            one_task(gemv, i);
    for (size_t i = 0; i < gemv->n_now; i++)
        memcpy(ret + i * gemv->n_rows, gemv->sum + i * gemv->n_padded, gemv->n_rows * sizeof *ret);
}

void phi_gemv_run(struct phi_gemv *gemv, const float *y, const struct phi_parallel *parallel,
                  double *ret)
{
    phi_gemv_run_many(gemv, y, 1, parallel, ret);
}

size_t phi_gemv_bytes(const struct phi_gemv *gemv)
{
    return gemv->n_padded * gemv->stride * element_size(gemv);
}
