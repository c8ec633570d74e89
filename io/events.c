/* SPDX-License-Identifier: MIT */
#include "io/events.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/file.h"

#define MAX_COLUMNS 64
#define MAX_CELL    512
#define MAX_ROW     1024 /* bytes of a row we write, at most */

enum column {
    COLUMN_OTHER,
    COLUMN_ONSET,
    COLUMN_DURATION,
    COLUMN_TRIAL_TYPE,
    COLUMN_STIM_FILE,
    COLUMN_STIMULUS,
    COLUMN_STIM_INDEX,
    COLUMN_AMPLITUDE,
    N_COLUMNS
};

static const char *const column_names[N_COLUMNS] = {
    [COLUMN_OTHER] = "",
    [COLUMN_ONSET] = "onset",
    [COLUMN_DURATION] = "duration",
    [COLUMN_TRIAL_TYPE] = "trial_type",
    [COLUMN_STIM_FILE] = "stim_file",
    [COLUMN_STIMULUS] = "stimulus",
    [COLUMN_STIM_INDEX] = "stim_index",
    [COLUMN_AMPLITUDE] = "amplitude",
};

struct parsing {
    const char *at;
    const char *end;
    const char *name;
    size_t line; /* counts from 1 */
    enum column columns[MAX_COLUMNS];
    size_t n_columns;
};

/* Copies the next cell and moves behind its tab. *ret_last tells that the line ended with it. */
static bool next_cell(struct parsing *parsing, char cell[MAX_CELL], bool *ret_last)
{
    const char *start = parsing->at;
    size_t n;

    while (parsing->at < parsing->end && *parsing->at != '\t' && *parsing->at != '\n')
        parsing->at++;
    n = (size_t)(parsing->at - start);
    *ret_last = parsing->at == parsing->end || *parsing->at == '\n';
    if (parsing->at < parsing->end)
        parsing->at++;
    if (*ret_last && n > 0 && start[n - 1] == '\r')
        n--;
    if (n >= MAX_CELL || memchr(start, '\0', n))
        return false;
    memcpy(cell, start, n);
    cell[n] = '\0';
    return true;
}

static enum ph_status bad_cell(const struct parsing *parsing, enum column column, const char *cell,
                               struct ph_error *reterr)
{
    return phi_error(reterr, PH_E_FORMAT, "%s: line %zu: column %s holds '%.60s'", parsing->name,
                     parsing->line, column_names[column], cell);
}

static enum column column_of(const char *cell)
{
    for (int i = 1; i < N_COLUMNS; i++)
        if (strcmp(cell, column_names[i]) == 0)
            return (enum column)i;
    return COLUMN_OTHER;
}

static bool has_column(const struct parsing *parsing, enum column column)
{
    for (size_t i = 0; i < parsing->n_columns; i++)
        if (parsing->columns[i] == column)
            return true;
    return false;
}

static enum ph_status parse_head(struct parsing *parsing, struct ph_error *reterr)
{
    char cell[MAX_CELL];
    bool last = false;

    if (parsing->end - parsing->at >= 3 && memcmp(parsing->at, "\xef\xbb\xbf", 3) == 0)
        parsing->at += 3;
    parsing->line = 1;
    while (!last) {
        enum column column;

        if (!next_cell(parsing, cell, &last) || parsing->n_columns == MAX_COLUMNS)
            return phi_error(reterr, PH_E_FORMAT, "%s: line 1: too long, or no text",
                             parsing->name);
        column = column_of(cell);
        if (column != COLUMN_OTHER && has_column(parsing, column))
            return phi_error(reterr, PH_E_FORMAT, "%s: line 1: column %s stands twice",
                             parsing->name, cell);
        parsing->columns[parsing->n_columns++] = column;
    }
    for (int i = COLUMN_ONSET; i <= COLUMN_DURATION; i++)
        if (!has_column(parsing, (enum column)i))
            return phi_error(reterr, PH_E_FORMAT,
                             "%s: line 1: column %s is missing (columns are set apart by tabs)",
                             parsing->name, column_names[i]);
    return PH_OK;
}

