/* SPDX-License-Identifier: MIT */
#include "fit/hrf.h"

#include <stdlib.h>
#include <string.h>

size_t fit_hrf_parse(const char *name, struct phi_hrf *ret_hrf)
{
    char *end;
    long index = strtol(name, &end, 10);
    size_t n = 0;

    if (strcmp(name, "spm") == 0) {
        ret_hrf[0] = phi_hrf_spm();
        return 1;
    }
    if (strcmp(name, "glover") == 0) {
        ret_hrf[0] = phi_hrf_glover();
        return 1;
    }
    if (strcmp(name, "library") == 0) {
        while (n < PHI_HRF_LIBRARY_SIZE && phi_hrf_library(n, &ret_hrf[n]))
            n++;
        return n;
    }
    return *name && !*end && index >= 0 && phi_hrf_library((size_t)index, &ret_hrf[0]) ? 1 : 0;
}
