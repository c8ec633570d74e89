/* SPDX-License-Identifier: MIT
 *
 * CRC-32C (Castagnoli 1993, polynomial 0x1EDC6F41 reflected), the checksum of journal records.
 * Pure.
 */
#ifndef PHI_BASE_CRC_H
#define PHI_BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 to start) over `n_bytes` bytes. Check value of "123456789": 0xE3069283. */
uint32_t phi_crc32c(uint32_t crc, const void *bytes, size_t n_bytes);

#endif
