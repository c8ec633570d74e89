/* SPDX-License-Identifier: MIT
 *
 * niftilib converts headers well but trusts them: it multiplies dimensions unchecked, mends wrong
 * fields in silence and would print. So the fields that sizes follow from are read here first, from
 * a table of offsets, and a header reaches the library only when every product is known to fit.
 */
#include "io/nifti.h"

#include <math.h>
#include <nifti/nifti2_io.h>
#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

/* Where the fields stand that we read or write ourselves. */
struct layout {
    size_t n_header;
    size_t dim, dim_size;
    size_t datatype, bitpix;
    size_t pixdim, real_size;
    size_t vox_offset;
    size_t units, units_size;
    size_t quatern; /* b, c, d and the three offsets */
    size_t magic;
    const char *magic_one, *magic_two; /* one file, header and image apart */
    size_t n_magic;
};

static const struct layout layouts[2] = {
    {348, 40, 2, 70, 72, 76, 4, 108, 123, 1, 256, 344, "n+1", "ni1", 4},
    {540, 16, 8, 12, 14, 104, 8, 168, 500, 4, 352, 4, "n+2\0\r\n\032\n", "ni2\0\r\n\032\n", 8},
};

/* One header being read. */
struct reading {
    const unsigned char *bytes;
    const struct layout *layout;
    const char *name;
    bool big_endian;
};

static uint64_t get_bits(const unsigned char *p, size_t size, bool big_endian)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value = value << 8 | p[big_endian ? i : size - 1 - i];
    return value;
}

static int64_t get_int(const unsigned char *p, size_t size, bool big_endian)
{
    uint64_t value = get_bits(p, size, big_endian);
    unsigned shift = (unsigned)(64 - 8 * size);

    return (int64_t)(value << shift) >> shift;
}

static double get_real(const unsigned char *p, size_t size, bool big_endian)
{
    uint64_t bits = get_bits(p, size, big_endian);
    uint32_t bits32 = (uint32_t)bits;
    float single;
    double value;

    if (size == 4) {
        memcpy(&single, &bits32, sizeof single);
        return (double)single;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void put_bits(unsigned char *p, size_t size, bool big_endian, uint64_t value)
{
    for (size_t i = 0; i < size; i++)
        p[big_endian ? size - 1 - i : i] = (unsigned char)(value >> (8 * i));
}

static void put_real(unsigned char *p, size_t size, bool big_endian, double value)
{
    uint64_t bits = 0;
    float single = (float)value;

    if (size == 4)
        memcpy(&bits, &single, sizeof single); /* the low half on this little-endian machine */
    else
        memcpy(&bits, &value, sizeof value);
    put_bits(p, size, big_endian, bits);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "put_real and the wire assume it");

static void silence_library(void)
{
    nifti_set_debug_level(0);
}

size_t phi_nifti_type_bytes(int type)
{
    switch (type) {
    case PHI_NIFTI_UINT8:
    case PHI_NIFTI_INT8:
        return 1;
    case PHI_NIFTI_INT16:
    case PHI_NIFTI_UINT16:
        return 2;
    case PHI_NIFTI_INT32:
    case PHI_NIFTI_UINT32:
    case PHI_NIFTI_FLOAT32:
        return 4;
    case PHI_NIFTI_INT64:
    case PHI_NIFTI_UINT64:
    case PHI_NIFTI_FLOAT64:
        return 8;
    case PHI_NIFTI_FLOAT128:
        return 16;
    default:
        return 0;
    }
}

static const struct {
    int type;
    const char *name;
} type_names[] = {
    {PHI_NIFTI_UINT8, "uint8"},     {PHI_NIFTI_INT16, "int16"},       {PHI_NIFTI_INT32, "int32"},
    {PHI_NIFTI_FLOAT32, "float32"}, {PHI_NIFTI_FLOAT64, "float64"},   {PHI_NIFTI_INT8, "int8"},
    {PHI_NIFTI_UINT16, "uint16"},   {PHI_NIFTI_UINT32, "uint32"},     {PHI_NIFTI_INT64, "int64"},
    {PHI_NIFTI_UINT64, "uint64"},   {PHI_NIFTI_FLOAT128, "float128"},
};

#define N_TYPES (sizeof type_names / sizeof type_names[0])

const char *phi_nifti_type_name(int type)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (type_names[i].type == type)
            return type_names[i].name;
    return "unknown";
}

int phi_nifti_type_of_name(const char *name)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (strcmp(type_names[i].name, name) == 0)
            return type_names[i].type;
    return 0;
}

