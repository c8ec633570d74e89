/* SPDX-License-Identifier: MIT
 *
 * One stage on a bench, without engine or threads: open it by id, push frames and events, look at
 * what it emitted. A failure of set-up fails the test, except in rig_try_open. Outputs are copies
 * that live until rig_clear or rig_close.
 *
 *     struct ph_spec in = rig_volumes(4, 4, 2, 2.0);
 *     struct rig *rig = rig_open("filter/gain", "factor=2 offset=1", &in);
 *     assert_int_equal(rig_push(rig, values, 0), PH_OK);
 *     const float *out = rig_last(rig)->data;
 *     rig_close(&rig);
 */
#ifndef TESTS_SUPPORT_RIG_H
#define TESTS_SUPPORT_RIG_H

#include <stdbool.h>
#include <stddef.h>

#include "host/stage.h"
#include "phosphene/plugin.h"
#include "rt/shown.h"

struct rig;

/* Specs as inputs: volumes of nx * ny * nz 3 mm voxels; vectors of n of nx * ny * nz voxels;
 * latents of n components. TR in seconds. */
struct ph_spec rig_volumes(uint32_t nx, uint32_t ny, uint32_t nz, double tr_s);
struct ph_spec rig_vectors(uint32_t n, double tr_s);
struct ph_spec rig_latents(uint32_t n);

/* The linked-in type `id`; fails the test if there is none. */
const struct ph_stage_type *rig_type(const char *id);

/* A stage of type `id` with parameters "key=value key=value" (values without blanks), planned
 * behind `in` and initialised. Sources: `in` is NULL, discover is called. */
struct rig *rig_open(const char *id, const char *params, const struct ph_spec *in);

/* As rig_open with a number of workers (parallel_for runs backwards, to catch order dependence);
 * set-up errors are returned in *ret_rig's place. The type need not be registered. */
enum ph_status rig_try_open(const struct ph_stage_type *type, const char *params,
                            const struct ph_spec *in, struct rig **ret_rig,
                            struct ph_error *reterr);

/* Rigs opened from now on have `n` workers (4 at first); with one the loops run forwards. */
void rig_use_workers(uint32_t n);

/* Rigs opened from now on record to folder `dir`, which must stay valid; NULL: to none, as at
 * first. */
void rig_use_run_dir(const char *dir);

/* From now on calls of process, event and render forbid allocation (support/guard.h): `guard` is
 * called with true before and false after. NULL: no guard. */
void rig_use_guard(void (*guard)(bool inside));

/* Tells filters that vectors of `layout` hold voxels[n], which must stay valid; n 0: forgets. */
void rig_tell_voxels(struct rig *rig, uint64_t layout, const uint32_t *voxels, size_t n);

/* The maps and curves that the stage has put up: values of the newest map of `title` (NULL: none),
 * and the newest curves. */
const float *rig_shown_map(struct rig *rig, const char *title, float *ret_threshold);
const struct phi_shown_curves *rig_shown_curves(struct rig *rig, const char *title);

/* Closes (fini), frees. */
void rig_close(struct rig **rig);

/* Planned output. */
const struct ph_spec *rig_out(const struct rig *rig);

/* The stage itself, for what this header lacks. */
struct phi_stage *rig_stage(struct rig *rig);

/* Pushes the next frame of the input spec with `values` (NULL: zeros) and `flags`; index, time and
 * TR count on from the last one. Returns what process returned. The output of a filter in place is
 * collected like an emitted frame. */
enum ph_status rig_push(struct rig *rig, const float *values, uint32_t flags);

/* Pushes a copy of a frame as it is (kind, dims, index ... all from `frame`). */
enum ph_status rig_push_frame(struct rig *rig, const struct ph_frame *frame);

/* A stimulus event reaches the stage. */
enum ph_status rig_event(struct rig *rig, const struct ph_event *event);

/* The stream ends. */
enum ph_status rig_end(struct rig *rig);

/* Sources: one call of process. */
enum ph_status rig_poll(struct rig *rig);

/* Generators: draws the settled picture of latent values [2][n] and collects it. */
enum ph_status rig_render(struct rig *rig, const float *latent);

/* A live change of one parameter; fails the test if it is refused. */
void rig_set(struct rig *rig, const char *key, const char *value);

/* Back to the state after init; also forgets the outputs and counts from 0 again. */
void rig_reset(struct rig *rig);

/* Outputs so far, oldest first. */
size_t rig_count(const struct rig *rig);
const struct ph_frame *rig_at(const struct rig *rig, size_t i);
const struct ph_frame *rig_last(const struct rig *rig);

/* Forgets the outputs. */
void rig_clear(struct rig *rig);

#endif
