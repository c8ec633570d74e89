/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/posterior_fit.h"
#include "decode/trial.h"
#include "eval/blocks.h"

#define LEAST_SHARE   1e-3
#define MOST_IN_CHUNK 0.9

/* One fit on a choice of blocks. */
struct fit {
    const struct block_fold *fold;
    const uint32_t *label;
    size_t n_categories, p;
    double code[BLOCKS_MAX_CATEGORIES][BLOCKS_MAX_CATEGORIES]; /* [category][p] */
    bool used[BLOCKS_MAX];
    float *x;         /* [n][p] */
    double *nuisance; /* [n][1 + n_base + free blocks] */
    struct phi_posterior *post;
    struct phi_decoder_shape shape;
    double on[BLOCKS_MAX_CATEGORIES];
};

/* Orthonormal contrasts of the categories, of unit variance when all are equally frequent. */
static void set_codes(struct fit *fit)
{
    size_t n = fit->n_categories;

    fit->p = n - 1;
    for (size_t c = 0; c < fit->p; c++) {
        double scale = sqrt((double)n / ((double)(c + 1) * (double)(c + 2)));

        for (size_t k = 0; k < n; k++)
            fit->code[k][c] = k <= c ? scale : k == c + 1 ? -scale * (double)(c + 1) : 0;
    }
}

/* Keeps as many blocks of each category as the rarest has, beginning with the `turn`-th. */
static void choose_blocks(struct fit *fit, size_t turn)
{
    const struct block_fold *f = fit->fold;
    size_t count[BLOCKS_MAX_CATEGORIES] = {0}, seen[BLOCKS_MAX_CATEGORIES] = {0},
           least = BLOCKS_MAX;

    for (size_t b = 0; b < f->blocks->n; b++)
        count[fit->label[b]] += b != f->left_out;
    for (size_t k = 0; k < fit->n_categories; k++)
        least = count[k] < least ? count[k] : least;
    for (size_t b = 0; b < f->blocks->n; b++) {
        uint32_t k = fit->label[b];

        fit->used[b] = false;
        if (b == f->left_out)
            continue;
        fit->used[b] = (seen[k] + count[k] - turn % count[k]) % count[k] < least;
        seen[k]++;
    }
}

/* How many choices there are: the blocks of the most frequent category. */
static size_t n_turns(const struct fit *fit)
{
    size_t count[BLOCKS_MAX_CATEGORIES] = {0}, most = 1;

    for (size_t b = 0; b < fit->fold->blocks->n; b++)
        if (b != fit->fold->left_out)
            count[fit->label[b]]++;
    for (size_t k = 0; k < fit->n_categories; k++)
        most = count[k] > most ? count[k] : most;
    return most;
}

/* The largest share of a block's response that one chunk of rows holds; 1 where there is hardly any
 * response in the rows, `most` being the energy of a whole one. */
static double largest_chunk(const struct block_fold *f, size_t block, double most)
{
    double total = 0, chunk = 0, largest = 0;

    for (size_t i = 0; i < f->n; i++) {
        double h = f->column[i * f->blocks->n + block];

        chunk = i > 0 && f->chunk[i] == f->chunk[i - 1] ? chunk + h * h : h * h;
        largest = fmax(largest, chunk);
        total += h * h;
    }
    return total > LEAST_SHARE * most ? largest / total : 1;
}

/* Blocks not used, but in the rows, get a column of their own, fitted without penalty: what they
 * looked like teaches nothing. One that a single chunk could settle would leave nothing over when
 * that chunk is left out to find the noise. */
static size_t list_free(const struct fit *fit, size_t *ret_block)
{
    const struct block_fold *f = fit->fold;
    size_t nb = f->blocks->n, n_free = 0;
    double energy[BLOCKS_MAX] = {0}, most = 0;

    for (size_t i = 0; i < f->n * nb; i++)
        energy[i % nb] += f->column[i] * f->column[i];
    for (size_t b = 0; b < nb; b++)
        most = fmax(most, energy[b]);
    for (size_t b = 0; b < nb; b++)
        if (!fit->used[b] && largest_chunk(f, b, most) < MOST_IN_CHUNK)
            ret_block[n_free++] = b;
    return n_free;
}

