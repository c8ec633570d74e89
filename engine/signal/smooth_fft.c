/* SPDX-License-Identifier: MIT
 *
 * Convolution by FFTW. Plans are estimated, never measured: measuring picks other algorithms from
 * run to run and with them other last bits.
 */
#include <fftw3.h>
#include <math.h>

#include "base/error.h"
#include "base/mem.h"
#include "signal/smooth_internal.h"

struct phi_smooth_fft {
    size_t n[3];
    size_t padded[3];
    size_t n_half;       /* complex values along x */
    float *space;        /* [pz][py][px] */
    fftwf_complex *freq; /* [pz][py][n_half] */
    float *transfer[3];  /* real, per axis; x carries the 1 / count */
    fftwf_plan forward;
    fftwf_plan backward;
};

/* The least length of at least n whose only prime factors are 2, 3 and 5. */
static size_t good_length(size_t n)
{
    for (;; n++) {
        size_t rest = n;

        while (rest % 2 == 0)
            rest /= 2;
        while (rest % 3 == 0)
            rest /= 3;
        while (rest % 5 == 0)
            rest /= 5;
        if (rest == 1)
            return n;
    }
}

static void make_transfer(const float *w, size_t radius, size_t n, double gain, float *out)
{
    for (size_t j = 0; j < n; j++) {
        double sum = (double)w[0];

        for (size_t k = 1; k <= radius; k++)
            sum += 2.0 * (double)w[k] * cos(2.0 * M_PI * (double)(k * j % n) / (double)n);
        out[j] = (float)(sum * gain);
    }
}

static bool alloc_fft(struct phi_smooth_fft *f)
{
    size_t rows = f->padded[1] * f->padded[2];

    f->space = phi_calloc2(rows, f->padded[0], sizeof(float));
    f->freq = phi_calloc2(rows, f->n_half, sizeof(fftwf_complex));
    for (int axis = 0; axis < 3; axis++) {
        f->transfer[axis] = phi_calloc(f->padded[axis], sizeof(float));
        if (!f->transfer[axis])
            return false;
    }
    return f->space && f->freq;
}

enum ph_status phi_smooth_fft_plan(const size_t n[3], const float *const w[3],
                                   const size_t radius[3], struct phi_smooth_fft **ret_fft,
                                   struct ph_error *reterr)
{
    struct phi_smooth_fft *f = phi_calloc(1, sizeof *f);
    double count = 1;

    if (!f)
        return phi_error_nomem(reterr, "smoothing plan", sizeof *f);
    for (int axis = 0; axis < 3; axis++) {
        f->n[axis] = n[axis];
        f->padded[axis] = good_length(n[axis] + radius[axis]);
        count *= (double)f->padded[axis];
    }
    f->n_half = f->padded[0] / 2 + 1;
    if (alloc_fft(f)) {
        int pz = (int)f->padded[2], py = (int)f->padded[1], px = (int)f->padded[0];

        f->forward = fftwf_plan_dft_r2c_3d(pz, py, px, f->space, f->freq, FFTW_ESTIMATE);
        f->backward = fftwf_plan_dft_c2r_3d(pz, py, px, f->freq, f->space, FFTW_ESTIMATE);
    }
    if (!f->forward || !f->backward) {
        phi_smooth_fft_destroy(&f);
        return phi_error_nomem(reterr, "smoothing transform", (size_t)count * sizeof(float));
    }
    for (int axis = 0; axis < 3; axis++)
        make_transfer(w[axis], radius[axis], f->padded[axis], axis == 0 ? 1.0 / count : 1.0,
                      f->transfer[axis]);
    *ret_fft = f;
    return PH_OK;
}

void phi_smooth_fft_destroy(struct phi_smooth_fft **fft)
{
    struct phi_smooth_fft *f = fft ? *fft : NULL;

    if (!f)
        return;
    if (f->forward)
        fftwf_destroy_plan(f->forward);
    if (f->backward)
        fftwf_destroy_plan(f->backward);
    for (int axis = 0; axis < 3; axis++)
        phi_free(f->transfer[axis]);
    phi_free(f->space);
    phi_free(f->freq);
    phi_free(f);
    *fft = NULL;
}

/* The volume into the corner of the zeroed box (the inverse transform left values everywhere). */
static size_t load(struct phi_smooth_fft *f, const float *in, const uint8_t *keep)
{
    const struct phi_spatial_kernels *kernels = phi_spatial_kernels();
    const struct phi_rows rows = {f->n[1], f->n[0], f->n[0], f->padded[0]};
    size_t slice = f->n[0] * f->n[1];
    size_t box_slice = f->padded[0] * f->padded[1];
    size_t n_bad = 0;

    for (size_t i = 0; i < box_slice * f->padded[2]; i++)
        f->space[i] = 0;
    for (size_t z = 0; z < f->n[2]; z++)
        n_bad += kernels->load_rows(in + z * slice, keep ? keep + z * slice : NULL, &rows,
                                    f->space + z * box_slice);
    return n_bad;
}

static void multiply(struct phi_smooth_fft *f)
{
    fftwf_complex *row = f->freq;

    for (size_t z = 0; z < f->padded[2]; z++) {
        for (size_t y = 0; y < f->padded[1]; y++, row += f->n_half) {
            float gain = f->transfer[2][z] * f->transfer[1][y];

            for (size_t x = 0; x < f->n_half; x++) {
                row[x][0] *= gain * f->transfer[0][x];
                row[x][1] *= gain * f->transfer[0][x];
            }
        }
    }
}

size_t phi_smooth_fft_process(struct phi_smooth_fft *fft, const float *in, const uint8_t *keep,
                              float *out)
{
    size_t n_bad = load(fft, in, keep);

    fftwf_execute(fft->forward);
    multiply(fft);
    fftwf_execute(fft->backward);
    for (size_t z = 0; z < fft->n[2]; z++) {
        for (size_t y = 0; y < fft->n[1]; y++) {
            const float *from = fft->space + (z * fft->padded[1] + y) * fft->padded[0];

            for (size_t x = 0; x < fft->n[0]; x++)
                *out++ = from[x];
        }
    }
    return n_bad;
}

bool phi_smooth_fft_wins(const size_t n[3], const size_t radius[3])
{
    double voxels = (double)n[0] * (double)n[1] * (double)n[2];
    double box = 1;
    double taps = 0;

    for (int axis = 0; axis < 3; axis++) {
        box *= (double)good_length(n[axis] + radius[axis]);
        taps += (double)radius[axis] + 1;
    }
    /* Costs in ns per voxel and pair of taps, and per box element and doubling, as measured. */
    return 0.065 * taps * voxels > 0.28 * box * log2(box);
}
