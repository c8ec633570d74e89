/* SPDX-License-Identifier: MIT
 *
 * A Gabor function with a round envelope is a product of a function of x and one of y, both
 * complex, so each filter is two passes of one-dimensional sums.
 */
#include "tools/stimuli/energy.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define LEAST_SIDE 16
#define ENVELOPE   0.5 /* sd over the wavelength */
#define RADIUS_SD  2.5
#define N_PLANES   4 /* luminance, a complex map on its way, an answer */
#define TWO_PI     6.283185307179586

struct wave {
    float *re, *im; /* [2 * radius + 1] */
    int radius;
};

struct phi_energy {
    size_t height, width;
    struct wave x[PHI_ENERGY_SCALES][PHI_ENERGY_ORIENTATIONS];
    struct wave y[PHI_ENERGY_SCALES][PHI_ENERGY_ORIENTATIONS];
    float *planes; /* [N_PLANES][height][width] */
};

/* exp(-t^2 / 2 sd^2 + i k t), the envelope's sum 1. */
static bool make_wave(double sd, double k, struct wave *ret)
{
    int radius = (int)ceil(RADIUS_SD * sd);
    size_t n = 2 * (size_t)radius + 1;
    double sum = 0;

    ret->radius = radius;
    ret->re = phi_calloc(n, sizeof *ret->re);
    ret->im = phi_calloc(n, sizeof *ret->im);
    if (!ret->re || !ret->im)
        return false;
    for (int t = -radius; t <= radius; t++)
        sum += exp(-0.5 * t * t / (sd * sd));
    for (int t = -radius; t <= radius; t++) {
        double g = exp(-0.5 * t * t / (sd * sd)) / sum;

        ret->re[t + radius] = (float)(g * cos(k * t));
        ret->im[t + radius] = (float)(g * sin(k * t));
    }
    return true;
}

enum ph_status phi_energy_create(size_t height, size_t width, struct phi_energy **ret_energy,
                                 struct ph_error *reterr)
{
    struct phi_energy *energy;
    bool good;

    if (height < LEAST_SIDE || width < LEAST_SIDE || height > 8192 || width > 8192)
        return phi_error(reterr, PH_E_SHAPE,
                         "pictures of %zu x %zu pixels: oriented energies need %d to 8192 a side",
                         width, height, LEAST_SIDE);
    energy = phi_calloc(1, sizeof *energy);
    if (!energy)
        return phi_error_nomem(reterr, "filters", sizeof *energy);
    energy->height = height;
    energy->width = width;
    energy->planes = phi_calloc2(height * width, N_PLANES, sizeof(float));
    good = energy->planes != NULL;
    for (int s = 0; s < PHI_ENERGY_SCALES; s++) {
        double wavelength = (double)height / (16 >> s);

        for (int o = 0; o < PHI_ENERGY_ORIENTATIONS; o++) {
            double angle = TWO_PI * o / (2 * PHI_ENERGY_ORIENTATIONS), k = TWO_PI / wavelength;

            good = good && make_wave(ENVELOPE * wavelength, k * cos(angle), &energy->x[s][o]) &&
                   make_wave(ENVELOPE * wavelength, k * sin(angle), &energy->y[s][o]);
        }
    }
    if (!good) {
        phi_energy_destroy(&energy);
        return phi_error_nomem(reterr, "filters", height * width * N_PLANES * sizeof(float));
    }
    *ret_energy = energy;
    return PH_OK;
}

void phi_energy_destroy(struct phi_energy **energy)
{
    if (!energy || !*energy)
        return;
    for (int s = 0; s < PHI_ENERGY_SCALES; s++)
        for (int o = 0; o < PHI_ENERGY_ORIENTATIONS; o++) {
            phi_free((*energy)->x[s][o].re);
            phi_free((*energy)->x[s][o].im);
            phi_free((*energy)->y[s][o].re);
            phi_free((*energy)->y[s][o].im);
        }
    phi_free((*energy)->planes);
    phi_free(*energy);
    *energy = NULL;
}

static size_t inside(long at, size_t n)
{
    return at < 0 ? 0 : (size_t)at >= n ? n - 1 : (size_t)at;
}

