/* SPDX-License-Identifier: MIT
 *
 * Of each shape the columns without the nuisance are X = U diag(s) V'. Of a voxel only c = U'y is
 * needed: its squares over y'y are the explained share, V c/s least squares, V s c = X'y for LSS,
 * and ridge multiplies c/s by s^2/(s^2 + alpha). Threads take chunks of voxels.
 */
#include "decode/betas.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/fork.h"
#include "decode/linalg.h"

#define CHUNK   512
#define SAME    1e-10 /* of the largest squared singular value; as in trialest.c */
#define HALVING 60

struct shape {
    double *u;  /* [m][n] left vectors as rows */
    double *v;  /* [m][m] right vectors as rows */
    double *s2; /* [m] */
    double *g;  /* [m][m] X'X */
};

struct fit {
    const struct phi_betas_data *data;
    const struct phi_betas_options *options;
    const struct phi_betas *out;
    size_t n_free;
    double *free;         /* [n_free][n] orthonormal nuisance */
    struct shape *shapes; /* [n_shapes] */
    double *memory;       /* [n_threads][room_size] */
};

/* Gram-Schmidt, twice; columns that follow from those before are left out. */
static void span_nuisance(struct fit *fit)
{
    size_t n = fit->data->n, k = fit->data->n_nuisance;

    for (size_t j = 0; j < k; j++) {
        double *row = fit->free + fit->n_free * n, before, after;

        for (size_t i = 0; i < n; i++)
            row[i] = fit->data->nuisance[i * k + j];
        before = cblas_dnrm2((int)n, row, 1);
        for (int pass = 0; pass < 2; pass++)
            for (size_t l = 0; l < fit->n_free; l++)
                cblas_daxpy((int)n, -cblas_ddot((int)n, row, 1, fit->free + l * n, 1),
                            fit->free + l * n, 1, row, 1);
        after = cblas_dnrm2((int)n, row, 1);
        if (!(after > 1e-9 * before))
            continue;
        cblas_dscal((int)n, 1 / after, row, 1);
        fit->n_free++;
    }
}

/* y[n][w] without what the nuisance explains; `room` [n_free][w]. */
static void take_nuisance_off(const struct fit *fit, double *y, size_t w, double *room)
{
    int n = (int)fit->data->n, k = (int)fit->n_free, cols = (int)w;

    if (k == 0)
        return;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, k, cols, n, 1, fit->free, n, y, cols, 0,
                room, cols);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, cols, k, -1, fit->free, n, room, cols,
                1, y, cols);
}

static enum ph_status decompose(const struct fit *fit, size_t which, struct shape *shape,
                                double *room, struct ph_error *reterr)
{
    size_t n = fit->data->n, m = fit->data->m;
    double *x = room, *values = room + n * m;
    enum ph_status status;

    memcpy(x, fit->data->x + which * n * m, n * m * sizeof *x);
    take_nuisance_off(fit, x, m, room + n * m);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)m, (int)m, (int)n, 1, x, (int)m, x,
                (int)m, 0, shape->g, (int)m);
    memcpy(shape->v, shape->g, m * m * sizeof *shape->v);
    status = phi_eigh(shape->v, m, values, reterr);
    if (status)
        return status;
    if (!(values[0] > SAME * values[m - 1]))
        return phi_error(reterr, PH_E_INVAL,
                         "%zu trials cannot be told apart in %zu volumes (two at the same time, or "
                         "one without a volume in its response): leave some out, or record longer",
                         m, n);
    for (size_t k = 0; k < m; k++)
        shape->s2[k] = values[k];
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)m, 1, shape->v,
                (int)m, x, (int)m, 0, shape->u, (int)n);
    for (size_t k = 0; k < m; k++)
        cblas_dscal((int)n, 1 / sqrt(values[k]), shape->u + k * n, 1);
    return PH_OK;
}

/* ---- one voxel, given c ---- */

/* beta[m] = V (c f(s2) / s). */
static void turn(const struct shape *shape, const double *c, size_t m, double alpha, double *room,
                 double *ret_beta)
{
    for (size_t k = 0; k < m; k++)
        room[k] = c[k] * sqrt(shape->s2[k]) / (shape->s2[k] + alpha);
    cblas_dgemv(CblasRowMajor, CblasTrans, (int)m, (int)m, 1, shape->v, (int)m, room, 1, 0,
                ret_beta, 1);
}