/* Version and byte order both follow from the first four bytes. */
static enum ph_status check_start(struct reading *reading, size_t n_bytes,
                                  struct phi_nifti_info *info, struct ph_error *reterr)
{
    if (n_bytes < 4)
        return phi_error(reterr, PH_E_FORMAT, "%s: too short for a NIfTI header (%zu bytes)",
                         reading->name, n_bytes);
    for (int version = 1; version <= 2; version++)
        for (int big = 0; big <= 1; big++)
            if (get_bits(reading->bytes, 4, big) == layouts[version - 1].n_header) {
                info->version = version;
                info->big_endian = reading->big_endian = big;
                reading->layout = &layouts[version - 1];
            }
    if (!reading->layout)
        return phi_error(reterr, PH_E_FORMAT,
                         "%s: not a NIfTI image: sizeof_hdr is neither 348 nor 540", reading->name);
    if (n_bytes < reading->layout->n_header)
        return phi_error(reterr, PH_E_FORMAT, "%s: header cut short: %zu of %zu bytes",
                         reading->name, n_bytes, reading->layout->n_header);
    info->n_header = reading->layout->n_header;
    memcpy(info->header, reading->bytes, info->n_header);
    return PH_OK;
}

static enum ph_status check_magic(const struct reading *reading, struct phi_nifti_info *info,
                                  struct ph_error *reterr)
{
    const struct layout *layout = reading->layout;
    const unsigned char *magic = reading->bytes + layout->magic;

    /* Four bytes tell; the four more of NIfTI-2 are left out by niftilib itself. */
    info->one_file = memcmp(magic, layout->magic_one, 4) == 0;
    if (!info->one_file && memcmp(magic, layout->magic_two, 4) != 0)
        return phi_error(
            reterr, PH_E_FORMAT,
            "%s: field magic is not one of NIfTI-%d (an ANALYZE file has none; convert "
            "it to NIfTI first)",
            reading->name, info->version);
    return PH_OK;
}

static enum ph_status check_type(const struct reading *reading, struct phi_nifti_info *info,
                                 struct ph_error *reterr)
{
    int type = (int)get_int(reading->bytes + reading->layout->datatype, 2, reading->big_endian);
    int bits = (int)get_int(reading->bytes + reading->layout->bitpix, 2, reading->big_endian);
    size_t n_bytes = phi_nifti_type_bytes(type);

    if (n_bytes == 0)
        return phi_error(reterr, PH_E_FORMAT,
                         "%s: field datatype is %d, not an integer or float type (colour and "
                         "complex images are not taken)",
                         reading->name, type);
    if (bits != (int)(8 * n_bytes))
        return phi_error(reterr, PH_E_FORMAT, "%s: field bitpix is %d where %s needs %zu",
                         reading->name, bits, phi_nifti_type_name(type), 8 * n_bytes);
    info->type = (enum phi_nifti_type)type;
    return PH_OK;
}

static int64_t get_dim(const struct reading *reading, int i)
{
    const struct layout *layout = reading->layout;

    return get_int(reading->bytes + layout->dim + (size_t)i * layout->dim_size, layout->dim_size,
                   reading->big_endian);
}

static enum ph_status check_dims(const struct reading *reading, struct phi_nifti_info *info,
                                 struct ph_error *reterr)
{
    int64_t rank = get_dim(reading, 0);
    uint32_t *const sizes[4] = {&info->n_x, &info->n_y, &info->n_z, &info->n_volumes};

