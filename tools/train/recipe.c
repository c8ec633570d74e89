/* SPDX-License-Identifier: MIT */
#include "train/recipe.h"

#include <libfyaml.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/file.h"

#define MAX_RECIPE_BYTES ((size_t)1 << 20)
#define MAX_VALUE        4096

struct parser {
    struct recipe *recipe;
    const struct ph_stage_type *const *models;
    struct ph_error *err;
};

static char *copy_text(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = phi_calloc(n, 1);

    if (copy)
        memcpy(copy, text, n);
    return copy;
}

static const char *scalar(struct fy_node *node)
{
    return node && fy_node_is_scalar(node) && !fy_node_is_alias(node) ? fy_node_get_scalar0(node)
                                                                      : NULL;
}

/* Puts "file:line:column: " of `node` before the message. */
static enum ph_status at_node(const struct parser *p, struct fy_node *node)
{
    struct fy_token *token =
        node && fy_node_is_scalar(node) ? fy_node_get_scalar_token(node) : NULL;
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;

    return phi_error_prefix(p->err, "%s:%d:%d", p->recipe->path, mark ? mark->line + 1 : 0,
                            mark ? mark->column + 1 : 0);
}

/* A scalar as it is, or a flat list joined with commas; false for anything else. */
static bool value_text(struct fy_node *value, char text[MAX_VALUE])
{
    struct phi_str out = phi_str_over(text, MAX_VALUE);
    void *at = NULL;
    struct fy_node *item;

    if (scalar(value))
        return phi_str_copy(text, MAX_VALUE, scalar(value));
    if (!value || !fy_node_is_sequence(value))
        return false;
    while ((item = fy_node_sequence_iterate(value, &at))) {
        if (!scalar(item))
            return false;
        phi_str_addf(&out, "%s%s", out.length ? "," : "", scalar(item));
    }
    return !out.cut;
}

static enum ph_status set_param(const struct parser *p, struct phi_params *params,
                                struct fy_node *key, struct fy_node *value)
{
    const char *name = scalar(key);
    char text[MAX_VALUE];

    if (!name || !value_text(value, text)) {
        (void)phi_error(p->err, PH_E_INVAL, "'%s' takes a plain value or a flat list of them",
                        name ? name : "?");
        return at_node(p, key);
    }
    if (phi_params_set(params, name, text, p->recipe->dir, p->err) != PH_OK)
        return at_node(p, key);
    return PH_OK;
}

/* All keys of a section but `type`, when `skip_type`. */
static enum ph_status set_section(const struct parser *p, struct phi_params *params,
                                  struct fy_node *section, bool skip_type)
{
    void *at = NULL;
    struct fy_node_pair *pair;
    enum ph_status status = PH_OK;

    while (status == PH_OK && (pair = fy_node_mapping_iterate(section, &at))) {
        struct fy_node *key = fy_node_pair_key(pair);

        if (!scalar(key))
            return phi_error(p->err, PH_E_FORMAT, "%s: a key is no plain text", p->recipe->path);
        if (skip_type && strcmp(scalar(key), "type") == 0)
            continue;
        status = set_param(p, params, key, fy_node_pair_value(pair));
    }
    return status;
}

static enum ph_status choose_model(const struct parser *p, const char *type)
{
    const char *names[16];
    size_t n = 0;
    const char *near;

