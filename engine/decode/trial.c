/* SPDX-License-Identifier: MIT */
#include "decode/trial.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/reduce.h"
#include "decode/trial_private.h"

static enum ph_status check_config(const struct phi_trials_config *config, struct ph_error *reterr)
{
    if (!config->n_channels || !config->d || !config->response)
        return phi_error(reterr, PH_E_INVAL, "a trial decoder needs channels and a response");
    if (!(config->rho >= 0 && config->rho < 1))
        return phi_error(reterr, PH_E_INVAL, "noise correlation rho is %g: it must be in [0, 1)",
                         config->rho);
    if (!(config->tr_s > 0) || !(config->response_s > 0))
        return phi_error(reterr, PH_E_INVAL,
                         "repetition time %g s and response length %g s must be above 0",
                         config->tr_s, config->response_s);
    if (!(config->level_sd >= 0) || isinf(config->level_sd))
        return phi_error(reterr, PH_E_INVAL, "level sd is %g: it must not be negative",
                         config->level_sd);
    if (config->max_open > MAX)
        return phi_error(reterr, PH_E_LIMIT, "max_open is %zu: at most %d trials at once",
                         config->max_open, MAX);
    for (size_t i = 0; i < config->n_channels; i++)
        if (!(config->d[i] >= 0) || isinf(config->d[i]))
            return phi_error(reterr, PH_E_INVAL, "channel %zu has signal %g: the decoder is broken",
                             i, config->d[i]);
    for (size_t i = 0; config->weight_error && i < config->n_channels; i++)
        if (!(config->weight_error[i] >= 0) || isinf(config->weight_error[i]))
            return phi_error(reterr, PH_E_INVAL,
                             "channel %zu has weight error %g: the decoder is broken", i,
                             config->weight_error[i]);
    return PH_OK;
}

static bool allocate(struct phi_trials *trials)
{
    size_t p = trials->config.n_channels, a = trials->side;
    size_t n = trials->config.n_remembered;

    trials->on = phi_calloc(p, sizeof(double));
    trials->x_now = phi_calloc(p, sizeof(double));
    trials->d = phi_calloc(p, sizeof(double));
    trials->stretch = phi_calloc(p, sizeof(double));
    trials->told_mean = phi_calloc2(a, p, sizeof(double));
    trials->told_var = phi_calloc2(a, p, sizeof(double));
    trials->cov = phi_calloc2(p, a * a, sizeof(double));
    trials->v = phi_calloc2(p, a, sizeof(double));
    trials->mean = phi_calloc2(a, p, sizeof(double));
    trials->var = phi_calloc2(a, p, sizeof(double));
    trials->x_last = phi_calloc(p, sizeof(double));
    trials->inn = phi_calloc(p, sizeof(double));
    trials->den = phi_calloc(p, sizeof(double));
    trials->memory = phi_calloc(n, sizeof *trials->memory);
    trials->memory_values = phi_calloc2(n, p, 2 * sizeof(double));
    return trials->on && trials->x_now && trials->d && trials->stretch && trials->told_mean &&
           trials->told_var && trials->cov && trials->v && trials->mean && trials->var &&
           trials->x_last && trials->inn && trials->den && trials->memory && trials->memory_values;
}

enum ph_status phi_trials_create(const struct phi_trials_config *config,
                                 struct phi_trials **ret_trials, struct ph_error *reterr)
{
    enum ph_status status = check_config(config, reterr);
    struct phi_trials *trials;

    if (status)
        return status;
    trials = phi_calloc(1, sizeof *trials);
    if (trials) {
        trials->config = *config;
        trials->config.max_open = config->max_open ? config->max_open : 12;
        trials->config.max_gap = config->max_gap ? config->max_gap : 3;
        trials->side = trials->config.max_open + 1;
    }
    if (!trials || !allocate(trials)) {
        phi_trials_destroy(&trials);
        return phi_error_nomem(reterr, "the trial decoder's state",
                               config->n_channels * MAX * MAX * sizeof(double));
    }
    phi_channels_blur(config->d, config->weight_error, config->n_channels, trials->d,
                      trials->stretch);
    trials->config.d = trials->d;
    trials->config.weight_error = NULL;
    if (config->on)
        memcpy(trials->on, config->on, config->n_channels * sizeof *trials->on);
    trials->config.on = trials->on;
    phi_trials_reset(trials);
    *ret_trials = trials;
    return PH_OK;
}

