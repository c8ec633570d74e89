/* SPDX-License-Identifier: MIT */
#include <cblas.h>

#define REAL    double
#define GEMM    cblas_dgemm
#define NAME(x) x##_f64

#include "decode/ridge_block_tmpl.h"
