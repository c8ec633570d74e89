/* SPDX-License-Identifier: MIT
 *
 * Malformed input from good input, the same every time: each target names good inputs and takes
 * bytes; the driver mutates and splices them with a seeded generator and copies each input to a
 * heap block of its exact size, so that sanitizers see a read too far. A target aborts the program
 * (fuzz_check) when what it accepted does not hold together.
 *
 *     fuzz_x [--runs N] [--seed N] [FILE ...]     files are run as they are, for what was found
 * before
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_MAX_SEEDS 32

struct fuzz_seed {
    unsigned char *bytes; /* malloc'ed */
    size_t n_bytes;
};

struct fuzz_target {
    const char *name;
    uint64_t n_runs; /* without --runs */
    /* Fills seeds[FUZZ_MAX_SEEDS], returns how many. */
    size_t (*make_seeds)(struct fuzz_seed *seeds);
    /* Returns 1 if the input was accepted, 0 if it was refused. */
    int (*run)(const unsigned char *bytes, size_t n_bytes);
};

/* A copy of `n_bytes` bytes as a seed. */
struct fuzz_seed fuzz_seed_of(const void *bytes, size_t n_bytes);

/* The program: runs the target, prints how many inputs were accepted, fails if none or all were. */
int fuzz_main(const struct fuzz_target *target, int argc, char **argv);

/* Ends the program with a message if `truth` is false. */
#define fuzz_check(truth)                                                                          \
    do {                                                                                           \
        if (!(truth)) {                                                                            \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #truth);                      \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
