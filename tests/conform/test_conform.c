/* SPDX-License-Identifier: MIT
 * One suite over every registered stage type: it lives through open, frames, events, end and close;
 * the same input gives the same bits twice, after a reset and for 1, 2 and 8 workers; the payload
 * of a missing volume means nothing; zeros and NaN do not break it; limits of parameters are kept;
 * no allocation while frames flow. A type that cannot run with its defaults needs an entry in
 * cases.c. */
#include "base/mem.h"
#include "base/rng.h"
#include "cases.h"
#include "guard.h"
#include "host/registry.h"
#include "host/spec.h"
#include "plugins/table.h"
#include "rig.h"
#include "tempdir.h"
#include "test.h"

enum { NX = 24, NY = 24, NZ = 14, N_FRAMES = 24, GAP_AT = 9 };

static struct phi_registry *registry;
static struct tempdir record_dir; /* where sinks record */

struct subject {
    const struct ph_stage_type *type;
    char params[1024];
    struct ph_spec in;
    bool has_in;
    bool needs_peer;
};

/* True if the type can be planned and initialised behind `in`. */
static bool opens(const struct subject *subject, const struct ph_spec *in)
{
    struct rig *rig = NULL;
    struct ph_error err = {0};
    bool good = rig_try_open(subject->type, subject->params, in, &rig, &err) == PH_OK;

    rig_close(&rig);
    return good;
}

static struct subject subject_of(const struct ph_stage_type *type)
{
    struct subject subject = {.type = type, .has_in = type->kind != PH_STAGE_SOURCE};
    const struct conform_case *entry = case_find(type->id);

    subject.in = type->kind == PH_STAGE_GENERATOR ? rig_latents(4) : rig_volumes(NX, NY, NZ, 2);
    subject.in.n_volumes = N_FRAMES;
    subject.needs_peer = entry && entry->needs_peer;
    if (entry)
        (void)phi_str_copy(subject.params, sizeof subject.params, entry->open(&subject.in));
    else if (subject.has_in && !opens(&subject, &subject.in))
        subject.in = rig_vectors(NX * NY * NZ, 2);
    subject.in.n_volumes = N_FRAMES;
    return subject;
}

static struct rig *open_rig(const struct subject *subject)
{
    struct rig *rig = NULL;
    struct ph_error err = {0};

    if (rig_try_open(subject->type, subject->params, subject->has_in ? &subject->in : NULL, &rig,
                     &err) != PH_OK)
        fail_msg("%s: %s (a type that needs files has an entry in tests/conform/cases.c)",
                 subject->type->id, err.text);
    return rig;
}

/* A bright ball with noise, other in each volume. */
static void fill(float *values, size_t n, uint64_t t)
{
    struct phi_rng rng;

    phi_rng_init(&rng, 11, t);
    for (size_t i = 0; i < n; i++) {
        double x = (double)(i % NX) - 11.5;
        double y = (double)(i / NX % NY) - 11.5;
        double z = (double)(i / NX / NY) - 6.5;

        values[i] =
            (float)(1000 * exp(-(x * x + y * y + 2 * z * z) / 60) + 300 + 5 * phi_rng_normal(&rng));
    }
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < n; i++)
        hash = (hash ^ at[i]) * 0x100000001b3ULL;
    return hash;
}

/* Over all outputs; of missing volumes only that they are there. */
static uint64_t hash_outputs(const struct rig *rig)
{
    uint64_t hash = 0xcbf29ce484222325ULL;

    for (size_t i = 0; i < rig_count(rig); i++) {
        const struct ph_frame *frame = rig_at(rig, i);

        hash = hash_bytes(hash, &frame->kind, sizeof frame->kind);
        hash = hash_bytes(hash, &frame->flags, sizeof frame->flags);
        hash = hash_bytes(hash, &frame->index, sizeof frame->index);
        if (frame->data && !(frame->flags & PH_FLAG_GAP))
            hash = hash_bytes(hash, frame->data,
                              ph_frame_count(frame) * (frame->dtype == PH_DTYPE_U8 ? 1 : 4));
    }
    return hash;
}

