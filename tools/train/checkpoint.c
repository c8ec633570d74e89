/* SPDX-License-Identifier: MIT */
#include "train/checkpoint.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/error.h"
#include "base/half.h"
#include "base/mem.h"
#include "base/str.h"

#define MAX_NAME 160

/* A growing list of tensors whose names it owns. */
struct list {
    struct phi_safetensors_tensor *items;
    char (*names)[MAX_NAME];
    uint16_t **halves; /* owned 16-bit copies, NULL where the tensor is written as it is */
    size_t n, capacity;
};

static enum ph_status list_take(struct list *list, size_t capacity)
{
    list->items = phi_calloc(capacity, sizeof *list->items);
    list->names = phi_calloc(capacity, sizeof *list->names);
    list->halves = phi_calloc(capacity, sizeof *list->halves);
    list->capacity = capacity;
    return list->items && list->names && list->halves ? PH_OK : PH_E_NOMEM;
}

static void list_free(struct list *list)
{
    for (size_t i = 0; i < list->n; i++)
        phi_free(list->halves[i]);
    phi_free(list->items);
    phi_free(list->names);
    phi_free(list->halves);
}

static void list_add(struct list *list, const char *prefix, const struct phi_param *param)
{
    struct phi_safetensors_tensor *item = &list->items[list->n];
    const struct phi_shape *shape = &param->value.shape;

    (void)snprintf(list->names[list->n], MAX_NAME, "%s%s", prefix, param->name);
    *item = (struct phi_safetensors_tensor){.name = list->names[list->n],
                                            .dtype = PHI_SAFETENSORS_F32,
                                            .n_dims = (size_t)shape->n_dims,
                                            .data = param->value.data};
    memcpy(item->shape, shape->dim, (size_t)shape->n_dims * sizeof *item->shape);
    list->n++;
}

static size_t count_state(const struct train_state *state)
{
    size_t n = 0;

    for (size_t i = 0; i < state->n_stores; i++)
        n += phi_weights_count(state->stores[i].weights);
    for (size_t i = 0; i < state->n_optims; i++)
        n += phi_weights_count(phi_optim_slots(state->optims[i]));
    return n;
}

static void optim_prefix(char prefix[32], size_t i)
{
    (void)snprintf(prefix, 32, "optimiser%zu/", i);
}

static void store_prefix(char prefix[64], const struct train_state *state, size_t i)
{
    (void)snprintf(prefix, 64, "%.60s/", state->stores[i].name);
}

static void list_state(struct list *list, const struct train_state *state)
{
    char prefix[64];

    for (size_t i = 0; i < state->n_stores; i++) {
        store_prefix(prefix, state, i);
        for (size_t k = 0; k < phi_weights_count(state->stores[i].weights); k++)
            list_add(list, prefix, phi_weights_at(state->stores[i].weights, k));
    }
    for (size_t i = 0; i < state->n_optims; i++) {
        struct phi_weights *slots = phi_optim_slots(state->optims[i]);

        optim_prefix(prefix, i);
        for (size_t k = 0; k < phi_weights_count(slots); k++)
            list_add(list, prefix, phi_weights_at(slots, k));
    }
}

static void recipe_mark(const struct recipe *recipe, char mark[16])
{
    (void)snprintf(mark, 16, "%08" PRIx32, phi_crc32c(0, recipe->text, strlen(recipe->text)));
}

static void format_log(const struct train_log *log, char *text, size_t capacity)
{
    struct phi_str str = phi_str_over(text, capacity);

    phi_str_addf(&str, "%" PRIu64, log->n);
    for (int i = 0; i < TRAIN_MAX_LOSSES; i++)
        phi_str_addf(&str, " %a", log->sums[i]);
}

static bool parse_log(const char *text, struct train_log *log)
{
    char *end;

    log->n = strtoull(text, &end, 10);
    for (int i = 0; i < TRAIN_MAX_LOSSES; i++) {
        const char *from = end;

        log->sums[i] = strtod(from, &end);
        if (end == from)
            return false;
    }
    return *end == '\0';
}

