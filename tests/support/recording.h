/* SPDX-License-Identifier: MIT
 *
 * Writes small recordings (journals) for tests: images of 4 x 3 x 2 int16 voxels whose voxel i in
 * volume t is 100 t + i. Failures fail the test.
 */
#ifndef TESTS_SUPPORT_RECORDING_H
#define TESTS_SUPPORT_RECORDING_H

#include "io/journal_write.h"
#include "io/nifti_values.h"
#include "io/wire_payload.h"
#include "test.h"

#define RECORDING_VOXELS 24
#define RECORDING_IMAGE  (352 + 2 * RECORDING_VOXELS)

/* The image of volume `t`. */
static inline void recording_image(uint64_t t, unsigned char image[RECORDING_IMAGE])
{
    struct phi_nifti_info info = {.type = PHI_NIFTI_INT16,
                                  .n_x = 4,
                                  .n_y = 3,
                                  .n_z = 2,
                                  .n_volumes = 1,
                                  .slope = 1,
                                  .tr_s = 2,
                                  .voxel_mm = {3, 3, 3},
                                  .affine = {{3, 0, 0, -5}, {0, 3, 0, 0}, {0, 0, 3, 0}}};
    unsigned char prefix[PHI_NIFTI_MAX_PREFIX];
    struct ph_error err;
    size_t n;

    assert_ok(phi_nifti_make(&info, &err), err);
    assert_int_equal(phi_nifti_reheader(&info, 1, 0, prefix, &n), PH_OK);
    memcpy(image, prefix, n);
    for (size_t i = 0; i < RECORDING_VOXELS; i++) {
        uint16_t value = (uint16_t)(100 * t + i);

        memcpy(image + n + 2 * i, &value, 2);
    }
}

/* The run's HELLO. */
static inline struct phi_wire_message recording_hello(void)
{
    struct phi_wire_message hello = phi_wire_message_of(PHI_WIRE_HELLO);

    (void)strcpy(hello.session, "s");
    (void)strcpy(hello.run, "1");
    (void)strcpy(hello.subject, "x");
    (void)strcpy(hello.datatype, "int16");
    hello.tr_s = 2;
    hello.dims[0] = 4;
    hello.dims[1] = 3;
    hello.dims[2] = 2;
    return hello;
}

static inline void recording_put(struct phi_journal_writer *writer, uint16_t kind, uint64_t index,
                                 const struct phi_wire_message *message, const void *payload,
                                 uint32_t n_payload)
{
    char json[PHI_WIRE_MAX_JSON];
    struct phi_journal_record record = {.kind = kind,
                                        .index = index,
                                        .session = "s",
                                        .run = "1",
                                        .payload = payload,
                                        .n_payload = n_payload,
                                        .monotonic_ns = (int64_t)index * 1000};
    size_t n = 0;
    int os_errno;

    if (message)
        assert_int_equal(phi_wire_format(message, json, sizeof json, &n), PH_OK);
    record.meta = json;
    record.n_meta = (uint32_t)n;
    assert_int_equal(phi_journal_writer_put(writer, &record, 1, &os_errno), PH_OK);
}

static inline void recording_put_volume(struct phi_journal_writer *writer, uint64_t t)
{
    struct phi_wire_message volume = phi_wire_message_of(PHI_WIRE_VOLUME);
    unsigned char image[RECORDING_IMAGE];

    recording_image(t, image);
    volume.has_index = true;
    volume.index = t;
    volume.acquired_s = 2.0 * (double)t;
    volume.crc32 = phi_wire_crc32(image, sizeof image);
    recording_put(writer, PHI_JOURNAL_VOLUME, t, &volume, image, sizeof image);
}

/* Writes a recording from a script to the folder `dir`: 'H' HELLO, a digit: that volume, 'e' the
 * next event (onset 0.5, 1.5, ...), 'l5' volume 5 is lost, 'g5' gave up all below 5, 'E' the end.
 */
static inline void recording_write(const char *dir, const char *script)
{
    struct phi_journal_writer *writer = NULL;
    struct ph_error err;
    uint64_t n_events = 0;

    assert_ok(phi_journal_writer_open(dir, NULL, &writer, &err), err);
    for (const char *p = script; *p; p++) {
        struct phi_wire_message m;
        uint64_t index = p[0] == 'l' || p[0] == 'g' ? (uint64_t)(p[1] - '0') : 0;

        if (*p == 'H') {
            m = recording_hello();
            recording_put(writer, PHI_JOURNAL_HELLO, 0, &m, NULL, 0);
        } else if (*p >= '0' && *p <= '9') {
            recording_put_volume(writer, (uint64_t)(*p - '0'));
        } else if (*p == 'e') {
            m = phi_wire_message_of(PHI_WIRE_EVENT);
            m.onset_s = (double)n_events + 0.5;
            m.has_id = true;
            m.id = n_events++;
            (void)strcpy(m.trial_type, "face");
            (void)strcpy(m.stim, "face.png");
            recording_put(writer, PHI_JOURNAL_EVENT, 0, &m, NULL, 0);
        } else if (*p == 'l') {
            m = phi_wire_message_of(PHI_WIRE_LOST);
            m.has_index = true;
            m.index = index;
            recording_put(writer, PHI_JOURNAL_LOST, index, &m, NULL, 0);
            p++;
        } else if (*p == 'g') {
            recording_put(writer, PHI_JOURNAL_GAP, index, NULL, NULL, 0);
            p++;
        } else {
            m = phi_wire_message_of(PHI_WIRE_END);
            m.n_volumes = 10;
            recording_put(writer, PHI_JOURNAL_END, 0, &m, NULL, 0);
        }
    }
    phi_journal_writer_close(&writer);
}

#endif
