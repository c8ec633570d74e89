/* SPDX-License-Identifier: MIT */
#include "plugins/filter/regions/signal.h"

#include <math.h>
#include <string.h>

void region_init(struct region *region, const struct region_config *config)
{
    memset(region, 0, sizeof *region);
    region->config = *config;
    region->iir = config->iir;
    phi_iir_reset(&region->iir);
    phi_despike_init(&region->despike, 0);
}

static void keep(struct region *region, double unfiltered, double filtered)
{
    region->kept[region->n % REGION_KEPT] = unfiltered;
    region->shown[region->n % REGION_KEPT] = (float)filtered;
    region->n++;
}

static double to_percent(const struct region *region, double mean)
{
    double level = region->baseline.mean;

    if (!region->config.percent)
        return mean;
    return level != 0 ? 100 * (mean - level) / fabs(level) : 0;
}

float region_step(struct region *region, double mean, bool learn)
{
    size_t wanted = region->config.n_baseline;
    double value, filtered;

    if (learn && (wanted == 0 || region->baseline.n < wanted))
        phi_welford_add(&region->baseline, mean);
    value = to_percent(region, mean);
    if (!learn) {
        float last = region->n ? region->shown[(region->n - 1) % REGION_KEPT] : (float)value;

        keep(region, NAN, (double)last);
        return last;
    }
    filtered = phi_iir_step(&region->iir, value);
    if (region->config.despike)
        filtered = phi_despike_step(&region->despike, filtered);
    keep(region, value, filtered);
    return (float)filtered;
}

void region_skip(struct region *region)
{
    keep(region, NAN, NAN);
}

static size_t newest(const struct region *region, size_t n)
{
    size_t there = region->n < REGION_KEPT ? region->n : REGION_KEPT;

    return n < there ? n : there;
}

static double sample_of(const struct region *region, size_t back)
{
    return region->kept[(region->n - 1 - back) % REGION_KEPT];
}

size_t region_unfiltered(const struct region *region, size_t n, double *ret_samples)
{
    double last = 0;

    n = newest(region, n);
    for (size_t back = 0; back < n; back++) /* the oldest that there is stands for those before */
        last = isfinite(sample_of(region, back)) ? sample_of(region, back) : last;
    for (size_t i = 0; i < n; i++) {
        double sample = sample_of(region, n - 1 - i);

        last = isfinite(sample) ? sample : last;
        ret_samples[i] = last;
    }
    return n;
}

size_t region_filtered(const struct region *region, size_t n, float *ret_samples)
{
    n = newest(region, n);
    for (size_t i = 0; i < n; i++)
        ret_samples[i] = region->shown[(region->n - n + i) % REGION_KEPT];
    return n;
}
