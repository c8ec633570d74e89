/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli.h"
#include "io/file.h"
#include "io/nifti_file.h"
#include "io/nifti_write.h"
#include "signal/mask.h"

struct reference {
    struct phi_nifti_info info;
    float *mean;   /* [nz][ny][nx] */
    float *volume; /* of the same size */
    struct phi_mask *mask;
};

/* Mean of volumes first .. first + n - 1. */
static enum ph_status average(const char *path, int64_t first, int64_t n, struct reference *ref,
                              struct ph_error *reterr)
{
    struct phi_nifti_reader *reader = NULL;
    enum ph_status status = phi_nifti_reader_open(path, &reader, reterr);

    if (status != PH_OK)
        return status;
    ref->info = *phi_nifti_reader_info(reader);
    ref->mean = phi_calloc(ref->info.n_voxels, sizeof(float));
    ref->volume = phi_calloc(ref->info.n_voxels, sizeof(float));
    if (!ref->mean || !ref->volume)
        status = phi_error_nomem(reterr, "a volume", ref->info.n_voxels * sizeof(float));
    else if (first + n > (int64_t)ref->info.n_volumes)
        status = phi_error(reterr, PH_E_SHAPE, "%s has %u volumes; --first and --n ask for %lld",
                           path, ref->info.n_volumes, (long long)(first + n));
    if (status == PH_OK)
        status = phi_nifti_reader_seek(reader, (uint32_t)first, reterr);
    for (int64_t t = 0; t < n && status == PH_OK; t++) {
        status = phi_nifti_reader_next_float32(reader, ref->volume, reterr);
        for (size_t v = 0; v < ref->info.n_voxels && status == PH_OK; v++)
            ref->mean[v] += (isfinite(ref->volume[v]) ? ref->volume[v] : 0) / (float)n;
    }
    phi_nifti_reader_close(&reader);
    return status;
}

static enum ph_status find_brain(struct reference *ref, const char *path, struct ph_error *reterr)
{
    const struct phi_nifti_info *info = &ref->info;
    struct phi_grid grid = {.n = {info->n_x, info->n_y, info->n_z},
                            .affine = phi_affine_identity()};
    enum ph_status status;

    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 4; c++)
            grid.affine.m[r][c] = info->affine[r][c];
    status = phi_mask_create(&grid, &ref->mask, reterr);
    if (status != PH_OK)
        return status;
    status = phi_mask_from_mean(ref->mask, ref->mean);
    return status == PH_OK
               ? PH_OK
               : phi_error(reterr, PH_E_FORMAT, "%s: no brain can be found in the mean", path);
}

static enum ph_status write_one(const char *dir, const char *name, const struct reference *ref,
                                const float *values, struct ph_error *reterr)
{
    struct phi_nifti_info info = ref->info;
    char path[PHI_PATH_MAX];
    enum ph_status status;

    if (!phi_path_join(path, sizeof path, dir, name))
        return phi_error(reterr, PH_E_LIMIT, "the path of '%s' is too long", dir);
    info.type = PHI_NIFTI_FLOAT32;
    info.n_volumes = 1;
    info.slope = 1;
    info.inter = 0;
    (void)snprintf(info.description, sizeof info.description, "phosphene reference");
    status = phi_nifti_make(&info, reterr);
    return status == PH_OK ? phi_nifti_write_float32(path, &info, values, reterr) : status;
}

static enum ph_status write_all(struct reference *ref, const char *dir, struct ph_error *reterr)
{
    enum ph_status status = phi_dir_make(dir, reterr);

    if (status == PH_OK)
        status = write_one(dir, "reference.nii.gz", ref, ref->mean, reterr);
    for (size_t v = 0; v < ref->info.n_voxels; v++)
        ref->volume[v] = ref->mask->inside[v] ? 1 : 0;
    return status == PH_OK ? write_one(dir, "mask.nii.gz", ref, ref->volume, reterr) : status;
}

static void report(const struct reference *ref, const char *dir, bool json)
{
    json_t *answer;

    if (!json) {
        printf("%s/reference.nii.gz and mask.nii.gz: %zu of %zu voxels in the brain\n", dir,
               ref->mask->n_voxels, ref->info.n_voxels);
        return;
    }
    answer = json_pack("{s:s, s:I, s:I}", "folder", dir, "brain_voxels",
                       (json_int_t)ref->mask->n_voxels, "voxels", (json_int_t)ref->info.n_voxels);
    (void)json_dumpf(answer, stdout, 0);
    (void)putchar('\n');
    json_decref(answer);
}

static int run_reference(const struct cli_command *self, int argc, char **argv)
{
    const char *dir = NULL;
    int64_t first = 0;
    int64_t n = 10;
    bool json = false;
    const struct cli_option options[] = {
        {CLI_TEXT, "out", &dir, "DIR", "folder for reference.nii.gz and mask.nii.gz"},
        {CLI_INT, "first", &first, "N", "first volume of the mean (0)"},
        {CLI_INT, "n", &n, "N", "volumes in the mean (10)"},
        CLI_JSON(&json),
        CLI_END};
    struct cli_args args;
    struct reference ref = {.mean = NULL};
    struct ph_error err;
    enum ph_status status;
    int code = cli_parse(self, options, argc, argv, &args);

    if (code >= 0)
        return code;
    if (args.n != 1 || !dir || first < 0 || n < 1)
        return cli_usage(self, "one BOLD run and --out DIR are needed");
    status = average(args.operands[0], first, n, &ref, &err);
    if (status == PH_OK)
        status = find_brain(&ref, args.operands[0], &err);
    code = status == PH_OK ? CLI_DONE : cli_fail(&err);
    if (status == PH_OK) {
        if (write_all(&ref, dir, &err) == PH_OK)
            report(&ref, dir, json);
        else
            code = cli_fail_as(CLI_CANNOT_WRITE, &err);
    }
    phi_mask_destroy(&ref.mask);
    phi_free(ref.mean);
    phi_free(ref.volume);
    return code;
}

const struct cli_command cmd_reference = {
    .name = "reference",
    .summary = "make the reference image and brain mask of a subject",
    .operands = "BOLD.nii.gz",
    .text =
        "The mean of the first volumes and the brain found in it. Run files name them in\n"
        "filter realign (reference) and filter mask (file), so that every run of the subject is\n"
        "brought to the same place and a decoder fitted on one fits the next.",
    .examples = "phos reference train_bold.nii.gz --out subject-1",
    .run = run_reference,
};
