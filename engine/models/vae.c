/* SPDX-License-Identifier: MIT */
#include "models/vae.h"

#include <math.h>
#include <stdio.h>

#include "nn/losses.h"

/* A linear layer NAME.weight, NAME.bias. */
static int dense(struct phi_graph *graph, const char *name, int x, size_t n_out)
{
    size_t n_in = phi_graph_shape(graph, x).dim[1];
    int weight = phi_graph_paramf(graph, PHI_SHAPE(n_out, n_in), "%s.weight", name);
    int bias = phi_graph_paramf(graph, PHI_SHAPE(n_out), "%s.bias", name);

    return phi_graph_linear(graph, x, weight, bias);
}

static int activate(struct phi_graph *graph, const struct phi_vae_config *config, int x)
{
    return phi_graph_unary(graph, config->activation, x, 0, 0);
}

struct phi_vae_posterior phi_vae_encode(struct phi_graph *graph,
                                        const struct phi_vae_config *config, int x)
{
    int h = activate(graph, config, dense(graph, "vae.enc.hidden", x, config->n_hidden));

    if (config->n_layers > 1)
        h = activate(graph, config, dense(graph, "vae.enc.hidden2", h, config->n_hidden));
    return (struct phi_vae_posterior){dense(graph, "vae.enc.mean", h, config->n_latent),
                                      dense(graph, "vae.enc.logvar", h, config->n_latent)};
}

int phi_vae_sample(struct phi_graph *graph, const struct phi_vae_posterior *posterior, int eps)
{
    int sd = phi_graph_unary(graph, PHI_EXP, phi_graph_scale(graph, posterior->logvar, 0.5f), 0, 0);

    return phi_graph_add(graph, posterior->mean, phi_graph_mul(graph, sd, eps));
}

int phi_vae_decode(struct phi_graph *graph, const struct phi_vae_config *config, int z,
                   int *ret_logvar)
{
    int h = activate(graph, config, dense(graph, "vae.dec.hidden", z, config->n_hidden));

    if (config->n_layers > 1)
        h = activate(graph, config, dense(graph, "vae.dec.hidden2", h, config->n_hidden));
    if (ret_logvar)
        *ret_logvar = dense(graph, "vae.dec.logvar", h, config->n_in);
    return dense(graph, "vae.dec.out", h, config->n_in);
}

int phi_vae_bernoulli(struct phi_graph *graph, int logits, int x)
{
    struct phi_shape shape = phi_graph_shape(graph, logits);
    size_t n = logits < 0 ? 1 : shape.dim[0], k = logits < 0 ? 1 : phi_shape_count(&shape) / n;
    int cost = phi_graph_reshape(graph, phi_loss_bce_logits(graph, logits, x), PHI_SHAPE(n, k));

    return phi_graph_scale(graph, phi_graph_sum(graph, cost, 2), -1);
}

int phi_vae_loss(struct phi_graph *graph, int log_likelihood, int kl)
{
    return phi_graph_mean_all(graph, phi_graph_sub(graph, kl, log_likelihood));
}

/* W_a a + W_b b + bias of a first layer with two inputs. */
struct pair {
    const char *a_name, *b_name, *bias_name;
    int a, b;
};

static int pair_layer(struct phi_graph *graph, const struct phi_vae_config *config,
                      const struct pair *pair)
{
    size_t n = config->n_hidden;
    size_t n_a = phi_graph_shape(graph, pair->a).dim[1],
           n_b = phi_graph_shape(graph, pair->b).dim[1];
    int a = phi_graph_param(graph, pair->a_name, PHI_SHAPE(n, n_a));
    int b = phi_graph_param(graph, pair->b_name, PHI_SHAPE(n, n_b));
    int bias = phi_graph_param(graph, pair->bias_name, PHI_SHAPE(n));

    return activate(graph, config,
                    phi_graph_add(graph, phi_graph_linear(graph, pair->a, a, bias),
                                  phi_graph_linear(graph, pair->b, b, -1)));
}

struct phi_vae_posterior phi_m2_encode(struct phi_graph *graph, const struct phi_vae_config *config,
                                       int x, int y)
{
    const struct pair pair = {"m2.enc.wx", "m2.enc.wy", "m2.enc.bias", x, y};
    int h = pair_layer(graph, config, &pair);

    if (config->n_layers > 1)
        h = activate(graph, config, dense(graph, "m2.enc.hidden2", h, config->n_hidden));
    return (struct phi_vae_posterior){dense(graph, "m2.enc.mean", h, config->n_latent),
                                      dense(graph, "m2.enc.logvar", h, config->n_latent)};
}

