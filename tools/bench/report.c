/* SPDX-License-Identifier: MIT */
#include "bench/report.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "rt/thread.h"

#define GLM_MOTION 24

/* What a floor is made of. */
struct needs {
    double copy_bytes; /* read plus written, one thread */
    double read_bytes;
    double flop;
    bool shared; /* the engine's workers share the work */
};

/* Regressors of the linear model: motion and the polynomials that its filter chooses. */
static double n_regressors(const struct bench_report *r, uint64_t n_volumes)
{
    return GLM_MOTION + 2 + floor((double)n_volumes * r->setup->shape.tr_s / 150);
}

static double taps(const struct bench_shape *shape)
{
    double sigma = 5.0 / 2.3548 / shape->voxel_mm;

    return 2 * ceil(3 * sigma) + 1;
}

/* Weights read once, four bytes each, and two operations for each weight and position. */
static struct needs dand_needs(const struct phi_dand_config *net)
{
    double n_in = (double)(net->n_code ? net->n_code : net->n_latent);
    double read = 4 * (double)net->n_code * (double)net->n_latent;
    double flop = read / 2, positions = 1;

    for (int i = 1; i <= 5; i++) {
        double n_out = i < 5 ? (double)(net->width << (4 - i)) : 3;

        read += 4 * 16 * n_in * n_out;
        flop += 2 * 16 * n_in * n_out * positions;
        positions *= i == 1 ? 16 : 4; /* the first makes 4 x 4 of 1 x 1 */
        n_in = n_out;
    }
    return (struct needs){0, read, flop, false};
}

static bool needs_of(const struct bench_report *r, const char *name, struct needs *ret)
{
    const struct bench_setup *s = r->setup;
    double n = (double)s->info.n_voxels, q = (double)s->n_inside;
    double p = (double)s->shape.n_latents, side = (double)s->shape.side;
    double k = n_regressors(r, r->passes[0].n_volumes);
    const struct {
        const char *name;
        struct needs needs;
    } table[] = {
        /* checksum and conversion read the image, floats are written */
        {"wire", {(double)s->n_image * 2 + 4 * n, 0, 0, false}},
        {"realign", {8 * n, 0, 128 * n, true}},
        {"smooth", {8 * n, 0, 6 * taps(&s->shape) * n, false}},
        {"mask", {8 * q, 0, 0, false}},
        {"quality", {0, 4 * q, 0, false}},
        /* value in and out, mean and squares in and out */
        {"normalise", {40 * q, 0, 0, false}},
        {"glm", {16 * k * q, 0, 6 * k * q, true}},
        {"posterior", {0, 4 * p * q, 2 * p * q, true}},
        {"dand", dand_needs(&s->shape.net)},
        {"eigenface", {0, 12 * p * side * side, 6 * p * side * side, false}},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].name, name) == 0) {
            *ret = table[i].needs;
            return true;
        }
    return false;
}

double bench_floor_ms(const struct bench_report *report, const char *name)
{
    const struct bench_probe *a = &report->before, *b = &report->after;
    double read = fmax(a->read_gb_s, b->read_gb_s);
    double copy = fmax(a->copy_gb_s, b->copy_gb_s);
    double gflops = fmax(a->gflops, b->gflops);
    double memory_ms, arithmetic_ms;
    struct needs needs;

    if (!needs_of(report, name, &needs))
        return 0;
    if (needs.shared) {
        double all = fmax(a->read_all_gb_s, b->read_all_gb_s);

        copy *= fmax(1, all / read);
        read = fmax(read, all);
        gflops = fmax(gflops, fmax(a->gflops_all, b->gflops_all));
    }
    memory_ms = (needs.copy_bytes / copy + needs.read_bytes / read) * 1e-6;
    arithmetic_ms = needs.flop / gflops * 1e-6;
    return fmax(memory_ms, arithmetic_ms);
}

/* The floor of one volume from the socket to its first picture: its stages one after the other. */
static double chain_floor_ms(const struct bench_report *r, const struct bench_result *pass)
{
    double sum = 0;

    for (size_t i = 0; i < pass->n_stages; i++)
        sum += bench_floor_ms(r, pass->stages[i].name);
    return sum;
}

/* Acknowledged volumes a second behind the first one. */
static double throughput(const struct bench_result *pass)
{
    return pass->seconds > 0 && pass->sent.n_acked > 0
               ? (double)(pass->sent.n_acked - 1) / pass->seconds
               : 0;
}

static void machine(char *model, size_t size)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "re");

    (void)phi_str_copy(model, size, "unknown processor");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
            line[strcspn(line, "\n")] = '\0';
            (void)phi_str_copy(model, size, strchr(line, ':') + 2);
            break;
        }
    if (file)
        (void)fclose(file);
}