    if (rank < 1 || rank > 7)
        return phi_error(reterr, PH_E_FORMAT, "%s: field dim[0] is %lld, not 1 to 7", reading->name,
                         (long long)rank);
    for (int i = 1; i <= 7; i++) {
        int64_t size = i <= rank ? get_dim(reading, i) : 1;

        if (size < 1)
            return phi_error(reterr, PH_E_FORMAT, "%s: field dim[%d] is %lld", reading->name, i,
                             (long long)size);
        if (i > 4 && size != 1)
            return phi_error(reterr, PH_E_SHAPE,
                             "%s: field dim[%d] is %lld: more than 4 dimensions", reading->name, i,
                             (long long)size);
        if (size > (i == 4 ? (int64_t)PHI_NIFTI_MAX_VOLUMES : 65535))
            return phi_error(reterr, PH_E_LIMIT, "%s: field dim[%d] is %lld, larger than we take",
                             reading->name, i, (long long)size);
        if (i <= 4)
            *sizes[i - 1] = (uint32_t)size;
    }
    return PH_OK;
}

static enum ph_status compute_sizes(const char *name, struct phi_nifti_info *info,
                                    struct ph_error *reterr)
{
    size_t n_voxels;
    size_t n_bytes;

    if (!phi_mul_size(info->n_x, info->n_y, &n_voxels) ||
        !phi_mul_size(n_voxels, info->n_z, &n_voxels) ||
        !phi_mul_size(n_voxels, phi_nifti_type_bytes((int)info->type), &n_bytes) ||
        n_bytes > PHI_NIFTI_MAX_VOLUME_BYTES)
        return phi_error(
            reterr, PH_E_LIMIT,
            "%s: fields dim[1..3] ask for %u x %u x %u voxels of %s; a volume may have "
            "at most %zu bytes",
            name, info->n_x, info->n_y, info->n_z, phi_nifti_type_name((int)info->type),
            PHI_NIFTI_MAX_VOLUME_BYTES);
    info->n_voxels = n_voxels;
    info->n_volume_bytes = n_bytes;
    return PH_OK;
}

static enum ph_status check_offset(const struct reading *reading, struct phi_nifti_info *info,
                                   struct ph_error *reterr)
{
    const unsigned char *field = reading->bytes + reading->layout->vox_offset;
    double offset = info->version == 1 ? get_real(field, 4, reading->big_endian)
                                       : (double)get_int(field, 8, reading->big_endian);
    size_t least = info->one_file ? reading->layout->n_header : 0;

    if (info->one_file && offset == 0) /* some writers leave it out */
        offset = (double)(reading->layout->n_header + 4);
    if (!(offset >= (double)least && offset <= 1e9) || offset != floor(offset))
        return phi_error(reterr, PH_E_FORMAT, "%s: field vox_offset is %g", reading->name, offset);
    info->data_offset = (uint64_t)offset;
    return PH_OK;
}

/* niftilib turns a voxel size of 0 or NaN into 1 in silence; a wrong size would smooth wrongly, so
 * it is refused here where the dimension is more than one voxel thick. */
static enum ph_status check_pixdim(const struct reading *reading, const struct phi_nifti_info *info,
                                   struct ph_error *reterr)
{
    const uint32_t sizes[3] = {info->n_x, info->n_y, info->n_z};
    const struct layout *layout = reading->layout;

    for (size_t i = 0; i < 3; i++) {
        double size = get_real(reading->bytes + layout->pixdim + (i + 1) * layout->real_size,
                               layout->real_size, reading->big_endian);

        if (sizes[i] > 1 && (!isfinite(size) || size == 0))
            return phi_error(reterr, PH_E_FORMAT,
                             "%s: field pixdim[%zu] is %g: the voxel size is missing",
                             reading->name, i + 1, size);
    }
    return PH_OK;
}

static double mm_per_unit(int units)
{
    switch (units) {
    case NIFTI_UNITS_METER:
        return 1000;
    case NIFTI_UNITS_MICRON:
        return 0.001;
    default: /* mm, or not said */
        return 1;
    }
}

static double s_per_unit(int units)
{
    switch (units) {
    case NIFTI_UNITS_MSEC:
        return 1e-3;
    case NIFTI_UNITS_USEC:
        return 1e-6;
    default: /* s, or not said */
        return 1;
    }
}

