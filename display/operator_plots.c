/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "display/curves.h"
#include "display/operator_private.h"
#include "display/palette.h"

enum page { PAGE_QUALITY = 0, PAGE_MORE = 1, PAGE_CURVES = 2 };

#define N_SHOWN 150

static void draw_six(const struct view *v, struct phi_rect rect, const struct phi_plot plots[6])
{
    for (int i = 0; i < 6; i++)
        phi_plot_draw(v->canvas, v->fonts->small,
                      (struct phi_rect){rect.x + i % 2 * rect.w / 2, rect.y + i / 2 * rect.h / 3,
                                        rect.w / 2, rect.h / 3},
                      &plots[i]);
}

static void draw_quality(const struct view *v, struct phi_rect rect)
{
    static const char *const shift_names[] = {"x", "y", "z"};
    static const char *const turn_names[] = {"pitch", "roll", "yaw"};
    const struct phi_scene *s = v->scene;
    const struct phi_plot plots[] = {
        {"shift", "mm", s->motion_mm, 3, shift_names, 0.2f, 0, NAN, N_SHOWN},
        {"rotation", "\xC2\xB0", s->motion_deg, 3, turn_names, 0.2f, 0, NAN, N_SHOWN},
        {"framewise displacement", "mm", &s->fd, 1, NULL, 0.3f, 1, 0.5f, N_SHOWN},
        {"DVARS, standardised", "", &s->std_dvars, 1, NULL, 1.0f, 1, 1.5f, N_SHOWN},
        {"tSNR, median", "", &s->tsnr, 1, NULL, 20, 1, NAN, N_SHOWN},
        {"volume to decoded", "ms", &s->latency_ms, 1, NULL, 5, 1, NAN, N_SHOWN},
    };

    draw_six(v, rect, plots);
}

static void draw_more(const struct view *v, struct phi_rect rect)
{
    const struct phi_scene *s = v->scene;
    const struct phi_plot plots[] = {
        {"global signal", "", &s->global_signal, 1, NULL, 1, 0, NAN, N_SHOWN},
        {"drift since the start", "%", &s->drift, 1, NULL, 0.5f, 0, NAN, N_SHOWN},
        {"DVARS, median 1000", "", &s->dvars, 1, NULL, 10, 1, NAN, N_SHOWN},
        {"outlying voxels", "%", &s->outlier_percent, 1, NULL, 1, 1, 10, N_SHOWN},
        {"global correlation", "", &s->gcor, 1, NULL, 0.05f, 1, NAN, N_SHOWN},
        {"spikes so far", "", &s->spikes, 1, NULL, 4, 1, NAN, N_SHOWN},
    };

    draw_six(v, rect, plots);
}

static unsigned n_curves(const struct phi_scene *scene)
{
    unsigned n = 0;

    for (unsigned i = 0; i < PHI_SHOWN_CURVES; i++)
        n += scene->curves[i].n_traces > 0;
    return n + (scene->calibrated.n_traces > 0);
}

static void draw_curves(const struct view *v, struct phi_rect rect)
{
    int n = (int)n_curves(v->scene);
    int columns = n > 2 ? 2 : 1;
    int rows = n > 0 ? (n + columns - 1) / columns : 1;
    int k = 0;

    if (n == 0)
        phi_text(v->canvas, v->fonts->normal, rect.x + rect.w / 2, rect.y + rect.h / 2,
                 PHI_ALIGN_CENTRE, PHI_COLOUR_STALE, "nothing in this run shows curves");
    for (unsigned i = 0; i <= PHI_SHOWN_CURVES; i++) {
        const struct phi_shown_curves *curves =
            i < PHI_SHOWN_CURVES ? &v->scene->curves[i] : &v->scene->calibrated;

        if (curves->n_traces == 0)
            continue;
        phi_curves_draw(v->canvas, v->fonts->small,
                        (struct phi_rect){rect.x + k % columns * rect.w / columns,
                                          rect.y + k / columns * rect.h / rows, rect.w / columns,
                                          rect.h / rows},
                        curves);
        k++;
    }
}

static void draw_page(const struct view *v, struct phi_rect rect, int page)
{
    phi_canvas_fill(v->canvas, rect, PHI_COLOUR_PANE);
    phi_canvas_outline(v->canvas, rect, PHI_COLOUR_EDGE);
    rect = phi_rect_inset(rect, 2);
    if (page == PAGE_CURVES)
        draw_curves(v, rect);
    else if (page == PAGE_MORE)
        draw_more(v, rect);
    else
        draw_quality(v, rect);
}

void phi_operator_draw_plots(const struct view *v, struct phi_rect rect, bool two)
{
    int page = v->choice->page;
    struct phi_rect above = {rect.x, rect.y, rect.w, rect.h / 2 - 2};
    struct phi_rect below = {rect.x, rect.y + rect.h / 2 + 2, rect.w, rect.h - rect.h / 2 - 2};

    if (!two) {
        draw_page(v, rect, page);
        return;
    }
    if (page == PAGE_QUALITY)
        page = n_curves(v->scene) > 0 ? PAGE_CURVES : PAGE_MORE;
    draw_page(v, above, PAGE_QUALITY);
    draw_page(v, below, page);
}
