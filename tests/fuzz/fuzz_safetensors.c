/* SPDX-License-Identifier: MIT
 * Weight files: what is accepted lies inside the bytes, and its size is that of its shape. */
#include <string.h>

#include "fuzz.h"
#include "io/safetensors.h"

static struct fuzz_seed seed_of(const char *header, size_t n_data)
{
    size_t n_header = strlen(header);
    size_t n = 8 + n_header + n_data;
    unsigned char *bytes = calloc(n, 1);
    struct fuzz_seed seed;

    fuzz_check(bytes != NULL);
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)n_header >> (8 * i));
    memcpy(bytes + 8, header, n_header);
    seed = fuzz_seed_of(bytes, n);
    free(bytes);
    return seed;
}

static size_t make_seeds(struct fuzz_seed *seeds)
{
    seeds[0] = seed_of("{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", 24);
    seeds[1] =
        seed_of("{\"__metadata__\":{\"phosphene.kind\":\"posterior\",\"phosphene.version\":\"1\"},"
                "\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                "\"b\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[4,12]},"
                "\"c\":{\"dtype\":\"BF16\",\"shape\":[1,0,5],\"data_offsets\":[12,12]}}",
                12);
    seeds[2] = seed_of("{}", 0);
    return 3;
}

static void check_tensor(const struct phi_safetensors *file,
                         const struct phi_safetensors_tensor *tensor, const unsigned char *bytes,
                         size_t n_bytes)
{
    size_t n = 1;
    const unsigned char *data = tensor->data;
    float values[64];
    struct ph_error err;

    fuzz_check(tensor->n_dims <= PHI_SAFETENSORS_MAX_DIMS);
    for (size_t i = 0; i < tensor->n_dims; i++)
        n *= tensor->shape[i];
    if (n > 0)
        fuzz_check(data >= bytes && data < bytes + n_bytes &&
                   n * phi_safetensors_dtype_size(tensor->dtype) <=
                       (size_t)(bytes + n_bytes - data));
    if (n <= 64) /* reads every value: a sanitizer sees one that is not there */
        (void)!phi_safetensors_read_f32(file, tensor, n, values, &err);
}

static int run(const unsigned char *bytes, size_t n_bytes)
{
    struct phi_safetensors *file = NULL;
    struct ph_error err = {0};

    if (phi_safetensors_parse(bytes, n_bytes, "input", &file, &err) != PH_OK) {
        fuzz_check(file == NULL && err.text[0] != '\0');
        return 0;
    }
    for (size_t i = 0; i < phi_safetensors_count(file); i++)
        check_tensor(file, phi_safetensors_at(file, i), bytes, n_bytes);
    phi_safetensors_close(&file);
    return 1;
}

int main(int argc, char **argv)
{
    static const struct fuzz_target target = {"safetensors", 100000, make_seeds, run};

    return fuzz_main(&target, argc, argv);
}
