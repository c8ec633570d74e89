/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <libfyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/mem.h"
#include "graph/run_internal.h"

#define MAX_VALUE_BYTES 4096
#define MAX_DEPTH       8

struct parser {
    struct phi_run *run;
    const struct phi_registry *registry;
    struct ph_error *err;
};

/* Where a node begins; for mappings and sequences the place of the key above is used instead. */
static void place_of(struct fy_node *node, int *line, int *column)
{
    struct fy_token *token = fy_node_is_scalar(node) ? fy_node_get_scalar_token(node) : NULL;
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;

    if (mark) {
        *line = mark->line + 1;
        *column = mark->column + 1;
    }
}

static enum ph_status PH_PRINTF(3, 4)
    fail_at(const struct parser *p, struct fy_node *node, const char *format, ...)
{
    char text[PH_ERROR_TEXT];
    int line = 0;
    int column = 0;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    place_of(node, &line, &column);
    return phi_error(p->err, PH_E_INVAL, "%s:%d:%d: %s", p->run->path, line, column, text);
}

/* Puts file, line and column before the message that is already there. */
static enum ph_status locate(const struct parser *p, struct fy_node *node)
{
    int line = 0;
    int column = 0;

    place_of(node, &line, &column);
    return phi_error_prefix(p->err, "%s:%d:%d", p->run->path, line, column);
}

static const char *text_of(struct fy_node *node)
{
    const char *text = node && fy_node_is_scalar(node) && !fy_node_is_alias(node)
                           ? fy_node_get_scalar0(node)
                           : NULL;

    return text && strlen(text) < MAX_VALUE_BYTES ? text : NULL;
}

/* A scalar, or a flat sequence joined with commas. */
static enum ph_status value_text(const struct parser *p, struct fy_node *key, struct fy_node *node,
                                 char text[MAX_VALUE_BYTES])
{
    struct phi_str out = phi_str_over(text, MAX_VALUE_BYTES);
    void *at = NULL;
    struct fy_node *item;

    if (node && fy_node_is_sequence(node)) {
        while ((item = fy_node_sequence_iterate(node, &at))) {
            const char *item_text = text_of(item);

            if (!item_text)
                return fail_at(p, key, "'%s' takes a flat list of plain values", text_of(key));
            phi_str_addf(&out, "%s%s", out.length ? "," : "", item_text);
        }
    } else if (text_of(node)) {
        phi_str_addf(&out, "%s", text_of(node));
    } else {
        return fail_at(p, key, "'%s' takes a plain value", text_of(key));
    }
    return out.cut ? fail_at(p, key, "the value of '%s' is too long", text_of(key)) : PH_OK;
}

/* Calls `visit` on every entry of a mapping whose keys are plain texts. */
static enum ph_status each(const struct parser *p, struct fy_node *map, struct fy_node *owner,
                           enum ph_status (*visit)(const struct parser *p, struct fy_node *key,
                                                   struct fy_node *value, void *arg),
                           void *arg)
{
    void *at = NULL;
    struct fy_node_pair *pair;
    enum ph_status status = PH_OK;

    if (!map || !fy_node_is_mapping(map))
        return fail_at(p, owner, "a mapping (key: value) is expected here");
    while (status == PH_OK && (pair = fy_node_mapping_iterate(map, &at))) {
        struct fy_node *key = fy_node_pair_key(pair);

        status = text_of(key) ? visit(p, key, fy_node_pair_value(pair), arg)
                              : fail_at(p, owner, "a key is no plain text");
    }
    return status;
}

static enum ph_status visit_param(const struct parser *p, struct fy_node *key,
                                  struct fy_node *value, void *arg)
{
    char text[MAX_VALUE_BYTES];
    enum ph_status status = value_text(p, key, value, text);

    if (status != PH_OK)
        return status;
    status = phi_params_set(arg, text_of(key), text, p->run->dir, p->err);
    return status == PH_OK ? PH_OK : locate(p, fy_node_is_scalar(value) ? value : key);
}

static enum ph_status set_on_error(const struct parser *p, struct fy_node *key,
                                   struct fy_node *value, struct phi_run_stage *stage)
{
    static const char *const names[] = {"skip", "stop", "bypass"};
    const char *text = text_of(value);

    for (int i = 0; text && i < 3; i++)
        if (strcmp(text, names[i]) == 0) {
            stage->on_error = (enum phi_on_error)i;
            return PH_OK;
        }
    return fail_at(p, key, "on_error is skip, stop or bypass");
}

static enum ph_status set_name(const struct parser *p, struct fy_node *key, struct fy_node *value,
                               struct phi_run_stage *stage)
{
    const char *text = text_of(value);

    if (!text || !text[0] || text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-")] ||
        !phi_str_copy(stage->name, sizeof stage->name, text))
        return fail_at(p, key, "a name is up to %d of a-z, 0-9, _ and -", PHI_STAGE_NAME - 1);
    return PH_OK;
}

