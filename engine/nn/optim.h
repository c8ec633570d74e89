/* SPDX-License-Identifier: MIT
 *
 * Optimisers over the parameters of a store whose names share a prefix, learning-rate schedules,
 * gradient clipping and exponential averages of weights. Their state is a parameter store of its
 * own (slots named "m.NAME", "v.NAME") and a step count, so that a checkpoint writes and reads it
 * as it does weights and a resumed run continues with the same bits. One thread at a time.
 */
#ifndef PHI_NN_OPTIM_H
#define PHI_NN_OPTIM_H

#include <stdint.h>

#include "nn/weights.h"

enum phi_optim_kind {
    PHI_SGD,     /* v = momentum v + g; p -= lr v, or lr (g + momentum v) with nesterov */
    PHI_RMSPROP, /* s = decay s + (1 - decay) g^2; p -= lr g / (sqrt(s) + eps) */
    PHI_ADAGRAD, /* s += g^2; p -= lr g / (sqrt(s) + eps) */
    PHI_ADAM     /* Kingma and Ba 2015; AdamW (Loshchilov and Hutter 2019) with decoupled decay */
};

struct phi_optim_config {
    enum phi_optim_kind kind;
    float lr;
    float momentum;       /* SGD */
    bool nesterov;        /* SGD */
    float decay;          /* RMSProp, 0 means 0.9 */
    float beta1, beta2;   /* Adam, 0 means 0.9 and 0.999 */
    float eps;            /* 0 means 1e-8 */
    bool eps_inside;      /* RMSProp: g / sqrt(s + eps) */
    bool keras_eps;       /* Adam: eps outside the bias correction */
    float weight_decay;   /* added to the gradient as weight_decay p ... */
    bool decoupled_decay; /* ... or p -= lr weight_decay p before the step (AdamW) */
};

struct phi_optim;

/* An optimiser of all unfrozen parameters whose name begins with `prefix`; `params` outlives it.
 * Errors: _INVAL (numbers out of range, nothing to train), _NOMEM. */
PH_NODISCARD enum ph_status phi_optim_create(struct phi_weights *params, const char *prefix,
                                             const struct phi_optim_config *config,
                                             struct phi_optim **ret_optim, struct ph_error *reterr);

/* Accepts NULL and *optim == NULL, clears *optim. */
void phi_optim_destroy(struct phi_optim **optim);

/* One step from the gradients in the store, with learning rate lr * factor (schedules). A parameter
 * without a gradient array stays. */
void phi_optim_step(struct phi_optim *optim, float factor);

/* The state: slots (a store owned by the optimiser, to be written out or overwritten by name) and
 * the number of steps made. */
struct phi_weights *phi_optim_slots(struct phi_optim *optim);
uint64_t phi_optim_steps(const struct phi_optim *optim);
void phi_optim_set_steps(struct phi_optim *optim, uint64_t n_steps);

/* Euclidean norm of all gradients under `prefix`, summed in double. */
double phi_optim_grad_norm(const struct phi_weights *params, const char *prefix);

/* Scales all gradients under `prefix` so that their norm is at most `max_norm`; returns the norm
 * before. */
double phi_optim_clip(struct phi_weights *params, const char *prefix, double max_norm);

enum phi_schedule_kind { PHI_CONSTANT_RATE, PHI_STEP_RATE, PHI_LINEAR_RATE, PHI_COSINE_RATE };

struct phi_schedule {
    enum phi_schedule_kind kind;
    uint64_t warmup; /* linear from 0 over this many steps */
    uint64_t period; /* step: steps between drops; linear, cosine: steps to the end */
    float factor;    /* step: factor of a drop; linear, cosine: factor at the end */
};

/* The factor for phi_optim_step at step `step` (from 0). Pure. */
float phi_schedule_at(const struct phi_schedule *schedule, uint64_t step);

/* average = decay average + (1 - decay) value, for all parameters that both stores have. */
void phi_ema_update(struct phi_weights *average, const struct phi_weights *params, float decay);

#endif
