/* SPDX-License-Identifier: MIT */
#include "fit/voxels.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "fit/rows.h"
#include "fit/team.h"
#include "io/nifti_file.h"
#include "io/safetensors.h"
#include "signal/design.h"
#include "signal/mask.h"

static struct phi_grid grid_of(const struct phi_nifti_info *info)
{
    struct phi_grid grid = {{info->n_x, info->n_y, info->n_z}, phi_affine_identity()};

    memcpy(grid.affine.m, info->affine, sizeof info->affine);
    return grid;
}

void fit_voxels_free(struct fit_voxels *voxels)
{
    phi_free(voxels->x);
    phi_free(voxels->index);
    phi_free(voxels->chain);
    voxels->chain = NULL;
    voxels->x = NULL;
    voxels->index = NULL;
}

/* Opens the runs once to count volumes and compare geometries. */
static enum ph_status count_runs(const struct cli_list *bold, struct fit_voxels *v,
                                 struct phi_nifti_info *first, struct ph_error *reterr)
{
    for (size_t r = 0; r < bold->n; r++) {
        struct phi_nifti_reader *reader;
        struct phi_nifti_info info;
        enum ph_status status = phi_nifti_reader_open(bold->items[r], &reader, reterr);

        if (status)
            return status;
        info = *phi_nifti_reader_info(reader);
        phi_nifti_reader_close(&reader);
        if (r == 0)
            *first = info;
        else if (!phi_nifti_same_grid(first, &info, 0.01))
            return phi_error(reterr, PH_E_SHAPE, "%s has another geometry than %s", bold->items[r],
                             bold->items[0]);
        v->run_rows[r] = info.n_volumes;
        v->n += info.n_volumes;
    }
    v->n_runs = bold->n;
    v->grid = grid_of(first);
    v->tr_s = first->tr_s;
    return PH_OK;
}

/* Calls back with every volume of one run. */
static enum ph_status for_each_volume(const char *path, float *volume,
                                      void (*use)(void *ctx, const float *volume), void *ctx,
                                      struct ph_error *reterr)
{
    struct phi_nifti_reader *reader;
    enum ph_status status = phi_nifti_reader_open(path, &reader, reterr);

    if (status)
        return status;
    while ((status = phi_nifti_reader_next_float32(reader, volume, reterr)) == PH_OK)
        use(ctx, volume);
    phi_nifti_reader_close(&reader);
    return status == PH_EOS ? PH_OK : status;
}

struct mean_work {
    float *sum;
    size_t n;
};

static void add_volume(void *ctx, const float *volume)
{
    struct mean_work *work = ctx;

    for (size_t i = 0; i < work->n; i++)
        work->sum[i] += volume[i];
}

static enum ph_status mask_of_mean(const char *path, size_t n, struct phi_mask *mask,
                                   struct ph_error *reterr)
{
    float *volume = phi_calloc(n, sizeof *volume);
    struct mean_work work = {phi_calloc(n, sizeof *work.sum), n};
    enum ph_status status;

    if (volume && work.sum)
        status = for_each_volume(path, volume, add_volume, &work, reterr);
    else
        status = phi_error_nomem(reterr, "mean volume", n * sizeof *volume);
    if (!status && phi_mask_from_mean(mask, work.sum) != PH_OK)
        status = phi_error(reterr, PH_E_INVAL, "%s: no brain was found in it; give --mask", path);
    phi_free(volume);
    phi_free(work.sum);
    return status;
}

static enum ph_status mask_of_file(const char *path, const struct phi_nifti_info *bold,
                                   struct phi_mask *mask, struct ph_error *reterr)
{
    struct phi_nifti_info info;
    float *values = NULL;
    enum ph_status status =
        phi_nifti_read_float32(path, PHI_NIFTI_MAX_VOLUME_BYTES, &info, &values, reterr);

    if (status)
        return status;
    if (!phi_nifti_same_grid(bold, &info, 0.01))
        status = phi_error(reterr, PH_E_SHAPE,
                           "mask %s is on another grid than the BOLD run: resample it first", path);
    else if (phi_mask_from_values(mask, values, 0) != PH_OK)
        status = phi_error(reterr, PH_E_INVAL, "mask %s is empty", path);
    phi_free(values);
    return status;
}

/* Settles which of `q_all` voxels this process keeps, and makes room for them. */
static enum ph_status take_part(const struct fit_voxels_from *from, size_t q_all,
                                struct fit_voxels *v, struct ph_error *reterr)
{
    struct fit_part part = fit_part_of(q_all, from->rank, from->n_ranks ? from->n_ranks : 1);

    v->q_all = q_all;
    v->first = part.first;
    v->q = part.n;
    v->x = phi_calloc2(v->n, v->q, sizeof *v->x);
    return v->x ? PH_OK : phi_error_nomem(reterr, "voxels of all runs", v->n * v->q * sizeof *v->x);
}

