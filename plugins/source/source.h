/* SPDX-License-Identifier: MIT
 *
 * What the sources share: a wait that `wake` ends, and frames and specs made from NIfTI headers.
 */
#ifndef PLUGINS_SOURCE_SOURCE_H
#define PLUGINS_SOURCE_SOURCE_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "io/nifti_values.h"
#include "phosphene/plugin.h"

/* An eventfd that stays readable once rung, until it is cleared. */
struct source_bell {
    int fd; /* -1 when closed */
};

static inline enum ph_status source_bell_open(struct source_bell *bell, struct ph_error *reterr)
{
    bell->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell->fd < 0)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot make a doorbell");
    return PH_OK;
}

static inline void source_bell_close(struct source_bell *bell)
{
    if (bell->fd >= 0)
        (void)close(bell->fd);
    bell->fd = -1;
}

/* Any thread; never blocks. */
static inline void source_bell_ring(const struct source_bell *bell)
{
    uint64_t one = 1;

    (void)!write(bell->fd, &one, sizeof one); /* full means that it is rung */
}

/* Whether it was rung since the last time. */
static inline bool source_bell_clear(const struct source_bell *bell)
{
    uint64_t n;

    return read(bell->fd, &n, sizeof n) == (ssize_t)sizeof n;
}

/* Waits at most `wait_ns`; true if it was rung (and clears it). */
static inline bool source_bell_wait(const struct source_bell *bell, int64_t wait_ns)
{
    struct pollfd item = {.fd = bell->fd, .events = POLLIN};
    struct timespec wait = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};

    return wait_ns > 0 ? ppoll(&item, 1, &wait, NULL) > 0 && source_bell_clear(bell)
                       : source_bell_clear(bell);
}

/* The spec of volumes like `info` at repetition time `tr_s`. */
static inline void source_spec(const struct phi_nifti_info *info, double tr_s, uint32_t n_volumes,
                               struct ph_spec *ret_out)
{
    *ret_out = (struct ph_spec){.struct_size = sizeof *ret_out,
                                .kind = PH_FRAME_VOLUME,
                                .dtype = PH_DTYPE_F32,
                                .rank = 3,
                                .dims = {info->n_z, info->n_y, info->n_x},
                                .n_volumes = n_volumes};
    ret_out->geometry =
        (struct ph_geometry){.dims = {info->n_x, info->n_y, info->n_z}, .tr_s = tr_s};
    memcpy(ret_out->geometry.affine, info->affine, sizeof info->affine);
}

#define SOURCE_MOVED_MM 0.1

/* Whether a corner of the image lies more than SOURCE_MOVED_MM from where the run's first volume
 * had it: the scan was prescribed anew, and the voxels are no longer those of the run. */
static inline bool source_is_elsewhere(const struct phi_nifti_info *info,
                                       const struct ph_spec *spec)
{
    const uint32_t last[3] = {info->n_x - 1, info->n_y - 1, info->n_z - 1};
    bool moved = false;

    for (int corner = 0; corner < 8; corner++) {
        double square = 0;

        for (int row = 0; row < 3; row++) {
            double off = info->affine[row][3] - spec->geometry.affine[row][3];

            for (int axis = 0; axis < 3; axis++)
                off += (corner >> axis & 1 ? (double)last[axis] : 0) *
                       (info->affine[row][axis] - spec->geometry.affine[row][axis]);
            square += off * off;
        }
        moved = moved || !(square <= SOURCE_MOVED_MM * SOURCE_MOVED_MM);
    }
    return moved;
}

/* Tells of a volume that is elsewhere. */
static inline void source_tell_elsewhere(const struct ph_host *host, uint64_t index)
{
    host->log(host->self, PH_LOG_WARNING, "source.affine",
              "volume %llu lies elsewhere in the scanner than the first one: it is marked invalid. "
              "Was the scan prescribed anew? Begin a new run then",
              (unsigned long long)index);
}

/* Takes a frame, fills it with the volume and emits it; `data` NULL makes the frame of a missing
 * volume. PH_EOS when the run is being stopped. */
static inline enum ph_status source_emit_volume(struct ph_io *io, const struct phi_nifti_info *info,
                                                const unsigned char *data,
                                                const struct ph_frame *header)
{
    struct ph_frame *frame = ph_take(io);

    if (!frame)
        return PH_EOS;
    frame->index = header->index;
    frame->acquired_s = header->acquired_s;
    frame->sent_ns = header->sent_ns;
    frame->received_ns = header->received_ns;
    frame->flags = header->flags;
    if (data) {
        phi_nifti_to_float32(info, data, info->n_voxels, frame->data);
    } else {
        memset(frame->data, 0, ph_frame_count(frame) * sizeof(float));
        frame->flags |= PH_FLAG_GAP;
    }
    ph_emit(io, frame);
    return PH_OK;
}

/* Emits a stimulus event. PH_EOS when the run is being stopped. */
static inline enum ph_status source_emit_event(struct ph_io *io, const struct ph_event *event)
{
    struct ph_frame *frame = ph_take_event(io);

    if (!frame)
        return PH_EOS;
    frame->u.event = *event;
    frame->acquired_s = event->onset_s;
    ph_emit(io, frame);
    return PH_OK;
}

#endif
