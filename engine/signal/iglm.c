/* SPDX-License-Identifier: MIT
 *
 * Cost: a volume reads and writes Z once (16 bytes per voxel and regressor), which is the floor for
 * an exact model whose state is Z; everything else happens while a block's rows are in the first
 * cache. A contrast needs no betas: c'beta = (R^-T c)'Z, so it costs one more multiply-add per
 * element in the same pass. The newest residual is free: it is what the rotations leave of y, times
 * the product of their cosines.
 */
#include "signal/iglm.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/simd.h"
#include "signal/finite.h"

#define B     PHI_IGLM_BLOCK
#define GROUP 4 /* rotations applied while a voxel's y stays in a register */

/* What is left of a new row in a column is taken for nothing below this share of the column's norm:
 * rounding leaves 1e-16, and a direction found in rounding must not cost a degree of freedom. */
#define NOTHING 1e-12

struct vector {
    double *c;      /* [r] as set */
    double *a;      /* [r] R^-T c */
    double a_dot_a; /* variance of c'beta over that of the noise */
    bool estimable;
};

struct phi_iglm {
    struct phi_iglm_config config;
    size_t n_capacity; /* voxels there is memory for */
    size_t n_blocks;
    size_t n_padded; /* regressors, rounded up to GROUP */
    double *r;       /* [r][r] upper triangle */
    double *z;       /* [n_blocks][n_padded][B] */
    double *rss;     /* [n_blocks][B] */
    double *norm2;   /* [r] squared norms of the columns so far */
    double *cosine;  /* [n_padded] */
    double *sine;    /* [n_padded] */
    double *x;       /* [r] the row being rotated */
    double *last_x;  /* [r] the last row learnt, for whitening */
    float *last_y;   /* [n_blocks][B] */
    struct vector vectors[PHI_IGLM_MAX_VECTORS];
    size_t n_rows;
    size_t rank;
    size_t n_since; /* volumes since last_x, this one included; 0 if there is none */
    double carry;   /* rho^n_since: share of the last row to subtract */
    double weight;  /* of the row after that */
    double left;    /* product of the cosines: residual = left * what is left of y */
    bool learn;
};

static enum ph_status check_config(const struct phi_iglm_config *c, struct ph_error *reterr)
{
    if (c->n_voxels == 0)
        return phi_error(reterr, PH_E_INVAL, "the model has no voxels: is the mask empty?");
    if (c->n_regressors == 0 || c->n_regressors > PHI_IGLM_MAX_REGRESSORS)
        return phi_error(reterr, PH_E_INVAL, "%zu regressors: a model has 1 to %d", c->n_regressors,
                         PHI_IGLM_MAX_REGRESSORS);
    if (c->n_vectors > PHI_IGLM_MAX_VECTORS)
        return phi_error(reterr, PH_E_INVAL, "%zu contrasts: at most %d are computed live",
                         c->n_vectors, PHI_IGLM_MAX_VECTORS);
    if (!(fabs(c->rho) < 1))
        return phi_error(reterr, PH_E_INVAL, "autocorrelation %g: it must lie between -1 and 1",
                         c->rho);
    return PH_OK;
}

static bool allocate(struct phi_iglm *g)
{
    size_t r = g->config.n_regressors;
    size_t rows = 0;
    bool ok = phi_mul_size(g->n_blocks, g->n_padded, &rows);

    g->r = phi_calloc2(r, r, sizeof *g->r);
    g->z = ok ? phi_calloc2(rows, B, sizeof *g->z) : NULL;
    g->rss = phi_calloc2(g->n_blocks, B, sizeof *g->rss);
    g->last_y = phi_calloc2(g->n_blocks, B, sizeof *g->last_y);
    g->norm2 = phi_calloc(r, sizeof *g->norm2);
    g->cosine = phi_calloc(g->n_padded, sizeof *g->cosine);
    g->sine = phi_calloc(g->n_padded, sizeof *g->sine);
    g->x = phi_calloc(r, sizeof *g->x);
    g->last_x = phi_calloc(r, sizeof *g->last_x);
    ok = g->r && g->z && g->rss && g->last_y && g->norm2 && g->cosine && g->sine && g->x &&
         g->last_x;
    for (size_t k = 0; k < g->config.n_vectors; k++) {
        g->vectors[k].c = phi_calloc(r, sizeof(double));
        g->vectors[k].a = phi_calloc(g->n_padded, sizeof(double));
        ok = ok && g->vectors[k].c && g->vectors[k].a;
    }
    return ok;
}

enum ph_status phi_iglm_create(const struct phi_iglm_config *config, struct phi_iglm **ret_glm,
                               struct ph_error *reterr)
{
    enum ph_status status = check_config(config, reterr);
    struct phi_iglm *g;