static void take_affine(const nifti_image *image, struct phi_nifti_info *info)
{
    double scale = mm_per_unit(image->xyz_units);
    const nifti_dmat44 *from = &image->qto_xyz;

    info->form = image->qform_code > 0 ? PHI_NIFTI_FORM_Q : PHI_NIFTI_FORM_NONE;
    info->form_code = image->qform_code > 0 ? image->qform_code : 0;
    if (image->sform_code > 0) {
        from = &image->sto_xyz;
        info->form = PHI_NIFTI_FORM_S;
        info->form_code = image->sform_code;
    }
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++)
            info->affine[i][j] = scale * from->m[i][j];
    info->voxel_mm[0] = scale * fabs(image->dx);
    info->voxel_mm[1] = scale * fabs(image->dy);
    info->voxel_mm[2] = scale * fabs(image->dz);
}

static enum ph_status take_fields(const char *name, const nifti_image *image,
                                  struct phi_nifti_info *info, struct ph_error *reterr)
{
    bool scaled = isfinite(image->scl_slope) && image->scl_slope != 0;
    double tr_s = image->pixdim[4] * s_per_unit(image->time_units);

    take_affine(image, info);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++)
            if (!(fabs(info->affine[i][j]) < 1e6))
                return phi_error(reterr, PH_E_FORMAT, "%s: field %s holds %g, no place in a room",
                                 name, info->form == PHI_NIFTI_FORM_S ? "srow" : "quatern/qoffset",
                                 info->affine[i][j]);
    info->slope = scaled ? image->scl_slope : 1;
    info->inter = scaled && isfinite(image->scl_inter) ? image->scl_inter : 0;
    /* A missing repetition time is looked after by has_tr. */
    info->tr_s = isfinite(tr_s) && tr_s > 0 ? tr_s : 0;
    memcpy(info->description, image->descrip, sizeof info->description);
    info->description[sizeof info->description - 1] = '\0';
    return PH_OK;
}

/* The repetition time as it stands, which the library's 1 for "none" would hide. */
static bool has_tr(const struct reading *reading)
{
    const struct layout *layout = reading->layout;
    double value = get_real(reading->bytes + layout->pixdim + 4 * layout->real_size,
                            layout->real_size, reading->big_endian);

    return isfinite(value) && value > 0;
}

/* niftilib takes NaN in a quaternion or offset for 0. */
static bool has_whole_qform(const struct reading *reading)
{
    const struct layout *layout = reading->layout;
    double sum = 0;

    for (size_t i = 0; i < 6; i++)
        sum += get_real(reading->bytes + layout->quatern + i * layout->real_size, layout->real_size,
                        reading->big_endian);
    return isfinite(sum);
}

static nifti_image *convert_header(const struct phi_nifti_info *info)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    nifti_1_header header1;
    nifti_2_header header2;

    (void)pthread_once(&once, silence_library);
    if (info->version == 1) {
        memcpy(&header1, info->header, sizeof header1);
        return nifti_convert_n1hdr2nim(header1, NULL);
    }
    memcpy(&header2, info->header, sizeof header2);
    return nifti_convert_n2hdr2nim(header2, NULL);
}

static enum ph_status convert_fields(const struct reading *reading, struct phi_nifti_info *info,
                                     struct ph_error *reterr)
{
    nifti_image *image = convert_header(info);
    enum ph_status status;

    if (!image)
        return phi_error(reterr, PH_E_FORMAT, "%s: niftilib does not take this header",
                         reading->name);
    status = take_fields(reading->name, image, info, reterr);
    nifti_image_free(image);
    if (!has_tr(reading))
        info->tr_s = 0;
    if (!status && info->form == PHI_NIFTI_FORM_Q && !has_whole_qform(reading))
        return phi_error(reterr, PH_E_FORMAT, "%s: field quatern/qoffset holds NaN or infinity",
                         reading->name);
    return status;
}

enum ph_status phi_nifti_parse_header(const void *bytes, size_t n_bytes, const char *name,
                                      struct phi_nifti_info *ret_info, struct ph_error *reterr)
{
    struct reading reading = {.bytes = bytes, .name = name};
    struct phi_nifti_info info = {0};
    enum ph_status status;

