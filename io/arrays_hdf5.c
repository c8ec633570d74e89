/* SPDX-License-Identifier: MIT
 *
 * All numeric datasets of an HDF5 file, named by their path without the leading slash. libhdf5
 * checks the file's structure; sizes are bounded before memory is taken.
 */
#include <hdf5.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "io/arrays.h"

struct visit {
    struct phi_arrays *arrays;
    const char *path;
    struct ph_error *reterr;
    enum ph_status status;
};

static enum ph_status shape_of(hid_t dataset, const char *name, const struct visit *visit,
                               struct phi_safetensors_tensor *tensor)
{
    hsize_t dims[PHI_SAFETENSORS_MAX_DIMS];
    hid_t space = H5Dget_space(dataset);
    int rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
    bool fits = rank >= 0 && rank <= PHI_SAFETENSORS_MAX_DIMS &&
                H5Sget_simple_extent_dims(space, dims, NULL) == rank;

    if (space >= 0)
        (void)H5Sclose(space);
    if (!fits)
        return phi_error(visit->reterr, PH_E_FORMAT, "%s: '%s' has no plain shape", visit->path,
                         name);
    tensor->n_dims = (size_t)rank;
    tensor->n_values = 1;
    for (int d = 0; d < rank; d++) {
        tensor->shape[d] = (size_t)dims[d];
        if (!phi_mul_size(tensor->n_values, tensor->shape[d], &tensor->n_values))
            return phi_error(visit->reterr, PH_E_LIMIT, "%s: '%s' is too large", visit->path, name);
    }
    return PH_OK;
}

static bool type_of(hid_t dataset, enum phi_safetensors_dtype *ret_dtype, hid_t *ret_memory)
{
    hid_t type = H5Dget_type(dataset);
    H5T_class_t class = type >= 0 ? H5Tget_class(type) : H5T_NO_CLASS;
    size_t size = type >= 0 ? H5Tget_size(type) : 0;

    if (type >= 0)
        (void)H5Tclose(type);
    if (class == H5T_FLOAT) {
        *ret_dtype = size > 4 ? PHI_SAFETENSORS_F64 : PHI_SAFETENSORS_F32;
        *ret_memory = size > 4 ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT;
        return true;
    }
    if (class == H5T_INTEGER) {
        *ret_dtype = size > 4 ? PHI_SAFETENSORS_I64 : PHI_SAFETENSORS_I32;
        *ret_memory = size > 4 ? H5T_NATIVE_INT64 : H5T_NATIVE_INT32;
        return true;
    }
    return false;
}

static enum ph_status read_dataset(hid_t dataset, const char *name, const struct visit *visit)
{
    struct phi_safetensors_tensor tensor = {0};
    hid_t memory;
    void *data;
    enum ph_status status;

    if (!type_of(dataset, &tensor.dtype, &memory))
        return PH_OK; /* strings and compounds are no weights */
    status = shape_of(dataset, name, visit, &tensor);
    if (status != PH_OK)
        return status;
    if (!phi_mul_size(tensor.n_values, phi_safetensors_dtype_size(tensor.dtype), &tensor.n_bytes) ||
        tensor.n_bytes > PHI_ARRAYS_MAX_BYTES)
        return phi_error(visit->reterr, PH_E_LIMIT, "%s: '%s' is too large", visit->path, name);
    data = phi_calloc(tensor.n_bytes, 1);
    if (!data)
        return phi_error_nomem(visit->reterr, "an array", tensor.n_bytes);
    if (H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
        phi_free(data);
        return phi_error(visit->reterr, PH_E_FORMAT, "%s: '%s' cannot be read", visit->path, name);
    }
    tensor.data = data;
    return phi_arrays_add(visit->arrays, name, &tensor, visit->reterr);
}

static herr_t visit_object(hid_t root, const char *name, const H5O_info_t *info, void *context)
{
    struct visit *visit = context;
    hid_t dataset;

    if (info->type != H5O_TYPE_DATASET)
        return 0;
    dataset = H5Dopen2(root, name, H5P_DEFAULT);
    if (dataset < 0)
        visit->status =
            phi_error(visit->reterr, PH_E_FORMAT, "%s: '%s' cannot be opened", visit->path, name);
    else {
        visit->status = read_dataset(dataset, name, visit);
        (void)H5Dclose(dataset);
    }
    return visit->status == PH_OK ? 0 : -1;
}

enum ph_status phi_arrays_load_hdf5(struct phi_arrays *arrays, const char *path,
                                    struct ph_error *reterr)
{
    struct visit visit = {arrays, path, reterr, PH_OK};
    hid_t file;

    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* errors are ours to report */
    file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0)
        return phi_error(reterr, PH_E_FORMAT,
                         "%s: cannot be opened as HDF5 (missing, cut short, or another format)",
                         path);
    if (H5Ovisit(file, H5_INDEX_NAME, H5_ITER_INC, visit_object, &visit) < 0 &&
        visit.status == PH_OK)
        visit.status = phi_error(reterr, PH_E_FORMAT, "%s: its groups cannot be read", path);
    (void)H5Fclose(file);
    return visit.status;
}
