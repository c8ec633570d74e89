/* SPDX-License-Identifier: MIT */
#include "decode/image_score.h"

#include <math.h>

#include "base/error.h"
#include "base/mem.h"

#define TAPS  11
#define SIGMA 1.5
#define K1    0.01
#define K2    0.03

static size_t n_values(struct phi_image_view image)
{
    return image.height * image.width * image.n_channels;
}

double phi_image_mse(struct phi_image_view a, struct phi_image_view b)
{
    size_t n = n_values(a);
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        double d = (double)a.pixels[i] - (double)b.pixels[i];

        sum += d * d;
    }
    return n ? sum / (double)n : 0;
}

double phi_image_psnr(double mse, double range)
{
    return mse > 0 ? 10 * log10(range * range / mse) : INFINITY;
}

static double mean_of(struct phi_image_view image)
{
    size_t n = n_values(image);
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)image.pixels[i];
    return n ? sum / (double)n : 0;
}

double phi_image_corr(struct phi_image_view a, struct phi_image_view b, bool *ret_undefined)
{
    double ma = mean_of(a), mb = mean_of(b), saa = 0, sbb = 0, sab = 0;
    bool undefined;

    for (size_t i = 0; i < n_values(a); i++) {
        double da = (double)a.pixels[i] - ma, db = (double)b.pixels[i] - mb;

        saa += da * da;
        sbb += db * db;
        sab += da * db;
    }
    undefined = !(saa > 0 && sbb > 0);
    if (ret_undefined)
        *ret_undefined = undefined;
    return undefined ? 0 : sab / sqrt(saa * sbb);
}

static void gaussian_taps(double *taps)
{
    double sum = 0;

    for (int i = 0; i < TAPS; i++) {
        int r = i - TAPS / 2;

        taps[i] = exp(-r * r / (2 * SIGMA * SIGMA));
        sum += taps[i];
    }
    for (int i = 0; i < TAPS; i++)
        taps[i] /= sum;
}

/* The five windowed moments of SSIM at one place. */
struct moments {
    double a, b, aa, bb, ab;
};

static double ssim_of(const struct moments *m, double range)
{
    double c1 = K1 * range * K1 * range, c2 = K2 * range * K2 * range;
    double vaa = m->aa - m->a * m->a, vbb = m->bb - m->b * m->b, vab = m->ab - m->a * m->b;

    return (2 * m->a * m->b + c1) * (2 * vab + c2) /
           ((m->a * m->a + m->b * m->b + c1) * (vaa + vbb + c2));
}

static void add_moments(struct moments *sum, const struct moments *m, double weight)
{
    sum->a += weight * m->a;
    sum->b += weight * m->b;
    sum->aa += weight * m->aa;
    sum->bb += weight * m->bb;
    sum->ab += weight * m->ab;
}

/* One channel of the two pictures. */
struct plane_pair {
    struct phi_image_view a, b;
    size_t channel;
    double taps[TAPS];
    struct moments *row; /* [width], moments of one row position after the vertical pass */
};

static struct moments vertical_moments(const struct plane_pair *pair, size_t top, size_t x)
{
    struct moments sum = {0};

    for (size_t t = 0; t < TAPS; t++) {
        size_t at = ((top + t) * pair->a.width + x) * pair->a.n_channels + pair->channel;
        double a = (double)pair->a.pixels[at], b = (double)pair->b.pixels[at];
        struct moments here = {a, b, a * a, b * b, a * b};

        add_moments(&sum, &here, pair->taps[t]);
    }
    return sum;
}

/* Sum of SSIM along one window position row; `n_across` taps are 11 (two-dimensional) or 1. */
static double ssim_row(const struct plane_pair *pair, size_t top, size_t n_across, double range)
{
    double sum = 0;

    for (size_t x = 0; x < pair->a.width; x++)
        pair->row[x] = vertical_moments(pair, top, x);
    for (size_t x = 0; x + n_across <= pair->a.width; x++) {
        struct moments m = {0};

        if (n_across == 1)
            m = pair->row[x];
        for (size_t t = 0; n_across > 1 && t < n_across; t++)
            add_moments(&m, &pair->row[x + t], pair->taps[t]);
        sum += ssim_of(&m, range);
    }
    return sum;
}

static enum ph_status check_pair(struct phi_image_view a, struct phi_image_view b, size_t n_across,
                                 struct ph_error *reterr)
{
    if (a.height != b.height || a.width != b.width || a.n_channels != b.n_channels)
        return phi_error(reterr, PH_E_SHAPE,
                         "cannot compare a picture of %zu x %zu x %zu with one of %zu x %zu x %zu",
                         a.height, a.width, a.n_channels, b.height, b.width, b.n_channels);
    if (a.height < TAPS || a.width < n_across || !a.n_channels)
        return phi_error(reterr, PH_E_SHAPE,
                         "a picture of %zu x %zu is smaller than the %d pixel window of SSIM",
                         a.height, a.width, TAPS);
    return PH_OK;
}

static enum ph_status ssim(struct phi_image_view a, struct phi_image_view b, size_t n_across,
                           double *range_in_ssim_out, struct ph_error *reterr)
{
    struct plane_pair pair = {.a = a, .b = b};
    enum ph_status status = check_pair(a, b, n_across, reterr);
    double sum = 0;

    if (status)
        return status;
    pair.row = phi_calloc(a.width, sizeof *pair.row);
    if (!pair.row)
        return phi_error_nomem(reterr, "SSIM row", a.width * sizeof *pair.row);
    gaussian_taps(pair.taps);
    for (pair.channel = 0; pair.channel < a.n_channels; pair.channel++)
        for (size_t top = 0; top + TAPS <= a.height; top++)
            sum += ssim_row(&pair, top, n_across, *range_in_ssim_out);
    phi_free(pair.row);
    *range_in_ssim_out =
        sum / (double)((a.height - TAPS + 1) * (a.width - n_across + 1)) / (double)a.n_channels;
    return PH_OK;
}

enum ph_status phi_image_ssim(struct phi_image_view a, struct phi_image_view b, double range,
                              double *ret_ssim, struct ph_error *reterr)
{
    double value = range;
    enum ph_status status = ssim(a, b, TAPS, &value, reterr);

    if (status == PH_OK)
        *ret_ssim = value;
    return status;
}

enum ph_status phi_image_ssim_nsd(struct phi_image_view a, struct phi_image_view b, double range,
                                  double *ret_ssim, struct ph_error *reterr)
{
    double value = range;
    enum ph_status status = ssim(a, b, 1, &value, reterr);

    if (status == PH_OK)
        *ret_ssim = value;
    return status;
}

void phi_image_grey(struct phi_image_view rgb, float *ret_grey)
{
    for (size_t i = 0; i < rgb.height * rgb.width; i++) {
        const float *p = rgb.pixels + i * rgb.n_channels;

        ret_grey[i] = 0.2125F * p[0] + 0.7154F * p[1] + 0.0721F * p[2];
    }
}
