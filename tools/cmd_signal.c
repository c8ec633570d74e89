/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli.h"
#include "display/curves.h"
#include "display/palette.h"
#include "io/file.h"
#include "io/png.h"
#include "signal/spectrum.h"

#define MAX_TABLE   ((size_t)64 << 20)
#define MAX_COLUMNS 4
#define MAX_ROWS    ((size_t)1 << 20)
#define PLOT_WIDTH  1100
#define PLOT_HEIGHT 700

struct args {
    const char *table, *columns, *band, *notch, *out, *spectrum, *plot;
    double tr_s, notch_width_hz, respiration_hz, heart_hz;
    int64_t segment;
    bool causal;
};

struct signal {
    char names[MAX_COLUMNS][64];
    size_t n_columns;
    size_t n;                      /* rows */
    double *values[MAX_COLUMNS];   /* [n] as they stand, gaps bridged */
    double *filtered[MAX_COLUMNS]; /* [n] */
    bool *missing;                 /* [n] a value of the row was no number */
    struct phi_iir iir;
    double low_hz, high_hz;
    double *density[2 * MAX_COLUMNS]; /* [segment / 2 + 1] of values, then of filtered */
};

static enum ph_status parse_numbers(const char *text, const char *what, double *values, size_t max,
                                    size_t *ret_n, struct ph_error *reterr)
{
    char copy[256];
    char *rest = copy;
    char *item;

    *ret_n = 0;
    if (!phi_str_copy(copy, sizeof copy, text))
        return phi_error(reterr, PH_E_LIMIT, "--%s is too long", what);
    while (text[0] && (item = strsep(&rest, ","))) {
        if (*ret_n == max)
            return phi_error(reterr, PH_E_LIMIT, "--%s takes at most %zu numbers", what, max);
        if (!phi_parse_double(item, &values[(*ret_n)++]))
            return phi_error(reterr, PH_E_INVAL, "--%s: '%s' is no number", what, item);
    }
    return PH_OK;
}

static enum ph_status make_filters(const struct args *a, struct signal *s, struct ph_error *reterr)
{
    double band[2] = {0, 0};
    double notches[PHI_IIR_MAX_SECTIONS];
    size_t n_band, n_notches;
    enum ph_status status = parse_numbers(a->band, "band", band, 2, &n_band, reterr);

    phi_iir_init(&s->iir);
    if (status == PH_OK)
        status =
            parse_numbers(a->notch, "notch", notches, PHI_IIR_MAX_SECTIONS, &n_notches, reterr);
    if (status == PH_OK && n_band == 1)
        status = phi_error(reterr, PH_E_INVAL, "--band takes two numbers, as 0.01,0.1; 0 is open");
    if (status != PH_OK)
        return status;
    s->low_hz = band[0];
    s->high_hz = band[1];
    if (a->causal && (s->low_hz > 0 || s->high_hz > 0))
        status = phi_iir_add_band(&s->iir, 1 / a->tr_s, s->low_hz, s->high_hz, reterr);
    for (size_t i = 0; i < n_notches && status == PH_OK; i++)
        status = phi_iir_add_notch(&s->iir, 1 / a->tr_s, notches[i], a->notch_width_hz, reterr);
    return status;
}

/* The place of column `name` in the header; -1 if it is not there. */
static int find_column(const char *header, const char *name)
{
    size_t length = strlen(name);
    int column = 0;

    for (const char *at = header;; column++) {
        size_t n = strcspn(at, "\t\r\n");

        if (n == length && strncmp(at, name, n) == 0)
            return column;
        if (at[n] != '\t')
            return -1;
        at += n + 1;
    }
}

static double read_cell(const char *row, int column)
{
    char text[64];
    double value;

    for (; column > 0 && row; column--) {
        row = strpbrk(row, "\t\n");
        row = row && *row == '\t' ? row + 1 : NULL;
    }
    if (!row)
        return NAN;
    (void)snprintf(text, sizeof text, "%.*s", (int)strcspn(row, "\t\r\n"), row);
    return phi_parse_double(text, &value) ? value : (double)NAN;
}

static enum ph_status read_columns(const struct args *a, const char *table, struct signal *s,
                                   struct ph_error *reterr)
{
    int columns[MAX_COLUMNS];