struct gather_work {
    const struct phi_mask *mask;
    struct fit_voxels *v;
    float *all; /* [q_all] */
    size_t row;
};

static void gather_volume(void *ctx, const float *volume)
{
    struct gather_work *work = ctx;
    const struct fit_voxels *v = work->v;

    if (work->row < v->n) {
        phi_mask_gather(work->mask, volume, work->all);
        memcpy(v->x + work->row++ * v->q, work->all + v->first, v->q * sizeof *v->x);
    }
}

static enum ph_status gather_runs(const struct fit_voxels_from *from, const struct phi_mask *mask,
                                  struct fit_voxels *v, struct ph_error *reterr)
{
    size_t n_grid = phi_grid_count(&v->grid);
    float *volume = phi_calloc(n_grid, sizeof *volume);
    struct gather_work work = {mask, v, phi_calloc(mask->n_voxels, sizeof *work.all), 0};
    enum ph_status status = take_part(from, mask->n_voxels, v, reterr);

    v->index = phi_calloc(v->q_all, sizeof *v->index);
    if (!status && (!volume || !work.all || !v->index))
        status = phi_error_nomem(reterr, "a volume", n_grid * sizeof *volume);
    else if (!status)
        memcpy(v->index, mask->index, v->q_all * sizeof *v->index);
    for (size_t r = 0; !status && r < from->bold->n; r++)
        status = for_each_volume(from->bold->items[r], volume, gather_volume, &work, reterr);
    phi_free(volume);
    phi_free(work.all);
    if (!status && work.row != v->n)
        return phi_error(reterr, PH_E_FORMAT, "the runs hold %zu volumes, their headers say %zu",
                         work.row, v->n);
    return status;
}

static enum ph_status load_bold(const struct fit_voxels_from *from, struct fit_voxels *v,
                                struct ph_error *reterr)
{
    struct phi_nifti_info info;
    struct phi_mask *mask = NULL;
    enum ph_status status = count_runs(from->bold, v, &info, reterr);

    if (!status)
        status = phi_mask_create(&v->grid, &mask, reterr);
    if (!status && from->mask)
        status = mask_of_file(from->mask, &info, mask, reterr);
    else if (!status)
        status = mask_of_mean(from->bold->items[0], info.n_voxels, mask, reterr);
    if (!status)
        status = gather_runs(from, mask, v, reterr);
    phi_mask_destroy(&mask);
    return status;
}

/* Where in x the volume of a row goes; SIZE_MAX beyond the run's header. */
static size_t place_of(const struct fit_voxels *v, const struct fit_rows *rows, size_t i)
{
    double number = floor(rows->at_s[i] / rows->geometry.tr_s + 0.5);
    size_t first = 0;

    for (size_t r = 0; r < rows->run[i]; r++)
        first += v->run_rows[r];
    return number >= 0 && number < (double)v->run_rows[rows->run[i]] ? first + (size_t)number
                                                                     : SIZE_MAX;
}

/* Volumes that the filters judged unusable become the mean of their run, which says nothing. */
static void fill_missing(struct fit_voxels *v, const bool *there)
{
    size_t first = 0;

    for (size_t r = 0; r < v->n_runs; first += v->run_rows[r++])
        for (size_t j = 0; j < v->q; j++) {
            double sum = 0;
            size_t n = 0;

            for (size_t i = first; i < first + v->run_rows[r]; i++)
                if (there[i]) {
                    sum += (double)v->x[i * v->q + j];
                    n++;
                }
            for (size_t i = first; i < first + v->run_rows[r]; i++)
                if (!there[i])
                    v->x[i * v->q + j] = n ? (float)(sum / (double)n) : 0;
        }
}

static enum ph_status place_rows(const struct fit_voxels_from *from, struct fit_rows *rows,
                                 struct fit_voxels *v, struct ph_error *reterr)
{
    bool *there = phi_calloc(v->n, sizeof *there);
    enum ph_status status = there ? take_part(from, rows->q, v, reterr)
                                  : phi_error_nomem(reterr, "volumes", v->n * sizeof *there);

    if (status) {
        phi_free(there);
        return status;
    }
    for (size_t i = 0; i < rows->n; i++) {
        size_t at = place_of(v, rows, i);

        if (at == SIZE_MAX)
            continue;
        memcpy(v->x + at * v->q, rows->y + i * v->q_all + v->first, v->q * sizeof *v->x);
        there[at] = true;
    }
    fill_missing(v, there);
    phi_free(there);
    v->index = rows->voxels;
    v->chain = rows->chain;
    rows->voxels = NULL;
    rows->chain = NULL;
    v->tr_s = rows->geometry.tr_s;
    for (size_t i = 0; i < 3; i++)
        v->grid.n[i] = rows->geometry.dims[i];
    memcpy(v->grid.affine.m, rows->geometry.affine, sizeof rows->geometry.affine);
    return PH_OK;
}

