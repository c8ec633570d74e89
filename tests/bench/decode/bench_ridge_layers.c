/* SPDX-License-Identifier: MIT
 * Ridge from 65,665 voxels to the states R0 to R3 of a PredNet of full width (61,440, 245,760,
 * 122,880 and 61,440 targets), 3,600 volumes, one thread: one penalty a layer by 5 contiguous folds
 * and 20 penalties, targets streamed from a file, dual coefficients written to one, and the time of
 * one volume's prediction from voxels. For each layer: processor and wall time, the ratio to its
 * products at the sgemm speed measured in the same process, peak memory. Takes the folder for the
 * files (14 GB with --full; a quarter of each size, 0.2 GB, without):
 *   bench_ridge_layers FOLDER [--full [LAYER]] */
#include "decode/gemv.h"
#include "decode/linalg.h"
#include "decode/ridge_fit.h"
#include "ridge_probe.h"

#include "base/rng.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { FOLDS = 5, PENALTIES = 20, LAYERS = 4, WIDTH = 4096, TRIES = 7, PIECE = 16384, PIECES = 16 };

struct file {
    int fd;
    size_t n, t;
    char path[512];
};

struct session {
    size_t n, q;
    float *x; /* [n][q] */
    double *k;
    double lambdas[PENALTIES];
    struct phi_folds folds;
    double gram_s;
};

static bool write_all(int fd, const void *data, size_t n_bytes, size_t at)
{
    const char *from = data;

    while (n_bytes) {
        ssize_t n = pwrite(fd, from, n_bytes, (off_t)at);

        if (n <= 0)
            return false;
        from += n;
        at += (size_t)n;
        n_bytes -= (size_t)n;
    }
    return true;
}

/* Random targets, the same few thousand columns again and again, moved on by a row each time. What
 * the page cache holds of them is dropped, so that they come from the disk. */
static bool make_targets(struct file *file)
{
    float *block = phi_calloc2(file->n, WIDTH, sizeof *block);
    struct phi_rng rng;
    bool good = block != NULL;

    phi_rng_init(&rng, 5, 0);
    if (good)
        phi_rng_normal_f32(&rng, block, file->n * WIDTH);
    for (size_t i = 0; good && i < file->n; i++)
        for (size_t first = 0; good && first < file->t; first += WIDTH) {
            size_t n = file->t - first < WIDTH ? file->t - first : WIDTH;
            size_t row = (i + first / WIDTH) % file->n;

            good = write_all(file->fd, block + row * WIDTH, n * sizeof *block,
                             (i * file->t + first) * sizeof *block);
        }
    phi_free(block);
    return good && fsync(file->fd) == 0 && posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED) == 0;
}

static enum ph_status read_file(void *ctx, size_t first, size_t n, enum phi_dtype dtype, void *out,
                                struct ph_error *reterr)
{
    const struct file *file = ctx;

    (void)reterr;
    for (size_t i = 0; i < file->n; i++)
        if (dtype != PHI_DTYPE_F32 ||
            pread(file->fd, (float *)out + i * n, n * sizeof(float),
                  (off_t)((i * file->t + first) * sizeof(float))) != (ssize_t)(n * sizeof(float)))
            return PH_E_IO;
    return PH_OK;
}

static enum ph_status write_file(void *ctx, const struct phi_ridge_block *b,
                                 struct ph_error *reterr)
{
    const struct file *file = ctx;

    (void)reterr;
    for (size_t i = 0; i < b->n_out; i++)
        if (!write_all(file->fd, (const float *)b->coef + i * b->n, b->n * sizeof(float),
                       (i * file->t + b->first) * sizeof(float)))
            return PH_E_IO;
    return PH_OK;
}

