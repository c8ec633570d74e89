/* SPDX-License-Identifier: MIT
 *
 * sink/record: what the run made, as a BIDS derivative dataset: latents (safetensors), pictures
 * (PNG), quality and latency tables. The volumes themselves stand in the source's journal, which is
 * exported beside it. Everything is written into a folder under way and given its place at the end;
 * after a crash the restarted run writes it anew from the journal.
 */
#include "outliers.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "io/png.h"

static const char *const image_choices[] = {"none", "final", "all", NULL};

static const struct ph_param params_table[] = {
    PH_STRING(struct params, task, "task", 0, "BIDS task label: letters and digits."),
    PH_BOOL(struct params, bids, 1, 0, "Export the journal as a BIDS dataset at the end."),
    PH_ENUM(struct params, images, RECORD_FINAL, image_choices, 0,
            "Which pictures are kept: those of final statements, all, or none."),
};

/* Columns of fMRIPrep's confounds first, under its names; then ours. */
static const char quality_head[] =
    "framewise_displacement\tdvars\tstd_dvars\ttrans_x\ttrans_y\ttrans_z\trot_x\trot_y\trot_z\t"
    "global_signal\tcsf\twhite_matter\ttsnr\toutlier_fraction\tgcor\tdrift_percent\tn_spikes\t"
    "rmsd";

/* The parameters that motion sets of 12 and 24 consist of, as fMRIPrep names and computes them. */
static const char *const motion_names[6] = {"trans_x", "trans_y", "trans_z",
                                            "rot_x",   "rot_y",   "rot_z"};

static const char quality_tail[] = "\tvolume\tmissing\tcensored\n";

static const char latency_head[] = "volume\tkind\tlatency_ms\tstimulus\n";

bool record_path(const struct record *r, const char *name, char out[PHI_PATH_MAX])
{
    return phi_path_join(out, PHI_PATH_MAX, r->part_dir, name);
}

static FILE *open_part(const struct record *r, const char *name, const char *head,
                       struct ph_error *reterr)
{
    char path[PHI_PATH_MAX];
    FILE *file = record_path(r, name, path) ? fopen(path, "w+be") : NULL;

    if (!file) {
        (void)phi_error_os(reterr, PH_E_IO, errno, "cannot create '%s' in '%s'", name, r->part_dir);
        return NULL;
    }
    (void)fputs(head, file); /* an error stays in the stream and is asked for at the end */
    return file;
}

/* What a killed run left is made anew. */
static void empty_folder(const char *path)
{
    DIR *list = opendir(path);
    const struct dirent *entry;
    char file[PHI_PATH_MAX];

    while (list && (entry = readdir(list)))
        if (entry->d_name[0] != '.' && phi_path_join(file, sizeof file, path, entry->d_name))
            (void)unlink(file);
    if (list)
        (void)closedir(list);
}

static void write_quality_head(const struct record *r)
{
    for (int i = 0; i < 6; i++)
        (void)fprintf(r->quality, "\t%s_derivative1\t%s_power2\t%s_derivative1_power2",
                      motion_names[i], motion_names[i], motion_names[i]);
    (void)fputs(quality_tail, r->quality);
}

static enum ph_status record_init(void *state, const void *params, const struct ph_spec *in,
                                  const struct ph_spec *out, const struct ph_host *host,
                                  struct ph_error *reterr)
{
    struct record *r = state;
    enum ph_status status;

    (void)in;
    (void)out;
    r->params = params;
    r->host = host;
    if (host->run_dir[0] == '\0')
        return phi_error(reterr, PH_E_INVAL,
                         "sink/record needs a folder: give --out DIR, or engine: {out_dir: DIR}");
    if (!phi_path_join(r->part_dir, sizeof r->part_dir - 32, host->run_dir, "derivatives.part"))
        return phi_error(reterr, PH_E_LIMIT, "the path '%.60s...' is too long", host->run_dir);
    status = phi_dir_make(r->part_dir, reterr);
    if (status)
        return status;
    empty_folder(r->part_dir);
    for (int i = 0; i < 6; i++)
        r->motion[i] = NAN;
    if (!(r->quality = open_part(r, "quality.tsv", quality_head, reterr)) ||
        !(r->regions = open_part(r, "regions.tsv", "", reterr)) ||
        !(r->outliers = open_part(r, "outliers.spool", "", reterr)) ||
        !(r->confounds = open_part(r, "confounds.tsv", "", reterr)) ||
        !(r->latency = open_part(r, "latency.tsv", latency_head, reterr)) ||
        !(r->latents = open_part(r, "latents.spool", "", reterr)))
        return PH_E_IO;
    write_quality_head(r);
    return PH_OK;
}

