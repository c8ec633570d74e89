/* SPDX-License-Identifier: MIT
 *
 * DRAW (Gregor et al. 2015): a picture drawn in steps on a canvas of logits, through a window of
 * Gaussian filters whose place and size the network chooses; and alignDRAW (Mansimov et al. 2016),
 * which reads a caption while it draws. Builders append to a graph, unrolled: with a picture to
 * train (pass, loss), without one to draw from the prior.
 *
 * Parameters: draw.{enc,dec}.{weight_ih,weight_hh,bias}; draw.{mean,logvar,read,write_att,write,
 * prior}.{weight,bias}; draw.c0, the canvas at the start; lang.{fwd,rev}.{weight_ih,weight_hh,bias}
 * and align.{U,W,b,v} with captions. LSTM gates in the order i, f, g, o.
 */
#ifndef PHI_MODELS_DRAW_H
#define PHI_MODELS_DRAW_H

#include "nn/graph.h"

#define PHI_DRAW_STEPS 64 /* at most */

/* How window positions count. The notes of the model's paper give SPEC: i = 1..N, N / 2 not
 * rounded, pixels from 0. AUTHORS is the grid of the published alignDRAW code: i = 0..N-1, N / 2
 * rounded down. CENTRED counts pixels from 1, so that a window of zeros lies symmetric in the
 * picture. */
enum phi_draw_grid { PHI_DRAW_GRID_SPEC, PHI_DRAW_GRID_AUTHORS, PHI_DRAW_GRID_CENTRED };

struct phi_draw_config {
    size_t batch, channels, h, w;
    int n_steps;
    size_t n_enc, n_dec, n_latent;
    size_t n_read, n_write;  /* side of the windows, 2 or more; 0 for none: whole pictures */
    enum phi_draw_grid grid; /* of both windows */
    size_t n_words, n_vocabulary, n_lang, n_align; /* alignDRAW; n_words 0 for DRAW */
};

/* PH_OK, or which size is impossible. */
PH_NODISCARD enum ph_status phi_draw_check(const struct phi_draw_config *config,
                                           struct ph_error *reterr);

/* The filters of a window. */
struct phi_draw_window {
    int fx;                 /* [batch][n][w] */
    int fy;                 /* [batch][n][h] */
    int strength, weakness; /* gamma and 1 / gamma: [batch][1][1] */
};

/* The window of side n for its five numbers p [batch][5]: centre x and y, logarithms of stride,
 * variance and strength. */
struct phi_draw_window phi_draw_filters(struct phi_graph *graph,
                                        const struct phi_draw_config *config, int p, size_t n);

/* What the window sees of a picture [batch][channels][h][w]: [batch][channels n n]. */
int phi_draw_read(struct phi_graph *graph, const struct phi_draw_window *window, int picture);

/* The patch [batch][channels n n] painted through the window: [batch][channels][h][w]. */
int phi_draw_write(struct phi_graph *graph, const struct phi_draw_window *window, int patch,
                   size_t channels);

/* Captions [batch][n_words] of word numbers, read both ways: [n_words][batch][2 n_lang]. */
int phi_draw_language(struct phi_graph *graph, const struct phi_draw_config *config, int caption);

/* Which words matter for the hidden state h [batch][n_dec] (Bahdanau et al. 2015). */
struct phi_draw_alignment {
    int score, alpha; /* [batch][n_words]; alpha sums to 1 */
    int sentence;     /* [batch][2 n_lang] */
};
struct phi_draw_alignment phi_draw_align(struct phi_graph *graph,
                                         const struct phi_draw_config *config, int language, int h);

/* Nodes of each step; -1 where a step has none. */
struct phi_draw_pass {
    int canvas[PHI_DRAW_STEPS]; /* after the step, logits [batch][channels][h][w] */
    int z[PHI_DRAW_STEPS];      /* [batch][n_latent] */
    int read[PHI_DRAW_STEPS];   /* [batch][2 channels n_read n_read]; with a picture */
    int kl[PHI_DRAW_STEPS];     /* [batch][1]; with a picture */
    int alpha[PHI_DRAW_STEPS];  /* [batch][n_words]; with a caption */
    int h_dec;                  /* at the end, [batch][n_dec] */
    int language;               /* with a caption */
};

/* All steps. `picture` [batch][channels][h][w] in [0, 1], or -1 to draw from the prior; `caption`
 * or -1; noise eps [n_steps][batch][n_latent]. */
struct phi_draw_pass phi_draw_pass(struct phi_graph *graph, const struct phi_draw_config *config,
                                   int picture, int caption, int eps);

/* Cross entropy of the last canvas with the picture, per row [batch][1]. */
int phi_draw_cross_entropy(struct phi_graph *graph, const struct phi_draw_config *config,
                           const struct phi_draw_pass *pass, int picture);

/* The loss [1]: the mean over the batch of cross entropy and the steps' divergences. */
int phi_draw_loss(struct phi_graph *graph, const struct phi_draw_config *config,
                  const struct phi_draw_pass *pass, int cross_entropy);

#endif
