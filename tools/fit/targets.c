/* SPDX-License-Identifier: MIT */
#include "fit/targets.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"

enum ph_status fit_targets_open(const char *path, const char *name, struct fit_targets *ret_targets,
                                struct ph_error *reterr)
{
    struct fit_targets targets = {0};
    const size_t any[2] = {0, 0};
    enum ph_status status = phi_safetensors_open(path, &targets.file, reterr);

    if (status)
        return status;
    status = phi_safetensors_expect(targets.file, name, 2, any, &targets.tensor, reterr);
    if (!status && targets.tensor->dtype != PHI_SAFETENSORS_F32 &&
        targets.tensor->dtype != PHI_SAFETENSORS_F64)
        status = phi_error(reterr, PH_E_FORMAT, "%s: tensor '%s' is %s; targets must be F32 or F64",
                           path, name, phi_safetensors_dtype_name(targets.tensor->dtype));
    if (status) {
        fit_targets_close(&targets);
        return status;
    }
    targets.n_file_rows = targets.tensor->shape[0];
    targets.t = targets.tensor->shape[1];
    *ret_targets = targets;
    return PH_OK;
}

void fit_targets_close(struct fit_targets *targets)
{
    phi_safetensors_close(&targets->file);
}

/* One value; the file promises no alignment. */
static double value_at(const struct fit_targets *targets, size_t at)
{
    const char *data = targets->tensor->data;
    float f;
    double d;

    if (targets->tensor->dtype == PHI_SAFETENSORS_F32) {
        memcpy(&f, data + at * sizeof f, sizeof f);
        return (double)f;
    }
    memcpy(&d, data + at * sizeof d, sizeof d);
    return d;
}

static enum ph_status read_targets(void *ctx, size_t first, size_t n, enum phi_dtype dtype,
                                   void *out, struct ph_error *reterr)
{
    const struct fit_targets *targets = ctx;
    bool same = (targets->tensor->dtype == PHI_SAFETENSORS_F64) == (dtype == PHI_DTYPE_F64);
    size_t size = phi_dtype_size(dtype);

    (void)reterr;
    for (size_t i = 0; same && i < targets->n; i++)
        memcpy((char *)out + i * n * size,
               (const char *)targets->tensor->data + (targets->rows[i] * targets->t + first) * size,
               n * size);
    for (size_t i = 0; !same && i < targets->n; i++)
        for (size_t j = 0; j < n; j++) {
            double value = value_at(targets, targets->rows[i] * targets->t + first + j);

            if (dtype == PHI_DTYPE_F64)
                ((double *)out)[i * n + j] = value;
            else
                ((float *)out)[i * n + j] = (float)value;
        }
    return PH_OK;
}

enum ph_status fit_targets_columns(struct fit_targets *targets, size_t n_volumes,
                                   const uint32_t *rows, size_t n, struct phi_columns *ret_columns,
                                   struct ph_error *reterr)
{
    if (targets->n_file_rows != n_volumes)
        return phi_error(reterr, PH_E_SHAPE,
                         "%s has %zu rows of targets, the runs have %zu volumes: there must be one "
                         "row a volume",
                         phi_safetensors_path(targets->file), targets->n_file_rows, n_volumes);
    targets->rows = rows;
    targets->n = n;
    *ret_columns = (struct phi_columns){
        .n_rows = n, .n_cols = targets->t, .read = read_targets, .ctx = targets, .name = "targets"};
    return PH_OK;
}
