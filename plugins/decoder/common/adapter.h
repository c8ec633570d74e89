/* SPDX-License-Identifier: MIT
 *
 * What the two Gaussian decoders share as stages: the model behind them, the check that the run is
 * the one it was fitted for, a volume's way to the channel statistics x, and the way from channel
 * estimates to a latent frame. Memory is taken by open; the rest belongs to the stage's thread and
 * neither allocates nor blocks.
 */
#ifndef PLUGINS_DECODER_COMMON_ADAPTER_H
#define PLUGINS_DECODER_COMMON_ADAPTER_H

#include "decode/gemv.h"
#include "phosphene/plugin.h"
#include "plugins/decoder/common/model.h"

struct phi_adapter {
    const struct ph_host *host;
    struct phi_decoder_model *model; /* owned */
    struct phi_gemv *project;        /* x = W (y - c) */
    struct phi_gemv *rotate;         /* z = T mean */
    struct phi_gemv *spread;         /* var z = T^2 var */
    float *gathered;                 /* [q], when volumes arrive instead of vectors */
    float *narrow;                   /* [n_statements][p] */
    double *wide;                    /* [2][n_statements][p] mean and variance of z */
    double *x;                       /* [p] */
    size_t n_statements;             /* at most in one emission */
    size_t n_samples;
    double *normal; /* [n_samples][p] standard normal, the same for every statement */
    float *drawn;   /* [n_samples][p] channels */
    double *turned; /* [n_samples][p] latents */
    double tr_s;
};

/* Plan of both stages: checks `in` against the model at `path` and fills the latent spec, without
 * samples. `accept` other preprocessing than the model's if true. */
PH_NODISCARD enum ph_status phi_adapter_plan(const char *path, bool accept,
                                             const struct ph_spec *in, struct ph_spec *ret_out,
                                             struct ph_error *reterr);

struct phi_adapter_options {
    const char *model; /* path */
    enum phi_gemv_format format;
    size_t n_statements; /* at most in one emission */
};

/* Loads the model into `adapter` (zeroed). Released with fini, also after a failure. */
PH_NODISCARD enum ph_status phi_adapter_open(struct phi_adapter *adapter,
                                             const struct phi_adapter_options *options,
                                             const struct ph_spec *in, const struct ph_host *host,
                                             struct ph_error *reterr);

/* Has every statement carry `n` samples of its posterior, of normal numbers that stay the same for
 * the run: what changes between two revisions of a sample is what was learnt. Once, after open,
 * with the number that was planned. */
PH_NODISCARD enum ph_status phi_adapter_samples(struct phi_adapter *adapter, size_t n,
                                                struct ph_error *reterr);

/* Releases what init took. */
void phi_adapter_fini(struct phi_adapter *adapter);

/* *ret_x is adapter->x filled from the frame's values, or NULL if the frame is unusable or has
 * values that are not finite. PH_E_SHAPE (logged) if its voxels are not the model's. */
PH_NODISCARD enum ph_status phi_adapter_project(struct phi_adapter *adapter,
                                                const struct ph_frame *frame, const double **ret_x);

/* One statement about a stimulus moment, in channels. */
struct phi_statement {
    const double *mean;      /* [p] */
    const double *var;       /* [p] */
    struct ph_latent latent; /* all but the decoder's name */
    uint32_t flags;          /* REVISED, FINAL, GATED */
    uint64_t volume;         /* the newest one used, and its time: only where no frame comes in, */
    double acquired_s;       /* at the end of the run */
};

/* Rotates and emits the statements in their order. PH_EOS when the run is being stopped. */
PH_NODISCARD enum ph_status phi_adapter_emit(struct phi_adapter *adapter, struct ph_io *io,
                                             const struct phi_statement *statements /* [n] */,
                                             size_t n);

#endif
