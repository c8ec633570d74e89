/* SPDX-License-Identifier: MIT
 *
 * Small JSON objects written into a bounded string, without allocation: what the sinks publish and
 * record per frame.
 */
#ifndef PLUGINS_SINK_JSON_H
#define PLUGINS_SINK_JSON_H

#include <math.h>

#include "base/str.h"
#include "phosphene/plugin.h"

/* "key":number, with a comma before it unless it is the first; NaN and infinity become null. */
static inline void json_add_number(struct phi_str *out, const char *key, double value)
{
    const char *comma = out->length > 0 && out->text[out->length - 1] != '{' ? "," : "";

    if (isfinite(value))
        phi_str_addf(out, "%s\"%s\":%.9g", comma, key, value);
    else
        phi_str_addf(out, "%s\"%s\":null", comma, key);
}

/* "key":"text", escaped. */
static inline void json_add_text(struct phi_str *out, const char *key, const char *text)
{
    phi_str_addf(out, ",\"%s\":\"", key);
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            phi_str_addf(out, "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            phi_str_addf(out, "\\u%04x", (unsigned)*text);
        else
            phi_str_addf(out, "%c", *text);
    phi_str_addf(out, "\"");
}

static inline void json_add_truth(struct phi_str *out, const char *key, bool value)
{
    phi_str_addf(out, ",\"%s\":%s", key, value ? "true" : "false");
}

/* The marks of a frame that a reader must know of, as a list of words. */
static inline void json_add_flags(struct phi_str *out, uint32_t flags)
{
    static const char *const names[] = {"gap",     "late",  "censored", "revised",
                                        "invalid", "final", "gated",    "dummy"};
    const char *comma = "";

    phi_str_addf(out, ",\"flags\":[");
    for (uint32_t i = 0; i < 8; i++)
        if (flags & 1u << i) {
            phi_str_addf(out, "%s\"%s\"", comma, names[i]);
            comma = ",";
        }
    phi_str_addf(out, "]");
}

/* What every statement about a moment carries: which volume, which moment, how old. */
static inline void json_add_moment(struct phi_str *out, const struct ph_frame *frame,
                                   const struct ph_latent *latent)
{
    json_add_number(out, "stimulus", latent->stimulus_s);
    json_add_number(out, "lag", latent->lag_s);
    json_add_number(out, "revision", latent->revision);
    if (latent->trial != PH_NO_TRIAL)
        json_add_number(out, "trial", latent->trial);
    if (latent->stim_index >= 0)
        json_add_number(out, "stim_index", latent->stim_index);
    json_add_number(out, "certainty", (double)latent->share);
    json_add_number(out, "evidence", (double)latent->evidence);
    json_add_text(out, "decoder", latent->decoder);
    json_add_flags(out, frame->flags);
}

/* "latency_ms" and "stale": time since the volume had arrived, and whether that is more than
 * `max_age_s`. */
static inline void json_add_age(struct phi_str *out, const struct ph_frame *frame, int64_t now_ns,
                                double max_age_s)
{
    double age_s = frame->received_ns ? (double)(now_ns - frame->received_ns) / 1e9 : (double)NAN;

    json_add_number(out, "latency_ms", age_s * 1e3);
    json_add_truth(out, "stale", age_s > max_age_s);
}

#endif