/* One cell into `event`; false if it means nothing. "n/a" never gets here. */
static bool take_cell(enum column column, const char *cell, struct ph_event *event)
{
    int64_t index;

    switch (column) {
    case COLUMN_ONSET:
        return phi_parse_double(cell, &event->onset_s);
    case COLUMN_DURATION:
        return phi_parse_double(cell, &event->duration_s) && event->duration_s >= 0;
    case COLUMN_TRIAL_TYPE:
        return phi_str_copy(event->trial_type, sizeof event->trial_type, cell);
    case COLUMN_STIM_FILE:
        return phi_str_copy(event->stim_file, sizeof event->stim_file, cell);
    case COLUMN_STIMULUS: /* stim_file is the more exact of the two */
        return event->stim_file[0] || phi_str_copy(event->stim_file, sizeof event->stim_file, cell);
    case COLUMN_STIM_INDEX:
        if (!phi_parse_i64(cell, &index) || index < 0 || index > INT32_MAX)
            return false;
        event->stim_index = (int32_t)index;
        return true;
    case COLUMN_AMPLITUDE:
        return phi_parse_double(cell, &event->amplitude);
    default:
        return true;
    }
}

static enum ph_status parse_row(struct parsing *parsing, struct ph_event *event,
                                struct ph_error *reterr)
{
    char cell[MAX_CELL];
    bool last = false;
    size_t i = 0;

    *event = (struct ph_event){.amplitude = 1, .stim_index = -1};
    for (; !last; i++) {
        enum column column = i < parsing->n_columns ? parsing->columns[i] : COLUMN_OTHER;

        if (!next_cell(parsing, cell, &last))
            return bad_cell(parsing, column, "more text than a cell takes", reterr);
        if (strcmp(cell, "n/a") == 0 && column != COLUMN_ONSET)
            continue;
        if (!take_cell(column, cell, event))
            return bad_cell(parsing, column, cell, reterr);
    }
    if (i != parsing->n_columns)
        return phi_error(reterr, PH_E_FORMAT,
                         "%s: line %zu: %zu cells where line 1 has %zu columns", parsing->name,
                         parsing->line, i, parsing->n_columns);
    return PH_OK;
}

static int by_onset(const void *a, const void *b)
{
    const struct ph_event *x = a;
    const struct ph_event *y = b;

    if (x->onset_s != y->onset_s)
        return x->onset_s < y->onset_s ? -1 : 1;
    return x->number < y->number ? -1 : 1; /* file order, so that the sort is stable */
}

static bool is_blank(const struct parsing *parsing)
{
    return *parsing->at == '\n' ||
           (*parsing->at == '\r' && parsing->end - parsing->at > 1 && parsing->at[1] == '\n');
}

static enum ph_status parse_rows(struct parsing *parsing, struct phi_events *events,
                                 struct ph_error *reterr)
{
    enum ph_status status;

    while (parsing->at < parsing->end) {
        parsing->line++;
        if (is_blank(parsing)) {
            parsing->at += *parsing->at == '\r' ? 2 : 1;
            continue;
        }
        status = parse_row(parsing, &events->rows[events->n], reterr);
        if (status)
            return status;
        events->rows[events->n].number = (uint32_t)events->n;
        events->n++;
    }
    qsort(events->rows, events->n, sizeof *events->rows, by_onset);
    for (size_t i = 0; i < events->n; i++)
        events->rows[i].number = (uint32_t)i;
    return PH_OK;
}

static size_t count_lines(const char *text, size_t n_bytes)
{
    size_t n = 1;

    for (size_t i = 0; i < n_bytes; i++)
        n += text[i] == '\n';
    return n;
}

enum ph_status phi_events_parse(const char *text, size_t n_bytes, const char *name,
                                struct phi_events *ret_events, struct ph_error *reterr)
{
    struct parsing parsing = {.at = text, .end = text + n_bytes, .name = name};
    struct phi_events events = {0};
    enum ph_status status;

    if (n_bytes > PHI_EVENTS_MAX_BYTES)
        return phi_error(reterr, PH_E_LIMIT, "%s: larger than an events table may be", name);
    status = parse_head(&parsing, reterr);
    if (status)
        return status;
    /* A row has at least 4 bytes ("0\t0\n"), so this is a constant times what is there. */
    events.rows = phi_calloc(count_lines(parsing.at, (size_t)(parsing.end - parsing.at)) + 1,
                             sizeof *events.rows);
    if (!events.rows)
        return phi_error_nomem(reterr, "an events table", n_bytes);
    status = parse_rows(&parsing, &events, reterr);
    if (status) {
        phi_events_free(&events);
        return status;
    }
    *ret_events = events;
    return PH_OK;
}