int phi_m2_decode(struct phi_graph *graph, const struct phi_vae_config *config, int y, int z)
{
    const struct pair pair = {"m2.dec.wy", "m2.dec.wz", "m2.dec.bias", y, z};
    int h = pair_layer(graph, config, &pair);

    if (config->n_layers > 1)
        h = activate(graph, config, dense(graph, "m2.dec.hidden2", h, config->n_hidden));
    return dense(graph, "m2.dec.out", h, config->n_in);
}

int phi_m2_classify(struct phi_graph *graph, const struct phi_vae_config *config, int x)
{
    return dense(graph, "m2.cls", x, config->n_classes);
}

int phi_m2_bound(struct phi_graph *graph, const struct phi_vae_config *config, const int *x_y,
                 int eps)
{
    struct phi_vae_posterior q = phi_m2_encode(graph, config, x_y[0], x_y[1]);
    int z = phi_vae_sample(graph, &q, eps);
    int log_likelihood = phi_vae_bernoulli(graph, phi_m2_decode(graph, config, x_y[1], z), x_y[0]);
    int kl = phi_loss_kl_standard(graph, q.mean, q.logvar);

    return phi_graph_unary(graph, PHI_AFFINE, phi_graph_sub(graph, log_likelihood, kl), 1,
                           -logf((float)config->n_classes));
}

#define CVAE_LAYERS 4
#define SLOPE       0.2f
#define NORM_EPS    1e-5f
#define MOMENTUM    0.1f

/* Batch norm, if there is one, and leaky ReLU. */
static int norm_relu(struct phi_graph *graph, const struct phi_cvae_config *config,
                     const char *side, int x, int i)
{
    char prefix[32];

    (void)snprintf(prefix, sizeof prefix, "cvae.%s.bn.%d.", side, i);
    if (config->norm)
        x = phi_graph_batch_norm(graph, x, prefix, NORM_EPS, MOMENTUM);
    return phi_graph_unary(graph, PHI_LEAKY_RELU, x, SLOPE, 0);
}

struct phi_vae_posterior phi_cvae_encode(struct phi_graph *graph,
                                         const struct phi_cvae_config *config, int x)
{
    size_t n = phi_graph_shape(graph, x).dim[0], n_in = 3;

    for (int i = 1; i <= CVAE_LAYERS; i++) {
        size_t n_out = config->width << (i - 1);
        int weight =
            phi_graph_paramf(graph, PHI_SHAPE(n_out, n_in, 4, 4), "cvae.enc.conv.%d.weight", i);
        int bias = phi_graph_paramf(graph, PHI_SHAPE(n_out), "cvae.enc.conv.%d.bias", i);

        x = phi_graph_conv2d(graph, x, weight, bias, 2, 1);
        x = i == 1 ? phi_graph_unary(graph, PHI_LEAKY_RELU, x, SLOPE, 0)
                   : norm_relu(graph, config, "enc", x, i);
        n_in = n_out;
    }
    x = phi_graph_reshape(graph, x, PHI_SHAPE(n, n_in * 16));
    return (struct phi_vae_posterior){dense(graph, "cvae.enc.mean", x, config->n_latent),
                                      dense(graph, "cvae.enc.logvar", x, config->n_latent)};
}

int phi_cvae_decode(struct phi_graph *graph, const struct phi_cvae_config *config, int z)
{
    size_t n = phi_graph_shape(graph, z).dim[0], n_in = config->width << (CVAE_LAYERS - 1);
    int h = phi_graph_reshape(graph, dense(graph, "cvae.dec.fc", z, n_in * 16),
                              PHI_SHAPE(n, n_in, 4, 4));

    for (int i = 1; i <= CVAE_LAYERS; i++) {
        size_t n_out = i < CVAE_LAYERS ? n_in / 2 : 3;
        int weight =
            phi_graph_paramf(graph, PHI_SHAPE(n_in, n_out, 4, 4), "cvae.dec.deconv.%d.weight", i);
        int bias = phi_graph_paramf(graph, PHI_SHAPE(n_out), "cvae.dec.deconv.%d.bias", i);

        h = norm_relu(graph, config, "dec", h, i);
        h = phi_graph_deconv2d(graph, h, weight, bias, PHI_GEOMETRY(2, 1, 0));
        n_in = n_out;
    }
    return h;
}
