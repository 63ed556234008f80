/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "rpc/transport.h"

#include "util/error.h"
#include "util/fd.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEFAULT_DEADLINE_MS 10000
/* A dead host is noticed while nothing is said on the connection, too. */
#define KEEPALIVE_S 5
#define KEEPALIVES 5
#define SSH_END_MS 1000
#define COMPLAINT_MAX 1024
#define SYSTEM_SOCKET "/run/invar/invar-sock"

/* A connected, non-blocking socket, or -1. */
static int
connect_unix(const char *path, guint deadline_ms, GError **error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const struct timeval timeout = { .tv_sec = deadline_ms / 1000, .tv_usec = (deadline_ms % 1000) * 1000 };
    inv_autofd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(address.sun_path)) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the socket path '%s' is longer than the %zu bytes that the kernel allows",
                      path, sizeof(address.sun_path) - 1);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    /* It bounds connect() as well, which waits while the daemon's backlog is full. */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0) {
        inv_error_set_errno(error, errno, "cannot make a socket");
        return -1;
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        inv_error_set(error, VIR_ERR_SYSTEM_ERROR, "cannot connect to invard at '%s': %s. %s", path, g_strerror(errno),
                      errno == EACCES ? "May this user talk to that daemon?" : "Is invard running?");
        return -1;
    }
    if (!g_unix_set_fd_nonblocking(fd, TRUE, error))
        return -1;
    return inv_fd_steal(&fd);
}

/* What ssh runs on the other host: Invar's own relay, or netcat where an older Invar, or none, is installed. */
static char *
remote_command(const InvRpcTarget *target)
{
    g_autofree char *what = g_shell_quote(target->socket ? target->socket : target->uri);
    g_autofree char *socket = g_shell_quote(target->socket ? target->socket : SYSTEM_SOCKET);
    gboolean ask_session = !target->socket && g_str_has_suffix(target->uri, "/session");
    g_autofree char *script =
        g_strdup_printf("if command -v invar >/dev/null 2>&1; then exec invar --connect=%s relay; fi; s=%s; "
                        "%sexec nc -U \"$s\"", what, socket,
                        ask_session ? "s=$HOME/.cache/invar/run/invar-sock; "
                                      "[ -z \"$XDG_RUNTIME_DIR\" ] || s=$XDG_RUNTIME_DIR/invar/invar-sock; " : "");
    g_autofree char *quoted = g_shell_quote(script);

    return g_strdup_printf("sh -c %s", quoted);
}

/* The words of the call of ssh. It must never ask anybody anything. */
static char **
ssh_words(const InvRpcTarget *target, guint deadline_ms)
{
    g_autoptr(GStrvBuilder) words = g_strv_builder_new();
    g_autofree char *timeout = g_strdup_printf("ConnectTimeout=%u", MAX(deadline_ms / 1000, 1));
    g_autofree char *port = g_strdup_printf("%u", target->port);
    g_autofree char *command = remote_command(target);

    g_strv_builder_add_many(words, "ssh", "-T", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=5", "-o",
                            timeout, "-e", "none", NULL);
    if (target->port)
        g_strv_builder_add_many(words, "-p", port, NULL);
    if (target->user)
        g_strv_builder_add_many(words, "-l", target->user, NULL);
    g_strv_builder_add_many(words, "--", target->host, command, NULL);
    return g_strv_builder_end(words);
}

static gboolean
open_ssh(InvRpcTransportHandle *handle, const InvRpcTarget *target, guint deadline_ms, GError **error)
{
    g_auto(GStrv) words = ssh_words(target, deadline_ms);
    g_autoptr(GError) cause = NULL;
    inv_autofd int ours = -1, theirs = -1, complaints = -1, complain = -1;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return inv_error_set_errno(error, errno, "cannot make a socket");
    ours = ends[0];
    theirs = ends[1];
    if (!g_unix_open_pipe(ends, FD_CLOEXEC, error))
        return FALSE;
    complaints = ends[0];
    complain = ends[1];
    if (!g_unix_set_fd_nonblocking(ours, TRUE, error) || !g_unix_set_fd_nonblocking(complaints, TRUE, error))
        return FALSE;
    if (!g_spawn_async_with_pipes_and_fds(NULL, (const char *const *)words, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, NULL,
                                          NULL, theirs, theirs, complain, NULL, NULL, 0, &handle->ssh, NULL, NULL, NULL, &cause))
        return inv_error_set(error, VIR_ERR_SYSTEM_ERROR, "cannot start ssh to reach host '%s': %s. Is the package openssh-client installed?",
                             target->host, cause->message);
    handle->fd = inv_fd_steal(&ours);
    handle->errors = inv_fd_steal(&complaints);
    return TRUE;
}

gboolean
inv_rpc_transport_open(InvRpcTransportHandle *handle, const InvRpcTarget *target, guint deadline_ms, GError **error)
{
    guint deadline = deadline_ms ? deadline_ms : DEFAULT_DEADLINE_MS;

    switch (target->transport) {
    case INV_TRANSPORT_UNIX:
        handle->fd = connect_unix(target->socket, deadline, error);
        break;
    case INV_TRANSPORT_TCP:
        handle->fd = inv_rpc_tcp_connect(target->host, target->port, g_get_monotonic_time() + (gint64)deadline * 1000, error);
        if (handle->fd >= 0)
            inv_rpc_tcp_prepare(handle->fd, KEEPALIVE_S, KEEPALIVES);
        break;
    case INV_TRANSPORT_SSH:
        return open_ssh(handle, target, deadline, error);
    }
    return handle->fd >= 0;
}

static void
end_ssh(GPid pid)
{
    inv_autofd int watch = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd poll_fd = { .fd = watch, .events = POLLIN };

    kill(pid, SIGTERM);
    /* Without a descriptor to wait on there is no waiting. */
    if (watch < 0 || poll(&poll_fd, 1, SSH_END_MS) <= 0)
        kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

void
inv_rpc_transport_close(InvRpcTransportHandle *handle)
{
    inv_fd_close(&handle->fd);
    if (handle->ssh > 0)
        end_ssh(handle->ssh);
    handle->ssh = 0;
    inv_fd_close(&handle->errors);
}

char *
inv_rpc_transport_complaint(const InvRpcTransportHandle *handle)
{
    char text[COMPLAINT_MAX + 1];
    ssize_t got = handle->errors >= 0 ? read(handle->errors, text, COMPLAINT_MAX) : 0;

    if (got <= 0)
        return NULL;
    text[got] = '\0';
    for (char *p = text; *p; p++) {
        if (g_ascii_iscntrl(*p))
            *p = ' ';
    }
    g_strstrip(text);
    return *text ? g_utf8_make_valid(text, -1) : NULL;
}

int
inv_rpc_end_fd(void)
{
    static gsize made;
    static int fd = -1;

    if (g_once_init_enter(&made)) {
        fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        g_once_init_leave(&made, 1);
    }
    return fd;
}
