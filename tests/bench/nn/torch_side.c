/* SPDX-License-Identifier: MIT */
#include "torch_side.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void start(const int *to, const int *from, const int *threads)
{
    char n[16], blas[16];

    (void)snprintf(n, sizeof n, "%d", threads[0]);
    (void)snprintf(blas, sizeof blas, "%d", threads[1]);
    (void)unsetenv("DNNL_VERBOSE"); /* its lines would be taken for answers */
    (void)setenv("OMP_NUM_THREADS", n, 1);
    (void)setenv("OPENBLAS_NUM_THREADS", blas, 1);
    if (dup2(to[0], 0) < 0 || dup2(from[1], 1) < 0)
        _exit(1);
    (void)close(to[1]);
    (void)close(from[0]);
    (void)execl("/usr/bin/python3", "python3", TORCH_SIDE, n, (char *)NULL);
    _exit(1);
}

bool torch_side_open(struct torch_side *side, int threads, int blas_threads)
{
    int to[2], from[2];
    char line[64] = "";

    memset(side, 0, sizeof *side);
    (void)signal(SIGPIPE, SIG_IGN);
    if (pipe(to) != 0 || pipe(from) != 0)
        return false;
    side->pid = fork();
    if (side->pid == 0)
        start(to, from, (const int[]){threads, blas_threads});
    (void)close(to[0]);
    (void)close(from[1]);
    side->to = fdopen(to[1], "w");
    side->from = fdopen(from[0], "r");
    if (side->pid > 0 && side->to && side->from && fgets(line, sizeof line, side->from) &&
        strcmp(line, "ready\n") == 0)
        return true;
    torch_side_close(side);
    return false;
}

double torch_side_run(struct torch_side *side, const char *work, bool cpu)
{
    double wall = 0, processor = 0;
    char line[128];

    (void)fprintf(side->to, "%s\n", work);
    (void)fflush(side->to);
    if (!fgets(line, sizeof line, side->from) ||
        sscanf(line, "%lf %lf %lf", &wall, &processor, &side->peak_mb) != 3) {
        (void)fprintf(stderr, "PyTorch gave up on '%s'\n", work);
        exit(1);
    }
    return cpu ? processor : wall;
}

void torch_side_close(struct torch_side *side)
{
    if (side->to)
        (void)fclose(side->to);
    if (side->from)
        (void)fclose(side->from);
    if (side->pid > 0)
        (void)waitpid(side->pid, NULL, 0);
    memset(side, 0, sizeof *side);
}
