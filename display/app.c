/* SPDX-License-Identifier: MIT */
#include "display/app.h"

#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "display/feed.h"
#include "display/pacing.h"
#include "display/screen.h"
#include "display/window.h"

#define HEADLESS_HZ 20
#define TEXT_HZ     15 /* plots and text change with volumes; pictures move at the refresh */

struct phi_display {
    struct phi_view *view;
    struct phi_display_config config;
    struct phi_scene *scene;
    struct phi_operator_fonts fonts;
    struct phi_operator_choice choice;
    struct phi_window *operator_window, *subject_window;
    bool video;
    bool quit_asked, closed;
    struct phi_pacing pacing;
    int64_t worst_draw_ns;
    int64_t stopped_ns;       /* when the run was first seen to have stopped */
    struct ph_latent flipped; /* what the subject's window shows */
    bool flip;
};

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static enum ph_status open_windows(struct phi_display *display, struct ph_error *reterr)
{
    const struct phi_display_config *config = &display->config;
    const struct phi_window_config operator_config = {
        .title = "Phosphene", .width = config->width, .height = config->height, .display = -1};
    const struct phi_window_config subject_config = {.title = "Phosphene: subject",
                                                     .width = 800,
                                                     .height = 600,
                                                     .display = config->subject_display,
                                                     .full_screen = config->subject_full_screen,
                                                     .hide_cursor = config->subject_full_screen};
    enum ph_status status = phi_video_start(reterr);

    if (status != PH_OK)
        return status;
    display->video = true;
    if (config->operator_window)
        status = phi_window_open(&operator_config, &display->operator_window, reterr);
    if (status == PH_OK && config->subject_window)
        status = phi_window_open(&subject_config, &display->subject_window, reterr);
    return status;
}

/* The moving pictures are made at display rate only while somebody looks; `hz` 0 stops them. */
static void ask_to_move(struct phi_display *display, double hz)
{
    int64_t interval_ns = hz > 0 ? (int64_t)(1e9 / hz) : 0;

    for (size_t g = 0; g < phi_view_info(display->view)->n_generators; g++)
        phi_view_move(display->view, g, interval_ns);
}

static double refresh_of(const struct phi_display *display)
{
    if (display->config.headless)
        return HEADLESS_HZ;
    if (display->config.refresh_hz > 0)
        return display->config.refresh_hz;
    if (display->operator_window)
        return phi_window_refresh_hz(display->operator_window);
    return display->subject_window ? phi_window_refresh_hz(display->subject_window) : HEADLESS_HZ;
}

static enum ph_status fill(struct phi_display *display, struct ph_error *reterr)
{
    const struct phi_display_config *config = &display->config;
    const struct phi_scene_config scene = {.label = config->label,
                                           .stimulus = config->stimulus,
                                           .stimulus_context = config->stimulus_context,
                                           .axes = config->axes,
                                           .truth = config->truth};
    enum ph_status status = phi_feed_scene(display->view, &scene, &display->scene, reterr);

    if (status != PH_OK)
        return status;
    status = phi_operator_fonts_create(config->height, &display->fonts);
    if (status != PH_OK)
        return phi_error(reterr, status, "fonts for the display cannot be made");
    if (!config->headless && (config->operator_window || config->subject_window)) {
        status = open_windows(display, reterr);
        if (status == PH_OK)
            ask_to_move(display, refresh_of(display));
    }
    return status;
}

enum ph_status phi_display_create(struct phi_view *view, const struct phi_display_config *config,
                                  struct phi_display **ret_display, struct ph_error *reterr)
{
    struct phi_display *display = phi_calloc(1, sizeof *display);
    enum ph_status status;

    if (!display)
        return phi_error_nomem(reterr, "the display", sizeof *display);
    display->view = view;
    display->config = *config;
    display->choice.page = config->page;
    display->choice.mosaic = config->mosaic;
    status = fill(display, reterr);
    if (status != PH_OK) {
        phi_display_destroy(&display);
        return status;
    }
    *ret_display = display;
    return PH_OK;
}

