/* SPDX-License-Identifier: MIT
 *
 * Whether the X server still shows what we draw. Xlib's own answer to a server that dies, or to a
 * window that another program destroys, is to end the process; a run must outlive its screen. On
 * other video systems the screen is never reported lost. Main thread only.
 */
#ifndef PHI_DISPLAY_SCREEN_H
#define PHI_DISPLAY_SCREEN_H

#include <stdbool.h>

struct SDL_Window;

/* Takes over Xlib's error handlers for the connection that `window` belongs to; once per connection
 * is enough, more often does no harm. The handlers stay until the process ends. */
void phi_screen_watch(struct SDL_Window *window);

/* True once the connection has broken or a window was destroyed. From then on no SDL call on
 * windows or events may be made: their resources are left to the end of the process. */
bool phi_screen_lost(void);

#endif
