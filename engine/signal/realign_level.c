/* SPDX-License-Identifier: MIT */
#include "signal/realign_level.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "signal/smooth_internal.h"

#define JITTER         0.5  /* voxels: keeps the points off the lattice, where splines differ */
#define GRADIENT_STEP  0.05 /* voxels */
#define PARAMETER_STEP 1e-6 /* mm or rad */
#define POINT_SEED     20U
#define EDGE_SLACK     1e-6 /* voxels: rounding must not throw the border out of the grid */
#define LEAST_POINTS   32
#define PIVOT_FLOOR    1e-5 /* of the best determined shift or rotation: less is rounding */

/* Where the candidate points lie along each axis: margin + i * step, i < n. */
struct lattice {
    double margin[3]; /* voxels */
    double step[3];
    size_t n[3];
};

/* Near the border smoothing sees half a neighbourhood and its bias does not move with the head; a
 * margin of one width takes the errors of a moved phantom from 0.1 mm to 0.001 mm. Thin volumes
 * give at most a sixth on each side. */
static struct lattice make_lattice(const struct phi_realign_level *level)
{
    struct lattice l;
    double voxel_mm[3];

    phi_affine_voxel_size(&level->reference.affine, voxel_mm);
    for (int axis = 0; axis < 3; axis++) {
        double n = (double)level->reference.n[axis];
        double room;

        l.margin[axis] = fmin(level->fwhm_mm / voxel_mm[axis], n / 6);
        l.step[axis] = fmax(1.0, level->separation_mm / voxel_mm[axis]);
        room = n - 1.0 - JITTER - 1e-9 - 2 * l.margin[axis];
        l.n[axis] = room > 0 ? (size_t)floor(room / l.step[axis]) + 1 : 0;
    }
    return l;
}

static enum ph_status plan_smoothing(const struct phi_realign_level *level,
                                     const struct phi_grid *grid, struct phi_smooth **ret,
                                     struct ph_error *reterr)
{
    const struct phi_smooth_config config = {
        .fwhm_mm = {level->fwhm_mm, level->fwhm_mm, level->fwhm_mm},
        .method = PHI_SMOOTH_SEPARABLE,
    };

    return phi_smooth_plan(&config, grid, ret, reterr);
}

enum ph_status phi_realign_level_init(struct phi_realign_level *level, struct ph_error *reterr)
{
    const struct lattice lattice = make_lattice(level);
    const size_t n = lattice.n[0] * lattice.n[1] * lattice.n[2];
    enum ph_status status;

    if (n < LEAST_POINTS)
        return phi_error(reterr, PH_E_SHAPE,
                         "realignment: a reference of %zu x %zu x %zu voxels is too small",
                         level->reference.n[0], level->reference.n[1], level->reference.n[2]);
    level->n_candidates = n;
    level->x = phi_calloc(n, sizeof(float));
    level->y = phi_calloc(n, sizeof(float));
    level->z = phi_calloc(n, sizeof(float));
    level->value = phi_calloc(n, sizeof(float));
    level->jacobian = phi_calloc2(n, 6, sizeof(float));
    level->leverage = phi_calloc(n, sizeof(float));
    level->sampled = phi_calloc(n, sizeof(float));
    level->inside = phi_calloc(n, sizeof(float));
    if (!level->x || !level->y || !level->z || !level->value || !level->jacobian ||
        !level->leverage || !level->sampled || !level->inside)
        return phi_error_nomem(reterr, "realignment points", n * 13 * sizeof(float));
    status = plan_smoothing(level, &level->reference, &level->smooth_reference, reterr);
    if (status == PH_OK)
        status = plan_smoothing(level, &level->image, &level->smooth_image, reterr);
    return status;
}

void phi_realign_level_fini(struct phi_realign_level *level)
{
    phi_free(level->x);
    phi_free(level->y);
    phi_free(level->z);
    phi_free(level->value);
    phi_free(level->jacobian);
    phi_free(level->leverage);
    phi_free(level->sampled);
    phi_free(level->inside);
    phi_smooth_destroy(&level->smooth_reference);
    phi_smooth_destroy(&level->smooth_image);
}

/* Smoothing the coefficients is smoothing the spline: both commute away from the border. */
static void smooth_coefficients(struct phi_smooth *smooth, const struct phi_bspline *coefficients,
                                struct phi_bspline *smoothed)
{
    const struct phi_spline_view in = phi_bspline_view(coefficients);
    const struct phi_spline_view out = phi_bspline_view(smoothed);
    const struct phi_smooth_layout in_layout = {in.row, in.slice};
    const struct phi_smooth_layout out_layout = {out.row, out.slice};

    (void)phi_smooth_process_strided(smooth, in.origin, &in_layout, phi_bspline_origin(smoothed),
                                     &out_layout);
    phi_bspline_mirror(smoothed);
}

void phi_realign_level_load(struct phi_realign_level *level, const struct phi_bspline *coefficients,
                            struct phi_bspline *smoothed)
{
    smooth_coefficients(level->smooth_image, coefficients, smoothed);
}

