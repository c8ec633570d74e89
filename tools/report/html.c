/* SPDX-License-Identifier: MIT
 *
 * One self-contained page: pictures go in as base64, plots as inline SVG, styles inline.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/file.h"
#include "report/report.h"

#define MAX_PICTURE_BYTES ((size_t)32 << 20)
#define MAX_TABLE_BYTES   ((size_t)64 << 20)
#define MAX_POINTS        20000

static void put_text(FILE *out, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '<':
            (void)fputs("&lt;", out);
            break;
        case '>':
            (void)fputs("&gt;", out);
            break;
        case '&':
            (void)fputs("&amp;", out);
            break;
        case '"':
            (void)fputs("&quot;", out);
            break;
        default:
            (void)fputc(*text, out);
        }
}

static void put_base64(FILE *out, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        unsigned long group = (unsigned long)bytes[i] << 16 |
                              (i + 1 < n ? (unsigned long)bytes[i + 1] << 8 : 0) |
                              (i + 2 < n ? bytes[i + 2] : 0);

        (void)fputc(digits[group >> 18 & 63], out);
        (void)fputc(digits[group >> 12 & 63], out);
        (void)fputc(i + 1 < n ? digits[group >> 6 & 63] : '=', out);
        (void)fputc(i + 2 < n ? digits[group & 63] : '=', out);
    }
}

/* The picture `name` of the recording, if it is there. */
static void put_picture(FILE *out, const char *dir, const char *name, const char *caption)
{
    char path[PHI_PATH_MAX];
    unsigned char *bytes = NULL;
    size_t n;

    if (!phi_path_join(path, sizeof path, dir, name) || !phi_path_exists(path) ||
        phi_file_read(path, MAX_PICTURE_BYTES, &bytes, &n, NULL) != PH_OK)
        return;
    (void)fprintf(out, "<figure><img alt=\"%s\" src=\"data:image/png;base64,", caption);
    put_base64(out, bytes, n);
    (void)fprintf(out, "\"><figcaption>%s</figcaption></figure>\n", caption);
    phi_free(bytes);
}

static void put_score(FILE *out, const json_t *scores, const char *key, const char *name)
{
    const json_t *score = json_object_get(scores, key);
    const json_t *interval = json_object_get(score, "ci95");

    if (!score)
        return;
    (void)fprintf(out, "<tr><td>%s</td><td>%.3f</td>", name,
                  json_number_value(json_object_get(score, "value")));
    if (interval)
        (void)fprintf(out, "<td>%.3f to %.3f</td><td>%.3f</td><td>%.2g</td><td>%lld</td></tr>\n",
                      json_number_value(json_array_get(interval, 0)),
                      json_number_value(json_array_get(interval, 1)),
                      json_number_value(json_object_get(score, "chance")),
                      json_number_value(json_object_get(score, "p")),
                      (long long)json_integer_value(json_object_get(score, "n")));
    else
        (void)fprintf(out, "<td></td><td>%.3f (mean picture)</td><td></td><td></td></tr>\n",
                      json_number_value(json_object_get(score, "mean_picture")));
}

static void put_scores(FILE *out, const json_t *report)
{
    const char *name;
    json_t *scores;

    json_object_foreach(json_object_get(report, "generators"), name, scores)
    {
        (void)fputs("<h2>", out);
        put_text(out, name);
        (void)fputs("</h2><table><tr><th>score</th><th>value</th><th>95 % interval</th>"
                    "<th>chance</th><th>p</th><th>n</th></tr>\n",
                    out);
        put_score(out, scores, "identification_2way", "identification, 1 of 2");
        put_score(out, scores, "identification_10way", "identification, 1 of 10");
        put_score(out, scores, "pixel_correlation", "pixel correlation");
        put_score(out, scores, "ssim", "SSIM (11 x 11 Gaussian)");
        (void)fputs("</table>\n", out);
    }
}

