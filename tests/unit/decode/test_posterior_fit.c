/* SPDX-License-Identifier: MIT
 * The fit in the span of the rows equals the plain way of doing it: one ridge per voxel and fold,
 * residuals of left-out rows, a dense noise matrix, a dense inverse. Properties: scaling or
 * permuting voxels leaves z alone, intervals cover what they claim, infinite temperature gives the
 * prior, threads leave the bits. Bad data are named. */
#include "decode/posterior_fit.h"

#include "base/mem.h"
#include "base/rng.h"
#include "decode/linalg.h"
#include "decode/noise.h"
#include "decode/reduce.h"
#include "test.h"

enum { P = 5, Q = 40, F = 4, MAX_N = 60 };

struct problem {
    size_t n, p, q;
    float x[MAX_N * P], y[MAX_N * Q];
    uint32_t fold[MAX_N];
};

static struct phi_posterior_data data_of(const struct problem *t)
{
    return (struct phi_posterior_data){{t->x, t->fold, t->n, t->p, F, NULL, 0}, t->y, t->q};
}

static void make(struct problem *t, size_t n, uint64_t seed)
{
    struct phi_rng rng;
    double b[P * Q];

    *t = (struct problem){.n = n, .p = P, .q = Q};
    phi_rng_init(&rng, seed, 0);
    for (size_t i = 0; i < P * Q; i++)
        b[i] = phi_rng_normal(&rng);
    for (size_t i = 0; i < n; i++) {
        double shared = phi_rng_normal(&rng);

        t->fold[i] = (uint32_t)(i * F / n);
        for (size_t k = 0; k < P; k++)
            t->x[i * P + k] = (float)(phi_rng_normal(&rng) + 0.5);
        for (size_t v = 0; v < Q; v++) {
            double y = 100 + 3 * phi_rng_normal(&rng) + 2 * shared;

            for (size_t k = 0; k < P; k++)
                y += b[k * Q + v] * (double)t->x[i * P + k];
            t->y[i * Q + v] = (float)y;
        }
    }
}

/* Ridge with intercept on the rows outside fold `out` (F: all rows): b[P] and returns c. */
static double plain_ridge(const struct problem *t, size_t v, double lambda, size_t out, double *b)
{
    double mx[P] = {0}, my = 0, a[P * P] = {0}, n = 0;
    struct ph_error err;

    for (size_t i = 0; i < t->n; i++) {
        if (t->fold[i] == out)
            continue;
        n++;
        my += t->y[i * Q + v];
        for (size_t k = 0; k < P; k++)
            mx[k] += t->x[i * P + k];
    }
    memset(b, 0, P * sizeof *b);
    for (size_t i = 0; i < t->n; i++)
        for (size_t k = 0; t->fold[i] != out && k < P; k++) {
            double xk = t->x[i * P + k] - mx[k] / n;

            b[k] += xk * (t->y[i * Q + v] - my / n);
            for (size_t j = 0; j < P; j++)
                a[k * P + j] += xk * (t->x[i * P + j] - mx[j] / n);
        }
    for (size_t k = 0; k < P; k++)
        a[k * P + k] += lambda;
    assert_ok(phi_chol_factor(a, P, &err), err);
    phi_chol_solve(a, P, b, 1);
    my /= n;
    for (size_t k = 0; k < P; k++)
        my -= b[k] * mx[k] / n;
    return my;
}

static double left_out(const struct problem *t, size_t i, size_t v, double lambda)
{
    double b[P], c = plain_ridge(t, v, lambda, t->fold[i], b);

    for (size_t k = 0; k < P; k++)
        c += b[k] * (double)t->x[i * P + k];
    return t->y[i * Q + v] - c;
}

static double residual_square(const struct problem *t, size_t v, double lambda)
{
    double sum = 0;

    for (size_t i = 0; i < t->n; i++)
        sum += pow(left_out(t, i, v, lambda), 2) / (double)t->n;
    return sum;
}

