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

/* Longest text of a filter that is shown whole. */
#define FILTER_CHARS 100

/* Length of the filter that `at` begins with: up to the bracket that closes it. */
static size_t filter_length(const char *at)
{
    const char *end = strstr(at, ") ");

    return end ? (size_t)(end - at) + 1 : strlen(at);
}

/* The filter at `from`, whole if it is short, else its name and what follows its `same`-th
 * character, from the beginning of that parameter. */
static void add_filter(struct phi_str *out, const char *from, size_t same)
{
    size_t n = filter_length(from), name = strcspn(from, "("), start = same < n ? same : n;

    if (n == 0) {
        phi_str_addf(out, "missing");
        return;
    }
    if (n <= FILTER_CHARS) {
        phi_str_addf(out, "%.*s", (int)n, from);
        return;
    }
    while (start > name + 1 && from[start - 1] != ' ' && from[start - 1] != ',')
        start--;
    if (start <= name)
        start = name + 1;
    phi_str_addf(out, "%.*s(%s%.*s%s", (int)name, from, start > name + 1 ? "... " : "",
                 (int)(n - start < FILTER_CHARS ? n - start : FILTER_CHARS), from + start,
                 n - start > FILTER_CHARS ? " ...)" : "");
}

void phi_decoder_chain_difference(const char *there, const char *here, struct phi_str *out)
{
    size_t same = 0, first = 0, number = 1;

    while (there[same] && there[same] == here[same]) {
        same++;
        if (same > 1 && there[same - 2] == ')' && there[same - 1] == ' ') {
            first = same;
            number++;
        }
    }
    /* one chain may end where the other goes on */
    if ((!there[same] || !here[same]) && (there[same] == ' ' || here[same] == ' ')) {
        first = same + 1;
        number++;
    }
    phi_str_addf(out, "filter %zu was ", number);
    add_filter(out, first <= strlen(there) ? there + first : "",
               same - (first < same ? first : same));
    phi_str_addf(out, " there, here it is ");
    add_filter(out, first <= strlen(here) ? here + first : "",
               same - (first < same ? first : same));
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
    if (!accept && strcmp(chain, place->chain) != 0) {
        char text[PH_ERROR_TEXT];
        struct phi_str out = phi_str_over(text, sizeof text);

        phi_decoder_chain_difference(place->chain, chain, &out);
        return phi_error(reterr, PH_E_SHAPE,
                         "the decoder was fitted behind other filters: %s. Use the same, fit anew, "
                         "or set accept_chain",
                         text);
    }
    return PH_OK;
}
