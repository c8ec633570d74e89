/* SPDX-License-Identifier: MIT */
#include "rt/doorbell.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

struct phi_doorbell {
    _Atomic int armed;
    int fd;
};

enum ph_status phi_doorbell_create(struct phi_doorbell **ret_bell, struct ph_error *reterr)
{
    struct phi_doorbell *bell = phi_calloc(1, sizeof *bell);

    if (!bell)
        return phi_error_nomem(reterr, "a doorbell", sizeof *bell);
    bell->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell->fd < 0) {
        phi_free(bell);
        return phi_error_os(reterr, PH_E_IO, errno, "cannot make an eventfd");
    }
    *ret_bell = bell;
    return PH_OK;
}

void phi_doorbell_destroy(struct phi_doorbell **bell)
{
    if (!bell || !*bell)
        return;
    (void)close((*bell)->fd);
    phi_free(*bell);
    *bell = NULL;
}

void phi_doorbell_ring(struct phi_doorbell *bell)
{
    uint64_t one = 1;

    if (atomic_exchange(&bell->armed, 0) && write(bell->fd, &one, sizeof one) < 0)
        return; /* only a counter at its limit refuses, and then the waiter wakes anyway */
}

void phi_doorbell_arm(struct phi_doorbell *bell)
{
    (void)atomic_exchange(&bell->armed, 1);
}

bool phi_doorbell_wait(struct phi_doorbell *bell, int64_t timeout_ns)
{
    struct pollfd poll_fd = {.fd = bell->fd, .events = POLLIN};
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000),
                               .tv_nsec = (long)(timeout_ns % 1000000000)};
    int n = ppoll(&poll_fd, 1, timeout_ns < 0 ? NULL : &timeout, NULL);
    uint64_t count;

    if (n <= 0)
        return false;
    return read(bell->fd, &count, sizeof count) == sizeof count;
}
