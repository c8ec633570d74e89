/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli.h"
#include "io/file.h"
#include "report/report.h"

struct args {
    const char *dir, *stimuli, *first, *latents, *live, *send, *title, *label;
    bool json;
};

/* The JSON that another command printed into a file; NULL (and an error) if it is none. */
static json_t *load(const char *path, struct ph_error *reterr)
{
    json_error_t where;
    json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, &where);

    if (!json)
        (void)phi_error(reterr, PH_E_FORMAT, "%s:%d:%d: %s", path, where.line, where.column,
                        where.text);
    return json;
}

static enum ph_status add_live(json_t *report, const char *path, struct ph_error *reterr)
{
    json_t *live = load(path, reterr);

    if (!live)
        return PH_E_FORMAT;
    (void)json_object_set(report, "latency_ms", json_object_get(live, "latency_ms"));
    json_decref(live);
    return PH_OK;
}

static enum ph_status add_send(json_t *volumes, const char *path, struct ph_error *reterr)
{
    json_t *send = load(path, reterr);

    if (!send)
        return PH_E_FORMAT;
    (void)json_object_set(volumes, "sent", json_object_get(send, "volumes"));
    (void)json_object_set(volumes, "lost", json_object_get(send, "lost"));
    (void)json_object_set(volumes, "duplicates", json_object_get(send, "duplicates"));
    json_decref(send);
    return PH_OK;
}

static enum ph_status add_scores(json_t *report, const struct args *a, struct ph_error *reterr)
{
    struct report_scores scores[REPORT_MAX_GENERATORS] = {{.n = 0}};
    struct phi_stimuli *set = NULL;
    json_t *generators = json_object();
    size_t n = 0;
    enum ph_status status = phi_stimuli_open(a->stimuli, &set, reterr);

    (void)json_object_set_new(report, "generators", generators);
    if (status == PH_OK)
        status = report_score(a->dir, set, a->first, scores, &n, reterr);
    for (size_t i = 0; i < n; i++)
        if (scores[i].json)
            (void)json_object_set_new(generators, scores[i].generator, scores[i].json);
    if (status == PH_OK && n > 0) { /* the first generator's stand at the top */
        (void)json_object_set(report, "identification_2way",
                              json_object_get(scores[0].json, "identification_2way"));
        (void)json_object_set(report, "identification_10way",
                              json_object_get(scores[0].json, "identification_10way"));
    }
    phi_stimuli_close(&set);
    return status;
}

static enum ph_status add_latents(json_t *report, const struct args *a, struct ph_error *reterr)
{
    json_t *course = NULL;
    enum ph_status status = report_latents(a->dir, a->latents, &course, reterr);

    if (status == PH_OK)
        (void)json_object_set_new(report, "latents", course);
    return status;
}

static enum ph_status add_journal(json_t *report, const struct args *a, struct ph_error *reterr)
{
    json_t *journal = NULL;
    json_t *volumes;
    char path[PHI_PATH_MAX];
    enum ph_status status;

    if (phi_path_join(path, sizeof path, a->dir, "journal") && !phi_path_exists(path) && !a->send)
        return PH_OK; /* a run of files keeps none */
    status = report_journal(a->dir, &journal, reterr);
    volumes = json_object();
    (void)json_object_set_new(report, "volumes", volumes);
    if (status != PH_OK)
        return status;
    (void)json_object_set(volumes, "journalled", json_object_get(journal, "volumes"));
    (void)json_object_set_new(report, "journal", journal);
    return a->send ? add_send(volumes, a->send, reterr) : PH_OK;
}

static enum ph_status write_files(const json_t *report, const struct args *a,
                                  struct ph_error *reterr)
{
    char path[PHI_PATH_MAX];
    char *text = json_dumps(report, JSON_INDENT(2));
    enum ph_status status;