    for (size_t k = 0; k < s->n_columns; k++) {
        columns[k] = find_column(table, s->names[k]);
        if (columns[k] < 0)
            return phi_error(reterr, PH_E_FORMAT, "'%s' has no column '%s'", a->table, s->names[k]);
    }
    s->n = 0;
    for (const char *at = strchr(table, '\n'); at && at[1]; at = strchr(at + 1, '\n'))
        s->n++;
    if (s->n < 4 || s->n > MAX_ROWS)
        return phi_error(reterr, PH_E_LIMIT, "'%s' has %zu rows: 4 to %zu make a signal", a->table,
                         s->n, MAX_ROWS);
    s->missing = phi_calloc(s->n, sizeof *s->missing);
    for (size_t k = 0; k < s->n_columns; k++) {
        s->values[k] = phi_calloc(s->n, sizeof(double));
        s->filtered[k] = phi_calloc(s->n, sizeof(double));
        if (!s->missing || !s->values[k] || !s->filtered[k])
            return phi_error_nomem(reterr, "a signal", s->n);
    }
    for (size_t t = 0; t < s->n; t++) {
        table = strchr(table, '\n') + 1;
        for (size_t k = 0; k < s->n_columns; k++)
            s->values[k][t] = read_cell(table, columns[k]);
    }
    return PH_OK;
}

/* Rows without a number repeat the one before (the first number, at the start) and are marked. */
static enum ph_status bridge(struct signal *s, struct ph_error *reterr)
{
    for (size_t k = 0; k < s->n_columns; k++) {
        size_t first = 0;

        while (first < s->n && !isfinite(s->values[k][first]))
            first++;
        if (first == s->n)
            return phi_error(reterr, PH_E_FORMAT, "column '%s' holds no number", s->names[k]);
        for (size_t t = 0; t < s->n; t++)
            if (!isfinite(s->values[k][t])) {
                s->missing[t] = true;
                s->values[k][t] = s->values[k][t < first ? first : t - 1];
            }
    }
    return PH_OK;
}

static enum ph_status read_table(const struct args *a, struct signal *s, struct ph_error *reterr)
{
    char copy[256];
    char *rest = copy;
    char *item;
    unsigned char *table = NULL;
    size_t n;
    enum ph_status status;

    if (!phi_str_copy(copy, sizeof copy, a->columns))
        return phi_error(reterr, PH_E_LIMIT, "--columns is too long");
    while ((item = strsep(&rest, ",")))
        if (s->n_columns == MAX_COLUMNS)
            return phi_error(reterr, PH_E_LIMIT, "--columns takes at most %d names", MAX_COLUMNS);
        else if (!phi_str_copy(s->names[s->n_columns++], sizeof s->names[0], item))
            return phi_error(reterr, PH_E_LIMIT, "the name '%.40s...' is too long", item);
    status = phi_file_read(a->table, MAX_TABLE, &table, &n, reterr);
    if (status == PH_OK)
        status = read_columns(a, (const char *)table, s, reterr);
    phi_free(table);
    return status == PH_OK ? bridge(s, reterr) : status;
}

static enum ph_status filter_offline(const struct args *a, struct signal *s, size_t k,
                                     struct ph_error *reterr)
{
    struct phi_bandpass *band = NULL;
    enum ph_status status = PH_OK;

    memcpy(s->filtered[k], s->values[k], s->n * sizeof(double));
    if (s->low_hz > 0 || s->high_hz > 0)
        status = phi_bandpass_create(s->n, 1 / a->tr_s, s->low_hz, s->high_hz, &band, reterr);
    if (status == PH_OK && band)
        status = phi_bandpass_process(band, s->filtered[k], s->filtered[k]);
    phi_bandpass_destroy(&band);
    if (status == PH_OK)
        status = phi_iir_both_ways(&s->iir, s->filtered[k], s->n, s->filtered[k], reterr);
    return status;
}

static enum ph_status filter_all(const struct args *a, struct signal *s, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    for (size_t k = 0; k < s->n_columns && status == PH_OK; k++) {
        if (!a->causal) {
            status = filter_offline(a, s, k, reterr);
            continue;
        }
        phi_iir_reset(&s->iir);
        for (size_t t = 0; t < s->n; t++)
            s->filtered[k][t] =
                phi_iir_step(&s->iir, s->missing[t] ? (double)NAN : s->values[k][t]);
    }
    return status;
}

