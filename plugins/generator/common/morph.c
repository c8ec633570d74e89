/* SPDX-License-Identifier: MIT */
#include "plugins/generator/common/morph.h"

#include <math.h>
#include <string.h>

enum ph_status phi_morph_init(struct phi_morph *morph, size_t n, double glide_s, bool spherical,
                              const struct ph_host *host)
{
    morph->n = n;
    morph->from = host->alloc(host->self, n, sizeof(float));
    morph->to = host->alloc(host->self, n, sizeof(float));
    morph->now = host->alloc(host->self, n, sizeof(float));
    morph->glide_ns = (int64_t)(glide_s * 1e9);
    morph->spherical = spherical;
    return morph->from && morph->to && morph->now ? PH_OK : PH_E_NOMEM;
}

void phi_morph_aim(struct phi_morph *morph, const float *to, int64_t now_ns)
{
    memcpy(morph->from, morph->now, morph->n * sizeof *morph->from);
    memcpy(morph->to, to, morph->n * sizeof *morph->to);
    morph->start_ns = now_ns;
    morph->aimed = true;
}

void phi_morph_between(const float *a, const float *b, size_t n, float t, bool spherical,
                       float *ret)
{
    double aa = 0;
    double bb = 0;
    double ab = 0;
    double wa = 1 - (double)t;
    double wb = (double)t;

    for (size_t i = 0; spherical && i < n; i++) {
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
        ab += (double)a[i] * (double)b[i];
    }
    /* An arc needs two directions that differ; else the straight way is the same or all there is.
     */
    if (aa > 1e-12 && bb > 1e-12) {
        double angle = acos(fmin(fmax(ab / sqrt(aa * bb), -1), 1));

        if (angle > 1e-3 && angle < 3.14) {
            double length = (1 - (double)t) * sqrt(aa) + (double)t * sqrt(bb);

            wa = sin((1 - (double)t) * angle) / sin(angle) * length / sqrt(aa);
            wb = sin((double)t * angle) / sin(angle) * length / sqrt(bb);
        }
    }
    for (size_t i = 0; i < n; i++)
        ret[i] = (float)(wa * (double)a[i] + wb * (double)b[i]);
}

bool phi_morph_move(struct phi_morph *morph, int64_t now_ns)
{
    float t = morph->glide_ns > 0
                  ? (float)((double)(now_ns - morph->start_ns) / (double)morph->glide_ns)
                  : 1;

    if (!morph->aimed)
        return true;
    if (!(t < 1)) {
        memcpy(morph->now, morph->to, morph->n * sizeof *morph->now);
        return true;
    }
    t = t > 0 ? t * t * (3 - 2 * t) : 0; /* starts and ends softly */
    phi_morph_between(morph->from, morph->to, morph->n, t, morph->spherical, morph->now);
    return false;
}

void phi_morph_reset(struct phi_morph *morph)
{
    memset(morph->from, 0, morph->n * sizeof *morph->from);
    memset(morph->to, 0, morph->n * sizeof *morph->to);
    memset(morph->now, 0, morph->n * sizeof *morph->now);
    morph->aimed = false;
}
