/* SPDX-License-Identifier: MIT
 *
 * NIfTI-1 and NIfTI-2 images over byte spans. A header is checked here, field by field and against
 * the bytes that are really there, before niftilib converts it; so a damaged or hostile header
 * costs an error, never memory. Pure functions; thread-safe. Files: io/nifti_file.h,
 * io/nifti_write.h. Format: Cox et al. 2004, "A (sort of) new image data format standard: NIfTI-1".
 */
#ifndef PHI_IO_NIFTI_H
#define PHI_IO_NIFTI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#define PHI_NIFTI_MAX_HEADER       540 /* bytes of a NIfTI-2 header; NIfTI-1 has 348 */
#define PHI_NIFTI_MAX_PREFIX       544 /* header and the four bytes after it */
#define PHI_NIFTI_MAX_VOLUME_BYTES ((size_t)1 << 30)   /* of one volume */
#define PHI_NIFTI_MAX_VOLUMES      ((uint32_t)1 << 24) /* of one run */

/* How voxels are stored; the numbers are those of the file format. */
enum phi_nifti_type {
    PHI_NIFTI_UINT8 = 2,
    PHI_NIFTI_INT16 = 4,
    PHI_NIFTI_INT32 = 8,
    PHI_NIFTI_FLOAT32 = 16,
    PHI_NIFTI_FLOAT64 = 64,
    PHI_NIFTI_INT8 = 256,
    PHI_NIFTI_UINT16 = 512,
    PHI_NIFTI_UINT32 = 768,
    PHI_NIFTI_INT64 = 1024,
    PHI_NIFTI_UINT64 = 1280,
    PHI_NIFTI_FLOAT128 = 1536
};

/* Where the affine came from. */
enum phi_nifti_form {
    PHI_NIFTI_FORM_NONE = 0, /* neither form is set: voxel sizes only */
    PHI_NIFTI_FORM_Q = 1,
    PHI_NIFTI_FORM_S = 2
};

/* What a header says, in our units. Plain data. */
struct phi_nifti_info {
    int version;     /* 1 or 2 */
    bool big_endian; /* of header and data */
    bool one_file;   /* header and data in one file or span */
    enum phi_nifti_type type;
    uint32_t n_x, n_y, n_z; /* at least 1; x varies fastest in memory: [z][y][x] */
    uint32_t n_volumes;     /* at least 1 */
    size_t n_voxels;        /* of one volume */
    size_t n_volume_bytes;  /* of one volume as stored */
    uint64_t data_offset;   /* bytes before the first voxel */
    double slope, inter;    /* value = slope * stored + inter; 1 and 0 where the file says none */
    double voxel_mm[3];
    double tr_s;         /* 0 where the file tells none */
    double affine[3][4]; /* voxel index (x, y, z, 1) -> RAS+ mm; sform before qform */
    enum phi_nifti_form form;
    int form_code; /* NIFTI_XFORM_* of the form that was taken */
    char description[80];
    size_t n_header;                            /* 348 or 540 */
    unsigned char header[PHI_NIFTI_MAX_HEADER]; /* as it stood in the file */
};

/* Reads and checks the header at the start of `bytes` (at least 348 or 540 bytes of it). `name` is
 * the file or message that errors name. Fails with PH_E_FORMAT, PH_E_SHAPE (more than four
 * dimensions) or PH_E_LIMIT; the text names the field. */
PH_NODISCARD enum ph_status phi_nifti_parse_header(const void *bytes, size_t n_bytes,
                                                   const char *name,
                                                   struct phi_nifti_info *ret_info,
                                                   struct ph_error *reterr);

/* Reads a complete single-file image in memory, as a volume travels on the wire, and checks that
 * its voxels are all there and nothing follows them. *ret_data points into `bytes`. */
PH_NODISCARD enum ph_status phi_nifti_parse(const void *bytes, size_t n_bytes, const char *name,
                                            struct phi_nifti_info *ret_info,
                                            const unsigned char **ret_data,
                                            struct ph_error *reterr);

/* The single-file header of an image like `info` with `n_volumes` volumes (1 gives a 3-D image) and
 * the repetition time `tr_s` (0 keeps what stands there): all other fields as they are, without
 * extensions. Writes *ret_n bytes, header and the four bytes after it, to out; voxels follow.
 * PH_E_LIMIT if the format cannot hold n_volumes (32767 in NIfTI-1). */
PH_NODISCARD enum ph_status phi_nifti_reheader(const struct phi_nifti_info *info,
                                               uint32_t n_volumes, double tr_s,
                                               unsigned char out[PHI_NIFTI_MAX_PREFIX],
                                               size_t *ret_n);

/* Fills `info` (its header bytes, n_voxels, n_volume_bytes, data_offset) for an image to be
 * written: n_x.. n_volumes, type, voxel_mm, tr_s, affine, slope, inter, description are taken from
 * it, the affine as sform (code `form_code`, 1 = scanner where 0) and its nearest qform. NIfTI-1,
 * little-endian, unless a dimension needs NIfTI-2. */
PH_NODISCARD enum ph_status phi_nifti_make(struct phi_nifti_info *info, struct ph_error *reterr);

/* Bytes a voxel of `type` takes; 0 for anything but enum phi_nifti_type. */
size_t phi_nifti_type_bytes(int type);

/* Name of a type as "int16"; "unknown" outside the enum. And back: 0 for an unknown name. */
const char *phi_nifti_type_name(int type);
int phi_nifti_type_of_name(const char *name);

/* Whether voxels of two images lie at the same places: same shape, affines equal within
 * `tolerance_mm` at every corner. */
bool phi_nifti_same_grid(const struct phi_nifti_info *a, const struct phi_nifti_info *b,
                         double tolerance_mm);

#endif
