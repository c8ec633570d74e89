/* SPDX-License-Identifier: MIT
 *
 * With the scatter matrix kept as V' diag(l) V (V rows orthonormal), a volume adds u u', u the
 * deviation from the old mean times sqrt(n / (n + 1)). In the basis of V and what u has outside it
 * that is a matrix of k + 1 rows; its eigenvectors rotate the basis. A volume costs (k + 4) passes
 * over the region.
 */
#include "signal/noisecomp.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/simd.h"

#define MAX   PHI_NOISECOMP_MAX
#define SIZE  (MAX + 1)
#define LANES 8

/* A direction is new only if more than this share of the deviation lies outside the kept ones. */
#define NOTHING 1e-10

struct phi_noisecomp {
    size_t n_capacity;
    size_t n_wanted;
    size_t n_voxels;
    size_t n_found;
    size_t n;
    uint32_t *voxels;     /* [n_capacity] */
    double *mean;         /* [n_capacity] */
    double *basis[SIZE];  /* [n_capacity] each; the last is for what is outside the others */
    double *rotated;      /* [SIZE][CHUNK] */
    double scatter[SIZE]; /* eigenvalues */
};

/* Voxels that are rotated together: SIZE rows of it stay in the first cache. */
#define CHUNK 128

static bool allocate(struct phi_noisecomp *c)
{
    bool ok;

    c->voxels = phi_calloc(c->n_capacity, sizeof *c->voxels);
    c->mean = phi_calloc(c->n_capacity, sizeof *c->mean);
    c->rotated = phi_calloc2(SIZE, CHUNK, sizeof *c->rotated);
    ok = c->voxels && c->mean && c->rotated;
    for (size_t i = 0; i <= c->n_wanted; i++) {
        c->basis[i] = phi_calloc(c->n_capacity, sizeof *c->basis[i]);
        ok = ok && c->basis[i];
    }
    return ok;
}

enum ph_status phi_noisecomp_create(size_t n_capacity, size_t n_components,
                                    struct phi_noisecomp **ret_comp, struct ph_error *reterr)
{
    struct phi_noisecomp *c;

    if (n_capacity == 0 || n_components == 0 || n_components > MAX)
        return phi_error(
            reterr, PH_E_INVAL,
            "%zu noise components of %zu voxels: there can be 1 to %d, of at least one "
            "voxel",
            n_components, n_capacity, MAX);
    c = phi_calloc(1, sizeof *c);
    if (!c)
        return phi_error_nomem(reterr, "noise components", sizeof *c);
    c->n_capacity = n_capacity;
    c->n_wanted = n_components;
    if (!allocate(c)) {
        phi_noisecomp_destroy(&c);
        return phi_error(reterr, PH_E_NOMEM, "no memory for noise components of %zu voxels",
                         n_capacity);
    }
    *ret_comp = c;
    return PH_OK;
}

void phi_noisecomp_destroy(struct phi_noisecomp **comp)
{
    struct phi_noisecomp *c = comp ? *comp : NULL;

    if (!c)
        return;
    phi_free(c->voxels);
    phi_free(c->mean);
    phi_free(c->rotated);
    for (size_t i = 0; i < SIZE; i++)
        phi_free(c->basis[i]);
    phi_free(c);
    *comp = NULL;
}

enum ph_status phi_noisecomp_set_region(struct phi_noisecomp *comp, const uint32_t *voxels,
                                        size_t n_voxels)
{
    if (n_voxels == 0 || n_voxels > comp->n_capacity)
        return PH_E_SHAPE;
    memmove(comp->voxels, voxels, n_voxels * sizeof *voxels);
    memset(comp->mean, 0, n_voxels * sizeof *comp->mean);
    memset(comp->scatter, 0, sizeof comp->scatter);
    comp->n_voxels = n_voxels;
    comp->n_found = comp->n = 0;
    return PH_OK;
}

/* Lanes fix the order of additions and keep the loop wide. */
PHI_VECTOR static double dot(const double *restrict a, const double *restrict b, size_t n)
{
    double sum[LANES] = {0};
    double all = 0;
    size_t v = 0;

    for (; v + LANES <= n; v += LANES)
        for (size_t i = 0; i < LANES; i++)
            sum[i] += a[v + i] * b[v + i];
    for (; v < n; v++)
        all += a[v] * b[v];
    for (size_t i = 0; i < LANES; i++)
        all += sum[i];
    return all;
}

