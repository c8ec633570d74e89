/* SPDX-License-Identifier: MIT */
#include "cases.h"

#include "../unit/plugins/decoder_fixture.h"
#include "base/rng.h"
#include "io/nifti_write.h"
#include "io/safetensors.h"
#include "models/dand.h"
#include "models/prednet.h"
#include "nn/init.h"
#include "recording.h"

/* Decoders and the linear generator: the small decoder of the plugin tests. */
static struct fixture decoder;
static bool decoder_open;

static const char *open_decoder(struct ph_spec *in)
{
    if (!decoder_open)
        fixture_open(&decoder, 0);
    decoder_open = true;
    *in = decoder.vectors;
    return decoder.params;
}

static const char *open_eigenface(struct ph_spec *in)
{
    const char *params = open_decoder(in);

    *in = rig_latents(FX_P);
    return params;
}

static struct tempdir recording;
static bool recording_open;
static char recording_params[600];

static const char *open_journal(struct ph_spec *in)
{
    (void)in;
    if (!recording_open) {
        assert_true(tempdir_make(&recording));
        recording_write(recording.path, "H012e3e45E");
    }
    recording_open = true;
    (void)snprintf(recording_params, sizeof recording_params, "path=%s", recording.path);
    return recording_params;
}

/* Files made for one case: a folder with one file in it. */
struct files {
    struct tempdir dir;
    bool open;
    char params[600];
};

static const char *open_files(struct files *files, const char *key, const char *name)
{
    if (!files->open)
        assert_true(tempdir_make(&files->dir));
    files->open = true;
    (void)snprintf(files->params, sizeof files->params, "%s=%s/%s", key, files->dir.path, name);
    return tempdir_file(&files->dir, name);
}

static void close_files(struct files *files)
{
    if (files->open)
        tempdir_remove(&files->dir);
    files->open = false;
}

static struct files nifti;

static const char *open_nifti(struct ph_spec *in)
{
    struct phi_nifti_info info = {.type = PHI_NIFTI_INT16,
                                  .n_x = 4,
                                  .n_y = 3,
                                  .n_z = 2,
                                  .n_volumes = 5,
                                  .slope = 1,
                                  .tr_s = 2,
                                  .voxel_mm = {3, 3, 3},
                                  .affine = {{3, 0, 0, -6}, {0, 3, 0, 1}, {0, 0, 3, 2}}};
    float values[120];
    struct ph_error err;

    (void)in;
    for (int i = 0; i < 120; i++)
        values[i] = (float)i;
    assert_ok(phi_nifti_write_float32(open_files(&nifti, "path", "r.nii.gz"), &info, values, &err),
              err);
    return nifti.params;
}

static struct files sockets;

static const char *open_publish(struct ph_spec *in)
{
    (void)in;
    (void)open_files(&sockets, "endpoint", "pub");
    (void)snprintf(sockets.params, sizeof sockets.params, "endpoint=ipc://%s/pub",
                   sockets.dir.path);
    return sockets.params;
}

static const char *open_wire(struct ph_spec *in)
{
    (void)in;
    (void)open_files(&sockets, "volumes", "v");
    (void)snprintf(sockets.params, sizeof sockets.params, "volumes=ipc://%s/v control=ipc://%s/c",
                   sockets.dir.path, sockets.dir.path);
    return sockets.params;
}

static struct files tissue;

