/* SPDX-License-Identifier: MIT */
#include "models/draw.h"

#include "base/error.h"
#include "nn/layers.h"
#include "nn/losses.h"

enum ph_status phi_draw_check(const struct phi_draw_config *config, struct ph_error *reterr)
{
    if (config->n_steps < 1 || config->n_steps > PHI_DRAW_STEPS)
        return phi_error(reterr, PH_E_INVAL, "DRAW takes 1 to %d steps, not %d", PHI_DRAW_STEPS,
                         config->n_steps);
    if (config->channels == 0 || config->channels > PHI_NODE_INPUTS)
        return phi_error(reterr, PH_E_SHAPE, "DRAW takes pictures of 1 to %d planes, not %zu",
                         PHI_NODE_INPUTS, config->channels);
    if (config->n_read == 1 || config->n_write == 1)
        return phi_error(reterr, PH_E_SHAPE,
                         "a window of DRAW has 2 x 2 points or more; 0 takes whole pictures");
    if (config->batch == 0 || config->h == 0 || config->w == 0 || config->n_enc == 0 ||
        config->n_dec == 0 || config->n_latent == 0)
        return phi_error(reterr, PH_E_SHAPE, "DRAW's batch, picture and widths are 1 or more");
    if (config->n_words > 0 &&
        (config->n_vocabulary == 0 || config->n_lang == 0 || config->n_align == 0))
        return phi_error(reterr, PH_E_SHAPE,
                         "captions need a vocabulary and widths of language and alignment");
    return PH_OK;
}

/* A linear layer draw.NAME. */
static int dense(struct phi_graph *graph, const char *name, int x, size_t n_out)
{
    size_t n_in = phi_graph_shape(graph, x).dim[1];
    int weight = phi_graph_paramf(graph, PHI_SHAPE(n_out, n_in), "draw.%s.weight", name);
    int bias = phi_graph_paramf(graph, PHI_SHAPE(n_out), "draw.%s.bias", name);

    return phi_graph_linear(graph, x, weight, bias);
}

static struct phi_lstm lstm(struct phi_graph *graph, const char *name, size_t n_in, size_t n)
{
    return (struct phi_lstm){phi_graph_paramf(graph, PHI_SHAPE(4 * n, n_in), "%s.weight_ih", name),
                             phi_graph_paramf(graph, PHI_SHAPE(4 * n, n), "%s.weight_hh", name),
                             phi_graph_paramf(graph, PHI_SHAPE(4 * n), "%s.bias", name)};
}

int phi_draw_language(struct phi_graph *graph, const struct phi_draw_config *config, int caption)
{
    size_t n_vocabulary = config->n_vocabulary, n = config->n_lang;
    int words = phi_graph_transpose(graph, phi_graph_one_hot(graph, caption, n_vocabulary),
                                    (const int[]){1, 0, 2});
    struct phi_lstm ways[2] = {lstm(graph, "lang.fwd", n_vocabulary, n),
                               lstm(graph, "lang.rev", n_vocabulary, n)};

    return phi_graph_bilstm(graph, ways, words, NULL);
}

struct phi_draw_alignment phi_draw_align(struct phi_graph *graph,
                                         const struct phi_draw_config *config, int language, int h)
{
    size_t words = config->n_words, batch = config->batch, l = config->n_align;
    size_t n = 2 * config->n_lang;
    int u = phi_graph_param(graph, "align.U", PHI_SHAPE(l, n));
    int w = phi_graph_param(graph, "align.W", PHI_SHAPE(l, phi_graph_shape(graph, h).dim[1]));
    int b = phi_graph_param(graph, "align.b", PHI_SHAPE(l));
    int v =
        phi_graph_reshape(graph, phi_graph_param(graph, "align.v", PHI_SHAPE(l)), PHI_SHAPE(1, l));
    int rows = phi_graph_transpose(graph, language, (const int[]){1, 0, 2});
    int flat = phi_graph_reshape(graph, rows, PHI_SHAPE(batch * words, n));
    int said =
        phi_graph_reshape(graph, phi_graph_linear(graph, flat, u, -1), PHI_SHAPE(batch, words, l));
    int drawn = phi_graph_reshape(graph, phi_graph_linear(graph, h, w, b), PHI_SHAPE(batch, 1, l));
    int match = phi_graph_tanh(graph, phi_graph_add(graph, said, drawn));
    struct phi_draw_alignment ret;

    match = phi_graph_reshape(graph, match, PHI_SHAPE(batch * words, l));
    ret.score =
        phi_graph_reshape(graph, phi_graph_linear(graph, match, v, -1), PHI_SHAPE(batch, words));
    ret.alpha = phi_graph_softmax(graph, ret.score);
    ret.sentence = phi_graph_matmul(
        graph, phi_graph_reshape(graph, ret.alpha, PHI_SHAPE(batch, 1, words)), rows, false, false);
    ret.sentence = phi_graph_reshape(graph, ret.sentence, PHI_SHAPE(batch, n));
    return ret;
}

