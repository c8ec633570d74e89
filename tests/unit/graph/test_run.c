/* SPDX-License-Identifier: MIT
 * Run files: values arrive, defaults are there, what is wrong is refused at its line and column
 * with the nearest right key, and the printed form means the same run. */
#include <stdlib.h>
#include <unistd.h>

#include "graph/run.h"
#include "plugins/table.h"
#include "test.h"

static struct phi_registry *registry;

static enum ph_status parse(const char *text, struct phi_run **run, struct ph_error *err)
{
    return phi_run_parse(text, strlen(text), "run.yaml", "/data", registry, run, err);
}

static void expect_error(const char *text, const char *message)
{
    struct phi_run *run = NULL;
    struct ph_error err = {0};
    enum ph_status status = parse(text, &run, &err);

    if (status >= 0)
        fail_msg("accepted: %s", text);
    assert_null(run);
    assert_string_equal(err.text, message);
}

static const char good[] = "phosphene: 1\n"
                           "title: a title\n"
                           "filters:\n"
                           "  - type: gain\n"
                           "    factor: 2.5\n"
                           "  - {type: gain, name: second, on_error: stop}\n"
                           "engine: {queue_depth: 3, out_dir: rec}\n"
                           "display: {operator: {width: 1280, size: [1, 2]}, subject: false}\n";

static void reads_values_and_defaults(void **state)
{
    struct phi_run *run = NULL;
    struct ph_error err;
    const double *factor;

    (void)state;
    assert_ok(parse(good, &run, &err), err);
    assert_int_equal(run->n_filters, 2);
    assert_string_equal(run->title, "a title");
    factor = phi_params_values(run->filters[0].params);
    assert_near(*factor, 2.5, 0);
    factor = phi_params_values(run->filters[1].params);
    assert_near(*factor, 1, 0);
    assert_string_equal(run->filters[1].name, "second");
    assert_int_equal(run->filters[1].on_error, PHI_ON_ERROR_STOP);
    assert_int_equal(phi_run_engine(run)->queue_depth, 3);
    assert_int_equal(phi_run_engine(run)->max_gap, 64);
    assert_string_equal(phi_run_engine(run)->out_dir, "/data/rec");
    assert_string_equal(phi_run_display(run, "operator.width"), "1280");
    assert_string_equal(phi_run_display(run, "operator.size"), "1,2");
    assert_string_equal(phi_run_display(run, "subject"), "false");
    assert_null(phi_run_display(run, "operator"));
    phi_run_destroy(&run);
}

static void refuses_at_the_place(void **state)
{
    (void)state;
    expect_error("filters:\n  - type: gain\n    facto: 2\n",
                 "run.yaml:3:12: unknown key 'facto' for filter/gain; did you mean 'factor'?");
    expect_error("filters:\n  - type: gain\n    factor: abc\n",
                 "run.yaml:3:13: 'abc' is no value for 'factor', which takes a number");
    expect_error("filters:\n  - type: gain\n    factor: 2e9\n",
                 "run.yaml:3:13: factor = 2e+09 is above its maximum of 1e+06");
    expect_error("filters:\n  - type: gian\n",
                 "run.yaml:2:11: there is no filter 'gian'; did you mean 'gain'?");
    expect_error("filter: []\n", "run.yaml:1:1: unknown key 'filter'; did you mean 'filters'?");
    expect_error("filters:\n  - factor: 2\n", "run.yaml:1:1: a filter needs the key 'type'");
    expect_error("filters: {type: gain}\n", "run.yaml:1:1: 'filters' takes a list (- type: ...)");
    expect_error("phosphene: 2\n",
                 "run.yaml:1:1: this engine reads run files of version 1 ('phosphene: 1')");
    expect_error("engine: {queue_depth: 2.5}\n",
                 "run.yaml:1:23: '2.5' is no value for 'queue_depth', which takes a whole number");
    expect_error("engine: {gap: ignore}\n",
                 "run.yaml:1:15: gap cannot be 'ignore'; it is one of mark, stop");
    expect_error("filters:\n  - {type: gain}\n  - {type: gain}\n",
                 "run.yaml:3:12: two stages are called 'gain'; give one another 'name'");
    expect_error("- 1\n", "run.yaml:1:1: a run file is a mapping (key: value)");
}