static void check_status(const struct subject *subject, enum ph_status status)
{
    if (status < 0)
        fail_msg("%s: a frame failed with status %d", subject->type->id, (int)status);
}

static void push_event(struct rig *rig, const struct subject *subject, size_t t)
{
    struct ph_event event = {.onset_s = 2.0 * (double)t,
                             .duration_s = 1,
                             .amplitude = 1,
                             .number = (uint32_t)(t / 6),
                             .stim_index = 1,
                             .trial_type = "face"};

    check_status(subject, rig_event(rig, &event));
}

/* Filters, decoders, sinks: frames with a gap, a censored one, and events between. */
static void push_frames(struct rig *rig, const struct subject *subject, float gap_value)
{
    size_t n_bytes = 0;
    float *values;
    struct ph_error err;

    assert_ok(phi_spec_bytes(&subject->in, &n_bytes, &err), err);
    values = phi_calloc(n_bytes, 1);
    assert_non_null(values);
    for (size_t t = 0; t < N_FRAMES; t++) {
        uint32_t flags = t == GAP_AT ? PH_FLAG_GAP : t == 13 ? PH_FLAG_CENSORED : 0;

        if (t % 6 == 0)
            push_event(rig, subject, t);
        fill(values, n_bytes / 4, t);
        for (size_t i = 0; flags == PH_FLAG_GAP && i < n_bytes / 4; i++)
            values[i] = gap_value;
        check_status(subject, rig_push(rig, values, flags));
    }
    check_status(subject, rig_end(rig));
    phi_free(values);
}

static void render_some(struct rig *rig, const struct subject *subject, bool disturb)
{
    const struct ph_stage_ops *ops = subject->type->ops;
    size_t n = subject->in.dims[1];
    float *latent = phi_calloc(2 * n, sizeof *latent);
    struct phi_rng rng;

    assert_non_null(latent);
    phi_rng_init(&rng, 5, 0);
    for (int k = 0; k < 4; k++) {
        struct ph_frame frame = {.kind = PH_FRAME_LATENT,
                                 .dtype = PH_DTYPE_F32,
                                 .rank = 2,
                                 .dims = {2, (uint32_t)n},
                                 .data = latent};

        phi_rng_normal_f32(&rng, latent, n);
        for (size_t i = 0; i < n; i++)
            latent[n + i] = 1;
        if (disturb && ops->aim)
            ops->aim(rig_stage(rig)->state, &frame);
        if (disturb && ops->step)
            check_status(subject, ops->step(rig_stage(rig)->state, 1000000));
        check_status(subject, rig_render(rig, latent));
    }
    phi_free(latent);
}

static void poll_source(struct rig *rig, const struct subject *subject)
{
    enum ph_status status;

    do {
        status = rig_poll(rig);
        check_status(subject, status);
    } while (status != PH_EOS);
}

/* One whole run on an open rig; the hash of what came out. */
static uint64_t run(struct rig *rig, const struct subject *subject)
{
    if (subject->type->kind == PH_STAGE_SOURCE)
        poll_source(rig, subject);
    else if (subject->type->kind == PH_STAGE_GENERATOR)
        render_some(rig, subject, false);
    else
        push_frames(rig, subject, 0);
    return hash_outputs(rig);
}

static uint64_t run_fresh(const struct subject *subject)
{
    struct rig *rig = open_rig(subject);
    uint64_t hash = run(rig, subject);

    rig_close(&rig);
    return hash;
}

#define EACH_TYPE(subject)                                                                         \
    for (size_t type_i_ = 0; type_i_ < phi_registry_count(registry); type_i_++)                    \
        for (struct subject subject = subject_of(phi_registry_at(registry, type_i_)->type),        \
                            *once_ = &subject;                                                     \
             once_; once_ = NULL)

