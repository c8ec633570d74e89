/* SPDX-License-Identifier: MIT
 *
 * PyTorch as a child process of a benchmark (torch_side.py): asked for one piece of work at a time,
 * so that the two sides can take turns. Missing PyTorch is no error.
 */
#ifndef TESTS_BENCH_NN_TORCH_SIDE_H
#define TESTS_BENCH_NN_TORCH_SIDE_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

struct torch_side {
    pid_t pid;
    FILE *to, *from;
    double peak_mb; /* largest memory so far */
};

/* Starts it with so many threads of its own and of its BLAS; false if there is no PyTorch. */
bool torch_side_open(struct torch_side *side, int threads, int blas_threads);

/* Seconds that one piece of work took: processor time if `cpu`, else by the clock. */
double torch_side_run(struct torch_side *side, const char *work, bool cpu);

void torch_side_close(struct torch_side *side);

#endif
