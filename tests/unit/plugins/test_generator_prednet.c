/* SPDX-License-Identifier: MIT
 * generator/prednet: recorded pictures are those of the network run by hand with R overwritten,
 * with the film seen and free running; the controls are what they say; the moving picture passes
 * through the recorded one and goes on beyond it, and keeps to its time between layers; bfloat16
 * is near; bad sizes are refused by name. */
#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "io/safetensors.h"
#include "models/prednet_live.h"
#include "nn/init.h"
#include "rig.h"
#include "tempdir.h"
#include "test.h"

enum { SIDE = 16, N_PIXELS = SIDE * SIDE, N_FRAMES = 60, CUT = 25, N_R = 4 * 8 * 8, FPS = 5 };

static const struct phi_prednet_config tiny = {
    .n_layers = 2, .channels = {3, 4}, .h = SIDE, .w = SIDE, .batch = 1};

struct setup {
    struct tempdir dir;
    char model[512], film[512];
    struct phi_weights *weights;
    uint8_t pixels[N_FRAMES][N_PIXELS][3];
};

/* The model with `stack` as the widths it says it has, and the size of its pictures unless told
 * not. */
static void write_as(const struct setup *s, const char *stack, bool picture)
{
    struct phi_safetensors_tensor tensors[64] = {0};
    const struct phi_safetensors_pair pairs[] = {{"phosphene.kind", "prednet"},
                                                 {"phosphene.version", "1"},
                                                 {"prednet.stack", stack},
                                                 {"picture", "3x16x16 in 0..1"}};
    const struct phi_safetensors_content content = {tensors, phi_weights_count(s->weights), pairs,
                                                    picture ? 4 : 3};
    struct ph_error err;

    for (size_t i = 0; i < content.n_tensors; i++) {
        const struct phi_param *param = phi_weights_at(s->weights, i);

        tensors[i].name = param->name;
        tensors[i].dtype = PHI_SAFETENSORS_F32;
        tensors[i].n_dims = (size_t)param->value.shape.n_dims;
        memcpy(tensors[i].shape, param->value.shape.dim,
               tensors[i].n_dims * sizeof *tensors[i].shape);
        tensors[i].data = param->value.data;
    }
    assert_ok(phi_safetensors_write(s->model, &content, &err), err);
}

static void write_model(const struct setup *s)
{
    write_as(s, "3,4", true);
}

static void write_film(const struct setup *s, size_t h, size_t w)
{
    int32_t clip[N_FRAMES];
    const struct phi_safetensors_tensor tensors[] = {
        {"images", PHI_SAFETENSORS_U8, 4, {N_FRAMES, h, w, 3}, s->pixels, 0, 0},
        {"clip", PHI_SAFETENSORS_I32, 1, {N_FRAMES}, clip, 0, 0}};
    const struct phi_safetensors_pair pairs[] = {{"phosphene.kind", "stimuli"},
                                                 {"phosphene.version", "1"}};
    const struct phi_safetensors_content content = {tensors, 2, pairs, 2};
    struct ph_error err;

    for (int i = 0; i < N_FRAMES; i++)
        clip[i] = i >= CUT;
    assert_ok(phi_safetensors_write(s->film, &content, &err), err);
}

static void open_setup(struct setup *s)
{
    struct phi_graph *graph = NULL;
    struct phi_prednet_state zero;
    struct phi_rng rng;
    struct ph_error err;

    memset(s, 0, sizeof *s);
    assert_true(tempdir_make(&s->dir));
    (void)snprintf(s->model, sizeof s->model, "%s/prednet.safetensors", s->dir.path);
    (void)snprintf(s->film, sizeof s->film, "%s/film.safetensors", s->dir.path);
    assert_int_equal(phi_graph_create(&graph), PH_OK);
    assert_int_equal(phi_weights_create(&s->weights), PH_OK);
    zero = phi_prednet_zero_state(graph, &tiny);
    (void)phi_prednet_step(graph, &tiny, phi_graph_input(graph, "x", PHI_SHAPE(1, 3, SIDE, SIDE)),
                           NULL, &zero);
    assert_ok(phi_graph_check(graph, &err), err);
    assert_ok(phi_init_graph(s->weights, graph, PHI_INIT_HE_NORMAL, 1, 3, &err), err);
    phi_graph_destroy(&graph);
    phi_rng_init(&rng, 9, 0);
    /* Predictions that are neither all black nor all white. */
    for (size_t i = 0; i < phi_weights_count(s->weights); i++)
        for (size_t k = 0; strstr(phi_weights_at(s->weights, i)->name, "ahat.0.bias") && k < 3; k++)
            phi_weights_at(s->weights, i)->value.data[k] = 0.4f;
    for (size_t i = 0; i < sizeof s->pixels; i++)
        (&s->pixels[0][0][0])[i] = (uint8_t)(256 * phi_rng_uniform(&rng));
    write_model(s);
    write_film(s, SIDE, SIDE);
}

