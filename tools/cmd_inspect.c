/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli.h"
#include "io/arrays.h"

/* What a person asks of a tensor at first sight. */
struct summary {
    double mean, sd, min, max;
    size_t n_odd; /* NaN or infinite */
};

struct inspection {
    struct phi_safetensors *file; /* NULL for other formats */
    struct phi_arrays arrays;     /* used where `file` is NULL */
};

static size_t count_of(const struct inspection *inspection)
{
    return inspection->file ? phi_safetensors_count(inspection->file) : inspection->arrays.n;
}

static const struct phi_safetensors_tensor *tensor_at(const struct inspection *inspection, size_t i)
{
    return inspection->file ? phi_safetensors_at(inspection->file, i)
                            : &inspection->arrays.items[i];
}

static void shape_text(const struct phi_safetensors_tensor *tensor, char *out, size_t capacity)
{
    struct phi_str str = phi_str_over(out, capacity);

    phi_str_addf(&str, "[");
    for (size_t d = 0; d < tensor->n_dims; d++)
        phi_str_addf(&str, "%s%zu", d ? "," : "", tensor->shape[d]);
    phi_str_addf(&str, "]");
}

static struct summary summarise(const double *values, size_t n)
{
    struct summary s = {0, 0, INFINITY, -INFINITY, 0};
    size_t kept = 0;
    double m2 = 0;

    for (size_t i = 0; i < n; i++) {
        double d = values[i] - s.mean;

        if (!isfinite(values[i])) {
            s.n_odd++;
            continue;
        }
        kept++;
        s.mean += d / (double)kept;
        m2 += d * (values[i] - s.mean);
        s.min = fmin(s.min, values[i]);
        s.max = fmax(s.max, values[i]);
    }
    s.sd = kept > 1 ? sqrt(m2 / (double)(kept - 1)) : 0;
    if (kept == 0)
        s.min = s.max = 0;
    return s;
}

static enum ph_status summary_of(const struct inspection *inspection,
                                 const struct phi_safetensors_tensor *tensor,
                                 struct summary *ret_summary, struct ph_error *reterr)
{
    double *values = phi_calloc(tensor->n_values, sizeof *values);
    enum ph_status status;

    if (!values)
        return phi_error_nomem(reterr, "a tensor's values", tensor->n_values * sizeof *values);
    status = phi_safetensors_read_f64(inspection->file, tensor, tensor->n_values, values, reterr);
    if (status == PH_OK)
        *ret_summary = summarise(values, tensor->n_values);
    phi_free(values);
    return status;
}

static void print_metadata(const struct phi_safetensors *file)
{
    struct phi_safetensors_pair pair;

    for (size_t i = 0; file && phi_safetensors_metadata_at(file, i, &pair); i++)
        printf("%-28s %.200s%s\n", pair.key, pair.value, strlen(pair.value) > 200 ? "..." : "");
}

static enum ph_status print_text(const struct inspection *inspection, bool values,
                                 struct ph_error *reterr)
{
    size_t n_values = 0;
    size_t n_bytes = 0;

    print_metadata(inspection->file);
    for (size_t i = 0; i < count_of(inspection); i++) {
        const struct phi_safetensors_tensor *tensor = tensor_at(inspection, i);
        struct summary s;
        char shape[128];
        enum ph_status status;

        shape_text(tensor, shape, sizeof shape);
        printf("%-44s %-5s %-20s", tensor->name, phi_safetensors_dtype_name(tensor->dtype), shape);
        if (values && tensor->dtype != PHI_SAFETENSORS_BOOL) {
            status = summary_of(inspection, tensor, &s, reterr);
            if (status != PH_OK)
                return status;
            printf(" mean %-12.5g sd %-12.5g min %-12.5g max %-12.5g", s.mean, s.sd, s.min, s.max);
            if (s.n_odd)
                printf(" %zu NOT FINITE", s.n_odd);
        }
        printf("\n");
        n_values += tensor->n_values;
        n_bytes += tensor->n_bytes;
    }
    printf("%zu tensors, %zu values, %zu bytes\n", count_of(inspection), n_values, n_bytes);
    return PH_OK;
}

