/* SPDX-License-Identifier: MIT */
#include "host/registry.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "host/param.h"

#define MAX_TYPES   256
#define MAX_ORIGINS 64

struct phi_registry {
    struct phi_registered types[MAX_TYPES]; /* sorted by id */
    size_t n_types;
    char *origins[MAX_ORIGINS];
    void *libraries[MAX_ORIGINS];
    size_t n_origins;
};

const char *phi_kind_name(uint32_t kind)
{
    static const char *const names[] = {"unknown", "source",    "filter",
                                        "decoder", "generator", "sink"};

    return names[kind <= PH_STAGE_SINK ? kind : 0];
}

static size_t field_size(uint32_t type)
{
    static const size_t sizes[] = {0,
                                   sizeof(bool),
                                   sizeof(int64_t),
                                   sizeof(double),
                                   sizeof(int32_t),
                                   sizeof(char *),
                                   sizeof(char *),
                                   sizeof(struct ph_floats)};

    return type <= PH_PARAM_FLOATS ? sizes[type] : 0;
}

static bool is_name(const char *text)
{
    return text && text[0] >= 'a' && text[0] <= 'z' &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static const char *enum_fault(const struct ph_param *param)
{
    size_t n = 0;

    if (!param->choices)
        return "has no choices";
    while (param->choices[n])
        n++;
    return param->number_default >= 0 && param->number_default < (double)n
               ? NULL
               : "has a default outside its choices";
}

/* What is wrong with a parameter's description, or NULL. */
static const char *param_fault(const struct ph_stage_type *type, const struct ph_param *param)
{
    size_t size = field_size(param->type);
    bool number = param->type == PH_PARAM_INT || param->type == PH_PARAM_FLOAT;

    if (!is_name(param->name))
        return "has no proper name (a-z, 0-9 and _)";
    if (size == 0)
        return "has an unknown type";
    if (param->offset > type->params_size || type->params_size - param->offset < size)
        return "lies outside the parameter struct";
    if (!param->doc || !param->doc[0])
        return "has no description";
    if (!param->unit)
        return "has no unit (\"\" stands for none)";
    if (number && !(param->number_default >= param->min && param->number_default <= param->max))
        return "has a default outside its limits";
    if (param->type == PH_PARAM_ENUM)
        return enum_fault(param);
    return NULL;
}

static enum ph_status check_params(const struct ph_stage_type *type, struct ph_error *reterr)
{
    struct phi_params *params;
    enum ph_status status;

    if (type->n_params && !type->params)
        return phi_error(reterr, PH_E_ABI, "%s: parameter table is missing", type->id);
    for (uint32_t i = 0; i < type->n_params; i++) {
        const struct ph_param *param = &type->params[i];
        const char *fault = param_fault(type, param);

        if (fault)
            return phi_error(reterr, PH_E_ABI, "%s: parameter %u (%s) %s", type->id, (unsigned)i,
                             param->name ? param->name : "?", fault);
        if (phi_param_find(type, param->name) != param)
            return phi_error(reterr, PH_E_ABI, "%s: parameter '%s' is listed twice", type->id,
                             param->name);
    }
    status = phi_params_create(type, &params, reterr);
    if (status != PH_OK) {
        (void)phi_error_prefix(reterr, "%s: defaults", type->id);
        return status;
    }
    phi_params_destroy(&params);
    return PH_OK;
}

/* The name of an operation that a kind needs and the type lacks, or NULL. */
static const char *missing_op(const struct ph_stage_type *type)
{
    const struct ph_stage_ops *ops = type->ops;

    if (!ops->init)
        return "init";
    switch (type->kind) {
    case PH_STAGE_SOURCE:
        return !ops->discover ? "discover" : !ops->process ? "process" : !ops->wake ? "wake" : NULL;
    case PH_STAGE_DECODER:
        return !ops->plan ? "plan" : !ops->process ? "process" : NULL;
    case PH_STAGE_GENERATOR:
        return !ops->plan ? "plan" : !ops->render ? "render" : !ops->peek ? "peek" : NULL;
    default:
        return !ops->process ? "process" : NULL;
    }
}

enum ph_status phi_type_check(const struct ph_stage_type *type, struct ph_error *reterr)
{
    const char *kind = phi_kind_name(type->kind);
    size_t n = strlen(kind);
    const char *missing;

    if (type->struct_size < sizeof *type || !type->ops ||
        type->ops->struct_size < sizeof *type->ops)
        return phi_error(reterr, PH_E_ABI, "a stage type's description is too short");
    if (!type->id || strncmp(type->id, kind, n) != 0 || type->id[n] != '/' ||
        !is_name(type->id + n + 1) || strlen(type->id + n + 1) > 30)
        return phi_error(reterr, PH_E_ABI, "'%s' is no stage id of kind %s (as in %s/smooth)",
                         type->id ? type->id : "", kind, kind);
    if (!type->summary || !type->summary[0])
        return phi_error(reterr, PH_E_ABI, "%s has no summary", type->id);
    missing = missing_op(type);
    if (missing)
        return phi_error(reterr, PH_E_ABI, "%s lacks the operation '%s'", type->id, missing);
    return check_params(type, reterr);
}

static enum ph_status check_abi(const struct ph_plugin *plugin, struct ph_error *reterr)
{
    if (plugin->abi_major == PH_ABI_MAJOR && plugin->abi_minor <= PH_ABI_MINOR &&
        plugin->struct_size >= sizeof *plugin)
        return PH_OK;
    return phi_error(reterr, PH_E_ABI,
                     "built for plugin interface %u.%u, this engine has %u.%u; rebuild the plugin "
                     "with this engine's headers",
                     (unsigned)plugin->abi_major, (unsigned)plugin->abi_minor, PH_ABI_MAJOR,
                     PH_ABI_MINOR);
}

static void insert_sorted(struct phi_registry *registry, const struct phi_registered *entry)
{
    size_t i = registry->n_types++;

    for (; i > 0 && strcmp(registry->types[i - 1].type->id, entry->type->id) > 0; i--)
        registry->types[i] = registry->types[i - 1];
    registry->types[i] = *entry;
}

static enum ph_status check_plugin(const struct phi_registry *registry,
                                   const struct ph_plugin *plugin, struct ph_error *reterr)
{
    enum ph_status status = check_abi(plugin, reterr);

    if (status != PH_OK)
        return status;
    if (registry->n_types + plugin->n_types > MAX_TYPES || registry->n_origins == MAX_ORIGINS)
        return phi_error(reterr, PH_E_LIMIT, "more than %d stage types or %d plugin files",
                         MAX_TYPES, MAX_ORIGINS);
    for (uint32_t i = 0; i < plugin->n_types && status == PH_OK; i++) {
        status = phi_type_check(plugin->types[i], reterr);
        if (status == PH_OK && phi_registry_find(registry, plugin->types[i]->id))
            status = phi_error(reterr, PH_E_INVAL, "stage type %s is registered twice",
                               plugin->types[i]->id);
    }
    return status;
}

/* Keeps a copy of the path and the handle; the linked-in plugins share the constant "". */
static const char *keep_origin(struct phi_registry *registry, const char *origin, void *library)
{
    size_t n_bytes = strlen(origin) + 1;
    char *copy;

    if (!origin[0] && !library)
        return "";
    copy = phi_calloc(n_bytes, 1);
    if (!copy)
        return NULL;
    memcpy(copy, origin, n_bytes);
    registry->origins[registry->n_origins] = copy;
    registry->libraries[registry->n_origins] = library;
    registry->n_origins++;
    return copy;
}

enum ph_status phi_registry_add(struct phi_registry *registry, const struct ph_plugin *plugin,
                                const char *origin, void *library, struct ph_error *reterr)
{
    enum ph_status status = check_plugin(registry, plugin, reterr);
    const char *kept;

    if (status != PH_OK) {
        (void)phi_error_prefix(reterr, "plugin '%s'", plugin->name ? plugin->name : "?");
        return status;
    }
    kept = keep_origin(registry, origin, library);
    if (!kept)
        return phi_error_nomem(reterr, "the plugin list", strlen(origin) + 1);
    for (uint32_t i = 0; i < plugin->n_types; i++)
        insert_sorted(registry, &(struct phi_registered){plugin->types[i], plugin, kept});
    return PH_OK;
}

enum ph_status phi_registry_create(const struct ph_plugin *const *const *plugins, size_t n,
                                   struct phi_registry **ret_registry, struct ph_error *reterr)
{
    struct phi_registry *registry = phi_calloc(1, sizeof *registry);
    enum ph_status status = PH_OK;

    if (!registry)
        return phi_error_nomem(reterr, "the plugin list", sizeof *registry);
    for (size_t i = 0; i < n && status == PH_OK; i++)
        status = phi_registry_add(registry, *plugins[i], "", NULL, reterr);
    if (status != PH_OK) {
        phi_registry_destroy(&registry);
        return status;
    }
    *ret_registry = registry;
    return PH_OK;
}

void phi_registry_destroy(struct phi_registry **registry)
{
    if (!registry || !*registry)
        return;
    for (size_t i = 0; i < (*registry)->n_origins; i++) {
        if ((*registry)->libraries[i])
            (void)dlclose((*registry)->libraries[i]);
        phi_free((*registry)->origins[i]);
    }
    phi_free(*registry);
    *registry = NULL;
}

size_t phi_registry_count(const struct phi_registry *registry)
{
    return registry->n_types;
}

const struct phi_registered *phi_registry_at(const struct phi_registry *registry, size_t i)
{
    return &registry->types[i];
}

const struct phi_registered *phi_registry_find(const struct phi_registry *registry, const char *id)
{
    for (size_t i = 0; i < registry->n_types; i++)
        if (strcmp(registry->types[i].type->id, id) == 0)
            return &registry->types[i];
    return NULL;
}

enum ph_status phi_registry_lookup(const struct phi_registry *registry, enum ph_stage_kind kind,
                                   const char *name, const struct ph_stage_type **ret_type,
                                   struct ph_error *reterr)
{
    const char *names[MAX_TYPES];
    size_t n = 0;
    char known[320];
    struct phi_str list = phi_str_over(known, sizeof known);
    const char *near;

    for (size_t i = 0; i < registry->n_types; i++) {
        const struct ph_stage_type *type = registry->types[i].type;

        if (type->kind != (uint32_t)kind)
            continue;
        names[n] = strchr(type->id, '/') + 1;
        if (strcmp(names[n], name) == 0) {
            *ret_type = type;
            return PH_OK;
        }
        phi_str_addf(&list, "%s%s", n ? ", " : "", names[n]);
        n++;
    }
    near = phi_suggest(name, names, n);
    if (near)
        return phi_error(reterr, PH_E_INVAL, "there is no %s '%s'; did you mean '%s'?",
                         phi_kind_name((uint32_t)kind), name, near);
    return phi_error(reterr, PH_E_INVAL, "there is no %s '%s'; known: %s",
                     phi_kind_name((uint32_t)kind), name, n ? known : "none");
}
