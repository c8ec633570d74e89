/* SPDX-License-Identifier: MIT
 * The product agrees with a float64 loop at awkward sizes; pieces run in any order and several
 * vectors at once give the same bits; 16-bit weights lose what they say. */
#include "decode/gemv.h"

#include "base/mem.h"
#include "base/rng.h"
#include "test.h"

struct problem {
    size_t p, q;
    float *w, *c, *y;
    double *want, *scale, *got;
};

static struct problem make(size_t p, size_t q)
{
    struct problem t = {p,
                        q,
                        phi_calloc2(p, q, 4),
                        phi_calloc(q, 4),
                        phi_calloc(q, 4),
                        phi_calloc(p, 8),
                        phi_calloc(p, 8),
                        phi_calloc(p, 8)};
    struct phi_rng rng;

    phi_rng_init(&rng, p, q);
    phi_rng_normal_f32(&rng, t.w, p * q);
    phi_rng_normal_f32(&rng, t.c, q);
    phi_rng_normal_f32(&rng, t.y, q);
    for (size_t i = 0; i < p; i++)
        for (size_t j = 0; j < q; j++) {
            double term = (double)t.w[i * q + j] * (double)(t.y[j] - t.c[j]);

            t.want[i] += term;
            t.scale[i] += fabs(term);
        }
    return t;
}

static void drop(struct problem *t)
{
    void *blocks[] = {t->w, t->c, t->y, t->want, t->scale, t->got};

    for (size_t i = 0; i < 6; i++)
        phi_free(blocks[i]);
}

static void check(size_t p, size_t q, enum phi_gemv_format format, double tolerance)
{
    struct problem t = make(p, q);
    size_t shape[2] = {p, q};
    struct phi_gemv *gemv = NULL;
    struct ph_error err;

    assert_ok(phi_gemv_create(t.w, t.c, shape, format, &gemv, &err), err);
    phi_gemv_run(gemv, t.y, NULL, t.got);
    for (size_t i = 0; i < p; i++)
        assert_near(t.got[i], t.want[i], tolerance * t.scale[i]);
    phi_gemv_destroy(&gemv);
    drop(&t);
}

static void agrees_with_plain_loop(void **state)
{
    const size_t sizes[] = {1, 3, 4, 33, 66};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        check(sizes[i], 1, PHI_GEMV_F32, 1e-6);
        check(sizes[i], 31, PHI_GEMV_F32, 1e-6);
        check(sizes[i], 9001, PHI_GEMV_F32, 1e-6);
        check(sizes[i], 4096, PHI_GEMV_BF16, 0.004); /* half a unit of 8 bits */
    }
}

static void backwards(void *self, size_t n, void (*fn)(void *, size_t), void *arg)
{
    *(size_t *)self = n;
    while (n-- > 0)
        fn(arg, n);
}

static void order_of_pieces_leaves_the_bits(void **state)
{
    struct problem t = make(100, 5000);
    size_t shape[2] = {100, 5000}, n_pieces = 0;
    const struct phi_parallel parallel = {backwards, &n_pieces};
    struct phi_gemv *gemv = NULL;
    struct ph_error err;

    (void)state;
    assert_ok(phi_gemv_create(t.w, t.c, shape, PHI_GEMV_F32, &gemv, &err), err);
    phi_gemv_run(gemv, t.y, NULL, t.want);
    phi_gemv_run(gemv, t.y, &parallel, t.got);
    assert_true(n_pieces > 1);
    assert_memory_equal(t.got, t.want, 100 * sizeof *t.got);
    phi_gemv_destroy(&gemv);
    drop(&t);
}

enum { MANY = 3 };

/* Several vectors at once, with room for them made later: the bits of one at a time. */
static void many_equal_one_at_a_time(void **state)
{
    struct problem t = make(35, 4500);
    size_t shape[2] = {35, 4500};
    float *y = phi_calloc2(MANY, 4500, sizeof *y);
    double got[MANY * 35], want[35];
    struct phi_gemv *gemv = NULL;
    struct phi_rng rng;
    struct ph_error err;

    (void)state;
    phi_rng_init(&rng, 2, 2);
    phi_rng_normal_f32(&rng, y, MANY * 4500);
    assert_ok(phi_gemv_create(t.w, t.c, shape, PHI_GEMV_F32, &gemv, &err), err);
    assert_ok(phi_gemv_reserve(gemv, MANY, &err), err);
    phi_gemv_run_many(gemv, y, MANY, NULL, got);
    for (size_t i = 0; i < MANY; i++) {
        phi_gemv_run(gemv, y + i * 4500, NULL, want);
        assert_memory_equal(got + i * 35, want, sizeof want);
    }
    phi_gemv_destroy(&gemv);
    phi_free(y);
    drop(&t);
}

static void bf16_rounds_to_nearest_even(void **state)
{
    (void)state;
    assert_int_equal(phi_bf16_from_f32(1.0f), 0x3f80);
    assert_int_equal(phi_bf16_from_f32(1.00390625f), 0x3f80); /* half way: to even */
    assert_int_equal(phi_bf16_from_f32(1.01171875f), 0x3f82);
    assert_near(phi_bf16_to_f32(0xc040), -3, 0);
}

static void empty_is_refused(void **state)
{
    size_t shape[2] = {0, 5};
    float w = 0;
    struct phi_gemv *gemv = NULL;
    struct ph_error err;

    (void)state;
    assert_int_equal(phi_gemv_create(&w, NULL, shape, PHI_GEMV_F32, &gemv, &err), PH_E_SHAPE);
    assert_null(gemv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_plain_loop),
        cmocka_unit_test(order_of_pieces_leaves_the_bits),
        cmocka_unit_test(many_equal_one_at_a_time),
        cmocka_unit_test(bf16_rounds_to_nearest_even),
        cmocka_unit_test(empty_is_refused),
    };
    return cmocka_run_group_tests_name("decode/gemv", tests, NULL, NULL);
}