    if ((status = check_start(&reading, n_bytes, &info, reterr)) ||
        (status = check_magic(&reading, &info, reterr)) ||
        (status = check_type(&reading, &info, reterr)) ||
        (status = check_dims(&reading, &info, reterr)) ||
        (status = compute_sizes(name, &info, reterr)) ||
        (status = check_offset(&reading, &info, reterr)) ||
        (status = check_pixdim(&reading, &info, reterr)) ||
        (status = convert_fields(&reading, &info, reterr)))
        return status;
    *ret_info = info;
    return PH_OK;
}

enum ph_status phi_nifti_parse(const void *bytes, size_t n_bytes, const char *name,
                               struct phi_nifti_info *ret_info, const unsigned char **ret_data,
                               struct ph_error *reterr)
{
    struct phi_nifti_info info;
    enum ph_status status = phi_nifti_parse_header(bytes, n_bytes, name, &info, reterr);
    size_t n_data;

    if (status)
        return status;
    if (!info.one_file)
        return phi_error(reterr, PH_E_FORMAT, "%s: field magic says the voxels are in another file",
                         name);
    if (!phi_mul_size(info.n_volume_bytes, info.n_volumes, &n_data) || info.data_offset > n_bytes ||
        n_data > n_bytes - info.data_offset)
        return phi_error(reterr, PH_E_FORMAT,
                         "%s: cut short: fields dim and vox_offset ask for more than the %zu bytes "
                         "that are there",
                         name, n_bytes);
    if (n_data != n_bytes - info.data_offset)
        return phi_error(reterr, PH_E_FORMAT, "%s: %zu bytes too many after the voxels", name,
                         n_bytes - (size_t)info.data_offset - n_data);
    *ret_info = info;
    *ret_data = (const unsigned char *)bytes + info.data_offset;
    return PH_OK;
}

enum ph_status phi_nifti_reheader(const struct phi_nifti_info *info, uint32_t n_volumes,
                                  double tr_s, unsigned char out[PHI_NIFTI_MAX_PREFIX],
                                  size_t *ret_n)
{
    const struct layout *layout = &layouts[info->version - 1];
    const uint64_t dims[8] = {
        n_volumes > 1 ? 4 : 3, info->n_x, info->n_y, info->n_z, n_volumes, 1, 1, 1};
    size_t n = info->n_header + 4;
    uint64_t units;

    if (n_volumes < 1 || n_volumes > (info->version == 1 ? 32767 : PHI_NIFTI_MAX_VOLUMES))
        return PH_E_LIMIT;
    memset(out, 0, PHI_NIFTI_MAX_PREFIX); /* the last four bytes say: no extensions */
    memcpy(out, info->header, info->n_header);
    memcpy(out + layout->magic, layout->magic_one, layout->n_magic);
    for (size_t i = 0; i < 8; i++)
        put_bits(out + layout->dim + i * layout->dim_size, layout->dim_size, info->big_endian,
                 dims[i]);
    if (info->version == 1)
        put_real(out + layout->vox_offset, 4, info->big_endian, (double)n);
    else
        put_bits(out + layout->vox_offset, 8, info->big_endian, n);
    if (tr_s > 0) {
        units = get_bits(out + layout->units, layout->units_size, info->big_endian);
        put_bits(out + layout->units, layout->units_size, info->big_endian,
                 (units & 7) | NIFTI_UNITS_SEC);
        put_real(out + layout->pixdim + 4 * layout->real_size, layout->real_size, info->big_endian,
                 tr_s);
    }
    *ret_n = n;
    return PH_OK;
}

