/* SPDX-License-Identifier: MIT
 * A simulated session measured from its files: the signal-to-noise ratio is the stated one, the
 * volumes are mean + noise + design B to the rounding of the file, the events tell the design that
 * the truth holds, stimuli repeat as asked, test latents come from the training components; the
 * same seed gives the same bytes; every file carries the label; bad wishes are refused. */
#include <math.h>
#include <unistd.h>

#include "decode/linalg.h"
#include "io/events.h"
#include "io/file.h"
#include "io/nifti_file.h"
#include "io/safetensors.h"
#include "signal/hrf.h"
#include "small_run.h"
#include "tools/simulate/session.h"
#include "tools/stimuli/set_write.h"

enum { N_TRAIN = 12, N_TEST = 3, SIDE = 6, N_PIXELS = SIDE * SIDE * 3, P = 4 };

static char folder[] = "/tmp/phosphene-test-XXXXXX";
static char run_path[64], train_path[64], test_path[64], out_path[2][64];

static void write_stimuli(const char *path, size_t n, uint64_t seed)
{
    const struct phi_stimuli_plan plan = {.folder = path,
                                          .n = n,
                                          .height = SIDE,
                                          .width = SIDE,
                                          .name_format = "s_%02zu.png",
                                          .film = true};
    struct phi_stimuli_writer *writer;
    uint8_t rgb[N_PIXELS];
    struct phi_rng rng;
    struct ph_error err;

    phi_rng_init(&rng, seed, 0);
    assert_ok(phi_stimuli_writer_create(&plan, &writer, &err), err);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < N_PIXELS; k++)
            rgb[k] = (uint8_t)phi_rng_below(&rng, 256);
        assert_ok(phi_stimuli_writer_add(writer, rgb, NULL, (int32_t)i / 4, &err), err);
    }
    assert_ok(phi_stimuli_writer_finish(writer, &err), err);
    phi_stimuli_writer_destroy(&writer);
}

static int make_folder(void **state)
{
    (void)state;
    (void)phi_blas_set_threads(1);
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(run_path, sizeof run_path, "%s/run.nii", folder);
    (void)snprintf(train_path, sizeof train_path, "%s/train", folder);
    (void)snprintf(test_path, sizeof test_path, "%s/test", folder);
    (void)snprintf(out_path[0], sizeof out_path[0], "%s/a", folder);
    (void)snprintf(out_path[1], sizeof out_path[1], "%s/b", folder);
    small_run_write(run_path);
    write_stimuli(train_path, N_TRAIN, 1);
    write_stimuli(test_path, N_TEST, 2);
    return 0;
}

