/* SPDX-License-Identifier: MIT */
#include <cblas.h>

#define REAL    float
#define GEMM    cblas_sgemm
#define NAME(x) x##_f32

#include "decode/ridge_block_tmpl.h"
