/* SPDX-License-Identifier: MIT
 * Events tables and sidecars: what is accepted is in order and in range. */
#include <math.h>
#include <string.h>

#include "fuzz.h"
#include "io/events.h"
#include "io/sidecar.h"

static size_t make_seeds(struct fuzz_seed *seeds)
{
    static const char *const texts[] = {
        "onset\tduration\n1\t2\n",
        ("onset\tduration\ttrial_type\tstim_file\tstim_index\tamplitude\r\n"
         "0.5\t1\tface\ta.png\t3\t0.5\r\n2\tn/a\tx\ty\tn/a\tn/a\r\n"),
        "trial_type\tonset\tduration\nhouse\t-1e3\tn/a\nface\t2\t0\n",
        "{\"RepetitionTime\": 2, \"SliceTiming\": [0, 0.5, 1], \"TaskName\": \"x\"}",
    };
    size_t n_seeds = 0;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        seeds[n_seeds++] = fuzz_seed_of(texts[i], strlen(texts[i]));
    return n_seeds;
}

static int run(const unsigned char *bytes, size_t n_bytes)
{
    struct phi_events events = {0};
    struct phi_sidecar sidecar = {0};
    struct ph_error err = {0};
    int accepted = 0;

    if (phi_events_parse((const char *)bytes, n_bytes, "input", &events, &err) == PH_OK) {
        for (size_t i = 0; i < events.n; i++) {
            fuzz_check(isfinite(events.rows[i].onset_s) && events.rows[i].duration_s >= 0);
            fuzz_check(i == 0 || events.rows[i - 1].onset_s <= events.rows[i].onset_s);
            fuzz_check(events.rows[i].number == i);
        }
        phi_events_free(&events);
        accepted = 1;
    }
    if (phi_sidecar_parse((const char *)bytes, n_bytes, "input", &sidecar, &err) == PH_OK) {
        fuzz_check(sidecar.tr_s >= 0 && sidecar.n_slices <= PHI_SIDECAR_MAX_SLICES);
        accepted = 1;
    }
    return accepted;
}

int main(int argc, char **argv)
{
    static const struct fuzz_target target = {"tables", 100000, make_seeds, run};

    return fuzz_main(&target, argc, argv);
}
