/* SPDX-License-Identifier: MIT
 *
 * Reading NIfTI files volume by volume: .nii, .nii.gz, and .hdr/.img pairs (also gzipped). One
 * volume is in memory at a time, whatever the length of the run. Every call may block on the disk.
 * A reader belongs to one thread.
 */
#ifndef PHI_IO_NIFTI_FILE_H
#define PHI_IO_NIFTI_FILE_H

#include "io/nifti.h"

struct phi_nifti_reader;

/* Opens `path` (either file of a pair will do), reads and checks the header and compares what it
 * claims with the size of the file. Fails with PH_E_IO (missing, unreadable) and as
 * phi_nifti_parse_header. Owned by the caller. */
PH_NODISCARD enum ph_status phi_nifti_reader_open(const char *path,
                                                  struct phi_nifti_reader **ret_reader,
                                                  struct ph_error *reterr);

/* Closes and frees; accepts NULL and *reader == NULL, clears *reader. */
void phi_nifti_reader_close(struct phi_nifti_reader **reader);

/* The header; lives as long as the reader. */
const struct phi_nifti_info *phi_nifti_reader_info(const struct phi_nifti_reader *reader);

/* The next volume as stored: *ret_data points to info->n_volume_bytes bytes that the reader owns
 * and the next call overwrites. PH_EOS after the last; PH_E_FORMAT when the file ends early or its
 * compression is damaged. */
PH_NODISCARD enum ph_status phi_nifti_reader_next(struct phi_nifti_reader *reader,
                                                  const unsigned char **ret_data,
                                                  struct ph_error *reterr);

/* The next volume as scaled float32 values in out[n_voxels], shaped [z][y][x]; otherwise as
 * phi_nifti_reader_next. */
PH_NODISCARD enum ph_status phi_nifti_reader_next_float32(struct phi_nifti_reader *reader,
                                                          float *out, struct ph_error *reterr);

/* Goes to volume `index` (quick in plain files; reads through in gzipped ones). */
PH_NODISCARD enum ph_status phi_nifti_reader_seek(struct phi_nifti_reader *reader, uint32_t index,
                                                  struct ph_error *reterr);

/* Reads a whole file as float32: *ret_values[n_volumes][z][y][x], freed by the caller with
 * phi_free. Files of more than `max_bytes` of float32 are refused with PH_E_LIMIT. */
PH_NODISCARD enum ph_status phi_nifti_read_float32(const char *path, size_t max_bytes,
                                                   struct phi_nifti_info *ret_info,
                                                   float **ret_values, struct ph_error *reterr);

#endif
