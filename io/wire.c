/* SPDX-License-Identifier: MIT */
#include "io/wire.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"

enum kind {
    KIND_TEXT,
    KIND_LABEL,
    KIND_COUNT,   /* uint64_t */
    KIND_INTEGER, /* int64_t */
    KIND_CRC,     /* uint32_t */
    KIND_NUMBER,  /* double */
    KIND_TRUTH,
    KIND_INDEX, /* a count that sets has_index */
    KIND_ID,    /* a count that sets has_id */
    KIND_DIMS,
    KIND_SLICES,
    KIND_ONSET, /* a number, or "now" */
    KIND_ENCODING,
    KIND_LATENCY
};

/* One field of one type of message. */
struct field {
    const char *name;
    enum kind kind;
    bool optional;
    size_t offset;
    size_t size;
};

#define FIELD(json, kind, optional, member)                                                        \
    {                                                                                              \
        json, kind, optional, offsetof(struct phi_wire_message, member),                           \
            sizeof((struct phi_wire_message *)0)->member                                           \
    }
#define END_OF_FIELDS                                                                              \
    {                                                                                              \
        NULL, KIND_TEXT, false, 0, 0                                                               \
    }
#define MAX_FIELDS 12

static const struct {
    const char *name;
    struct field fields[MAX_FIELDS];
} types[PHI_WIRE_N_TYPES] = {
    [PHI_WIRE_NONE] = {"?", {END_OF_FIELDS}},
    [PHI_WIRE_HELLO] =
        {"HELLO",
         {FIELD("session", KIND_LABEL, false, session), FIELD("run", KIND_LABEL, false, run),
          FIELD("subject", KIND_LABEL, true, subject), FIELD("tr", KIND_NUMBER, false, tr_s),
          FIELD("dims", KIND_DIMS, false, dims), FIELD("datatype", KIND_TEXT, false, datatype),
          FIELD("volumes", KIND_COUNT, true, n_volumes),
          FIELD("slice_timing", KIND_SLICES, true, slice_timing_s),
          FIELD("sender", KIND_TEXT, true, sender), END_OF_FIELDS}},
    [PHI_WIRE_WELCOME] = {"WELCOME",
                          {FIELD("next", KIND_COUNT, false, next),
                           FIELD("credit", KIND_COUNT, false, credit),
                           FIELD("engine", KIND_TEXT, true, engine),
                           FIELD("now", KIND_INTEGER, true, now_ns), END_OF_FIELDS}},
    [PHI_WIRE_VOLUME] = {"VOLUME",
                         {FIELD("index", KIND_INDEX, false, index),
                          FIELD("acquired", KIND_NUMBER, true, acquired_s),
                          FIELD("sent", KIND_INTEGER, true, sent_ns),
                          FIELD("encoding", KIND_ENCODING, false, encoding),
                          FIELD("crc32", KIND_CRC, false, crc32), END_OF_FIELDS}},
    [PHI_WIRE_ACK] = {"ACK",
                      {FIELD("index", KIND_INDEX, false, index),
                       FIELD("credit", KIND_COUNT, false, credit),
                       FIELD("journalled", KIND_TRUTH, false, journalled),
                       FIELD("now", KIND_INTEGER, true, now_ns), END_OF_FIELDS}},
    [PHI_WIRE_LOST] = {"LOST",
                       {FIELD("index", KIND_INDEX, false, index),
                        FIELD("why", KIND_TEXT, true, text), END_OF_FIELDS}},
    [PHI_WIRE_END] = {"END", {FIELD("volumes", KIND_COUNT, false, n_volumes), END_OF_FIELDS}},
    [PHI_WIRE_DONE] = {"DONE",
                       {FIELD("received", KIND_COUNT, false, n_received),
                        FIELD("lost", KIND_COUNT, false, n_lost),
                        FIELD("duplicates", KIND_COUNT, false, n_duplicates),
                        FIELD("latency", KIND_LATENCY, true, latency_ms), END_OF_FIELDS}},
    [PHI_WIRE_PING] = {"PING", {FIELD("sent", KIND_INTEGER, false, sent_ns), END_OF_FIELDS}},
    [PHI_WIRE_PONG] = {"PONG",
                       {FIELD("sent", KIND_INTEGER, false, sent_ns),
                        FIELD("now", KIND_INTEGER, false, now_ns), END_OF_FIELDS}},
    [PHI_WIRE_ERROR] = {"ERROR",
                        {FIELD("code", KIND_TEXT, false, code),
                         FIELD("message", KIND_TEXT, false, text),
                         FIELD("fatal", KIND_TRUTH, false, fatal),
                         FIELD("index", KIND_INDEX, true, index), END_OF_FIELDS}},
    [PHI_WIRE_EVENT] = {"EVENT",
                        {FIELD("onset", KIND_ONSET, false, onset_s),
                         FIELD("duration", KIND_NUMBER, false, duration_s),
                         FIELD("trial_type", KIND_TEXT, false, trial_type),
                         FIELD("stim", KIND_TEXT, true, stim),
                         FIELD("stim_index", KIND_INTEGER, true, stim_index),
                         FIELD("amplitude", KIND_NUMBER, true, amplitude),
                         FIELD("id", KIND_ID, true, id), FIELD("sent", KIND_INTEGER, true, sent_ns),
                         END_OF_FIELDS}},
    [PHI_WIRE_COMMAND] = {"COMMAND",
                          {FIELD("name", KIND_TEXT, false, name),
                           FIELD("value", KIND_TEXT, true, text), FIELD("id", KIND_ID, true, id),
                           END_OF_FIELDS}},
    [PHI_WIRE_ASK] = {"ASK", {FIELD("what", KIND_TEXT, false, name), END_OF_FIELDS}},
    [PHI_WIRE_OK] = {"OK",
                     {FIELD("onset", KIND_NUMBER, true, onset_s), FIELD("id", KIND_ID, true, id),
                      END_OF_FIELDS}},
};

