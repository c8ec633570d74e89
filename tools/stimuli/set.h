/* SPDX-License-Identifier: MIT
 *
 * Sets of stimuli of one size: read from a file of kind "stimuli" (safetensors), from a folder that
 * holds one (stimuli.safetensors), or from a folder of PNG and JPEG pictures in the order of their
 * names. An open set may be read by any number of threads.
 *
 * The file: images U8 [n][height][width][3]; names U8 [n][PHI_STIMULI_NAME], zero-padded; for
 * procedural sets attributes F32 [n][k] with their names, newline-separated, in the metadata
 * `attribute_names`; for films clip I32 [n], the clip each frame belongs to.
 */
#ifndef TOOLS_STIMULI_SET_H
#define TOOLS_STIMULI_SET_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#define PHI_STIMULI_KIND "stimuli"
#define PHI_STIMULI_NAME 64 /* longest file name, with its terminating zero */

struct phi_stimuli;

/* Opens a set. PH_E_SHAPE names the first picture whose size differs from the others'. Owned by the
 * caller. */
PH_NODISCARD enum ph_status phi_stimuli_open(const char *path, struct phi_stimuli **ret_set,
                                             struct ph_error *reterr);

/* Frees; accepts NULL and *set == NULL. */
void phi_stimuli_close(struct phi_stimuli **set);

/* Number of pictures, and their size in pixels. */
size_t phi_stimuli_count(const struct phi_stimuli *set);
size_t phi_stimuli_height(const struct phi_stimuli *set);
size_t phi_stimuli_width(const struct phi_stimuli *set);

/* Picture i (< count), [height][width][3]; lives as long as the set. */
const uint8_t *phi_stimuli_image(const struct phi_stimuli *set, size_t i);

/* The file name of picture i, without a folder. */
const char *phi_stimuli_name(const struct phi_stimuli *set, size_t i);

/* The picture of that file name (a folder before it is passed over); SIZE_MAX if there is none. */
size_t phi_stimuli_find(const struct phi_stimuli *set, const char *name);

/* Attributes of picture i, *ret_n of them, or NULL where the set has none. */
const float *phi_stimuli_attributes(const struct phi_stimuli *set, size_t i, size_t *ret_n);

/* The clip of frame i; 0 where the set is no film. */
int32_t phi_stimuli_clip(const struct phi_stimuli *set, size_t i);

/* Picture i as values 0 .. 1 in ret[height][width][3], or in planes ret[3][height][width]. */
void phi_stimuli_to_float(const struct phi_stimuli *set, size_t i, float *ret);
void phi_stimuli_to_planes(const struct phi_stimuli *set, size_t i, float *ret);

#endif
