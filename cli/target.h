/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Which daemon to talk to. */
typedef struct {
    char *socket; /* path */
    char *uri;    /* what the daemon is asked to open: "qemu:///session"; "" lets it say */
} InvTarget;

void inv_target_free(InvTarget *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvTarget, inv_target_free)

/*
 * @text: "qemu:///system", "qemu+unix:///session?socket=PATH", the same with "invar" for "qemu", or
 * the absolute path of a socket. NULL or "": the system's daemon for root, the session's for all others.
 * VIR_ERR_INVALID_ARG for a malformed one, VIR_ERR_NO_SUPPORT for a host or a transport that is not UNIX.
 */
InvTarget *inv_target_parse(const char *text, GError **error);

/* Where the session's daemon listens: it and its clients must agree. Owned by the caller. */
char *inv_target_session_socket(void);

G_END_DECLS
