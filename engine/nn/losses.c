/* SPDX-License-Identifier: MIT */
#include "nn/losses.h"

#include "nn/layers.h"

#define LOG_2_PI 1.8378770664093453f

/* The sum of each row [n][...] as [n][1]. */
static int row_sums(struct phi_graph *graph, int x)
{
    struct phi_shape shape = phi_graph_shape(graph, x);
    size_t n = x < 0 ? 0 : phi_shape_count(&shape);
    int flat = x < 0 ? -1 : phi_graph_reshape(graph, x, PHI_SHAPE(shape.dim[0], n / shape.dim[0]));

    return phi_graph_sum(graph, flat, 2);
}

static int difference(struct phi_graph *graph, enum phi_unary fn, int x, int target)
{
    return phi_graph_unary(graph, fn, phi_graph_sub(graph, x, target), 0, 0);
}

int phi_loss_mse_mean(struct phi_graph *graph, int x, int target)
{
    return phi_graph_mean_all(graph, difference(graph, PHI_SQUARE, x, target));
}

int phi_loss_mse_sum(struct phi_graph *graph, int x, int target)
{
    return phi_graph_sum_all(graph, difference(graph, PHI_SQUARE, x, target));
}

int phi_loss_l1_mean(struct phi_graph *graph, int x, int target)
{
    return phi_graph_mean_all(graph, difference(graph, PHI_ABS, x, target));
}

int phi_loss_l1_sum(struct phi_graph *graph, int x, int target)
{
    return phi_graph_sum_all(graph, difference(graph, PHI_ABS, x, target));
}

int phi_loss_bce_sum(struct phi_graph *graph, int p, int target)
{
    int not_p = phi_graph_unary(graph, PHI_AFFINE, p, -1, 1);
    int not_t = phi_graph_unary(graph, PHI_AFFINE, target, -1, 1);
    int a = phi_graph_mul(graph, target, phi_graph_unary(graph, PHI_LOG, p, 0, 0));
    int b = phi_graph_mul(graph, not_t, phi_graph_unary(graph, PHI_LOG, not_p, 0, 0));

    return phi_graph_scale(graph, phi_graph_sum_all(graph, phi_graph_add(graph, a, b)), -1);
}

int phi_loss_bce_logits(struct phi_graph *graph, int logits, int target)
{
    return phi_graph_sub(graph, phi_graph_unary(graph, PHI_SOFTPLUS, logits, 0, 0),
                         phi_graph_mul(graph, logits, target));
}

int phi_loss_cross_entropy_mean(struct phi_graph *graph, int logits, int label)
{
    struct phi_shape shape = phi_graph_shape(graph, logits);
    size_t k = logits < 0 || shape.n_dims != 2 ? 0 : shape.dim[1];
    int picked = phi_graph_mul(graph, phi_graph_log_softmax(graph, logits),
                               phi_graph_one_hot(graph, label, k));

    if (k == 0)
        return phi_graph_fail(graph, PH_E_SHAPE, "cross entropy takes logits [n][k]");
    return phi_graph_scale(graph, phi_graph_sum_all(graph, picked), -1.0f / (float)shape.dim[0]);
}

int phi_loss_kl_standard(struct phi_graph *graph, int mu, int logvar)
{
    int squares = phi_graph_add(graph, phi_graph_unary(graph, PHI_SQUARE, mu, 0, 0),
                                phi_graph_unary(graph, PHI_EXP, logvar, 0, 0));
    int rest = phi_graph_unary(graph, PHI_AFFINE, logvar, 1, 1);

    return phi_graph_scale(graph, row_sums(graph, phi_graph_sub(graph, squares, rest)), 0.5f);
}

int phi_loss_kl_gaussians(struct phi_graph *graph, const int *mu_logvar, const int *prior)
{
    int distance = difference(graph, PHI_SQUARE, mu_logvar[0], prior[0]);
    int spread = phi_graph_unary(graph, PHI_EXP, mu_logvar[1], 0, 0);
    int inverse = phi_graph_unary(graph, PHI_EXP, phi_graph_scale(graph, prior[1], -1), 0, 0);
    int ratio = phi_graph_mul(graph, phi_graph_add(graph, distance, spread), inverse);
    int logs = phi_graph_sub(graph, prior[1], mu_logvar[1]);
    int sum = phi_graph_unary(graph, PHI_AFFINE, phi_graph_add(graph, ratio, logs), 1, -1);

    return phi_graph_scale(graph, row_sums(graph, sum), 0.5f);
}

int phi_loss_gaussian_log_density(struct phi_graph *graph, int x, int mean, int logvar)
{
    int inverse = phi_graph_unary(graph, PHI_EXP, phi_graph_scale(graph, logvar, -1), 0, 0);
    int ratio = phi_graph_mul(graph, difference(graph, PHI_SQUARE, x, mean), inverse);
    int sum = phi_graph_unary(graph, PHI_AFFINE, phi_graph_add(graph, ratio, logvar), 1, LOG_2_PI);

    return phi_graph_scale(graph, row_sums(graph, sum), -0.5f);
}

int phi_loss_tv(struct phi_graph *graph, int picture, float beta, float eps, bool clamped)
{
    struct phi_node node = {.op = PHI_OP_TV,
                            .n_in = 1,
                            .in = {picture},
                            .shape = PHI_SHAPE(1),
                            .a = {clamped},
                            .f = {beta, eps}};

    if (picture < 0)
        return -1;
    if (phi_graph_shape(graph, picture).n_dims != 4)
        return phi_graph_fail(graph, PH_E_SHAPE, "total variation takes pictures [n][c][h][w]");
    return phi_graph_append(graph, &node);
}