static enum ph_status visit_stage_key(const struct parser *p, struct fy_node *key,
                                      struct fy_node *value, void *arg)
{
    struct phi_run_stage *stage = arg;
    const char *name = text_of(key);
    enum ph_status status;

    if (strcmp(name, "type") == 0)
        return PH_OK;
    if (strcmp(name, "name") == 0)
        return set_name(p, key, value, stage);
    if (strcmp(name, "on_error") == 0)
        return set_on_error(p, key, value, stage);
    status = visit_param(p, key, value, stage->params);
    if (status == PH_OK) {
        struct phi_run_place *place =
            &stage->places[phi_param_find(stage->type, name) - stage->type->params];

        place_of(fy_node_is_scalar(value) ? value : key, &place->line, &place->column);
    }
    return status;
}

static enum ph_status check_name(const struct parser *p, struct fy_node *at,
                                 const struct phi_run_stage *stage)
{
    struct phi_run_stage *other;

    if (strcmp(stage->name, "engine") == 0 || strcmp(stage->name, "display") == 0)
        return fail_at(p, at, "a stage cannot be called '%s'", stage->name);
    for (size_t i = 0; (other = phi_run_stage_at(p->run, i)); i++)
        if (other != stage && other->type && strcmp(other->name, stage->name) == 0)
            return fail_at(p, at, "two stages are called '%s'; give one another 'name'",
                           stage->name);
    return PH_OK;
}

static enum ph_status read_stage(const struct parser *p, enum ph_stage_kind kind,
                                 struct fy_node *owner, struct fy_node *map,
                                 struct phi_run_stage *stage)
{
    struct fy_node *type_node =
        map && fy_node_is_mapping(map) ? fy_node_mapping_lookup_by_string(map, "type", 4) : NULL;
    const char *type_name = text_of(type_node);
    enum ph_status status;

    if (!type_name)
        return fail_at(p, owner, "a %s needs the key 'type'", phi_kind_name((uint32_t)kind));
    place_of(type_node, &stage->line, &stage->column);
    status = phi_registry_lookup(p->registry, kind, type_name, &stage->type, p->err);
    if (status == PH_OK)
        status = phi_params_create(stage->type, &stage->params, p->err);
    if (status != PH_OK)
        return locate(p, type_node);
    stage->places = phi_calloc((size_t)stage->type->n_params + 1, sizeof *stage->places);
    if (!stage->places)
        return phi_error_nomem(p->err, "places in the run file", stage->type->n_params);
    (void)phi_str_copy(stage->name, sizeof stage->name, type_name);
    status = each(p, map, owner, visit_stage_key, stage);
    return status == PH_OK ? check_name(p, type_node, stage) : status;
}

static enum ph_status read_list(const struct parser *p, enum ph_stage_kind kind,
                                struct fy_node *owner, struct fy_node *list,
                                struct phi_run_stage *stages, size_t *n)
{
    size_t max = kind == PH_STAGE_FILTER      ? PHI_MAX_FILTERS
                 : kind == PH_STAGE_GENERATOR ? PHI_MAX_GENERATORS
                                              : PHI_MAX_SINKS;
    void *at = NULL;
    struct fy_node *item;
    enum ph_status status = PH_OK;

    if (!list || !fy_node_is_sequence(list))
        return fail_at(p, owner, "'%s' takes a list (- type: ...)", text_of(owner));
    while (status == PH_OK && (item = fy_node_sequence_iterate(list, &at))) {
        if (*n == max)
            return fail_at(p, owner, "'%s' holds at most %zu stages", text_of(owner), max);
        status = read_stage(p, kind, owner, item, &stages[(*n)++]);
    }
    return status;
}

struct setting {
    char prefix[128];
    int depth;
};

static enum ph_status visit_display(const struct parser *p, struct fy_node *key,
                                    struct fy_node *value, void *arg)
{
    const struct setting *above = arg;
    struct setting here = {.depth = above->depth + 1};
    struct phi_str name = phi_str_over(here.prefix, sizeof here.prefix);
    char text[MAX_VALUE_BYTES];
    enum ph_status status;

    phi_str_addf(&name, "%s%s%s", above->prefix, above->prefix[0] ? "." : "", text_of(key));
    if (name.cut || here.depth > MAX_DEPTH)
        return fail_at(p, key, "the settings are nested too deeply");
    if (value && fy_node_is_mapping(value))
        return each(p, value, key, visit_display, &here);
    status = value_text(p, key, value, text);
    if (status == PH_OK && phi_run_add_display(p->run, here.prefix, text, p->err) != PH_OK)
        return locate(p, key);
    if (status == PH_OK) {
        struct phi_run_setting *last = &p->run->display[p->run->n_display - 1];

        place_of(fy_node_is_scalar(value) ? value : key, &last->line, &last->column);
    }
    return status;
}