PHI_VECTOR static void add_scaled(double *restrict y, const double *restrict x, double factor,
                                  size_t n)
{
    for (size_t v = 0; v < n; v++)
        y[v] += factor * x[v];
}

void phi_noisecomp_scores(const struct phi_noisecomp *comp, const float *y, double *ret_scores)
{
    double unit = comp->n_voxels ? 1 / sqrt((double)comp->n_voxels) : 0;

    for (size_t i = 0; i < comp->n_wanted; i++) {
        double sum = 0;

        for (size_t v = 0; i < comp->n_found && v < comp->n_voxels; v++)
            sum += comp->basis[i][v] * ((double)y[comp->voxels[v]] - comp->mean[v]);
        ret_scores[i] = sum * unit;
    }
}

/* One Jacobi rotation that clears a[p][q]; columns of w follow. */
static void jacobi(double a[SIZE][SIZE], double w[SIZE][SIZE], size_t n, size_t p, size_t q)
{
    double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
    double t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
    double c = 1 / sqrt(t * t + 1);
    double s = t * c;

    for (size_t k = 0; k < n; k++) {
        double kp = a[k][p];
        double kq = a[k][q];

        a[k][p] = c * kp - s * kq;
        a[k][q] = s * kp + c * kq;
    }
    for (size_t k = 0; k < n; k++) {
        double pk = a[p][k];
        double qk = a[q][k];
        double wp = w[k][p];
        double wq = w[k][q];

        a[p][k] = c * pk - s * qk;
        a[q][k] = s * pk + c * qk;
        w[k][p] = c * wp - s * wq;
        w[k][q] = s * wp + c * wq;
    }
}

/* Eigenvalues on the diagonal of a[n][n], eigenvectors in the columns of w (Jacobi's method). */
static void eigen(double a[SIZE][SIZE], double w[SIZE][SIZE], size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            w[i][j] = i == j;
    for (int sweep = 0; sweep < 50; sweep++) {
        double off = 0;
        double size = 0;

        for (size_t p = 0; p < n; p++)
            for (size_t q = 0; q < n; q++)
                *(p == q ? &size : &off) += a[p][q] * a[p][q];
        if (off <= 1e-30 * size)
            return;
        for (size_t p = 0; p + 1 < n; p++)
            for (size_t q = p + 1; q < n; q++)
                if (a[p][q] != 0)
                    jacobi(a, w, n, p, q);
    }
}

/* Orders the n eigenvalues downwards: order[i] is the column of the i-th largest. */
static void order_down(double a[SIZE][SIZE], size_t n, size_t *order)
{
    for (size_t i = 0; i < n; i++) {
        size_t j = i;

        for (; j > 0 && a[order[j - 1]][order[j - 1]] < a[i][i]; j--)
            order[j] = order[j - 1];
        order[j] = i;
    }
}

/* Fills the deviation of y from the mean into the spare row, and moves the mean. */
static double *take_deviation(struct phi_noisecomp *c, const float *y)
{
    double *u = c->basis[c->n_found];
    double weight = sqrt((double)c->n / (double)(c->n + 1));
    double share = 1 / (double)(c->n + 1);

    for (size_t v = 0; v < c->n_voxels; v++) {
        double d = (double)y[c->voxels[v]] - c->mean[v];

        u[v] = weight * d;
        c->mean[v] += share * d;
    }
    c->n++;
    return u;
}

/* Takes what lies in the basis out of u, twice against rounding; in[i] = what was there. Returns
 * the length of the rest. */
static double project_out(struct phi_noisecomp *c, double *u, double *in)
{
    memset(in, 0, SIZE * sizeof *in);
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < c->n_found; i++) {
            double along = dot(c->basis[i], u, c->n_voxels);

            in[i] += along;
            add_scaled(u, c->basis[i], -along, c->n_voxels);
        }
    return sqrt(dot(u, u, c->n_voxels));
}

