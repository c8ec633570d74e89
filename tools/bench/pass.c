/* SPDX-License-Identifier: MIT */
#include "bench/pass.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "bench/times.h"
#include "cli.h"
#include "display/app.h"
#include "rt/clock.h"

#define LOOK_NS (16 * PHI_NS_PER_MS)

struct pass {
    const struct bench_pass_config *config;
    struct bench_result *result;
    struct phi_live *live;
    struct phi_log *log;
    struct phi_run *run;
    struct bench_sender *sender;
    size_t n_rss;
    char dir[PATH_MAX + 16];
};

static double resident_mb(void)
{
    unsigned long long n_pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file) {
        if (fscanf(file, "%*u %llu", &n_pages) != 1)
            n_pages = 0;
        (void)fclose(file);
    }
    return (double)n_pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

/* Notes the memory at each tenth of the run; tells whether the run has ended. */
static bool ended(void *context)
{
    struct pass *pass = context;
    struct phi_view *view = phi_live_view(pass->live);
    struct phi_view_status status = {0};

    if (cli_interrupted())
        phi_live_stop(pass->live);
    if (view)
        phi_view_status(view, &status);
    while (pass->n_rss < BENCH_N_RSS && view &&
           status.stats.n_volumes * (BENCH_N_RSS - 1) >= pass->n_rss * pass->config->n_volumes)
        pass->result->rss_mb[pass->n_rss++] = resident_mb();
    cli_progress("volumes", status.stats.n_volumes, pass->config->n_volumes);
    return phi_live_finished(pass->live);
}

/* What a display does with a view, without the drawing. */
static void look(struct pass *pass)
{
    struct phi_view *view = phi_live_view(pass->live);
    const struct ph_frame *frame;
    struct phi_view_point point;
    struct ph_event event;

    if (!view)
        return;
    (void)phi_view_volume(view, &frame);
    for (size_t slot = 0; slot < PHI_VIEW_SLOTS; slot++) {
        (void)phi_view_latent(view, slot, &frame);
        for (size_t g = 0; g < phi_view_info(view)->n_generators; g++)
            pass->result->n_seen_pictures += phi_view_picture(view, g, slot, &frame);
    }
    while (phi_view_next_point(view, &point))
        ;
    while (phi_view_next_event(view, &event))
        ;
}

static enum ph_status draw(struct pass *pass, struct ph_error *reterr)
{
    const struct phi_display_config config = {.headless = true,
                                              .operator_window = true,
                                              .width = 1280,
                                              .height = 720,
                                              .subject_display = -1,
                                              .label = "benchmark"};
    struct phi_display *display = NULL;
    struct phi_display_stats stats;
    enum ph_status status =
        phi_display_create(phi_live_view(pass->live), &config, &display, reterr);

    if (status != PH_OK)
        return status;
    phi_display_loop(display, ended, pass);
    phi_display_stats(display, &stats);
    pass->result->n_drawn = stats.n_frames;
    phi_display_destroy(&display);
    return PH_OK;
}

static enum ph_status attend(struct pass *pass, struct ph_error *reterr)
{
    while (!ended(pass)) {
        (void)phi_live_wait(pass->live, PHI_LIVE_STOPPED, LOOK_NS);
        if (pass->config->display && phi_live_view(pass->live))
            return draw(pass, reterr);
        look(pass);
    }
    return PH_OK;
}

static enum ph_status open_run(struct pass *pass, struct ph_error *reterr)
{
    const struct bench_setup *setup = pass->config->setup;
    const struct phi_log_config log = {.fd = STDERR_FILENO, .level = PH_LOG_WARNING};
    struct phi_live_options options = {.run_dir = pass->dir};
    enum ph_status status = phi_run_parse(setup->run_text, strlen(setup->run_text), "benchmark",
                                          setup->dir, pass->config->registry, &pass->run, reterr);

    (void)snprintf(pass->dir, sizeof pass->dir, "%s/recording", setup->dir);
    if (status == PH_OK && mkdir(pass->dir, 0700) != 0)
        status = phi_error_os(reterr, PH_E_IO, errno, "cannot make the folder '%s'", pass->dir);
    if (status == PH_OK)
        status = phi_log_create(&log, &pass->log, reterr);
    options.log = pass->log;
    if (status == PH_OK)
        status = phi_live_create(pass->run, &options, &pass->live, reterr);
    return status;
}

static enum ph_status run_to_end(struct pass *pass, struct ph_error *reterr)
{
    const struct bench_pass_config *config = pass->config;
    struct ph_error join_err = {0};
    enum ph_status status = phi_live_start(pass->live, reterr);
    enum ph_status joined;

    if (status == PH_OK)
        status = bench_sender_start(config->setup, config->n_volumes, config->rate, &pass->sender,
                                    reterr);
    if (status == PH_OK)
        status = attend(pass, reterr);
    cli_progress_end();
    if (status != PH_OK)
        return status; /* destroy aborts the run */
    joined = phi_live_join(pass->live, &pass->result->summary, &join_err);
    bench_sender_finish(pass->sender, &pass->result->sent);
    if (joined != PH_OK) {
        *reterr = join_err;
        return joined;
    }
    if (pass->result->sent.problem[0])
        return phi_error(reterr, PH_E_PEER, "the sender: %s", pass->result->sent.problem);
    return PH_OK;
}

static enum ph_status collect(struct pass *pass, struct ph_error *reterr)
{
    const struct phi_trace *trace = phi_live_trace(pass->live);
    struct phi_view *view = phi_live_view(pass->live);
    enum ph_status status = PH_OK;

    if (!trace || !view)
        return phi_error(reterr, PH_E_PEER, "the engine saw no volume");
    if (pass->config->trace_path[0])
        status = phi_trace_write(trace, pass->config->trace_path, reterr);
    if (status == PH_OK)
        status = bench_times_of(trace, phi_view_info(view), pass->result, reterr);
    pass->result->sent.sent_ns = pass->result->sent.acked_ns = NULL; /* the sender's */
    return status;
}

enum ph_status bench_pass_run(const struct bench_pass_config *config,
                              struct bench_result *ret_result, struct ph_error *reterr)
{
    struct pass pass = {.config = config, .result = ret_result};
    enum ph_status status;

    *ret_result = (struct bench_result){.rate = config->rate, .n_volumes = config->n_volumes};
    status = open_run(&pass, reterr);
    if (status == PH_OK)
        status = run_to_end(&pass, reterr);
    if (status == PH_OK)
        status = collect(&pass, reterr);
    bench_sender_destroy(&pass.sender);
    phi_live_destroy(&pass.live);
    phi_log_destroy(&pass.log);
    phi_run_destroy(&pass.run);
    if (pass.dir[0])
        bench_remove_folder(pass.dir);
    return status;
}