enum ph_status train_checkpoint_save(const char *path, const struct recipe *recipe,
                                     const struct train_state *state, uint64_t step,
                                     struct ph_error *reterr)
{
    struct list list = {0};
    char mark[16];
    char step_text[24];
    char optim_steps[TRAIN_MAX_STORES][24];
    char optim_keys[TRAIN_MAX_STORES][40];
    char log_text[TRAIN_MAX_LOSSES * 32 + 32];
    struct phi_safetensors_pair pairs[5 + TRAIN_MAX_STORES] = {{"phosphene.kind", "checkpoint"},
                                                               {"phosphene.version", "1"},
                                                               {"recipe.crc32c", mark},
                                                               {"step", step_text},
                                                               {"log", log_text}};
    size_t n_pairs = 5;
    enum ph_status status = list_take(&list, count_state(state) + 1);

    recipe_mark(recipe, mark);
    format_log(state->log, log_text, sizeof log_text);
    (void)snprintf(step_text, sizeof step_text, "%" PRIu64, step);
    for (size_t i = 0; i < state->n_optims; i++) {
        (void)snprintf(optim_keys[i], sizeof optim_keys[i], "optimiser%zu.steps", i);
        (void)snprintf(optim_steps[i], sizeof optim_steps[i], "%" PRIu64,
                       phi_optim_steps(state->optims[i]));
        pairs[n_pairs++] = (struct phi_safetensors_pair){optim_keys[i], optim_steps[i]};
    }
    if (status == PH_OK) {
        struct phi_safetensors_content content = {list.items, 0, pairs, n_pairs};

        list_state(&list, state);
        content.n_tensors = list.n;
        status = phi_safetensors_write(path, &content, reterr);
    } else {
        status = phi_error_nomem(reterr, "a checkpoint's list", count_state(state));
    }
    list_free(&list);
    return status;
}

static enum ph_status read_store(const struct phi_safetensors *file, const char *prefix,
                                 struct phi_weights *weights, struct ph_error *reterr)
{
    for (size_t k = 0; k < phi_weights_count(weights); k++) {
        struct phi_param *param = phi_weights_at(weights, k);
        const struct phi_shape *shape = &param->value.shape;
        const struct phi_safetensors_tensor *tensor;
        char name[MAX_NAME];
        enum ph_status status;

        (void)snprintf(name, sizeof name, "%s%s", prefix, param->name);
        status =
            phi_safetensors_expect(file, name, (size_t)shape->n_dims, shape->dim, &tensor, reterr);
        if (status == PH_OK)
            status = phi_safetensors_read_f32(file, tensor, phi_shape_count(shape),
                                              param->value.data, reterr);
        if (status != PH_OK)
            return status;
    }
    return PH_OK;
}

static enum ph_status read_state(const struct phi_safetensors *file,
                                 const struct train_state *state, struct ph_error *reterr)
{
    const int64_t any[2] = {0, INT64_MAX};
    char prefix[64];
    char key[40];
    enum ph_status status = PH_OK;

    for (size_t i = 0; i < state->n_stores && status == PH_OK; i++) {
        store_prefix(prefix, state, i);
        status = read_store(file, prefix, state->stores[i].weights, reterr);
    }
    for (size_t i = 0; i < state->n_optims && status == PH_OK; i++) {
        int64_t steps = 0;

        optim_prefix(prefix, i);
        status = read_store(file, prefix, phi_optim_slots(state->optims[i]), reterr);
        (void)snprintf(key, sizeof key, "optimiser%zu.steps", i);
        if (status == PH_OK)
            status = phi_safetensors_metadata_i64(file, key, any, &steps, reterr);
        if (status == PH_OK)
            phi_optim_set_steps(state->optims[i], (uint64_t)steps);
    }
    return status;
}

enum ph_status train_checkpoint_load(const char *path, const struct recipe *recipe,
                                     const struct train_state *state, uint64_t *ret_step,
                                     struct ph_error *reterr)
{
    const int64_t any[2] = {0, INT64_MAX};
    struct phi_safetensors *file = NULL;
    char mark[16];
    const char *made_by;
    int64_t version = 0;
    int64_t step = 0;
    enum ph_status status = phi_safetensors_open(path, &file, reterr);

