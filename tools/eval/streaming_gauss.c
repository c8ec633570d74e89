/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/corr.h"
#include "decode/gauss_score.h"
#include "decode/gemv.h"
#include "decode/noise.h"
#include "decode/posterior_fit.h"
#include "decode/reduce.h"
#include "decode/stream.h"
#include "decode/trial.h"
#include "eval/streaming.h"

#define N_FOLDS     6
#define N_TAUS      14 /* steps of sqrt 2 from LOW_TAU */
#define LOW_TAU     0.5
#define N_WORSE     3 /* in a row end the search */
#define HELD_OUT    6 /* the last sixth of training chooses the temperature */
#define RHO_PENALTY 1
#define Z90         1.6449
#define RESPONSE_S  29 /* after a trial's end */

/* A decoder in channel form, and how it is run. */
struct decoder {
    const double *t, *d; /* [p][p], [p] */
    const double *error; /* [p] of the weights; NULL: none */
    const float *w, *c;  /* [p][q], [q] */
    double rho, a, tau;
    bool joint; /* trials: overlapping ones together */
};

/* Estimates in channels, of moments or trials first .. first + m - 1. */
struct estimates {
    size_t first, m;
    float *mean, *sd, *truth; /* [n_delays][m][p] */
    float *z;                 /* [m][p] room */
};

static bool allocate_estimates(struct estimates *e, size_t n_delays, size_t first, size_t m,
                               size_t p)
{
    e->first = first;
    e->m = m;
    e->mean = phi_calloc2(n_delays * m, p, sizeof *e->mean);
    e->sd = phi_calloc2(n_delays * m, p, sizeof *e->sd);
    e->truth = phi_calloc2(n_delays * m, p, sizeof *e->truth);
    e->z = phi_calloc2(m, p, sizeof *e->z);
    return e->mean && e->sd && e->truth && e->z;
}

static void free_estimates(struct estimates *e)
{
    phi_free(e->mean);
    phi_free(e->sd);
    phi_free(e->truth);
    phi_free(e->z);
    memset(e, 0, sizeof *e);
}

static void keep(const struct streaming_sim *sim, const struct decoder *dec, struct estimates *e,
                 size_t d, size_t item, const double *mean, const double *var)
{
    size_t p = sim->size.p, at = (d * e->m + item - e->first) * p;

    for (size_t i = 0; i < p; i++) {
        double zeta = 0; /* T is orthogonal, as the prior is the identity */

        for (size_t j = 0; j < p; j++)
            zeta += dec->t[j * p + i] * (double)sim->z[item * p + j];
        e->mean[at + i] = (float)mean[i];
        e->sd[at + i] = (float)sqrt(var[i]);
        e->truth[at + i] = (float)zeta;
    }
}

/* Moments of delay index d that can be scored: [from, to) of e. */
static void scored(const struct streaming_sim *sim, const struct streaming_table *table,
                   const struct estimates *e, size_t d, size_t ret_range[2])
{
    ret_range[0] = sim->onset ? 0 : STREAMING_SKIP;
    ret_range[1] = sim->onset ? e->m : e->m - table->delay[d];
}

static void score(const struct streaming_sim *sim, const struct streaming_table *table,
                  const struct decoder *dec, struct estimates *e, struct streaming_row *row)
{
    size_t p = sim->size.p;

    for (size_t d = 0; d < table->n_delays; d++) {
        size_t range[2], n, at;

        scored(sim, table, e, d, range);
        n = range[1] - range[0];
        at = (d * e->m + range[0]) * p;
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < p; j++) {
                double z = 0;

                for (size_t k = 0; k < p; k++)
                    z += dec->t[j * p + k] * (double)e->mean[at + i * p + k];
                e->z[i * p + j] = (float)z;
            }
        row->r[d] = streaming_correlation(e->z, sim->z + (e->first + range[0]) * p, n, p);
        row->coverage[d] = phi_gauss_coverage(
            &(struct phi_gauss_pair){e->mean + at, e->sd + at, e->truth + at, n * p}, Z90);
    }
}