    if (status != PH_OK)
        return status;
    g = phi_calloc(1, sizeof *g);
    if (!g)
        return phi_error_nomem(reterr, "a linear model", sizeof *g);
    g->config = *config;
    g->n_capacity = config->n_voxels;
    g->n_blocks = config->n_voxels / B + (config->n_voxels % B != 0);
    g->n_padded = (config->n_regressors + GROUP - 1) / GROUP * GROUP;
    if (!allocate(g)) {
        phi_iglm_destroy(&g);
        return phi_error(
            reterr, PH_E_NOMEM,
            "no memory for a model of %zu voxels and %zu regressors: use a smaller mask",
            config->n_voxels, config->n_regressors);
    }
    phi_iglm_reset(g);
    *ret_glm = g;
    return PH_OK;
}

void phi_iglm_destroy(struct phi_iglm **glm)
{
    struct phi_iglm *g = glm ? *glm : NULL;

    if (!g)
        return;
    for (size_t k = 0; k < g->config.n_vectors; k++) {
        phi_free(g->vectors[k].c);
        phi_free(g->vectors[k].a);
    }
    phi_free(g->r);
    phi_free(g->z);
    phi_free(g->rss);
    phi_free(g->last_y);
    phi_free(g->norm2);
    phi_free(g->cosine);
    phi_free(g->sine);
    phi_free(g->x);
    phi_free(g->last_x);
    phi_free(g);
    *glm = NULL;
}

void phi_iglm_reset(struct phi_iglm *glm)
{
    size_t r = glm->config.n_regressors;

    memset(glm->r, 0, r * r * sizeof *glm->r);
    memset(glm->z, 0, glm->n_blocks * glm->n_padded * B * sizeof *glm->z);
    memset(glm->rss, 0, glm->n_blocks * B * sizeof *glm->rss);
    memset(glm->last_y, 0, glm->n_blocks * B * sizeof *glm->last_y);
    memset(glm->norm2, 0, r * sizeof *glm->norm2);
    memset(glm->last_x, 0, r * sizeof *glm->last_x);
    for (size_t i = 0; i < glm->n_padded; i++) {
        glm->cosine[i] = 1;
        glm->sine[i] = 0;
    }
    for (size_t k = 0; k < glm->config.n_vectors; k++) {
        memset(glm->vectors[k].a, 0, glm->n_padded * sizeof(double));
        glm->vectors[k].a_dot_a = 0;
        glm->vectors[k].estimable = false;
    }
    glm->n_rows = glm->rank = glm->n_since = 0;
    glm->learn = false;
}

enum ph_status phi_iglm_resize(struct phi_iglm *glm, size_t n_voxels)
{
    if (n_voxels == 0 || n_voxels > glm->n_capacity)
        return PH_E_SHAPE;
    glm->config.n_voxels = n_voxels;
    glm->n_blocks = n_voxels / B + (n_voxels % B != 0);
    phi_iglm_reset(glm);
    return PH_OK;
}

enum ph_status phi_iglm_set_rho(struct phi_iglm *glm, double rho)
{
    if (!(fabs(rho) < 1))
        return PH_E_INVAL;
    glm->config.rho = rho;
    phi_iglm_reset(glm);
    return PH_OK;
}

static bool finite_row(const double *x, size_t n)
{
    bool ok = true;

    for (size_t i = 0; i < n; i++)
        ok = ok && isfinite(x[i]);
    return ok;
}

enum ph_status phi_iglm_set_vector(struct phi_iglm *glm, size_t k, const double *vector)
{
    size_t r = glm->config.n_regressors;

    if (k >= glm->config.n_vectors || !finite_row(vector, r))
        return PH_E_INVAL;
    memcpy(glm->vectors[k].c, vector, r * sizeof *vector);
    return PH_OK;
}

/* Whitening over a gap of g volumes: e_t - rho^g e_{t-g} has variance (1 - rho^2g) of e's; the
 * weight brings it to that of neighbours, and the first row counts as infinitely far. */
static void whiten_row(struct phi_iglm *g, const double *x)
{
    double rho = g->config.rho;

    g->carry = g->n_since ? pow(rho, (double)g->n_since) : 0;
    g->weight = sqrt((1 - rho * rho) / (1 - g->carry * g->carry));
    for (size_t i = 0; i < g->config.n_regressors; i++) {
        g->x[i] = g->weight * (x[i] - g->carry * g->last_x[i]);
        g->norm2[i] += g->x[i] * g->x[i];
        g->last_x[i] = x[i];
    }
}

/* The rotation that takes x[i] into R[i][i], applied to the rest of both rows. */
static void rotate_row(struct phi_iglm *g, size_t i)
{
    size_t r = g->config.n_regressors;
    double *row = g->r + i * r;
    double length = hypot(row[i], g->x[i]);
    double c = row[i] / length;
    double s = g->x[i] / length;

    g->cosine[i] = c;
    g->sine[i] = s;
    g->left *= c;
    g->rank += row[i] == 0;
    row[i] = length;
    for (size_t j = i + 1; j < r; j++) {
        double above = row[j];

        row[j] = c * above + s * g->x[j];
        g->x[j] = c * g->x[j] - s * above;
    }
}

