/* SPDX-License-Identifier: MIT
 *
 * The display of a run as the commands open it: settings from the run file's `display` section, the
 * true pictures of the stimuli, screenshots, and the pictures left behind for those who were not
 * there. Main thread.
 *
 *     display:
 *       operator: {window: true, width: 1280, height: 720}
 *       subject: {window: false, screen: 1, full_screen: true, generator: dand, size_deg: 10,
 *                 screen_width_mm: 400, distance_mm: 1000, background: 808080, fixation: true,
 *                 photodiode: true}
 *       stimuli: stimuli/test          # folder with stimuli.safetensors
 *       label: "noise of a real run, simulated response"
 *       hold_s: -1                     # how long the window stays after the end; -1: until closed
 *       refresh_hz: 0                  # 0: the screen's
 */
#ifndef TOOLS_WATCH_H
#define TOOLS_WATCH_H

#include "graph/run.h"
#include "rt/view.h"
#include "session.h"

struct watch;

/* Reads and checks the display settings of `run`, and loads the stimuli. `headless` draws into
 * files only. `out_dir` takes window.png, film.png and screenshots; "" leaves none. `run` and
 * `out_dir` must outlive the result. PH_E_INVAL messages name file, line and column. Owned by the
 * caller. */
PH_NODISCARD enum ph_status watch_create(const struct phi_run *run, bool headless,
                                         const char *out_dir, struct watch **ret_watch,
                                         struct ph_error *reterr);

/* Says what watch_create would refuse; without `with_files` it does not look for the stimuli. */
PH_NODISCARD enum ph_status watch_check(const struct phi_run *run, bool with_files,
                                        struct ph_error *reterr);

/* Frees; accepts NULL, clears *watch. */
void watch_destroy(struct watch **watch);

/* struct session_options.attend with a struct watch as its argument: shows the run until it has
 * ended and been seen. Where no window can be opened the run goes on headless, and a line on stderr
 * says so. */
void watch_attend(void *watch, struct phi_view *view, bool (*ended)(void *context), void *context);

/* session_run with a display: windows, or memory where `headless`. Returns the exit code. */
int watch_run(struct phi_run *run, struct session_options *session, bool headless);

#endif