static enum ph_status load_run(const struct fit_voxels_from *from, struct fit_voxels *v,
                               struct ph_error *reterr)
{
    static const struct cli_list none;
    const struct fit_rows_from rows_from = {.registry = from->registry,
                                            .run_file = from->run_file,
                                            .bold = from->bold,
                                            .events = &none,
                                            .no_events = true,
                                            .mask = from->mask};
    struct phi_nifti_info info;
    struct fit_rows rows = {0};
    enum ph_status status = count_runs(from->bold, v, &info, reterr);

    if (!status)
        status = fit_rows_load(&rows_from, &rows, reterr);
    if (!status)
        status = place_rows(from, &rows, v, reterr);
    fit_rows_free(&rows);
    return status;
}

/* The columns of this process. */
static enum ph_status load_columns(const struct phi_safetensors *file,
                                   const struct phi_safetensors_tensor *tensor,
                                   struct fit_voxels *v, struct ph_error *reterr)
{
    const char *data = tensor->data;

    if (v->q == v->q_all)
        return phi_safetensors_read_f32(file, tensor, v->n * v->q, v->x, reterr);
    if (tensor->dtype != PHI_SAFETENSORS_F32)
        return phi_error(reterr, PH_E_FORMAT, "%s: tensor 'voxels' must be F32 with --mpi",
                         phi_safetensors_path(file));
    for (size_t i = 0; i < v->n; i++)
        memcpy(v->x + i * v->q, data + (i * v->q_all + v->first) * sizeof *v->x,
               v->q * sizeof *v->x);
    return PH_OK;
}

static enum ph_status load_matrix(const struct fit_voxels_from *from, struct fit_voxels *v,
                                  struct ph_error *reterr)
{
    struct phi_safetensors *file;
    const struct phi_safetensors_tensor *tensor;
    const size_t any[2] = {0, 0};
    enum ph_status status = phi_safetensors_open(from->matrix, &file, reterr);

    if (status)
        return status;
    status = phi_safetensors_expect(file, "voxels", 2, any, &tensor, reterr);
    if (!status) {
        v->n = v->run_rows[0] = tensor->shape[0];
        v->n_runs = 1;
        status = take_part(from, tensor->shape[1], v, reterr);
    }
    if (!status)
        status = load_columns(file, tensor, v, reterr);
    phi_safetensors_close(&file);
    return status;
}

/* Removes the cosines of one run from its voxels: x -= D D'x, D orthonormal. `coef` is [q]. */
static void remove_cosine(float *x, size_t n, size_t q, const double *cosine, float *coef)
{
    memset(coef, 0, q * sizeof *coef);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < q; j++)
            coef[j] += (float)cosine[i] * x[i * q + j];
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < q; j++)
            x[i * q + j] -= (float)cosine[i] * coef[j];
}

static void remove_run_mean(float *x, size_t n, size_t q)
{
    for (size_t j = 0; j < q; j++) {
        double mean = 0;

        for (size_t i = 0; i < n; i++)
            mean += (double)x[i * q + j] / (double)n;
        for (size_t i = 0; i < n; i++)
            x[i * q + j] = (float)((double)x[i * q + j] - mean);
    }
}

static enum ph_status remove_drift(struct fit_voxels *v, double drift_s, struct ph_error *reterr)
{
    double *row = phi_calloc(v->n, sizeof *row), *cosine = phi_calloc(v->n, sizeof *cosine);
    float *coef = phi_calloc(v->q, sizeof *coef), *x = v->x;
    enum ph_status status = PH_OK;

    if (!row || !cosine || !coef)
        status = phi_error_nomem(reterr, "drift terms", v->q * sizeof *coef);
    else if (!(v->tr_s > 0))
        status = phi_error(reterr, PH_E_INVAL, "removing drifts needs the TR: the file tells none");
    for (size_t r = 0; !status && r < v->n_runs; r++) {
        size_t n = v->run_rows[r], k = phi_design_dct_count(n, v->tr_s, drift_s);

        remove_run_mean(x, n, v->q);
        for (size_t c = 0; c < k; c++) {
            for (size_t i = 0; i < n; i++) {
                phi_design_dct_row(n, i, k, row);
                cosine[i] = row[c];
            }
            remove_cosine(x, n, v->q, cosine, coef);
        }
        x += n * v->q;
    }
    phi_free(row);
    phi_free(cosine);
    phi_free(coef);
    return status;
}

enum ph_status fit_voxels_load(const struct fit_voxels_from *from, struct fit_voxels *ret_voxels,
                               struct ph_error *reterr)
{
    struct fit_voxels v = {0};
    enum ph_status status = from->matrix     ? load_matrix(from, &v, reterr)
                            : from->run_file ? load_run(from, &v, reterr)
                                             : load_bold(from, &v, reterr);

    if (!status && from->drift_s > 0)
        status = remove_drift(&v, from->drift_s, reterr);
    if (status)
        fit_voxels_free(&v);
    else
        *ret_voxels = v;
    return status;
}
