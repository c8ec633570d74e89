/* SPDX-License-Identifier: MIT
 * Arrays that NumPy and h5py wrote are read with their names, shapes, orders and values; objects,
 * pickles, cut and lying files are refused by name. Files are made by tests/support/make_arrays.py.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "io/arrays.h"
#include "io/npy.h"
#include "test.h"

static char folder[] = "/tmp/phosphene-arrays-XXXXXX";

static int make_files(void **state)
{
    char command[512];

    (void)state;
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(command, sizeof command, "/usr/bin/python3 '%s' '%s'", MAKE_ARRAYS, folder);
    return system(command);
}

static int remove_files(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static enum ph_status load(struct phi_arrays *arrays, const char *file, struct ph_error *err)
{
    char path[256];

    (void)snprintf(path, sizeof path, "%s/%s", folder, file);
    return phi_arrays_load(arrays, path, err);
}

static float f32_at(const struct phi_safetensors_tensor *tensor, size_t i)
{
    float value;

    memcpy(&value, (const char *)tensor->data + i * sizeof value, sizeof value);
    return value;
}

/* Every file holds grid[2][3] = 0, 0.5, ... 2.5 in float32, row by row. */
static void check_grid(const struct phi_arrays *arrays, const char *name)
{
    const struct phi_safetensors_tensor *grid = phi_arrays_find(arrays, name);

    assert_non_null(grid);
    assert_int_equal(grid->dtype, PHI_SAFETENSORS_F32);
    assert_int_equal(grid->n_dims, 2);
    assert_int_equal(grid->shape[0], 2);
    assert_int_equal(grid->shape[1], 3);
    for (size_t i = 0; i < 6; i++)
        assert_near(f32_at(grid, i), 0.5 * (double)i, 0);
}

static void npy_in_either_order(void **state)
{
    struct phi_arrays arrays = {0};
    struct ph_error err;

    (void)state;
    assert_ok(load(&arrays, "grid.npy", &err), err);
    assert_ok(load(&arrays, "fortran.npy", &err), err);
    assert_ok(load(&arrays, "big.npy", &err), err);
    check_grid(&arrays, "grid");
    check_grid(&arrays, "fortran");
    check_grid(&arrays, "big");
    assert_int_equal(load(&arrays, "grid.npy", &err), PH_E_FORMAT);
    assert_non_null(strstr(err.text, "two arrays named 'grid'"));
    phi_arrays_fini(&arrays);
    assert_null(arrays.items);
}

static void archives_and_hdf5(void **state)
{
    const char *const files[] = {"a.npz", "packed.npz", "named.tar.gz", "k.h5"};
    const char *const names[] = {"grid", "grid", "w.grid", "layer/grid"};
    struct ph_error err;

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct phi_arrays arrays = {0};

        assert_ok(load(&arrays, files[i], &err), err);
        check_grid(&arrays, names[i]);
        assert_int_equal(arrays.n, 2);
        phi_arrays_fini(&arrays);
    }
}

static void what_could_run_code_is_refused(void **state)
{
    struct phi_arrays arrays = {0};
    struct ph_error err;

    (void)state;
    assert_int_equal(load(&arrays, "object.npy", &err), PH_E_FORMAT);
    assert_non_null(strstr(err.text, "object.npy"));
    assert_int_equal(load(&arrays, "weights.pt", &err), PH_E_FORMAT);
    assert_non_null(strstr(err.text, "can run code"));
    assert_int_equal(load(&arrays, "x.what", &err), PH_E_FORMAT);
    assert_int_equal(arrays.n, 0);
    phi_arrays_fini(&arrays);
}

static void broken_files_are_refused(void **state)
{
    const char *const files[] = {"cut.npy",  "cut.npz",     "cut.tar.gz", "cut.h5",
                                 "text.npz", "text.tar.gz", "text.h5",    "huge.npy"};
    struct ph_error err;

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct phi_arrays arrays = {0};

        err.text[0] = '\0';
        if (load(&arrays, files[i], &err) == PH_OK)
            fail_msg("%s was taken", files[i]);
        assert_non_null(strstr(err.text, files[i]));
        phi_arrays_fini(&arrays);
    }
    {
        struct phi_arrays arrays = {0};

        assert_int_equal(load(&arrays, "missing.npy", &err), PH_E_IO);
        assert_int_equal(load(&arrays, "missing.npz", &err), PH_E_IO);
        phi_arrays_fini(&arrays);
    }
}

/* Whatever bytes change in a header, the parser answers and stays in bounds. */
static void mutated_headers(void **state)
{
    static const char header[] =
        "\x93NUMPY\x01\x00\x3e\x00{'descr': '<f4', 'fortran_order': False, "
        "'shape': (2, 3), }\n";
    unsigned char bytes[72 + 24];
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 5, 0);
    for (int i = 0; i < 20000; i++) {
        size_t n = (size_t)phi_rng_below(&rng, sizeof bytes + 1);
        unsigned char *copy;
        struct phi_safetensors_tensor tensor;

        memset(bytes, 0, sizeof bytes);
        memcpy(bytes, header, sizeof header - 1);
        for (int k = (int)phi_rng_below(&rng, 4); k >= 0; k--)
            bytes[phi_rng_below(&rng, 70)] = (unsigned char)phi_rng_u64(&rng);
        copy = malloc(n ? n : 1); /* exact size, so that a sanitizer sees a read past the end */
        assert_non_null(copy);
        memcpy(copy, bytes, n);
        if (phi_npy_parse(copy, n, "fuzz", &tensor, NULL) == PH_OK) {
            void *data;

            assert_true(tensor.n_bytes <= n);
            memcpy(&data, &tensor.data, sizeof data);
            phi_free(data);
        }
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npy_in_either_order),
        cmocka_unit_test(archives_and_hdf5),
        cmocka_unit_test(what_could_run_code_is_refused),
        cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(mutated_headers),
    };
    return cmocka_run_group_tests_name("io/arrays", tests, make_files, remove_files);
}
