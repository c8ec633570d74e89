/* SPDX-License-Identifier: MIT */
#include "signal/spatial_kernels.h"

extern const struct phi_spatial_kernels phi_spatial_base;
#if defined(__x86_64__)
extern const struct phi_spatial_kernels phi_spatial_avx2;
extern const struct phi_spatial_kernels phi_spatial_avx512;
#endif

static int usable(size_t i)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (i == 1)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (i == 2)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
#endif
    return i == 0;
}

const struct phi_spatial_kernels *phi_spatial_kernels_at(size_t i)
{
#if defined(__x86_64__)
    static const struct phi_spatial_kernels *const sets[] = {&phi_spatial_base, &phi_spatial_avx2,
                                                             &phi_spatial_avx512};
#else
    static const struct phi_spatial_kernels *const sets[] = {&phi_spatial_base};
#endif

    return i < sizeof sets / sizeof *sets && usable(i) ? sets[i] : NULL;
}

const struct phi_spatial_kernels *phi_spatial_kernels(void)
{
    const struct phi_spatial_kernels *best = &phi_spatial_base;

    for (size_t i = 0; phi_spatial_kernels_at(i); i++)
        best = phi_spatial_kernels_at(i);
    return best;
}