static void add_cell(struct phi_str *line, double value)
{
    const char *tab = line->length ? "\t" : "";

    if (isfinite(value))
        phi_str_addf(line, "%s%.9g", tab, value);
    else
        phi_str_addf(line, "%sn/a", tab);
}

static void write_quality(struct record *r, const struct ph_frame *frame)
{
    const struct ph_quality *q = &frame->quality;
    const float cells[] = {
        q->fd_mm,         q->dvars,        q->std_dvars,      q->motion[0],        q->motion[1],
        q->motion[2],     q->motion[3],    q->motion[4],      q->motion[5],        q->global_signal,
        q->csf,           q->white_matter, q->tsnr,           q->outlier_fraction, q->gcor,
        q->drift_percent, q->n_spikes,     q->fd_jenkinson_mm};
    char memory[1024];
    struct phi_str line = phi_str_over(memory, sizeof memory);

    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
        add_cell(&line, (double)cells[i]);
    for (int i = 0; i < 6; i++) {
        double change = (double)q->motion[i] - (double)r->motion[i];

        add_cell(&line, change);
        add_cell(&line, (double)q->motion[i] * (double)q->motion[i]);
        add_cell(&line, change * change);
        r->motion[i] = q->motion[i];
    }
    phi_str_addf(&line, "\t%llu\t%d\t%d\n", (unsigned long long)frame->index,
                 (frame->flags & PH_FLAG_GAP) != 0, (frame->flags & PH_FLAG_CENSORED) != 0);
    (void)fwrite(line.text, 1, line.length, r->quality);
    if (frame->flags & (uint32_t)PH_FLAG_DUMMY)
        record_outlier_note(r->outliers, r->n_volumes, RECORD_UNSETTLED);
    else if (frame->flags & (uint32_t)PH_FLAG_CENSORED)
        record_outlier_note(r->outliers, r->n_volumes, RECORD_MOTION);
    r->n_volumes++;
}

/* The regions' table: its columns are those of the first volume that has any. */
static void write_regions(struct record *r, const struct ph_frame *frame)
{
    char memory[1024];
    struct phi_str line = phi_str_over(memory, sizeof memory);

    if (r->n_signals == 0 && frame->n_signals > 0) {
        (void)fputs("volume", r->regions);
        for (uint32_t i = 0; i < frame->n_signals; i++)
            (void)fprintf(r->regions, "\t%s\t%s_mean", frame->signals[i].name,
                          frame->signals[i].name);
        (void)fputc('\n', r->regions);
        r->n_signals = frame->n_signals;
    }
    if (r->n_signals == 0)
        return;
    phi_str_addf(&line, "%llu", (unsigned long long)frame->index);
    for (uint32_t i = 0; i < r->n_signals; i++) {
        bool known = i < frame->n_signals;

        add_cell(&line, known ? (double)frame->signals[i].value : (double)NAN);
        add_cell(&line, known ? (double)frame->signals[i].mean : (double)NAN);
    }
    phi_str_addf(&line, "\n");
    (void)fwrite(line.text, 1, line.length, r->regions);
}

static void write_latency(struct record *r, const struct ph_frame *frame, const char *kind,
                          double stimulus_s)
{
    double ms = frame->received_ns
                    ? (double)(r->host->now_ns(r->host->self) - frame->received_ns) / 1e6
                    : (double)NAN;
    char memory[160];
    struct phi_str line = phi_str_over(memory, sizeof memory);

    phi_str_addf(&line, "%llu\t%s", (unsigned long long)frame->index, kind);
    add_cell(&line, ms);
    add_cell(&line, stimulus_s);
    phi_str_addf(&line, "\n");
    (void)fwrite(line.text, 1, line.length, r->latency);
}

static void write_latent(struct record *r, const struct ph_frame *frame)
{
    const struct ph_latent *from = &frame->u.latent;
    struct record_latent latent;

    memset(&latent, 0, sizeof latent); /* no stray bytes between the fields */
    latent.index = frame->index;
    latent.stimulus_s = from->stimulus_s;
    latent.lag_s = from->lag_s;
    latent.trial = from->trial;
    latent.revision = from->revision;
    latent.flags = frame->flags;
    latent.stim_index = from->stim_index;
    latent.share = from->share;
    latent.evidence = from->evidence;
    latent.nis = from->nis;
    if (r->q == 0) {
        r->q = frame->dims[1];
        (void)phi_str_copy(r->decoder, sizeof r->decoder, from->decoder);
    }
    if (frame->dims[1] != r->q)
        return;
    (void)fwrite(&latent, sizeof latent, 1, r->latents);
    (void)fwrite(frame->data, sizeof(float), 2 * (size_t)r->q, r->latents);
    r->n_latents++;
}