/* Complex sums of a real map along rows; the border's value goes on outside. */
static void along_x(const struct phi_energy *e, const struct wave *wave, const float *in, float *re,
                    float *im)
{
    for (size_t row = 0; row < e->height; row++)
        for (size_t col = 0; col < e->width; col++) {
            float a = 0, b = 0;

            for (int t = -wave->radius; t <= wave->radius; t++) {
                float value = in[row * e->width + inside((long)col + t, e->width)];

                a += wave->re[t + wave->radius] * value;
                b += wave->im[t + wave->radius] * value;
            }
            re[row * e->width + col] = a;
            im[row * e->width + col] = b;
        }
}

/* Complex sums of a complex map along columns, and the root of the energy into ret. */
static void along_y(const struct phi_energy *e, const struct wave *wave, const float *re,
                    const float *im, float *ret)
{
    for (size_t row = 0; row < e->height; row++)
        for (size_t col = 0; col < e->width; col++) {
            float a = 0, b = 0;

            for (int t = -wave->radius; t <= wave->radius; t++) {
                size_t at = inside((long)row + t, e->height) * e->width + col;
                float c = wave->re[t + wave->radius], s = wave->im[t + wave->radius];

                a += c * re[at] - s * im[at];
                b += c * im[at] + s * re[at];
            }
            ret[row * e->width + col] = sqrtf(a * a + b * b);
        }
}

/* Means in cells of map[height][width]. */
static void pool(const struct phi_energy *e, const float *map, float *ret)
{
    for (size_t i = 0; i < PHI_ENERGY_CELLS; i++)
        for (size_t j = 0; j < PHI_ENERGY_CELLS; j++) {
            size_t top = i * e->height / PHI_ENERGY_CELLS,
                   bottom = (i + 1) * e->height / PHI_ENERGY_CELLS;
            size_t left = j * e->width / PHI_ENERGY_CELLS,
                   right = (j + 1) * e->width / PHI_ENERGY_CELLS;
            float sum = 0;

            for (size_t row = top; row < bottom; row++)
                for (size_t col = left; col < right; col++)
                    sum += map[row * e->width + col];
            ret[i * PHI_ENERGY_CELLS + j] = sum / (float)((bottom - top) * (right - left));
        }
}

/* One number a pixel: luminance, red against green, blue against yellow, all of values 0..1. */
static float channel_of(const uint8_t *rgb, int channel)
{
    float r = (float)rgb[0] / 255, g = (float)rgb[1] / 255, b = (float)rgb[2] / 255;

    if (channel == 0)
        return 0.299F * r + 0.587F * g + 0.114F * b;
    return channel == 1 ? r - g : b - 0.5F * (r + g);
}

static void fill_channel(const struct phi_energy *e, const uint8_t *rgb, int channel, float *map)
{
    for (size_t i = 0; i < e->height * e->width; i++)
        map[i] = channel_of(rgb + 3 * i, channel);
}

void phi_energy_features(struct phi_energy *energy, const uint8_t *rgb, float *ret)
{
    size_t n = energy->height * energy->width, n_cells = PHI_ENERGY_CELLS * PHI_ENERGY_CELLS;
    float *luminance = energy->planes, *re = luminance + n, *im = re + n, *map = im + n;
    double mean = 0;

    for (int c = 1; c < 3; c++) {
        fill_channel(energy, rgb, c, map);
        pool(energy, map,
             ret + ((size_t)(PHI_ENERGY_SCALES * PHI_ENERGY_ORIENTATIONS + c)) * n_cells);
    }
    fill_channel(energy, rgb, 0, luminance);
    pool(energy, luminance, ret + (size_t)(PHI_ENERGY_SCALES * PHI_ENERGY_ORIENTATIONS) * n_cells);
    for (size_t i = 0; i < n; i++)
        mean += (double)luminance[i] / (double)n;
    for (size_t i = 0; i < n; i++) /* the envelopes are not wide enough to answer nothing to it */
        luminance[i] -= (float)mean;
    for (int s = 0; s < PHI_ENERGY_SCALES; s++)
        for (int o = 0; o < PHI_ENERGY_ORIENTATIONS; o++) {
            along_x(energy, &energy->x[s][o], luminance, re, im);
            along_y(energy, &energy->y[s][o], re, im, map);
            pool(energy, map, ret + (size_t)(s * PHI_ENERGY_ORIENTATIONS + o) * n_cells);
        }
}
