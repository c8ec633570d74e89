/* SPDX-License-Identifier: MIT */
#include "tools/simulate/source.h"

#include <cblas.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "io/events.h"
#include "io/nifti_file.h"
#include "io/sidecar.h"
#include "signal/design.h"

#define MIN_VOLUMES    16
#define DRIFT_CUTOFF_S 128.0
#define MAX_TYPES      32

static enum ph_status set_geometry(struct phi_sim_source *source, const char *path, double tr_s,
                                   struct ph_error *reterr)
{
    const struct phi_nifti_info *info = &source->info;
    struct phi_sidecar sidecar;
    enum ph_status status = phi_sidecar_read_beside(path, &sidecar, reterr);

    if (status < 0)
        return status;
    source->grid = (struct phi_grid){{info->n_x, info->n_y, info->n_z}, phi_affine_identity()};
    for (size_t r = 0; r < 3; r++)
        memcpy(source->grid.affine.m[r], info->affine[r], sizeof info->affine[r]);
    source->n_volumes = info->n_volumes;
    source->n_all = info->n_voxels;
    source->tr_s = tr_s > 0 ? tr_s : sidecar.tr_s > 0 ? sidecar.tr_s : info->tr_s;
    if (!(source->tr_s > 0.01 && source->tr_s < 100))
        return phi_error(reterr, PH_E_FORMAT,
                         "'%.200s' does not tell its repetition time: give it with --tr", path);
    if (source->n_volumes < MIN_VOLUMES)
        return phi_error(reterr, PH_E_SHAPE, "'%.200s' has %zu volumes; noise needs at least %d",
                         path, source->n_volumes, MIN_VOLUMES);
    return phi_grid_check(&source->grid, path, reterr);
}

/* Mean and sd of every voxel by Welford's recursion. */
static enum ph_status read_moments(struct phi_sim_source *source, struct phi_nifti_reader *reader,
                                   float *volume, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    for (size_t t = 0; t < source->n_volumes; t++) {
        status = phi_nifti_reader_next_float32(reader, volume, reterr);
        if (status != PH_OK)
            return status;
        for (size_t i = 0; i < source->n_all; i++) {
            float value = isfinite(volume[i]) ? volume[i] : 0.0f;
            float step = value - source->mean[i];

            source->mean[i] += step / (float)(t + 1);
            source->sd[i] += step * (value - source->mean[i]);
        }
    }
    for (size_t i = 0; i < source->n_all; i++)
        source->sd[i] = sqrtf(source->sd[i] / (float)source->n_volumes);
    return PH_OK;
}

static enum ph_status read_series(struct phi_sim_source *source, struct phi_nifti_reader *reader,
                                  float *volume, struct ph_error *reterr)
{
    size_t n = source->mask->n_voxels;
    enum ph_status status = phi_nifti_reader_seek(reader, 0, reterr);

    for (size_t t = 0; status == PH_OK && t < source->n_volumes; t++) {
        float *row = source->series + t * n;

        status = phi_nifti_reader_next_float32(reader, volume, reterr);
        if (status != PH_OK)
            return status;
        phi_mask_gather(source->mask, volume, row);
        for (size_t i = 0; i < n; i++)
            row[i] = isfinite(row[i]) ? row[i] - source->mean[source->mask->index[i]] : 0.0f;
    }
    return status;
}

static enum ph_status allocate(struct phi_sim_source *source, const char *path,
                               struct ph_error *reterr)
{
    enum ph_status status = phi_mask_create(&source->grid, &source->mask, reterr);

    if (status < 0)
        return status;
    source->mean = phi_calloc(source->n_all, sizeof *source->mean);
    source->sd = phi_calloc(source->n_all, sizeof *source->sd);
    if (!source->mean || !source->sd)
        return phi_error_nomem(reterr, path, 2 * source->n_all * sizeof *source->sd);
    return PH_OK;
}

static enum ph_status allocate_series(struct phi_sim_source *source, const char *path,
                                      struct ph_error *reterr)
{
    size_t n_bytes = 0;

