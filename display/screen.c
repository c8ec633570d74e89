/* SPDX-License-Identifier: MIT */
#include "display/screen.h"

#include <SDL.h>
#include <SDL_syswm.h>
#include <X11/Xlib.h>
#include <stdatomic.h>

/* Xlib keeps one set of handlers a process, so what they say is kept once a process too. */
static atomic_bool lost;

static int note_broken(Display *display)
{
    (void)display;
    atomic_store(&lost, true);
    return 0;
}

/* Instead of exit(1): Xlib then fails every further call on the connection. */
static void stay(Display *display, void *context)
{
    (void)display;
    (void)context;
}

static int note_error(Display *display, XErrorEvent *event)
{
    (void)display;
    if (event->error_code == BadWindow || event->error_code == BadDrawable)
        atomic_store(&lost, true);
    return 0;
}

void phi_screen_watch(struct SDL_Window *window)
{
    SDL_SysWMinfo info;

    SDL_VERSION(&info.version);
    if (!SDL_GetWindowWMInfo(window, &info) || info.subsystem != SDL_SYSWM_X11)
        return;
    (void)XSetErrorHandler(note_error);
    (void)XSetIOErrorHandler(note_broken);
    XSetIOErrorExitHandler(info.info.x11.display, stay, NULL);
}

bool phi_screen_lost(void)
{
    return atomic_load(&lost);
}
