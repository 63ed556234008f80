/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Where a daemon keeps what: the system's, or a session's under the XDG folders. */
typedef struct {
    gboolean session;
    char *config_file;
    char *runtime; /* socket, pid file, a folder per running domain */
    char *state;   /* invar.db */
    char *cache;   /* capabilities.db */
    char *log;     /* a file per domain */
    char *socket;
    char *socket_ro; /* NULL in session mode */
    char *uri;     /* "qemu:///session" */
} InvPaths;

InvPaths *inv_paths_new(gboolean session);
void inv_paths_free(InvPaths *paths);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvPaths, inv_paths_free)

/* Makes the folders, 0700 (the system's runtime folder 0755, so that clients reach the socket). */
gboolean inv_paths_create(const InvPaths *paths, GError **error);

G_END_DECLS
