/* SPDX-License-Identifier: MIT
 * A dual ridge fit shaped like a film session (3,600 volumes, 65,665 voxels, 61,440 targets) at a
 * quarter of each size, one thread: its processor time over that of its products at the sgemm speed
 * measured in the same process, for one penalty, and for 20 penalties in 5 folds. Prints ratios. An
 * argument multiplies the sizes: 4 is the session itself (about 5 minutes, 4 GB). */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/rng.h"
#include "decode/linalg.h"
#include "decode/ridge_fit.h"

enum { FOLDS = 5, PENALTIES = 20, PROBE = 1024 };

struct sizes {
    size_t n, q, p;
};

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Flops a second of sgemm, best of five: the unit of the floor. */
static double sgemm_speed(const float *a, float *c)
{
    double best = INFINITY;

    for (int i = 0; i < 5; i++) {
        double start = now_s();

        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, PROBE, PROBE, PROBE, 1, a, PROBE, a,
                    PROBE, 0, c, PROBE);
        best = fmin(best, now_s() - start);
    }
    return 2.0 * PROBE * PROBE * PROBE / best;
}

static enum ph_status drop(void *ctx, const struct phi_ridge_block *block, struct ph_error *reterr)
{
    (void)reterr;
    *(double *)ctx += block->cv_r2[0];
    return PH_OK;
}

struct timing {
    double gram_s, plan_s, fit_s;
    size_t bytes;
};

static int time_fit(const struct sizes *size, const float *x, const float *y, size_t n_lambdas,
                    struct timing *ret)
{
    struct phi_columns_memory xm = {x, PHI_DTYPE_F32, size->n, size->q},
                              ym = {y, PHI_DTYPE_F32, size->n, size->p};
    struct phi_columns voxels = phi_columns_over(&xm, size->q, "voxels");
    struct phi_columns targets = phi_columns_over(&ym, size->p, "targets");
    struct phi_gram_options gram = {.n_threads = 1, .standardise = true};
    double *k = phi_calloc2(size->n, size->n, sizeof *k),
           *mean = phi_calloc(2 * size->q, sizeof *mean);
    double lambdas[PENALTIES], sum = 0, start = now_s();
    struct phi_folds folds;
    struct phi_ridge_options options = {.lambdas = lambdas,
                                        .n_lambdas = n_lambdas,
                                        .folds = n_lambdas > 1 ? &folds : NULL,
                                        .n_threads = 1};
    struct phi_ridge_sink sink = {drop, &sum};
    struct phi_ridge_report report;
    struct phi_ridge_plan *plan = NULL;
    struct ph_error err = {0};
    int failed;

    failed = !k || !mean || phi_gram(&voxels, &gram, k, mean, mean + size->q, &err) != PH_OK ||
             phi_folds_contiguous(size->n, FOLDS, 0, &folds, &err) != PH_OK;
    ret->gram_s = now_s() - start;
    for (size_t l = 0; !failed && l < n_lambdas; l++)
        lambdas[l] = phi_gram_mean_diagonal(k, size->n) * pow(10, -3 + 0.35 * (double)l);
    start = now_s();
    failed = failed || phi_ridge_plan_dual(k, NULL, size->n, &options, &plan, &err) != PH_OK;
    ret->plan_s = now_s() - start;
    ret->bytes = failed ? 0 : phi_ridge_plan_bytes(plan);
    start = now_s();
    failed = failed || phi_ridge_fit(plan, &targets, &sink, &report, &err) != PH_OK;
    ret->fit_s = now_s() - start;
    phi_ridge_plan_destroy(&plan);
    phi_free(k);
    phi_free(mean);
    if (failed)
        fprintf(stderr, "%s\n", err.text);
    return failed;
}

/* Flops of the plain scheme: Gram, one product a penalty and fold for the test rows, coefficients.
 */
static double floor_flops(const struct sizes *size, size_t n_lambdas)
{
    double n = (double)size->n, q = (double)size->q, p = (double)size->p;
    double n_test = n / FOLDS, n_train = n - n_test;
    double gram = n * n * q, solve = n * n * n / 3 + 2 * n * n * p;

    if (n_lambdas == 1)
        return gram + solve;
    return gram + FOLDS * (double)n_lambdas * 2 * n_test * n_train * p + 4 * n * n * p;
}

static int report_case(const struct sizes *size, const float *x, const float *y, size_t n_lambdas,
                       double speed)
{
    struct timing t;
    double floor_s = floor_flops(size, n_lambdas) / speed, total;

    if (time_fit(size, x, y, n_lambdas, &t))
        return 1;
    total = t.gram_s + t.plan_s + t.fit_s;
    printf("ridge %2zu penalties: gram %.2f s, plan %.2f s, targets %.2f s, total %.2f s, floor "
           "%.2f s, ratio %.2f, plan memory %.0f MB\n",
           n_lambdas, t.gram_s, t.plan_s, t.fit_s, total, floor_s, total / floor_s,
           (double)t.bytes / 1e6);
    return 0;
}

int main(int argc, char **argv)
{
    size_t scale =
        argc > 1 && argv[1][0] >= '1' && argv[1][0] <= '4' ? (size_t)(argv[1][0] - '0') : 1;
    struct sizes size = {900 * scale, 16416 * scale, 15360 * scale};
    float *x = phi_calloc2(size.n, size.q, sizeof *x), *y = phi_calloc2(size.n, size.p, sizeof *y);
    float *c = phi_calloc2(PROBE, PROBE, sizeof *c);
    struct phi_rng rng;
    double speed;
    int failed = 1;

    if (x && y && c) {
        phi_rng_init(&rng, 1, 0);
        phi_rng_normal_f32(&rng, x, size.n * size.q);
        phi_rng_normal_f32(&rng, y, size.n * size.p);
        (void)phi_blas_set_threads(1);
        speed = sgemm_speed(x, c);
        printf("sgemm %.1f GFLOP/s\n", speed / 1e9);
        failed = report_case(&size, x, y, 1, speed) || report_case(&size, x, y, PENALTIES, speed);
    }
    phi_free(x);
    phi_free(y);
    phi_free(c);
    return failed;
}