enum ph_status phi_events_read(const char *path, struct phi_events *ret_events,
                               struct ph_error *reterr)
{
    unsigned char *bytes;
    size_t n_bytes;
    enum ph_status status = phi_file_read(path, PHI_EVENTS_MAX_BYTES, &bytes, &n_bytes, reterr);

    if (status)
        return status;
    status = phi_events_parse((const char *)bytes, n_bytes, path, ret_events, reterr);
    phi_free(bytes);
    return status;
}

/* Which of the optional columns any row uses. */
static void used_columns(const struct ph_event *rows, size_t n, bool used[N_COLUMNS])
{
    used[COLUMN_ONSET] = used[COLUMN_DURATION] = true;
    for (size_t i = 0; i < n; i++) {
        used[COLUMN_TRIAL_TYPE] |= rows[i].trial_type[0] != '\0';
        used[COLUMN_STIMULUS] |= rows[i].stim_file[0] != '\0';
        used[COLUMN_STIM_INDEX] |= rows[i].stim_index >= 0;
        used[COLUMN_AMPLITUDE] |= rows[i].amplitude != 1;
    }
}

/* A tab or line break inside a text would break the table. */
static void add_text(struct phi_str *str, const char *text)
{
    phi_str_addf(str, "\t%s", text[0] && !strpbrk(text, "\t\r\n") ? text : "n/a");
}

static void add_row(struct phi_str *str, const struct ph_event *row, const bool used[N_COLUMNS])
{
    phi_str_addf(str, "%.12g\t%.12g", row->onset_s, row->duration_s);
    if (used[COLUMN_TRIAL_TYPE])
        add_text(str, row->trial_type);
    if (used[COLUMN_STIMULUS])
        add_text(str, row->stim_file);
    if (used[COLUMN_STIM_INDEX] && row->stim_index >= 0)
        phi_str_addf(str, "\t%d", (int)row->stim_index);
    else if (used[COLUMN_STIM_INDEX])
        phi_str_addf(str, "\tn/a");
    if (used[COLUMN_AMPLITUDE])
        phi_str_addf(str, "\t%.12g", row->amplitude);
    phi_str_addf(str, "\n");
}

enum ph_status phi_events_write(const char *path, const struct ph_event *rows, size_t n,
                                struct ph_error *reterr)
{
    char *memory = phi_calloc2(n + 1, MAX_ROW, 1);
    bool used[N_COLUMNS] = {false};
    struct phi_str str;
    enum ph_status status;

    if (!memory)
        return phi_error_nomem(reterr, "an events table", n);
    str = phi_str_over(memory, (n + 1) * MAX_ROW);
    used_columns(rows, n, used);
    for (int i = COLUMN_ONSET; i < N_COLUMNS; i++)
        if (used[i])
            phi_str_addf(&str, "%s%s", i == COLUMN_ONSET ? "" : "\t", column_names[i]);
    phi_str_addf(&str, "\n");
    for (size_t i = 0; i < n; i++)
        add_row(&str, &rows[i], used);
    status = phi_file_write(path, str.text, str.length, reterr);
    phi_free(memory);
    return status;
}

void phi_events_free(struct phi_events *events)
{
    phi_free(events->rows);
    *events = (struct phi_events){0};
}

enum ph_status phi_events_describe(const char *path, struct ph_error *reterr)
{
    static const char text[] =
        "{\n"
        "  \"trial_type\": {\"Description\": \"condition\"},\n"
        "  \"stimulus\": {\"Description\": \"name of the stimulus in its set\"},\n"
        "  \"stim_index\": {\"Description\": \"row of the stimulus in its set, from 0\"},\n"
        "  \"amplitude\": {\"Description\": \"strength of the event, 1 if not given\"}\n"
        "}\n";

    return phi_file_write(path, text, sizeof text - 1, reterr);
}
