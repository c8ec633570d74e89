/* SPDX-License-Identifier: MIT
 *
 * What a benchmark of the engine needs, made in a temporary folder: a head that moves a little and
 * its noise as NIfTI volumes ready for the wire, a mask, a decoder of any size with the pictures it
 * draws, a run file. Made-up data of the true shapes; the numbers decoded from it mean nothing. The
 * decoder's weights are random with the scale of a fitted one. Set-up code; one thread.
 */
#ifndef TOOLS_BENCH_SETUP_H
#define TOOLS_BENCH_SETUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/nifti.h"
#include "models/dand.h"
#include "phosphene/status.h"

#define BENCH_DISTINCT 8 /* volumes made; the run repeats them */

/* The shape of a run. */
struct bench_shape {
    uint32_t dims[3];
    double voxel_mm;
    double tr_s;
    bool float32;      /* else int16 */
    int64_t n_voxels;  /* in the mask; 0: the whole head */
    int64_t n_latents; /* 0: no decoder and no pictures */
    int64_t side;      /* pixels of the picture, each way */
    const char *dand;  /* absolute path of DAND's model, which draws instead; "" for eigenface */
    struct phi_dand_config net; /* of that model */
    double every_s;             /* a stimulus comes every so many seconds of the run's time */
    bool realign;
    bool chain; /* realign, smooth, mask, linear model, normalise: the preprocessing alone */
    int64_t workers;
};

struct bench_setup {
    struct bench_shape shape;
    char dir[PATH_MAX]; /* temporary, made by bench_setup_make */
    struct phi_nifti_info info;
    size_t n_image; /* bytes of one volume with its header */
    unsigned char *images[BENCH_DISTINCT];
    uint32_t crc[BENCH_DISTINCT];
    size_t n_inside;
    char *run_text; /* the run file */
};

/* Reads the sizes of DAND's model at `path` into shape->net; the decoder has its latents. */
PH_NODISCARD enum ph_status bench_setup_dand(const char *path, struct bench_shape *shape,
                                             struct ph_error *reterr);

/* Makes all of it in a new folder under `base`. After a failure bench_setup_remove is still to be
 * called. */
PH_NODISCARD enum ph_status bench_setup_make(const struct bench_shape *shape, const char *base,
                                             struct bench_setup *ret_setup,
                                             struct ph_error *reterr);

/* Removes the folder with all in it and frees the rest; accepts an all-zero setup. */
void bench_setup_remove(struct bench_setup *setup);

/* Removes the folder `dir` with all in it. */
void bench_remove_folder(const char *dir);

#endif
