/* SPDX-License-Identifier: MIT
 * Posterior mean, covariance, gain and log evidence for an identity prior, a general prior with a
 * mean, and a full noise covariance; the generalised eigenproblem itself. Tolerance 1e-9. */
#include "decode/linalg.h"
#include "decode/noise.h"
#include "decode/reduce.h"
#include "golden.h"

enum { P = 4, Q = 7 };

struct problem {
    json_t *root;
    double *b, *sigma2, *prior, *mu, *y;
    double low_rank[3 * Q]; /* F of the full covariance diag(sigma2) + F'F */
};

/* The stored full covariance is diag(sigma2) plus rank 3: its square root by eigenvectors. */
static void split_full(struct problem *t)
{
    double *full = golden_array(t->root, "Sigma_full", Q * Q), values[Q];
    struct ph_error err;

    for (size_t i = 0; i < Q; i++)
        full[i * Q + i] -= t->sigma2[i];
    assert_ok(phi_eigh(full, Q, values, &err), err);
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < Q; i++)
            t->low_rank[k * Q + i] = sqrt(values[Q - 1 - k]) * full[(Q - 1 - k) * Q + i];
    phi_free(full);
}

static void open_problem(struct problem *t)
{
    t->root = golden_json("posterior.json");
    t->b = golden_array(t->root, "B", P * Q);
    t->sigma2 = golden_array(t->root, "sigma2", Q);
    t->prior = golden_array(t->root, "Q", P * P);
    t->mu = golden_array(t->root, "prior_mean", P);
    t->y = golden_array(t->root, "y", Q);
    split_full(t);
}

static void close_problem(struct problem *t)
{
    json_decref(t->root);
    phi_free(t->b);
    phi_free(t->sigma2);
    phi_free(t->prior);
    phi_free(t->mu);
    phi_free(t->y);
}

static void compare(const struct problem *t, const char *name, const char *key, const double *got,
                    size_t n)
{
    char path[64];
    double *want;

    snprintf(path, sizeof path, "%s.%s", name, key);
    want = golden_array(t->root, path, n);
    assert_near(golden_error(got, want, n), 0, 1e-9);
    phi_free(want);
}

static void check(struct problem *t, const char *name, const double *prior, const double *mu,
                  size_t rank)
{
    struct phi_noise noise = {Q, rank, t->sigma2, t->low_rank};
    double bs[P * Q], g[P * P] = {0}, t_[P * P], d[P], w[P * Q] = {0}, eta[P] = {0}, mean[P],
                            var[P], z[P], sd[P], cov[P * P], gain[P * Q] = {0}, r[Q], evidence = 0;
    struct ph_error err;

    assert_ok(phi_noise_solve(&noise, t->b, P, bs, &err), err);
    for (size_t i = 0; i < P * P; i++)
        for (size_t v = 0; v < Q; v++)
            g[i] += bs[i / P * Q + v] * t->b[i % P * Q + v];
    assert_ok(phi_reduce(g, prior, P, t_, d, &err), err);
    for (size_t v = 0; v < Q; v++) {
        r[v] = t->y[v];
        for (size_t k = 0; mu && k < P; k++)
            r[v] -= t->b[k * Q + v] * mu[k];
        for (size_t i = 0; i < P; i++) {
            for (size_t k = 0; k < P; k++)
                w[i * Q + v] += t_[k * P + i] * bs[k * Q + v];
            eta[i] += w[i * Q + v] * r[v];
        }
    }
    phi_channel_posterior(d, eta, 1, P, mean, var);
    phi_channels_to_latent(t_, mu, P, mean, var, z, sd);
    phi_channels_to_cov(t_, var, P, cov);
    for (size_t i = 0; i < P * Q; i++)
        for (size_t k = 0; k < P; k++)
            gain[i] += t_[i / Q * P + k] * var[k] * w[k * Q + i % Q];
    compare(t, name, "mean", z, P);
    compare(t, name, "cov", cov, P * P);
    compare(t, name, "gain", gain, P * Q);
    for (size_t k = 0; k < P; k++)
        assert_near(sd[k] * sd[k], cov[k * P + k], 1e-12);
    assert_ok(phi_noise_loglik(&noise, r, &evidence, &err), err);
    evidence += phi_channels_gain(d, eta, 1, P);
    compare(t, name, "log_evidence", &evidence, 1);
}

static void posteriors(void **state)
{
    struct problem t;

    (void)state;
    open_problem(&t);
    check(&t, "identity_prior_diag", NULL, NULL, 0);
    check(&t, "Q_prior_mean_diag", t.prior, t.mu, 0);
    check(&t, "Q_prior_full_Sigma", t.prior, t.mu, 3);
    close_problem(&t);
}

/* The reference leaves the sign of each column of T open. */
static void generalised_eigenproblem(void **state)
{
    struct problem t;
    double g[P * P] = {0}, t_[P * P], d[P];
    double *want_t;
    struct ph_error err;

    (void)state;
    open_problem(&t);
    for (size_t i = 0; i < P * P; i++)
        for (size_t v = 0; v < Q; v++)
            g[i] += t.b[i / P * Q + v] * t.b[i % P * Q + v] / t.sigma2[v];
    assert_ok(phi_reduce(g, t.prior, P, t_, d, &err), err);
    compare(&t, "generalised_eigen_Q_diag", "d", d, P);
    want_t = golden_array(t.root, "generalised_eigen_Q_diag.T", P * P);
    for (size_t k = 0; k < P; k++) {
        double sign = t_[k] * want_t[k] < 0 ? -1 : 1;

        for (size_t i = 0; i < P; i++)
            assert_near(t_[i * P + k], sign * want_t[i * P + k], 1e-9);
    }
    phi_free(want_t);
    close_problem(&t);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(posteriors),
                                       cmocka_unit_test(generalised_eigenproblem)};

    golden_dir = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests_name("golden/posterior", tests, NULL, NULL);
}
