/* SPDX-License-Identifier: MIT
 *
 * One SDL window whose surface is a canvas. The surface is written directly and handed to the video
 * driver: without a GPU this takes a quarter of the time of SDL's renderer. All calls come from the
 * main thread.
 */
#ifndef PHI_DISPLAY_WINDOW_H
#define PHI_DISPLAY_WINDOW_H

#include <stdbool.h>

#include "display/canvas.h"

struct phi_window;

struct phi_window_config {
    const char *title;
    int width, height; /* at first */
    int display;       /* number of the screen; -1: SDL's choice */
    bool full_screen;
    bool hide_cursor;
};

enum phi_key {
    PHI_KEY_NONE = 0,
    PHI_KEY_QUIT,
    PHI_KEY_CLOSE, /* this window was closed */
    PHI_KEY_HELP,
    PHI_KEY_SCREENSHOT,
    PHI_KEY_FREEZE,
    PHI_KEY_MOSAIC,
    PHI_KEY_OVERLAY,
    PHI_KEY_PAGE,
    PHI_KEY_LEFT,
    PHI_KEY_RIGHT,
    PHI_KEY_END,
    PHI_KEY_MARK,
    PHI_KEY_FULL_SCREEN
};

struct phi_input {
    enum phi_key key;
    uint32_t window_id;
    int x, y; /* of the pointer, where the input came from it */
};

/* Starts SDL's video. PH_E_PEER with the reason where there is no screen. */
PH_NODISCARD enum ph_status phi_video_start(struct ph_error *reterr);

/* Ends what phi_video_start began. */
void phi_video_stop(void);

/* Opens a window. Owned by the caller. */
PH_NODISCARD enum ph_status phi_window_open(const struct phi_window_config *config,
                                            struct phi_window **ret_window,
                                            struct ph_error *reterr);

/* Closes the window; accepts NULL, clears *window. */
void phi_window_close(struct phi_window **window);

/* Frees what is ours without a word to the screen, which is gone; accepts NULL, clears *window. */
void phi_window_forget(struct phi_window **window);

/* The id that inputs carry. */
uint32_t phi_window_id(const struct phi_window *window);

/* The window's pixels at its present size; valid until phi_window_present. False while there are
 * none (minimised). */
bool phi_window_canvas(struct phi_window *window, struct phi_canvas *ret_canvas);

/* Puts the canvas on the screen. */
PH_NODISCARD enum ph_status phi_window_present(struct phi_window *window);

/* Full screen on or off. */
void phi_window_toggle_full_screen(struct phi_window *window);

/* The next input of any window, waiting at most timeout_ms; false if there was none. */
bool phi_window_input(int timeout_ms, struct phi_input *ret_input);

/* Refresh rate of the window's screen in Hz; 60 where it is not known. */
double phi_window_refresh_hz(struct phi_window *window);

#endif