/* One column of a tab-separated table; values that are no numbers are NaN. Returns how many. */
static size_t read_column(const char *table, const char *name, double *values)
{
    int column = 0;
    size_t n = 0;
    const char *at = table;

    for (;; column++) { /* find the name in the header */
        size_t length = strcspn(at, "\t\r\n");

        if (length == strlen(name) && strncmp(at, name, length) == 0)
            break;
        if (at[length] != '\t')
            return 0;
        at += length + 1;
    }
    for (at = strchr(table, '\n'); at && at[1] && n < MAX_POINTS; at = strchr(at + 1, '\n')) {
        const char *field = at + 1;
        char text[64];

        for (int k = 0; k < column && field; k++) {
            field = strpbrk(field, "\t\n");
            field = field && *field == '\t' ? field + 1 : NULL;
        }
        values[n] = NAN;
        if (field) {
            (void)snprintf(text, sizeof text, "%.*s", (int)strcspn(field, "\t\r\n"), field);
            if (!phi_parse_double(text, &values[n]))
                values[n] = NAN;
        }
        n++;
    }
    return n;
}

/* A line of a plot. */
static void put_line(FILE *out, const double *values, size_t n, double low, double high,
                     const char *colour)
{
    bool pen_down = false;

    (void)fprintf(out, "<path fill=\"none\" stroke=\"%s\" d=\"", colour);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            pen_down = false;
            continue;
        }
        (void)fprintf(out, "%s%.1f %.1f", pen_down ? "L" : "M",
                      60 + 830.0 * (double)i / (double)(n > 1 ? n - 1 : 1),
                      120 - 110 * (values[i] - low) / (high - low));
        pen_down = true;
    }
    (void)fputs("\"/>", out);
}

/* One picture of up to three columns of a table on one scale; a column that is not there, or holds
 * no number, is left out. */
struct plot {
    const char *title;
    const char *columns[4]; /* NULL-terminated */
};

static void put_plot(FILE *out, const char *table, const struct plot *plot, double *values)
{
    static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73"};
    double low = INFINITY;
    double high = -INFINITY;

    for (int k = 0; plot->columns[k]; k++) {
        size_t n = read_column(table, plot->columns[k], values);

        for (size_t i = 0; i < n; i++)
            if (isfinite(values[i])) {
                low = fmin(low, values[i]);
                high = fmax(high, values[i]);
            }
    }
    if (!(high >= low))
        return;
    if (!(high > low))
        high = low + 1;
    (void)fprintf(out,
                  "<figure><svg viewBox=\"0 0 900 140\"><rect x=\"60\" y=\"10\" width=\"830\" "
                  "height=\"110\" fill=\"none\" stroke=\"#ccc\"/><text x=\"54\" y=\"18\" "
                  "text-anchor=\"end\">%.4g</text><text x=\"54\" y=\"120\" "
                  "text-anchor=\"end\">%.4g</text>",
                  high, low);
    for (int k = 0; plot->columns[k]; k++) {
        size_t n = read_column(table, plot->columns[k], values);

        put_line(out, values, n, low, high, colours[k]);
    }
    (void)fputs("</svg><figcaption>", out);
    (void)fputs(plot->title, out);
    for (int k = 0; plot->columns[1] && plot->columns[k]; k++)
        (void)fprintf(out, "%s <span style=\"color:%s\">%s</span>", k ? "," : ":", colours[k],
                      plot->columns[k]);
    (void)fputs("</figcaption></figure>\n", out);
}

static void put_quality(FILE *out, const char *dir)
{
    static const struct plot plots[] = {
        {"shift, mm", {"trans_x", "trans_y", "trans_z"}},
        {"rotation, rad", {"rot_x", "rot_y", "rot_z"}},
        {"framewise displacement, mm", {"framewise_displacement"}},
        {"DVARS, standardised", {"std_dvars"}},
        {"DVARS, data scaled to a median of 1000", {"dvars"}},
        {"global signal", {"global_signal"}},
        {"mean signal of tissues", {"white_matter", "csf"}},
        {"tSNR so far, median over voxels", {"tsnr"}},
        {"share of outlying voxels", {"outlier_fraction"}},
        {"global correlation", {"gcor"}},
        {"drift since the start, %", {"drift_percent"}},
    };
    unsigned char *table = NULL;
    char path[PHI_PATH_MAX];
    size_t n_bytes;
    double *values = phi_calloc(MAX_POINTS, sizeof *values);

    if (values && report_find(dir, "_desc-confounds_timeseries.tsv", path) &&
        phi_file_read(path, MAX_TABLE_BYTES, &table, &n_bytes, NULL) == PH_OK) {
        (void)fputs("<h2>Signal</h2>\n", out);
        for (size_t i = 0; i < sizeof plots / sizeof *plots; i++)
            put_plot(out, (const char *)table, &plots[i], values);
    }
    phi_free(table);
    phi_free(values);
}