/* Every other voxel of the default volume is white matter. */
static const char *open_tissue(struct ph_spec *in)
{
    const struct ph_geometry *g = &in->geometry;
    struct phi_nifti_info info = {.type = PHI_NIFTI_FLOAT32,
                                  .n_x = g->dims[0],
                                  .n_y = g->dims[1],
                                  .n_z = g->dims[2],
                                  .n_volumes = 1,
                                  .slope = 1,
                                  .voxel_mm = {3, 3, 3},
                                  .affine = {{3, 0, 0, 0}, {0, 3, 0, 0}, {0, 0, 3, 0}}};
    size_t n = (size_t)g->dims[0] * g->dims[1] * g->dims[2];
    float *values = phi_calloc(n, sizeof *values);
    struct ph_error err;

    assert_non_null(values);
    for (size_t i = 0; i < n; i += 2)
        values[i] = 1;
    assert_ok(
        phi_nifti_write_float32(open_files(&tissue, "white_matter", "wm.nii"), &info, values, &err),
        err);
    phi_free(values);
    return tissue.params;
}

static struct files dand, prednet, ridge;

static void write_weights(const struct phi_weights *weights,
                          const struct phi_safetensors_pair *pairs, size_t n_pairs,
                          const char *path)
{
    enum { MAX_TENSORS = 256 };
    static struct phi_safetensors_tensor tensors[MAX_TENSORS];
    const struct phi_safetensors_content content = {tensors, phi_weights_count(weights), pairs,
                                                    n_pairs};
    struct ph_error err;

    assert_true(content.n_tensors <= MAX_TENSORS);
    for (size_t i = 0; i < content.n_tensors; i++) {
        const struct phi_param *param = phi_weights_at(weights, i);

        tensors[i].name = param->name;
        tensors[i].dtype = PHI_SAFETENSORS_F32;
        tensors[i].n_dims = (size_t)param->value.shape.n_dims;
        memcpy(tensors[i].shape, param->value.shape.dim,
               tensors[i].n_dims * sizeof *tensors[i].shape);
        tensors[i].data = param->value.data;
    }
    assert_ok(phi_safetensors_write(path, &content, &err), err);
}

/* Random weights of every parameter that `graph` names; takes the graph. */
static void write_random(struct phi_graph *graph, const struct phi_safetensors_pair *pairs,
                         size_t n_pairs, const char *path)
{
    struct phi_weights *weights = NULL;
    struct ph_error err;

    assert_int_equal(phi_weights_create(&weights), PH_OK);
    assert_ok(phi_graph_check(graph, &err), err);
    assert_ok(phi_init_graph(weights, graph, PHI_INIT_HE_NORMAL, 1, 3, &err), err);
    write_weights(weights, pairs, n_pairs, path);
    phi_weights_destroy(&weights);
    phi_graph_destroy(&graph);
}

static const char *open_dand(struct ph_spec *in)
{
    const struct phi_dand_config config = {.n_latent = 4, .n_code = 12, .width = 4};
    const struct phi_safetensors_pair pairs[] = {{"phosphene.kind", "dand"},
                                                 {"phosphene.version", "1"},
                                                 {"dand.latents", "4"},
                                                 {"dand.code", "12"},
                                                 {"dand.width", "4"}};
    struct phi_graph *graph = NULL;

    *in = rig_latents(4);
    assert_int_equal(phi_graph_create(&graph), PH_OK);
    (void)phi_dand_generator(graph, &config, phi_graph_input(graph, "z", PHI_SHAPE(1, 4)), NULL);
    write_random(graph, pairs, 5, open_files(&dand, "model", "dand.safetensors"));
    return dand.params;
}

/* Two layers on 16x16 pictures, driven at the upper one. */
static const char *open_prednet(struct ph_spec *in)
{
    const struct phi_prednet_config config = {
        .n_layers = 2, .channels = {3, 4}, .h = 16, .w = 16, .batch = 1};
    const struct phi_safetensors_pair pairs[] = {{"phosphene.kind", "prednet"},
                                                 {"phosphene.version", "1"},
                                                 {"prednet.stack", "3,4"},
                                                 {"picture", "3x16x16 in 0..1"}};
    struct phi_prednet_state zero;
    struct phi_graph *graph = NULL;

    *in = rig_latents(4 * 8 * 8);
    in->geometry.tr_s = 2;
    assert_int_equal(phi_graph_create(&graph), PH_OK);
    zero = phi_prednet_zero_state(graph, &config);
    (void)phi_prednet_step(graph, &config, phi_graph_input(graph, "x", PHI_SHAPE(1, 3, 16, 16)),
                           NULL, &zero);
    write_random(graph, pairs, 4, open_files(&prednet, "model", "prednet.safetensors"));
    (void)strcat(prednet.params, " layer=1 fps=5");
    return prednet.params;
}

