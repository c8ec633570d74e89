/* SPDX-License-Identifier: MIT */
#include "graph/run.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "graph/run_internal.h"

static const char *const render_names[] = {"each", "final", NULL};
static const char *const gap_names[] = {"mark", "stop", NULL};

static const struct ph_param engine_params[] = {
    PH_INT(
        struct phi_run_engine, workers, 0, 0, 64, "threads", 0,
        "Threads for work that is split inside a stage; 0 is one per core, at most 8. Results do "
        "not depend on it."),
    PH_INT(struct phi_run_engine, queue_depth, 8, 1, 256, "frames", 0,
           "Frames that may wait between two stages. Results do not depend on it."),
    PH_ENUM(struct phi_run_engine, gap, PHI_GAP_MARK, gap_names, 0,
            "What a missing volume does: it is marked and the run goes on, or the run ends."),
    PH_INT(struct phi_run_engine, max_gap, 64, 1, 100000, "volumes", 0,
           "More volumes than this missing in a row end the run."),
    PH_ENUM(struct phi_run_engine, render, PHI_RENDER_EACH, render_names, 0,
            "Which statements of the decoder become settled pictures: each one with its revisions, "
            "or only the final one about each moment."),
    PH_FLOAT(struct phi_run_engine, stale_after_tr, 2.0, 0.1, 1000.0, "TR", 0,
             "A result older than this many repetition times is marked stale."),
    PH_BOOL(struct phi_run_engine, pin, 0, 0, "Pins stage threads to cores."),
    PH_BOOL(struct phi_run_engine, realtime, 0, 0,
            "Locks memory and asks for real-time scheduling; falls back with a warning."),
    PH_PATH(struct phi_run_engine, out_dir, "", 0,
            "Folder of this run's recording; empty records nothing."),
};

const struct ph_stage_type phi_run_engine_type = {
    .struct_size = sizeof phi_run_engine_type,
    .id = "engine/engine",
    .summary = "Settings of the engine",
    .n_params = sizeof engine_params / sizeof *engine_params,
    .params = engine_params,
    .params_size = sizeof(struct phi_run_engine),
};

char *phi_run_copy_text(const char *text, size_t n)
{
    char *copy = phi_calloc(n + 1, 1);

    if (copy)
        memcpy(copy, text, n);
    return copy;
}

struct phi_run_stage *phi_run_stage_at(struct phi_run *run, size_t i)
{
    struct phi_run_stage *lists[] = {run->filters, run->generators, run->sinks};
    size_t counts[] = {run->n_filters, run->n_generators, run->n_sinks};

    if (i < 2)
        return i == 0 ? &run->source : &run->decoder;
    i -= 2;
    for (size_t k = 0; k < 3; k++) {
        if (i < counts[k])
            return &lists[k][i];
        i -= counts[k];
    }
    return NULL;
}

struct phi_run_stage *phi_run_find(struct phi_run *run, const char *name)
{
    struct phi_run_stage *stage;

    for (size_t i = 0; (stage = phi_run_stage_at(run, i)); i++)
        if (stage->type && strcmp(stage->name, name) == 0)
            return stage;
    return NULL;
}

const struct phi_run_engine *phi_run_engine(const struct phi_run *run)
{
    return phi_params_values(run->engine);
}

const char *phi_run_display(const struct phi_run *run, const char *key)
{
    for (size_t i = 0; i < run->n_display; i++)
        if (strcmp(run->display[i].key, key) == 0)
            return run->display[i].value;
    return NULL;
}

void phi_run_replace_source(struct phi_run *run, const struct ph_stage_type *type,
                            struct phi_params **params)
{
    phi_params_destroy(&run->source.params);
    phi_free(run->source.places);
    run->source = (struct phi_run_stage){.type = type, .params = *params};
    (void)phi_str_copy(run->source.name, sizeof run->source.name, strchr(type->id, '/') + 1);
    *params = NULL;
}

void phi_run_destroy(struct phi_run **run)
{
    struct phi_run_stage *stage;

    if (!run || !*run)
        return;
    for (size_t i = 0; (stage = phi_run_stage_at(*run, i)); i++) {
        phi_params_destroy(&stage->params);
        phi_free(stage->places);
    }
    for (size_t i = 0; i < (*run)->n_display; i++) {
        phi_free((*run)->display[i].key);
        phi_free((*run)->display[i].value);
    }
    phi_params_destroy(&(*run)->engine);
    phi_free((*run)->path);
    phi_free((*run)->dir);
    phi_free((*run)->title);
    phi_free(*run);
    *run = NULL;
}

enum ph_status phi_run_add_display(struct phi_run *run, const char *key, const char *value,
                                   struct ph_error *reterr)
{
    struct phi_run_setting *setting = NULL;
    char *copy = phi_run_copy_text(value, strlen(value));

    for (size_t i = 0; i < run->n_display; i++)
        if (strcmp(run->display[i].key, key) == 0)
            setting = &run->display[i];
    if (copy && !setting && run->n_display < PHI_MAX_SETTINGS) {
        setting = &run->display[run->n_display];
        setting->key = phi_run_copy_text(key, strlen(key));
        if (setting->key)
            run->n_display++;
        else
            setting = NULL;
    }
    if (!copy || !setting) {
        phi_free(copy);
        return phi_error(reterr, PH_E_LIMIT, "no room for the display setting '%s'", key);
    }
    phi_free(setting->value);
    setting->value = copy;
    return PH_OK;
}

