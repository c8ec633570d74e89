/* SPDX-License-Identifier: MIT */
#include "tools/stimuli/face.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

/* The names, and how a factor is drawn: normal with `sd` around `mean` plus `manly` times a hidden
 * trait that only ties factors together, folded into [-1, 1]. */
static const struct {
    struct phi_face_factor_info info;
    double mean, sd, manly;
} factors[PHI_FACE_N_FACTORS] = {
    [PHI_FACE_HEAD_WIDTH] = {{"head_width", "narrow", "wide"}, 0, 0.5, 0.1},
    [PHI_FACE_HEAD_LENGTH] = {{"head_length", "short", "long"}, 0, 0.5, 0},
    [PHI_FACE_JAW_WIDTH] = {{"jaw_width", "narrow", "wide"}, 0, 0.45, 0.4},
    [PHI_FACE_CHIN_LENGTH] = {{"chin_length", "short", "long"}, 0, 0.45, 0.15},
    [PHI_FACE_CHEEKS] = {{"cheeks", "hollow", "full"}, 0, 0.5, -0.1},
    [PHI_FACE_SKIN_LIGHTNESS] = {{"skin_lightness", "dark", "light"}, 0.25, 0.65, 0},
    [PHI_FACE_SKIN_WARMTH] = {{"skin_warmth", "olive", "rosy"}, 0, 0.5, 0},
    [PHI_FACE_BLUSH] = {{"blush", "pale", "blushed"}, -0.1, 0.45, -0.2},
    [PHI_FACE_HAIR_LIGHTNESS] = {{"hair_lightness", "black", "blond"}, -0.2, 0.6, 0},
    [PHI_FACE_HAIR_REDNESS] = {{"hair_redness", "ashen", "red"}, -0.1, 0.55, 0},
    [PHI_FACE_HAIR_LENGTH] = {{"hair_length", "cropped", "long"}, -0.05, 0.4, -0.7},
    [PHI_FACE_HAIR_VOLUME] = {{"hair_volume", "flat", "full"}, 0, 0.5, 0},
    [PHI_FACE_HAIR_WAVE] = {{"hair_wave", "straight", "curly"}, -0.1, 0.6, 0},
    [PHI_FACE_HAIR_FRINGE] = {{"hair_fringe", "bald forehead", "fringe"}, 0, 0.5, -0.25},
    [PHI_FACE_HAIR_PARTING] = {{"hair_parting", "left", "right"}, 0, 0.6, 0},
    [PHI_FACE_EYE_SIZE] = {{"eye_size", "small", "large"}, 0, 0.5, -0.2},
    [PHI_FACE_EYE_DISTANCE] = {{"eye_distance", "close", "wide"}, 0, 0.5, 0},
    [PHI_FACE_EYE_TILT] = {{"eye_tilt", "drooping", "slanted"}, 0.05, 0.5, 0},
    [PHI_FACE_EYE_HEIGHT] = {{"eye_height", "low", "high"}, 0, 0.45, 0},
    [PHI_FACE_EYE_OPENING] = {{"eye_opening", "narrowed", "wide open"}, 0.05, 0.4, -0.1},
    [PHI_FACE_IRIS_COLOUR] = {{"iris_colour", "brown", "blue"}, -0.1, 0.65, 0},
    [PHI_FACE_GAZE] = {{"gaze", "left", "right"}, 0, 0.3, 0},
    [PHI_FACE_BROW_THICKNESS] = {{"brow_thickness", "thin", "bushy"}, 0, 0.45, 0.35},
    [PHI_FACE_BROW_HEIGHT] = {{"brow_height", "low", "raised"}, 0, 0.45, -0.2},
    [PHI_FACE_BROW_ANGLE] = {{"brow_angle", "worried", "stern"}, 0, 0.45, 0.1},
    [PHI_FACE_NOSE_WIDTH] = {{"nose_width", "narrow", "broad"}, 0, 0.5, 0.15},
    [PHI_FACE_NOSE_LENGTH] = {{"nose_length", "short", "long"}, 0, 0.5, 0.1},
    [PHI_FACE_NOSE_TIP] = {{"nose_tip", "pointed", "round"}, 0, 0.5, 0},
    [PHI_FACE_MOUTH_WIDTH] = {{"mouth_width", "narrow", "wide"}, 0, 0.5, 0},
    [PHI_FACE_MOUTH_HEIGHT] = {{"mouth_height", "low", "high"}, 0, 0.4, 0},
    [PHI_FACE_LIP_FULLNESS] = {{"lip_fullness", "thin", "full"}, 0, 0.5, -0.25},
    [PHI_FACE_LIP_COLOUR] = {{"lip_colour", "pale", "red"}, -0.1, 0.45, -0.35},
    [PHI_FACE_SMILE] = {{"smile", "frown", "smile"}, 0.3, 0.5, 0},
    [PHI_FACE_MOUTH_OPENING] = {{"mouth_opening", "closed", "open"}, -0.3, 0.5, 0},
    [PHI_FACE_AGE] = {{"age", "young", "old"}, -0.15, 0.55, 0},
    [PHI_FACE_BEARD] = {{"beard", "none", "full"}, -0.6, 0.35, 0.85},
    [PHI_FACE_GLASSES] = {{"glasses", "none", "heavy"}, -0.4, 0.7, 0},
    [PHI_FACE_YAW] = {{"yaw", "turned left", "turned right"}, 0, 0.35, 0},
    [PHI_FACE_PITCH] = {{"pitch", "looking down", "looking up"}, 0, 0.3, 0},
    [PHI_FACE_ROLL] = {{"roll", "tilted left", "tilted right"}, 0, 0.25, 0},
    [PHI_FACE_LIGHT_SIDE] = {{"light_side", "from the left", "from the right"}, 0, 0.6, 0},
    [PHI_FACE_LIGHT_HEIGHT] = {{"light_height", "from below", "from above"}, 0.3, 0.3, 0},
    [PHI_FACE_LIGHT_CONTRAST] = {{"light_contrast", "soft", "hard"}, 0, 0.45, 0},
    [PHI_FACE_BACKGROUND_HUE] = {{"background_hue", "warm", "cool"}, 0, 0.6, 0},
    [PHI_FACE_BACKGROUND_LIGHTNESS] = {{"background_lightness", "dark", "light"}, 0, 0.5, 0},
    [PHI_FACE_CLOTHES_HUE] = {{"clothes_hue", "red", "violet"}, 0, 0.6, 0},
    [PHI_FACE_CLOTHES_LIGHTNESS] = {{"clothes_lightness", "dark", "light"}, 0, 0.5, 0},
};