    if (!phi_mul_size(source->n_volumes, source->mask->n_voxels * sizeof(float), &n_bytes) ||
        n_bytes > PHI_SIM_MAX_BYTES)
        return phi_error(reterr, PH_E_LIMIT, "'%.200s': its brain does not fit into %zu GB", path,
                         PHI_SIM_MAX_BYTES >> 30);
    source->series = phi_calloc2(source->n_volumes, source->mask->n_voxels, sizeof(float));
    return source->series ? PH_OK : phi_error_nomem(reterr, path, n_bytes);
}

static enum ph_status read_run(struct phi_sim_source *source, const char *path, double tr_s,
                               struct ph_error *reterr)
{
    struct phi_nifti_reader *reader;
    float *volume = NULL;
    enum ph_status status = phi_nifti_reader_open(path, &reader, reterr);

    if (status < 0)
        return status;
    source->info = *phi_nifti_reader_info(reader);
    status = set_geometry(source, path, tr_s, reterr);
    if (status >= 0)
        status = allocate(source, path, reterr);
    if (status >= 0) {
        volume = phi_calloc(source->n_all, sizeof *volume);
        status =
            volume ? PH_OK : phi_error_nomem(reterr, "a volume", source->n_all * sizeof(float));
    }
    if (status >= 0)
        status = read_moments(source, reader, volume, reterr);
    if (status >= 0 && phi_mask_from_mean(source->mask, source->mean) < 0)
        status = phi_error(reterr, PH_E_FORMAT, "'%.200s': no brain was found in it", path);
    if (status >= 0)
        status = allocate_series(source, path, reterr);
    if (status >= 0)
        status = read_series(source, reader, volume, reterr);
    phi_free(volume);
    phi_nifti_reader_close(&reader);
    return status;
}

/* Nuisance columns, row by column: x[n_columns][n_volumes]. */
struct columns {
    double *x;
    size_t n_volumes;
    size_t n;
};

static void add_drifts(struct columns *columns, size_t n_dct)
{
    double row[256];

    for (size_t t = 0; t < columns->n_volumes; t++) {
        phi_design_dct_row(columns->n_volumes, t, n_dct, row);
        columns->x[t] = 1;
        for (size_t c = 0; c < n_dct; c++)
            columns->x[(c + 1) * columns->n_volumes + t] = row[c];
    }
    columns->n = n_dct + 1;
}

static void add_type(struct columns *columns, const struct phi_events *events, const char *type,
                     double tr_s)
{
    const struct phi_hrf hrf = phi_hrf_spm();
    double *column = columns->x + columns->n * columns->n_volumes;

    for (size_t t = 0; t < columns->n_volumes; t++) {
        for (size_t i = 0; i < events->n; i++) {
            if (strcmp(events->rows[i].trial_type, type) == 0)
                column[t] += phi_hrf_event(&hrf, PHI_HRF_CANONICAL,
                                           (double)t * tr_s - events->rows[i].onset_s,
                                           events->rows[i].duration_s);
        }
    }
    columns->n++;
}

static void add_events(struct columns *columns, const struct phi_events *events, double tr_s)
{
    size_t n_types = 0;

    for (size_t i = 0; i < events->n && n_types < MAX_TYPES; i++) {
        bool seen = false;

        for (size_t k = 0; k < i; k++)
            seen = seen || strcmp(events->rows[i].trial_type, events->rows[k].trial_type) == 0;
        if (!seen) {
            add_type(columns, events, events->rows[i].trial_type, tr_s);
            n_types++;
        }
    }
}

/* Gram and Schmidt, twice for accuracy; dependent columns are dropped. */
static void orthonormalise(struct columns *columns)
{
    int n = (int)columns->n_volumes;
    size_t kept = 0;

    for (size_t c = 0; c < columns->n; c++) {
        double *column = columns->x + c * columns->n_volumes;
        double before = cblas_dnrm2(n, column, 1);
        double norm;

        for (size_t k = 0; k < 2 * kept; k++) {
            const double *other = columns->x + k % kept * columns->n_volumes;

            cblas_daxpy(n, -cblas_ddot(n, other, 1, column, 1), other, 1, column, 1);
        }
        norm = cblas_dnrm2(n, column, 1);
        if (!(norm > 1e-6 * before))
            continue;
        for (size_t t = 0; t < columns->n_volumes; t++)
            columns->x[kept * columns->n_volumes + t] = column[t] / norm;
        kept++;
    }
    columns->n = kept;
}

