/* SPDX-License-Identifier: MIT */
#include "rt/json.h"

#include <stddef.h>

/* Length of the UTF-8 sequence at `s`, 0 if it is none. Overlong forms and surrogates are refused
 * by the bounds on the second byte. */
static size_t sequence_length(const unsigned char *s)
{
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

    if (n < 2 || s[0] > 0xf4)
        return s[0] > 0xf4 ? 0 : n;
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    return n;
}

void phi_json_string(FILE *file, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    (void)fputc('"', file);
    while (*s) {
        size_t n = sequence_length(s);

        if (n == 0)
            (void)fputs("\\ufffd", file);
        else if (*s < 0x20)
            (void)fprintf(file, "\\u%04x", *s);
        else if (*s == '"' || *s == '\\')
            (void)fprintf(file, "\\%c", *s);
        else
            (void)fwrite(s, 1, n, file);
        s += n ? n : 1;
    }
    (void)fputc('"', file);
}
