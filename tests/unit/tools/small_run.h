/* SPDX-License-Identifier: MIT
 *
 * A small "real" run for the tests of the simulator: a ball of brain in air, with coloured noise
 * that is shared between neighbours, drifts and a task-free time course.
 */
#ifndef TESTS_UNIT_TOOLS_SMALL_RUN_H
#define TESTS_UNIT_TOOLS_SMALL_RUN_H

#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "io/nifti_write.h"
#include "test.h"

enum { SMALL_X = 14, SMALL_Y = 16, SMALL_Z = 10, SMALL_T = 40, SMALL_N = 14 * 16 * 10 };

static inline int small_inside(size_t i)
{
    double x = ((double)(i % SMALL_X) - 6.5) / 5.5;
    double y = ((double)(i / SMALL_X % SMALL_Y) - 7.5) / 6.5;
    double z = ((double)(i / SMALL_X / SMALL_Y) - 4.5) / 4.5;

    return x * x + y * y + z * z < 1;
}

static inline void small_run_write(const char *path)
{
    float *values = phi_calloc2(SMALL_T, SMALL_N, sizeof *values);
    struct phi_nifti_info info = {.type = PHI_NIFTI_FLOAT32,
                                  .n_x = SMALL_X,
                                  .n_y = SMALL_Y,
                                  .n_z = SMALL_Z,
                                  .n_volumes = SMALL_T,
                                  .voxel_mm = {3, 3, 3},
                                  .tr_s = 2,
                                  .slope = 1,
                                  .affine = {{3, 0, 0, -20}, {0, 3, 0, -22}, {0, 0, 3, -14}}};
    double slow[4] = {0};
    struct phi_rng rng;
    struct ph_error err;

    assert_non_null(values);
    phi_rng_init(&rng, 99, 0);
    for (size_t t = 0; t < SMALL_T; t++) {
        for (size_t k = 0; k < 4; k++)
            slow[k] = 0.7 * slow[k] + phi_rng_normal(&rng);
        for (size_t i = 0; i < SMALL_N; i++) {
            double shared = slow[i % 4] + 0.5 * slow[(i / SMALL_X) % 4];
            double brain = 1000 + (double)(i % 17) * 10 + 6 * shared + 0.4 * (double)t;

            values[t * SMALL_N + i] =
                (float)((small_inside(i) ? brain : 20) + 5 * phi_rng_normal(&rng));
        }
    }
    assert_ok(phi_nifti_write_float32(path, &info, values, &err), err);
    phi_free(values);
}

#endif