static enum ph_status read_version(const struct parser *p, struct fy_node *key,
                                   struct fy_node *value)
{
    const char *text = text_of(value);

    return text && strcmp(text, "1") == 0
               ? PH_OK
               : fail_at(p, key, "this engine reads run files of version 1 ('phosphene: 1')");
}

static enum ph_status read_title(const struct parser *p, struct fy_node *key, struct fy_node *value)
{
    const char *text = text_of(value);

    if (!text)
        return fail_at(p, key, "'title' takes a plain text");
    phi_free(p->run->title);
    p->run->title = phi_run_copy_text(text, strlen(text));
    return p->run->title ? PH_OK : phi_error_nomem(p->err, "the title", strlen(text));
}

static enum ph_status visit_top(const struct parser *p, struct fy_node *key, struct fy_node *value,
                                void *arg)
{
    static const char *const known[] = {"phosphene",  "title", "source", "filters", "decoder",
                                        "generators", "sinks", "engine", "display"};
    const char *name = text_of(key);
    const char *near;
    struct phi_run *run = p->run;

    (void)arg;
    if (strcmp(name, "phosphene") == 0)
        return read_version(p, key, value);
    if (strcmp(name, "title") == 0)
        return read_title(p, key, value);
    if (strcmp(name, "source") == 0)
        return read_stage(p, PH_STAGE_SOURCE, key, value, &run->source);
    if (strcmp(name, "decoder") == 0)
        return read_stage(p, PH_STAGE_DECODER, key, value, &run->decoder);
    if (strcmp(name, "filters") == 0)
        return read_list(p, PH_STAGE_FILTER, key, value, run->filters, &run->n_filters);
    if (strcmp(name, "generators") == 0)
        return read_list(p, PH_STAGE_GENERATOR, key, value, run->generators, &run->n_generators);
    if (strcmp(name, "sinks") == 0)
        return read_list(p, PH_STAGE_SINK, key, value, run->sinks, &run->n_sinks);
    if (strcmp(name, "engine") == 0)
        return each(p, value, key, visit_param, run->engine);
    if (strcmp(name, "display") == 0)
        return each(p, value, key, visit_display, &(struct setting){.prefix = ""});
    near = phi_suggest(name, known, sizeof known / sizeof *known);
    return near ? fail_at(p, key, "unknown key '%s'; did you mean '%s'?", name, near)
                : fail_at(p, key, "unknown key '%s' in a run file", name);
}

/* What needs the whole run, checked last: --set may have supplied required parameters. */
static enum ph_status check_whole(struct phi_run *run, struct ph_error *reterr)
{
    struct phi_run_stage *stage;

    for (size_t i = 0; (stage = phi_run_stage_at(run, i)); i++) {
        if (!stage->type)
            continue;
        if (phi_params_check(stage->params, reterr) != PH_OK)
            return phi_error_prefix(reterr, "%s:%d:%d", run->path, stage->line, stage->column);
        if (stage->on_error == PHI_ON_ERROR_BYPASS && !(stage->type->caps & PH_CAP_IN_PLACE))
            return phi_error(reterr, PH_E_INVAL,
                             "%s:%d:%d: %s changes what flows, so it cannot be bypassed", run->path,
                             stage->line, stage->column, stage->type->id);
    }
    if (run->n_generators && !run->decoder.type)
        return phi_error(reterr, PH_E_INVAL, "%s: a generator needs a decoder", run->path);
    return PH_OK;
}

/* libfyaml would print what is collected here. */
static void discard(struct fy_diag *diag, void *user, const char *text, size_t n)
{
    (void)diag;
    (void)user;
    (void)text;
    (void)n;
}

static enum ph_status syntax_error(struct fy_diag *diag, const char *name, struct ph_error *reterr)
{
    void *at = NULL;
    struct fy_diag_error *error = fy_diag_errors_iterate(diag, &at);

    if (!error)
        return phi_error(reterr, PH_E_FORMAT, "%s: is no YAML document", name);
    return phi_error(reterr, PH_E_FORMAT, "%s:%d:%d: %s", name, error->line, error->column,
                     error->msg);
}

static enum ph_status read_document(const struct parser *p, const char *text, size_t n_bytes)
{
    struct fy_diag_cfg quiet = {.output_fn = discard, .level = FYET_ERROR};
    struct fy_diag *diag = fy_diag_create(&quiet);
    struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG, .diag = diag};
    struct fy_document *document;
    enum ph_status status;

    if (!diag)
        return phi_error_nomem(p->err, "the run file", n_bytes);
    fy_diag_set_collect_errors(diag, true);
    document = fy_document_build_from_string(&cfg, text, n_bytes);
    if (!document)
        status = syntax_error(diag, p->run->path, p->err);
    else if (!fy_document_root(document) || !fy_node_is_mapping(fy_document_root(document)))
        status = phi_error(p->err, PH_E_FORMAT, "%s:1:1: a run file is a mapping (key: value)",
                           p->run->path);
    else
        status = each(p, fy_document_root(document), fy_document_root(document), visit_top, NULL);
    fy_document_destroy(document);
    fy_diag_destroy(diag);
    return status;
}