    for (; n < 16 && p->models[n]; n++) {
        names[n] = strchr(p->models[n]->id, '/') + 1;
        if (strcmp(names[n], type) == 0) {
            p->recipe->model_type = p->models[n];
            return phi_params_create(p->models[n], &p->recipe->model, p->err);
        }
    }
    near = phi_suggest(type, names, n);
    return phi_error(p->err, PH_E_INVAL, "there is no model '%s'%s%s%s", type,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static enum ph_status model_section(const struct parser *p, struct fy_node *section)
{
    struct fy_node *type = fy_node_mapping_lookup_by_string(section, "type", FY_NT);

    if (!scalar(type))
        return phi_error(p->err, PH_E_INVAL, "%s: the model section needs a type", p->recipe->path);
    if (choose_model(p, scalar(type)) != PH_OK)
        return at_node(p, type);
    return set_section(p, p->recipe->model, section, true);
}

static struct phi_params *section_params(struct recipe *recipe, const char *name)
{
    return strcmp(name, "data") == 0        ? recipe->data
           : strcmp(name, "optimiser") == 0 ? recipe->optim
           : strcmp(name, "training") == 0  ? recipe->run
           : strcmp(name, "model") == 0     ? recipe->model
                                            : NULL;
}

static enum ph_status read_section(const struct parser *p, struct fy_node *key,
                                   struct fy_node *value)
{
    static const char *const names[] = {"model", "data", "optimiser", "training"};
    const char *name = scalar(key);

    if (!name || !value || !fy_node_is_mapping(value)) {
        (void)phi_error(p->err, PH_E_INVAL, "a section (name: {key: value}) is expected here");
        return at_node(p, key);
    }
    if (strcmp(name, "model") == 0)
        return model_section(p, value);
    if (!section_params(p->recipe, name)) {
        const char *near = phi_suggest(name, names, 4);

        (void)phi_error(p->err, PH_E_INVAL, "there is no section '%s'%s%s%s", name,
                        near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        return at_node(p, key);
    }
    return set_section(p, section_params(p->recipe, name), value, false);
}

static enum ph_status read_document(const struct parser *p, struct fy_document *document)
{
    struct fy_node *root = fy_document_root(document);
    void *at = NULL;
    struct fy_node_pair *pair;
    enum ph_status status = PH_OK;

    if (!root || !fy_node_is_mapping(root))
        return phi_error(p->err, PH_E_FORMAT, "%s: a recipe is a mapping of sections",
                         p->recipe->path);
    while (status == PH_OK && (pair = fy_node_mapping_iterate(root, &at)))
        status = read_section(p, fy_node_pair_key(pair), fy_node_pair_value(pair));
    if (status == PH_OK && !p->recipe->model)
        return phi_error(p->err, PH_E_INVAL, "%s: there is no model section", p->recipe->path);
    return status;
}

/* The first thing the YAML reader has to say, with its place. */
static enum ph_status yaml_error(const struct parser *p, struct fy_diag *diag)
{
    void *at = NULL;
    struct fy_diag_error *error = fy_diag_errors_iterate(diag, &at);

    if (!error)
        return phi_error(p->err, PH_E_FORMAT, "%s: not YAML", p->recipe->path);
    return phi_error(p->err, PH_E_FORMAT, "%s:%d:%d: %s", p->recipe->path, error->line + 1,
                     error->column + 1, error->msg);
}

static enum ph_status parse_text(const struct parser *p)
{
    struct fy_diag_cfg diag_config;
    struct fy_diag *diag;
    struct fy_parse_cfg config = {.flags = FYPCF_QUIET};
    struct fy_document *document;
    enum ph_status status;

    fy_diag_cfg_default(&diag_config);
    diag = fy_diag_create(&diag_config);
    if (!diag)
        return phi_error_nomem(p->err, "a YAML reader", 0);
    fy_diag_set_collect_errors(diag, true);
    config.diag = diag;
    document = fy_document_build_from_string(&config, p->recipe->text, strlen(p->recipe->text));
    status = document ? read_document(p, document) : yaml_error(p, diag);
    fy_document_destroy(document);
    fy_diag_destroy(diag);
    return status;
}

static enum ph_status apply_set(struct recipe *recipe, const char *set, struct ph_error *reterr)
{
    char key[128];
    const char *equals = strchr(set, '=');
    char *dot;
    struct phi_params *params = NULL;

    if (!equals || (size_t)(equals - set) >= sizeof key)
        return phi_error(reterr, PH_E_INVAL, "--set takes section.key=value, not '%s'", set);
    memcpy(key, set, (size_t)(equals - set));
    key[equals - set] = '\0';
    dot = strchr(key, '.');
    if (dot) {
        *dot = '\0';
        params = section_params(recipe, key);
    }
    if (!params)
        return phi_error(reterr, PH_E_INVAL,
                         "--set %s: sections are model, data, optimiser, training", set);
    return phi_params_set(params, dot + 1, equals + 1, NULL, reterr);
}

static enum ph_status read_file(struct recipe *recipe, const char *path, struct ph_error *reterr)
{
    char absolute[PATH_MAX];
    unsigned char *bytes = NULL;
    size_t n_bytes;
    enum ph_status status = phi_file_read(path, MAX_RECIPE_BYTES, &bytes, &n_bytes, reterr);
    char *slash;

    if (status != PH_OK)
        return status;
    recipe->text = (char *)bytes; /* a zero byte follows */
    if (!realpath(path, absolute))
        return phi_error(reterr, PH_E_IO, "%s: cannot be found", path);
    slash = strrchr(absolute, '/');
    if (slash)
        *slash = '\0';
    recipe->path = copy_text(path);
    recipe->dir = copy_text(absolute[0] ? absolute : "/");
    return recipe->path && recipe->dir ? PH_OK : phi_error_nomem(reterr, "a recipe", n_bytes);
}

static enum ph_status fill(struct recipe *recipe, const char *path,
                           const struct ph_stage_type *const *models, struct ph_error *reterr)
{
    struct parser p = {recipe, models, reterr};
    enum ph_status status = read_file(recipe, path, reterr);

    if (status == PH_OK)
        status = phi_params_create(&recipe_data_type, &recipe->data, reterr);
    if (status == PH_OK)
        status = phi_params_create(&recipe_optim_type, &recipe->optim, reterr);
    if (status == PH_OK)
        status = phi_params_create(&recipe_run_type, &recipe->run, reterr);
    return status == PH_OK ? parse_text(&p) : status;
}

enum ph_status recipe_load(const char *path, const char *const *sets, size_t n_sets,
                           const struct ph_stage_type *const *models, struct recipe **ret_recipe,
                           struct ph_error *reterr)
{
    struct recipe *recipe = phi_calloc(1, sizeof *recipe);
    enum ph_status status;

    if (!recipe)
        return phi_error_nomem(reterr, "a recipe", sizeof *recipe);
    status = fill(recipe, path, models, reterr);
    for (size_t i = 0; i < n_sets && status == PH_OK; i++)
        status = apply_set(recipe, sets[i], reterr);
    if (status == PH_OK)
        status = phi_params_check(recipe->model, reterr);
    if (status != PH_OK) {
        recipe_destroy(&recipe);
        return status;
    }
    *ret_recipe = recipe;
    return PH_OK;
}

void recipe_destroy(struct recipe **recipe)
{
    if (!recipe || !*recipe)
        return;
    phi_params_destroy(&(*recipe)->model);
    phi_params_destroy(&(*recipe)->data);
    phi_params_destroy(&(*recipe)->optim);
    phi_params_destroy(&(*recipe)->run);
    phi_free((*recipe)->path);
    phi_free((*recipe)->dir);
    phi_free((*recipe)->text);
    phi_free(*recipe);
    *recipe = NULL;
}

const struct train_data_params *recipe_data(const struct recipe *recipe)
{
    return phi_params_values(recipe->data);
}

const struct train_optim_params *recipe_optim(const struct recipe *recipe)
{
    return phi_params_values(recipe->optim);
}

const struct train_run_params *recipe_run(const struct recipe *recipe)
{
    return phi_params_values(recipe->run);
}
