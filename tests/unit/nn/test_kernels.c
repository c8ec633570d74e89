/* SPDX-License-Identifier: MIT
 * The vector functions keep the errors that vmath.h states against libm in double, and the kernels
 * give the same bits on every instruction set this processor has. */
#include "base/rng.h"
#include "nn/kernels.h"
#include "nn/vmath.h"
#include "test.h"

#define N 1003

static void functions_against_libm(void **state)
{
    (void)state;
    for (int i = -400000; i <= 400000; i++) {
        float x = (float)i * 2.2e-4f; /* -88 to 88 */
        double clamped = fmax(-87, fmin(87, (double)x)), e = exp(clamped);

        assert_near(phi_expf(x), e, 3e-7 * e);
        assert_near(phi_tanhf(x), tanh((double)x), 2e-7);
        assert_near(phi_sigmoidf(x), 1 / (1 + exp(-(double)x)), 2e-7);
    }
    assert_near(phi_tanhf(1e-4f), tanh((double)1e-4f), 1e-11); /* near 0 the relative error holds */
}

static void same_bits(const struct phi_kernels *k, const float *const *in)
{
    float a[4][N] = {0}, b[4][N] = {0};
    float *over_under[2][2] = {{a[2], a[3]}, {b[2], b[3]}};

    for (int hard = 0; hard < 2; hard++) {
        phi_kernels_base.cell(in, a[0], N, hard);
        k->cell(in, b[0], N, hard);
        phi_kernels_base.output(in[0], in[1], a[1], N, hard);
        k->output(in[0], in[1], b[1], N, hard);
        phi_kernels_base.pair(in[2], in[3], over_under[0], N);
        k->pair(in[2], in[3], over_under[1], N);
        assert_memory_equal(a, b, sizeof a);
    }
    phi_kernels_base.pool_row(in, a[0], 31, 16);
    k->pool_row(in, b[0], 31, 16);
    assert_memory_equal(a[0], b[0], 31 * 16 * sizeof(float));
    phi_kernels_base.bias(a[0], in[1], (const size_t[]){31, 16}, 0.2f);
    k->bias(b[0], in[1], (const size_t[]){31, 16}, 0.2f);
    phi_kernels_base.bias(a[0], in[1], (const size_t[]){10, 3}, 0);
    k->bias(b[0], in[1], (const size_t[]){10, 3}, 0);
    phi_kernels_base.tanh(a[0], N);
    k->tanh(b[0], 31 * 16);
    assert_memory_equal(a[0], b[0], 31 * 16 * sizeof(float));
}

static void one_result_everywhere(void **state)
{
    static float data[4][N];
    const float *const in[4] = {data[0], data[1], data[2], data[3]};
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 1, 0);
    phi_rng_normal_f32(&rng, data[0], 4 * N);
    for (size_t i = 0; i < N; i++)
        data[0][i] *= 3;
    same_bits(phi_kernels(), in);
#if defined(__x86_64__)
    if (phi_kernels() != &phi_kernels_base)
        same_bits(&phi_kernels_avx2, in);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_against_libm),
        cmocka_unit_test(one_result_everywhere),
    };
    return cmocka_run_group_tests_name("nn/kernels", tests, NULL, NULL);
}