    if (status != PH_OK)
        return status;
    recipe_mark(recipe, mark);
    status = phi_safetensors_expect_kind(file, "checkpoint", 1, &version, reterr);
    made_by = phi_safetensors_metadata(file, "recipe.crc32c");
    if (status == PH_OK && (!made_by || strcmp(made_by, mark) != 0))
        status = phi_error(reterr, PH_E_STATE,
                           "%s was made by another recipe than %s; --restart begins anew", path,
                           recipe->path);
    if (status == PH_OK)
        status = phi_safetensors_metadata_i64(file, "step", any, &step, reterr);
    if (status == PH_OK && (!phi_safetensors_metadata(file, "log") ||
                            !parse_log(phi_safetensors_metadata(file, "log"), state->log)))
        status = phi_error(reterr, PH_E_FORMAT, "%s: the sums of losses are damaged", path);
    if (status == PH_OK)
        status = read_state(file, state, reterr);
    phi_safetensors_close(&file);
    if (status == PH_OK)
        *ret_step = (uint64_t)step;
    return status;
}

static enum ph_status make_half(struct list *list, size_t i, size_t n)
{
    uint16_t *half = phi_calloc(n, sizeof *half);
    const float *values = list->items[i].data;

    if (!half)
        return PH_E_NOMEM;
    for (size_t k = 0; k < n; k++)
        half[k] = phi_f16_from_f32(values[k]);
    list->halves[i] = half;
    list->items[i].data = half;
    list->items[i].dtype = PHI_SAFETENSORS_F16;
    return PH_OK;
}

enum ph_status train_model_save(const char *path, const struct recipe *recipe,
                                const struct train_export *export, bool half,
                                struct ph_error *reterr)
{
    struct list list = {0};
    struct phi_safetensors_pair pairs[TRAIN_MAX_PAIRS + 1];
    enum ph_status status = list_take(&list, phi_weights_count(export->weights) + 1);

    for (size_t k = 0; k < phi_weights_count(export->weights) && status == PH_OK; k++) {
        const struct phi_param *param = phi_weights_at(export->weights, k);

        if (!phi_str_starts(param->name, export->prefix) ||
            (export->left_out && phi_str_starts(param->name, export->left_out)))
            continue;
        list_add(&list, "", param);
        if (half)
            status = make_half(&list, list.n - 1, phi_shape_count(&param->value.shape));
    }
    for (size_t i = 0; i < export->n_pairs; i++)
        pairs[i] = (struct phi_safetensors_pair){export->pairs[i].key, export->pairs[i].value};
    pairs[export->n_pairs] = (struct phi_safetensors_pair){"phosphene.recipe", recipe->text};
    if (status == PH_OK) {
        const struct phi_safetensors_content content = {list.items, list.n, pairs,
                                                        export->n_pairs + 1};

        status = phi_safetensors_write(path, &content, reterr);
    } else {
        status = phi_error_nomem(reterr, "a model's list", 0);
    }
    list_free(&list);
    return status;
}

void train_note(struct train_export *export, const char *key, const char *format, ...)
{
    va_list args;

    if (export->n_pairs == TRAIN_MAX_PAIRS)
        return;
    (void)phi_str_copy(export->pairs[export->n_pairs].key, sizeof export->pairs[0].key, key);
    va_start(args, format);
    (void)vsnprintf(export->pairs[export->n_pairs].value, sizeof export->pairs[0].value, format,
                    args);
    va_end(args);
    export->n_pairs++;
}

struct phi_optim_config train_optim_config(const struct train_optim_params *params)
{
    static const enum phi_optim_kind kinds[] = {PHI_SGD, PHI_RMSPROP, PHI_ADAM, PHI_ADAM};

    return (struct phi_optim_config){.kind = kinds[params->type],
                                     .lr = (float)params->rate,
                                     .momentum = (float)params->momentum,
                                     .beta1 = (float)params->beta1,
                                     .beta2 = (float)params->beta2,
                                     .eps = (float)params->eps,
                                     .weight_decay = (float)params->weight_decay,
                                     .decoupled_decay = params->type == 3};
}
