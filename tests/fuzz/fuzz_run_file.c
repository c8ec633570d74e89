/* SPDX-License-Identifier: MIT
 * Run files: what is refused has a message, what is accepted prints as a run file that is accepted.
 */
#include <string.h>

#include "base/str.h"
#include "fuzz.h"
#include "graph/run.h"
#include "plugins/table.h"

#define TEXT_SIZE ((size_t)1 << 18)

static struct phi_registry *registry;

static size_t make_seeds(struct fuzz_seed *seeds)
{
    static const char whole[] =
        "phosphene: 1\ntitle: a\nsource: {type: wire, credit: 4}\n"
        "filters:\n  - {type: realign, reference: r.nii}\n  - {type: smooth, fwhm_mm: 4}\n"
        "  - {type: mask, name: head, file: m.nii, on_error: stop}\n  - {type: normalise}\n"
        "decoder: {type: posterior, model: m.safetensors}\n"
        "generators:\n  - {type: eigenface, model: m.safetensors}\n"
        "sinks: [{type: publish}, {type: record}]\n"
        "engine: {workers: 2, queue_depth: 8}\n"
        "display:\n  operator: {window: true, width: 1280}\n  stimuli: \"s\\u00e9t\"\n";
    static const char anchor[] = "phosphene: 1\nsource: &s {type: nifti, path: a.nii}\n"
                                 "decoder:\n  type: stream\n  model: m\n  lags_s: [0, 2, 4]\n";
    static const char *const texts[] = {
        whole,
        anchor,
        "{\"phosphene\": 1, \"source\": {\"type\": \"journal\", \"path\": \"x\"}}",
    };
    size_t n = 0;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        seeds[n++] = fuzz_seed_of(texts[i], strlen(texts[i]));
    return n;
}

static void print_and_read(const struct phi_run *run)
{
    static char text[TEXT_SIZE];
    struct phi_str out = phi_str_over(text, sizeof text);
    struct phi_run *again = NULL;
    struct ph_error err = {0};

    phi_run_format(run, &out);
    if (out.cut)
        return;
    if (phi_run_parse(text, out.length, "printed", "/data", registry, &again, &err) != PH_OK) {
        (void)fprintf(stderr, "%s\n%s\n", err.text, text);
        fuzz_check(false);
    }
    phi_run_destroy(&again);
}

static int run(const unsigned char *bytes, size_t n_bytes)
{
    struct phi_run *parsed = NULL;
    struct ph_error err = {0};

    if (phi_run_parse((const char *)bytes, n_bytes, "input", "/data", registry, &parsed, &err) !=
        PH_OK) {
        fuzz_check(parsed == NULL && strncmp(err.text, "input", 5) == 0);
        return 0;
    }
    print_and_read(parsed);
    phi_run_destroy(&parsed);
    return 1;
}

int main(int argc, char **argv)
{
    static const struct fuzz_target target = {"run file", 5000, make_seeds, run};
    struct ph_error err = {0};
    int code;

    fuzz_check(phi_registry_create(phi_static_plugins, phi_n_static_plugins, &registry, &err) ==
               PH_OK);
    code = fuzz_main(&target, argc, argv);
    phi_registry_destroy(&registry);
    return code;
}