static int remove_folder(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static struct phi_sim_options wishes(const char *out)
{
    return (struct phi_sim_options){
        .source = run_path,
        .out = out,
        .sets = {{.stimuli = train_path, .n_runs = 2, .n_repeats = 3},
                 {.stimuli = test_path, .n_runs = 1, .n_repeats = 5}},
        .timing = {.duration_s = 2, .interval_s = 5, .jitter_s = 1, .lead_s = 6, .tail_s = 12},
        .fps = 2,
        .snr = 0.4,
        .decay = 0.5,
        .response = {.p = P, .n_voxels = 150, .fwhm_mm = 6, .mean_percent = 0.5},
        .noise = {.thermal = 0.5},
        .parts = true,
        .plain = true,
        .seed = 21};
}

static void make(const struct phi_sim_options *options, struct phi_sim_report *report)
{
    struct ph_error err;

    assert_ok(phi_sim_session_make(options, report, &err), err);
}

static struct phi_safetensors *open_truth(const char *out)
{
    struct phi_safetensors *truth;
    struct ph_error err;
    char path[128];
    int64_t version;

    (void)snprintf(path, sizeof path, "%s/truth.safetensors", out);
    assert_ok(phi_safetensors_open(path, &truth, &err), err);
    assert_ok(phi_safetensors_expect_kind(truth, "truth", 1, &version, &err), err);
    return truth;
}

static double *load(const struct phi_safetensors *truth, const char *name, size_t *ret_rows)
{
    const size_t any[2] = {0, 0};
    const struct phi_safetensors_tensor *tensor = phi_safetensors_find(truth, name);
    struct ph_error err;
    double *values;

    assert_non_null(tensor);
    assert_ok(phi_safetensors_load_f64(truth, name, tensor->n_dims, any, &values, &err), err);
    *ret_rows = tensor->shape[0];
    return values;
}

/* design[t] B[:, v] without the common response */
static double signal_at(const double *design, const double *b, size_t n_voxels, size_t t, size_t v)
{
    double sum = 0;

    for (size_t k = 0; k < P; k++)
        sum += design[t * (P + 1) + k] * b[k * n_voxels + v];
    return sum;
}

static const char *const train_runs[2] = {"task-train_run-01", "task-train_run-02"};

static void the_snr_is_the_stated_one(void **state)
{
    struct phi_sim_options options = wishes(out_path[0]);
    struct phi_sim_report report;
    struct phi_safetensors *truth;
    size_t n_voxels, n, n_all = 0;
    double *b, *voxels, *sum, *sum2, *noise2;
    double ratio = 0;

    (void)state;
    make(&options, &report);
    assert_int_equal(report.n_runs, 3);
    assert_near(report.snr, 0.4, 1e-6);
    truth = open_truth(out_path[0]);
    voxels = load(truth, "voxels", &n_voxels);
    b = load(truth, "B", &n);
    sum = phi_calloc(n_voxels, sizeof *sum);
    sum2 = phi_calloc(n_voxels, sizeof *sum2);
    noise2 = phi_calloc(n_voxels, sizeof *noise2);
    assert_true(sum && sum2 && noise2);
    for (size_t r = 0; r < 2; r++) {
        char name[64];
        double *design, *noise;

        (void)snprintf(name, sizeof name, "design.%s", train_runs[r]);
        design = load(truth, name, &n);
        (void)snprintf(name, sizeof name, "noise.%s", train_runs[r]);
        noise = load(truth, name, &n);
        for (size_t t = 0; t < n; t++) {
            for (size_t v = 0; v < n_voxels; v++) {
                double s = signal_at(design, b, n_voxels, t, v);

                sum[v] += s;
                sum2[v] += s * s;
                noise2[v] += noise[t * n_voxels + v] * noise[t * n_voxels + v];
            }
        }
        n_all += n;
        phi_free(design);
        phi_free(noise);
    }
    for (size_t v = 0; v < n_voxels; v++)
        ratio += (sum2[v] - sum[v] * sum[v] / (double)n_all) / noise2[v] / (double)n_voxels;
    /* the noise that was drawn differs from the source's by chance, about 5 % here */
    assert_near(sqrt(ratio), 0.4, 0.05);
    phi_free(b);
    phi_free(voxels);
    phi_free(sum);
    phi_free(sum2);
    phi_free(noise2);
    phi_safetensors_close(&truth);
}

static void volumes_are_the_sum_of_their_parts(void **state)
{
    struct phi_safetensors *truth = open_truth(out_path[0]);
    struct phi_sim_source *source;
    struct phi_nifti_info info;
    struct ph_error err;
    size_t n_voxels, n;
    double *voxels = load(truth, "voxels", &n_voxels);
    double *b = load(truth, "B", &n);
    double *common = load(truth, "common", &n);
    double *design = load(truth, "design.task-train_run-01", &n);
    double *noise = load(truth, "noise.task-train_run-01", &n);
    float *values;
    char path[160];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/sub-sim/func/sub-sim_task-train_run-01_bold.nii",
                   out_path[0]);
    assert_ok(phi_sim_source_open(run_path, NULL, 0, &source, &err), err);
    assert_ok(phi_nifti_read_float32(path, 1 << 30, &info, &values, &err), err);
    assert_int_equal(info.n_volumes, n);
    assert_near(info.tr_s, 2, 1e-6);
    assert_non_null(strstr(info.description, "simulated response"));
    for (size_t t = 0; t < n; t++) {
        for (size_t v = 0; v < n_voxels; v++) {
            size_t voxel = (size_t)voxels[v];
            double expected = (double)source->mean[voxel] + noise[t * n_voxels + v] +
                              signal_at(design, b, n_voxels, t, v) +
                              design[t * (P + 1) + P] * common[v];

            assert_near(values[t * SMALL_N + voxel], expected, 0.51 * info.slope + 1e-3);
        }
    }
    phi_free(values);
    phi_free(voxels);
    phi_free(b);
    phi_free(common);
    phi_free(design);
    phi_free(noise);
    phi_sim_source_close(&source);
    phi_safetensors_close(&truth);
}

