/* SPDX-License-Identifier: MIT
 *
 * What is said about a recording afterwards: scores of its pictures against what was shown, figures
 * of the run, and a page for people who were not there. Main thread.
 */
#ifndef TOOLS_REPORT_H
#define TOOLS_REPORT_H

#include <jansson.h>
#include <stdbool.h>

#include "phosphene/status.h"
#include "stimuli/set.h"

#define REPORT_MAX_GENERATORS 8

/* Scores of one generator's pictures: for each stimulus its last showing, as knowledge adds up. */
struct report_scores {
    char generator[32];
    size_t n;     /* stimuli scored */
    json_t *json; /* owned: identification_2way, identification_10way, pattern_r, ssim ... */
};

/* The file of the recording's derivatives whose name has this ending, or the folder of that very
 * name; false if there is none. path[PHI_PATH_MAX] takes it. */
bool report_find(const char *dir, const char *ending, char *path);

/* Scores the pictures that sink/record left in `dir` against `set`: one entry a generator, `first`
 * (may be NULL) in front. PH_E_IO if there are none. */
PH_NODISCARD enum ph_status report_score(const char *dir, const struct phi_stimuli *set,
                                         const char *first,
                                         struct report_scores ret_scores[REPORT_MAX_GENERATORS],
                                         size_t *ret_n, struct ph_error *reterr);

/* {"journalled": volumes in the journal, "lost":, "duplicates":, "holes":} of the recording's
 * journal; a new reference. PH_E_IO if there is no journal. */
PH_NODISCARD enum ph_status report_journal(const char *dir, json_t **ret_json,
                                           struct ph_error *reterr);

/* Pictures that report_latents leaves in the recording. */
#define REPORT_COURSE      "latents.png"
#define REPORT_CALIBRATION "calibration.png"

/* Holds the recorded latents of trials against `truth` ("latents" [stimulus][p]): at each second
 * after the onset 2-way identification among all stimuli, coverage of 90 % intervals and share of
 * the information, of the newest statements; new reference, and two plots in `dir`. PH_E_IO without
 * recorded latents, PH_E_INVAL if no trial's stimulus is known. */
PH_NODISCARD enum ph_status report_latents(const char *dir, const char *truth, json_t **ret_json,
                                           struct ph_error *reterr);

/* Writes `path`, one page that needs no network: title, label, scores, pictures (window.png and
 * film.png of the recording), plots of its quality table where there is one. */
PH_NODISCARD enum ph_status report_html(const char *dir, const json_t *report, const char *path,
                                        struct ph_error *reterr);

#endif
