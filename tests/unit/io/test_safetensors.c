/* SPDX-License-Identifier: MIT
 * What is written comes back, byte for byte the same file each time; files that lie are refused
 * with the tensor's name; no mutation of a good file makes the reader leave its bytes (run under
 * ASan); values of every type convert; a failed write leaves the old file alone. */
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/half.h"
#include "base/mem.h"
#include "base/rng.h"
#include "io/safetensors.h"
#include "test.h"

static char folder[] = "/tmp/phosphene-test-XXXXXX";
static char path[sizeof folder + 32];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof path, "%s/model.safetensors", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static const float weights[6] = {1, -2, 3.5f, 0, 1e-20f, 6};
static const double wide[2] = {0.1, -1e300};
static const int64_t labels[3] = {1, -5, (int64_t)1 << 40};
static const uint8_t pixels[5] = {0, 1, 127, 200, 255};
static const uint16_t halves[2] = {0x3c00, 0xc000};
static const int32_t indices[2] = {-7, 70000};

static const struct phi_safetensors_tensor tensors[] = {
    {.name = "pixels", PHI_SAFETENSORS_U8, 1, {5}, .data = pixels},
    {.name = "weights", PHI_SAFETENSORS_F32, 2, {2, 3}, .data = weights},
    {.name = "wide", PHI_SAFETENSORS_F64, 1, {2}, .data = wide},
    {.name = "labels", PHI_SAFETENSORS_I64, 1, {3}, .data = labels},
    {.name = "half", PHI_SAFETENSORS_F16, 1, {2}, .data = halves},
    {.name = "indices", PHI_SAFETENSORS_I32, 1, {2}, .data = indices},
    {.name = "scalar", PHI_SAFETENSORS_F32, 0, {0}, .data = weights + 2},
    {.name = "nothing", PHI_SAFETENSORS_F32, 2, {0, 4}, .data = weights},
    {.name = "mask", PHI_SAFETENSORS_BOOL, 1, {2}, .data = pixels},
};
static const struct phi_safetensors_pair metadata[] = {
    {"phosphene.version", "2"},
    {"phosphene.kind", "posterior"},
    {"note", "quote \" and snow \xe2\x98\x83"},
};
static const struct phi_safetensors_content content = {tensors, 9, metadata, 3};

static unsigned char *read_whole(const char *file_path, size_t *ret_n_bytes)
{
    FILE *stream = fopen(file_path, "rb");
    unsigned char *bytes = malloc(1 << 16);

    assert_non_null(stream);
    assert_non_null(bytes);
    *ret_n_bytes = fread(bytes, 1, 1 << 16, stream);
    (void)fclose(stream);
    return bytes;
}

static void content_comes_back(void **state)
{
    struct ph_error err;
    struct phi_safetensors *file;
    const size_t any[2] = {0, 3};
    const struct phi_safetensors_tensor *tensor;
    int64_t version;

    (void)state;
    assert_ok(phi_safetensors_write(path, &content, &err), err);
    assert_ok(phi_safetensors_open(path, &file, &err), err);
    assert_int_equal(phi_safetensors_count(file), 9);
    assert_ok(phi_safetensors_expect(file, "weights", 2, any, &tensor, &err), err);
    assert_int_equal(tensor->shape[0], 2);
    assert_memory_equal(tensor->data, weights, sizeof weights);
    assert_int_equal((uintptr_t)tensor->data % sizeof(float), 0);
    assert_memory_equal(phi_safetensors_find(file, "labels")->data, labels, sizeof labels);
    assert_int_equal(phi_safetensors_find(file, "nothing")->n_bytes, 0);
    assert_null(phi_safetensors_find(file, "weight"));
    assert_string_equal(phi_safetensors_metadata(file, "note"), metadata[2].value);
    assert_null(phi_safetensors_metadata(file, "absent"));
    assert_ok(phi_safetensors_expect_kind(file, "posterior", 3, &version, &err), err);
    assert_int_equal(version, 2);
    phi_safetensors_close(&file);
    assert_null(file);
}