/* Returns how many nuisance columns there are: response to any used block, base, free blocks. */
static size_t fill_design(struct fit *fit)
{
    const struct block_fold *f = fit->fold;
    size_t nb = f->blocks->n, free_block[BLOCKS_MAX], n_free = list_free(fit, free_block);
    size_t width = 1 + f->n_base + n_free;

    memset(fit->x, 0, f->n * fit->p * sizeof *fit->x);
    for (size_t i = 0; i < f->n; i++) {
        double *row = fit->nuisance + i * width;

        row[0] = 0;
        for (size_t b = 0; b < nb; b++) {
            double h = f->column[i * nb + b];

            if (!fit->used[b])
                continue;
            row[0] += h;
            for (size_t c = 0; c < fit->p; c++)
                fit->x[i * fit->p + c] += (float)(h * fit->code[fit->label[b]][c]);
        }
        memcpy(row + 1, f->base + i * f->n_base, f->n_base * sizeof *row);
        for (size_t k = 0; k < n_free; k++)
            row[1 + f->n_base + k] = f->column[i * nb + free_block[k]];
    }
    return width;
}

static enum ph_status fit_decoder(struct fit *fit, struct ph_error *reterr)
{
    const struct block_fold *f = fit->fold;
    size_t n_nuisance = fill_design(fit);
    const struct phi_posterior_data data = {
        {fit->x, f->chunk, f->n, fit->p, f->n_chunks, fit->nuisance, n_nuisance}, f->y, f->q};
    /* a handful of contrasts from a hundred volumes need no penalty */
    const struct phi_posterior_options options = {.penalty = PHI_PENALTY_FIXED,
                                                  .full_noise = f->options->full_noise,
                                                  .rho = f->rho,
                                                  .n_threads = f->options->n_threads};
    enum ph_status status = phi_posterior_fit(&data, &options, &fit->post, reterr);

    for (size_t c = 0; status == PH_OK && c < fit->p; c++) {
        fit->on[c] = 0;
        for (size_t v = 0; v < f->q; v++)
            fit->on[c] += (double)fit->post->w[c * f->q + v] * (double)fit->post->extra[v];
    }
    return status;
}

/* x = W (y - c - drift), the drift as it was fitted to the training volumes around. */
static void project(const struct fit *fit, size_t r, const double *base, double *ret_x)
{
    const struct block_fold *f = fit->fold;
    const struct phi_posterior *post = fit->post;

    memset(ret_x, 0, fit->p * sizeof *ret_x);
    for (size_t v = 0; v < f->q; v++) {
        double y = (double)(f->rows->y[r * f->rows->q + f->voxel[v]] - post->c[v]);

        for (size_t j = 0; j < f->n_base; j++)
            y -= base[j] * (double)post->extra[(1 + j) * f->q + v];
        for (size_t c = 0; c < fit->p; c++)
            ret_x[c] += (double)post->w[c * f->q + v] * y;
    }
}

/* Adds the log likelihood of each category: that of zeta is the posterior over the prior, and the
 * prior of the latents is the identity, so zeta = T'z. */
static void add_scores(const struct fit *fit, const struct phi_trial_report *report, double weight,
                       double *score)
{
    for (size_t k = 0; k < fit->n_categories; k++)
        for (size_t i = 0; i < fit->p; i++) {
            double zeta = 0, precision = 1 / report->var[i];

            for (size_t c = 0; c < fit->p; c++)
                zeta += fit->post->t[c * fit->p + i] * fit->code[k][c];
            score[k] +=
                weight * (report->mean[i] * precision * zeta - 0.5 * (precision - 1) * zeta * zeta);
        }
}