static void keep_row(struct phi_iglm *g, size_t i)
{
    g->cosine[i] = 1;
    g->sine[i] = 0;
}

static void learn_row(struct phi_iglm *g, const double *x)
{
    size_t r = g->config.n_regressors;

    whiten_row(g, x);
    g->left = 1;
    for (size_t i = 0; i < r; i++) {
        bool known = g->r[i * r + i] != 0;

        if (fabs(g->x[i]) <= (known ? 0 : NOTHING * sqrt(g->norm2[i])))
            keep_row(g, i);
        else
            rotate_row(g, i);
    }
    g->n_rows++;
}

/* a = R^-T c by forward substitution. A column without a pivot can carry no weight; if c wants some
 * there, the vector is not estimable. */
static void solve_vector(const struct phi_iglm *g, struct vector *v)
{
    size_t r = g->config.n_regressors;

    v->estimable = true;
    v->a_dot_a = 0;
    for (size_t i = 0; i < r; i++) {
        double rest = v->c[i];
        double size = fabs(rest);

        for (size_t j = 0; j < i; j++) {
            double part = g->r[j * r + i] * v->a[j];

            rest -= part;
            size += fabs(part);
        }
        if (g->r[i * r + i] != 0) {
            v->a[i] = rest / g->r[i * r + i];
        } else {
            v->a[i] = 0;
            v->estimable = v->estimable && fabs(rest) <= 1e-9 * size;
        }
        v->a_dot_a += v->a[i] * v->a[i];
    }
}

void phi_iglm_skip(struct phi_iglm *glm)
{
    if (glm->n_rows > 0)
        glm->n_since++;
}

enum ph_status phi_iglm_begin(struct phi_iglm *glm, const double *x, bool learn)
{
    if (!finite_row(x, glm->config.n_regressors))
        return PH_E_INVAL;
    phi_iglm_skip(glm);
    glm->learn = learn;
    if (learn)
        learn_row(glm, x);
    for (size_t k = 0; k < glm->config.n_vectors; k++)
        solve_vector(glm, &glm->vectors[k]);
    if (learn)
        glm->n_since = 0;
    return PH_OK;
}

size_t phi_iglm_n_blocks(const struct phi_iglm *glm)
{
    return glm->n_blocks;
}

/* Applies GROUP rotations to rows z[GROUP][B] and y[B]. */
PHI_VECTOR static void rotate_group(const double *restrict c, const double *restrict s,
                                    double *restrict z, double *restrict y)
{
    for (size_t v = 0; v < B; v++) {
        double rest = y[v];
        double z0 = z[v];
        double z1 = z[B + v];
        double z2 = z[2 * B + v];
        double z3 = z[3 * B + v];

        z[v] = c[0] * z0 + s[0] * rest;
        rest = c[0] * rest - s[0] * z0;
        z[B + v] = c[1] * z1 + s[1] * rest;
        rest = c[1] * rest - s[1] * z1;
        z[2 * B + v] = c[2] * z2 + s[2] * rest;
        rest = c[2] * rest - s[2] * z2;
        z[3 * B + v] = c[3] * z3 + s[3] * rest;
        y[v] = c[3] * rest - s[3] * z3;
    }
}

/* sum[B] += a[GROUP] . z[GROUP][B] */
PHI_VECTOR static void add_group(const double *restrict a, const double *restrict z,
                                 double *restrict sum)
{
    for (size_t v = 0; v < B; v++)
        sum[v] += a[0] * z[v] + a[1] * z[B + v] + a[2] * z[2 * B + v] + a[3] * z[3 * B + v];
}

/* out[n] = sum / sqrt(rss * variance), 0 where that has no meaning. */
PHI_VECTOR static void write_t(const double *restrict sum, const double *restrict rss,
                               double variance, size_t n, float *restrict out)
{
    for (size_t v = 0; v < n; v++) {
        double se2 = rss[v] * variance;
        double safe =
            se2 > 0 ? se2 : INFINITY; /* no branch around the division, so it vectorises */

        out[v] = (float)(sum[v] / sqrt(safe));
    }
}

PHI_VECTOR static void write_scaled(const double *restrict in, double scale, size_t n,
                                    float *restrict out)
{
    for (size_t v = 0; v < n; v++)
        out[v] = (float)(in[v] * scale);
}

PHI_VECTOR static void whiten_block(const float *restrict y, float *restrict last, double carry,
                                    double weight, size_t n, double *restrict out)
{
    for (size_t v = 0; v < n; v++) {
        out[v] = weight * ((double)y[v] - carry * (double)last[v]);
        last[v] = y[v];
    }
}

