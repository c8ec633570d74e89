/* SPDX-License-Identifier: MIT */
#include "tools/stimuli/set_write.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/file.h"
#include "io/png.h"
#include "tools/stimuli/set.h"
#include "tools/stimuli/sheet.h"

#define MAX_ATTRIBUTES 64
#define MAX_NOTES      16
#define SHEET_SIDE     8 /* tiles a row, and rows, of the contact sheet */

enum { IMAGES, NAMES, ATTRIBUTES, CLIP, N_TENSORS };

struct phi_stimuli_writer {
    struct phi_stimuli_plan plan;
    char folder[PHI_PATH_MAX];
    char name_format[PHI_STIMULI_NAME];
    char attribute_names[MAX_ATTRIBUTES * 32]; /* newline-separated */
    size_t n_done;
    char (*names)[PHI_STIMULI_NAME]; /* [n] */
    float *attributes;               /* [n][n_attributes] */
    int32_t *clips;                  /* [n] */
    struct phi_safetensors_writer *file;
    struct phi_sheet *sheet;
};

static enum ph_status put(struct phi_stimuli_writer *writer, size_t tensor, const void *data,
                          size_t n_bytes, struct ph_error *reterr)
{
    return phi_safetensors_writer_put(writer->file, tensor, 0, data, n_bytes, reterr);
}

static enum ph_status open_file(struct phi_stimuli_writer *writer, struct ph_error *reterr)
{
    const struct phi_stimuli_plan *plan = &writer->plan;
    struct phi_safetensors_pair pairs[MAX_NOTES + 3] = {
        {"phosphene.kind", PHI_STIMULI_KIND},
        {"phosphene.version", "1"},
        {"attribute_names", writer->attribute_names},
    };
    const struct phi_safetensors_tensor tensors[N_TENSORS] = {
        [IMAGES] = {.name = "images",
                    .dtype = PHI_SAFETENSORS_U8,
                    .n_dims = 4,
                    .shape = {plan->n, plan->height, plan->width, 3}},
        [NAMES] = {.name = "names",
                   .dtype = PHI_SAFETENSORS_U8,
                   .n_dims = 2,
                   .shape = {plan->n, PHI_STIMULI_NAME}},
        [ATTRIBUTES] = {.name = "attributes",
                        .dtype = PHI_SAFETENSORS_F32,
                        .n_dims = 2,
                        .shape = {plan->n, plan->n_attributes}},
        [CLIP] = {.name = "clip", .dtype = PHI_SAFETENSORS_I32, .n_dims = 1, .shape = {plan->n}},
    };
    struct phi_safetensors_content content = {tensors, plan->film ? N_TENSORS : CLIP, pairs,
                                              plan->n_notes + 3};
    char path[PHI_PATH_MAX];

    for (size_t i = 0; i < plan->n_notes; i++)
        pairs[3 + i] = plan->notes[i];
    if (!phi_path_join(path, sizeof path, writer->folder, "stimuli.safetensors"))
        return phi_error(reterr, PH_E_LIMIT, "the path '%.200s' is too long", writer->folder);
    return phi_safetensors_writer_create(path, &content, &writer->file, reterr);
}

static enum ph_status open_sheet(struct phi_stimuli_writer *writer, struct ph_error *reterr)
{
    const struct phi_stimuli_plan *plan = &writer->plan;
    size_t n_cols = plan->n < SHEET_SIDE ? plan->n : SHEET_SIDE;
    size_t n_rows = (plan->n + n_cols - 1) / n_cols;
    const struct phi_sheet_layout layout = {.n_rows = n_rows < SHEET_SIDE ? n_rows : SHEET_SIDE,
                                            .n_cols = n_cols,
                                            .tile_width = plan->width,
                                            .tile_height = plan->height};

    return phi_sheet_create(&layout, &writer->sheet, reterr);
}

