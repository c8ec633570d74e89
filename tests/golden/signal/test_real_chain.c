/* SPDX-License-Identifier: MIT
 *
 * A real run through a run file's filters realign, smooth and mask: every volume comes out once and
 * in order, as a vector over one list of voxels, unmarked, finite, with small motion stated; and
 * twice the same bits.
 */
#include "test.h"

#include "base/crc.h"
#include "graph/chain.h"
#include "plugins/table.h"

#define N_VOLUMES 16 /* of 60; enough, and quick under sanitizers */

static const char run_text[] =
    "source: {type: nifti, path: " DATA_DIR "/pyneal_siemens_series13_bold.nii.gz}\n"
    "filters: [{type: realign}, {type: smooth, fwhm_mm: 5}, {type: mask, n_volumes: 5}]\n";

static void check_frame(const struct ph_frame *frame, const struct ph_frame *first, size_t i)
{
    const float *values = frame->data;
    size_t n_bad = 0;

    assert_int_equal(frame->kind, PH_FRAME_VECTOR);
    assert_int_equal(frame->index, i);
    assert_int_equal(frame->flags, 0);
    assert_in_range(frame->dims[0], 20000, 35000);
    assert_int_equal(frame->dims[0], first->dims[0]);
    assert_true(frame->layout != 0 && frame->layout == first->layout);
    assert_in_range((uintmax_t)(1000 * (double)frame->quality.fd_mm), i ? 1 : 0, 700);
    for (int k = 0; k < 6; k++)
        assert_true(fabs((double)frame->quality.motion[k]) < 0.5);
    for (uint32_t k = 0; k < frame->dims[0]; k++)
        n_bad += !(values[k] > 0 && values[k] < 1e6F);
    assert_int_equal(n_bad, 0);
}

/* Drains the first `wanted` volumes of the chain; returns a checksum over their vectors. */
static uint32_t drain(const struct phi_registry *registry, size_t wanted)
{
    struct phi_run *run = NULL;
    struct phi_chain *chain = NULL;
    const struct ph_frame *frame = NULL;
    struct ph_frame first = {0};
    struct ph_error err = {0};
    enum ph_status status = PH_OK;
    uint32_t sum = 0;
    size_t i = 0;

    assert_ok(phi_run_parse(run_text, strlen(run_text), "run.yaml", "/", registry, &run, &err),
              err);
    assert_ok(phi_chain_open(run, NULL, &chain, &err), err);
    while (i < wanted && (status = phi_chain_next(chain, &frame, &err)) == PH_OK) {
        if (frame->kind == PH_FRAME_EVENT)
            continue;
        if (i == 0)
            first = *frame;
        check_frame(frame, &first, i++);
        sum = phi_crc32c(sum, frame->data, frame->dims[0] * sizeof(float));
    }
    if (status < 0)
        fail_msg("status %d: %s", (int)status, err.text);
    assert_int_equal(i, wanted);
    phi_chain_close(&chain);
    phi_run_destroy(&run);
    return sum;
}

static void test_chain(void **state)
{
    struct phi_registry *registry = NULL;
    struct ph_error err = {0};
    uint32_t sum;

    (void)state;
    assert_ok(phi_registry_create(phi_static_plugins, phi_n_static_plugins, &registry, &err), err);
    sum = drain(registry, N_VOLUMES);
    assert_true(sum != 0);
    assert_int_equal(drain(registry, N_VOLUMES), sum);
    phi_registry_destroy(&registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
