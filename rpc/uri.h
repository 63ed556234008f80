/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* libvirtd's port for connections without encryption. */
#define INV_RPC_TCP_PORT 16509u

typedef enum {
    INV_TRANSPORT_UNIX,
    INV_TRANSPORT_TCP, /* neither encrypted nor authenticated */
    INV_TRANSPORT_SSH, /* a relay on the other host, reached with the ssh client's own means */
} InvRpcTransport;

/* Which daemon to talk to, how to get there, and what it is asked to open. */
typedef struct {
    InvRpcTransport transport;
    char *socket; /* UNIX: a path; SSH: a path on the other host, or NULL: the usual one there */
    char *host;   /* TCP, SSH; an IPv6 address without brackets */
    guint port;   /* TCP; SSH: 0, as ssh's own configuration has it */
    char *user;   /* SSH: or NULL */
    char *uri;    /* "qemu:///session"; "": the daemon says */
} InvRpcTarget;

void inv_rpc_target_free(InvRpcTarget *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvRpcTarget, inv_rpc_target_free)

/*
 * @text, with "invar" as good as "qemu":
 *   qemu:///system, qemu:///session, qemu+unix:///session?socket=PATH, or the absolute path of a socket;
 *   qemu+tcp://HOST[:PORT]/system;
 *   qemu+ssh://[USER@]HOST[:PORT]/system[?socket=PATH].
 * NULL or "": the system's daemon for root, the session's for all others. VIR_ERR_INVALID_ARG for a
 * malformed one, and for a host or user that ssh would take for an option; VIR_ERR_NO_SUPPORT for a
 * transport that is none of these (also for a host without any, which means TLS).
 */
InvRpcTarget *inv_rpc_target_parse(const char *text, GError **error);

/* For messages: the socket's path, "tcp HOST:PORT" or "HOST over ssh". Owned by the caller. */
char *inv_rpc_target_describe(const InvRpcTarget *target);

/*
 * "ADDRESS[:PORT]", where ADDRESS is IPv4's or, in brackets, IPv6's; port 16509 unless it is given.
 * Names of hosts are none: what to listen on must not depend on a name server. *@address is the
 * caller's. VIR_ERR_INVALID_ARG.
 */
gboolean inv_rpc_address_parse(const char *text, char **address, guint *port, GError **error);

G_END_DECLS
