/* SPDX-License-Identifier: MIT
 *
 * generator/dand: the face that DAND's generator draws from the decoded latent. Between volumes the
 * latent glides to the newest posterior mean and the network draws as often as the budget allows, a
 * layer at a time where it has to; what is recorded is the settled picture. With `show: samples` it
 * draws a row of faces instead, one of each sample of the posterior that the decoder gives.
 */
#include <string.h>

#include "base/error.h"
#include "models/dand_live.h"
#include "nn/prim.h"
#include "phosphene/plugin.h"
#include "plugins/generator/common/morph.h"
#include "plugins/generator/common/weights_file.h"
#include "plugins/generator/dand/strip.h"

#define SIDE     PHI_DAND_SIDE
#define N_PIXELS ((size_t)SIDE * SIDE)

struct params {
    const char *model;
    double glide_s;
    int32_t path;
    int32_t show;
    int32_t precision;
    int64_t threads;
};

enum { SHOW_MEAN, SHOW_SAMPLES };

static const char *const paths[] = {"linear", "spherical", NULL};
static const char *const shows[] = {"mean", "samples", NULL};
static const char *const precisions[] = {"float32", "bfloat16", NULL}; /* enum phi_precision */

static const struct ph_param params_table[] = {
    PH_PATH(struct params, model, "", PH_PARAM_REQUIRED,
            "Model file of kind dand, as phos train writes it."),
    PH_FLOAT(struct params, glide_s, 0.6, 0, 30, "s", 0,
             "How long the moving picture takes from one estimate to the next."),
    PH_ENUM(struct params, path, 0, paths, 0, "The way through latent space between estimates."),
    PH_ENUM(struct params, show, 0, shows, 0,
            "The face of the posterior mean, or a row of faces of its samples (the decoder's "
            "`samples` says how many)."),
    PH_ENUM(struct params, precision, PHI_FLOAT32, precisions, 0,
            "Of the network's arithmetic. bfloat16 takes a processor that has it and little more "
            "than half the time; pixels move by a fifth of a grey level."),
    PH_INT(struct params, threads, 1, 1, 16, "", 0, "Threads of the network's arithmetic."),
};

struct state {
    const struct ph_host *host;
    const struct params *params;
    struct phi_dand_live *live;
    struct phi_morph morph;
    struct dand_strip strip; /* n is 0 where the mean is shown */
    uint8_t *shown;          /* [SIDE][SIDE][3], the last whole picture of the moving latent */
    bool under_way;          /* a picture of morph.now has been begun and not finished */
    bool arrived;            /* the picture under way, or shown, is of the target */
    bool stale;              /* `shown` is not yet of the target */
    struct ph_latent latent;
    uint32_t flags;
};

static enum ph_status read_size(const struct phi_safetensors *file, const char *key, int64_t least,
                                size_t *ret, struct ph_error *reterr)
{
    const int64_t range[2] = {least, 65536};
    int64_t value;
    enum ph_status status = phi_safetensors_metadata_i64(file, key, range, &value, reterr);

    if (status == PH_OK)
        *ret = (size_t)value;
    return status;
}

/* The file's components must be those whose scores the decoder gives, where both are known: as many
 * latents of another encoder, or otherwise scaled, would be drawn as plausible wrong faces. */
static enum ph_status check_space(const struct phi_safetensors *file, uint64_t space,
                                  struct ph_error *reterr)
{
    struct phi_weights *weights = NULL;
    char own[PHI_DAND_SPACE];
    enum ph_status status = PH_OK;

    if (!space || !phi_safetensors_find(file, "dand.p.whiten") ||
        !phi_safetensors_find(file, "dand.g.fc.bias"))
        return PH_OK;
    if (phi_weights_create(&weights) != PH_OK)
        return phi_error_nomem(reterr, "weights", 0);
    status = phi_weights_read(weights, file, "dand.p.", reterr);
    if (status == PH_OK)
        status = phi_weights_read(weights, file, "dand.g.fc.bias", reterr);
    if (status == PH_OK && phi_dand_space(weights, own) && ph_space_hash(own) != space)
        status = phi_error(reterr, PH_E_SHAPE,
                           "%s draws from latents of its own space (%s); the decoder gives as many "
                           "of another (other components, centre or scale): encode the stimuli "
                           "with this file (phos encode) and fit the decoder to that",
                           phi_safetensors_path(file), own);
    phi_weights_destroy(&weights);
    return status;
}