static void close_setup(struct setup *s)
{
    phi_weights_destroy(&s->weights);
    tempdir_remove(&s->dir);
}

static struct rig *open_rig(const struct setup *s, bool film, const char *more)
{
    struct ph_spec in = rig_latents(N_R);
    char params[1600];

    in.geometry.tr_s = 2;
    (void)snprintf(params, sizeof params, "model=%s layer=1 fps=5 %s%s %s", s->model,
                   film ? "film=" : "", film ? s->film : "", more);
    return rig_open("generator/prednet", params, &in);
}

/* The film is on from 3 s, in two events, each a clip. */
static void show_film(struct rig *rig)
{
    const struct ph_event first = {.onset_s = 3, .duration_s = (double)CUT / FPS};
    struct ph_event second = {.onset_s = 3 + (double)CUT / FPS,
                              .duration_s = (double)(N_FRAMES - CUT) / FPS,
                              .stim_index = CUT};

    assert_int_equal(rig_event(rig, &first), PH_OK);
    assert_int_equal(rig_event(rig, &second), PH_OK);
}

/* Statement i is about 5 + 2 i s; its R. */
static void statement(int i, float *values)
{
    struct phi_rng rng;

    phi_rng_init(&rng, (uint64_t)i + 100, 0);
    for (size_t k = 0; k < N_R; k++) {
        values[k] = (float)tanh(phi_rng_normal(&rng));
        values[N_R + k] = 1;
    }
}

static struct ph_frame latent_of(int i, float *values)
{
    struct ph_frame latent = {.kind = PH_FRAME_LATENT, .rank = 2, .dims = {2, N_R}, .data = values};

    statement(i, values);
    latent.u.latent.stimulus_s = 5 + 2 * i;
    latent.u.latent.lag_s = 4;
    return latent;
}

static void render(struct rig *rig, int i, uint8_t *pixels)
{
    float values[2 * N_R];
    const struct ph_frame latent = latent_of(i, values);
    struct ph_frame image = {.data = pixels, .capacity_bytes = 3 * N_PIXELS};

    assert_int_equal(
        rig_type("generator/prednet")->ops->render(rig_stage(rig)->state, &latent, &image), PH_OK);
}

enum drive { DECODED, ZEROS, NOTHING, HALF };

/* The same by hand: statements hold 1 s to either side of their moment; the picture is that of the
 * frame that stands at the moment. pictures[n] of statements 0 .. n-1. */
static void by_hand(const struct setup *s, bool film, enum drive how, int n, uint8_t *pictures)
{
    struct phi_prednet_live *net = NULL;
    float r[2 * N_R], frame[3 * N_PIXELS];
    struct ph_error err;
    int shown = 0;

    assert_ok(phi_prednet_live_create(s->weights, &tiny, NULL, &net, &err), err);
    for (int tick = 4 * FPS; shown < n; tick++) { /* begins 1 s before the first moment */
        int i = (tick - 4 * FPS) / (2 * FPS), k = tick - 3 * FPS;
        const struct phi_prednet_drive drive = {1, how == HALF ? 0.5f : 1, r};

        statement(i, r);
        if (how == ZEROS)
            memset(r, 0, sizeof r);
        if (film && (k == CUT || tick == 4 * FPS))
            phi_prednet_live_reset(net);
        for (size_t p = 0; p < N_PIXELS; p++)
            for (size_t c = 0; c < 3; c++)
                frame[c * N_PIXELS + p] = (float)s->pixels[k][p][c] / 255;
        assert_int_equal(
            phi_prednet_live_step(net, film ? frame : NULL, how == NOTHING ? NULL : &drive), PH_OK);
        if (tick != (5 + 2 * shown) * FPS)
            continue;
        for (size_t p = 0; p < N_PIXELS; p++)
            for (size_t c = 0; c < 3; c++)
                pictures[((size_t)shown * N_PIXELS + p) * 3 + c] =
                    (uint8_t)(phi_prednet_live_prediction(net)[c * N_PIXELS + p] * 255 + 0.5f);
        shown++;
    }
    phi_prednet_live_destroy(&net);
}

enum { N = 4 };

