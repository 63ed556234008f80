/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/distance.h"

#include <string.h>

guint
inv_distance(const char *wrong, const char *right)
{
    gsize length = MIN(strlen(wrong), INV_DISTANCE_MAX), length_right = MIN(strlen(right), INV_DISTANCE_MAX);
    guint row[INV_DISTANCE_MAX + 1]; /* of the matrix: the distance to each beginning of @right */
    guint beginning = G_MAXUINT - 1;

    for (guint k = 0; k <= length_right; k++)
        row[k] = k;
    for (guint i = 1; i <= length; i++) {
        guint diagonal = row[0];

        row[0] = i;
        for (guint k = 1; k <= length_right; k++) {
            guint above = row[k];
            guint change = g_ascii_tolower(wrong[i - 1]) != g_ascii_tolower(right[k - 1]);

            row[k] = MIN(MIN(above, row[k - 1]) + 1, diagonal + change);
            diagonal = above;
        }
    }
    for (guint k = 0; k <= length_right; k++)
        beginning = MIN(beginning, row[k]);
    return MIN(row[length_right], beginning + 1);
}