static void events_tell_the_design(void **state)
{
    const struct phi_hrf hrf = phi_hrf_spm();
    struct phi_safetensors *truth = open_truth(out_path[0]);
    struct phi_events events;
    struct ph_error err;
    size_t n, n_stimuli;
    double *latents = load(truth, "latents.train", &n_stimuli);
    size_t shown[N_TRAIN] = {0};

    (void)state;
    assert_int_equal(n_stimuli, N_TRAIN);
    for (size_t r = 0; r < 2; r++) {
        char path[160], name[64];
        double *design;

        (void)snprintf(path, sizeof path, "%s/sub-sim/func/sub-sim_%s_events.tsv", out_path[0],
                       train_runs[r]);
        (void)snprintf(name, sizeof name, "design.%s", train_runs[r]);
        design = load(truth, name, &n);
        assert_ok(phi_events_read(path, &events, &err), err);
        for (size_t t = 0; t < n; t++) {
            double row[P + 1] = {0};

            for (size_t i = 0; i < events.n; i++) {
                const struct ph_event *event = &events.rows[i];
                double h = phi_hrf_event(&hrf, PHI_HRF_CANONICAL, (double)t * 2 - event->onset_s,
                                         event->duration_s);

                for (size_t k = 0; k < P; k++)
                    row[k] += h * latents[(size_t)event->stim_index * P + k];
                row[P] += h;
            }
            for (size_t k = 0; k <= P; k++)
                assert_near(design[t * (P + 1) + k], row[k], 1e-5);
        }
        for (size_t i = 0; i < events.n; i++) {
            char file[32];

            (void)snprintf(file, sizeof file, "s_%02d.png", (int)events.rows[i].stim_index);
            assert_string_equal(events.rows[i].stim_file, file);
            shown[events.rows[i].stim_index]++;
            assert_true(i == 0 || events.rows[i].stim_index != events.rows[i - 1].stim_index);
        }
        phi_events_free(&events);
        phi_free(design);
    }
    for (size_t i = 0; i < N_TRAIN; i++)
        assert_int_equal(shown[i], 3);
    phi_free(latents);
    phi_safetensors_close(&truth);
}

static void training_latents_are_white(void **state)
{
    struct phi_safetensors *truth = open_truth(out_path[0]);
    size_t n;
    double *latents = load(truth, "latents.train", &n);

    (void)state;
    for (size_t a = 0; a < P; a++) {
        for (size_t b = 0; b < P; b++) {
            double sum = 0;

            for (size_t i = 0; i < n; i++)
                sum += latents[i * P + a] * latents[i * P + b];
            assert_near(sum / (double)(n - 1), a == b, 1e-6);
        }
    }
    phi_free(latents);
    latents = load(truth, "latents.test", &n);
    assert_int_equal(n, N_TEST);
    phi_free(latents);
    phi_safetensors_close(&truth);
}

static void compare_files(const char *name)
{
    unsigned char *bytes[2];
    size_t n[2];
    struct ph_error err;

    for (size_t i = 0; i < 2; i++) {
        char path[200];

        (void)snprintf(path, sizeof path, "%s/%s", out_path[i], name);
        assert_ok(phi_file_read(path, 1 << 30, &bytes[i], &n[i], &err), err);
    }
    assert_int_equal(n[0], n[1]);
    assert_memory_equal(bytes[0], bytes[1], n[0]);
    phi_free(bytes[0]);
    phi_free(bytes[1]);
}

static void same_seed_same_bytes(void **state)
{
    struct phi_sim_options options = wishes(out_path[1]);
    struct phi_sim_report report;

    (void)state;
    make(&options, &report);
    compare_files("truth.safetensors");
    compare_files("sub-sim/func/sub-sim_task-train_run-02_bold.nii");
    compare_files("sub-sim/func/sub-sim_task-test_run-01_bold.nii");
    compare_files("sub-sim/func/sub-sim_task-test_run-01_events.tsv");
    compare_files("sub-sim/func/sub-sim_task-test_run-01_bold.json");
}