/* Mean NLL over the delays of 4 s and more. */
static double late_nll(const struct streaming_sim *sim, const struct streaming_table *table,
                       const struct estimates *e)
{
    double sum = 0;

    for (size_t d = 0; d < table->n_delays; d++) {
        size_t range[2], at;

        scored(sim, table, e, d, range);
        at = (d * e->m + range[0]) * sim->size.p;
        if (table->delay[d] >= 4)
            sum += phi_gauss_nll(&(struct phi_gauss_pair){e->mean + at, e->sd + at, e->truth + at,
                                                          (range[1] - range[0]) * sim->size.p});
    }
    return sum;
}

/* ---- running ---- */

/* One run of a decoder: its object and room. */
struct running {
    const struct streaming_sim *sim;
    const struct streaming_table *table;
    const struct decoder *dec;
    struct estimates *e;
    struct phi_gemv *project;
    double *x, *mean, *var, *d; /* [p] */
    double s;                   /* single trial: information so far */
};

static enum ph_status begin(struct running *run, struct ph_error *reterr)
{
    size_t p = run->sim->size.p;
    const size_t shape[2] = {p, run->sim->size.q};

    run->x = phi_calloc(p, sizeof(double));
    run->mean = phi_calloc(p, sizeof(double));
    run->var = phi_calloc(p, sizeof(double));
    run->d = phi_calloc(p, sizeof(double));
    if (!run->x || !run->mean || !run->var || !run->d)
        return phi_error_nomem(reterr, "channels", p * sizeof(double));
    for (size_t i = 0; i < p; i++)
        run->d[i] = run->dec->d[i] / run->dec->tau;
    return phi_gemv_create(run->dec->w, run->dec->c, shape, PHI_GEMV_F32, &run->project, reterr);
}

static void finish(struct running *run)
{
    phi_gemv_destroy(&run->project);
    phi_free(run->x);
    phi_free(run->mean);
    phi_free(run->var);
    phi_free(run->d);
}

static void project(struct running *run, size_t t)
{
    phi_gemv_run(run->project, run->sim->y + t * run->sim->size.q, NULL, run->x);
    for (size_t i = 0; i < run->sim->size.p; i++)
        run->x[i] /= run->dec->tau;
}

static enum ph_status run_content(struct running *run, struct ph_error *reterr)
{
    double h[STREAMING_TAPS];
    const struct phi_stream_config config = {.n_channels = run->sim->size.p,
                                             .d = run->d,
                                             .weight_error = run->dec->error,
                                             .h = h,
                                             .n_taps = STREAMING_TAPS,
                                             .a = run->dec->a,
                                             .rho = run->dec->rho,
                                             .n_lags = STREAMING_TAPS + 3};
    struct phi_stream *stream = NULL;
    struct estimates *e = run->e;
    enum ph_status status;

    for (size_t k = 0; k < STREAMING_TAPS; k++)
        h[k] = streaming_response((double)k, 0);
    status = phi_stream_create(&config, &stream, reterr);
    for (size_t t = e->first; status == PH_OK && t < e->first + e->m; t++) {
        project(run, t);
        (void)phi_stream_step(stream, run->x, 1, NULL);
        for (size_t d = 0; d < run->table->n_delays; d++) {
            size_t delay = run->table->delay[d];

            if (t < e->first + delay)
                continue;
            phi_stream_read(stream, delay, run->mean, run->var);
            keep(run->sim, run->dec, e, d, t - delay, run->mean, run->var);
        }
    }
    phi_stream_destroy(&stream);
    return status;
}

static double trial_response(void *ctx, double delay_s, double duration_s)
{
    (void)ctx;
    return streaming_response(delay_s, duration_s);
}