void phi_display_destroy(struct phi_display **display)
{
    if (!display || !*display)
        return;
    if ((*display)->video)
        ask_to_move(*display, 0);
    phi_window_close(&(*display)->operator_window);
    phi_window_close(&(*display)->subject_window);
    if ((*display)->video)
        phi_video_stop();
    phi_operator_fonts_destroy(&(*display)->fonts);
    phi_scene_destroy(&(*display)->scene);
    phi_free(*display);
    *display = NULL;
}

void phi_display_draw(struct phi_display *display, struct phi_canvas *canvas)
{
    (void)phi_feed_update(display->view, display->scene);
    phi_operator_draw(canvas, &display->fonts, display->scene, &display->choice,
                      display->scene->now_ns);
}

void phi_display_draw_film(struct phi_display *display, struct phi_canvas *canvas)
{
    (void)phi_feed_update(display->view, display->scene);
    phi_film_draw(canvas, &display->fonts, display->scene);
}

bool phi_display_draw_map(struct phi_display *display, struct phi_canvas *canvas, int map)
{
    (void)phi_feed_update(display->view, display->scene);
    return phi_map_draw(canvas, &display->fonts, display->scene, map);
}

static void take_screenshot(struct phi_display *display)
{
    struct phi_canvas canvas;
    uint8_t *rgb;

    if (!display->config.screenshot || !display->operator_window ||
        !phi_window_canvas(display->operator_window, &canvas))
        return;
    rgb = phi_calloc2((size_t)canvas.width, (size_t)canvas.height * 3, 1);
    if (!rgb)
        return;
    phi_operator_draw(&canvas, &display->fonts, display->scene, &display->choice,
                      display->scene->now_ns);
    phi_canvas_to_rgb(&canvas, rgb);
    display->config.screenshot(display->config.screenshot_context, rgb, canvas.width,
                               canvas.height);
    phi_free(rgb);
}

static void ask_to_quit(struct phi_display *display)
{
    if (display->quit_asked || display->stopped_ns)
        display->closed = true;
    display->quit_asked = true;
    phi_view_request_stop(display->view);
}

static void close_window(struct phi_display *display, uint32_t id)
{
    if (display->operator_window && phi_window_id(display->operator_window) == id)
        phi_window_close(&display->operator_window);
    if (display->subject_window && phi_window_id(display->subject_window) == id)
        phi_window_close(&display->subject_window);
    if (display->stopped_ns && !display->operator_window)
        display->closed = true;
}

static void handle(struct phi_display *display, const struct phi_input *input)
{
    struct phi_operator_choice *choice = &display->choice;

    switch (input->key) {
    case PHI_KEY_QUIT:
        ask_to_quit(display);
        break;
    case PHI_KEY_CLOSE:
        close_window(display, input->window_id);
        break;
    case PHI_KEY_HELP:
        choice->help = !choice->help;
        break;
    case PHI_KEY_SCREENSHOT:
        take_screenshot(display);
        break;
    case PHI_KEY_FREEZE:
        choice->frozen = !choice->frozen;
        break;
    case PHI_KEY_MOSAIC:
        choice->mosaic = !choice->mosaic;
        break;
    case PHI_KEY_OVERLAY:
        choice->map = phi_operator_next_map(display->scene, choice->map);
        break;
    case PHI_KEY_PAGE:
        choice->page = (choice->page + 1) % PHI_OPERATOR_PAGES;
        break;
    case PHI_KEY_LEFT:
        choice->back += choice->back < PHI_SCENE_TILES;
        break;
    case PHI_KEY_RIGHT:
        choice->back -= choice->back > 0;
        break;
    case PHI_KEY_END:
        choice->back = 0;
        break;
    case PHI_KEY_MARK:
        phi_view_mark(display->view, "operator");
        break;
    case PHI_KEY_FULL_SCREEN:
        if (display->operator_window)
            phi_window_toggle_full_screen(display->operator_window);
        break;
    case PHI_KEY_NONE:
        break;
    }
}

