/* SPDX-License-Identifier: MIT */
#include "host/param.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

#define MAX_KNOWN 40

struct phi_params {
    const struct ph_stage_type *type;
    unsigned char *values; /* [params_size] */
    char **texts;          /* [n_params]; memory behind STRING and PATH fields, else NULL */
    bool *given;           /* [n_params] */
};

const char *phi_param_type_name(uint32_t type)
{
    static const char *const names[] = {"unknown", "bool",   "int",  "float",
                                        "enum",    "string", "path", "floats"};

    return names[type < sizeof names / sizeof *names ? type : 0];
}

const char *phi_suggest(const char *text, const char *const *names, size_t n)
{
    size_t limit = strlen(text) / 3 > 2 ? strlen(text) / 3 : 2;
    const char *best = NULL;

    for (size_t i = 0; i < n; i++) {
        size_t distance = phi_str_distance(text, names[i]);

        if (distance <= limit) {
            limit = distance > 0 ? distance - 1 : 0;
            best = names[i];
            if (distance == 0)
                break;
        }
    }
    return best;
}

const struct ph_param *phi_param_find(const struct ph_stage_type *type, const char *key)
{
    for (uint32_t i = 0; i < type->n_params; i++)
        if (strcmp(type->params[i].name, key) == 0)
            return &type->params[i];
    return NULL;
}

static enum ph_status unknown_key(const struct ph_stage_type *type, const char *key,
                                  struct ph_error *reterr)
{
    const char *names[MAX_KNOWN];
    size_t n = type->n_params < MAX_KNOWN ? type->n_params : MAX_KNOWN;
    char known[256];
    struct phi_str list = phi_str_over(known, sizeof known);
    const char *near;

    for (size_t i = 0; i < n; i++) {
        names[i] = type->params[i].name;
        phi_str_addf(&list, "%s%s", i ? ", " : "", names[i]);
    }
    near = phi_suggest(key, names, n);
    if (near)
        return phi_error(reterr, PH_E_INVAL, "unknown key '%s' for %s; did you mean '%s'?", key,
                         type->id, near);
    return phi_error(reterr, PH_E_INVAL, "unknown key '%s' for %s; it knows %s", key, type->id,
                     n ? known : "no keys");
}

static enum ph_status wrong_type(const struct ph_param *param, const char *text,
                                 struct ph_error *reterr)
{
    static const char *const wanted[] = {"?",        "true or false",      "a whole number",
                                         "a number", "one of its choices", "text",
                                         "a path",   "a list of numbers"};

    return phi_error(reterr, PH_E_INVAL, "'%s' is no value for '%s', which takes %s", text,
                     param->name, wanted[param->type <= PH_PARAM_FLOATS ? param->type : 0]);
}

static enum ph_status check_range(const struct ph_param *param, double value,
                                  struct ph_error *reterr)
{
    bool low = value < param->min;

    if (!low && value <= param->max)
        return PH_OK;
    return phi_error(reterr, PH_E_INVAL, "%s = %g is %s its %s of %g%s%s", param->name, value,
                     low ? "below" : "above", low ? "minimum" : "maximum",
                     low ? param->min : param->max, param->unit[0] ? " " : "", param->unit);
}

static enum ph_status set_bool(void *field, const struct ph_param *param, const char *text,
                               struct ph_error *reterr)
{
    bool value = strcmp(text, "true") == 0;

    if (!value && strcmp(text, "false") != 0)
        return wrong_type(param, text, reterr);
    memcpy(field, &value, sizeof value);
    return PH_OK;
}

static enum ph_status set_int(void *field, const struct ph_param *param, const char *text,
                              struct ph_error *reterr)
{
    int64_t value;
    enum ph_status status;

    if (!phi_parse_i64(text, &value))
        return wrong_type(param, text, reterr);
    status = check_range(param, (double)value, reterr);
    if (status == PH_OK)
        memcpy(field, &value, sizeof value);
    return status;
}

static enum ph_status set_float(void *field, const struct ph_param *param, const char *text,
                                struct ph_error *reterr)
{
    double value;
    enum ph_status status;

    if (!phi_parse_double(text, &value))
        return wrong_type(param, text, reterr);
    status = check_range(param, value, reterr);
    if (status == PH_OK)
        memcpy(field, &value, sizeof value);
    return status;
}

static enum ph_status set_enum(void *field, const struct ph_param *param, const char *text,
                               struct ph_error *reterr)
{
    char known[256];
    struct phi_str list = phi_str_over(known, sizeof known);
    size_t n = 0;
    const char *near;

    for (; param->choices[n]; n++) {
        int32_t value = (int32_t)n;

        if (strcmp(param->choices[n], text) == 0) {
            memcpy(field, &value, sizeof value);
            return PH_OK;
        }
        phi_str_addf(&list, "%s%s", n ? ", " : "", param->choices[n]);
    }
    near = phi_suggest(text, param->choices, n);
    if (near)
        return phi_error(reterr, PH_E_INVAL, "%s cannot be '%s'; did you mean '%s'?", param->name,
                         text, near);
    return phi_error(reterr, PH_E_INVAL, "%s cannot be '%s'; it is one of %s", param->name, text,
                     known);
}

