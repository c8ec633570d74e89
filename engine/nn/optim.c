/* SPDX-License-Identifier: MIT */
#include "nn/optim.h"

#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

/* A trained parameter and its slots; the second is NULL where the method has one. */
struct item {
    struct phi_param *param;
    float *first, *second;
};

struct phi_optim {
    struct phi_optim_config config;
    struct phi_weights *slots;
    struct item *item;
    size_t n;
    uint64_t n_steps;
};

void phi_optim_destroy(struct phi_optim **optim)
{
    if (!optim || !*optim)
        return;
    phi_weights_destroy(&(*optim)->slots);
    phi_free((*optim)->item);
    phi_free(*optim);
    *optim = NULL;
}

static struct phi_optim_config with_defaults(const struct phi_optim_config *config)
{
    struct phi_optim_config c = *config;

    c.decay = c.decay > 0 ? c.decay : 0.9f;
    c.beta1 = c.beta1 > 0 ? c.beta1 : 0.9f;
    c.beta2 = c.beta2 > 0 ? c.beta2 : 0.999f;
    c.eps = c.eps > 0 ? c.eps : 1e-8f;
    return c;
}

static bool is_sensible(const struct phi_optim_config *c)
{
    return c->lr > 0 && isfinite(c->lr) && c->momentum >= 0 && c->momentum < 1 && c->decay < 1 &&
           c->beta1 < 1 && c->beta2 < 1 && c->weight_decay >= 0 && isfinite(c->weight_decay);
}

static enum ph_status add_slot(struct phi_optim *optim, const char *prefix,
                               const struct phi_param *param, float **ret_slot,
                               struct ph_error *reterr)
{
    char name[PHI_PARAM_NAME];
    struct phi_param *slot = NULL;
    enum ph_status status;

    if (snprintf(name, sizeof name, "%s%s", prefix, param->name) >= (int)sizeof name)
        return phi_error(reterr, PH_E_INVAL, "the name '%s' is too long to train", param->name);
    status = phi_weights_add(optim->slots, name, param->value.shape, &slot, reterr);
    if (status == PH_OK)
        *ret_slot = slot->value.data;
    return status;
}

static enum ph_status add_items(struct phi_optim *optim, struct phi_weights *params,
                                const char *prefix, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    for (size_t i = 0; i < phi_weights_count(params) && status == PH_OK; i++) {
        struct item *item = &optim->item[optim->n];

        item->param = phi_weights_at(params, i);
        if (item->param->frozen || !phi_str_starts(item->param->name, prefix))
            continue;
        status = add_slot(optim, optim->config.kind == PHI_ADAM ? "m." : "s.", item->param,
                          &item->first, reterr);
        if (status == PH_OK && optim->config.kind == PHI_ADAM)
            status = add_slot(optim, "v.", item->param, &item->second, reterr);
        optim->n++;
    }
    if (status == PH_OK && optim->n == 0)
        return phi_error(reterr, PH_E_INVAL, "no parameter to train begins with '%s'", prefix);
    return status;
}

enum ph_status phi_optim_create(struct phi_weights *params, const char *prefix,
                                const struct phi_optim_config *config, struct phi_optim **ret_optim,
                                struct ph_error *reterr)
{
    struct phi_optim *optim = phi_calloc(1, sizeof *optim);
    enum ph_status status;

    if (!optim)
        return phi_error_nomem(reterr, "an optimiser", sizeof *optim);
    optim->config = with_defaults(config);
    optim->item = phi_calloc(phi_weights_count(params), sizeof *optim->item);
    status = is_sensible(&optim->config)
                 ? PH_OK
                 : phi_error(reterr, PH_E_INVAL,
                             "the optimiser's numbers are out of range (rate above 0, momentum, "
                             "decay and betas in [0, 1))");
    if (status == PH_OK && (!optim->item || phi_weights_create(&optim->slots) != PH_OK))
        status = phi_error_nomem(reterr, "an optimiser", phi_weights_count(params));
    if (status == PH_OK)
        status = add_items(optim, params, prefix, reterr);
    if (status != PH_OK)
        phi_optim_destroy(&optim);
    else
        *ret_optim = optim;
    return status;
}

static void step_sgd(const struct phi_optim_config *c, const struct item *item, float lr, size_t k)
{
    float *p = &item->param->value.data[k];
    float g = item->param->grad[k] + c->weight_decay * *p;

    item->first[k] = c->momentum * item->first[k] + g;
    *p -= lr * (c->nesterov ? g + c->momentum * item->first[k] : item->first[k]);
}

static void step_scaled(const struct phi_optim_config *c, const struct item *item, float lr,
                        size_t k)
{
    float *p = &item->param->value.data[k], *s = &item->first[k];
    float g = item->param->grad[k] + c->weight_decay * *p;

    *s = c->kind == PHI_ADAGRAD ? *s + g * g : c->decay * *s + (1 - c->decay) * g * g;
    *p -= c->eps_inside ? lr * g / sqrtf(*s + c->eps) : lr * g / (sqrtf(*s) + c->eps);
}

