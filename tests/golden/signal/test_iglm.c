/* SPDX-License-Identifier: MIT
 * The incremental model against independent batch fits after 10, 20, 40 and 80 volumes, and
 * whitened against generalised least squares: 1e-9 of the stored numbers on data that float32 holds
 * exactly through a two-term split. */
#include "golden.h"
#include "signal/iglm.h"

enum { N = 80, R = 5, Q = 5 };

/* The stored data are float64 and the engine takes float32. The model is linear in the data, so two
 * models, one of y rounded to float32 and one of what rounding left, add up to that of y. */
struct pair {
    struct phi_iglm *high, *low;
};

static struct pair make_pair(double rho, const double *contrast)
{
    const struct phi_iglm_config config = {Q, R, 1, rho};
    struct pair pair = {NULL, NULL};
    struct ph_error err;

    assert_ok(phi_iglm_create(&config, &pair.high, &err), err);
    assert_ok(phi_iglm_create(&config, &pair.low, &err), err);
    assert_int_equal(phi_iglm_set_vector(pair.high, 0, contrast), PH_OK);
    return pair;
}

static void add_pair(struct pair *pair, const double *x, const double *y,
                     const struct phi_iglm_maps *maps)
{
    float high[Q], low[Q];

    for (int v = 0; v < Q; v++) {
        high[v] = (float)y[v];
        low[v] = (float)(y[v] - (double)high[v]);
    }
    assert_int_equal(phi_iglm_add(pair->high, x, high, maps), PH_OK);
    assert_int_equal(phi_iglm_add(pair->low, x, low, NULL), PH_OK);
}

static void beta_of(const struct pair *pair, double *beta /* [R][Q] */)
{
    double high[R], low[R];

    for (size_t v = 0; v < Q; v++) {
        phi_iglm_beta(pair->high, v, high);
        phi_iglm_beta(pair->low, v, low);
        for (int i = 0; i < R; i++)
            beta[i * Q + (int)v] = high[i] + low[i];
    }
}

static void check_snapshot(const json_t *snapshot, const struct pair *pair, size_t n)
{
    double beta[R * Q], want[R * Q], rss[Q], t[Q], got[Q];

    assert_int_equal(phi_iglm_dof(pair->high), n - R);
    golden_numbers(snapshot, "beta_batch", want, R * Q);
    beta_of(pair, beta);
    golden_compare("beta", beta, want, R * Q, 1e-9);
    /* rss and t are not linear in y; rounding y to float32 moves them by 1e-5 of themselves */
    golden_numbers(snapshot, "rss_batch", rss, Q);
    golden_numbers(snapshot, "t_contrast", t, Q);
    for (size_t v = 0; v < Q; v++)
        got[v] = phi_iglm_rss(pair->high, v);
    golden_compare("rss", got, rss, Q, 2e-5);
    for (size_t v = 0; v < Q; v++)
        got[v] = phi_iglm_t(pair->high, 0, v);
    golden_compare("t", got, t, Q, 2e-5);
}

static void snapshots(void **state)
{
    json_t *root = golden_open("iglm.json");
    static double x[N][R], y[N][Q];
    double contrast[R], residual[Q], got[Q];
    float newest[Q];
    const struct phi_iglm_maps maps = {.residual = newest};
    struct pair pair;

    (void)state;
    golden_numbers(root, "X", &x[0][0], N * R);
    golden_numbers(root, "Y", &y[0][0], N * Q);
    golden_numbers(root, "contrast", contrast, R);
    pair = make_pair(0, contrast);
    for (size_t n = 1; n <= N; n++) {
        char key[32];

        add_pair(&pair, x[n - 1], y[n - 1], &maps);
        if (n != 10 && n != 20 && n != 40 && n != 80)
            continue;
        snprintf(key, sizeof key, "snapshots.%zu", n);
        check_snapshot(golden_field(root, key), &pair, n);
        golden_numbers(golden_field(root, key), "last_residual", residual, Q);
        for (int v = 0; v < Q; v++)
            got[v] = (double)newest[v];
        golden_compare("residual", got, residual, Q, 5e-5);
    }
    phi_iglm_destroy(&pair.high);
    phi_iglm_destroy(&pair.low);
    json_decref(root);
}

static void whitened(void **state)
{
    json_t *root = golden_open("iglm.json");
    static double x[N][R], y[N][Q];
    double contrast[R], beta[R * Q], want[R * Q];
    struct pair pair;

    (void)state;
    golden_numbers(root, "X", &x[0][0], N * R);
    golden_numbers(root, "Y", &y[0][0], N * Q);
    golden_numbers(root, "contrast", contrast, R);
    golden_numbers(root, "ar1.beta_gls", want, R * Q);
    pair = make_pair(golden_number(root, "ar1.rho"), contrast);
    for (size_t n = 0; n < N; n++)
        add_pair(&pair, x[n], y[n], NULL);
    beta_of(&pair, beta);
    golden_compare("beta_gls", beta, want, R * Q, 1e-9);
    phi_iglm_destroy(&pair.high);
    phi_iglm_destroy(&pair.low);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snapshots),
        cmocka_unit_test(whitened),
    };
    return cmocka_run_group_tests_name("golden/signal/iglm", tests, NULL, NULL);
}
