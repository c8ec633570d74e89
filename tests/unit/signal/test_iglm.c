/* SPDX-License-Identifier: MIT
 * The incremental model equals the batch fit (normal equations in long double) to 1e-9 on random
 * designs at every length, also whitened and with censored rows; newest residuals and maps agree
 * with the betas; blocks in any order give the same bits; degenerate input stays finite. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "signal/iglm.h"
#include "test.h"

enum { MAX_R = 12, MAX_N = 60 };

struct batch {
    size_t n, r;
    double x[MAX_N][MAX_R];
    double y[MAX_N];
};

/* Least squares by Cholesky on long double normal equations; *ret_rss and the contrast's t. */
static void solve_batch(const struct batch *b, const double *c, double *beta, double *ret_rss,
                        double *ret_t)
{
    long double l[MAX_R][MAX_R] = {{0}}, w[MAX_R], u[MAX_R], rss = 0, cc = 0;

    for (size_t i = 0; i < b->r; i++)
        for (size_t j = 0; j <= i; j++) {
            long double sum = 0;

            for (size_t t = 0; t < b->n; t++)
                sum += (long double)b->x[t][i] * b->x[t][j];
            for (size_t k = 0; k < j; k++)
                sum -= l[i][k] * l[j][k];
            l[i][j] = i == j ? sqrtl(sum) : sum / l[j][j];
        }
    for (size_t i = 0; i < b->r; i++) {
        w[i] = 0;
        u[i] = c[i];
        for (size_t t = 0; t < b->n; t++)
            w[i] += (long double)b->x[t][i] * b->y[t];
        for (size_t k = 0; k < i; k++) {
            w[i] -= l[i][k] * w[k];
            u[i] -= l[i][k] * u[k];
        }
        w[i] /= l[i][i];
        u[i] /= l[i][i];
        cc += u[i] * u[i];
    }
    for (size_t i = b->r; i-- > 0;) {
        for (size_t k = i + 1; k < b->r; k++)
            w[i] -= l[k][i] * w[k];
        w[i] /= l[i][i];
        beta[i] = (double)w[i];
    }
    *ret_t = 0;
    for (size_t t = 0; t < b->n; t++) {
        long double e = b->y[t];

        for (size_t i = 0; i < b->r; i++)
            e -= w[i] * b->x[t][i];
        rss += e * e;
    }
    for (size_t i = 0; i < b->r; i++)
        *ret_t += c[i] * beta[i];
    *ret_rss = (double)rss;
    *ret_t /= sqrt((double)(rss / (long double)(b->n - b->r) * cc));
}

static struct phi_iglm *make(size_t q, size_t r, size_t n_vectors, double rho)
{
    struct phi_iglm_config config = {q, r, n_vectors, rho};
    struct phi_iglm *glm = NULL;
    struct ph_error err;

    assert_ok(phi_iglm_create(&config, &glm, &err), err);
    return glm;
}

/* Design row t: a constant, a trend, then random columns. */
static void random_row(struct phi_rng *rng, size_t t, size_t r, double *x)
{
    for (size_t i = 0; i < r; i++)
        x[i] = i == 0 ? 1 : i == 1 ? (double)t / 30 - 1 : phi_rng_normal(rng);
}

static void equals_batch_on_random_designs(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct phi_rng rng;
        struct batch batch = {.r = 1 + seed % MAX_R};
        struct phi_iglm *glm = make(3, batch.r, 1, 0);
        double c[MAX_R], beta[MAX_R], want[MAX_R], rss, t_value;

        phi_rng_init(&rng, seed, 1);
        for (size_t i = 0; i < batch.r; i++)
            c[i] = phi_rng_normal(&rng);
        assert_int_equal(phi_iglm_set_vector(glm, 0, c), PH_OK);
        for (size_t t = 0; t < MAX_N; t++) {
            float y[3], residual[3], value[3], t_map[3];
            const struct phi_iglm_maps maps = {
                .value = {value}, .t = {t_map}, .residual = residual};

            random_row(&rng, t, batch.r, batch.x[t]);
            for (int v = 0; v < 3; v++)
                y[v] = (float)(800 + 10 * phi_rng_normal(&rng));
            batch.y[t] = (double)y[1];
            batch.n = t + 1;
            assert_int_equal(phi_iglm_add(glm, batch.x[t], y, &maps), PH_OK);
            if (batch.n <= batch.r + 1)
                continue;
            solve_batch(&batch, c, want, &rss, &t_value);
            phi_iglm_beta(glm, 1, beta);
            double fit = 0, combined = 0;
            for (size_t i = 0; i < batch.r; i++) {
                assert_near(beta[i], want[i], 1e-9 * (1 + fabs(want[i])));
                fit += beta[i] * batch.x[t][i];
                combined += beta[i] * c[i];
            }
            assert_near(phi_iglm_rss(glm, 1), rss, 1e-9 * rss);
            assert_near(phi_iglm_t(glm, 0, 1), t_value, 1e-9 * (1 + fabs(t_value)));
            assert_near(t_map[1], t_value, 1e-6 * (1 + fabs(t_value)));
            assert_near(value[1], combined, 1e-6 * (1 + fabs(combined)));
            assert_near(residual[1], batch.y[t] - fit, 1e-5);
            assert_int_equal(phi_iglm_dof(glm), batch.n - batch.r);
        }
        phi_iglm_destroy(&glm);
    }
}

