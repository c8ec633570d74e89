/* SPDX-License-Identifier: MIT */
#include "signal/regressors.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

struct phi_regressors {
    struct phi_regressors_config config;
    struct phi_event *events; /* [max_events] those whose response is not over */
    size_t n_events;
    double motion[6];
    bool has_motion;
};

static enum ph_status check(const struct phi_regressors_config *c, struct ph_error *reterr)
{
    bool fixed = c->drift != PHI_DRIFT_NONE && c->n_drift > 0;

    if (c->n_motion != 0 && c->n_motion != 6 && c->n_motion != 12 && c->n_motion != 24)
        return phi_error(reterr, PH_E_INVAL,
                         "%zu motion regressors: there are sets of 6, 12 and 24", c->n_motion);
    if (fixed && c->timing.n_volumes < 2)
        return phi_error(reterr, PH_E_INVAL,
                         "drift regressors need the planned length of the run: give it, or use no "
                         "drift");
    if (fixed && c->n_drift >= c->timing.n_volumes)
        return phi_error(reterr, PH_E_INVAL, "%zu drift regressors for %zu volumes", c->n_drift,
                         c->timing.n_volumes);
    if (c->n_drift > PHI_REGRESSORS_MAX_DRIFT || c->n_conditions > PHI_REGRESSORS_MAX_CONDITIONS)
        return phi_error(reterr, PH_E_LIMIT,
                         "%zu drift regressors and %zu conditions: at most %d of each", c->n_drift,
                         c->n_conditions, PHI_REGRESSORS_MAX_DRIFT);
    if (c->n_conditions == 0)
        return PH_OK;
    if (c->n_fir > PHI_REGRESSORS_MAX_FIR)
        return phi_error(reterr, PH_E_LIMIT, "%zu delays of a response: at most %d", c->n_fir,
                         PHI_REGRESSORS_MAX_FIR);
    if (c->max_events == 0 ||
        (c->n_fir == 0 && (c->n_parts < 1 || c->n_parts > 3 || !phi_hrf_valid(&c->hrf))))
        return phi_error(reterr, PH_E_INVAL, "conditions need a response of 1 to 3 parts");
    if (!(c->timing.tr_s > 0))
        return phi_error(reterr, PH_E_INVAL, "conditions need the TR; it is %g s", c->timing.tr_s);
    return PH_OK;
}

enum ph_status phi_regressors_create(const struct phi_regressors_config *config,
                                     struct phi_regressors **ret_regressors,
                                     struct ph_error *reterr)
{
    enum ph_status status = check(config, reterr);
    struct phi_regressors *r;

    if (status != PH_OK)
        return status;
    r = phi_calloc(1, sizeof *r);
    if (r) {
        r->config = *config;
        if (config->drift == PHI_DRIFT_NONE)
            r->config.n_drift = 0;
        r->events = phi_calloc(config->max_events, sizeof *r->events);
    }
    if (!r || !r->events) {
        phi_regressors_destroy(&r);
        return phi_error(reterr, PH_E_NOMEM, "no memory for %zu events", config->max_events);
    }
    *ret_regressors = r;
    return PH_OK;
}

void phi_regressors_destroy(struct phi_regressors **regressors)
{
    if (!regressors || !*regressors)
        return;
    phi_free((*regressors)->events);
    phi_free(*regressors);
    *regressors = NULL;
}

void phi_regressors_reset(struct phi_regressors *regressors)
{
    regressors->n_events = 0;
    regressors->has_motion = false;
}

static size_t n_before_conditions(const struct phi_regressors *r)
{
    return 1 + r->config.n_drift + r->config.n_motion + r->config.n_extra;
}

size_t phi_regressors_n_columns(const struct phi_regressors *regressors)
{
    return n_before_conditions(regressors) +
           regressors->config.n_conditions * phi_regressors_width(regressors);
}

size_t phi_regressors_column_of(const struct phi_regressors *regressors, size_t condition)
{
    return n_before_conditions(regressors) + condition * phi_regressors_width(regressors);
}

size_t phi_regressors_width(const struct phi_regressors *regressors)
{
    return regressors->config.n_fir ? regressors->config.n_fir : regressors->config.n_parts;
}

enum ph_status phi_regressors_event(struct phi_regressors *regressors,
                                    const struct phi_event *event)
{
    if (!isfinite(event->onset_s) || !isfinite(event->duration_s) || !isfinite(event->amplitude) ||
        event->duration_s < 0 || event->trial_type >= regressors->config.n_conditions)
        return PH_E_INVAL;
    if (regressors->n_events >= regressors->config.max_events)
        return PH_E_LIMIT;
    regressors->events[regressors->n_events++] = *event;
    return PH_OK;
}

/* Twice the sampled length: what is left of a response then is below 1e-9 of its peak. Delays of
 * whole volumes count from the onset. */
static bool is_over(const struct phi_regressors *r, const struct phi_event *event, double t_s)
{
    double delays_s = (double)(r->config.n_fir + 1) * r->config.timing.tr_s;

    if (r->config.n_fir)
        return t_s - event->onset_s > delays_s;
    return t_s - event->onset_s - event->duration_s > 2 * r->config.hrf.length_s;
}

