/* SPDX-License-Identifier: MIT
 * Journal files: whatever bytes stand in them, a reader comes to the end, and gives out only
 * records whose checksums are right; a replay of them too. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "fuzz.h"
#include "io/file.h"
#include "io/replay.h"
#include "recording.h"
#include "tempdir.h"

static struct tempdir dir;
static struct tempdir seed_dir;

static size_t make_seeds(struct fuzz_seed *seeds)
{
    static const char *const scripts[] = {"H012E", "He0e2g213E", "H0l12"};
    unsigned char *bytes;
    struct ph_error err;
    size_t n;

    for (size_t i = 0; i < 3; i++) {
        fuzz_check(tempdir_make(&seed_dir));
        recording_write(seed_dir.path, scripts[i]);
        fuzz_check(!phi_file_read(tempdir_file(&seed_dir, "journal-000000.phj"), 1 << 16, &bytes,
                                  &n, &err));
        seeds[i] = fuzz_seed_of(bytes, n);
        phi_free(bytes);
        tempdir_remove(&seed_dir);
    }
    return 3;
}

static void write_journal(const unsigned char *bytes, size_t n_bytes)
{
    FILE *file = fopen(tempdir_file(&dir, "journal-000000.phj"), "wb");

    fuzz_check(file && fwrite(bytes, 1, n_bytes, file) == n_bytes);
    fuzz_check(fclose(file) == 0);
}

static uint64_t read_through(void)
{
    struct phi_journal_reader *reader = NULL;
    struct phi_journal_record record;
    struct ph_error err = {0};
    enum ph_status status;
    uint64_t n = 0;
    uint64_t sum = 0;

    fuzz_check(!phi_journal_reader_open(dir.path, &reader, &err));
    while (!(status = phi_journal_reader_next(reader, &record, &err))) {
        for (uint32_t i = 0; i < record.n_payload; i++)
            sum += ((const unsigned char *)record.payload)[i];
        n++;
    }
    fuzz_check(status == PH_EOS && sum < UINT64_MAX);
    fuzz_check(phi_journal_reader_report(reader)->n_records == n);
    phi_journal_reader_close(&reader);
    return n;
}

static void replay_through(void)
{
    struct phi_replay *replay = NULL;
    struct phi_replay_item item;
    struct ph_error err = {0};
    uint64_t next = 0;

    fuzz_check(!phi_replay_open(dir.path, 1 << 16, NULL, &replay, &err));
    while (!phi_replay_next(replay, &item, &err) && next < 100000)
        if (item.kind == PHI_REPLAY_VOLUME || item.kind == PHI_REPLAY_GAP)
            fuzz_check(item.index == next++);
    phi_replay_close(&replay);
}

static int run(const unsigned char *bytes, size_t n_bytes)
{
    uint64_t n;

    write_journal(bytes, n_bytes);
    n = read_through();
    replay_through();
    return n > 0;
}

int main(int argc, char **argv)
{
    static const struct fuzz_target target = {"journal", 800, make_seeds, run};
    int code;

    fuzz_check(tempdir_make(&dir));
    code = fuzz_main(&target, argc, argv);
    tempdir_remove(&dir);
    return code;
}
