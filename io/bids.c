/* SPDX-License-Identifier: MIT
 *
 * Volumes may have been journalled in any order, so they first go to a spool file at the place of
 * their index, as they are, from which the 4-D file is written in order. Where volumes were scaled
 * differently (slope, intercept, byte order), one header cannot hold for all: the file is float32.
 */
#include "io/bids.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/events.h"
#include "io/journal_read.h"
#include "io/nifti_values.h"
#include "io/nifti_write.h"
#include "io/sidecar.h"
#include "io/wire_payload.h"
#include "io/wire_session.h"

#define MAX_IMAGE  (((size_t)1 << 30) + 4096)
#define MAX_EVENTS 65536

/* How a volume is scaled. */
struct scale {
    double slope, inter;
    bool present, big_endian;
};

struct exporting {
    const char *journal_dir;
    const char *out_dir;
    const char *task;
    struct phi_wire_message hello; /* type NONE before it */
    struct phi_wire_decoder *decoder;
    struct phi_nifti_info info; /* of the first volume */
    bool has_info, as_float;
    int spool;             /* file descriptor; -1 */
    float *values;         /* [n_voxels] */
    unsigned char *volume; /* [n_volume_bytes] */
    struct scale *scales;  /* [PHI_WIRE_MAX_VOLUMES] */
    uint64_t n_volumes;
    struct ph_event *events; /* [MAX_EVENTS] */
    size_t n_events;
    struct phi_bids_report report;
};

static void keep_letters(const char *label, const char *otherwise, char out[PHI_WIRE_LABEL])
{
    size_t n = 0;

    for (; *label && n < PHI_WIRE_LABEL - 1; label++)
        if (isalnum((unsigned char)*label))
            out[n++] = *label;
    out[n] = '\0';
    if (n == 0)
        (void)phi_str_copy(out, PHI_WIRE_LABEL, otherwise);
}

enum ph_status phi_bids_stem(const struct phi_wire_message *hello, const char *out_dir,
                             const char *task, char stem[PHI_PATH_MAX], char folder[PHI_PATH_MAX])
{
    char subject[PHI_WIRE_LABEL], session[PHI_WIRE_LABEL], run[PHI_WIRE_LABEL];
    char label[PHI_WIRE_LABEL];
    struct phi_str at;

    keep_letters(hello->subject, "01", subject);
    keep_letters(hello->session, "1", session);
    keep_letters(hello->run, "1", run);
    keep_letters(task, "task", label);
    at = phi_str_over(folder, PHI_PATH_MAX);
    phi_str_addf(&at, "%s/sub-%s/ses-%s/func", out_dir, subject, session);
    if (at.cut)
        return PH_E_LIMIT;
    at = phi_str_over(stem, PHI_PATH_MAX);
    phi_str_addf(&at, "%s/sub-%s_ses-%s_task-%s_run-%s", folder, subject, session, label, run);
    return at.cut || at.length + 32 > PHI_PATH_MAX ? PH_E_LIMIT : PH_OK;
}

enum ph_status phi_bids_describe(const char *dir, const char *type, struct ph_error *reterr)
{
    static const char readme[] =
        "A run recorded by Phosphene\n\n"
        "The volumes hold the values that the scanner sent, in the order of their indices; "
        "volumes\n"
        "that never came are zero. Events are as they were announced during the run. Both were\n"
        "exported from the journal of the recording, which is complete where a table here is not.\n"
        "What the engine made of the run (latents with their uncertainty, confounds, latencies,\n"
        "pictures, the run file) is under derivatives/phosphene.\n";
    char path[PHI_PATH_MAX];
    char text[512];
    struct phi_str str = phi_str_over(text, sizeof text);
    enum ph_status status = phi_dir_make(dir, reterr);