static enum ph_status make_spectra(const struct args *a, struct signal *s, struct ph_error *reterr)
{
    struct phi_welch *welch = NULL;
    size_t segment = (size_t)a->segment;
    enum ph_status status = phi_welch_create(segment, 1 / a->tr_s, &welch, reterr);

    for (size_t k = 0; k < 2 * s->n_columns && status == PH_OK; k++) {
        const double *series = k < s->n_columns ? s->values[k] : s->filtered[k - s->n_columns];

        s->density[k] = phi_calloc(segment / 2 + 1, sizeof(double));
        if (!s->density[k])
            status = phi_error_nomem(reterr, "a spectrum", segment);
        else if (phi_welch_process(welch, series, s->n, s->density[k]) == 0)
            status =
                phi_error(reterr, PH_E_INVAL,
                          "the signal has %zu samples, a segment %zu: choose --segment smaller",
                          s->n, segment);
    }
    phi_welch_destroy(&welch);
    return status;
}

static enum ph_status open_out(const char *path, FILE **ret_file, struct ph_error *reterr)
{
    *ret_file = fopen(path, "we");
    return *ret_file ? PH_OK : phi_error_os(reterr, PH_E_IO, errno, "cannot write '%s'", path);
}

static enum ph_status close_out(const char *path, FILE *file, struct ph_error *reterr)
{
    bool good = ferror(file) == 0;

    good = fclose(file) == 0 && good;
    return good ? PH_OK : phi_error_os(reterr, PH_E_IO, errno, "cannot write '%s'", path);
}

static enum ph_status write_signal(const struct args *a, const struct signal *s,
                                   struct ph_error *reterr)
{
    FILE *file;
    enum ph_status status = open_out(a->out, &file, reterr);

    if (status != PH_OK)
        return status;
    (void)fputs("time_s", file);
    for (size_t k = 0; k < s->n_columns; k++)
        (void)fprintf(file, "\t%s", s->names[k]);
    for (size_t t = 0; t < s->n; t++) {
        (void)fprintf(file, "\n%.9g", (double)t * a->tr_s);
        for (size_t k = 0; k < s->n_columns; k++)
            if (s->missing[t])
                (void)fputs("\tn/a", file);
            else
                (void)fprintf(file, "\t%.9g", s->filtered[k][t]);
    }
    (void)fputc('\n', file);
    return close_out(a->out, file, reterr);
}

static enum ph_status write_spectrum(const struct args *a, const struct signal *s,
                                     struct ph_error *reterr)
{
    FILE *file;
    enum ph_status status = open_out(a->spectrum, &file, reterr);

    if (status != PH_OK)
        return status;
    (void)fputs("frequency_hz", file);
    for (size_t k = 0; k < s->n_columns; k++)
        (void)fprintf(file, "\t%s\t%s_filtered", s->names[k], s->names[k]);
    for (int64_t i = 0; i <= a->segment / 2; i++) {
        (void)fprintf(file, "\n%.9g", (double)i / ((double)a->segment * a->tr_s));
        for (size_t k = 0; k < s->n_columns; k++)
            (void)fprintf(file, "\t%.9g\t%.9g", s->density[k][i], s->density[s->n_columns + k][i]);
    }
    (void)fputc('\n', file);
    return close_out(a->spectrum, file, reterr);
}

static void name_traces(const struct signal *s, struct phi_shown_curves *curves)
{
    curves->n_traces = (uint32_t)(2 * s->n_columns);
    for (size_t k = 0; k < s->n_columns; k++) {
        (void)snprintf(curves->names[k], sizeof curves->names[k], "%.20s", s->names[k]);
        (void)snprintf(curves->names[s->n_columns + k], sizeof curves->names[0], "%.11s, filtered",
                       s->names[k]);
    }
}

/* The newest samples, each less its mean, so that a band-pass lies over what it was made of. */
static void courses_of(const struct args *a, const struct signal *s,
                       struct phi_shown_curves *curves)
{
    size_t n = s->n < PH_MAX_POINTS ? s->n : PH_MAX_POINTS;