static enum ph_status set_floats(void *field, const struct ph_param *param, const char *text,
                                 struct ph_error *reterr)
{
    struct ph_floats floats = {0};
    const char *at = text;

    while (*at) {
        char item[64];
        size_t n = strcspn(at, ",");
        size_t lead = strspn(at, " ");
        size_t end = n;
        enum ph_status status;

        if (floats.n == PH_MAX_FLOATS)
            return phi_error(reterr, PH_E_LIMIT, "%s holds at most %d numbers", param->name,
                             PH_MAX_FLOATS);
        while (end > lead && at[end - 1] == ' ')
            end--;
        if (lead > end || end - lead >= sizeof item)
            return wrong_type(param, text, reterr);
        memcpy(item, at + lead, end - lead);
        item[end - lead] = '\0';
        if (!phi_parse_double(item, &floats.value[floats.n]))
            return wrong_type(param, text, reterr);
        status = check_range(param, floats.value[floats.n], reterr);
        if (status != PH_OK)
            return status;
        floats.n++;
        at += n + (at[n] == ',');
    }
    memcpy(field, &floats, sizeof floats);
    return PH_OK;
}

/* Stores a copy of `text`, as an absolute path where the parameter is one. */
static enum ph_status set_text(struct phi_params *params, const struct ph_param *param,
                               const char *text, const char *base_dir, struct ph_error *reterr)
{
    bool relative = param->type == PH_PARAM_PATH && text[0] && text[0] != '/';
    char *cwd = relative && !base_dir ? getcwd(NULL, 0) : NULL;
    const char *dir = base_dir ? base_dir : cwd;
    size_t n_bytes = strlen(text) + (relative && dir ? strlen(dir) : 0) + 2;
    size_t i = (size_t)(param - params->type->params);
    struct phi_str out;
    char *copy;

    if (relative && !dir)
        return phi_error(reterr, PH_E_IO, "%s: the working directory cannot be read", param->name);
    copy = phi_calloc(n_bytes, 1);
    if (!copy) {
        free(cwd);
        return phi_error_nomem(reterr, param->name, n_bytes);
    }
    out = phi_str_over(copy, n_bytes);
    phi_str_addf(&out, "%s%s%s", relative ? dir : "", relative ? "/" : "", text);
    free(cwd);
    phi_free(params->texts[i]);
    params->texts[i] = copy;
    memcpy(params->values + param->offset, &params->texts[i], sizeof(char *));
    return PH_OK;
}

static enum ph_status set_field(struct phi_params *params, const struct ph_param *param,
                                const char *text, const char *base_dir, struct ph_error *reterr)
{
    void *field = params->values + param->offset;

    switch (param->type) {
    case PH_PARAM_BOOL:
        return set_bool(field, param, text, reterr);
    case PH_PARAM_INT:
        return set_int(field, param, text, reterr);
    case PH_PARAM_FLOAT:
        return set_float(field, param, text, reterr);
    case PH_PARAM_ENUM:
        return set_enum(field, param, text, reterr);
    case PH_PARAM_FLOATS:
        return set_floats(field, param, text, reterr);
    case PH_PARAM_STRING:
    case PH_PARAM_PATH:
        return set_text(params, param, text, base_dir, reterr);
    default:
        return phi_error(reterr, PH_E_ABI, "%s has parameter type %u, which this engine lacks",
                         param->name, (unsigned)param->type);
    }
}

static enum ph_status set_default(struct phi_params *params, const struct ph_param *param,
                                  struct ph_error *reterr)
{
    unsigned char *field = params->values + param->offset;
    int64_t whole = (int64_t)param->number_default;
    int32_t choice = (int32_t)param->number_default;
    bool yes = param->number_default != 0;

    switch (param->type) {
    case PH_PARAM_BOOL:
        memcpy(field, &yes, sizeof yes);
        return PH_OK;
    case PH_PARAM_INT:
        memcpy(field, &whole, sizeof whole);
        return PH_OK;
    case PH_PARAM_FLOAT:
        memcpy(field, &param->number_default, sizeof(double));
        return PH_OK;
    case PH_PARAM_ENUM:
        memcpy(field, &choice, sizeof choice);
        return PH_OK;
    default:
        return set_field(params, param, param->text_default ? param->text_default : "", NULL,
                         reterr);
    }
}

static enum ph_status allocate(const struct ph_stage_type *type, struct phi_params **ret_params,
                               struct ph_error *reterr)
{
    struct phi_params *params = phi_calloc(1, sizeof *params);

    if (!params)
        return phi_error_nomem(reterr, "parameters", sizeof *params);
    params->type = type;
    params->values = phi_calloc(type->params_size, 1);
    params->texts = phi_calloc(type->n_params, sizeof *params->texts);
    params->given = phi_calloc(type->n_params, sizeof *params->given);
    if (!params->values || !params->texts || !params->given) {
        phi_params_destroy(&params);
        return phi_error_nomem(reterr, "parameters", type->params_size);
    }
    *ret_params = params;
    return PH_OK;
}

