/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"
#include "rpc/client.h"

G_BEGIN_DECLS

/*
 * The source's end of a tunnel: QEMU sends the guest's state to a socket of its run's folder, and a
 * thread of this tunnel's passes it on in the stream of the connection between the daemons. That
 * connection is the thread's alone until inv_migration_tunnel_close() has returned.
 */
typedef struct InvMigrationTunnel InvMigrationTunnel;

/* @connection has opened the stream @serial of @procedure of libvirt's program. */
InvMigrationTunnel *inv_migration_tunnel_new(InvDaemon *daemon, InvVm *vm, InvRpcConnection *connection, guint32 procedure,
                                             guint32 serial, GError **error);
/* "unix:PATH": where QEMU sends. Borrowed. */
const char *inv_migration_tunnel_uri(const InvMigrationTunnel *tunnel);
/* FALSE: it has ended with an error. */
gboolean inv_migration_tunnel_check(InvMigrationTunnel *tunnel, GError **error);
/* Waits until all is through, or with @abort gives it up, and frees the tunnel. */
gboolean inv_migration_tunnel_close(InvMigrationTunnel *tunnel, gboolean abort, GError **error);

G_END_DECLS
