/* SPDX-License-Identifier: MIT */
#include "eval/dand.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/mem.h"
#include "eval/eval.h"
#include "io/safetensors.h"
#include "train/encoder.h"

static const char *const kind_names[STUDY_N_KINDS] = {"identity", "eigenface", "linear", "DAND"};

static void free_study(struct study *study)
{
    for (size_t i = 0; i < study->n_methods; i++) {
        phi_free(study->methods[i].pixels);
        phi_free(study->methods[i].features);
        for (int metric = 0; metric < STUDY_N_METRICS; metric++)
            phi_free(study->methods[i].of_picture[metric]);
    }
    for (size_t s = 0; s < STUDY_MAX_SUBJECTS; s++) {
        phi_free(study->subjects[s].latents);
        phi_free(study->subjects[s].samples);
    }
    phi_free(study->shown);
    phi_free(study->features);
    phi_free(study->latents);
    phi_stimuli_close(&study->set);
    eval_faces_close(&study->faces);
}

/* ---- what was shown ---- */

static enum ph_status load_shown(struct study *study, struct ph_error *reterr)
{
    const char *path = study->args->stimuli;
    enum ph_status status = phi_stimuli_open(path, &study->set, reterr);

    if (status != PH_OK)
        return status;
    study->n = phi_stimuli_count(study->set);
    if (phi_stimuli_height(study->set) != EVAL_FACE_SIDE ||
        phi_stimuli_width(study->set) != EVAL_FACE_SIDE)
        return phi_error(reterr, PH_E_SHAPE, "%s: pictures of %zu x %zu; the model draws %d x %d",
                         path, phi_stimuli_width(study->set), phi_stimuli_height(study->set),
                         EVAL_FACE_SIDE, EVAL_FACE_SIDE);
    if (study->n < 3)
        return phi_error(reterr, PH_E_INVAL, "%s: a table needs three pictures or more", path);
    study->shown = phi_calloc2(study->n, EVAL_FACE_BYTES, 1);
    study->latents = phi_calloc2(study->n, study->faces.n_latent, sizeof(float));
    if (!study->shown || !study->latents)
        return phi_error_nomem(reterr, "pictures", study->n * EVAL_FACE_BYTES);
    for (size_t i = 0; i < study->n; i++)
        memcpy(study->shown + i * EVAL_FACE_BYTES, phi_stimuli_image(study->set, i),
               EVAL_FACE_BYTES);
    status = eval_faces_features(&study->faces, study->shown, study->n, &study->features, reterr);
    if (status == PH_OK)
        train_encoder_whiten(study->faces.weights, study->features, study->n, study->latents);
    return status;
}

/* ---- methods ---- */

/* A row of the table with room for its pictures. */
static enum ph_status add_method(struct study *study, int kind, int subject,
                                 struct study_method **ret_method, struct ph_error *reterr)
{
    struct study_method *m = &study->methods[study->n_methods];

    m->kind = kind;
    m->subject = subject;
    m->pixels = phi_calloc2(study->n, EVAL_FACE_BYTES, 1);
    if (!m->pixels)
        return phi_error_nomem(reterr, "pictures", study->n * EVAL_FACE_BYTES);
    if (kind >= 0)
        (void)snprintf(m->name, sizeof m->name, "%s, subject %d", kind_names[kind], subject + 1);
    study->n_methods++;
    *ret_method = m;
    return PH_OK;
}

static enum ph_status draw_all(struct study *study, const float *latents, struct study_method *m,
                               struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    for (size_t i = 0; status == PH_OK && i < study->n; i++)
        status = eval_faces_draw(&study->faces, latents + i * study->faces.n_latent,
                                 m->pixels + i * EVAL_FACE_BYTES, reterr);
    return status;
}

/* The ceiling, drawn from the true latents, and the mean of what was shown for every picture. */
static enum ph_status add_bounds(struct study *study, struct ph_error *reterr)
{
    struct study_method *m = NULL;
    enum ph_status status = add_method(study, -1, -1, &m, reterr);

    if (status != PH_OK)
        return status;
    (void)snprintf(m->name, sizeof m->name, "ceiling");
    status = draw_all(study, study->latents, m, reterr);
    if (status == PH_OK)
        status = add_method(study, -1, -1, &m, reterr);
    if (status != PH_OK)
        return status;
    (void)snprintf(m->name, sizeof m->name, "mean picture");
    for (size_t j = 0; j < EVAL_FACE_BYTES; j++) {
        size_t sum = 0;

        for (size_t i = 0; i < study->n; i++)
            sum += study->shown[i * EVAL_FACE_BYTES + j];
        for (size_t i = 0; i < study->n; i++)
            m->pixels[i * EVAL_FACE_BYTES + j] = (uint8_t)((sum + study->n / 2) / study->n);
    }
    return PH_OK;
}

