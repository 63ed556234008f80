/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A file descriptor that is closed when it leaves its scope; -1 is none. */
void inv_fd_close(int *fd);
#define inv_autofd __attribute__((cleanup(inv_fd_close)))

/* Takes the descriptor out of an inv_autofd variable. */
int inv_fd_steal(int *fd);

/*
 * Reads the whole of a regular file, proc or sys file of at most @limit bytes; the result is
 * NUL-terminated and may contain NULs. A larger file is an error.
 */
gboolean inv_file_read(const char *path, gsize limit, char **text, gsize *length, GError **error);

/* A listening UNIX stream socket at @path with the permissions @mode, or -1. A stale file is replaced. */
int inv_unix_listen(const char *path, int mode, GError **error);

/* A connected, blocking UNIX stream socket, or -1. */
int inv_unix_connect(const char *path, GError **error);

G_END_DECLS