static void lss(const struct shape *shape, const double *c, size_t m, double *h, double *room,
                double *ret_beta)
{
    double total = 0, h_sum = 0;

    for (size_t k = 0; k < m; k++)
        room[k] = c[k] * sqrt(shape->s2[k]);
    cblas_dgemv(CblasRowMajor, CblasTrans, (int)m, (int)m, 1, shape->v, (int)m, room, 1, 0, h, 1);
    for (size_t i = 0; i < m * m; i++)
        total += shape->g[i];
    for (size_t j = 0; j < m; j++)
        h_sum += h[j];
    for (size_t j = 0; j < m; j++) {
        double row = 0, a11 = shape->g[j * m + j], a12, a22, det;

        for (size_t l = 0; l < m; l++)
            row += shape->g[j * m + l];
        a12 = row - a11;
        a22 = total - 2 * row + a11;
        det = a11 * a22 - a12 * a12;
        ret_beta[j] = m == 1                   ? h[j] / a11
                      : det > SAME * a11 * a22 ? (a22 * h[j] - a12 * (h_sum - h[j])) / det
                                               : (double)NAN;
    }
}

/* Length of ridge coefficients over that of least squares. */
static double length_share(const struct shape *shape, const double *c, size_t m, double alpha)
{
    double now = 0, all = 0;

    for (size_t k = 0; k < m; k++) {
        double b = c[k] * c[k] / shape->s2[k], f = shape->s2[k] / (shape->s2[k] + alpha);

        all += b;
        now += b * f * f;
    }
    return all > 0 ? sqrt(now / all) : 1;
}