void phi_trials_destroy(struct phi_trials **trials)
{
    if (!trials || !*trials)
        return;
    phi_free((*trials)->on);
    phi_free((*trials)->x_now);
    phi_free((*trials)->d);
    phi_free((*trials)->stretch);
    phi_free((*trials)->told_mean);
    phi_free((*trials)->told_var);
    phi_free((*trials)->cov);
    phi_free((*trials)->v);
    phi_free((*trials)->mean);
    phi_free((*trials)->var);
    phi_free((*trials)->x_last);
    phi_free((*trials)->inn);
    phi_free((*trials)->den);
    phi_free((*trials)->memory);
    phi_free((*trials)->memory_values);
    phi_free(*trials);
    *trials = NULL;
}

static double newest_onset(const struct phi_trial_slot *slot)
{
    return slot->onset_s[slot->n_showings - 1];
}

/* Insertion sort of the used slots by onset; the level behind them. */
static void sort_open(struct phi_trials *trials)
{
    trials->n_open = 0;
    for (size_t k = 0; k < trials->config.max_open; k++) {
        size_t at = trials->n_open;

        if (!trials->slots[k].used)
            continue;
        for (; at > 0 && newest_onset(&trials->slots[trials->order[at - 1]]) >
                             newest_onset(&trials->slots[k]);
             at--)
            trials->order[at] = trials->order[at - 1];
        trials->order[at] = k;
        trials->n_open++;
    }
    trials->n_states = trials->n_open;
    if (trials->config.level_sd > 0)
        trials->order[trials->n_states++] = trials->config.max_open;
}

void phi_trials_reset(struct phi_trials *trials)
{
    for (size_t k = 0; k < trials->config.max_open; k++)
        phi_trial_clear_slot(trials, k);
    phi_trial_clear_level(trials);
    for (size_t m = 0; m < trials->config.n_remembered; m++) {
        struct phi_trial_memory *memory = &trials->memory[m];

        memory->stim_index = -1;
        memory->mean = trials->memory_values + 2 * m * trials->config.n_channels;
        memory->var = memory->mean + trials->config.n_channels;
    }
    trials->n_early = 0;
    sort_open(trials);
    trials->has_last = false;
    trials->clock = 0;
    trials->loglik = 0;
}

static struct phi_trial_memory *recall(struct phi_trials *trials, int32_t stim_index)
{
    for (size_t m = 0; stim_index >= 0 && m < trials->config.n_remembered; m++)
        if (trials->memory[m].stim_index == stim_index)
            return &trials->memory[m];
    return NULL;
}

/* The entry of the stimulus, else a free one, else the one not seen for longest. */
static struct phi_trial_memory *place_for(struct phi_trials *trials, int32_t stim_index)
{
    struct phi_trial_memory *best = recall(trials, stim_index);

    for (size_t m = 0; !best && m < trials->config.n_remembered; m++)
        if (trials->memory[m].stim_index < 0)
            best = &trials->memory[m];
    for (size_t m = 0; !best && m < trials->config.n_remembered; m++) {
        struct phi_trial_memory *oldest = &trials->memory[0];

        for (size_t j = 1; j < trials->config.n_remembered; j++)
            if (trials->memory[j].last_seen < oldest->last_seen)
                oldest = &trials->memory[j];
        best = oldest;
    }
    return best;
}

static void remember(struct phi_trials *trials, size_t k)
{
    const struct phi_trial_slot *slot = &trials->slots[k];
    size_t p = trials->config.n_channels;
    struct phi_trial_memory *memory;

    if (slot->stim_index < 0 || trials->config.n_remembered == 0)
        return;
    memory = place_for(trials, slot->stim_index);
    memory->stim_index = slot->stim_index;
    memory->last_seen = ++trials->clock;
    memory->info = slot->info;
    memcpy(memory->mean, trials->mean + k * p, p * sizeof(double));
    memcpy(memory->var, trials->var + k * p, p * sizeof(double));
}

