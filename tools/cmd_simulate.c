/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>

#include "cli.h"
#include "decode/linalg.h"
#include "tools/simulate/session.h"

struct numbers {
    int64_t train_runs, test_runs, train_repeats, test_repeats, train_group, p, voxels, spikes,
        seed;
};

static bool show_progress(void *ctx, const char *what, size_t n_done, size_t n_all)
{
    (void)ctx;
    cli_progress(what, n_done, n_all);
    return !cli_interrupted();
}

static void report(const struct phi_sim_options *options, const struct phi_sim_report *done,
                   bool json)
{
    json_t *answer;

    if (!json) {
        printf("%s: %zu runs, %zu volumes of TR %g s; %zu latents in %zu of %zu brain voxels, "
               "SNR %.3f\n(%s)\n",
               options->out, done->n_runs, done->n_volumes, done->tr_s, done->p, done->n_region,
               done->n_brain, done->snr, PHI_SIM_LABEL);
        return;
    }
    answer = json_pack("{s:s, s:s, s:I, s:I, s:f, s:I, s:I, s:I, s:f}", "folder", options->out,
                       "label", PHI_SIM_LABEL, "runs", (json_int_t)done->n_runs, "volumes",
                       (json_int_t)done->n_volumes, "tr_s", done->tr_s, "latents",
                       (json_int_t)done->p, "region_voxels", (json_int_t)done->n_region,
                       "brain_voxels", (json_int_t)done->n_brain, "snr", done->snr);
    (void)json_dumpf(answer, stdout, JSON_REAL_PRECISION(9));
    (void)putchar('\n');
    json_decref(answer);
}

static bool numbers_good(const struct numbers *n)
{
    return n->train_runs > 0 && n->train_runs < 100 && n->test_runs > 0 && n->test_runs < 100 &&
           n->train_group >= 0 && n->train_repeats > 0 && n->test_repeats > 0 &&
           n->train_repeats < 10000 && n->test_repeats < 10000 && n->p > 0 && n->p <= 100000 &&
           n->voxels > 0 && n->voxels <= 10000000 && n->spikes >= 0 && n->spikes < 100000 &&
           n->seed >= 0;
}

static void take_numbers(struct phi_sim_options *options, const struct numbers *n)
{
    options->sets[PHI_SIM_TRAIN].n_runs = (size_t)n->train_runs;
    options->sets[PHI_SIM_TRAIN].n_repeats = (size_t)n->train_repeats;
    options->sets[PHI_SIM_TRAIN].n_group = (size_t)n->train_group;
    options->sets[PHI_SIM_TEST].n_runs = (size_t)n->test_runs;
    options->sets[PHI_SIM_TEST].n_repeats = (size_t)n->test_repeats;
    options->response.p = (size_t)n->p;
    options->response.n_voxels = (size_t)n->voxels;
    options->effects.n_spikes = (size_t)n->spikes;
    options->seed = (uint64_t)n->seed;
}

static bool take_latents(struct phi_sim_options *options, const struct cli_list *lists)
{
    for (size_t set = 0; set < PHI_SIM_N_SETS; set++) {
        if (lists[set].n > PHI_SIM_MAX_LATENTS)
            return false;
        for (size_t i = 0; i < lists[set].n; i++)
            options->sets[set].latents[i] = lists[set].items[i];
        options->sets[set].n_latents = lists[set].n;
    }
    return true;
}

static int run_session(const struct cli_command *self, struct phi_sim_options *options, bool json)
{
    struct phi_sim_report done;
    struct ph_error err;

    if (!(options->snr >= 0 && options->snr < 1000))
        return cli_usage(self, "--snr must not be negative");
    cli_catch_interrupts();
    (void)phi_blas_set_threads(1); /* the same bits on any machine */
    options->progress = show_progress;
    if (phi_sim_session_make(options, &done, &err) < 0)
        return cli_interrupted() ? CLI_INTERRUPTED : cli_fail(&err);
    cli_progress_end();
    report(options, &done, json);
    return CLI_DONE;
}

