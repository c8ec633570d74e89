/* SPDX-License-Identifier: MIT
 *
 * Procedural faces: a portrait drawn from some fifty continuous factors, each in [-1, 1] with 0 the
 * middling face, or from (seed, index), which always gives the same picture. Skin is shaded per
 * pixel from a height field under a light; hair, eyes and the rest are drawn with cairo on the same
 * turned head. A painter belongs to one thread; the functions without one are thread-safe.
 */
#ifndef TOOLS_STIMULI_FACE_H
#define TOOLS_STIMULI_FACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#define PHI_FACE_MAX_SIZE 1024

enum phi_face_factor {
    PHI_FACE_HEAD_WIDTH,
    PHI_FACE_HEAD_LENGTH,
    PHI_FACE_JAW_WIDTH,
    PHI_FACE_CHIN_LENGTH,
    PHI_FACE_CHEEKS,
    PHI_FACE_SKIN_LIGHTNESS,
    PHI_FACE_SKIN_WARMTH,
    PHI_FACE_BLUSH,
    PHI_FACE_HAIR_LIGHTNESS,
    PHI_FACE_HAIR_REDNESS,
    PHI_FACE_HAIR_LENGTH,
    PHI_FACE_HAIR_VOLUME,
    PHI_FACE_HAIR_WAVE,
    PHI_FACE_HAIR_FRINGE,
    PHI_FACE_HAIR_PARTING,
    PHI_FACE_EYE_SIZE,
    PHI_FACE_EYE_DISTANCE,
    PHI_FACE_EYE_TILT,
    PHI_FACE_EYE_HEIGHT,
    PHI_FACE_EYE_OPENING,
    PHI_FACE_IRIS_COLOUR,
    PHI_FACE_GAZE,
    PHI_FACE_BROW_THICKNESS,
    PHI_FACE_BROW_HEIGHT,
    PHI_FACE_BROW_ANGLE,
    PHI_FACE_NOSE_WIDTH,
    PHI_FACE_NOSE_LENGTH,
    PHI_FACE_NOSE_TIP,
    PHI_FACE_MOUTH_WIDTH,
    PHI_FACE_MOUTH_HEIGHT,
    PHI_FACE_LIP_FULLNESS,
    PHI_FACE_LIP_COLOUR,
    PHI_FACE_SMILE,
    PHI_FACE_MOUTH_OPENING,
    PHI_FACE_AGE,
    PHI_FACE_BEARD,
    PHI_FACE_GLASSES,
    PHI_FACE_YAW,
    PHI_FACE_PITCH,
    PHI_FACE_ROLL,
    PHI_FACE_LIGHT_SIDE,
    PHI_FACE_LIGHT_HEIGHT,
    PHI_FACE_LIGHT_CONTRAST,
    PHI_FACE_BACKGROUND_HUE,
    PHI_FACE_BACKGROUND_LIGHTNESS,
    PHI_FACE_CLOTHES_HUE,
    PHI_FACE_CLOTHES_LIGHTNESS,
    PHI_FACE_N_FACTORS
};

/* What a factor is called in files and on the command line, and what its ends look like. */
struct phi_face_factor_info {
    const char *name; /* "head_width" */
    const char *low;  /* at -1: "narrow" */
    const char *high; /* at +1: "wide" */
};

/* Constant; NULL outside the enum. */
const struct phi_face_factor_info *phi_face_factor_info(enum phi_face_factor factor);

/* The factor of that name, or PHI_FACE_N_FACTORS. */
enum phi_face_factor phi_face_factor_find(const char *name);

/* The factors of face `index` of set `seed`. Correlated as in people (beards with strong jaws and
 * short hair, grey hair with age), otherwise independent; bell-shaped within [-1, 1]. */
void phi_face_sample(uint64_t seed, uint64_t index, double ret_factors[PHI_FACE_N_FACTORS]);

/* Where the portrait stands: shift in half picture widths, zoom as a factor (0 means 1). */
struct phi_face_view {
    double shift_x;
    double shift_y;
    double zoom;
    bool no_background; /* leaves what is behind the head transparent */
    bool head_only;     /* neither neck nor clothes */
};

struct phi_face_painter;

/* A painter of size x size pictures (8 .. PHI_FACE_MAX_SIZE), with all memory it will need. Owned
 * by the caller. */
PH_NODISCARD enum ph_status phi_face_painter_create(size_t size,
                                                    struct phi_face_painter **ret_painter,
                                                    struct ph_error *reterr);

/* Frees; accepts NULL and *painter == NULL. */
void phi_face_painter_destroy(struct phi_face_painter **painter);

/* Draws the face into ret_rgb[size][size][3]. `view` may be NULL. Factors are clamped to [-1, 1].
 * PH_E_NOMEM if cairo runs out of memory. */
PH_NODISCARD enum ph_status phi_face_paint(struct phi_face_painter *painter,
                                           const double factors[PHI_FACE_N_FACTORS],
                                           const struct phi_face_view *view, uint8_t *ret_rgb);

/* As paint, with straight alpha: ret_rgba[size][size][4]. */
PH_NODISCARD enum ph_status phi_face_paint_rgba(struct phi_face_painter *painter,
                                                const double factors[PHI_FACE_N_FACTORS],
                                                const struct phi_face_view *view,
                                                uint8_t *ret_rgba);

/* create, paint, destroy. */
PH_NODISCARD enum ph_status phi_face_draw(const double factors[PHI_FACE_N_FACTORS], size_t size,
                                          uint8_t *ret_rgb, struct ph_error *reterr);

#endif
