/* SPDX-License-Identifier: MIT */
#include "signal/realign.h"

#include <math.h>

#include "base/error.h"
#include "base/mem.h"
#include "signal/bspline.h"
#include "signal/motion.h"
#include "signal/realign_level.h"

#define N_LEVELS         3
#define LEAST_INSIDE     32   /* points, as in SPM */
#define LEAST_SHARE      0.1  /* of the points */
#define LEAST_MATCH      0.5  /* correlation: a head against noise gives about 0 */
#define TINY_STEP        1e-3 /* mm at 50 mm radius */
#define MOVING_STEP      0.05
#define HALVINGS         4
#define COARSE_TOLERANCE 0.001
#define COARSE_ROUNDS    30

struct phi_realign {
    struct phi_realign_config config; /* with defaults filled in */
    struct phi_grid reference;
    struct phi_grid image;
    struct phi_realign_level levels[N_LEVELS]; /* fine to coarse */
    struct phi_bspline *spline;                /* coefficients of the newest image */
    struct phi_bspline *smoothed;
    struct phi_bspline *reference_spline;   /* the same two where the grids differ in size; else */
    struct phi_bspline *reference_smoothed; /* aliases of the above */
    bool own_reference;
    bool has_reference;
    bool has_pose;
    struct phi_affine pose; /* last good one */
    double params[6];
    double reference_centre_mm[3]; /* of intensity */
    double grid_centre_mm[3];
};

/* One descent: where it stands. */
struct descent {
    struct phi_affine pose;
    struct phi_realign_look look; /* at pose */
    double last_step;             /* mm at 50 mm radius */
    uint32_t n_iterations;
};

static void fill_defaults(struct phi_realign_config *c)
{
    c->separation_mm = c->separation_mm > 0 ? c->separation_mm : 4.0;
    c->fwhm_mm = c->fwhm_mm > 0 ? c->fwhm_mm : 5.0;
    c->keep = c->keep > 0 ? c->keep : 0.3;
    c->tolerance = c->tolerance > 0 ? c->tolerance : 0.01;
    c->jump_mm = c->jump_mm > 0 ? c->jump_mm : 5.0;
    c->max_iterations = c->max_iterations ? c->max_iterations : 10;
}

static enum ph_status check_config(const struct phi_realign_config *c, struct ph_error *reterr)
{
    if (!(c->separation_mm <= 50) || !(c->fwhm_mm <= 50) || !(c->keep <= 1) ||
        !(c->tolerance < 1) || !(c->jump_mm <= 1e6) || c->max_iterations > 1000)
        return phi_error(reterr, PH_E_INVAL,
                         "realignment settings: separation and fwhm at most 50 mm, keep at most 1, "
                         "tolerance below 1, at most 1000 iterations");
    return PH_OK;
}

/* Twice and four times the width on as many times wider points: reaches a few cm. */
static enum ph_status make_levels(struct phi_realign *r, struct ph_error *reterr)
{
    for (int i = 0; i < N_LEVELS; i++) {
        struct phi_realign_level *level = &r->levels[i];
        enum ph_status status;

        level->separation_mm = r->config.separation_mm * (i + 1);
        level->fwhm_mm = r->config.fwhm_mm * (double)(1 << i);
        level->keep = i == 0 ? r->config.keep : 1.0;
        level->reference = r->reference;
        level->image = r->image;
        status = phi_realign_level_init(level, reterr);
        if (status != PH_OK)
            return status;
    }
    return PH_OK;
}

static enum ph_status make_splines(struct phi_realign *r, struct ph_error *reterr)
{
    enum ph_status status = phi_bspline_create(r->image.n, &r->spline, reterr);

    r->own_reference = r->image.n[0] != r->reference.n[0] || r->image.n[1] != r->reference.n[1] ||
                       r->image.n[2] != r->reference.n[2];
    if (status == PH_OK)
        status = phi_bspline_create(r->image.n, &r->smoothed, reterr);
    if (status != PH_OK)
        return status;
    if (!r->own_reference) {
        r->reference_spline = r->spline;
        r->reference_smoothed = r->smoothed;
        return PH_OK;
    }
    status = phi_bspline_create(r->reference.n, &r->reference_spline, reterr);
    if (status == PH_OK)
        status = phi_bspline_create(r->reference.n, &r->reference_smoothed, reterr);
    return status;
}

