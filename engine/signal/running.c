/* SPDX-License-Identifier: MIT */
#include "signal/running.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/simd.h"

struct phi_moments {
    size_t n_capacity;
    size_t n_voxels;
    size_t n;
    double *mean;
    double *m2;
};

enum ph_status phi_moments_create(size_t n_voxels, struct phi_moments **ret_moments,
                                  struct ph_error *reterr)
{
    struct phi_moments *m = phi_calloc(1, sizeof *m);

    if (m) {
        m->n_capacity = m->n_voxels = n_voxels;
        m->mean = phi_calloc(n_voxels, sizeof *m->mean);
        m->m2 = phi_calloc(n_voxels, sizeof *m->m2);
    }
    if (!m || !m->mean || !m->m2) {
        phi_moments_destroy(&m);
        return phi_error(reterr, PH_E_NOMEM, "no memory for the moments of %zu voxels", n_voxels);
    }
    *ret_moments = m;
    return PH_OK;
}

void phi_moments_destroy(struct phi_moments **moments)
{
    if (!moments || !*moments)
        return;
    phi_free((*moments)->mean);
    phi_free((*moments)->m2);
    phi_free(*moments);
    *moments = NULL;
}

void phi_moments_reset(struct phi_moments *moments, size_t n_voxels)
{
    moments->n_voxels = n_voxels < moments->n_capacity ? n_voxels : moments->n_capacity;
    moments->n = 0;
    memset(moments->mean, 0, moments->n_voxels * sizeof *moments->mean);
    memset(moments->m2, 0, moments->n_voxels * sizeof *moments->m2);
}

PHI_VECTOR static void add_all(const float *restrict y, double share, size_t n,
                               double *restrict mean, double *restrict m2)
{
    for (size_t v = 0; v < n; v++) {
        double d = (double)y[v] - mean[v];

        mean[v] += d * share;
        m2[v] += d * ((double)y[v] - mean[v]);
    }
}

void phi_moments_add(struct phi_moments *moments, const float *y)
{
    moments->n++;
    add_all(y, 1 / (double)moments->n, moments->n_voxels, moments->mean, moments->m2);
}

void phi_moments_load(struct phi_moments *moments, size_t n, const double *mean, const double *m2)
{
    moments->n = n;
    memcpy(moments->mean, mean, moments->n_voxels * sizeof *mean);
    memcpy(moments->m2, m2, moments->n_voxels * sizeof *m2);
}

size_t phi_moments_n(const struct phi_moments *moments)
{
    return moments->n;
}

const double *phi_moments_mean(const struct phi_moments *moments)
{
    return moments->mean;
}

const double *phi_moments_m2(const struct phi_moments *moments)
{
    return moments->m2;
}
