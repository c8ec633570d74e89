/* SPDX-License-Identifier: MIT
 *
 * Writing JSON by hand, for the log and trace files that are written line by line. Any thread on
 * separate files.
 */
#ifndef PHI_RT_JSON_H
#define PHI_RT_JSON_H

#include <stdio.h>

/* Writes `text` as a JSON string with its quotes. Bytes that are no valid UTF-8 become U+FFFD. */
void phi_json_string(FILE *file, const char *text);

#endif
