/* SPDX-License-Identifier: MIT */
#include "decode/gauss_score.h"

#include <math.h>

static double square(double x)
{
    return x * x;
}

double phi_gauss_nll(const struct phi_gauss_pair *pair)
{
    double sum = 0;

    for (size_t i = 0; i < pair->n; i++) {
        double sd = (double)pair->sd[i];
        double e = ((double)pair->truth[i] - (double)pair->mean[i]) / sd;

        sum += log(sd) + 0.5 * (log(2 * M_PI) + e * e);
    }
    return sum / (double)pair->n;
}

double phi_gauss_coverage(const struct phi_gauss_pair *pair, double z)
{
    size_t n_inside = 0;

    for (size_t i = 0; i < pair->n; i++)
        n_inside += fabs((double)pair->truth[i] - (double)pair->mean[i]) <= z * (double)pair->sd[i];
    return (double)n_inside / (double)pair->n;
}

double phi_gauss_variance_ratio(const struct phi_gauss_pair *pair)
{
    double error = 0, claimed = 0;

    for (size_t i = 0; i < pair->n; i++) {
        error += square((double)pair->truth[i] - (double)pair->mean[i]);
        claimed += square((double)pair->sd[i]);
    }
    return error / claimed;
}

/* Bisection on erf is exact to rounding and needs no table of coefficients; this is called a few
 * times a report. */
double phi_gauss_z(double level)
{
    double low = 0, high = 40;

    for (int i = 0; i < 80; i++) {
        double z = (low + high) / 2;

        if (erf(z / M_SQRT2) < level)
            low = z;
        else
            high = z;
    }
    return (low + high) / 2;
}