/* Index of `delay` in the table, or its length. */
static size_t delay_index(const struct streaming_table *table, size_t delay)
{
    size_t d = 0;

    while (d < table->n_delays && table->delay[d] != delay)
        d++;
    return d;
}

static void keep_open(struct running *run, const struct phi_trials *trials, size_t t)
{
    for (size_t i = 0; i < phi_trials_count(trials); i++) {
        struct phi_trial_report report = phi_trials_report(trials, i);
        size_t d = delay_index(run->table, t - run->sim->onset[report.number]);

        if (d < run->table->n_delays && report.number >= run->e->first &&
            report.number < run->e->first + run->e->m)
            keep(run->sim, run->dec, run->e, d, report.number, report.mean, report.var);
    }
}

static enum ph_status run_joint(struct running *run, struct ph_error *reterr)
{
    const struct phi_trials_config config = {.n_channels = run->sim->size.p,
                                             .d = run->d,
                                             .weight_error = run->dec->error,
                                             .rho = run->dec->rho,
                                             .tr_s = 1,
                                             .response_s = RESPONSE_S,
                                             .response = trial_response};
    const size_t *onset = run->sim->onset;
    size_t last = run->e->first + run->e->m - 1, next = run->e->first < 4 ? 0 : run->e->first - 4;
    size_t end = onset[last] + run->table->delay[run->table->n_delays - 1] + 1;
    struct phi_trials *trials = NULL;
    enum ph_status status = phi_trials_create(&config, &trials, reterr);

    for (size_t t = onset[next]; status == PH_OK && t < end && t < run->sim->n; t++) {
        size_t n_trials = run->sim->size.n_train + run->sim->size.n_test;

        if (next < n_trials && onset[next] == t) {
            const struct phi_trial_event event = {(uint32_t)next++, -1, (double)t,
                                                  STREAMING_DURATION, 1};

            status = phi_trials_open(trials, &event);
        }
        project(run, t);
        (void)phi_trials_step(trials, (double)t, run->x, NULL);
        keep_open(run, trials, t);
    }
    phi_trials_destroy(&trials);
    return status;
}

/* Each trial by itself, as if no other were near. */
static enum ph_status run_single(struct running *run)
{
    size_t p = run->sim->size.p, longest = run->table->delay[run->table->n_delays - 1];
    double *eta = phi_calloc(p, sizeof *eta);

    if (!eta)
        return PH_E_NOMEM;
    for (size_t i = run->e->first; i < run->e->first + run->e->m; i++) {
        double s = 0;

        memset(eta, 0, p * sizeof *eta);
        for (size_t delay = 0; delay <= longest; delay++) {
            double h = streaming_response((double)delay, STREAMING_DURATION);
            size_t d = delay_index(run->table, delay);

            project(run, run->sim->onset[i] + delay);
            s += h * h;
            for (size_t c = 0; c < p; c++)
                eta[c] += h * run->x[c];
            phi_channel_posterior(run->d, eta, s, p, run->mean, run->var);
            if (d < run->table->n_delays)
                keep(run->sim, run->dec, run->e, d, i, run->mean, run->var);
        }
    }
    phi_free(eta);
    return PH_OK;
}

static enum ph_status run_decoder(const struct streaming_sim *sim,
                                  const struct streaming_table *table, const struct decoder *dec,
                                  struct estimates *e, struct ph_error *reterr)
{
    struct running run = {.sim = sim, .table = table, .dec = dec, .e = e};
    enum ph_status status = begin(&run, reterr);

    if (status == PH_OK)
        status = !sim->onset  ? run_content(&run, reterr)
                 : dec->joint ? run_joint(&run, reterr)
                              : run_single(&run);
    finish(&run);
    return status;
}

/* ---- fitting ---- */

