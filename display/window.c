/* SPDX-License-Identifier: MIT */
#include "display/window.h"

#include <SDL.h>

#include "base/error.h"
#include "base/mem.h"
#include "display/screen.h"

struct phi_window {
    SDL_Window *sdl;
    bool full_screen;
    bool locked;
};

enum ph_status phi_video_start(struct ph_error *reterr)
{
    /* Shared-memory images instead of a software OpenGL texture: 1 ms a frame instead of 4. */
    SDL_SetHint(SDL_HINT_FRAMEBUFFER_ACCELERATION, "0");
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");        /* the command handles SIGINT */
    SDL_SetHint(SDL_HINT_QUIT_ON_LAST_WINDOW_CLOSE, "0"); /* a closed window does not end the run */
    SDL_SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "0");
    if (SDL_InitSubSystem(SDL_INIT_VIDEO) != 0)
        return phi_error(reterr, PH_E_PEER,
                         "no screen to draw on (%s); use --headless to draw into files",
                         SDL_GetError());
    return PH_OK;
}

void phi_video_stop(void)
{
    SDL_QuitSubSystem(SDL_INIT_VIDEO);
}

enum ph_status phi_window_open(const struct phi_window_config *config,
                               struct phi_window **ret_window, struct ph_error *reterr)
{
    struct phi_window *window = phi_calloc(1, sizeof *window);
    int place = config->display >= 0 ? (int)SDL_WINDOWPOS_CENTERED_DISPLAY((Uint32)config->display)
                                     : (int)SDL_WINDOWPOS_UNDEFINED;
    Uint32 flags = SDL_WINDOW_RESIZABLE | SDL_WINDOW_ALLOW_HIGHDPI;

    if (!window)
        return phi_error_nomem(reterr, "a window", sizeof *window);
    if (config->full_screen)
        flags |= SDL_WINDOW_FULLSCREEN_DESKTOP;
    window->full_screen = config->full_screen;
    window->sdl =
        SDL_CreateWindow(config->title, place, place, config->width, config->height, flags);
    if (!window->sdl) {
        phi_free(window);
        return phi_error(reterr, PH_E_PEER, "cannot open a window: %s", SDL_GetError());
    }
    phi_screen_watch(window->sdl);
    SDL_SetWindowMinimumSize(window->sdl, 320, 180);
    if (config->hide_cursor)
        (void)SDL_ShowCursor(SDL_DISABLE);
    *ret_window = window;
    return PH_OK;
}

void phi_window_close(struct phi_window **window)
{
    if (!window || !*window)
        return;
    SDL_DestroyWindow((*window)->sdl);
    phi_free(*window);
    *window = NULL;
}

void phi_window_forget(struct phi_window **window)
{
    phi_free(*window);
    *window = NULL;
}

uint32_t phi_window_id(const struct phi_window *window)
{
    return SDL_GetWindowID(window->sdl);
}

bool phi_window_canvas(struct phi_window *window, struct phi_canvas *ret_canvas)
{
    SDL_Surface *surface = SDL_GetWindowSurface(window->sdl);

    if (!surface || surface->format->BytesPerPixel != 4 || surface->w < 1 || surface->h < 1)
        return false;
    if (SDL_MUSTLOCK(surface))
        window->locked = SDL_LockSurface(surface) == 0;
    *ret_canvas = phi_canvas_over(surface->pixels, surface->w, surface->h,
                                  (size_t)surface->pitch / sizeof(uint32_t));
    return true;
}

enum ph_status phi_window_present(struct phi_window *window)
{
    if (window->locked)
        SDL_UnlockSurface(SDL_GetWindowSurface(window->sdl));
    window->locked = false;
    return SDL_UpdateWindowSurface(window->sdl) == 0 ? PH_OK : PH_E_PEER;
}

void phi_window_toggle_full_screen(struct phi_window *window)
{
    window->full_screen = !window->full_screen;
    (void)SDL_SetWindowFullscreen(window->sdl,
                                  window->full_screen ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
}

static enum phi_key key_of(SDL_Keycode code)
{
    switch (code) {
    case SDLK_q:
    case SDLK_ESCAPE:
        return PHI_KEY_QUIT;
    case SDLK_h:
    case SDLK_QUESTION:
    case SDLK_SLASH: /* the key of "?" without shift on many keyboards */
        return PHI_KEY_HELP;
    case SDLK_s:
        return PHI_KEY_SCREENSHOT;
    case SDLK_f:
        return PHI_KEY_FREEZE;
    case SDLK_m:
        return PHI_KEY_MOSAIC;
    case SDLK_o:
        return PHI_KEY_OVERLAY;
    case SDLK_p:
        return PHI_KEY_PAGE;
    case SDLK_LEFT:
        return PHI_KEY_LEFT;
    case SDLK_RIGHT:
        return PHI_KEY_RIGHT;
    case SDLK_END:
        return PHI_KEY_END;
    case SDLK_SPACE:
        return PHI_KEY_MARK;
    case SDLK_F11:
        return PHI_KEY_FULL_SCREEN;
    default:
        return PHI_KEY_NONE;
    }
}

static struct phi_input translate(const SDL_Event *event)
{
    switch (event->type) {
    case SDL_QUIT:
        return (struct phi_input){PHI_KEY_QUIT, 0, 0, 0};
    case SDL_KEYDOWN:
        return (struct phi_input){key_of(event->key.keysym.sym), event->key.windowID, 0, 0};
    case SDL_WINDOWEVENT:
        if (event->window.event == SDL_WINDOWEVENT_CLOSE)
            return (struct phi_input){PHI_KEY_CLOSE, event->window.windowID, 0, 0};
        break;
    default:
        break;
    }
    return (struct phi_input){PHI_KEY_NONE, 0, 0, 0};
}

bool phi_window_input(int timeout_ms, struct phi_input *ret_input)
{
    SDL_Event event;

    if (!SDL_WaitEventTimeout(&event, timeout_ms))
        return false;
    *ret_input = translate(&event);
    return true;
}

double phi_window_refresh_hz(struct phi_window *window)
{
    SDL_DisplayMode mode;

    if (SDL_GetWindowDisplayMode(window->sdl, &mode) != 0 || mode.refresh_rate < 10)
        return 60;
    return mode.refresh_rate;
}