static void print_probe(const char *when, const struct bench_probe *p)
{
    printf("  %-7s read %5.1f GB/s (workers together %5.1f), copy %5.1f GB/s, matrix product %4.0f "
           "GFLOP/s (together %4.0f),\n          write + fdatasync of a volume p50 %.2f ms, p99 "
           "%.2f ms, load %.1f\n",
           when, p->read_gb_s, p->read_all_gb_s, p->copy_gb_s, p->gflops, p->gflops_all,
           p->sync_p50_ms, p->sync_p99_ms, p->load);
}

static void print_line(const char *name, const struct bench_stats *s, double floor_ms)
{
    if (s->n == 0)
        return;
    printf("  %-48s %9.3f %9.3f %9.3f", name, s->p50_ms, s->p99_ms, s->max_ms);
    if (floor_ms > 0)
        printf(" %9.3f %6.1fx", floor_ms, s->p50_ms / floor_ms);
    printf("  (%zu)\n", s->n);
}

static void print_stages(const struct bench_report *r, const struct bench_result *pass)
{
    for (size_t i = 0; i < pass->n_stages; i++) {
        const struct bench_stage *stage = &pass->stages[i];
        char name[64];

        (void)snprintf(name, sizeof name, "  %s", stage->name);
        print_line(name, &stage->busy, bench_floor_ms(r, stage->name));
        (void)snprintf(name, sizeof name, "    waited before %s", stage->name);
        print_line(name, &stage->waits, 0);
    }
}

static void print_pass(const struct bench_report *r, const struct bench_result *p)
{
    double sync_ms = fmin(r->before.sync_p50_ms, r->after.sync_p50_ms);

    if (p->rate > 0)
        printf("\n%llu volumes at %g a second (%.1f reached); the first %llu count in no time\n",
               (unsigned long long)p->n_volumes, p->rate, throughput(p),
               (unsigned long long)p->n_skipped);
    else
        printf("\n%llu volumes flat out: %.1f volumes a second; latencies here are those of full "
               "queues\n",
               (unsigned long long)p->n_volumes, throughput(p));
    printf("  %-48s %9s %9s %9s %9s %7s\n", "ms", "p50", "p99", "max", "floor", "p50/fl.");
    print_line("complete at the socket -> last stage of science", &p->decoded, 0);
    print_line("complete at the socket -> first picture", &p->first,
               p->first.n ? chain_floor_ms(r, p) : 0);
    print_line("complete at the socket -> last picture", &p->picture, 0);
    print_line("sent -> last picture", &p->shown, 0);
    print_line("sent -> acknowledged, on disk", &p->ack, sync_ms);
    print_line("all filters", &p->filters, 0);
    print_stages(r, p);
    printf("  sent %llu, acknowledged %llu, again %llu, lost %llu, duplicates %llu, missing %llu, "
           "events %llu, failures %llu\n",
           (unsigned long long)p->n_volumes, (unsigned long long)p->sent.n_acked,
           (unsigned long long)p->sent.n_resent, (unsigned long long)p->sent.n_lost,
           (unsigned long long)p->sent.n_duplicates, (unsigned long long)p->summary.n_missing,
           (unsigned long long)p->summary.n_events, (unsigned long long)p->summary.n_failures);
    printf("  first volume, while the models are read: sent -> acknowledged %.0f ms\n",
           p->planned_ms);
    printf("  pictures %llu, taken from the mailbox %llu, frames drawn %llu\n",
           (unsigned long long)p->n_pictures, (unsigned long long)p->n_seen_pictures,
           (unsigned long long)p->n_drawn);
    printf("  resident memory at each tenth of the run, MB:");
    for (size_t i = 0; i < BENCH_N_RSS; i++)
        printf(" %.0f", p->rss_mb[i]);
    printf("\n");
}

void bench_report_text(const struct bench_report *r)
{
    const struct bench_setup *s = r->setup;
    char model[128];

    machine(model, sizeof model);
    printf("%s, %d processors, %lld workers\n", model, phi_thread_cores(),
           (long long)s->shape.workers);
    printf("%u x %u x %u voxels of %g mm, %s, TR %g s; mask of %zu voxels", s->shape.dims[0],
           s->shape.dims[1], s->shape.dims[2], s->shape.voxel_mm,
           s->shape.float32 ? "float32" : "int16", s->shape.tr_s, s->n_inside);
    if (s->shape.n_latents)
        printf("; decoder of %lld latents, a stimulus every %g s, pictures of %lld x %lld",
               (long long)s->shape.n_latents, s->shape.every_s, (long long)s->shape.side,
               (long long)s->shape.side);
    printf("\nMade-up data. What the hardware does just before and just after:\n");
    print_probe("before", &r->before);
    print_probe("after", &r->after);
    for (size_t i = 0; i < r->n_passes; i++)
        print_pass(r, &r->passes[i]);
}