static void recorded_pictures(void **state)
{
    static struct setup s;
    static uint8_t want[N][3 * N_PIXELS], got[3 * N_PIXELS];
    static const struct {
        const char *params;
        enum drive how;
    } cases[] = {{"", DECODED},
                 {"control=zeros", ZEROS},
                 {"control=no_replacement", NOTHING},
                 {"mix=0", NOTHING},
                 {"mix=0.5", HALF}};

    (void)state;
    open_setup(&s);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (int film = 0; film < 2; film++) {
            struct rig *rig = open_rig(&s, film, cases[c].params);

            show_film(rig);
            by_hand(&s, film, cases[c].how, N, want[0]);
            for (int i = 0; i < N; i++) {
                render(rig, i, got);
                assert_memory_equal(got, want[i], sizeof got);
            }
            rig_reset(rig);
            show_film(rig);
            render(rig, 0, got);
            assert_memory_equal(got, want[0], sizeof got);
            rig_close(&rig);
        }
    by_hand(&s, true, DECODED, N, want[0]);
    by_hand(&s, true, ZEROS, 1, got);
    assert_memory_not_equal(got, want[0], sizeof got); /* R matters in this network */
    close_setup(&s);
}

static void shuffled_is_another_time(void **state)
{
    static struct setup s;
    static uint8_t plain[3 * N_PIXELS], shuffled[3 * N_PIXELS], again[3 * N_PIXELS];
    struct rig *rigs[3];

    (void)state;
    open_setup(&s);
    rigs[0] = open_rig(&s, false, "");
    rigs[1] = open_rig(&s, false, "control=shuffled");
    rigs[2] = open_rig(&s, false, "control=shuffled");
    for (int i = 0; i < 8; i++) {
        render(rigs[0], i, plain);
        render(rigs[1], i, shuffled);
        render(rigs[2], i, again);
        assert_memory_not_equal(plain, shuffled, sizeof plain);
        assert_memory_equal(shuffled, again, sizeof plain);
    }
    for (int i = 0; i < 3; i++)
        rig_close(&rigs[i]);
    close_setup(&s);
}

/* All steps at once, then one tick a step: the pictures passed through include the recorded one of
 * each statement, and the last is beyond it. */
static void the_moving_picture_goes_on(void **state)
{
    static struct setup s;
    static uint8_t want[N][3 * N_PIXELS], pixels[3 * N_PIXELS];
    const struct ph_stage_ops *ops = rig_type("generator/prednet")->ops;
    struct ph_frame image = {.data = pixels, .capacity_bytes = sizeof pixels};
    struct rig *rig;
    void *stage;

    (void)state;
    open_setup(&s);
    rig = open_rig(&s, true, "horizon_s=1");
    stage = rig_stage(rig)->state;
    show_film(rig);
    by_hand(&s, true, DECODED, N, want[0]);
    assert_int_equal(ops->step(stage, 1), PH_AGAIN);
    for (int i = 0; i < N; i++) {
        float values[2 * N_R];
        const struct ph_frame latent = latent_of(i, values);
        bool passed = false;
        int n = 0;

        ops->aim(stage, &latent);
        while (ops->step(stage, 0) == PH_OK && n++ < 100000) {
            assert_int_equal(ops->peek(stage, &image), PH_OK);
            passed = passed || memcmp(pixels, want[i], sizeof pixels) == 0;
        }
        assert_true(passed);
        assert_true(n >= 5 * FPS); /* from the moment to now, 4 s, and 1 s beyond */
        assert_memory_not_equal(pixels, want[i], sizeof pixels);
        render(rig, i, pixels); /* in between, and not disturbed */
        assert_memory_equal(pixels, want[i], sizeof pixels);
    }
    rig_close(&rig);
    close_setup(&s);
}

/* Steps until the moving picture stands at its moment; how many it took. */
static int settle(struct rig *rig, int64_t budget_ns, uint8_t *pixels)
{
    const struct ph_stage_ops *ops = rig_type("generator/prednet")->ops;
    void *stage = rig_stage(rig)->state;
    struct ph_frame image = {.data = pixels, .capacity_bytes = 3 * N_PIXELS};
    enum ph_status status;
    int n = 0;

    while ((status = ops->step(stage, budget_ns)) == PH_OK)
        n++;
    assert_int_equal(status, PH_AGAIN);
    assert_int_equal(ops->peek(stage, &image), PH_OK);
    return n;
}

static void aim_at(struct rig *rig, int i)
{
    float values[2 * N_R];
    struct ph_frame latent = latent_of(i, values);

    latent.received_ns = INT64_MAX / 2; /* now is not yet: nothing beyond the moment is played */
    rig_type("generator/prednet")->ops->aim(rig_stage(rig)->state, &latent);
}

/* With no time at all a step does one layer and hands back: many steps make a tick, and the same
 * pictures. A statement that comes in the middle of a tick leaves no trace of it. */