static void same_bits_again_after_reset_and_for_any_workers(void **state)
{
    (void)state;
    EACH_TYPE(subject)
    {
        uint64_t hash;
        struct rig *rig;

        if (subject.needs_peer)
            continue; /* a_waiting_source_can_be_woken */
        hash = run_fresh(&subject);
        if (!(subject.type->caps & PH_CAP_DETERMINISTIC))
            continue;
        rig = open_rig(&subject);
        if (run(rig, &subject) != hash)
            fail_msg("%s: other bits the second time", subject.type->id);
        rig_reset(rig);
        if (run(rig, &subject) != hash)
            fail_msg("%s: other bits after a reset", subject.type->id);
        rig_close(&rig);
        for (uint32_t n = 1; n <= 8; n *= 2) {
            rig_use_workers(n);
            if (run_fresh(&subject) != hash)
                fail_msg("%s: other bits with %u workers", subject.type->id, (unsigned)n);
        }
        rig_use_workers(4);
    }
}

static void payload_of_a_missing_volume_means_nothing(void **state)
{
    (void)state;
    EACH_TYPE(subject)
    {
        uint64_t hashes[2];
        const float values[2] = {0, 12345};

        if (subject.type->kind != PH_STAGE_FILTER && subject.type->kind != PH_STAGE_DECODER)
            continue;
        for (int k = 0; k < 2; k++) {
            struct rig *rig = open_rig(&subject);

            push_frames(rig, &subject, values[k]);
            hashes[k] = hash_outputs(rig);
            rig_close(&rig);
        }
        if (hashes[0] != hashes[1])
            fail_msg("%s: the payload of a missing volume has an effect", subject.type->id);
    }
}

static void zeros_and_nan_do_not_break_it(void **state)
{
    (void)state;
    EACH_TYPE(subject)
    {
        struct rig *rig;
        size_t n_bytes = 0;
        struct ph_error err;
        float *values;

        if (!subject.has_in || subject.type->kind == PH_STAGE_GENERATOR)
            continue;
        assert_ok(phi_spec_bytes(&subject.in, &n_bytes, &err), err);
        values = phi_calloc(n_bytes, 1);
        assert_non_null(values);
        rig = open_rig(&subject);
        (void)rig_push(rig, values, 0); /* may be refused, must not crash */
        for (size_t i = 0; i < n_bytes / 4; i++)
            values[i] = NAN;
        (void)rig_push(rig, values, 0);
        (void)rig_push(rig, values, PH_FLAG_INVALID);
        fill(values, n_bytes / 4, 3);
        (void)rig_push(rig, values, 0);
        (void)rig_end(rig);
        rig_close(&rig);
        phi_free(values);
    }
}

static void try_value(const struct subject *subject, const struct ph_param *param, double value,
                      bool allowed)
{
    struct phi_params *params = NULL;
    struct ph_error err = {0};
    char text[64];
    enum ph_status status;

    (void)snprintf(text, sizeof text, param->type == PH_PARAM_INT ? "%.0f" : "%.17g", value);
    assert_ok(phi_params_create(subject->type, &params, &err), err);
    status = phi_params_set(params, param->name, text, NULL, &err);
    if (allowed ? status != PH_OK : status == PH_OK)
        fail_msg("%s: %s = %s: status %d", subject->type->id, param->name, text, (int)status);
    if (allowed && subject->has_in && subject->type->ops->plan) {
        struct ph_spec out = subject->in;

        err.text[0] = '\0';
        status = subject->type->ops->plan(phi_params_values(params), &subject->in, &out, &err);
        if (status < 0 && !err.text[0])
            fail_msg("%s: %s = %s is refused without a word", subject->type->id, param->name, text);
    }
    phi_params_destroy(&params);
}

static void limits_are_kept(void **state)
{
    (void)state;
    EACH_TYPE(subject)
    {
        for (uint32_t i = 0; i < subject.type->n_params; i++) {
            const struct ph_param *param = &subject.type->params[i];

            if (param->type != PH_PARAM_INT && param->type != PH_PARAM_FLOAT)
                continue;
            try_value(&subject, param, param->min, true);
            try_value(&subject, param, param->max, true);
            try_value(&subject, param, param->min - 1, false);
            try_value(&subject, param, param->max + fabs(param->max) * 0.5 + 1, false);
        }
    }
}