static void same_content_same_bytes(void **state)
{
    struct phi_safetensors_tensor shuffled[9];
    const struct phi_safetensors_pair pairs[3] = {metadata[2], metadata[0], metadata[1]};
    const struct phi_safetensors_content other = {shuffled, 9, pairs, 3};
    struct ph_error err;
    unsigned char *bytes[2];
    size_t n_bytes[2];

    (void)state;
    for (size_t i = 0; i < 9; i++)
        shuffled[i] = tensors[8 - i];
    assert_ok(phi_safetensors_write(path, &content, &err), err);
    bytes[0] = read_whole(path, &n_bytes[0]);
    assert_ok(phi_safetensors_write(path, &other, &err), err);
    bytes[1] = read_whole(path, &n_bytes[1]);
    assert_int_equal(n_bytes[0], n_bytes[1]);
    assert_memory_equal(bytes[0], bytes[1], n_bytes[0]);
    free(bytes[0]);
    free(bytes[1]);
}

static void values_convert(void **state)
{
    struct ph_error err;
    struct phi_safetensors *file;
    float f[6];
    double d[6];
    float *loaded;
    const size_t two = 2;

    (void)state;
    assert_ok(phi_safetensors_write(path, &content, &err), err);
    assert_ok(phi_safetensors_open(path, &file, &err), err);
    assert_ok(phi_safetensors_read_f32(file, phi_safetensors_find(file, "half"), 2, f, &err), err);
    assert_near(f[0], 1, 0);
    assert_near(f[1], -2, 0);
    assert_ok(phi_safetensors_read_f64(file, phi_safetensors_find(file, "labels"), 3, d, &err),
              err);
    assert_near(d[2], 1099511627776.0, 0);
    assert_ok(phi_safetensors_read_f64(file, phi_safetensors_find(file, "wide"), 2, d, &err), err);
    assert_near(d[0], 0.1, 0);
    assert_ok(phi_safetensors_read_f32(file, phi_safetensors_find(file, "pixels"), 5, f, &err),
              err);
    assert_near(f[4], 255, 0);
    assert_ok(phi_safetensors_load_f32(file, "indices", 1, &two, &loaded, &err), err);
    assert_near(loaded[1], 70000, 0);
    phi_free(loaded);
    assert_int_equal(
        phi_safetensors_read_f32(file, phi_safetensors_find(file, "weights"), 5, f, &err),
        PH_E_SHAPE);
    assert_non_null(strstr(err.text, "weights"));
    assert_int_equal(
        phi_safetensors_read_f32(file, phi_safetensors_find(file, "labels"), 3, f, &err),
        PH_E_FORMAT);
    phi_safetensors_close(&file);
}

static void wrong_kind_and_shape_are_named(void **state)
{
    struct ph_error err;
    struct phi_safetensors *file;
    const struct phi_safetensors_tensor *tensor;
    const size_t wrong[2] = {3, 2};
    int64_t version;

    (void)state;
    assert_ok(phi_safetensors_write(path, &content, &err), err);
    assert_ok(phi_safetensors_open(path, &file, &err), err);
    assert_int_equal(phi_safetensors_expect_kind(file, "prednet", 3, &version, &err), PH_E_FORMAT);
    assert_non_null(strstr(err.text, "posterior"));
    assert_non_null(strstr(err.text, path));
    assert_int_equal(phi_safetensors_expect_kind(file, "posterior", 1, &version, &err),
                     PH_E_FORMAT);
    assert_int_equal(phi_safetensors_expect(file, "weights", 2, wrong, &tensor, &err), PH_E_SHAPE);
    assert_non_null(strstr(err.text, "[2, 3]"));
    assert_non_null(strstr(err.text, "[3, 2]"));
    assert_int_equal(phi_safetensors_expect(file, "absent", 0, NULL, &tensor, &err), PH_E_FORMAT);
    assert_non_null(strstr(err.text, "absent"));
    phi_safetensors_close(&file);
}

/* Parses `header` followed by `n_data` bytes, in a block of exactly that size. */
static enum ph_status parse_header(const char *header, size_t n_data, struct ph_error *reterr)
{
    uint64_t n_header = strlen(header);
    size_t n = 8 + (size_t)n_header + n_data;
    unsigned char *bytes = calloc(1, n);
    struct phi_safetensors *file = NULL;
    enum ph_status status;

