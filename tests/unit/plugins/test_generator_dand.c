/* SPDX-License-Identifier: MIT
 * generator/dand: the settled picture is the network's on a tape within one grey level, whatever
 * the moving picture was doing; the moving picture arrives at the settled one; files that do not
 * fit are refused by name. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "io/safetensors.h"
#include "models/dand.h"
#include "nn/init.h"
#include "nn/plan.h"
#include "rig.h"
#include "tempdir.h"
#include "test.h"

enum { N_LATENT = 5, N_CODE = 12, WIDTH = 4, N_VALUES = 3 * 64 * 64 };

struct setup {
    struct tempdir dir;
    char path[512], params[700];
    struct phi_graph *graph;
    struct phi_weights *weights;
    struct phi_tape *tape;
    int z, out;
};

static void write_model(const struct setup *s, const char *latents)
{
    size_t n = phi_weights_count(s->weights);
    struct phi_safetensors_tensor *tensors = calloc(n, sizeof *tensors);
    const struct phi_safetensors_pair pairs[] = {{"phosphene.kind", "dand"},
                                                 {"phosphene.version", "1"},
                                                 {"dand.latents", latents},
                                                 {"dand.code", "12"},
                                                 {"dand.width", "4"}};
    const struct phi_safetensors_content content = {tensors, n, pairs, 5};
    struct ph_error err;

    assert_non_null(tensors);
    for (size_t i = 0; i < n; i++) {
        const struct phi_param *param = phi_weights_at(s->weights, i);

        tensors[i].name = param->name;
        tensors[i].dtype = PHI_SAFETENSORS_F32;
        tensors[i].n_dims = (size_t)param->value.shape.n_dims;
        memcpy(tensors[i].shape, param->value.shape.dim,
               tensors[i].n_dims * sizeof *tensors[i].shape);
        tensors[i].data = param->value.data;
    }
    assert_ok(phi_safetensors_write(s->path, &content, &err), err);
    free(tensors);
}

static void open_setup(struct setup *s)
{
    const struct phi_dand_config config = {.n_latent = N_LATENT, .n_code = N_CODE, .width = WIDTH};
    struct phi_rng rng;
    struct ph_error err;

    memset(s, 0, sizeof *s);
    assert_true(tempdir_make(&s->dir));
    (void)snprintf(s->path, sizeof s->path, "%s/dand.safetensors", s->dir.path);
    (void)snprintf(s->params, sizeof s->params, "model=%s glide_s=0.05", s->path);
    assert_int_equal(phi_graph_create(&s->graph), PH_OK);
    assert_int_equal(phi_weights_create(&s->weights), PH_OK);
    s->z = phi_graph_input(s->graph, "z", PHI_SHAPE(1, N_LATENT));
    s->out = phi_dand_generator(s->graph, &config, s->z, NULL);
    assert_ok(phi_graph_check(s->graph, &err), err);
    assert_ok(phi_init_graph(s->weights, s->graph, PHI_INIT_HE_NORMAL, 1, 3, &err), err);
    /* Running statistics that are not those of an untrained network, so that folding is tested. */
    phi_rng_init(&rng, 4, 0);
    for (size_t i = 0; i < phi_weights_count(s->weights); i++) {
        struct phi_param *param = phi_weights_at(s->weights, i);

        for (size_t k = 0; k < phi_shape_count(&param->value.shape); k++)
            if (strstr(param->name, ".var"))
                param->value.data[k] = 0.5f + (float)phi_rng_uniform(&rng);
            else if (strstr(param->name, ".mean"))
                param->value.data[k] = (float)phi_rng_normal(&rng) * 0.2f;
    }
    assert_ok(phi_tape_create(s->graph, s->weights, NULL, &s->tape, &err), err);
    write_model(s, "5");
}

static void close_setup(struct setup *s)
{
    phi_tape_destroy(&s->tape);
    phi_weights_destroy(&s->weights);
    phi_graph_destroy(&s->graph);
    tempdir_remove(&s->dir);
}