static enum ph_status take_plan(struct phi_stimuli_writer *writer,
                                const struct phi_stimuli_plan *plan, struct ph_error *reterr)
{
    struct phi_str names = phi_str_over(writer->attribute_names, sizeof writer->attribute_names);

    writer->plan = *plan;
    if (plan->n == 0 || plan->height == 0 || plan->width == 0)
        return phi_error(reterr, PH_E_INVAL, "a set of no pictures cannot be written");
    if (plan->n_attributes > MAX_ATTRIBUTES || plan->n_notes > MAX_NOTES)
        return phi_error(reterr, PH_E_LIMIT, "too many attributes or notes");
    for (size_t i = 0; i < plan->n_attributes; i++)
        phi_str_addf(&names, "%s%s", i ? "\n" : "", plan->attribute_names[i]);
    if (names.cut || !phi_str_copy(writer->folder, sizeof writer->folder, plan->folder) ||
        !phi_str_copy(writer->name_format, sizeof writer->name_format, plan->name_format))
        return phi_error(reterr, PH_E_LIMIT, "a name in the set is too long");
    writer->names = phi_calloc(plan->n, sizeof *writer->names);
    writer->attributes = phi_calloc2(plan->n, plan->n_attributes, sizeof *writer->attributes);
    writer->clips = phi_calloc(plan->n, sizeof *writer->clips);
    if (!writer->names || !writer->attributes || !writer->clips)
        return phi_error_nomem(reterr, "a set of stimuli", plan->n * PHI_STIMULI_NAME);
    return PH_OK;
}

enum ph_status phi_stimuli_writer_create(const struct phi_stimuli_plan *plan,
                                         struct phi_stimuli_writer **ret_writer,
                                         struct ph_error *reterr)
{
    struct phi_stimuli_writer *writer = phi_calloc(1, sizeof *writer);
    enum ph_status status;

    if (!writer)
        return phi_error_nomem(reterr, "a set of stimuli", sizeof *writer);
    status = take_plan(writer, plan, reterr);
    if (status >= 0)
        status = phi_dir_make(writer->folder, reterr);
    if (status >= 0)
        status = open_file(writer, reterr);
    if (status >= 0)
        status = open_sheet(writer, reterr);
    if (status < 0)
        phi_stimuli_writer_destroy(&writer);
    else
        *ret_writer = writer;
    return status;
}

void phi_stimuli_writer_destroy(struct phi_stimuli_writer **writer)
{
    if (!writer || !*writer)
        return;
    phi_safetensors_writer_destroy(&(*writer)->file);
    phi_sheet_destroy(&(*writer)->sheet);
    phi_free((*writer)->names);
    phi_free((*writer)->attributes);
    phi_free((*writer)->clips);
    phi_free(*writer);
    *writer = NULL;
}

/* The last "%zu" or "%0Nzu" of the format gets the number; formats come from our own commands. */
static enum ph_status make_name(struct phi_stimuli_writer *writer, struct ph_error *reterr)
{
    const char *format = writer->name_format;
    const char *percent = strchr(format, '%');
    size_t width = 0;
    struct phi_str name = phi_str_over(writer->names[writer->n_done], PHI_STIMULI_NAME);
    const char *rest;

    if (!percent)
        return phi_error(reterr, PH_E_INVAL, "the name format '%s' has no number", format);
    rest = percent + 1;
    while (*rest >= '0' && *rest <= '9')
        width = width * 10 + (size_t)(*rest++ - '0');
    if (strncmp(rest, "zu", 2) != 0)
        return phi_error(reterr, PH_E_INVAL, "the name format '%s' has no %%zu", format);
    phi_str_addf(&name, "%.*s%0*zu%s", (int)(percent - format), format, (int)width, writer->n_done,
                 rest + 2);
    return name.cut ? phi_error(reterr, PH_E_LIMIT, "the name '%s' is too long", name.text) : PH_OK;
}

static enum ph_status write_png(const struct phi_stimuli_writer *writer, const uint8_t *rgb,
                                struct ph_error *reterr)
{
    const struct phi_png_pixels picture = {writer->plan.width, writer->plan.height, 3, rgb};
    char path[PHI_PATH_MAX];

    if (!phi_path_join(path, sizeof path, writer->folder, writer->names[writer->n_done]))
        return phi_error(reterr, PH_E_LIMIT, "the path '%.200s' is too long", writer->folder);
    return phi_png_write(path, &picture, reterr);
}