    phi_str_addf(&str,
                 "{\n  \"Name\": \"Phosphene recording\",\n  \"BIDSVersion\": \"1.8.0\",\n"
                 "  \"DatasetType\": \"%s\",\n  \"GeneratedBy\": [{\"Name\": \"Phosphene\"}]\n}\n",
                 type);
    if (!status && !phi_path_join(path, sizeof path, dir, "dataset_description.json"))
        status = phi_error(reterr, PH_E_LIMIT, "the path '%.60s...' is too long", dir);
    if (!status)
        status = phi_file_write(path, str.text, str.length, reterr);
    if (!status && phi_path_join(path, sizeof path, dir, "README"))
        status = phi_file_write(path, readme, sizeof readme - 1, reterr);
    return status;
}

static enum ph_status open_spool(struct exporting *e, struct ph_error *reterr)
{
    char path[PHI_PATH_MAX];

    if (!phi_path_join(path, sizeof path, e->out_dir, ".spool-XXXXXX"))
        return phi_error(reterr, PH_E_LIMIT, "the path '%.60s...' is too long", e->out_dir);
    e->spool = mkstemp(path);
    if (e->spool < 0)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot make a file in '%s'", e->out_dir);
    (void)unlink(path); /* lives as long as it is open */
    return PH_OK;
}

static enum ph_status take_first(struct exporting *e, const struct phi_nifti_info *info,
                                 struct ph_error *reterr)
{
    if (e->has_info) {
        if (!phi_nifti_same_grid(&e->info, info, 1e9) || e->info.type != info->type)
            return PH_SKIP; /* cannot be: the wire refuses it */
        e->as_float |= e->info.slope != info->slope || e->info.inter != info->inter ||
                       e->info.big_endian != info->big_endian;
        return PH_OK;
    }
    e->info = *info;
    e->has_info = true;
    e->volume = phi_calloc(info->n_volume_bytes, 1);
    e->values = phi_calloc(info->n_voxels, sizeof *e->values);
    if (!e->volume || !e->values)
        return phi_error_nomem(reterr, "a volume", info->n_volume_bytes);
    return open_spool(e, reterr);
}

static bool spool_at(const struct exporting *e, uint64_t index, void *bytes, size_t n, bool writes)
{
    off_t at = (off_t)(index * n);
    unsigned char *p = bytes;

    for (size_t done = 0; done < n;) {
        ssize_t k = writes ? pwrite(e->spool, p + done, n - done, at + (off_t)done)
                           : pread(e->spool, p + done, n - done, at + (off_t)done);

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        done += (size_t)k;
    }
    return true;
}

static enum ph_status take_volume(struct exporting *e, const struct phi_journal_record *record,
                                  const struct phi_wire_message *m, struct ph_error *reterr)
{
    struct phi_wire_image image;
    enum ph_status status;

    if (m->index >= PHI_WIRE_MAX_VOLUMES || e->scales[m->index].present ||
        phi_wire_decode(e->decoder, m, record->payload, record->n_payload, &image, reterr))
        return PH_OK;
    status = take_first(e, &image.info, reterr);
    if (status)
        return status == PH_SKIP ? PH_OK : status;
    memcpy(e->volume, image.data, e->info.n_volume_bytes);
    if (!spool_at(e, m->index, e->volume, e->info.n_volume_bytes, true))
        return phi_error_os(reterr, PH_E_IO, errno, "cannot write in '%s'", e->out_dir);
    e->scales[m->index] =
        (struct scale){image.info.slope, image.info.inter, true, image.info.big_endian};
    if (m->index >= e->n_volumes)
        e->n_volumes = m->index + 1;
    return PH_OK;
}

static void take_event(struct exporting *e, const struct phi_wire_message *m)
{
    struct ph_event *event = &e->events[e->n_events];

    if (e->n_events == MAX_EVENTS || !(m->onset_s == m->onset_s))
        return;
    *event = (struct ph_event){.onset_s = m->onset_s,
                               .duration_s = m->duration_s,
                               .amplitude = m->amplitude,
                               .stim_index = (int32_t)m->stim_index,
                               .number = (uint32_t)e->n_events};
    (void)phi_str_copy(event->trial_type, sizeof event->trial_type, m->trial_type);
    (void)phi_str_copy(event->stim_file, sizeof event->stim_file, m->stim);
    e->n_events++;
}