static void check_picture(struct setup *s, const float *z, const uint8_t *rgb)
{
    const float *want;

    phi_tape_set(s->tape, s->z, z);
    assert_int_equal(phi_tape_forward(s->tape, false), PH_OK);
    want = phi_tape_value(s->tape, s->out);
    for (size_t k = 0; k < 64 * 64; k++)
        for (size_t c = 0; c < 3; c++)
            assert_near(rgb[k * 3 + c], want[c * 64 * 64 + k] * 127.5f + 127.5f, 0.6);
}

static const float first[2 * N_LATENT] = {1, -1, 0.5f, 0, 2, 1, 1, 1, 1, 1};
static const float second[2 * N_LATENT] = {-2, 0.25f, 1, 1, -1, 1, 1, 1, 1, 1};

static void settled_pictures(void **state)
{
    struct setup s;
    struct ph_spec in = rig_latents(N_LATENT);
    struct rig *rig;

    (void)state;
    open_setup(&s);
    rig = rig_open("generator/dand", s.params, &in);
    assert_int_equal(rig_out(rig)->dims[0], 64);
    assert_int_equal(rig_render(rig, first), PH_OK);
    check_picture(&s, first, rig_last(rig)->data);
    assert_int_equal(rig_render(rig, second), PH_OK);
    check_picture(&s, second, rig_last(rig)->data);
    rig_close(&rig);
    close_setup(&s);
}

/* One layer at a time, with a recorded picture drawn in between. */
/* The run file's precision: within two grey levels of float32 where the processor has bfloat16, and
 * refused with its name where not. */
static void precision_is_chosen(void **state)
{
    struct setup s;
    struct ph_spec in = rig_latents(N_LATENT);
    struct rig *rig = NULL;
    struct ph_error err = {0};
    char params[800];
    const float *want;
    const uint8_t *rgb;

    (void)state;
    open_setup(&s);
    (void)snprintf(params, sizeof params, "%s precision=bfloat16", s.params);
    if (!phi_nn_has_bfloat16()) {
        assert_int_equal(rig_try_open(rig_type("generator/dand"), params, &in, &rig, &err),
                         PH_E_INVAL);
        assert_non_null(strstr(err.text, "bfloat16"));
        close_setup(&s);
        return;
    }
    rig = rig_open("generator/dand", params, &in);
    assert_int_equal(rig_render(rig, first), PH_OK);
    rgb = rig_last(rig)->data;
    phi_tape_set(s.tape, s.z, first);
    assert_int_equal(phi_tape_forward(s.tape, false), PH_OK);
    want = phi_tape_value(s.tape, s.out);
    for (size_t k = 0; k < 3 * 64 * 64; k++)
        assert_near(rgb[k], want[k % 3 * 64 * 64 + k / 3] * 127.5f + 127.5f, 2.5);
    rig_close(&rig);
    close_setup(&s);
}

static void the_moving_picture_arrives(void **state)
{
    struct setup s;
    struct ph_spec in = rig_latents(N_LATENT);
    struct rig *rig;
    struct ph_frame latent = {.kind = PH_FRAME_LATENT, .rank = 2, .dims = {2, N_LATENT}};
    static uint8_t pixels[N_VALUES];
    struct ph_frame image = {.data = pixels, .capacity_bytes = sizeof pixels};
    const struct ph_stage_ops *ops = rig_type("generator/dand")->ops;
    float target[2 * N_LATENT];
    void *stage;
    int n = 0;

    (void)state;
    open_setup(&s);
    rig = rig_open("generator/dand", s.params, &in);
    stage = rig_stage(rig)->state;
    memcpy(target, second, sizeof target);
    latent.data = target;
    latent.u.latent.trial = 9;
    assert_int_equal(ops->step(stage, 1000000), PH_AGAIN); /* nothing to aim at yet */
    ops->aim(stage, &latent);
    while (ops->step(stage, 1) == PH_OK && n < 100000) {
        if (n == 3)
            assert_int_equal(rig_render(rig, first), PH_OK);
        n++;
    }
    assert_in_range(n, 5, 99999);
    assert_int_equal(ops->peek(stage, &image), PH_OK);
    assert_int_equal(image.u.image.latent.trial, 9);
    check_picture(&s, second, pixels);
    check_picture(&s, first, rig_last(rig)->data);
    rig_close(&rig);
    close_setup(&s);
}