/* Opens the file and reads its sizes; the caller closes *ret_file. */
static enum ph_status open_model(const char *path, const struct ph_spec *in,
                                 struct phi_dand_config *config, struct phi_safetensors **ret_file,
                                 struct ph_error *reterr)
{
    struct phi_safetensors *file = NULL;
    int64_t version = 0;
    enum ph_status status = phi_safetensors_open(path, &file, reterr);

    if (status == PH_OK)
        status = phi_safetensors_expect_kind(file, "dand", 1, &version, reterr);
    if (status == PH_OK)
        status = read_size(file, "dand.latents", 1, &config->n_latent, reterr);
    if (status == PH_OK)
        status = read_size(file, "dand.code", 0, &config->n_code, reterr);
    if (status == PH_OK)
        status = read_size(file, "dand.width", 1, &config->width, reterr);
    if (status == PH_OK && config->n_latent != in->dims[1])
        status = phi_error(reterr, PH_E_SHAPE,
                           "%s draws from %zu latent components, the decoder gives %u: fit the "
                           "decoder to the latents of this file (phos encode)",
                           path, config->n_latent, in->dims[1]);
    if (status == PH_OK)
        status = check_space(file, in->layout, reterr);
    if (status != PH_OK)
        phi_safetensors_close(&file);
    else
        *ret_file = file;
    return status;
}

static enum ph_status dand_plan(const void *params, const struct ph_spec *in,
                                struct ph_spec *ret_out, struct ph_error *reterr)
{
    const struct params *given = params;
    struct phi_dand_config config = {0};
    struct phi_safetensors *file = NULL;
    enum ph_status status;

    if (in->kind != PH_FRAME_LATENT || in->rank != 2)
        return phi_error(reterr, PH_E_SHAPE, "a generator draws from a decoder's latents");
    if (given->show == SHOW_SAMPLES && in->dims[0] < 3)
        return phi_error(reterr, PH_E_INVAL,
                         "there are no samples to show: set the decoder's `samples`, to 5 for "
                         "instance");
    status = open_model(given->model, in, &config, &file, reterr);
    if (status != PH_OK)
        return status;
    phi_safetensors_close(&file);
    ret_out->kind = PH_FRAME_IMAGE;
    ret_out->dtype = PH_DTYPE_U8;
    ret_out->rank = 3;
    ret_out->dims[0] = SIDE;
    ret_out->dims[1] = given->show == SHOW_SAMPLES ? SIDE * (in->dims[0] - 2) : SIDE;
    ret_out->dims[2] = 3;
    return PH_OK;
}

static enum ph_status make_network(struct state *s, const struct ph_spec *in,
                                   struct ph_error *reterr)
{
    struct phi_dand_config config = {0};
    struct phi_safetensors *file = NULL;
    struct phi_weights *weights = NULL;
    enum ph_status status = open_model(s->params->model, in, &config, &file, reterr);

    if (status != PH_OK)
        return status;
    if (phi_weights_create(&weights) != PH_OK)
        status = phi_error_nomem(reterr, "weights", 0);
    if (status == PH_OK)
        status = phi_weights_read(weights, file, "dand.g.", reterr);
    if (status == PH_OK) {
        const struct phi_plan_options options = {.precision =
                                                     (enum phi_precision)s->params->precision};

        status = phi_dand_live_create(weights, &config, &options, &s->live, reterr);
    }
    phi_weights_destroy(&weights);
    phi_safetensors_close(&file);
    return status;
}

/* The picture of the mean face, so that peek is valid from the start. */
static enum ph_status draw_first(struct state *s, struct ph_error *reterr)
{
    const float *picture = NULL;
    enum ph_status status = s->strip.n ? dand_strip_reset(&s->strip, s->live)
                                       : phi_dand_live_run(s->live, s->morph.now, &picture);

    if (status != PH_OK)
        return phi_error(reterr, status, "the generator cannot draw its first picture");
    if (picture)
        dand_to_bytes(picture, 3 * (size_t)SIDE, s->shown);
    return PH_OK;
}

static enum ph_status dand_init(void *state, const void *params, const struct ph_spec *in,
                                const struct ph_spec *out, const struct ph_host *host,
                                struct ph_error *reterr)
{
    struct state *s = state;
    enum ph_status status;

    (void)out;
    s->host = host;
    s->params = params;
    s->shown = host->alloc(host->self, 3 * N_PIXELS, 1);
    status = phi_morph_init(&s->morph, in->dims[1], s->params->glide_s, s->params->path == 1, host);
    if (status == PH_OK && s->params->show == SHOW_SAMPLES)
        status = dand_strip_init(&s->strip, in->dims[0] - 2, in->dims[1], host);
    if (!s->shown || status != PH_OK)
        return phi_error_nomem(reterr, "the moving picture", 3 * N_PIXELS);
    phi_nn_set_threads((int)s->params->threads);
    status = make_network(s, in, reterr);
    return status == PH_OK ? draw_first(s, reterr) : status;
}

