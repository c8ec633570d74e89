/* SPDX-License-Identifier: MIT */
#include "signal/affine.h"

#include <math.h>

#include "base/error.h"
#include "base/mem.h"

#define MAX_AXIS 4096

struct phi_affine phi_affine_identity(void)
{
    return (struct phi_affine){{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}}};
}

struct phi_affine phi_affine_from_params(const double params[6])
{
    double ca = cos(params[3]), sa = sin(params[3]);
    double cb = cos(params[4]), sb = sin(params[4]);
    double cc = cos(params[5]), sc = sin(params[5]);

    /* The product Rx Ry Rz written out. */
    return (struct phi_affine){{
        {cb * cc, cb * sc, sb, params[0]},
        {-sa * sb * cc - ca * sc, -sa * sb * sc + ca * cc, sa * cb, params[1]},
        {-ca * sb * cc + sa * sc, -ca * sb * sc - sa * cc, ca * cb, params[2]},
        {0, 0, 0, 1},
    }};
}

void phi_affine_to_params(const struct phi_affine *rigid, double ret_params[6])
{
    const double(*m)[4] = (const double(*)[4])rigid->m;
    double sin_roll = fmax(-1.0, fmin(1.0, m[0][2]));

    for (int i = 0; i < 3; i++)
        ret_params[i] = m[i][3];
    /* The common factor cos(roll) >= 0 cancels in atan2. */
    ret_params[3] = atan2(m[1][2], m[2][2]);
    ret_params[4] = asin(sin_roll);
    ret_params[5] = atan2(m[0][1], m[0][0]);
}

struct phi_affine phi_affine_multiply(const struct phi_affine *a, const struct phi_affine *b)
{
    struct phi_affine product;

    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++) {
            double sum = 0;

            for (int k = 0; k < 4; k++)
                sum += a->m[i][k] * b->m[k][j];
            product.m[i][j] = sum;
        }
    }
    return product;
}

static double cofactor(const struct phi_affine *a, int row, int column)
{
    int r1 = (row + 1) % 3, r2 = (row + 2) % 3;
    int c1 = (column + 1) % 3, c2 = (column + 2) % 3;

    return a->m[r1][c1] * a->m[r2][c2] - a->m[r1][c2] * a->m[r2][c1];
}

enum ph_status phi_affine_invert(const struct phi_affine *a, struct phi_affine *ret)
{
    struct phi_affine inverse = phi_affine_identity();
    double determinant = 0;

    for (int j = 0; j < 3; j++)
        determinant += a->m[0][j] * cofactor(a, 0, j);
    if (!isnormal(determinant))
        return PH_E_INVAL;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            inverse.m[i][j] = cofactor(a, j, i) / determinant;
    for (int i = 0; i < 3; i++) {
        double shift = 0;

        for (int j = 0; j < 3; j++)
            shift -= inverse.m[i][j] * a->m[j][3];
        if (!isfinite(shift))
            return PH_E_INVAL;
        inverse.m[i][3] = shift;
    }
    *ret = inverse;
    return PH_OK;
}

void phi_affine_apply(const struct phi_affine *a, const double point[3], double ret_point[3])
{
    double out[3];

    for (int i = 0; i < 3; i++)
        out[i] = a->m[i][0] * point[0] + a->m[i][1] * point[1] + a->m[i][2] * point[2] + a->m[i][3];
    for (int i = 0; i < 3; i++)
        ret_point[i] = out[i];
}

enum ph_status phi_affine_voxel_map(const struct phi_affine *image_to_reference,
                                    const struct phi_affine *image,
                                    const struct phi_affine *reference, struct phi_affine *ret)
{
    struct phi_affine realigned = phi_affine_multiply(image_to_reference, image);
    enum ph_status status = phi_affine_invert(&realigned, &realigned);

    if (status == PH_OK)
        *ret = phi_affine_multiply(&realigned, reference);
    return status;
}

void phi_affine_voxel_size(const struct phi_affine *affine, double ret_mm[3])
{
    for (int j = 0; j < 3; j++)
        ret_mm[j] = sqrt(affine->m[0][j] * affine->m[0][j] + affine->m[1][j] * affine->m[1][j] +
                         affine->m[2][j] * affine->m[2][j]);
}

bool phi_affine_near(const struct phi_affine *a, const struct phi_affine *b, double tolerance)
{
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++)
            if (!(fabs(a->m[i][j] - b->m[i][j]) <= tolerance))
                return false;
    return true;
}

size_t phi_grid_count(const struct phi_grid *grid)
{
    size_t count;

    if (!phi_mul_size(grid->n[0], grid->n[1], &count) || !phi_mul_size(count, grid->n[2], &count))
        return 0;
    return count;
}

enum ph_status phi_grid_check(const struct phi_grid *grid, const char *what,
                              struct ph_error *reterr)
{
    struct phi_affine inverse;

    for (int axis = 0; axis < 3; axis++)
        if (grid->n[axis] < 1 || grid->n[axis] > MAX_AXIS)
            return phi_error(reterr, PH_E_SHAPE,
                             "%s: %zu x %zu x %zu voxels; each axis must have 1 to %d", what,
                             grid->n[0], grid->n[1], grid->n[2], MAX_AXIS);
    if (phi_affine_invert(&grid->affine, &inverse) != PH_OK)
        return phi_error(
            reterr, PH_E_INVAL,
            "%s: its affine cannot be inverted; check the sform or qform of the header", what);
    return PH_OK;
}