/* Pictures that the decoder drew linearly. */
static enum ph_status read_pictures(const struct phi_safetensors *file, struct study *study,
                                    int kind, int subject, struct ph_error *reterr)
{
    const size_t shape[4] = {study->n, EVAL_FACE_SIDE, EVAL_FACE_SIDE, 3};
    const struct phi_safetensors_tensor *tensor;
    struct study_method *m = NULL;
    enum ph_status status = phi_safetensors_expect(file, "pictures", 4, shape, &tensor, reterr);

    if (status == PH_OK && tensor->dtype != PHI_SAFETENSORS_U8)
        status =
            phi_error(reterr, PH_E_FORMAT, "%s: 'pictures' must be U8", phi_safetensors_path(file));
    if (status == PH_OK)
        status = add_method(study, kind, subject, &m, reterr);
    if (status == PH_OK)
        memcpy(m->pixels, tensor->data, study->n * EVAL_FACE_BYTES);
    return status;
}

/* Pictures that were not decoded would be scored as the mean face. */
static enum ph_status check_shown(const struct phi_safetensors *file, size_t n,
                                  struct ph_error *reterr)
{
    double *n_trials = NULL;
    enum ph_status status = phi_safetensors_load_f64(file, "n_trials", 1, &n, &n_trials, reterr);

    for (size_t i = 0; status == PH_OK && i < n; i++)
        if (!(n_trials[i] > 0))
            status = phi_error(reterr, PH_E_INVAL,
                               "%s: picture %zu was never shown: give the runs of all pictures, "
                               "or a set of those that were",
                               phi_safetensors_path(file), i);
    phi_free(n_trials);
    return status;
}

static enum ph_status read_latents(const struct phi_safetensors *file, struct study *study,
                                   int subject, struct ph_error *reterr)
{
    struct study_subject *s = &study->subjects[subject];
    const struct phi_safetensors_tensor *samples = phi_safetensors_find(file, "samples");
    size_t shape[3] = {study->n, study->faces.n_latent, 0};
    const char *of_file = phi_safetensors_metadata(file, "latents.space");
    char space[TRAIN_SPACE];
    enum ph_status status;

    train_encoder_space(study->faces.weights, space);
    if (of_file && strcmp(of_file, space) != 0)
        return phi_error(reterr, PH_E_INVAL,
                         "%s holds latents of another model (space %s) than %s (space %s): encode "
                         "and fit with this one",
                         phi_safetensors_path(file), of_file, study->args->model, space);
    status = phi_safetensors_load_f32(file, "latents", 2, shape, &s->latents, reterr);

    if (status != PH_OK || !samples || samples->n_dims != 3)
        return status;
    s->n_samples = samples->shape[1];
    shape[1] = s->n_samples;
    shape[2] = study->faces.n_latent;
    return phi_safetensors_load_f32(file, "samples", 3, shape, &s->samples, reterr);
}

static enum ph_status add_subject(struct study *study, int kind, int subject,
                                  struct ph_error *reterr)
{
    const char *path = study->args->files[kind].items[subject];
    struct phi_safetensors *file = NULL;
    struct study_method *m = NULL;
    enum ph_status status = phi_safetensors_open(path, &file, reterr);

    if (status == PH_OK)
        status = check_shown(file, study->n, reterr);
    if (status == PH_OK && kind != STUDY_DAND)
        status = read_pictures(file, study, kind, subject, reterr);
    if (status == PH_OK && kind == STUDY_DAND)
        status = read_latents(file, study, subject, reterr);
    if (status == PH_OK && kind == STUDY_DAND && phi_safetensors_find(file, "pictures"))
        status = read_pictures(file, study, STUDY_LINEAR, subject, reterr);
    phi_safetensors_close(&file);
    if (status == PH_OK && kind == STUDY_DAND)
        status = add_method(study, kind, subject, &m, reterr);
    if (status == PH_OK && kind == STUDY_DAND)
        status = draw_all(study, study->subjects[subject].latents, m, reterr);
    return status;
}

static enum ph_status add_methods(struct study *study, struct ph_error *reterr)
{
    enum ph_status status = add_bounds(study, reterr);

    study->n_subjects = study->args->files[STUDY_DAND].n;
    for (size_t s = 0; s < study->n_subjects; s++)
        for (int kind = 0; status == PH_OK && kind < STUDY_N_KINDS; kind++)
            if (s < study->args->files[kind].n)
                status = add_subject(study, kind, (int)s, reterr);
    for (size_t i = 0; status == PH_OK && i < study->n_methods; i++)
        status = eval_faces_features(&study->faces, study->methods[i].pixels, study->n,
                                     &study->methods[i].features, reterr);
    return status;
}

/* ---- the command ---- */

static enum ph_status write_report(const struct study *study, const json_t *report,
                                   struct ph_error *reterr)
{
    char path[1024];
    FILE *text;

    if (snprintf(path, sizeof path, "%s/table.json", study->args->out) >= (int)sizeof path)
        return phi_error(reterr, PH_E_INVAL, "the path %s is too long", study->args->out);
    if (json_dump_file(report, path, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) != 0)
        return phi_error(reterr, PH_E_IO, "cannot write %s", path);
    (void)snprintf(path, sizeof path, "%.1000s/table.txt", study->args->out);
    text = fopen(path, "w");
    if (!text)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot write %s", path);
    study_text(study, report, text);
    return fclose(text) == 0 ? PH_OK
                             : phi_error_os(reterr, PH_E_IO, errno, "cannot write %s", path);
}

