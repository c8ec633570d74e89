/* SPDX-License-Identifier: MIT
 *
 * Losses, built from layers. Those that end in _sum or _mean say over what; all others give one
 * number per row [n][1], so that a recipe states its reduction. Gradients flow to every operand.
 */
#ifndef PHI_NN_LOSSES_H
#define PHI_NN_LOSSES_H

#include "nn/graph.h"

/* Squared and absolute differences of equal shapes, over all elements: [1]. */
int phi_loss_mse_mean(struct phi_graph *graph, int x, int target);
int phi_loss_mse_sum(struct phi_graph *graph, int x, int target);
int phi_loss_l1_mean(struct phi_graph *graph, int x, int target);
int phi_loss_l1_sum(struct phi_graph *graph, int x, int target);

/* -sum[t log p + (1 - t) log(1 - p)] of probabilities: [1]. */
int phi_loss_bce_sum(struct phi_graph *graph, int p, int target);

/* The same of logits a, element by element and stable: max(a, 0) - a t + log(1 + exp(-|a|)). */
int phi_loss_bce_logits(struct phi_graph *graph, int logits, int target);

/* Mean over rows of -log softmax(logits)[label]; logits [n][k], label [n]: [1]. */
int phi_loss_cross_entropy_mean(struct phi_graph *graph, int logits, int label);

/* KL divergence of N(mu, exp(logvar)) from N(0, I), rows of [n][k]: [n][1]. */
int phi_loss_kl_standard(struct phi_graph *graph, int mu, int logvar);

/* KL divergence of N(mu, exp(logvar)) from N(mu_p, exp(logvar_p)): [n][1]. */
int phi_loss_kl_gaussians(struct phi_graph *graph, const int *mu_logvar, const int *prior);

/* Gaussian log density sum -1/2[log 2 pi + logvar + (x - mean)^2 / exp(logvar)] of rows: [n][1]. */
int phi_loss_gaussian_log_density(struct phi_graph *graph, int x, int mean, int logvar);

/* Total variation sum (d1^2 + d2^2 + eps)^(beta / 2) of a picture batch, forward differences, 0 in
 * the last column and row: [1]. `clamped` takes Mahendran and Vedaldi's gradient, which divides by
 * max(v, 1e-5). */
int phi_loss_tv(struct phi_graph *graph, int picture, float beta, float eps, bool clamped);

#endif
