/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "rpc/transport.h"

#include "util/error.h"
#include "util/fd.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_SIZE 65536u

/* One direction. */
typedef struct {
    int from;
    int to;
    gsize start, end; /* of what is in the buffer and not yet written */
    gboolean over;    /* nothing more comes */
    guint8 buffer[BUFFER_SIZE];
} Flow;

static gboolean
is_temporary(int failed)
{
    return failed == EINTR || failed == EAGAIN || failed == EWOULDBLOCK;
}

/* FALSE: whoever was to get it has gone. */
static gboolean
flow_step(Flow *flow, short can_read, short can_write)
{
    if (can_read && flow->start == flow->end && !flow->over) {
        ssize_t got = read(flow->from, flow->buffer, BUFFER_SIZE);

        flow->start = 0;
        flow->end = got > 0 ? (gsize)got : 0;
        flow->over = got == 0 || (got < 0 && !is_temporary(errno));
    }
    if (can_write && flow->start < flow->end) {
        ssize_t put = write(flow->to, flow->buffer + flow->start, flow->end - flow->start);

        if (put < 0 && !is_temporary(errno))
            return FALSE;
        if (put > 0)
            flow->start += (gsize)put;
    }
    return TRUE;
}

static struct pollfd
want(int fd, gboolean wanted, short events)
{
    /* A negative descriptor is left out. */
    return (struct pollfd){ .fd = wanted ? fd : -1, .events = events };
}

gboolean
inv_rpc_relay(const char *socket_path, int in, int out, GError **error)
{
    inv_autofd int fd = inv_unix_connect(socket_path, error);
    g_autofree Flow *to_daemon = g_new0(Flow, 1);
    g_autofree Flow *to_client = g_new0(Flow, 1);
    gboolean told = FALSE;

    /* Whoever waits in a write cannot take what the other end has to get rid of first. */
    if (fd < 0 || !g_unix_set_fd_nonblocking(fd, TRUE, error) || !g_unix_set_fd_nonblocking(out, TRUE, error))
        return FALSE;
    to_daemon->from = in;
    to_daemon->to = to_client->from = fd;
    to_client->to = out;
    while (!to_client->over || to_client->start < to_client->end) {
        gboolean to_send = to_daemon->start < to_daemon->end, to_give = to_client->start < to_client->end;
        struct pollfd fds[] = {
            want(in, !to_send && !to_daemon->over, POLLIN),
            want(fd, to_send, POLLOUT),
            want(fd, !to_give && !to_client->over, POLLIN),
            want(out, to_give, POLLOUT),
        };

        if (poll(fds, G_N_ELEMENTS(fds), -1) < 0 && errno != EINTR)
            return inv_error_set_errno(error, errno, "cannot wait for '%s'", socket_path);
        if (!flow_step(to_daemon, fds[0].revents, fds[1].revents) || !flow_step(to_client, fds[2].revents, fds[3].revents))
            break;
        if (to_daemon->over && to_daemon->start == to_daemon->end && !told) {
            shutdown(fd, SHUT_WR);
            told = TRUE;
        }
    }
    return TRUE;
}
