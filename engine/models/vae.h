/* SPDX-License-Identifier: MIT
 *
 * Variational auto-encoders (Kingma and Welling 2013) as builders that append to a graph: the MLP
 * form, which is also M1; M2, which has a class beside the latent (Kingma et al. 2014); and a small
 * convolutional one for 64x64 pictures. A pass is encode, sample with given noise, decode, bound.
 * Bounds are sums over pixels and latents, one number per row [n][1].
 */
#ifndef PHI_MODELS_VAE_H
#define PHI_MODELS_VAE_H

#include "nn/layers.h"

struct phi_vae_config {
    size_t n_in;     /* pixels */
    size_t n_hidden; /* units of a hidden layer */
    int n_layers;    /* hidden layers: 1 or 2 (M1) */
    size_t n_latent;
    enum phi_unary activation; /* PHI_TANH, or PHI_SOFTPLUS in the released M1 and M2 */
    size_t n_classes;          /* M2 */
};

/* q(z|x): nodes [n][n_latent]. */
struct phi_vae_posterior {
    int mean, logvar;
};

/* x [n][n_in]; parameters vae.enc.{hidden,hidden2,mean,logvar}.{weight,bias}. */
struct phi_vae_posterior phi_vae_encode(struct phi_graph *graph,
                                        const struct phi_vae_config *config, int x);

/* z = mean + exp(logvar / 2) eps for noise eps [n][n_latent]. */
int phi_vae_sample(struct phi_graph *graph, const struct phi_vae_posterior *posterior, int eps);

/* z -> logits [n][n_in]; parameters vae.dec.{hidden,hidden2,out}. With ret_logvar not NULL also the
 * log variance of a Gaussian decoder (vae.dec.logvar), whose mean is the sigmoid of the logits. */
int phi_vae_decode(struct phi_graph *graph, const struct phi_vae_config *config, int z,
                   int *ret_logvar);

/* log p(x|z) per row [n][1] for logits of any shape with n rows: Bernoulli. */
int phi_vae_bernoulli(struct phi_graph *graph, int logits, int x);

/* -mean over rows of (log_likelihood - kl): the loss [1]. */
int phi_vae_loss(struct phi_graph *graph, int log_likelihood, int kl);

/* M2 with x [n][n_in] and y [n][n_classes] (one-hot); parameters m2.enc.{wx,wy,bias},
 * m2.enc.{hidden2,mean,logvar}.*, and m2.dec.{wy,wz,bias}, m2.dec.{hidden2,out}.*. */
struct phi_vae_posterior phi_m2_encode(struct phi_graph *graph, const struct phi_vae_config *config,
                                       int x, int y);
int phi_m2_decode(struct phi_graph *graph, const struct phi_vae_config *config, int y, int z);

/* Logits of q(y|x) [n][n_classes]: one linear layer m2.cls. */
int phi_m2_classify(struct phi_graph *graph, const struct phi_vae_config *config, int x);

/* log p(x|y,z) + log p(y) - KL per row, p(y) uniform, z sampled with eps [n][n_latent]. */
int phi_m2_bound(struct phi_graph *graph, const struct phi_vae_config *config, const int *x_y,
                 int eps);

/* Convolutional, 3x64x64 in [0, 1]: four k4 s2 p1 convolutions of width, 2, 4 and 8 width with
 * leaky ReLU 0.2, and the mirror image; parameters cvae.enc.conv.N, cvae.enc.{mean,logvar},
 * cvae.dec.fc, cvae.dec.deconv.N, each with weight and bias. `norm` puts batch norm before each
 * ReLU but the first: cvae.enc.bn.N and cvae.dec.bn.N. */
struct phi_cvae_config {
    size_t width, n_latent;
    bool norm;
};
struct phi_vae_posterior phi_cvae_encode(struct phi_graph *graph,
                                         const struct phi_cvae_config *config, int x);
int phi_cvae_decode(struct phi_graph *graph, const struct phi_cvae_config *config, int z);

#endif
