/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Reading the kernel's small text files below a root folder; inside of the host_*.c files only. */

/* @root (NULL: "/") and a path that the format makes; owned by the caller. */
char *inv_host_path(const char *root, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The file's text without blanks around it, or NULL when it cannot be read or is larger than a page. */
char *inv_host_read_text(const char *path);

/* The file's one unsigned decimal number; FALSE when it holds anything else. */
gboolean inv_host_read_number(const char *path, guint64 *number);

/* The whole of a larger text file such as /proc/cpuinfo; an error names it. */
char *inv_host_read_file(const char *path, GError **error);

/*
 * The value of the first line "KEY<blanks>:<blanks>VALUE" of @text, or NULL. Owned by the caller.
 */
char *inv_host_field(const char *text, const char *key);

G_END_DECLS