static json_t *tensor_json(const struct phi_safetensors_tensor *tensor)
{
    json_t *shape = json_array();

    for (size_t d = 0; d < tensor->n_dims; d++)
        (void)json_array_append_new(shape, json_integer((json_int_t)tensor->shape[d]));
    return json_pack("{s:s, s:s, s:o, s:I}", "name", tensor->name, "dtype",
                     phi_safetensors_dtype_name(tensor->dtype), "shape", shape, "bytes",
                     (json_int_t)tensor->n_bytes);
}

static enum ph_status print_json(const struct inspection *inspection, bool values,
                                 struct ph_error *reterr)
{
    json_t *metadata = json_object();
    json_t *tensors = json_array();
    json_t *all = json_pack("{s:o, s:o}", "metadata", metadata, "tensors", tensors);
    struct phi_safetensors_pair pair;
    enum ph_status status = PH_OK;

    for (size_t i = 0; inspection->file && phi_safetensors_metadata_at(inspection->file, i, &pair);
         i++)
        (void)json_object_set_new(metadata, pair.key, json_string(pair.value));
    for (size_t i = 0; i < count_of(inspection) && status == PH_OK; i++) {
        const struct phi_safetensors_tensor *tensor = tensor_at(inspection, i);
        json_t *one = tensor_json(tensor);
        struct summary s;

        (void)json_array_append_new(tensors, one);
        if (!values || tensor->dtype == PHI_SAFETENSORS_BOOL)
            continue;
        status = summary_of(inspection, tensor, &s, reterr);
        if (status == PH_OK)
            (void)json_object_update_new(one, json_pack("{s:f, s:f, s:f, s:f, s:I}", "mean", s.mean,
                                                        "sd", s.sd, "min", s.min, "max", s.max,
                                                        "not_finite", (json_int_t)s.n_odd));
    }
    if (status == PH_OK) {
        (void)json_dumpf(all, stdout, JSON_INDENT(2));
        (void)putchar('\n');
    }
    json_decref(all);
    return status;
}

static enum ph_status open_any(const char *path, struct inspection *inspection,
                               struct ph_error *reterr)
{
    if (phi_str_ends(path, ".safetensors"))
        return phi_safetensors_open(path, &inspection->file, reterr);
    return phi_arrays_load(&inspection->arrays, path, reterr);
}

static int run_inspect(const struct cli_command *self, int argc, char **argv)
{
    bool json = false;
    bool values = false;
    const struct cli_option options[] = {
        CLI_JSON(&json),
        {CLI_BOOL, "values", &values, NULL, "mean, sd, least and greatest value of each tensor"},
        CLI_END};
    struct cli_args args;
    struct inspection inspection = {0};
    struct ph_error err;
    enum ph_status status;
    int code = cli_parse(self, options, argc, argv, &args);

    if (code >= 0)
        return code;
    if (args.n != 1)
        return cli_usage(self, "one FILE, please");
    status = open_any(args.operands[0], &inspection, &err);
    if (status == PH_OK)
        status =
            json ? print_json(&inspection, values, &err) : print_text(&inspection, values, &err);
    phi_safetensors_close(&inspection.file);
    phi_arrays_fini(&inspection.arrays);
    return status == PH_OK ? CLI_DONE : cli_fail(&err);
}

const struct cli_command cmd_inspect = {
    .name = "inspect",
    .summary = "list the tensors and metadata of a model or array file",
    .operands = "FILE",
    .text = "Reads .safetensors, .npy, .npz, .tar.gz (of arrays) and HDF5 weight files.",
    .examples = "phos inspect model.safetensors\nphos inspect weights.hdf5 --values\n"
                "phos inspect model.safetensors --json",
    .run = run_inspect,
};