/* Regressors of all training volumes, [n_train][p]. */
static float *make_regressors(const struct streaming_sim *sim)
{
    size_t p = sim->size.p, n_items = sim->onset ? sim->size.n_train : sim->n_train;
    double duration = sim->onset ? STREAMING_DURATION : 0;
    float *x = phi_calloc2(sim->n_train, p, sizeof *x);

    for (size_t k = 0; x && k < 32; k++) {
        double h = streaming_response((double)k, duration);

        for (size_t i = 0; i < n_items && (sim->onset || k < STREAMING_TAPS); i++) {
            size_t t = (sim->onset ? sim->onset[i] : i) + k;

            for (size_t j = 0; t < sim->n_train && j < p; j++)
                x[t * p + j] += (float)(h * (double)sim->z[i * p + j]);
        }
    }
    return x;
}

struct training {
    const struct streaming_sim *sim;
    float *x;  /* [n_train][p] */
    float *xw; /* whitened rows */
    float *yw;
    uint32_t *fold;
    size_t n;
};

/* Rows [first, end), whitened; in content the first ones lack the response to what was before. */
static void whiten(struct training *tr, size_t end, double rho)
{
    const struct streaming_sim *sim = tr->sim;
    size_t p = sim->size.p, q = sim->size.q, first = sim->onset ? 1 : STREAMING_TAPS;

    tr->n = end - first;
    for (size_t t = first; t < end; t++) {
        size_t i = t - first;

        for (size_t j = 0; j < p; j++)
            tr->xw[i * p + j] = tr->x[t * p + j] - (float)rho * tr->x[(t - 1) * p + j];
        for (size_t v = 0; v < q; v++)
            tr->yw[i * q + v] = sim->y[t * q + v] - (float)rho * sim->y[(t - 1) * q + v];
        tr->fold[i] = (uint32_t)(i * N_FOLDS / tr->n);
    }
}

static struct phi_posterior_data data_of(const struct training *tr)
{
    return (struct phi_posterior_data){
        {tr->xw, tr->fold, tr->n, tr->sim->size.p, N_FOLDS, NULL, 0}, tr->yw, tr->sim->size.q};
}

/* A line of the table that is fitted. */
struct variant {
    const char *name;
    bool full, joint, with_error, tempered;
    double rho;
};

static enum ph_status fit(struct training *tr, size_t end, const struct variant *variant,
                          struct phi_posterior **ret, struct ph_error *reterr)
{
    const struct phi_posterior_options options = {
        .full_noise = variant->full, .rho = variant->rho, .n_threads = tr->sim->size.n_threads};
    struct phi_posterior_data data;

    whiten(tr, end, variant->rho);
    data = data_of(tr);
    return phi_posterior_fit(&data, &options, ret, reterr);
}

static enum ph_status find_rho(struct training *tr, double *ret_rho, struct ph_error *reterr)
{
    bool *joined = phi_calloc(tr->sim->n_train, sizeof *joined);
    struct phi_posterior_data data;
    enum ph_status status;

    if (!joined)
        return phi_error_nomem(reterr, "rows", tr->sim->n_train);
    whiten(tr, tr->sim->n_train, 0);
    data = data_of(tr);
    for (size_t i = 1; i < tr->n; i++)
        joined[i] = true;
    status = phi_posterior_rho(&data, joined, RHO_PENALTY, ret_rho, reterr);
    phi_free(joined);
    return status;
}

/* Lag-one correlation of the training latents. */
static double find_a(const struct streaming_sim *sim)
{
    double sum = 0;
    size_t p = sim->size.p;

    for (size_t k = 0; k < p; k++)
        sum += phi_corr_f32(sim->z + p + k, p, sim->z + k, p, sim->size.n_train - 1);
    return sum / (double)p;
}

static struct decoder decoder_of(const struct streaming_sim *sim, const struct phi_posterior *post,
                                 const struct variant *variant)
{
    return (struct decoder){.t = post->t,
                            .d = post->d,
                            .error = variant->with_error ? post->error : NULL,
                            .w = post->w,
                            .c = post->c,
                            .rho = post->rho,
                            .a = sim->onset ? 0 : find_a(sim),
                            .tau = 1,
                            .joint = variant->joint};
}