enum ph_status phi_stimuli_writer_add(struct phi_stimuli_writer *writer, const uint8_t *rgb,
                                      const double *attributes, int32_t clip,
                                      struct ph_error *reterr)
{
    const struct phi_stimuli_plan *plan = &writer->plan;
    size_t n_bytes = plan->height * plan->width * 3;
    const struct phi_sheet_cell cell = {writer->n_done / SHEET_SIDE, writer->n_done % SHEET_SIDE};
    enum ph_status status;

    if (writer->n_done == plan->n)
        return phi_error(reterr, PH_E_STATE, "the set of %zu pictures is full", plan->n);
    status = make_name(writer, reterr);
    if (status >= 0)
        status = phi_safetensors_writer_put(writer->file, IMAGES, writer->n_done * n_bytes, rgb,
                                            n_bytes, reterr);
    if (status >= 0 && plan->png)
        status = write_png(writer, rgb, reterr);
    if (status < 0)
        return status;
    for (size_t i = 0; i < plan->n_attributes; i++)
        writer->attributes[writer->n_done * plan->n_attributes + i] = (float)attributes[i];
    writer->clips[writer->n_done] = clip;
    phi_sheet_put(writer->sheet, cell, plan->width, plan->height, rgb);
    writer->n_done++;
    return PH_OK;
}

/* One line of the table; false when it did not fit. */
static void add_line(struct phi_str *table, const struct phi_stimuli_writer *writer, size_t i)
{
    const struct phi_stimuli_plan *plan = &writer->plan;

    phi_str_addf(table, "%zu\t%s", i, writer->names[i]);
    if (plan->film)
        phi_str_addf(table, "\t%d", (int)writer->clips[i]);
    for (size_t k = 0; k < plan->n_attributes; k++)
        phi_str_addf(table, "\t%.6g", (double)writer->attributes[i * plan->n_attributes + k]);
    phi_str_addf(table, "\n");
}

static enum ph_status write_table(const struct phi_stimuli_writer *writer, struct ph_error *reterr)
{
    const struct phi_stimuli_plan *plan = &writer->plan;
    size_t n_line = 128 + PHI_STIMULI_NAME + 32 * plan->n_attributes;
    char *text = phi_calloc2(plan->n + 1, n_line, 1);
    char path[PHI_PATH_MAX];
    struct phi_str table;
    enum ph_status status;

    if (!text)
        return phi_error_nomem(reterr, "the table of attributes", (plan->n + 1) * n_line);
    table = phi_str_over(text, (plan->n + 1) * n_line);
    phi_str_addf(&table, "stim_index\tstim_file%s", plan->film ? "\tclip" : "");
    for (size_t k = 0; k < plan->n_attributes; k++)
        phi_str_addf(&table, "\t%s", plan->attribute_names[k]);
    phi_str_addf(&table, "\n");
    for (size_t i = 0; i < plan->n; i++)
        add_line(&table, writer, i);
    if (table.cut || !phi_path_join(path, sizeof path, writer->folder, "attributes.tsv"))
        status = phi_error(reterr, PH_E_INTERNAL, "the table of attributes did not fit");
    else
        status = phi_file_write(path, text, table.length, reterr);
    phi_free(text);
    return status;
}

enum ph_status phi_stimuli_writer_finish(struct phi_stimuli_writer *writer, struct ph_error *reterr)
{
    const struct phi_stimuli_plan *plan = &writer->plan;
    char path[PHI_PATH_MAX];
    enum ph_status status;

    if (writer->n_done != plan->n)
        return phi_error(reterr, PH_E_STATE, "%zu of %zu pictures were added", writer->n_done,
                         plan->n);
    status = put(writer, NAMES, writer->names, plan->n * sizeof *writer->names, reterr);
    if (status >= 0)
        status = put(writer, ATTRIBUTES, writer->attributes,
                     plan->n * plan->n_attributes * sizeof *writer->attributes, reterr);
    if (status >= 0 && plan->film)
        status = put(writer, CLIP, writer->clips, plan->n * sizeof *writer->clips, reterr);
    if (status >= 0)
        status = write_table(writer, reterr);
    if (status >= 0 && phi_path_join(path, sizeof path, writer->folder, "sheet.png"))
        status = phi_sheet_write(writer->sheet, path, reterr);
    if (status >= 0)
        status = phi_safetensors_writer_commit(writer->file, reterr);
    return status;
}
