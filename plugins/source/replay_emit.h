/* SPDX-License-Identifier: MIT
 *
 * Entries of a recorded stream as frames: what source/journal and a restarted source/wire do alike.
 */
#ifndef PLUGINS_SOURCE_REPLAY_EMIT_H
#define PLUGINS_SOURCE_REPLAY_EMIT_H

#include <math.h>

#include "base/str.h"
#include "io/replay.h"
#include "plugins/source/source.h"

/* An EVENT message as an event; its onset must be a number. */
static inline struct ph_event source_event_of(const struct phi_wire_message *m, uint32_t number)
{
    struct ph_event event = {.onset_s = m->onset_s,
                             .duration_s = m->duration_s,
                             .amplitude = m->amplitude,
                             .number = number,
                             .stim_index = (int32_t)m->stim_index};

    (void)phi_str_copy(event.trial_type, sizeof event.trial_type, m->trial_type);
    (void)phi_str_copy(event.stim_file, sizeof event.stim_file, m->stim);
    return event;
}

/* When volume `index` began, on the run's clock. */
static inline double source_acquired_s(const struct phi_wire_message *volume, uint64_t index,
                                       double tr_s)
{
    return isfinite(volume->acquired_s) ? volume->acquired_s : (double)index * tr_s;
}

/* Emits one entry; counts events in *n_events. A volume of another place than the run's is marked.
 * PH_OK also for the end, which has no frame. */
static inline enum ph_status source_emit_item(struct ph_io *io, const struct phi_replay_item *item,
                                              const struct ph_spec *spec,
                                              const struct ph_host *host, int64_t now_ns,
                                              uint32_t *n_events)
{
    struct ph_frame header = {.index = item->index, .received_ns = now_ns};
    const uint32_t *dims = spec->geometry.dims;
    const struct phi_nifti_info *info = &item->image.info;
    struct ph_event event;

    header.acquired_s = source_acquired_s(&item->message, item->index, spec->geometry.tr_s);
    switch (item->kind) {
    case PHI_REPLAY_VOLUME:
        if (info->n_x != dims[0] || info->n_y != dims[1] || info->n_z != dims[2])
            return PH_E_SHAPE;
        if (source_is_elsewhere(info, spec)) {
            header.flags |= (uint32_t)PH_FLAG_INVALID;
            source_tell_elsewhere(host, item->index);
        }
        return source_emit_volume(io, info, item->image.data, &header);
    case PHI_REPLAY_GAP:
        return source_emit_volume(io, NULL, NULL, &header);
    case PHI_REPLAY_EVENT:
        event = source_event_of(&item->message, *n_events);
        ++*n_events;
        return source_emit_event(io, &event);
    case PHI_REPLAY_END:
        break;
    }
    return PH_OK;
}

/* Reads a recording up to its first volume to learn the spec. PH_EOS if it has none. */
static inline enum ph_status source_probe(const char *dir, size_t max_bytes,
                                          struct ph_spec *ret_out, struct ph_error *reterr)
{
    struct phi_replay *replay = NULL;
    struct phi_replay_item item = {.kind = PHI_REPLAY_GAP};
    enum ph_status status = phi_replay_open(dir, max_bytes, NULL, &replay, reterr);

    while (!status) {
        status = phi_replay_next(replay, &item, reterr);
        if (!status && item.kind == PHI_REPLAY_VOLUME)
            break;
    }
    if (!status && !phi_replay_run(replay))
        status =
            phi_error(reterr, PH_E_FORMAT, "the recording in '%s' has volumes but no HELLO", dir);
    if (!status)
        source_spec(&item.image.info, phi_replay_run(replay)->tr_s,
                    (uint32_t)phi_replay_run(replay)->n_volumes, ret_out);
    phi_replay_close(&replay);
    return status;
}

#endif