static const char *const encodings[] = {"nifti", "nifti+zstd"};
static const char *const percentiles[3] = {"p50", "p99", "max"};

const char *phi_wire_type_name(enum phi_wire_type type)
{
    return type > PHI_WIRE_NONE && type < PHI_WIRE_N_TYPES ? types[type].name : "?";
}

bool phi_wire_is_label(const char *text)
{
    size_t n = strlen(text);

    return n > 0 && n < PHI_WIRE_LABEL && text[0] != '.' &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == n;
}

struct phi_wire_message phi_wire_message_of(enum phi_wire_type type)
{
    return (struct phi_wire_message){.type = type,
                                     .acquired_s = (double)NAN,
                                     .onset_s = (double)NAN,
                                     .amplitude = 1,
                                     .stim_index = -1};
}

struct phi_wire_message phi_wire_error(const char *code, bool fatal, const char *format, ...)
{
    struct phi_wire_message message = phi_wire_message_of(PHI_WIRE_ERROR);
    va_list args;

    (void)phi_str_copy(message.code, sizeof message.code, code);
    message.fatal = fatal;
    va_start(args, format);
    (void)vsnprintf(message.text, sizeof message.text, format, args);
    va_end(args);
    return message;
}

static bool take_text(const json_t *value, const struct field *field, void *out)
{
    const char *text = json_string_value(value);

    if (!text || json_string_length(value) != strlen(text))
        return false;
    if (field->kind == KIND_LABEL && !phi_wire_is_label(text))
        return false;
    return phi_str_copy(out, field->size, text);
}

static bool take_number(const json_t *value, double *out)
{
    if (!json_is_number(value) || !isfinite(json_number_value(value)))
        return false;
    *out = json_number_value(value);
    return true;
}

static bool take_count(const json_t *value, uint64_t most, uint64_t *out)
{
    json_int_t number = json_integer_value(value);

    if (!json_is_integer(value) || number < 0 || (uint64_t)number > most)
        return false;
    *out = (uint64_t)number;
    return true;
}

static bool take_dims(const json_t *value, uint32_t out[3])
{
    uint64_t size;

    if (json_array_size(value) != 3)
        return false;
    for (size_t i = 0; i < 3; i++) {
        if (!take_count(json_array_get(value, i), 65535, &size) || size == 0)
            return false;
        out[i] = (uint32_t)size;
    }
    return true;
}

static bool take_slices(const json_t *value, struct phi_wire_message *message)
{
    size_t n = json_array_size(value);

    if (!json_is_array(value) || n > PHI_WIRE_MAX_SLICES)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!take_number(json_array_get(value, i), &message->slice_timing_s[i]))
            return false;
    message->n_slices = (uint32_t)n;
    return true;
}

