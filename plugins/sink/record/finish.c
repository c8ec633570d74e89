/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/bids.h"
#include "io/journal_read.h"
#include "io/safetensors.h"
#include "outliers.h"

#define MAX_RUN_FILE ((size_t)1 << 20)

/* Where things go. */
struct places {
    char journal[PHI_PATH_MAX];
    char bids[PHI_PATH_MAX];
    char derivatives[PHI_PATH_MAX]; /* "<bids>/derivatives/phosphene" */
    char folder[PHI_PATH_MAX];      /* of this run in it */
    char figures[PHI_PATH_MAX];
    char stem[PHI_PATH_MAX];
    struct phi_wire_message hello;
};

/* The run's labels, from the journal if there is one. */
static void find_labels(const struct record *r, struct places *places)
{
    struct phi_journal_reader *reader = NULL;
    struct phi_journal_record record;
    struct ph_error ignored;

    places->hello = phi_wire_message_of(PHI_WIRE_HELLO);
    if (!phi_path_exists(places->journal) ||
        phi_journal_reader_open(places->journal, &reader, &ignored))
        return;
    while (phi_journal_reader_next(reader, &record, &ignored) == PH_OK)
        if (record.kind == PHI_JOURNAL_HELLO &&
            !phi_wire_parse(record.meta, record.n_meta, &places->hello, &ignored))
            break;
    phi_journal_reader_close(&reader);
    (void)r;
}

static enum ph_status find_places(const struct record *r, struct places *places,
                                  struct ph_error *reterr)
{
    const char *run_dir = r->host->run_dir;

    if (!phi_path_join(places->journal, PHI_PATH_MAX, run_dir, "journal") ||
        !phi_path_join(places->bids, PHI_PATH_MAX, run_dir, "bids") ||
        !phi_path_join(places->derivatives, PHI_PATH_MAX, places->bids, "derivatives/phosphene"))
        return phi_error(reterr, PH_E_LIMIT, "the path '%.60s...' is too long", run_dir);
    find_labels(r, places);
    if (phi_bids_stem(&places->hello, places->derivatives, r->params->task, places->stem,
                      places->folder) ||
        !phi_path_join(places->figures, PHI_PATH_MAX, places->folder, "../figures"))
        return phi_error(reterr, PH_E_LIMIT, "the path '%.60s...' is too long", run_dir);
    return PH_OK;
}

enum tensor {
    MEAN,
    SD,
    VOLUME,
    STIMULUS,
    LAG,
    TRIAL,
    REVISION,
    FLAGS,
    STIM_INDEX,
    SHARE,
    EVIDENCE,
    NIS,
    N_TENSORS
};

static void describe_tensors(size_t n, size_t q, struct phi_safetensors_tensor tensors[N_TENSORS])
{
    static const struct {
        const char *name;
        enum phi_safetensors_dtype dtype;
    } columns[N_TENSORS] = {
        [MEAN] = {"mean", PHI_SAFETENSORS_F32},
        [SD] = {"sd", PHI_SAFETENSORS_F32},
        [VOLUME] = {"volume", PHI_SAFETENSORS_I64},
        [STIMULUS] = {"stimulus_s", PHI_SAFETENSORS_F64},
        [LAG] = {"lag_s", PHI_SAFETENSORS_F64},
        [TRIAL] = {"trial", PHI_SAFETENSORS_I32},
        [REVISION] = {"revision", PHI_SAFETENSORS_I32},
        [FLAGS] = {"flags", PHI_SAFETENSORS_I32},
        [STIM_INDEX] = {"stim_index", PHI_SAFETENSORS_I32},
        [SHARE] = {"share", PHI_SAFETENSORS_F32},
        [EVIDENCE] = {"evidence", PHI_SAFETENSORS_F32},
        [NIS] = {"nis", PHI_SAFETENSORS_F32},
    };

    for (size_t i = 0; i < N_TENSORS; i++)
        tensors[i] = (struct phi_safetensors_tensor){.name = columns[i].name,
                                                     .dtype = columns[i].dtype,
                                                     .n_dims = i <= SD ? 2 : 1,
                                                     .shape = {n, i <= SD ? q : 0}};
}