/* Whitened rows of generalised least squares with rows missing, by Cholesky of the noise
 * covariance rho^|i-j| of the rows that are there. */
static void whiten_batch(struct batch *b, const size_t *when, double rho)
{
    static double l[MAX_N][MAX_N];

    for (size_t i = 0; i < b->n; i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = pow(rho, fabs((double)when[i] - (double)when[j])) / (1 - rho * rho);

            for (size_t k = 0; k < j; k++)
                sum -= l[i][k] * l[j][k];
            l[i][j] = i == j ? sqrt(sum) : sum / l[j][j];
        }
    for (size_t i = 0; i < b->n; i++) {
        for (size_t k = 0; k < i; k++) {
            b->y[i] -= l[i][k] * b->y[k];
            for (size_t c = 0; c < b->r; c++)
                b->x[i][c] -= l[i][k] * b->x[k][c];
        }
        b->y[i] /= l[i][i];
        for (size_t c = 0; c < b->r; c++)
            b->x[i][c] /= l[i][i];
    }
}

static void whitening_with_censored_rows_is_gls(void **state)
{
    struct phi_rng rng;
    struct batch batch = {.r = 4};
    struct phi_iglm *glm = make(1, 4, 1, 0.4);
    size_t when[MAX_N];
    const double c[4] = {0, 0, 1, -1};
    double beta[4], want[4], rss, t_value;

    (void)state;
    phi_rng_init(&rng, 5, 0);
    assert_int_equal(phi_iglm_set_vector(glm, 0, c), PH_OK);
    for (size_t t = 0; t < MAX_N; t++) {
        bool learn = t % 7 != 3 && t % 7 != 4 && t != 0;
        double x[4];
        float y = (float)(500 + phi_rng_normal(&rng));

        random_row(&rng, t, 4, x);
        assert_int_equal(phi_iglm_begin(glm, x, learn), PH_OK);
        phi_iglm_block(glm, 0, &y, NULL);
        if (learn) {
            when[batch.n] = t;
            memcpy(batch.x[batch.n], x, sizeof x);
            batch.y[batch.n++] = (double)y;
        }
    }
    whiten_batch(&batch, when, 0.4);
    solve_batch(&batch, c, want, &rss, &t_value);
    phi_iglm_beta(glm, 0, beta);
    for (int i = 0; i < 4; i++)
        assert_near(beta[i], want[i], 1e-9 * (1 + fabs(want[i])));
    assert_near(phi_iglm_rss(glm, 0), rss, 1e-9 * rss);
    assert_near(phi_iglm_t(glm, 0, 0), t_value, 1e-9);
    assert_int_equal(phi_iglm_n_rows(glm), batch.n);
    phi_iglm_destroy(&glm);
}

static void censored_volumes_change_nothing_but_are_cleaned(void **state)
{
    struct phi_iglm *glm = make(2, 2, 1, 0);
    const double row[2] = {1, 5};
    float y[2] = {0}, value[2], residual[2];
    const struct phi_iglm_maps maps = {.value = {value}, .residual = residual};
    double before[2], after[2];

    (void)state;
    for (int t = 0; t < 10; t++) {
        const double x[2] = {1, t};

        y[0] = (float)(100 + 2 * t + (t % 3 == 0));
        assert_int_equal(phi_iglm_add(glm, x, y, NULL), PH_OK);
    }
    phi_iglm_beta(glm, 0, before);
    assert_int_equal(phi_iglm_set_vector(glm, 0, row), PH_OK);
    assert_int_equal(phi_iglm_begin(glm, row, false), PH_OK);
    y[0] = 1e9F;
    phi_iglm_block(glm, 0, y, &maps);
    phi_iglm_beta(glm, 0, after);
    assert_memory_equal(before, after, sizeof before);
    assert_near(value[0], before[0] + 5 * before[1], 1e-5);
    assert_true(residual[0] == 0);
    phi_iglm_destroy(&glm);
}

