/* SPDX-License-Identifier: MIT */
#include "tools/simulate/session.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/events.h"
#include "io/file.h"
#include "tools/simulate/session_private.h"

static const char *const set_names[PHI_SIM_N_SETS] = {"train", "test"};

/* Latents of all files, side by side. */
static enum ph_status read_latents(struct phi_sim_session *session, size_t set,
                                   struct ph_error *reterr)
{
    const struct phi_sim_set_options *options = &session->options->sets[set];
    enum ph_status status = PH_OK;

    for (size_t i = 0; status >= 0 && i < options->n_latents; i++) {
        struct phi_sim_latents more = {0};

        status = phi_sim_latents_read(options->latents[i], phi_stimuli_count(session->stimuli[set]),
                                      &more, reterr);
        if (status >= 0)
            status = phi_sim_latents_append(&session->latents[set], &more, reterr);
        phi_sim_latents_fini(&more);
    }
    return status;
}

static enum ph_status open_set(struct phi_sim_session *session, size_t set, struct ph_error *reterr)
{
    const struct phi_sim_set_options *options = &session->options->sets[set];
    enum ph_status status = phi_stimuli_open(options->stimuli, &session->stimuli[set], reterr);

    if (status < 0)
        return status;
    if (options->n_latents)
        return read_latents(session, set, reterr);
    if (!session->pca)
        status = phi_sim_latents_fit(session->stimuli[set], session->options->response.p,
                                     &session->pca, reterr);
    if (status < 0)
        return phi_error_prefix(reterr, "components of '%.200s'", options->stimuli);
    return phi_sim_latents_whiten(session->pca, session->stimuli[set], &session->latents[set],
                                  reterr);
}

static enum ph_status open_sets(struct phi_sim_session *session, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;
    const struct phi_sim_latents *latents = session->latents;

    if (!session->options->sets[PHI_SIM_TRAIN].stimuli)
        return phi_error(reterr, PH_E_INVAL, "a session needs training stimuli");
    for (size_t set = 0; status >= 0 && set < PHI_SIM_N_SETS; set++) {
        if (session->options->sets[set].stimuli)
            status = open_set(session, set, reterr);
    }
    if (status >= 0 && latents[PHI_SIM_TEST].values &&
        latents[PHI_SIM_TEST].p != latents[PHI_SIM_TRAIN].p)
        return phi_error(reterr, PH_E_SHAPE, "training stimuli have %zu latents, test stimuli %zu",
                         latents[PHI_SIM_TRAIN].p, latents[PHI_SIM_TEST].p);
    return status;
}

static enum ph_status plan_trials(struct phi_sim_session *session, struct phi_sim_plan *plan,
                                  size_t run, struct ph_error *reterr)
{
    const struct phi_sim_set_options *options = &session->options->sets[plan->set];
    const struct phi_sim_deck deck = {.n_stimuli = session->latents[plan->set].n,
                                      .n_repeats = options->n_repeats,
                                      .n_group = options->n_group,
                                      .n_runs = options->n_runs,
                                      .run = run,
                                      .seed = session->options->seed * 2 + plan->set};
    enum ph_status status = phi_sim_schedule_make(&deck, &session->timing, &plan->schedule, reterr);

    plan->n_volumes = plan->schedule.n_volumes;
    return status;
}

static struct phi_sim_film film_of(const struct phi_sim_session *session,
                                   const struct phi_sim_plan *plan)
{
    const struct phi_sim_latents *latents = &session->latents[plan->set];

    return (struct phi_sim_film){latents->values + plan->first_frame * latents->p, plan->n_frames,
                                 latents->p, session->options->fps};
}

static void plan_film(struct phi_sim_session *session, struct phi_sim_plan *plan, size_t run)
{
    size_t n_runs = session->options->sets[plan->set].n_runs;
    size_t n = session->latents[plan->set].n;
    struct phi_sim_film film;

    plan->first_frame = n * run / n_runs;
    plan->n_frames = n * (run + 1) / n_runs - plan->first_frame;
    film = film_of(session, plan);
    plan->n_volumes = phi_sim_film_volumes(&film, &session->timing);
}

static enum ph_status plan_run(struct phi_sim_session *session, size_t set, size_t run,
                               struct ph_error *reterr)
{
    struct phi_sim_plan *plan = &session->plans[session->n_plans++];
    const struct phi_sim_latents *latents = &session->latents[set];
    enum ph_status status = PH_OK;

