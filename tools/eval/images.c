/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/image_score.h"
#include "decode/resample.h"
#include "eval/eval.h"
#include "eval/scores.h"
#include "io/safetensors.h"

struct image_args {
    const char *estimate, *truth, *tensor;
    double range;
    int64_t n_draws, seed;
    bool json, nsd;
};

/* [n][height][width][channels] on both sides. */
struct image_eval {
    const struct image_args *args;
    size_t n, shape[4];
    float *estimate, *truth;
    double *table; /* [n][n]: score of estimate i against picture j, of the present metric */
    bool bootstrap;
    size_t n_constant; /* pictures without correlation */
};

typedef enum ph_status metric_fn(const struct image_eval *e, struct phi_image_view a,
                                 struct phi_image_view b, double *ret, struct ph_error *reterr);

static enum ph_status by_ssim(const struct image_eval *e, struct phi_image_view a,
                              struct phi_image_view b, double *ret, struct ph_error *reterr)
{
    return phi_image_ssim(a, b, e->args->range, ret, reterr);
}

static enum ph_status by_ssim_nsd(const struct image_eval *e, struct phi_image_view a,
                                  struct phi_image_view b, double *ret, struct ph_error *reterr)
{
    return phi_image_ssim_nsd(a, b, e->args->range, ret, reterr);
}

static enum ph_status by_corr(const struct image_eval *e, struct phi_image_view a,
                              struct phi_image_view b, double *ret, struct ph_error *reterr)
{
    (void)e;
    (void)reterr;
    *ret = phi_image_corr(a, b, NULL);
    return PH_OK;
}

/* Minus the error, so that more is better for all. */
static enum ph_status by_mse(const struct image_eval *e, struct phi_image_view a,
                             struct phi_image_view b, double *ret, struct ph_error *reterr)
{
    (void)e;
    (void)reterr;
    *ret = -phi_image_mse(a, b);
    return PH_OK;
}

static enum ph_status by_psnr(const struct image_eval *e, struct phi_image_view a,
                              struct phi_image_view b, double *ret, struct ph_error *reterr)
{
    (void)reterr;
    /* Equal pictures would be infinite; 200 dB is below float32 rounding. */
    *ret = fmin(phi_image_psnr(phi_image_mse(a, b), e->args->range), 200);
    return PH_OK;
}

static struct phi_image_view view(const struct image_eval *e, const float *pixels, size_t i)
{
    size_t size = e->shape[1] * e->shape[2] * e->shape[3];

    return (struct phi_image_view){pixels + i * size, e->shape[1], e->shape[2], e->shape[3]};
}

static double mean_of_pairs(void *ctx, const uint32_t *order, size_t n)
{
    const struct image_eval *e = ctx;
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += e->table[(e->bootstrap ? order[i] : i) * n + order[i]];
    return sum / (double)n;
}

static enum ph_status fill_table(struct image_eval *e, metric_fn *metric, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    for (size_t i = 0; !status && i < e->n; i++) {
        cli_progress("pictures", i, e->n);
        for (size_t j = 0; !status && j < e->n; j++)
            status = metric(e, view(e, e->estimate, i), view(e, e->truth, j),
                            &e->table[i * e->n + j], reterr);
    }
    return status;
}

/* Mean over the wrong pairs: what a random other picture of the set would score. */
static double other_pairs(const struct image_eval *e)
{
    double sum = 0;

    for (size_t i = 0; i < e->n; i++)
        for (size_t j = 0; j < e->n; j++)
            sum += i == j ? 0 : e->table[i * e->n + j];
    return sum / (double)(e->n * (e->n - 1));
}

static enum ph_status add_metric(struct image_eval *e, const char *name, metric_fn *metric,
                                 json_t *report, struct ph_error *reterr)
{
    struct phi_resample what = {mean_of_pairs, e, e->n, (size_t)e->args->n_draws,
                                (uint64_t)e->args->seed};
    struct phi_null null;
    struct phi_interval ci;
    enum ph_status status = fill_table(e, metric, reterr);

    e->bootstrap = false;
    if (!status)
        status = phi_null_permute(&what, &null, reterr);
    e->bootstrap = true;
    if (!status)
        status = phi_bootstrap(&what, 1, 0.95, &ci, reterr);
    if (status)
        return status;
    (void)json_object_set_new(report, name,
                              json_pack("{s:f, s:[f, f], s:f, s:f, s:f, s:f}", "value", null.score,
                                        "ci95", ci.low, ci.high, "sem", ci.sd, "other_picture",
                                        other_pairs(e), "null_q95", null.q95, "p", null.p));
    return PH_OK;
}

static enum ph_status load_one(const char *path, const char *tensor, size_t *shape, float **ret,
                               struct ph_error *reterr)
{
    struct phi_safetensors *file;
    const struct phi_safetensors_tensor *found;
    enum ph_status status = phi_safetensors_open(path, &file, reterr);

    if (status)
        return status;
    status = phi_safetensors_expect(file, tensor, 4, shape, &found, reterr);
    if (!status) {
        memcpy(shape, found->shape, 4 * sizeof *shape);
        status = phi_safetensors_load_f32(file, tensor, 4, shape, ret, reterr);
    }
    phi_safetensors_close(&file);
    return status;
}

