/* SPDX-License-Identifier: MIT */
#include "nn/kernels.h"

const struct phi_kernels *phi_kernels(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return &phi_kernels_avx512;
    if (__builtin_cpu_supports("avx2"))
        return &phi_kernels_avx2;
#endif
    return &phi_kernels_base;
}