enum ph_status phi_realign_create(const struct phi_realign_config *config,
                                  const struct phi_grid *reference, const struct phi_grid *image,
                                  struct phi_realign **ret_realign, struct ph_error *reterr)
{
    enum ph_status status = phi_grid_check(reference, "reference volume", reterr);
    struct phi_realign *r;

    if (status == PH_OK)
        status = phi_grid_check(image, "volume to realign", reterr);
    if (status != PH_OK)
        return status;
    r = phi_calloc(1, sizeof *r);
    if (!r)
        return phi_error_nomem(reterr, "realignment", sizeof *r);
    r->config = *config;
    fill_defaults(&r->config);
    r->reference = *reference;
    r->image = *image;
    for (int i = 0; i < 3; i++)
        r->grid_centre_mm[i] = ((double)reference->n[i] - 1) / 2;
    phi_affine_apply(&reference->affine, r->grid_centre_mm, r->grid_centre_mm);
    status = check_config(&r->config, reterr);
    if (status == PH_OK)
        status = make_splines(r, reterr);
    if (status == PH_OK)
        status = make_levels(r, reterr);
    if (status != PH_OK)
        phi_realign_destroy(&r);
    else
        *ret_realign = r;
    return status;
}

void phi_realign_destroy(struct phi_realign **realign)
{
    struct phi_realign *r = realign ? *realign : NULL;

    if (!r)
        return;
    for (int i = 0; i < N_LEVELS; i++)
        phi_realign_level_fini(&r->levels[i]);
    if (r->own_reference) {
        phi_bspline_destroy(&r->reference_spline);
        phi_bspline_destroy(&r->reference_smoothed);
    }
    phi_bspline_destroy(&r->spline);
    phi_bspline_destroy(&r->smoothed);
    phi_free(r);
    *realign = NULL;
}

void phi_realign_restart(struct phi_realign *realign)
{
    realign->has_pose = false;
    realign->pose = phi_affine_identity();
    for (int i = 0; i < 6; i++)
        realign->params[i] = 0;
}

/* World position of the centre of intensity of a volume; false without positive values. */
static bool centre_of(const struct phi_grid *grid, const float *volume, double ret_mm[3])
{
    double sum[3] = {0};
    double total = 0;

    for (size_t z = 0; z < grid->n[2]; z++)
        for (size_t y = 0; y < grid->n[1]; y++)
            for (size_t x = 0; x < grid->n[0]; x++) {
                double v = (double)*volume++;

                if (!(v > 0) || !isfinite(v))
                    continue;
                total += v;
                sum[0] += v * (double)x;
                sum[1] += v * (double)y;
                sum[2] += v * (double)z;
            }
    if (!(total > 0))
        return false;
    for (int i = 0; i < 3; i++)
        sum[i] /= total;
    phi_affine_apply(&grid->affine, sum, ret_mm);
    return true;
}

enum ph_status phi_realign_set_reference(struct phi_realign *realign, const float *volume)
{
    struct phi_realign *r = realign;

    r->has_reference = false;
    phi_realign_restart(r);
    if (!centre_of(&r->reference, volume, r->reference_centre_mm))
        return PH_E_INVAL;
    (void)phi_bspline_prefilter(r->reference_spline, volume);
    for (int i = 0; i < N_LEVELS; i++) {
        enum ph_status status = phi_realign_level_set_reference(&r->levels[i], r->reference_spline,
                                                                r->reference_smoothed);

        if (status != PH_OK)
            return status;
    }
    r->has_reference = true;
    return PH_OK;
}

static double step_length(const double step[6])
{
    double sum = 0;

    for (int i = 0; i < 6; i++)
        sum += step[i] * step[i] * (i < 3 ? 1.0 : 2500.0);
    return sqrt(sum);
}

/* pose moved by factor * step: inv(rigid(step)) * pose. */
static struct phi_affine moved(const struct phi_affine *pose, const double step[6], double factor)
{
    double scaled[6];
    struct phi_affine inverse = phi_affine_identity();
    struct phi_affine rigid;

    for (int i = 0; i < 6; i++)
        scaled[i] = step[i] * factor;
    rigid = phi_affine_from_params(scaled);
    if (phi_affine_invert(&rigid, &inverse) != PH_OK)
        return *pose; /* only for numbers beyond any meaning */
    return phi_affine_multiply(&inverse, pose);
}

