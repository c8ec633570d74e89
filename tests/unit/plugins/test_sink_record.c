/* SPDX-License-Identifier: MIT
 * sink/record: latents, quality, latency and pictures end in a BIDS derivative, the journal beside
 * it in a BIDS dataset; what a killed run left under way is not mixed in; without a folder it
 * refuses. */
#include <unistd.h>

#include "base/mem.h"
#include "host/param.h"
#include "io/file.h"
#include "io/image.h"
#include "io/nifti_file.h"
#include "io/safetensors.h"
#include "recording.h"
#include "rig.h"
#include "tempdir.h"

static struct tempdir dir;
static struct phi_stage *stage;

#define STEM "bids/derivatives/phosphene/sub-x/ses-s/func/sub-x_ses-s_task-faces_run-1"

static void open_stage(void)
{
    const struct phi_services services = {.n_workers = 1, .run_dir = dir.path};
    const struct ph_stage_type *type = rig_type("sink/record");
    struct ph_spec in = rig_vectors(10, 2.0);
    struct phi_params *params = NULL;
    struct ph_error err = {0};

    assert_ok(phi_params_create(type, &params, &err), err);
    assert_ok(phi_params_set(params, "task", "faces", NULL, &err), err);
    assert_ok(phi_stage_create(type, "record", &params, &services, &stage, &err), err);
    assert_ok(phi_stage_plan(stage, &in, &err), err);
    assert_ok(phi_stage_init(stage, &err), err);
}

static int set_up(void **state)
{
    (void)state;
    return tempdir_make(&dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    phi_stage_destroy(&stage);
    tempdir_remove(&dir);
    return 0;
}

static void push(struct ph_frame *frame)
{
    struct ph_io io = {.struct_size = sizeof io, .in = frame};

    frame->struct_size = sizeof *frame;
    assert_int_equal(stage->type->ops->process(stage->state, &io), PH_OK);
}

/* What filter/glm leaves at its end. */
static void leave_map(void)
{
    struct ph_error err;

    assert_ok(phi_dir_make(tempdir_file(&dir, "maps"), &err), err);
    assert_ok(
        phi_file_write(tempdir_file(&dir, "maps/contrast-faceMinushouse_stat-t_statmap.nii.gz"),
                       "map", 3, &err),
        err);
}

static void push_run(void)
{
    float values[10] = {0};
    float latent[6] = {1, 2, 3, 0.5f, 0.25f, 0.125f};
    unsigned char pixels[12] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 255, 128};

    for (uint64_t t = 0; t < 3; t++) {
        struct ph_frame vector = {.kind = PH_FRAME_VECTOR,
                                  .dtype = PH_DTYPE_F32,
                                  .rank = 1,
                                  .dims = {10},
                                  .index = t,
                                  .data = values,
                                  .flags = t == 0   ? PH_FLAG_DUMMY
                                           : t == 1 ? PH_FLAG_GAP
                                                    : PH_FLAG_CENSORED};
        struct ph_frame lat = {.kind = PH_FRAME_LATENT,
                               .dtype = PH_DTYPE_F32,
                               .rank = 2,
                               .dims = {2, 3},
                               .index = t,
                               .data = latent};
        struct ph_frame image = {.kind = PH_FRAME_IMAGE,
                                 .dtype = PH_DTYPE_U8,
                                 .rank = 3,
                                 .dims = {2, 2, 3},
                                 .index = t,
                                 .data = pixels,
                                 .flags = t == 2 ? PH_FLAG_FINAL : 0};

        vector.quality.fd_mm = 0.25f * (float)t;
        vector.quality.dvars = NAN;
        vector.quality.motion[3] = 0.5f * (float)t;
        vector.n_signals = t == 1 ? 0 : 1;
        vector.signals[0] = (struct ph_signal){"ffa", 100, 1.5f};
        latent[0] = (float)t;
        lat.u.latent = (struct ph_latent){.stimulus_s = 1.5 * (double)t,
                                          .trial = PH_NO_TRIAL,
                                          .stim_index = -1,
                                          .decoder = "posterior"};
        image.u.image.latent = lat.u.latent;
        image.u.image.latent.trial = 7;
        (void)strcpy(image.u.image.generator, "eigenface");
        push(&vector);
        push(&lat);
        push(&image);
    }
}

