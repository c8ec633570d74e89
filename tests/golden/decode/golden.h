/* SPDX-License-Identifier: MIT
 *
 * Reading the stored reference numbers: arrays out of JSON files, and tensors out of a safetensors
 * file. A value that is not there fails the test at once. Arrays are the caller's, freed with
 * phi_free.
 */
#ifndef TESTS_GOLDEN_DECODE_GOLDEN_H
#define TESTS_GOLDEN_DECODE_GOLDEN_H

#include <jansson.h>
#include <stdlib.h>

#include "base/mem.h"
#include "test.h"

/* The folder the files lie in: the program's first argument. */
extern const char *golden_dir;

/* The JSON file `name` in golden_dir; freed with json_decref. */
json_t *golden_json(const char *name);

/* The value at a dotted path ("n45.beta_lsa", "steps.3.m"). */
const json_t *golden_at(const json_t *root, const char *path);

double golden_number(const json_t *root, const char *path);

/* All numbers below `path`, row-major; fails unless there are `n`. */
double *golden_array(const json_t *root, const char *path, size_t n);

/* Largest |a - b| over max(1, largest |b|). */
double golden_error(const double *a, const double *b, size_t n);

/* Tensor `name` (F32 or F64) of the safetensors file `file`; fails unless it has `n` elements. */
double *golden_tensor(const char *file, const char *name, size_t n);

#endif