    *curves = (struct phi_shown_curves){.title = "signals less their means",
                                        .x_unit = "s",
                                        .dx = a->tr_s,
                                        .x0 = a->tr_s * (double)(s->n - n),
                                        .n_points = (uint32_t)n};
    name_traces(s, curves);
    for (size_t k = 0; k < 2 * s->n_columns; k++) {
        const double *series = k < s->n_columns ? s->values[k] : s->filtered[k - s->n_columns];
        double mean = 0;

        for (size_t t = 0; t < s->n; t++)
            mean += series[t] / (double)s->n;
        for (size_t i = 0; i < n; i++)
            curves->values[k][i] = (float)(series[s->n - n + i] - mean);
    }
}

static void add_mark(const struct args *a, struct phi_shown_curves *curves, double hz,
                     const char *what)
{
    struct ph_band *band = &curves->bands[curves->n_bands];

    if (!(hz > 0))
        return;
    curves->n_bands++;
    band->from = band->to = phi_spectrum_alias_hz(hz, 1 / a->tr_s);
    (void)snprintf(band->label, sizeof band->label, "%s", what);
}

static void spectra_of(const struct args *a, const struct signal *s,
                       struct phi_shown_curves *curves)
{
    *curves = (struct phi_shown_curves){.title = "power",
                                        .x_unit = "Hz",
                                        .y_unit = "1/Hz",
                                        .dx = 1 / ((double)a->segment * a->tr_s),
                                        .log_y = true,
                                        .n_points = (uint32_t)a->segment / 2 + 1};
    name_traces(s, curves);
    for (size_t k = 0; k < 2 * s->n_columns; k++)
        for (uint32_t i = 0; i < curves->n_points; i++)
            curves->values[k][i] = i ? (float)s->density[k][i] : NAN;
    add_mark(a, curves, a->respiration_hz, "breath");
    add_mark(a, curves, a->heart_hz, "heart");
}

static enum ph_status write_plot(const struct args *a, const struct signal *s,
                                 struct ph_error *reterr)
{
    struct phi_shown_curves *curves = phi_calloc(1, sizeof *curves);
    uint8_t *rgb = phi_calloc2((size_t)PLOT_WIDTH * PLOT_HEIGHT, 3, 1);
    const struct phi_png_pixels pixels = {
        .width = PLOT_WIDTH, .height = PLOT_HEIGHT, .n_channels = 3, .pixels = rgb};
    struct phi_canvas *canvas = NULL;
    struct phi_font *font = NULL;
    enum ph_status status = PH_E_NOMEM;

    if (curves && rgb && phi_canvas_create(PLOT_WIDTH, PLOT_HEIGHT, &canvas) == PH_OK &&
        phi_font_create(NULL, 14, &font) == PH_OK) {
        phi_canvas_fill(canvas, canvas->clip, PHI_COLOUR_PANE);
        courses_of(a, s, curves);
        phi_curves_draw(canvas, font, (struct phi_rect){0, 0, PLOT_WIDTH, PLOT_HEIGHT / 2}, curves);
        spectra_of(a, s, curves);
        phi_curves_draw(canvas, font,
                        (struct phi_rect){0, PLOT_HEIGHT / 2, PLOT_WIDTH, PLOT_HEIGHT / 2}, curves);
        phi_canvas_to_rgb(canvas, rgb);
        status = phi_png_write(a->plot, &pixels, reterr);
    } else {
        status = phi_error_nomem(reterr, "a plot", (size_t)PLOT_WIDTH * PLOT_HEIGHT);
    }
    phi_font_destroy(&font);
    phi_canvas_destroy(&canvas);
    phi_free(rgb);
    phi_free(curves);
    return status;
}

static enum ph_status write_all(const struct args *a, const struct signal *s,
                                struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    if (a->out[0])
        status = write_signal(a, s, reterr);
    if (status == PH_OK && a->spectrum[0])
        status = write_spectrum(a, s, reterr);
    return status == PH_OK && a->plot[0] ? write_plot(a, s, reterr) : status;
}