static void check_results(void)
{
    struct phi_safetensors *file = NULL;
    struct ph_error err = {0};
    const size_t shape[2] = {3, 3};
    unsigned char *text;
    float *mean;
    size_t n;

    assert_ok(
        phi_safetensors_open(tempdir_file(&dir, STEM "_desc-latents.safetensors"), &file, &err),
        err);
    assert_ok(phi_safetensors_load_f32(file, "mean", 2, shape, &mean, &err), err);
    for (int t = 0; t < 3; t++) {
        assert_near(mean[3 * t], t, 0);
        assert_near(mean[3 * t + 2], 3, 0);
    }
    phi_free(mean);
    phi_safetensors_close(&file);
    assert_ok(phi_file_read(tempdir_file(&dir, STEM "_desc-confounds_timeseries.tsv"), 1 << 20,
                            &text, &n, &err),
              err);
    assert_int_equal(strncmp((char *)text, "framewise_displacement\tdvars\t", 29), 0);
    assert_non_null(strstr((char *)text, "\n0.25\tn/a\t"));
    assert_non_null(
        strstr((char *)text, "\tcensored\tnon_steady_state_outlier00\tmotion_outlier00\n"));
    assert_non_null(strstr((char *)text, "\t0\t0\t0\t1\t0\n")); /* volume 0 had not settled */
    assert_non_null(strstr((char *)text, "\t1\t1\t0\t0\t0\n")); /* 1 is missing, not censored */
    assert_non_null(strstr((char *)text, "\t2\t0\t1\t0\t1\n"));
    assert_non_null(strstr((char *)text, "\trmsd\ttrans_x_derivative1\t"));
    assert_non_null(strstr((char *)text, "\t0.5\t0.25\t0.25\t0\t0\t0\t"));
    assert_non_null(strstr((char *)text, "\t0.5\t1\t0.25\t0\t0\t0\t")); /* rot_x: change, square */
    phi_free(text);
    assert_ok(phi_file_read(tempdir_file(&dir, STEM "_desc-regions_timeseries.tsv"), 1 << 20, &text,
                            &n, &err),
              err);
    assert_string_equal((char *)text,
                        "volume\tffa\tffa_mean\n0\t1.5\t100\n1\tn/a\tn/a\n2\t1.5\t100\n");
    phi_free(text);
    assert_true(
        phi_path_exists(tempdir_file(&dir, STEM "_contrast-faceMinushouse_stat-t_statmap.nii.gz")));
    assert_true(phi_path_exists(tempdir_file(&dir, STEM "_desc-latency.tsv")));
    assert_true(
        phi_path_exists(tempdir_file(&dir, "bids/derivatives/phosphene/sub-x/ses-s/figures/"
                                           "desc-eigenface_vol-000002_trial-00007_rev-0.png")));
    assert_false(
        phi_path_exists(tempdir_file(&dir, "bids/derivatives/phosphene/sub-x/ses-s/figures/"
                                           "desc-eigenface_vol-000001_trial-00007_rev-0.png")));
    assert_true(
        phi_path_exists(tempdir_file(&dir, "bids/derivatives/phosphene/dataset_description.json")));
    assert_false(phi_path_exists(tempdir_file(&dir, "derivatives.part")));
}

static void results_and_dataset(void **state)
{
    struct ph_io io = {.struct_size = sizeof io};
    struct phi_nifti_info info;
    struct ph_error err = {0};
    float *values;

    (void)state;
    recording_write(tempdir_file(&dir, "journal"), "He0e2g21E");
    open_stage();
    push_run();
    leave_map();
    assert_int_equal(phi_stage_end(stage, &io), PH_OK);
    check_results();
    assert_false(phi_path_exists(tempdir_file(&dir, "maps")));
    assert_ok(
        phi_nifti_read_float32(
            tempdir_file(&dir, "bids/sub-x/ses-s/func/sub-x_ses-s_task-faces_run-1_bold.nii.gz"),
            1 << 20, &info, &values, &err),
        err);
    assert_int_equal(info.n_volumes, 3);
    phi_free(values);
}

static void a_killed_run_is_written_anew(void **state)
{
    struct ph_io io = {.struct_size = sizeof io};

    (void)state;
    recording_write(tempdir_file(&dir, "journal"), "H012E");
    open_stage();
    push_run();
    phi_stage_destroy(&stage); /* no end: as after a kill, the part folder stays */
    assert_true(phi_path_exists(tempdir_file(&dir, "derivatives.part/latents.spool")));
    open_stage();
    push_run();
    leave_map();
    assert_int_equal(phi_stage_end(stage, &io), PH_OK);
    check_results();
}

static void without_a_folder_it_refuses(void **state)
{
    struct ph_spec in = rig_vectors(10, 2.0);
    struct rig *rig = NULL;
    struct ph_error err;

    (void)state;
    assert_int_equal(rig_try_open(rig_type("sink/record"), "", &in, &rig, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "--out"));
    assert_null(rig);
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIR(results_and_dataset),
        WITH_DIR(a_killed_run_is_written_anew),
        WITH_DIR(without_a_folder_it_refuses),
    };
    return cmocka_run_group_tests_name("sink/record", tests, NULL, NULL);
}
