/* SPDX-License-Identifier: MIT */
#include "bench/setup.h"

#include <errno.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "io/nifti_write.h"
#include "io/safetensors.h"
#include "io/wire_payload.h"
#include "plugins/decoder/common/model.h"

#define HEAD      0.42 /* half axes over the grid's size */
#define LEVEL     800.0
#define NOISE     8.0
#define RUN_BYTES ((size_t)1 << 16)

static int remove_one(const char *path, const struct stat *info, int flag, struct FTW *walk)
{
    (void)info;
    (void)flag;
    (void)walk;
    return remove(path);
}

void bench_remove_folder(const char *dir)
{
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static size_t n_voxels_of(const struct bench_shape *shape)
{
    return (size_t)shape->dims[0] * shape->dims[1] * shape->dims[2];
}

/* Square of the distance from the head's middle, 1 on its surface, for a head moved by `shift`
 * voxels along y. */
static double radius2(const struct bench_shape *shape, size_t i, double shift)
{
    double at[3] = {(double)(i % shape->dims[0]),
                    (double)(i / shape->dims[0] % shape->dims[1]) - shift,
                    (double)(i / shape->dims[0] / shape->dims[1])};
    double sum = 0;

    for (int a = 0; a < 3; a++) {
        double n = (double)shape->dims[a];
        double r = (at[a] - (n - 1) / 2) / (HEAD * n);

        sum += r * r;
    }
    return sum;
}

/* A soft-edged head with folds that give a realignment something to hold on to. */
static double head(const struct bench_shape *shape, size_t i, double shift)
{
    double r = sqrt(radius2(shape, i, shift));
    double edge = 1 / (1 + exp((r - 1) * 25));
    double x = (double)(i % shape->dims[0]);
    double y = (double)(i / shape->dims[0] % shape->dims[1]) - shift;
    double z = (double)(i / shape->dims[0] / shape->dims[1]);

    return LEVEL * edge * (1 + 0.25 * sin(x * 0.35) * sin(y * 0.31 + 1) * cos(z * 0.4));
}

static void fill(const struct bench_setup *s, size_t number, unsigned char *out)
{
    struct phi_rng rng;
    double shift = 0.15 * sin((double)number);

    phi_rng_init(&rng, 11, number);
    for (size_t i = 0; i < s->info.n_voxels; i++) {
        double value = head(&s->shape, i, shift) + NOISE * phi_rng_normal(&rng);
        float wide = (float)value;
        int16_t narrow = (int16_t)lrint(value);

        if (s->shape.float32)
            memcpy(out + i * sizeof wide, &wide, sizeof wide);
        else
            memcpy(out + i * sizeof narrow, &narrow, sizeof narrow);
    }
}

static enum ph_status make_info(struct bench_setup *s, struct ph_error *reterr)
{
    struct phi_nifti_info *info = &s->info;

    *info = (struct phi_nifti_info){.type = s->shape.float32 ? PHI_NIFTI_FLOAT32 : PHI_NIFTI_INT16,
                                    .n_x = s->shape.dims[0],
                                    .n_y = s->shape.dims[1],
                                    .n_z = s->shape.dims[2],
                                    .n_volumes = 1,
                                    .slope = 1,
                                    .tr_s = s->shape.tr_s};
    for (int a = 0; a < 3; a++) {
        info->voxel_mm[a] = s->shape.voxel_mm;
        info->affine[a][a] = s->shape.voxel_mm;
    }
    return phi_nifti_make(info, reterr);
}

static enum ph_status make_volumes(struct bench_setup *s, struct ph_error *reterr)
{
    unsigned char prefix[PHI_NIFTI_MAX_PREFIX];
    size_t n_prefix = 0;
    enum ph_status status = make_info(s, reterr);

    if (status == PH_OK && phi_nifti_reheader(&s->info, 1, s->shape.tr_s, prefix, &n_prefix))
        status = phi_error(reterr, PH_E_INTERNAL, "no header for a volume of this size");
    if (status != PH_OK)
        return status;
    s->n_image = n_prefix + s->info.n_volume_bytes;
    for (size_t k = 0; k < BENCH_DISTINCT; k++) {
        s->images[k] = phi_calloc(s->n_image, 1);
        if (!s->images[k])
            return phi_error_nomem(reterr, "a volume", s->n_image);
        memcpy(s->images[k], prefix, n_prefix);
        fill(s, k, s->images[k] + n_prefix);
        s->crc[k] = phi_wire_crc32(s->images[k], s->n_image);
    }
    return PH_OK;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* The voxels nearest to the middle, as many as are wanted; inside[] is 0 or 1. */
static enum ph_status choose_voxels(struct bench_setup *s, float *inside, struct ph_error *reterr)
{
    size_t n = s->info.n_voxels;
    size_t wanted = (size_t)s->shape.n_voxels;
    float *r2 = phi_calloc(n, sizeof *r2);
    float limit = 1;

    if (!r2)
        return phi_error_nomem(reterr, "the mask", n * sizeof *r2);
    for (size_t i = 0; i < n; i++)
        r2[i] = (float)radius2(&s->shape, i, 0);
    if (wanted) {
        qsort(r2, n, sizeof *r2, by_value);
        limit = r2[wanted - 1];
    }
    for (size_t i = 0; i < n; i++) {
        bool in = (float)radius2(&s->shape, i, 0) <= limit && (!wanted || s->n_inside < wanted);

        inside[i] = in ? 1 : 0;
        s->n_inside += in;
    }
    phi_free(r2);
    return PH_OK;
}

static void fill_posterior(struct phi_posterior *post, struct phi_rng *rng)
{
    /* d = 1: rows of W of length 1, so that unit noise in the voxels is unit noise in x */
    phi_rng_normal_f32(rng, post->w, post->p * post->q);
    for (size_t i = 0; i < post->p * post->q; i++)
        post->w[i] /= sqrtf((float)post->q);
    for (size_t i = 0; i < post->p; i++) {
        post->t[i * post->p + i] = 1;
        post->d[i] = 1;
    }
    for (size_t v = 0; v < post->q; v++)
        post->sigma[v] = 1; /* c stays 0: it takes z-scores */
}

static enum ph_status fill_pictures(struct phi_decoder_model *model, size_t side,
                                    struct phi_rng *rng, struct ph_error *reterr)
{
    size_t n = side * side * 3;
    enum ph_status status = phi_pca_create(n, model->posterior->p, &model->pca, reterr);

    if (status != PH_OK)
        return status;
    model->image[0] = model->image[1] = side;
    model->image[2] = 3;
    for (size_t i = 0; i < n; i++)
        model->pca->mean[i] = 0.5;
    for (size_t k = 0; k < model->posterior->p; k++)
        model->pca->sd[k] = 1;
    for (size_t i = 0; i < n * model->posterior->p; i++)
        model->pca->components[i] = phi_rng_normal(rng) / sqrt((double)n);
    return PH_OK;
}

static void place(const struct bench_shape *shape, struct phi_decoder_model *model)
{
    const struct phi_hrf hrf = phi_hrf_spm();

    for (int a = 0; a < 3; a++) {
        model->geometry.dims[a] = shape->dims[a];
        model->geometry.affine[a][a] = shape->voxel_mm;
    }
    model->geometry.tr_s = shape->tr_s;
    model->shape = phi_decoder_shape_of(&hrf);
    model->ref = 0.5;
}

static enum ph_status write_model(const struct bench_setup *s, const uint32_t *voxels,
                                  const char *path, struct ph_error *reterr)
{
    struct phi_posterior *post = NULL;
    struct phi_decoder_model *model = NULL;
    struct phi_rng rng;
    enum ph_status status;

    phi_rng_init(&rng, 7, 1);
    status = phi_posterior_create((size_t)s->shape.n_latents, s->n_inside, &post, reterr);
    if (status != PH_OK)
        return status;
    fill_posterior(post, &rng);
    status = phi_decoder_model_create(voxels, "", &post, &model, reterr);
    if (status == PH_OK) {
        place(&s->shape, model);
        status = fill_pictures(model, (size_t)s->shape.side, &rng, reterr);
    }
    if (status == PH_OK)
        status = phi_decoder_model_write(model, path, "random weights of a benchmark", reterr);
    phi_decoder_model_destroy(&model);
    phi_posterior_destroy(&post);
    return status;
}

static enum ph_status make_model(struct bench_setup *s, const float *inside,
                                 struct ph_error *reterr)
{
    uint32_t *voxels = phi_calloc(s->n_inside ? s->n_inside : 1, sizeof *voxels);
    char path[PATH_MAX + 32];
    size_t n = 0;
    enum ph_status status;

    if (!voxels)
        return phi_error_nomem(reterr, "the mask", s->n_inside * sizeof *voxels);
    for (size_t i = 0; i < s->info.n_voxels; i++)
        if (inside[i] > 0)
            voxels[n++] = (uint32_t)i;
    (void)snprintf(path, sizeof path, "%s/model.safetensors", s->dir);
    status = write_model(s, voxels, path, reterr);
    phi_free(voxels);
    return status;
}

static enum ph_status make_files(struct bench_setup *s, struct ph_error *reterr)
{
    struct phi_nifti_info info = s->info;
    float *inside = phi_calloc(s->info.n_voxels, sizeof *inside);
    char path[PATH_MAX + 32];
    enum ph_status status;

    if (!inside)
        return phi_error_nomem(reterr, "the mask", s->info.n_voxels * sizeof *inside);
    (void)snprintf(path, sizeof path, "%s/mask.nii", s->dir);
    info.type = PHI_NIFTI_UINT8;
    status = choose_voxels(s, inside, reterr);
    if (status == PH_OK)
        status = phi_nifti_write_float32(path, &info, inside, reterr);
    if (status == PH_OK && s->shape.n_latents)
        status = make_model(s, inside, reterr);
    phi_free(inside);
    return status;
}

static void write_filters(const struct bench_shape *shape, struct phi_str *out)
{
    phi_str_addf(out, "filters:\n");
    if (shape->realign || shape->chain)
        phi_str_addf(out, "  - {type: realign}\n");
    phi_str_addf(out, "  - {type: smooth, fwhm_mm: 5}\n  - {type: mask, file: mask.nii}\n");
    if (shape->chain)
        phi_str_addf(out, "  - {type: glm, motion: 24, drift: legendre}\n");
    else
        phi_str_addf(out, "  - {type: quality}\n");
    phi_str_addf(out, "  - {type: normalise, mode: zscore}\n");
}

static enum ph_status write_run(struct bench_setup *s, struct ph_error *reterr)
{
    struct phi_str out;

    s->run_text = phi_calloc(RUN_BYTES, 1);
    if (!s->run_text)
        return phi_error_nomem(reterr, "the run file", RUN_BYTES);
    out = phi_str_over(s->run_text, RUN_BYTES);
    phi_str_addf(&out,
                 "phosphene: 1\ntitle: benchmark\n"
                 "source: {type: wire, volumes: \"ipc://%s/volumes\", "
                 "control: \"ipc://%s/control\", linger_s: 0}\n",
                 s->dir, s->dir);
    write_filters(&s->shape, &out);
    if (s->shape.n_latents)
        phi_str_addf(&out,
                     "decoder: {type: posterior, model: model.safetensors, accept_chain: true}\n"
                     "generators:\n  - {type: %s, model: \"%s\"}\n"
                     "sinks:\n  - {type: record, bids: false}\n",
                     *s->shape.dand ? "dand" : "eigenface",
                     *s->shape.dand ? s->shape.dand : "model.safetensors");
    phi_str_addf(&out, "engine: {workers: %lld}\n", (long long)s->shape.workers);
    if (out.cut)
        return phi_error(reterr, PH_E_LIMIT, "the path of the temporary folder is too long");
    return PH_OK;
}

enum ph_status bench_setup_dand(const char *path, struct bench_shape *shape,
                                struct ph_error *reterr)
{
    const char *const keys[] = {"dand.latents", "dand.code", "dand.width"};
    size_t *const into[] = {&shape->net.n_latent, &shape->net.n_code, &shape->net.width};
    const int64_t range[2] = {0, 65536};
    struct phi_safetensors *file = NULL;
    int64_t value = 0;
    enum ph_status status = phi_safetensors_open(path, &file, reterr);

    if (status == PH_OK)
        status = phi_safetensors_expect_kind(file, "dand", 1, &value, reterr);
    for (size_t i = 0; status == PH_OK && i < 3; i++) {
        status = phi_safetensors_metadata_i64(file, keys[i], range, &value, reterr);
        *into[i] = (size_t)value;
    }
    phi_safetensors_close(&file);
    if (status == PH_OK)
        shape->n_latents = (int64_t)shape->net.n_latent;
    return status;
}

enum ph_status bench_setup_make(const struct bench_shape *shape, const char *base,
                                struct bench_setup *ret_setup, struct ph_error *reterr)
{
    char name[PATH_MAX];
    enum ph_status status;

    *ret_setup = (struct bench_setup){.shape = *shape};
    if ((size_t)shape->n_voxels > n_voxels_of(shape))
        return phi_error(reterr, PH_E_INVAL, "a mask of %lld voxels does not fit %zu",
                         (long long)shape->n_voxels, n_voxels_of(shape));
    (void)snprintf(name, sizeof name, "%.4000s/phos-bench-XXXXXX", base);
    if (!mkdtemp(name) || !realpath(name, ret_setup->dir))
        return phi_error_os(reterr, PH_E_IO, errno, "cannot make a folder in '%s'", base);
    status = make_volumes(ret_setup, reterr);
    if (status == PH_OK)
        status = make_files(ret_setup, reterr);
    if (status == PH_OK)
        status = write_run(ret_setup, reterr);
    return status;
}

void bench_setup_remove(struct bench_setup *setup)
{
    if (setup->dir[0])
        bench_remove_folder(setup->dir);
    for (size_t k = 0; k < BENCH_DISTINCT; k++)
        phi_free(setup->images[k]);
    phi_free(setup->run_text);
    *setup = (struct bench_setup){0};
}