/* Takes one step that does not raise the mean square, halving it as often as needed. False, with
 * the descent unchanged, if none was found. */
static bool take_step(struct phi_realign_level *level, const struct phi_bspline *smoothed,
                      struct descent *d)
{
    double step[6];
    double factor = 1.0;

    phi_realign_level_solve(level, d->look.slope, step);
    if (!isfinite(step_length(step)))
        return false;
    /* Halving a step that is lost in the noise anyway would only cost looks. */
    for (int i = 0; i < HALVINGS && (i == 0 || step_length(step) * factor > TINY_STEP);
         i++, factor *= 0.5) {
        struct phi_affine pose = moved(&d->pose, step, factor);
        struct phi_realign_look look;

        d->n_iterations++;
        if (phi_realign_level_look(level, smoothed, &pose, &look) == PH_OK &&
            look.mean_square <= d->look.mean_square) {
            d->pose = pose;
            d->look = look;
            d->last_step = step_length(step) * factor;
            return true;
        }
    }
    return false;
}

/* Gauss-Newton at one level from d->pose. Ends when steps are tiny, when none lowers the mean
 * square, or two steps after it fell by less than `tolerance` (the rule of SPM and OpenNFT). */
static enum ph_status descend(struct phi_realign_level *level, const struct phi_bspline *smoothed,
                              double tolerance, uint32_t max_iterations, struct descent *d)
{
    int left = -1;
    enum ph_status status = phi_realign_level_look(level, smoothed, &d->pose, &d->look);

    d->last_step = 0;
    for (uint32_t i = 0; status == PH_OK && i < max_iterations; i++) {
        double before = d->look.mean_square;

        if (!take_step(level, smoothed, d)) {
            d->last_step = 0;
            break;
        }
        if (d->last_step < TINY_STEP || left == 0)
            break;
        if (left > 0)
            left--;
        else if (before - d->look.mean_square < tolerance * before)
            left = 1;
    }
    return status;
}

static enum ph_status fine(struct phi_realign *r, struct descent *d)
{
    phi_realign_level_load(&r->levels[0], r->spline, r->smoothed);
    return descend(&r->levels[0], r->smoothed, r->config.tolerance, r->config.max_iterations, d);
}

static bool enough_inside(const struct phi_realign_level *level, const struct descent *d)
{
    return d->look.n_inside >= LEAST_INSIDE &&
           (double)d->look.n_inside >= LEAST_SHARE * (double)level->n_points;
}

/* The best of several starts at the coarsest level. PH_E_INVAL if none has any overlap. */
static enum ph_status coarse_start(struct phi_realign *r, const float *volume, struct descent *d)
{
    struct phi_realign_level *level = &r->levels[N_LEVELS - 1];
    struct phi_affine starts[3] = {r->pose, phi_affine_identity(), phi_affine_identity()};
    double centre[3];
    bool found = false;

    if (centre_of(&r->image, volume, centre))
        for (int i = 0; i < 3; i++)
            starts[2].m[i][3] = r->reference_centre_mm[i] - centre[i];
    phi_realign_level_load(level, r->spline, r->smoothed);
    for (int i = 0; i < 3; i++) {
        struct descent trial = {.pose = starts[i], .n_iterations = d->n_iterations};

        if (descend(level, r->smoothed, COARSE_TOLERANCE, COARSE_ROUNDS, &trial) != PH_OK)
            continue;
        d->n_iterations = trial.n_iterations;
        if (!enough_inside(level, &trial) ||
            (found && trial.look.correlation <= d->look.correlation))
            continue;
        *d = trial;
        found = true;
    }
    return found ? PH_OK : PH_E_INVAL;
}

/* From the coarsest level down to the fine one. */
static enum ph_status coarse_to_fine(struct phi_realign *r, const float *volume, struct descent *d)
{
    enum ph_status status = coarse_start(r, volume, d);

    for (int i = N_LEVELS - 2; status == PH_OK && i > 0; i--) {
        phi_realign_level_load(&r->levels[i], r->spline, r->smoothed);
        status = descend(&r->levels[i], r->smoothed, COARSE_TOLERANCE, COARSE_ROUNDS, d);
    }
    return status == PH_OK ? fine(r, d) : status;
}