static void drop_old_events(struct phi_regressors *r, double t_s)
{
    size_t kept = 0;

    for (size_t i = 0; i < r->n_events; i++)
        if (!is_over(r, &r->events[i], t_s))
            r->events[kept++] = r->events[i];
    r->n_events = kept;
}

static void fill_drift(const struct phi_regressors *r, size_t k, double *out)
{
    double row[PHI_REGRESSORS_MAX_DRIFT + 1];
    size_t n = r->config.n_drift;
    size_t n_volumes = r->config.timing.n_volumes;

    if (r->config.drift == PHI_DRIFT_DCT) {
        phi_design_dct_row(n_volumes, k, n, out);
    } else if (r->config.drift == PHI_DRIFT_LEGENDRE) {
        phi_design_legendre_row(n_volumes, k, n + 1, row);
        memcpy(out, row + 1, n * sizeof *out);
    }
}

static bool all_finite(const double *x, size_t n)
{
    bool ok = true;

    for (size_t i = 0; i < n; i++)
        ok = ok && isfinite(x[i]);
    return ok;
}

static void fill_motion(struct phi_regressors *r, const double *motion, double *out)
{
    if (r->config.n_motion == 0)
        return;
    /* the count was checked at create */
    if (phi_design_motion_row(motion, r->has_motion ? r->motion : NULL, r->config.n_motion, out) !=
            PH_OK ||
        !all_finite(motion, 6))
        return; /* an unmeasured volume is no volume before */
    memcpy(r->motion, motion, sizeof r->motion);
    r->has_motion = true;
}

static void fill_condition(const struct phi_regressors *r, size_t c, size_t k, double t_s,
                           double *out)
{
    struct phi_regressor regressor = {r->events, r->n_events, (uint32_t)c, r->config.hrf,
                                      PHI_HRF_CANONICAL};

    if (r->config.n_fir) {
        phi_design_fir_row(&regressor, &r->config.timing, k, r->config.n_fir, out);
        return;
    }
    for (size_t part = 0; part < r->config.n_parts; part++) {
        regressor.part = (enum phi_hrf_part)part;
        out[part] = phi_regressor_at(&regressor, t_s);
    }
}

static void fill_conditions(struct phi_regressors *r, size_t k, double t_s, double *row)
{
    drop_old_events(r, t_s);
    for (size_t c = 0; c < r->config.n_conditions; c++)
        fill_condition(r, c, k, t_s, row + phi_regressors_column_of(r, c));
}

void phi_regressors_row(struct phi_regressors *regressors, size_t k, double t_s,
                        const double *motion, const double *extra, double *ret_row)
{
    const struct phi_regressors_config *c = &regressors->config;
    double *out = ret_row;

    *out++ = 1;
    fill_drift(regressors, k, out);
    out += c->n_drift;
    fill_motion(regressors, motion, out);
    out += c->n_motion;
    if (c->n_extra > 0)
        memcpy(out, extra, c->n_extra * sizeof *out);
    fill_conditions(regressors, k, t_s, ret_row);
}

/* The longest of names[n] that `at` begins with; n if there is none. */
static size_t longest_name(const char *at, const char *const *names, size_t n, size_t *ret_length)
{
    size_t best = n;

    *ret_length = 0;
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(names[i]);

        if (length > *ret_length && strncmp(at, names[i], length) == 0) {
            best = i;
            *ret_length = length;
        }
    }
    return best;
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

/* "[+|-] [number *] name" at *at; moves it behind. False where that is not what is there. */
static bool parse_term(const char **at, bool first, const char *const *names, size_t n,
                       double *weights)
{
    const char *p = skip_blanks(*at);
    double factor = *p == '-' ? -1 : 1;
    size_t length, which;
    char *end;

    if (*p == '+' || *p == '-')
        p = skip_blanks(p + 1);
    else if (!first)
        return false;
    which = longest_name(p, names, n, &length);
    if (which == n) {
        double number = strtod(p, &end);
        const char *star = skip_blanks(end);

        if (end == p || *star != '*' || !isfinite(number))
            return false;
        factor *= number;
        p = skip_blanks(star + 1);
        which = longest_name(p, names, n, &length);
    }
    if (which == n)
        return false;
    weights[which] += factor;
    *at = skip_blanks(p + length);
    return true;
}

enum ph_status phi_contrast_parse(const char *text, const char *const *names, size_t n_names,
                                  double *ret_weights, struct ph_error *reterr)
{
    double weights[PHI_REGRESSORS_MAX_CONDITIONS] = {0};
    const char *at = text;
    bool first = true;

    if (n_names > PHI_REGRESSORS_MAX_CONDITIONS)
        return phi_error(reterr, PH_E_LIMIT, "%zu conditions: at most %d", n_names,
                         PHI_REGRESSORS_MAX_CONDITIONS);
    do {
        if (!parse_term(&at, first, names, n_names, weights))
            return phi_error(reterr, PH_E_INVAL,
                             "contrast \"%s\" is not understood at \"%s\": write it like "
                             "face-house, with the names of the conditions",
                             text, at);
        first = false;
    } while (*at);
    memcpy(ret_weights, weights, n_names * sizeof *weights);
    return PH_OK;
}
