/* SPDX-License-Identifier: MIT */
#include "outliers.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"

struct entry {
    uint64_t row;
    uint64_t kind; /* enum record_outlier */
};

struct columns {
    uint64_t rows[RECORD_N_OUTLIERS][RECORD_MAX_OUTLIERS];
    size_t n[RECORD_N_OUTLIERS];
};

static const char *const prefixes[RECORD_N_OUTLIERS] = {
    [RECORD_UNSETTLED] = "non_steady_state_outlier",
    [RECORD_MOTION] = "motion_outlier",
};

void record_outlier_note(FILE *spool, uint64_t row, enum record_outlier kind)
{
    const struct entry entry = {row, kind};

    (void)fwrite(&entry, sizeof entry, 1, spool); /* an error stays in the stream */
}

static void read_spool(FILE *spool, struct columns *columns)
{
    struct entry entry;

    rewind(spool);
    while (fread(&entry, sizeof entry, 1, spool) == 1)
        if (entry.kind < RECORD_N_OUTLIERS && columns->n[entry.kind] < RECORD_MAX_OUTLIERS)
            columns->rows[entry.kind][columns->n[entry.kind]++] = entry.row;
}

static void add_names(const struct columns *columns, FILE *to)
{
    for (int kind = 0; kind < RECORD_N_OUTLIERS; kind++)
        for (size_t i = 0; i < columns->n[kind]; i++)
            (void)fprintf(to, "\t%s%02zu", prefixes[kind], i);
}

static void add_cells(const struct columns *columns, uint64_t row, FILE *to)
{
    for (int kind = 0; kind < RECORD_N_OUTLIERS; kind++)
        for (size_t i = 0; i < columns->n[kind]; i++)
            (void)fputs(columns->rows[kind][i] == row ? "\t1" : "\t0", to);
}

enum ph_status record_outlier_columns(FILE *spool, FILE *from, FILE *to, struct ph_error *reterr)
{
    struct columns columns = {.n = {0}};
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    bool failed;

    read_spool(spool, &columns);
    rewind(from);
    for (uint64_t row = 0; (n = getline(&line, &size, from)) > 0; row++) {
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        (void)fputs(line, to);
        if (row == 0)
            add_names(&columns, to);
        else
            add_cells(&columns, row - 1, to);
        (void)fputc('\n', to);
    }
    free(line);
    failed = ferror(spool) || ferror(from) || ferror(to);
    return failed ? phi_error_os(reterr, PH_E_IO, errno, "the confounds cannot be completed")
                  : PH_OK;
}