static void refuses_broken_and_tricky_yaml(void **state)
{
    struct phi_run *run = NULL;
    struct ph_error err = {0};

    (void)state;
    assert_int_equal(parse("filters: [\n", &run, &err), PH_E_FORMAT);
    assert_int_equal(strncmp(err.text, "run.yaml:", 9), 0);
    assert_true(parse("a: &x 1\ntitle: *x\n", &run, &err) < 0);
    assert_true(parse("title: 1\ntitle: 2\n", &run, &err) < 0);
    assert_true(parse("", &run, &err) < 0);
    assert_true(parse("title: {a: 1}\n", &run, &err) < 0);
    assert_true(parse("? [a]\n: 1\n", &run, &err) < 0);
    assert_null(run);
}

static void sets_override(void **state)
{
    struct phi_run *run = NULL;
    struct ph_error err = {0};
    const double *factor;

    (void)state;
    assert_ok(parse(good, &run, &err), err);
    assert_ok(phi_run_set(run, "gain.factor=7", &err), err);
    factor = phi_params_values(run->filters[0].params);
    assert_near(*factor, 7, 0);
    assert_ok(phi_run_set(run, "display.operator.width=800", &err), err);
    assert_string_equal(phi_run_display(run, "operator.width"), "800");
    assert_int_equal(phi_run_set(run, "gian.factor=7", &err), PH_E_INVAL);
    assert_string_equal(err.text,
                        "setting gian.factor=7: there is no stage 'gian'; did you mean 'gain'?");
    assert_int_equal(phi_run_set(run, "factor=7", &err), PH_E_INVAL);
    phi_run_destroy(&run);
}

static void printed_form_reads_back(void **state)
{
    static char first[16384];
    static char second[16384];
    struct phi_str out = phi_str_over(first, sizeof first);
    struct phi_run *run = NULL;
    struct ph_error err = {0};

    (void)state;
    assert_ok(parse(good, &run, &err), err);
    phi_run_format(run, &out);
    assert_false(out.cut);
    phi_run_destroy(&run);
    assert_ok(parse(first, &run, &err), err);
    out = phi_str_over(second, sizeof second);
    phi_run_format(run, &out);
    assert_string_equal(first, second);
    phi_run_destroy(&run);
}

static void loads_files(void **state)
{
    char path[] = "test-run-XXXXXX";
    const char *const sets[] = {"engine.workers=3"};
    struct phi_run *run = NULL;
    struct ph_error err = {0};
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, good, sizeof good - 1), sizeof good - 1);
    assert_int_equal(close(fd), 0);
    assert_ok(phi_run_load(path, sets, 1, registry, &run, &err), err);
    assert_int_equal(phi_run_engine(run)->workers, 3);
    assert_int_equal(run->dir[0], '/');
    phi_run_destroy(&run);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(phi_run_load(path, sets, 1, registry, &run, &err), PH_E_IO);
    assert_int_equal(phi_run_load("/", sets, 1, registry, &run, &err), PH_E_INVAL);
    assert_null(run);
}

static int open_registry(void **state)
{
    struct ph_error err;

    (void)state;
    return (int)phi_registry_create(phi_static_plugins, phi_n_static_plugins, &registry, &err);
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
        cmocka_unit_test(reads_values_and_defaults),      cmocka_unit_test(refuses_at_the_place),
        cmocka_unit_test(refuses_broken_and_tricky_yaml), cmocka_unit_test(sets_override),
        cmocka_unit_test(printed_form_reads_back),        cmocka_unit_test(loads_files),
    };
    return cmocka_run_group_tests_name("graph/run", tests, open_registry, close_registry);
}