/* The maps that the run has left: map.png, map-2.png ... */
static void put_maps(FILE *out, const char *dir)
{
    char name[32] = "map.png";

    for (int i = 2; i <= 5; i++) {
        put_picture(out, dir, name, "t map at the end of the run");
        (void)snprintf(name, sizeof name, "map-%d.png", i);
    }
}

static void put_figures(FILE *out, const json_t *report)
{
    const json_t *latency = json_object_get(report, "latency_ms");
    const json_t *volumes = json_object_get(report, "volumes");

    (void)fputs("<h2>The run</h2><table>\n", out);
    (void)fprintf(out, "<tr><td>volumes in the journal</td><td>%lld</td></tr>\n",
                  (long long)json_integer_value(json_object_get(volumes, "journalled")));
    if (json_object_get(volumes, "sent"))
        (void)fprintf(out, "<tr><td>sent, lost, doubled</td><td>%lld, %lld, %lld</td></tr>\n",
                      (long long)json_integer_value(json_object_get(volumes, "sent")),
                      (long long)json_integer_value(json_object_get(volumes, "lost")),
                      (long long)json_integer_value(json_object_get(volumes, "duplicates")));
    if (latency)
        (void)fprintf(out,
                      "<tr><td>volume complete to decoded: median, 99th percentile, "
                      "largest</td><td>%.1f, %.1f, %.1f ms</td></tr>\n",
                      json_number_value(json_object_get(latency, "p50")),
                      json_number_value(json_object_get(latency, "p99")),
                      json_number_value(json_object_get(latency, "max")));
    (void)fputs("</table>\n", out);
}

static const char page_head[] =
    "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
    "content=\"width=device-width, initial-scale=1\"><title>Phosphene report</title><style>"
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "img,svg{max-width:100%;height:auto}figure{margin:1rem 0}figcaption{color:#666}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem;border-bottom:1px solid #ddd;"
    "text-align:left}svg text{font:12px sans-serif;fill:#666}.label{background:#fff3d6;"
    "padding:.4rem .8rem}</style></head><body>\n";

enum ph_status report_html(const char *dir, const json_t *report, const char *path,
                           struct ph_error *reterr)
{
    const char *title = json_string_value(json_object_get(report, "title"));
    const char *label = json_string_value(json_object_get(report, "label"));
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    enum ph_status status;

    if (!out)
        return phi_error_nomem(reterr, "a page", 0);
    (void)fputs(page_head, out);
    (void)fputs("<h1>", out);
    put_text(out, title && title[0] ? title : "Recording");
    (void)fputs("</h1>\n", out);
    if (label && label[0]) {
        (void)fputs("<p class=\"label\">", out);
        put_text(out, label);
        (void)fputs("</p>\n", out);
    }
    put_scores(out, report);
    put_picture(out, dir, "film.png", "every stimulus as it was decoded (above) and shown (below)");
    put_figures(out, report);
    put_maps(out, dir);
    put_quality(out, dir);
    put_picture(out, dir, REPORT_COURSE, "trials as they became known: newest statements");
    put_picture(out, dir, REPORT_CALIBRATION, "do intervals hold as often as they say");
    put_picture(out, dir, "window.png", "the operator's window at the end of the run");
    (void)fputs("</body></html>\n", out);
    if (fclose(out) != 0)
        status = phi_error_nomem(reterr, "a page", n);
    else
        status = phi_file_write(path, text, n, reterr);
    free(text);
    return status;
}
