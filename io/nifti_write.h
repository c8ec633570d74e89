/* SPDX-License-Identifier: MIT
 *
 * Writing 3-D and 4-D NIfTI files, .nii and .nii.gz, volume by volume. The file appears under its
 * name only when it is whole (io/file.h). Every call may block on the disk. A writer belongs to one
 * thread.
 */
#ifndef PHI_IO_NIFTI_WRITE_H
#define PHI_IO_NIFTI_WRITE_H

#include "io/nifti.h"

struct phi_nifti_writer;

/* Starts `path` for an image like `info`, which phi_nifti_make or a parser has filled;
 * info->n_volumes is the number of volumes that will be added. Gzipped if the path ends in ".gz"
 * (no time stamp: same input, same bytes). Owned by the caller. */
PH_NODISCARD enum ph_status phi_nifti_writer_create(const char *path,
                                                    const struct phi_nifti_info *info,
                                                    struct phi_nifti_writer **ret_writer,
                                                    struct ph_error *reterr);

/* Adds one volume of info->n_volume_bytes bytes, stored as they are. */
PH_NODISCARD enum ph_status phi_nifti_writer_add(struct phi_nifti_writer *writer,
                                                 const unsigned char *data,
                                                 struct ph_error *reterr);

/* Adds one volume of float32 values[n_voxels], converted to the image's type. */
PH_NODISCARD enum ph_status phi_nifti_writer_add_float32(struct phi_nifti_writer *writer,
                                                         const float *values,
                                                         struct ph_error *reterr);

/* Completes the file, gives it its name and frees the writer. PH_E_STATE if the number of volumes
 * is not the announced one; the file is then not made. */
PH_NODISCARD enum ph_status phi_nifti_writer_finish(struct phi_nifti_writer **writer,
                                                    struct ph_error *reterr);

/* Frees without making the file; accepts NULL and *writer == NULL, clears *writer. */
void phi_nifti_writer_destroy(struct phi_nifti_writer **writer);

/* Writes values[n_volumes][z][y][x] to `path` in one call; `info` as for phi_nifti_make. */
PH_NODISCARD enum ph_status phi_nifti_write_float32(const char *path, struct phi_nifti_info *info,
                                                    const float *values, struct ph_error *reterr);

#endif