static void dand_aim(void *state, const struct ph_frame *latent)
{
    struct state *s = state;

    s->latent = latent->u.latent;
    s->flags = latent->flags;
    s->stale = true;
    if (s->strip.n)
        dand_strip_aim(&s->strip, latent->data);
    phi_morph_aim(&s->morph, latent->data, s->host->now_ns(s->host->self));
}

static enum ph_status dand_step(void *state, int64_t budget_ns)
{
    struct state *s = state;
    const float *picture = NULL;
    int64_t now_ns = s->host->now_ns(s->host->self);
    enum ph_status status;

    if (!s->stale && !s->under_way)
        return PH_AGAIN;
    phi_nn_set_threads((int)s->params->threads);
    if (s->strip.n) {
        status = dand_strip_step(&s->strip, s->live, now_ns + budget_ns);
        s->stale = status != PH_AGAIN;
        return status;
    }
    if (!s->under_way)
        s->arrived = phi_morph_move(&s->morph, now_ns);
    status = phi_dand_live_run_until(s->live, s->under_way ? NULL : s->morph.now,
                                     now_ns + budget_ns, &picture);
    s->under_way = status == PH_AGAIN;
    if (status != PH_OK)
        return status == PH_AGAIN ? PH_OK : status;
    dand_to_bytes(picture, 3 * (size_t)SIDE, s->shown);
    if (s->arrived)
        s->stale = false;
    return PH_OK;
}

static void describe(const struct state *s, struct ph_frame *image)
{
    image->dtype = PH_DTYPE_U8;
    image->rank = 3;
    image->dims[0] = SIDE;
    image->dims[1] = s->strip.n ? SIDE * (uint32_t)s->strip.n : SIDE;
    image->dims[2] = 3;
}

static enum ph_status dand_peek(void *state, struct ph_frame *image)
{
    const struct state *s = state;

    if (s->strip.n)
        memcpy(image->data, s->strip.shown, s->strip.n * 3 * N_PIXELS);
    else
        memcpy(image->data, s->shown, 3 * N_PIXELS);
    describe(s, image);
    image->u.image.latent = s->latent;
    image->flags = s->flags;
    return PH_OK;
}

static enum ph_status dand_render(void *state, const struct ph_frame *latent,
                                  struct ph_frame *image)
{
    struct state *s = state;
    const float *picture = NULL;
    enum ph_status status;

    phi_nn_set_threads((int)s->params->threads);
    describe(s, image);
    if (s->strip.n)
        return dand_strip_render(&s->strip, s->live, latent->data, image->data);
    status = phi_dand_live_run(s->live, latent->data, &picture);
    s->under_way = false; /* a moving picture that was begun is begun again */
    if (status == PH_OK)
        dand_to_bytes(picture, 3 * (size_t)SIDE, image->data);
    return status;
}

static void dand_reset(void *state)
{
    struct state *s = state;
    struct ph_error ignored;

    phi_morph_reset(&s->morph);
    s->under_way = s->arrived = s->stale = false;
    memset(&s->latent, 0, sizeof s->latent);
    s->flags = 0;
    if (draw_first(s, &ignored) != PH_OK)
        memset(s->shown, 0, 3 * N_PIXELS); /* a strip keeps what it had */
}

static void dand_fini(void *state)
{
    struct state *s = state;

    phi_dand_live_destroy(&s->live);
}

static const struct ph_stage_ops dand_ops = {
    .struct_size = sizeof dand_ops,
    .plan = dand_plan,
    .init = dand_init,
    .aim = dand_aim,
    .step = dand_step,
    .peek = dand_peek,
    .render = dand_render,
    .reset = dand_reset,
    .fini = dand_fini,
};

static const struct ph_stage_type dand_type = {
    .struct_size = sizeof dand_type,
    .kind = PH_STAGE_GENERATOR,
    .id = "generator/dand",
    .summary = "Draw the face that DAND's adversarially trained generator sees in the latent",
    .caps = PH_CAP_DETERMINISTIC,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &dand_ops,
};

static const struct ph_stage_type *const types[] = {&dand_type};

static const struct ph_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi_major = PH_ABI_MAJOR,
    .abi_minor = 0,
    .n_types = 1,
    .name = "dand",
    .version = "1.0",
    .licence = "MIT",
    .types = types,
};

PH_PLUGIN_EXPORT(generator_dand, plugin)
