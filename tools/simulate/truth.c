/* SPDX-License-Identifier: MIT
 *
 * What is known about a simulated session, in one file of kind "truth", and the labels that keep
 * anybody from taking it for a measured one. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/file.h"
#include "io/nifti_write.h"
#include "io/safetensors.h"
#include "tools/simulate/session_private.h"

#define MAX_TENSORS (16 + 4 * 2 * PHI_SIM_MAX_RUNS)
#define MAX_PAIRS   32

struct truth {
    struct phi_safetensors_tensor tensors[MAX_TENSORS];
    char names[MAX_TENSORS][80];
    size_t n_tensors;
    struct phi_safetensors_pair pairs[MAX_PAIRS];
    char values[MAX_PAIRS][200];
    size_t n_pairs;
};

static void put(struct truth *truth, const char *name, struct phi_safetensors_tensor tensor)
{
    if (truth->n_tensors == MAX_TENSORS || !tensor.data)
        return;
    (void)phi_str_copy(truth->names[truth->n_tensors], sizeof truth->names[0], name);
    tensor.name = truth->names[truth->n_tensors];
    truth->tensors[truth->n_tensors++] = tensor;
}

static void put_matrix(struct truth *truth, const char *name, enum phi_safetensors_dtype dtype,
                       const size_t shape[2], const void *data)
{
    struct phi_safetensors_tensor tensor = {.dtype = dtype, .n_dims = 2, .data = data};

    memcpy(tensor.shape, shape, 2 * sizeof *shape);
    put(truth, name, tensor);
}

static void put_vector(struct truth *truth, const char *name, enum phi_safetensors_dtype dtype,
                       size_t n, const void *data)
{
    put(truth, name,
        (struct phi_safetensors_tensor){.dtype = dtype, .n_dims = 1, .shape = {n}, .data = data});
}

static void note(struct truth *truth, const char *key, const char *format, ...) PH_PRINTF(3, 4);

static void note(struct truth *truth, const char *key, const char *format, ...)
{
    va_list args;

    if (truth->n_pairs == MAX_PAIRS)
        return;
    va_start(args, format);
    (void)vsnprintf(truth->values[truth->n_pairs], sizeof truth->values[0], format, args);
    va_end(args);
    truth->pairs[truth->n_pairs] =
        (struct phi_safetensors_pair){key, truth->values[truth->n_pairs]};
    truth->n_pairs++;
}

/* File names without folders: a truth travels. */
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static void add_notes(struct truth *truth, const struct phi_sim_session *session)
{
    const struct phi_sim_options *options = session->options;
    const struct phi_sim_timing *timing = &session->timing;

    note(truth, "phosphene.kind", "truth");
    note(truth, "phosphene.version", "1");
    note(truth, "label", PHI_SIM_LABEL);
    note(truth, "source", "%s", base_name(options->source));
    note(truth, "noise", "%s", options->noise.as_is ? "the run itself" : "surrogates of the run");
    note(truth, "thermal", "%.9g", options->noise.thermal);
    note(truth, "seed", "%llu", (unsigned long long)options->seed);
    note(truth, "snr", "%.9g", session->snr);
    note(truth, "snr_is",
         "root mean square over voxels of sd(response to latents) / sd(noise), "
         "training runs");
    note(truth, "latents", "%s",
         session->pca ? "whitened principal components of the training stimuli's pixels"
                      : "given with the stimuli");
    note(truth, "decay", "%.9g", options->decay);
    note(truth, "tr_s", "%.9g", timing->tr_s);
    note(truth, "ref", "%.9g", timing->ref);
    note(truth, "design_is",
         "latents times SPM double gamma (1/s) of the stimulus box, at "
         "(volume + ref) * tr_s; last column: the box alone");
    note(truth, "response_is",
         "design (but the last column) times B, plus last column times common");
    note(truth, "shape", "%zu %zu %zu", session->source->grid.n[0], session->source->grid.n[1],
         session->source->grid.n[2]);
    note(truth, "motion_mm", "%.9g", options->effects.motion_mm);
    note(truth, "drift_percent", "%.9g", options->effects.drift_percent);
    if (options->film)
        note(truth, "fps", "%.9g", options->fps);
}