static json_t *stats_json(const struct bench_stats *s)
{
    return json_pack("{s:f, s:f, s:f, s:I}", "p50", s->p50_ms, "p99", s->p99_ms, "max", s->max_ms,
                     "n", (json_int_t)s->n);
}

static json_t *probe_json(const struct bench_probe *p)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "read_gb_s", p->read_gb_s,
                     "read_all_gb_s", p->read_all_gb_s, "copy_gb_s", p->copy_gb_s, "gflops",
                     p->gflops, "gflops_all", p->gflops_all, "fdatasync_p50_ms", p->sync_p50_ms,
                     "fdatasync_p99_ms", p->sync_p99_ms, "load", p->load);
}

static json_t *stages_json(const struct bench_report *r, const struct bench_result *p)
{
    json_t *list = json_array();

    for (size_t i = 0; i < p->n_stages; i++) {
        const struct bench_stage *stage = &p->stages[i];
        double floor_ms = bench_floor_ms(r, stage->name);
        json_t *one = json_pack("{s:s, s:o, s:o}", "name", stage->name, "busy_ms",
                                stats_json(&stage->busy), "waits_ms", stats_json(&stage->waits));

        if (floor_ms > 0)
            (void)json_object_set_new(one, "floor_ms", json_real(floor_ms));
        (void)json_array_append_new(list, one);
    }
    return list;
}

static json_t *pass_json(const struct bench_report *r, const struct bench_result *p)
{
    json_t *memory = json_array();

    for (size_t i = 0; i < BENCH_N_RSS; i++)
        (void)json_array_append_new(memory, json_real(p->rss_mb[i]));
    return json_pack(
        "{s:f, s:f, s:I, s:I, s:f, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:o, s:{s:I, s:I, s:I, "
        "s:I, "
        "s:I, s:I, s:b, s:b}, s:{s:I, s:I, s:I}, s:I, s:I, s:I, s:I, s:o}",
        "rate", p->rate, "planned_ms", p->planned_ms, "volumes", (json_int_t)p->n_volumes,
        "skipped", (json_int_t)p->n_skipped, "seconds", p->seconds, "volumes_per_s", throughput(p),
        "decoded_ms", stats_json(&p->decoded), "first_picture_ms", stats_json(&p->first),
        "picture_ms", stats_json(&p->picture), "sent_to_picture_ms", stats_json(&p->shown),
        "ack_ms", stats_json(&p->ack), "filters_ms", stats_json(&p->filters), "floor_ms",
        chain_floor_ms(r, p), "stages", stages_json(r, p), "counts", "sent",
        (json_int_t)p->n_volumes, "acknowledged", (json_int_t)p->sent.n_acked, "resent",
        (json_int_t)p->sent.n_resent, "received", (json_int_t)p->sent.n_received, "lost",
        (json_int_t)p->sent.n_lost, "duplicates", (json_int_t)p->sent.n_duplicates, "acks_in_order",
        (int)p->acks_in_order, "stages_in_order", (int)p->stages_in_order, "pictures", "rendered",
        (json_int_t)p->n_pictures, "seen", (json_int_t)p->n_seen_pictures, "drawn",
        (json_int_t)p->n_drawn, "events_sent", (json_int_t)p->sent.n_events, "events",
        (json_int_t)p->summary.n_events, "missing", (json_int_t)p->summary.n_missing, "failures",
        (json_int_t)p->summary.n_failures, "resident_mb", memory);
}

void bench_report_json(const struct bench_report *r)
{
    const struct bench_shape *s = &r->setup->shape;
    char model[128];
    json_t *passes = json_array();
    json_t *root;

    machine(model, sizeof model);
    for (size_t i = 0; i < r->n_passes; i++)
        (void)json_array_append_new(passes, pass_json(r, &r->passes[i]));
    root =
        json_pack("{s:{s:s, s:i, s:I}, s:{s:[i,i,i], s:s, s:f, s:I, s:I, s:I, s:f}, s:{s:o, "
                  "s:o}, s:o}",
                  "machine", "processor", model, "processors", phi_thread_cores(), "workers",
                  (json_int_t)s->workers, "run", "dims", (int)s->dims[0], (int)s->dims[1],
                  (int)s->dims[2], "type", s->float32 ? "float32" : "int16", "tr_s", s->tr_s,
                  "mask", (json_int_t)r->setup->n_inside, "latents", (json_int_t)s->n_latents,
                  "side", (json_int_t)s->side, "stimulus_every_s", s->every_s, "hardware", "before",
                  probe_json(&r->before), "after", probe_json(&r->after), "passes", passes);
    if (root)
        (void)json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    (void)putchar('\n');
    json_decref(root);
}
