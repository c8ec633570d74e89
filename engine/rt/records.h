/* SPDX-License-Identifier: MIT
 *
 * Bounded queues of plain records that are copied in and out. phi_records goes from one thread to
 * one thread; phi_mrecords takes from any number of threads and serves one. When a queue is full
 * the new record is dropped and counted. Nothing blocks, nothing allocates after create.
 */
#ifndef PHI_RT_RECORDS_H
#define PHI_RT_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

struct phi_records;
struct phi_mrecords;

/* A queue of `n` (rounded up to a power of two) records of `size` bytes, owned by the caller. */
PH_NODISCARD enum ph_status phi_records_create(size_t n, size_t size,
                                               struct phi_records **ret_records,
                                               struct ph_error *reterr);
PH_NODISCARD enum ph_status phi_mrecords_create(size_t n, size_t size,
                                                struct phi_mrecords **ret_records,
                                                struct ph_error *reterr);

/* Free; accept NULL and *records == NULL, clear *records. */
void phi_records_destroy(struct phi_records **records);
void phi_mrecords_destroy(struct phi_mrecords **records);

/* Producer (phi_mrecords: any thread): copies a record in. False if it was dropped. */
bool phi_records_push(struct phi_records *records, const void *record);
bool phi_mrecords_push(struct phi_mrecords *records, const void *record);

/* Consumer: copies the oldest record out. False if there is none. */
bool phi_records_pop(struct phi_records *records, void *ret_record);
bool phi_mrecords_pop(struct phi_mrecords *records, void *ret_record);

/* Any thread: how many were dropped so far. */
uint64_t phi_records_dropped(const struct phi_records *records);
uint64_t phi_mrecords_dropped(const struct phi_mrecords *records);

#endif
