/* SPDX-License-Identifier: MIT */
#include "rt/shown.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "rt/mailbox.h"

struct phi_shown {
    uint32_t dims[3];
    size_t n_values;
    struct phi_mailbox *maps[PHI_SHOWN_MAPS];
    struct phi_mailbox *curves[PHI_SHOWN_CURVES];
    char map_titles[PHI_SHOWN_MAPS][PHI_SHOWN_TITLE];     /* the filters' */
    char curve_titles[PHI_SHOWN_CURVES][PHI_SHOWN_TITLE]; /* the filters' */
};

static enum ph_status make_boxes(struct phi_shown *shown, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;
    size_t n_bytes;

    shown->n_values = (size_t)shown->dims[0] * shown->dims[1] * shown->dims[2];
    if (!phi_mul_size(shown->n_values, sizeof(float), &n_bytes) ||
        !phi_add_size(n_bytes, sizeof(struct phi_shown_map), &n_bytes))
        return phi_error_nomem(reterr, "maps for the display", shown->n_values);
    for (size_t i = 0; i < PHI_SHOWN_MAPS && status == PH_OK; i++)
        status = phi_mailbox_create(n_bytes, &shown->maps[i], reterr);
    for (size_t i = 0; i < PHI_SHOWN_CURVES && status == PH_OK; i++)
        status = phi_mailbox_create(sizeof(struct phi_shown_curves), &shown->curves[i], reterr);
    return status;
}

enum ph_status phi_shown_create(const uint32_t dims[3], struct phi_shown **ret_shown,
                                struct ph_error *reterr)
{
    struct phi_shown *shown = phi_calloc(1, sizeof *shown);
    enum ph_status status;

    if (!shown)
        return phi_error_nomem(reterr, "maps for the display", sizeof *shown);
    memcpy(shown->dims, dims, sizeof shown->dims);
    status = make_boxes(shown, reterr);
    if (status != PH_OK) {
        phi_shown_destroy(&shown);
        return status;
    }
    *ret_shown = shown;
    return PH_OK;
}

void phi_shown_destroy(struct phi_shown **shown)
{
    if (!shown || !*shown)
        return;
    for (size_t i = 0; i < PHI_SHOWN_MAPS; i++)
        phi_mailbox_destroy(&(*shown)->maps[i]);
    for (size_t i = 0; i < PHI_SHOWN_CURVES; i++)
        phi_mailbox_destroy(&(*shown)->curves[i]);
    phi_free(*shown);
    *shown = NULL;
}

/* The place of `title`, its own or the first free one; -1 if all are taken. */
static int place_of(char titles[][PHI_SHOWN_TITLE], int n, const char *title)
{
    char wanted[PHI_SHOWN_TITLE];

    (void)phi_str_copy(wanted, sizeof wanted, title && title[0] ? title : "?");
    for (int i = 0; i < n; i++) {
        if (!titles[i][0])
            memcpy(titles[i], wanted, sizeof wanted);
        if (strcmp(titles[i], wanted) == 0)
            return i;
    }
    return -1;
}

bool phi_shown_put_map(struct phi_shown *shown, const struct ph_map *map)
{
    struct phi_shown_map *copy;
    int place;

    if (memcmp(map->dims, shown->dims, sizeof shown->dims) != 0 || !(map->threshold > 0))
        return false;
    place = place_of(shown->map_titles, PHI_SHOWN_MAPS, map->title);
    if (place < 0)
        return false;
    copy = phi_mailbox_back(shown->maps[place]);
    memcpy(copy->title, shown->map_titles[place], sizeof copy->title);
    copy->threshold = map->threshold;
    memcpy(copy->values, map->values, shown->n_values * sizeof(float));
    phi_mailbox_publish(shown->maps[place]);
    return true;
}

bool phi_shown_put_curves(struct phi_shown *shown, const struct ph_curves *curves)
{
    struct phi_shown_curves *copy;
    int place;

    if (curves->n_traces > PH_MAX_TRACES || curves->n_points > PH_MAX_POINTS ||
        curves->n_bands > PH_MAX_BANDS)
        return false;
    place = place_of(shown->curve_titles, PHI_SHOWN_CURVES, curves->title);
    if (place < 0)
        return false;
    copy = phi_mailbox_back(shown->curves[place]);
    memcpy(copy->title, shown->curve_titles[place], sizeof copy->title);
    (void)phi_str_copy(copy->x_unit, sizeof copy->x_unit, curves->x_unit ? curves->x_unit : "");
    (void)phi_str_copy(copy->y_unit, sizeof copy->y_unit, curves->y_unit ? curves->y_unit : "");
    copy->x0 = curves->x0;
    copy->dx = curves->dx;
    copy->n_traces = curves->n_traces;
    copy->n_points = curves->n_points;
    copy->n_bands = curves->n_bands;
    copy->log_y = curves->log_y;
    for (uint32_t i = 0; i < curves->n_traces; i++) {
        (void)phi_str_copy(copy->names[i], sizeof copy->names[i],
                           curves->names ? curves->names[i] : "");
        memcpy(copy->values[i], curves->values + (size_t)i * curves->n_points,
               curves->n_points * sizeof(float));
    }
    for (uint32_t i = 0; i < curves->n_bands; i++)
        copy->bands[i] = curves->bands[i];
    phi_mailbox_publish(shown->curves[place]);
    return true;
}

bool phi_shown_map(struct phi_shown *shown, size_t slot, const struct phi_shown_map **ret_map)
{
    const void *block = NULL;
    bool fresh = phi_mailbox_newest(shown->maps[slot % PHI_SHOWN_MAPS], &block);

    *ret_map = block;
    return fresh;
}

bool phi_shown_curves(struct phi_shown *shown, size_t slot,
                      const struct phi_shown_curves **ret_curves)
{
    const void *block = NULL;
    bool fresh = phi_mailbox_newest(shown->curves[slot % PHI_SHOWN_CURVES], &block);

    *ret_curves = block;
    return fresh;
}