static enum ph_status take_record(struct exporting *e, const struct phi_journal_record *record,
                                  struct ph_error *reterr)
{
    struct phi_wire_message m;
    struct ph_error ignored;

    if (record->n_meta == 0 || phi_wire_parse(record->meta, record->n_meta, &m, &ignored))
        return PH_OK;
    if (record->kind == PHI_JOURNAL_HELLO && e->hello.type == PHI_WIRE_NONE) {
        e->hello = m;
        return phi_wire_decoder_reserve(e->decoder, &m, reterr);
    }
    if (record->kind == PHI_JOURNAL_VOLUME && e->hello.type != PHI_WIRE_NONE)
        return take_volume(e, record, &m, reterr);
    if (record->kind == PHI_JOURNAL_EVENT)
        take_event(e, &m);
    return PH_OK;
}

static enum ph_status read_journal(struct exporting *e, struct ph_error *reterr)
{
    struct phi_journal_reader *reader = NULL;
    struct phi_journal_record record;
    enum ph_status status = phi_journal_reader_open(e->journal_dir, &reader, reterr);

    while (!status) {
        status = phi_journal_reader_next(reader, &record, reterr);
        if (!status)
            status = take_record(e, &record, reterr);
    }
    if (status == PH_EOS)
        e->report.n_lost_records = phi_journal_reader_report(reader)->n_lost;
    phi_journal_reader_close(&reader);
    if (status == PH_EOS && !e->has_info)
        return phi_error(reterr, PH_E_FORMAT, "'%s' holds no recorded volume", e->journal_dir);
    return status == PH_EOS ? PH_OK : status;
}

/* The header of the whole run: the first volume's, or float32 where no one scaling holds for all.
 */
static enum ph_status make_header(struct exporting *e, struct phi_nifti_info *info,
                                  struct ph_error *reterr)
{
    unsigned char prefix[PHI_NIFTI_MAX_PREFIX];
    size_t n;

    *info = e->info;
    info->n_volumes = (uint32_t)e->n_volumes;
    info->tr_s = e->hello.tr_s;
    if (!e->as_float &&
        phi_nifti_reheader(&e->info, info->n_volumes, e->hello.tr_s, prefix, &n) == PH_OK)
        return phi_nifti_parse_header(prefix, n, "the run", info, reterr);
    /* too long for NIfTI-1, or scaled differently: a header made anew, little-endian */
    e->as_float |= e->info.big_endian;
    if (e->as_float) {
        info->type = PHI_NIFTI_FLOAT32;
        info->slope = 1;
        info->inter = 0;
    }
    return phi_nifti_make(info, reterr);
}

static enum ph_status write_volume(struct exporting *e, uint64_t index,
                                   struct phi_nifti_writer *writer, struct ph_error *reterr)
{
    const struct scale *scale = &e->scales[index];
    struct phi_nifti_info info = e->info;

    memset(e->volume, 0, e->info.n_volume_bytes);
    if (!scale->present)
        e->report.n_missing++;
    else if (!spool_at(e, index, e->volume, e->info.n_volume_bytes, false))
        return phi_error_os(reterr, PH_E_IO, errno, "cannot read back from '%s'", e->out_dir);
    if (!e->as_float)
        return phi_nifti_writer_add(writer, e->volume, reterr);
    info.slope = scale->present ? scale->slope : 1;
    info.inter = scale->inter;
    info.big_endian = scale->big_endian;
    phi_nifti_to_float32(&info, e->volume, info.n_voxels, e->values);
    return phi_nifti_writer_add_float32(writer, e->values, reterr);
}

static enum ph_status write_volumes(struct exporting *e, struct phi_nifti_writer *writer,
                                    struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    for (uint64_t i = 0; i < e->n_volumes && !status; i++)
        status = write_volume(e, i, writer, reterr);
    return status;
}

