/* SPDX-License-Identifier: MIT
 * Messages: each type survives writing and reading; wrong, missing and hostile fields are refused
 * and named; payloads are checked before they are believed. */
#include "io/wire.h"

#include <zstd.h>

#include "io/wire_payload.h"
#include "test.h"

static void assert_round_trip(const struct phi_wire_message *message)
{
    char json[PHI_WIRE_MAX_JSON];
    char again[PHI_WIRE_MAX_JSON];
    struct phi_wire_message back;
    struct ph_error err;
    size_t n;
    size_t m;

    assert_int_equal(phi_wire_format(message, json, sizeof json, &n), PH_OK);
    assert_ok(phi_wire_parse(json, n, &back, &err), err);
    assert_int_equal(back.type, message->type);
    assert_int_equal(phi_wire_format(&back, again, sizeof again, &m), PH_OK);
    assert_int_equal(n, m);
    assert_memory_equal(json, again, n);
    assert_int_equal(phi_wire_format(message, json, n - 1, &m), PH_E_LIMIT);
}

static void each_type_survives(void **state)
{
    (void)state;
    for (int type = PHI_WIRE_NONE + 1; type < PHI_WIRE_N_TYPES; type++) {
        struct phi_wire_message message = phi_wire_message_of((enum phi_wire_type)type);

        (void)strcpy(message.session, "ses-01");
        (void)strcpy(message.run, "1");
        (void)strcpy(message.datatype, "int16");
        message.tr_s = 0.8;
        message.dims[0] = 96;
        message.dims[1] = 95;
        message.dims[2] = 60;
        message.n_slices = 2;
        message.slice_timing_s[1] = 0.4;
        message.index = 41;
        message.has_index = true;
        message.crc32 = 4000000000u;
        message.now_ns = -5;
        message.onset_s = 12.25;
        message.stim_index = 7;
        message.latency_ms[2] = 19.5;
        (void)strcpy(message.text, "quote \" and \xc3\xa4");
        assert_round_trip(&message);
    }
    struct phi_wire_message none = phi_wire_message_of(PHI_WIRE_NONE);
    char out[64];
    size_t n;

    assert_int_equal(phi_wire_format(&none, out, sizeof out, &n), PH_E_INVAL);
}

static void fields_arrive(void **state)
{
    static const char hello[] =
        "{\"p\":\"phosphene/1\",\"type\":\"HELLO\",\"session\":\"s\",\"run\":\"r.1\",\"tr\":2,"
        "\"dims\":[80,81,35],\"datatype\":\"uint16\",\"volumes\":156,\"slice_timing\":[0,1],"
        "\"sender\":\"me\",\"unknown\":{\"x\":[]}}";
    static const char event[] =
        "{\"p\":\"phosphene/1\",\"type\":\"EVENT\",\"onset\":\"now\",\"duration\":1.5,"
        "\"trial_type\":\"face\",\"stim\":\"a.png\",\"id\":9}";
    struct phi_wire_message m;
    struct ph_error err;

    (void)state;
    assert_ok(phi_wire_parse(hello, sizeof hello - 1, &m, &err), err);
    assert_string_equal(m.run, "r.1");
    assert_int_equal(m.dims[1], 81);
    assert_int_equal(m.n_volumes, 156);
    assert_int_equal(m.n_slices, 2);
    assert_ok(phi_wire_parse(event, sizeof event - 1, &m, &err), err);
    assert_true(isnan(m.onset_s));
    assert_true(m.has_id && m.id == 9);
    assert_near(m.amplitude, 1, 0);
    assert_int_equal(m.stim_index, -1);
    assert_string_equal(m.stim, "a.png");
}

static void assert_refused(const char *json, const char *word)
{
    struct phi_wire_message m = {.index = 99};
    struct ph_error err;

    assert_int_equal(phi_wire_parse(json, strlen(json), &m, &err), PH_E_FORMAT);
    if (!strstr(err.text, word))
        fail_msg("'%s' does not name %s", err.text, word);
    assert_int_equal(m.index, 99);
}

