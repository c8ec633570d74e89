/* SPDX-License-Identifier: MIT
 * CRC-32C: the published check value, continuation, and the same result bit by bit. */
#include "base/crc.h"
#include "base/rng.h"
#include "test.h"

static uint32_t crc_bit_by_bit(const unsigned char *bytes, size_t n)
{
    uint32_t crc = 0xffffffffU;

    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82F63B78U : crc >> 1;
    }
    return ~crc;
}

static void check_value(void **state)
{
    (void)state;
    assert_int_equal(phi_crc32c(0, "123456789", 9), 0xE3069283U);
    assert_int_equal(phi_crc32c(0, "", 0), 0);
}

static void agrees_with_the_definition_in_pieces(void **state)
{
    unsigned char bytes[97];
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 1, 0);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)phi_rng_u64(&rng);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        uint32_t first = phi_crc32c(0, bytes, n / 3);

        assert_int_equal(phi_crc32c(first, bytes + n / 3, n - n / 3), crc_bit_by_bit(bytes, n));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_value),
        cmocka_unit_test(agrees_with_the_definition_in_pieces),
    };
    return cmocka_run_group_tests_name("base/crc", tests, NULL, NULL);
}