enum ph_status phi_params_create(const struct ph_stage_type *type, struct phi_params **ret_params,
                                 struct ph_error *reterr)
{
    struct phi_params *params;
    enum ph_status status = allocate(type, &params, reterr);

    if (status != PH_OK)
        return status;
    for (uint32_t i = 0; i < type->n_params && status == PH_OK; i++)
        status = set_default(params, &type->params[i], reterr);
    if (status != PH_OK) {
        phi_params_destroy(&params);
        return status;
    }
    *ret_params = params;
    return PH_OK;
}

enum ph_status phi_params_copy(const struct phi_params *params, struct phi_params **ret_copy,
                               struct ph_error *reterr)
{
    const struct ph_stage_type *type = params->type;
    struct phi_params *copy;
    enum ph_status status = allocate(type, &copy, reterr);

    if (status != PH_OK)
        return status;
    memcpy(copy->values, params->values, type->params_size);
    for (uint32_t i = 0; i < type->n_params && status == PH_OK; i++) {
        copy->given[i] = params->given[i];
        if (params->texts[i]) /* already absolute */
            status = set_text(copy, &type->params[i], params->texts[i], NULL, reterr);
    }
    if (status != PH_OK) {
        phi_params_destroy(&copy);
        return status;
    }
    *ret_copy = copy;
    return PH_OK;
}

void phi_params_destroy(struct phi_params **params)
{
    if (!params || !*params)
        return;
    for (uint32_t i = 0; (*params)->texts && i < (*params)->type->n_params; i++)
        phi_free((*params)->texts[i]);
    phi_free((*params)->values);
    phi_free((*params)->texts);
    phi_free((*params)->given);
    phi_free(*params);
    *params = NULL;
}

const void *phi_params_values(const struct phi_params *params)
{
    return params->values;
}

enum ph_status phi_params_set(struct phi_params *params, const char *key, const char *text,
                              const char *base_dir, struct ph_error *reterr)
{
    const struct ph_param *param = phi_param_find(params->type, key);
    enum ph_status status;

    if (!param)
        return unknown_key(params->type, key, reterr);
    status = set_field(params, param, text, base_dir, reterr);
    if (status == PH_OK)
        params->given[param - params->type->params] = true;
    return status;
}

enum ph_status phi_params_check(const struct phi_params *params, struct ph_error *reterr)
{
    const struct ph_stage_type *type = params->type;

    for (uint32_t i = 0; i < type->n_params; i++)
        if (type->params[i].flags & PH_PARAM_REQUIRED && !params->given[i])
            return phi_error(reterr, PH_E_INVAL, "%s needs the key '%s' (%s)", type->id,
                             type->params[i].name, type->params[i].doc);
    return PH_OK;
}

bool phi_params_given(const struct phi_params *params, size_t i)
{
    return params->given[i];
}

/* The shortest of 6, 9 or 17 significant digits that reads back to the same value. */
static void format_double(double value, struct phi_str *out)
{
    char text[40];

    for (int digits = 6;; digits = digits == 6 ? 9 : 17) {
        struct phi_str str = phi_str_over(text, sizeof text);
        double back = NAN;

        phi_str_addf(&str, "%.*g", digits, value);
        if (digits == 17 || (phi_parse_double(text, &back) && back == value))
            break;
    }
    phi_str_addf(out, "%s", text);
}

static void format_floats(const struct ph_floats *floats, struct phi_str *out)
{
    for (uint32_t i = 0; i < floats->n; i++) {
        phi_str_addf(out, "%s", i ? "," : "");
        format_double(floats->value[i], out);
    }
}

void phi_params_format(const struct phi_params *params, size_t i, struct phi_str *out)
{
    const struct ph_param *param = &params->type->params[i];
    const unsigned char *field = params->values + param->offset;
    union {
        bool yes;
        int64_t whole;
        double number;
        int32_t choice;
        struct ph_floats floats;
    } value;

    memset(&value, 0, sizeof value);
    switch (param->type) {
    case PH_PARAM_BOOL:
        memcpy(&value.yes, field, sizeof value.yes);
        phi_str_addf(out, "%s", value.yes ? "true" : "false");
        return;
    case PH_PARAM_INT:
        memcpy(&value.whole, field, sizeof value.whole);
        phi_str_addf(out, "%" PRId64, value.whole);
        return;
    case PH_PARAM_FLOAT:
        memcpy(&value.number, field, sizeof value.number);
        format_double(value.number, out);
        return;
    case PH_PARAM_ENUM:
        memcpy(&value.choice, field, sizeof value.choice);
        phi_str_addf(out, "%s", param->choices[value.choice]);
        return;
    case PH_PARAM_FLOATS:
        memcpy(&value.floats, field, sizeof value.floats);
        format_floats(&value.floats, out);
        return;
    default:
        phi_str_addf(out, "%s", params->texts[i] ? params->texts[i] : "");
    }
}