/* The voxel's best penalty of the fit's grid, or the fixed one. */
static double plain_penalty(const struct problem *t, size_t v, bool is_fixed)
{
    double scale = 0, best = 2.5, least = INFINITY, m[P] = {0};

    for (size_t i = 0; i < t->n * P; i++)
        m[i % P] += t->x[i] / (double)t->n;
    for (size_t i = 0; i < t->n * P; i++)
        scale += pow(t->x[i] - m[i % P], 2) / (double)t->n;
    for (int l = 0; !is_fixed && l < 9; l++) {
        double lambda = scale * pow(10, l - 3), square = residual_square(t, v, lambda);

        if (square < least) {
            least = square;
            best = lambda;
        }
    }
    return best;
}

/* Dense B, c and noise of the whole problem; returns the share of the identity. */
static double plain_fit(const struct problem *t, bool is_fixed, bool full, double *b, double *c,
                        double *s)
{
    double *e = phi_calloc2(t->n, Q, sizeof *e), *gram = phi_calloc2(t->n, t->n, sizeof *gram);
    double variance[Q], raw[Q], share = 1, df = 0;
    struct phi_shrink_sums sums = {.gram = gram, .n = t->n};
    struct phi_smoother *smoother = NULL;
    struct ph_error err;
    struct phi_design design = data_of(t).design;

    assert_ok(phi_smoother_create(&design, &smoother, &err), err);
    for (size_t v = 0; v < Q; v++) {
        double lambda = plain_penalty(t, v, is_fixed), bv[P];

        c[v] = plain_ridge(t, v, lambda, F, bv);
        df += phi_smoother_df(smoother, lambda) / Q;
        raw[v] = residual_square(t, v, lambda);
        variance[v] = raw[v];
        for (size_t k = 0; k < P; k++)
            b[k * Q + v] = bv[k];
        for (size_t i = 0; i < t->n; i++)
            e[i * Q + v] = left_out(t, i, v, lambda);
    }
    (void)phi_moderate_variances(variance, Q, (double)t->n - 1 - df);
    for (size_t v = 0; v < Q; v++) {
        for (size_t i = 0; i < t->n; i++) {
            e[i * Q + v] /= sqrt(variance[v]);
            sums.sum_fourth += pow(e[i * Q + v], 4) / (double)t->n;
        }
        sums.sum_variance2 += pow(raw[v] / variance[v], 2);
    }
    for (size_t i = 0; i < t->n; i++)
        for (size_t j = 0; j < t->n; j++)
            for (size_t v = 0; v < Q; v++)
                gram[i * t->n + j] += e[i * Q + v] * e[j * Q + v];
    if (full)
        share = phi_shrink_intensity(&sums);
    for (size_t u = 0; u < Q; u++)
        for (size_t v = 0; v < Q; v++) {
            double r = 0;

            for (size_t i = 0; i < t->n; i++)
                r += e[i * Q + u] * e[i * Q + v] / (double)t->n;
            s[u * Q + v] = sqrt(variance[u] * variance[v]) *
                           ((u == v ? share : 0) + (full ? 1 - share : 0) * r);
        }
    phi_smoother_destroy(&smoother);
    phi_free(e);
    phi_free(gram);
    return share;
}

/* Gain z = K (y - c), K = (I + B S^-1 B')^-1 B S^-1, which no choice of signs can change. */
static void gain_of(const struct phi_posterior *post, double *ret)
{
    memset(ret, 0, P * Q * sizeof *ret);
    for (size_t a = 0; a < P; a++)
        for (size_t k = 0; k < P; k++)
            for (size_t v = 0; v < post->q; v++)
                ret[a * Q + v] +=
                    post->t[a * P + k] / (1 + post->d[k]) * (double)post->w[k * post->q + v];
}

static void plain_gain(const double *b, double *s, double scale, double *ret)
{
    double bs[Q * P], a[P * P] = {0};
    struct ph_error err;

    for (size_t v = 0; v < Q; v++)
        for (size_t k = 0; k < P; k++)
            bs[v * P + k] = b[k * Q + v] * scale;
    assert_ok(phi_chol_factor(s, Q, &err), err);
    phi_chol_solve(s, Q, bs, P);
    for (size_t k = 0; k < P; k++)
        for (size_t j = 0; j < P; j++) {
            a[k * P + j] = k == j;
            for (size_t v = 0; v < Q; v++)
                a[k * P + j] += b[k * Q + v] * bs[v * P + j];
        }
    assert_ok(phi_chol_factor(a, P, &err), err);
    for (size_t k = 0; k < P; k++)
        for (size_t v = 0; v < Q; v++)
            ret[k * Q + v] = bs[v * P + k];
    phi_chol_solve(a, P, ret, Q);
}