#define P "{\"p\":\"phosphene/1\","

static void bad_frames_are_refused(void **state)
{
    struct phi_wire_message m;
    struct ph_error err;

    (void)state;
    assert_refused("", "JSON");
    assert_refused("{", "JSON");
    assert_refused("[]", "field p");
    assert_refused("{\"p\":\"phosphene/2\",\"type\":\"PING\",\"sent\":1}", "field p");
    assert_refused(P "\"type\":\"NOISE\"}", "NOISE");
    assert_refused(P "\"type\":7}", "type");
    assert_refused(P "\"type\":\"PING\"}", "PING: field sent");
    assert_refused(P "\"type\":\"PING\",\"sent\":1,\"sent\":2}", "JSON");
    assert_refused(P "\"type\":\"PING\",\"sent\":1.5}", "sent");
    assert_refused(P "\"type\":\"LOST\",\"index\":-1}", "index");
    assert_refused(P "\"type\":\"LOST\",\"index\":99999999999999999999}", "JSON");
    assert_refused(P "\"type\":\"VOLUME\",\"index\":0,\"encoding\":\"zip\",\"crc32\":1}",
                   "encoding");
    assert_refused(P "\"type\":\"VOLUME\",\"index\":0,\"encoding\":\"nifti\",\"crc32\":4294967296}",
                   "crc32");
    assert_refused(
        P "\"type\":\"HELLO\",\"session\":\"../x\",\"run\":\"r\",\"tr\":2,\"dims\":[1,1,1],"
          "\"datatype\":\"int16\"}",
        "session");
    assert_refused(P "\"type\":\"HELLO\",\"session\":\"x\",\"run\":\"r\",\"tr\":0,\"dims\":[1,1,1],"
                     "\"datatype\":\"int16\"}",
                   "tr");
    assert_refused(P "\"type\":\"HELLO\",\"session\":\"x\",\"run\":\"r\",\"tr\":1,\"dims\":[1,0,1],"
                     "\"datatype\":\"int16\"}",
                   "dims");
    assert_refused(P "\"type\":\"HELLO\",\"session\":\"x\",\"run\":\"r\",\"tr\":1,\"dims\":[1,1],"
                     "\"datatype\":\"int16\"}",
                   "dims");
    assert_refused(P "\"type\":\"EVENT\",\"onset\":\"soon\",\"duration\":0,\"trial_type\":\"x\"}",
                   "onset");
    assert_refused(P "\"type\":\"EVENT\",\"onset\":1,\"duration\":-1,\"trial_type\":\"x\"}",
                   "duration");
    assert_refused(P "\"type\":\"EVENT\",\"onset\":1,\"duration\":0,\"trial_type\":\"a\\u0000b\"}",
                   "JSON");
    static char large[PHI_WIRE_MAX_JSON + 1];

    assert_int_equal(phi_wire_parse(large, sizeof large, &m, &err), PH_E_LIMIT);
}

static void labels_are_safe_in_file_names(void **state)
{
    (void)state;
    assert_true(phi_wire_is_label("ses-01_A.b"));
    assert_false(phi_wire_is_label(""));
    assert_false(phi_wire_is_label(".hidden"));
    assert_false(phi_wire_is_label("a/b"));
    assert_false(phi_wire_is_label("a b"));
    assert_false(
        phi_wire_is_label("0123456789012345678901234567890123456789012345678901234567890123"));
}

/* A 3-D image of 4 x 3 x 2 int16. */
static size_t build_image(unsigned char image[1024], uint32_t n_volumes)
{
    struct ph_error err;
    struct phi_nifti_info info = {.type = PHI_NIFTI_INT16,
                                  .n_x = 4,
                                  .n_y = 3,
                                  .n_z = 2,
                                  .n_volumes = n_volumes,
                                  .slope = 1,
                                  .voxel_mm = {2, 2, 2},
                                  .affine = {{2, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 2, 0}}};
    size_t n;

    assert_ok(phi_nifti_make(&info, &err), err);
    assert_int_equal(phi_nifti_reheader(&info, n_volumes, 0, image, &n), PH_OK);
    memset(image + n, 3, 48 * n_volumes);
    return n + 48 * n_volumes;
}