/* The full lattice of candidate points, jittered; the same for every reference. */
static void place_points(struct phi_realign_level *level)
{
    const struct lattice l = make_lattice(level);
    float *const at[3] = {level->x, level->y, level->z};
    struct phi_rng rng;

    phi_rng_init(&rng, POINT_SEED, 0);
    for (size_t i = 0; i < level->n_candidates; i++) {
        const size_t place[3] = {i % l.n[0], i / l.n[0] % l.n[1], i / (l.n[0] * l.n[1])};

        for (int axis = 0; axis < 3; axis++)
            at[axis][i] = (float)(l.margin[axis] + (double)place[axis] * l.step[axis] +
                                  JITTER * phi_rng_uniform(&rng));
    }
}

/* The reference at the candidates moved by `shift` voxels along `axis`. */
static void sample_shifted(const struct phi_realign_level *level, const struct phi_bspline *spline,
                           int axis, double shift, float *out)
{
    const struct phi_spline_view view = phi_bspline_view(spline);
    struct phi_spline_points points = {
        level->x,  level->y, level->z, level->n_candidates, {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0},
        EDGE_SLACK};

    points.map[4 * axis + 3] = shift;
    (void)phi_spatial_kernels()->sample(&view, &points, out, level->inside);
}

/* jacobian += gradient along `axis` times the motion of the points along it by each parameter:
 * with V = inv(A) inv(rigid(p)) A, d value / d p = -gradient . dV/dp x. */
static void add_gradient(struct phi_realign_level *level, const float *low, const float *high,
                         int axis, const struct phi_affine motion[6])
{
    for (size_t i = 0; i < level->n_candidates; i++) {
        double gradient = ((double)high[i] - (double)low[i]) / (2 * GRADIENT_STEP);

        for (int k = 0; k < 6; k++) {
            const double *m = motion[k].m[axis];
            double moved = m[0] * (double)level->x[i] + m[1] * (double)level->y[i] +
                           m[2] * (double)level->z[i] + m[3];

            level->jacobian[6 * i + (size_t)k] -= (float)(gradient * moved);
        }
    }
}

/* Derivative of the voxel map by each parameter at rest. */
static enum ph_status parameter_motion(const struct phi_affine *reference,
                                       struct phi_affine ret_motion[6])
{
    for (int k = 0; k < 6; k++) {
        double params[6] = {0};
        struct phi_affine rigid;
        struct phi_affine map;

        params[k] = PARAMETER_STEP;
        rigid = phi_affine_from_params(params);
        if (phi_affine_voxel_map(&rigid, reference, reference, &map) != PH_OK)
            return PH_E_INVAL;
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 4; j++)
                ret_motion[k].m[i][j] = (map.m[i][j] - (i == j ? 1.0 : 0.0)) / PARAMETER_STEP;
    }
    return PH_OK;
}

/* factor = lower Cholesky factor of the normal matrix over the first n points. */
static enum ph_status factor_normal(struct phi_realign_level *level, size_t n)
{
    double h[6][6] = {{0}};
    double best[2] = {0};

    for (size_t i = 0; i < n; i++)
        for (int a = 0; a < 6; a++)
            for (int b = 0; b <= a; b++)
                h[a][b] += (double)level->jacobian[6 * i + (size_t)a] *
                           (double)level->jacobian[6 * i + (size_t)b];
    for (int a = 0; a < 6; a++)
        best[a / 3] = fmax(best[a / 3], h[a][a]);
    for (int a = 0; a < 6; a++) {
        for (int b = 0; b <= a; b++) {
            for (int k = 0; k < b; k++)
                h[a][b] -= h[a][k] * h[b][k];
            if (b < a)
                h[a][b] /= h[b][b];
        }
        if (!(h[a][a] > PIVOT_FLOOR * best[a / 3]))
            return PH_E_INVAL;
        h[a][a] = sqrt(h[a][a]);
    }
    memcpy(level->factor, h, sizeof h);
    return PH_OK;
}

static void solve_lower(const struct phi_realign_level *level, double v[6])
{
    for (int a = 0; a < 6; a++) {
        for (int k = 0; k < a; k++)
            v[a] -= level->factor[a][k] * v[k];
        v[a] /= level->factor[a][a];
    }
}

void phi_realign_level_solve(const struct phi_realign_level *level, const double slope[6],
                             double ret_step[6])
{
    double v[6];

    memcpy(v, slope, sizeof v);
    solve_lower(level, v);
    for (int a = 5; a >= 0; a--) {
        for (int k = a + 1; k < 6; k++)
            v[a] -= level->factor[k][a] * v[k];
        v[a] /= level->factor[a][a];
    }
    memcpy(ret_step, v, sizeof v);
}

/* The k-th largest (from 1) of values[n], all >= 0: their bits order as they do, so counting on one
 * byte after the other finds it without a copy. */