/* Adam's corrections of this step: 1 - beta1^t and sqrt(1 - beta2^t). */
struct correction {
    float first, second;
};

static void step_adam(const struct phi_optim_config *c, const struct item *item, float lr,
                      const struct correction *correction, size_t k)
{
    float *p = &item->param->value.data[k], *m = &item->first[k], *v = &item->second[k];
    float g = item->param->grad[k];

    if (c->decoupled_decay)
        *p -= lr * c->weight_decay * *p;
    else
        g += c->weight_decay * *p;
    *m = c->beta1 * *m + (1 - c->beta1) * g;
    *v = c->beta2 * *v + (1 - c->beta2) * g * g;
    if (c->keras_eps)
        *p -= lr * correction->second / correction->first * *m / (sqrtf(*v) + c->eps);
    else
        *p -= lr * (*m / correction->first) / (sqrtf(*v) / correction->second + c->eps);
}

void phi_optim_step(struct phi_optim *optim, float factor)
{
    const struct phi_optim_config *c = &optim->config;
    double t = (double)++optim->n_steps;
    struct correction correction = {(float)(1 - pow((double)c->beta1, t)),
                                    (float)sqrt(1 - pow((double)c->beta2, t))};
    float lr = c->lr * factor;

    for (size_t i = 0; i < optim->n; i++) {
        const struct item *item = &optim->item[i];
        size_t n = phi_shape_count(&item->param->value.shape);

        for (size_t k = 0; k < n && item->param->grad; k++) {
            if (c->kind == PHI_SGD)
                step_sgd(c, item, lr, k);
            else if (c->kind == PHI_ADAM)
                step_adam(c, item, lr, &correction, k);
            else
                step_scaled(c, item, lr, k);
        }
    }
}

struct phi_weights *phi_optim_slots(struct phi_optim *optim)
{
    return optim->slots;
}

uint64_t phi_optim_steps(const struct phi_optim *optim)
{
    return optim->n_steps;
}

void phi_optim_set_steps(struct phi_optim *optim, uint64_t n_steps)
{
    optim->n_steps = n_steps;
}

double phi_optim_grad_norm(const struct phi_weights *params, const char *prefix)
{
    double sum = 0;

    for (size_t i = 0; i < phi_weights_count(params); i++) {
        const struct phi_param *param = phi_weights_at(params, i);
        size_t n = phi_shape_count(&param->value.shape);

        if (!param->grad || !phi_str_starts(param->name, prefix))
            continue;
        for (size_t k = 0; k < n; k++)
            sum += (double)param->grad[k] * (double)param->grad[k];
    }
    return sqrt(sum);
}

double phi_optim_clip(struct phi_weights *params, const char *prefix, double max_norm)
{
    double norm = phi_optim_grad_norm(params, prefix);

    if (!(norm > max_norm))
        return norm;
    for (size_t i = 0; i < phi_weights_count(params); i++) {
        struct phi_param *param = phi_weights_at(params, i);
        size_t n = phi_shape_count(&param->value.shape);

        for (size_t k = 0; k < n && param->grad && phi_str_starts(param->name, prefix); k++)
            param->grad[k] *= (float)(max_norm / norm);
    }
    return norm;
}

float phi_schedule_at(const struct phi_schedule *schedule, uint64_t step)
{
    double warm = schedule->warmup && step < schedule->warmup
                      ? (double)(step + 1) / (double)schedule->warmup
                      : 1;
    double period = (double)(schedule->period ? schedule->period : 1);
    double share = (double)step < period ? (double)step / period : 1;
    double end = (double)schedule->factor;

    switch (schedule->kind) {
    case PHI_CONSTANT_RATE:
        break;
    case PHI_STEP_RATE:
        warm *= pow(end, floor((double)step / period));
        break;
    case PHI_LINEAR_RATE:
        warm *= 1 + share * (end - 1);
        break;
    case PHI_COSINE_RATE:
        warm *= end + (1 - end) * 0.5 * (1 + cos(acos(-1) * share));
        break;
    }
    return (float)warm;
}

void phi_ema_update(struct phi_weights *average, const struct phi_weights *params, float decay)
{
    for (size_t i = 0; i < phi_weights_count(average); i++) {
        struct phi_param *to = phi_weights_at(average, i);
        const struct phi_param *from = phi_weights_find(params, to->name);
        size_t n = phi_shape_count(&to->value.shape);

        if (!from || !phi_shape_equal(&from->value.shape, &to->value.shape))
            continue;
        for (size_t k = 0; k < n; k++)
            to->value.data[k] = decay * to->value.data[k] + (1 - decay) * from->value.data[k];
    }
}
