/* SPDX-License-Identifier: MIT
 *
 * The t maps of filter/glm: named contrasts, kept as whole volumes, shown over the brain after
 * every volume and stored at the end of the run. One owner; only open and write allocate.
 */
#ifndef PLUGINS_FILTER_GLM_MAPS_H
#define PLUGINS_FILTER_GLM_MAPS_H

#include "plugins/filter/glm/model.h"

struct glm_maps {
    char text[512]; /* the list, taken apart */
    const char *contrast[GLM_MAX_MAPS];
    size_t n;
    struct ph_geometry geometry;
    float *vector[GLM_MAX_MAPS]; /* [capacity] what the model writes */
    float *volume[GLM_MAX_MAPS]; /* [nz][ny][nx]; the same memory for whole volumes */
    bool has_values;
    bool told; /* that the voxels are not known */
};

/* Splits "face-house; face". PH_E_LIMIT for too many. */
PH_NODISCARD enum ph_status glm_maps_split(const char *text, struct glm_maps *ret_maps,
                                           struct ph_error *reterr);

/* Memory (the host's) for maps behind `in`. */
PH_NODISCARD enum ph_status glm_maps_open(struct glm_maps *maps, const struct ph_spec *in,
                                          const struct ph_host *host, struct ph_error *reterr);

/* Brings frame values into volumes and puts them up for the operator. */
void glm_maps_show(struct glm_maps *maps, const struct ph_frame *frame, double threshold,
                   const struct ph_host *host);

/* Writes every map to `<run_dir>/maps/contrast-X_stat-t_statmap.nii.gz`; nothing without a
 * recording or values. May block. */
PH_NODISCARD enum ph_status glm_maps_write(const struct glm_maps *maps, const struct ph_host *host,
                                           struct ph_error *reterr);

#endif