    if (!text || !phi_path_join(path, sizeof path, a->dir, "report.json"))
        status = phi_error_nomem(reterr, "the report", 0);
    else
        status = phi_file_write(path, text, strlen(text), reterr);
    if (status == PH_OK && a->json)
        printf("%s\n", text);
    free(text);
    if (status == PH_OK && phi_path_join(path, sizeof path, a->dir, "report.html"))
        status = report_html(a->dir, report, path, reterr);
    return status;
}

static void print_line(const json_t *report, const char *key, const char *name)
{
    const json_t *score = json_object_get(report, key);
    const json_t *interval = json_object_get(score, "ci95");

    if (json_is_object(score))
        printf("%s %.3f [%.3f, %.3f], chance %.2f, n = %lld\n", name,
               json_number_value(json_object_get(score, "value")),
               json_number_value(json_array_get(interval, 0)),
               json_number_value(json_array_get(interval, 1)),
               json_number_value(json_object_get(score, "chance")),
               (long long)json_integer_value(json_object_get(score, "n")));
}

static int make_report(const struct args *a)
{
    json_t *report = json_object();
    struct ph_error err;
    enum ph_status status = PH_OK;
    int code;

    (void)json_object_set_new(report, "title", json_string(a->title));
    (void)json_object_set_new(report, "label", json_string(a->label));
    if (a->stimuli)
        status = add_scores(report, a, &err);
    if (status == PH_OK && a->latents)
        status = add_latents(report, a, &err);
    if (status == PH_OK)
        status = add_journal(report, a, &err);
    if (status == PH_OK && a->live)
        status = add_live(report, a->live, &err);
    code = status == PH_OK ? CLI_DONE : cli_fail(&err);
    if (status == PH_OK && write_files(report, a, &err) != PH_OK)
        code = cli_fail_as(CLI_CANNOT_WRITE, &err);
    if (code == CLI_DONE && !a->json) {
        print_line(report, "identification_2way", "identification, 1 of 2: ");
        print_line(report, "identification_10way", "identification, 1 of 10:");
        printf("%s/report.json and report.html\n", a->dir);
    }
    json_decref(report);
    return code;
}

static int run_report(const struct cli_command *self, int argc, char **argv)
{
    struct args a = {.title = "Recording", .label = ""};
    const struct cli_option options[] = {
        {CLI_TEXT, "stimuli", &a.stimuli, "DIR", "what was shown (phos stimuli); scores pictures"},
        {CLI_TEXT, "first", &a.first, "NAME", "generator whose scores come first"},
        {CLI_TEXT, "latents", &a.latents, "FILE",
         "true 'latents' [stimulus][p]: calibration, identification against time"},
        {CLI_TEXT, "live", &a.live, "FILE.json", "what 'phos live --json' printed: latency"},
        {CLI_TEXT, "send", &a.send, "FILE.json", "what 'phos send --json' printed: volumes"},
        {CLI_TEXT, "title", &a.title, "TEXT", "title of the page"},
        {CLI_TEXT, "label", &a.label, "TEXT", "what kind of data this is"},
        CLI_JSON(&a.json),
        CLI_END};
    struct cli_args args;
    int code = cli_parse(self, options, argc, argv, &args);

    if (code >= 0)
        return code;
    if (args.n != 1)
        return cli_usage(self, "one RECORDING folder, please");
    a.dir = args.operands[0];
    return make_report(&a);
}

const struct cli_command cmd_report = {
    .name = "report",
    .summary = "say how a recorded run went: report.json and a page",
    .operands = "RECORDING",
    .text =
        "Scores the recorded pictures of each stimulus' last showing against what was shown\n"
        "(identification with chance, interval and permutation test), and with --latents what\n"
        "was known of each trial at each second after its onset; counts the journal, and writes\n"
        "report.json and report.html, which opens without a network.",
    .examples = "phos report recording --stimuli stimuli/test\n"
                "phos report recording --stimuli stimuli/test --live live.json --send send.json",
    .run = run_report,
};
