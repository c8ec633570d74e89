/* SPDX-License-Identifier: MIT
 * sink/publish: each kind of frame becomes a message that JSON readers take, payloads exact, NaN as
 * null, old results marked; a subscriber that never reads holds nobody. */
#include <jansson.h>
#include <unistd.h>
#include <zmq.h>

#include "rig.h"
#include "tempdir.h"
#include "test.h"

static struct tempdir dir;
static void *context;
static void *subscriber;
static struct rig *rig;

static int set_up(void **state)
{
    struct ph_spec in = rig_vectors(100000, 2.0);
    char text[512];
    int timeout_ms = 10000;

    (void)state;
    if (!tempdir_make(&dir))
        return -1;
    (void)snprintf(text, sizeof text, "endpoint=ipc://%s/pub", dir.path);
    rig = rig_open("sink/publish", text, &in);
    context = zmq_ctx_new();
    subscriber = zmq_socket(context, ZMQ_SUB);
    (void)snprintf(text, sizeof text, "ipc://%s/pub", dir.path);
    if (zmq_setsockopt(subscriber, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms) != 0 ||
        zmq_setsockopt(subscriber, ZMQ_SUBSCRIBE, "", 0) != 0)
        return -1;
    return zmq_connect(subscriber, text);
}

static int tear_down(void **state)
{
    (void)state;
    (void)zmq_close(subscriber);
    (void)zmq_ctx_term(context);
    rig_close(&rig);
    tempdir_remove(&dir);
    return 0;
}

/* The next message of `topic`; the payload's size in *ret_n. The JSON is the caller's. */
static json_t *receive(const char *topic, void *payload, size_t capacity, size_t *ret_n)
{
    char name[64];
    char json[4096];
    int n_name;
    int n_json;
    int more;
    size_t size = sizeof more;

    do {
        *ret_n = 0;
        n_name = zmq_recv(subscriber, name, sizeof name - 1, 0);
        n_json = zmq_recv(subscriber, json, sizeof json, 0);
        if (n_name < 0 || n_json < 0)
            fail_msg("no message of topic %s", topic);
        name[n_name] = '\0';
        (void)zmq_getsockopt(subscriber, ZMQ_RCVMORE, &more, &size);
        if (more)
            *ret_n = (size_t)zmq_recv(subscriber, payload, capacity, 0);
    } while (strcmp(name, topic) != 0);
    json_error_t why;
    json_t *root = json_loadb(json, (size_t)n_json, 0, &why);

    if (!root)
        fail_msg("no JSON: %s", why.text);
    return root;
}

/* A subscription takes a moment to arrive: publish until something comes through. */
static void connect_subscriber(void)
{
    zmq_pollitem_t item = {subscriber, 0, ZMQ_POLLIN, 0};

    for (int i = 0; i < 1000 && zmq_poll(&item, 1, 10) == 0; i++)
        assert_int_equal(rig_push(rig, NULL, 0), PH_OK);
}

