/* SPDX-License-Identifier: MIT
 * Scores of pairs: similarities by hand; a table whose diagonal is best is told from chance and one
 * of noise is not, its mean, standard error and wrong pairings are those of plain sums; a paired
 * difference sees a small constant gain that the methods' own intervals hide; attributes that carry
 * the score correlate as they should, and the largest of many that do not is no surprise. */
#include "base/rng.h"
#include "decode/paired.h"
#include "test.h"

enum { N = 30, K = 12 };

static const struct phi_paired_items items = {N, 500, 3};

static void similarities(void **state)
{
    const float a[4] = {1, 2, 3, 4}, b[4] = {1, 0, 3, 2};

    (void)state;
    assert_near(phi_similarity_distance(a, b, 4), 1 / (1 + sqrt(8)), 1e-12);
    assert_near(phi_similarity_mse(a, b, 4), 1.0 / 3, 1e-12);
    assert_near(phi_similarity_distance(a, a, 4), 1, 0);
    assert_near(phi_similarity_mse(b, b, 4), 1, 0);
}

static void fill(double *table, double gain, uint64_t seed)
{
    struct phi_rng rng;

    phi_rng_init(&rng, seed, 0);
    for (size_t i = 0; i < (size_t)N * N; i++)
        table[i] = phi_rng_normal(&rng) + (i / N == i % N ? gain : 0);
}

static void tables_are_summarised(void **state)
{
    static double table[N * N];
    struct phi_paired_score score;
    struct ph_error err;
    double right = 0, all = 0, squares = 0;

    (void)state;
    fill(table, 2, 1);
    assert_ok(phi_paired_summary(table, &items, &score, &err), err);
    for (size_t i = 0; i < (size_t)N * N; i++)
        all += table[i];
    for (size_t i = 0; i < N; i++)
        right += table[i * N + i];
    for (size_t i = 0; i < N; i++)
        squares += (table[i * N + i] - right / N) * (table[i * N + i] - right / N);
    assert_near(score.mean, right / N, 1e-12);
    assert_near(score.sem, sqrt(squares / (N - 1) / N), 1e-12);
    assert_near(score.other, (all - right) / (N * (N - 1)), 1e-12);
    assert_near(score.p, 1.0 / (1 + 500), 1e-12);
    assert_near(score.high - score.low, 2 * 1.96 * score.sem, 0.25 * score.sem * 4);
    assert_true(score.low < score.mean && score.mean < score.high);
    fill(table, 0, 2);
    assert_ok(phi_paired_summary(table, &items, &score, &err), err);
    assert_true(score.p > 0.02);
}

static void differences_are_paired(void **state)
{
    double a[N], b[N], table[N * N] = {0};
    struct phi_interval ci;
    struct phi_paired_score of_a, of_b;
    struct phi_rng rng;
    struct ph_error err;

    (void)state;
    phi_rng_init(&rng, 5, 0);
    for (size_t i = 0; i < N; i++) {
        double item = phi_rng_normal(&rng); /* how hard the item is, for both alike */

        b[i] = item;
        a[i] = item + 0.1 + 0.05 * phi_rng_normal(&rng);
    }
    assert_ok(phi_paired_difference(a, b, &items, &ci, &err), err);
    assert_near(ci.score, 0.1, 0.03);
    assert_true(ci.low > 0.05 && ci.high < 0.15);
    for (size_t i = 0; i < N; i++)
        table[i * N + i] = a[i];
    assert_ok(phi_paired_summary(table, &items, &of_a, &err), err);
    for (size_t i = 0; i < N; i++)
        table[i * N + i] = b[i];
    assert_ok(phi_paired_summary(table, &items, &of_b, &err), err);
    assert_true(of_a.low < of_b.high); /* their own intervals overlap all the same */
}

static void attributes_are_related(void **state)
{
    double score[N], r[K], plain = 0, aa = 0;
    float attributes[N * K];
    const struct phi_relation relation = {score, attributes, K};
    struct phi_null null;
    struct phi_rng rng;
    struct ph_error err;
    double mean_s = 0, mean_a = 0, ss = 0;

    (void)state;
    phi_rng_init(&rng, 9, 0);
    for (size_t i = 0; i < N; i++) {
        score[i] = phi_rng_normal(&rng);
        for (size_t k = 0; k < K; k++)
            attributes[i * K + k] = (float)phi_rng_normal(&rng);
        attributes[i * K + 1] = 7; /* the same for all */
    }
    assert_ok(phi_relation_test(&relation, &items, r, &null, &err), err);
    assert_true(null.p > 0.02);
    assert_near(r[1], 0, 0);
    for (size_t i = 0; i < N; i++)
        attributes[i * K + 4] = (float)(-score[i] + 0.3 * phi_rng_normal(&rng));
    assert_ok(phi_relation_test(&relation, &items, r, &null, &err), err);
    assert_near(null.p, 1.0 / 501, 1e-12);
    for (size_t i = 0; i < N; i++) {
        mean_s += score[i] / N;
        mean_a += (double)attributes[i * K + 4] / N;
    }
    for (size_t i = 0; i < N; i++) {
        double s = score[i] - mean_s, a = (double)attributes[i * K + 4] - mean_a;

        plain += s * a;
        ss += s * s;
        aa += a * a;
    }
    assert_near(r[4], plain / sqrt(ss * aa), 1e-9);
    assert_true(r[4] < -0.8);
    assert_near(null.score, -r[4], 1e-12);
}

static void too_few_items_are_refused(void **state)
{
    const struct phi_paired_items one = {1, 100, 0};
    const double table[1] = {1};
    struct phi_paired_score score;
    struct ph_error err;

    (void)state;
    assert_int_equal(phi_paired_summary(table, &one, &score, &err), PH_E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(similarities),
        cmocka_unit_test(tables_are_summarised),
        cmocka_unit_test(differences_are_paired),
        cmocka_unit_test(attributes_are_related),
        cmocka_unit_test(too_few_items_are_refused),
    };

    return cmocka_run_group_tests_name("decode/paired", tests, NULL, NULL);
}