static void add_response(struct truth *truth, const struct phi_sim_session *session,
                         const uint8_t *region)
{
    const struct phi_sim_response *response = session->response;
    const size_t *n = session->source->grid.n;
    const size_t shape[2] = {response->p, response->n_voxels};
    struct phi_safetensors_tensor volume = {
        .dtype = PHI_SAFETENSORS_U8, .n_dims = 3, .shape = {n[2], n[1], n[0]}};

    put_matrix(truth, "B", PHI_SAFETENSORS_F32, shape, response->weights);
    put_vector(truth, "common", PHI_SAFETENSORS_F32, response->n_voxels,
               response->weights + response->p * response->n_voxels);
    put_vector(truth, "voxels", PHI_SAFETENSORS_I32, response->n_voxels, response->voxels);
    put_vector(truth, "noise_sd", PHI_SAFETENSORS_F32, response->n_voxels, response->noise_sd);
    put_matrix(truth, "affine", PHI_SAFETENSORS_F64, (const size_t[2]){4, 4},
               session->source->grid.affine.m);
    volume.data = region;
    put(truth, "region", volume);
    volume.data = session->source->mask->inside;
    put(truth, "brain", volume);
}

static void add_runs(struct truth *truth, const struct phi_sim_session *session)
{
    const struct phi_sim_response *response = session->response;

    for (size_t i = 0; i < session->n_plans; i++) {
        const struct phi_sim_plan *plan = &session->plans[i];
        size_t n = plan->n_volumes;
        char name[80];

        (void)snprintf(name, sizeof name, "design.%s", plan->name);
        put_matrix(truth, name, PHI_SAFETENSORS_F64, (const size_t[2]){n, response->p + 1},
                   plan->design);
        (void)snprintf(name, sizeof name, "poses.%s", plan->name);
        put_matrix(truth, name, PHI_SAFETENSORS_F64, (const size_t[2]){n, 6}, plan->poses);
        (void)snprintf(name, sizeof name, "spikes.%s", plan->name);
        put_vector(truth, name, PHI_SAFETENSORS_I32, n, plan->spikes);
        (void)snprintf(name, sizeof name, "noise.%s", plan->name);
        put_matrix(truth, name, PHI_SAFETENSORS_F32, (const size_t[2]){n, response->n_voxels},
                   plan->noise);
    }
}

static void add_latents(struct truth *truth, const struct phi_sim_session *session)
{
    static const char *const names[PHI_SIM_N_SETS] = {"latents.train", "latents.test"};

    for (size_t set = 0; set < PHI_SIM_N_SETS; set++) {
        const struct phi_sim_latents *latents = &session->latents[set];

        put_matrix(truth, names[set], PHI_SAFETENSORS_F64,
                   (const size_t[2]){latents->n, latents->p}, latents->values);
    }
}

/* The region as an image, for run files that want to look there alone. */
static enum ph_status write_region(const struct phi_sim_session *session, const uint8_t *region,
                                   struct ph_error *reterr)
{
    struct phi_nifti_info info = session->source->info;
    size_t n = session->source->n_all;
    float *values = phi_calloc(n, sizeof *values);
    char path[PHI_PATH_MAX];
    enum ph_status status;

    if (!values || !phi_path_join(path, sizeof path, session->options->out, "region.nii.gz")) {
        phi_free(values);
        return phi_error_nomem(reterr, "the region's image", n * sizeof *values);
    }
    for (size_t i = 0; i < n; i++)
        values[i] = region[i];
    info.n_volumes = 1;
    info.type = PHI_NIFTI_UINT8;
    info.slope = 1;
    info.inter = 0;
    status = phi_nifti_write_float32(path, &info, values, reterr);
    phi_free(values);
    return status;
}

