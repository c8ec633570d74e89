/* SPDX-License-Identifier: MIT
 * A dual ridge fit shaped like a film session (3,600 volumes, 65,665 voxels, 61,440 targets) at a
 * quarter of each size, one thread: its processor time over that of its products at the sgemm speed
 * measured in the same process before and after, and its peak memory; for one penalty, for 20
 * penalties in 5 folds with one penalty a target, and with one for all. Prints ratios. With --full
 * the session itself (about 6 minutes, 3 GB), or one of its three cases:
 *   bench_ridge_fit [--full [1 | 2 | 3]] */
#include "decode/linalg.h"
#include "decode/ridge_fit.h"
#include "ridge_probe.h"

#include "base/rng.h"

enum { FOLDS = 5, PENALTIES = 20 };

struct sizes {
    size_t n, q, p;
};

struct one_case {
    const char *name;
    size_t n_lambdas;
    enum phi_ridge_choice choice;
};

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

static int time_fit(const struct sizes *size, const float *x, const float *y,
                    const struct one_case *what, struct timing *ret)
{
    struct phi_columns_memory xm = {x, PHI_DTYPE_F32, size->n, size->q},
                              ym = {y, PHI_DTYPE_F32, size->n, size->p};
    struct phi_columns voxels = phi_columns_over(&xm, size->q, "voxels");
    struct phi_columns targets = phi_columns_over(&ym, size->p, "targets");
    struct phi_gram_options gram = {.n_threads = 1, .standardise = true};
    double *k = phi_calloc2(size->n, size->n, sizeof *k),
           *mean = phi_calloc(2 * size->q, sizeof *mean);
    double lambdas[PENALTIES], sum = 0, start = cpu_s();
    struct phi_folds folds;
    struct phi_ridge_options options = {.lambdas = lambdas,
                                        .n_lambdas = what->n_lambdas,
                                        .folds = what->n_lambdas > 1 ? &folds : NULL,
                                        .choice = what->choice,
                                        .n_threads = 1};
    struct phi_ridge_sink sink = {drop, &sum};
    struct phi_ridge_report report;
    struct phi_ridge_plan *plan = NULL;
    struct ph_error err = {0};
    int failed;

    failed = !k || !mean || phi_gram(&voxels, &gram, k, mean, mean + size->q, &err) != PH_OK ||
             phi_folds_contiguous(size->n, FOLDS, 0, &folds, &err) != PH_OK;
    ret->gram_s = cpu_s() - start;
    for (size_t l = 0; !failed && l < what->n_lambdas; l++)
        lambdas[l] = phi_gram_mean_diagonal(k, size->n) * pow(10, -3 + 0.35 * (double)l);
    start = cpu_s();
    failed = failed || phi_ridge_plan_dual(k, NULL, size->n, &options, &plan, &err) != PH_OK;
    ret->plan_s = cpu_s() - start;
    ret->bytes = failed ? 0 : phi_ridge_plan_bytes(plan);
    start = cpu_s();
    failed = failed || phi_ridge_fit(plan, &targets, &sink, &report, &err) != PH_OK;
    ret->fit_s = cpu_s() - start;
    phi_ridge_plan_destroy(&plan);
    phi_free(k);
    phi_free(mean);
    if (failed)
        fprintf(stderr, "%s\n", err.text);
    return failed;
}

/* Flops of the plain scheme: Gram, one product a penalty and fold for the test rows, coefficients
 * (two products where each target has its penalty). */
static double floor_flops(const struct sizes *size, const struct one_case *what)
{
    double n = (double)size->n, q = (double)size->q, p = (double)size->p;
    double n_test = n / FOLDS, n_train = n - n_test;
    double gram = n * n * q, solve = n * n * n / 3 + 2 * n * n * p;

    if (what->n_lambdas > 1)
        gram += FOLDS * (double)what->n_lambdas * 2 * n_test * n_train * p;
    return gram +
           (what->n_lambdas > 1 && what->choice == PHI_RIDGE_PER_TARGET ? 4 * n * n * p : solve);
}

static int report_case(const struct sizes *size, const float *x, const float *y,
                       const struct one_case *what)
{
    double before = sgemm_speed(), after, floor_s, total;
    struct timing t;

    reset_peak();
    if (time_fit(size, x, y, what, &t))
        return 1;
    after = sgemm_speed();
    floor_s = floor_flops(size, what) * 2 / (before + after);
    total = t.gram_s + t.plan_s + t.fit_s;
    printf("ridge %-28s gram %6.2f s, plan %6.2f s, targets %6.2f s, total %6.2f s, floor %6.2f s "
           "(sgemm %.0f before, %.0f after), ratio %.2f, plan %.0f MB, peak %.2f GB\n",
           what->name, t.gram_s, t.plan_s, t.fit_s, total, floor_s, before / 1e9, after / 1e9,
           total / floor_s, (double)t.bytes / 1e6, peak_gb());
    (void)fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct one_case cases[] = {
        {"1 penalty", 1, PHI_RIDGE_PER_TARGET},
        {"20 penalties, one for all", PENALTIES, PHI_RIDGE_SHARED},
        {"20 penalties, one a target", PENALTIES, PHI_RIDGE_PER_TARGET}};
    bool full = argc > 1 && strcmp(argv[1], "--full") == 0;
    size_t only =
        argc > 2 && argv[2][0] >= '1' && argv[2][0] <= '3' ? (size_t)(argv[2][0] - '0') : 0;
    struct sizes size = {900, 16416, 15360};
    struct phi_rng rng;
    float *x, *y;
    int failed = 1;

    if (full)
        size = (struct sizes){3600, 65665, 61440};
    x = phi_calloc2(size.n, size.q, sizeof *x);
    y = phi_calloc2(size.n, size.p, sizeof *y);
    if (x && y) {
        phi_rng_init(&rng, 1, 0);
        phi_rng_normal_f32(&rng, x, size.n * size.q);
        phi_rng_normal_f32(&rng, y, size.n * size.p);
        (void)phi_blas_set_threads(1);
        printf("%zu samples, %zu voxels, %zu targets: %.2f GB of data\n", size.n, size.q, size.p,
               (double)(size.n * (size.q + size.p) * sizeof *x) / 1e9);
        failed = 0;
        for (size_t i = 0; i < sizeof cases / sizeof *cases && !failed; i++)
            failed = only && only != i + 1 ? 0 : report_case(&size, x, y, &cases[i]);
    }
    phi_free(x);
    phi_free(y);
    return failed;
}