static struct phi_posterior *fit(const struct problem *t,
                                 const struct phi_posterior_options *options)
{
    struct phi_posterior_data data = data_of(t);
    struct phi_posterior *post = NULL;
    struct ph_error err;

    assert_ok(phi_posterior_fit(&data, options, &post, &err), err);
    return post;
}

static void check_against_plain(bool is_fixed, bool full, double rho)
{
    const struct phi_posterior_options options = {.penalty = is_fixed ? PHI_PENALTY_FIXED
                                                                      : PHI_PENALTY_PER_VOXEL,
                                                  .lambda = 2.5,
                                                  .full_noise = full,
                                                  .rho = rho};
    static struct problem t;
    double b[P * Q], c[Q], *s = phi_calloc2(Q, Q, sizeof *s), want[P * Q], got[P * Q], share;
    struct phi_posterior *post;

    make(&t, 60, 3);
    post = fit(&t, &options);
    share = plain_fit(&t, is_fixed, full, b, c, s);
    assert_near(post->shrink, share, 1e-4);
    plain_gain(b, s, 1 - rho * rho, want);
    gain_of(post, got);
    for (size_t i = 0; i < P * Q; i++)
        assert_near(got[i], want[i], 2e-5);
    for (size_t v = 0; v < Q; v++)
        assert_near(post->c[v], c[v] / (1 - rho), 2e-4);
    phi_posterior_destroy(&post);
    phi_free(s);
}

static void equals_the_plain_way(void **state)
{
    (void)state;
    check_against_plain(true, false, 0);
    check_against_plain(true, true, 0);
    check_against_plain(false, false, 0.4);
    check_against_plain(false, true, 0.4);
}

/* trace of (centred X'X + lambda I)^-1. */
static double plain_error(const struct problem *t, double lambda)
{
    double a[P * P] = {0}, inverse[P * P] = {0}, mean[P] = {0}, trace = 0;
    struct ph_error err;

    for (size_t i = 0; i < t->n; i++)
        for (size_t k = 0; k < P; k++)
            mean[k] += (double)t->x[i * P + k] / (double)t->n;
    for (size_t k = 0; k < P; k++) {
        inverse[k * P + k] = 1;
        a[k * P + k] = lambda;
        for (size_t j = 0; j < P; j++)
            for (size_t i = 0; i < t->n; i++)
                a[k * P + j] +=
                    ((double)t->x[i * P + k] - mean[k]) * ((double)t->x[i * P + j] - mean[j]);
    }
    assert_ok(phi_chol_factor(a, P, &err), err);
    phi_chol_solve(a, P, inverse, P);
    for (size_t k = 0; k < P; k++)
        trace += inverse[k * P + k];
    return trace;
}

/* Of one penalty the error is the same in every channel; of several it lies between theirs. */
static void error_of_the_weights(void **state)
{
    struct phi_posterior_options options = {
        .penalty = PHI_PENALTY_FIXED, .lambda = 2.5, .rho = 0.4, .full_noise = true};
    static struct problem t;
    struct phi_posterior *post;
    double want;

    (void)state;
    make(&t, 60, 3);
    want = plain_error(&t, 2.5) * (1 - 0.16);
    post = fit(&t, &options);
    for (size_t k = 0; k < P; k++)
        assert_near(post->error[k], want, 1e-9);
    phi_posterior_destroy(&post);
    options.penalty = PHI_PENALTY_PER_VOXEL;
    post = fit(&t, &options);
    for (size_t k = 0; k < P; k++)
        assert_true(post->error[k] > 0 && post->error[k] <= plain_error(&t, 0) * (1 - 0.16));
    phi_posterior_destroy(&post);
}

