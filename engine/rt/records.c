/* SPDX-License-Identifier: MIT */
#include "rt/records.h"

#include <stdatomic.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

struct phi_records {
    _Alignas(PHI_ALIGN) _Atomic size_t head; /* consumer's */
    _Alignas(PHI_ALIGN) _Atomic size_t tail; /* producer's */
    _Atomic uint64_t dropped;
    _Alignas(PHI_ALIGN) size_t mask;
    size_t size;
    unsigned char *bytes; /* [mask + 1][size] */
};

/* Dmitry Vyukov's bounded queue: each cell carries a sequence number that says whose turn it is.
 * A producer wins a cell by moving `tail`, writes it, and passes it on by its number. */
struct phi_mrecords {
    _Alignas(PHI_ALIGN) _Atomic size_t tail;
    _Atomic uint64_t dropped;
    _Alignas(PHI_ALIGN) size_t head; /* consumer's */
    size_t mask;
    size_t size;
    _Atomic size_t *turns; /* [mask + 1] */
    unsigned char *bytes;  /* [mask + 1][size] */
};

static size_t round_up(size_t n)
{
    size_t power = 1;

    while (power < n && power < ((size_t)1 << 24))
        power *= 2;
    return power;
}

enum ph_status phi_records_create(size_t n, size_t size, struct phi_records **ret_records,
                                  struct ph_error *reterr)
{
    struct phi_records *records = phi_calloc(1, sizeof *records);

    n = round_up(n);
    if (records)
        records->bytes = phi_calloc(n, size);
    if (!records || !records->bytes) {
        phi_free(records);
        return phi_error_nomem(reterr, "a record queue", n * size);
    }
    records->mask = n - 1;
    records->size = size;
    *ret_records = records;
    return PH_OK;
}

void phi_records_destroy(struct phi_records **records)
{
    if (!records || !*records)
        return;
    phi_free((*records)->bytes);
    phi_free(*records);
    *records = NULL;
}

bool phi_records_push(struct phi_records *records, const void *record)
{
    size_t tail = atomic_load_explicit(&records->tail, memory_order_relaxed);
    size_t head = atomic_load_explicit(&records->head, memory_order_acquire);

    if (tail - head > records->mask) {
        atomic_fetch_add_explicit(&records->dropped, 1, memory_order_relaxed);
        return false;
    }
    memcpy(records->bytes + (tail & records->mask) * records->size, record, records->size);
    atomic_store_explicit(&records->tail, tail + 1, memory_order_release);
    return true;
}

bool phi_records_pop(struct phi_records *records, void *ret_record)
{
    size_t head = atomic_load_explicit(&records->head, memory_order_relaxed);

    if (head == atomic_load_explicit(&records->tail, memory_order_acquire))
        return false;
    memcpy(ret_record, records->bytes + (head & records->mask) * records->size, records->size);
    atomic_store_explicit(&records->head, head + 1, memory_order_release);
    return true;
}

uint64_t phi_records_dropped(const struct phi_records *records)
{
    return atomic_load_explicit(&records->dropped, memory_order_relaxed);
}

enum ph_status phi_mrecords_create(size_t n, size_t size, struct phi_mrecords **ret_records,
                                   struct ph_error *reterr)
{
    struct phi_mrecords *records = phi_calloc(1, sizeof *records);

    n = round_up(n < 2 ? 2 : n);
    if (records) {
        records->bytes = phi_calloc(n, size);
        records->turns = phi_calloc(n, sizeof *records->turns);
    }
    if (!records || !records->bytes || !records->turns) {
        phi_mrecords_destroy(&records);
        return phi_error_nomem(reterr, "a record queue", n * size);
    }
    records->mask = n - 1;
    records->size = size;
    for (size_t i = 0; i < n; i++)
        atomic_init(&records->turns[i], i);
    *ret_records = records;
    return PH_OK;
}

void phi_mrecords_destroy(struct phi_mrecords **records)
{
    if (!records || !*records)
        return;
    phi_free((*records)->bytes);
    phi_free((*records)->turns);
    phi_free(*records);
    *records = NULL;
}

bool phi_mrecords_push(struct phi_mrecords *records, const void *record)
{
    size_t tail = atomic_load_explicit(&records->tail, memory_order_relaxed);

    for (;;) {
        _Atomic size_t *turn = &records->turns[tail & records->mask];
        size_t seen = atomic_load_explicit(turn, memory_order_acquire);

        if (seen == tail) {
            if (atomic_compare_exchange_weak_explicit(&records->tail, &tail, tail + 1,
                                                      memory_order_relaxed, memory_order_relaxed)) {
                memcpy(records->bytes + (tail & records->mask) * records->size, record,
                       records->size);
                atomic_store_explicit(turn, tail + 1, memory_order_release);
                return true;
            }
        } else if (tail - seen <= records->mask) { /* still holds the record of a round ago */
            atomic_fetch_add_explicit(&records->dropped, 1, memory_order_relaxed);
            return false;
        } else {
            tail = atomic_load_explicit(&records->tail, memory_order_relaxed);
        }
    }
}

bool phi_mrecords_pop(struct phi_mrecords *records, void *ret_record)
{
    size_t head = records->head;
    _Atomic size_t *turn = &records->turns[head & records->mask];

    if (atomic_load_explicit(turn, memory_order_acquire) != head + 1)
        return false;
    memcpy(ret_record, records->bytes + (head & records->mask) * records->size, records->size);
    records->head = head + 1;
    atomic_store_explicit(turn, head + records->mask + 1, memory_order_release);
    return true;
}

uint64_t phi_mrecords_dropped(const struct phi_mrecords *records)
{
    return atomic_load_explicit(&records->dropped, memory_order_relaxed);
}
