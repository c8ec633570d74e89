/* SPDX-License-Identifier: MIT */
#include "plugins/decoder/common/place.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

#define AFFINE_MM 0.01 /* how far a corner of the grid may be off */

static bool same_place(const struct ph_geometry *a, const struct ph_geometry *b)
{
    for (int corner = 0; corner < 8; corner++)
        for (int row = 0; row < 3; row++) {
            double off = a->affine[row][3] - b->affine[row][3];

            for (int axis = 0; axis < 3; axis++)
                if (corner >> axis & 1)
                    off +=
                        (a->affine[row][axis] - b->affine[row][axis]) * (double)(a->dims[axis] - 1);
            if (fabs(off) > AFFINE_MM)
                return false;
        }
    return true;
}

static enum ph_status check_geometry(const struct phi_decoder_place *place,
                                     const struct ph_spec *in, struct ph_error *reterr)
{
    const struct ph_geometry *a = &place->geometry, *b = &in->geometry;

    if (memcmp(a->dims, b->dims, sizeof a->dims) != 0)
        return phi_error(reterr, PH_E_SHAPE,
                         "the decoder was fitted on volumes of %u x %u x %u, this run has "
                         "%u x %u x %u: fit one on a run of this kind",
                         a->dims[0], a->dims[1], a->dims[2], b->dims[0], b->dims[1], b->dims[2]);
    if (!same_place(a, b))
        return phi_error(reterr, PH_E_SHAPE,
                         "the decoder was fitted on volumes that lie elsewhere (affines differ): "
                         "realign to its reference, or fit anew");
    if (b->tr_s > 0 && fabs(a->tr_s - b->tr_s) > 1e-3 * a->tr_s)
        return phi_error(reterr, PH_E_SHAPE,
                         "the decoder was fitted at a repetition time of %g s, this run has %g s",
                         a->tr_s, b->tr_s);
    return PH_OK;
}

enum ph_status phi_decoder_place_check(const struct phi_decoder_place *place, bool accept,
                                       const struct ph_spec *in, struct ph_error *reterr)
{
    const char *chain = in->chain ? in->chain : "";
    enum ph_status status;

    if (in->kind != PH_FRAME_VECTOR && in->kind != PH_FRAME_VOLUME)
        return phi_error(reterr, PH_E_SHAPE, "a decoder takes volumes or masked vectors");
    status = check_geometry(place, in, reterr);
    if (status)
        return status;
    if (in->kind == PH_FRAME_VECTOR && in->layout && in->layout != place->layout)
        return phi_error(reterr, PH_E_SHAPE,
                         "the decoder was fitted on another mask (%zu voxels, this run's has %u)",
                         place->q, in->dims[0]);
    if (!accept && strcmp(chain, place->chain) != 0)
        return phi_error(reterr, PH_E_SHAPE,
                         "the decoder was fitted behind other filters: '%s'; this run has '%s'. "
                         "Use the same, fit anew, or set accept_chain",
                         place->chain, chain);
    return PH_OK;
}