static enum ph_status add_line(const struct streaming_sim *sim, struct streaming_table *table,
                               const struct decoder *dec, const char *name, struct ph_error *reterr)
{
    struct streaming_row *row = streaming_add(table, name);
    struct estimates e;
    enum ph_status status;

    if (!row || !allocate_estimates(&e, table->n_delays, sim->size.n_train, sim->size.n_test,
                                    sim->size.p)) {
        return phi_error_nomem(reterr, "estimates", sim->size.n_test * sim->size.p * 8);
    }
    status = run_decoder(sim, table, dec, &e, reterr);
    if (status == PH_OK)
        score(sim, table, dec, &e, row);
    free_estimates(&e);
    return status;
}

/* The search for a temperature: decodings of held-out items by a decoder fitted without them. */
struct tempering {
    struct training *tr;
    const struct streaming_table *table;
    struct decoder dec;
    struct estimates e;
    double best_tau, least_nll;
};

static enum ph_status try_tau(struct tempering *t, double tau, struct ph_error *reterr)
{
    enum ph_status status;
    double nll;

    t->dec.tau = tau;
    status = run_decoder(t->tr->sim, t->table, &t->dec, &t->e, reterr);
    nll = late_nll(t->tr->sim, t->table, &t->e);
    if (status == PH_OK && nll < t->least_nll) {
        t->least_nll = nll;
        t->best_tau = tau;
    }
    return status;
}

/* The temperature under which the last sixth of training is most likely, decoded without it: steps
 * of sqrt 2, then of its square root around the best. */
static enum ph_status find_tau(struct training *tr, const struct streaming_table *table,
                               const struct variant *variant, double *ret_tau,
                               struct ph_error *reterr)
{
    const struct streaming_sim *sim = tr->sim;
    size_t n = sim->size.n_train, first = n - n / HELD_OUT;
    struct phi_posterior *part = NULL;
    struct tempering t = {.tr = tr, .table = table, .best_tau = INFINITY, .least_nll = INFINITY};
    enum ph_status status = fit(tr, sim->onset ? sim->onset[first] : first, variant, &part, reterr);

    if (status == PH_OK &&
        !allocate_estimates(&t.e, table->n_delays, first, n - first, sim->size.p))
        status = phi_error_nomem(reterr, "estimates", n * sim->size.p);
    if (status == PH_OK)
        t.dec = decoder_of(sim, part, variant);
    for (size_t i = 0; status == PH_OK && i < N_TAUS; i++) {
        double tau = LOW_TAU * pow(2, (double)i / 2);

        if (tau > t.best_tau * pow(2, (N_WORSE + 0.5) / 2))
            break;
        status = try_tau(&t, tau, reterr);
    }
    for (double centre = t.best_tau, side = -1; status == PH_OK && side <= 1; side += 2)
        status = try_tau(&t, centre * pow(2, side / 4), reterr);
    if (status == PH_OK)
        *ret_tau = t.best_tau;
    free_estimates(&t.e);
    phi_posterior_destroy(&part);
    return status;
}

/* ---- the lines ---- */

/* The true B, covariance and correlations, reduced: what no fit can beat. */
static enum ph_status add_bound(const struct streaming_sim *sim, struct streaming_table *table,
                                struct ph_error *reterr)
{
    size_t p = sim->size.p, q = sim->size.q;
    double *bs = phi_calloc2(p, q, sizeof *bs), *g = phi_calloc2(p, p, sizeof *g);
    double *t = phi_calloc2(p, p, sizeof *t), *d = phi_calloc(p, sizeof *d);
    float *w = phi_calloc2(p, q, sizeof *w), *c = phi_calloc(q, sizeof *c);
    const struct phi_noise noise = {q, STREAMING_SHARED, sim->noise_v, sim->noise_f};
    const struct decoder dec = {t, d, NULL, w, c, sim->rho, sim->size.a, 1, true};
    enum ph_status status = bs && g && t && d && w && c
                                ? phi_noise_solve(&noise, sim->b, p, bs, reterr)
                                : phi_error_nomem(reterr, "the true decoder", p * q * sizeof *bs);

