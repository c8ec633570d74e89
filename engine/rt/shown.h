/* SPDX-License-Identifier: MIT
 *
 * Maps and curves that filters put up for the operator: a few places each, latest wins. A title
 * takes the first free place and keeps it for the run. `put` is for the filters' one thread, the
 * others for the display's; neither ever waits for the other.
 */
#ifndef PHI_RT_SHOWN_H
#define PHI_RT_SHOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phosphene/host.h"
#include "phosphene/status.h"

#define PHI_SHOWN_MAPS   4
#define PHI_SHOWN_CURVES 4
#define PHI_SHOWN_TITLE  64
#define PHI_SHOWN_UNIT   16
#define PHI_SHOWN_NAME   24

struct phi_shown_map {
    char title[PHI_SHOWN_TITLE];
    float threshold;
    float values[]; /* [nz][ny][nx] */
};

struct phi_shown_curves {
    char title[PHI_SHOWN_TITLE];
    char x_unit[PHI_SHOWN_UNIT];
    char y_unit[PHI_SHOWN_UNIT];
    double x0, dx;
    uint32_t n_traces;
    uint32_t n_points;
    uint32_t n_bands;
    bool log_y;
    char names[PH_MAX_TRACES][PHI_SHOWN_NAME];
    struct ph_band bands[PH_MAX_BANDS];
    float values[PH_MAX_TRACES][PH_MAX_POINTS];
};

struct phi_shown;

/* Room for maps of dims (nx, ny, nz). Owned by the caller. */
PH_NODISCARD enum ph_status phi_shown_create(const uint32_t dims[3], struct phi_shown **ret_shown,
                                             struct ph_error *reterr);

/* Frees; accepts NULL and *shown == NULL, clears *shown. */
void phi_shown_destroy(struct phi_shown **shown);

/* Copies a map or curves; what does not fit (other dims, too many points or titles) is left out.
 * True if it was taken. */
bool phi_shown_put_map(struct phi_shown *shown, const struct ph_map *map);
bool phi_shown_put_curves(struct phi_shown *shown, const struct ph_curves *curves);

/* The newest in place `slot`, valid until the next call with the same slot; *ret NULL before the
 * first. True if it is new since the last call. */
bool phi_shown_map(struct phi_shown *shown, size_t slot, const struct phi_shown_map **ret_map);
bool phi_shown_curves(struct phi_shown *shown, size_t slot,
                      const struct phi_shown_curves **ret_curves);

#endif