/* The penalty of `fraction`, which is above `low`, by bisection. */
static double penalty_of(const struct shape *shape, const double *c, size_t m, double fraction,
                         double low)
{
    double high = fmax(low, 1e-3 * shape->s2[0]);

    if (fraction >= 1)
        return 0;
    while (length_share(shape, c, m, high) > fraction)
        high *= 4;
    for (int i = 0; i < HALVING && high - low > 1e-14 * high; i++) {
        double middle = (low + high) / 2;

        if (length_share(shape, c, m, middle) > fraction)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

/* Squared distance of each showing's least-squares estimate from the mean of the stimulus's other
 * showings in `beta`. */
static double repeat_error(const struct fit *fit, const double *ols, const double *beta)
{
    const int32_t *stimulus = fit->options->stimulus;
    size_t m = fit->data->m;
    double sum = 0;

    for (size_t i = 0; i < m; i++) {
        double mean = 0, n = 0;

        for (size_t j = 0; stimulus[i] >= 0 && j < m; j++)
            if (j != i && stimulus[j] == stimulus[i]) {
                mean += beta[j];
                n++;
            }
        if (n > 0)
            sum += (ols[i] - mean / n) * (ols[i] - mean / n);
    }
    return sum;
}

/* Scale and offset that bring beta nearest to ols. */
static void match(const double *ols, size_t m, double *beta)
{
    double mo = 0, mb = 0, ob = 0, bb = 0, scale;

    for (size_t j = 0; j < m; j++) {
        mo += ols[j] / (double)m;
        mb += beta[j] / (double)m;
    }
    for (size_t j = 0; j < m; j++) {
        ob += (ols[j] - mo) * (beta[j] - mb);
        bb += (beta[j] - mb) * (beta[j] - mb);
    }
    scale = bb > 0 ? fmax(ob / bb, 0) : 1;
    for (size_t j = 0; j < m; j++)
        beta[j] = mo + scale * (beta[j] - mb);
}

/* Room of one thread, carved from one block. */
struct room {
    double *y, *c, *best_c, *proj; /* [n][CHUNK], [m][CHUNK] twice, [n_free][CHUNK] */
    double *voxel, *a, *b, *ols;   /* [m] each */
};

static double ridge(const struct fit *fit, const struct shape *shape, const struct room *r,
                    double *ret_beta)
{
    size_t m = fit->data->m;
    double fraction = fit->options->fraction, alpha = 0, least = INFINITY, low = 0;

    turn(shape, r->voxel, m, 0, r->a, r->ols);
    if (fraction > 0) {
        alpha = penalty_of(shape, r->voxel, m, fraction, 0);
    } else {
        for (int i = 0; i < PHI_BETAS_FRACTIONS; i++) {
            double f = 1 - i / (double)PHI_BETAS_FRACTIONS, error;

            low = penalty_of(shape, r->voxel, m, f, low);
            turn(shape, r->voxel, m, low, r->a, ret_beta);
            error = repeat_error(fit, r->ols, ret_beta);
            if (error < least) {
                least = error;
                alpha = low;
                fraction = f;
            }
        }
    }
    turn(shape, r->voxel, m, alpha, r->a, ret_beta);
    if (!fit->options->keep_scale)
        match(r->ols, m, ret_beta);
    return fraction;
}

/* ---- chunks ---- */

static enum ph_status load_chunk(const struct fit *fit, size_t first, size_t w, double *y,
                                 struct ph_error *reterr)
{
    for (size_t i = 0; i < fit->data->n; i++)
        for (size_t j = 0; j < w; j++) {
            y[i * w + j] = (double)fit->data->y[i * fit->data->q + first + j];
            if (!isfinite(y[i * w + j]))
                return phi_error(reterr, PH_E_INVAL, "voxel %zu has a value that is not a number",
                                 first + j);
        }
    return PH_OK;
}

/* Best shape of every voxel of the chunk and its c. */
static void choose_shapes(const struct fit *fit, size_t first, size_t w, const struct room *r)
{
    int n = (int)fit->data->n, m = (int)fit->data->m, cols = (int)w;

    for (size_t h = 0; h < fit->data->n_shapes; h++) {
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, cols, n, 1, fit->shapes[h].u, n,
                    r->y, cols, 0, r->c, cols);
        for (size_t j = 0; j < w; j++) {
            double all = cblas_ddot(n, r->y + j, cols, r->y + j, cols);
            double r2 = all > 0 ? cblas_ddot(m, r->c + j, cols, r->c + j, cols) / all : 0;

            if (h > 0 && (float)r2 <= fit->out->r2[first + j])
                continue;
            fit->out->r2[first + j] = (float)r2;
            fit->out->shape[first + j] = (uint8_t)h;
            cblas_dcopy(m, r->c + j, cols, r->best_c + j, cols);
        }
    }
}

static struct room carve(const struct fit *fit, double *block)
{
    size_t n = fit->data->n, m = fit->data->m;
    struct room r = {.y = block};

    r.c = r.y + n * CHUNK;
    r.best_c = r.c + m * CHUNK;
    r.proj = r.best_c + m * CHUNK;
    r.voxel = r.proj + fit->n_free * CHUNK;
    r.a = r.voxel + m;
    r.b = r.a + m;
    r.ols = r.b + m;
    return r;
}

static size_t room_size(const struct fit *fit)
{
    return (fit->data->n + 2 * fit->data->m + fit->n_free) * CHUNK + 4 * fit->data->m;
}

static enum ph_status chunk_task(void *ctx, size_t task, size_t worker, struct ph_error *reterr)
{
    struct fit *fit = ctx;
    size_t q = fit->data->q, m = fit->data->m, first = task * CHUNK;
    size_t w = q - first < CHUNK ? q - first : CHUNK;
    struct room r = carve(fit, fit->memory + worker * room_size(fit));
    enum ph_status status = load_chunk(fit, first, w, r.y, reterr);

    if (status)
        return status;
    take_nuisance_off(fit, r.y, w, r.proj);
    choose_shapes(fit, first, w, &r);
    for (size_t j = 0; j < w; j++) {
        const struct shape *shape = &fit->shapes[fit->out->shape[first + j]];
        double fraction = 1;

        cblas_dcopy((int)m, r.best_c + j, (int)w, r.voxel, 1);
        if (fit->options->method == PHI_BETAS_LSS)
            lss(shape, r.voxel, m, r.ols, r.a, r.b);
        else if (fit->options->method == PHI_BETAS_RIDGE)
            fraction = ridge(fit, shape, &r, r.b);
        else
            turn(shape, r.voxel, m, 0, r.a, r.b);
        fit->out->fraction[first + j] = (float)fraction;
        for (size_t k = 0; k < m; k++)
            fit->out->beta[k * q + first + j] = (float)r.b[k];
    }
    return PH_OK;
}

static enum ph_status check(const struct phi_betas_data *d, const struct phi_betas_options *o,
                            struct ph_error *reterr)
{
    bool repeats = false;

    if (d->n == 0 || d->m == 0 || d->q == 0 || d->n_shapes == 0 || d->n_shapes > UINT8_MAX ||
        d->n < d->m + d->n_nuisance)
        return phi_error(reterr, PH_E_SHAPE,
                         "%zu volumes for %zu trials and %zu nuisance columns in %zu voxels: each "
                         "trial needs a volume",
                         d->n, d->m, d->n_nuisance, d->q);
    if (!phi_blas_fits(d->n, d->m, CHUNK) || !(o->fraction >= 0 && o->fraction <= 1))
        return phi_error(reterr, PH_E_INVAL, "%zu volumes, fraction %g: out of range", d->n,
                         o->fraction);
    for (size_t i = 0; o->stimulus && i < d->m; i++)
        for (size_t j = 0; j < i; j++)
            repeats = repeats || (o->stimulus[i] >= 0 && o->stimulus[i] == o->stimulus[j]);
    if (o->method == PHI_BETAS_RIDGE && o->fraction == 0 && !repeats)
        return phi_error(reterr, PH_E_INVAL,
                         "no stimulus was shown twice, so nothing says which fraction is best: "
                         "give one");
    return PH_OK;
}

static enum ph_status decompose_all(struct fit *fit, double *memory, struct ph_error *reterr)
{
    size_t n = fit->data->n, m = fit->data->m;
    double *room = phi_calloc(n * m + (fit->n_free + 1) * m + m, sizeof *room);
    enum ph_status status =
        room ? PH_OK : phi_error_nomem(reterr, "the designs", n * m * sizeof *room);

    for (size_t h = 0; status == PH_OK && h < fit->data->n_shapes; h++) {
        struct shape *shape = &fit->shapes[h];

        shape->u = memory + h * (n * m + 2 * m * m + m);
        shape->v = shape->u + n * m;
        shape->g = shape->v + m * m;
        shape->s2 = shape->g + m * m;
        status = decompose(fit, h, shape, room, reterr);
    }
    phi_free(room);
    return status;
}

enum ph_status phi_betas_fit(const struct phi_betas_data *data,
                             const struct phi_betas_options *options, const struct phi_betas *betas,
                             struct ph_error *reterr)
{
    struct fit fit = {.data = data, .options = options, .out = betas};
    size_t n = data->n, m = data->m, n_threads = phi_fork_threads(options->n_threads);
    double *memory = NULL;
    enum ph_status status = check(data, options, reterr);
    int threads;

    if (status)
        return status;
    threads = phi_blas_set_threads(1);
    fit.free = phi_calloc2(data->n_nuisance, n, sizeof *fit.free);
    fit.shapes = phi_calloc(data->n_shapes, sizeof *fit.shapes);
    memory = phi_calloc2(data->n_shapes, n * m + 2 * m * m + m, sizeof *memory);
    if (!fit.free || !fit.shapes || !memory) {
        status = phi_error_nomem(reterr, "the designs", data->n_shapes * n * m * sizeof *memory);
    } else {
        span_nuisance(&fit);
        status = decompose_all(&fit, memory, reterr);
    }
    if (status == PH_OK) {
        fit.memory = phi_calloc2(n_threads, room_size(&fit), sizeof *fit.memory);
        status = fit.memory
                     ? phi_fork(n_threads, (data->q + CHUNK - 1) / CHUNK, chunk_task, &fit, reterr)
                     : phi_error_nomem(reterr, "a part of the voxels", room_size(&fit) * 8);
    }
    (void)phi_blas_set_threads(threads);
    phi_free(fit.free);
    phi_free(fit.shapes);
    phi_free(fit.memory);
    phi_free(memory);
    return status;
}