enum { FEW = 20, SHOWN = 40, N_PROBLEMS = 300 };

/* Decoders fitted to FEW rows, weights drawn as the penalty assumes; then stimuli shown SHOWN times
 * each. Counts true channel values inside 90 % intervals with and without the error. */
static void count_covered(struct phi_rng *rng, size_t inside[2])
{
    const struct phi_posterior_options options = {.penalty = PHI_PENALTY_FIXED, .lambda = 2};
    struct problem t = {.n = FEW, .p = P, .q = Q};
    double b[P * Q], z[P], d[P], stretch[P], eta[P] = {0}, mean[P], var[P];
    struct phi_posterior *post;

    for (size_t i = 0; i < P * Q; i++)
        b[i] = phi_rng_normal(rng) / sqrt(options.lambda);
    for (size_t i = 0; i <= FEW; i++) { /* the last row is the test */
        bool test = i == FEW;

        for (size_t k = 0; k < P; k++) {
            z[k] = phi_rng_normal(rng);
            if (!test)
                t.x[i * P + k] = (float)z[k];
        }
        t.fold[test ? 0 : i] = test ? 0 : (uint32_t)(i * F / FEW);
        for (size_t v = 0; v < Q; v++) {
            double y = phi_rng_normal(rng) / (test ? sqrt(SHOWN) : 1);

            for (size_t k = 0; k < P; k++)
                y += b[k * Q + v] * z[k];
            t.y[i * Q + v] = (float)y;
        }
    }
    post = fit(&t, &options);
    for (size_t k = 0; k < P; k++)
        for (size_t v = 0; v < Q; v++)
            eta[k] += SHOWN * (double)post->w[k * Q + v] * (double)(t.y[FEW * Q + v] - post->c[v]);
    for (int with = 0; with < 2; with++) {
        phi_channels_blur(post->d, with ? post->error : NULL, P, d, stretch);
        for (size_t k = 0; k < P; k++)
            eta[k] *= with ? stretch[k] : 1;
        phi_channel_posterior(d, eta, SHOWN, P, mean, var);
        phi_channels_sharpen(stretch, mean, var, P, mean, var);
        for (size_t k = 0; k < P; k++) {
            double truth = 0;

            for (size_t j = 0; j < P; j++)
                truth += post->t[j * P + k] * z[j];
            inside[with] += fabs(truth - mean[k]) < 1.6449 * sqrt(var[k]);
        }
    }
    phi_posterior_destroy(&post);
}

/* With the weights taken as exact the intervals are far too narrow; with their error they cover
 * what they claim (a little more, since the noise found in left-out rows holds the error too). */
static void intervals_cover_with_the_error(void **state)
{
    size_t inside[2] = {0, 0};
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 77, 1);
    for (int i = 0; i < N_PROBLEMS; i++)
        count_covered(&rng, inside);
    assert_true((double)inside[0] / (N_PROBLEMS * P) < 0.7);
    assert_near((double)inside[1] / (N_PROBLEMS * P), 0.9, 0.04);
}

/* As many latents as rows: only a penalty makes that possible, and leave-one-out residuals show
 * what an exact fit would hide. */
static void exact_fit_is_refused(void **state)
{
    struct phi_posterior_options options = {.penalty = PHI_PENALTY_FIXED};
    static struct problem t;
    struct phi_posterior_data data;
    struct phi_posterior *post = NULL;
    struct ph_error err;

    (void)state;
    make(&t, 6, 3); /* 5 latents and a constant through 6 rows */
    data = data_of(&t);
    assert_int_equal(phi_posterior_fit(&data, &options, &post, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "exactly"));
    options.lambda = 1;
    assert_ok(phi_posterior_fit(&data, &options, &post, &err), err);
    for (size_t v = 0; v < Q; v++)
        assert_true(post->sigma[v] > 0);
    phi_posterior_destroy(&post);
}

/* z of the first row, decoded. */
static void decode_row(const struct phi_posterior *post, const float *y, double *z)
{
    double eta[P] = {0}, mean[P], var[P], sd[P];

    for (size_t k = 0; k < P; k++)
        for (size_t v = 0; v < post->q; v++)
            eta[k] += (double)post->w[k * post->q + v] * (double)(y[v] - post->c[v]);
    phi_channel_posterior(post->d, eta, 1, P, mean, var);
    phi_channels_to_latent(post->t, NULL, P, mean, var, z, sd);
}