static int run_simulate(const struct cli_command *self, int argc, char **argv)
{
    struct phi_sim_options o = {
        .timing = {.duration_s = 2, .interval_s = 5, .jitter_s = 1, .lead_s = 10, .tail_s = 14},
        .fps = 10,
        .snr = 0.3,
        .decay = 0.5,
        .response = {.fwhm_mm = 6, .mean_percent = 0.5},
        .noise = {.thermal = 0.5}};
    struct numbers n = {1, 1, 1, 4, 0, 48, 3000, 0, 1};
    struct cli_list latents[PHI_SIM_N_SETS] = {0};
    bool json = false;
    const struct cli_option table[] = {
        {CLI_TEXT, "out", &o.out, "DIR", "BIDS folder to write"},
        {CLI_TEXT, "stimuli", &o.sets[0].stimuli, "DIR",
         "training stimuli (phos stimuli, or pictures)"},
        {CLI_TEXT, "test-stimuli", &o.sets[1].stimuli, "DIR",
         "test stimuli, shown in runs of their own"},
        {CLI_LIST, "latents", &latents[0], "FILE",
         "tensor 'latents' [n][p] for the training stimuli; repeat to join several"},
        {CLI_LIST, "test-latents", &latents[1], "FILE", "the same for the test stimuli"},
        {CLI_TEXT, "events", &o.source_events, "FILE",
         "events of RUN, whose responses are taken out of the noise"},
        {CLI_INT, "train-runs", &n.train_runs, "N", "training runs (1)"},
        {CLI_INT, "test-runs", &n.test_runs, "N", "test runs (1)"},
        {CLI_INT, "train-repeats", &n.train_repeats, "N",
         "times each training stimulus is shown (1)"},
        {CLI_INT, "train-group", &n.train_group, "N",
         "all times of N training stimuli come before the next N (0: one group)"},
        {CLI_INT, "test-repeats", &n.test_repeats, "N", "times each test stimulus is shown (4)"},
        {CLI_REAL, "duration", &o.timing.duration_s, "S", "of a stimulus (2)"},
        {CLI_REAL, "interval", &o.timing.interval_s, "S", "from onset to onset (5)"},
        {CLI_REAL, "jitter", &o.timing.jitter_s, "S", "of the interval, to both sides (1)"},
        {CLI_REAL, "lead", &o.timing.lead_s, "S", "before the first stimulus (10)"},
        {CLI_REAL, "tail", &o.timing.tail_s, "S", "after the last stimulus (14)"},
        {CLI_REAL, "tr", &o.timing.tr_s, "S", "repetition time (that of RUN)"},
        {CLI_REAL, "ref", &o.timing.ref, "X",
         "share of the TR at which a volume counts as taken (0)"},
        {CLI_BOOL, "film", &o.film, NULL, "the stimuli are frames, shown in order"},
        {CLI_REAL, "fps", &o.fps, "N", "frames a second of a film (10)"},
        {CLI_REAL, "snr", &o.snr, "X",
         "sd of the response to the latents over sd of the noise (0.3)"},
        {CLI_REAL, "decay", &o.decay, "X", "how much weaker minor components are answered (0.5)"},
        {CLI_REAL, "mean-response", &o.response.mean_percent, "PCT",
         "response to any stimulus, % of the mean (0.5)"},
        {CLI_INT, "components", &n.p, "N", "principal components of the pixels (48)"},
        {CLI_INT, "voxels", &n.voxels, "N", "of the region at the back of the brain (3000)"},
        {CLI_REAL, "fwhm", &o.response.fwhm_mm, "MM", "smoothness of the weights (6)"},
        {CLI_REAL, "thermal", &o.noise.thermal, "X",
         "share of the noise that is independent between voxels (0.5)"},
        {CLI_BOOL, "as-is", &o.noise.as_is, NULL, "the noise is RUN itself, not surrogates"},
        {CLI_REAL, "motion", &o.effects.motion_mm, "MM", "slow head motion (0)"},
        {CLI_REAL, "drift", &o.effects.drift_percent, "PCT", "slow intensity drift (0)"},
        {CLI_INT, "spikes", &n.spikes, "N", "spiked volumes a run (0)"},
        {CLI_BOOL, "start-up", &o.effects.start_up, NULL, "bright first volumes"},
        {CLI_BOOL, "parts", &o.parts, NULL, "keeps the region's noise in the truth"},
        {CLI_BOOL, "plain", &o.plain, NULL, "writes .nii instead of .nii.gz"},
        {CLI_INT, "seed", &n.seed, "N", "of everything random (1)"},
        CLI_JSON(&json),
        CLI_END};
    struct cli_args args;
    int code = cli_parse(self, table, argc, argv, &args);

    if (code >= 0)
        return code;
    if (args.n != 1 || !o.out || !o.sets[0].stimuli)
        return cli_usage(self, "RUN.nii.gz, --out DIR and --stimuli DIR are needed");
    if (!numbers_good(&n))
        return cli_usage(self, "a count is out of range");
    if (!take_latents(&o, latents))
        return cli_usage(self, "at most %d --latents and --test-latents are taken",
                         PHI_SIM_MAX_LATENTS);
    o.source = args.operands[0];
    take_numbers(&o, &n);
    return run_session(self, &o, json);
}

const struct cli_command cmd_simulate = {
    "simulate",
    "make sessions from a real run's noise and simulated responses",
    "RUN.nii.gz",
    "Takes a real BOLD run as anatomy and noise, and adds responses to stimuli in a region at the\n"
    "back of the brain: latents of the stimuli through known weights and the SPM haemodynamic\n"
    "response, at a stated signal-to-noise ratio. Noise of any length comes from surrogates that "
    "keep\n"
    "each voxel's spectrum and the covariance between voxels; a share of independent noise is "
    "mixed\n"
    "in, since surrogates alone have no more spatial patterns than RUN has volumes. Writes runs "
    "as\n"
    "NIfTI with sidecars and events, region.nii.gz and truth.safetensors. Everything is labelled:\n"
    "noise of a real run, simulated response.",
    "phos simulate data/bold/studyforrest_sub-02_task-localizer_run-1_bold.nii.gz \\\n"
    "    --events data/bold/studyforrest_sub-02_task-localizer_run-1_events.tsv \\\n"
    "    --stimuli stimuli/train --test-stimuli stimuli/test --train-runs 2 --out session\n"
    "phos simulate RUN.nii.gz --stimuli film --film --fps 10 --out film-session --motion 0.5",
    run_simulate};