static enum ph_status parse(const char *text, size_t n_bytes, const char *name, const char *dir,
                            const struct phi_registry *registry, struct phi_run **ret_run,
                            struct ph_error *reterr)
{
    struct phi_run *run = phi_calloc(1, sizeof *run);
    struct ph_error local;
    struct parser p = {run, registry, reterr ? reterr : &local};
    enum ph_status status;

    if (!run)
        return phi_error_nomem(reterr, "the run file", sizeof *run);
    run->path = phi_run_copy_text(name, strlen(name));
    run->dir = phi_run_copy_text(dir, strlen(dir));
    if (!run->path || !run->dir)
        status = phi_error_nomem(reterr, "the run file", strlen(name));
    else
        status = phi_params_create(&phi_run_engine_type, &run->engine, p.err);
    if (status == PH_OK)
        status = read_document(&p, text, n_bytes);
    if (status != PH_OK) {
        phi_run_destroy(&run);
        return status;
    }
    *ret_run = run;
    return PH_OK;
}

enum ph_status phi_run_parse(const char *text, size_t n_bytes, const char *name, const char *dir,
                             const struct phi_registry *registry, struct phi_run **ret_run,
                             struct ph_error *reterr)
{
    struct phi_run *run = NULL;
    enum ph_status status = parse(text, n_bytes, name, dir, registry, &run, reterr);

    if (status == PH_OK)
        status = check_whole(run, reterr);
    if (status != PH_OK) {
        phi_run_destroy(&run);
        return status;
    }
    *ret_run = run;
    return PH_OK;
}

static enum ph_status read_file(const char *path, char **ret_text, size_t *ret_n_bytes,
                                struct ph_error *reterr)
{
    FILE *file = fopen(path, "re");
    struct stat st;
    char *text = NULL;
    size_t n_bytes = 0;
    enum ph_status status = PH_OK;

    if (!file)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot open the run file '%s'", path);
    if (fstat(fileno(file), &st) == 0 && S_ISREG(st.st_mode)) {
        if (st.st_size > (off_t)PHI_RUN_FILE_BYTES)
            status = phi_error(reterr, PH_E_LIMIT, "'%s' is larger than a run file may be (1 MiB)",
                               path);
        else
            text = phi_calloc((size_t)st.st_size + 1, 1);
    } else {
        status = phi_error(reterr, PH_E_INVAL, "'%s' is no regular file", path);
    }
    if (text)
        n_bytes = fread(text, 1, (size_t)st.st_size, file);
    (void)fclose(file);
    if (status == PH_OK && !text)
        return phi_error_nomem(reterr, "the run file", (size_t)st.st_size);
    *ret_text = text;
    *ret_n_bytes = n_bytes;
    return status;
}

/* The absolute folder of a file. */
static enum ph_status folder_of(const char *path, char **ret_dir, struct ph_error *reterr)
{
    char *full = realpath(path, NULL);
    char *slash = full ? strrchr(full, '/') : NULL;

    if (!slash) {
        free(full);
        return phi_error_os(reterr, PH_E_IO, errno, "cannot find the folder of '%s'", path);
    }
    *ret_dir = phi_run_copy_text(full, slash == full ? 1 : (size_t)(slash - full));
    free(full);
    return *ret_dir ? PH_OK : phi_error_nomem(reterr, "a path", strlen(path));
}

enum ph_status phi_run_load(const char *path, const char *const *sets, size_t n_sets,
                            const struct phi_registry *registry, struct phi_run **ret_run,
                            struct ph_error *reterr)
{
    struct phi_run *run = NULL;
    char *text = NULL;
    char *dir = NULL;
    size_t n_bytes = 0;
    enum ph_status status = read_file(path, &text, &n_bytes, reterr);

    if (status == PH_OK)
        status = folder_of(path, &dir, reterr);
    if (status == PH_OK)
        status = parse(text, n_bytes, path, dir, registry, &run, reterr);
    for (size_t i = 0; i < n_sets && status == PH_OK; i++)
        status = phi_run_set(run, sets[i], reterr);
    if (status == PH_OK)
        status = check_whole(run, reterr);
    phi_free(text);
    phi_free(dir);
    if (status != PH_OK) {
        phi_run_destroy(&run);
        return status;
    }
    *ret_run = run;
    return PH_OK;
}