static void voxels_may_be_scaled_and_permuted(void **state)
{
    const struct phi_posterior_options options = {.full_noise = true,
                                                  .penalty = PHI_PENALTY_COMMON};
    static struct problem t, other;
    struct phi_posterior *post, *changed;
    double z1[P], z2[P];

    (void)state;
    make(&t, 60, 8);
    other = t;
    for (size_t i = 0; i < t.n; i++)
        for (size_t v = 0; v < Q; v++) /* reversed; powers of two, so that floats stay exact; equal
                                          within the moderation's reach */
            other.y[i * Q + Q - 1 - v] = 4 * t.y[i * Q + v];
    post = fit(&t, &options);
    changed = fit(&other, &options);
    decode_row(post, t.y, z1);
    decode_row(changed, other.y, z2);
    for (size_t k = 0; k < P; k++)
        assert_near(z1[k], z2[k], 1e-4);
    phi_posterior_destroy(&post);
    phi_posterior_destroy(&changed);
}

static void infinite_temperature_gives_the_prior(void **state)
{
    const struct phi_posterior_options options = {.penalty = PHI_PENALTY_COMMON};
    static struct problem t;
    struct phi_posterior *post;
    double z[P], before, after = 0;

    (void)state;
    make(&t, 60, 8);
    post = fit(&t, &options);
    decode_row(post, t.y, z);
    before = fabs(z[0]);
    phi_posterior_temper(post, 2);
    assert_near(post->tau, 2, 0);
    phi_posterior_temper(post, 1e12);
    decode_row(post, t.y, z);
    for (size_t k = 0; k < P; k++)
        after = fmax(after, fabs(z[k]));
    assert_true(before > 0.01);
    assert_near(after, 0, 1e-6);
    phi_posterior_destroy(&post);
}

/* Whatever lies along the nuisance columns, in the data or in the latents, changes nothing but the
 * columns' own coefficients, which come back. */
static void nuisance_is_taken_out(void **state)
{
    const struct phi_posterior_options options = {
        .full_noise = true, .penalty = PHI_PENALTY_FIXED, .lambda = 20};
    static struct problem t, other;
    struct phi_posterior_data data, changed;
    double nuisance[MAX_N * 2], one[P * Q], two[P * Q];
    struct phi_posterior *a = NULL, *b = NULL;
    struct ph_error err;

    (void)state;
    make(&t, 60, 12);
    other = t;
    for (size_t i = 0; i < t.n; i++) {
        nuisance[2 * i] = (double)i / 60;
        nuisance[2 * i + 1] = i < 20;
        for (size_t v = 0; v < Q; v++)
            other.y[i * Q + v] += (float)((double)v * nuisance[2 * i] - 8 * nuisance[2 * i + 1]);
    }
    data = data_of(&t);
    changed = data_of(&other);
    data.design.nuisance = changed.design.nuisance = nuisance;
    data.design.n_nuisance = changed.design.n_nuisance = 2;
    assert_ok(phi_posterior_fit(&data, &options, &a, &err), err);
    assert_ok(phi_posterior_fit(&changed, &options, &b, &err), err);
    assert_int_equal(a->n_extra, 2);
    gain_of(a, one);
    gain_of(b, two);
    for (size_t i = 0; i < P * Q; i++)
        assert_near(one[i], two[i], 1e-4);
    for (size_t v = 0; v < Q; v++) {
        assert_near(b->extra[v] - a->extra[v], v, 1e-2);
        assert_near(b->extra[Q + v] - a->extra[Q + v], -8, 1e-2);
        assert_near(b->c[v], a->c[v], 1e-2);
    }
    phi_posterior_destroy(&a);
    phi_posterior_destroy(&b);
    for (size_t i = 0; i < t.n; i++) /* the constant once more */
        nuisance[2 * i] = 3;
    assert_int_equal(phi_posterior_fit(&data, &options, &a, &err), PH_E_INVAL);
}

