/* SPDX-License-Identifier: MIT
 * Every stage of the tree, built as a module, loads into an engine that has none linked in, under
 * the id that its file name says. */
#include <stdlib.h>

#include "host/loader.h"
#include "tempdir.h"
#include "test.h"

static int n_paths;
static char **paths;

/* Builds may lie in folders that a group can write; the loader takes files from safe ones only. */
static void copy_to(const char *from, const char *into)
{
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(into, "wb");
    char bytes[65536];
    size_t n;

    assert_non_null(in);
    assert_non_null(out);
    while ((n = fread(bytes, 1, sizeof bytes, in)) > 0)
        assert_int_equal(fwrite(bytes, 1, n, out), n);
    assert_int_equal(fclose(in), 0);
    assert_int_equal(fclose(out), 0);
}

/* "filter/gain" of ".../filter_gain.so". */
static void id_of(const char *path, char id[64])
{
    const char *name = strrchr(path, '/') + 1;

    (void)snprintf(id, 64, "%.*s", (int)strcspn(name, "."), name);
    assert_non_null(strchr(id, '_'));
    *strchr(id, '_') = '/';
}

static void every_module_loads(void **state)
{
    struct phi_registry *registry = NULL;
    struct ph_error err = {0};
    struct tempdir dir;

    (void)state;
    assert_true(tempdir_make(&dir));
    assert_ok(phi_registry_create(NULL, 0, &registry, &err), err);
    for (int i = 0; i < n_paths; i++) {
        const char *copy = tempdir_file(&dir, strrchr(paths[i], '/') + 1);
        char id[64];

        copy_to(paths[i], copy);
        id_of(paths[i], id);
        assert_ok(phi_loader_load(registry, copy, &err), err);
        if (!phi_registry_find(registry, id))
            fail_msg("%s does not bring %s", paths[i], id);
    }
    assert_true(n_paths > 0);
    assert_int_equal(phi_registry_count(registry), n_paths);
    phi_registry_destroy(&registry);
    tempdir_remove(&dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_module_loads)};

    n_paths = argc - 1;
    paths = argv + 1;
    return cmocka_run_group_tests_name("host/modules", tests, NULL, NULL);
}
