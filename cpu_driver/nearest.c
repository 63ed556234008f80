/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/nearest.h"

#include <string.h>

/* No name of a model or a feature is longer; a longer text is compared by its beginning. */
#define MAX_COMPARED 64u
#define SHOWN 3u

/* Levenshtein's distance without regard to case, in one row of the matrix. */
static guint
distance(const char *a, const char *b)
{
    gsize length_a = MIN(strlen(a), MAX_COMPARED), length_b = MIN(strlen(b), MAX_COMPARED);
    guint row[MAX_COMPARED + 1];

    for (guint k = 0; k <= length_b; k++)
        row[k] = k;
    for (guint i = 1; i <= length_a; i++) {
        guint diagonal = row[0];

        row[0] = i;
        for (guint k = 1; k <= length_b; k++) {
            guint above = row[k];
            guint change = g_ascii_tolower(a[i - 1]) != g_ascii_tolower(b[k - 1]);

            row[k] = MIN(MIN(row[k] + 1, row[k - 1] + 1), diagonal + change);
            diagonal = above;
        }
    }
    return row[length_b];
}

char *
inv_nearest_names(const char *name, const char *const *candidates, guint n)
{
    const char *best[SHOWN + 1] = { NULL };
    guint distances[SHOWN];
    guint found = 0;
    guint limit = (guint)MIN(strlen(name), MAX_COMPARED);

    for (guint i = 0; i < n; i++) {
        guint d = distance(name, candidates[i]);
        guint at = found;

        /* As many changes as the name has letters make any name out of any other. */
        if (d >= limit)
            continue;
        while (at > 0 && (d < distances[at - 1] || (d == distances[at - 1] && strcmp(candidates[i], best[at - 1]) < 0)))
            at--;
        if (at >= SHOWN)
            continue;
        found = MIN(found + 1, SHOWN);
        for (guint k = found - 1; k > at; k--) {
            best[k] = best[k - 1];
            distances[k] = distances[k - 1];
        }
        best[at] = candidates[i];
        distances[at] = d;
    }
    if (!found)
        return NULL;
    if (found == 1)
        return g_strdup(best[0]);
    return found == 2 ? g_strdup_printf("%s or %s", best[0], best[1]) : g_strdup_printf("%s, %s or %s", best[0], best[1], best[2]);
}

char *
inv_nearest_features(const char *name, const InvCpuMap *map)
{
    guint n = inv_cpu_map_size(map);
    g_autofree const char **candidates = g_new0(const char *, n + 1);

    for (guint i = 0; i < n; i++)
        candidates[i] = inv_cpu_map_at(map, i)->name;
    return inv_nearest_names(name, candidates, n);
}