static uint32_t judge(const struct phi_realign *r, enum ph_status status, const struct descent *d)
{
    if (status != PH_OK || !enough_inside(&r->levels[0], d))
        return PHI_REALIGN_NO_OVERLAP;
    if (!(d->look.correlation >= LEAST_MATCH))
        return PHI_REALIGN_POOR_MATCH;
    return d->last_step > MOVING_STEP ? PHI_REALIGN_NOT_CONVERGED : 0;
}

/* The search: warm start, and the coarse levels where that is not believable. Returns flags. */
static uint32_t search(struct phi_realign *r, const float *volume, struct descent *ret)
{
    struct descent warm = {.pose = r->pose};
    struct descent far = {.pose = r->pose};
    uint32_t flags = PHI_REALIGN_NO_OVERLAP;
    uint32_t far_flags;

    if (r->has_pose || !r->config.far_start) {
        flags = judge(r, fine(r, &warm), &warm);
        *ret = warm;
        if (!flags)
            return flags;
    }
    far_flags = judge(r, coarse_to_fine(r, volume, &far), &far);
    far.n_iterations += warm.n_iterations;
    ret->n_iterations = far.n_iterations;
    if (far_flags & PHI_REALIGN_HELD)
        return flags ? flags : far_flags;
    /* An unconverged warm start stands unless the detour matches better. */
    if (!(flags & PHI_REALIGN_HELD) && warm.look.correlation >= far.look.correlation)
        return flags;
    *ret = far;
    return far_flags | (r->has_pose || !r->config.far_start ? PHI_REALIGN_RECOVERED : 0U);
}

/* Displacements since the volume before, and the jump. */
static void measure_displacement(const struct phi_realign *r, struct phi_realign_result *result)
{
    if (!r->has_pose)
        return;
    result->fd_power_mm = phi_motion_fd_power(r->params, result->params);
    result->fd_jenkinson_mm =
        phi_motion_fd_jenkinson(&r->pose, &result->image_to_reference, r->grid_centre_mm);
    if (result->fd_jenkinson_mm > r->config.jump_mm)
        result->flags |= PHI_REALIGN_JUMP;
}

static void fill_result(const struct phi_realign *r, const struct descent *d,
                        struct phi_realign_result *result)
{
    result->n_points = r->levels[0].n_points;
    result->n_iterations = d->n_iterations;
    result->image_to_reference = r->pose;
    result->scale = 1;
    for (int i = 0; i < 6; i++)
        result->params[i] = r->params[i];
    if (result->flags & PHI_REALIGN_HELD)
        return;
    result->image_to_reference = d->pose;
    phi_affine_to_params(&d->pose, result->params);
    result->scale = d->look.scale;
    result->mean_square = d->look.mean_square;
    result->correlation = d->look.correlation;
    result->n_inside = d->look.n_inside;
    measure_displacement(r, result);
}

enum ph_status phi_realign_estimate(struct phi_realign *realign, const float *volume,
                                    struct phi_realign_result *ret_result)
{
    struct phi_realign *r = realign;
    struct phi_realign_result result = {0};
    struct descent d = {0};
    double centre[3];

    if (!r->has_reference)
        return PH_E_STATE;
    result.n_bad = phi_bspline_prefilter(r->spline, volume);
    result.flags = result.n_bad ? PHI_REALIGN_BAD_VALUES : 0;
    result.flags |= search(r, volume, &d);
    if ((result.flags & PHI_REALIGN_HELD) && !centre_of(&r->image, volume, centre))
        result.flags |= PHI_REALIGN_NO_SIGNAL;
    fill_result(r, &d, &result);
    if (!(result.flags & PHI_REALIGN_HELD)) {
        r->has_pose = true;
        r->pose = result.image_to_reference;
        for (int i = 0; i < 6; i++)
            r->params[i] = result.params[i];
    }
    *ret_result = result;
    return PH_OK;
}

enum ph_status phi_realign_reslice(const struct phi_realign *realign, const struct phi_affine *pose,
                                   size_t first_slice, size_t last_slice, float *out,
                                   size_t *ret_outside)
{
    const struct phi_realign *r = realign;
    struct phi_affine map;
    enum ph_status status =
        phi_affine_voxel_map(pose, &r->image.affine, &r->reference.affine, &map);

    if (status == PH_OK)
        *ret_outside =
            phi_bspline_reslice(r->spline, &map, r->reference.n, first_slice, last_slice, out);
    return status;
}