static void films_have_an_event_a_clip(void **state)
{
    struct phi_sim_options options = wishes(out_path[1]);
    struct phi_sim_report report;
    struct phi_events events;
    struct ph_error err;
    char path[160];

    (void)state;
    options.film = true;
    options.sets[PHI_SIM_TRAIN].n_runs = 1;
    options.sets[PHI_SIM_TEST].stimuli = NULL;
    options.effects = (struct phi_sim_effects_config){.motion_mm = 0.5, .drift_percent = 1};
    make(&options, &report);
    assert_int_equal(report.n_runs, 1);
    assert_int_equal(report.n_volumes, (6 + N_TRAIN / 2 + 12) / 2);
    assert_near(report.snr, 0.4, 1e-6);
    (void)snprintf(path, sizeof path, "%s/sub-sim/func/sub-sim_task-train_run-01_events.tsv",
                   out_path[1]);
    assert_ok(phi_events_read(path, &events, &err), err);
    assert_int_equal(events.n, 3); /* clips of four frames */
    assert_near(events.rows[1].onset_s, 8, 1e-9);
    assert_near(events.rows[1].duration_s, 2, 1e-9);
    assert_int_equal(events.rows[2].stim_index, 8);
    phi_events_free(&events);
}

static void labels_are_everywhere(void **state)
{
    static const char *const files[] = {"README", "dataset_description.json",
                                        "sub-sim/func/sub-sim_task-train_run-01_bold.json"};
    struct phi_safetensors *truth = open_truth(out_path[0]);
    struct ph_error err;

    (void)state;
    assert_string_equal(phi_safetensors_metadata(truth, "label"), PHI_SIM_LABEL);
    phi_safetensors_close(&truth);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        unsigned char *text;
        char path[200];
        size_t n;

        (void)snprintf(path, sizeof path, "%s/%s", out_path[0], files[i]);
        assert_ok(phi_file_read(path, 1 << 20, &text, &n, &err), err);
        assert_non_null(strstr((char *)text, PHI_SIM_LABEL));
        phi_free(text);
    }
}

static bool stop_at_once(void *ctx, const char *what, size_t n_done, size_t n_all)
{
    (void)ctx;
    (void)what;
    return n_done > n_all;
}

static void bad_wishes_are_refused(void **state)
{
    struct phi_sim_options options = wishes(out_path[1]);
    struct phi_sim_report report;
    struct ph_error err;

    (void)state;
    options.timing.interval_s = 2.5;
    assert_int_equal(phi_sim_session_make(&options, &report, &err), PH_E_INVAL);
    options = wishes(out_path[1]);
    options.noise.as_is = true;
    assert_int_equal(phi_sim_session_make(&options, &report, &err), PH_E_SHAPE);
    options = wishes(out_path[1]);
    options.source = "/nonexistent.nii";
    assert_int_equal(phi_sim_session_make(&options, &report, &err), PH_E_IO);
    options = wishes(out_path[1]);
    options.sets[PHI_SIM_TRAIN].latents[0] = run_path;
    options.sets[PHI_SIM_TRAIN].n_latents = 1;
    assert_int_equal(phi_sim_session_make(&options, &report, &err), PH_E_FORMAT);
    options = wishes(out_path[1]);
    options.effects.motion_mm = -1;
    assert_int_equal(phi_sim_session_make(&options, &report, &err), PH_E_INVAL);
    options = wishes(out_path[1]);
    options.progress = stop_at_once;
    assert_int_equal(phi_sim_session_make(&options, &report, &err), PH_E_STATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_snr_is_the_stated_one),
        cmocka_unit_test(volumes_are_the_sum_of_their_parts),
        cmocka_unit_test(events_tell_the_design),
        cmocka_unit_test(training_latents_are_white),
        cmocka_unit_test(same_seed_same_bytes),
        cmocka_unit_test(labels_are_everywhere),
        cmocka_unit_test(films_have_an_event_a_clip),
        cmocka_unit_test(bad_wishes_are_refused),
    };
    return cmocka_run_group_tests_name("tools/simulate", tests, make_folder, remove_folder);
}
