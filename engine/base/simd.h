/* SPDX-License-Identifier: MIT
 *
 * PHI_VECTOR before a function compiles it twice, for plain x86-64 and for AVX2, and the program
 * picks one when it starts. Meant for element-wise loops: without FMA and with -ffp-contract=off
 * both give the same bits. Sanitizers cannot run code that early and clang 14 clones static
 * functions badly, so there, and on other machines, it is the plain function alone.
 */
#ifndef PHI_BASE_SIMD_H
#define PHI_BASE_SIMD_H

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#    define PHI_VECTOR __attribute__((target_clones("avx2", "default")))
#else
#    define PHI_VECTOR
#endif

#endif