    assert_non_null(bytes);
    memcpy(bytes, &n_header, 8);
    memcpy(bytes + 8, header, (size_t)n_header);
    status = phi_safetensors_parse(bytes, n, "made up", &file, reterr);
    assert_true(status < 0 ? file == NULL : file != NULL);
    phi_safetensors_close(&file);
    free(bytes);
    return status;
}

static void lies_are_refused(void **state)
{
    static const struct {
        const char *header;
        size_t n_data;
        const char *says; /* a piece of the message; NULL where the file is good */
    } cases[] = {
        {"{}", 0, NULL},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}  ", 8, NULL},
        {"", 0, "begin with"},
        {" {}", 0, "begin with"},
        {"[]", 0, "begin with"},
        {"{", 0, "header"},
        {"{}x", 0, "header"},
        {"{}", 4, "belong to no tensor"},
        {"{\"a\":3}", 0, "'a'"},
        {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "no dtype"},
        {"{\"a\":{\"dtype\":\"F12\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "F12"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "no shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "dimension 0"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8, "dimension 0"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 8, "4 bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "leave"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7, "cut short"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "after"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
         "too large"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1,
         "dimensions"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
         3, "before"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
         2, "duplicate"},
        {"{\"__metadata__\":{\"k\":1}}", 0, "'k'"},
        {"{\"__metadata__\":[]}", 0, "not an object"},
    };
    struct ph_error err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum ph_status status = parse_header(cases[i].header, cases[i].n_data, &err);

        if (!cases[i].says) {
            assert_ok(status, err);
            continue;
        }
        if (status >= 0 || !strstr(err.text, cases[i].says))
            fail_msg("%s: status %d, text '%s'", cases[i].header, status,
                     status < 0 ? err.text : "");
        assert_non_null(strstr(err.text, "made up"));
    }
}

static void lengths_that_lie_are_refused(void **state)
{
    const uint64_t lengths[] = {3, 100, (uint64_t)200 << 20, UINT64_MAX, UINT64_MAX - 7};
    unsigned char bytes[10] = {0};
    struct phi_safetensors *file = NULL;
    struct ph_error err;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        memcpy(bytes, &lengths[i], 8);
        memcpy(bytes + 8, "{}", 2);
        assert_int_equal(phi_safetensors_parse(bytes, 10, "x", &file, &err), PH_E_FORMAT);
    }
    for (size_t n = 0; n < 8; n++)
        assert_int_equal(phi_safetensors_parse(bytes, n, "x", &file, &err), PH_E_FORMAT);
    assert_int_equal(phi_safetensors_open("/nonexistent/x", &file, &err), PH_E_IO);
    assert_int_equal(phi_safetensors_open(folder, &file, &err), PH_E_IO);
    assert_null(file);
}

/* Reads every byte a parsed file offers. */
static unsigned touch(const struct phi_safetensors *file)
{
    unsigned sum = 0;

    for (size_t i = 0; i < phi_safetensors_count(file); i++) {
        const struct phi_safetensors_tensor *tensor = phi_safetensors_at(file, i);

        for (size_t k = 0; k < tensor->n_bytes; k++)
            sum += ((const unsigned char *)tensor->data)[k];
    }
    return sum;
}

static void mutations_never_leave_the_bytes(void **state)
{
    struct phi_rng rng;
    struct ph_error err;
    size_t n_bytes;
    unsigned char *good;
    unsigned sum = 0;
    int n_accepted = 0;

    (void)state;
    assert_ok(phi_safetensors_write(path, &content, &err), err);
    good = read_whole(path, &n_bytes);
    phi_rng_init(&rng, 1, 0);
    for (int i = 0; i < 4000; i++) {
        size_t n = phi_rng_below(&rng, 4) ? n_bytes : phi_rng_below(&rng, n_bytes + 1);
        unsigned char *bytes = malloc(n ? n : 1);
        struct phi_safetensors *file = NULL;

        assert_non_null(bytes);
        memcpy(bytes, good, n);
        for (uint64_t k = phi_rng_below(&rng, 4); n > 0 && k > 0; k--)
            bytes[phi_rng_below(&rng, n)] =
                (unsigned char)(phi_rng_below(&rng, 2) ? '0' + phi_rng_below(&rng, 10)
                                                       : phi_rng_below(&rng, 256));
        if (phi_safetensors_parse(bytes, n, "mutant", &file, &err) >= 0) {
            sum += touch(file);
            n_accepted++;
        }
        phi_safetensors_close(&file);
        free(bytes);
    }
    free(good);
    assert_true(n_accepted > 100 && n_accepted < 3900);
    assert_true(sum > 0);
}