static void no_allocation_while_frames_flow(void **state)
{
    (void)state;
    rig_use_guard(guard_switch);
    EACH_TYPE(subject)
    {
        uint64_t before = guard_count();
        uint64_t n;

        if (subject.type->kind == PH_STAGE_SOURCE || subject.type->kind == PH_STAGE_SINK)
            continue; /* they live at the edge: file and socket libraries allocate in their threads
                       */
        (void)run_fresh(&subject);
        n = guard_count() - before;
        if (n > 0)
            fail_msg("%s: %llu allocations while frames flow", subject.type->id,
                     (unsigned long long)n);
    }
    rig_use_guard(NULL);
}

static void settled_pictures_do_not_depend_on_who_looks(void **state)
{
    (void)state;
    EACH_TYPE(subject)
    {
        uint64_t hashes[2];

        if (subject.type->kind != PH_STAGE_GENERATOR)
            continue;
        for (int k = 0; k < 2; k++) {
            struct rig *rig = open_rig(&subject);

            render_some(rig, &subject, k == 1);
            hashes[k] = hash_outputs(rig);
            rig_close(&rig);
        }
        if (hashes[0] != hashes[1])
            fail_msg("%s: render depends on aim and step", subject.type->id);
    }
}

static void set_all(struct phi_params *params, const char *text)
{
    char copy[1024];
    char *rest = copy;
    struct ph_error err;

    (void)phi_str_copy(copy, sizeof copy, text);
    for (char *item; (item = strsep(&rest, " "));) {
        char *equals = strchr(item, '=');

        assert_non_null(equals);
        *equals = '\0';
        assert_ok(phi_params_set(params, item, equals + 1, NULL, &err), err);
    }
}

static void a_waiting_source_can_be_woken(void **state)
{
    (void)state;
    EACH_TYPE(subject)
    {
        struct phi_params *params = NULL;
        struct phi_stage *stage = NULL;
        struct ph_error err = {0};

        if (!subject.needs_peer)
            continue;
        assert_ok(phi_params_create(subject.type, &params, &err), err);
        set_all(params, subject.params);
        assert_ok(phi_stage_create(subject.type, "peer", &params, NULL, &stage, &err), err);
        assert_ok(phi_stage_init(stage, &err), err);
        phi_stage_wake(stage);
        assert_int_equal(phi_stage_discover(stage, &err), PH_AGAIN);
        phi_stage_destroy(&stage);
    }
}

static void descriptions_are_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < phi_registry_count(registry); i++) {
        const struct phi_registered *entry = phi_registry_at(registry, i);
        struct ph_error err;

        assert_ok(phi_type_check(entry->type, &err), err);
        assert_true(entry->plugin->licence && entry->plugin->licence[0]);
        if (entry->type->caps & PH_CAP_STATEFUL && entry->type->kind != PH_STAGE_SINK &&
            entry->type->kind != PH_STAGE_SOURCE && !entry->type->ops->reset)
            fail_msg("%s keeps state but has no reset", entry->type->id);
    }
}

static int open_registry(void **state)
{
    struct ph_error err;

    (void)state;
    if (!tempdir_make(&record_dir))
        return -1;
    rig_use_run_dir(record_dir.path);
    return (int)phi_registry_create(phi_static_plugins, phi_n_static_plugins, &registry, &err);
}

static int close_registry(void **state)
{
    (void)state;
    cases_close();
    tempdir_remove(&record_dir);
    phi_registry_destroy(&registry);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptions_are_whole),
        cmocka_unit_test(same_bits_again_after_reset_and_for_any_workers),
        cmocka_unit_test(payload_of_a_missing_volume_means_nothing),
        cmocka_unit_test(zeros_and_nan_do_not_break_it),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(no_allocation_while_frames_flow),
        cmocka_unit_test(settled_pictures_do_not_depend_on_who_looks),
        cmocka_unit_test(a_waiting_source_can_be_woken),
    };
    return cmocka_run_group_tests_name("conform", tests, open_registry, close_registry);
}
