/* SPDX-License-Identifier: MIT
 *
 * What the conformance suite must know of a stage type that needs more than its defaults: a model
 * file, a recording, an input that fits. Types without an entry run with their defaults on volumes,
 * or on vectors if they refuse volumes.
 */
#ifndef TESTS_CONFORM_CASES_H
#define TESTS_CONFORM_CASES_H

#include <stdbool.h>

#include "phosphene/plugin.h"

struct conform_case {
    const char *id;
    /* Writes files where needed; gives parameters and input spec (untouched: the default one). The
     * files live until cases_close. */
    const char *(*open)(struct ph_spec *in);
    /* A source that waits for another program: it is opened and woken, not run. */
    bool needs_peer;
};

/* The entry of `id`, or NULL. */
const struct conform_case *case_find(const char *id);

/* Removes the files of all cases. */
void cases_close(void);

#endif
