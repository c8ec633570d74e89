/* SPDX-License-Identifier: MIT
 * Continuous mode step by step against the reference (itself checked against the dense joint
 * Gaussian): white noise, AR(1) noise, AR(1) with missing volumes; every lag's mean and variance
 * and the likelihood; the steady gains. Tolerance 1e-9. */
#include "decode/stream.h"
#include "golden.h"

enum { P = 3, Q = 5, K = 8, L = 11, T = 24 };

struct setup {
    json_t *root;
    double *d, *h;
    struct phi_stream_config config;
};

static void open_setup(struct setup *s)
{
    s->root = golden_json("kalman.json");
    s->d = golden_array(s->root, "d", P);
    s->h = golden_array(s->root, "h", K);
    s->config = (struct phi_stream_config){.n_channels = P,
                                           .d = s->d,
                                           .h = s->h,
                                           .n_taps = K,
                                           .n_lags = L,
                                           .a = golden_number(s->root, "a")};
}

static void close_setup(struct setup *s)
{
    phi_free(s->d);
    phi_free(s->h);
    json_decref(s->root);
}

static void compare(const json_t *root, const char *path, const double *got, size_t n)
{
    double *want = golden_array(root, path, n);

    assert_near(golden_error(got, want, n), 0, 1e-9);
    phi_free(want);
}

static int is_missing(const json_t *scenario, size_t t)
{
    const json_t *list = golden_at(scenario, "missing");

    for (size_t i = 0; i < json_array_size(list); i++)
        if ((size_t)json_number_value(json_array_get(list, i)) == t)
            return 1;
    return 0;
}

static void check_step(const struct phi_stream *stream, const json_t *step)
{
    double mean[P], var[P], all_mean[P * L], all_var[P * L], loglik = phi_stream_loglik(stream);

    for (size_t lag = 0; lag < L; lag++) {
        phi_stream_read(stream, lag, mean, var);
        for (size_t i = 0; i < P; i++) {
            all_mean[i * L + lag] = mean[i];
            all_var[i * L + lag] = var[i];
        }
    }
    compare(step, "m", all_mean, P * L);
    compare(step, "var", all_var, P * L);
    compare(step, "loglik", &loglik, 1);
}

static void check_scenario(const char *name)
{
    struct setup s;
    const json_t *scenario;
    struct phi_stream *stream = NULL;
    struct ph_error err;

    open_setup(&s);
    scenario = golden_at(s.root, name);
    s.config.rho = golden_number(scenario, "rho");
    assert_ok(phi_stream_create(&s.config, &stream, &err), err);
    assert_int_equal(phi_stream_n_lags(stream), L);
    for (size_t t = 0; t < T; t++) {
        const json_t *step = json_array_get(golden_at(scenario, "steps"), t);
        double *x = golden_array(step, "x", P);
        bool used = phi_stream_step(stream, is_missing(scenario, t) ? NULL : x, 1, NULL);

        assert_int_equal(used, !is_missing(scenario, t));
        check_step(stream, step);
        phi_free(x);
    }
    phi_stream_destroy(&stream);
    close_setup(&s);
}

static void white(void **state)
{
    (void)state;
    check_scenario("white");
}

static void ar1(void **state)
{
    (void)state;
    check_scenario("ar1");
}

static void ar1_missing(void **state)
{
    (void)state;
    check_scenario("ar1_missing");
}

static void steady_gains(void **state)
{
    struct setup s;
    double gain[P * K], var[P * K];
    struct ph_error err;

    (void)state;
    open_setup(&s);
    s.config.n_lags = K;
    assert_ok(phi_stream_steady(&s.config, gain, var, &err), err);
    compare(s.root, "steady.gain", gain, P * K);
    compare(s.root, "steady.var", var, P * K);
    close_setup(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(white), cmocka_unit_test(ar1),
                                       cmocka_unit_test(ar1_missing),
                                       cmocka_unit_test(steady_gains)};

    golden_dir = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests_name("golden/stream", tests, NULL, NULL);
}
