/* SPDX-License-Identifier: MIT
 * Lines reach terminal, file and tee by level; the file is JSON also for hostile texts. */
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "rt/log.h"
#include "test.h"

struct tee {
    int n;
    char id[32];
};

static void keep(void *arg, const struct phi_log_line *line)
{
    struct tee *tee = arg;

    tee->n++;
    memcpy(tee->id, line->id, sizeof tee->id);
}

static void write_some(int fd, const char *json_path, struct tee *tee)
{
    struct phi_log_config config = {.fd = fd,
                                    .level = PH_LOG_INFO,
                                    .json_path = json_path,
                                    .tee_level = PH_LOG_WARNING,
                                    .tee = keep,
                                    .arg = tee};
    struct phi_log *log = NULL;
    struct ph_error err;

    assert_ok(phi_log_create(&config, &log, &err), err);
    phi_log_write(log, PH_LOG_INFO, "smooth", "a.b", "number %d", 5);
    phi_log_write(log, PH_LOG_WARNING, "wire", "wire.crc", "quote \" back \\ line\n \xff \xc3\xa4");
    phi_log_write(log, PH_LOG_DEBUG, "", "d", "debug");
    phi_log_write(log, PH_LOG_TRACE, "", "t", "trace");
    phi_log_destroy(&log);
    assert_null(log);
    phi_log_write(NULL, PH_LOG_INFO, "", "", "nobody");
}

static void check_json(FILE *file)
{
    char line[1024];
    int n = 0;

    while (fgets(line, sizeof line, file)) {
        json_error_t error;
        json_t *object = json_loads(line, 0, &error);

        if (!object)
            fail_msg("no JSON: %s in %s", error.text, line);
        if (n == 1)
            assert_string_equal(json_string_value(json_object_get(object, "text")),
                                "quote \" back \\ line\n \xef\xbf\xbd \xc3\xa4");
        json_decref(object);
        n++;
    }
    assert_int_equal(n, 3);
}

static void lines_go_where_they_should(void **state)
{
    char text_path[] = "test-log-XXXXXX";
    char json_path[] = "test-json-XXXXXX";
    int fd = mkstemp(text_path);
    int json_fd = mkstemp(json_path);
    struct tee tee = {0};
    FILE *file;
    char text[1024] = {0};

    (void)state;
    assert_true(fd >= 0 && json_fd >= 0);
    write_some(fd, json_path, &tee);
    assert_true(pread(fd, text, sizeof text - 1, 0) > 0);
    assert_non_null(strstr(text, "info    smooth: number 5\n"));
    assert_non_null(strstr(text, "warning wire: quote"));
    assert_null(strstr(text, "debug"));
    assert_int_equal(tee.n, 1);
    assert_string_equal(tee.id, "wire.crc");
    file = fdopen(json_fd, "r");
    assert_non_null(file);
    check_json(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(text_path), 0);
    assert_int_equal(unlink(json_path), 0);
}

static void refuses_an_impossible_file(void **state)
{
    struct phi_log_config config = {.fd = -1, .json_path = "/nonexistent/log"};
    struct phi_log *log = NULL;
    struct ph_error err;

    (void)state;
    assert_int_equal(phi_log_create(&config, &log, &err), PH_E_IO);
    assert_null(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_go_where_they_should),
        cmocka_unit_test(refuses_an_impossible_file),
    };
    return cmocka_run_group_tests_name("rt/log", tests, NULL, NULL);
}