static void grid_text(const struct ph_geometry *g, char *text, size_t n)
{
    int used = snprintf(text, n, "%u %u %u", g->dims[0], g->dims[1], g->dims[2]);

    for (int i = 0; i < 12; i++)
        used += snprintf(text + used, n - (size_t)used, " %.9g", g->affine[i / 4][i % 4]);
}

/* Two lags, three targets, every fifth voxel of the default volume. */
static const char *open_ridge(struct ph_spec *in)
{
    enum { L = 2, T = 3, Q = 1600 };
    static float weights[L][T][Q], mean[Q];
    static int32_t index[Q];
    const float intercept[T] = {1, 2, 3}, sd[T] = {1, 1, 1};
    const int32_t lags[L] = {2, 3};
    const struct phi_safetensors_tensor tensors[] = {
        {"weights", PHI_SAFETENSORS_F32, 3, {L, T, Q}, weights, 0, 0},
        {"intercept", PHI_SAFETENSORS_F32, 1, {T}, intercept, 0, 0},
        {"lags", PHI_SAFETENSORS_I32, 1, {L}, lags, 0, 0},
        {"voxel_mean", PHI_SAFETENSORS_F32, 1, {Q}, mean, 0, 0},
        {"voxel_index", PHI_SAFETENSORS_I32, 1, {Q}, index, 0, 0},
        {"residual_sd", PHI_SAFETENSORS_F32, 1, {T}, sd, 0, 0}};
    char grid[256];
    const struct phi_safetensors_pair pairs[] = {{"phosphene.kind", "ridge"},
                                                 {"phosphene.version", "1"},
                                                 {"phosphene.grid", grid},
                                                 {"phosphene.tr_s", "2"},
                                                 {"chain", ""}};
    const struct phi_safetensors_content content = {tensors, 6, pairs, 5};
    struct phi_rng rng;
    struct ph_error err;

    phi_rng_init(&rng, 17, 0);
    for (size_t v = 0; v < Q; v++) {
        index[v] = (int32_t)(5 * v);
        mean[v] = 300;
        for (size_t k = 0; k < L * T; k++)
            weights[k / T][k % T][v] = (float)phi_rng_normal(&rng);
    }
    grid_text(&in->geometry, grid, sizeof grid);
    assert_ok(
        phi_safetensors_write(open_files(&ridge, "model", "ridge.safetensors"), &content, &err),
        err);
    return ridge.params;
}

static const struct conform_case cases[] = {
    {"decoder/posterior", open_decoder, false}, {"decoder/ridge", open_ridge, false},
    {"decoder/stream", open_decoder, false},    {"filter/tissue", open_tissue, false},
    {"generator/dand", open_dand, false},       {"generator/eigenface", open_eigenface, false},
    {"generator/prednet", open_prednet, false}, {"source/journal", open_journal, false},
    {"sink/publish", open_publish, false},      {"source/nifti", open_nifti, false},
    {"source/wire", open_wire, true},
};

const struct conform_case *case_find(const char *id)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(cases[i].id, id) == 0)
            return &cases[i];
    return NULL;
}

void cases_close(void)
{
    if (decoder_open)
        fixture_close(&decoder);
    if (recording_open)
        tempdir_remove(&recording);
    decoder_open = recording_open = false;
    close_files(&nifti);
    close_files(&dand);
    close_files(&prednet);
    close_files(&ridge);
    close_files(&tissue);
    close_files(&sockets);
}