static enum ph_status work(struct study *study, json_t **ret_report, struct ph_error *reterr)
{
    json_t *differences = NULL, *attributes = NULL, *axes = NULL;
    enum ph_status status = eval_faces_open(study->args->model, &study->faces, reterr);

    if (status == PH_OK)
        status = load_shown(study, reterr);
    if (status == PH_OK)
        status = add_methods(study, reterr);
    if (status == PH_OK)
        status = study_score_all(study, reterr);
    if (status == PH_OK)
        status = study_differences(study, &differences, reterr);
    if (status == PH_OK)
        status = study_attributes(study, &attributes, reterr);
    if (status == PH_OK)
        status = study_axes(study, &axes, reterr);
    if (status != PH_OK) {
        json_decref(differences);
        json_decref(attributes);
        return status;
    }
    *ret_report = study_json(study, differences, attributes, axes);
    if (mkdir(study->args->out, 0777) != 0 && errno != EEXIST)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot make the folder %s", study->args->out);
    status = write_report(study, *ret_report, reterr);
    return status == PH_OK ? study_sheets(study, reterr) : status;
}

static int check_args(const struct cli_command *self, const struct study_args *a)
{
    size_t n = a->files[STUDY_DAND].n;

    if (!a->model || !a->stimuli || !a->out || n == 0 || n > STUDY_MAX_SUBJECTS)
        return cli_usage(self, "--model, --stimuli, --out and --dand (1 to 8 times) are needed");
    if ((a->files[STUDY_IDENTITY].n && a->files[STUDY_IDENTITY].n != n) ||
        (a->files[STUDY_EIGENFACE].n && a->files[STUDY_EIGENFACE].n != n))
        return cli_usage(self, "--identity and --eigenface, where given, are one a subject");
    if (a->n_draws < 1 || a->seed < 0)
        return cli_usage(self, "--draws is 1 or more, --seed not negative");
    return -1;
}

static int run_dand(const struct cli_command *self, int argc, char **argv)
{
    struct study_args a = {.n_draws = 1000};
    const struct cli_option options[] = {
        {CLI_TEXT, "model", &a.model, "FILE", "DAND's model with its encoder (phos train)"},
        {CLI_TEXT, "stimuli", &a.stimuli, "PATH", "test pictures shown: a folder or stimuli file"},
        {CLI_LIST, "dand", &a.files[STUDY_DAND], "FILE",
         "subject's trials decoded to the model's latents (phos decode)"},
        {CLI_LIST, "eigenface", &a.files[STUDY_EIGENFACE], "FILE",
         "decoded to some components of the pixels"},
        {CLI_LIST, "identity", &a.files[STUDY_IDENTITY], "FILE",
         "decoded to all components: the pixels themselves"},
        {CLI_TEXT, "axes", &a.axes, "FILE",
         "phos axes: attributes of the decoded faces, against those shown"},
        {CLI_TEXT, "out", &a.out, "DIR", "folder for the table and the sheets"},
        {CLI_INT, "draws", &a.n_draws, "N", "draws of nulls and intervals (1000)"},
        {CLI_INT, "seed", &a.seed, "N", "of draws and prior samples (0)"},
        CLI_JSON(&a.json),
        CLI_END};
    struct study study = {.args = &a};
    struct cli_args rest;
    struct ph_error err = {0};
    json_t *report = NULL;
    enum ph_status status;
    int code = cli_parse(self, options, argc, argv, &rest);

    if (code >= 0)
        return code;
    if (rest.n)
        return cli_usage(self, "'%s' is not expected", rest.operands[0]);
    code = check_args(self, &a);
    if (code >= 0)
        return code;
    status = work(&study, &report, &err);
    cli_progress_end();
    code = status == PH_OK        ? CLI_DONE
           : status == PH_E_INVAL ? cli_fail_as(CLI_DATA, &err)
                                  : cli_fail(&err);
    if (status == PH_OK && a.json)
        (void)json_dumpf(report, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    else if (status == PH_OK)
        study_text(&study, report, stdout);
    json_decref(report);
    free_study(&study);
    return code;
}

const struct cli_command eval_dand = {
    .name = "eval dand",
    .summary = "the DAND study's table and sheets: identity, eigenface and DAND of each subject",
    .operands = "",
    .text =
        "Scores decoded faces against those shown: similarity of the encoder's features as 1 / (1 "
        "+\ndistance) and 1 / (1 + mean squared difference), pixel correlation and SSIM, each with "
        "s.e.m.,\ninterval, the score of another picture and a permutation test; the ceiling "
        "(drawn from the true\nlatents), the mean picture, paired differences between methods, "
        "and how DAND's score goes with the\npictures' attributes. 'linear' is the best linear "
        "drawing of DAND's latents. Writes table.json,\ntable.txt, reconstructions.png, "
        "traversals.png, interpolation.png and samples.png.",
    .examples = "phos eval dand --model dand.safetensors --stimuli stimuli/test --dand "
                "sub-1/dand.safetensors --eigenface sub-1/eigenface.safetensors --out study",
    .run = run_dand,
};