const struct phi_face_factor_info *phi_face_factor_info(enum phi_face_factor factor)
{
    return (unsigned)factor < PHI_FACE_N_FACTORS ? &factors[factor].info : NULL;
}

enum phi_face_factor phi_face_factor_find(const char *name)
{
    for (int i = 0; i < PHI_FACE_N_FACTORS; i++) {
        if (strcmp(factors[i].info.name, name) == 0)
            return (enum phi_face_factor)i;
    }
    return PHI_FACE_N_FACTORS;
}

/* Mirrors at the borders: keeps a density without heaps at -1 and 1. */
static double fold(double value)
{
    for (int i = 0; i < 8 && fabs(value) > 1.0; i++)
        value = value > 1.0 ? 2.0 - value : -2.0 - value;
    return fmax(-1.0, fmin(1.0, value));
}

void phi_face_sample(uint64_t seed, uint64_t index, double ret_factors[PHI_FACE_N_FACTORS])
{
    struct phi_rng rng;
    double manly;

    phi_rng_init(&rng, seed, index);
    manly = phi_rng_below(&rng, 2) ? 0.65 : -0.65;
    manly += 0.25 * phi_rng_normal(&rng);
    for (int i = 0; i < PHI_FACE_N_FACTORS; i++)
        ret_factors[i] =
            fold(factors[i].mean + factors[i].manly * manly + factors[i].sd * phi_rng_normal(&rng));
}
