/* SPDX-License-Identifier: MIT
 * The newest spans are kept in order, and the file is the JSON that trace viewers read. */
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "rt/trace.h"
#include "test.h"

static void keeps_the_newest_and_writes_json(void **state)
{
    char path[] = "test-trace-XXXXXX";
    int fd = mkstemp(path);
    struct phi_trace *trace = NULL;
    struct ph_error err;
    json_t *root;
    json_t *events;
    json_t *last;

    (void)state;
    assert_true(fd >= 0);
    assert_ok(phi_trace_create(2, 4, &trace, &err), err);
    phi_trace_name(trace, 0, "source");
    phi_trace_name(trace, 1, "smooth");
    for (uint64_t i = 0; i < 6; i++)
        phi_trace_add(trace, 1,
                      &(struct phi_span_record){i, 500, (int64_t)i * 1000 + 1000,
                                                (int64_t)i * 1000 + 1500, 1, 2});
    assert_int_equal(phi_trace_count(trace, 1), 6);
    assert_int_equal(phi_trace_at(trace, 1, 0)->index, 2);
    assert_int_equal(phi_trace_at(trace, 1, 3)->index, 5);
    assert_null(phi_trace_at(trace, 1, 4));
    assert_null(phi_trace_at(trace, 0, 0));
    assert_ok(phi_trace_write(trace, path, &err), err);
    root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    events = json_object_get(root, "traceEvents");
    assert_int_equal(json_array_size(events), 1 + 2 + 4);
    last = json_array_get(events, 6);
    assert_string_equal(json_string_value(json_object_get(last, "name")), "smooth");
    assert_near(json_real_value(json_object_get(last, "ts")), 6.0, 1e-9);
    assert_near(json_real_value(json_object_get(last, "dur")), 0.5, 1e-9);
    assert_near(json_real_value(json_object_get(json_object_get(last, "args"), "wait_us")), 5.5,
                1e-9);
    json_decref(root);
    assert_int_equal(phi_trace_write(trace, "/nonexistent/trace", &err), PH_E_IO);
    phi_trace_destroy(&trace);
    assert_null(trace);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_newest_and_writes_json),
    };
    return cmocka_run_group_tests_name("rt/trace", tests, NULL, NULL);
}