/* Integrates slot k out of every channel and frees it. */
static void retire(struct phi_trials *trials, size_t k)
{
    remember(trials, k);
    phi_trial_clear_slot(trials, k);
    sort_open(trials);
}

static void retire_finished(struct phi_trials *trials)
{
    for (size_t k = 0; k < trials->config.max_open; k++)
        if (trials->slots[k].used && trials->slots[k].final)
            retire(trials, k);
}

static void add_showing(struct phi_trial_slot *slot, const struct phi_trial_event *event)
{
    size_t n = slot->n_showings;

    if (n == PHI_TRIAL_MAX_SHOWINGS) { /* the first showing's response is long over */
        memmove(slot->onset_s, slot->onset_s + 1, (n - 1) * sizeof *slot->onset_s);
        memmove(slot->duration_s, slot->duration_s + 1, (n - 1) * sizeof *slot->duration_s);
        memmove(slot->amplitude, slot->amplitude + 1, (n - 1) * sizeof *slot->amplitude);
        n--;
    }
    slot->onset_s[n] = event->onset_s;
    slot->duration_s[n] = event->duration_s;
    slot->amplitude[n] = event->amplitude;
    slot->n_showings = n + 1;
    slot->number = event->number;
    slot->revision = 0;
    slot->final = false;
}

static size_t free_slot(struct phi_trials *trials)
{
    size_t k = 0;

    if (trials->n_open == trials->config.max_open) {
        trials->n_early++;
        retire(trials, trials->order[0]);
    }
    while (trials->slots[k].used)
        k++;
    return k;
}

/* What slot k's estimate says of the stimulus itself. */
static void tell(struct phi_trials *trials, size_t k)
{
    size_t p = trials->config.n_channels;

    phi_channels_sharpen(trials->stretch, trials->mean + k * p, trials->var + k * p, p,
                         trials->told_mean + k * p, trials->told_var + k * p);
}

enum ph_status phi_trials_open(struct phi_trials *trials, const struct phi_trial_event *event)
{
    const struct phi_trial_memory *memory;
    size_t k;

    if (!isfinite(event->onset_s) || !isfinite(event->amplitude) || !(event->duration_s >= 0) ||
        isinf(event->duration_s))
        return PH_E_INVAL;
    retire_finished(trials);
    for (k = 0; event->stim_index >= 0 && k < trials->config.max_open; k++)
        if (trials->slots[k].used && trials->slots[k].stim_index == event->stim_index)
            break;
    if (event->stim_index < 0 || k == trials->config.max_open) {
        memory = recall(trials, event->stim_index);
        k = free_slot(trials);
        trials->slots[k].used = true;
        trials->slots[k].stim_index = event->stim_index;
        if (memory) {
            trials->slots[k].info = memory->info;
            phi_trial_seed_slot(trials, k, memory->mean, memory->var);
        }
    }
    add_showing(&trials->slots[k], event);
    tell(trials, k);
    sort_open(trials);
    return PH_OK;
}

static double response_at(const struct phi_trials *trials, const struct phi_trial_slot *slot,
                          double t_s)
{
    double sum = 0;

    for (size_t i = 0; i < slot->n_showings; i++) {
        double delay_s = t_s - slot->onset_s[i];

        if (delay_s >= 0 && delay_s <= slot->duration_s[i] + trials->config.response_s)
            sum += slot->amplitude[i] * trials->config.response(trials->config.response_ctx,
                                                                delay_s, slot->duration_s[i]);
    }
    return sum;
}

static struct phi_trial_row whitened_row(const struct phi_trials *trials, double t_s)
{
    double gap = trials->has_last ? round((t_s - trials->t_last_s) / trials->config.tr_s) : 0;
    struct phi_trial_row row = {.v0 = 1};

    if (gap >= 1 && gap <= (double)trials->config.max_gap && trials->config.rho > 0) {
        row.carry = pow(trials->config.rho, gap);
        row.v0 = 1 - row.carry * row.carry;
    }
    for (size_t j = 0; j < trials->n_open; j++) {
        const struct phi_trial_slot *slot = &trials->slots[trials->order[j]];

        row.h[j] = response_at(trials, slot, t_s);
        if (row.carry > 0)
            row.h[j] -= row.carry * response_at(trials, slot, trials->t_last_s);
    }
    if (trials->n_states > trials->n_open)
        row.h[trials->n_open] = 1 - row.carry;
    return row;
}