static void what_does_not_fit_is_refused(void **state)
{
    struct setup s;
    struct ph_spec in = rig_latents(N_LATENT + 1);
    struct rig *rig = NULL;
    struct phi_param *surplus;
    struct ph_error err = {0};

    (void)state;
    open_setup(&s);
    assert_int_equal(rig_try_open(rig_type("generator/dand"), s.params, &in, &rig, &err),
                     PH_E_SHAPE);
    assert_non_null(strstr(err.text, "draws from 5 latent components, the decoder gives 6"));
    write_model(&s, "6"); /* the metadata say 6, the tensors 5 */
    assert_int_not_equal(rig_try_open(rig_type("generator/dand"), s.params, &in, &rig, &err),
                         PH_OK);
    assert_non_null(strstr(err.text, "dand.g.fc.weight"));
    phi_weights_find(s.weights, "dand.g.deconv.2.weight")->value.data[7] = NAN;
    write_model(&s, "5");
    in = rig_latents(N_LATENT);
    assert_int_equal(rig_try_open(rig_type("generator/dand"), s.params, &in, &rig, &err),
                     PH_E_FORMAT);
    assert_non_null(strstr(err.text, "dand.g.deconv.2.weight"));
    phi_weights_find(s.weights, "dand.g.deconv.2.weight")->value.data[7] = 0;
    assert_ok(phi_weights_add(s.weights, "dand.g.deconv.6.weight", PHI_SHAPE(3), &surplus, &err),
              err);
    write_model(&s, "5");
    assert_int_equal(rig_try_open(rig_type("generator/dand"), s.params, &in, &rig, &err),
                     PH_E_FORMAT);
    assert_non_null(strstr(err.text, "dand.g.deconv.6.weight"));
    assert_null(rig);
    close_setup(&s);
}

/* Latents of another space are as many and would draw a plausible wrong face. */
static void another_space_is_refused(void **state)
{
    struct setup s;
    struct ph_spec in = rig_latents(N_LATENT);
    struct rig *rig = NULL;
    struct phi_param *whiten;
    struct ph_error err = {0};
    char own[PHI_DAND_SPACE], other[PHI_DAND_SPACE];

    (void)state;
    open_setup(&s);
    assert_false(phi_dand_space(s.weights, own)); /* no components: nothing to compare */
    in.layout = ph_space_hash("0badcafe");
    rig = rig_open("generator/dand", s.params, &in);
    rig_close(&rig);
    assert_ok(
        phi_weights_add(s.weights, "dand.p.whiten", PHI_SHAPE(N_LATENT, N_CODE), &whiten, &err),
        err);
    for (size_t i = 0; i < N_LATENT * N_CODE; i++)
        whiten->value.data[i] = (float)i;
    write_model(&s, "5");
    assert_true(phi_dand_space(s.weights, own));
    assert_int_equal(rig_try_open(rig_type("generator/dand"), s.params, &in, &rig, &err),
                     PH_E_SHAPE);
    assert_non_null(strstr(err.text, own));
    assert_non_null(strstr(err.text, "phos encode"));
    in.layout = ph_space_hash(own);
    rig = rig_open("generator/dand", s.params, &in);
    rig_close(&rig);
    in.layout = 0; /* a decoder that does not say */
    rig = rig_open("generator/dand", s.params, &in);
    rig_close(&rig);
    whiten->value.data[3] *= 1.5f; /* another scale is another space */
    assert_true(phi_dand_space(s.weights, other));
    assert_string_not_equal(own, other);
    close_setup(&s);
}