static enum ph_status project_out(struct phi_sim_source *source, const struct columns *columns,
                                  struct ph_error *reterr)
{
    size_t n = source->mask->n_voxels;
    float *q = phi_calloc2(columns->n, columns->n_volumes, sizeof *q);
    float *beta = phi_calloc2(columns->n, n, sizeof *beta);
    enum ph_status status = PH_OK;

    if (q && beta) {
        for (size_t i = 0; i < columns->n * columns->n_volumes; i++)
            q[i] = (float)columns->x[i];
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)columns->n, (int)n,
                    (int)columns->n_volumes, 1, q, (int)columns->n_volumes, source->series, (int)n,
                    0, beta, (int)n);
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)columns->n_volumes, (int)n,
                    (int)columns->n, -1, q, (int)columns->n_volumes, beta, (int)n, 1,
                    source->series, (int)n);
    } else {
        status = phi_error_nomem(reterr, "drifts", columns->n * n * sizeof *beta);
    }
    phi_free(q);
    phi_free(beta);
    return status;
}

static void set_inner_sd(struct phi_sim_source *source)
{
    size_t n = source->mask->n_voxels;

    for (size_t i = 0; i < n; i++) {
        double sum = 0;

        for (size_t t = 0; t < source->n_volumes; t++)
            sum += pow((double)source->series[t * n + i], 2);
        source->sd[source->mask->index[i]] = (float)sqrt(sum / (double)source->n_volumes);
    }
}

static enum ph_status take_out(struct phi_sim_source *source, const struct phi_events *events,
                               struct ph_error *reterr)
{
    size_t n_dct = phi_design_dct_count(source->n_volumes, source->tr_s, DRIFT_CUTOFF_S);
    size_t most = source->n_volumes / 4;
    struct columns columns = {NULL, source->n_volumes, 0};
    enum ph_status status;

    n_dct = n_dct > most ? most : n_dct > 255 ? 255 : n_dct;
    columns.x = phi_calloc2(n_dct + 1 + MAX_TYPES, source->n_volumes, sizeof *columns.x);
    if (!columns.x)
        return phi_error_nomem(reterr, "drifts", n_dct * source->n_volumes * sizeof(double));
    add_drifts(&columns, n_dct);
    add_events(&columns, events, source->tr_s);
    orthonormalise(&columns);
    if (columns.n * 2 > source->n_volumes)
        status = phi_error(reterr, PH_E_SHAPE, "the run is too short for its drifts and events");
    else
        status = project_out(source, &columns, reterr);
    phi_free(columns.x);
    if (status >= 0)
        set_inner_sd(source);
    return status;
}

enum ph_status phi_sim_source_open(const char *path, const char *events_path, double tr_s,
                                   struct phi_sim_source **ret_source, struct ph_error *reterr)
{
    struct phi_sim_source *source = phi_calloc(1, sizeof *source);
    struct phi_events events = {NULL, 0};
    enum ph_status status;

    if (!source)
        return phi_error_nomem(reterr, "a run", sizeof *source);
    status = events_path ? phi_events_read(events_path, &events, reterr) : PH_OK;
    if (status >= 0)
        status = read_run(source, path, tr_s, reterr);
    if (status >= 0)
        status = take_out(source, &events, reterr);
    phi_events_free(&events);
    if (status < 0)
        phi_sim_source_close(&source);
    else
        *ret_source = source;
    return status;
}

void phi_sim_source_close(struct phi_sim_source **source)
{
    if (!source || !*source)
        return;
    phi_mask_destroy(&(*source)->mask);
    phi_free((*source)->mean);
    phi_free((*source)->sd);
    phi_free((*source)->series);
    phi_free(*source);
    *source = NULL;
}
