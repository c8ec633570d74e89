/* SPDX-License-Identifier: MIT
 * Trial mode step by step against the reference: one trial (mean, variance, covariance after every
 * volume) and two overlapping ones. Tolerance 1e-9. */
#include "decode/reduce.h"
#include "decode/trial.h"
#include "golden.h"

enum { P = 4, Q = 6 };

struct sampled {
    double *h;
    size_t n;
};

static double response(void *ctx, double delay_s, double duration_s)
{
    const struct sampled *s = ctx;
    size_t k = (size_t)lround(delay_s);

    (void)duration_s;
    return k < s->n ? s->h[k] : 0;
}

static void product(const double *w, const double *y, double *ret_x)
{
    for (size_t i = 0; i < P; i++) {
        ret_x[i] = 0;
        for (size_t v = 0; v < Q; v++)
            ret_x[i] += w[i * Q + v] * y[v];
    }
}

static void compare(const json_t *root, const char *steps, size_t t, const char *key,
                    const double *got, size_t n)
{
    char path[64];
    double *want;

    snprintf(path, sizeof path, "%s.%zu.%s", steps, t, key);
    want = golden_array(root, path, n);
    assert_near(golden_error(got, want, n), 0, 1e-9);
    phi_free(want);
}

struct setup {
    json_t *root;
    struct sampled hrf;
    double *d, *u, *w;
    struct phi_trials *trials;
};

static void open_setup(struct setup *s)
{
    struct phi_trials_config config = {.n_channels = P,
                                       .tr_s = 1,
                                       .response_s = 32,
                                       .response = response,
                                       .response_ctx = &s->hrf};
    struct ph_error err;

    s->root = golden_json("incremental_posterior.json");
    s->hrf = (struct sampled){golden_array(s->root, "hrf_tr1_peak1", 33), 33};
    s->d = golden_array(s->root, "d", P);
    s->u = golden_array(s->root, "U", P * P);
    s->w = golden_array(s->root, "W", P * Q);
    config.d = s->d;
    assert_ok(phi_trials_create(&config, &s->trials, &err), err);
}

static void close_setup(struct setup *s)
{
    phi_trials_destroy(&s->trials);
    phi_free(s->hrf.h);
    phi_free(s->d);
    phi_free(s->u);
    phi_free(s->w);
    json_decref(s->root);
}

static void one_trial(void **state)
{
    const struct phi_trial_event event = {.number = 7, .stim_index = -1, .amplitude = 1};
    struct setup s = {0};
    double *y, x[P], z[P], sd[P], cov[P * P];

    (void)state;
    open_setup(&s);
    y = golden_array(s.root, "Y", 12 * Q);
    assert_int_equal(phi_trials_open(s.trials, &event), PH_OK);
    for (size_t t = 0; t < 12; t++) {
        struct phi_trial_report report;

        product(s.w, y + t * Q, x);
        assert_true(phi_trials_step(s.trials, (double)t, x, NULL));
        assert_int_equal(phi_trials_count(s.trials), 1);
        report = phi_trials_report(s.trials, 0);
        assert_int_equal(report.number, 7);
        assert_int_equal(report.revision, t);
        compare(s.root, "steps", t, "mean_eig", report.mean, P);
        compare(s.root, "steps", t, "var_eig", report.var, P);
        phi_channels_to_latent(s.u, NULL, P, report.mean, report.var, z, sd);
        phi_channels_to_cov(s.u, report.var, P, cov);
        compare(s.root, "steps", t, "z_mean", z, P);
        compare(s.root, "steps", t, "z_cov", cov, P * P);
    }
    phi_free(y);
    close_setup(&s);
}

/* The onsets are where each column of H begins to follow the response. */
static void two_overlapping(void **state)
{
    struct setup s = {0};
    double *y, *h, x[P], mean[P * 2], var[P * 2], z[2 * P], sd[P];
    size_t onset[2] = {16, 16};

    (void)state;
    open_setup(&s);
    y = golden_array(s.root, "overlap.Y", 16 * Q);
    h = golden_array(s.root, "overlap.H", 16 * 2);
    for (size_t k = 0; k < 2; k++)
        for (size_t on = 0; on < 16; on++) {
            double worst = 0;

            for (size_t t = 0; t < 16; t++)
                worst = fmax(worst, fabs(h[2 * t + k] - (t >= on ? s.hrf.h[t - on] : 0)));
            onset[k] = worst < 1e-12 ? on : onset[k];
        }
    assert_true(onset[0] < 16 && onset[1] < 16 && onset[0] < onset[1]);
    for (size_t t = 0; t < 16; t++) {
        for (uint32_t k = 0; k < 2; k++) {
            const struct phi_trial_event event = {k, -1, (double)onset[k], 0, 1};

            if (onset[k] == t)
                assert_int_equal(phi_trials_open(s.trials, &event), PH_OK);
        }
        product(s.w, y + t * Q, x);
        assert_true(phi_trials_step(s.trials, (double)t, x, NULL));
        for (size_t k = 0; k < 2; k++) {
            int is_open = k < phi_trials_count(s.trials);
            const double zeros[P] = {0}, ones[P] = {1, 1, 1, 1};
            struct phi_trial_report report = {.mean = zeros, .var = ones};

            if (is_open)
                report = phi_trials_report(s.trials, k);
            for (size_t i = 0; i < P; i++) {
                mean[2 * i + k] = report.mean[i];
                var[2 * i + k] = report.var[i];
            }
            phi_channels_to_latent(s.u, NULL, P, report.mean, report.var, z + k * P, sd);
        }
        compare(s.root, "overlap.steps", t, "mean_eig", mean, P * 2);
        compare(s.root, "overlap.steps", t, "var_eig", var, P * 2);
        compare(s.root, "overlap.steps", t, "z_mean", z, 2 * P);
    }
    phi_free(y);
    phi_free(h);
    close_setup(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_trial),
                                       cmocka_unit_test(two_overlapping)};

    golden_dir = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests_name("golden/trial", tests, NULL, NULL);
}