static bool is_wanted(const struct record *r, const struct ph_frame *frame)
{
    return r->params->images == RECORD_ALL ||
           (r->params->images == RECORD_FINAL && frame->flags & PH_FLAG_FINAL);
}

static void write_image(struct record *r, const struct ph_frame *frame)
{
    const struct ph_image *image = &frame->u.image;
    struct phi_png_pixels pixels = {
        .width = frame->dims[1], .height = frame->dims[0], .n_channels = 3, .pixels = frame->data};
    char name[128];
    char path[PHI_PATH_MAX];
    struct ph_error err;
    struct phi_str str = phi_str_over(name, sizeof name);

    phi_str_addf(&str, "desc-%.31s_vol-%06llu", image->generator, (unsigned long long)frame->index);
    if (image->latent.trial != PH_NO_TRIAL)
        phi_str_addf(&str, "_trial-%05u", image->latent.trial);
    phi_str_addf(&str, "_rev-%u.png", image->latent.revision);
    for (char *c = name; *c; c++)
        if (*c == '/') /* a generator's name comes from the run file */
            *c = '-';
    if (!record_path(r, name, path) || phi_png_write(path, &pixels, &err)) {
        if (!r->failed)
            r->host->log(r->host->self, PH_LOG_ERROR, "record.image", "%s", err.text);
        r->failed = true;
        return;
    }
    r->n_images++;
}

static enum ph_status record_process(void *state, struct ph_io *io)
{
    struct record *r = state;
    const struct ph_frame *frame = io->in;

    switch (frame->kind) {
    case PH_FRAME_VOLUME:
    case PH_FRAME_VECTOR:
        write_quality(r, frame);
        write_regions(r, frame);
        write_latency(r, frame, "volume", frame->acquired_s);
        break;
    case PH_FRAME_LATENT:
        write_latent(r, frame);
        write_latency(r, frame, "latent", frame->u.latent.stimulus_s);
        break;
    case PH_FRAME_IMAGE:
        if (is_wanted(r, frame))
            write_image(r, frame);
        write_latency(r, frame, "image", frame->u.image.latent.stimulus_s);
        break;
    default:
        break;
    }
    if (!r->failed && (ferror(r->quality) || ferror(r->latency) || ferror(r->latents) ||
                       ferror(r->regions) || ferror(r->outliers))) {
        r->failed = true;
        r->host->log(r->host->self, PH_LOG_ERROR, "record.write",
                     "results cannot be written: %s; the journal is not touched by this",
                     strerror(errno));
    }
    return PH_OK;
}

static enum ph_status record_end(void *state, struct ph_io *io)
{
    struct record *r = state;
    struct ph_error err = {0};
    enum ph_status status = record_finish(r, &err);

    (void)io;
    if (status)
        r->host->log(r->host->self, PH_LOG_ERROR, "record.finish", "%s", err.text);
    return status;
}

static void record_fini(void *state)
{
    struct record *r = state;

    if (r->quality)
        (void)fclose(r->quality);
    if (r->latency)
        (void)fclose(r->latency);
    if (r->latents)
        (void)fclose(r->latents);
    if (r->regions)
        (void)fclose(r->regions);
    if (r->outliers)
        (void)fclose(r->outliers);
    if (r->confounds)
        (void)fclose(r->confounds);
}

static const struct ph_stage_ops ops = {
    .struct_size = sizeof ops,
    .init = record_init,
    .process = record_process,
    .end = record_end,
    .fini = record_fini,
};

static const struct ph_stage_type type = {
    .struct_size = sizeof type,
    .kind = PH_STAGE_SINK,
    .id = "sink/record",
    .summary = "The run's results as a BIDS derivative, and its journal as a BIDS dataset",
    .caps = PH_CAP_STATEFUL | PH_CAP_OWN_THREAD,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct record),
    .ops = &ops,
};

static const struct ph_stage_type *const types[] = {&type};

static const struct ph_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi_major = PH_ABI_MAJOR,
    .abi_minor = 0,
    .n_types = 1,
    .name = "record",
    .version = "1.0",
    .licence = "MIT",
    .types = types,
};

PH_PLUGIN_EXPORT(sink_record, plugin)
