/* SPDX-License-Identifier: MIT
 *
 * Writing a set of stimuli picture by picture: a folder with stimuli.safetensors, attributes.tsv, a
 * contact sheet, and on request a PNG for each picture. Memory does not grow with the set's length
 * (but for 64 bytes of name and the attributes of each picture). One thread.
 */
#ifndef TOOLS_STIMULI_SET_WRITE_H
#define TOOLS_STIMULI_SET_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/safetensors.h"

struct phi_stimuli_plan {
    const char *folder; /* made if missing */
    size_t n, height, width;
    bool png;
    bool film;                                /* pictures carry a clip number */
    const char *name_format;                  /* "face_%05zu.png" */
    const char *const *attribute_names;       /* [n_attributes] */
    size_t n_attributes;                      /* at most 64 */
    const struct phi_safetensors_pair *notes; /* further metadata: set, seed ... */
    size_t n_notes;                           /* at most 16 */
};

struct phi_stimuli_writer;

/* Begins the set that `plan` describes. Owned by the caller. */
PH_NODISCARD enum ph_status phi_stimuli_writer_create(const struct phi_stimuli_plan *plan,
                                                      struct phi_stimuli_writer **ret_writer,
                                                      struct ph_error *reterr);

/* Adds the next picture rgb[height][width][3] with attributes[n_attributes]; `clip` is its clip in
 * a film, else ignored. */
PH_NODISCARD enum ph_status phi_stimuli_writer_add(struct phi_stimuli_writer *writer,
                                                   const uint8_t *rgb, const double *attributes,
                                                   int32_t clip, struct ph_error *reterr);

/* Completes the folder; PH_E_STATE if pictures are missing. */
PH_NODISCARD enum ph_status phi_stimuli_writer_finish(struct phi_stimuli_writer *writer,
                                                      struct ph_error *reterr);

/* Frees; without finish no safetensors file appears. Accepts NULL and *writer == NULL. */
void phi_stimuli_writer_destroy(struct phi_stimuli_writer **writer);

#endif