PHI_VECTOR static void add_squares(const double *restrict y, double *restrict rss)
{
    for (size_t v = 0; v < B; v++)
        rss[v] += y[v] * y[v];
}

static size_t block_size(const struct phi_iglm *g, size_t block)
{
    size_t left = g->config.n_voxels - block * B;

    return left < B ? left : B;
}

static void learn_block(struct phi_iglm *g, size_t block, const float *y, double *rest)
{
    size_t n = block_size(g, block);
    double *z = g->z + block * g->n_padded * B;

    memset(rest, 0, B * sizeof *rest);
    whiten_block(y + block * B, g->last_y + block * B, g->carry, g->weight, n, rest);
    for (size_t i = 0; i < g->n_padded; i += GROUP)
        rotate_group(g->cosine + i, g->sine + i, z + i * B, rest);
    add_squares(rest, g->rss + block * B);
}

static void write_vector(const struct phi_iglm *g, size_t k, size_t block, float *value, float *t)
{
    const struct vector *v = &g->vectors[k];
    const double *z = g->z + block * g->n_padded * B;
    size_t n = block_size(g, block);
    size_t dof = phi_iglm_dof(g);
    double sum[B] = {0};

    for (size_t i = 0; i < g->n_padded; i += GROUP)
        add_group(v->a + i, z + i * B, sum);
    if (value)
        write_scaled(sum, 1, n, value + block * B);
    if (t)
        write_t(sum, g->rss + block * B, v->estimable && dof ? v->a_dot_a / (double)dof : 0, n,
                t + block * B);
}

void phi_iglm_block(struct phi_iglm *glm, size_t block, const float *y,
                    const struct phi_iglm_maps *maps)
{
    double rest[B] = {0};

    if (glm->learn)
        learn_block(glm, block, y, rest);
    if (!maps)
        return;
    for (size_t k = 0; k < glm->config.n_vectors; k++)
        if (maps->value[k] || maps->t[k])
            write_vector(glm, k, block, maps->value[k], maps->t[k]);
    if (maps->residual)
        write_scaled(rest, glm->left, block_size(glm, block), maps->residual + block * B);
}

enum ph_status phi_iglm_add(struct phi_iglm *glm, const double *x, const float *y,
                            const struct phi_iglm_maps *maps)
{
    enum ph_status status;

    if (!phi_all_finite(y, glm->config.n_voxels))
        return PH_E_INVAL;
    status = phi_iglm_begin(glm, x, true);
    for (size_t b = 0; status == PH_OK && b < glm->n_blocks; b++)
        phi_iglm_block(glm, b, y, maps);
    return status;
}

size_t phi_iglm_n_rows(const struct phi_iglm *glm)
{
    return glm->n_rows;
}

size_t phi_iglm_rank(const struct phi_iglm *glm)
{
    return glm->rank;
}

bool phi_iglm_estimable(const struct phi_iglm *glm, size_t k)
{
    return k < glm->config.n_vectors && glm->n_rows > 0 && glm->vectors[k].estimable;
}

double phi_iglm_variance(const struct phi_iglm *glm, size_t k)
{
    return phi_iglm_estimable(glm, k) ? glm->vectors[k].a_dot_a : INFINITY;
}

static const double *z_of(const struct phi_iglm *g, size_t voxel)
{
    return g->z + voxel / B * g->n_padded * B + voxel % B;
}

void phi_iglm_beta(const struct phi_iglm *glm, size_t voxel, double *ret_beta)
{
    size_t r = glm->config.n_regressors;
    const double *z = z_of(glm, voxel);

    for (size_t i = r; i-- > 0;) {
        const double *row = glm->r + i * r;
        double rest = z[i * B];

        for (size_t j = i + 1; j < r; j++)
            rest -= row[j] * ret_beta[j];
        ret_beta[i] = row[i] != 0 ? rest / row[i] : 0;
    }
}

double phi_iglm_rss(const struct phi_iglm *glm, size_t voxel)
{
    return glm->rss[voxel];
}

size_t phi_iglm_dof(const struct phi_iglm *glm)
{
    return glm->n_rows - glm->rank;
}

double phi_iglm_t(const struct phi_iglm *glm, size_t k, size_t voxel)
{
    const struct vector *v = &glm->vectors[k];
    const double *z = z_of(glm, voxel);
    size_t dof = phi_iglm_dof(glm);
    double sum = 0;
    double se2 = v->estimable && dof ? v->a_dot_a * glm->rss[voxel] / (double)dof : 0;

    for (size_t i = 0; i < glm->config.n_regressors; i++)
        sum += v->a[i] * z[i * B];
    return se2 > 0 ? sum / sqrt(se2) : 0;
}