/* New rows i = sum_j w[j][order[i]] row j, chunk by chunk. */
static void rotate_basis(struct phi_noisecomp *c, double w[SIZE][SIZE], const size_t *order,
                         size_t n_from, size_t n_to)
{
    for (size_t v = 0; v < c->n_voxels; v += CHUNK) {
        size_t m = c->n_voxels - v < CHUNK ? c->n_voxels - v : CHUNK;

        memset(c->rotated, 0, SIZE * CHUNK * sizeof *c->rotated);
        for (size_t i = 0; i < n_to; i++)
            for (size_t j = 0; j < n_from; j++)
                add_scaled(c->rotated + i * CHUNK, c->basis[j] + v, w[j][order[i]], m);
        for (size_t i = 0; i < n_to; i++)
            memcpy(c->basis[i] + v, c->rotated + i * CHUNK, m * sizeof(double));
    }
}

/* Keeps each component's sign: its weight on its old self is not negative. */
static void keep_signs(double w[SIZE][SIZE], const size_t *order, size_t n_to, size_t n)
{
    for (size_t i = 0; i < n_to; i++)
        if (w[i][order[i]] < 0)
            for (size_t j = 0; j < n; j++)
                w[j][order[i]] = -w[j][order[i]];
}

void phi_noisecomp_learn(struct phi_noisecomp *comp, const float *y)
{
    double a[SIZE][SIZE], w[SIZE][SIZE], in[SIZE];
    size_t order[SIZE];
    size_t k = comp->n_found;
    double *u = take_deviation(comp, y);
    double before = sqrt(dot(u, u, comp->n_voxels));
    double rest = project_out(comp, u, in);
    bool is_new = rest > NOTHING * before;
    size_t n = k + is_new;
    size_t kept = n < comp->n_wanted ? n : comp->n_wanted;

    if (is_new) {
        in[k] = rest;
        for (size_t v = 0; v < comp->n_voxels; v++)
            u[v] /= rest;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            a[i][j] = in[i] * in[j] + (i == j && i < k ? comp->scatter[i] : 0);
    eigen(a, w, n);
    order_down(a, n, order);
    keep_signs(w, order, kept, n);
    rotate_basis(comp, w, order, n, kept);
    for (size_t i = 0; i < kept; i++)
        comp->scatter[i] = a[order[i]][order[i]];
    comp->n_found = kept;
}

size_t phi_noisecomp_n(const struct phi_noisecomp *comp)
{
    return comp->n;
}

size_t phi_noisecomp_n_components(const struct phi_noisecomp *comp)
{
    return comp->n_found;
}

double phi_noisecomp_variance(const struct phi_noisecomp *comp, size_t i)
{
    return i < comp->n_found && comp->n > 1 ? comp->scatter[i] / (double)(comp->n - 1) : 0;
}

const double *phi_noisecomp_weights(const struct phi_noisecomp *comp, size_t i)
{
    return comp->basis[i];
}

static size_t count_above(const double *m2, size_t n, double limit)
{
    size_t count = 0;

    for (size_t v = 0; v < n; v++)
        count += m2[v] > limit;
    return count;
}

size_t phi_noisecomp_most_variable(const double *m2, size_t n_voxels, size_t n_wanted,
                                   uint32_t *ret_voxels)
{
    double low = 0, high = 0;
    size_t above, found = 0, ties;

    for (size_t v = 0; v < n_voxels; v++)
        high = m2[v] > high ? m2[v] : high;
    if (count_above(m2, n_voxels, 0) > n_wanted) {
        for (int i = 0; i < 200; i++) { /* to neighbouring numbers: n_wanted lie above high, more
                                           above low */
            double middle = low + (high - low) / 2;

            if (!(middle > low && middle < high))
                break;
            if (count_above(m2, n_voxels, middle) > n_wanted)
                low = middle;
            else
                high = middle;
        }
    } else {
        high = 0;
    }
    above = count_above(m2, n_voxels, high);
    ties = n_wanted - above;
    for (size_t v = 0; v < n_voxels && found < n_wanted; v++) {
        bool tie = m2[v] > 0 && m2[v] <= high && m2[v] > low && ties > 0;

        if (m2[v] > high || tie) {
            ret_voxels[found++] = (uint32_t)v;
            ties -= tie;
        }
    }
    return found;
}
