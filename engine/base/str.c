/* SPDX-License-Identifier: MIT */
#include "base/str.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DISTANCE_LENGTH 63

struct phi_str phi_str_over(char *memory, size_t capacity)
{
    memory[0] = '\0';
    return (struct phi_str){memory, capacity, 0, false};
}

void phi_str_addf(struct phi_str *str, const char *format, ...)
{
    size_t room = str->capacity - str->length;
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(str->text + str->length, room, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= room) {
        str->cut = true;
        str->length = strlen(str->text);
        return;
    }
    str->length += (size_t)n;
}

bool phi_str_copy(char *out, size_t capacity, const char *text)
{
    size_t n = strlen(text);
    bool fits = n < capacity;

    if (!fits)
        n = capacity - 1;
    memcpy(out, text, n);
    out[n] = '\0';
    return fits;
}

/* strtod reads the locale's decimal comma, hexadecimal and "inf"; a run file must mean the same
 * everywhere, so only these characters may occur. No locale is ever set by this program. */
static bool is_plain_decimal(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "+-.0123456789eE")] == '\0';
}

bool phi_parse_double(const char *text, double *ret)
{
    char *end;
    double value;

    if (!is_plain_decimal(text))
        return false;
    errno = 0;
    value = strtod(text, &end);
    if (*end != '\0' || !isfinite(value))
        return false;
    *ret = value;
    return true;
}

bool phi_parse_i64(const char *text, int64_t *ret)
{
    char *end;
    long long value;

    if (text[0] == '\0' || text[strspn(text, "+-0123456789")] != '\0')
        return false;
    errno = 0;
    value = strtoll(text, &end, 10);
    if (*end != '\0' || errno == ERANGE)
        return false;
    *ret = value;
    return true;
}

bool phi_str_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool phi_str_ends(const char *text, const char *suffix)
{
    size_t n = strlen(text);
    size_t m = strlen(suffix);

    return n >= m && memcmp(text + n - m, suffix, m) == 0;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

size_t phi_str_distance(const char *a, const char *b)
{
    size_t rows[3][MAX_DISTANCE_LENGTH + 1];
    size_t n = strlen(a);
    size_t m = strlen(b);

    if (n > MAX_DISTANCE_LENGTH || m > MAX_DISTANCE_LENGTH)
        return SIZE_MAX;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = rows[i % 3];
        const size_t *before = rows[(i + 2) % 3];
        const size_t *two_before = rows[(i + 1) % 3];

        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            now[j] = min3(now[j - 1] + 1, before[j] + 1, before[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                two_before[j - 2] + 1 < now[j])
                now[j] = two_before[j - 2] + 1;
        }
    }
    return rows[n % 3][m];
}
