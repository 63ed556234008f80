/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * Reads a data file of rows whose columns are separated by tabs. Lines that start with # and empty
 * lines are skipped; the first other line must be @header, so that a file of another shape is
 * refused and not misread.
 *
 * @row is called for each row with exactly as many columns as @header has; what it refuses is
 * prefixed with file and line. Errors: VIR_ERR_SYSTEM_ERROR (not readable), VIR_ERR_CONF_SYNTAX.
 */
typedef gboolean (*InvTableRow)(char **columns, gpointer opaque, GError **error);

gboolean inv_table_file_read(const char *folder, const char *file, const char *header, InvTableRow row, gpointer opaque,
                             GError **error);

G_END_DECLS
