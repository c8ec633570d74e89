/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/error.h"
#include "io/file.h"
#include "io/journal_read.h"
#include "report/report.h"

enum ph_status report_journal(const char *dir, json_t **ret_json, struct ph_error *reterr)
{
    char path[PHI_PATH_MAX];
    struct phi_journal_reader *reader = NULL;
    struct phi_journal_record record;
    uint64_t n_volumes = 0;
    uint64_t n_events = 0;
    enum ph_status status;

    if (!phi_path_join(path, sizeof path, dir, "journal"))
        return phi_error(reterr, PH_E_LIMIT, "the path of '%s' is too long", dir);
    status = phi_journal_reader_open(path, &reader, reterr);
    while (status == PH_OK) {
        status = phi_journal_reader_next(reader, &record, reterr);
        if (status == PH_OK) {
            n_volumes += record.kind == PHI_JOURNAL_VOLUME;
            n_events += record.kind == PHI_JOURNAL_EVENT;
        }
    }
    if (status == PH_EOS) {
        const struct phi_journal_report *met = phi_journal_reader_report(reader);

        *ret_json = json_pack("{s:I, s:I, s:I, s:I}", "volumes", (json_int_t)n_volumes, "events",
                              (json_int_t)n_events, "holes", (json_int_t)met->n_holes, "bytes",
                              (json_int_t)met->n_bytes);
        status = PH_OK;
    }
    phi_journal_reader_close(&reader);
    return status;
}
