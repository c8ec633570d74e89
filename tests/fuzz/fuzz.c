/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <inttypes.h>
#include <string.h>

#include "base/rng.h"

#define MAX_INPUT ((size_t)1 << 16)

struct fuzz_seed fuzz_seed_of(const void *bytes, size_t n_bytes)
{
    struct fuzz_seed seed = {malloc(n_bytes ? n_bytes : 1), n_bytes};

    fuzz_check(seed.bytes != NULL);
    memcpy(seed.bytes, bytes, n_bytes);
    return seed;
}

/* Values at the edges of what fields hold. */
static uint64_t edge_value(struct phi_rng *rng)
{
    static const uint64_t values[] = {0,
                                      1,
                                      0x7f,
                                      0x80,
                                      0xff,
                                      0x7fff,
                                      0x8000,
                                      0xffff,
                                      0x7fffffff,
                                      0x80000000,
                                      0xffffffff,
                                      0x7f800000,
                                      0x7fc00000,
                                      0x7ff0000000000000,
                                      0x7fffffffffffffff,
                                      0xffffffffffffffff};

    return values[phi_rng_below(rng, sizeof values / sizeof values[0])];
}

static void set_field(struct phi_rng *rng, unsigned char *bytes, size_t n)
{
    size_t size = (size_t)1 << phi_rng_below(rng, 4);
    uint64_t value = phi_rng_below(rng, 4) ? edge_value(rng) : phi_rng_u64(rng);

    if (size > n)
        return;
    memcpy(bytes + phi_rng_below(rng, n - size + 1), &value, size);
}

static void move_block(struct phi_rng *rng, unsigned char *bytes, size_t n)
{
    size_t size = 1 + (size_t)phi_rng_below(rng, n < 64 ? n : 64);
    size_t from = (size_t)phi_rng_below(rng, n - size + 1);
    size_t to = (size_t)phi_rng_below(rng, n - size + 1);

    memmove(bytes + to, bytes + from, size);
}

static size_t mutate(struct phi_rng *rng, unsigned char *bytes, size_t n)
{
    switch (phi_rng_below(rng, 7)) {
    case 0:
        bytes[phi_rng_below(rng, n)] ^= (unsigned char)(1u << phi_rng_below(rng, 8));
        return n;
    case 1:
        bytes[phi_rng_below(rng, n)] = (unsigned char)phi_rng_u64(rng);
        return n;
    case 2:
    case 3:
        set_field(rng, bytes, n);
        return n;
    case 4:
        move_block(rng, bytes, n);
        return n;
    case 5:
        return 1 + (size_t)phi_rng_below(rng, n); /* cut */
    default:
        if (n < MAX_INPUT)
            bytes[n++] = (unsigned char)phi_rng_u64(rng);
        return n;
    }
}

/* The beginning of one seed and the end of another. */
static size_t splice(struct phi_rng *rng, const struct fuzz_seed *a, const struct fuzz_seed *b,
                     unsigned char *out)
{
    size_t n_a = (size_t)phi_rng_below(rng, a->n_bytes + 1);
    size_t from = (size_t)phi_rng_below(rng, b->n_bytes + 1);
    size_t n_b = b->n_bytes - from;

    if (n_a + n_b > MAX_INPUT)
        n_b = MAX_INPUT - n_a;
    memcpy(out, a->bytes, n_a);
    memcpy(out + n_a, b->bytes + from, n_b);
    return n_a + n_b;
}

static size_t make_input(struct phi_rng *rng, const struct fuzz_seed *seeds, size_t n_seeds,
                         unsigned char *out)
{
    const struct fuzz_seed *seed = &seeds[phi_rng_below(rng, n_seeds)];
    uint64_t n_changes = phi_rng_below(rng, 5);
    size_t n = seed->n_bytes;

    if (phi_rng_below(rng, 8) == 0)
        n = splice(rng, seed, &seeds[phi_rng_below(rng, n_seeds)], out);
    else
        memcpy(out, seed->bytes, n);
    for (uint64_t i = 0; i < n_changes && n > 0; i++)
        n = mutate(rng, out, n);
    return n;
}

static int run_exact(const struct fuzz_target *target, const unsigned char *bytes, size_t n)
{
    struct fuzz_seed exact = fuzz_seed_of(bytes, n);
    int accepted = target->run(exact.bytes, n);

    free(exact.bytes);
    return accepted;
}

static int run_file(const struct fuzz_target *target, const char *path)
{
    static unsigned char bytes[MAX_INPUT];
    FILE *file = fopen(path, "rb");
    size_t n;

    if (!file) {
        (void)fprintf(stderr, "cannot open '%s'\n", path);
        return 1;
    }
    n = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    printf("%s: %s\n", path, run_exact(target, bytes, n) ? "accepted" : "refused");
    return 0;
}

int fuzz_main(const struct fuzz_target *target, int argc, char **argv)
{
    static unsigned char input[MAX_INPUT];
    struct fuzz_seed seeds[FUZZ_MAX_SEEDS];
    uint64_t n_runs = target->n_runs;
    uint64_t seed = 1;
    uint64_t n_accepted = 0;
    struct phi_rng rng;
    size_t n_seeds;
    int n_files = 0;
    int failed = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc)
            n_runs = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (++n_files)
            failed |= run_file(target, argv[i]);
    }
    if (n_files)
        return failed;
    n_seeds = target->make_seeds(seeds);
    for (size_t i = 0; i < n_seeds; i++)
        fuzz_check(run_exact(target, seeds[i].bytes, seeds[i].n_bytes));
    phi_rng_init(&rng, seed, 0);
    for (uint64_t i = 0; i < n_runs; i++)
        n_accepted += (uint64_t)run_exact(target, input, make_input(&rng, seeds, n_seeds, input));
    for (size_t i = 0; i < n_seeds; i++)
        free(seeds[i].bytes);
    printf("%s: %" PRIu64 " of %" PRIu64 " inputs accepted\n", target->name, n_accepted, n_runs);
    return n_runs > 100 && (n_accepted == 0 || n_accepted == n_runs);
}