static void fill_image(const struct phi_nifti_info *info, int version, nifti_image *image)
{
    image->nifti_type = version == 1 ? NIFTI_FTYPE_NIFTI1_1 : NIFTI_FTYPE_NIFTI2_1;
    image->iname_offset = version == 1 ? 352 : 544;
    image->pixdim[4] = image->dt = info->tr_s;
    image->xyz_units = NIFTI_UNITS_MM;
    image->time_units = NIFTI_UNITS_SEC;
    image->scl_slope = info->slope;
    image->scl_inter = info->inter;
    image->sform_code = image->qform_code = info->form_code > 0 ? info->form_code : 1;
    memset(&image->sto_xyz, 0, sizeof image->sto_xyz);
    for (int i = 0; i < 3; i++) {
        image->pixdim[i + 1] = info->voxel_mm[i];
        for (int j = 0; j < 4; j++)
            image->sto_xyz.m[i][j] = info->affine[i][j];
    }
    image->sto_xyz.m[3][3] = 1;
    nifti_dmat44_to_quatern(image->sto_xyz, &image->quatern_b, &image->quatern_c, &image->quatern_d,
                            &image->qoffset_x, &image->qoffset_y, &image->qoffset_z, NULL, NULL,
                            NULL, &image->qfac);
    image->pixdim[0] = image->qfac;
    image->dx = image->pixdim[1];
    image->dy = image->pixdim[2];
    image->dz = image->pixdim[3];
    (void)phi_str_copy(image->descrip, sizeof image->descrip, info->description);
}

static enum ph_status check_wish(const struct phi_nifti_info *info, struct ph_error *reterr)
{
    double sum = info->tr_s + info->slope + info->inter;

    for (int i = 0; i < 3; i++) {
        sum += info->voxel_mm[i];
        for (int j = 0; j < 4; j++)
            sum += info->affine[i][j];
    }
    if (!isfinite(sum) || info->slope == 0 || info->tr_s < 0)
        return phi_error(reterr, PH_E_INVAL,
                         "image to be written: a size, the affine, the slope or "
                         "the repetition time is no usable number");
    if (info->n_x < 1 || info->n_y < 1 || info->n_z < 1 || info->n_volumes < 1 ||
        info->n_volumes > PHI_NIFTI_MAX_VOLUMES || phi_nifti_type_bytes((int)info->type) == 0)
        return phi_error(reterr, PH_E_INVAL, "image to be written: a dimension of 0 or no type");
    return compute_sizes("image to be written", (struct phi_nifti_info[]){*info}, reterr);
}

enum ph_status phi_nifti_make(struct phi_nifti_info *info, struct ph_error *reterr)
{
    const int64_t dims[8] = {
        info->n_volumes > 1 ? 4 : 3, info->n_x, info->n_y, info->n_z, info->n_volumes, 1, 1, 1};
    bool large =
        info->n_x > 32767 || info->n_y > 32767 || info->n_z > 32767 || info->n_volumes > 32767;
    enum ph_status status = check_wish(info, reterr);
    nifti_image *image;
    nifti_1_header header1;
    nifti_2_header header2;

    if (status)
        return status;
    image = nifti_make_new_nim(dims, (int)info->type, 0);
    if (!image)
        return phi_error_nomem(reterr, "a NIfTI header", sizeof *image);
    fill_image(info, large ? 2 : 1, image);
    if (large ? nifti_convert_nim2n2hdr(image, &header2) : nifti_convert_nim2n1hdr(image, &header1))
        status = phi_error(reterr, PH_E_INTERNAL, "niftilib cannot write this header");
    else if (large)
        memcpy(info->header, &header2, sizeof header2);
    else
        memcpy(info->header, &header1, sizeof header1);
    nifti_image_free(image);
    if (status)
        return status;
    info->n_header = large ? sizeof header2 : sizeof header1;
    memcpy(info->header + layouts[large].magic, layouts[large].magic_one, layouts[large].n_magic);
    return phi_nifti_parse_header(info->header, info->n_header, "image to be written", info,
                                  reterr);
}

bool phi_nifti_same_grid(const struct phi_nifti_info *a, const struct phi_nifti_info *b,
                         double tolerance_mm)
{
    if (a->n_x != b->n_x || a->n_y != b->n_y || a->n_z != b->n_z)
        return false;
    for (unsigned corner = 0; corner < 8; corner++) {
        const double at[4] = {corner & 1 ? a->n_x - 1.0 : 0, corner & 2 ? a->n_y - 1.0 : 0,
                              corner & 4 ? a->n_z - 1.0 : 0, 1};

        for (int i = 0; i < 3; i++) {
            double apart = 0;

            for (int j = 0; j < 4; j++)
                apart += (a->affine[i][j] - b->affine[i][j]) * at[j];
            if (!(fabs(apart) <= tolerance_mm))
                return false;
        }
    }
    return true;
}