static enum ph_status load(struct image_eval *e, struct ph_error *reterr)
{
    enum ph_status status =
        load_one(e->args->estimate, e->args->tensor, e->shape, &e->estimate, reterr);

    if (!status)
        status = load_one(e->args->truth, e->args->tensor, e->shape, &e->truth, reterr);
    e->n = e->shape[0];
    if (status)
        return status;
    for (size_t i = 0; i < e->n * e->shape[1] * e->shape[2] * e->shape[3]; i++)
        if (!isfinite(e->estimate[i]) || !isfinite(e->truth[i]))
            return phi_error(reterr, PH_E_INVAL, "picture %zu holds a value that is not a number",
                             i / (e->shape[1] * e->shape[2] * e->shape[3]));
    for (size_t i = 0; i < e->n; i++) {
        bool undefined;

        (void)phi_image_corr(view(e, e->estimate, i), view(e, e->truth, i), &undefined);
        e->n_constant += undefined;
    }
    e->table = phi_calloc2(e->n, e->n, sizeof *e->table);
    return e->table ? PH_OK : phi_error_nomem(reterr, "picture scores", e->n * e->n * 8);
}

static enum ph_status score(struct image_eval *e, json_t *report, struct ph_error *reterr)
{
    enum ph_status status = load(e, reterr);

    if (!status)
        status = add_metric(e, "ssim", by_ssim, report, reterr);
    if (!status && e->args->nsd)
        status = add_metric(e, "ssim_nsd", by_ssim_nsd, report, reterr);
    if (!status)
        status = add_metric(e, "pixel_r", by_corr, report, reterr);
    if (!status)
        status = add_metric(e, "minus_mse", by_mse, report, reterr);
    if (!status)
        status = add_metric(e, "psnr_db", by_psnr, report, reterr);
    if (!status)
        (void)json_object_update_new(report,
                                     json_pack("{s:I, s:I}", "pictures", (json_int_t)e->n,
                                               "constant_pictures", (json_int_t)e->n_constant));
    cli_progress_end();
    return status;
}

static void print_table(json_t *report)
{
    void *at = json_object_iter(report);

    for (; at; at = json_object_iter_next(report, at)) {
        json_t *one = json_object_iter_value(at);

        if (!json_is_object(one)) {
            printf("%-18s %lld\n", json_object_iter_key(at), (long long)json_integer_value(one));
            continue;
        }
        printf("%-18s %8.4f +- %.4f  another picture %8.4f  p %.4f\n", json_object_iter_key(at),
               json_real_value(json_object_get(one, "value")),
               json_real_value(json_object_get(one, "sem")),
               json_real_value(json_object_get(one, "other_picture")),
               json_real_value(json_object_get(one, "p")));
    }
}

static int run_images(const struct cli_command *self, int argc, char **argv)
{
    struct image_args a = {.tensor = "pictures", .range = 1, .n_draws = 1000};
    const struct cli_option options[] = {
        {CLI_TEXT, "estimate", &a.estimate, "FILE", "safetensors with 'pictures' [n][h][w][c]"},
        {CLI_TEXT, "truth", &a.truth, "FILE", "the same for what was shown"},
        {CLI_TEXT, "tensor", &a.tensor, "NAME", "the tensor in both ('pictures')"},
        {CLI_REAL, "range", &a.range, "X", "white less black: 1 or 255 (1)"},
        {CLI_BOOL, "nsd", &a.nsd, NULL, "also the column-wise SSIM of the NSD literature"},
        {CLI_INT, "draws", &a.n_draws, "N", "draws of nulls and intervals (1000)"},
        {CLI_INT, "seed", &a.seed, "N", "of the draws (0)"},
        CLI_JSON(&a.json),
        CLI_END};
    struct image_eval e = {.args = &a};
    struct cli_args rest;
    struct ph_error err;
    json_t *report;
    enum ph_status status;
    int code = cli_parse(self, options, argc, argv, &rest);

    if (code >= 0)
        return code;
    if (rest.n || !a.estimate || !a.truth || a.n_draws < 1 || !(a.range > 0))
        return cli_usage(self, "--estimate and --truth are needed, --draws and --range above 0");
    report = json_object();
    status = score(&e, report, &err);
    code = CLI_DONE;
    if (status)
        code = status == PH_E_INVAL ? cli_fail_as(CLI_DATA, &err) : cli_fail(&err);
    else if (a.json)
        (void)json_dumpf(report, stdout, JSON_INDENT(2));
    else
        print_table(report);
    json_decref(report);
    phi_free(e.estimate);
    phi_free(e.truth);
    phi_free(e.table);
    return code;
}

const struct cli_command eval_images = {
    .name = "eval images",
    .summary = "reconstructed pictures against what was shown",
    .operands = "",
    .text =
        "SSIM (11 x 11 Gaussian), pixel correlation, squared error and PSNR, each with the score "
        "of another\npicture of the set, a permutation test and an interval.",
    .examples = "phos eval images --estimate decoded.safetensors --truth shown.safetensors --json",
    .run = run_images,
};