static bool same_statement(const struct ph_latent *a, const struct ph_latent *b)
{
    return a->trial == b->trial && a->revision == b->revision && a->stimulus_s == b->stimulus_s;
}

static void show_subject(struct phi_display *display)
{
    const struct phi_picture *picture = &display->scene->now[display->config.subject_generator];
    struct phi_canvas canvas;
    bool fresh = picture->width > 0 && !same_statement(&display->flipped, &picture->latent);

    if (!display->subject_window || !phi_window_canvas(display->subject_window, &canvas))
        return;
    if (fresh) {
        display->flip = !display->flip;
        display->flipped = picture->latent;
    }
    phi_subject_draw(&canvas, &display->config.subject, picture->width ? picture->rgb : NULL,
                     (int)picture->width, (int)picture->height, display->flip);
    if (phi_window_present(display->subject_window) == PH_OK && fresh && display->config.flip)
        display->config.flip(display->config.flip_context, &display->flipped, now_ns());
}

static void show_operator(struct phi_display *display)
{
    struct phi_canvas canvas;

    if (!display->operator_window || !phi_window_canvas(display->operator_window, &canvas))
        return;
    phi_operator_draw(&canvas, &display->fonts, display->scene, &display->choice,
                      display->scene->now_ns);
    if (phi_window_present(display->operator_window) != PH_OK)
        phi_window_close(&display->operator_window);
}

/* The windows are left as they are: SDL would speak to a server that is gone. */
static void go_on_without_screen(struct phi_display *display)
{
    ask_to_move(display, 0);
    phi_window_forget(&display->operator_window);
    phi_window_forget(&display->subject_window);
    display->video = false;
    display->config.headless = true;
    if (display->config.screen_lost)
        display->config.screen_lost(display->config.screen_lost_context);
}

/* One refresh: take what is new, draw, present. An unchanged scene is redrawn at TEXT_HZ only. */
static void refresh(struct phi_display *display, int64_t *drawn_ns)
{
    int64_t start = now_ns();
    bool fresh = !display->choice.frozen && phi_feed_update(display->view, display->scene);

    if (!display->config.headless && (fresh || start - *drawn_ns > 1000000000 / TEXT_HZ)) {
        show_operator(display);
        show_subject(display);
        *drawn_ns = start;
    }
    if (now_ns() - start > display->worst_draw_ns)
        display->worst_draw_ns = now_ns() - start;
    phi_pacing_presented(&display->pacing, now_ns());
}

static void wait_for_refresh(struct phi_display *display)
{
    int64_t left = phi_pacing_left_ns(&display->pacing, now_ns());

    while (left > 0 && !display->closed) {
        struct phi_input input;

        if (!display->video) {
            const struct timespec nap = {left / 1000000000, left % 1000000000};

            (void)nanosleep(&nap, NULL);
        } else if (left < 1000000 || !phi_window_input((int)(left / 1000000), &input)) {
            const struct timespec rest = {0, left % 1000000};

            (void)nanosleep(&rest, NULL);
        } else {
            handle(display, &input);
        }
        left = phi_pacing_left_ns(&display->pacing, now_ns());
    }
}

/* Remembers that the run has stopped: from then on closing the window ends the display. */
static void note_stop(struct phi_display *display)
{
    if (display->scene->stats.state == PHI_VIEW_STOPPED && !display->stopped_ns)
        display->stopped_ns = now_ns();
}

void phi_display_loop(struct phi_display *display, bool (*may_leave)(void *context), void *context)
{
    int64_t drawn_ns = 0;

    phi_pacing_start(&display->pacing, refresh_of(display), now_ns());
    while (!display->closed && !may_leave(context)) {
        note_stop(display);
        if (display->video && phi_screen_lost())
            go_on_without_screen(display);
        wait_for_refresh(display);
        refresh(display, &drawn_ns);
    }
}

void phi_display_stats(const struct phi_display *display, struct phi_display_stats *ret_stats)
{
    *ret_stats = (struct phi_display_stats){display->pacing.n_frames, display->pacing.n_dropped,
                                            display->pacing.worst_ns, display->worst_draw_ns};
}
