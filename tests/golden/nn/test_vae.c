/* SPDX-License-Identifier: MIT
 * Bounds and gradients of the VAE (Bernoulli and Gaussian), its importance-sampled marginal, and M2
 * agree with values computed in float64 by another implementation. */
#include "fixture.h"
#include "models/vae.h"
#include "nn/prim.h"

static const struct phi_vae_config net = {
    .n_in = 64, .n_hidden = 16, .n_layers = 1, .n_latent = 4, .activation = PHI_TANH};
static const struct phi_vae_config m2 = {.n_in = 10,
                                         .n_hidden = 6,
                                         .n_layers = 1,
                                         .n_latent = 2,
                                         .activation = PHI_SOFTPLUS,
                                         .n_classes = 3};

static void forward(void)
{
    struct phi_tape_options options = {.train_prefix = ""};
    struct ph_error err = {0};

    assert_ok(phi_tape_create(graph, params, &options, &tape, &err), err);
    assert_int_equal(phi_tape_forward(tape, false), PH_OK);
}

static void compare(const char *name, int node)
{
    golden_compare(params, name, phi_tape_value(tape, node), 1e-5);
}

static void bernoulli(void **state)
{
    struct phi_vae_posterior q;
    int z, logits, rec, kl, loss, elbo;

    (void)state;
    begin("vae");
    q = phi_vae_encode(graph, &net, p("x"));
    z = phi_vae_sample(graph, &q, p("eps"));
    logits = phi_vae_decode(graph, &net, z, NULL);
    rec = phi_vae_bernoulli(graph, logits, p("x"));
    kl = phi_loss_kl_standard(graph, q.mean, q.logvar);
    elbo = phi_graph_sub(graph, rec, kl);
    loss = phi_vae_loss(graph, rec, kl);
    forward();
    compare("bernoulli.mean", q.mean);
    compare("bernoulli.logvar", q.logvar);
    compare("bernoulli.z", z);
    compare("bernoulli.logits", logits);
    compare("bernoulli.rec", rec);
    compare("bernoulli.kl", kl);
    compare("bernoulli.elbo", elbo);
    compare("bernoulli.loss", loss);
    assert_int_equal(phi_tape_backward_from(tape, loss), PH_OK);
    assert_int_equal(golden_check_grads(params, "bernoulli.", 1e-5), 10);
}

static void gaussian(void **state)
{
    struct phi_vae_posterior q;
    int z, mean, logvar, rec, kl, loss;

    (void)state;
    begin("vae");
    q = phi_vae_encode(graph, &net, p("x"));
    z = phi_vae_sample(graph, &q, p("eps"));
    mean = phi_graph_sigmoid(graph, phi_vae_decode(graph, &net, z, &logvar));
    rec = phi_loss_gaussian_log_density(graph, p("x"), mean, logvar);
    kl = phi_loss_kl_standard(graph, q.mean, q.logvar);
    loss = phi_vae_loss(graph, rec, kl);
    forward();
    compare("gaussian.out_mean", mean);
    compare("gaussian.out_logvar", logvar);
    compare("gaussian.rec", rec);
    compare("gaussian.kl", kl);
    compare("gaussian.loss", loss);
    assert_int_equal(phi_tape_backward_from(tape, loss), PH_OK);
    assert_int_equal(golden_check_grads(params, "gaussian.", 1e-5), 12);
}

/* log 1/S sum_s p(x|z_s) p(z_s) / q(z_s|x), from the parts the graph gives. */
static void marginal(void **state)
{
    struct phi_vae_posterior q;
    int rec[6], log_ratio[6], zero;
    static const float zeros[5 * 4];
    float value[5];

    (void)state;
    begin("vae");
    q = phi_vae_encode(graph, &net, p("x"));
    zero = phi_graph_constant(graph, PHI_SHAPE(5, 4), zeros);
    for (size_t s = 0; s < 6; s++) {
        int eps =
            phi_graph_reshape(graph, phi_graph_slice(graph, p("eps_is"), 0, s, 1), PHI_SHAPE(5, 4));
        int z = phi_vae_sample(graph, &q, eps);

        rec[s] = phi_vae_bernoulli(graph, phi_vae_decode(graph, &net, z, NULL), p("x"));
        log_ratio[s] = phi_graph_sub(graph, phi_loss_gaussian_log_density(graph, z, zero, zero),
                                     phi_loss_gaussian_log_density(graph, z, q.mean, q.logvar));
    }
    forward();
    for (size_t i = 0; i < 5; i++) {
        double top = -1e30, sum = 0, w[6];

        for (size_t s = 0; s < 6; s++) {
            w[s] = (double)phi_tape_value(tape, rec[s])[i] +
                   (double)phi_tape_value(tape, log_ratio[s])[i];
            top = fmax(top, w[s]);
        }
        for (size_t s = 0; s < 6; s++)
            sum += exp(w[s] - top) / 6;
        value[i] = (float)(top + log(sum));
    }
    golden_compare(params, "marginal", value, 1e-5);
}

static void semi_supervised(void **state)
{
    int y_lab, lab, bounds[3], unl, lq, q, entropy, value, ce, j;

    (void)state;
    begin("vae_m2");
    y_lab = phi_graph_one_hot(graph, p("y_lab"), 3);
    lab = phi_m2_bound(graph, &m2, (const int[]){p("x_lab"), y_lab}, p("eps_lab"));
    for (size_t k = 0; k < 3; k++) {
        float rows[9] = {0};
        int y, eps;

        rows[k] = rows[3 + k] = rows[6 + k] = 1;
        y = phi_graph_constant(graph, PHI_SHAPE(3, 3), rows);
        eps = phi_graph_reshape(graph, phi_graph_slice(graph, p("eps_unl"), 1, k, 1),
                                PHI_SHAPE(3, 2));
        bounds[k] = phi_m2_bound(graph, &m2, (const int[]){p("x_unl"), y}, eps);
    }
    unl = phi_graph_concat(graph, 1, bounds, 3);
    lq = phi_graph_log_softmax(graph, phi_m2_classify(graph, &m2, p("x_unl")));
    q = phi_graph_unary(graph, PHI_EXP, lq, 0, 0);
    entropy = phi_graph_sub(graph, unl, lq);
    value = phi_graph_sum(graph, phi_graph_mul(graph, q, entropy), 2);
    ce = phi_loss_cross_entropy_mean(graph, phi_m2_classify(graph, &m2, p("x_lab")), p("y_lab"));
    j = phi_graph_scale(graph, ce, 0.5f * 2); /* alpha times the sum over 2 rows */
    j = phi_graph_sub(graph, j, phi_graph_sum_all(graph, lab));
    j = phi_graph_sub(graph, j, phi_graph_sum_all(graph, value));
    forward();
    compare("lab.bound", lab);
    compare("unl.bound", unl);
    compare("unl.q", q);
    compare("unl.value", value);
    compare("J", j);
    assert_int_equal(phi_tape_backward_from(tape, j), PH_OK);
    assert_int_equal(golden_check_grads(params, "", 1e-5), 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(bernoulli, end),
        cmocka_unit_test_teardown(gaussian, end),
        cmocka_unit_test_teardown(marginal, end),
        cmocka_unit_test_teardown(semi_supervised, end),
    };

    phi_nn_set_threads(1);
    return cmocka_run_group_tests_name("golden/nn vae", tests, NULL, NULL);
}