/* Information the rest of the response will bring if no volume is lost. */
static void look_ahead(struct phi_trials *trials, struct phi_trial_slot *slot, double t_s)
{
    double rho = trials->config.rho, tr_s = trials->config.tr_s, end_s = 0;
    double before = response_at(trials, slot, t_s);

    for (size_t i = 0; i < slot->n_showings; i++)
        end_s = fmax(end_s, slot->onset_s[i] + slot->duration_s[i] + trials->config.response_s);
    slot->future = 0;
    for (double at_s = t_s + tr_s; at_s <= end_s + tr_s; at_s += tr_s) {
        double now = response_at(trials, slot, at_s), h = now - rho * before;

        slot->future += h * h / (1 - rho * rho);
        before = now;
    }
    /* AR(1) noise: the volume after the end is whitened against one inside the response */
    slot->final = t_s + tr_s > end_s &&
                  (!(rho > 0) || !trials->has_last || trials->t_last_s > end_s ||
                   t_s - trials->t_last_s > ((double)trials->config.max_gap - 0.5) * tr_s);
}

/* x_now = x - on * (sum of all responses); false if something is not finite. */
static bool take_volume(struct phi_trials *trials, double t_s, const double *x)
{
    double sum = 0;

    for (size_t j = 0; j < trials->n_open; j++)
        sum += response_at(trials, &trials->slots[trials->order[j]], t_s);
    for (size_t i = 0; i < trials->config.n_channels; i++) {
        trials->x_now[i] = trials->stretch[i] * (x[i] - sum * trials->on[i]);
        if (!isfinite(trials->x_now[i]))
            return false;
    }
    return true;
}

bool phi_trials_step(struct phi_trials *trials, double t_s, const double *x, double *ret_nis)
{
    struct phi_trial_row row;
    double nis = NAN;
    bool use;

    retire_finished(trials);
    row = whitened_row(trials, t_s);
    use = x && take_volume(trials, t_s, x);
    if (use) {
        nis = phi_trial_predict(trials, &row, trials->x_now);
        use = !(trials->config.nis_threshold > 0 && nis > trials->config.nis_threshold);
    }
    if (use) {
        phi_trial_absorb(trials, &row);
        memcpy(trials->x_last, trials->x_now, trials->config.n_channels * sizeof *x);
        trials->t_last_s = t_s;
        trials->has_last = true;
    }
    for (size_t j = 0; j < trials->n_open; j++) {
        look_ahead(trials, &trials->slots[trials->order[j]], t_s);
        tell(trials, trials->order[j]);
        trials->slots[trials->order[j]].revision++;
    }
    if (ret_nis)
        *ret_nis = nis;
    return use;
}

size_t phi_trials_count(const struct phi_trials *trials)
{
    return trials->n_open;
}

/* Savage-Dickey: prior over posterior density at zeta = 0, summed over channels. */
static double evidence_of(const double *mean, const double *var, size_t p)
{
    double sum = 0;

    for (size_t i = 0; i < p; i++)
        sum += 0.5 * (mean[i] * mean[i] / var[i] + log(var[i]));
    return sum;
}

struct phi_trial_report phi_trials_report(const struct phi_trials *trials, size_t i)
{
    size_t k = trials->order[i], p = trials->config.n_channels;
    const struct phi_trial_slot *slot = &trials->slots[k];
    double total = slot->info + slot->future;

    return (struct phi_trial_report){
        .number = slot->number,
        .stim_index = slot->stim_index,
        .onset_s = newest_onset(slot),
        .revision = slot->revision ? slot->revision - 1 : 0,
        .share = total > 0 ? slot->info / total : 0,
        .evidence = evidence_of(trials->told_mean + k * p, trials->told_var + k * p, p),
        .final = slot->final,
        .mean = trials->told_mean + k * p,
        .var = trials->told_var + k * p,
    };
}

size_t phi_trials_n_early(const struct phi_trials *trials)
{
    return trials->n_early;
}

double phi_trials_loglik(const struct phi_trials *trials)
{
    return trials->loglik;
}
