/* SPDX-License-Identifier: MIT
 * NIfTI images in memory: whatever is accepted has all its voxels inside the input. */
#include <string.h>

#include "base/mem.h"
#include "fuzz.h"
#include "io/nifti.h"
#include "io/nifti_values.h"

/* A wide image needs NIfTI-2. */
static size_t add_version_2(struct fuzz_seed *seeds, size_t n_seeds)
{
    static unsigned char image[PHI_NIFTI_MAX_PREFIX + 40000];
    struct phi_nifti_info info = {.type = PHI_NIFTI_UINT8,
                                  .n_x = 40000,
                                  .n_y = 1,
                                  .n_z = 1,
                                  .n_volumes = 1,
                                  .slope = 1,
                                  .voxel_mm = {1, 1, 1},
                                  .affine = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};
    struct ph_error err;
    size_t n;

    fuzz_check(phi_nifti_make(&info, &err) == PH_OK);
    fuzz_check(info.version == 2 && phi_nifti_reheader(&info, 1, 0, image, &n) == PH_OK);
    seeds[n_seeds++] = fuzz_seed_of(image, n + info.n_volume_bytes);
    return n_seeds;
}

static size_t make_seeds(struct fuzz_seed *seeds)
{
    static const int types[] = {PHI_NIFTI_UINT8,   PHI_NIFTI_INT16, PHI_NIFTI_FLOAT32,
                                PHI_NIFTI_FLOAT64, PHI_NIFTI_INT64, PHI_NIFTI_FLOAT128};
    unsigned char image[4096];
    size_t n_seeds = 0;

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct phi_nifti_info info = {.type = (enum phi_nifti_type)types[i],
                                      .n_x = 5,
                                      .n_y = 3,
                                      .n_z = 2,
                                      .n_volumes = 2,
                                      .slope = 2,
                                      .tr_s = 1,
                                      .voxel_mm = {2, 2, 2},
                                      .affine = {{2, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 2, 0}}};
        struct ph_error err;
        size_t n;

        fuzz_check(phi_nifti_make(&info, &err) == PH_OK);
        fuzz_check(phi_nifti_reheader(&info, 2, 0, image, &n) == PH_OK);
        memset(image + n, 1, 2 * info.n_volume_bytes);
        seeds[n_seeds++] = fuzz_seed_of(image, n + 2 * info.n_volume_bytes);
    }
    return add_version_2(seeds, n_seeds);
}

static int run(const unsigned char *bytes, size_t n_bytes)
{
    struct phi_nifti_info info;
    const unsigned char *data;
    struct ph_error err = {0};
    size_t n_voxels;
    float *values;

    if (phi_nifti_parse(bytes, n_bytes, "input", &info, &data, &err)) {
        fuzz_check(strstr(err.text, "input") != NULL);
        return 0;
    }
    n_voxels = info.n_voxels * info.n_volumes;
    fuzz_check(n_voxels * phi_nifti_type_bytes((int)info.type) + info.data_offset == n_bytes);
    values = phi_calloc(n_voxels, sizeof *values);
    fuzz_check(values != NULL);
    phi_nifti_to_float32(&info, data, n_voxels, values);
    phi_free(values);
    return 1;
}

int main(int argc, char **argv)
{
    static const struct fuzz_target target = {"nifti", 100000, make_seeds, run};

    return fuzz_main(&target, argc, argv);
}