static float kth_largest(const float *values, size_t n, size_t k)
{
    uint32_t prefix = 0;
    float found;

    for (unsigned shift = 24; shift <= 24; shift -= 8) {
        size_t count[256] = {0};
        uint32_t byte = 255;

        for (size_t i = 0; i < n; i++) {
            uint32_t bits;

            memcpy(&bits, values + i, sizeof bits);
            if ((uint64_t)bits >> (shift + 8) == prefix)
                count[bits >> shift & 255U]++;
        }
        for (; byte > 0 && count[byte] < k; byte--)
            k -= count[byte];
        prefix = prefix << 8 | byte;
    }
    memcpy(&found, &prefix, sizeof found);
    return found;
}

/* Moves the points with the largest leverage J inv(J'J) J' to the front. */
static void keep_informative(struct phi_realign_level *level)
{
    size_t n = level->n_candidates;
    size_t wanted = (size_t)(level->keep * (double)n);
    size_t kept = 0;
    float threshold;

    for (size_t i = 0; i < n; i++) {
        double v[6];
        double sum = 0;

        for (int k = 0; k < 6; k++)
            v[k] = (double)level->jacobian[6 * i + (size_t)k];
        solve_lower(level, v);
        for (int k = 0; k < 6; k++)
            sum += v[k] * v[k];
        level->leverage[i] = (float)sum;
    }
    wanted = wanted < LEAST_POINTS ? LEAST_POINTS : wanted;
    threshold = kth_largest(level->leverage, n, wanted < n ? wanted : n);
    for (size_t i = 0; i < n; i++) {
        if (level->leverage[i] < threshold)
            continue;
        level->x[kept] = level->x[i];
        level->y[kept] = level->y[i];
        level->z[kept] = level->z[i];
        level->value[kept] = level->value[i];
        memmove(level->jacobian + 6 * kept, level->jacobian + 6 * i, 6 * sizeof(float));
        kept++;
    }
    level->n_points = kept;
}

enum ph_status phi_realign_level_set_reference(struct phi_realign_level *level,
                                               const struct phi_bspline *coefficients,
                                               struct phi_bspline *smoothed)
{
    struct phi_affine motion[6];
    enum ph_status status = parameter_motion(&level->reference.affine, motion);

    level->n_points = 0;
    if (status != PH_OK)
        return status;
    place_points(level);
    smooth_coefficients(level->smooth_reference, coefficients, smoothed);
    memset(level->jacobian, 0, level->n_candidates * 6 * sizeof(float));
    for (int axis = 0; axis < 3; axis++) {
        sample_shifted(level, smoothed, axis, -GRADIENT_STEP, level->sampled);
        sample_shifted(level, smoothed, axis, GRADIENT_STEP, level->leverage);
        add_gradient(level, level->sampled, level->leverage, axis, motion);
    }
    sample_shifted(level, smoothed, 0, 0.0, level->value);
    status = factor_normal(level, level->n_candidates);
    if (status != PH_OK)
        return status;
    keep_informative(level);
    return factor_normal(level, level->n_points);
}

struct sums {
    double n, g, f, gg, ff, gf;
};

/* Moments of reference and image over the points inside. */
static struct sums take_sums(const struct phi_realign_level *level)
{
    struct sums s = {0};

    for (size_t i = 0; i < level->n_points; i++) {
        double in = (double)level->inside[i];
        double g = in * (double)level->value[i];
        double f = (double)level->sampled[i];

        s.n += in;
        s.g += g;
        s.f += f;
        s.gg += g * g;
        s.ff += f * f;
        s.gf += g * f;
    }
    return s;
}

enum ph_status phi_realign_level_look(struct phi_realign_level *level,
                                      const struct phi_bspline *smoothed,
                                      const struct phi_affine *pose,
                                      struct phi_realign_look *ret_look)
{
    const struct phi_spline_view view = phi_bspline_view(smoothed);
    struct phi_spline_points points = {level->x,        level->y, level->z,
                                       level->n_points, {0},      EDGE_SLACK};
    struct phi_realign_look look = {0};
    struct phi_affine map;
    struct sums s;
    double spread;

    if (phi_affine_voxel_map(pose, &level->image.affine, &level->reference.affine, &map) != PH_OK)
        return PH_E_INVAL;
    memcpy(points.map, map.m, sizeof points.map);
    look.n_inside = phi_spatial_kernels()->sample(&view, &points, level->sampled, level->inside);
    s = take_sums(level);
    if (look.n_inside == 0 || !(s.f > 0) || !(s.g > 0))
        return PH_E_INVAL;
    look.scale = s.g / s.f;
    spread = (s.gg - s.g * s.g / s.n) * (s.ff - s.f * s.f / s.n);
    look.correlation = spread > 0 ? (s.gf - s.g * s.f / s.n) / sqrt(spread) : 0;
    for (size_t i = 0; i < level->n_points; i++) {
        const float *j = level->jacobian + 6 * i;
        double b = (double)level->inside[i] * (double)level->value[i] -
                   look.scale * (double)level->sampled[i];

        look.mean_square += b * b;
        for (int k = 0; k < 6; k++)
            look.slope[k] += (double)j[k] * b;
    }
    look.mean_square /= s.n;
    if (!isfinite(look.scale) || !isfinite(look.mean_square))
        return PH_E_INVAL;
    *ret_look = look;
    return PH_OK;
}
