/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "nn/prim.h"
#include "train/loop.h"

static const struct train_model_type *const types[] = {&train_dand, &train_encoder, &train_prednet,
                                                       &train_vae};

#define N_TYPES (sizeof types / sizeof *types)

static const struct train_model_type *type_of(const struct recipe *recipe)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (&types[i]->section == recipe->model_type)
            return types[i];
    return NULL;
}

static void report_json(const struct train_model_type *type, const struct train_options *options,
                        const struct train_result *result)
{
    json_t *losses = json_object();
    char crc[16];
    json_t *answer;

    for (size_t i = 0; i < TRAIN_MAX_LOSSES && type->losses[i]; i++)
        (void)json_object_set_new(losses, type->losses[i], json_real(result->losses[i]));
    (void)snprintf(crc, sizeof crc, "%08x", result->model_crc32c);
    answer = json_pack("{s:s, s:I, s:I, s:b, s:f, s:f, s:s, s:o}", "out", options->out_dir, "steps",
                       (json_int_t)result->steps, "resumed_at", (json_int_t)result->resumed_at,
                       "interrupted", (int)result->interrupted, "seconds", result->seconds,
                       "items_per_s", result->items_per_s, "model_crc32c", crc, "losses", losses);
    (void)json_dumpf(answer, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(answer);
}

static void report_text(const struct train_model_type *type, const struct train_options *options,
                        const struct train_result *result)
{
    if (result->interrupted) {
        printf("interrupted after step %llu; the same command goes on from there\n",
               (unsigned long long)result->steps);
        return;
    }
    printf("%s/model.safetensors after %llu steps, %.0f items/s, crc32c %08x\n", options->out_dir,
           (unsigned long long)result->steps, result->items_per_s, result->model_crc32c);
    for (size_t i = 0; i < TRAIN_MAX_LOSSES && type->losses[i]; i++)
        printf("  %-10s %.6g\n", type->losses[i], result->losses[i]);
}

/* Exit code for a failure: what is wrong with a recipe is a configuration error. */
static int exit_code(const struct ph_error *err)
{
    switch (err->status) {
    case PH_E_INVAL:
        return CLI_CONFIG;
    case PH_E_STATE:
        return cli_interrupted() ? CLI_INTERRUPTED : CLI_TRY_LATER;
    default:
        return -1;
    }
}

static int fail(const struct ph_error *err)
{
    int code = exit_code(err);

    return code >= 0 ? cli_fail_as(code, err) : cli_fail(err);
}

static int train(const struct recipe *recipe, const struct train_options *options, bool json)
{
    const struct train_model_type *type = type_of(recipe);
    struct train_result result;
    struct ph_error err;

    if (recipe_run(recipe)->threads > 0)
        phi_nn_set_threads((int)recipe_run(recipe)->threads);
    cli_catch_interrupts();
    if (train_run(recipe, type, options, &result, &err) != PH_OK)
        return fail(&err);
    if (json)
        report_json(type, options, &result);
    else
        report_text(type, options, &result);
    return result.interrupted ? CLI_INTERRUPTED : CLI_DONE;
}

static int run_train(const struct cli_command *self, int argc, char **argv)
{
    const struct ph_stage_type *sections[N_TYPES + 1] = {0};
    struct train_options options = {.out_dir = NULL};
    struct cli_list sets = {0};
    bool json = false;
    bool check = false;
    const struct cli_option table[] = {
        {CLI_TEXT, "out", &options.out_dir, "DIR", "where everything is written"},
        {CLI_LIST, "set", &sets, "SECTION.KEY=VALUE", "change a value of the recipe"},
        {CLI_BOOL, "restart", &options.restart, NULL, "begin anew though there is a checkpoint"},
        {CLI_BOOL, "check", &check, NULL, "only check the recipe"},
        {CLI_BOOL, "quiet", &options.quiet, NULL, "no progress"},
        CLI_JSON(&json),
        CLI_END};
    struct cli_args args;
    struct recipe *recipe = NULL;
    struct ph_error err;
    int code = cli_parse(self, table, argc, argv, &args);

    if (code >= 0)
        return code;
    if (args.n != 1 || (!options.out_dir && !check))
        return cli_usage(self, "one RECIPE.yaml and --out DIR are needed");
    for (size_t i = 0; i < N_TYPES; i++)
        sections[i] = &types[i]->section;
    if (recipe_load(args.operands[0], sets.items, sets.n, sections, &recipe, &err) != PH_OK)
        return err.status == PH_E_IO ? cli_fail(&err) : cli_fail_as(CLI_CONFIG, &err);
    if (check)
        printf("%s: fine\n", recipe->path);
    else
        code = train(recipe, &options, json);
    recipe_destroy(&recipe);
    return check ? CLI_DONE : code;
}

const struct cli_command cmd_train = {
    .name = "train",
    .summary = "train a network by a recipe",
    .operands = "RECIPE.yaml",
    .text =
        "Writes into --out DIR: model.safetensors, checkpoint.safetensors, losses.tsv and .png,\n"
        "samples-STEP.png and the recipe. Interrupted or killed, the same command goes on from\n"
        "the last checkpoint and ends with the same bits as an unbroken run.",
    .examples = "phos train tools/recipes/vae-faces.yaml --out vae\n"
                "phos train recipe.yaml --out x --set training.steps=200 --set optimiser.rate=1e-4",
    .run = run_train,
};
