/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "eval/dand.h"
#include "tools/stimuli/sheet.h"

#define TILE        64
#define MAX_COLS    12
#define N_STEPS     7
#define MAX_SAMPLES 8
#define MAX_LATENTS 1024
#define TRAVERSED   8
#define SPREAD      3.0f
#define MAX_FACES   4

struct board {
    struct study *study;
    struct phi_sheet *sheet;
    enum ph_status status;
    struct ph_error *err;
};

static bool open_board(struct board *b, size_t n_rows, size_t n_cols)
{
    const struct phi_sheet_layout layout = {n_rows,      n_cols,    TILE,         TILE,
                                            .left = 120, .top = 16, .caption = 0, .gap = 2};

    b->status = phi_sheet_create(&layout, &b->sheet, b->err);
    return b->status == PH_OK;
}

static enum ph_status close_board(struct board *b, const char *name)
{
    char path[1024];

    if (b->status == PH_OK) {
        if (snprintf(path, sizeof path, "%s/%s", b->study->args->out, name) >= (int)sizeof path)
            b->status = phi_error(b->err, PH_E_INVAL, "the path of %s is too long", name);
        else
            b->status = phi_sheet_write(b->sheet, path, b->err);
    }
    phi_sheet_destroy(&b->sheet);
    return b->status;
}

static void put(struct board *b, size_t row, size_t col, const uint8_t *rgb)
{
    phi_sheet_put(b->sheet, (struct phi_sheet_cell){row, col}, EVAL_FACE_SIDE, EVAL_FACE_SIDE, rgb);
}

static void put_drawn(struct board *b, size_t row, size_t col, const float *z)
{
    static uint8_t rgb[EVAL_FACE_BYTES];

    if (b->status == PH_OK)
        b->status = eval_faces_draw(&b->study->faces, z, rgb, b->err);
    if (b->status == PH_OK)
        put(b, row, col, rgb);
}

static void put_row(struct board *b, size_t row, const char *name, const uint8_t *pictures)
{
    size_t n = b->study->n < MAX_COLS ? b->study->n : MAX_COLS;

    phi_sheet_label_row(b->sheet, row, name);
    for (size_t i = 0; i < n; i++)
        put(b, row, i, pictures + i * EVAL_FACE_BYTES);
}

/* What was shown, the ceiling, and each method's pictures of it. */
static enum ph_status reconstructions(struct board *b)
{
    struct study *study = b->study;
    size_t row = 1;

    if (!open_board(b, study->n_methods, study->n < MAX_COLS ? study->n : MAX_COLS))
        return b->status;
    put_row(b, 0, "shown", study->shown);
    for (int kind = -1; kind < STUDY_N_KINDS; kind++)
        for (size_t i = 0; i < study->n_methods; i++) {
            const struct study_method *m = &study->methods[i];
            int wanted = kind < 0 ? -1 : STUDY_N_KINDS - 1 - kind; /* DAND first */

            if (m->kind == wanted && strcmp(m->name, "mean picture") != 0)
                put_row(b, row++, m->name, m->pixels);
        }
    return close_board(b, "reconstructions.png");
}

/* One whitened component at a time, from the mean face. */
static enum ph_status traversals(struct board *b)
{
    size_t p = b->study->faces.n_latent, n = p < TRAVERSED ? p : TRAVERSED;
    float z[MAX_LATENTS] = {0};
    char text[32];

    if (!open_board(b, n, N_STEPS))
        return b->status;
    for (size_t col = 0; col < N_STEPS; col++) {
        (void)snprintf(text, sizeof text, "%+.0f sd",
                       (double)SPREAD * (2.0 * (double)col / (N_STEPS - 1) - 1));
        phi_sheet_label_col(b->sheet, col, text);
    }
    for (size_t k = 0; k < n; k++) {
        (void)snprintf(text, sizeof text, "component %zu", k + 1);
        phi_sheet_label_row(b->sheet, k, text);
        for (size_t col = 0; col < N_STEPS; col++) {
            z[k] = SPREAD * (2 * (float)col / (N_STEPS - 1) - 1);
            put_drawn(b, k, col, z);
        }
        z[k] = 0;
    }
    return close_board(b, "traversals.png");
}