/* What goes from step to step. */
struct drawing {
    struct phi_graph *graph;
    const struct phi_draw_config *config;
    int picture, language, canvas;
    struct phi_lstm enc, dec;
    struct phi_lstm_state enc_state, dec_state;
    int prior[2]; /* mean and log variance of z; -1 for N(0, I) */
};

/* The canvas at the start, the same for every row. */
static int first_canvas(struct phi_graph *graph, const struct phi_draw_config *c)
{
    int zeros = phi_graph_constant(graph, PHI_SHAPE(c->batch, c->channels, c->h, c->w), NULL);
    int c0 = phi_graph_param(graph, "draw.c0", PHI_SHAPE(c->channels * c->h * c->w));

    return phi_graph_add(graph, zeros,
                         phi_graph_reshape(graph, c0, PHI_SHAPE(1, c->channels, c->h, c->w)));
}

static size_t glimpse_size(const struct phi_draw_config *c)
{
    return 2 * c->channels * (c->n_read ? c->n_read * c->n_read : c->h * c->w);
}

static void begin(struct drawing *d)
{
    const struct phi_draw_config *c = d->config;
    int enc_zero = phi_graph_constant(d->graph, PHI_SHAPE(c->batch, c->n_enc), NULL);
    int dec_zero = phi_graph_constant(d->graph, PHI_SHAPE(c->batch, c->n_dec), NULL);

    if (d->picture >= 0)
        d->enc = lstm(d->graph, "draw.enc", glimpse_size(c) + c->n_dec, c->n_enc);
    d->dec = lstm(d->graph, "draw.dec", c->n_latent + (c->n_words ? 2 * c->n_lang : 0), c->n_dec);
    d->enc_state = (struct phi_lstm_state){enc_zero, enc_zero};
    d->dec_state = (struct phi_lstm_state){dec_zero, dec_zero};
    d->prior[0] = -1;
    d->canvas = first_canvas(d->graph, c);
}

/* [r_t]: the picture and what the canvas lacks of it. */
static int look(struct drawing *d)
{
    const struct phi_draw_config *c = d->config;
    int rest = phi_graph_sub(d->graph, d->picture, phi_graph_sigmoid(d->graph, d->canvas));
    int part[2] = {d->picture, rest};
    struct phi_draw_window window = {0};

    if (c->n_read)
        window =
            phi_draw_filters(d->graph, c, dense(d->graph, "read", d->dec_state.h, 5), c->n_read);
    for (int i = 0; i < 2; i++)
        part[i] = c->n_read ? phi_draw_read(d->graph, &window, part[i])
                            : phi_graph_reshape(d->graph, part[i],
                                                PHI_SHAPE(c->batch, c->channels * c->h * c->w));
    return phi_graph_concat(d->graph, 1, part, 2);
}

static int paint(struct drawing *d)
{
    const struct phi_draw_config *c = d->config;
    size_t n = c->n_write ? c->n_write * c->n_write : c->h * c->w;
    int patch = dense(d->graph, "write", d->dec_state.h, c->channels * n);
    struct phi_draw_window window;

    if (c->n_write == 0)
        return phi_graph_reshape(d->graph, patch, PHI_SHAPE(c->batch, c->channels, c->h, c->w));
    window =
        phi_draw_filters(d->graph, c, dense(d->graph, "write_att", d->dec_state.h, 5), c->n_write);
    return phi_draw_write(d->graph, &window, patch, c->channels);
}

/* mean + exp(logvar / 2) noise, where -1 for the mean is N(0, I). */
static int sample(struct drawing *d, const int *gaussian, int noise)
{
    int sd;

    if (gaussian[0] < 0)
        return noise;
    sd = phi_graph_unary(d->graph, PHI_EXP, phi_graph_scale(d->graph, gaussian[1], 0.5f), 0, 0);
    return phi_graph_add(d->graph, gaussian[0], phi_graph_mul(d->graph, sd, noise));
}