    plan->set = set;
    (void)snprintf(plan->name, sizeof plan->name, "task-%s_run-%02zu", set_names[set], run + 1);
    if (session->options->film)
        plan_film(session, plan, run);
    else
        status = plan_trials(session, plan, run, reterr);
    if (status < 0)
        return status;
    plan->design = phi_calloc2(plan->n_volumes, latents->p + 1, sizeof *plan->design);
    if (!plan->design)
        return phi_error_nomem(reterr, "a design", plan->n_volumes * latents->p * sizeof(double));
    if (session->options->film) {
        const struct phi_sim_film film = film_of(session, plan);

        phi_sim_design_film(&film, &session->timing, plan->n_volumes, plan->design);
    } else {
        phi_sim_design_events(&plan->schedule, &session->timing, latents->values, latents->p,
                              plan->design);
    }
    return PH_OK;
}

static enum ph_status plan_runs(struct phi_sim_session *session, struct ph_error *reterr)
{
    const struct phi_sim_options *options = session->options;
    enum ph_status status = PH_OK;

    if (options->film && !(options->fps > 0 && options->fps <= 1000))
        return phi_error(reterr, PH_E_INVAL, "a film needs a frame rate above 0");
    for (size_t set = 0; set < PHI_SIM_N_SETS; set++) {
        size_t n_runs = session->stimuli[set] ? options->sets[set].n_runs : 0;

        if (n_runs > PHI_SIM_MAX_RUNS || (options->film && n_runs > session->latents[set].n))
            return phi_error(reterr, PH_E_INVAL, "%zu runs are too many", n_runs);
        for (size_t run = 0; status >= 0 && run < n_runs; run++)
            status = plan_run(session, set, run, reterr);
    }
    return status;
}

/* The designs of all training runs behind each other. */
static enum ph_status scale_response(struct phi_sim_session *session, struct ph_error *reterr)
{
    size_t width = session->response->p + 1;
    size_t n = 0;
    double *all;
    double snr;

    for (size_t i = 0; i < session->n_plans; i++)
        n += session->plans[i].set == PHI_SIM_TRAIN ? session->plans[i].n_volumes : 0;
    all = phi_calloc2(n, width, sizeof *all);
    if (!all)
        return phi_error_nomem(reterr, "designs", n * width * sizeof *all);
    n = 0;
    for (size_t i = 0; i < session->n_plans; i++) {
        const struct phi_sim_plan *plan = &session->plans[i];

        if (plan->set != PHI_SIM_TRAIN)
            continue;
        memcpy(all + n * width, plan->design, plan->n_volumes * width * sizeof *all);
        n += plan->n_volumes;
    }
    snr = phi_sim_response_snr(session->response, all, n);
    if (snr > 0)
        phi_sim_response_scale(session->response, session->options->snr / snr);
    session->snr = phi_sim_response_snr(session->response, all, n);
    phi_free(all);
    return PH_OK;
}

static enum ph_status make_response(struct phi_sim_session *session, struct ph_error *reterr)
{
    struct phi_sim_response_config config = session->options->response;
    size_t p = session->latents[PHI_SIM_TRAIN].p;
    double *gains = phi_calloc(p, sizeof *gains);
    enum ph_status status;

    if (!gains)
        return phi_error_nomem(reterr, "gains", p * sizeof *gains);
    for (size_t k = 0; k < p; k++)
        gains[k] = session->pca
                       ? pow(session->pca->sd[k] / session->pca->sd[0], session->options->decay)
                       : 1;
    config.p = p;
    config.gains = gains;
    config.seed = session->options->seed ^ 0x726573706f6e7365u;
    status = phi_sim_response_create(session->source, &config, &session->response, reterr);
    phi_free(gains);
    return status < 0 ? status : scale_response(session, reterr);
}

static enum ph_status make_noise(struct phi_sim_session *session, struct ph_error *reterr)
{
    struct phi_sim_noise_config noise = session->options->noise;
    struct phi_sim_effects_config effects = session->options->effects;
    enum ph_status status;

    noise.seed = session->options->seed ^ 0x6e6f697365u;
    effects.seed = session->options->seed;
    status = phi_sim_noise_create(session->source, &noise, &session->noise, reterr);
    if (status < 0)
        return status;
    return phi_sim_effects_create(session->source, &effects, &session->effects, reterr);
}