static void pieces_make_the_same_file(void **state)
{
    struct phi_safetensors_tensor empty[9];
    const struct phi_safetensors_content later = {empty, 9, metadata, 3};
    struct phi_safetensors_writer *writer;
    struct ph_error err;
    unsigned char *bytes[2];
    size_t n_bytes[2];

    (void)state;
    assert_ok(phi_safetensors_write(path, &content, &err), err);
    bytes[0] = read_whole(path, &n_bytes[0]);
    memcpy(empty, tensors, sizeof empty);
    empty[1].data = NULL;
    assert_ok(phi_safetensors_writer_create(path, &later, &writer, &err), err);
    assert_ok(phi_safetensors_writer_put(writer, 1, 8, weights + 2, 16, &err), err);
    assert_int_equal(phi_safetensors_writer_commit(writer, &err), PH_E_STATE);
    assert_int_equal(phi_safetensors_writer_put(writer, 1, 20, weights, 8, &err), PH_E_SHAPE);
    assert_int_equal(phi_safetensors_writer_put(writer, 9, 0, weights, 8, &err), PH_E_INVAL);
    assert_ok(phi_safetensors_writer_put(writer, 1, 0, weights, 8, &err), err);
    assert_ok(phi_safetensors_writer_commit(writer, &err), err);
    phi_safetensors_writer_destroy(&writer);
    bytes[1] = read_whole(path, &n_bytes[1]);
    assert_int_equal(n_bytes[0], n_bytes[1]);
    assert_memory_equal(bytes[0], bytes[1], n_bytes[0]);
    free(bytes[0]);
    free(bytes[1]);
}

static void failed_writes_leave_the_old_file(void **state)
{
    const struct phi_safetensors_tensor twice[2] = {tensors[0], tensors[0]};
    const struct phi_safetensors_pair latin = {"k", "\xff"};
    const struct phi_safetensors_content bad[2] = {{twice, 2, NULL, 0}, {tensors, 1, &latin, 1}};
    struct phi_safetensors *file;
    struct ph_error err;
    struct dirent *entry;
    DIR *listing;
    int n_files = 0;

    (void)state;
    assert_ok(phi_safetensors_write(path, &content, &err), err);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(phi_safetensors_write(path, &bad[i], &err), PH_E_INVAL);
    assert_int_equal(phi_safetensors_write("/nonexistent/x", &content, &err), PH_E_IO);
    assert_ok(phi_safetensors_open(path, &file, &err), err);
    assert_int_equal(phi_safetensors_count(file), 9);
    phi_safetensors_close(&file);
    listing = opendir(folder);
    assert_non_null(listing);
    while ((entry = readdir(listing)) != NULL)
        n_files += entry->d_name[0] != '.';
    (void)closedir(listing);
    assert_int_equal(n_files, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_comes_back),
        cmocka_unit_test(same_content_same_bytes),
        cmocka_unit_test(values_convert),
        cmocka_unit_test(wrong_kind_and_shape_are_named),
        cmocka_unit_test(lies_are_refused),
        cmocka_unit_test(lengths_that_lie_are_refused),
        cmocka_unit_test(mutations_never_leave_the_bytes),
        cmocka_unit_test(pieces_make_the_same_file),
        cmocka_unit_test(failed_writes_leave_the_old_file),
    };
    return cmocka_run_group_tests_name("io/safetensors", tests, make_folder, remove_folder);
}