/* Feeds 20 volumes of `q` voxels, blocks forwards or backwards; returns a checksum of all maps. */
static double run(size_t q, bool backwards, float *t_map)
{
    struct phi_iglm *glm = make(q, 5, 1, 0.2);
    const double c[5] = {0, 0, 1, 0, 0};
    const struct phi_iglm_maps maps = {.t = {t_map}};
    float *y = phi_calloc(q, sizeof *y);
    struct phi_rng rng;
    double sum = 0;

    phi_rng_init(&rng, 3, 3);
    assert_int_equal(phi_iglm_set_vector(glm, 0, c), PH_OK);
    for (size_t t = 0; t < 20; t++) {
        double x[5];
        size_t n_blocks = phi_iglm_n_blocks(glm);

        random_row(&rng, t, 5, x);
        phi_rng_normal_f32(&rng, y, q);
        assert_int_equal(phi_iglm_begin(glm, x, true), PH_OK);
        for (size_t b = 0; b < n_blocks; b++)
            phi_iglm_block(glm, backwards ? n_blocks - 1 - b : b, y, &maps);
    }
    for (size_t v = 0; v < q; v++)
        sum += phi_iglm_rss(glm, v);
    phi_free(y);
    phi_iglm_destroy(&glm);
    return sum;
}

static void blocks_in_any_order_give_the_same_bits(void **state)
{
    const size_t sizes[] = {1, PHI_IGLM_BLOCK - 1, PHI_IGLM_BLOCK, 3 * PHI_IGLM_BLOCK + 7};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        float *a = phi_calloc(sizes[i], sizeof *a);
        float *b = phi_calloc(sizes[i], sizeof *b);

        assert_true(run(sizes[i], false, a) == run(sizes[i], true, b));
        assert_memory_equal(a, b, sizes[i] * sizeof *a);
        phi_free(a);
        phi_free(b);
    }
}

static void reset_is_fresh(void **state)
{
    struct phi_iglm *glm = make(1, 2, 1, 0.3);
    const double c[2] = {0, 1};
    double first[2], second[2];

    (void)state;
    assert_int_equal(phi_iglm_set_vector(glm, 0, c), PH_OK);
    for (int pass = 0; pass < 2; pass++) {
        for (int t = 0; t < 9; t++) {
            const double x[2] = {1, t * t};
            float y = (float)(50 + t % 4);

            assert_int_equal(phi_iglm_add(glm, x, &y, NULL), PH_OK);
        }
        phi_iglm_beta(glm, 0, pass ? second : first);
        phi_iglm_reset(glm);
        assert_int_equal(phi_iglm_n_rows(glm), 0);
        assert_false(phi_iglm_estimable(glm, 0));
    }
    assert_memory_equal(first, second, sizeof first);
    phi_iglm_destroy(&glm);
}

static void resized_equals_made_so(void **state)
{
    struct phi_iglm *big = make(700, 3, 0, 0);
    struct phi_iglm *small = make(300, 3, 0, 0);
    struct phi_rng rng;
    float y[700];

    (void)state;
    phi_rng_init(&rng, 8, 0);
    assert_int_equal(phi_iglm_resize(big, 701), PH_E_SHAPE);
    assert_int_equal(phi_iglm_resize(big, 0), PH_E_SHAPE);
    for (size_t t = 0; t < 12; t++) {
        double x[3];

        random_row(&rng, t, 3, x);
        phi_rng_normal_f32(&rng, y, 700);
        if (t == 2)
            assert_int_equal(phi_iglm_resize(big, 300), PH_OK);
        y[300] = t < 2 ? 0 : NAN; /* beyond its voxels: not looked at */
        assert_int_equal(phi_iglm_add(big, x, y, NULL), PH_OK);
        if (t >= 2)
            assert_int_equal(phi_iglm_add(small, x, y, NULL), PH_OK);
    }
    assert_int_equal(phi_iglm_n_blocks(big), 2);
    for (size_t v = 0; v < 300; v++)
        assert_true(phi_iglm_rss(big, v) == phi_iglm_rss(small, v));
    phi_iglm_destroy(&big);
    phi_iglm_destroy(&small);
}