static void name_event(const struct phi_sim_session *session, const struct phi_sim_plan *plan,
                       size_t stimulus, struct ph_event *row)
{
    const char *name = phi_stimuli_name(session->stimuli[plan->set], stimulus);

    row->stim_index = (int32_t)stimulus;
    (void)phi_str_copy(row->trial_type, sizeof row->trial_type,
                       session->options->film ? "film" : "stimulus");
    (void)phi_str_copy(row->stim_file, sizeof row->stim_file, name);
    row->amplitude = 1;
}

/* Films: an event for each clip, from its first frame to its last. */
static size_t film_rows(const struct phi_sim_session *session, const struct phi_sim_plan *plan,
                        struct ph_event *rows)
{
    const struct phi_stimuli *set = session->stimuli[plan->set];
    double fps = session->options->fps;
    size_t n = 0;

    for (size_t i = 0; i < plan->n_frames; i++) {
        size_t frame = plan->first_frame + i;

        if (i == 0 || phi_stimuli_clip(set, frame) != phi_stimuli_clip(set, frame - 1)) {
            rows[n].onset_s = session->timing.lead_s + (double)i / fps;
            name_event(session, plan, frame, &rows[n++]);
        }
        rows[n - 1].duration_s =
            session->timing.lead_s + (double)(i + 1) / fps - rows[n - 1].onset_s;
    }
    return n;
}

static size_t trial_rows(const struct phi_sim_session *session, const struct phi_sim_plan *plan,
                         struct ph_event *rows)
{
    for (size_t i = 0; i < plan->schedule.n_trials; i++) {
        rows[i].onset_s = plan->schedule.trials[i].onset_s;
        rows[i].duration_s = session->timing.duration_s;
        name_event(session, plan, plan->schedule.trials[i].stimulus, &rows[i]);
    }
    return plan->schedule.n_trials;
}

static enum ph_status write_events(const struct phi_sim_session *session,
                                   const struct phi_sim_plan *plan, const char *path,
                                   struct ph_error *reterr)
{
    bool film = session->options->film;
    size_t n = film ? plan->n_frames : plan->schedule.n_trials;
    struct ph_event *rows = phi_calloc(n, sizeof *rows);
    enum ph_status status;

    if (!rows)
        return phi_error_nomem(reterr, "events", n * sizeof *rows);
    n = film ? film_rows(session, plan, rows) : trial_rows(session, plan, rows);
    for (size_t i = 0; i < n; i++)
        rows[i].number = (uint32_t)i;
    status = phi_events_write(path, rows, n, reterr);
    phi_free(rows);
    return status;
}

struct run_progress {
    const struct phi_sim_session *session;
    const char *name;
    size_t n_volumes;
};

static bool pass_progress(void *ctx, size_t n_done)
{
    const struct run_progress *progress = ctx;
    const struct phi_sim_options *options = progress->session->options;

    return !options->progress ||
           options->progress(options->progress_ctx, progress->name, n_done, progress->n_volumes);
}

static enum ph_status keep_effects(const struct phi_sim_session *session, struct phi_sim_plan *plan,
                                   struct ph_error *reterr)
{
    plan->poses = phi_calloc2(plan->n_volumes, 6, sizeof *plan->poses);
    plan->spikes = phi_calloc(plan->n_volumes, sizeof *plan->spikes);
    if (!plan->poses || !plan->spikes)
        return phi_error_nomem(reterr, "poses", plan->n_volumes * 6 * sizeof(double));
    memcpy(plan->poses, phi_sim_effects_poses(session->effects),
           plan->n_volumes * 6 * sizeof(double));
    memcpy(plan->spikes, phi_sim_effects_spikes(session->effects),
           plan->n_volumes * sizeof(int32_t));
    return PH_OK;
}

/* "OUT/sub-sim/func/sub-sim_<name>_<suffix>" */
static bool make_path(const struct phi_sim_session *session, const struct phi_sim_plan *plan,
                      const char *suffix, char path[PHI_PATH_MAX])
{
    struct phi_str str = phi_str_over(path, PHI_PATH_MAX);

    phi_str_addf(&str, "%s/sub-sim/func/sub-sim_%s_%s", session->options->out, plan->name, suffix);
    return !str.cut;
}

static enum ph_status write_run(struct phi_sim_session *session, size_t number,
                                struct ph_error *reterr)
{
    struct phi_sim_plan *plan = &session->plans[number];
    struct run_progress progress = {session, plan->name, plan->n_volumes};
    struct phi_sim_run run = {.source = session->source,
                              .response = session->response,
                              .noise = session->noise,
                              .effects = session->effects,
                              .number = number,
                              .design = plan->design,
                              .n_volumes = plan->n_volumes,
                              .progress = pass_progress,
                              .progress_ctx = &progress};
    char path[PHI_PATH_MAX];
    enum ph_status status;

