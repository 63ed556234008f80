/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_map/table_file.h"

#include "util/error.h"

#include <string.h>

gboolean
inv_table_file_read(const char *folder, const char *file, const char *header, InvTableRow row, gpointer opaque, GError **error)
{
    g_autofree char *path = g_build_filename(folder, file, NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    g_auto(GStrv) names = g_strsplit(header, "\t", -1);
    gboolean header_seen = FALSE;

    if (!g_file_get_contents(path, &text, NULL, error)) {
        g_prefix_error(error, "CPU data file: ");
        return FALSE;
    }
    lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        g_auto(GStrv) columns = NULL;

        if (!*lines[i] || *lines[i] == '#')
            continue;
        if (!header_seen) {
            if (strcmp(lines[i], header) != 0)
                return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "%s:%u: the columns are not the expected ones", path, i + 1);
            header_seen = TRUE;
            continue;
        }
        columns = g_strsplit(lines[i], "\t", -1);
        if (g_strv_length(columns) != g_strv_length(names))
            return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "%s:%u: %u columns instead of %u", path, i + 1,
                                 g_strv_length(columns), g_strv_length(names));
        if (!row(columns, opaque, error)) {
            g_prefix_error(error, "%s:%u: ", path, i + 1);
            return FALSE;
        }
    }
    if (!header_seen)
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "%s: the file has no rows", path);
    return TRUE;
}
