/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/name_order.h"

#include <string.h>

/* How many bytes of @name stand before its version: the digits and dots at its end. */
static gsize
family_length(const char *name)
{
    gsize length = strlen(name);

    while (length && (g_ascii_isdigit(name[length - 1]) || name[length - 1] == '.'))
        length--;
    return length;
}

/* Numbers with dots between them, part by part; a part that is missing is less than any. Positive: @a is the newer one. */
static int
compare_versions(const char *a, const char *b)
{
    while (*a && *b) {
        char *a_end, *b_end;
        guint64 one = g_ascii_strtoull(a, &a_end, 10);
        guint64 other = g_ascii_strtoull(b, &b_end, 10);

        if (one != other)
            return one > other ? 1 : -1;
        /* Neither moves where a dot has no number before it. */
        a = a_end + (*a_end == '.');
        b = b_end + (*b_end == '.');
    }
    return (*a != 0) - (*b != 0);
}

int
inv_name_order(const char *a, const char *b)
{
    gsize a_length = family_length(a);
    gsize b_length = family_length(b);
    int order = g_ascii_strncasecmp(a, b, MIN(a_length, b_length));

    if (!order)
        order = (a_length > b_length) - (a_length < b_length);
    if (!order)
        order = (a[a_length] != 0) - (b[b_length] != 0);
    if (!order)
        order = compare_versions(b + b_length, a + a_length);
    return order ? order : strcmp(a, b);
}