    if (session->options->parts) {
        plan->noise =
            phi_calloc2(plan->n_volumes, session->response->n_voxels, sizeof *plan->noise);
        if (!plan->noise)
            return phi_error_nomem(reterr, "the noise", plan->n_volumes * sizeof(float));
        run.ret_noise = plan->noise;
    }
    if (!make_path(session, plan, session->options->plain ? "bold.nii" : "bold.nii.gz", path))
        return phi_error(reterr, PH_E_LIMIT, "the path '%.200s' is too long",
                         session->options->out);
    status = phi_sim_run_write(&run, path, reterr);
    if (status >= 0)
        status = keep_effects(session, plan, reterr);
    if (status >= 0 && make_path(session, plan, "events.tsv", path))
        status = write_events(session, plan, path, reterr);
    if (status >= 0 && make_path(session, plan, "events.json", path))
        status = phi_events_describe(path, reterr);
    if (status >= 0 && make_path(session, plan, "bold.json", path))
        status = phi_sim_describe_run(session, plan, path, reterr);
    return status;
}

static enum ph_status make_folders(const struct phi_sim_session *session, struct ph_error *reterr)
{
    char path[PHI_PATH_MAX];

    if (!phi_path_join(path, sizeof path, session->options->out, "sub-sim/func"))
        return phi_error(reterr, PH_E_LIMIT, "the path '%.200s' is too long",
                         session->options->out);
    return phi_dir_make(path, reterr);
}

static enum ph_status make(struct phi_sim_session *session, struct ph_error *reterr)
{
    const struct phi_sim_options *options = session->options;
    enum ph_status status = open_sets(session, reterr);

    if (status >= 0)
        status = phi_sim_source_open(options->source, options->source_events, options->timing.tr_s,
                                     &session->source, reterr);
    if (status < 0)
        return status;
    session->timing = options->timing;
    session->timing.tr_s = session->source->tr_s;
    status = plan_runs(session, reterr);
    if (status >= 0)
        status = make_response(session, reterr);
    if (status >= 0)
        status = make_noise(session, reterr);
    if (status >= 0)
        status = make_folders(session, reterr);
    for (size_t i = 0; status >= 0 && i < session->n_plans; i++)
        status = write_run(session, i, reterr);
    if (status >= 0)
        status = phi_sim_describe(session, reterr);
    return status < 0 ? status : phi_sim_truth_write(session, reterr);
}

static void fini(struct phi_sim_session *session)
{
    for (size_t i = 0; i < session->n_plans; i++) {
        phi_sim_schedule_fini(&session->plans[i].schedule);
        phi_free(session->plans[i].design);
        phi_free(session->plans[i].poses);
        phi_free(session->plans[i].spikes);
        phi_free(session->plans[i].noise);
    }
    for (size_t set = 0; set < PHI_SIM_N_SETS; set++) {
        phi_sim_latents_fini(&session->latents[set]);
        phi_stimuli_close(&session->stimuli[set]);
    }
    phi_pca_destroy(&session->pca);
    phi_sim_effects_destroy(&session->effects);
    phi_sim_noise_destroy(&session->noise);
    phi_sim_response_destroy(&session->response);
    phi_sim_source_close(&session->source);
}

static struct phi_sim_report report_of(const struct phi_sim_session *session)
{
    struct phi_sim_report report = {.n_runs = session->n_plans,
                                    .n_brain = session->source->mask->n_voxels,
                                    .n_region = session->response->n_voxels,
                                    .p = session->response->p,
                                    .tr_s = session->source->tr_s,
                                    .snr = session->snr};

    for (size_t i = 0; i < session->n_plans; i++)
        report.n_volumes += session->plans[i].n_volumes;
    return report;
}

enum ph_status phi_sim_session_make(const struct phi_sim_options *options,
                                    struct phi_sim_report *ret_report, struct ph_error *reterr)
{
    struct phi_sim_session *session = phi_calloc(1, sizeof *session);
    enum ph_status status;

    if (!session)
        return phi_error_nomem(reterr, "a session", sizeof *session);
    session->options = options;
    status = make(session, reterr);
    if (status >= 0)
        *ret_report = report_of(session);
    fini(session);
    phi_free(session);
    return status;
}