/* alignDRAW: what was drawn so far says what z to expect. */
static void expect(struct drawing *d)
{
    int both =
        phi_graph_tanh(d->graph, dense(d->graph, "prior", d->dec_state.h, 2 * d->config->n_latent));

    phi_graph_split(d->graph, both, 1, 2, d->prior);
    d->prior[1] = phi_graph_scale(d->graph, d->prior[1], 2); /* it is a log sd */
}

/* q(z_t | picture, canvas); returns its divergence from the prior. */
static int infer(struct drawing *d, int glimpse, int *ret_gaussian)
{
    int in = phi_graph_concat(d->graph, 1, (const int[]){glimpse, d->dec_state.h}, 2);

    phi_graph_lstm_step(d->graph, &d->enc, in, &d->enc_state.h, &d->enc_state.c);
    ret_gaussian[0] = dense(d->graph, "mean", d->enc_state.h, d->config->n_latent);
    ret_gaussian[1] = dense(d->graph, "logvar", d->enc_state.h, d->config->n_latent);
    return d->prior[0] < 0 ? phi_loss_kl_standard(d->graph, ret_gaussian[0], ret_gaussian[1])
                           : phi_loss_kl_gaussians(d->graph, ret_gaussian, d->prior);
}

static void draw_step(struct drawing *d, int t, int noise, struct phi_draw_pass *pass)
{
    int gaussian[2] = {d->prior[0], d->prior[1]}, in;
    struct phi_draw_alignment alignment = {.alpha = -1};

    if (d->language >= 0)
        alignment = phi_draw_align(d->graph, d->config, d->language, d->dec_state.h);
    if (d->language >= 0 && t > 0) {
        expect(d);
        gaussian[0] = d->prior[0];
        gaussian[1] = d->prior[1];
    }
    pass->alpha[t] = alignment.alpha;
    pass->read[t] = d->picture >= 0 ? look(d) : -1;
    pass->kl[t] = d->picture >= 0 ? infer(d, pass->read[t], gaussian) : -1;
    pass->z[t] = sample(d, gaussian, noise);
    in = pass->z[t];
    if (d->language >= 0)
        in = phi_graph_concat(d->graph, 1, (const int[]){in, alignment.sentence}, 2);
    phi_graph_lstm_step(d->graph, &d->dec, in, &d->dec_state.h, &d->dec_state.c);
    d->canvas = phi_graph_add(d->graph, d->canvas, paint(d));
    pass->canvas[t] = d->canvas;
}

struct phi_draw_pass phi_draw_pass(struct phi_graph *graph, const struct phi_draw_config *config,
                                   int picture, int caption, int eps)
{
    struct drawing drawing = {graph, config, .picture = picture, .language = -1};
    struct phi_draw_pass pass = {.language = -1};

    if (config->n_words)
        drawing.language = phi_draw_language(graph, config, caption);
    begin(&drawing);
    for (int t = 0; t < config->n_steps; t++) {
        int noise = phi_graph_reshape(graph, phi_graph_slice(graph, eps, 0, (size_t)t, 1),
                                      PHI_SHAPE(config->batch, config->n_latent));

        draw_step(&drawing, t, noise, &pass);
        phi_graph_mark(graph);
    }
    pass.h_dec = drawing.dec_state.h;
    pass.language = drawing.language;
    return pass;
}

int phi_draw_cross_entropy(struct phi_graph *graph, const struct phi_draw_config *config,
                           const struct phi_draw_pass *pass, int picture)
{
    int cost = phi_loss_bce_logits(graph, pass->canvas[config->n_steps - 1], picture);
    size_t n = config->channels * config->h * config->w;

    return phi_graph_sum(graph, phi_graph_reshape(graph, cost, PHI_SHAPE(config->batch, n)), 2);
}

int phi_draw_loss(struct phi_graph *graph, const struct phi_draw_config *config,
                  const struct phi_draw_pass *pass, int cross_entropy)
{
    int sum = cross_entropy;

    for (int t = 0; t < config->n_steps; t++)
        sum = phi_graph_add(graph, sum, pass->kl[t]);
    return phi_graph_mean_all(graph, sum);
}