    for (size_t i = 0; status == PH_OK && i < p; i++)
        for (size_t j = 0; j < p; j++)
            for (size_t v = 0; v < q; v++)
                g[i * p + j] += bs[i * q + v] * sim->b[j * q + v];
    if (status == PH_OK)
        status = phi_reduce(g, NULL, p, t, d, reterr);
    for (size_t v = 0; status == PH_OK && v < q; v++) {
        c[v] = (float)sim->offset[v];
        for (size_t i = 0; i < p; i++) {
            double sum = 0;

            for (size_t j = 0; j < p; j++)
                sum += t[j * p + i] * bs[j * q + v];
            w[i * q + v] = (float)sum;
        }
    }
    if (status == PH_OK)
        status = add_line(sim, table, &dec, "true parameters (bound)", reterr);
    phi_free(bs);
    phi_free(g);
    phi_free(t);
    phi_free(d);
    phi_free(w);
    phi_free(c);
    return status;
}

static enum ph_status add_fitted(struct training *tr, struct streaming_table *table,
                                 const struct variant *variant, struct ph_error *reterr)
{
    struct phi_posterior *post = NULL;
    double tau = 1;
    enum ph_status status = variant->tempered ? find_tau(tr, table, variant, &tau, reterr) : PH_OK;

    if (status == PH_OK)
        status = fit(tr, tr->sim->n_train, variant, &post, reterr);
    if (status == PH_OK) {
        struct decoder dec = decoder_of(tr->sim, post, variant);

        dec.tau = tau;
        status = add_line(tr->sim, table, &dec, variant->name, reterr);
    }
    phi_posterior_destroy(&post);
    return status;
}

static enum ph_status add_all(struct training *tr, struct streaming_table *table,
                              struct ph_error *reterr)
{
    bool trials = tr->sim->onset != NULL;
    double rho = 0;
    enum ph_status status = add_bound(tr->sim, table, reterr);

    if (status == PH_OK)
        status = find_rho(tr, &rho, reterr);
    const struct variant variants[] = {
        {"streaming posterior, full noise, tempered", true, true, true, true, rho},
        {"the same, weights taken as exact", true, true, false, true, rho},
        {"the same, weights exact, not tempered", true, true, false, false, rho},
        trials
            ? (struct variant){"single trial, diagonal, white noise", false, false, false, false, 0}
            : (struct variant){"streaming posterior, diagonal noise", false, true, false, false,
                               rho},
    };

    for (size_t i = 0; status == PH_OK && i < sizeof variants / sizeof *variants; i++)
        status = add_fitted(tr, table, &variants[i], reterr);
    return status;
}

enum ph_status streaming_posterior(const struct streaming_sim *sim, struct streaming_table *table,
                                   struct ph_error *reterr)
{
    size_t n = sim->n_train;
    struct training tr = {.sim = sim,
                          .x = make_regressors(sim),
                          .xw = phi_calloc2(n, sim->size.p, sizeof(float)),
                          .yw = phi_calloc2(n, sim->size.q, sizeof(float)),
                          .fold = phi_calloc(n, sizeof(uint32_t))};
    enum ph_status status = tr.x && tr.xw && tr.yw && tr.fold
                                ? add_all(&tr, table, reterr)
                                : phi_error_nomem(reterr, "training rows", n * sim->size.q * 4);

    phi_free(tr.x);
    phi_free(tr.xw);
    phi_free(tr.yw);
    phi_free(tr.fold);
    return status;
}
