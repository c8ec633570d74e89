/* SPDX-License-Identifier: MIT
 * The threadless chain: values, order of events, missing volumes as marked frames, what a failing
 * filter does, and the canonical text of the chain. */
#include "fakes.h"
#include "graph/chain.h"
#include "test.h"

static struct phi_registry *registry;

static struct phi_run *run_of(const char *text)
{
    struct phi_run *run = NULL;
    struct ph_error err = {0};

    assert_ok(phi_run_parse(text, strlen(text), "run.yaml", "/", registry, &run, &err), err);
    return run;
}

struct result {
    size_t n_vectors;
    size_t n_events;
    size_t n_gaps;
    size_t n_invalid;
    uint64_t next;
    double sum;
    enum ph_status status;
    struct ph_error err;
};

static struct result drain(const char *text)
{
    struct phi_run *run = run_of(text);
    struct phi_chain *chain = NULL;
    struct result result = {0};
    const struct ph_frame *frame = NULL;

    assert_ok(phi_chain_open(run, NULL, &chain, &result.err), result.err);
    while ((result.status = phi_chain_next(chain, &frame, &result.err)) == PH_OK) {
        if (frame->kind == PH_FRAME_EVENT) {
            assert_int_equal(frame->index, result.next);
            result.n_events++;
            continue;
        }
        assert_int_equal(frame->kind, phi_chain_spec(chain)->kind);
        assert_int_equal(frame->index, result.next);
        result.next++;
        result.n_vectors++;
        result.n_gaps += (frame->flags & PH_FLAG_GAP) != 0;
        result.n_invalid += (frame->flags & PH_FLAG_INVALID) != 0;
        for (size_t i = 0; i < ph_frame_count(frame); i++)
            result.sum += (double)((const float *)frame->data)[i];
    }
    phi_chain_close(&chain);
    assert_null(chain);
    phi_run_destroy(&run);
    return result;
}

static void passes_values_and_events(void **state)
{
    struct result r = drain("source: {type: ramp, n_volumes: 10, event_every: 4}\n"
                            "filters: [{type: gain, factor: 2}, {type: pick, n: 2}]\n");

    (void)state;
    assert_int_equal(r.status, PH_EOS);
    assert_int_equal(r.n_vectors, 10);
    assert_int_equal(r.n_events, 3);
    assert_near(r.sum, 2 * (2 * 45 + 10 * 0.001), 1e-4);
}

static void marks_missing_volumes(void **state)
{
    struct result r = drain("source: {type: ramp, n_volumes: 10, drop: [0, 4, 5]}\n"
                            "filters: [{type: pick, n: 1}]\n");

    (void)state;
    assert_int_equal(r.status, PH_EOS);
    assert_int_equal(r.n_vectors, 10);
    assert_int_equal(r.n_gaps, 3);
    assert_near(r.sum, 45 - 9, 0);
}

static void too_many_missing_end_the_run(void **state)
{
    struct result r = drain("source: {type: ramp, n_volumes: 10, drop: [3, 4, 5]}\n"
                            "engine: {max_gap: 2}\n");

    (void)state;
    assert_int_equal(r.status, PH_E_LIMIT);
    assert_non_null(strstr(r.err.text, "engine.max_gap"));
}

static void failing_filter_marks_or_stops(void **state)
{
    struct result r = drain("source: {type: ramp}\nfilters: [{type: pick, fail_at: 3}]\n");

    (void)state;
    assert_int_equal(r.status, PH_EOS);
    assert_int_equal(r.n_vectors, 10);
    assert_int_equal(r.n_invalid, 1);
    r = drain("source: {type: ramp}\nfilters: [{type: pick, fail_at: 3, on_error: stop}]\n");
    assert_int_equal(r.status, PH_E_FORMAT);
    assert_non_null(strstr(r.err.text, "stage 'pick'"));
}

static void failing_source_is_reported(void **state)
{
    struct result r = drain("source: {type: ramp, fail_at: 2}\n");

    (void)state;
    assert_int_equal(r.status, PH_E_IO);
    assert_int_equal(r.n_vectors, 2);
    assert_non_null(strstr(r.err.text, "stage 'ramp'"));
}

static void tells_the_canonical_chain(void **state)
{
    struct phi_run *run = run_of("source: {type: ramp}\n"
                                 "filters: [{type: gain, factor: 2}, {type: pick, n: 2}]\n");
    struct phi_chain *chain = NULL;
    struct ph_error err;

    (void)state;
    assert_ok(phi_chain_open(run, NULL, &chain, &err), err);
    assert_string_equal(phi_chain_spec(chain)->chain,
                        "gain(factor=2 offset=0) pick(n=2 fail_at=-1)");
    assert_int_equal(phi_chain_spec(chain)->dims[0], 2);
    assert_int_equal(phi_chain_source_spec(chain)->dims[2], 8);
    phi_chain_close(&chain);
    phi_run_destroy(&run);
}

static void refuses_what_does_not_fit(void **state)
{
    struct phi_run *run = run_of("source: {type: ramp, n_voxels: 3}\nfilters: [{type: pick}]\n");
    struct phi_chain *chain = NULL;
    struct ph_error err = {0};

    (void)state;
    assert_int_equal(phi_chain_open(run, NULL, &chain, &err), PH_E_SHAPE);
    assert_non_null(strstr(err.text, "stage 'pick'"));
    assert_null(chain);
    phi_run_destroy(&run);
    run = run_of("filters: []\n");
    assert_int_equal(phi_chain_open(run, NULL, &chain, &err), PH_E_INVAL);
    phi_run_destroy(&run);
}

static int open_registry(void **state)
{
    (void)state;
    registry = fake_registry();
    return 0;
}

static int close_registry(void **state)
{
    (void)state;
    phi_registry_destroy(&registry);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_values_and_events),
        cmocka_unit_test(marks_missing_volumes),
        cmocka_unit_test(too_many_missing_end_the_run),
        cmocka_unit_test(failing_filter_marks_or_stops),
        cmocka_unit_test(failing_source_is_reported),
        cmocka_unit_test(tells_the_canonical_chain),
        cmocka_unit_test(refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests_name("graph/chain", tests, open_registry, close_registry);
}
