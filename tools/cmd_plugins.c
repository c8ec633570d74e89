/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli.h"
#include "host/param.h"
#include "host/registry.h"
#include "types.h"

/* The default as a run file would give it; FLOATS and texts are in the table as text already. */
static void format_default(const struct ph_param *param, struct phi_str *out)
{
    switch (param->type) {
    case PH_PARAM_BOOL:
        phi_str_addf(out, "%s", param->number_default != 0 ? "true" : "false");
        return;
    case PH_PARAM_ENUM:
        phi_str_addf(out, "%s", param->choices[(size_t)param->number_default]);
        return;
    case PH_PARAM_INT:
    case PH_PARAM_FLOAT:
        phi_str_addf(out, "%.10g", param->number_default);
        return;
    default:
        phi_str_addf(out, "%s", param->text_default ? param->text_default : "");
    }
}

static void format_limits(const struct ph_param *param, struct phi_str *out)
{
    if (param->type == PH_PARAM_ENUM)
        for (size_t i = 0; param->choices[i]; i++)
            phi_str_addf(out, "%s%s", i ? " | " : "", param->choices[i]);
    else if (param->type == PH_PARAM_INT || param->type == PH_PARAM_FLOAT ||
             param->type == PH_PARAM_FLOATS)
        phi_str_addf(out, "%.10g .. %.10g%s%s", param->min, param->max, param->unit[0] ? " " : "",
                     param->unit);
}

static void print_param(const struct ph_param *param)
{
    char dflt[256];
    char limits[256];
    struct phi_str dflt_str = phi_str_over(dflt, sizeof dflt);
    struct phi_str limits_str = phi_str_over(limits, sizeof limits);

    format_default(param, &dflt_str);
    format_limits(param, &limits_str);
    printf("\n  %s (%s", param->name, phi_param_type_name(param->type));
    if (limits[0])
        printf(", %s", limits);
    printf(")%s%s\n", param->flags & PH_PARAM_REQUIRED ? " required" : "",
           param->flags & PH_PARAM_LIVE ? " live" : "");
    if (!(param->flags & PH_PARAM_REQUIRED))
        printf("      default: %s\n", dflt[0] ? dflt : "none");
    printf("      %s\n", param->doc);
}

static void print_type(const struct phi_registered *entry)
{
    const struct ph_stage_type *type = entry->type;

    printf("%s: %s\n", type->id, type->summary);
    printf("  plugin %s %s, %s%s%s\n", entry->plugin->name, entry->plugin->version,
           entry->plugin->licence, entry->origin[0] ? ", from " : "", entry->origin);
    for (uint32_t i = 0; i < type->n_params; i++)
        print_param(&type->params[i]);
}

static json_t *param_to_json(const struct ph_param *param)
{
    char dflt[256];
    struct phi_str dflt_str = phi_str_over(dflt, sizeof dflt);
    json_t *out;

    format_default(param, &dflt_str);
    out = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b}", "name", param->name, "type",
                    phi_param_type_name(param->type), "unit", param->unit, "default", dflt, "doc",
                    param->doc, "live", (param->flags & PH_PARAM_LIVE) != 0, "required",
                    (param->flags & PH_PARAM_REQUIRED) != 0);
    if (param->type == PH_PARAM_INT || param->type == PH_PARAM_FLOAT ||
        param->type == PH_PARAM_FLOATS) {
        (void)json_object_set_new(out, "min", json_real(param->min));
        (void)json_object_set_new(out, "max", json_real(param->max));
    }
    if (param->type == PH_PARAM_ENUM) {
        json_t *choices = json_array();

        for (size_t i = 0; param->choices[i]; i++)
            (void)json_array_append_new(choices, json_string(param->choices[i]));
        (void)json_object_set_new(out, "choices", choices);
    }
    return out;
}

static json_t *type_to_json(const struct phi_registered *entry)
{
    const struct ph_stage_type *type = entry->type;
    json_t *params = json_array();

    for (uint32_t i = 0; i < type->n_params; i++)
        (void)json_array_append_new(params, param_to_json(&type->params[i]));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "id", type->id, "kind",
                     phi_kind_name(type->kind), "summary", type->summary, "version",
                     entry->plugin->version, "licence", entry->plugin->licence, "origin",
                     entry->origin, "parameters", params);
}

/* "smooth" and "filter/smooth" both mean the type. */
static bool is_meant(const struct ph_stage_type *type, const char *name)
{
    return !name || strcmp(type->id, name) == 0 || strcmp(strchr(type->id, '/') + 1, name) == 0;
}

static size_t print_text(const struct phi_registry *registry, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < phi_registry_count(registry); i++) {
        const struct phi_registered *entry = phi_registry_at(registry, i);

        if (!is_meant(entry->type, name))
            continue;
        if (name)
            print_type(entry);
        else
            printf("%-24s %s\n", entry->type->id, entry->type->summary);
        n++;
    }
    return n;
}

static size_t print_json(const struct phi_registry *registry, const char *name)
{
    json_t *list = json_array();
    size_t n;

    for (size_t i = 0; i < phi_registry_count(registry); i++)
        if (is_meant(phi_registry_at(registry, i)->type, name))
            (void)json_array_append_new(list, type_to_json(phi_registry_at(registry, i)));
    n = json_array_size(list);
    (void)json_dumpf(list, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(list);
    return n;
}

static int run_plugins(const struct cli_command *self, int argc, char **argv)
{
    bool json = false;
    struct cli_list paths = {0};
    const struct cli_option options[] = {CLI_JSON(&json), CLI_PLUGINS(&paths), CLI_END};
    struct cli_args args;
    struct phi_registry *registry = NULL;
    struct ph_error err;
    const char *name;
    size_t n;
    int code = cli_parse(self, options, argc, argv, &args);

    if (code >= 0)
        return code;
    if (args.n > 1)
        return cli_usage(self, "one NAME at most");
    if (types_open(&paths, &registry, &err) != PH_OK)
        return cli_fail_as(CLI_FAILED, &err);
    name = args.n ? args.operands[0] : NULL;
    n = json ? print_json(registry, name) : print_text(registry, name);
    phi_registry_destroy(&registry);
    if (n == 0 && name)
        return cli_usage(self, "there is no stage '%s'", name);
    return CLI_DONE;
}

const struct cli_command cmd_plugins = {
    .name = "plugins",
    .summary = "list the stages there are, or explain one",
    .operands = "[NAME]",
    .text = "Without a NAME, lists every stage that a run file may use. With one, prints its\n"
            "parameters with types, limits, units and defaults.",
    .examples = "phos plugins\nphos plugins smooth\nphos plugins filter/smooth --json",
    .run = run_plugins,
};
