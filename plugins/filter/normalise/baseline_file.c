/* SPDX-License-Identifier: MIT */
#include "plugins/filter/normalise/baseline_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "io/safetensors.h"

static enum ph_status read_tensors(const struct phi_safetensors *stored,
                                   struct baseline_file *ret_file, struct ph_error *reterr)
{
    const struct phi_safetensors_tensor *mean;
    size_t any = 0;
    enum ph_status status = phi_safetensors_expect(stored, "mean", 1, &any, &mean, reterr);

    if (status != PH_OK)
        return status;
    ret_file->n_values = mean->shape[0];
    status =
        phi_safetensors_load_f64(stored, "mean", 1, &ret_file->n_values, &ret_file->mean, reterr);
    if (status == PH_OK)
        status =
            phi_safetensors_load_f64(stored, "m2", 1, &ret_file->n_values, &ret_file->m2, reterr);
    for (size_t i = 0; status == PH_OK && i < ret_file->n_values; i++)
        if (!isfinite(ret_file->mean[i]) || !(ret_file->m2[i] >= 0) || !isfinite(ret_file->m2[i]))
            status = phi_error(reterr, PH_E_FORMAT, "%s: value %zu is no baseline",
                               phi_safetensors_path(stored), i);
    return status;
}

static enum ph_status read_metadata(const struct phi_safetensors *stored, const char *chain,
                                    struct baseline_file *ret_file, struct ph_error *reterr)
{
    static const int64_t range[2] = {2, INT64_C(1) << 40};
    const char *behind = phi_safetensors_metadata(stored, "chain");
    const char *layout = phi_safetensors_metadata(stored, "layout");
    int64_t n = 0;
    enum ph_status status = phi_safetensors_metadata_i64(stored, "n_volumes", range, &n, reterr);

    if (status != PH_OK)
        return status;
    if (!behind || !layout)
        return phi_error(reterr, PH_E_FORMAT, "%s: no 'chain' or no 'layout'",
                         phi_safetensors_path(stored));
    if (strcmp(behind, chain) != 0)
        return phi_error(reterr, PH_E_STATE,
                         "the baseline in '%s' was measured behind other filters: '%.120s', not "
                         "'%.120s'",
                         phi_safetensors_path(stored), behind, chain);
    ret_file->n_volumes = (size_t)n;
    ret_file->layout = strtoull(layout, NULL, 16);
    return PH_OK;
}

enum ph_status baseline_file_read(const char *path, const char *chain,
                                  struct baseline_file *ret_file, struct ph_error *reterr)
{
    struct phi_safetensors *stored = NULL;
    struct baseline_file file = {.layout = 0};
    int64_t version;
    enum ph_status status = phi_safetensors_open(path, &stored, reterr);

    if (status == PH_OK)
        status = phi_safetensors_expect_kind(stored, "baseline", 1, &version, reterr);
    if (status == PH_OK)
        status = read_metadata(stored, chain, &file, reterr);
    if (status == PH_OK)
        status = read_tensors(stored, &file, reterr);
    phi_safetensors_close(&stored);
    if (status != PH_OK) {
        baseline_file_free(&file);
        return status;
    }
    *ret_file = file;
    return PH_OK;
}

void baseline_file_free(struct baseline_file *file)
{
    phi_free(file->mean);
    phi_free(file->m2);
    *file = (struct baseline_file){.layout = 0};
}

enum ph_status baseline_file_write(const char *path, const char *chain,
                                   const struct baseline_file *file, const double *mean,
                                   const double *m2, struct ph_error *reterr)
{
    char layout[32], n_volumes[32];
    const struct phi_safetensors_tensor tensors[] = {
        {.name = "mean",
         .dtype = PHI_SAFETENSORS_F64,
         .n_dims = 1,
         .shape = {file->n_values},
         .data = mean},
        {.name = "m2",
         .dtype = PHI_SAFETENSORS_F64,
         .n_dims = 1,
         .shape = {file->n_values},
         .data = m2},
    };
    const struct phi_safetensors_pair metadata[] = {{"phosphene.kind", "baseline"},
                                                    {"phosphene.version", "1"},
                                                    {"chain", chain},
                                                    {"layout", layout},
                                                    {"n_volumes", n_volumes}};
    const struct phi_safetensors_content content = {tensors, 2, metadata, 5};

    (void)snprintf(layout, sizeof layout, "%016" PRIx64, file->layout);
    (void)snprintf(n_volumes, sizeof n_volumes, "%zu", file->n_volumes);
    return phi_safetensors_write(path, &content, reterr);
}