enum ph_status phi_sim_truth_write(const struct phi_sim_session *session, struct ph_error *reterr)
{
    struct truth *truth = phi_calloc(1, sizeof *truth);
    uint8_t *region = phi_calloc(session->source->n_all, 1);
    char path[PHI_PATH_MAX];
    enum ph_status status;

    if (truth && region &&
        phi_path_join(path, sizeof path, session->options->out, "truth.safetensors")) {
        struct phi_safetensors_content content;

        for (size_t i = 0; i < session->response->n_voxels; i++)
            region[session->response->voxels[i]] = 1;
        add_notes(truth, session);
        add_response(truth, session, region);
        add_latents(truth, session);
        add_runs(truth, session);
        content = (struct phi_safetensors_content){truth->tensors, truth->n_tensors, truth->pairs,
                                                   truth->n_pairs};
        status = phi_safetensors_write(path, &content, reterr);
        if (status == PH_OK)
            status = write_region(session, region, reterr);
    } else {
        status = phi_error_nomem(reterr, "the truth", session->source->n_all);
    }
    phi_free(region);
    phi_free(truth);
    return status;
}

/* Takes over `object`. */
static enum ph_status write_json(json_t *object, const char *path, struct ph_error *reterr)
{
    char *text = object ? json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    enum ph_status status;

    json_decref(object);
    if (!text)
        return phi_error(reterr, PH_E_NOMEM, "'%.200s' cannot be made", path);
    status = phi_file_write(path, text, strlen(text), reterr);
    free(text);
    return status;
}

enum ph_status phi_sim_describe_run(const struct phi_sim_session *session,
                                    const struct phi_sim_plan *plan, const char *path,
                                    struct ph_error *reterr)
{
    const struct phi_sim_options *options = session->options;
    json_t *object = json_pack(
        "{s:s, s:f, s:s, s:{s:s, s:s, s:s, s:f, s:f, s:I}}", "TaskName",
        plan->set == PHI_SIM_TRAIN ? "train" : "test", "RepetitionTime", session->timing.tr_s,
        "TaskDescription", "simulated: " PHI_SIM_LABEL, "Simulation", "Label", PHI_SIM_LABEL,
        "Source", base_name(options->source), "Noise",
        options->noise.as_is ? "the run itself" : "surrogates of the run", "ThermalShare",
        options->noise.thermal, "SignalToNoise", session->snr, "Seed", (json_int_t)options->seed);

    return write_json(object, path, reterr);
}

/* What a BIDS validator would not know. */
static const char ignored[] = "truth.safetensors\nregion.nii.gz\n";

static const char readme[] =
    "This session was simulated by `phos simulate`: " PHI_SIM_LABEL ".\n\n"
    "The anatomy is the mean of a real run. The noise is made from that run (see the sidecars). "
    "The\n"
    "responses were computed: latents of the stimuli, through the SPM haemodynamic response and "
    "the\n"
    "weights B of truth.safetensors, added in a region at the back of the brain. Nobody saw these\n"
    "stimuli in a scanner.\n";

enum ph_status phi_sim_describe(const struct phi_sim_session *session, struct ph_error *reterr)
{
    char path[PHI_PATH_MAX];
    json_t *object = json_pack("{s:s, s:s, s:s}", "Name", "Simulated session: " PHI_SIM_LABEL,
                               "BIDSVersion", "1.8.0", "DatasetType", "raw");
    enum ph_status status;

    if (!phi_path_join(path, sizeof path, session->options->out, "dataset_description.json")) {
        json_decref(object);
        return phi_error(reterr, PH_E_LIMIT, "the path '%.200s' is too long",
                         session->options->out);
    }
    status = write_json(object, path, reterr);
    if (status >= 0 && phi_path_join(path, sizeof path, session->options->out, "README"))
        status = phi_file_write(path, readme, sizeof readme - 1, reterr);
    if (status >= 0 && phi_path_join(path, sizeof path, session->options->out, ".bidsignore"))
        status = phi_file_write(path, ignored, sizeof ignored - 1, reterr);
    return status;
}