static void threads_leave_the_bits(void **state)
{
    struct phi_posterior_options options = {.full_noise = true, .n_threads = 1};
    static struct problem t;
    struct phi_posterior *one, *many;

    (void)state;
    make(&t, 60, 4);
    one = fit(&t, &options);
    options.n_threads = 3;
    many = fit(&t, &options);
    assert_memory_equal(one->w, many->w, P * Q * sizeof *one->w);
    assert_memory_equal(one->d, many->d, P * sizeof *one->d);
    phi_posterior_destroy(&one);
    phi_posterior_destroy(&many);
}

static void constant_voxels_are_left_out(void **state)
{
    const struct phi_posterior_options options = {0};
    static struct problem t;
    struct phi_posterior *post;

    (void)state;
    make(&t, 60, 4);
    for (size_t i = 0; i < t.n; i++)
        t.y[i * Q + 7] = 12;
    post = fit(&t, &options);
    assert_int_equal(post->n_constant, 1);
    assert_near(post->sigma[7], 0, 0);
    assert_near(post->c[7], 12, 1e-6);
    for (size_t k = 0; k < P; k++)
        assert_near(post->w[k * Q + 7], 0, 0);
    phi_posterior_destroy(&post);
}

static void bad_data_are_named(void **state)
{
    const struct phi_posterior_options options = {0};
    static struct problem t;
    struct phi_posterior_data data;
    struct phi_posterior *post = NULL;
    struct ph_error err;

    (void)state;
    make(&t, 60, 4);
    data = data_of(&t);
    t.y[5 * Q + 11] = NAN;
    assert_int_equal(phi_posterior_fit(&data, &options, &post, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "voxel 11"));
    make(&t, 60, 4);
    for (size_t i = 0; i < t.n; i++)
        t.x[i * P + 3] = 2;
    assert_int_equal(phi_posterior_fit(&data, &options, &post, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "latent 3"));
    make(&t, 3, 4); /* fewer rows than folds */
    data = data_of(&t);
    assert_int_equal(phi_posterior_fit(&data, &options, &post, &err), PH_E_SHAPE);
    assert_null(post);
}

/* Residuals made AR(1): the estimate comes back. */
static void noise_correlation_is_found(void **state)
{
    enum { N = 400 };
    float *x = phi_calloc(N, 4), *y = phi_calloc2(N, 50, 4);
    uint32_t *fold = phi_calloc(N, 4);
    bool *joined = phi_calloc(N, 1);
    struct phi_posterior_data data = {{x, fold, N, 1, F, NULL, 0}, y, 50};
    double rho = 0;
    struct phi_rng rng;
    struct ph_error err;

    (void)state;
    phi_rng_init(&rng, 1, 1);
    for (size_t i = 0; i < N; i++) {
        x[i] = (float)phi_rng_normal(&rng);
        fold[i] = (uint32_t)(i * F / N);
        joined[i] = i > 0;
        for (size_t v = 0; v < 50; v++)
            y[i * 50 + v] =
                (float)((i ? 0.5 * (double)y[(i - 1) * 50 + v] : 0) + phi_rng_normal(&rng));
    }
    assert_ok(phi_posterior_rho(&data, joined, 0, &rho, &err), err);
    assert_near(rho, 0.5, 0.05);
    phi_free(x);
    phi_free(y);
    phi_free(fold);
    phi_free(joined);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_plain_way),
        cmocka_unit_test(error_of_the_weights),
        cmocka_unit_test(intervals_cover_with_the_error),
        cmocka_unit_test(exact_fit_is_refused),
        cmocka_unit_test(voxels_may_be_scaled_and_permuted),
        cmocka_unit_test(infinite_temperature_gives_the_prior),
        cmocka_unit_test(nuisance_is_taken_out),
        cmocka_unit_test(threads_leave_the_bits),
        cmocka_unit_test(constant_voxels_are_left_out),
        cmocka_unit_test(bad_data_are_named),
        cmocka_unit_test(noise_correlation_is_found),
    };
    return cmocka_run_group_tests_name("decode/posterior_fit", tests, NULL, NULL);
}