/* Opens the blocks of the run that began by the row and whose response has not ended before. */
static enum ph_status open_blocks(const struct fit *fit, struct phi_trials *trials, size_t r,
                                  size_t *next)
{
    const struct block_fold *f = fit->fold;
    const struct block *mine = &f->blocks->block[f->left_out];
    enum ph_status status = PH_OK;

    for (; status == PH_OK && *next < f->blocks->n; ++*next) {
        const struct block *b = &f->blocks->block[*next];
        struct phi_trial_event event = {(uint32_t)*next, -1, b->onset_s, b->end_s - b->onset_s, 1};

        if (b->run == mine->run && b->onset_s > f->rows->at_s[r])
            break;
        if (b->run == mine->run && b->end_s + fit->shape.hrf.length_s > mine->onset_s)
            status = phi_trials_open(trials, &event);
        if (b->run > mine->run)
            break;
    }
    return status;
}

static enum ph_status decode_rows(const struct fit *fit, struct phi_trials *trials, double weight,
                                  double *score, struct ph_error *reterr)
{
    const struct block_fold *f = fit->fold;
    double x[BLOCKS_MAX_CATEGORIES], *base = phi_calloc(f->n_base + 1, sizeof *base);
    size_t next = 0;
    enum ph_status status = base ? PH_OK : phi_error_nomem(reterr, "a row", f->n_base * 8);

    for (size_t s = 0; status == PH_OK && s < f->n_steps; s++) {
        size_t r = f->step[s];

        status = open_blocks(fit, trials, r, &next);
        if (status) {
            (void)phi_error(reterr, status, "block %zu cannot be opened", next + 1);
            break;
        }
        block_fold_base(f, r, base);
        project(fit, r, base, x);
        (void)phi_trials_step(trials, f->rows->at_s[r], x, NULL);
        for (size_t i = 0; i < phi_trials_count(trials); i++) {
            struct phi_trial_report report = phi_trials_report(trials, i);

            if (report.number == f->left_out)
                add_scores(fit, &report, weight, score + s * fit->n_categories);
        }
    }
    phi_free(base);
    return status;
}

static enum ph_status decode(struct fit *fit, double weight, double *score, struct ph_error *reterr)
{
    const struct phi_trials_config config = {.n_channels = fit->p,
                                             .d = fit->post->d,
                                             .weight_error = fit->post->error,
                                             .on = fit->on,
                                             .rho = fit->fold->rho,
                                             .tr_s = fit->fold->rows->geometry.tr_s,
                                             .response_s = fit->shape.hrf.length_s,
                                             .response = phi_decoder_response,
                                             .response_ctx = &fit->shape};
    struct phi_trials *trials = NULL;
    enum ph_status status = phi_trials_create(&config, &trials, reterr);

    if (status == PH_OK)
        status = decode_rows(fit, trials, weight, score, reterr);
    phi_trials_destroy(&trials);
    return status;
}

enum ph_status block_fold_decode(const struct block_fold *fold, const uint32_t *label,
                                 double *ret_score, struct ph_error *reterr)
{
    const struct phi_hrf hrf = phi_hrf_spm();
    struct fit fit = {.fold = fold,
                      .label = label,
                      .n_categories = fold->blocks->n_categories,
                      .shape = phi_decoder_shape_of(&hrf)};
    size_t turns = n_turns(&fit);
    enum ph_status status = PH_OK;

    set_codes(&fit);
    memset(ret_score, 0, fold->n_steps * fit.n_categories * sizeof *ret_score);
    fit.x = phi_calloc2(fold->n, fit.p, sizeof *fit.x);
    fit.nuisance = phi_calloc2(fold->n, 1 + fold->n_base + fold->blocks->n, sizeof *fit.nuisance);
    if (!fit.x || !fit.nuisance)
        status = phi_error_nomem(reterr, "the design", fold->n * fold->blocks->n * sizeof(double));
    for (size_t turn = 0; status == PH_OK && turn < turns; turn++) {
        choose_blocks(&fit, turn);
        status = fit_decoder(&fit, reterr);
        if (status == PH_OK)
            status = decode(&fit, 1 / (double)turns, ret_score, reterr);
        phi_posterior_destroy(&fit.post);
    }
    phi_free(fit.x);
    phi_free(fit.nuisance);
    return status;
}
