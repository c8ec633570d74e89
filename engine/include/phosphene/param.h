/* SPDX-License-Identifier: MIT
 *
 * Declared parameters. A stage type lists its parameters in a constant table; from it the engine
 * parses and checks run files, prints manuals, and builds the display's controls. Before a stage is
 * planned the engine has filled the stage's parameter struct: every field holds the default, the
 * run file's value or a live value, all checked.
 *
 * C type of the field behind each parameter type:
 *   BOOL bool, INT int64_t, FLOAT double, ENUM int32_t (index into choices),
 *   STRING and PATH const char * (never NULL, "" if unset; owned by the engine, valid as long as
 *   the stage; paths in a run file are taken from the run file's folder and handed over absolute),
 *   FLOATS struct ph_floats.
 */
#ifndef PHOSPHENE_PARAM_H
#define PHOSPHENE_PARAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ph_param_type {
    PH_PARAM_BOOL = 1,
    PH_PARAM_INT = 2,
    PH_PARAM_FLOAT = 3,
    PH_PARAM_ENUM = 4,
    PH_PARAM_STRING = 5,
    PH_PARAM_PATH = 6,
    PH_PARAM_FLOATS = 7
};

enum ph_param_flag {
    PH_PARAM_LIVE = 1u << 0,     /* may change while the run is on (the update operation) */
    PH_PARAM_REQUIRED = 1u << 1, /* a run file must give it */
    PH_PARAM_ASIDE = 1u << 2     /* since 1.1: does not change the stage's output (what is shown or
                                    stored     beside it); models do not compare it */
};

#define PH_MAX_FLOATS 32

struct ph_floats {
    uint32_t n;
    double value[PH_MAX_FLOATS];
};

struct ph_param {
    uint32_t struct_size;
    uint32_t type;         /* enum ph_param_type */
    uint32_t flags;        /* enum ph_param_flag, or-ed */
    uint32_t offset;       /* of the field in the parameter struct */
    const char *name;      /* lower case with underscores, unit as suffix: "fwhm_mm" */
    const char *unit;      /* "mm", "s", "volumes"; "" if it has none */
    double number_default; /* BOOL, INT, FLOAT, ENUM */
    double min;            /* INT, FLOAT and each of FLOATS: inclusive limits */
    double max;
    const char *text_default;   /* STRING, PATH, FLOATS (comma-separated); NULL is "" */
    const char *const *choices; /* ENUM: names, NULL-terminated */
    const char *doc;            /* one or two sentences for the manual */
};

#define PH_PARAM_HEAD_(params, field, kind, flag_bits)                                             \
    .struct_size = (uint32_t)sizeof(struct ph_param), .type = (kind), .flags = (flag_bits),        \
    .offset = (uint32_t)offsetof(params, field), .name = #field

#define PH_BOOL(params, field, dflt, flag_bits, text)                                              \
    {                                                                                              \
        PH_PARAM_HEAD_(params, field, PH_PARAM_BOOL, flag_bits),                                   \
            .unit = "", .number_default = (dflt), .min = 0, .max = 1, .doc = (text)                \
    }
#define PH_INT(params, field, dflt, lo, hi, units, flag_bits, text)                                \
    {                                                                                              \
        PH_PARAM_HEAD_(params, field, PH_PARAM_INT, flag_bits),                                    \
            .unit = (units), .number_default = (dflt), .min = (lo), .max = (hi), .doc = (text)     \
    }
#define PH_FLOAT(params, field, dflt, lo, hi, units, flag_bits, text)                              \
    {                                                                                              \
        PH_PARAM_HEAD_(params, field, PH_PARAM_FLOAT, flag_bits),                                  \
            .unit = (units), .number_default = (dflt), .min = (lo), .max = (hi), .doc = (text)     \
    }
#define PH_ENUM(params, field, dflt, names, flag_bits, text)                                       \
    {                                                                                              \
        PH_PARAM_HEAD_(params, field, PH_PARAM_ENUM, flag_bits),                                   \
            .unit = "", .number_default = (dflt), .choices = (names), .doc = (text)                \
    }
#define PH_STRING(params, field, dflt, flag_bits, text)                                            \
    {                                                                                              \
        PH_PARAM_HEAD_(params, field, PH_PARAM_STRING, flag_bits),                                 \
            .unit = "", .text_default = (dflt), .doc = (text)                                      \
    }
#define PH_PATH(params, field, dflt, flag_bits, text)                                              \
    {                                                                                              \
        PH_PARAM_HEAD_(params, field, PH_PARAM_PATH, flag_bits),                                   \
            .unit = "", .text_default = (dflt), .doc = (text)                                      \
    }
#define PH_FLOATS(params, field, dflt, lo, hi, units, flag_bits, text)                             \
    {                                                                                              \
        PH_PARAM_HEAD_(params, field, PH_PARAM_FLOATS, flag_bits),                                 \
            .unit = (units), .min = (lo), .max = (hi), .text_default = (dflt), .doc = (text)       \
    }

#ifdef __cplusplus
}
#endif

#endif
