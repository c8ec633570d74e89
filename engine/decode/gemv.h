/* SPDX-License-Identifier: MIT
 *
 * x = W (y - c) for one volume: the only part of decoding that touches every voxel. W is copied
 * once into huge pages with padded rows and is then read from memory once a volume, so the time is
 * its bytes over the memory's bandwidth; 16-bit weights halve it. Rows are summed in a fixed order
 * whatever the processor or the number of workers, so the bits are always the same. An object
 * belongs to one thread at a time; run neither allocates nor blocks.
 */
#ifndef PHI_DECODE_GEMV_H
#define PHI_DECODE_GEMV_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

enum phi_gemv_format {
    PHI_GEMV_F32 = 0,
    PHI_GEMV_BF16 = 1 /* rounded to 8 significant bits: error about 0.2 % of a weight */
};

/* How to run n independent pieces of work, as ph_host.parallel_for; `run` NULL means in turn. */
struct phi_parallel {
    void (*run)(void *self, size_t n, void (*fn)(void *arg, size_t i), void *arg);
    void *self;
};

struct phi_gemv;

/* Copies w[n_rows][n_cols] and c[n_cols] (NULL: zero). Owned by the caller. PH_E_SHAPE if a size is
 * zero, PH_E_NOMEM. */
PH_NODISCARD enum ph_status phi_gemv_create(const float *w /* [n_rows][n_cols] */,
                                            const float *c /* [n_cols] */, const size_t shape[2],
                                            enum phi_gemv_format format, struct phi_gemv **ret_gemv,
                                            struct ph_error *reterr);

/* Frees the object; accepts NULL and *gemv == NULL, clears *gemv. */
void phi_gemv_destroy(struct phi_gemv **gemv);

/* ret[n_rows] = W (y - c), float32 products summed in blocks of 4096 and those in float64. A value
 * of y that is not finite makes results that are not finite. */
void phi_gemv_run(struct phi_gemv *gemv, const float *y /* [n_cols] */,
                  const struct phi_parallel *parallel, double *ret /* [n_rows] */);

/* Makes room for up to `n` vectors in one run; 1 after create. Set-up code. */
PH_NODISCARD enum ph_status phi_gemv_reserve(struct phi_gemv *gemv, size_t n,
                                             struct ph_error *reterr);

/* As run for each of n vectors, with the same bits, but W is read once: for small matrices that
 * other work has pushed out of the caches. n at most what was reserved; more are left out. */
void phi_gemv_run_many(struct phi_gemv *gemv, const float *y /* [n][n_cols] */, size_t n,
                       const struct phi_parallel *parallel, double *ret /* [n][n_rows] */);

/* Bytes of W read by one run. */
size_t phi_gemv_bytes(const struct phi_gemv *gemv);

/* The nearest bfloat16 to a finite `value`, ties to even, and back. */
uint16_t phi_bf16_from_f32(float value);
float phi_bf16_to_f32(uint16_t bits);

#endif
