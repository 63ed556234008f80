/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/nearest.h"

#include "util/distance.h"

#include <string.h>

#define SHOWN 3u

char *
inv_nearest_names(const char *name, const char *const *candidates, guint n)
{
    const char *best[SHOWN + 1] = { NULL };
    guint distances[SHOWN];
    guint found = 0;
    guint limit = (guint)MIN(strlen(name), INV_DISTANCE_MAX);

    for (guint i = 0; i < n; i++) {
        guint d = inv_distance(name, candidates[i]);
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