static void payloads(void **state)
{
    struct phi_wire_message volume = phi_wire_message_of(PHI_WIRE_VOLUME);
    struct phi_wire_message hello = phi_wire_message_of(PHI_WIRE_HELLO);
    struct phi_wire_decoder *decoder = NULL;
    struct phi_wire_image opened;
    struct ph_error err;
    unsigned char image[1024];
    unsigned char small[1024];
    size_t n = build_image(image, 1);
    size_t m = ZSTD_compress(small, sizeof small, image, n, 3);

    (void)state;
    assert_ok(phi_wire_decoder_create(1 << 20, &decoder, &err), err);
    volume.crc32 = phi_wire_crc32(image, n);
    assert_ok(phi_wire_decode(decoder, &volume, image, n, &opened, &err), err);
    assert_ptr_equal(opened.data, image + 352);
    volume.crc32 ^= 1;
    assert_int_equal(phi_wire_decode(decoder, &volume, image, n, &opened, &err), PH_E_FORMAT);
    assert_string_equal(opened.code, "crc");
    volume.encoding = PHI_WIRE_NIFTI_ZSTD;
    volume.crc32 = phi_wire_crc32(small, m);
    assert_int_equal(phi_wire_decode(decoder, &volume, small, m, &opened, &err), PH_E_FORMAT);
    hello.dims[0] = 4;
    hello.dims[1] = 3;
    hello.dims[2] = 2;
    (void)strcpy(hello.datatype, "int16");
    assert_ok(phi_wire_decoder_reserve(decoder, &hello, &err), err);
    assert_ok(phi_wire_decode(decoder, &volume, small, m, &opened, &err), err);
    assert_memory_equal(opened.data, image + 352, 48);
    assert_true(phi_wire_fits_hello(&opened.info, &hello));
    (void)strcpy(hello.datatype, "uint16");
    assert_false(phi_wire_fits_hello(&opened.info, &hello));
    small[m - 1] ^= 0x55; /* damage that the CRC agrees with */
    volume.crc32 = phi_wire_crc32(small, m - 1);
    assert_int_equal(phi_wire_decode(decoder, &volume, small, m - 1, &opened, &err), PH_E_FORMAT);
    assert_string_equal(opened.code, "image");
    n = build_image(image, 2);
    volume.encoding = PHI_WIRE_NIFTI;
    volume.crc32 = phi_wire_crc32(image, n);
    assert_int_equal(phi_wire_decode(decoder, &volume, image, n, &opened, &err), PH_E_SHAPE);
    hello.dims[0] = hello.dims[1] = 60000;
    assert_int_equal(phi_wire_decoder_reserve(decoder, &hello, &err), PH_E_LIMIT);
    static const unsigned char zeros[100000]; /* more than HELLO announced, in 30 bytes */

    m = ZSTD_compress(small, sizeof small, zeros, sizeof zeros, 3);
    volume.encoding = PHI_WIRE_NIFTI_ZSTD;
    volume.crc32 = phi_wire_crc32(small, m);
    assert_int_equal(phi_wire_decode(decoder, &volume, small, m, &opened, &err), PH_E_FORMAT);
    phi_wire_decoder_destroy(&decoder);
    assert_int_equal(phi_wire_crc32("123456789", 9), 0xcbf43926);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_survives),
        cmocka_unit_test(fields_arrive),
        cmocka_unit_test(bad_frames_are_refused),
        cmocka_unit_test(labels_are_safe_in_file_names),
        cmocka_unit_test(payloads),
    };
    return cmocka_run_group_tests_name("io/wire", tests, NULL, NULL);
}