static void collinear_and_empty_columns(void **state)
{
    struct phi_iglm *glm = make(1, 5, 3, 0);
    const double sum_of_twins[5] = {0, 1, 1, 0, 0}; /* x2 = 2 x1: only b1 + 2 b2 is determined */
    const double determined[5] = {0, 1, 2, 0, 0};
    const double empty[5] = {0, 0, 0, 1, 0};
    struct phi_rng rng;
    double beta[5];
    float y, t_map[3] = {9, 9, 9};
    const struct phi_iglm_maps maps = {.t = {&t_map[0], &t_map[1], &t_map[2]}};

    (void)state;
    phi_rng_init(&rng, 1, 0);
    assert_int_equal(phi_iglm_set_vector(glm, 0, sum_of_twins), PH_OK);
    assert_int_equal(phi_iglm_set_vector(glm, 1, determined), PH_OK);
    assert_int_equal(phi_iglm_set_vector(glm, 2, empty), PH_OK);
    for (int t = 0; t < 40; t++) {
        double u = phi_rng_normal(&rng), w = phi_rng_normal(&rng);
        const double x[5] = {1, u, 2 * u, 0, w};

        y = (float)(700 + 3 * u + 0.01 * phi_rng_normal(&rng));
        assert_int_equal(phi_iglm_add(glm, x, &y, &maps), PH_OK);
        assert_true(isfinite(t_map[0]) && isfinite(t_map[1]) && isfinite(t_map[2]));
    }
    assert_int_equal(phi_iglm_rank(glm), 3);
    assert_int_equal(phi_iglm_dof(glm), 37);
    assert_false(phi_iglm_estimable(glm, 0));
    assert_true(phi_iglm_estimable(glm, 1));
    assert_false(phi_iglm_estimable(glm, 2));
    assert_true(t_map[0] == 0 && t_map[2] == 0 && t_map[1] > 100);
    phi_iglm_beta(glm, 0, beta);
    assert_near(beta[1] + 2 * beta[2], 3, 0.02);
    assert_true(beta[3] == 0);
    phi_iglm_destroy(&glm);
}

static void fewer_volumes_than_regressors_and_constant_voxels(void **state)
{
    struct phi_iglm *glm = make(1, 6, 1, 0);
    const double c[6] = {0, 1, 0, 0, 0, 0};
    struct phi_rng rng;
    float y = 500, t_map = 7;
    const struct phi_iglm_maps maps = {.t = {&t_map}};
    double beta[6];

    (void)state;
    phi_rng_init(&rng, 2, 0);
    assert_int_equal(phi_iglm_set_vector(glm, 0, c), PH_OK);
    for (size_t t = 0; t < 30; t++) {
        double x[6];

        random_row(&rng, t, 6, x);
        assert_int_equal(phi_iglm_add(glm, x, &y, &maps), PH_OK);
        phi_iglm_beta(glm, 0, beta);
        for (int i = 0; i < 6; i++)
            assert_true(isfinite(beta[i]));
        assert_true(isfinite(t_map));
        if (t < 6)
            assert_true(t_map == 0);
        assert_int_equal(phi_iglm_rank(glm), t < 6 ? t + 1 : 6);
    }
    assert_near(beta[0], 500, 1e-9);
    phi_iglm_destroy(&glm);
}

static void bad_input_is_refused(void **state)
{
    struct phi_iglm *glm = make(20, 2, 1, 0);
    struct phi_iglm_config wrong[] = {{0, 2, 0, 0},  {5, 0, 0, 0}, {5, 1000, 0, 0},
                                      {5, 2, 99, 0}, {5, 2, 0, 1}, {5, 2, 0, NAN}};
    struct phi_iglm *none = NULL;
    struct ph_error err;
    double x[2] = {1, 2};
    float y[20] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(phi_iglm_create(&wrong[i], &none, &err), PH_E_INVAL);
        assert_true(!none && err.text[0]);
    }
    wrong[0] = (struct phi_iglm_config){SIZE_MAX / 2, 200, 0, 0};
    assert_int_equal(phi_iglm_create(&wrong[0], &none, &err), PH_E_NOMEM);
    y[17] = NAN;
    assert_int_equal(phi_iglm_add(glm, x, y, NULL), PH_E_INVAL);
    y[17] = -INFINITY;
    assert_int_equal(phi_iglm_add(glm, x, y, NULL), PH_E_INVAL);
    y[17] = 0;
    x[1] = NAN;
    assert_int_equal(phi_iglm_add(glm, x, y, NULL), PH_E_INVAL);
    assert_int_equal(phi_iglm_set_vector(glm, 0, x), PH_E_INVAL);
    x[1] = 1;
    assert_int_equal(phi_iglm_set_vector(glm, 1, x), PH_E_INVAL);
    assert_int_equal(phi_iglm_n_rows(glm), 0);
    phi_iglm_destroy(&glm);
    phi_iglm_destroy(&glm);
    phi_iglm_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_batch_on_random_designs),
        cmocka_unit_test(whitening_with_censored_rows_is_gls),
        cmocka_unit_test(censored_volumes_change_nothing_but_are_cleaned),
        cmocka_unit_test(blocks_in_any_order_give_the_same_bits),
        cmocka_unit_test(reset_is_fresh),
        cmocka_unit_test(resized_equals_made_so),
        cmocka_unit_test(collinear_and_empty_columns),
        cmocka_unit_test(fewer_volumes_than_regressors_and_constant_voxels),
        cmocka_unit_test(bad_input_is_refused),
    };
    return cmocka_run_group_tests_name("signal/iglm", tests, NULL, NULL);
}