static enum ph_status unknown_stage(struct phi_run *run, const char *name, struct ph_error *reterr)
{
    const char *names[PHI_MAX_FILTERS + PHI_MAX_GENERATORS + PHI_MAX_SINKS + 4];
    struct phi_run_stage *stage;
    size_t n = 0;
    const char *near;

    for (size_t i = 0; (stage = phi_run_stage_at(run, i)); i++)
        if (stage->type)
            names[n++] = stage->name;
    names[n++] = "engine";
    names[n++] = "display";
    near = phi_suggest(name, names, n);
    if (near)
        return phi_error(reterr, PH_E_INVAL, "there is no stage '%s'; did you mean '%s'?", name,
                         near);
    return phi_error(reterr, PH_E_INVAL, "there is no stage '%s' in this run", name);
}

static enum ph_status set_one(struct phi_run *run, const char *name, const char *key,
                              const char *value, struct ph_error *reterr)
{
    struct phi_run_stage *stage;
    enum ph_status status;

    if (strcmp(name, "engine") == 0)
        return phi_params_set(run->engine, key, value, NULL, reterr);
    if (strcmp(name, "display") == 0)
        return phi_run_add_display(run, key, value, reterr);
    stage = phi_run_find(run, name);
    if (!stage)
        return unknown_stage(run, name, reterr);
    status = phi_params_set(stage->params, key, value, NULL, reterr);
    if (status == PH_OK && stage->places)
        stage->places[phi_param_find(stage->type, key) - stage->type->params] =
            (struct phi_run_place){0, 0};
    return status;
}

enum ph_status phi_run_set(struct phi_run *run, const char *text, struct ph_error *reterr)
{
    char copy[1024];
    char *equals;
    char *dot;
    enum ph_status status;

    if (!phi_str_copy(copy, sizeof copy, text))
        return phi_error(reterr, PH_E_LIMIT, "'%.40s...' is too long", text);
    equals = strchr(copy, '=');
    dot = strchr(copy, '.');
    if (!equals || !dot || dot > equals)
        return phi_error(reterr, PH_E_INVAL, "'%s' is not of the form stage.key=value", text);
    *equals = '\0';
    *dot = '\0';
    status = set_one(run, copy, dot + 1, equals + 1, reterr);
    if (status != PH_OK)
        (void)phi_error_prefix(reterr, "setting %s", text);
    return status;
}

/* A JSON string is a YAML scalar, whatever is in it. */
static void format_quoted(const char *text, struct phi_str *out)
{
    phi_str_addf(out, "\"");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            phi_str_addf(out, "\\%c", c);
        else if (c < 0x20)
            phi_str_addf(out, "\\u%04x", c);
        else
            phi_str_addf(out, "%c", c);
    }
    phi_str_addf(out, "\"");
}

static void format_params(const struct ph_stage_type *type, const struct phi_params *params,
                          const char *indent, struct phi_str *out)
{
    for (uint32_t i = 0; i < type->n_params; i++) {
        const struct ph_param *param = &type->params[i];
        char text[4096];
        struct phi_str value = phi_str_over(text, sizeof text);

        phi_params_format(params, i, &value);
        phi_str_addf(out, "%s%s: ", indent, param->name);
        if (param->type == PH_PARAM_FLOATS)
            phi_str_addf(out, "[%s]", text);
        else if (param->type == PH_PARAM_STRING || param->type == PH_PARAM_PATH)
            format_quoted(text, out);
        else
            phi_str_addf(out, "%s", text);
        phi_str_addf(out, "%s%s\n", param->unit[0] ? "  # " : "", param->unit);
    }
}

static void format_stage(const struct phi_run_stage *stage, bool in_list, struct phi_str *out)
{
    static const char *const on_error[] = {"skip", "stop", "bypass"};
    const char *indent = in_list ? "    " : "  ";

    phi_str_addf(out, "%stype: %s\n", in_list ? "  - " : "  ", strchr(stage->type->id, '/') + 1);
    phi_str_addf(out, "%sname: %s\n", indent, stage->name);
    phi_str_addf(out, "%son_error: %s\n", indent, on_error[stage->on_error]);
    format_params(stage->type, stage->params, indent, out);
}

static void format_list(const char *title, const struct phi_run_stage *stages, size_t n,
                        struct phi_str *out)
{
    phi_str_addf(out, "%s:%s\n", title, n ? "" : " []");
    for (size_t i = 0; i < n; i++)
        format_stage(&stages[i], true, out);
}

void phi_run_format(const struct phi_run *run, struct phi_str *out)
{
    phi_str_addf(out, "phosphene: 1\ntitle: ");
    format_quoted(run->title ? run->title : "", out);
    phi_str_addf(out, "\n");
    if (run->source.type) {
        phi_str_addf(out, "source:\n");
        format_stage(&run->source, false, out);
    }
    format_list("filters", run->filters, run->n_filters, out);
    if (run->decoder.type) {
        phi_str_addf(out, "decoder:\n");
        format_stage(&run->decoder, false, out);
    }
    format_list("generators", run->generators, run->n_generators, out);
    format_list("sinks", run->sinks, run->n_sinks, out);
    phi_str_addf(out, "engine:\n");
    format_params(&phi_run_engine_type, run->engine, "  ", out);
    phi_str_addf(out, "display:%s\n", run->n_display ? "" : " {}");
    for (size_t i = 0; i < run->n_display; i++) {
        phi_str_addf(out, "  %s: ", run->display[i].key);
        format_quoted(run->display[i].value, out);
        phi_str_addf(out, "\n");
    }
}
