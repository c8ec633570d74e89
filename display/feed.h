/* SPDX-License-Identifier: MIT
 *
 * Brings a scene up to date from a run's view: takes whatever is new and copies it. Display thread.
 */
#ifndef PHI_DISPLAY_FEED_H
#define PHI_DISPLAY_FEED_H

#include "display/scene.h"
#include "rt/view.h"

/* A scene that fits the run behind `view`. `config` gives title (NULL: the run's), label, stimulus
 * lookup; sizes, geometry and TR are taken from the run. Owned by the caller. */
PH_NODISCARD enum ph_status phi_feed_scene(const struct phi_view *view,
                                           const struct phi_scene_config *config,
                                           struct phi_scene **ret_scene, struct ph_error *reterr);

/* Takes everything new. True if anything was. */
bool phi_feed_update(struct phi_view *view, struct phi_scene *scene);

#endif