static enum ph_status put_latent(struct phi_safetensors_writer *writer, size_t row, size_t q,
                                 const struct record_latent *latent, const float *values,
                                 struct ph_error *reterr)
{
    const int64_t volume = (int64_t)latent->index;
    const int32_t trial = latent->trial == PH_NO_TRIAL ? -1 : (int32_t)latent->trial;
    const struct {
        const void *data;
        size_t size;
    } cells[N_TENSORS] = {
        [MEAN] = {values, q * sizeof(float)},
        [SD] = {values + q, q * sizeof(float)},
        [VOLUME] = {&volume, 8},
        [STIMULUS] = {&latent->stimulus_s, 8},
        [LAG] = {&latent->lag_s, 8},
        [TRIAL] = {&trial, 4},
        [REVISION] = {&latent->revision, 4},
        [FLAGS] = {&latent->flags, 4},
        [STIM_INDEX] = {&latent->stim_index, 4},
        [SHARE] = {&latent->share, 4},
        [EVIDENCE] = {&latent->evidence, 4},
        [NIS] = {&latent->nis, 4},
    };
    enum ph_status status = PH_OK;

    for (size_t i = 0; i < N_TENSORS && !status; i++)
        status = phi_safetensors_writer_put(writer, i, row * cells[i].size, cells[i].data,
                                            cells[i].size, reterr);
    return status;
}

static enum ph_status copy_latents(struct record *r, struct phi_safetensors_writer *writer,
                                   float *values, struct ph_error *reterr)
{
    struct record_latent latent;
    enum ph_status status = PH_OK;

    rewind(r->latents);
    for (size_t row = 0; row < r->n_latents && !status; row++) {
        if (fread(&latent, sizeof latent, 1, r->latents) != 1 ||
            fread(values, sizeof *values, 2 * (size_t)r->q, r->latents) != 2 * (size_t)r->q)
            return phi_error(reterr, PH_E_IO, "latents cannot be read back from '%s'", r->part_dir);
        status = put_latent(writer, row, r->q, &latent, values, reterr);
    }
    return status;
}

static enum ph_status write_latents(struct record *r, const struct places *places,
                                    struct ph_error *reterr)
{
    char path[PHI_PATH_MAX + 64];
    struct phi_safetensors_tensor tensors[N_TENSORS];
    const struct phi_safetensors_pair metadata[] = {{"phosphene.kind", "latents"},
                                                    {"phosphene.version", "1"},
                                                    {"phosphene.decoder", r->decoder}};
    const struct phi_safetensors_content content = {tensors, N_TENSORS, metadata, 3};
    struct phi_safetensors_writer *writer = NULL;
    float *values;
    enum ph_status status;

    if (r->n_latents == 0)
        return PH_OK;
    values = phi_calloc(2 * (size_t)r->q, sizeof *values);
    if (!values)
        return phi_error_nomem(reterr, "a latent", 2 * (size_t)r->q);
    describe_tensors(r->n_latents, r->q, tensors);
    (void)snprintf(path, sizeof path, "%s_desc-latents.safetensors", places->stem);
    status = phi_safetensors_writer_create(path, &content, &writer, reterr);
    if (!status)
        status = copy_latents(r, writer, values, reterr);
    if (!status)
        status = phi_safetensors_writer_commit(writer, reterr);
    phi_safetensors_writer_destroy(&writer);
    phi_free(values);
    return status;
}

/* Flushes a table under way and gives it its place. */
static enum ph_status place_table(const struct record *r, FILE *file, const char *name,
                                  const char *target, struct ph_error *reterr)
{
    char path[PHI_PATH_MAX];

    if (fflush(file) != 0 || ferror(file) || fsync(fileno(file)) != 0 ||
        !record_path(r, name, path) || rename(path, target) != 0)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot write '%s'", target);
    return phi_dir_sync_of(target, reterr);
}

static enum ph_status place_tables(struct record *r, const struct places *places,
                                   struct ph_error *reterr)
{
    char path[PHI_PATH_MAX + 64];
    enum ph_status status;

    (void)snprintf(path, sizeof path, "%s_desc-confounds_timeseries.tsv", places->stem);
    status = record_outlier_columns(r->outliers, r->quality, r->confounds, reterr);
    if (!status)
        status = place_table(r, r->confounds, "confounds.tsv", path, reterr);
    if (status)
        return status;
    (void)snprintf(path, sizeof path, "%s_desc-regions_timeseries.tsv", places->stem);
    if (r->n_signals > 0)
        status = place_table(r, r->regions, "regions.tsv", path, reterr);
    else if (record_path(r, "regions.tsv", path))
        (void)unlink(path);
    if (status)
        return status;
    (void)snprintf(path, sizeof path, "%s_desc-latency.tsv", places->stem);
    return place_table(r, r->latency, "latency.tsv", path, reterr);
}

