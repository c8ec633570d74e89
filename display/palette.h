/* SPDX-License-Identifier: MIT
 *
 * The one palette of all views: a dark ground and the eight colours of Okabe and Ito (2008), which
 * people with any of the common colour deficiencies tell apart. Values are 0x00RRGGBB.
 */
#ifndef PHI_DISPLAY_PALETTE_H
#define PHI_DISPLAY_PALETTE_H

#include <stdint.h>

#define PHI_COLOUR_GROUND    0x0014171Cu
#define PHI_COLOUR_PANE      0x001C2128u
#define PHI_COLOUR_EDGE      0x00333B45u
#define PHI_COLOUR_GRID      0x002A313Au
#define PHI_COLOUR_TEXT      0x00E6EAF0u
#define PHI_COLOUR_DIM       0x0096A0ACu
#define PHI_COLOUR_STALE     0x00666F7Au
#define PHI_COLOUR_ORANGE    0x00E69F00u
#define PHI_COLOUR_SKY       0x0056B4E9u
#define PHI_COLOUR_GREEN     0x00009E73u
#define PHI_COLOUR_YELLOW    0x00F0E442u
#define PHI_COLOUR_BLUE      0x003D8FD1u
#define PHI_COLOUR_VERMILION 0x00D55E00u
#define PHI_COLOUR_PINK      0x00CC79A7u
#define PHI_COLOUR_BLACK     0x00000000u
#define PHI_COLOUR_WHITE     0x00FFFFFFu

/* The colour of the i-th trace of a plot. */
static inline uint32_t phi_palette_trace(unsigned i)
{
    static const uint32_t traces[] = {PHI_COLOUR_SKY,  PHI_COLOUR_ORANGE,    PHI_COLOUR_GREEN,
                                      PHI_COLOUR_PINK, PHI_COLOUR_VERMILION, PHI_COLOUR_YELLOW};

    return traces[i % 6];
}

#endif