static void put_path(struct board *b, size_t row, const float *latents, const size_t pair[2])
{
    size_t p = b->study->faces.n_latent;
    float z[MAX_LATENTS];

    for (size_t col = 0; col < N_STEPS; col++) {
        float t = (float)col / (N_STEPS - 1);

        for (size_t k = 0; k < p; k++)
            z[k] = (1 - t) * latents[pair[0] * p + k] + t * latents[pair[1] * p + k];
        put_drawn(b, row, col + 1, z);
    }
    put(b, row, 0, b->study->shown + pair[0] * EVAL_FACE_BYTES);
    put(b, row, N_STEPS + 1, b->study->shown + pair[1] * EVAL_FACE_BYTES);
}

/* Between the latents of two pictures, and between two responses: the posterior mean is linear in
 * the response, so the latter is the line between the decoded latents. */
static enum ph_status interpolation(struct board *b)
{
    struct study *study = b->study;
    size_t n_pairs = study->n / 2 < 3 ? study->n / 2 : 3, row = 0;
    char text[32];

    if (!open_board(b, n_pairs * (1 + study->n_subjects), N_STEPS + 2))
        return b->status;
    phi_sheet_label_col(b->sheet, 0, "shown");
    phi_sheet_label_col(b->sheet, N_STEPS + 1, "shown");
    for (size_t i = 0; i < n_pairs; i++) {
        const size_t pair[2] = {2 * i, 2 * i + 1};

        phi_sheet_label_row(b->sheet, row, "latents");
        put_path(b, row++, study->latents, pair);
        for (size_t s = 0; s < study->n_subjects; s++) {
            (void)snprintf(text, sizeof text, "responses of %zu", s + 1);
            phi_sheet_label_row(b->sheet, row, text);
            put_path(b, row++, study->subjects[s].latents, pair);
        }
    }
    return close_board(b, "interpolation.png");
}

static void put_posterior(struct board *b, size_t row, size_t face)
{
    const struct study_subject *subject = &b->study->subjects[0];
    size_t p = b->study->faces.n_latent;
    char text[32];

    (void)snprintf(text, sizeof text, "posterior, face %zu", face + 1);
    phi_sheet_label_row(b->sheet, row, text);
    put(b, row, 0, b->study->shown + face * EVAL_FACE_BYTES);
    put_drawn(b, row, 1, subject->latents + face * p);
    for (size_t s = 0; s < subject->n_samples && s < MAX_SAMPLES; s++)
        put_drawn(b, row, 2 + s, subject->samples + (face * subject->n_samples + s) * p);
}

/* Faces of the prior, and of the first subject's posterior beside its mean and what was shown. */
static enum ph_status samples(struct board *b)
{
    struct study *study = b->study;
    size_t p = study->faces.n_latent;
    size_t n_faces = study->n < MAX_FACES ? study->n : MAX_FACES;
    float z[MAX_LATENTS];
    struct phi_rng rng;

    if (!open_board(b, 2 + n_faces, MAX_SAMPLES + 2))
        return b->status;
    phi_sheet_label_col(b->sheet, 0, "shown");
    phi_sheet_label_col(b->sheet, 1, "mean");
    phi_sheet_label_col(b->sheet, 2, "samples");
    phi_rng_init(&rng, (uint64_t)study->args->seed, 0);
    for (size_t row = 0; row < 2; row++) {
        phi_sheet_label_row(b->sheet, row, "prior");
        for (size_t s = 0; s < MAX_SAMPLES; s++) {
            phi_rng_normal_f32(&rng, z, p);
            put_drawn(b, row, 2 + s, z);
        }
    }
    for (size_t i = 0; i < n_faces; i++)
        put_posterior(b, 2 + i, i);
    return close_board(b, "samples.png");
}

enum ph_status study_sheets(struct study *study, struct ph_error *reterr)
{
    struct board b = {.study = study, .err = reterr};
    enum ph_status status;

    if (study->faces.n_latent > MAX_LATENTS)
        return phi_error(reterr, PH_E_LIMIT, "sheets are drawn from at most %d latents",
                         MAX_LATENTS);
    status = reconstructions(&b);
    if (status == PH_OK)
        status = traversals(&b);
    if (status == PH_OK)
        status = interpolation(&b);
    return status == PH_OK ? samples(&b) : status;
}