static enum ph_status write_bold(struct exporting *e, struct ph_error *reterr)
{
    char path[PHI_PATH_MAX + 32];
    struct phi_nifti_info info;
    struct phi_nifti_writer *writer = NULL;
    enum ph_status status = make_header(e, &info, reterr);

    (void)snprintf(path, sizeof path, "%s_bold.nii.gz", e->report.stem);
    if (!status)
        status = phi_nifti_writer_create(path, &info, &writer, reterr);
    if (!status)
        status = write_volumes(e, writer, reterr);
    if (!status)
        return phi_nifti_writer_finish(&writer, reterr);
    phi_nifti_writer_destroy(&writer);
    return status;
}

static int by_onset(const void *a, const void *b)
{
    const struct ph_event *x = a;
    const struct ph_event *y = b;

    if (x->onset_s != y->onset_s)
        return x->onset_s < y->onset_s ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

static enum ph_status write_tables(struct exporting *e, struct ph_error *reterr)
{
    char path[PHI_PATH_MAX + 32];
    struct phi_sidecar sidecar = {.tr_s = e->hello.tr_s, .n_slices = e->hello.n_slices};
    enum ph_status status;

    memcpy(sidecar.slice_timing_s, e->hello.slice_timing_s, sizeof sidecar.slice_timing_s);
    keep_letters(e->task, "task", sidecar.task_name);
    (void)snprintf(path, sizeof path, "%s_bold.json", e->report.stem);
    status = phi_sidecar_write(path, &sidecar, reterr);
    if (status || e->n_events == 0)
        return status;
    qsort(e->events, e->n_events, sizeof *e->events, by_onset);
    (void)snprintf(path, sizeof path, "%s_events.tsv", e->report.stem);
    status = phi_events_write(path, e->events, e->n_events, reterr);
    (void)snprintf(path, sizeof path, "%s_events.json", e->report.stem);
    return status ? status : phi_events_describe(path, reterr);
}

static enum ph_status run_export(struct exporting *e, struct ph_error *reterr)
{
    char folder[PHI_PATH_MAX];
    enum ph_status status;

    e->scales = phi_calloc(PHI_WIRE_MAX_VOLUMES, sizeof *e->scales);
    e->events = phi_calloc(MAX_EVENTS, sizeof *e->events);
    if (!e->scales || !e->events)
        return phi_error_nomem(reterr, "the export", PHI_WIRE_MAX_VOLUMES);
    if ((status = phi_wire_decoder_create(MAX_IMAGE, &e->decoder, reterr)) ||
        (status = phi_dir_make(e->out_dir, reterr)) || (status = read_journal(e, reterr)))
        return status;
    if (phi_bids_stem(&e->hello, e->out_dir, e->task, e->report.stem, folder))
        return phi_error(reterr, PH_E_LIMIT, "the path '%.60s...' is too long", e->out_dir);
    if ((status = phi_bids_describe(e->out_dir, "raw", reterr)) ||
        (status = phi_dir_make(folder, reterr)) || (status = write_bold(e, reterr)))
        return status;
    e->report.n_volumes = e->n_volumes;
    e->report.n_events = e->n_events;
    return write_tables(e, reterr);
}

enum ph_status phi_bids_export(const char *journal_dir, const char *out_dir, const char *task,
                               struct phi_bids_report *ret_report, struct ph_error *reterr)
{
    struct exporting *e = phi_calloc(1, sizeof *e);
    enum ph_status status;

    if (!e)
        return phi_error_nomem(reterr, "the export", sizeof *e);
    e->journal_dir = journal_dir;
    e->out_dir = out_dir;
    e->task = task;
    e->spool = -1;
    status = run_export(e, reterr);
    if (!status)
        *ret_report = e->report;
    if (e->spool >= 0)
        (void)close(e->spool);
    phi_wire_decoder_destroy(&e->decoder);
    phi_free(e->values);
    phi_free(e->volume);
    phi_free(e->scales);
    phi_free(e->events);
    phi_free(e);
    return status;
}