static enum ph_status place_images(const struct record *r, const struct places *places,
                                   struct ph_error *reterr)
{
    DIR *list;
    const struct dirent *entry;
    char from[PHI_PATH_MAX];
    char to[PHI_PATH_MAX];
    enum ph_status status = r->n_images ? phi_dir_make(places->figures, reterr) : PH_OK;

    if (status || r->n_images == 0)
        return status;
    list = opendir(r->part_dir);
    while (list && !status && (entry = readdir(list)))
        if (phi_str_ends(entry->d_name, ".png") && record_path(r, entry->d_name, from) &&
            phi_path_join(to, sizeof to, places->figures, entry->d_name) && rename(from, to) != 0)
            status = phi_error_os(reterr, PH_E_IO, errno, "cannot write '%s'", to);
    if (list)
        (void)closedir(list);
    return status;
}

/* t maps that filters have left in the recording's folder get the run's name. */
static enum ph_status place_maps(const struct record *r, const struct places *places,
                                 struct ph_error *reterr)
{
    char dir[PHI_PATH_MAX];
    char from[PHI_PATH_MAX];
    char to[PHI_PATH_MAX + 320];
    const struct dirent *entry;
    DIR *list;
    enum ph_status status = PH_OK;

    if (!phi_path_join(dir, sizeof dir, r->host->run_dir, "maps") || !(list = opendir(dir)))
        return PH_OK;
    while (!status && (entry = readdir(list))) {
        (void)snprintf(to, sizeof to, "%s_%.300s", places->stem, entry->d_name);
        if (phi_str_ends(entry->d_name, "_statmap.nii.gz") &&
            phi_path_join(from, sizeof from, dir, entry->d_name) && rename(from, to) != 0)
            status = phi_error_os(reterr, PH_E_IO, errno, "cannot write '%s'", to);
    }
    (void)closedir(list);
    (void)rmdir(dir); /* only if nothing else is in it */
    return status;
}

/* The effective run file beside the results that it gave. */
static enum ph_status copy_run_file(const struct record *r, const struct places *places,
                                    struct ph_error *reterr)
{
    char from[PHI_PATH_MAX];
    char to[PHI_PATH_MAX];
    unsigned char *bytes;
    size_t n;
    enum ph_status status;

    if (!phi_path_join(from, sizeof from, r->host->run_dir, "run.yaml") || !phi_path_exists(from) ||
        !phi_path_join(to, sizeof to, places->derivatives, "run.yaml"))
        return PH_OK;
    status = phi_file_read(from, MAX_RUN_FILE, &bytes, &n, reterr);
    if (status)
        return status;
    status = phi_file_write(to, bytes, n, reterr);
    phi_free(bytes);
    return status;
}

static enum ph_status export_journal(const struct record *r, const struct places *places,
                                     struct ph_error *reterr)
{
    struct phi_bids_report report;
    enum ph_status status;

    if (!r->params->bids || !phi_path_exists(places->journal))
        return PH_OK;
    status = phi_bids_export(places->journal, places->bids, r->params->task, &report, reterr);
    if (status)
        return status;
    r->host->log(r->host->self, PH_LOG_INFO, "record.bids",
                 "%llu volumes (%llu missing), %llu events in '%s'",
                 (unsigned long long)report.n_volumes, (unsigned long long)report.n_missing,
                 (unsigned long long)report.n_events, places->bids);
    return PH_OK;
}

enum ph_status record_finish(struct record *r, struct ph_error *reterr)
{
    struct places *places = phi_calloc(1, sizeof *places);
    static const char *const spools[] = {"latents.spool", "outliers.spool", "quality.tsv"};
    char spool[PHI_PATH_MAX];
    enum ph_status status;

    if (!places)
        return phi_error_nomem(reterr, "the results", sizeof *places);
    if (!(status = find_places(r, places, reterr)) &&
        !(status = phi_bids_describe(places->derivatives, "derivative", reterr)) &&
        !(status = phi_dir_make(places->folder, reterr)) &&
        !(status = write_latents(r, places, reterr)) &&
        !(status = place_tables(r, places, reterr)) &&
        !(status = place_images(r, places, reterr)) && !(status = place_maps(r, places, reterr)) &&
        !(status = copy_run_file(r, places, reterr)))
        status = export_journal(r, places, reterr);
    phi_free(places);
    if (!status) {
        for (size_t i = 0; i < sizeof spools / sizeof *spools; i++)
            if (record_path(r, spools[i], spool))
                (void)unlink(spool);
        (void)rmdir(r->part_dir);
    }
    if (!status && r->failed)
        return phi_error(reterr, PH_E_IO, "some pictures or results could not be written");
    return status;
}