static void a_tick_is_cut_between_layers(void **state)
{
    static struct setup s;
    static uint8_t want[N][3 * N_PIXELS], got[3 * N_PIXELS];
    struct rig *cut, *whole;

    (void)state;
    open_setup(&s);
    by_hand(&s, false, DECODED, N, want[0]);
    cut = open_rig(&s, false, "horizon_s=0");
    whole = open_rig(&s, false, "horizon_s=0");
    for (int i = 0; i < N; i++) {
        aim_at(cut, i);
        assert_true(settle(cut, 0, got) > 10 * FPS);
        assert_memory_equal(got, want[i], sizeof got);
    }
    rig_reset(cut);
    for (int i = 0; i < 2; i++) {
        aim_at(cut, i);
        aim_at(whole, i);
        for (int k = 0; i == 0 && k < 7; k++)
            assert_int_equal(rig_type("generator/prednet")->ops->step(rig_stage(cut)->state, 0),
                             PH_OK);
    }
    assert_true(settle(cut, 0, got) > settle(whole, INT64_MAX / 4, want[0]));
    assert_memory_equal(got, want[0], sizeof got);
    rig_close(&cut);
    rig_close(&whole);
    close_setup(&s);
}

static void refused(const struct setup *s, uint32_t n, const char *more, const char *words)
{
    struct ph_spec in = rig_latents(n);
    struct rig *rig = NULL;
    struct ph_error err = {0};
    char params[1600];

    in.geometry.tr_s = 2;
    (void)snprintf(params, sizeof params, "model=%s fps=5 %s", s->model, more);
    assert_int_not_equal(rig_try_open(rig_type("generator/prednet"), params, &in, &rig, &err),
                         PH_OK);
    if (!strstr(err.text, words))
        fail_msg("'%s' does not say '%s'", err.text, words);
    assert_null(rig);
}

/* A converted file knows no size: it is the film's, or that of the run file. */
static void the_size_may_come_from_elsewhere(void **state)
{
    static struct setup s;
    static uint8_t want[N][3 * N_PIXELS], got[3 * N_PIXELS];

    (void)state;
    open_setup(&s);
    by_hand(&s, false, DECODED, N, want[0]);
    write_as(&s, "3,4", false);
    refused(&s, N_R, "layer=1", "set height and width, or film");
    refused(&s, N_R, "layer=1 height=15 width=16", "frames of 15 x 16 cannot be halved 1 times");
    for (int film = 0; film < 2; film++) {
        struct rig *rig = open_rig(&s, film, film ? "" : "height=16 width=16");

        render(rig, 0, got);
        assert_memory_equal(got, want[0], sizeof got); /* no event has shown the film */
        rig_close(&rig);
    }
    close_setup(&s);
}

/* In bfloat16 recorded pictures stay within a few grey levels of float32's; a processor that has
 * none says so. */
static void precision_is_chosen(void **state)
{
    static struct setup s;
    static uint8_t want[N][3 * N_PIXELS], got[3 * N_PIXELS];
    struct rig *rig;

    (void)state;
    open_setup(&s);
    if (!phi_nn_has_bfloat16()) {
        refused(&s, N_R, "layer=1 precision=bfloat16", "bfloat16");
        close_setup(&s);
        return;
    }
    refused(&s, N_R, "layer=1 precision=half", "precision");
    rig = open_rig(&s, false, "precision=bfloat16");
    by_hand(&s, false, DECODED, N, want[0]);
    for (int i = 0; i < N; i++) {
        render(rig, i, got);
        for (size_t k = 0; k < sizeof got; k++)
            assert_near(got[k], want[i][k], 3);
    }
    rig_close(&rig);
    close_setup(&s);
}

static void what_does_not_fit_is_refused(void **state)
{
    static struct setup s;
    char film[600];

    (void)state;
    open_setup(&s);
    (void)snprintf(film, sizeof film, "layer=1 film=%s", s.film);
    refused(&s, N_R + 1, "layer=1", "R1 of");
    refused(&s, N_R, "layer=2", "layers 0 to 1, not 2");
    write_film(&s, SIDE - 1, SIDE);
    refused(&s, N_R, film, "frames of 15 x 16 cannot be halved 1 times");
    write_as(&s, "3,5", true);
    refused(&s, 5 * 8 * 8, "layer=1", "prednet.");
    write_as(&s, "3,4,4", true);
    refused(&s, N_R, "layer=1", "prednet.");
    write_as(&s, "4,4", true);
    refused(&s, N_R, "layer=1", "prednet.stack is not a list of widths that begins with 3");
    phi_weights_find(s.weights, "prednet.i.0.bias")->value.data[1] = NAN;
    write_model(&s);
    refused(&s, N_R, "layer=1", "prednet.i.0.bias");
    close_setup(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_pictures),
        cmocka_unit_test(shuffled_is_another_time),
        cmocka_unit_test(the_moving_picture_goes_on),
        cmocka_unit_test(a_tick_is_cut_between_layers),
        cmocka_unit_test(the_size_may_come_from_elsewhere),
        cmocka_unit_test(precision_is_chosen),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests_name("generator/prednet", tests, NULL, NULL);
}