static bool take_encoding(const json_t *value, enum phi_wire_encoding *out)
{
    const char *text = json_string_value(value);

    for (size_t i = 0; text && i < 2; i++)
        if (strcmp(text, encodings[i]) == 0) {
            *out = (enum phi_wire_encoding)i;
            return true;
        }
    return false;
}

static bool take_latency(const json_t *value, double out[3])
{
    for (size_t i = 0; i < 3; i++)
        if (!take_number(json_object_get(value, percentiles[i]), &out[i]))
            return false;
    return true;
}

static bool take_onset(const json_t *value, double *out)
{
    const char *text = json_string_value(value);

    if (text && strcmp(text, "now") == 0) {
        *out = (double)NAN;
        return true;
    }
    return take_number(value, out);
}

static bool take_integer(const json_t *value, int64_t *out)
{
    if (!json_is_integer(value))
        return false;
    *out = json_integer_value(value);
    return true;
}

static bool take_crc(const json_t *value, uint32_t *out)
{
    uint64_t count;

    if (!take_count(value, UINT32_MAX, &count))
        return false;
    *out = (uint32_t)count;
    return true;
}

static bool take_field(const json_t *value, const struct field *field,
                       struct phi_wire_message *message)
{
    void *out = (unsigned char *)message + field->offset;

    switch (field->kind) {
    case KIND_TEXT:
    case KIND_LABEL:
        return take_text(value, field, out);
    case KIND_COUNT:
        return take_count(value, INT64_MAX, out);
    case KIND_INDEX:
        return message->has_index = take_count(value, INT64_MAX, out);
    case KIND_ID:
        return message->has_id = take_count(value, INT64_MAX, out);
    case KIND_INTEGER:
        return take_integer(value, out);
    case KIND_CRC:
        return take_crc(value, out);
    case KIND_NUMBER:
        return take_number(value, out);
    case KIND_TRUTH:
        *(bool *)out = json_is_true(value);
        return json_is_boolean(value);
    case KIND_DIMS:
        return take_dims(value, out);
    case KIND_SLICES:
        return take_slices(value, message);
    case KIND_ONSET:
        return take_onset(value, out);
    case KIND_ENCODING:
        return take_encoding(value, out);
    case KIND_LATENCY:
        return take_latency(value, out);
    }
    return false;
}

static enum phi_wire_type type_of(const char *name)
{
    for (int i = PHI_WIRE_NONE + 1; name && i < PHI_WIRE_N_TYPES; i++)
        if (strcmp(name, types[i].name) == 0)
            return (enum phi_wire_type)i;
    return PHI_WIRE_NONE;
}

static enum ph_status parse_object(const json_t *root, struct phi_wire_message *message,
                                   struct ph_error *reterr)
{
    const char *protocol = json_string_value(json_object_get(root, "p"));
    const char *name = json_string_value(json_object_get(root, "type"));

    if (!protocol || strcmp(protocol, PHI_WIRE_PROTOCOL) != 0)
        return phi_error(reterr, PH_E_FORMAT, "field p is not \"" PHI_WIRE_PROTOCOL "\"");
    *message = phi_wire_message_of(type_of(name));
    if (message->type == PHI_WIRE_NONE)
        return phi_error(reterr, PH_E_FORMAT, "field type: '%.40s' is no type of message",
                         name ? name : "");
    for (const struct field *field = types[message->type].fields; field->name; field++) {
        const json_t *value = json_object_get(root, field->name);

        if (!value && field->optional)
            continue;
        if (!value)
            return phi_error(reterr, PH_E_FORMAT, "%s: field %s is missing",
                             types[message->type].name, field->name);
        if (!take_field(value, field, message))
            return phi_error(reterr, PH_E_FORMAT, "%s: field %s has a value it cannot have",
                             types[message->type].name, field->name);
    }
    return PH_OK;
}

/* What a type of field alone cannot say. */
static enum ph_status check_sense(const struct phi_wire_message *message, struct ph_error *reterr)
{
    if (message->type == PHI_WIRE_HELLO && !(message->tr_s > 0 && message->tr_s <= 3600))
        return phi_error(reterr, PH_E_FORMAT, "HELLO: field tr is %g s", message->tr_s);
    if (message->type == PHI_WIRE_EVENT && !(message->duration_s >= 0))
        return phi_error(reterr, PH_E_FORMAT, "EVENT: field duration is %g s", message->duration_s);
    if (message->type == PHI_WIRE_EVENT &&
        (message->stim_index < -1 || message->stim_index > INT32_MAX))
        return phi_error(reterr, PH_E_FORMAT, "EVENT: field stim_index is out of range");
    return PH_OK;
}