static bool open_file(struct file *file, const char *folder, const char *name)
{
    (void)snprintf(file->path, sizeof file->path, "%s/%s", folder, name);
    file->fd = open(file->path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    return file->fd >= 0;
}

static void close_file(struct file *file)
{
    if (file->fd >= 0) {
        (void)close(file->fd);
        (void)unlink(file->path);
    }
}

static int fit_layer(const struct session *s, struct file *targets, struct file *coefs)
{
    struct phi_columns columns = {s->n, targets->t, read_file, targets, "targets", 0};
    struct phi_ridge_options options = {.lambdas = s->lambdas,
                                        .n_lambdas = PENALTIES,
                                        .folds = &s->folds,
                                        .choice = PHI_RIDGE_SHARED,
                                        .n_threads = 1};
    struct phi_ridge_sink sink = {write_file, coefs};
    struct phi_ridge_report report;
    struct phi_ridge_plan *plan = NULL;
    struct ph_error err = {0};
    int failed = phi_ridge_plan_dual(s->k, NULL, s->n, &options, &plan, &err) != PH_OK ||
                 phi_ridge_fit(plan, &columns, &sink, &report, &err) != PH_OK;

    phi_ridge_plan_destroy(&plan);
    if (failed)
        fprintf(stderr, "%s\n", err.text);
    return failed;
}

/* The coefficients of a layer as the live side would hold them: pieces of targets, each in its own
 * huge pages. */
struct predictor {
    struct phi_gemv *train, *pieces[PIECES];
    size_t n_pieces;
};

static bool make_pieces(const struct session *s, size_t t, struct predictor *p,
                        struct ph_error *err)
{
    float *coef = phi_calloc2(PIECE, s->n, sizeof *coef);
    bool good = coef != NULL;

    for (size_t i = 0; good && i < PIECE * s->n; i++)
        coef[i] = (float)((i * 2654435761U) % 1024) / 1024 - 0.5F;
    for (size_t at = 0; good && at < t && p->n_pieces < PIECES; at += PIECE) {
        const size_t shape[2] = {t - at < PIECE ? t - at : PIECE, s->n};

        good = phi_gemv_create(coef, NULL, shape, PHI_GEMV_F32, &p->pieces[p->n_pieces++], err) ==
               PH_OK;
    }
    phi_free(coef);
    return good;
}

static double time_volume(const struct session *s, const struct predictor *p, int volume, double *k,
                          float *narrow, double *out)
{
    double start = cpu_s();

    phi_gemv_run(p->train, s->x + (size_t)volume * s->q, NULL, k);
    for (size_t j = 0; j < s->n; j++)
        narrow[j] = (float)k[j];
    for (size_t i = 0; i < p->n_pieces; i++)
        phi_gemv_run(p->pieces[i], narrow, NULL, out + i * PIECE);
    return 1e3 * (cpu_s() - start);
}

/* Median time of a volume: products with the training volumes, then with the coefficients. */
static double predict_ms(const struct session *s, size_t t, double *ret_bytes)
{
    const size_t shape[2] = {s->n, s->q};
    float *narrow = phi_calloc(s->n, sizeof *narrow);
    double *k = phi_calloc(s->n, sizeof *k), *out = phi_calloc(t, sizeof *out), times[TRIES];
    struct predictor p = {0};
    struct ph_error err = {0};
    bool good = narrow && k && out &&
                phi_gemv_create(s->x, NULL, shape, PHI_GEMV_F32, &p.train, &err) == PH_OK &&
                make_pieces(s, t, &p, &err);

    *ret_bytes = good ? (double)phi_gemv_bytes(p.train) : 0;
    for (int i = 0; good && i < TRIES; i++) {
        times[i] = time_volume(s, &p, i, k, narrow, out);
        for (int j = i; j && times[j] < times[j - 1]; j--) {
            double swap = times[j];

            times[j] = times[j - 1];
            times[j - 1] = swap;
        }
    }
    for (size_t i = 0; i < p.n_pieces; i++) {
        *ret_bytes += good ? (double)phi_gemv_bytes(p.pieces[i]) : 0;
        phi_gemv_destroy(&p.pieces[i]);
    }
    phi_gemv_destroy(&p.train);
    phi_free(narrow);
    phi_free(k);
    phi_free(out);
    return good ? times[TRIES / 2] : NAN;
}

/* What this way of choosing one penalty needs at least, and what a product a penalty and fold
 * needs, both with the share of the voxels' products. */
static void report_layer(const struct session *s, int layer, size_t t, const double spent[2],
                         double speed)
{
    double n = (double)s->n, p = (double)t, n_test = n / FOLDS, cross = 2 * n_test * (n - n_test);
    double gram = n * n * (double)s->q, fit_floor = (n * n + FOLDS * cross + 2 * n * n) * p;
    double plain = FOLDS * PENALTIES * cross * p + 2 * n * n * p, bytes, ms, peak = peak_gb();

    ms = predict_ms(s, t, &bytes);
    printf(
        "R%d: %6zu targets: processor %.1f s, wall %.1f s, products with the voxels' %.1f s "
        "(ratio %.2f), a product a penalty and fold %.1f s (ratio %.2f); sgemm %.0f GFLOP/s; peak "
        "%.2f GB; one volume %.1f ms, %.2f GB read, %.1f GB/s\n",
        layer, t, spent[0] + s->gram_s, spent[1], (gram + fit_floor) / speed,
        (spent[0] + s->gram_s) * speed / (gram + fit_floor), (gram + plain) / speed,
        (spent[0] + s->gram_s) * speed / (gram + plain), speed / 1e9, peak, ms, bytes / 1e9,
        bytes / ms / 1e6);
    (void)fflush(stdout);
}

static int run_layer(const struct session *s, const char *folder, int layer, size_t t)
{
    struct file targets = {-1, s->n, t, ""}, coefs = {-1, s->n, t, ""};
    double speed = sgemm_speed(), spent[2];
    int failed = !open_file(&targets, folder, "targets.bin") ||
                 !open_file(&coefs, folder, "coefficients.bin") || !make_targets(&targets);

    reset_peak();
    spent[0] = cpu_s();
    spent[1] = wall_s();
    failed = failed || fit_layer(s, &targets, &coefs);
    spent[0] = cpu_s() - spent[0];
    spent[1] = wall_s() - spent[1];
    close_file(&targets);
    close_file(&coefs);
    if (failed)
        perror(folder);
    else
        report_layer(s, layer, t, spent, (speed + sgemm_speed()) / 2);
    return failed;
}

static int prepare(struct session *s)
{
    struct phi_columns_memory memory = {s->x, PHI_DTYPE_F32, s->n, s->q};
    struct phi_columns voxels = phi_columns_over(&memory, s->q, "voxels");
    struct phi_gram_options gram = {.n_threads = 1};
    double *moments = phi_calloc2(2, s->q, sizeof *moments), start = cpu_s();
    struct ph_error err = {0};
    int failed = !moments ||
                 phi_gram(&voxels, &gram, s->k, moments, moments + s->q, &err) != PH_OK ||
                 phi_folds_contiguous(s->n, FOLDS, 0, &s->folds, &err) != PH_OK;

    s->gram_s = cpu_s() - start;
    for (size_t l = 0; l < PENALTIES; l++)
        s->lambdas[l] = phi_gram_mean_diagonal(s->k, s->n) * pow(10, -3 + 0.35 * (double)l);
    phi_free(moments);
    return failed;
}

int main(int argc, char **argv)
{
    static const size_t units[LAYERS] = {61440, 245760, 122880, 61440};
    size_t part = argc > 2 && strcmp(argv[2], "--full") == 0 ? 1 : 4;
    struct session s = {.n = 3600 / part, .q = 65665 / part};
    struct phi_rng rng;
    int failed = 1;

    if (argc < 2) {
        printf("usage: bench_ridge_layers FOLDER [--full]\n");
        return 0;
    }
    s.x = phi_calloc2(s.n, s.q, sizeof *s.x);
    s.k = phi_calloc2(s.n, s.n, sizeof *s.k);
    if (s.x && s.k) {
        phi_rng_init(&rng, 1, 0);
        phi_rng_normal_f32(&rng, s.x, s.n * s.q);
        (void)phi_blas_set_threads(1);
        failed = prepare(&s);
    }
    for (int layer = 0; layer < LAYERS && !failed; layer++)
        if (argc < 4 || argv[3][0] == '0' + layer)
            failed = run_layer(&s, argv[1], layer, units[layer] / part);
    phi_free(s.x);
    phi_free(s.k);
    return failed;
}