static int filter_table(const struct args *a)
{
    struct signal s = {.n_columns = 0};
    struct ph_error err;
    enum ph_status status = make_filters(a, &s, &err);
    int code;

    if (status == PH_OK)
        status = read_table(a, &s, &err);
    if (status == PH_OK)
        status = filter_all(a, &s, &err);
    if (status == PH_OK && (a->spectrum[0] || a->plot[0]))
        status = make_spectra(a, &s, &err);
    code = status == PH_OK        ? CLI_DONE
           : status == PH_E_INVAL ? cli_fail_as(CLI_USAGE, &err)
                                  : cli_fail(&err);
    if (status == PH_OK && write_all(a, &s, &err) != PH_OK)
        code = cli_fail_as(CLI_CANNOT_WRITE, &err);
    for (size_t k = 0; k < MAX_COLUMNS; k++) {
        phi_free(s.values[k]);
        phi_free(s.filtered[k]);
        phi_free(s.density[2 * k]);
        phi_free(s.density[2 * k + 1]);
    }
    phi_free(s.missing);
    return code;
}

static int run_signal(const struct cli_command *self, int argc, char **argv)
{
    struct args a = {.columns = "",
                     .band = "",
                     .notch = "",
                     .out = "",
                     .spectrum = "",
                     .plot = "",
                     .notch_width_hz = 0.02,
                     .segment = 64};
    const struct cli_option options[] = {
        {CLI_TEXT, "columns", &a.columns, "NAMES", "columns, separated by commas, to 4"},
        {CLI_REAL, "tr", &a.tr_s, "S", "seconds from row to row"},
        {CLI_TEXT, "band", &a.band, "LOW,HIGH", "band to keep, Hz; 0 leaves a side open"},
        {CLI_TEXT, "notch", &a.notch, "HZ,...", "frequencies to take out"},
        {CLI_REAL, "notch-width", &a.notch_width_hz, "HZ", "distance of the -3 dB points (0.02)"},
        {CLI_BOOL, "causal", &a.causal, NULL, "filter as a live run does, with its delay"},
        {CLI_TEXT, "out", &a.out, "FILE.tsv", "filtered signals"},
        {CLI_TEXT, "spectrum", &a.spectrum, "FILE.tsv", "power spectra before and after"},
        {CLI_TEXT, "plot", &a.plot, "FILE.png", "both as a picture"},
        {CLI_INT, "segment", &a.segment, "N", "samples of a segment of the spectra (64)"},
        {CLI_REAL, "respiration", &a.respiration_hz, "HZ", "breathing rate, to mark its alias"},
        {CLI_REAL, "heart", &a.heart_hz, "HZ", "heart rate, to mark its alias"},
        CLI_END};
    struct cli_args args;
    int code = cli_parse(self, options, argc, argv, &args);

    if (code >= 0)
        return code;
    if (args.n != 1 || !a.columns[0] || !(a.tr_s > 0))
        return cli_usage(self, "one TABLE.tsv, --columns and --tr are needed");
    if (!a.out[0] && !a.spectrum[0] && !a.plot[0])
        return cli_usage(self, "nothing to write: give --out, --spectrum or --plot");
    if (a.segment < 8 || a.segment > 2 * (PH_MAX_POINTS - 1))
        return cli_usage(self, "--segment lies between 8 and %d", 2 * (PH_MAX_POINTS - 1));
    a.table = args.operands[0];
    return filter_table(&a);
}

const struct cli_command cmd_signal = {
    .name = "signal",
    .summary = "filter columns of a recorded table and show their spectra",
    .operands = "TABLE.tsv",
    .text =
        "Band-pass and notch filters on columns of a table that a run has recorded (confounds,\n"
        "regions). Without --causal they use later samples too and delay nothing; with it they\n"
        "are those of filter/regions. Rows without a number stay without one. Power spectra are\n"
        "Welch's, with lines where breathing and heartbeat appear at this TR.",
    .examples = "phos signal run_desc-regions_timeseries.tsv --columns ffa_mean --tr 2 \\\n"
                "    --band 0.01,0.1 --out filtered.tsv --plot ffa.png --heart 1.1\n"
                "phos signal run_desc-confounds_timeseries.tsv --columns global_signal --tr 2 \\\n"
                "    --notch 0.17 --causal --spectrum power.tsv",
    .run = run_signal,
};