enum ph_status phi_wire_parse(const void *json, size_t n_bytes,
                              struct phi_wire_message *ret_message, struct ph_error *reterr)
{
    struct phi_wire_message message;
    json_error_t why;
    json_t *root;
    enum ph_status status;

    if (n_bytes > PHI_WIRE_MAX_JSON)
        return phi_error(reterr, PH_E_LIMIT, "a JSON frame of %zu bytes; at most %zu are taken",
                         n_bytes, PHI_WIRE_MAX_JSON);
    root = json_loadb(json, n_bytes, JSON_REJECT_DUPLICATES, &why);
    if (!root)
        return phi_error(reterr, PH_E_FORMAT, "no JSON: byte %d: %s", why.position, why.text);
    status = parse_object(root, &message, reterr);
    json_decref(root);
    if (!status)
        status = check_sense(&message, reterr);
    if (!status)
        *ret_message = message;
    return status;
}

static json_t *numbers(const double *values, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list, json_real(values[i]));
    return list;
}

static json_t *dims_of(const uint32_t dims[3])
{
    return json_pack("[I,I,I]", (json_int_t)dims[0], (json_int_t)dims[1], (json_int_t)dims[2]);
}

/* NULL means that an optional field is not sent. */
static json_t *field_to_json(const struct phi_wire_message *message, const struct field *field)
{
    const void *in = (const unsigned char *)message + field->offset;
    double number;

    switch (field->kind) {
    case KIND_TEXT:
    case KIND_LABEL:
        return field->optional && !*(const char *)in ? NULL : json_string(in);
    case KIND_COUNT:
        return field->optional && !*(const uint64_t *)in
                   ? NULL
                   : json_integer((json_int_t) * (const uint64_t *)in);
    case KIND_INDEX:
        return field->optional && !message->has_index ? NULL
                                                      : json_integer((json_int_t)message->index);
    case KIND_ID:
        return message->has_id ? json_integer((json_int_t)message->id) : NULL;
    case KIND_INTEGER:
        return field->optional && *(const int64_t *)in == (in == &message->stim_index ? -1 : 0)
                   ? NULL
                   : json_integer(*(const int64_t *)in);
    case KIND_CRC:
        return json_integer(*(const uint32_t *)in);
    case KIND_NUMBER:
        number = *(const double *)in;
        return isnan(number) || (in == &message->amplitude && number == 1) ? NULL
                                                                           : json_real(number);
    case KIND_TRUTH:
        return json_boolean(*(const bool *)in);
    case KIND_DIMS:
        return dims_of(in);
    case KIND_SLICES:
        return message->n_slices ? numbers(in, message->n_slices) : NULL;
    case KIND_ONSET:
        return isnan(message->onset_s) ? json_string("now") : json_real(message->onset_s);
    case KIND_ENCODING:
        return json_string(encodings[message->encoding]);
    case KIND_LATENCY:
        return json_pack("{s:f,s:f,s:f}", percentiles[0], message->latency_ms[0], percentiles[1],
                         message->latency_ms[1], percentiles[2], message->latency_ms[2]);
    }
    return NULL;
}

enum ph_status phi_wire_format(const struct phi_wire_message *message, char *out, size_t capacity,
                               size_t *ret_n)
{
    json_t *root;
    size_t n = 0;

    if (message->type <= PHI_WIRE_NONE || message->type >= PHI_WIRE_N_TYPES)
        return PH_E_INVAL;
    root = json_pack("{s:s,s:s}", "p", PHI_WIRE_PROTOCOL, "type", types[message->type].name);
    for (const struct field *field = types[message->type].fields; root && field->name; field++) {
        json_t *value = field_to_json(message, field);

        if (value)
            (void)json_object_set_new(root, field->name, value);
    }
    if (root)
        n = json_dumpb(root, out, capacity, JSON_COMPACT);
    json_decref(root);
    if (n == 0 || n > capacity)
        return n ? PH_E_LIMIT : PH_E_NOMEM;
    *ret_n = n;
    return PH_OK;
}
