/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "eval/dand.h"

#define N_STRONGEST 5

json_t *study_json(const struct study *study, json_t *differences, json_t *attributes, json_t *axes)
{
    json_t *table = json_array();

    for (size_t i = 0; i < study->n_methods; i++) {
        const struct study_method *m = &study->methods[i];
        json_t *row = json_pack("{s:s, s:i}", "method", m->name, "subject", m->subject + 1);

        for (int metric = 0; metric < STUDY_N_METRICS; metric++) {
            const struct phi_paired_score *s = &m->scores[metric];

            (void)json_object_set_new(row, study_metric_names[metric],
                                      json_pack("{s:f, s:f, s:[f, f], s:f, s:f}", "mean", s->mean,
                                                "sem", s->sem, "ci95", s->low, s->high,
                                                "other_picture", s->other, "p", s->p));
        }
        (void)json_array_append_new(table, row);
    }
    return json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "model", study->args->model, "null",
        "shuffled pairing of pictures; intervals from resampled pictures", "pictures",
        (json_int_t)study->n, "subjects", (json_int_t)study->n_subjects, "draws",
        (json_int_t)study->args->n_draws, "seed", (json_int_t)study->args->seed, "table", table,
        "differences", differences, "attributes", attributes, "decoded_attributes", axes);
}

static void print_table(const struct study *study, FILE *file)
{
    fprintf(file, "%zu pictures; mean +- s.e.m. [95 %% interval] (another picture's score; p)\n",
            study->n);
    for (int metric = 0; metric < STUDY_N_METRICS; metric++) {
        fprintf(file, "\n%s\n", study_metric_names[metric]);
        for (size_t i = 0; i < study->n_methods; i++) {
            const struct study_method *m = &study->methods[i];
            const struct phi_paired_score *s = &m->scores[metric];

            fprintf(file, "  %-22s %.4f +- %.4f [%.4f, %.4f]  (%.4f; p %.4f)\n", m->name, s->mean,
                    s->sem, s->low, s->high, s->other, s->p);
        }
    }
}

static void print_differences(const json_t *list, FILE *file)
{
    size_t i;
    json_t *one;

    fprintf(file, "\npaired differences [95 %% interval]\n");
    json_array_foreach(list, i, one)
    {
        fprintf(file, "  %s over %s:", json_string_value(json_object_get(one, "better")),
                json_string_value(json_object_get(one, "than")));
        for (int metric = 0; metric < STUDY_N_METRICS; metric++) {
            const json_t *d = json_object_get(one, study_metric_names[metric]);
            const json_t *ci = json_object_get(d, "ci95");

            fprintf(file, "%s %s %+.4f [%+.4f, %+.4f]", metric ? "," : "",
                    study_metric_names[metric], json_real_value(json_object_get(d, "by")),
                    json_real_value(json_array_get(ci, 0)), json_real_value(json_array_get(ci, 1)));
        }
        fprintf(file, "\n");
    }
}

/* The attributes that go with the score most, strongest first. */
static void print_strongest(const char *metric, const json_t *relation, FILE *file)
{
    json_t *left = json_deep_copy(json_object_get(relation, "r"));

    fprintf(file, "  %s:", metric);
    for (int i = 0; i < N_STRONGEST && json_object_size(left); i++) {
        const char *name, *best = NULL;
        json_t *r;
        double most = -1;

        json_object_foreach(left, name, r) if (fabs(json_real_value(r)) > most)
        {
            most = fabs(json_real_value(r));
            best = name;
        }
        fprintf(file, "%s %s %+.2f", i ? "," : "", best,
                json_real_value(json_object_get(left, best)));
        (void)json_object_del(left, best);
    }
    fprintf(file, "; the largest of so many: p %.3f\n",
            json_real_value(json_object_get(relation, "p_of_largest")));
    json_decref(left);
}

void study_text(const struct study *study, const json_t *report, FILE *file)
{
    const char *metric;
    json_t *relation;

    print_table(study, file);
    print_differences(json_object_get(report, "differences"), file);
    if (json_object_size(json_object_get(report, "attributes")))
        fprintf(file, "\ncorrelation of DAND's score with attributes, over pictures\n");
    json_object_foreach(json_object_get(report, "attributes"), metric, relation)
        print_strongest(metric, relation, file);
    study_axes_text(json_object_get(report, "decoded_attributes"), file);
}