static void latents_images_quality(void **state)
{
    float values[6] = {1, -2, 3, 0.5f, 0.25f, 4};
    unsigned char pixels[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255};
    unsigned char payload[256];
    size_t n;
    struct ph_frame latent = {.struct_size = sizeof latent,
                              .kind = PH_FRAME_LATENT,
                              .flags = PH_FLAG_FINAL | PH_FLAG_REVISED,
                              .dtype = PH_DTYPE_F32,
                              .rank = 2,
                              .dims = {2, 3},
                              .index = 41,
                              .received_ns = 1,
                              .data = values,
                              .capacity_bytes = sizeof values};
    struct ph_frame image = {.struct_size = sizeof image,
                             .kind = PH_FRAME_IMAGE,
                             .dtype = PH_DTYPE_U8,
                             .rank = 3,
                             .dims = {2, 2, 3},
                             .index = 42,
                             .data = pixels,
                             .capacity_bytes = sizeof pixels};
    struct ph_frame vector = {.struct_size = sizeof vector,
                              .kind = PH_FRAME_VECTOR,
                              .dtype = PH_DTYPE_F32,
                              .rank = 1,
                              .dims = {1},
                              .index = 43,
                              .data = values,
                              .capacity_bytes = sizeof values,
                              .quality = {.fd_jenkinson_mm = 0.5f,
                                          .gcor = 0.25f,
                                          .drift_percent = -1,
                                          .global_signal = 700},
                              .n_signals = 1,
                              .signals = {{"ffa", 100, 1.5f}}};
    json_t *m, *first;

    (void)state;
    latent.u.latent = (struct ph_latent){.stimulus_s = 12.5,
                                         .lag_s = 6,
                                         .trial = PH_NO_TRIAL,
                                         .stim_index = -1,
                                         .share = 0.5f,
                                         .evidence = NAN,
                                         .decoder = "a \"b\""};
    image.u.image.latent = latent.u.latent;
    (void)strcpy(image.u.image.generator, "eigenface");
    connect_subscriber();
    assert_int_equal(rig_push_frame(rig, &latent), PH_OK);
    assert_int_equal(rig_push_frame(rig, &image), PH_OK);
    m = receive("latent", payload, sizeof payload, &n);
    assert_int_equal(n, sizeof values);
    assert_memory_equal(payload, values, n);
    assert_int_equal(json_integer_value(json_object_get(m, "index")), 41);
    assert_near(json_number_value(json_object_get(m, "stimulus")), 12.5, 0);
    assert_true(json_is_null(json_object_get(m, "evidence")));
    assert_string_equal(json_string_value(json_object_get(m, "decoder")), "a \"b\"");
    assert_true(
        json_is_true(json_object_get(m, "stale"))); /* it arrived when the machine started */
    assert_int_equal(json_array_size(json_object_get(m, "flags")), 2);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(m, "shape"), 0)), 3);
    json_decref(m);
    m = receive("image", payload, sizeof payload, &n);
    assert_int_equal(n, 12);
    assert_memory_equal(payload, pixels, 12);
    assert_int_equal(json_integer_value(json_object_get(m, "width")), 2);
    assert_string_equal(json_string_value(json_object_get(m, "generator")), "eigenface");
    json_decref(m);
    rig_set(rig, "images", "false");
    assert_int_equal(rig_push_frame(rig, &image), PH_OK);
    assert_int_equal(rig_push_frame(rig, &vector), PH_OK);
    m = receive("quality", payload, sizeof payload, &n);
    assert_near(json_number_value(json_object_get(m, "rmsd")), 0.5, 1e-6);
    assert_near(json_number_value(json_object_get(m, "gcor")), 0.25, 1e-6);
    assert_near(json_number_value(json_object_get(m, "drift")), -1, 1e-6);
    assert_near(json_number_value(json_object_get(m, "global_signal")), 700, 1e-6);
    json_decref(m);
    m = receive("signal", payload, sizeof payload, &n);
    first = json_array_get(json_object_get(m, "signals"), 0);
    assert_int_equal(json_array_size(json_object_get(m, "signals")), 1);
    assert_string_equal(json_string_value(json_object_get(first, "name")), "ffa");
    assert_near(json_number_value(json_object_get(first, "value")), 1.5, 1e-6);
    assert_near(json_number_value(json_object_get(first, "mean")), 100, 1e-6);
    json_decref(m);
    assert_int_equal(rig_push(rig, NULL, PH_FLAG_GAP), PH_OK);
    m = receive("quality", payload, sizeof payload, &n);
    assert_int_equal(n, 0);
    assert_int_equal(json_array_size(json_object_get(m, "motion")), 6);
    assert_string_equal(json_string_value(json_array_get(json_object_get(m, "flags"), 0)), "gap");
    json_decref(m);
    assert_int_equal(rig_end(rig), PH_OK);
    m = receive("state", payload, sizeof payload, &n);
    assert_non_null(json_object_get(json_object_get(m, "latency"), "p99"));
    json_decref(m);
}

static void a_subscriber_that_never_reads_holds_nobody(void **state)
{
    static float values[2 * 50000];
    struct ph_frame latent = {.struct_size = sizeof latent,
                              .kind = PH_FRAME_LATENT,
                              .dtype = PH_DTYPE_F32,
                              .rank = 2,
                              .dims = {2, 50000},
                              .data = values,
                              .capacity_bytes = sizeof values};

    (void)state;
    connect_subscriber();
    for (uint64_t i = 0; i < 500; i++) { /* 200 MB for a queue of 32 messages */
        latent.index = i;
        assert_int_equal(rig_push_frame(rig, &latent), PH_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(latents_images_quality, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_subscriber_that_never_reads_holds_nobody, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("sink/publish", tests, NULL, NULL);
}
