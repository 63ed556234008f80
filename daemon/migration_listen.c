/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/migration_listen.h"

#include "daemon/migrations.h"
#include "util/error.h"
#include "util/fd.h"

#include <string.h>

/* libvirt's range, so that firewalls that are open for it are open for Invar. */
#define FIRST_PORT 49152u
#define LAST_PORT 49215u

/* What is listened for. */
typedef struct {
    InvDaemon *daemon;
    InvQmp *qmp;
    gboolean again; /* the rest of a postcopy */
} Listener;

/* One address: TRUE, or FALSE and *@in_use when another port may be tried. */
static gboolean
listen_at(const Listener *listener, const char *address, gboolean *in_use, GError **error)
{
    guint deadline = inv_daemon_start_deadline(listener->daemon);

    if (!listener->again)
        return inv_migration_listen(listener->qmp, address, in_use, deadline, error);
    /* QEMU does not tell why it cannot: a port that is taken is the likely reason. */
    *in_use = TRUE;
    return inv_migration_listen_recover(listener->qmp, address, deadline, error);
}

static gboolean
listen_on(const Listener *listener, const char *host, guint port, gboolean *in_use, GError **error)
{
    g_autofree char *address = inv_migration_address_tcp(host, port);

    return listen_at(listener, address, in_use, error);
}

/* @port 0: the first free one of the range. */
static gboolean
listen_on_host(const Listener *listener, const char *host, guint port, guint *chosen, GError **error)
{
    gboolean in_use = FALSE;

    if (port) {
        *chosen = port;
        return listen_on(listener, host, port, &in_use, error);
    }
    for (port = FIRST_PORT; port <= LAST_PORT; port++) {
        g_autoptr(GError) cause = NULL;

        in_use = FALSE;
        if (listen_on(listener, host, port, &in_use, &cause)) {
            *chosen = port;
            return TRUE;
        }
        if (!in_use) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return FALSE;
        }
    }
    return inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                         "all ports from %u to %u are in use: end a migration to this host, or name a port with "
                         "--migrateuri tcp:HOST:PORT",
                         FIRST_PORT, LAST_PORT);
}

/* Everywhere: IPv6's "any" takes IPv4 along, where the kernel has IPv6. */
static gboolean
listen_everywhere(const Listener *listener, guint port, guint *chosen, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (listen_on_host(listener, "::", port, chosen, &cause))
        return TRUE;
    return listen_on_host(listener, "0.0.0.0", port, chosen, error);
}

static gboolean
listen_for_tunnel(InvDaemon *daemon, const InvStart *start, InvMigrationPrepare *prepare, GError **error)
{
    g_autofree char *path = g_build_filename(start->guest->folder, "migration.sock", NULL);
    g_autofree char *address = g_strconcat("unix:", path, NULL);
    gboolean in_use = FALSE;

    if (!inv_migration_listen(start->guest->qmp, address, &in_use, inv_daemon_start_deadline(daemon), error))
        return FALSE;
    prepare->tunnel_fd = inv_unix_connect(path, error);
    return prepare->tunnel_fd >= 0;
}

static gboolean
listen_as_asked(const Listener *listener, InvMigrationPrepare *prepare, GError **error)
{
    const InvMigrationOptions *options = prepare->options;
    g_autofree char *host = NULL, *path = NULL, *address = NULL;
    guint port = 0, chosen = 0;
    gboolean in_use = FALSE;

    if (options->uri && !inv_migration_uri_parse(options->uri, &host, &port, &path, error))
        return FALSE;
    if (path) {
        address = g_strconcat("unix:", path, NULL);
        return listen_at(listener, address, &in_use, error);
    }
    if (!(options->listen_address ? listen_on_host(listener, options->listen_address, port, &chosen, error)
                                  : listen_everywhere(listener, port, &chosen, error)))
        return FALSE;
    prepare->uri_out = inv_migration_address_tcp(host ? host : inv_migrations_hostname(listener->daemon->migrations), chosen);
    return TRUE;
}

gboolean
inv_migration_listen_for_state(InvDaemon *daemon, const InvStart *start, InvMigrationPrepare *prepare, GError **error)
{
    const Listener listener = { .daemon = daemon, .qmp = start->guest->qmp };

    if (prepare->tunnel)
        return listen_for_tunnel(daemon, start, prepare, error);
    return listen_as_asked(&listener, prepare, error);
}

gboolean
inv_migration_listen_again(InvDaemon *daemon, const InvStart *start, InvMigrationPrepare *prepare, GError **error)
{
    const Listener listener = { .daemon = daemon, .qmp = start->guest->qmp, .again = TRUE };

    return listen_as_asked(&listener, prepare, error);
}
