/* SPDX-License-Identifier: MIT */
#include "signal/design.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

double phi_design_volume_time(const struct phi_design_timing *timing, size_t k)
{
    return ((double)k + timing->ref) * timing->tr_s;
}

static enum ph_status check_timing(const struct phi_design_timing *timing, struct ph_error *reterr)
{
    if (timing->n_volumes == 0)
        return phi_error(reterr, PH_E_INVAL, "the run has no volumes: give its planned length");
    if (!(isfinite(timing->tr_s) && timing->tr_s > 0))
        return phi_error(reterr, PH_E_INVAL,
                         "TR of %g s: give the repetition time in seconds, above 0", timing->tr_s);
    if (!(timing->ref >= 0 && timing->ref <= 1))
        return phi_error(reterr, PH_E_INVAL,
                         "slice reference of %g TR: it must lie between 0 and 1", timing->ref);
    return PH_OK;
}

static enum ph_status check_event(const struct phi_event *event, double run_s, double reach_s,
                                  struct ph_error *reterr)
{
    if (!isfinite(event->onset_s) || !isfinite(event->duration_s) || !isfinite(event->amplitude))
        return phi_error(reterr, PH_E_INVAL,
                         "onset, duration and amplitude must be numbers: found %g, %g, %g",
                         event->onset_s, event->duration_s, event->amplitude);
    if (event->duration_s < 0)
        return phi_error(reterr, PH_E_INVAL, "negative duration of %g s", event->duration_s);
    if (event->onset_s >= run_s || event->onset_s + event->duration_s + reach_s <= 0)
        return phi_error(
            reterr, PH_E_INVAL,
            "onset %g s lies outside the run of %g s: compare the events file with the "
            "run's length and TR",
            event->onset_s, run_s);
    return PH_OK;
}

enum ph_status phi_design_check(const struct phi_design_timing *timing,
                                const struct phi_event *events, size_t n_events,
                                const struct phi_hrf *hrf, struct ph_error *reterr)
{
    enum ph_status status = check_timing(timing, reterr);

    if (status == PH_OK && !phi_hrf_valid(hrf))
        return phi_error(reterr, PH_E_INVAL,
                         "response parameters must be finite and above 0 (onset: finite)");
    for (size_t i = 0; status == PH_OK && i < n_events; i++) {
        status = check_event(&events[i], (double)timing->n_volumes * timing->tr_s, hrf->length_s,
                             reterr);
        if (status != PH_OK)
            phi_error_prefix(reterr, "event %zu of %zu", i + 1, n_events);
    }
    return status;
}

static int selects(const struct phi_regressor *regressor, const struct phi_event *event)
{
    return regressor->trial_type == PHI_DESIGN_ALL_TYPES ||
           regressor->trial_type == event->trial_type;
}

double phi_regressor_at(const struct phi_regressor *regressor, double t_s)
{
    double sum = 0;

    for (size_t i = 0; i < regressor->n_events; i++) {
        const struct phi_event *event = &regressor->events[i];

        if (selects(regressor, event))
            sum += event->amplitude * phi_hrf_event(&regressor->hrf, regressor->part,
                                                    t_s - event->onset_s, event->duration_s);
    }
    return sum;
}

void phi_regressor_column(const struct phi_regressor *regressor,
                          const struct phi_design_timing *timing, double *ret_column)
{
    for (size_t k = 0; k < timing->n_volumes; k++)
        ret_column[k] = phi_regressor_at(regressor, phi_design_volume_time(timing, k));
}

void phi_design_fir_row(const struct phi_regressor *regressor,
                        const struct phi_design_timing *timing, size_t k, size_t n_delays,
                        double *ret_row)
{
    memset(ret_row, 0, n_delays * sizeof *ret_row);
    for (size_t i = 0; i < regressor->n_events; i++) {
        const struct phi_event *event = &regressor->events[i];
        double delay = (double)k - floor(event->onset_s / timing->tr_s + 0.5);

        if (selects(regressor, event) && delay >= 0 && delay < (double)n_delays)
            ret_row[(size_t)delay] += event->amplitude;
    }
}

size_t phi_design_dct_count(size_t n_volumes, double tr_s, double cutoff_s)
{
    double n;

    if (!(tr_s > 0) || !(cutoff_s > 0))
        return 0;
    n = floor(2 * (double)n_volumes * tr_s / cutoff_s);
    return n < (double)n_volumes ? (size_t)n : n_volumes - (n_volumes > 0);
}

static size_t held_at_end(size_t n_volumes, size_t k)
{
    return k < n_volumes ? k : n_volumes - (n_volumes > 0);
}

void phi_design_dct_row(size_t n_volumes, size_t k, size_t n_columns, double *ret_row)
{
    double n = (double)(n_volumes ? n_volumes : 1);
    double angle = 3.14159265358979323846 * (2 * (double)held_at_end(n_volumes, k) + 1) / (2 * n);

    for (size_t c = 0; c < n_columns; c++)
        ret_row[c] = sqrt(2 / n) * cos(angle * (double)(c + 1));
}

size_t phi_design_polynomial_order(size_t n_volumes, double tr_s)
{
    double duration_s = (double)n_volumes * tr_s;

    return duration_s > 0 && duration_s < 1e9 ? 1 + (size_t)floor(duration_s / 150) : 1;
}

void phi_design_legendre_row(size_t n_volumes, size_t k, size_t n_columns, double *ret_row)
{
    double last = n_volumes > 1 ? (double)(n_volumes - 1) : 1;
    double x = 2 * (double)held_at_end(n_volumes, k) / last - 1;

    for (size_t m = 0; m < n_columns; m++) {
        double order = (double)m;

        if (m < 2)
            ret_row[m] = m ? x : 1;
        else
            ret_row[m] =
                ((2 * order - 1) * x * ret_row[m - 1] - (order - 1) * ret_row[m - 2]) / order;
    }
}

enum ph_status phi_design_motion_row(const double params[6], const double previous[6],
                                     size_t n_columns, double *ret_row)
{
    size_t per = n_columns / 6;

    if (n_columns != 6 && n_columns != 12 && n_columns != 24)
        return PH_E_INVAL;
    for (size_t i = 0; i < 6; i++) {
        double step = previous ? params[i] - previous[i] : 0;
        const double all[4] = {params[i], step, params[i] * params[i], step * step};

        memcpy(ret_row + i * per, all, per * sizeof *all);
    }
    return PH_OK;
}
