/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* First, for accept4(). */
#include <config.h>

#include "daemon/migration_tunnel.h"

#include "daemon/guest_process.h"
#include "util/error.h"
#include "util/fd.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* QEMU connects when it is told to send: at once, or it never does. */
#define ACCEPT_DEADLINE_MS 30000
#define SOCKET_MODE 0600

struct InvMigrationTunnel {
    InvRpcConnection *connection; /* borrowed; the thread's */
    guint32 procedure, serial;
    char *path, *uri;
    int listener;
    int cancel;                   /* an eventfd: readable once the tunnel is given up */
    GThread *thread;
    gint ended;                   /* atomic: `error` is final */
    GError *error;
};

static gboolean
accept_qemu(const InvMigrationTunnel *tunnel, int *fd, GError **error)
{
    struct pollfd fds[] = { { .fd = tunnel->listener, .events = POLLIN }, { .fd = tunnel->cancel, .events = POLLIN } };
    int ready;

    do
        ready = poll(fds, G_N_ELEMENTS(fds), ACCEPT_DEADLINE_MS);
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        return inv_error_set(error, VIR_ERR_OPERATION_TIMEOUT, "QEMU did not begin to send the guest's state within %d s",
                             ACCEPT_DEADLINE_MS / 1000);
    if (fds[1].revents)
        return inv_error_set(error, VIR_ERR_OPERATION_ABORTED, "the tunnel was given up before QEMU began to send");
    *fd = accept4(tunnel->listener, NULL, NULL, SOCK_CLOEXEC);
    return *fd >= 0 || inv_error_set_errno(error, errno, "cannot accept QEMU's connection on '%s'", tunnel->path);
}

static gpointer
run(gpointer data)
{
    InvMigrationTunnel *tunnel = data;
    inv_autofd int fd = -1;

    if (accept_qemu(tunnel, &fd, &tunnel->error))
        inv_rpc_connection_send_fd(tunnel->connection, &inv_rpc_remote_program, tunnel->procedure, tunnel->serial, fd,
                                   tunnel->cancel, &tunnel->error);
    g_atomic_int_set(&tunnel->ended, TRUE);
    return NULL;
}

static void
tunnel_free(InvMigrationTunnel *tunnel)
{
    inv_fd_close(&tunnel->listener);
    inv_fd_close(&tunnel->cancel);
    g_unlink(tunnel->path);
    g_free(tunnel->path);
    g_free(tunnel->uri);
    g_clear_error(&tunnel->error);
    g_free(tunnel);
}

static gboolean
open_socket(const InvDaemon *daemon, InvMigrationTunnel *tunnel, GError **error)
{
    g_unlink(tunnel->path);
    tunnel->listener = inv_unix_listen(tunnel->path, SOCKET_MODE, error);
    if (tunnel->listener < 0)
        return FALSE;
    /* The folder is that account's already: what stands at the path now may be a link of a guest's making. */
    if (daemon->qemu_uid != (uid_t)-1 && lchown(tunnel->path, daemon->qemu_uid, daemon->qemu_gid) < 0)
        return inv_error_set_errno(error, errno, "cannot give '%s' to the account that QEMU runs as", tunnel->path);
    tunnel->cancel = eventfd(0, EFD_CLOEXEC);
    return tunnel->cancel >= 0 || inv_error_set_errno(error, errno, "cannot make an eventfd");
}

InvMigrationTunnel *
inv_migration_tunnel_new(InvDaemon *daemon, InvVm *vm, InvRpcConnection *connection, guint32 procedure, guint32 serial,
                         GError **error)
{
    InvMigrationTunnel *tunnel = g_new0(InvMigrationTunnel, 1);
    g_autofree char *folder = inv_guest_process_folder(daemon, vm);

    tunnel->connection = connection;
    tunnel->procedure = procedure;
    tunnel->serial = serial;
    tunnel->listener = tunnel->cancel = -1;
    tunnel->path = g_build_filename(folder, "tunnel.sock", NULL);
    tunnel->uri = g_strconcat("unix:", tunnel->path, NULL);
    if (!open_socket(daemon, tunnel, error)) {
        tunnel_free(tunnel);
        return NULL;
    }
    tunnel->thread = g_thread_new("tunnel", run, tunnel);
    return tunnel;
}

const char *
inv_migration_tunnel_uri(const InvMigrationTunnel *tunnel)
{
    return tunnel->uri;
}

gboolean
inv_migration_tunnel_check(InvMigrationTunnel *tunnel, GError **error)
{
    if (!g_atomic_int_get(&tunnel->ended) || !tunnel->error)
        return TRUE;
    if (error)
        *error = g_error_copy(tunnel->error);
    return FALSE;
}

gboolean
inv_migration_tunnel_close(InvMigrationTunnel *tunnel, gboolean abort, GError **error)
{
    gboolean ok;

    if (abort && eventfd_write(tunnel->cancel, 1) < 0)
        g_warning("cannot give a tunnel up: %s", g_strerror(errno));
    g_thread_join(tunnel->thread);
    ok = !tunnel->error;
    if (!ok && error)
        *error = g_steal_pointer(&tunnel->error);
    tunnel_free(tunnel);
    return ok;
}
