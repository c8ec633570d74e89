/* SPDX-License-Identifier: MIT
 * One record as bytes: it reads back, each flipped bit is noticed, a cut one is told from a damaged
 * one, and false lengths are refused. */
#include "io/journal_record.h"

#include "test.h"

static size_t build(unsigned char *out, const char *meta, const char *payload)
{
    struct phi_journal_record record = {.kind = PHI_JOURNAL_VOLUME,
                                        .flags = 5,
                                        .sequence = 77,
                                        .index = 12,
                                        .monotonic_ns = -3,
                                        .wall_ns = 1700000000000000000,
                                        .session = "ses-01",
                                        .run = "run-2",
                                        .meta = meta,
                                        .n_meta = (uint32_t)strlen(meta),
                                        .payload = payload,
                                        .n_payload = (uint32_t)strlen(payload)};
    unsigned char tail[12];
    size_t n_tail;
    size_t n = PHI_JOURNAL_HEADER;

    phi_journal_record_format(&record, out, tail, &n_tail);
    memcpy(out + n, meta, record.n_meta);
    n += record.n_meta;
    memcpy(out + n, payload, record.n_payload);
    n += record.n_payload;
    memcpy(out + n, tail, n_tail);
    assert_int_equal(n + n_tail, phi_journal_record_bytes(&record));
    return n + n_tail;
}

static void reads_back(void **state)
{
    static const char *const payloads[] = {"", "1", "12345", "123456789abcdef"};
    unsigned char bytes[512];
    struct phi_journal_record record;
    size_t n;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        size_t n_built = build(bytes, "{\"a\":1}", payloads[i]);

        assert_int_equal(n_built % 8, 0);
        assert_int_equal(phi_journal_record_parse(bytes, n_built, &record, &n), PHI_JOURNAL_WHOLE);
        assert_int_equal(n, n_built);
        assert_int_equal(record.kind, PHI_JOURNAL_VOLUME);
        assert_int_equal(record.flags, 5);
        assert_int_equal(record.sequence, 77);
        assert_int_equal(record.index, 12);
        assert_int_equal(record.monotonic_ns, -3);
        assert_true(record.wall_ns == 1700000000000000000);
        assert_string_equal(record.session, "ses-01");
        assert_string_equal(record.run, "run-2");
        assert_int_equal(record.n_meta, 7);
        assert_memory_equal(record.meta, "{\"a\":1}", 7);
        assert_int_equal(record.n_payload, strlen(payloads[i]));
        assert_memory_equal(record.payload, payloads[i], record.n_payload);
    }
}

static void each_flipped_bit_is_noticed(void **state)
{
    unsigned char bytes[512];
    size_t n_built = build(bytes, "{}", "payload of a record");
    struct phi_journal_record record;
    size_t n;

    (void)state;
    for (size_t bit = 0; bit < 8 * n_built; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        if (phi_journal_record_parse(bytes, n_built, &record, &n) == PHI_JOURNAL_WHOLE)
            fail_msg("bit %zu was not noticed", bit);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    assert_int_equal(phi_journal_record_parse(bytes, n_built, &record, &n), PHI_JOURNAL_WHOLE);
}

static void cut_and_damaged_are_told_apart(void **state)
{
    unsigned char bytes[512];
    size_t n_built = build(bytes, "{}", "payload");
    struct phi_journal_record record;
    size_t n = 0;

    (void)state;
    for (size_t k = 0; k < n_built; k++)
        assert_int_equal(phi_journal_record_parse(bytes, k, &record, &n),
                         k < PHI_JOURNAL_HEADER ? PHI_JOURNAL_NONE : PHI_JOURNAL_CUT);
    bytes[PHI_JOURNAL_HEADER + 3] ^= 1;
    assert_int_equal(phi_journal_record_parse(bytes, n_built, &record, &n), PHI_JOURNAL_DAMAGED);
    assert_int_equal(n, n_built);
}

static void too_large_is_refused(void **state)
{
    struct phi_journal_record record = {.n_meta = PHI_JOURNAL_MAX_META + 1};

    (void)state;
    assert_int_equal(phi_journal_record_bytes(&record), 0);
    record = (struct phi_journal_record){.n_payload = PHI_JOURNAL_MAX_PAYLOAD + 1};
    assert_int_equal(phi_journal_record_bytes(&record), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_back),
        cmocka_unit_test(each_flipped_bit_is_noticed),
        cmocka_unit_test(cut_and_damaged_are_told_apart),
        cmocka_unit_test(too_large_is_refused),
    };
    return cmocka_run_group_tests_name("io/journal_record", tests, NULL, NULL);
}