/* A column of the strip as a picture. */
static void cell_of(const uint8_t *strip, size_t n, size_t cell, uint8_t *rgb)
{
    for (size_t y = 0; y < 64; y++)
        memcpy(rgb + y * 192, strip + (y * n + cell) * 192, 192);
}

/* Settled, each cell is its sample's face; moving, cells change one at a time, and a new aim begins
 * with the cell whose turn it is. */
static void samples_are_drawn_in_a_strip(void **state)
{
    enum { N = 3 };
    struct setup s;
    struct ph_spec in = rig_latents(N_LATENT);
    const struct ph_stage_ops *ops = rig_type("generator/dand")->ops;
    static uint8_t strip[N * N_VALUES], cell[N_VALUES];
    struct ph_frame image = {.data = strip, .capacity_bytes = sizeof strip};
    struct ph_frame latent = {.kind = PH_FRAME_LATENT, .rank = 2, .dims = {2 + N, N_LATENT}};
    float values[(2 + N) * N_LATENT], zero[N_LATENT] = {0};
    struct ph_error err = {0};
    struct rig *rig = NULL;
    char params[800];
    void *stage;
    int n = 0;

    (void)state;
    open_setup(&s);
    (void)snprintf(params, sizeof params, "%s show=samples", s.params);
    assert_int_equal(rig_try_open(rig_type("generator/dand"), params, &in, &rig, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "decoder's `samples`"));
    in.dims[0] = 2 + N;
    rig = rig_open("generator/dand", params, &in);
    stage = rig_stage(rig)->state;
    assert_int_equal(rig_out(rig)->dims[0], 64);
    assert_int_equal(rig_out(rig)->dims[1], 64 * N);
    assert_int_equal(ops->peek(stage, &image), PH_OK); /* valid from the start: the mean face */
    for (size_t c = 0; c < N; c++) {
        cell_of(strip, N, c, cell);
        check_picture(&s, zero, cell);
    }
    for (size_t i = 0; i < (2 + N) * N_LATENT; i++)
        values[i] = (float)((i * 7) % 11) / 4 - 1.2f;
    assert_int_equal(rig_render(rig, values), PH_OK);
    for (size_t c = 0; c < N; c++) {
        cell_of(rig_last(rig)->data, N, c, cell);
        check_picture(&s, values + (2 + c) * N_LATENT, cell);
    }
    latent.data = values;
    ops->aim(stage, &latent);
    assert_int_equal(ops->step(stage, 1000000000), PH_OK); /* the first cell */
    assert_int_equal(ops->peek(stage, &image), PH_OK);
    cell_of(strip, N, 0, cell);
    check_picture(&s, values + 2 * N_LATENT, cell);
    cell_of(strip, N, 1, cell);
    check_picture(&s, zero, cell);
    for (size_t i = 0; i < (2 + N) * N_LATENT; i++)
        values[i] = -values[i];
    ops->aim(stage, &latent);
    assert_int_equal(ops->step(stage, 1000000000), PH_OK); /* goes on with the second */
    assert_int_equal(ops->peek(stage, &image), PH_OK);
    cell_of(strip, N, 1, cell);
    check_picture(&s, values + 3 * N_LATENT, cell);
    while (ops->step(stage, 1) == PH_OK && n < 100000)
        n++;
    assert_in_range(n, 5, 99999);
    assert_int_equal(ops->peek(stage, &image), PH_OK);
    for (size_t c = 0; c < N; c++) {
        cell_of(strip, N, c, cell);
        check_picture(&s, values + (2 + c) * N_LATENT, cell);
    }
    rig_close(&rig);
    close_setup(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settled_pictures),
        cmocka_unit_test(precision_is_chosen),
        cmocka_unit_test(the_moving_picture_arrives),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(another_space_is_refused),
        cmocka_unit_test(samples_are_drawn_in_a_strip),
    };
    return cmocka_run_group_tests_name("generator/dand", tests, NULL, NULL);
}
